"""A stack TIFF in a folder of images is a sequence: its frames are scenes (row 120)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from command_line import run
from scenes import make_scene

from densesirst_gen.build.inputs import digests_of
from densesirst_gen.datasets import DatasetError, read_dataset
from densesirst_gen.datasets.parts.splits import donor_scenes, held_back
from densesirst_gen.files.images.codec import CodecError
from densesirst_gen.paste.library import load_library

SHAPE = (64, 80)


def frames(n: int, seed: int = 0, dtype: type = np.uint8) -> np.ndarray:
    scenes = [make_scene(SHAPE, seed=100 * seed + k, targets=k % 3, dtype=dtype) for k in range(n)]
    return np.stack([scene.image for scene in scenes])


def masks(n: int, seed: int = 0) -> np.ndarray:
    scenes = [make_scene(SHAPE, seed=100 * seed + k, targets=k % 3) for k in range(n)]
    return np.stack([(scene.labels > 0) * np.uint8(255) for scene in scenes])


def write(path: Path, array: np.ndarray, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, **{"photometric": "minisblack", **options})
    return path


@pytest.fixture
def stacks(tmp_path: Path) -> Path:
    root = tmp_path / "stacks"
    for k, n in enumerate((6, 7)):
        write(root / f"images/clip{k}.tif", frames(n, k, np.uint16), imagej=k == 1)
        write(root / f"masks/clip{k}.tif", masks(n, k), compression="zlib")
    return root


@pytest.fixture
def files(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    for k, n in enumerate((6, 7)):
        for i, (image, mask) in enumerate(zip(frames(n, k, np.uint16), masks(n, k), strict=True)):
            write(root / f"images/clip{k}/{i:04d}.tif", image)
            write(root / f"masks/clip{k}/{i:04d}.tif", mask)
    return root


# ---------------------------------------------------------------- what is a scene


# row 120
def test_frames_of_a_plain_folder_are_scenes_in_their_order(tmp_path: Path) -> None:
    write(tmp_path / "sea/a.tif", frames(12), bigtiff=True)
    write(tmp_path / "b.tif", frames(3, 1)[0])
    write(tmp_path / "c.tiff", frames(2, 2).astype(np.float32))
    dataset = read_dataset(tmp_path)
    assert dataset.layout == "plain"
    names = [f"c/{k:04d}" for k in range(2)] + [f"sea/a/{k:04d}" for k in range(12)]
    assert [scene.name for scene in dataset.scenes] == ["b", *names]
    for scene, image in zip(dataset.scenes[3:], frames(12), strict=True):
        np.testing.assert_array_equal(scene.load().image, image)
    assert "2 stack TIFFs are read frame by frame, 14 scenes: c.tiff, a.tif" in dataset.notes()


# row 120
def test_masks_go_with_images_frame_by_frame(stacks: Path) -> None:
    dataset = read_dataset(stacks)
    assert dataset.layout == "folders"
    for k, n in enumerate((6, 7)):
        scenes = [scene for scene in dataset.scenes if scene.name.startswith(f"clip{k}/")]
        assert len(scenes) == n
        for scene, mask in zip(scenes, masks(n, k), strict=True):
            np.testing.assert_array_equal(scene.load().labels > 0, mask > 0)


def test_masks_beside_images(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path / f"clip{k}.tif", frames(4, k))
        write(tmp_path / f"clip{k}_mask.tif", masks(4, k))
    dataset = read_dataset(tmp_path)
    assert len(dataset.scenes) == 12
    assert all(scene.mask is not None for scene in dataset.scenes)


NUMBERS = {
    "fewer": (frames(6), masks(5), "5 frames, but its image clip.tif has 6 frames"),
    "more": (frames(5), masks(6), "6 frames, but its image clip.tif has 5 frames"),
    "one mask": (frames(6), masks(6)[1], "1 frame, but its image clip.tif has 6 frames"),
    "one image": (frames(6)[0], masks(6), "6 frames, but its image clip.tif has 1 frame"),
}


@pytest.mark.parametrize("case", NUMBERS)
# row 120
def test_another_number_of_masks_is_refused_with_both_numbers(tmp_path: Path, case: str) -> None:
    images, of_them, said = NUMBERS[case]
    write(tmp_path / "images/clip.tif", images)
    write(tmp_path / "images/other.tif", frames(3, 1))
    write(tmp_path / "masks/clip.tif", of_them)
    write(tmp_path / "masks/other.tif", masks(3, 1))
    with pytest.raises(DatasetError, match=rf"masks/clip\.tif: {said}"):
        read_dataset(tmp_path)


def test_frames_and_files_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "clip.tif", frames(3))
    write(tmp_path / "clip/0001.tif", frames(1)[0])
    with pytest.raises(
        DatasetError, match=r"1 scene names come twice: .*0001\.tif and .*0001\.tif"
    ):
        read_dataset(tmp_path)


def test_masks_of_the_sky(tmp_path: Path, stacks: Path) -> None:
    sky = np.zeros((6, *SHAPE), np.uint8)
    sky[:, :40] = 255
    write(tmp_path / "sky/clip0_pixels0.tif", sky)
    dataset = read_dataset(stacks, sky_dir=tmp_path / "sky")
    assert [scene.sky is not None for scene in dataset.scenes] == [True] * 6 + [False] * 7
    np.testing.assert_array_equal(dataset.scenes[2].load().sky, sky[2] > 0)
    write(tmp_path / "sky/clip1_pixels0.tif", sky)
    with pytest.raises(DatasetError, match=r"6 frames, but its image clip1\.tif has 7 frames"):
        read_dataset(stacks, sky_dir=tmp_path / "sky")


LABELS = {
    "yolo": ("labels/clip.txt", "0 0.5 0.5 0.05 0.05\n"),
    "voc": (
        "Annotations/clip.xml",
        "<annotation><filename>clip.tif</filename><size><width>80</width><height>64</height>"
        "<depth>1</depth></size><object><name>target</name><bndbox><xmin>20</xmin><ymin>10</ymin>"
        "<xmax>23</xmax><ymax>13</ymax></bndbox></object></annotation>",
    ),
    "coco": (
        "annotations.json",
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "images/clip.tif", "height": 64, "width": 80}],
                "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [20, 10, 3, 3]}],
                "categories": [{"id": 1, "name": "target"}],
            }
        ),
    ),
}


@pytest.mark.parametrize("layout", LABELS)
# row 120
def test_labels_of_a_stack_as_one_image_are_set_aside_by_name(tmp_path: Path, layout: str) -> None:
    write(tmp_path / "images/clip.tif", frames(5))
    name, text = LABELS[layout]
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    dataset = read_dataset(tmp_path, layout=layout)
    with pytest.raises(CodecError, match=r"clip\.tif: 5 frames in one file, a sequence: unpack it"):
        dataset.scenes[0].load()


# ---------------------------------------------------------------- sequences and splits


# row 120
def test_frames_of_a_stack_are_held_back_together(tmp_path: Path) -> None:
    write(tmp_path / "clip.tif", frames(4))
    write(tmp_path / "one.tif", frames(1)[0])
    (tmp_path / "train.txt").write_text("clip/0000\nclip/0001\none\n")
    (tmp_path / "test.txt").write_text("clip/0002\nclip.tif/0003.tif\n")
    dataset = read_dataset(tmp_path)
    assert held_back(dataset) == {f"clip/{k:04d}" for k in range(4)}
    assert [scene.name for scene in donor_scenes(dataset)] == ["one"]
    assert any("frames that are held back and others" in note for note in dataset.notes())


def test_lists_may_name_stacks(tmp_path: Path) -> None:
    for k, name in enumerate("abc"):
        write(tmp_path / f"images/{name}.tif", frames(3, k))
    (tmp_path / "train.txt").write_text("a.tif\nimages/b.tif\n")
    (tmp_path / "test.txt").write_text("c\n")
    splits = read_dataset(tmp_path).splits
    assert {split: len(names) for split, names in splits.items()} == {"train": 6, "test": 3}


def test_stacks_called_like_parts_are_parts(tmp_path: Path) -> None:
    write(tmp_path / "train.tif", frames(3))
    write(tmp_path / "test.tif", frames(2, 1))
    splits = read_dataset(tmp_path).splits
    assert splits == {
        "train": tuple(f"train/{k:04d}" for k in range(3)),
        "test": tuple(f"test/{k:04d}" for k in range(2)),
    }


# ---------------------------------------------------------------- the same as unpacked files


def content(root: Path, *, but: tuple[str, ...] = ()) -> dict[str, bytes]:
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    return {name: data for name, data in found.items() if Path(name).name not in but}


def plans(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "plans.jsonl").read_text().splitlines()]


# row 120
def test_a_stack_is_built_upon_as_its_unpacked_frames_are(
    tmp_path: Path, stacks: Path, files: Path
) -> None:
    assert read_dataset(stacks).counts == read_dataset(files).counts
    outs = [tmp_path / name for name in ("one", "two", "unpacked")]
    for out, source, jobs in zip(outs, (stacks, stacks, files), (1, 2, 1), strict=True):
        run("build", "-b", source, "-o", out, "--seed", 3, "--jobs", jobs, "-q")
    one, two, unpacked = outs
    assert content(one, but=("manifest.json",)) == content(two, but=("manifest.json",))
    own = ("manifest.json", "README.md", "files.sha256", "plans.jsonl")
    assert content(one, but=own) == content(unpacked, but=own)
    for line, other in zip(plans(one), plans(unpacked), strict=True):
        assert {k for k in line if line[k] != other[k]} == {"inputs"}
    assert "all as built" in run("verify", one).output
    assert "13 of 13 scenes the same" in run("replay", one).output


# row 120
def test_the_record_of_a_frame_and_a_build_that_goes_on(tmp_path: Path, stacks: Path) -> None:
    out = tmp_path / "out"
    run("build", "-b", stacks, "-o", out, "-q")
    scenes = {scene.name: scene for scene in read_dataset(stacks).scenes}
    lines = plans(out)
    assert [line["source"] for line in lines] == list(scenes)
    for line in lines:
        noted = digests_of(scenes[line["source"]])
        assert line["inputs"] == [noted["image"], noted["mask"]]
    before = content(out)
    run("build", "-b", stacks, "-o", out, "--resume", "-q")
    assert content(out) == before
    changed = frames(7, 1, np.uint16)
    changed[4, 5, 5] += 1
    write(stacks / "images/clip1.tif", changed, imagej=True)
    refused = run("build", "-b", stacks, "-o", out, "--resume", "-q", code=5)
    assert "1 of its inputs" in refused.stderr
    assert "clip1.tif/0004.tif" in refused.stderr


# row 120
def test_all_that_reads_a_dataset_takes_frames_as_files(
    tmp_path: Path, stacks: Path, files: Path
) -> None:
    assert "nothing differs" in run("diff", stacks, files).output
    assert "13 images" in run("validate", stacks).output
    assert "nothing wrong" in run("validate", stacks).output
    for root, end in ((stacks, "a"), (files, "b")):
        run("library", "extract", root, "-o", tmp_path / f"lib_{end}.npz", "-q")
        run("convert", root, tmp_path / f"coco_{end}", "--to", "coco", "-q")
        run("sky", "predict", root, "--out", tmp_path / f"sky_{end}", "-q")
    own = ("manifest.json", "files.sha256")
    assert content(tmp_path / "coco_a", but=own) == content(tmp_path / "coco_b", but=own)
    assert content(tmp_path / "sky_a") == content(tmp_path / "sky_b")
    ours, theirs = (load_library(tmp_path / f"lib_{end}.npz") for end in "ab")
    np.testing.assert_array_equal(ours.patches, theirs.patches)
    assert list(ours.sources) == list(theirs.sources)


def test_predictions_are_scored_by_frames(tmp_path: Path, stacks: Path) -> None:
    for k, n in enumerate((6, 7)):
        for i, mask in enumerate(masks(n, k)):
            write(tmp_path / f"found/clip{k}/{i:04d}.tif", mask)
    run("evaluate", "-p", tmp_path / "found", "-d", stacks, "--json", tmp_path / "scores.json")
    assert json.loads((tmp_path / "scores.json").read_text())["pixels"]["iou"] == 1


def test_no_mask_takes_the_place_of_a_frame(stacks: Path) -> None:
    refused = run("sky", "predict", stacks, "--out", stacks / "images", code=5)
    assert "would come in the place of" in refused.stderr


# row 120
def test_a_single_image_is_told_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "a/clip.tif", np.stack([frames(5)] * 3, axis=3), photometric="rgb")
    write(tmp_path / "a/one.tif", frames(1)[0])
    found = run("stats", tmp_path / "a")
    assert "clip: " in found.stderr + found.output
    assert "5 frames in one file" in found.stderr + found.output
