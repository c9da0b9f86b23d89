"""The target library: small patches with their local background removed, and their origin.

Two kinds share one record. A *targets* library holds real targets; a *regions* library holds random
regions of scenes, sampled down to a patch, which is what the released data were textured with.
Gray levels are 8-bit ones, whatever the bit depth of the donor.
"""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np

KINDS = ("targets", "regions")
FORMAT = "densesirst-gen/library@1"
PEAK_FLOOR = 2.0


class LibraryError(ValueError):
    """A library that cannot be made, read or used; the message says why."""


@dataclass(frozen=True, eq=False)
class TargetLibrary:
    """K patches in padded stacks, so that one gather serves numpy and torch.

    Parameters
    ----------
    patches : ndarray, (K, S, S), float32
        Gray levels above the local background (kind ``targets``) or as they are (``regions``).
    masks : ndarray, (K, S, S), bool
        The target inside its patch.
    sizes : ndarray, (K, 2), int32
        Rows and columns in use, 1..S; the rest of a patch is zero.
    sources : ndarray, (K,), str
        Origin: ``scene#label``, or ``scene@x0,y0,x1,y1`` for a region.
    kind : str
        ``targets`` or ``regions``.
    left_out : dict of str to int
        How many targets were left out at extraction, by reason.

    Raises
    ------
    LibraryError
        If the shapes do not fit together.
    """

    patches: np.ndarray
    masks: np.ndarray
    sizes: np.ndarray
    sources: np.ndarray
    kind: str = "targets"
    left_out: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, side = len(self.patches), self.patches.shape[-1]
        stacks = self.patches.shape == self.masks.shape == (n, side, side)
        if not stacks or self.sizes.shape != (n, 2) or self.sources.shape != (n,):
            raise LibraryError(
                f"library arrays do not fit together: patches {self.patches.shape}, masks "
                f"{self.masks.shape}, sizes {self.sizes.shape}, sources {self.sources.shape}"
            )
        if self.kind not in KINDS:
            raise LibraryError(f"library kind must be one of {KINDS}, got {self.kind!r}")

    def __len__(self) -> int:
        return len(self.patches)

    def peak_of(self, patch: np.ndarray) -> float:
        """Peak of a patch, gray levels: that of a target, the mean of a region; at least 2."""
        peak = patch.max() if self.kind == "targets" else patch.mean()
        return max(float(peak), PEAK_FLOOR)

    @property
    def digest(self) -> str:
        """SHA-256 of the content: equal libraries, equal digests."""
        content = hashlib.sha256(self.kind.encode())
        for array in (self.patches, self.masks, self.sizes):
            content.update(np.ascontiguousarray(array).tobytes())
        content.update("\n".join(self.sources.tolist()).encode())
        return content.hexdigest()

    def save(self, path: str | Path) -> None:
        """Write as an .npz file without pickles."""
        with open(path, "wb") as file:
            self.write(file)

    def write(self, file: IO[bytes]) -> None:
        """Write the .npz into an open file."""
        np.savez_compressed(
            file,
            format=np.array(FORMAT),
            kind=np.array(self.kind),
            left_out=np.array([f"{reason}={n}" for reason, n in self.left_out.items()], str),
            patches=self.patches,
            masks=self.masks,
            sizes=self.sizes,
            sources=self.sources,
        )

    @classmethod
    def load(cls, path: str | Path) -> TargetLibrary:
        """Read what `save` wrote.

        Raises
        ------
        LibraryError
            If the file is not a library; the message names it.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as data:
                if str(data["format"]) != FORMAT:
                    raise LibraryError(f"{path}: format is {data['format']}, expected {FORMAT}")
                pairs = (entry.rsplit("=", 1) for entry in data["left_out"].tolist())
                return cls(
                    data["patches"],
                    data["masks"],
                    data["sizes"],
                    data["sources"],
                    str(data["kind"]),
                    {reason: int(n) for reason, n in pairs},
                )
        except (ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
            if isinstance(error, LibraryError):
                raise
            raise LibraryError(f"{path}: not a target library ({error})") from error


def load_library(path: str | Path) -> TargetLibrary:
    """`TargetLibrary.load`, once in a process for each state of the file.

    Raises
    ------
    LibraryError
        As there.
    OSError
        If the file can't be read.
    """
    path = Path(path).resolve()
    state = path.stat()
    return _loaded(path, (state.st_mtime_ns, state.st_size, state.st_ino))


@lru_cache(maxsize=4)
def _loaded(path: Path, state: tuple[int, ...]) -> TargetLibrary:
    return TargetLibrary.load(path)
