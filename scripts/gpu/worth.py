"""Part 3 and 4: what data are worth; detectors trained on a bundle that lies on the device.

python scripts/gpu/worth.py OUT --bundle DIR [--seed 0] [--epochs 20] [--minutes 5.5] [--toy]

Every training sees the same number of images and steps, whatever its source, and is scored on the
released validation scenes in native pixels. The trainings come in the order of their worth: what
was reached when the time is over stands. One that would not end in time is not begun.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from bundle import (
    BACKGROUNDS,
    LIBRARY,
    RELEASED,
    read_base,
    read_source,
    source_names,
)
from told import device, tell

from densesirst_gen.detection.detectors import build_detector
from densesirst_gen.detection.detectors.base import Detector, ImageMeta
from densesirst_gen.detection.evaluation.evaluate import (
    SceneScore,
    Scoring,
    collect,
    score_scene,
)
from densesirst_gen.detection.training.checkpoint import Progress, Store
from densesirst_gen.detection.training.data import Batch, Collate, Sample
from densesirst_gen.detection.training.kept import KeptScenes
from densesirst_gen.detection.training.loop import fit, make_fabric
from densesirst_gen.detection.training.predict import (
    KINDS,
    Reading,
    found_in,
    predict_batches,
)
from densesirst_gen.detection.training.run import main_scores
from densesirst_gen.detection.training.settings import settle
from densesirst_gen.paste.library import TargetLibrary, load_library

PART = "worth"
OURS, SHARE = "bag-cp", 10
"""What is pasted online and mixed with every tenth released scene."""
SCORED_AT_ONCE = 32
VOC = Scoring(legacy_plus_one=True)
"""As published tables score boxes."""
CORE = 5
"""Trainings that matter most: for these the time is divided."""
COMMON = {
    "size": 512,
    "fit": "stretch",
    "keep": True,
    "zoom": (1.0, 1.0),
    "blur": 0.0,
    "precision": "bf16",
    "schedule": "cosine",
    "warmup": 50,
    "batch": 32,
    "lr": 1e-3,
    "val_every": 100_000,
}
ADAMW = {"optimiser": "adamw", "weight_decay": 0.05}
OPTIONS: dict[str, dict[str, Any]] = {
    "bafenet": {"depth": 18, "fpn_start": "C2", "assign": "fcos+nearest", "freeze_bn": False},
    "eflnet": {**ADAMW, "average": 0.0, "accumulate": 1, "batch": 16},
    "cgranet": {},
    "adsnet": {**ADAMW, "eps": (None, None), "batch": 16},
    "serankdet": {"base_width": 16, "batch": 8},
}
"""Backbones start from nothing, so their norms are trained."""
TOY = {"size": 64, "precision": "32", "batch": 2, "warmup": 0}
TOY_OPTIONS: dict[str, dict[str, Any]] = {
    "adsnet": {"width": 8, "stem_width": 8},
    "bafenet": {"width": 8, "head_width": 32},
    "cgranet": {"backbone_width": 8, "width": 8},
    "eflnet": {"width_multiple": 1 / 16, "dyhead_blocks": 1},
    "serankdet": {"base_width": 8},
}


@dataclass(frozen=True)
class Job:
    """A training.

    Parameters
    ----------
    detector, source : str
    how : "built", "online" or "once"
        As the bundle has it; with `OURS` pasted anew in each epoch, or once before the first.
    more : bool
        With every tenth released training scene.
    """

    detector: str
    source: str
    how: str = "built"
    more: bool = False

    @property
    def label(self) -> str:
        """For tables."""
        pasted = {"online": f" + {OURS} online", "once": f" + {OURS} once, at this size"}
        more = f" + {100 // SHARE} % of {RELEASED}" if self.more else ""
        return f"{self.source}{pasted.get(self.how, '')}{more}"


def jobs(sources: Sequence[str]) -> list[Job]:
    """All trainings, those first that say most."""
    box = "bafenet"
    found = [
        Job(box, RELEASED),
        Job(box, OURS),
        Job(box, BACKGROUNDS),
        Job(box, BACKGROUNDS, "online"),
        Job(box, OURS, more=True),
        Job(box, BACKGROUNDS, "once"),
        Job(box, "copy-paste"),
        Job(box, "release"),
        Job(box, "paper"),
        Job(box, RELEASED, "online"),
    ]
    others = [Job(d, s) for d in ("eflnet", "cgranet") for s in (RELEASED, OURS, BACKGROUNDS)]
    others += [Job(d, s) for d in ("adsnet", "serankdet") for s in (RELEASED, OURS)]
    return [job for job in (*found, *others) if job.source in sources]


def main(argv: Sequence[str] | None = None) -> None:
    """Train and score as long as there is time."""
    args = _parser().parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.backends.cudnn.benchmark = True
    ends = time.monotonic() + 60 * args.minutes
    data = Data(args.bundle)
    took: dict[str, float] = {}
    for job in chosen(data, args):
        left = ends - time.monotonic()
        if left < 1.1 * took.get(job.detector, 0):
            tell(args.out, PART, "not begun", **_named(job, args), seconds_left=round(left))
            continue
        start = time.monotonic()
        tell(args.out, PART, "trained", **_named(job, args), **train_and_score(job, data, args))
        took[job.detector] = time.monotonic() - start


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--bundle", type=Path, default=Path("bundle"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--minutes", type=float, default=5.5)
    parser.add_argument("--most", type=int, help="trainings [all]")
    parser.add_argument("--toy", action="store_true")
    return parser


def chosen(data: Data, args: argparse.Namespace) -> list[Job]:
    """The trainings of this run."""
    return jobs(data.names)[: args.most]


def _named(job: Job, args: argparse.Namespace) -> dict[str, Any]:
    return {"detector": job.detector, "data": job.label, "seed": args.seed, "epochs": args.epochs}


def options_of(detector: str, args: argparse.Namespace) -> dict[str, Any]:
    """Of detector and training."""
    toy = {**TOY, **TOY_OPTIONS[detector]} if args.toy else {}
    options = {**COMMON, **OPTIONS[detector], **toy}
    return {**options, "seed": args.seed, "epochs": args.epochs}


# ---- data


class Data:
    """A bundle; its sources are read when they are needed, which takes a second or two.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.base = folder, read_base(folder)
        self.names = source_names(folder)
        self.library = load_library(folder / LIBRARY)

    def training(self, job: Job) -> list[Sample]:
        """What is trained on, before anything is pasted."""
        rows = range(self.base.n_train)
        samples = self.part(job.source, rows)
        return samples + self.part(RELEASED, rows[::SHARE]) if job.more else samples

    def part(self, source: str, rows: Sequence[int]) -> list[Sample]:
        """Some scenes of a source."""
        return read_source(self.folder, source, self.base, rows).samples

    @cached_property
    def held_out(self) -> list[Sample]:
        """Inputs to score on."""
        return self.part(RELEASED, range(self.base.n_train, len(self.base.names)))

    def batches(self, detector: Detector) -> Iterator[Batch]:
        """The same as a detector takes them, on the device."""
        collate = Collate(detector.preprocess)
        for k in range(0, len(self.held_out), SCORED_AT_ONCE):
            yield _on_device(collate(self.held_out[k : k + SCORED_AT_ONCE]))


