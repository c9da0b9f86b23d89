"""The whole way, from backgrounds to a dataset on disk and back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from scenes import make_scene

from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.build.replay import read_plans, replay
from densesirst_gen.datasets import Dataset, DatasetError, read_dataset
from densesirst_gen.datasets.grammar.dialects import infer_dialect
from densesirst_gen.datasets.grammar.voc import read_voc
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.datasets.parts.splits import donor_scenes
from densesirst_gen.files.atomic import RefusedError, write_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.paste.library import LibraryError, TargetLibrary
from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.scene import Scene

RECIPE = Recipe(PROFILES["bag-cp"], seed=7)
SKY = np.indices((96, 128))[0] < 70


@pytest.fixture(scope="module")
def backgrounds(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A devkit of eight scenes of three depths, one without sky, with three splits."""
    root = tmp_path_factory.mktemp("backgrounds")
    depths = [np.uint8, np.uint16, np.float32]
    for k in range(8):
        sky = np.zeros_like(SKY) if k == 5 else SKY
        scene = make_scene(name=f"s{k}", dtype=depths[k % 3], sky=sky, targets=k % 3, seed=k)
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    for split, members in {"train": range(5), "val": [5, 6], "test": [7]}.items():
        write_files(root, [(f"Splits/{split}.txt", "".join(f"s{k}\n" for k in members).encode())])
    return read_dataset(root)


def content(root: Path, *, without: Iterable[str] = ("manifest.json",)) -> dict[str, bytes]:
    files = sorted(p for p in root.rglob("*") if p.is_file())
    return {str(p.relative_to(root)): p.read_bytes() for p in files if p.name not in set(without)}


@pytest.fixture(scope="module")
def built(backgrounds: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built") / "out"
    summary = build_dataset(backgrounds, out, RECIPE)
    assert (summary.n_scenes, summary.n_original) == (8, 7)
    assert summary.n_pasted > 30
    assert summary.unpasted == {"no_sky": 1}
    return out


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools
def test_every_view_tells_the_same(built: Path) -> None:
    """Masks, boxes, points, COCO and plans of a written dataset agree."""
    coco = json.loads((built / "annotations.json").read_text())
    plans = {line["name"]: line for line in read_plans(built)}
    by_image: dict[int, list[dict[str, Any]]] = {}
    for annotation in coco["annotations"]:
        by_image.setdefault(annotation["image_id"], []).append(annotation)
    assert sorted(a["id"] for a in coco["annotations"]) == list(
        range(1, 1 + len(coco["annotations"]))
    )
    scenes = {scene.name: scene.load() for scene in read_dataset(built).scenes}
    assert len(coco["images"]) == len(plans) == len(scenes) == 8
    for image in coco["images"]:
        name = Path(image["file_name"]).stem
        scene = scenes[name]
        assert (built / image["file_name"]).is_file()
        found = by_image.get(image["id"], [])
        labels = np.zeros(scene.shape, np.int32)
        for k, annotation in enumerate(found, 1):
            mask = coco_mask.decode(annotation["segmentation"]) > 0
            assert annotation["area"] == mask.sum() == coco_mask.area(annotation["segmentation"])
            x, y = annotation["attributes"]["point"]
            assert mask[y, x]
            labels[mask] = k
        assert ((labels > 0) == (scene.labels > 0)).all()
        notes = annotate(labels)
        xywh = np.concatenate([notes.boxes[:, :2], notes.boxes[:, 2:] - notes.boxes[:, :2]], axis=1)
        assert xywh.tolist() == [a["bbox"] for a in found]
        boxes = read_voc(built / f"SIRST/BBox/{name}.xml").boxes
        if len(boxes):
            assert infer_dialect(boxes, notes.boxes) == "sirst"
        points = (built / f"SIRST/Point_label/{name}_pixels0.txt").read_text().split()
        assert [a["attributes"]["point"] for a in found] == np.reshape(
            [int(p) for p in points], (-1, 2)
        ).tolist()
        for paste in plans[name]["pastes"]:
            assert found[paste["label"] - 1]["attributes"]["cluster"] == paste["cluster"]
            assert found[paste["label"] - 1]["attributes"]["donor"] == paste["source"]


def test_originals_and_sky_are_kept(built: Path, backgrounds: Dataset) -> None:
    after = {scene.name: scene.load() for scene in read_dataset(built).scenes}
    for file in backgrounds.scenes:
        before, scene = file.load(), after[file.name]
        assert scene.image.dtype == before.image.dtype
        assert (scene.sky == before.sky).all()
        old = before.labels > 0
        assert (scene.labels[old] > 0).all()
        assert (scene.image[old] == before.image[old]).all()
        new = (scene.labels > 0) & ~old
        assert before.sky is not None
        assert before.sky[new].all()


def test_only_training_scenes_are_donors(built: Path, backgrounds: Dataset) -> None:
    donors = {scene.name for scene in donor_scenes(backgrounds)}
    assert donors == {f"s{k}" for k in range(5)}
    library = TargetLibrary.load(built / "library.npz")
    assert {source.split("#")[0] for source in library.sources.tolist()} <= donors
    used = {p["source"].split("#")[0] for line in read_plans(built) for p in line["pastes"]}
    assert used <= donors


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        ({}, "abc"),
        ({"train_full": "ab", "val_full": "c"}, "ab"),
        ({"trainval": "ab", "test": "c"}, "ab"),
        ({"train_v1": "abc", "train_full": "ab", "test_full": "b"}, "ac"),
        ({"test": "abc"}, ""),
    ],
)
def test_donors_are_in_no_test_split(
    backgrounds: Dataset, splits: dict[str, str], expected: str
) -> None:
    scenes = tuple(replace(backgrounds.scenes[0], name=name) for name in "abc")
    split_names = {split: tuple(members) for split, members in splits.items()}
    dataset = replace(backgrounds, scenes=scenes, splits=split_names)
    assert "".join(scene.name for scene in donor_scenes(dataset)) == expected


