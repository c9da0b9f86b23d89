"""Labels of YOLO: for each image a text file, a line for each target; boxes or polygons.

``labels/train/a.txt`` belongs to ``images/train/a.png``. A line is a class and ``xc yc w h``, or
the corners of a polygon, in fractions of the image. An image without file, or with an empty one,
has no target. ``data.yaml`` names the classes and the parts, ``classes.txt`` the classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from densesirst_gen.datasets.dataset import Dataset, Splits
from densesirst_gen.datasets.findings import Findings
from densesirst_gen.datasets.found.inventory import Inventory, counted
from densesirst_gen.datasets.grammar.data_yaml import DataYaml, read_data_yaml
from densesirst_gen.datasets.layouts.shapes import Labels, Shape, dataset_of, label_files, size_of
from densesirst_gen.datasets.parts.split_words import part_of
from densesirst_gen.datasets.parts.splits import read_split
from densesirst_gen.datasets.paths import DatasetError, examples
from densesirst_gen.datasets.read_as import AS_FOUND, ReadAs
from densesirst_gen.files.regular import read_bytes

EXPECTS = "images, and a text file of YOLO for each, beside it or in labels/"
BOX, SCORED, POLYGON = 5, 6, 7
"""Words of a line: a box, a box with a confidence, a polygon from that on."""
BROKEN = "lines are no box and no polygon of YOLO, left out"


def matches(inventory: Inventory) -> bool:
    """Whether there are images and text files of YOLO's grammar."""
    return bool(inventory.images) and bool(inventory.labels.get("YOLO"))


def read(inventory: Inventory, given: ReadAs = AS_FOUND) -> Dataset:
    """The images with what their text files say."""
    images, files, note = label_files(inventory, "YOLO")
    if not images:
        raise DatasetError(f"{inventory.root}: no images in the yolo layout")
    told = read_data_yaml(inventory.root)
    if told.is_pose:
        raise DatasetError(
            f"{inventory.root}: labels of poses (kpt_shape in its YAML file): boxes with keypoints "
            "are not read; export boxes"
        )
    labels = Labels(images, {}, {})
    findings, shapes = Findings(), {}
    for name in images:
        lines = _lines(files[name]) if name in files else []
        where = inventory.relative(files[name]) if name in files else ""
        size = size_of(labels, name) if lines else (0, 0)
        shapes[name] = [s for line in lines if (s := _shape(line, size, told, where, findings))]
    remarks = [f"yolo: {line}" for line in findings.lines()] + [note] * bool(note)
    bare = [name for name in images if name not in files]
    if bare:
        remarks.append(
            f"{len(bare)} images have no text file or an empty one, without targets as YOLO takes "
            f"it: {examples(bare)}"
        )
    remarks.append(f"yolo: labels read, {counted(files.values(), inventory.root)}")
    made = Labels(images, shapes, labels.sizes, remarks)
    return dataset_of(inventory, "yolo", made, given, _splits(inventory.root, images, told))


def _lines(path: Path) -> list[list[str]]:
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path}: not a readable UTF-8 text ({error})") from error
    return [words for line in text.splitlines() if (words := line.split())]


def _shape(
    words: Sequence[str],
    size: tuple[int, int],
    told: DataYaml,
    where: str,
    findings: Findings,
) -> Shape | None:
    height, width = size
    try:
        category = told.names.get(int(words[0]), f"class {int(words[0])}")
        values = [float(word) for word in words[1:]]
    except ValueError:
        values = []
    if len(words) == SCORED and values:
        raise DatasetError(
            f"{where}: lines of six numbers are what a detector found, with confidences, and no "
            "labels: predictions are given to evaluate"
        )
    if len(words) == BOX and values:
        x, y, w, h = (v * n for v, n in zip(values, (width, height, width, height), strict=True))
        return Shape(category, (x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    if len(words) >= POLYGON and len(words) % 2 and values:
        return Shape(category, segmentation=[_scaled(values, size)])
    findings.add(BROKEN, f"{' '.join(words)[:60]!r} in {where}")
    return None


def _scaled(values: Sequence[float], size: tuple[int, int]) -> list[float]:
    height, width = size
    return [value * (height if k % 2 else width) for k, value in enumerate(values)]


def _splits(root: Path, images: Mapping[str, Path], told: DataYaml) -> Splits:
    """By ``data.yaml``: folders of images, or lists."""
    splits: Splits = {}
    for part, places in told.parts.items():
        members: list[str] = []
        for place in places:
            if (file := _below(root, place)) is not None and file.is_file():
                members += read_split(file, images, strict=False)
            else:
                members += [n for n, path in images.items() if _lies_in(path, root, place)]
        if members:
            splits[part] = tuple(dict.fromkeys(members))
    return splits if any(map(part_of, splits)) else {}


def _below(root: Path, place: str) -> Path | None:
    """The file in the dataset that a path of another place means, by its end."""
    parts = [part for part in place.split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        if (found := root.joinpath(*parts[start:])).exists():
            return found
    return None


def _lies_in(path: Path, root: Path, place: str) -> bool:
    folder = _below(root, place)
    return folder is not None and path.is_relative_to(folder)
