"""Links of the user's folder are followed; names inside files never lead out; nothing hangs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from densesirst_gen.datasets import DatasetError, paths, read_coco, read_dataset, read_split
from densesirst_gen.datasets.paths import has_link, list_images, path_to_write, safe_join
from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.files.images.codec import encode_png

SHAPE = (24, 32)


def image(path: Path, value: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.full(SHAPE, value, np.uint8)))
    return path


def names(root: Path) -> list[str]:
    return [scene.name for scene in read_dataset(root).scenes]


# ---------------------------------------------------------------- followed (row 50)


# row 50
def test_links_to_files_are_followed_wherever_they_lead_and_told(tmp_path: Path) -> None:
    root = image(tmp_path / "d/a.png").parent
    (root / "b.png").symlink_to(image(tmp_path / "elsewhere/x.png", 200))
    (root / "c.png").symlink_to("a.png")
    dataset = read_dataset(root)
    assert [scene.name for scene in dataset.scenes] == ["a", "b", "c"]
    assert dataset.scenes[1].load().image[0, 0] == 200
    assert dataset.linked() == ("b", "c")
    assert dataset.notes() == ["2 scenes are reached by symbolic links: b, c"]


@pytest.mark.parametrize("linked", ["images", "masks"])
def test_links_to_folders_are_followed(tmp_path: Path, linked: str) -> None:
    for folder in ("images", "masks"):
        image(
            tmp_path / (f"elsewhere/{folder}" if folder == linked else f"d/{folder}") / "a.png", 0
        )
    (tmp_path / "d" / linked).symlink_to(tmp_path / "elsewhere" / linked)
    dataset = read_dataset(tmp_path / "d")
    assert (dataset.layout, dataset.linked()) == ("folders", ("a",))
    assert dataset.scenes[0].load().n_targets == 0


def test_links_to_folders_are_followed_in_folders_of_any_depth(tmp_path: Path) -> None:
    image(tmp_path / "elsewhere/deep/a.png")
    image(tmp_path / "d/b.png")
    (tmp_path / "d/seq").symlink_to(tmp_path / "elsewhere")
    assert names(tmp_path / "d") == ["b", "seq/deep/a"]


def test_a_root_behind_a_link_is_no_link_in_the_dataset(tmp_path: Path) -> None:
    image(tmp_path / "real/a.png")
    (tmp_path / "d").symlink_to(tmp_path / "real")
    assert names(tmp_path / "d") == ["a"]
    assert read_dataset(tmp_path / "d").notes() == []


def test_split_files_may_be_links(tmp_path: Path) -> None:
    for folder in ("images", "masks"):
        image(tmp_path / "d" / folder / "a.png", 0)
    (tmp_path / "lists.txt").write_text("a\n")
    (tmp_path / "d/img_idx").mkdir()
    (tmp_path / "d/img_idx/train.txt").symlink_to(tmp_path / "lists.txt")
    assert read_dataset(tmp_path / "d").splits == {"train": ("a",)}


def test_images_of_a_coco_file_may_be_links(tmp_path: Path) -> None:
    root = coco(tmp_path / "d", "a.png")
    (root / "images").symlink_to(image(tmp_path / "elsewhere/a.png").parent)
    assert read_coco(root / "annotations.json").linked() == ("a",)


@pytest.mark.parametrize("target", [".", "..", "../../d"])
# row 50
def test_circles_of_folders_are_refused(tmp_path: Path, target: str) -> None:
    image(tmp_path / "d/sub/a.png")
    (tmp_path / "d/sub/loop").symlink_to(target)
    with pytest.raises(DatasetError, match=r"sub/loop: a link to a folder that it lies in"):
        list_images(tmp_path / "d", nested=True)


def test_folders_that_link_to_each_other_are_a_circle(tmp_path: Path) -> None:
    image(tmp_path / "d/x/a.png")
    image(tmp_path / "d/y/b.png")
    (tmp_path / "d/x/to").symlink_to("../y")
    (tmp_path / "d/y/to").symlink_to("../x")
    with pytest.raises(DatasetError, match="circle"):
        read_dataset(tmp_path / "d")


def test_countless_paths_of_few_links_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "MAX_LINKS", 100)
    for k in range(30):
        (tmp_path / f"d/{k}").mkdir(parents=True)
        for side in "lr":
            (tmp_path / f"d/{k}/{side}").symlink_to(tmp_path / f"d/{k + 1}")
    (tmp_path / "d/30").mkdir()
    with pytest.raises(DatasetError, match="more than 100 links to folders"):
        list_images(tmp_path / "d", nested=True)


def test_hidden_folders_are_passed_over(tmp_path: Path) -> None:
    image(tmp_path / "d/a.png")
    image(tmp_path / "d/.git/b.png")
    (tmp_path / "d/.git/loop").symlink_to("..")
    assert names(tmp_path / "d") == ["a"]


# ---------------------------------------------------------------- names inside files (row 49)

OUTSIDE = ["../x.png", "a/../../x.png", "/etc/x.png", "//x.png", "C:\\x.png", "C:x.png", "a\\x.png"]
OUTSIDE += ["..\\x.png", "\\\\host\\x.png", "x\0.png", "", ".", "x" * 5000 + ".png", "\ud800.png"]


def coco(root: Path, file_name: str) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    record = {"id": 1, "file_name": file_name, "width": SHAPE[1], "height": SHAPE[0]}
    document = {"images": [record], "annotations": [], "categories": []}
    (root / "annotations.json").write_text(json.dumps(document))
    return root


@pytest.mark.parametrize("name", OUTSIDE, ids=lambda name: repr(name)[:20])
# row 49
def test_names_inside_files_never_lead_out(tmp_path: Path, name: str) -> None:
    image(tmp_path / "x.png")
    (tmp_path / "d").mkdir()
    with pytest.raises(DatasetError):
        safe_join(tmp_path / "d", name)
    with pytest.raises(DatasetError):
        read_coco(coco(tmp_path / "d", name) / "annotations.json")


# ---------------------------------------------------------------- only regular files (row 50)


@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "device"])
@pytest.mark.parametrize("place", ["images/a.png", "masks/a.png", "img_idx/train.txt"])
# row 50
def test_pipes_and_devices_are_never_opened(tmp_path: Path, kind: str, place: str) -> None:
    for folder in ("images", "masks"):
        image(tmp_path / "d" / folder / "b.png", 0)
    path = tmp_path / "d" / place
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path if kind == "pipe" else tmp_path / "pipe")
    if kind != "pipe":
        path.symlink_to("/dev/zero" if kind == "device" else tmp_path / "pipe")
    with pytest.raises(DatasetError, match=f"{path.name}.*not a re"):
        read_dataset(tmp_path / "d")


def test_a_pipe_is_no_split(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s.txt")
    with pytest.raises(DatasetError, match=r"s.txt: a pipe, not a regular file"):
        read_split(tmp_path / "s.txt", ["a"])


# ---------------------------------------------------------------- written (rows 50, 59)


# row 59
def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").symlink_to(tmp_path / "real")
    (tmp_path / "out2").symlink_to(tmp_path / "out")
    assert path_to_write(tmp_path / "out", "a.png") == tmp_path / "out/a.png"
    for root, name in (("out", "sub/a.png"), ("out", "sub/b/a.png"), ("out2", "a.png")):
        with pytest.raises(RefusedError, match="symbolic link: nothing is written through it"):
            path_to_write(tmp_path / root, name)


def test_has_link_looks_below_the_root_only(tmp_path: Path) -> None:
    path = image(tmp_path / "real/sub/a.png")
    (tmp_path / "d").symlink_to(tmp_path / "real")
    assert not has_link(tmp_path / "d", tmp_path / "d/sub/a.png")
    assert not has_link(tmp_path / "real", path)
