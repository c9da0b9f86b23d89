"""What is fuzzed of our own files: of the method, of builds, of statistics and of detection.

Containers that guard their content by checksums (.npz) are also opened from inside: what is damaged
then is one array, put into a whole container again.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from fuzz_inputs import Reader, written

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.finished import finished_summary
from densesirst_gen.build.inputs import noted_inputs
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.build.record import Record, records_of
from densesirst_gen.build.replay import replay
from densesirst_gen.datasets import Dataset, DatasetError, read_dataset
from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.predictions import read_map, read_predictions
from densesirst_gen.files.atomic import OutputError, RefusedError
from densesirst_gen.files.checksums import read_checksums
from densesirst_gen.files.folder import BuildFolder, journal_line, locked
from densesirst_gen.files.images.codec import CodecError, encode_png
from densesirst_gen.paste.config import PROFILES, toml_config, toml_text
from densesirst_gen.paste.extract import build_library
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.plan_rules import PlanError
from densesirst_gen.paste.planner import make_plan
from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.scene import Scene
from densesirst_gen.settings import ConfigError
from densesirst_gen.stats.saved import SCHEMA, StatsFileError, read_saved, tables_document
from densesirst_gen.stats.tables import dataset_stats

NAMES = ("a", "b7", "c c")
D = "0" * 64
NOT_JSON = (json.JSONDecodeError, UnicodeDecodeError, RecursionError)
OF_A_BUILD = (OutputError, RefusedError, DatasetError, LibraryError)


def by_file(name: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    """A reader of a path, for content."""
    return lambda folder, data: read(written(folder, name, data))


def only(make: Callable[[], bytes]) -> Callable[[], list[bytes]]:
    """Seeds: one."""
    return lambda: [make()]


def scene(name: str = "a") -> Scene:
    rng = np.random.default_rng(len(name))
    image, mask = rng.normal(60, 2, (48, 64)), np.zeros((48, 64), bool)
    for row, col in ((8, 8), (20, 30), (35, 50)):
        mask[row : row + 3, col : col + 3] = True
    image[mask] += 90
    return Scene(name, image.clip(0, 255).astype(np.uint8), label_mask(mask), mask | True)


# ---------------------------------------------------------------- the method


def plan() -> bytes:
    library, rng = build_library([scene()]), np.random.default_rng(0)
    made = make_plan(scene(), library, PROFILES["bag-cp"], rng)
    return json.dumps(made.to_json()).encode()


@cache
def library() -> bytes:
    buffer = io.BytesIO()
    build_library([scene()]).write(buffer)
    return buffer.getvalue()


@cache
def members() -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(library())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_member(name: str, folder: Path, data: bytes) -> object:
    """A library with another array in it, its checksum right."""
    path = folder / "b.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for member, own in {**members(), f"{name}.npy": data}.items():
            archive.writestr(member, own)
    return TargetLibrary.load(path)


def _json(data: bytes) -> Any:
    """As whoever keeps plans reads them: what is no JSON, or numbers of 5,000 digits, is theirs."""
    try:
        return json.loads(data)
    except ValueError as error:
        raise PlanError(str(error)) from error


def of_the_method() -> dict[str, Reader]:
    found = {
        "plan": Reader(
            only(plan),
            lambda _, data: PastePlan.from_json(_json(data)),
            (PlanError, *NOT_JSON),
            is_text=True,
        ),
        "config": Reader(
            lambda: [toml_text(PROFILES["paper"]).encode()],
            lambda _, data: toml_config(data),
            (ConfigError,),
            is_text=True,
        ),
        "library": Reader(only(library), by_file("a.npz", TargetLibrary.load), (LibraryError,)),
    }
    for name in ("patches", "masks", "sizes", "sources", "left_out", "kind"):
        seeds = partial(lambda name: [members()[f"{name}.npy"]], name)
        found[f"library-{name}"] = Reader(seeds, partial(with_member, name), (LibraryError,))
    return found


# ---------------------------------------------------------------- builds and statistics


@cache
def built() -> dict[str, bytes]:
    """The files of a finished dataset."""
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ, SOURCE_DATE_EPOCH="0"):
        root = Path(folder)
        write_dataset(root / "in")
        source = read_dataset(root / "in", sky_dir=root / "in-sky")
        build_dataset(source, root / "out", Recipe(PROFILES["bag-cp"]))
        files = (path for path in (root / "out").rglob("*") if path.is_file())
        return {str(path.relative_to(root / "out")): path.read_bytes() for path in files}


@cache
def build(folder: Path) -> Path:
    """The finished dataset in a folder."""
    for name, content in built().items():
        written(folder / "out", name, content)
    return folder / "out"


def of_the_build(file: str) -> Callable[[], list[bytes]]:
    """Seeds: a file as a build has written it."""
    return lambda: [built()[file]]


def in_the_build(file: str, read: Callable[[Path], object]) -> Callable[[Path, bytes], object]:
    """A reader of a dataset's folder, for one of its files."""
    return lambda folder, data: read(written(build(folder), file, data).parent)


