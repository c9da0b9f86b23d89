"""Going on with a build: never two states of anything in one dataset, never a damaged file."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.datasets import Dataset, read_dataset
from densesirst_gen.datasets.coco.written import coco_image, coco_text
from densesirst_gen.datasets.demo import demo_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.atomic import OutputError, RefusedError, write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.annotate import annotate

RECIPE = Recipe(PROFILES["bag-cp"], seed=7)
N = 4
SKY = np.indices((96, 128))[0] < 70


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("original") / "in"
    for k in range(N):
        scene = make_scene(name=f"s{k}", sky=SKY, targets=1 + k % 2, seed=k)
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    write_files(root, [("Splits/train.txt", b"s0\ns1\ns2\n"), ("Splits/test.txt", b"s3\n")])
    return root


@pytest.fixture
def backgrounds(original: Path, tmp_path: Path) -> Path:
    """A devkit of four scenes, to be changed."""
    return Path(shutil.copytree(original, tmp_path / "in"))


def content(root: Path) -> dict[str, bytes]:
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name != "manifest.json")
    return {str(p.relative_to(root)): p.read_bytes() for p in files}


@pytest.fixture(scope="module")
def full(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("full") / "out"
    build_dataset(read_dataset(original), out, RECIPE)
    return out


def interrupted(after: int) -> Callable[[Iterable[Any], int], Iterable[Any]]:
    def progress(results: Iterable[Any], _: int) -> Iterable[Any]:
        for k, result in enumerate(results):
            if k == after:
                raise KeyboardInterrupt
            yield result

    return progress


def begin(dataset: Dataset, out: Path, recipe: Recipe = RECIPE, after: int = 2) -> None:
    with pytest.raises(KeyboardInterrupt):
        build_dataset(dataset, out, recipe, progress=interrupted(after))


def changed(path: Path) -> None:
    """Another pixel, as many bytes, the same times: only the content tells."""
    before, data = path.stat(), bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


IMAGES, MASKS, SKIES = "PNGImages/s{}.png", "SIRST/BinaryMask/s{}_pixels0.png", "SkySeg/{}/s{}{}"


def drop_mask(root: Path, k: int) -> None:
    for name in (MASKS.format(k), f"SIRST/PaletteMask/s{k}.png"):
        (root / name).unlink()


def drop_sky(root: Path, k: int) -> None:
    for kind, ending in (("BinaryMask", "_pixels0.png"), ("PaletteMask", ".png")):
        (root / SKIES.format(kind, k, ending)).unlink()


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "done image": (lambda root: changed(root / IMAGES.format(0)), r"s0\.png has changed"),
    "image to come": (lambda root: changed(root / IMAGES.format(3)), r"s3\.png has changed"),
    "done mask": (lambda root: changed(root / MASKS.format(0)), r"s0_pixels0\.png has changed"),
    "mask to come": (lambda root: changed(root / MASKS.format(3)), r"s3_pixels0\.png has changed"),
    "mask gone": (lambda root: drop_mask(root, 3), "the target mask of s3 is gone"),
    "sky to come": (
        lambda root: changed(root / SKIES.format("BinaryMask", 3, "_pixels0.png")),
        r"SkySeg/BinaryMask/s3_pixels0\.png has changed",
    ),
    "one sky gone": (lambda root: drop_sky(root, 3), "sky.given was 4, now 3"),
    "all skies gone": (lambda root: shutil.rmtree(root / "SkySeg"), "sky.given was 4, now 0"),
    "split": (lambda root: write_files(root, [("Splits/test.txt", b"s0\n")]), "splits.test was"),
    "image emptied": (lambda root: (root / IMAGES.format(3)).write_bytes(b""), "s3.png has chan"),
    "image a pipe": (lambda root: (root / IMAGES.format(3)).unlink(), "scenes was 4, now 3"),
}


@pytest.mark.parametrize("name", CHANGES)
# row 68
def test_what_has_changed_since_the_start_is_named(
    backgrounds: Path, tmp_path: Path, name: str
) -> None:
    change, words = CHANGES[name]
    out = tmp_path / "out"
    begin(read_dataset(backgrounds), out)
    before = content(out)
    change(backgrounds)
    with pytest.raises(RefusedError, match=words):
        build_dataset(read_dataset(backgrounds), out, RECIPE, resume=True)
    assert content(out) == before


@pytest.mark.parametrize("name", [*CHANGES])
# row 68
def test_what_has_changed_since_the_end_is_named(
    original: Path, full: Path, tmp_path: Path, name: str
) -> None:
    change, words = CHANGES[name]
    backgrounds = Path(shutil.copytree(original, tmp_path / "in"))
    change(backgrounds)
    words = words.replace("has chan", "").replace("ged", "").replace("the target mask", "a mask")
    with pytest.raises(RefusedError, match=words):
        build_dataset(read_dataset(backgrounds), full, RECIPE, resume=True)


# row 68
def test_masks_and_skies_that_are_added_are_named(backgrounds: Path, tmp_path: Path) -> None:
    kept = Path(shutil.copytree(backgrounds, tmp_path / "kept"))
    drop_mask(backgrounds, 3)
    out = tmp_path / "out"
    begin(read_dataset(backgrounds), out)
    shutil.copy(kept / MASKS.format(3), backgrounds / MASKS.format(3))
    with pytest.raises(RefusedError, match=r"s3_pixels0\.png was added"):
        build_dataset(read_dataset(backgrounds), out, RECIPE, resume=True)
    sky = kept / "SkySeg/BinaryMask"
    shutil.rmtree(backgrounds / "SkySeg")
    with pytest.raises(RefusedError, match=r"sky\.given was 4, now 0; sky\.network was null"):
        build_dataset(read_dataset(backgrounds), out, RECIPE, resume=True)
    begin(read_dataset(backgrounds), tmp_path / "predicted", after=1)
    with pytest.raises(RefusedError, match=r"sky\.given was 0, now 4"):
        build_dataset(
            read_dataset(backgrounds, sky_dir=sky), tmp_path / "predicted", RECIPE, resume=True
        )


# row 70
def test_the_same_content_elsewhere_with_other_times_goes_on(
    backgrounds: Path, full: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    begin(read_dataset(backgrounds), out)
    moved = Path(shutil.move(backgrounds, (tmp_path / "moved").mkdir() or tmp_path / "moved/in"))
    for path in moved.rglob("*"):
        os.utime(path, (1, 1))
    build_dataset(read_dataset(moved), out, RECIPE, resume=True)
    assert content(out) == content(full)


def test_a_donor_outside_of_what_is_built_counts(backgrounds: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        build_dataset(read_dataset(backgrounds), out, RECIPE, names=["s3"], progress=interrupted(0))
    changed(backgrounds / IMAGES.format(0))
    with pytest.raises(RefusedError, match=r"s0\.png has changed"):
        build_dataset(read_dataset(backgrounds), out, RECIPE, names=["s3"], resume=True)


def test_a_change_while_the_build_is_at_work_stops_it(backgrounds: Path, tmp_path: Path) -> None:
    def progress(results: Iterable[Any], _: int) -> Iterable[Any]:
        for k, result in enumerate(results):
            if k == 0:
                changed(backgrounds / IMAGES.format(3))
            yield result

    with pytest.raises(RefusedError, match=r"s3\.png has changed while the build was at work"):
        build_dataset(read_dataset(backgrounds), tmp_path / "out", RECIPE, progress=progress)
    assert not (tmp_path / "out/PNGImages/s3.png").exists()


def test_annotations_in_one_file_count(tmp_path: Path, targets: TargetLibrary) -> None:
    """Of COCO, where no file of the scene itself says anything of its targets."""
    root, entries = tmp_path / "in", []
    for k in range(2):
        scene = make_scene(name=f"s{k}", seed=k)
        image, found = coco_image(scene, annotate(scene.labels), 0, f"images/s{k}.png")
        entries.append({"image": image, "annotations": found})
        write_files(root, [(f"images/s{k}.png", encode_png(scene.image))])
    for part, stop in ((entries, 1), ([entries[0], {**entries[1], "annotations": []}], 9)):
        text = b"".join(coco_text(lambda part=part: part, {}))
        write_files(root, [("annotations.json", text)])
        options = {"library": targets, "resume": True, "progress": interrupted(stop)}
        with pytest.raises((KeyboardInterrupt, RefusedError)) as error:
            build_dataset(read_dataset(root), tmp_path / "out", RECIPE, **options)
    assert "annotations or levels of images/s1 have changed" in str(error.value)


@pytest.mark.parametrize("swap", ["other", "emptied", "flipped"])
# row 67
def test_a_library_that_was_swapped_is_refused(
    backgrounds: Path, tmp_path: Path, targets: TargetLibrary, swap: str
) -> None:
    out = tmp_path / "out"
    begin(read_dataset(backgrounds), out)
    path = out / "library.npz"
    if swap == "other":
        targets.save(path)
    else:
        changed(path) if swap == "flipped" else path.write_bytes(b"")
    with pytest.raises(RefusedError, match=r"library\.npz is not the library that .* begun with"):
        build_dataset(read_dataset(backgrounds), out, RECIPE, resume=True)


def test_a_library_that_is_gone_is_made_again(
    backgrounds: Path, full: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    begin(read_dataset(backgrounds), out)
    (out / "library.npz").unlink()
    build_dataset(read_dataset(backgrounds), out, RECIPE, resume=True)
    assert content(out) == content(full)


@pytest.mark.parametrize("damage", ["emptied", "flipped", "cut", "gone"])
@pytest.mark.parametrize("jobs", [1, 2])
# row 69
def test_a_damaged_file_of_a_finished_scene_is_made_again(
    backgrounds: Path, full: Path, tmp_path: Path, damage: str, jobs: int
) -> None:
    out, done = tmp_path / "out", []
    begin(read_dataset(backgrounds), out, after=3)
    for path in (out / IMAGES.format(0), out / "SIRST/BBox/s1.xml"):
        data = path.read_bytes()
        flipped = data[:-20] + bytes([data[-20] ^ 1]) + data[-19:]
        path.write_bytes(
            {"emptied": b"", "flipped": flipped, "cut": data[:-1], "gone": b""}[damage]
        )
        if damage == "gone":
            path.unlink()
    progress = lambda results, n: (done.append(n), results)[1]  # noqa: E731
    build_dataset(read_dataset(backgrounds), out, RECIPE, resume=True, jobs=jobs, progress=progress)
    assert done == [N - 1]
    assert content(out) == content(full)


@pytest.mark.parametrize("name", [IMAGES.format(1), "plans.jsonl", "files.sha256", "README.md"])
def test_a_finished_dataset_that_is_damaged_is_not_called_done(
    original: Path, full: Path, tmp_path: Path, name: str
) -> None:
    out = Path(shutil.copytree(full, tmp_path / "out"))
    changed(out / name)
    with pytest.raises(OutputError, match=Path(name).name):
        build_dataset(read_dataset(original), out, RECIPE, resume=True)


SUMMARIES = [None, [], 7, "x", {}, {"n_scenes": 1}, {"more": 1}]


@pytest.mark.parametrize("summary", SUMMARIES, ids=range(len(SUMMARIES)))
def test_a_manifest_of_something_else_is_named(
    original: Path, full: Path, tmp_path: Path, summary: Any
) -> None:
    out = Path(shutil.copytree(full, tmp_path / "out"))
    manifest = json.loads((out / "manifest.json").read_text())
    wrong = [{**manifest, "summary": summary}]
    if summary is None:
        whole = manifest["summary"]
        wrong += [{**manifest, "summary": {**whole, n: "x"}} for n in whole]
        wrong += [{**manifest, "files": value} for value in (None, 7, {}, {"sha256": 1})]
        wrong += [{**manifest, "inputs": value} for value in (None, 7, {}, {"sha256": 1})]
    for values in wrong:
        (out / "manifest.json").write_text(json.dumps(values))
        with pytest.raises(OutputError, match=r"manifest\.json"):
            build_dataset(read_dataset(original), out, RECIPE, resume=True)


ROWS = [
    b"\n",
    b"{}\n",
    b"[]\n",
    b"{\n",
    b"\xff\n",
    b'{"name": "s0"}\n',
    b'{"name": "s0", "declared": 7}\n',
    b'{"name": "s0", "declared": "x", "more": "x"}\n',
    b"[" * 9999 + b"\n",
    b'{"name": "s0", "declared": "x"}\n',
    b"",
]


@pytest.mark.parametrize("row", ROWS, ids=range(len(ROWS)))
def test_damaged_notes_of_the_inputs_are_named(
    backgrounds: Path, tmp_path: Path, row: bytes
) -> None:
    out = tmp_path / "out"
    begin(read_dataset(backgrounds), out, after=0)
    path = out / ".build/inputs.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    for content in (row + b"".join(lines[1:]), b"".join(lines) + row):
        if content != b"".join(lines):
            path.write_bytes(content)
            with pytest.raises(OutputError, match=r"inputs"):
                build_dataset(read_dataset(backgrounds), out, RECIPE, resume=True)


RECORDS = [
    {"more": 1},
    {"copy": -1},
    {"copy": "0"},
    {"source": None},
    {"inputs": "x"},
    {"inputs": [1]},
    {"counts": []},
    {"counts": {"pasted": "x"}},
    {"files": ["PNGImages/s0.png"]},
    {"area": 1.5},
    {"plan": {}},
    {"coco": {"image": {}}},
    {"coco": []},
    {"notes": {}},
    {"sky": 1},
    {"sky_confidence": "x"},
    {"dropped": {"x": None}},
    {"skip_reason": 1},
    {"name": "other"},
]


@pytest.mark.parametrize("values", RECORDS, ids=range(len(RECORDS)))
def test_a_line_that_is_no_record_of_a_scene_is_named(
    backgrounds: Path, tmp_path: Path, values: dict[str, Any]
) -> None:
    """Well-formed, of files that are in place, but not what a build writes."""
    out = tmp_path / "out"
    begin(read_dataset(backgrounds), out, after=1)
    path = out / ".build/journal.jsonl"
    entry = json.loads(path.read_text())
    entry.pop("line_sha256")
    path.write_text(json.dumps({**entry, **values}) + "\n")
    with pytest.raises(OutputError, match=r"journal\.jsonl: .* no record|not of this build"):
        build_dataset(read_dataset(backgrounds), out, RECIPE, resume=True)


@pytest.mark.parametrize("after", [0, 1])
def test_the_demo_goes_on_to_the_same(tmp_path: Path, targets: TargetLibrary, after: int) -> None:
    part, other = (
        replace(dataset, scenes=dataset.scenes[:2]) for dataset in (demo_dataset(), demo_dataset(1))
    )
    build_dataset(part, tmp_path / "whole", RECIPE, library=targets)
    options = {"library": targets, "resume": True}
    with pytest.raises(KeyboardInterrupt):
        build_dataset(part, tmp_path / "out", RECIPE, progress=interrupted(after), **options)
    with pytest.raises(RefusedError, match="annotations or levels"):
        build_dataset(other, tmp_path / "out", RECIPE, **options)
    build_dataset(part, tmp_path / "out", RECIPE, **options)
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    with pytest.raises(RefusedError, match="was made from other inputs"):
        build_dataset(other, tmp_path / "out", RECIPE, **options)
