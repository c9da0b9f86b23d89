"""Data for trainings on a machine with a GPU and no network: a folder of a few dozen megabytes.

python scripts/gpu/bundle.py OUT [--data ../shared/data] [--quality 94] [--limit N] [--toy]

Every image of SIRST v2 (the released trainval part) is stretched to 512 x 512 as trainings resize
it, and stored as JPEG. A source (SIRST v2 itself, the released DenseSIRST, and what is built of the
training images with each profile, at native size) is what it adds to these images after the same
resizing, to the gray level, so that what is pasted has the same traces of JPEG around it as all
else. No target is lost: boxes are those of native pixels, scaled; a target without a pixel under
the input's grid gets the one at its middle. The scenes to score on bring their native masks;
the library is that of the builds; what the training of the sky begins with lies beside them.

The same data, seed and versions give the same bytes. ``--toy`` is the demo at 64 x 64.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.donors import make_library
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.datasets import Dataset, read_dataset, read_split
from densesirst_gen.datasets.demo.dataset import demo_dataset
from densesirst_gen.detection.detectors.base import ImageMeta, to_input_boxes
from densesirst_gen.detection.training.data import Sample, fitted, resize, sampled
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene

SIDE = 512
TOY_SIDE, TOY_SCENES, TOY_PROFILES = 64, 3, ("bag-cp",)
QUALITY = 94
SEED = 0
BACKGROUNDS, RELEASED = "none", "released"
"""Sources that are not built: SIRST v2 with nothing pasted, and DenseSIRST as it was released."""
BASE, LIBRARY, SKY_START = "base.npz", "library.npz", "sky_start.npz"


def main(argv: Sequence[str] | None = None) -> None:
    """Write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    default = os.environ.get("DENSESIRST_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--quality", type=int, default=QUALITY, help="of JPEG")
    parser.add_argument("--limit", type=int, help="scenes of each split [all]")
    parser.add_argument("--toy", action="store_true", help="the demo, small")
    args = parser.parse_args(argv)
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = _toy(Path(folder)) if args.toy else _real(args.data, Path(folder))
        told = write(args.out, data.cut(args.limit), Path(folder), args.quality)
    print(json.dumps(told))


@dataclass(frozen=True)
class Data:
    """What a bundle is made of.

    Parameters
    ----------
    backgrounds, released : Dataset
        The same scenes, without and with what was pasted for the release.
    splits : dict of str to list of str
        ``train`` and ``val``.
    side : int
        Of the inputs.
    profiles : tuple of str
        What is built.
    """

    backgrounds: Dataset
    released: Dataset
    splits: dict[str, list[str]]
    side: int
    profiles: tuple[str, ...] = tuple(PROFILES)

    def cut(self, limit: int | None) -> Data:
        """The first scenes of each split."""
        return replace(self, splits={k: names[:limit] for k, names in self.splits.items()})

    def to_train_on(self) -> Dataset:
        """The backgrounds of the training split."""
        train = set(self.splits["train"])
        scenes = tuple(s for s in self.backgrounds.scenes if s.name in train)
        return replace(self.backgrounds, scenes=scenes, splits={}, absent=())

    @property
    def names(self) -> list[str]:
        """Of all scenes, those to train on first."""
        return [*self.splits["train"], *self.splits["val"]]


