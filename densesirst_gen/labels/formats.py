"""The formats that can be written: the files of each scene, and those of the whole."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from densesirst_gen.datasets.coco.written import Record, coco_boxes, coco_image
from densesirst_gen.datasets.grammar.voc import write_voc
from densesirst_gen.datasets.grammar.yolo_text import (
    box_lines,
    label_path,
    lists_and_yaml,
    polygon_lines,
)
from densesirst_gen.datasets.layouts.devkit import palette_png, sky_files, split_files, target_files
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.labels.item import Item
from densesirst_gen.labels.whole import Whole
from densesirst_gen.labels.whole_coco import coco_files
from densesirst_gen.labels.whole_hf import hf_files
from densesirst_gen.labels.whole_parquet import check_pyarrow, parquet_files
from densesirst_gen.labels.whole_webdataset import webdataset_files

File = tuple[str, bytes]
Splits = Mapping[str, Sequence[str]]
CATEGORY = "Target"
LABEL_MAP = f"# label:color_rgb:parts:actions\nbackground:0,0,0::\n{CATEGORY}:128,0,0::\n"


@dataclass(frozen=True, eq=False)
class Written:
    """What is written of a scene beside its image.

    Parameters
    ----------
    files : list of (str, bytes)
        Relative POSIX path and content.
    n_targets : int
        In them.
    coco : (dict, list of dict), optional
        Records for the files of the whole.
    mask : str
        Which of the files is the target mask, for the rows of the whole.
    """

    files: list[File]
    n_targets: int
    coco: tuple[Record, list[Record]] | None = None
    mask: str = ""


@dataclass(frozen=True)
class Format:
    """How a dataset is written.

    Parameters
    ----------
    images : str
        Folder of the images.
    kinds : tuple of str
        Of image files that are copied byte for byte.
    write : callable
        (item, path of its image, box dialect) -> `Written`.
    end : callable
        `Whole` -> files of the whole.
    sky : str
        Folder of the sky masks; empty: `write` does it.
    needs_masks, holds_ignored : bool
        Whether boxes alone can't be written, and whether regions that are not judged can be.
    dialect : str
        Of the boxes in XML, if it has any.
    readers : str
        What programs read it right, for the terminal.
    gather : callable
        `Whole` -> SHA-256 of the files that it wrote; where scenes make files together that don't
        fit into memory.
    by_part : bool
        Whether each part has a folder, below which that of the images is.
    is_gathered : bool
        Whether the files of scenes go into those of the whole, and are no files of the dataset.
    check : callable
        Raises ImportError, before anything is done, if a library is missing.
    """

    images: str
    kinds: tuple[str, ...]
    write: Callable[[Item, str, str], Written]
    end: Callable[[Whole], Iterator[File]]
    sky: str = "sky"
    needs_masks: bool = False
    holds_ignored: bool = False
    dialect: str = ""
    readers: str = ""
    gather: Callable[[Whole], dict[str, str]] = lambda whole: {}
    by_part: bool = False
    is_gathered: bool = False
    check: Callable[[], None] = lambda: None


def mask_png(mask: np.ndarray) -> bytes:
    """0 and 255."""
    return encode_png(mask.astype(np.uint8) * 255)


def _devkit(item: Item, image: str, dialect: str) -> Written:
    scene = item.scene
    files = [*target_files(scene, item.annotations, voc_dialect=dialect)]
    files += [] if scene.sky is None else sky_files(scene, scene.sky)
    return Written(files, len(item.annotations))


def _voc(item: Item, image: str, dialect: str) -> Written:
    name, boxes = item.scene.name, item.boxes
    if (boxes == np.round(boxes)).all():
        boxes = np.round(boxes).astype(np.int64)
    xml = write_voc(
        image.removeprefix("JPEGImages/"), item.scene.shape, boxes, dialect=dialect, named=True
    )
    files = [(f"Annotations/{name}.xml", xml)]
    if item.has_masks and not item.is_boxed:
        masks = palette_png("SkySeg", item.scene.labels > 0)  # the 256 colours of VOC
        files.append((f"SegmentationClass/{name}.png", masks))
    return Written(files, len(boxes))


def _coco(item: Item, image: str, dialect: str) -> Written:
    record, targets = coco_image(item.scene, item.annotations, 0, image.removeprefix("images/"))
    if item.has_masks:
        targets += coco_boxes(np.zeros((0, 4)), item.ignored, item.scene.shape)
    else:
        targets = coco_boxes(item.boxes, item.ignored, item.scene.shape)
    return Written([], len(targets) - len(item.ignored), (record, targets))


def _rows(item: Item, image: str, dialect: str) -> Written:
    """As COCO, and the mask as an image."""
    written = _coco(item, image, dialect)
    if not item.has_masks:
        return written
    mask = f"{image.partition('images/')[0]}masks/{item.scene.name}.png"
    return replace(written, files=[(mask, mask_png(item.scene.labels > 0))], mask=mask)


def _yolo(item: Item, image: str, dialect: str) -> Written:
    return _yolo_text(image, box_lines(item.boxes, item.scene.shape))


def _yolo_seg(item: Item, image: str, dialect: str) -> Written:
    return _yolo_text(image, polygon_lines(item.scene.labels, item.annotations.boxes))


def _yolo_text(image: str, lines: Sequence[str]) -> Written:
    """Rows that are the same count once, for Ultralytics drops the others."""
    text = "".join(f"{line}\n" for line in lines)
    return Written([(label_path(image), text.encode())], len(set(lines)))


def _masks(item: Item, image: str, dialect: str) -> Written:
    files = [(f"masks/{item.scene.name}.png", mask_png(item.scene.labels > 0))]
    return Written(files, len(item.annotations))


def _kit_lists(whole: Whole) -> Iterator[File]:
    return split_files(whole.splits, whole.images.keys())


def _yolo_lists(whole: Whole) -> Iterator[File]:
    return lists_and_yaml(whole.images, whole.splits, CATEGORY)


def _lists(folder: str) -> Callable[[Whole], Iterator[File]]:
    def lists(whole: Whole) -> Iterator[File]:
        for split, members in whole.splits.items():
            yield f"{folder}/{split}.txt", _lines(members)

    return lists


def _voc_lists(whole: Whole) -> Iterator[File]:
    """As VOC calls them: of each part the last becomes ``train``, ``val``, ``trainval``, ``test``.

    datumaro passes over lists with ``_`` in their names. It and CVAT refuse labels that are not
    VOC's own unless ``labelmap.txt`` has them.
    """
    last = {part_of(split): split for split in sorted(whole.splits) if part_of(split)}
    for split, members in whole.splits.items():
        name = part_of(split) if split in last.values() else split
        yield f"ImageSets/Main/{name}.txt", _lines(members)
    yield "labelmap.txt", LABEL_MAP.encode()


def _img_idx(whole: Whole) -> Iterator[File]:
    """BasicIRSTD asks for ``train_NAME.txt`` and ``test_NAME.txt``, NAME being the folder's."""
    renamed: dict[str, str] = {}
    for split in sorted(whole.splits):
        renamed[part_of(split) or split] = split
    for part, split in renamed.items():
        yield f"img_idx/{part}_{whole.name}.txt", _lines(whole.splits[split])


