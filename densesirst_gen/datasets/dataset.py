"""A dataset on disk: the files of its scenes and its splits, nothing decoded yet."""

from __future__ import annotations

import unicodedata
from array import array
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.datasets.in_frames import in_frames, masks_in_frames, stack_notes
from densesirst_gen.datasets.lazy import each, kept
from densesirst_gen.datasets.notes import image_notes, mask_notes
from densesirst_gen.datasets.packed import repeated
from densesirst_gen.datasets.paths import DatasetError, examples, has_link, list_images, pair_masks
from densesirst_gen.files.images.codec import CodecError, Decoded, read_image, read_mask
from densesirst_gen.files.images.colormaps import check_colormap
from densesirst_gen.files.images.frames import shown, stack_of
from densesirst_gen.scene.annotate import label_mask
from densesirst_gen.scene.counts import Counts
from densesirst_gen.scene.scene import Scene, SceneError, is_void

Splits = dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class SceneFile:
    """The files of one scene.

    Parameters
    ----------
    name : str
        Unique in the dataset: the file stem, or the relative POSIX path without suffix.
    image : Path
    mask : Path, optional
        Target mask; None: no annotation file, read as no targets.
    sky : Path, optional
        Sky mask; None: not annotated.
    span : tuple of float, optional
        (black, white) of an image that is not 8 bits deep; None: see `Scene.levels`.
    counts : mapping of str to Counts
        What the values of its image mean, by dtype; see `densesirst_gen.datasets.span`.
    ignored : tuple of (x0, y0, x1, y1)
        Boxes, half-open, px, of regions that are neither target nor background: a detection there
        is not judged.
    colormap : str, optional
        What an image in colour is painted with; see `densesirst_gen.files.images.codec.read_image`.
    """

    name: str
    image: Path
    mask: Path | None = None
    sky: Path | None = None
    span: tuple[float, float] | None = None
    ignored: tuple[tuple[float, float, float, float], ...] = ()
    counts: Mapping[str, Counts] = field(default_factory=dict)
    colormap: str | None = None

    def files(self) -> tuple[Path, ...]:
        """The files that exist of image, mask and sky."""
        return tuple(path for path in (self.image, self.mask, self.sky) if path is not None)

    @property
    def boxes(self) -> tuple[tuple[float, float, float, float], ...]:
        """Targets that are known by their boxes only; see `coco_scene.BoxSceneFile`."""
        return ()

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """Targets that are known by a point only."""
        return ()

    @property
    def has_labels(self) -> bool:
        """Whether there is an annotation of targets, be it of none."""
        return self.mask is not None

    def has_targets(self) -> bool:
        """Whether there is a target; looks at the mask only. CodecError if it cannot be decoded."""
        return self.mask is not None and bool(read_mask(self.mask).array.any())

    def load(self) -> Scene:
        """The decoded scene; see `load_with_notes`."""
        return self.load_with_notes()[0]

    def load_with_notes(self) -> tuple[Scene, list[str]]:
        """Decode the files.

        Returns
        -------
        Scene
            Labels are the 8-connected components of the mask, in raster order.
        list of str
            What was decided while decoding, such as "image: alpha ignored".

        Raises
        ------
        CodecError
            If a file cannot be decoded.
        SceneError
            If a mask has another size than the image; masks are never resized.
        """
        image = read_image(self.image, colormap=self.colormap)
        notes = [f"image: {note}" for note in image.notes]
        labels = self._read_labels(image.array.shape, notes)
        sky = self._read_mask("sky", image.array.shape, notes)
        return self._scene(image, labels, sky, notes), notes

    def _scene(
        self, decoded: Decoded, labels: np.ndarray, sky: np.ndarray | None, notes: list[str]
    ) -> Scene:
        image = decoded.array
        counts = self.counts.get(image.dtype.name)
        nodata, reach = (counts.nodata, counts.reach) if counts else ((), 1.0)
        void = is_void(image, absent_in(decoded, nodata))
        if void is not None:
            notes.append(f"values: {np.count_nonzero(void)} pixels without data")
        span = self.span or (counts.span if counts else None)
        span = None if image.dtype == np.uint8 else span
        scene = Scene(self.name, image, labels, sky, span, void, reach)
        if span is not None and (peak := float(scene.data.max())) > span[1]:
            notes.append(f"values: up to {peak:,.6g}, above the span's white {span[1]:,.6g}")
        return scene

    def _read_labels(self, shape: tuple[int, ...], notes: list[str]) -> np.ndarray:
        mask = self._read_mask("mask", shape, notes)
        return np.zeros(shape, np.int32) if mask is None else label_mask(mask)

    def _read_mask(self, kind: str, shape: tuple[int, ...], notes: list[str]) -> np.ndarray | None:
        """The target mask or the sky mask, if there is one; appends to `notes`."""
        path = self.mask if kind == "mask" else self.sky
        if path is None:
            return None
        mask = read_mask(path, sparse=kind == "mask")
        if mask.array.shape != shape:
            raise SceneError(
                f"scene {self.name}: {kind} {path.name} is {mask.array.shape}, "
                f"image {self.image.name} is {shape}; masks are not resized"
            )
        notes.extend(f"{kind}: {note}" for note in mask.notes)
        return mask.array


