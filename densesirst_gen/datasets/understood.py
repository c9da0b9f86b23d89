"""What was understood of a dataset: for people in lines, for programs as plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from densesirst_gen.datasets.dataset import Dataset, SceneFile
from densesirst_gen.datasets.parts.splits import donor_scenes
from densesirst_gen.datasets.paths import DatasetError
from densesirst_gen.files.images.codec import CodecError, read_head

N_OPENED = 64


@dataclass(frozen=True)
class Understood:
    """What a dataset is, without decoding it.

    Parameters
    ----------
    root, layout : str
    n_images, n_masks, n_skies : int
        Scenes, and how many of them have a target mask and a sky mask.
    splits : dict of str to int
        Split -> scenes in it.
    n_donors : int
        Scenes that may give targets.
    counts : dict of str to str
        Dtype -> black and white, of images that are not 8 bits deep.
    depths, sizes : dict of str to int
        Of a sample of at most 64 images: "8 bit" and "96 x 96" -> how many.
    notes : tuple of str
        What was passed over or decided.
    n_boxes, n_points : int
        Targets that are known by these only, without masks.
    """

    root: str
    layout: str
    n_images: int
    n_masks: int
    n_skies: int
    splits: dict[str, int] = field(default_factory=dict)
    n_donors: int = 0
    depths: dict[str, int] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    n_boxes: int = 0
    n_points: int = 0

    def line(self) -> str:
        """In short: ``folders: 4 images, 4 masks; train 2, test 2; 8 bit``."""
        parts = [f"{self.layout}: {self.n_images:,} images, {self._marked()}"]
        if self.splits:
            parts.append(", ".join(f"{split} {n:,}" for split, n in self.splits.items()))
        if self.depths:
            parts.append(", ".join(self.depths))
        parts += [f"{kind} {text}" for kind, text in self.counts.items()]
        return "; ".join(parts)

    def _marked(self) -> str:
        masks = f"{self.n_masks:,} masks" if self.n_masks else "no labels"
        masks = self._unmasked() or masks
        return masks + (f", {self.n_skies:,} sky masks" if self.n_skies else "")

    def _unmasked(self) -> str:
        """Such as "8 boxes"; empty where targets have masks."""
        if self.n_boxes:
            return f"{self.n_boxes:,} boxes"
        return f"{self.n_points:,} points" if self.n_points else ""

    def lines(self) -> list[str]:
        """A line for each thing, then the notes."""
        rows = {
            "layout": self.layout,
            "images": "; ".join(
                filter(None, (f"{self.n_images:,}", _counts(self.depths), _counts(self.sizes)))
            ),
            "values": "; ".join(f"{kind} {text}" for kind, text in self.counts.items())
            or "0 to 255",
            "targets": self._targets(),
            "sky": f"{self.n_skies:,} images have a mask" if self.n_skies else "not annotated",
            "splits": ", ".join(f"{s} {n:,}" for s, n in self.splits.items()) or "none",
            "donors": f"{self.n_donors:,} images may give targets",
        }
        return [f"{name:9}{text}" for name, text in rows.items()] + [
            f"note     {note}" for note in self.notes
        ]

    def _targets(self) -> str:
        if unmasked := self._unmasked():
            return f"{unmasked} and no masks; {self.n_masks:,} images are annotated"
        return f"{self.n_masks:,} images have a mask" if self.n_masks else "no labels"


def in_a_line(dataset: Dataset) -> str:
    """See `Understood.line`; opens the heads of some images."""
    return _understood(dataset).line()


def understand(dataset: Dataset) -> Understood:
    """Say what a dataset is; opens the heads of some images, decodes up to 100 masks."""
    try:
        n_donors, extra = len(donor_scenes(dataset)), []
    except DatasetError as error:
        n_donors, extra = 0, [str(error)]
    found = _understood(dataset)
    return replace(found, n_donors=n_donors, notes=(*dataset.notes(), *extra))


def _understood(dataset: Dataset) -> Understood:
    """Without donors and notes."""
    depths, sizes = _heads(dataset.scenes)
    meant = {kind: found.text() for kind, found in dataset.counts.items() if kind != "uint8"}
    return Understood(
        str(dataset.root),
        dataset.layout,
        len(dataset.scenes),
        sum(scene.has_labels for scene in dataset.scenes),
        sum(scene.sky is not None for scene in dataset.scenes),
        {split: len(names) for split, names in dataset.splits.items()},
        depths=depths,
        counts=meant,
        sizes=sizes,
        n_boxes=sum(len(scene.boxes) for scene in dataset.scenes),
        n_points=sum(len(scene.points) for scene in dataset.scenes),
    )


def _heads(scenes: Sequence[SceneFile]) -> tuple[dict[str, int], dict[str, int]]:
    """Depths and sizes of a sample, the most frequent first."""
    depths, sizes = Counter[str](), Counter[str]()
    files = [scene for scene in scenes if scene.files()]
    for scene in files[:: max(1, len(files) // N_OPENED)][:N_OPENED]:
        try:
            head = read_head(scene.image)
        except CodecError:
            depths["unreadable"] += 1
        else:
            depths[head.depth] += 1
            sizes[f"{head.width} x {head.height}"] += 1
    return dict(depths.most_common()), dict(sizes.most_common())


def _counts(table: dict[str, int]) -> str:
    """The most frequent few."""
    names = list(table)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} others" if len(names) > 3 else "")


def datasets_below(root: Path, read: Any) -> list[tuple[Path, Dataset]]:
    """Datasets one or two levels below a folder that is none itself.

    Parameters
    ----------
    root : Path
    read : callable
        `densesirst_gen.read_dataset`.
    """
    found = []
    for folder in sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")):
        try:
            found.append((folder, read(folder)))
        except DatasetError:
            inner = sorted(p for p in folder.iterdir() if p.is_dir())
            found += [(p, d) for p in inner if (d := _readable(p, read)) is not None]
    return found


def _readable(folder: Path, read: Any) -> Dataset | None:
    try:
        dataset: Dataset = read(folder)
    except DatasetError:
        return None
    return dataset
