"""The layout of the DenseSIRST release, ``SIRSTdevkit``: read it, write it file for file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np

from densesirst_gen.datasets.dataset import Dataset, make_dataset
from densesirst_gen.datasets.found.inventory import Inventory
from densesirst_gen.datasets.grammar.voc import write_mask_voc, write_voc
from densesirst_gen.datasets.in_frames import in_frames
from densesirst_gen.datasets.parts.splits import read_splits
from densesirst_gen.datasets.paths import MASK_SUFFIX, list_images
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs
from densesirst_gen.files.images import codec
from densesirst_gen.scene.annotate import Annotations, points_on_masks
from densesirst_gen.scene.scene import Scene

EXPECTS = "PNGImages/ with SIRST/ or SkySeg/, or a folder SIRSTdevkit/ that has them"
PARTS = ("train", "val", "test", "trainval")


def _voc_colour(index: int) -> tuple[int, int, int]:
    """PASCAL VOC: the bits of the index in turn to red, green and blue, the highest level first."""
    red, green, blue = (
        sum((index >> (3 * level + channel) & 1) << (7 - level) for level in range(3))
        for channel in range(3)
    )
    return red, green, blue


# Colours and bits of the palette masks: two for targets, the 256 of PASCAL VOC for the sky.
PALETTES = {
    "SIRST": (((0, 0, 0), (255, 0, 0)), 1),
    "SkySeg": ([_voc_colour(i) for i in range(256)], 8),
}
File = tuple[str, bytes]


def matches(inventory: Inventory) -> bool:
    """Whether a folder is a devkit or holds one."""
    root = inventory.root
    kit = _kit(root)
    return (kit / "PNGImages").is_dir() and any((kit / p).is_dir() for p in ("SIRST", "SkySeg"))


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """The scenes of a devkit; binary masks come before palette masks."""
    root = inventory.root
    kit = _kit(root)
    images = list_images(kit, "PNGImages", nested=True)
    splits = read_splits(kit, kit.glob("Splits/*.txt"), in_frames(images))
    masks, skies = _masks(kit, "SIRST"), _masks(kit, "SkySeg")
    return make_dataset(kit, "devkit", images, masks=masks, skies=skies, splits=splits)


def _kit(root: Path) -> Path:
    return root / "SIRSTdevkit" if (root / "SIRSTdevkit").is_dir() else root


def _masks(kit: Path, part: str) -> list[dict[str, Path]]:
    kinds = ("BinaryMask", "PaletteMask")
    return [list_images(kit, f"{part}/{kind}", nested=True) for kind in kinds]


def devkit_files(
    scene: Scene, annotations: Annotations, *, voc_dialect: str = "sirst"
) -> Iterator[File]:
    """The files of one scene, as released.

    Targets are listed by label, in the box file and in the point file. A scene without sky
    annotation gets a black sky mask, as a scene without sky does.

    Parameters
    ----------
    scene : Scene
    annotations : Annotations
        Of the labels of the scene.
    voc_dialect : str
        A key of `dialects.DIALECTS`.

    Yields
    ------
    (str, bytes)
        Path relative to the devkit, POSIX; content.
    """
    sky = np.zeros(scene.shape, np.bool_) if scene.sky is None else scene.sky
    yield image_path(scene), encode_image(scene.image)
    yield from target_files(scene, annotations, voc_dialect=voc_dialect)
    yield from sky_files(scene, sky)


def target_files(scene: Scene, annotations: Annotations, *, voc_dialect: str) -> Iterator[File]:
    """Of `devkit_files`, what is below ``SIRST/``."""
    name, shape = scene.name, scene.shape
    boxes = write_voc(name, shape, annotations.boxes, dialect=voc_dialect)
    yield f"SIRST/BBox/{name}.xml", boxes
    yield f"SIRST/Point_label/{name}{MASK_SUFFIX}.txt", _point_lines(scene, annotations)
    yield from _mask_files("SIRST", scene, scene.labels > 0, "Target")


def sky_files(scene: Scene, sky: np.ndarray) -> Iterator[File]:
    """Of `devkit_files`, what is below ``SkySeg/``, for a sky (H, W), bool."""
    yield from _mask_files("SkySeg", scene, sky, "Sky")


def image_path(scene: Scene) -> str:
    """Where the devkit has the image of a scene: PNG, or TIFF if it is float32."""
    return f"PNGImages/{scene.name}" + (".tif" if scene.image.dtype == np.float32 else ".png")


def encode_image(image: np.ndarray) -> bytes:
    """The content of `image_path`, lossless in the dtype of the image."""
    if image.dtype == np.float32:
        return codec.encode_tiff(image)
    return codec.encode_png(image)


def _point_lines(scene: Scene, annotations: Annotations) -> bytes:
    points = points_on_masks(scene.labels, annotations).tolist()
    return "".join(f"{x} {y}\n" for x, y in points).encode()


def _mask_files(part: str, scene: Scene, mask: np.ndarray, category: str) -> Iterator[File]:
    name, image = scene.name, image_path(scene).removeprefix("PNGImages/")
    binary = codec.encode_png(mask.astype(np.uint8) * 255)
    yield f"{part}/BinaryMask/{name}{MASK_SUFFIX}.png", binary
    yield f"{part}/BinaryMask/{name}.xml", write_mask_voc(image, mask, category=category)
    yield f"{part}/PaletteMask/{name}.png", palette_png(part, mask)


def palette_png(part: str, mask: np.ndarray) -> bytes:
    """A mask as indices 0 and 1 with the released palette of ``SIRST`` or ``SkySeg``."""
    colours, bits = PALETTES[part]
    return codec.encode_palette_png(mask, colours, bits=bits)


def split_files(splits: Mapping[str, Collection[str]], names: Collection[str]) -> Iterator[File]:
    """The split files of a devkit, under the names that training configs read.

    ``train``, ``train_full`` and ``train_v2`` become ``train_v2.txt`` (the last of them that is
    there; so too val, test, trainval), other names stay. A missing trainval is train, then val;
    without any splits there are no files.

    Parameters
    ----------
    splits : mapping of str to names
    names : collection of str
        The scenes in the dataset; names in splits that are not among them are left out.

    Yields
    ------
    (str, bytes)
        Path relative to the devkit, POSIX; one name a line.
    """
    released = _released_splits(splits)
    if "trainval_v2" not in released and {"train_v2", "val_v2"} <= released.keys():
        released["trainval_v2"] = [*released["train_v2"], *released["val_v2"]]
    present = set(names)
    for split, members in released.items():
        lines = "".join(f"{name}\n" for name in members if name in present)
        yield f"Splits/{split}.txt", lines.encode()


def _released_splits(splits: Mapping[str, Collection[str]]) -> dict[str, Collection[str]]:
    renamed = dict(splits)
    for part in PARTS:
        same = [s for s in (part, f"{part}_full", f"{part}_v2") if s in renamed]
        if same:
            renamed[f"{part}_v2"] = renamed.pop(same[-1])
    return renamed
