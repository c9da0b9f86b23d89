"""False colour is not brightness: refused, or turned back by its colormap (#27, point 5)."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy import ndimage

from densesirst_gen.build.inputs import digests_of
from densesirst_gen.cli import cli
from densesirst_gen.datasets import DatasetError, SceneFile, read_dataset
from densesirst_gen.files.atomic import digest_of
from densesirst_gen.files.images.codec import CodecError, read_image
from densesirst_gen.files.images.colormaps import IRONBOW, OF_OPENCV, VIVID

RNG = np.random.default_rng(0)
FIELD = ndimage.gaussian_filter(RNG.normal(0, 1, (96, 120)), 6) * 900 + 120
SCENE = (FIELD + RNG.normal(0, 2, FIELD.shape)).clip(0, 255).astype(np.uint8)
AT = np.linspace(0, 1, 256)
OWN = np.stack([AT**2, np.sin(3 * AT) ** 2, 1 - AT**0.5], axis=1) * 255
"""A colormap that nobody has named."""


def table(name: str) -> np.ndarray:
    if name == "own":
        return np.rint(OWN).astype(np.uint8)
    if name == "ironbow":
        at = np.linspace(0, len(IRONBOW) - 1, 256)
        bands = [np.interp(at, np.arange(len(IRONBOW)), band) for band in IRONBOW.T]
        return np.rint(np.stack(bands, axis=1)).astype(np.uint8)
    ramp = np.arange(256, dtype=np.uint8)[:, None]
    return cv2.applyColorMap(ramp, getattr(cv2, f"COLORMAP_{name.upper()}"))[:, 0, ::-1]


class Broken(ModuleType):
    """A matplotlib that was compiled for another numpy."""

    def __getattr__(self, name: str) -> object:
        raise RuntimeError("_ARRAY_API not found")


def painted(path: Path, name: str, quality: int = 0) -> Path:
    image = Image.fromarray(table(name)[SCENE])
    image.save(path, "JPEG", quality=quality) if quality else image.save(path, "PNG")
    return path


@pytest.mark.parametrize("name", [*VIVID, "own"])
@pytest.mark.parametrize("quality", [0, 95, 80])
# row 121
def test_colours_on_one_curve_are_refused(tmp_path: Path, name: str, quality: int) -> None:
    if name == "own" and quality:
        pytest.skip("what JPEG leaves of a curve without a name is not asked for")
    path = painted(tmp_path / "a", name, quality)
    with pytest.raises(CodecError, match=r"false colour, not brightness: .* --colormap NAME"):
        read_image(path)
    found = read_image(path, colormap="brightness")
    assert found.notes == ("true colour",)


@pytest.mark.parametrize("name", ["jet", "ironbow", "inferno"])
def test_a_refusal_says_which_colormap_it_looks_like(tmp_path: Path, name: str) -> None:
    with pytest.raises(CodecError, match=f"those of {name}"):
        read_image(painted(tmp_path / "a.png", name))


@pytest.mark.parametrize("name", [*OF_OPENCV, "ironbow"])
# row 121
def test_a_colormap_is_turned_back(tmp_path: Path, name: str) -> None:
    found = read_image(painted(tmp_path / "a.png", name), colormap=name)
    assert found.array.dtype == np.uint8
    assert found.notes == (f"false colour, {name} inverted",)
    error = np.abs(found.array.astype(int) - SCENE)
    assert np.quantile(error, 0.95) <= 3  # some have ends of a single colour
    found = read_image(painted(tmp_path / "b.jpg", name, 92), colormap=name)
    assert np.abs(found.array.astype(int) - SCENE).mean() <= 8


def test_reversed_and_by_a_picture_of_the_bar(tmp_path: Path) -> None:
    path = painted(tmp_path / "a.png", "inferno")
    found = read_image(path, colormap="inferno_r").array
    assert np.abs(255 - found.astype(int) - SCENE).max() <= 2
    own = painted(tmp_path / "b.png", "own")
    bar = tmp_path / "bar.png"
    Image.fromarray(np.repeat(table("own")[None], 9, axis=0)).save(bar)
    found = read_image(own, colormap=str(bar)).array
    assert np.abs(found.astype(int) - SCENE).max() <= 2
    Image.fromarray(np.repeat(table("own")[::-1, None], 9, axis=1)).save(bar)  # white on top
    found = read_image(own, colormap=str(bar)).array
    assert np.abs(found.astype(int) - SCENE).max() <= 2


def test_another_colormap_does_not_fit(tmp_path: Path) -> None:
    path = painted(tmp_path / "a.png", "jet")
    with pytest.raises(CodecError, match=r"% of the pixels have colours that inferno does not"):
        read_image(path, colormap="inferno")
    with pytest.raises(CodecError, match="no colormap 'jett': known are autumn"):
        read_image(path, colormap="jett")


@pytest.mark.parametrize("form", ["gray", "tint", "dim", "noise", "blocks", "one colour"])
@pytest.mark.parametrize("quality", [0, 75])
def test_true_colour_and_tints_are_read_by_brightness(
    tmp_path: Path, form: str, quality: int
) -> None:
    gray = SCENE[..., None].astype(np.float64)
    other = ndimage.gaussian_filter(RNG.normal(0, 1, (*SCENE.shape, 3)), (4, 4, 0)) * 700
    blocks = RNG.integers(0, 256, (12, 15, 3)).repeat(8, axis=0).repeat(8, axis=1)
    colours = {
        "gray": gray * (1, 1, 1),
        "tint": gray * (1.0, 0.8, 0.45),
        "dim": gray * (0.9, 0.95, 1) + (0, 5, 12),
        "noise": gray + other,
        "blocks": blocks,
        "one colour": gray * 0 + (200, 40, 10),
    }[form]
    image = Image.fromarray(colours.clip(0, 255).astype(np.uint8))
    image.save(tmp_path / "a", "JPEG" if quality else "PNG")
    notes = read_image(tmp_path / "a").notes
    assert notes == (() if form == "gray" else ("true colour",))


def test_the_real_images_in_colour_are_no_false_colour(real_data: Path) -> None:
    for path in sorted((real_data / "sirstv2/mixed").glob("*.png"))[::12]:
        read_image(path)


# ---------------------------------------------------------------- datasets


def folder_of(root: Path, name: str, n: int = 3) -> Path:
    root.mkdir()
    for k in range(n):
        painted(root / f"f{k}.png", name)
    return root


def test_a_dataset_in_false_colour_is_read_by_its_colormap(tmp_path: Path) -> None:
    dataset = read_dataset(folder_of(tmp_path / "d", "jet"), colormap="jet")
    scene, notes = dataset.scenes[0].load_with_notes()
    assert np.abs(scene.image.astype(int) - SCENE).max() <= 2
    assert notes == ["image: false colour, jet inverted"]
    assert dataset.notes() == ["3 of 3 images looked at: false colour, jet inverted (f0.png)"]
    with pytest.raises(DatasetError, match="no colormap 'nose'"):
        read_dataset(tmp_path / "d", colormap="nose")


def test_true_colours_are_told_with_their_number(tmp_path: Path) -> None:
    for k in range(3):
        colours = RNG.integers(0, 256, (20, 30, 3), np.uint8)
        colours[..., 1:] = colours[..., :1] if k == 2 else colours[..., 1:]
        Image.fromarray(colours).save(tmp_path / f"f{k}.png")
    assert read_dataset(tmp_path).notes() == ["2 of 3 images looked at: true colour (f0.png)"]


def test_what_builds_without_a_colormap_note_of_a_scene_has_not_changed(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    plain = digests_of(SceneFile("a", image))["declared"]
    assert plain == digest_of(repr({"name": "a", "span": None, "ignored": ()}))
    assert digests_of(SceneFile("a", image, colormap="jet"))["declared"] != plain


# ---------------------------------------------------------------- commands


@pytest.mark.parametrize(
    "command", ["stats", "sky predict", "library extract", "build", "train", "detect", "evaluate"]
)
def test_commands_take_a_colormap_that_there_is(tmp_path: Path, command: str) -> None:
    done = CliRunner().invoke(cli, [*command.split(), "--colormap", "nose"])
    assert done.exit_code == 2
    assert "no colormap 'nose'" in done.stderr


def test_stats_by_colormap(tmp_path: Path) -> None:
    folder = str(folder_of(tmp_path / "d", "ironbow"))
    done = CliRunner().invoke(cli, ["stats", folder, "--colormap", "ironbow"])
    assert done.exit_code == 0
    assert "3 of 3 images looked at: false colour, ironbow inverted" in done.stderr
    refused = CliRunner().invoke(cli, ["stats", folder]).exception
    assert "f0.png: false colour, not brightness: its colours are those of ironbow" in str(refused)


@pytest.mark.parametrize("command", ["library extract", "sky predict"])
def test_library_and_sky_tell_of_true_colour(tmp_path: Path, command: str) -> None:
    (tmp_path / "d").mkdir()
    colours = RNG.integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(colours).save(tmp_path / "d/a.png")
    arguments = [*command.split(), str(tmp_path / "d"), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, arguments)
    assert "note: 1 of 1 images looked at: true colour (a.png)" in done.stderr


def test_a_broken_matplotlib_makes_no_image_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", Broken("matplotlib"))
    colours = np.stack([SCENE, SCENE // 2, np.roll(SCENE, 40, axis=1)], axis=-1)
    Image.fromarray(colours).save(tmp_path / "a.jpg", "JPEG", quality=90)
    assert read_image(tmp_path / "a.jpg").array.shape == SCENE.shape
    with pytest.raises(CodecError, match="no colormap 'magma_of_mine'"):
        read_image(tmp_path / "a.jpg", colormap="magma_of_mine")
