"""What a build refuses before it writes, sets aside, or stops at with a way to go on."""

from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.names import check_output_names
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.datasets import Dataset, DatasetError, read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import OutputError, RefusedError, write_files
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene

RECIPE = Recipe(PROFILES["bag-cp"], seed=7)
SKY = np.indices((96, 128))[0] < 70


def written(root: Path, *names: str) -> Dataset:
    for seed, name in enumerate(names):
        scene = make_scene(name=name, sky=SKY, targets=1, seed=seed)
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    return read_dataset(root)


def content(root: Path) -> dict[str, bytes]:
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name != "manifest.json")
    return {str(p.relative_to(root)): p.read_bytes() for p in files}


@pytest.mark.parametrize(
    ("names", "copies", "words"),
    [
        (["a", "a_copy1"], 2, "a_copy1 of a and of a_copy1"),
        (["a_copy1", "a"], 2, "a_copy1 of a"),
        (["a_copy1", "a_copy1_copy1"], 2, "a_copy1_copy1"),
        (["x/a", "x/a_copy2"], 3, "x/a_copy2"),
        (["a", "A_copy1"], 2, "case only"),
        (["\u00e9", "e\u0301_copy1"], 2, "case only"),
        (["x", "x.png/b"], 1, "x and x.png/b"),
        (["x", "x.xml/y/b"], 1, "x and x.xml/y/b"),
        (["x", "x_pixels0.txt/b"], 1, "x and"),
        (["x", "x_copy1.png/b"], 2, "x_copy1 and"),
    ],
)
def test_scenes_that_would_be_written_over_each_other_are_refused(
    names: list[str], copies: int, words: str
) -> None:
    check_output_names(names[:1], copies)
    with pytest.raises(DatasetError, match=words):
        check_output_names(names, copies)


@pytest.mark.parametrize(
    ("names", "copies"),
    [
        (["a", "a_copy1"], 1),
        (["a", "a_copy2"], 2),
        (["a", "b"], 9),
        (["a", "a_pixels0"], 3),
        ([], 2),
    ],
)
def test_names_that_only_look_alike_are_not(names: list[str], copies: int) -> None:
    check_output_names(names, copies)


@pytest.mark.parametrize("dry_run", [True, False])
def test_nothing_is_written_of_scenes_over_each_other(tmp_path: Path, dry_run: bool) -> None:
    dataset, out = written(tmp_path / "in", "a", "a_copy1"), tmp_path / "out"
    with pytest.raises(DatasetError, match="rename the backgrounds"):
        build_dataset(dataset, out, replace(RECIPE, copies=2), dry_run=dry_run)
    assert not out.exists()
    assert build_dataset(dataset, out, RECIPE).n_scenes == 2


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_name_too_long_for_its_files_is_set_aside(
    tmp_path: Path, targets: TargetLibrary, dry_run: bool
) -> None:
    """Of 255 bytes at most; the longest file is NAME_pixels0.png. Umlauts take two."""
    names = {"n" * 243: True, "m" * 244: False, "ü" * 121: True, "ö" * 122: False, "o" * 251: False}
    image = next(iter(content(written(tmp_path / "one", "s").root / "PNGImages").values()))
    write_files(tmp_path / "in", [(f"{name}.png", image) for name in names])
    summary = build_dataset(
        read_dataset(tmp_path / "in"), tmp_path / "out", RECIPE, library=targets, dry_run=dry_run
    )
    assert summary.set_aside.keys() == {name for name, fits in names.items() if not fits}
    assert "names of 256 bytes, at most 255" in summary.set_aside["m" * 244]
    assert summary.n_scenes == 2
    assert not list(tmp_path.glob("out/**/mm*"))


def test_a_copy_too_long_for_its_files_is_set_aside(tmp_path: Path, targets: TargetLibrary) -> None:
    dataset = written(tmp_path / "in", "n" * 240)
    recipe = replace(RECIPE, copies=2)
    summary = build_dataset(dataset, tmp_path / "out", recipe, library=targets)
    assert summary.n_scenes == 1
    assert list(summary.set_aside) == ["n" * 240 + "_copy1"]


def test_a_path_too_long_is_set_aside(tmp_path: Path, targets: TargetLibrary) -> None:
    deep = "/".join("d" * 200 for _ in range(18))
    dataset = written(tmp_path / "in", f"{deep}/a", "b")
    out = tmp_path / ("o" * 250) / ("o" * 250)
    summary = build_dataset(dataset, out, RECIPE, library=targets)
    assert "paths of" in summary.set_aside[f"{deep}/a"]
    assert summary.n_scenes == 1


