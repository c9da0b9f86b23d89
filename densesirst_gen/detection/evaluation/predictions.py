"""Predictions of any detector, read from files: COCO results, or a folder of maps.

What belongs to which scene:

* A map is named like its scene, ``NAME_pixels0.*`` or ``NAME.*``, in the folder itself; scenes
  whose names have a ``/`` lie in subfolders of that name.
* In COCO results ``image_id`` says it, see `coco_results`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from densesirst_gen.datasets import Dataset
from densesirst_gen.datasets.paths import examples, find_mask, list_images, unique
from densesirst_gen.detection.evaluation.coco_results import PredictionError, read_results
from densesirst_gen.detection.metrics import NOTHING_FOUND, FoundBoxes
from densesirst_gen.files.codec import read_image

DEPTHS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}


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
    """

    source: Path
    kind: str
    found: Mapping[str, FoundBoxes | Path]
    missing: tuple[str, ...]
    extra: tuple[str, ...]

    def notes(self) -> list[str]:
        """What a careful reader should know."""
        notes = []
        if self.missing:
            n, names = len(self.missing), examples(self.missing)
            notes.append(f"{n} scenes have no prediction, taken for: nothing found: {names}")
        if self.extra:
            n, names = len(self.extra), examples(self.extra)
            notes.append(f"{n} predictions belong to no scene, left out: {names}")
        return notes


def read_predictions(source: Path, dataset: Dataset, names: Sequence[str]) -> Predictions:
    """Find the predictions for some scenes of a dataset.

    Parameters
    ----------
    source : Path
        A JSON file with COCO results, or a folder of masks or probability maps: PNG, TIFF (8 or 16
        bits, or float) or ``.npy``.
    dataset : Dataset
    names : sequence of str
        The scenes that are to be scored; those of the rest of the dataset are no `extra`.

    Raises
    ------
    PredictionError
        If there are predictions but none for any of the scenes, a folder has no map, or a record
        cannot be used. An empty list of results means: nothing found anywhere.
    """
    known = {scene.name for scene in dataset.scenes}
    found = _map_files(source, known) if source.is_dir() else read_results(source, dataset, known)
    wanted = {name: found[name] for name in names if name in found}
    if names and not wanted and (found or source.is_dir()):
        raise PredictionError(
            f"{source}: no prediction of {len(found)} ({examples(found) or 'none'}) belongs to "
            f"one of {len(names)} scenes ({examples(names)})"
        )
    missing = tuple(name for name in names if name not in wanted)
    extra = tuple(name for name in found if name not in known)
    return Predictions(source, "maps" if source.is_dir() else "boxes", wanted, missing, extra)


def load_prediction(
    name: str, kind: str, found: FoundBoxes | Path | None, shape: tuple[int, int]
) -> FoundBoxes | np.ndarray:
    """Boxes, or the map of a scene; what is missing is empty.

    Raises
    ------
    PredictionError
        If a map has another shape than the scene.
    """
    if isinstance(found, Path):
        prob = read_map(found)
        if prob.shape != shape:
            raise PredictionError(
                f"{found}: the map is {prob.shape}, scene {name} is {shape}; maps are not resized"
            )
        return prob
    if found is None:
        return NOTHING_FOUND if kind == "boxes" else np.zeros(shape, bool)
    return found


def read_map(path: Path) -> np.ndarray:
    """A probability map or a mask.

    8-bit values are divided by 255 and 16-bit values by 65535, also in ``.npy``, so that masks of
    0 and 255 are read as such. Values {0, 1} of 8 bits are *not* taken for a mask: they may be
    the probabilities of an image in which nothing is.

    Returns
    -------
    ndarray, (H, W), float32 in 0..1, or bool

    Raises
    ------
    PredictionError
        If the file cannot be read, or values are not in 0..1.
    """
    values = _read_npy(path) if path.suffix == ".npy" else read_image(path).array
    if values.ndim != 2 or not values.size:
        raise PredictionError(f"{path}: a map must be (H, W), got {values.shape}")
    if values.dtype == np.bool_:
        return values
    prob = values.astype(np.float32) / np.float32(DEPTHS.get(values.dtype, 1))
    if not (prob.min() >= 0 and prob.max() <= 1):
        raise PredictionError(
            f"{path}: {values.dtype} values from {values.min():g} to {values.max():g}; "
            "probabilities must be in 0..1 (logits need a sigmoid)"
        )
    return prob


def _read_npy(path: Path) -> np.ndarray:
    try:
        values: np.ndarray = np.load(path, allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise PredictionError(f"{path}: {error}") from error
    if values.dtype not in (*DEPTHS, np.bool_) and not np.issubdtype(values.dtype, np.floating):
        raise PredictionError(f"{path}: must be float, bool, uint8 or uint16, got {values.dtype}")
    return values


def _map_files(folder: Path, known: set[str]) -> dict[str, Path]:
    """Scene, or what the file is called if it belongs to none, -> file."""
    arrays = [(p.relative_to(folder).with_suffix("").as_posix(), p) for p in folder.rglob("*.npy")]
    files = unique([*list_images(folder, nested=True).items(), *sorted(arrays)])
    found = {name: path for name in sorted(known) if (path := find_mask(files, name))}
    used = set(found.values())
    rest = (path for path in files.values() if path not in used)
    return found | {path.relative_to(folder).as_posix(): path for path in rest}
