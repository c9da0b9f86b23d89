"""The detectors by name, each in a file of its own that is imported when it is asked for.

A detector's file defines a `Detector` subclass with `config_type` and `presets`; the table below
says where it is.
"""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from typing import TYPE_CHECKING, Any

from densesirst_gen.settings import ConfigError

if TYPE_CHECKING:
    from densesirst_gen.detection.detectors.base import Detector

CLASSES = {  # module of the detector: class
    "adsnet": "ADSNet",
    "bafenet": "BAFENet",
    "cgranet": "CgraNet",
    "eflnet": "EFLNet",
    "serankdet": "SeRankDet",
}


def detector_names() -> tuple[str, ...]:
    """Names that `build_detector` knows."""
    return tuple(sorted(CLASSES))


def detector_class(name: str) -> type[Detector]:
    """The class of a detector.

    Raises
    ------
    ConfigError
        If the name is unknown.
    """
    if name not in CLASSES:
        raise ConfigError(f"unknown detector {name!r}; known: {', '.join(detector_names())}")
    found: type[Detector] = getattr(import_module(f"{__name__}.{name}"), CLASSES[name])
    return found


def build_detector(name: str, preset: str = "paper", **options: Any) -> Detector:
    """Build a detector.

    Parameters
    ----------
    name : str
        One of `detector_names`.
    preset : str
        "paper" for the printed equations, "official" for the published code, where there is one.
    **options
        Fields of the detector's ``config_type`` that differ from the preset.

    Returns
    -------
    Detector
        In training mode, on torch's default device.

    Raises
    ------
    ConfigError
        If detector, preset or option is unknown, or a value breaks the rule of its option.
    """
    kind = detector_class(name)
    if preset not in kind.presets:
        known = ", ".join(kind.presets)
        raise ConfigError(f"unknown preset {preset!r} of {name}; known: {known}")
    known_options = [f.name for f in fields(kind.config_type)]
    for key in options:
        if key not in known_options:
            raise ConfigError(
                f"unknown option {key!r} of {name}; known: {', '.join(known_options)}"
            )
    return kind(kind.config_type(**{**kind.presets[preset], **options}))