def _real(data: Path, folder: Path) -> Data:
    command = [sys.executable, str(data / "make_densesirst.py"), str(folder / "released")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    dense = data / "densesirst"
    backgrounds = read_dataset(data / "sirstv2", sky_dir=dense / "SkySeg" / "BinaryMask")
    names = [scene.name for scene in backgrounds.scenes]
    splits = {
        part: list(read_split(dense / "Splits" / f"{part}_v2.txt", names))
        for part in ("train", "val")
    }
    return Data(backgrounds, read_dataset(folder / "released"), splits, SIDE)


def _toy(folder: Path) -> Data:
    scenes = demo_dataset().scenes[:TOY_SCENES]
    demo = Dataset(Path("demo"), "demo", scenes)
    build_dataset(demo, folder / "released", Recipe(PROFILES["bag-cp"], seed=1))
    names = [scene.name for scene in scenes]
    splits = {"train": names[:-1], "val": names[-1:]}
    return Data(demo, read_dataset(folder / "released"), splits, TOY_SIDE, TOY_PROFILES)


# ---- writing


def write(out: Path, data: Data, folder: Path, quality: int) -> dict[str, Any]:
    """Write base and sources; gives what they are, for people.

    Parameters
    ----------
    out : Path
        Folder.
    data : Data
    folder : Path
        For what is built meanwhile.
    quality : int
        Of JPEG.
    """
    out.mkdir(parents=True, exist_ok=True)
    looked = [
        (_input(scene, data.side), _sky(scene, data.side), scene.shape)
        for scene in _scenes(data.backgrounds, data.names)
    ]
    base, skies, sizes = zip(*looked, strict=True)
    jpegs = [_jpeg(image, quality) for image in base]
    _save(
        out / BASE,
        names=np.array(data.names),
        sizes=np.array(sizes, np.int32),
        n_train=np.array(len(data.splits["train"])),
        side=np.array(data.side),
        sky=np.packbits(np.stack(skies), axis=-1),
        **_ragged("jpeg", [np.frombuffer(jpeg, np.uint8) for jpeg in jpegs], np.uint8),
    )
    if data.side == SIDE:
        _save(out / SKY_START, **sky_start())
    make_library(data.to_train_on(), "targets").save(out / LIBRARY)
    told = {"scenes": len(base), "jpeg": _errors(base, jpegs), "sources": {}}
    for name, dataset, names in _sources(data, folder):
        rows = [data.names.index(n) for n in names]
        told["sources"][name] = _write_source(
            out / f"{name}.npz", _scenes(dataset, names), rows, base
        )
    told["bytes"] = {path.name: path.stat().st_size for path in sorted(out.glob("*.npz"))}
    (out / "bundle.json").write_text(json.dumps(told, indent=1) + "\n")
    return told


def sky_start() -> dict[str, np.ndarray]:
    """What the training of the sky begins with, in half precision: its encoder knows ImageNet."""
    from sky_model import pretrained

    torch.manual_seed(SEED)
    state = pretrained().state_dict()
    return {
        name: value.half().numpy() if value.is_floating_point() else value.numpy()
        for name, value in state.items()
    }


def _sources(data: Data, folder: Path) -> Iterator[tuple[str, Dataset, list[str]]]:
    """Name, dataset and scenes of each; those that are built have training scenes only."""
    yield BACKGROUNDS, data.backgrounds, data.splits["train"]
    yield RELEASED, data.released, data.names
    backgrounds = data.to_train_on()
    for profile in data.profiles:
        print(f"building {profile}", file=sys.stderr)
        build_dataset(backgrounds, folder / profile, Recipe(PROFILES[profile], seed=SEED))
        yield profile, read_dataset(folder / profile), data.splits["train"]


def _scenes(dataset: Dataset, names: Iterable[str]) -> Iterator[Scene]:
    files = {file.name: file for file in dataset.scenes}
    return (files[name].load() for name in names)


def _write_source(
    path: Path, scenes: Iterable[Scene], rows: Sequence[int], base: Sequence[np.ndarray]
) -> dict[str, int]:
    added, targets, boxes, native = [], [], [], []
    for scene, row in zip(scenes, rows, strict=True):
        side = len(base[row])
        added.append(_sparse(_input(scene, side).astype(np.int16) - base[row]))
        labels, found = input_targets(scene.labels, _meta(scene, side))
        targets.append(_sparse(labels))
        boxes.append(found)
        native.append(_sparse(scene.labels))
    _save(
        path,
        rows=np.array(rows, np.int32),
        **_pair("added", added, np.int16),
        **_pair("targets", targets, np.uint16),
        **_pair("native", native, np.uint16),
        **_ragged("boxes", boxes, np.float32),
    )
    alive = sum(len(np.unique(values)) for _, values in targets)
    return {"scenes": len(rows), "targets": sum(map(len, boxes)), "with pixels": alive}


def _meta(scene: Scene, side: int) -> ImageMeta:
    return fitted(scene.shape, side, "stretch")


def _input(scene: Scene, side: int) -> np.ndarray:
    """The image as a training resizes it, in bytes."""
    values = resize(scene.gray(np.float32), (side, side))
    return values.clip(0, 255).round().astype(np.uint8)


def _sky(scene: Scene, side: int) -> np.ndarray:
    assert scene.sky is not None, f"{scene.name} has no sky mask"
    return sampled(scene.sky, _meta(scene, side), (side, side))


def input_targets(labels: np.ndarray, meta: ImageMeta) -> tuple[np.ndarray, np.ndarray]:
    """Labels and boxes in an input; of every target at least a pixel, where one is free for it.

    Parameters
    ----------
    labels : ndarray, (H, W), int32
    meta : ImageMeta

    Returns
    -------
    ndarray, (h, w), int32
        Those under the middles of the input's pixels. A target that has none gets the pixel under
        the middle of its box, or a neighbour of it, if that is another's.
    ndarray, (N, 4), float32
    """
    native = torch.from_numpy(annotate(labels).boxes).float().reshape(-1, 4)
    boxes = to_input_boxes(native, meta).numpy()
    found = sampled(labels, meta, meta.resized).copy()
    for k in sorted(set(range(1, len(boxes) + 1)) - set(np.unique(found).tolist())):
        x0, y0, x1, y1 = boxes[k - 1]
        free = _free_near(found, (y0 + y1) / 2, (x0 + x1) / 2)
        if free is not None:
            found[free] = k
    return found, boxes


def _free_near(labels: np.ndarray, row: float, col: float) -> tuple[int, int] | None:
    """The nearest background pixel of the 3 x 3 around a point, in pixel edges."""
    height, width = labels.shape
    middle = min(int(row), height - 1), min(int(col), width - 1)
    around = [
        (r, c)
        for r in range(max(0, middle[0] - 1), min(height, middle[0] + 2))
        for c in range(max(0, middle[1] - 1), min(width, middle[1] + 2))
        if labels[r, c] == 0
    ]
    return min(
        around, key=lambda p: (p[0] + 0.5 - row) ** 2 + (p[1] + 0.5 - col) ** 2, default=None
    )


def _jpeg(image: np.ndarray, quality: int) -> bytes:
    done, content = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    return content.tobytes()


def _errors(base: Sequence[np.ndarray], jpegs: Sequence[bytes]) -> dict[str, float]:
    """How far images are from what was stored, gray levels."""
    errors = [
        np.abs(_decoded(np.frombuffer(jpeg, np.uint8)).astype(int) - image)
        for image, jpeg in zip(base, jpegs, strict=True)
    ]
    return {
        "mean error": round(float(np.mean([e.mean() for e in errors])), 3),
        "greatest error": int(max(e.max() for e in errors)),
    }


def _decoded(content: np.ndarray) -> np.ndarray:
    return cv2.imdecode(content, cv2.IMREAD_GRAYSCALE)


def _sparse(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where an array is not 0, and what it is there."""
    index = np.flatnonzero(values)
    return index.astype(np.int32), values.ravel()[index]


def _ragged(name: str, rows: Sequence[np.ndarray], dtype: type) -> dict[str, np.ndarray]:
    """Arrays of any length as one, and where each begins."""
    offsets = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return {name: np.concatenate(rows).astype(dtype), f"{name}_offsets": offsets}


def _pair(
    name: str, rows: Sequence[tuple[np.ndarray, np.ndarray]], dtype: type
) -> dict[str, np.ndarray]:
    where, what = zip(*rows, strict=True)
    return {**_ragged(f"{name}_at", where, np.int32), **_ragged(name, what, dtype)}


def _save(path: Path, **arrays: np.ndarray) -> None:
    with path.open("wb") as file:  # a file of numpy's own naming says no time of writing
        np.savez_compressed(file, **arrays)


# ---- reading


@dataclass(frozen=True, eq=False)
class Base:
    """The images of a bundle.

    Parameters
    ----------
    names : list of str
    sizes : ndarray, (N, 2), int
        Of the native images.
    n_train : int
        The first ones are to be trained on, the others to be scored on.
    images, sky : ndarray, (N, side, side), uint8, bool
    """

    names: list[str]
    sizes: np.ndarray
    n_train: int
    images: np.ndarray
    sky: np.ndarray

    @property
    def side(self) -> int:
        """Of the inputs."""
        return self.images.shape[1]

    def meta(self, row: int) -> ImageMeta:
        """How an input was made."""
        height, width = (int(n) for n in self.sizes[row])
        return ImageMeta((height, width), (self.side / height, self.side / width))


def read_base(folder: Path) -> Base:
    """The images of a bundle, decoded."""
    with np.load(folder / BASE) as stored:
        side = int(stored["side"])
        images = [_decoded(part) for part in _parts(stored, "jpeg")]
        sky = np.unpackbits(stored["sky"], axis=-1, count=side).astype(bool)
        return Base(
            [str(name) for name in stored["names"]],
            stored["sizes"],
            int(stored["n_train"]),
            np.stack(images),
            sky,
        )


@dataclass(frozen=True, eq=False)
class Source:
    """Scenes of one origin: rows of the base, and what they are there.

    Parameters
    ----------
    name : str
    rows : list of int
    samples : list of Sample
        Inputs to train on; of the rows to score on with their native scene.
    """

    name: str
    rows: list[int]
    samples: list[Sample]


def read_source(folder: Path, name: str, base: Base, wanted: Sequence[int] | None = None) -> Source:
    """The scenes of an origin.

    Parameters
    ----------
    folder : Path
    name : str
    base : Base
    wanted : sequence of int, optional
        Rows of the base; by default all that it has.
    """
    with np.load(folder / f"{name}.npz") as stored:
        arrays = {key: stored[key] for key in stored.files}
    rows = [int(row) for row in arrays["rows"]]
    kept = set(rows if wanted is None else wanted)
    added = _pairs(arrays, "added")
    targets = _pairs(arrays, "targets")
    native = _pairs(arrays, "native")
    boxes = _parts(arrays, "boxes")
    samples = [
        _sample(base, row, *parts)
        for row, *parts in zip(rows, added, targets, native, boxes, strict=True)
        if row in kept
    ]
    return Source(name, [row for row in rows if row in kept], samples)


def _sample(base: Base, row: int, added: Any, targets: Any, native: Any, boxes: Any) -> Sample:
    shape = base.images.shape[1:]
    image = base.images[row].astype(np.int16) + _dense(added, shape, np.int16)
    image = image.clip(0, 255).astype(np.uint8)
    meta, labels = base.meta(row), _dense(targets, shape, np.int32)
    scene = None
    if row >= base.n_train:
        grown = cv2.resize(image, meta.size[::-1], interpolation=cv2.INTER_LINEAR)
        scene = Scene(base.names[row], grown, _dense(native, meta.size, np.int32))
    return Sample(
        torch.from_numpy(image.astype(np.float32) / 255)[None],
        torch.from_numpy(np.asarray(boxes, np.float32).reshape(-1, 4)),
        torch.from_numpy(labels),
        torch.from_numpy(base.sky[row].astype(np.uint8)),
        meta,
        scene,
    )


def source_names(folder: Path) -> list[str]:
    """The origins that a bundle has."""
    return sorted(p.stem for p in folder.glob("*.npz") if p.name not in (BASE, LIBRARY, SKY_START))


def _dense(pair: tuple[np.ndarray, np.ndarray], shape: tuple[int, ...], dtype: type) -> np.ndarray:
    values = np.zeros(shape, dtype)
    values.ravel()[pair[0]] = pair[1]
    return values


def _parts(stored: Any, name: str) -> list[np.ndarray]:
    values, offsets = stored[name], stored[f"{name}_offsets"]
    return [values[a:b] for a, b in pairwise(offsets)]


def _pairs(stored: Any, name: str) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(zip(_parts(stored, f"{name}_at"), _parts(stored, name), strict=True))


if __name__ == "__main__":
    main()
