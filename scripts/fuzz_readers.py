"""What is to be fuzzed of the method and of detection: for each reader a good file and its errors.

A reader is called with the content of a file, and either reads it or raises one of its own errors.
Containers that guard their content by checksums (.npz) are also opened from inside: what is mutated
then is one array, put into a whole container again.
"""

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.datasets import Dataset, read_dataset
from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.predictions import read_map, read_predictions
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.codec import CodecError, encode_png
from densesirst_gen.paste.config import PROFILES, toml_config, toml_text
from densesirst_gen.paste.extract import build_library
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.plan_rules import PlanError
from densesirst_gen.paste.planner import make_plan
from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.scene import Scene
from densesirst_gen.settings import ConfigError

NAMES = ("a", "b7", "c c")
NOT_JSON = (json.JSONDecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True)
class Reader:
    """One reader.

    Parameters
    ----------
    seed : bytes
        A good file.
    read : callable
        Takes the content of a file.
    errors : tuple of exception types
        What it may raise of a bad one.
    """

    seed: bytes
    read: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]


@cache
def readers() -> dict[str, Reader]:
    """All by name; those of trained detectors only where torch is installed."""
    found = {
        "plan": Reader(_plan(), lambda b: PastePlan.from_json(json.loads(b)), _json(PlanError)),
        "config": Reader(toml_text(PROFILES["paper"]).encode(), toml_config, (ConfigError,)),
        "library": Reader(_library(), _by_file("a.npz", TargetLibrary.load), (LibraryError,)),
    }
    for name in ("patches", "masks", "sizes", "sources", "left_out", "kind"):
        found[f"library {name}"] = Reader(
            _member(name), partial(_with_member, name), (LibraryError,)
        )
    for name, content in _results().items():
        found[f"results {name}"] = Reader(content, _by_file(name, _predictions), (PredictionError,))
    for name, content in _maps().items():
        found[f"map {name}"] = Reader(
            content, _by_file(name, read_map), (PredictionError, CodecError)
        )
    return found | (_trained() if find_spec("torch") and find_spec("safetensors") else {})


def _json(error: type[Exception]) -> tuple[type[Exception], ...]:
    return (error, *NOT_JSON)


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="fuzz-")  # goes with the process


def _by_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    """A reader of a path, for content."""

    def call(content: bytes) -> object:
        path = Path(_folder().name) / name
        path.write_bytes(content)
        return read(path)

    return call


def _scene(name: str = "a") -> Scene:
    rng = np.random.default_rng(len(name))
    image, mask = rng.normal(60, 2, (48, 64)), np.zeros((48, 64), bool)
    for row, col in ((8, 8), (20, 30), (35, 50)):
        mask[row : row + 3, col : col + 3] = True
    image[mask] += 90
    return Scene(name, image.clip(0, 255).astype(np.uint8), label_mask(mask), mask | True)


# ---- of the method


def _plan() -> bytes:
    library, rng = build_library([_scene()]), np.random.default_rng(0)
    plan = make_plan(_scene(), library, PROFILES["bag-cp"], rng)
    return json.dumps(plan.to_json()).encode()


@cache
def _library() -> bytes:
    buffer = io.BytesIO()
    build_library([_scene()]).write(buffer)
    return buffer.getvalue()


@cache
def _members() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(_library())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _member(name: str) -> bytes:
    return _members()[f"{name}.npy"]