def absent_in(decoded: Decoded, nodata: Sequence[float]) -> tuple[float, ...]:
    """The values of an image that mean no data: some, and what its file says does."""
    return tuple(nodata) if decoded.nodata is None else (*nodata, decoded.nodata)


@dataclass(frozen=True)
class Dataset:
    """The scenes of a folder.

    Parameters
    ----------
    root : Path
    layout : str
        The name of its layout.
    scenes : sequence of SceneFile
        Sorted by name; a tuple, or for a long COCO file what makes each when it is asked for.
    splits : dict of str to tuple of str
        Scene names, in the order of the split file.
    absent : tuple of str
        Names in the split files that have no scene.
    annotations : Path, optional
        The one file with the annotations of all scenes, where the layout has one.
    remarks : tuple of str
        What was passed over or decided in reading, each with a count and an example.
    counts : mapping of str to Counts
        What the values of its images mean, by dtype, as far as they were looked at.
    read_as : dict
        What was said of how to read it, as plain values; see `read_as.ReadAs`.
    """

    root: Path
    layout: str
    scenes: Sequence[SceneFile]
    splits: Splits = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    annotations: Path | None = None
    remarks: tuple[str, ...] = ()
    counts: Mapping[str, Counts] = field(default_factory=dict)
    read_as: Mapping[str, Any] = field(default_factory=dict)

    def linked(self) -> tuple[str, ...]:
        """Scenes with a file that is reached by a symbolic link in the folder."""
        behind = cache(partial(has_link, self.root))
        return tuple(
            scene.name
            for scene in self.scenes
            if any(file.is_symlink() or behind(file.parent) for file in scene.files())
        )

    def notes(self) -> list[str]:
        """What a careful reader should know.

        Where files are missing that others have, which are reached by links, what target masks are
        not black and white, and what images are in colour or otherwise not plainly gray; for the
        last two, up to 100 of each, evenly spread, are looked at.
        """
        notes = [
            *self._gaps("mask", "read as without targets"),
            *self._gaps("sky", "not annotated"),
            *mask_notes([scene.mask for scene in self.scenes if scene.mask]),
            *image_notes(each(kept(self.scenes, SceneFile.files), lambda s: (s.image, s.colormap))),
        ]
        if linked := self.linked():
            notes.append(f"{len(linked)} scenes are reached by symbolic links: {examples(linked)}")
        if self.absent:
            found = examples(self.absent)
            notes.append(f"{len(self.absent)} names in the splits have no scene: {found}")
        return [*notes, *self.remarks]

    def _gaps(self, kind: str, meaning: str) -> list[str]:
        n = sum(getattr(scene, kind) is None for scene in self.scenes)
        if n in (0, len(self.scenes)):
            return []
        missing = examples(scene.name for scene in self.scenes if getattr(scene, kind) is None)
        return [f"{n} scenes have no {kind} file, {meaning}: {missing}"]


def cut_splits(splits: Mapping[str, Sequence[str]], names: Container[str]) -> Splits:
    """The splits without what is not among some names, in their order; they may become empty."""
    return {
        split: tuple(name for name in members if name in names) for split, members in splits.items()
    }


