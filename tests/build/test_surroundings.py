"""A build depends on its inputs alone: not on language, hashing, threads, clock, terminal, limits.

Each row of the list of faults that a whole command is needed for, and that stands nowhere else.
"""

from __future__ import annotations

import getpass
import hashlib
import multiprocessing
import os
import resource
import socket
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import run, run_program
from scenes import make_scene

from densesirst_gen.datasets import read_dataset
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.files.workers import WorkersError, workers
from densesirst_gen.scene.annotate import annotate, label_mask


def write_inputs(root: Path, names: tuple[str, ...]) -> Path:
    for k, name in enumerate(names):
        scene = make_scene(name=name, seed=k)
        mask = (scene.labels > 0) * np.uint8(255)
        parts = {"in/images": scene.image, "in/masks": mask, "sky": mask | np.uint8(255)}
        write_files(root, [(f"{part}/{name}.png", encode_png(a)) for part, a in parts.items()])
    return root


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"), ("a", "ü 1", "i", "I_2"))


def built(
    inputs: Path, out: Path, set_up: Callable[[], object] | None = None, **environment: str
) -> dict[str, str]:
    """Digests of what a build writes under an environment, its manifest left out."""
    words = ["build", "-b", inputs / "in", "--sky", inputs / "sky", "-o", out, "-q", "-j", "2"]
    done = subprocess.run(
        [sys.executable, "-m", "densesirst_gen", *map(str, words)],
        env={**os.environ, **environment},
        preexec_fn=set_up,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    files = (path for path in out.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {
        str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)
    }


def few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


SURROUNDINGS: dict[str, dict[str, Any]] = {
    "plain C, one order of hashing, the past": {
        "LC_ALL": "C",
        "PYTHONHASHSEED": "1",
        "OMP_NUM_THREADS": "1",
        "SOURCE_DATE_EPOCH": "1",
        "COLUMNS": "1",
    },
    "Turkish, another order, three threads, few open files": {
        "LC_ALL": "tr_TR.UTF-8",
        "PYTHONHASHSEED": "2",
        "OMP_NUM_THREADS": "3",
        "OPENCV_FOR_THREADS_NUM": "3",
        "TZ": "Pacific/Kiritimati",
        "set_up": few_files,
    },
}


@pytest.fixture(scope="module")
def expected(inputs: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Made in this process, with one job."""
    out = tmp_path_factory.mktemp("expected") / "out"
    run("build", "-b", inputs / "in", "--sky", inputs / "sky", "-o", out, "-q")
    files = (path for path in out.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {
        str(p.relative_to(out)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)
    }


@pytest.mark.parametrize("name", list(SURROUNDINGS))
def test_surroundings_change_nothing(
    name: str, inputs: Path, tmp_path: Path, expected: dict[str, str]
) -> None:
    """Rows 70 (clock), 71 (language), 72 (hashing), 73 (threads), 74 (64 open files), 76."""
    assert built(inputs, tmp_path / "out", **SURROUNDINGS[name]) == expected


def test_names_that_this_language_cannot_write_are_named(inputs: Path, tmp_path: Path) -> None:
    """Row 71: where Python was told to take names for ASCII, against its default."""
    words = ["build", "-b", inputs / "in", "--sky", inputs / "sky", "-o", tmp_path / "out"]
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = run_program(*words, env={**os.environ, **ascii_only})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "not UTF-8" in done.stderr
    assert not (tmp_path / "out").exists()


def test_nothing_of_the_user_stands_in_what_is_written(inputs: Path, tmp_path: Path) -> None:
    """Row 58: neither name nor machine nor folders nor environment, in no file."""
    secret = "s3cr3t-of-the-environment"
    built(inputs, tmp_path / "out", API_TOKEN=secret)
    known = (str(inputs), str(Path.home()), socket.gethostname(), getpass.getuser(), secret)
    wanted = [word for word in known if len(word) > 4 and word != "localhost"]  # not by chance
    for path in (tmp_path / "out").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not [word for word in wanted if word.encode() in content], path


def in_no_folder(root: Path) -> Path:
    return Path("/proc/densesirst/out")


def below_a_file(root: Path) -> Path:
    (root / "file").touch()
    return root / "file/out"


@pytest.mark.parametrize("make", [in_no_folder, below_a_file])
def test_what_cannot_be_written_to_is_told_before_any_work(
    make: Callable[[Path], Path], inputs: Path, tmp_path: Path
) -> None:
    """Row 61. One who is root may write everywhere but into what is no disk, or no folder."""
    out = make(tmp_path)
    done = run("build", "-b", inputs / "in", "-o", out, code=1)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"densesirst-gen: {out} can't be written to: ")
    assert done.stdout == ""


def test_more_targets_than_16_bits_count() -> None:
    """Row 47: labels are of 32 bits, in memory and on the way to COCO, and no file holds others."""
    mask = np.zeros((512, 600), bool)
    mask[::2, ::2] = True
    labels = label_mask(mask)
    assert labels.max() == 256 * 300 > 65535
    assert len(annotate(labels)) == 256 * 300


@pytest.mark.parametrize("names", [("a", "A"), ("\u00e9", "e\u0301")])
def test_names_that_some_file_systems_take_for_one(names: tuple[str, str], tmp_path: Path) -> None:
    """Row 42: by case, or by Unicode form (composed and decomposed)."""
    root = write_inputs(tmp_path, names)
    done = run("build", "-b", root / "in", "--sky", root / "sky", "-o", tmp_path / "out", code=1)
    assert "scene names that differ by" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name",
    ["CON", "aux", "nul.", "-x", "a b", "a'\"b", "#%41", "😀", "天", "n" * 240, "<b>", "$(x)"],
)
def test_names_of_any_kind_are_built_and_read_again(name: str, tmp_path: Path) -> None:
    """Rows 43 and 44. That Windows keeps some for itself is not told."""
    root = write_inputs(tmp_path, (name, "other"))
    out = tmp_path / "out"
    run("build", "-b", root / "in", "--sky", root / "sky", "-o", out, "-q")
    assert {scene.name for scene in read_dataset(out).scenes} == {name, "other"}
    assert run("verify", out, "-q").stdout == ""


def test_archives_are_not_opened(tmp_path: Path) -> None:
    """Row 51: neither by name nor in a folder, where they are named."""
    (tmp_path / "in").mkdir()
    with zipfile.ZipFile(tmp_path / "in/data.zip", "w") as archive:
        archive.writestr("images/a.png", b"")
    done = run("build", "-b", tmp_path / "in/data.zip", "-o", tmp_path / "out", code=2)
    assert "data.zip is not a folder" in done.stderr
    done = run("build", "-b", tmp_path / "in", "-o", tmp_path / "out", code=1)
    assert "data.zip (unpack it first)" in done.stderr


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (19, 19), (3, 400)])
def test_images_smaller_than_a_region_are_kept_as_they_are(
    shape: tuple[int, int], tmp_path: Path
) -> None:
    """Rows 15 and 16: never negative ranges; they say why nothing was pasted."""
    root = write_inputs(tmp_path, ("donor",))
    small = np.full(shape, 30, np.uint8)
    write_files(root, [("in/images/small.png", encode_png(small))])
    write_files(root, [("sky/small.png", encode_png(small | np.uint8(255)))])
    words = ("-b", root / "in", "--sky", root / "sky", "-o", tmp_path / "out", "--region-px", 20)
    assert "unpasted: 1 no_window" in run("build", *words).stdout
    scene = {s.name: s for s in read_dataset(tmp_path / "out").scenes}["small"].load()
    assert (scene.image == small).all()


def test_values_that_are_no_numbers_are_set_aside_with_count_and_place(tmp_path: Path) -> None:
    """Row 7."""
    root = write_inputs(tmp_path, ("a",))
    from PIL import Image

    values = np.full((96, 128), 20, np.float32)
    values[3, 4], values[5, 6] = np.nan, np.inf
    Image.fromarray(values).save(root / "in/images/b.tif")
    words = ("-b", root / "in", "--region", "anywhere", "-o", tmp_path / "out", "--strict")
    told = run("build", *words, code=3).stderr
    assert "2 image values are NaN or infinite, the first in row 3, column 4" in told


def _in_a_daemon(pipe: Any) -> None:
    try:
        with workers(2) as mapped:
            list(mapped(abs, [1]))
    except WorkersError as error:
        pipe.send(str(error))


def test_a_daemonic_process_is_told_to_work_alone() -> None:
    """Row 77: it may have no children, as within a worker of a pool."""
    here, there = multiprocessing.Pipe(duplex=False)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_in_a_daemon, args=(there,), daemon=True)
    process.start()
    assert here.poll(60)
    assert here.recv() == "a daemonic process can't start others: jobs must be 1 here"
    process.join()
