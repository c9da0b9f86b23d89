"""Everything but the inputs that decides the content of a built dataset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.sky.limits import SKY_CONFIDENCE, SKY_MARGIN


@dataclass(frozen=True)
class Recipe:
    """Everything but the inputs that decides the content of a built dataset.

    Parameters
    ----------
    config : PasteConfig
    seed : int
        At least 0.
    copies : int
        Scenes made of each background; copy k > 0 is named ``NAME_copyk``.
    voc_dialect : str
        Of the box files, see `densesirst_gen.datasets.voc`.
    sky_confidence : float
        Least probability of a predicted sky pixel that is pasted on, 0.5 to 1. Of an image as a
        whole `densesirst_gen.sky.limits.DOUBTFUL` is asked, whatever this says.
    sky_margin : int
        Pixels kept free along the boundary of a predicted sky. Given skies are used as they are.
    """

    config: PasteConfig
    seed: int = 0
    copies: int = 1
    voc_dialect: str = "sirst"
    sky_confidence: float = SKY_CONFIDENCE
    sky_margin: int = SKY_MARGIN

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("copies", 1), ("sky_margin", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
        if not 0.5 <= self.sky_confidence <= 1:
            raise ValueError(f"sky_confidence must be 0.5 to 1, got {self.sky_confidence!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "config": self.config.to_dict(),
            "seed": self.seed,
            "copies": self.copies,
            "voc_dialect": self.voc_dialect,
            "sky_confidence": self.sky_confidence,
            "sky_margin": self.sky_margin,
        }


def copy_name(name: str, copy: int) -> str:
    """Name of the k-th scene made of a background."""
    return f"{name}_copy{copy}" if copy else name
