"""Masks of public sets of which others have published a correction.

They are known by set and name: no hashes are at hand, so whether a mask is the corrected one
already can't be told, and is said so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from densesirst_gen.datasets.dataset import Dataset
from densesirst_gen.labels.findings import Finding

IRSTD_1K = re.compile(r"XDU\d+")
OF_IRSTD_1K = frozenset(f"XDU{number}" for number in (0, 325, 337, 919, 925, 943))
OF_NUDT = frozenset(["000928"])
WHAT = "of {} has a mask that EDGSP corrected and published; whether it is this one is not known"


def errata(dataset: Dataset) -> Iterator[Finding]:
    """Scenes whose masks were corrected by others, see the module."""
    names = {scene.name: PurePosixPath(scene.name).name for scene in dataset.scenes}
    n_irstd = sum(bool(IRSTD_1K.fullmatch(stem)) for stem in names.values())
    is_nudt = "nudt" in dataset.root.resolve().as_posix().casefold()
    for name, stem in names.items():
        if stem in OF_IRSTD_1K and 2 * n_irstd > len(names):
            yield Finding("erratum", name, WHAT.format("IRSTD-1k"))
        elif stem in OF_NUDT and is_nudt:
            yield Finding("erratum", name, WHAT.format("NUDT-SIRST"))