def _with_member(name: str, content: bytes) -> object:
    """A library with another array in it, its checksum right."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, own in {**_members(), f"{name}.npy": content}.items():
            archive.writestr(member, own)
    return _by_file("b.npz", TargetLibrary.load)(buffer.getvalue())


# ---- what other detectors have found


@cache
def _dataset() -> Dataset:
    root = Path(_folder().name) / "data"
    for name in NAMES:
        scene = _scene(name)
        mask = (scene.labels > 0).astype(np.uint8) * np.uint8(255)
        files = (("images", scene.image), ("masks", mask))
        write_files(root, [(f"{part}/{name}.png", encode_png(v)) for part, v in files])
    return read_dataset(root)


def _predictions(path: Path) -> object:
    return read_predictions(path, _dataset(), NAMES)


def _results() -> dict[str, bytes]:
    """The same boxes in the files that are read."""
    rows = [
        (name, x0, y0, x1, y1)
        for name in NAMES
        for x0, y0, x1, y1 in annotate(_scene(name).labels).boxes.tolist()
    ]
    records = [
        {"image_id": n, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": 0.9}
        for n, x0, y0, x1, y1 in rows
    ]
    images = [{"id": k, "file_name": f"{n}.png"} for k, n in enumerate(NAMES)]
    document = {
        "images": images,
        "annotations": [{**r, "image_id": NAMES.index(r["image_id"])} for r in records],
    }
    lines = [f"{n},{x0},{y0},{x1},{y1},0.9" for n, x0, y0, x1, y1 in rows]
    voc = [f"{n.split()[0]} 0.9 {x0} {y0} {x1} {y1}" for n, x0, y0, x1, y1 in rows]
    return {
        "list.json": json.dumps(records).encode(),
        "document.json": json.dumps(document).encode(),
        "boxes.csv": "\n".join(["image,x1,y1,x2,y2,score", *lines]).encode(),
        "comp4_det_test_target.txt": "\n".join(voc).encode(),
    }


def _maps() -> dict[str, bytes]:
    from scipy.io import savemat

    prob = (_scene().labels > 0).astype(np.float32)
    array, matrix, old = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.save(array, prob)
    savemat(matrix, {"name": "text", "prob": prob})
    savemat(old, {"prob": prob}, format="4")
    return {
        "map.npy": array.getvalue(),
        "map.mat": matrix.getvalue(),
        "map_v4.mat": old.getvalue(),
        "map.png": encode_png((prob * 255).astype(np.uint8)),
    }


# ---- our own detectors


def _trained() -> dict[str, Reader]:
    from densesirst_gen.detection.training.about import CheckpointError, checked_about
    from densesirst_gen.detection.training.checkpoint import load_checkpoint

    weights = _weights()
    about = json.dumps(_about(weights)).encode()
    errors = (CheckpointError,)
    return {
        "weights": Reader(weights, _by_file("a.safetensors", load_checkpoint), errors),
        "weights about": Reader(
            about,
            lambda b: checked_about(Path("a"), b.decode("utf-8", "replace")),
            errors,
        ),
        "resume": Reader(_resume(), _read_resume, errors),
    }


def _detector() -> Any:
    from densesirst_gen.detection.detectors import build_detector

    return build_detector("serankdet", base_width=8)


def _weights() -> bytes:
    from densesirst_gen.detection.training.checkpoint import weights_bytes

    return weights_bytes(_detector(), {"detector": "serankdet", "size": 64, "fit": "keep"})


def _about(weights: bytes) -> Any:
    """What a safetensors file says of itself: its first 8 bytes are the length of its header."""
    header = json.loads(weights[8 : 8 + int.from_bytes(weights[:8], "little")])
    return json.loads(header["__metadata__"]["about"])


def _resume() -> bytes:
    import torch

    buffer = io.BytesIO()
    progress = {"epoch": 1, "step": 4, "best": {"epoch": 1, "score": 0.5}, "history": [{}]}
    torch.save({"detector": {"a": torch.ones(3)}, "progress": json.dumps(progress)}, buffer)
    return buffer.getvalue()


def _read_resume(content: bytes) -> object:
    from densesirst_gen.detection.training.checkpoint import RESUME, Store
    from densesirst_gen.files.folder import BuildFolder

    folder = BuildFolder(Path(_folder().name) / "run", {})
    folder.state.mkdir(parents=True, exist_ok=True)
    (folder.state / RESUME).write_bytes(content)
    return Store(folder, {}).resume_state()