def make_dataset(
    root: Path,
    layout: str,
    images: Mapping[str, Path],
    *,
    masks: Sequence[Mapping[str, Path]] = (),
    skies: Sequence[Mapping[str, Path]] = (),
    paired: Mapping[str, Path] | None = None,
    paired_skies: Mapping[str, Path] | None = None,
    splits: Splits | None = None,
    remarks: Iterable[str] = (),
) -> Dataset:
    """Put images and masks together by name.

    Parameters
    ----------
    root : Path
    layout : str
    images : mapping of str to Path
        By scene name; each frame of a stack becomes a scene of its own, see `in_frames`.
    masks, skies : sequence of mappings of str to Path
        The files of some folders, by stem; where several have a mask of a scene, the first counts.
    paired, paired_skies : mapping of str to Path, optional
        Masks by scene name, in place of `masks` and `skies`, where they are known already.
    splits : dict of str to tuple of str, optional
        Of scenes, frames among them.
    remarks : iterable of str
        See `Dataset`.

    Raises
    ------
    DatasetError
        If there is no image, if there are masks but none of any image, if a mask has another number
        of frames than its image, or if names cannot be kept apart or written to a text file.
    """
    if not images:
        raise DatasetError(f"{root}: no images in the {layout} layout")
    pairs = [pair_masks(folder, images) for folder in masks]
    of_targets = masks_in_frames(_joined(pairs) if paired is None else paired, images)
    if paired_skies is None:
        paired_skies = _joined([pair_masks(folder, images) for folder in skies])
    of_sky = masks_in_frames(paired_skies, images)
    found = in_frames(images)
    check_names(found)
    scenes = [
        SceneFile(name, path, of_targets.get(name), of_sky.get(name))
        for name, path in sorted(found.items())
    ]
    files = [str(path) for folder in masks for path in folder.values()]
    if files and not of_targets:
        raise DatasetError(
            f"{root}: none of {len(files)} masks ({examples(files)}) "
            f"is named like an image ({examples(images)})"
        )
    present = cut_splits(splits or {}, found)
    listed = {name for members in (splits or {}).values() for name in members}
    absent = tuple(sorted(listed - found.keys()))
    notes = (*stack_notes(images), *_without_image(masks, pairs), *remarks)
    return Dataset(root, layout, tuple(scenes), present, absent, remarks=notes)


Paths = Mapping[str, Path]


def _without_image(masks: Sequence[Paths], pairs: Sequence[Paths]) -> list[str]:
    """A note on masks of which there is no image."""
    both = zip(masks, pairs, strict=True)
    left = {path for folder, found in both for path in {*folder.values()} - {*found.values()}}
    return [f"{len(left)} masks have no image: {examples(sorted(map(shown, left)))}"] * bool(left)


def _joined(pairs: Sequence[Paths]) -> dict[str, Path]:
    """Masks by name; where several folders have one, that of the first."""
    return {name: path for found in reversed(pairs) for name, path in found.items()}


def with_span(dataset: Dataset, span: tuple[float, float]) -> Dataset:
    """The dataset with black and white declared for its images that are not 8 bits deep.

    Raises
    ------
    DatasetError
        If white is not above black.
    """
    if not span[0] < span[1]:
        raise DatasetError(f"span must be (black, white) with black < white, got {span}")
    return replace(dataset, scenes=each(dataset.scenes, lambda s: replace(s, span=span)))


def with_colormap(dataset: Dataset, colormap: str) -> Dataset:
    """The dataset with images in colour declared to be painted with a colormap.

    Raises
    ------
    DatasetError
        If there is no such colormap.
    """
    try:
        check_colormap(colormap)
    except CodecError as error:
        raise DatasetError(str(error)) from error
    return replace(dataset, scenes=each(dataset.scenes, lambda s: replace(s, colormap=colormap)))


def check_names(names: Collection[str]) -> None:
    """DatasetError for names that differ in case or Unicode form only, or are not plain text."""
    hashes = array("q", (hash(_folded(name)) for name in names))
    if not (alike := repeated(hashes)):
        return
    seen: dict[str, str] = {}
    clashes = []
    for name, value in zip(names, hashes, strict=True):
        first = seen.setdefault(_folded(name), name) if value in alike else name
        if first != name:
            clashes.append(f"{first} and {name}")
    if clashes:
        raise DatasetError(f"scene names that differ by case only: {examples(clashes)}")


def _folded(name: str) -> str:
    """What names must differ in; DatasetError if it is not plain text."""
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name):
        raise DatasetError(f"scene name {name!r} has control characters or is not UTF-8")
    return unicodedata.normalize("NFC", name).casefold()


def with_sky(dataset: Dataset, folder: Path) -> Dataset:
    """The dataset with the sky masks ``NAME_pixels0.*`` or ``NAME.*`` of a folder.

    Scenes without such a file have no sky annotation. The frames of a stack may have a stack of
    masks, or a file each.

    Raises
    ------
    DatasetError
        If the folder has a mask for none of the scenes, or a stack with another number of frames.
    """
    found = list_images(folder, nested=True)
    stacks = stacks_of(dataset)
    masks = masks_in_frames(pair_masks(found, stacks), stacks)
    masks |= pair_masks(found, [s.name for s in dataset.scenes])
    scenes = each(dataset.scenes, lambda s: replace(s, sky=masks.get(s.name)))
    if not any(scene.sky for scene in scenes):
        name = scenes[0].name
        raise DatasetError(
            f"{folder}: no sky mask of any scene, such as {name}_pixels0.png or {name}.png"
        )
    return replace(dataset, scenes=scenes)


def stacks_of(dataset: Dataset) -> dict[str, Path]:
    """The stacks that scenes are frames of, by what stands before ``/`` in the scenes' names."""
    return {
        scene.name.rpartition("/")[0]: stack
        for scene in dataset.scenes
        if scene.files() and (stack := stack_of(scene.image)) is not None
    }