def _on_device(batch: Batch) -> Batch:
    return replace(batch, images=batch.images.to(device()))


def scenes_of(job: Job, data: Data, config: Any) -> KeptScenes:
    """The images of each epoch."""
    samples = data.training(job)
    if job.how == "built":
        return KeptScenes(samples, config)
    pasting = replace(config, augment=OURS)
    if job.how == "online":
        return KeptScenes(samples, pasting, data.library)
    return KeptScenes(list(pasted_once(samples, pasting, data.library)), config)


def pasted_once(samples: Sequence[Sample], config: Any, library: TargetLibrary) -> Iterator[Sample]:
    """Each sample with what its first epoch would have pasted."""
    config = replace(config, flip=0.0, images_per_epoch=0)
    scenes = KeptScenes(samples, config, library)
    preprocess = SimpleNamespace(divisor=1, fill=0.0)
    for k in range(len(samples)):
        batch = scenes.batch([k], preprocess)
        targets = batch.targets
        yield Sample(
            batch.images[0], targets.boxes[0], targets.labels[0], targets.sky[0], samples[k].meta
        )


# ---- training


class Unstored(Store):
    """Nothing is written while a training goes on: it lasts a minute."""

    def __init__(self) -> None:
        super().__init__(SimpleNamespace(root=None, state=Path()), {})  # type: ignore[arg-type]

    def save(self, detector: Detector, progress: Progress, state: Mapping[str, Any]) -> None:
        """Keep nothing."""

    def resume_state(self) -> tuple[Progress, dict[str, Any]]:
        """The beginning."""
        return Progress(), {}