def test_splits_are_written_for_the_public_config(built: Path) -> None:
    found = {p.name: p.read_text().split() for p in (built / "Splits").iterdir()}
    assert found["trainval_v2.txt"] == [f"s{k}" for k in range(7)]
    assert found["test_v2.txt"] == ["s7"]


def test_checksums_hold(built: Path) -> None:
    run = subprocess.run(
        ["sha256sum", "--quiet", "-c", "files.sha256"], cwd=built, capture_output=True, check=False
    )
    assert run.returncode == 0, run.stdout
    listed = {line[66:] for line in (built / "files.sha256").read_text().splitlines()}
    assert listed == set(content(built, without=("manifest.json", "files.sha256")))


def test_jobs_change_nothing(built: Path, backgrounds: Dataset, tmp_path: Path) -> None:
    build_dataset(backgrounds, tmp_path / "out", RECIPE, jobs=2)
    assert content(tmp_path / "out") == content(built)


def test_a_subset_has_the_same_scenes(built: Path, backgrounds: Dataset, tmp_path: Path) -> None:
    build_dataset(backgrounds, tmp_path / "out", RECIPE, names=["s6", "s2"])
    full, part = content(built), content(tmp_path / "out")
    scenes = [name for name in part if "/" in name and not name.startswith("Splits")]
    assert len(scenes) == 2 * 9
    assert all(part[name] == full[name] for name in scenes)


def test_another_seed_gives_other_pixels(built: Path, backgrounds: Dataset, tmp_path: Path) -> None:
    build_dataset(backgrounds, tmp_path / "out", replace(RECIPE, seed=8), names=["s2"])
    name = "PNGImages/s2.tif"
    assert content(tmp_path / "out")[name] != content(built)[name]