def records() -> bytes:
    image = {"id": 0, "file_name": "a.png", "width": 64, "height": 48}
    made = [
        Record(
            "a", "a", 0, ("0" * 64,), counts={"pasted": 3}, files={"a.png": "0" * 64}, plan="{}"
        ),
        Record("b", "a", 1, notes=("n",), coco={"image": image, "annotations": []}, area=9),
        Record("c", "c", 0, error="truncated"),
    ]
    return "".join(journal_line(record.to_dict()) for record in made).encode()


def unsealed(data: bytes) -> bytes:
    """Lines of a journal whose checksums are left out, so that damage gets past them."""
    lines = []
    for line in data.splitlines():
        try:
            values = json.loads(line)
            values.pop("line_sha256", None)
            lines.append(json.dumps(values).encode())
        except (ValueError, AttributeError, RecursionError):
            lines.append(line)
    return b"\n".join(lines) + b"\n"


def read_journal(folder: Path, data: bytes) -> object:
    """What a build that goes on asks of its journal."""
    opened = BuildFolder(folder, {})
    written(folder, ".build/journal.jsonl", data)
    return opened.done(), list(records_of(opened)), list(records_of(opened, by_name=True))


RECIPE = {"seed": 0, "config": {"pasted": [1, 2]}, "layout": "coco"}


def resumed(path: Path) -> None:
    """A build that goes on, as its recipe allows."""
    BuildFolder(path.parents[1], RECIPE).open(resume=True, overwrite=False)


def read_lock(folder: Path, data: bytes) -> None:
    written(folder, ".lock", data)
    with locked(folder):
        pass


def saved_stats() -> bytes:
    tables = tables_document(dataset_stats([scene(name) for name in NAMES]))
    return json.dumps({"schema": SCHEMA, "tables": tables}).encode()


def of_builds() -> dict[str, Reader]:
    inputs = json.dumps({"name": "a", "declared": D, "image": D}).encode()
    sums = b"".join(b"%064x  PNGImages/%d.png\n" % (k, k) for k in range(3))
    return {
        "journal": Reader(only(records), read_journal, OF_A_BUILD, is_text=True, seal=unsealed),
        "recipe": Reader(
            lambda: [json.dumps(RECIPE).encode()],
            by_file(".build/recipe.json", resumed),
            OF_A_BUILD,
            is_text=True,
        ),
        "inputs": Reader(
            lambda: [inputs + b"\n" + inputs + b"\n"],
            by_file("inputs.jsonl", lambda path: list(noted_inputs(path))),
            OF_A_BUILD,
            is_text=True,
        ),
        "manifest": Reader(
            of_the_build("manifest.json"),
            in_the_build("manifest.json", lambda root: finished_summary(BuildFolder(root, {}))),
            OF_A_BUILD,
            is_text=True,
        ),
        "plans": Reader(
            of_the_build("plans.jsonl"),
            in_the_build("plans.jsonl", lambda root: list(replay(root))),
            OF_A_BUILD,
            is_text=True,
        ),
        "checksums": Reader(
            lambda: [sums], by_file("files.sha256", lambda p: list(read_checksums(p))), OF_A_BUILD
        ),
        "lock": Reader(lambda: [b'{"pid": 1, "host": ""}'], read_lock, OF_A_BUILD, is_text=True),
        "stats": Reader(
            only(saved_stats), by_file("s.json", read_saved), (StatsFileError,), is_text=True
        ),
    }


# ---------------------------------------------------------------- what other detectors have found


def write_dataset(root: Path) -> None:
    """Images and masks, and skies in a folder beside it."""
    for name in NAMES:
        made = scene(name)
        mask = (made.labels > 0) * np.uint8(255)
        parts = {"images": made.image, "masks": mask, f"../{root.name}-sky": mask | np.uint8(255)}
        for part, values in parts.items():
            written(root, f"{part}/{name}.png", encode_png(values))


