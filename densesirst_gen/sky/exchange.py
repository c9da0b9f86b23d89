"""Sky masks of a dataset's images out to an annotation tool, and back into a folder of masks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from densesirst_gen.datasets import SceneFile
from densesirst_gen.datasets.paths import DatasetError, examples, path_to_write
from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.files.codec import read_size
from densesirst_gen.sky import tools as tools
from densesirst_gen.sky.folder import (
    HAND,
    SkyRow,
    check_targets,
    hand_made,
    masks_in,
    write_index,
    write_mask,
)
from densesirst_gen.sky.tools import SkyMask

TOOLS = ("cvat", "labelme", "coco")
READERS = {
    "cvat": tools.read_sky_cvat,
    "labelme": tools.read_sky_labelme,
    "coco": tools.read_sky_coco,
}


def images_folder(files: Sequence[SceneFile]) -> Path:
    """The folder that holds all images, which annotation tools name them by; links stay names."""
    return Path(os.path.commonpath([Path(os.path.abspath(file.image)).parent for file in files]))


def export_sky(files: Sequence[SceneFile], to: str, out: Path, *, overwrite: bool = False) -> int:
    """Write the sky masks of some images for an annotation tool.

    Parameters
    ----------
    files : sequence of SceneFile
        Those without a sky mask are left out.
    to : str
        ``cvat`` or ``coco``: `out` is a file; ``labelme``: a folder.
    out : Path
    overwrite : bool
        Replace what is there; somebody may have corrected it.

    Returns
    -------
    int
        How many masks were written.

    Raises
    ------
    DatasetError
        If no image has a sky mask.
    RefusedError
        If `out` is there and may not be replaced.
    """
    masked = [file for file in files if file.sky]
    if not masked:
        raise DatasetError(f"none of {len(files)} images has a sky mask: predict some first")
    root = images_folder(files)
    if to == "labelme":
        tools.write_sky_labelme(_masks(masked, root), out, root, overwrite=overwrite)
    else:
        write = tools.write_sky_cvat if to == "cvat" else tools.write_sky_coco
        write(_masks(masked, root), out, overwrite=overwrite)
    return len(masked)


def import_sky(
    path: Path, files: Sequence[SceneFile], source: str, out: Path, *, overwrite: bool = False
) -> int:
    """Write the masks that an annotation tool gives back as masks made by hand.

    Everything is read and checked before anything is written. Predictions in the folder give way.

    Parameters
    ----------
    path : Path
        File or folder of the tool.
    files : sequence of SceneFile
        The images.
    source : str
        ``cvat``, ``labelme`` or ``coco``.
    out : Path
        Folder of masks.
    overwrite : bool
        Replace masks made by hand as well.

    Returns
    -------
    int
        How many masks were written.

    Raises
    ------
    DatasetError
        If the file breaks its format, names an image that is not there, or has a mask of another
        size than its image.
    RefusedError
        If another mask made by hand is there and may not be replaced, or `out` is no place for
        masks, see `check_targets`.
    """
    root = images_folder(files)
    images = {_name_in(root, file): file for file in files}
    read = partial(READERS[source], path, root)
    check_targets(files, out)
    changed = _checked(read(), images, path, out)
    if changed and not overwrite:
        raise RefusedError(
            f"{out}: {len(changed)} masks made by hand would be replaced: {examples(changed)}"
        )
    rows = []
    for mask in read():
        name = images[mask.image].name
        write_mask(out, name, mask.sky, palette=False)
        rows.append(SkyRow(name, HAND, None, round(float(mask.sky.mean()), 4)))
    write_index(out, rows)
    return len(rows)


def _checked(
    masks: Iterable[SkyMask], images: Mapping[str, SceneFile], source: Path, out: Path
) -> list[str]:
    """The masks that other ones, made by hand, are in the place of.

    DatasetError at a mask of no image of the dataset, or of another size than its image.
    """
    there = masks_in(out, [file.name for file in images.values()])
    changed = []
    for mask in masks:
        if mask.image not in images:
            raise DatasetError(f"{source}: {mask.image} is no image of the dataset")
        file = images[mask.image]
        size = read_size(file.image)
        if size != mask.size:
            raise DatasetError(f"{source}: {mask.image}: mask is {mask.size}, image is {size}")
        path_to_write(out, f"{file.name}.png")
        if _is_taken(there.get(file.name), mask.sky):
            changed.append(mask.image)
    return changed


def _name_in(root: Path, file: SceneFile) -> str:
    return Path(os.path.abspath(file.image)).relative_to(root).as_posix()


def _is_taken(path: Path | None, sky: np.ndarray) -> bool:
    """Whether another mask, made by hand, is there."""
    made = hand_made(path) if path else None
    return made is not None and not np.array_equal(made, sky)


def _masks(files: Sequence[SceneFile], root: Path) -> Iterator[SkyMask]:
    for file in files:
        sky = file.load().sky
        assert sky is not None
        yield SkyMask(_name_in(root, file), sky)
