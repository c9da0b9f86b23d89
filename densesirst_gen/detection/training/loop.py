"""The training loop: read it from top to bottom.

Lightning Fabric does devices, precision and several processes; everything else is here. Each epoch
is a function of its number, the seed and the state at its start, so a resumed run is the same run.
"""

from __future__ import annotations

import copy
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from densesirst_gen.detection.detectors.base import Detector, Targets
from densesirst_gen.detection.training.checkpoint import RESUME, Progress, Store, damaged
from densesirst_gen.detection.training.data import Batch, Collate, TrainScenes
from densesirst_gen.detection.training.kept import KeptBatches, KeptScenes
from densesirst_gen.detection.training.optimise import lr_share, make_optimiser, update_average
from densesirst_gen.detection.training.settings import PRECISIONS, TrainConfig

Row = dict[str, Any]
Watch = Callable[[Iterable[Batch], int], Iterable[Batch]]


class TrainingError(RuntimeError):
    """A training that cannot go on; the message says where it stopped and what is kept."""


class WithLoss(nn.Module):
    """A detector and its loss as one forward pass, as distributed training needs it."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.detector = detector

    def forward(
        self, images: Tensor, boxes: list[Tensor], labels: Tensor, sky: Tensor
    ) -> dict[str, Tensor]:
        """Losses by name, see `Detector.loss`."""
        return self.detector.loss(self.detector(images), Targets(boxes, labels, sky))


def make_fabric(device: str = "auto", devices: int = 1, precision: str = "32") -> Any:
    """The engine.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda``, ``mps`` or ``auto``.
    devices : int
        How many; more than one start as many processes of the same command.
    precision : str
        A key of `PRECISIONS`.

    Raises
    ------
    RuntimeError
        If it is not installed, or there is no such device.
    """
    try:
        from lightning_fabric import Fabric
    except ImportError as error:
        raise RuntimeError(
            "lightning-fabric is not installed: pip install 'densesirst_gen[train]'"
        ) from error
    strategy = "ddp_find_unused_parameters_true" if devices > 1 else "auto"
    return Fabric(
        accelerator=device, devices=devices, strategy=strategy, precision=PRECISIONS[precision]
    )


def fit(
    fabric: Any,
    detector: Detector,
    scenes: TrainScenes | KeptScenes,
    config: TrainConfig,
    store: Store,
    *,
    validate: Callable[[Detector], dict[str, float]] | None = None,
    select_by: str | None = None,
    workers: int = 0,
    watch: Watch = lambda batches, total: batches,
    report: Callable[[Row], None] = lambda row: None,
) -> Progress:
    """Train, from the beginning or from where `store` has got to.

    Parameters
    ----------
    fabric : lightning_fabric.Fabric
        Launched.
    detector : Detector
        Holds the weights of the last step afterwards.
    scenes : TrainScenes or KeptScenes
        The latter move to the device.
    config : TrainConfig
    store : Store
        Written to by the first process only.
    validate : callable, optional
        Detector -> scores, called by the first process.
    select_by : str, optional
        The score by which the best weights are chosen. None: none are.
    workers : int
        Processes that load images; 0: this one. They do not change the result.
    watch : callable
        Wraps (batches, total) of an epoch, for a progress bar.
    report : callable
        Gets the row of each epoch: epoch, step, lr, mean loss and its parts, images per second,
        share of time for data, forward and backward, validation scores.

    Returns
    -------
    Progress

    Raises
    ------
    TrainingError
        If loss or gradient is no longer finite.
    CheckpointError
        If what it is to go on from is damaged.
    """
    model, optimiser = fabric.setup(WithLoss(detector), make_optimiser(detector, config))
    average = copy.deepcopy(detector) if config.average else None
    progress, state = store.resume_state()
    run = _Run(fabric, detector, model, optimiser, average, config, progress)
    if state:
        try:
            run.restore(state)
        except (RuntimeError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise damaged(store.folder.state / RESUME, error) from error
    loader = _loader(scenes, run, workers)
    for epoch in range(progress.epoch, config.epochs):
        scenes.set_epoch(epoch)
        torch.manual_seed(config.seed * 1_000_003 + epoch)
        row = _epoch(run, watch(loader, len(loader)), len(loader))
        detector.after_epoch()
        progress.epoch = epoch + 1
        is_due = progress.epoch % config.val_every == 0 or progress.epoch == config.epochs
        if fabric.is_global_zero:
            if validate and is_due:
                row["val"] = validate(run.result)
                _choose(progress, row["val"], select_by)
            progress.history.append({"epoch": progress.epoch, "step": progress.step, **row})
            store.save(run.result, progress, run.state())
            report(progress.history[-1])
        fabric.barrier()
    return progress


@dataclass(frozen=True, eq=False)
class _Run:
    """What the parts of the loop share; `model` is the detector with its loss, wrapped."""

    fabric: Any
    detector: Detector
    model: nn.Module
    optimiser: Any
    average: Detector | None
    config: TrainConfig
    progress: Progress

    @property
    def result(self) -> Detector:
        """The detector to validate and to keep."""
        return self.average or self.detector

    def state(self) -> dict[str, Any]:
        """What `restore` needs."""
        parts = {"detector": self.detector, "optimiser": self.optimiser, "average": self.average}
        return {name: part.state_dict() for name, part in parts.items() if part is not None}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go back to an earlier `state`."""
        self.detector.load_state_dict(state["detector"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])


