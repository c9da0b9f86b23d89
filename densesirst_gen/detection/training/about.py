"""What stands beside weights and in what a training goes on from, checked before it is used."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from densesirst_gen.detection.training.settings import TrainConfig
from densesirst_gen.scene.counts import Counts
from densesirst_gen.settings import SHOWN, ConfigError

MOST_LETTERS = 1_000_000
PARTS: dict[str, tuple[type, str]] = {
    "detector": (str, "text"),
    "options": (Mapping, "a table"),
    "size": (int, "a whole number"),
    "fit": (str, "text"),
}


class CheckpointError(ValueError):
    """A file that is no checkpoint, or one of another network; the message names the file."""


def checked_about(path: Path, text: str) -> dict[str, Any]:
    """What a file of weights says of itself.

    Parameters
    ----------
    path : Path
        For the message.
    text : str
        JSON.

    Raises
    ------
    CheckpointError
        If something is missing or breaks its rule.
    """
    try:
        if len(text) > MOST_LETTERS:
            raise ValueError(f"{len(text)} letters")
        about = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path}: what it says of itself is not JSON ({in_short(error)})"
        ) from error
    if not isinstance(about, dict):
        raise CheckpointError(f"{path}: what it says of itself must be a table")
    for name, (kind, words) in PARTS.items():
        value = about.get(name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise CheckpointError(f"{path}: its {name} must be {words}, got {SHOWN.repr(value)}")
    _check_values(path, about)
    return about


def _check_values(path: Path, about: Mapping[str, Any]) -> None:
    try:
        TrainConfig(size=about["size"], fit=about["fit"])
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error
    try:
        for counts in about.get("counts", {}).values():
            Counts.from_dict(counts)
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: its counts are none of a camera ({error})") from error
    if about["options"].get("weights") is not None:
        raise CheckpointError(f"{path}: its options name a file of weights, which it has itself")


def checked_progress(values: Any) -> dict[str, Any]:
    """The fields of `densesirst_gen.detection.training.checkpoint.Progress`.

    Raises
    ------
    ValueError
        If they are others, or of other types.
    """
    if not isinstance(values, dict) or set(values) != {"epoch", "step", "best", "history"}:
        raise ValueError("its progress has other parts")
    epoch, best, rows = values["epoch"], values["best"], values["history"]
    counts = all(type(n) is int and n >= 0 for n in (epoch, values["step"]))
    if not counts or not isinstance(rows, list) or len(rows) != epoch:
        raise ValueError("its progress is not that of a training")
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("its history is not that of a training")
    if best is not None and not (isinstance(best, dict) and {"epoch", "score"} <= set(best)):
        raise ValueError("its best epoch is not that of a training")
    return values


def in_short(error: Exception) -> str:
    """The first line of a message, or what it was."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