def test_names_with_separators_of_lines_can_be_built_over(
    tmp_path: Path, targets: TargetLibrary
) -> None:
    dataset = written(tmp_path / "in", "a\u2028b", "c\u2029", "plain")
    for overwrite in (False, True):
        build_dataset(dataset, tmp_path / "out", RECIPE, library=targets, overwrite=overwrite)
    build_dataset(dataset, tmp_path / "out", RECIPE, library=targets, resume=True)
    done = subprocess.run(["sha256sum", "--quiet", "-c", "files.sha256"], cwd=tmp_path / "out")
    assert done.returncode == 0


@pytest.mark.parametrize("where", ["in", "sky", "deep", "link", "above", "equal", "link above"])
# row 59
def test_what_is_written_and_what_is_read_lie_apart(tmp_path: Path, where: str) -> None:
    dataset = written(tmp_path / "data/in", "a")
    sky = tmp_path / "sky/masks"
    sky.parent.mkdir()
    (dataset.root / "SkySeg/BinaryMask").rename(sky)
    (tmp_path / "link").symlink_to(sky)
    (tmp_path / "top").symlink_to(tmp_path)
    out = {
        "in": dataset.root / "out",
        "sky": sky / "out",
        "deep": sky / "x/y/out",
        "link": tmp_path / "link/out",
        "above": tmp_path / "sky",
        "equal": sky,
        "link above": tmp_path / "top/sky",
    }[where]
    with pytest.raises(RefusedError, match="lie in each other"):
        build_dataset(read_dataset(dataset.root, sky_dir=sky), out, RECIPE)
    command = [sys.executable, "-m", "densesirst_gen", "build", "-b", str(dataset.root)]
    command += ["--sky", str(sky), "-o", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "lie in each other" in done.stderr
    assert not (out / ".lock").exists()


@pytest.mark.parametrize("option", ["library", "split", "config"])
# row 59
def test_a_file_that_is_read_is_not_written_over(
    tmp_path: Path, targets: TargetLibrary, option: str
) -> None:
    dataset = written(tmp_path / "in", "a")
    path = tmp_path / "out/file"
    path.parent.mkdir()
    targets.save(path) if option == "library" else path.write_text("a" if option == "split" else "")
    command = [sys.executable, "-m", "densesirst_gen", "build", "-b", str(dataset.root)]
    command += ["-o", str(path.parent), f"--{option}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert f"--{option}" in done.stderr


def test_a_linked_image_of_the_folder_to_write_is_refused(tmp_path: Path) -> None:
    dataset = written(tmp_path / "in", "a")
    image = dataset.root / "PNGImages/a.png"
    image.rename(tmp_path / "pool.png")
    scene = replace(dataset.scenes[0], image=image)
    image.symlink_to(tmp_path / "pool.png")
    with pytest.raises(RefusedError, match="lie in each other"):
        build_dataset(replace(dataset, scenes=(scene,)), tmp_path, RECIPE)


# row 36
def test_a_given_sky_behind_targets_is_not_called_unsure(
    tmp_path: Path, targets: TargetLibrary
) -> None:
    scene = make_scene(name="a", targets=2)
    covered = replace(scene, sky=scene.labels > 0)
    write_files(tmp_path / "in", devkit_files(covered, annotate(covered.labels)))
    summary = build_dataset(
        read_dataset(tmp_path / "in"), tmp_path / "out", RECIPE, library=targets
    )
    assert summary.unpasted == {"no_sky": 1}


def test_a_predicted_sky_behind_targets_is_not_called_unsure(
    tmp_path: Path, targets: TargetLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sure of it, but it is taken."""
    scene = make_scene(name="a", targets=2)
    write_files(tmp_path / "in", devkit_files(replace(scene, sky=None), annotate(scene.labels)))
    for name in ("BinaryMask/a_pixels0.png", "PaletteMask/a.png"):
        (tmp_path / "in/SkySeg" / name).unlink()

    for usable, reason in ((scene.labels > 0, "no_sky"), (scene.labels > 9, "unsure_sky")):
        found = scene.labels > 0, usable, {"sky": "predicted", "sky_confidence": 0.9}

        def usable_sky(given: Scene, found: Any = found, **_: Any) -> Any:
            return replace(given, sky=found[0]), *found[1:]

        monkeypatch.setattr("densesirst_gen.build.scene.usable_sky", usable_sky)
        summary = build_dataset(
            read_dataset(tmp_path / "in"), tmp_path / reason, RECIPE, library=targets
        )
        assert summary.unpasted == {reason: 1}


@contextmanager
def at_most(n_bytes: int) -> Iterator[None]:
    """Of a file; the operating system refuses what is more, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def last_that_failed(build: Callable[[], object], limit: int) -> str:
    """Name of the file that was too long; empty if none was."""
    try:
        with at_most(limit):
            build()
    except OutputError as error:
        words = re.fullmatch(
            r"(.*): File too large, [\d,.]+ MB are free.*\. What is done is kept: make room, then "
            "--resume goes on",
            str(error),
        )
        return Path(words[1]).name if words else str(error)
    return ""


# row 62
def test_whatever_file_is_the_last_that_fits_the_build_goes_on(
    tmp_path: Path, targets: TargetLibrary
) -> None:
    dataset, out, full = written(tmp_path / "in", "a", "b"), tmp_path / "out", tmp_path / "full"
    options: dict[str, Any] = {"library": targets, "resume": True}
    build = partial(build_dataset, dataset, out, RECIPE, **options)
    build_dataset(dataset, full, RECIPE, library=targets)
    early = {last_that_failed(build, n) for n in (0, 900, 1500, 2200, 3000, 12_000, 18_000, 30_000)}
    assert early >= {"recipe.json", "library.npz", "a.png", "journal.jsonl"}

    def stopped(results: Iterable[Any], _: int) -> Iterable[Any]:
        yield from results
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(progress=stopped)
    sizes = [0, *(len(data) for data in content(full).values())]
    late = {last_that_failed(build, n) for n in sorted(sizes)}
    assert late >= {"plans.jsonl", "preview.png"}
    assert not list(out.rglob("*.part"))
    build()
    assert content(out) == content(full)


def test_what_is_needed_is_said_once_it_is_known(tmp_path: Path, targets: TargetLibrary) -> None:
    dataset, out = written(tmp_path / "in", *"abcdef"), tmp_path / "out"

    def progress(results: Iterable[Any], _: int) -> Iterable[Any]:
        for k, result in enumerate(results):
            yield result
            if k == 1:
                raise OSError(28, "No space left on device", str(out / "x.png"))

    with pytest.raises(OutputError, match=r"x\.png: No space .* are needed for 4 more scenes"):
        build_dataset(dataset, out, RECIPE, library=targets, progress=progress)


def test_a_wrong_date_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "today")
    with pytest.raises(OutputError, match="SOURCE_DATE_EPOCH"):
        build_dataset(written(tmp_path / "in", "a"), tmp_path / "out", RECIPE)
    assert not (tmp_path / "out").exists()
    command = [sys.executable, "-m", "densesirst_gen", "build", "-b", "demo", "-o", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "SOURCE_DATE_EPOCH must be a whole number of seconds since 1970" in done.stderr


@pytest.mark.parametrize("name", [".hid", "a/.hid", ".a/b"])
def test_a_hidden_name_is_set_aside(tmp_path: Path, targets: TargetLibrary, name: str) -> None:
    """COCO may name what no folder shows; its scene would be missing from what is read again."""
    image = next(iter(content(written(tmp_path / "one", "s").root / "PNGImages").values()))
    write_files(tmp_path / "in", [(f"images/{n}.png", image) for n in (name, "seen")])
    images = [
        {"id": k, "file_name": f"{n}.png", "width": 128, "height": 96}
        for k, n in enumerate((name, "seen"))
    ]
    document = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "Target"}]}
    (tmp_path / "in/annotations.json").write_text(json.dumps(document))
    dataset = read_dataset(tmp_path / "in")
    assert len(dataset.scenes) == 2
    summary = build_dataset(dataset, tmp_path / "out", RECIPE, library=targets)
    assert list(summary.set_aside) == [name]
    assert "would be hidden" in summary.set_aside[name]
    assert [scene.name for scene in read_dataset(tmp_path / "out").scenes] == ["seen"]


@pytest.mark.parametrize("kind", ["file", "folder", "none"])
def test_the_card_says_what_links_were_followed(
    tmp_path: Path, targets: TargetLibrary, kind: str
) -> None:
    dataset = written(tmp_path / "in", "a", "b")
    place = dataset.root / ("PNGImages/a.png" if kind == "file" else "PNGImages")
    if kind != "none":
        place.rename(dataset.root / f"real{place.suffix}")
        place.symlink_to(dataset.root / f"real{place.suffix}")
    build_dataset(dataset, tmp_path / "out", RECIPE, library=targets)
    said = re.search(
        r"(\d) were reached by symbolic links", (tmp_path / "out/README.md").read_text()
    )
    assert (said[1] if said else "0") == {"file": "1", "folder": "2", "none": "0"}[kind]
