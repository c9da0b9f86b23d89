"""The files of a folder, and which of them are whose."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from densesirst_gen.datasets.parts.names import SceneNames, folded_parts, without_suffixes
from densesirst_gen.datasets.paths import MASK_SUFFIX, examples, pair_masks
from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.marks import without_mark

UNSAID = ("", "_pixels0")
"""Marks of files that need no note: a scene's own name, and what this package writes."""


@dataclass(frozen=True, eq=False)
class Claims:
    """Which file is whose.

    Parameters
    ----------
    files : dict of str to Path
        By scene.
    extra : tuple of Path
        Those of no scene, and those that stepped back behind a better one.
    marks : dict of str to str
        What was left aside in the names of files, such as ``_Pred``, and an example.
    """

    files: dict[str, Path]
    extra: tuple[Path, ...]
    marks: dict[str, str]

    def notes(self) -> tuple[str, ...]:
        """Whose names were not just those of their scenes."""
        return tuple(
            f"'{mark}' in the names of files is left aside: {example}"
            for mark, example in self.marks.items()
        )


@dataclass(frozen=True)
class _Claim:
    """A file that may be a scene's; the greatest `rank` is."""

    path: Path
    mark: str
    rank: tuple[bool, bool]


def visible_files(folder: Path) -> list[Path]:
    """All files in a folder and below, sorted, without hidden ones.

    Raises
    ------
    DatasetError
        If a link leads out of the folder.
    """
    found = []
    for path in sorted(folder.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            continue
        if path.is_file():
            found.append(path)
    return found


def claim_files(
    folder: Path, files: Iterable[Path], names: SceneNames, suffix: str | None = None
) -> Claims:
    """Find the file of each scene.

    A file is named like its scene, with or without folders and with or without a mark before or
    behind (``_Pred``, ``mask_``). Of several the one is taken whose path is exactly the scene's,
    then the one with a mark.

    Parameters
    ----------
    folder : Path
    files : iterable of Path
        In it.
    names : SceneNames
    suffix : str, optional
        What stands behind the names of scenes, with or without the type of the file; files with
        other ends are passed over.

    Raises
    ------
    PredictionError
        If several files could be a scene's.
    """
    claims: dict[str, list[_Claim]] = defaultdict(list)
    extra: list[Path] = []
    files = list(files)
    paired = _of_relatives(folder, files, names) if suffix is None else {}
    for scene, path in paired.items():
        claims[scene].append(_Claim(path, "", (True, True)))
    for path in files:
        if path in paired.values():
            continue
        key = _key(folder, path, suffix)
        name, mark = (None, "") if key is None else _scene(key, names, marked=suffix is None)
        if name is not None and key is not None:
            plain = without_mark(key)[0] if mark else key
            is_exact = folded_parts(plain) == folded_parts(name)
            claims[name].append(_Claim(path, mark, (is_exact, bool(mark))))
        elif key is not None:
            extra.append(path)
    best = {name: _best(folder, name, found) for name, found in claims.items()}
    beaten = (c.path for name, found in claims.items() for c in found if c is not best[name])
    marks = {
        claim.mark: claim.path.name
        for claim in reversed(best.values())
        if claim.mark.lower() not in UNSAID
    }
    return Claims({name: claim.path for name, claim in best.items()}, (*extra, *beaten), marks)


def _of_relatives(folder: Path, files: Iterable[Path], names: SceneNames) -> dict[str, Path]:
    """The files of scenes ``a`` and ``a_pixels0``, of which ``a_pixels0.png`` could be of both."""
    alike = {n for n in names.names if n.endswith(MASK_SUFFIX)}
    alike = {n for n in alike if n.removesuffix(MASK_SUFFIX) in names.names}
    alike |= {n.removesuffix(MASK_SUFFIX) for n in alike}
    by_stem = {without_suffixes(p.relative_to(folder).as_posix()): p for p in files}
    return pair_masks(by_stem, alike) if alike else {}


def what_lies_there(files: Collection[Path]) -> str:
    """For a message: ``2 .mat files (a.mat, b.mat) and 1 .pth file (c.pth)``."""
    kinds = Counter(path.suffix.lower() for path in files)
    told = [
        f"{n} {suffix or 'nameless'} file{'s' * (n > 1)} "
        f"({examples(p.name for p in files if p.suffix.lower() == suffix)})"
        for suffix, n in kinds.most_common(3)
    ]
    return " and ".join(told) or "no file"


def _key(folder: Path, path: Path, suffix: str | None) -> str | None:
    """The path of a file as it may name a scene; None if it has another end than `suffix`."""
    full = path.relative_to(folder).as_posix()
    bare = without_suffixes(full)
    if suffix is None:
        return bare
    found = next((text for text in (full, bare) if text.endswith(suffix)), None)
    return None if found is None else found[: len(found) - len(suffix)]


def _scene(key: str, names: SceneNames, *, marked: bool) -> tuple[str | None, str]:
    """The scene that a file means, and the mark that had to be left aside for it."""
    plain, mark = without_mark(key)
    name = names.find(key)
    if name is not None or not marked:
        return name, ""
    return names.find(plain) if mark else None, mark


def _best(folder: Path, name: str, claims: list[_Claim]) -> _Claim:
    highest = max(claim.rank for claim in claims)
    best = [claim for claim in claims if claim.rank == highest]
    if len(best) > 1:
        found = examples(claim.path.relative_to(folder).as_posix() for claim in best)
        raise PredictionError(
            f"{folder}: {len(best)} files may be the prediction of scene {name}: {found}; name a "
            "folder with one for each scene, or say --suffix"
        )
    return best[0]