def _lines(members: Collection[str]) -> bytes:
    return "".join(f"{name}\n" for name in members).encode()


BOTH = ("PNG", "JPEG")
FORMATS = {
    "devkit": Format(
        "PNGImages",
        ("PNG",),
        _devkit,
        _kit_lists,
        sky="",
        needs_masks=True,
        dialect="sirst",
    ),
    "voc": Format("JPEGImages", BOTH, _voc, _voc_lists, dialect="devkit"),
    "coco": Format(
        "images",
        BOTH,
        _coco,
        _lists("splits"),
        holds_ignored=True,
        gather=coco_files,
        readers="file names are relative to images/; masks are run lengths (pycocotools)",
    ),
    "yolo": Format("images", BOTH, _yolo, _yolo_lists, readers="data.yaml: Ultralytics detect"),
    "yolo-seg": Format(
        "images",
        BOTH,
        _yolo_seg,
        _yolo_lists,
        needs_masks=True,
        readers="data.yaml: Ultralytics segment; outlines run along pixel edges",
    ),
    "basicirstd": Format("images", ("PNG",), _masks, _img_idx, needs_masks=True),
    "masks": Format("images", BOTH, _masks, _lists("splits"), needs_masks=True),
    "hf": Format(
        "images",
        BOTH,
        _rows,
        _lists("splits"),
        holds_ignored=True,
        gather=hf_files,
        by_part=True,
        readers="datasets.load_dataset(DST): images with objects, masks as run lengths",
    ),
    "webdataset": Format(
        "images",
        BOTH,
        _rows,
        _lists("splits"),
        holds_ignored=True,
        gather=webdataset_files,
        is_gathered=True,
        readers="webdataset and datasets; unpacked (tar -xf) into a folder, densesirst-gen",
    ),
    "parquet": Format(
        "images",
        BOTH,
        _rows,
        _lists("splits"),
        holds_ignored=True,
        gather=parquet_files,
        is_gathered=True,
        check=check_pyarrow,
        readers="datasets.load_dataset(DST), pandas, DuckDB; densesirst-gen does not read it again",
    ),
}
