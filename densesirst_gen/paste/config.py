"""The settings of the method: one frozen record, and named values of it.

Gray levels are 8-bit ones (see `densesirst_gen.scene.scene`). Every range is ``(low, high)``, drawn
uniformly. A *window* is a square of the image that targets are pasted into; settings call it a
region, as the paper does. Sources: the paper's equations, and what its released data show.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from densesirst_gen.settings import SHOWN, ConfigError, Settings, drawn, option

Range = tuple[float, float]
Counts = tuple[int, int]
TURN = 2 * math.pi
LIBRARY_KINDS = {"library": "targets", "frames": "frames", "scene": "regions"}
"""Source -> the kind of library that it pastes from."""
MOST_TRIED, MOST_PIXELS = 1_000_000, 10_000_000
"""In one image: windows and positions looked at, pixels of patches. More would take minutes."""


@dataclass(frozen=True)
class PasteConfig(Settings):
    """How targets are chosen, shaped, placed and fused. The default is the profile ``bag-cp``.

    Angles are radians here and degrees in dictionaries, files and on the command line.
    Each field's meaning is its ``metadata["help"]``, which is also the command line's help.

    Raises
    ------
    ConfigError
        If a value breaks the rule of its field.
    """

    source: str = option(
        "library",
        "what is pasted: targets of a library, skies of whole images at patch size (frames), or "
        "regions of scenes out of a library that an earlier version made (scene)",
        among=("library", "frames", "scene"),
    )
    level: str = option(
        "scaled",
        "how bright: peaks drawn as in the released data, in the range that the data set has or in "
        "all of black to white (release), or as the library has them (library): a target's own "
        "contrast, a frame's raw gray levels",
        among=("scaled", "release", "library"),
    )
    flatten: float = option(
        0.15, "exponent on the target's shape: 1 keeps its profile, 0 makes it flat", low=0, high=1
    )
    region: str = option("sky", "where regions may lie", among=("sky", "anywhere"))
    arrangement: str = option(
        "clusters", "targets together in regions, or each on its own", among=("clusters", "sparse")
    )
    fusion: str = option(
        "gaussian", "softened by a Gaussian (Eq. 1-2), or copied hard", among=("gaussian", "copy")
    )
    rotate: str = option(
        "both", "what the angle turns (Eq. 3)", among=("both", "target", "gaussian", "none")
    )
    resize: str = option(
        "stretch",
        "every target becomes patch-px wide and high, or only larger ones shrink to it",
        among=("stretch", "shrink"),
    )
    normalise: bool = option(True, "stretch the Gaussian over its patch to 0..1")
    n_regions: Counts = drawn((1, 3), "regions in an image", low=1, high=1000)
    region_px: int = option(20, "side of a region, pixels", low=1, high=1024)
    smoothest_of: int = option(
        1, "candidates of which the smoothest region is taken", low=1, high=10_000
    )
    per_region: Counts = drawn((9, 9), "targets tried in each region", low=1, high=1000)
    attempts: int = option(100, "random positions tried for a target", low=1, high=1_000_000)
    patch_px: int = option(5, "largest side of a pasted target's patch, pixels", low=1, high=100)
    gap_px: Counts = drawn((1, 1), "free pixels around a target's patch", low=1, high=100)
    gain: Range = drawn((0.5, 1.0), "lambda of Eq. 1", above=0, high=1)
    sigma: Range = drawn((0.3, 0.6), "sigma of Eq. 2, in half patches", low=0.001, high=100)
    offset: Range = drawn(
        (-0.2, 0.0), "rho of Eq. 2, in half patches from the centre", low=-1, high=1
    )
    angle: Range = drawn(
        (-math.pi / 2, math.pi / 2), "theta of Eq. 3, degrees", low=-TURN, high=TURN, degrees=True
    )
    mask_threshold: float = option(
        25 / 255, "a pixel is target where gain x Gaussian exceeds this", low=0, high=1
    )
    min_increment: float = option(
        1.0,
        "least rise of a target's brightest pixel, gray levels; fainter ones are left out",
        low=0,
        high=255,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        least = self.patch_px + 2 * self.window_margin
        if self.region_px < least:
            self.refuse(
                "region_px",
                f"at least {least}, a patch of {self.patch_px} with its gap of "
                f"{self.window_margin}",
            )

        self._check_cost()

    def _check_cost(self) -> None:
        """What each setting may be alone, not all may be together."""
        targets = self.n_regions[1] * self.per_region[1]
        for cost, most, others in (
            (targets * self.smoothest_of, MOST_TRIED, "smoothest_of"),
            (targets * self.patch_px**2, MOST_PIXELS, "patch_px squared"),
        ):
            if cost > most:
                self.refuse(
                    "n_regions", f"lower: times per_region and {others} it is {cost}, above {most}"
                )

    @property
    def window_margin(self) -> int:
        """Free pixels between a window's border and the patches inside it."""
        return self.gap_px[0]

    @property
    def library_kind(self) -> str:
        """Kind of the library that `source` asks for."""
        return LIBRARY_KINDS[self.source]

    @property
    def window_px(self) -> int:
        """Side of a window, which must be free; a sparse target needs only its own."""
        if self.arrangement == "clusters":
            return self.region_px
        return self.patch_px + 2 * self.window_margin


PROFILES: dict[str, PasteConfig] = {
    "bag-cp": PasteConfig(),
    "release": PasteConfig(
        source="frames", level="library", flatten=1.0, rotate="gaussian", min_increment=0.0
    ),
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
    "copy-paste": PasteConfig(region="anywhere", fusion="copy", arrangement="sparse"),
}


def profile_named(name: Any, what: str = "profile") -> PasteConfig:
    """The settings of a profile.

    Parameters
    ----------
    name : str
    what : str
        What the name was given for, for the message.

    Raises
    ------
    ConfigError
        If there is no such profile, or the name is no text.
    """
    if not isinstance(name, str) or name not in PROFILES:
        raise ConfigError(f"{what} must be one of {', '.join(PROFILES)}, got {SHOWN.repr(name)}")
    return PROFILES[name]


def settings_of(config: PasteConfig | str | Mapping[str, Any] | None) -> PasteConfig:
    """Settings from themselves, a profile's name, or plain values; None: the default."""
    if config is None or isinstance(config, PasteConfig):
        return config or PasteConfig()
    if isinstance(config, Mapping):
        return PasteConfig.from_dict(config)
    return profile_named(config, "config")


def toml_config(
    content: bytes, profile: str | None = None, flags: Mapping[str, Any] | None = None
) -> PasteConfig:
    """Settings out of a TOML file, which may name a ``profile``.

    Parameters
    ----------
    content : bytes
        Of the file.
    profile : str, optional
        Before the one that the file names; without any, ``bag-cp``.
    flags : mapping, optional
        Before the values of the file; None stands for: not given.

    Raises
    ------
    ConfigError
        If it is no TOML, a name is unknown, or a value breaks its rule.
    """
    try:
        values = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not TOML ({error})") from error
    base = profile_named(values.pop("profile", "bag-cp") if profile is None else profile)
    values.pop("profile", None)
    given = {name: value for name, value in (flags or {}).items() if value is not None}
    return PasteConfig.from_dict(values | given, base)


def toml_text(config: PasteConfig) -> str:
    """A config as TOML, as `--config` reads it."""
    lines = []
    for name, value in config.to_dict().items():
        text = str(value).lower() if isinstance(value, bool) else value
        lines.append(f'{name} = "{text}"' if isinstance(value, str) else f"{name} = {text}")
    return "\n".join(lines)
