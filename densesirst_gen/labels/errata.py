"""Masks of public sets of which others have published a correction.

They are known by set, name and size of the image: no hashes are at hand, so whether a mask is the
corrected one already can't be told, and is said so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from densesirst_gen.datasets.dataset import Dataset
from densesirst_gen.files.images.codec import CodecError, read_size
from densesirst_gen.labels.findings import Finding


@dataclass(frozen=True)
class Published:
    """A public set.

    Parameters
    ----------
    name : str
    size : (int, int)
        (H, W) of all its images, as its publication says.
    corrected : frozenset of str
        Images whose masks were corrected.
    """

    name: str
    size: tuple[int, int]
    corrected: frozenset[str]


IRSTD_1K = Published(
    "IRSTD-1k",
    (512, 512),
    frozenset(f"XDU{number}" for number in (0, 325, 337, 919, 925, 943)),
)
NUDT_SIRST = Published("NUDT-SIRST", (256, 256), frozenset(["000928"]))
NAME_IN_IRSTD_1K = re.compile(r"XDU\d+")
WHAT = "of {} has a mask that EDGSP corrected and published; whether it is this one is not known"


def errata(dataset: Dataset) -> Iterator[Finding]:
    """Scenes whose masks were corrected by others, see the module."""
    names = [PurePosixPath(scene.name).name for scene in dataset.scenes]
    n_irstd = sum(bool(NAME_IN_IRSTD_1K.fullmatch(name)) for name in names)
    is_nudt = "nudt" in dataset.root.resolve().as_posix().casefold()
    sets = [IRSTD_1K] * (2 * n_irstd > len(names)) + [NUDT_SIRST] * is_nudt
    for scene, name in zip(dataset.scenes, names, strict=True):
        for public in sets:
            if name in public.corrected:
                what = f"{WHAT.format(public.name)} ({_compared(scene.image, public)})"
                yield Finding("erratum", scene.name, what)


def _compared(image: Path, public: Published) -> str:
    """By what an image was recognised."""
    own = "{} x {}".format(*public.size)
    try:
        size = read_size(image)
    except (CodecError, OSError):
        return f"known by its name only: it can't be read, those of the set are {own}"
    if size == public.size:
        return f"known by its name and size, {own}"
    return f"known by its name only: it is {size[0]} x {size[1]}, those of the set are {own}"
