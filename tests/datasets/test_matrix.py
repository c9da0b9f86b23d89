"""Folders, suffixes, lists and words at random: read right, refused by name, or noted."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densesirst_gen.datasets import DatasetError, read_dataset
from densesirst_gen.datasets.parts.splits import donor_scenes

SIDE = 48
BOX = (10, 20, 14, 23)
STEMS = {
    "plain": "Misc_{}",
    "numbers": "{:05}",
    "spaces": "scene {}",
    "dots": "x.{}",
    "sequence": "s1/{:04}",
}
IMAGES = (
    "images", "img", "IRSTD1k_Img", "JPEGImages", "Ver_image", "frames", "data/imgs",
    "train_images",
)  # fmt: skip
MASKS = (
    "masks", "mask", "gt", "IRSTD1k_Label", "Ver_lable", "SegmentationClass", "annotations/mask",
    "GroundTruth", "truth", "zzz", "train_masks",
)  # fmt: skip
MARKS = ("", "_pixels0", "_mask", "_gt", "_label")
IMAGE_SUFFIXES = (".png", ".bmp", ".jpg", ".tif", ".PNG")
MASK_SUFFIXES = (".png", ".bmp", ".gif", ".webp", ".tif")
TRAIN = ("train", "Train", "training", "trainset", "TRAIN", "train_X", "X_train", "trn", "split_a")
TEST = ("test", "Test", "testing", "testset", "TEST", "test_X", "X_test", "tst", "split_b")
PLACES = ("{}.txt", "img_idx/{}.txt", "ImageSets/Main/{}.txt", "50_50/{}.txt", "{}.lst", "lists/{}")
LINES = (
    "{name}", "{name}.png", "{folder}/{name}.png", "/data/me/{folder}/{name}.jpg", "./{name}",
    "{name} 1", "{name},0.5", '"{name}"', "images\\{name}.png",
)  # fmt: skip
NOT_READ = (".gif", ".webp")
NO_WORD = ("split_a", "split_b")


def picture(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    image = 80 + 30 * np.linspace(0, 1, SIDE)[:, None] + rng.normal(0, 3, (SIDE, SIDE))
    x0, y0, x1, y1 = BOX
    image[y0:y1, x0:x1] += 90
    return image.clip(0, 255).astype(np.uint8)


def mask() -> np.ndarray:
    white = np.zeros((SIDE, SIDE), np.uint8)
    x0, y0, x1, y1 = BOX
    white[y0:y1, x0:x1] = 255
    return white


def put(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"lossless": True} if path.suffix == ".webp" else {}
    Image.fromarray(values).save(path, **options)


@dataclass(frozen=True)
class Variant:
    """A dataset of six scenes with a target each, the last two of them held back."""

    stem: str
    images: str
    masks: str
    mark: str
    image_suffix: str
    mask_suffix: str
    words: tuple[str, str] | None
    place: str
    line: str

    @classmethod
    def drawn(cls, seed: int) -> Variant:
        rng = random.Random(seed)
        words = rng.choice([*zip(TRAIN, TEST, strict=True), None])
        return cls(
            rng.choice(list(STEMS.values())), rng.choice(IMAGES), rng.choice(MASKS),
            rng.choice(MARKS), rng.choice(IMAGE_SUFFIXES), rng.choice((".png", *MASK_SUFFIXES)),
            words, rng.choice(PLACES), rng.choice(LINES),
        )  # fmt: skip

    def names(self) -> list[str]:
        return [self.stem.format(k) for k in range(6)]

    def write(self, root: Path) -> None:
        for k, name in enumerate(self.names()):
            put(root / self.images / f"{name}{self.image_suffix}", picture(k))
            put(root / self.masks / f"{name}{self.mark}{self.mask_suffix}", mask())
        for word, part in zip(self.words or (), (self.names()[:4], self.names()[4:]), strict=False):
            path = root / self.place.format(word)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(
                "".join(f"{self.line.format(name=n, folder=self.images)}\n" for n in part)
            )

    def hints(self) -> Iterator[str]:
        """What a message may name."""
        yield from (self.images, self.masks, self.mask_suffix, self.image_suffix, self.names()[0])
        yield from (word for word in self.words or ())


def verdict(root: Path, variant: Variant) -> str:
    """Right, refused, noted; else what is wrong without a word."""
    try:
        dataset = read_dataset(root)
        targets = [scene.load().n_targets for scene in dataset.scenes]
        donors = {scene.name.rpartition("/")[2] for scene in donor_scenes(dataset)}
    except DatasetError as error:
        told = any(hint in str(error) for hint in variant.hints())
        return "refused" if told else f"silent: {error}"
    wanted = variant.names()[: 4 if variant.words else 6]
    given = {name.rpartition("/")[2] for name in wanted}
    if targets == [1] * 6 and donors == given:
        return "right"
    leaked = bool(variant.words) and bool(donors - given)
    noted = any(hint in note for note in dataset.notes() for hint in variant.hints())
    if noted and not leaked:
        return "noted"
    return f"silent: {len(targets)} scenes, {sum(targets)} targets, donors {sorted(donors)}"


@pytest.mark.parametrize("seed", range(40))
def test_masks_and_lists_of_any_name(tmp_path: Path, seed: int) -> None:
    variant = Variant.drawn(seed)
    variant.write(tmp_path)
    found = verdict(tmp_path, variant)
    readable = variant.mask_suffix not in NOT_READ
    named = variant.words is None or variant.words[0] not in NO_WORD
    assert found == "right" if readable and named else found in ("right", "refused", "noted"), (
        variant
    )


# ---- labels beside images

KINDS = ("yolo", "voc", "labelme", "cvat", "coco")
CATEGORIES = ("target", "ship", "Small Target", "0", "uav")
LABEL_FOLDERS = ("labels", "Annotations", "ann", "xml", "json", "")
SPLIT_FOLDERS = (("", ""), ("train", "test"), ("training", "testing"), ("Train", "Test"))


def labelled(root: Path, seed: int) -> tuple[str, int]:
    """Write labels of some kind; give the kind, and how many images may give targets."""
    rng = random.Random(seed)
    kind, category, folder = (rng.choice(c) for c in (KINDS, CATEGORIES, LABEL_FOLDERS))
    parts, images = rng.choice(SPLIT_FOLDERS), rng.choice(IMAGES[:6])
    names = [f"{images}/{parts[k >= 4]}/f{k}".replace("//", "/") for k in range(6)]
    for k, name in enumerate(names):
        put(root / f"{name}.png", picture(k))
        if kind in ("yolo", "voc", "labelme"):
            place = name.replace(images, folder, 1) if folder else name
            one_file(root / place.lstrip("/"), kind, category, f"f{k}.png")
    if kind in ("cvat", "coco"):
        all_files(root, kind, category, [f"{name}.png" for name in names])
    return kind, 4 if parts[0] else 6


def one_file(path: Path, kind: str, category: str, image: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    x0, y0, x1, y1 = BOX
    texts = {
        "yolo": (
            ".txt",
            f"0 {(x0 + x1) / 2 / SIDE} {(y0 + y1) / 2 / SIDE} {(x1 - x0) / SIDE} "
            f"{(y1 - y0) / SIDE}\n",
        ),
        "voc": (
            ".xml",
            f"<annotation><filename>{image}</filename><object><name>{category}</name><bndbox>"
            f"<xmin>{x0 + 1}</xmin><ymin>{y0 + 1}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
            "</bndbox></object></annotation>",
        ),
        "labelme": (
            ".json",
            json.dumps(
                {
                    "version": "5.1",
                    "imagePath": image,
                    "shapes": [
                        {
                            "label": category,
                            "points": [BOX[:2], BOX[2:]],
                            "shape_type": "rectangle",
                        }
                    ],
                }
            ),
        ),
    }
    suffix, text = texts[kind]
    path.with_name(path.name + suffix).write_text(text)


def all_files(root: Path, kind: str, category: str, names: list[str]) -> None:
    x0, y0, x1, y1 = BOX
    if kind == "cvat":
        shape = f'<box label="{category}" xtl="{x0}" ytl="{y0}" xbr="{x1}" ybr="{y1}"/>'
        entries = "".join(
            f'<image id="{k}" name="{name}" width="{SIDE}" height="{SIDE}">{shape}</image>'
            for k, name in enumerate(names)
        )
        (root / "export.xml").write_text(f"<annotations>{entries}</annotations>")
        return
    document = {
        "images": [
            {"id": k, "file_name": name, "width": SIDE, "height": SIDE}
            for k, name in enumerate(names)
        ],
        "categories": [{"id": 7, "name": category}],
        "annotations": [
            {"id": k, "image_id": k, "category_id": 7, "bbox": [x0, y0, x1 - x0, y1 - y0]}
            for k, _ in enumerate(names)
        ],
    }
    (root / "export.json").write_text(json.dumps(document))


@pytest.mark.parametrize("seed", range(25))
def test_labels_of_any_kind_and_place(tmp_path: Path, seed: int) -> None:
    kind, n_donors = labelled(tmp_path, seed)
    dataset = read_dataset(tmp_path)
    assert dataset.layout == kind
    assert len(dataset.scenes) == 6
    for scene in dataset.scenes:
        np.testing.assert_allclose(scene.boxes, [BOX])
    assert len(donor_scenes(dataset)) == n_donors
