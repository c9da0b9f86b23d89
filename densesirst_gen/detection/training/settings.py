"""Settings of a training: one frozen record, and the published values of it for each detector."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from densesirst_gen.detection.detectors import detector_class
from densesirst_gen.detection.detectors.base import Detector
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.settings import ConfigError, Settings, drawn, option

AUGMENTS = ("none", *PROFILES)
PRECISIONS: dict[str, Any] = {"32": "32-true", "bf16": "bf16-mixed"}
MOST_SIDE = 16_384
WORDS = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class TrainConfig(Settings):
    """How a detector is trained: everything that decides the result, beside data and detector.

    Each field's meaning is its ``metadata["help"]``. ``augment`` is none, or one
    of `densesirst_gen.paste.config.PROFILES`.
    """

    epochs: int = option(20, "passes over the training images", low=1, high=100_000)
    images_per_epoch: int = option(
        0, "images of an epoch; 0: as many as there are", low=0, high=100_000_000
    )
    batch: int = option(8, "images of a step on each device", low=1, high=4096)
    accumulate: int = option(1, "batches whose gradients are summed for a step", low=1, high=10_000)
    optimiser: str = option("adamw", "what steps", among=("adamw", "adam", "sgd", "dadapt"))
    lr: float = option(1e-4, "learning rate", low=0, high=100)
    momentum: float = option(0.9, "of sgd, with Nesterov's step", low=0, high=1)
    weight_decay: float = option(0.05, "of weights, not of biases and norms", low=0, high=100)
    schedule: str = option(
        "step", "of the learning rate", among=("constant", "step", "cosine", "poly")
    )
    milestones: tuple[float, ...] = option((0.4, 0.8), "step: x 0.1 after these shares of the run")
    final: float = option(0.1, "cosine: last learning rate, share of the first", low=0, high=1)
    warmup: int = option(
        500, "steps of linear rise, at most a quarter of the run", low=0, high=100_000_000
    )
    warmup_from: float = option(1 / 3, "where the rise begins, share of lr", low=0, high=1)
    clip: float = option(10.0, "greatest norm of the gradient; 0: any", low=0, high=1e9)
    average: float = option(0.0, "decay of a running mean of the weights; 0: none", high=1, low=0)
    size: int = option(512, "longer side of the input, px; 0: as the image is", low=0, high=8192)
    fit: str = option("keep", "aspect of the input", among=("keep", "stretch"))
    flip: float = option(0.5, "share of images mirrored left to right", low=0, high=1)
    zoom: tuple[float, float] = drawn(
        (1.0, 1.0), "random zoom; too large is cut at random", above=0, high=10
    )
    crop: int = option(
        0, "side of random squares cut out, px; 0: the size of the input", low=0, high=8192
    )
    on_target: float = option(0.5, "share of crops around a random target", low=0, high=1)
    blur: float = option(
        0.0, "greatest σ of blur, input px, of half the images; 0: none", low=0, high=100
    )
    keep: bool = option(False, "inputs are made once and lie on the device, all at a time")
    augment: str = option("none", "targets pasted while training", among=AUGMENTS)
    paste: float = option(1.0, "share of images pasted into", low=0, high=1)
    val_every: int = option(
        1, "epochs between validations; the last is validated", low=1, high=100_000
    )
    select_by: str = option("ap", "what is best on val", among=("ap", "f1", "iou"))
    precision: str = option("32", "of the arithmetic", among=tuple(PRECISIONS))
    seed: int = option(0, "of everything random", low=0, high=2**32 - 1)
    deterministic: bool = option(False, "deterministic algorithms on GPUs too, slower")

    def __post_init__(self) -> None:
        super().__post_init__()
        shares = self.milestones
        if not all(isinstance(share, int | float) and 0 < share < 1 for share in shares):
            self.refuse("milestones", "shares of the run, between 0 and 1")
        if self.zoom[1] * self.size > MOST_SIDE:
            self.refuse("zoom", f"at most {MOST_SIDE} px, times a size of {self.size}")


# What papers and published code state; see the detectors' files for their networks. Not done here:
# mosaic and mixup of EFLNet; D-adaptation (dadapt) of BAFE-Net is on request.
RECIPES: dict[str, dict[str, Any]] = {
    "bafenet": {"epochs": 60, "batch": 2},
    "adsnet": {
        "epochs": 500,
        "optimiser": "sgd",
        "lr": 0.02,
        "weight_decay": 1e-4,
        "milestones": (0.6, 0.8),
        "warmup": 4000,
        "warmup_from": 0.0,
        "select_by": "iou",
    },
    "eflnet": {
        "epochs": 300,
        "accumulate": 8,
        "optimiser": "sgd",
        "lr": 0.01,
        "momentum": 0.937,
        "weight_decay": 5e-4,
        "schedule": "cosine",
        "warmup": 1000,
        "warmup_from": 0.0,
        "average": 0.9999,
        "size": 640,
        "zoom": (0.1, 1.9),
    },
    "serankdet": {
        "epochs": 500,
        "batch": 4,
        "weight_decay": 0.01,
        "schedule": "poly",
        "warmup": 1000,
        "warmup_from": 0.0,
        "zoom": (0.5, 2.0),
        "blur": 1.0,
        "select_by": "iou",
    },
    "cgranet": {
        "epochs": 50,
        "batch": 12,
        "optimiser": "adam",
        "weight_decay": 1e-4,
        "schedule": "poly",
        "warmup": 0,
        "size": 128,
        "select_by": "iou",
    },
}


def settle(
    detector: str, options: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], TrainConfig]:
    """Divide options between a detector and its training.

    Parameters
    ----------
    detector : str
        Its values in `RECIPES` come before the defaults.
    options : mapping, optional
        Fields of the detector's settings and of `TrainConfig`; no name is in both.

    Returns
    -------
    dict
        Options of the detector.
    TrainConfig

    Raises
    ------
    ConfigError
        If a name is unknown; it says which there are. If a value breaks its rule.
    """
    options = dict(options or {})
    kind = detector_class(detector)
    of_detector = [f.name for f in fields(kind.config_type)]
    of_training = [f.name for f in fields(TrainConfig)]
    for name in options:
        if name not in (*of_detector, *of_training):
            raise ConfigError(
                f"unknown option {name!r}; of {detector}: {', '.join(of_detector)}; "
                f"of the training: {', '.join(of_training)}"
            )
    values = RECIPES.get(detector, {}) | {k: v for k, v in options.items() if k in of_training}
    config = TrainConfig(**values)
    if config.select_by == "iou" and kind.task == "boxes":
        config.refuse("select_by", "ap or f1 for a detector of boxes")
    return {k: v for k, v in options.items() if k in of_detector}, config


def parse_options(pairs: tuple[str, ...]) -> dict[str, Any]:
    """``key=value`` texts as a dict; values as Python writes them, or true, false, none, or text.

    Raises
    ------
    ConfigError
        If there is no ``=``.
    """
    parsed = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ConfigError(f"an option is written key=value, got {pair!r}")
        parsed[name.strip().replace("-", "_")] = _value(value.strip())
    return parsed


def _value(text: str) -> Any:
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def described(detector: Detector, config: TrainConfig) -> list[str]:
    """Every option with its value and its meaning, one a line."""
    lines = []
    for record in (detector.config, config):
        for f in fields(record):
            choices = f.metadata["among"]
            among = f" ({', '.join(map(str, choices))})" if choices else ""
            lines.append(f"{f.name} = {getattr(record, f.name)!r}  # {f.metadata['help']}{among}")
    return lines
