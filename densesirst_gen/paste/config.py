"""The settings of the method: one frozen record, three named values of it.

Gray levels are 8-bit ones (see `densesirst_gen.scene.scene`). Every range is ``(low, high)``, drawn
uniformly. Sources: the paper's equations, and what its released data show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any

from densesirst_gen.settings import ConfigError

Range = tuple[float, float]
Counts = tuple[int, int]


def _option(default: Any, rule: str, text: str, **metadata: Any) -> Any:
    return field(default=default, metadata={"rule": rule, "help": text, **metadata})


def _choice(default: str, choices: tuple[str, ...], text: str) -> Any:
    return _option(default, "choice", text, choices=choices)


@dataclass(frozen=True)
class PasteConfig:
    """How targets are chosen, shaped, placed and fused. The default is the profile ``bag-cp``.

    Angles are radians here and degrees in dictionaries, files and on the command line.
    Each field's meaning is its ``metadata["help"]``, which is also the command line's help.

    Raises
    ------
    ConfigError
        If a value breaks the rule of its field.
    """

    source: str = _choice(
        "library",
        ("library", "scene"),
        "what is pasted: targets of the library, or the texture of random scene regions",
    )
    level: str = _choice(
        "release",
        ("release", "library"),
        "how bright: peaks drawn as in the released data, or each target's own contrast",
    )
    flatten: float = _option(
        0.15, "unit", "exponent on the target's shape: 1 keeps its profile, 0 makes it flat"
    )
    region: str = _choice("sky", ("sky", "anywhere"), "where regions may lie")
    arrangement: str = _choice(
        "clusters", ("clusters", "sparse"), "targets together in regions, or each on its own"
    )
    fusion: str = _choice(
        "gaussian", ("gaussian", "copy"), "softened by a Gaussian (Eq. 1-2), or copied hard"
    )
    rotate: str = _choice(
        "both", ("both", "target", "gaussian", "none"), "what the angle turns (Eq. 3)"
    )
    resize: str = _choice(
        "stretch",
        ("stretch", "shrink"),
        "every target becomes patch-px wide and high, or only larger ones shrink to it",
    )
    normalise: bool = _option(True, "flag", "stretch the Gaussian over its patch to 0..1")
    n_regions: Counts = _option((1, 3), "counts", "regions in an image")
    region_px: int = _option(20, "positive", "side of a region, pixels")
    smoothest_of: int = _option(1, "positive", "candidates of which the smoothest region is taken")
    per_region: Counts = _option((9, 9), "counts", "targets tried in each region")
    attempts: int = _option(100, "positive", "random positions tried for a target")
    patch_px: int = _option(5, "positive", "largest side of a pasted target's patch, pixels")
    gap_px: Counts = _option((1, 1), "counts", "free pixels around a target's patch")
    gain: Range = _option((0.5, 1.0), "gain", "lambda of Eq. 1")
    sigma: Range = _option((0.3, 0.6), "above0", "sigma of Eq. 2, in half patches")
    offset: Range = _option((-0.2, 0.0), "offset", "rho of Eq. 2, in half patches from the centre")
    angle: Range = _option(
        (-math.pi / 2, math.pi / 2), "range", "theta of Eq. 3, degrees", degrees=True
    )
    mask_threshold: float = _option(
        25 / 255, "unit", "a pixel is target where gain x Gaussian exceeds this"
    )
    min_increment: float = _option(
        1.0,
        "from0",
        "least rise of a target's brightest pixel, gray levels; fainter ones are left out",
    )

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(f.default, tuple):
                value = _as_pair(f, value)
                object.__setattr__(self, f.name, value)
            if not _fits(f, value):
                raise ConfigError(f"PasteConfig.{f.name} must be {_rule_text(f)}, got {value!r}")
        least = self.patch_px + 2 * self.window_margin
        if self.region_px < least:
            raise ConfigError(
                f"PasteConfig.region_px must be at least {least}, a patch of {self.patch_px} with "
                f"its gap of {self.window_margin}, got {self.region_px}"
            )

    @property
    def window_margin(self) -> int:
        """Free pixels between a region's border and the patches inside it."""
        return self.gap_px[0]

    @property
    def library_kind(self) -> str:
        """Kind of the library that `source` asks for."""
        return "regions" if self.source == "scene" else "targets"

    @property
    def window_px(self) -> int:
        """Side of the square that a region needs free; a sparse target needs only its own."""
        if self.arrangement == "clusters":
            return self.region_px
        return self.patch_px + 2 * self.window_margin

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON and TOML, angles in degrees."""
        return {f.name: _to_file(f, getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], base: PasteConfig | None = None) -> PasteConfig:
        """Settings from plain values (angles in degrees), the rest from `base` or the default.

        Raises
        ------
        ConfigError
            If a name is unknown or a value breaks its rule.
        """
        known = {f.name: f for f in fields(cls)}
        for name in values:
            if name not in known:
                raise ConfigError(f"unknown setting {name!r}; known: {', '.join(known)}")
        parsed = {name: _from_file(known[name], value) for name, value in values.items()}
        return replace(base or cls(), **parsed)


def _as_pair(f: Field[Any], value: Any) -> Any:
    """A single number x means (x, x)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return (value, value)
    return tuple(value) if isinstance(value, list | tuple) else value


