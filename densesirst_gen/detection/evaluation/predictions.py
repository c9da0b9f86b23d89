"""Predictions of any detector, read from files: boxes, or a folder of maps.

Boxes come as COCO results (JSON), as CSV, as lists of VOC (``comp4_det_test_target.txt``), or as a
text file for each image (YOLO and others); maps as images, ``.npy`` or ``.mat``. Files are named
like their scenes, see `readers.map_files`; what belongs to which scene otherwise, see `image_ids`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densesirst_gen.datasets import Dataset
from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.datasets.paths import examples
from densesirst_gen.detection.evaluation.box_forms import ROUNDED, check_forms
from densesirst_gen.detection.evaluation.categories import category_notes
from densesirst_gen.detection.evaluation.coco_results import read_results
from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.image_ids import scenes_of_images
from densesirst_gen.detection.evaluation.own_files import own_file_notes
from densesirst_gen.detection.evaluation.readers.arrays import DEPTHS, SUFFIXES
from densesirst_gen.detection.evaluation.readers.folder import Maps, read_folder
from densesirst_gen.detection.evaluation.readers.map_values import (
    meaning_of,
    read_values,
)
from densesirst_gen.detection.evaluation.readers.results import Results
from densesirst_gen.detection.evaluation.readers.table import read_table
from densesirst_gen.detection.evaluation.readers.voc_lists import read_voc_lists
from densesirst_gen.detection.metrics import NOTHING_FOUND, FoundBoxes
from densesirst_gen.files.images.codec import FORMATS, read_size

Found = dict[str, FoundBoxes | Path]

NO_BOXES = {*FORMATS, *SUFFIXES, ".npz", ".pkl", ".pickle", ".pth", ".h5", ".zip", ".gz", ".tar"}
NO_BOXES |= {".parquet", ".arrow", ".feather", ".xlsx", ".xls", ".ods", ".jsonl", ".xml"}


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a detector found in the scenes of a dataset.

    Parameters
    ----------
    source : Path
    kind : "boxes" or "maps"
    found : dict of str to (FoundBoxes or Path)
        Scene -> its boxes, or the file of its map. Scenes without prediction have no entry.
    missing : tuple of str
        Scenes without prediction, which count as: nothing found.
    extra : tuple of str
        Files or image ids that belong to none of the scenes and are left out.
    remarks : tuple of str
        How they were read, where that had to be decided.
    zero_one : bool
        Maps are masks of 0 and 1.
    """

    source: Path
    kind: str
    found: Mapping[str, FoundBoxes | Path]
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    zero_one: bool = False

    def notes(self) -> list[str]:
        """What a careful reader should know."""
        notes = list(self.remarks)
        if self.missing:
            n, names = len(self.missing), examples(self.missing)
            notes.append(f"{n} scenes have no prediction, taken for: nothing found: {names}")
        if self.extra:
            n, names = len(self.extra), examples(self.extra)
            notes.append(f"{n} predictions belong to no scene, left out: {names}")
        return notes


def read_predictions(
    source: Path,
    dataset: Dataset,
    names: Sequence[str],
    *,
    ids: str | None = None,
    suffix: str | None = None,
) -> Predictions:
    """Find the predictions for some scenes of a dataset.

    Parameters
    ----------
    source : Path
        A file of boxes: COCO results, CSV, or a list of VOC. Or a folder of masks or probability
        maps (PNG, TIFF, BMP of 8 or 16 bits, or float; ``.npy``, ``.mat``), or of text files with
        boxes.
    dataset : Dataset
    names : sequence of str
        The scenes that are to be scored; those of the rest of the dataset are no `extra`.
    ids : "coco" or "stem", optional
        What whole numbers are as ids of images, see `image_ids`. None: the reading that is
        possible.
    suffix : str, optional
        What stands behind the names of scenes in those of files, such as ``_Pred``. None: nothing,
        or a word that marks predictions.

    Raises
    ------
    PredictionError
        If there are predictions but none for any of the scenes, or most belong to no scene; if a
        folder has none; if a record cannot be used or can be read in two ways; or if boxes are
        plainly of another form than they are read as, for which the boxes of some scenes are held
        against their targets. An empty list of results means: nothing found anywhere.
    """
    known = SceneNames([scene.name for scene in dataset.scenes])
    read = read_folder(source, known, suffix) if source.is_dir() else _read_file(source)
    if isinstance(read, Maps):
        found: Found = dict(read.files)
        extra, remarks = read.extra, list(read.notes)
    else:
        found, extra, remarks = _boxes(source, read, dataset, known, ids)
        remarks += category_notes(source, read.categories, dataset.annotations)
    wanted = {name: found[name] for name in names if name in found}
    missing = tuple(name for name in names if name not in wanted)
    _check_belonging(source, names, wanted, [*found, *extra], extra)
    if not isinstance(read, Maps):
        chosen = [scene for scene in dataset.scenes if scene.name in wanted]
        boxes = {n: b for n, b in wanted.items() if isinstance(b, FoundBoxes)}
        told = "bbox" if source.suffix.lower() == ".json" else "box"
        remarks += check_forms(source, boxes, chosen, told)
        return Predictions(source, "boxes", wanted, missing, tuple(extra), tuple(remarks))
    maps = {name: path for name, path in wanted.items() if isinstance(path, Path)}
    meaning = meaning_of(maps.values())
    notes = (*remarks, *meaning.notes, *own_file_notes(maps, dataset.scenes))
    return Predictions(source, "maps", wanted, missing, tuple(extra), notes, meaning.zero_one)