def _loader(
    scenes: TrainScenes | KeptScenes, run: _Run, workers: int
) -> DataLoader[Any] | KeptBatches:
    """This process's share of each epoch, the same number of images for every process."""
    world = run.fabric.world_size
    mine = range(run.fabric.global_rank, len(scenes) - len(scenes) % world, world)
    if not mine:
        raise TrainingError(f"{len(scenes)} images are too few for {world} devices")
    if isinstance(scenes, KeptScenes):
        return scenes.batches(mine, run.detector.preprocess, run.fabric.device)
    return DataLoader(
        scenes,
        run.config.batch,
        sampler=mine,
        num_workers=workers,
        persistent_workers=workers > 0,
        drop_last=len(mine) >= run.config.batch,
        generator=torch.Generator(),  # else it draws from that of the network, by number of workers
        collate_fn=Collate(run.detector.preprocess),
    )


def _epoch(run: _Run, batches: Iterable[Batch], n_batches: int) -> Row:
    """One pass over the images; gives its part of the row."""
    fabric, config, progress = run.fabric, run.config, run.progress
    clock, means, n_images = Clock(fabric.device), defaultdict[str, float](float), 0
    n_steps = config.epochs * -(-n_batches // config.accumulate)
    run.model.train()
    for k, batch in enumerate(batches, 1):
        images, targets = batch.images.to(fabric.device), batch.targets.to(fabric.device)
        clock.lap("data")
        losses = run.model(images, targets.boxes, targets.labels, targets.sky)
        values = {name: float(part.detach()) for name, part in losses.items()}
        _check_finite(sum(values.values()), values, progress, k)
        clock.lap("forward")
        is_step = k % config.accumulate == 0 or k == n_batches
        with fabric.no_backward_sync(run.model, enabled=not is_step):
            fabric.backward(torch.stack(list(losses.values())).sum())
        if is_step:
            lr = config.lr * lr_share(progress.step, n_steps, config)
            norm = _step(run, lr)
            _check_finite(norm, values, progress, k)
            progress.step += 1
        clock.lap("backward")
        n_images += len(images) * fabric.world_size
        for name, value in values.items():
            means[name] += value / n_batches
    parts = {name: round(value, 6) for name, value in means.items()}
    return {
        "lr": lr,
        "loss": round(sum(means.values()), 6),
        "parts": parts,
        **clock.rates(n_images),
    }


def _step(run: _Run, lr: float) -> float:
    """Change the weights; gives the norm of the gradient before it was clipped, if it was."""
    config, norm = run.config, 0.0
    for group in run.optimiser.param_groups:
        group["lr"] = lr
    if config.clip:
        norm = float(
            run.fabric.clip_gradients(
                run.model, run.optimiser, max_norm=config.clip, error_if_nonfinite=False
            )
        )
    run.optimiser.step()
    run.optimiser.zero_grad()
    if run.average is not None:
        update_average(run.average, run.detector, run.progress.step, config.average)
    return norm


def _check_finite(
    value: float, losses: Mapping[str, float], progress: Progress, batch: int
) -> None:
    if math.isfinite(value):
        return
    parts = ", ".join(f"{name} {part:g}" for name, part in losses.items())
    kept = f"weights of epoch {progress.epoch} are kept" if progress.epoch else "nothing was kept"
    raise TrainingError(
        f"loss or gradient is not finite in epoch {progress.epoch + 1}, batch {batch} ({parts}); "
        f"{kept}. A lower lr, a smaller clip or precision 32 may help"
    )


def _choose(progress: Progress, scores: Mapping[str, float], by: str | None) -> None:
    """The last of equally good epochs is the best: where none finds anything, the most trained."""
    if by and (progress.best is None or scores[by] >= progress.best["score"]):
        progress.best = {"epoch": progress.epoch, "score": scores[by]}


class Clock:
    """Where the time of an epoch goes; waits for the device, so that each part is its own."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.seconds = device, defaultdict[str, float](float)
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        """The time since the last lap goes to `name`."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        self.seconds[name] += now - self.last
        self.last = now

    def rates(self, n_images: int) -> Row:
        """Images per second, and the share of each part."""
        total = sum(self.seconds.values())
        shares = {name: round(seconds / total, 3) for name, seconds in self.seconds.items()}
        return {"images_per_s": round(n_images / total, 2), "time": shares}
