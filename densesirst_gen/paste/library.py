"""The target library: small patches, and their origin.

Three kinds share one record. A *targets* library holds real targets, their local background
removed. A *frames* library holds the skies of whole images at patch size, as they are: that
is what the released data are made of. A *regions* library holds random regions of scenes sampled
down to a patch: it was made for the profile ``release`` before that was known, and is still read,
so that what was built with it can be replayed. Gray levels are 8-bit ones, whatever the bit depth
of the donor.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from densesirst_gen.paste.entries import broken_rule
from densesirst_gen.paste.npz import NpzError, read_arrays
from densesirst_gen.scene.counts import Counts

KINDS = ("targets", "frames", "regions")
FORMAT = "densesirst-gen/library@1"
PEAK_FLOOR = 2.0
ARRAYS = {
    "format": "U",
    "kind": "U",
    "left_out": "U",
    "patches": "f",
    "masks": "b",
    "sizes": "iu",
    "sources": "U",
}
"""Of a library's file, with the kinds of their dtypes."""
OPTIONAL = {"counts": "U"}
DTYPES = {"patches": np.float32, "masks": np.bool_, "sizes": np.int32, "sources": np.str_}
MAX_ENTRIES = 1_000_000
MAX_REASONS = 1000


class LibraryError(ValueError):
    """A library that cannot be made, read or used; the message says why."""


@dataclass(frozen=True, eq=False)
class TargetLibrary:
    """K patches in padded stacks, so that one gather serves numpy and torch.

    Parameters
    ----------
    patches : ndarray, (K, S, S), float32
        Gray levels above the local background (kind ``targets``, 0..255 and not all 0 on the mask)
        or as they are (``frames``, 0..255; ``regions``, finite; not all 0 or below).
    masks : ndarray, (K, S, S), bool
        The target inside its patch; never empty.
    sizes : ndarray, (K, 2), int32
        Rows and columns in use, 1..S; the rest of a patch is zero.
    sources : ndarray, (K,), str
        Origin: ``scene#label``, for a frame ``scene``, for a region ``scene@x0,y0,x1,y1``.
    kind : str
        One of `KINDS`.
    left_out : dict of str to int
        How many targets were left out at extraction, by reason.
    counts : dict of str to Counts
        What the values of the donors' images mean, by dtype, where that does not go without saying:
        for images of the same camera it holds too. 8-bit images that fill 0 to 255 are not in it.

    Raises
    ------
    LibraryError
        If the arrays do not fit together, or an entry breaks a rule above; it is named.
    """

    patches: np.ndarray
    masks: np.ndarray
    sizes: np.ndarray
    sources: np.ndarray
    kind: str = "targets"
    left_out: dict[str, int] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_arrays()
        if self.kind not in KINDS:
            raise LibraryError(f"library kind must be one of {KINDS}, got {self.kind!r}")
        broken = broken_rule(self.patches, self.masks, self.sizes, self.kind)
        if broken:
            entry, rule = broken
            raise LibraryError(f"entry {entry} ({self.sources[entry]}): {rule}")

    def _check_arrays(self) -> None:
        arrays = {name: getattr(self, name) for name in DTYPES}
        for name, array in arrays.items():
            if array.dtype.kind not in ARRAYS[name]:
                raise LibraryError(f"library {name} are {array.dtype}")
            with np.errstate(over="ignore"):  # what becomes infinite is refused by its entry
                object.__setattr__(self, name, array.astype(DTYPES[name], copy=False))
        n, side = self.patches.shape[:1], self.patches.shape[-1:]
        if [a.shape for a in arrays.values()] != [n + side * 2, n + side * 2, (*n, 2), n]:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise LibraryError(f"library arrays do not fit together: {shapes}")
        if len(self) > MAX_ENTRIES:
            raise LibraryError(f"a library may have {MAX_ENTRIES} entries, got {len(self)}")

    def __len__(self) -> int:
        return len(self.patches)

    def peak_of(self, patch: np.ndarray) -> float:
        """Gray levels that a patch is a multiple of: its peak, of a region its mean; at least 2."""
        peak = patch.mean() if self.kind == "regions" else patch.max()
        return max(float(peak), PEAK_FLOOR)

    @property
    def digest(self) -> str:
        """SHA-256 of the content: equal libraries, equal digests."""
        content = hashlib.sha256(self.kind.encode())
        for array in (self.patches, self.masks, self.sizes):
            content.update(np.ascontiguousarray(array).tobytes())
        content.update("\n".join(self.sources.tolist()).encode("utf-8", "surrogatepass"))
        if self.counts:
            content.update(self._counts_text().encode())
        return content.hexdigest()

    def _counts_text(self) -> str:
        values = {kind: counts.to_dict() for kind, counts in sorted(self.counts.items())}
        return json.dumps(values)

    def save(self, path: str | Path) -> None:
        """Write as an .npz file without pickles."""
        with open(path, "wb") as file:
            self.write(file)

    def write(self, file: IO[bytes]) -> None:
        """Write the .npz into an open file."""
        counts = {"counts": np.array(self._counts_text())} if self.counts else {}
        arrays = dict(
            format=np.array(FORMAT),
            kind=np.array(self.kind),
            left_out=np.array([f"{reason}={n}" for reason, n in self.left_out.items()], str),
            patches=self.patches,
            masks=self.masks,
            sizes=self.sizes,
            sources=self.sources,
            **counts,
        )
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, path: str | Path) -> TargetLibrary:
        """Read what `save` wrote, or what obeys the same rules.

        Raises
        ------
        LibraryError
            If the file is not a library, has no entries, or an entry breaks a rule of
            `TargetLibrary`; the message names the file, the entry and the rule.
        OSError
            If it can't be opened.
        """
        try:
            library = cls(**_fields(read_arrays(Path(path), ARRAYS, OPTIONAL)))
        except NpzError as error:
            raise LibraryError(f"{path}: not a target library ({error})") from error
        except LibraryError as error:
            raise LibraryError(f"{path}: {error}") from error
        if not len(library):
            raise LibraryError(
                f"{path}: a library of no {library.kind} (left out: {library.left_out_text})"
            )
        return library

    @property
    def left_out_text(self) -> str:
        """`left_out` in words."""
        return ", ".join(f"{n} by {reason}" for reason, n in self.left_out.items()) or "none"


def _fields(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The fields of a library whose arrays were read."""
    counts = _counts(arrays.pop("counts", None))
    left_out, texts = arrays.pop("left_out"), [arrays.pop(name) for name in ("format", "kind")]
    try:
        pairs = [entry.rsplit("=", 1) for entry in left_out.ravel()[:MAX_REASONS].tolist()]
        reasons = {reason: int(n) for reason, n in pairs}
        form, kind = map(str, texts)
    except ValueError as error:
        raise NpzError(f"unreadable text ({error})") from error
    if form != FORMAT:
        raise NpzError(f"format is {form[:40]!r}, expected {FORMAT!r}")
    return {**arrays, "kind": kind[:40], "left_out": reasons, "counts": counts}


def _counts(text: np.ndarray | None) -> dict[str, Counts]:
    if text is None:
        return {}
    try:
        values = json.loads(str(text))
        return {str(kind)[:40]: Counts.from_dict(counts) for kind, counts in values.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise NpzError(f"unreadable counts ({error})") from error


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