def trained(
    detector: str, scenes_from: Any, args: argparse.Namespace, n_images: int
) -> tuple[Detector, Progress]:
    """A detector of the last step, and the rows of its epochs."""
    options = {**options_of(detector, args), "images_per_epoch": n_images}
    own, config = settle(detector, options)
    fabric = make_fabric(device(), 1, config.precision)
    torch.manual_seed(config.seed)
    model = build_detector(detector, "paper", **own)
    scenes = scenes_from(config)
    if type(model).before_training is not Detector.before_training:
        model.before_training(scenes.sizes())
    if device() == "cuda":
        model.to(memory_format=torch.channels_last)
    return model, fit(fabric, model, scenes, config, Unstored())


def train_and_score(job: Job, data: Data, args: argparse.Namespace) -> dict[str, Any]:
    """One training; its scores, or what went wrong."""
    start = time.monotonic()
    try:
        model, progress = trained(
            job.detector, lambda c: scenes_of(job, data, c), args, data.base.n_train
        )
        seconds = time.monotonic() - start
        scores = scores_of(model, data)
    except Exception as error:
        return {"wrong": f"{type(error).__name__}: {str(error)[:1000]}"}
    last = progress.history[-1]
    return {
        **scores,
        "loss": [row["loss"] for row in progress.history],
        "images_per_s": last["images_per_s"],
        "time": last["time"],
        "seconds": round(seconds, 1),
        "seconds_scoring": round(time.monotonic() - start - seconds, 1),
    }


def scores_of(model: Detector, data: Data) -> dict[str, Any]:
    """On the held-out scenes: `main_scores`, recall by density, and as published tables score."""
    model.to(memory_format=torch.contiguous_format)
    reading = Reading(data.base.side, "stretch", device=device())
    pairs = [
        (scene, found_in(model, prediction))
        for scene, prediction in predict_batches(model, data.batches(model), reading)
    ]
    scores = [score_scene(scene, found, Scoring()) for scene, found in pairs]
    ours = collect(KINDS[model.task], scores, Scoring())
    return {
        "scores": main_scores(ours),
        "recall": ours.to_dict()["recall"]["density"],
        "printed": printed(scores),
        "scenes": len(pairs),
    }


def printed(scores: Sequence[SceneScore]) -> dict[str, float]:
    """As published tables of boxes score."""
    found = {}
    for name, interpolation in (("ap07", "11-point"), ("ap", "area")):
        metric = VOC.voc(interpolation)
        result = metric.result(metric.measure(score.found, score.truth.boxes) for score in scores)
        found[name] = round(float(result.ap), 6)
    return {**found, "recall": round(float(result.recall), 6)}


# ---- how fast


def rate(args: argparse.Namespace) -> dict[str, Any]:
    """Images a second of BAFE-Net R18, out of its second epoch, and the epochs that fit.

    Parameters
    ----------
    args : Namespace
        ``toy``, and ``minutes`` of the trainings to come.
    """
    args.epochs, args.seed = 2, 0
    n = 4 if args.toy else 256
    side = TOY["size"] if args.toy else COMMON["size"]
    samples = [_noise(side, k) for k in range(n)]
    _, progress = trained("bafenet", lambda c: KeptScenes(samples, c), args, n)
    last = progress.history[-1]
    images = args.minutes * 60 * 0.85 * last["images_per_s"]
    return {
        "images_per_s": last["images_per_s"],
        "time": last["time"],
        "epochs_that_fit": int(images / (512 * CORE * 2)),
        "memory": torch.cuda.max_memory_allocated() if device() == "cuda" else None,
    }


def _noise(side: int, seed: int) -> Sample:
    """Noise with as many targets as a released scene has."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(40, 60, (1, side, side), generator=generator) / 255
    corners = torch.randint(0, side - 4, (20, 2), generator=generator)
    labels = torch.zeros(side, side, dtype=torch.int32)
    for k, (x, y) in enumerate(corners.tolist(), 1):
        labels[y : y + 3, x : x + 3] = k
    boxes = torch.cat([corners, corners + 3], dim=1).float()
    return Sample(image, boxes, labels, torch.ones_like(labels).byte(), ImageMeta((side, side)))


if __name__ == "__main__":
    main()