def _read_file(source: Path) -> Results:
    suffix = source.suffix.lower()
    if suffix == ".csv":
        return read_table(source)
    if suffix == ".txt":
        return read_voc_lists([source])
    if suffix in NO_BOXES:
        raise PredictionError(
            f"{source}: no file of boxes (.json, .csv, .txt); maps are given as their folder, "
            "archives must be unpacked"
        )
    return read_results(source)


def _boxes(
    source: Path, results: Results, dataset: Dataset, known: SceneNames, ids: str | None
) -> tuple[Found, tuple[str, ...], list[str]]:
    """Boxes by scene, images of no scene, and notes."""
    images = results.images()
    scenes, notes = scenes_of_images(source, images, dataset, known, ids)
    rows: dict[str, list[tuple[float, ...]]] = {name: [] for name in scenes.values()}
    for image, values in results.rows:
        if image in scenes:
            rows[scenes[image]].append(values)
    files = {scene.name: scene.image for scene in dataset.scenes if scene.name in rows}
    found: Found = {
        name: _found_boxes(part, files[name] if results.in_fractions else None)
        for name, part in rows.items()
    }
    extra = tuple(dict.fromkeys(image.text for image in images if image not in scenes))
    return found, (*extra, *results.extra), [*results.notes, *notes]


def _found_boxes(rows: list[tuple[float, ...]], image: Path | None) -> FoundBoxes:
    """From fractions of an image, if one is given."""
    table = np.array(rows, np.float64).reshape(-1, 5)
    boxes = table[:, :4]
    if image is not None and len(boxes):
        height, width = read_size(image)
        boxes = boxes * (width, height, width, height)
    return FoundBoxes(boxes, table[:, 4])


def _check_belonging(
    source: Path,
    names: Sequence[str],
    wanted: Mapping[str, object],
    found: Sequence[str],
    extra: Sequence[str],
) -> None:
    """PredictionError if none or few of the predictions are of the scenes."""
    scenes = f"one of {len(names)} scenes ({examples(names)})"
    if names and not wanted and (found or source.is_dir()):
        raise PredictionError(
            f"{source}: no prediction of {len(found)} ({examples(found) or 'none'}) belongs to "
            f"{scenes}"
        )
    if len(wanted) < len(names) and 2 * len(extra) > len(found):
        raise PredictionError(
            f"{source}: {len(extra)} of {len(found)} predictions ({examples(extra)}) belong to no "
            f"scene, {len(names) - len(wanted)} scenes have none: are these the predictions of "
            f"{scenes}?"
        )


def load_prediction(
    name: str,
    kind: str,
    found: FoundBoxes | Path | None,
    shape: tuple[int, int],
    *,
    zero_one: bool = False,
) -> FoundBoxes | np.ndarray:
    """Boxes, or the map of a scene; what is missing is empty.

    Parameters
    ----------
    name, shape : str, tuple of int
        Of the scene.
    kind, found, zero_one
        Of `Predictions`, for the scene.

    Raises
    ------
    PredictionError
        If a map has another shape than the scene.
    """
    if isinstance(found, Path):
        prob = read_map(found, zero_one=zero_one)
        if prob.shape != shape:
            raise PredictionError(
                f"{found}: the map is {prob.shape}, scene {name} is {shape}; maps are not resized"
            )
        return prob
    if found is None:
        return NOTHING_FOUND if kind == "boxes" else np.zeros(shape, bool)
    return found


def read_map(path: Path, *, zero_one: bool = False) -> np.ndarray:
    """A probability map or a mask.

    8-bit values are divided by 255 and 16-bit values by 65535, also in arrays, so that masks of
    0 and 255 are read as such.

    Parameters
    ----------
    path : Path
    zero_one : bool
        Whole numbers are a mask of 0 and 1. One file can't tell: they may be the probabilities of
        an image in which nothing is; see `read_predictions`.

    Returns
    -------
    ndarray, (H, W), float32 in 0..1, or bool

    Raises
    ------
    PredictionError
        If the file cannot be read, is in colours, or values are not in 0..1.
    """
    values = read_values(path)
    if values.ndim != 2 or not values.size:
        raise PredictionError(f"{path}: a map must be (H, W), got {values.shape}")
    if values.dtype == np.bool_ or (zero_one and values.dtype in DEPTHS):
        return values != 0
    prob = values.astype(np.float32) / np.float32(DEPTHS.get(values.dtype, 1))
    if not (prob.min() >= -ROUNDED and prob.max() <= 1 + ROUNDED):
        raise PredictionError(
            f"{path}: {values.dtype} values from {values.min():g} to {values.max():g}; "
            "probabilities must be in 0..1 (logits need a sigmoid)"
        )
    return prob.clip(0, 1)
