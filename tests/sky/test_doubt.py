"""A doubt of predicted skies that needs no confidence to fall."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import run
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import drawn

from densesirst_gen.cli.sky import tell_predicted
from densesirst_gen.files.atomic import write_files
from densesirst_gen.files.images.codec import encode_png, read_image
from densesirst_gen.scene.scene import Scene
from densesirst_gen.sky import doubt as doubts
from densesirst_gen.sky.check import worth_a_look
from densesirst_gen.sky.doubt import (
    BLANK,
    CELLS,
    UNSURE,
    Doubt,
    doubt_from,
    predict_with_doubt,
    signs,
)
from densesirst_gen.sky.folder import HAND, SkyRow
from densesirst_gen.sky.graph import GRID, HALF_GRID
from densesirst_gen.sky.network import shipped
from densesirst_gen.sky.predict import predict_sky


def bare(image: np.ndarray) -> Scene:
    return Scene("bare", image, np.zeros(image.shape, np.int32))


def of_odds(whole: float, *views: float) -> Doubt:
    """The doubt of an image whose log-odds are the same everywhere."""
    coarse = np.full(GRID, whole, np.float32)
    others = np.concatenate([np.full(HALF_GRID, view, np.float32) for view in views])
    return doubt_from(shipped(), coarse, others)


def test_the_prediction_is_the_same_with_its_doubt(tmp_path: Path) -> None:
    for number in range(2):
        scene = bare(drawn(number).image)
        alone = predict_sky(scene)
        found, doubt = predict_with_doubt(scene, store=tmp_path)
        again, same = predict_with_doubt(scene, store=tmp_path)
        assert alone.probability.tobytes() == found.probability.tobytes()
        assert alone.probability.tobytes() == again.probability.tobytes()
        assert alone.confidence == found.confidence == again.confidence
        assert doubt == same


def test_a_broken_store_of_views_only_costs_time(tmp_path: Path) -> None:
    scene = bare(drawn(1).image)
    _, doubt = predict_with_doubt(scene)
    predict_with_doubt(scene, store=tmp_path)
    files = list(tmp_path.rglob("*.png"))
    assert sorted(read_image(file).array.shape for file in files) == [(*GRID[:1], 160), GRID]
    for file in files:
        file.write_bytes(b"not a PNG")
    assert predict_with_doubt(scene, store=tmp_path)[1] == doubt


def test_what_is_sure_in_every_view_is_not_doubted() -> None:
    found = of_odds(7.9, 7.9, 7.9)
    assert found.value < 0.1
    assert found.reason == ""


def test_what_is_sky_in_one_view_only_is_doubted() -> None:
    for views, place in (((-5, 7), "at half size"), ((7, -5), "in negative")):
        found = of_odds(6.5, *views)
        assert found.value >= 0.5
        assert found.reason == f"100% of the image is no sky {place}"


def test_what_is_unsure_everywhere_is_doubted() -> None:
    assert of_odds(3, 3, 3) == Doubt(pytest.approx(1, abs=0.2), UNSURE)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_signs_are_shares_and_turning_the_image_changes_none(seed: int) -> None:
    rng = np.random.default_rng(seed)
    chance, inner = np.rint(rng.random((3, *CELLS)) * 2**20) / 2**20, rng.random(CELLS) < 0.5
    found = signs(chance[0], chance[1:], inner)
    assert 0 <= found.unsure <= 1
    assert found.lost >= (1 - chance[0])[inner].sum() / inner.size - 1e-9
    turned = signs(chance[0, ::-1], chance[1:, ::-1], inner[::-1])
    assert found == turned
    assert signs(chance[0], chance[1:], np.zeros(CELLS, bool)) == (0, 0)


def test_little_sky_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doubts, "views_of", lambda network, seen: pytest.fail("looked again"))
    ground = np.random.default_rng(0).integers(0, 255, (100, 120), np.uint8)
    ground[50:] = cv2.GaussianBlur(ground[50:], (0, 0), 3)
    found, doubt = predict_with_doubt(bare(ground))
    assert found.sky.mean() <= 0.05
    assert doubt == Doubt()


def test_a_blank_image_is_doubted_for_what_it_is() -> None:
    assert predict_with_doubt(bare(np.full((40, 50), 7, np.uint8)))[1] == Doubt(1, BLANK)


@pytest.mark.parametrize("level", [0, 100])
# row 124
def test_a_blank_image_with_dead_pixels_is_doubted_too(level: int) -> None:
    image = np.full((100, 120), level, np.uint8)
    image[3, 5], image[50, 60] = 255, 30
    found, doubt = predict_with_doubt(bare(image))
    assert found.sky.mean() > 0.05
    assert doubt == Doubt(1, BLANK)


def test_a_build_tells_of_skies_that_it_predicts_and_doubts(tmp_path: Path) -> None:
    sky, dead = drawn(3).image, np.full((100, 120), 100, np.uint8)
    dead[3, 5], dead[50, 60] = 255, 30
    write_files(tmp_path, [("sky.png", encode_png(sky)), ("dead.png", encode_png(dead))])
    told = run("build", "-b", tmp_path, "--dry-run", code=1).stderr
    wanted = f"1 of 2 predicted skies looked at are doubtful, such as dead: {BLANK}"
    assert f"note: {wanted}; densesirst-gen sky has all" in told
    assert "doubtful" not in run("build", "-b", tmp_path, "--region=anywhere", code=1).stderr


def test_a_known_doubt_takes_the_place_of_the_rule_for_all_sky() -> None:
    assert worth_a_look(0.99, 1.0)
    assert not worth_a_look(0.99, 1.0, 0.1)
    assert worth_a_look(0.999, 1.0, 0.5)
    assert worth_a_look(0.84, 0.5, 0.0)
    assert not worth_a_look(0.86, 0.5, 0.49)


def test_the_doubted_come_first_with_their_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        SkyRow("unsure", confidence=0.8, share=0.5, doubt=0.1),
        SkyRow("sure", confidence=0.99, share=0.5, doubt=0.1),
        SkyRow("road", confidence=1.0, share=1.0, doubt=0.9, reason="no sky in negative"),
        SkyRow("none", confidence=0.4, share=0.0, doubt=0.0),
        SkyRow("drawn", HAND, None, 0.5),
    ]
    tell_predicted(rows, tmp_path, quiet=False, as_json=False)
    told = capsys.readouterr().out.splitlines()
    assert told[1:] == [
        "2 are worth a look, least sure first (confidence, sky):",
        "  1.00  100%  road  (no sky in negative)",
        "  0.80   50%  unsure",
        "1 more are unsure of at most 5% sky: nothing is pasted into them",
    ]


def test_the_list_is_in_the_index_and_in_json(tmp_path: Path) -> None:
    images = [("blank.png", encode_png(np.full((90, 90), 7, np.uint8)))]
    images.append(("demo.png", encode_png(drawn(0).image)))
    write_files(tmp_path / "in", images)
    told = run("sky", tmp_path / "in", "--out", tmp_path / "masks", "--json").stdout
    in_json = {row.pop("name"): row for row in json.loads(told)["images"]}
    indexed = json.loads((tmp_path / "masks" / "sky.json").read_text())["images"]
    assert in_json == indexed
    assert indexed["blank"]["worth_a_look"] is True
    assert indexed["blank"]["reason"] == BLANK
    assert 0 <= indexed["demo"]["doubt"] <= 1


# row 124
def test_images_outside_the_training_data(real_data: Path) -> None:
    """Three of four wrong skies are listed (a field from above is not), few of the right ones."""
    folder = real_data / "other"
    if not folder.exists():
        pytest.skip("needs the images that are not SIRST")
    with (folder / "looked.csv").open() as file:
        seen = {row["file"]: row["by_eye"] for row in csv.DictReader(file)}
    chosen = [name for name in seen if seen[name] == "wrong"]
    chosen += ["demo_agpc_data_1.bmp", "demo_pstnn_images_2.bmp", "msistd_MSISTD_10.png"]
    listed = set()
    for name in chosen:
        image = read_image(folder / "images" / name).array
        gray = image if image.ndim == 2 else np.ascontiguousarray(image[..., :3].max(2))
        found, doubt = predict_with_doubt(bare(gray))
        if worth_a_look(found.confidence, float(found.sky.mean()), doubt.value):
            listed.add(name)
    assert listed == {"nudt_000001.png", "nudt_000018.png", "nudt_nust.png"}
