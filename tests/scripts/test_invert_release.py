"""Recovering how the release was pasted: known pastes are found again, also cut and hidden ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import invert_release
import numpy as np
import pytest
from release import remade
from release.fit import Bank, Evidence, fit, gains_and_slopes
from release.frames import frame_of, read_file, read_frames, write_frames
from release.image import THOROUGH, Inverted, invert_image, meeting, sorted_by
from release.model import SIDE, Paste, gaussian, gaussians, mask_of, paste_all, steps_of, values_of
from release.parameters import read_parameters, write_parameters
from release.regions import free_places
from release.report import report_text
from release.scenes import Pair, readings
from scipy import ndimage

from densesirst_gen.files.images import codec
from densesirst_gen.files.images.codec import encode_png

NAMES = ("Misc_263", "iraytek-167")


@pytest.fixture(scope="module")
def bank() -> Bank:
    return Bank(80_000)


@pytest.fixture(scope="module")
def frames() -> dict[str, np.ndarray]:
    """Twelve frames with texture."""
    rng = np.random.default_rng(3)
    coarse = rng.uniform(60, 250, (12, 3, 3))
    smooth = ndimage.zoom(coarse, (1, SIDE / 3, SIDE / 3), order=1)
    levels = np.rint(smooth + rng.normal(0, 6, smooth.shape)).clip(1, 255)
    return {f"frame_{k}": level.ravel() for k, level in enumerate(levels)}


def draw(rng: np.random.Generator, corner: tuple[int, int], most: int = 65536) -> Paste:
    """With low ``most``: small ones, up-left in their patch."""
    steps = tuple(int(v) for v in rng.integers(0, most, 5))
    return Paste(f"frame_{rng.integers(12)}", steps, int(rng.integers(-90, 90)), *corner)


def pair_of(image: np.ndarray, pastes: list[Paste], frames: dict[str, np.ndarray]) -> Pair:
    pasted, mask = paste_all(image, pastes, frames)
    labels, n = ndimage.label(mask, np.ones((3, 3)))
    return Pair("made", image, pasted, labels, tuple(range(1, n + 1)), "channel0")


def inverted(
    level: int, corners: list[tuple[int, int]], frames: dict[str, np.ndarray], bank: Bank
) -> tuple[list[Paste], Inverted]:
    rng = np.random.default_rng(level)
    image = rng.integers(level, level + 12, (60, 60)).astype(np.uint8)
    pastes = [draw(rng, corner) for corner in corners]
    found = invert_image(pair_of(image, pastes, frames), frames, bank, (THOROUGH,))
    return pastes, found


def apart(n: int) -> list[tuple[int, int]]:
    return [(4 + 9 * (k // 5), 3 + 10 * (k % 5)) for k in range(n)]


# ---- what is recovered


def test_known_parameters_are_recovered(frames: dict[str, np.ndarray], bank: Bank) -> None:
    pastes, found = inverted(20, apart(20), frames, bank)
    assert found.equal
    assert found.equal_mask
    assert (found.n_equal, found.lost, found.stray) == (found.n_pixels, 0, 0)
    recovered = {(paste.row, paste.col): paste for paste in found.pastes}
    one_donor = [row for row in found.rows if row["equally_good_donors"] == 1]
    assert len(one_donor) >= 15
    for paste in pastes:
        mine = recovered[paste.row, paste.col]
        if any((row["row"], row["col"]) == (paste.row, paste.col) for row in one_donor):
            assert mine.donor == paste.donor
            assert mine.values[0] == pytest.approx(paste.values[0], abs=0.03)
            assert mine.gains() == pytest.approx(paste.gains(), abs=0.03)


def test_saturated_pixels_are_lower_bounds(frames: dict[str, np.ndarray], bank: Bank) -> None:
    _, found = inverted(190, apart(12), frames, bank)
    assert sum(row["saturated_pixels"] for row in found.rows) > 12
    assert all(row["exact"] for row in found.rows)
    assert found.equal


def test_overlapping_skirts_are_peeled_in_an_order_that_explains_them(
    frames: dict[str, np.ndarray], bank: Bank
) -> None:
    rng = np.random.default_rng(5)
    pastes: list[Paste] = []
    taken = np.zeros((60, 60), bool)
    for row, col in rng.integers(1, 40, (300, 2)).tolist():
        paste = draw(rng, (row, col), most=9000)
        if not taken[row - 1 : row + 6, col - 1 : col + 6].any():
            taken[paste.window] |= mask_of(paste)
            pastes.append(paste)
    image = rng.integers(30, 40, (60, 60)).astype(np.uint8)
    found = invert_image(pair_of(image, pastes, frames), frames, bank, (THOROUGH, THOROUGH))
    assert sum(row["hidden_pixels"] for row in found.rows) > 30
    assert np.mean([row["exact"] for row in found.rows]) > 0.9
    assert found.n_equal >= 0.99 * found.n_pixels


def test_a_patch_of_an_unknown_frame_says_so(frames: dict[str, np.ndarray], bank: Bank) -> None:
    rng = np.random.default_rng(8)
    image = np.full((20, 20), 30, np.uint8)
    strange = {"frame_0": rng.integers(10, 250, 25).astype(float)}
    paste = Paste("frame_0", (60000, 40000, 30000, 30000, 30000), 20, 6, 6)
    found = invert_image(pair_of(image, [paste], strange), frames, bank, (THOROUGH,))
    (row,) = found.rows
    assert not row["exact"]
    assert row["wrong_pixels"] > 3
    assert row["why_not"] == "no known frame explains it"
    assert not found.equal


def test_an_image_without_pastes_is_equal(frames: dict[str, np.ndarray], bank: Bank) -> None:
    found = invert_image(pair_of(np.zeros((9, 9), np.uint8), [], frames), frames, bank, (THOROUGH,))
    assert found.equal
    assert not found.rows


# ---- parts


def test_many_gaussians_are_the_public_codes_gaussian() -> None:
    steps = np.array([[30000, 100, 65000, 4000, 60000], [0, 65535, 0, 65535, 0]])
    values, theta = values_of(steps), np.array([-37, 12])
    many = gaussians(values, np.radians(theta))
    one = [v[0] * gaussian(*v[1:], t) for v, t in zip(values, theta, strict=True)]
    np.testing.assert_allclose(many, one, atol=1e-14)
    assert (steps_of(values) == steps).all()


def test_slopes_are_derivatives() -> None:
    at = np.array([[0.7, 0.4, 0.5, -0.1, -0.05, 0.6]])
    gains, slopes = gains_and_slopes(at)
    for k in range(6):
        moved = at.copy()
        moved[0, k] += 1e-6
        numeric = (gains_and_slopes(moved)[0] - gains) / 1e-6
        np.testing.assert_allclose(slopes[:, k], numeric, atol=1e-4)


def test_a_later_patch_hides_the_skirt_of_an_earlier_one(frames: dict[str, np.ndarray]) -> None:
    image = np.full((12, 12), 10, np.uint8)
    one, other = (Paste("frame_1", (65535, 65535, 65535, 0, 0), 0, r, r) for r in (1, 5))
    last = paste_all(image, [one, other], frames)[0]
    assert (last[5:10, 5:10] == paste_all(image, [other], frames)[0][5:10, 5:10]).all()


def test_common_pixels_of_two_patches() -> None:
    here, there = meeting(np.array([3, 4]), np.array([6, 8]))
    assert (here.tolist(), there.tolist()) == ([19, 24], [0, 5])


def test_order_follows_what_must_be_and_cuts_a_circle() -> None:
    before = np.zeros((3, 3), bool)
    before[2, 0] = True
    assert sorted_by(before) == [1, 2, 0]
    before[0, 2] = True
    assert sorted(sorted_by(before)) == [0, 1, 2]


def test_room_in_a_region() -> None:
    field = np.zeros((18, 18), bool)
    assert free_places(field).all()
    field[8, 8] = True
    assert (~free_places(field)).sum() == 49
    assert not free_places(np.ones((18, 18), bool)).any()


def test_files_of_frames_and_parameters_read_back(
    tmp_path: Path, frames: dict[str, np.ndarray], bank: Bank
) -> None:
    write_frames(tmp_path / "f.npz", frames)
    again = read_file(tmp_path / "f.npz")
    assert all((again[name] == frame).all() for name, frame in frames.items())
    _, found = inverted(20, apart(4), frames, bank)
    write_parameters(tmp_path / "p.npz", [found])
    assert read_parameters(tmp_path / "p.npz") == {"made": ("channel0", found.pastes)}


def test_the_report_of_nothing_and_of_something(frames: dict[str, np.ndarray], bank: Bank) -> None:
    assert invert_release.document_of([])["patches"] == 0
    document = invert_release.document_of([inverted(20, apart(8), frames, bank)[1]])
    assert document["exact_share"] == 1
    assert "8 patches in 1 images" in report_text(document)


def test_fit_stays_within_the_bounds(frames: dict[str, np.ndarray], bank: Bank) -> None:
    pastes, found = inverted(20, apart(3), frames, bank)
    assert all(0 <= step <= 65535 for paste in found.pastes for step in paste.steps)
    assert fit(np.zeros((0, 6)), np.zeros((0, 25)), _nothing(), 0.5, 2)[0].shape == (0, 6)
    assert len(pastes) == 3


def _nothing() -> Evidence:
    return Evidence(*np.zeros((4, 0, 25)))


# ---- the release itself


def released(data: Path, folder: Path, names: tuple[str, ...]) -> Path:
    """The devkit of a few images, from the pasted pixels."""
    kit = folder / "SIRSTdevkit"
    (kit / "PNGImages").mkdir(parents=True)
    shutil.copytree(data / "densesirst" / "SIRST", kit / "SIRST")
    with np.load(data / "densesirst" / "pasted_pixels.npz") as arrays:
        pasted = {key: arrays[key] for key in arrays}
    for name in names:
        (k,) = np.flatnonzero(pasted["names"] == name)
        image = readings(data / "sirstv2" / "mixed" / f"{name}.png")
        image = image[str(pasted["conversion"][k])].copy()
        span = slice(*pasted["offsets"][k : k + 2])
        image.ravel()[pasted["index"][span]] = pasted["value"][span]
        (kit / "PNGImages" / f"{name}.png").write_bytes(codec.encode_png(image))
    return kit


def test_released_images_are_explained_and_remade(real_data: Path, tmp_path: Path) -> None:
    kit = released(real_data, tmp_path, NAMES)
    sirstv2 = real_data / "sirstv2"
    frames = read_frames(sirstv2, real_data / "densesirst")
    found = list(invert_release.invert(sirstv2, kit, list(NAMES), frames, 1, draws=80_000))
    document = invert_release.document_of(found)
    assert document["patches"] >= 10
    assert document["exact_share"] > 0.8
    write_parameters(tmp_path / "p.npz", found)
    arguments = ["densesirst", "--data", str(real_data), "--out", str(tmp_path / "out")]
    parameters = ["--parameters", str(tmp_path / "p.npz")]
    remade.main([*arguments, *parameters])
    same = remade.agreement(tmp_path / "out" / "SIRSTdevkit", kit, list(NAMES))
    assert same["images"][0] == document["equal_images"]
    assert same["pixels"][0] >= 0.999 * same["pixels"][1]


def test_a_frame_is_the_last_piece_of_the_sky_on_black() -> None:
    gray = np.arange(1, 201, dtype=np.uint8).reshape(10, 20)
    sky = np.zeros((10, 20), bool)
    assert (frame_of(gray, ~sky) == gray[::2, ::4].ravel()).all()
    sky[0, 0] = sky[4:9, 5:10] = True
    sky[8, 9] = False
    frame = frame_of(gray, sky).reshape(5, 5)
    assert frame[4, 4] == 0
    assert (frame[:4] == gray[4:8, 5:10]).all()


def test_frames_of_full_skies_are_whole_images(real_data: Path) -> None:
    shared = read_file(real_data / "densesirst" / "misc_frames_5x5.npz")
    frames = read_frames(real_data / "sirstv2", real_data / "densesirst", unnamed=None)
    assert (frames["Misc_249"] == shared["Misc_249"]).all()
    assert "Misc_107" not in frames  # no sky
    assert "Misc_206" in frames
    assert (frames["Misc_206"] != shared["Misc_206"]).any()


def test_sky_masks_beside_sirst_v2_serve_where_the_devkit_has_none(tmp_path: Path) -> None:
    """A devkit may hold the scenes of one split only, donors were drawn from all."""
    sirstv2 = tmp_path / "sirstv2"
    gray, sky = np.full((10, 10), 90, np.uint8), np.zeros((10, 10), np.uint8)
    sky[:5] = 255
    mask = "densesirst/SkySeg/BinaryMask/Misc_1_pixels0.png"
    for name, image in (("sirstv2/mixed/Misc_1.png", gray), (mask, sky)):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(encode_png(image))
    (frame,) = read_frames(sirstv2, tmp_path / "devkit", unnamed=None).values()
    assert (frame == 90).all()
    sky[4, 0] = 0
    (tmp_path / mask).write_bytes(encode_png(sky))
    (frame,) = read_frames(sirstv2, tmp_path / "devkit", unnamed=None).values()
    assert (frame.reshape(5, 5)[4, 0], frame.max()) == (0, 90)