@cache
def dataset(folder: Path) -> Dataset:
    write_dataset(folder / "data")
    return read_dataset(folder / "data")


def predictions(name: str) -> Callable[[Path, bytes], object]:
    def read(folder: Path, data: bytes) -> object:
        return read_predictions(written(folder, name, data), dataset(folder), NAMES)

    return read


def results() -> dict[str, bytes]:
    """The same boxes in the files that are read."""
    rows = [
        (name, x0, y0, x1, y1)
        for name in NAMES
        for x0, y0, x1, y1 in annotate(scene(name).labels).boxes.tolist()
    ]
    found = [
        {"image_id": n, "category_id": 1, "bbox": [x0, y0, x1 - x0, y1 - y0], "score": 0.9}
        for n, x0, y0, x1, y1 in rows
    ]
    images = [{"id": k, "file_name": f"{n}.png"} for k, n in enumerate(NAMES)]
    document = {
        "images": images,
        "annotations": [{**r, "image_id": NAMES.index(r["image_id"])} for r in found],
    }
    lines = [f"{n},{x0},{y0},{x1},{y1},0.9" for n, x0, y0, x1, y1 in rows]
    voc = [f"{n.split()[0]} 0.9 {x0} {y0} {x1} {y1}" for n, x0, y0, x1, y1 in rows]
    return {
        "list.json": json.dumps(found).encode(),
        "document.json": json.dumps(document).encode(),
        "boxes.csv": "\n".join(["image,x1,y1,x2,y2,score", *lines]).encode(),
        "comp4_det_test_target.txt": "\n".join(voc).encode(),
    }


def maps() -> dict[str, bytes]:
    from scipy.io import savemat

    prob = (scene().labels > 0).astype(np.float32)
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


def of_results() -> dict[str, Reader]:
    found = {}
    for name in ("list.json", "document.json", "boxes.csv", "comp4_det_test_target.txt"):
        seeds = partial(lambda name: [results()[name]], name)
        found[f"results-{name}"] = Reader(
            seeds, predictions(name), (PredictionError,), is_text=True
        )
    for name in ("map.npy", "map.mat", "map_v4.mat", "map.png"):
        seeds = partial(lambda name: [maps()[name]], name)
        found[f"results-{name}"] = Reader(
            seeds, by_file(name, read_map), (PredictionError, CodecError)
        )
    return found


# ---------------------------------------------------------------- our own detectors, with torch


@cache
def weights() -> bytes:
    from densesirst_gen.detection.detectors import build_detector
    from densesirst_gen.detection.training.checkpoint import weights_bytes

    detector = build_detector("serankdet", base_width=8)
    return weights_bytes(detector, {"detector": "serankdet", "size": 64, "fit": "keep"})


def about() -> bytes:
    """What a safetensors file says of itself: its first 8 bytes are the length of its header."""
    header = json.loads(weights()[8 : 8 + int.from_bytes(weights()[:8], "little")])
    return json.dumps(json.loads(header["__metadata__"]["about"])).encode()


def read_about(_: Path, data: bytes) -> object:
    from densesirst_gen.detection.training.about import checked_about

    return checked_about(Path("a"), data.decode("utf-8", "replace"))


def read_weights(path: Path) -> object:
    from densesirst_gen.detection.training.checkpoint import load_checkpoint

    return load_checkpoint(path)


def resume() -> bytes:
    import torch

    buffer = io.BytesIO()
    progress = {"epoch": 1, "step": 4, "best": {"epoch": 1, "score": 0.5}, "history": [{}]}
    torch.save({"detector": {"a": torch.ones(3)}, "progress": json.dumps(progress)}, buffer)
    return buffer.getvalue()


def read_resume(folder: Path, data: bytes) -> object:
    from densesirst_gen.detection.training.checkpoint import RESUME, Store

    opened = BuildFolder(folder, {})
    written(opened.state, RESUME, data)
    return Store(opened, {}).resume_state()


def of_detectors() -> dict[str, Reader]:
    if not (find_spec("torch") and find_spec("safetensors")):
        return {}
    from densesirst_gen.detection.training.about import CheckpointError

    errors = (CheckpointError,)
    return {
        "weights": Reader(only(weights), by_file("a.safetensors", read_weights), errors),
        "weights-about": Reader(only(about), read_about, errors, is_text=True),
        "resume": Reader(only(resume), read_resume, errors),
    }


OWN: dict[str, Reader] = {**of_the_method(), **of_builds(), **of_results(), **of_detectors()}