def test_copies_differ_and_stay_in_their_split(backgrounds: Dataset, tmp_path: Path) -> None:
    build_dataset(backgrounds, tmp_path / "out", replace(RECIPE, copies=2), names=["s0", "s7"])
    images = content(tmp_path / "out" / "PNGImages")
    assert set(images) == {"s0.png", "s0_copy1.png", "s7.png", "s7_copy1.png"}
    assert images["s0.png"] != images["s0_copy1.png"]
    test = (tmp_path / "out" / "Splits" / "test_v2.txt").read_text().split()
    assert test == ["s7", "s7_copy1"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_build_resumes_to_the_same(
    built: Path, backgrounds: Dataset, tmp_path: Path, jobs: int
) -> None:
    def broken(results: Iterable[Any], _: int) -> Iterable[Any]:
        for k, result in enumerate(results):
            if k == 3:
                raise KeyboardInterrupt
            yield result

    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        build_dataset(backgrounds, out, RECIPE, jobs=jobs, progress=broken)
    assert not (out / "manifest.json").exists()
    assert not (out / ".lock").exists()
    with pytest.raises(RefusedError, match="--resume"):
        build_dataset(backgrounds, out, RECIPE)
    done: list[int] = []
    build_dataset(
        backgrounds, out, RECIPE, resume=True, progress=lambda r, n: (done.append(n), r)[1]
    )
    assert done == [5]
    assert content(out) == content(built)


def test_a_killed_build_resumes_to_the_same(
    built: Path, backgrounds: Dataset, tmp_path: Path
) -> None:
    """kill -9 at several moments, none of which leaves a half file under a final name."""
    out, full = tmp_path / "out", content(built)
    command = [sys.executable, "-m", "densesirst_gen", "build", "--seed", "7", "--resume"]
    command += ["--backgrounds", str(backgrounds.root), "--out", str(out), "-q"]
    for _ in range(4):
        child = subprocess.Popen(command)
        deadline = time.monotonic() + 60
        before = len(list(out.rglob("*.png"))) if out.exists() else 0
        while child.poll() is None and time.monotonic() < deadline:
            if out.exists() and len(list(out.rglob("*.png"))) > before + 4:
                os.kill(child.pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        child.wait()
        for name, data in content(out, without=("manifest.json", ".lock")).items():
            if not name.startswith(".build") and name in full:
                assert data == full[name], name
    assert subprocess.run(command, check=False).returncode == 0
    assert content(out) == full


def test_changed_inputs_stop_a_resume(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for k in range(3):
        scene = make_scene(name=f"s{k}", seed=k)
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    dataset, out = read_dataset(root), tmp_path / "out"
    with pytest.raises(ZeroDivisionError):
        build_dataset(
            dataset,
            out,
            RECIPE,
            progress=lambda r, _: (1 // 0 if k else x for k, x in enumerate(r)),
        )
    image = dataset.scenes[0].image
    image.write_bytes(image.read_bytes() + b"changed")
    with pytest.raises(RefusedError, match=r"s0\.png has changed"):
        build_dataset(dataset, out, RECIPE, resume=True)


def test_a_finished_build_resumes_to_itself(built: Path, backgrounds: Dataset) -> None:
    before = content(built, without=())
    summary = build_dataset(backgrounds, built, RECIPE, resume=True)
    assert summary.n_scenes == 8
    assert content(built, without=()) == before


def test_a_dry_run_writes_nothing(backgrounds: Dataset, tmp_path: Path) -> None:
    summary = build_dataset(backgrounds, tmp_path / "out", RECIPE, dry_run=True)
    assert summary.n_pasted > 30
    assert not (tmp_path / "out").exists()


def test_broken_scenes_are_set_aside_with_their_reason(tmp_path: Path) -> None:
    root = tmp_path / "in"
    for k in range(4):
        scene = make_scene(name=f"s{k}", seed=k)
        write_files(root, devkit_files(scene, annotate(scene.labels)))
    (root / "PNGImages/s1.png").write_bytes((root / "PNGImages/s1.png").read_bytes()[:300])
    wrong = np.zeros((5, 5), np.uint8)
    (root / "SIRST/BinaryMask/s2_pixels0.png").write_bytes(encode_png(wrong))
    summary = build_dataset(read_dataset(root), tmp_path / "out", RECIPE)
    assert summary.n_scenes == 2
    assert set(summary.set_aside) == {"s1", "s2"}
    assert "truncated" in summary.set_aside["s1"].lower()
    assert "(5, 5)" in summary.set_aside["s2"]
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["summary"]["set_aside"] == summary.set_aside
    assert not (tmp_path / "out/PNGImages/s1.png").exists()


# row 33
def test_no_targets_at_all_is_an_error_before_any_output(tmp_path: Path) -> None:
    write_files(tmp_path / "in", [("s.png", encode_png(make_scene().image))])
    with pytest.raises(LibraryError, match="nothing fit for a library"):
        build_dataset(read_dataset(tmp_path / "in"), tmp_path / "out", RECIPE)
    assert not (tmp_path / "out").exists()


# row 81
def test_no_scene_at_all_is_a_valid_dataset(backgrounds: Dataset, tmp_path: Path) -> None:
    summary = build_dataset(backgrounds, tmp_path / "out", RECIPE, names=[])
    assert summary.n_scenes == 0
    assert json.loads((tmp_path / "out/annotations.json").read_text())["images"] == []


@pytest.mark.parametrize("profile", ["release", "paper"])
def test_replay_finds_every_profile_the_same(
    backgrounds: Dataset, tmp_path: Path, profile: str
) -> None:
    recipe = Recipe(PROFILES[profile])
    build_dataset(backgrounds, tmp_path / "out", recipe)
    results = list(replay(tmp_path / "out"))
    assert len(results) == 8
    assert not any(result.problem for result in results)


def test_replay_needs_nothing_but_the_dataset(built: Path, tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    subprocess.run(["cp", "-r", built, moved], check=True)
    results = {r.name: r for r in replay(moved, ["s3"])}
    assert results["s3"].n_pastes > 0
    assert not results["s3"].problem


@pytest.mark.parametrize("where", ["background", "paste", "mask", "gone"])
def test_replay_finds_what_was_changed(built: Path, tmp_path: Path, where: str) -> None:
    moved = tmp_path / "moved"
    subprocess.run(["cp", "-r", built, moved], check=True)
    (line,) = (line for line in read_plans(moved) if line["name"] == "s3")
    scene = next(s for s in read_dataset(moved).scenes if s.name == "s3").load()
    paste, image = line["pastes"][0], scene.image.copy()
    if where == "gone":
        (moved / "PNGImages/s3.png").unlink()
    elif where == "mask":
        mask = np.where(scene.labels == paste["label"], 0, scene.labels) > 0
        path = moved / "SIRST/BinaryMask/s3_pixels0.png"
        path.write_bytes(encode_png(mask.astype(np.uint8) * 255))
    else:
        spot = (90, 5) if where == "background" else (paste["row"] + 2, paste["col"] + 2)
        image[spot] += 1
        (moved / "PNGImages/s3.png").write_bytes(encode_png(image))
    (result,) = replay(moved, ["s3"])
    assert result.problem


def test_the_real_data_from_end_to_end(real_data: Path, tmp_path: Path) -> None:
    """A sample of SIRST v2 with the released sky masks."""
    dataset = read_dataset(
        real_data / "sirstv2", sky_dir=real_data / "densesirst/SkySeg/BinaryMask"
    )
    names = [scene.name for scene in dataset.scenes[::48]]
    summary = build_dataset(dataset, tmp_path / "out", RECIPE, names=names)
    assert summary.n_scenes == len(names)
    assert not summary.set_aside
    assert summary.n_pasted > 4 * (len(names) - sum(summary.unpasted.values()))
    results = list(replay(tmp_path / "out"))
    assert [r.problem for r in results] == [""] * len(names)


def test_labels_read_back_are_components(built: Path) -> None:
    for file in read_dataset(built).scenes:
        scene: Scene = file.load()
        assert (label_mask(scene.labels > 0) == scene.labels).all()


# row 8
def test_a_declared_span_sets_the_levels(targets: TargetLibrary, tmp_path: Path) -> None:
    """A 14-bit sensor that looks at a dark sky still has 14 bits."""
    for k in range(2):
        scene = make_scene(name=f"s{k}", dtype=np.uint16, seed=k)
        dim = replace(scene, image=scene.image // 16)
        write_files(tmp_path / "in", devkit_files(dim, annotate(scene.labels)))
    for span, white in ((None, 1023), ((0.0, 16383.0), 16383)):
        out = tmp_path / f"out{white}"
        build_dataset(read_dataset(tmp_path / "in", span=span), out, RECIPE, library=targets)
        assert {tuple(line["levels"]) for line in read_plans(out)} == {(0.0, float(white))}
    with pytest.raises(DatasetError, match="black < white"):
        read_dataset(tmp_path / "in", span=(5.0, 5.0))


def test_a_second_build_into_a_folder_pastes_from_its_own_library(
    backgrounds: Dataset, targets: TargetLibrary, tmp_path: Path
) -> None:
    """Within one process: the file has the same path, but not the same content."""
    out = tmp_path / "out"
    build_dataset(backgrounds, out, RECIPE)
    build_dataset(backgrounds, out, RECIPE, library=targets, overwrite=True)
    assert TargetLibrary.load(out / "library.npz").digest == targets.digest
    assert [scene.problem for scene in replay(out)] == [""] * 8


# row 79
def test_a_distribution_that_is_not_installed_is_written_as_such(
    backgrounds: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenCV comes under several names; a build must not end at its last step for that."""
    found = metadata.version

    def version(name: str) -> str:
        if name == "pycocotools":
            raise metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(metadata, "version", version)
    build_dataset(backgrounds, tmp_path / "out", RECIPE, names=["s0"])
    versions = json.loads((tmp_path / "out/manifest.json").read_text())["versions"]
    assert versions["pycocotools"] == "not installed"
    assert versions["numpy"] == np.__version__
