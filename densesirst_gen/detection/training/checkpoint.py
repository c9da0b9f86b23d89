"""Weights in safetensors with all that is needed to use them; what a training goes on from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from densesirst_gen.datasets.paths import examples
from densesirst_gen.detection.detectors import build_detector
from densesirst_gen.detection.detectors.base import Detector
from densesirst_gen.detection.training.about import (
    CheckpointError,
    checked_about,
    checked_progress,
    in_short,
)
from densesirst_gen.files.atomic import write_atomically
from densesirst_gen.files.folder import BuildFolder
from densesirst_gen.scene.counts import Counts
from densesirst_gen.settings import ConfigError

FORMAT = "densesirst-gen/weights@1"
LAST, BEST, LOG = "last.safetensors", "best.safetensors", "log.jsonl"
RESUME = "resume.pt"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A trained detector, and what it was made and is to be used with.

    Parameters
    ----------
    path : Path
    detector : Detector
        In evaluation mode, on the CPU.
    size, fit : int, str
        Of its inputs, see `TrainConfig`.
    about : dict
        Name, options, epoch, and the rule by which it was chosen.
    """

    path: Path
    detector: Detector
    size: int
    fit: str
    about: dict[str, Any]

    @property
    def counts(self) -> dict[str, Counts]:
        """What values of the training images mean, by dtype; 8-bit images need no word."""
        told = self.about.get("counts")
        found = told.items() if isinstance(told, dict) else ()
        return {kind: Counts.from_dict(values) for kind, values in found if kind != "uint8"}


def weights_bytes(detector: Detector, about: Mapping[str, Any]) -> bytes:
    """The content of a safetensors file: the detector's state, and `about` as JSON."""
    from safetensors.torch import save

    tensors = {k: v.detach().cpu().contiguous() for k, v in detector.state_dict().items()}
    text = json.dumps({**about, "options": asdict(detector.config)})
    return save(tensors, {"format": FORMAT, "about": text})


def load_checkpoint(path: Path) -> Checkpoint:
    """Build a trained detector.

    Parameters
    ----------
    path : Path
        A file of weights that `train` has written, or the folder of a run: its best weights, or
        where none were chosen its last.

    Raises
    ------
    CheckpointError
        If it is no such file, is damaged, or holds weights that are not finite.
    """
    if path.is_dir():
        path = path / BEST if (path / BEST).is_file() else path / LAST
    about, tensors = _read(path)
    try:
        with torch.device("meta"):  # shapes without memory
            wanted = build_detector(about["detector"], **about["options"]).state_dict()
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
    _check_tensors(path, about["detector"], wanted, tensors)
    detector = build_detector(about["detector"], **about["options"])
    detector.load_state_dict(tensors)
    return Checkpoint(path, detector.eval(), about["size"], about["fit"], about)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    from safetensors import safe_open

    if not path.is_file():
        raise CheckpointError(f"{path}: no such file of weights")
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise CheckpointError(f"{path}: weights, but not written by densesirst-gen train")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except CheckpointError:
        raise
    except Exception as error:  # of damaged bytes, safetensors and torch raise what they like
        raise CheckpointError(f"{path}: not a safetensors file ({in_short(error)})") from error
    return checked_about(path, metadata.get("about", "")), tensors


def _check_tensors(
    path: Path, name: str, wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]
) -> None:
    """Names, shapes and kinds are the network's, and all numbers are finite."""
    wrong = wanted.keys() ^ found.keys()
    wrong |= {k for k in wanted.keys() & found.keys() if _form(wanted[k]) != _form(found[k])}
    if wrong:
        raise CheckpointError(
            f"{path}: not the weights of {name} with these options: {len(wrong)} tensors are "
            f"missing, too many or of another shape: {examples(sorted(wrong))}"
        )
    for key, tensor in found.items():
        if tensor.is_floating_point() and not tensor.isfinite().all():
            raise CheckpointError(f"{path}: the weights {key} are not finite: a broken training")


def _form(tensor: torch.Tensor) -> tuple[Any, ...]:
    return tuple(tensor.shape), tensor.is_floating_point()


@dataclass
class Progress:
    """How far a training has come.

    Parameters
    ----------
    epoch, step : int
        Done.
    best : dict, optional
        Epoch and score of the best weights, where some were chosen.
    history : list of dict
        One row per epoch, see `densesirst_gen.detection.training.loop`.
    """

    epoch: int = 0
    step: int = 0
    best: dict[str, Any] | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


class Store:
    """The files of a run while it goes on.

    Parameters
    ----------
    folder : BuildFolder
        Open.
    about : mapping
        For the files of weights.

    Notes
    -----
    What a run resumes from is one file, and it is written last: a run that is killed at any
    instant goes on from the end of an epoch, and writes the same files again.
    """

    def __init__(self, folder: BuildFolder, about: Mapping[str, Any]) -> None:
        self.folder, self.about = folder, about

    def save(self, detector: Detector, progress: Progress, state: Mapping[str, Any]) -> None:
        """Write the weights of an epoch, and all that it takes to go on after it.

        Parameters
        ----------
        detector : Detector
            Whose weights are to be used.
        progress : Progress
            Its last row is of this epoch; if `best` names this epoch, the weights are the best.
        state : mapping
            Plain values and tensors, for `resume_state`.
        """
        best, root = progress.best, self.folder.root
        content = weights_bytes(detector, {**self.about, "epoch": progress.epoch, "best": best})
        write_atomically(root / LAST, content)
        if best and best["epoch"] == progress.epoch:
            write_atomically(root / BEST, content)
        lines = (json.dumps(row) + "\n" for row in progress.history)
        write_atomically(root / LOG, "".join(lines).encode())
        buffer = BytesIO()
        torch.save({**state, "progress": json.dumps(asdict(progress))}, buffer)
        write_atomically(self.folder.state / RESUME, buffer.getvalue())

    def resume_state(self) -> tuple[Progress, dict[str, Any]]:
        """What `save` wrote last; nothing and an empty state before.

        Raises
        ------
        CheckpointError
            If it is damaged.
        """
        path = self.folder.state / RESUME
        if not path.is_file():
            return Progress(), {}
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            progress = checked_progress(json.loads(state.pop("progress")))
        except Exception as error:  # of damaged bytes, torch raises what it likes
            raise damaged(path, error) from error
        return Progress(**progress), state


def damaged(path: Path, error: Exception) -> CheckpointError:
    """What a training can't go on from."""
    return CheckpointError(
        f"{path}: damaged ({in_short(error)}); the training can't go on from it: --overwrite "
        "begins anew"
    )
