"""Sky masks of a dataset's images out to an annotation tool, and back into a folder of masks."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from densesirst_gen.datasets import SceneFile
from densesirst_gen.datasets.paths import DatasetError, examples, path_to_write
from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.files.images.codec import read_size
from densesirst_gen.files.images.frames import unpacked
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
from densesirst_gen.sky.tools.masks import SKY
from densesirst_gen.sky.tools.reading import ToolReading

TOOLS = ("cvat", "labelme", "coco")
READERS = {
    "cvat": tools.read_sky_cvat,
    "labelme": tools.read_sky_labelme,
    "coco": tools.read_sky_coco,
}
INSIST = "--empty-is-no-sky takes it that such images have no sky"


def images_folder(files: Sequence[SceneFile]) -> Path:
    """The folder that holds all images, which annotation tools name them by; links stay names."""
    return Path(os.path.commonpath([_place(file).parent for file in files]))


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
    path: Path,
    files: Sequence[SceneFile],
    source: str,
    out: Path,
    *,
    overwrite: bool = False,
    label: str = SKY,
    empty_is_no_sky: bool = False,
    tell: Callable[[str], object] = str,
) -> int:
    """Write the masks that an annotation tool gives back as masks made by hand.

    Everything is read and checked before anything is written. Predictions in the folder give way,
    which is told. An image of which the tool lists no shape may be one that nobody got to: no mask
    is written of it.

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
    label : str
        What the sky is called in the file.
    empty_is_no_sky : bool
        Write a black mask of images without shapes.
    tell : callable
        Gets what was passed over or decided, a sentence at a time.

    Returns
    -------
    int
        How many masks were written.

    Raises
    ------
    DatasetError
        If the file breaks its format, names an image that is not there, has a mask of another size
        than its image, no shape at all, or no image of the dataset.
    RefusedError
        If another mask made by hand is there and may not be replaced, or `out` is no place for
        masks, see `check_targets`.
    """
    root = images_folder(files)
    images = {_name_in(root, file): file for file in files}
    check_targets(files, out)
    reading = ToolReading(label, images)
    masks = READERS[source](path, root, reading)
    there = masks_in(out, [file.name for file in files])
    standing = {name: there.get(file.name) for name, file in images.items()}
    taken = _Checked(empty_is_no_sky=empty_is_no_sky)
    for mask in masks:
        taken.add(mask, images, path, out, standing)
    if taken.changed and not overwrite:
        raise RefusedError(
            f"{out}: {len(taken.changed)} masks made by hand would be replaced: "
            f"{examples(taken.changed)}"
        )
    if taken.strange and not (taken.n or taken.empty):
        raise DatasetError(
            f"{path}: {taken.strange[0]} is no image of the dataset, nor is any other"
        )
    if not taken.n:
        raise DatasetError(f"{path}: none of {len(taken.empty)} images has shapes; {INSIST}")
    for line in (*reading.findings.lines(), *taken.lines()):
        tell(line)
    again = READERS[source](path, root, ToolReading(label, images))
    return _write(again, images, out, empty_is_no_sky=empty_is_no_sky)


def _write(
    masks: Iterable[SkyMask],
    images: Mapping[str, SceneFile],
    out: Path,
    *,
    empty_is_no_sky: bool,
) -> int:
    rows = []
    for mask in masks:
        if mask.image in images and (mask.annotated or empty_is_no_sky):
            name = images[mask.image].name
            write_mask(out, name, mask.sky, palette=False)
            rows.append(SkyRow(name, HAND, None, round(float(mask.sky.mean()), 4)))
    write_index(out, rows)
    return len(rows)


@dataclass
class _Checked:
    """What would be written: how many, and what comes in whose place."""

    empty_is_no_sky: bool
    n: int = 0
    empty: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)

    def add(
        self,
        mask: SkyMask,
        images: Mapping[str, SceneFile],
        source: Path,
        out: Path,
        there: Mapping[str, Path | None],
    ) -> None:
        """Check a mask; DatasetError if it is of another size than its image."""
        if mask.image not in images:
            self.strange.append(mask.image)
            return
        file = images[mask.image]
        size = read_size(file.image)
        if size != mask.size:
            raise DatasetError(f"{source}: {mask.image}: mask is {mask.size}, image is {size}")
        path_to_write(out, f"{file.name}.png")
        if not mask.annotated:
            self.empty.append(mask.image)
        if mask.annotated or self.empty_is_no_sky:
            self.n += 1
            self._compare(mask, there[mask.image])

    def _compare(self, mask: SkyMask, path: Path | None) -> None:
        """With the mask in whose place it comes, by hand or predicted."""
        if path is None:
            return
        made = hand_made(path)
        if made is None:
            self.replaced.append(mask.image)
        elif not np.array_equal(made, mask.sky):
            self.changed.append(mask.image)

    def lines(self) -> Iterator[str]:
        """What is to be told of them."""
        if self.empty and self.empty_is_no_sky:
            yield (
                f"{len(self.empty)} images without shapes get a black mask, such as {self.empty[0]}"
            )
        elif self.empty:
            yield (
                f"{len(self.empty)} images have no shapes, such as {self.empty[0]}: not annotated "
                f"yet, so no mask is written of them; {INSIST}"
            )
        if self.strange:
            yield (
                f"{len(self.strange)} images are none of the dataset and passed over, such as "
                f"{self.strange[0]}"
            )
        if self.replaced:
            one = self.replaced[0]
            yield f"{len(self.replaced)} predictions are replaced, such as that of {one}"


def _name_in(root: Path, file: SceneFile) -> str:
    return _place(file).relative_to(root).as_posix()


def _place(file: SceneFile) -> Path:
    """Of its image; of a frame where it lies when its stack is unpacked."""
    return Path(os.path.abspath(unpacked(file.image)))


def _masks(files: Sequence[SceneFile], root: Path) -> Iterator[SkyMask]:
    for file in files:
        sky = file.load().sky
        assert sky is not None
        yield SkyMask(_name_in(root, file), sky)
