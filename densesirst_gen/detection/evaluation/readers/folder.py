"""What a folder of predictions holds: maps, or text files with boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from densesirst_gen.datasets.parts.names import SceneNames, whole_number
from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.readers import arrays
from densesirst_gen.detection.evaluation.readers.box_texts import read_box_texts
from densesirst_gen.detection.evaluation.readers.map_files import (
    Claims,
    claim_files,
    visible_files,
    what_lies_there,
)
from densesirst_gen.detection.evaluation.readers.results import Results
from densesirst_gen.detection.evaluation.readers.voc_lists import first_words, read_voc_lists
from densesirst_gen.files.images.codec import FORMATS

MAP_SUFFIXES = tuple(dict.fromkeys((*FORMATS, *arrays.SUFFIXES)))
EXPECTED = (
    f"maps ({' '.join(MAP_SUFFIXES)}) or text files with boxes (.txt) that are named like scenes; "
    "of other files (.json, .csv) name the file itself"
)


@dataclass(frozen=True, eq=False)
class Maps:
    """Files of maps.

    Parameters
    ----------
    files : dict of str to Path
        By scene.
    extra : tuple of str
        Files that belong to none, relative to the folder.
    notes : tuple of str
    """

    files: dict[str, Path]
    extra: tuple[str, ...]
    notes: tuple[str, ...]


def read_folder(folder: Path, names: SceneNames, suffix: str | None = None) -> Maps | Results:
    """The maps of a folder, or the boxes in its text files.

    Parameters
    ----------
    folder : Path
    names : SceneNames
        Of the dataset.
    suffix : str, optional
        See `claim_files`.

    Raises
    ------
    PredictionError
        If it has neither or both, or a text file is none with boxes.
    """
    files = visible_files(folder)
    maps = claim_files(folder, _of_type(files, MAP_SUFFIXES), names, suffix)
    texts = _of_type(files, (".txt",))
    own = claim_files(folder, texts, names, suffix)
    if maps.files and own.files:
        some = what_lies_there([*maps.files.values(), *own.files.values()])
        raise PredictionError(
            f"{folder}: both maps and boxes: {some}; name the folder of one of them"
        )
    if own.files:
        return _with_claims(read_box_texts(folder, own.files), folder, own)
    if not maps.files and (lists := [path for path in texts if _is_voc_list(path, names)]):
        return read_voc_lists(lists)
    extra = tuple(path.relative_to(folder).as_posix() for path in maps.extra)
    if not maps.files and not extra:
        raise PredictionError(_nothing(folder, files, names))
    return Maps(maps.files, extra, maps.notes())


def _of_type(files: Sequence[Path], suffixes: Sequence[str]) -> list[Path]:
    return [path for path in files if path.suffix.lower() in suffixes]


def _with_claims(results: Results, folder: Path, claims: Claims) -> Results:
    extra = tuple(path.relative_to(folder).as_posix() for path in claims.extra)
    return replace(results, extra=extra, notes=(*results.notes, *claims.notes()))


def _is_voc_list(path: Path, names: SceneNames) -> bool:
    """Whether lines begin with what may be a scene's name."""
    words = first_words(path)
    return any(names.find(word) or whole_number(word) is not None for word in words)


def _nothing(folder: Path, files: Sequence[Path], names: SceneNames) -> str:
    some = sorted(names.names)[:5]
    return (
        f"{folder}: no prediction of 0 (none) belongs to one of {len(names.names)} scenes "
        f"({', '.join(some)}): there is {what_lies_there(files)}; expected are {EXPECTED}"
    )