_RULES: dict[str, tuple[str, Any]] = {
    "unit": ("a number in [0, 1]", lambda v: _number(v) and 0 <= v <= 1),
    "from0": ("a number >= 0", lambda v: _number(v) and v >= 0),
    "positive": ("a whole number >= 1", lambda v: _whole(v) and v >= 1),
    "flag": ("true or false", lambda v: isinstance(v, bool)),
    "counts": (
        "(low, high), whole numbers with 1 <= low <= high",
        lambda v: _ordered(v) and all(map(_whole, v)) and v[0] >= 1,
    ),
    "gain": (
        "(low, high) with 0 < low <= high <= 1",
        lambda v: _ordered(v) and v[0] > 0 and v[1] <= 1,
    ),
    "above0": ("(low, high) with 0 < low <= high", lambda v: _ordered(v) and v[0] > 0),
    "offset": (
        "(low, high) with -1 <= low <= high <= 1",
        lambda v: _ordered(v) and v[0] >= -1 and v[1] <= 1,
    ),
    "range": ("(low, high) with low <= high", lambda v: _ordered(v)),
}


def _number(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _ordered(value: Any) -> bool:
    is_pair = isinstance(value, tuple) and len(value) == 2 and all(map(_number, value))
    return is_pair and value[0] <= value[1]


def _fits(f: Field[Any], value: Any) -> bool:
    if f.metadata["rule"] == "choice":
        return value in f.metadata["choices"]
    return bool(_RULES[f.metadata["rule"]][1](value))


def _rule_text(f: Field[Any]) -> str:
    if f.metadata["rule"] == "choice":
        return "one of " + ", ".join(f.metadata["choices"])
    return str(_RULES[f.metadata["rule"]][0])


def _to_file(f: Field[Any], value: Any) -> Any:
    if f.metadata.get("degrees"):
        return [round(math.degrees(v), 9) for v in value]
    return list(value) if isinstance(value, tuple) else value


def _from_file(f: Field[Any], value: Any) -> Any:
    value = _as_pair(f, value) if isinstance(f.default, tuple) else value
    if f.metadata.get("degrees") and _ordered(value):
        return tuple(math.radians(v) for v in value)
    return value


PROFILES: dict[str, PasteConfig] = {
    "bag-cp": PasteConfig(),
    "release": PasteConfig(source="scene", flatten=1.0, rotate="gaussian", min_increment=0.0),
    "paper": PasteConfig(
        level="library",
        flatten=1.0,
        rotate="target",
        resize="shrink",
        normalise=False,
        smoothest_of=16,
        per_region=(6, 12),
        gap_px=(1, 2),
        offset=(0.0, 0.2),
    ),
}


def toml_text(config: PasteConfig) -> str:
    """A config as TOML, as `--config` reads it."""
    lines = []
    for name, value in config.to_dict().items():
        text = str(value).lower() if isinstance(value, bool) else value
        lines.append(f'{name} = "{text}"' if isinstance(value, str) else f"{name} = {text}")
    return "\n".join(lines)
