import csv
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from command_line import run
from scenes import make_scene, random_scenes

from densesirst_gen.cli.options import FAILED, PROBLEMS, SET_ASIDE, USAGE
from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.layouts.devkit import devkit_files
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.compare import side_by_side
from densesirst_gen.stats.tables import dataset_stats


def write_devkit(root: Path, scenes: list[Scene]) -> Path:
    for scene in scenes:
        for name, content in devkit_files(scene, annotate(scene.labels)):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(content)
    return root


def write_folders(root: Path, scenes: list[Scene]) -> Path:
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    for scene in scenes:
        mask = (scene.labels > 0).astype(np.uint8) * 255
        (root / "images" / f"{scene.name}.png").write_bytes(encode_png(scene.image))
        (root / "masks" / f"{scene.name}.png").write_bytes(encode_png(mask))
    return root


def stats(*arguments: object, code: int = 0) -> Result:
    return run("stats", *arguments, code=code)


def document(*arguments: object) -> dict:
    result = stats(*arguments, "--json")
    return json.loads(result.stdout, parse_constant=pytest.fail)


@pytest.fixture(scope="module")
def dense(tmp_path_factory) -> Path:
    return write_devkit(tmp_path_factory.mktemp("dense"), random_scenes(0, 12))


@pytest.fixture(scope="module")
def other(tmp_path_factory) -> Path:
    return write_devkit(tmp_path_factory.mktemp("other"), random_scenes(1, 9, gain=90.0))


@pytest.fixture(scope="module")
def saved(other, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "other.json"
    stats(other, "--save", path, "--quiet")
    return path


def test_the_table_has_the_numbers_of_python(dense):
    result = stats(dense)
    summary = dataset_stats(file.load() for file in read_dataset(dense).scenes).summary()
    cells = dict(
        line.strip().rsplit("  ", 1) for line in result.stdout.splitlines() if line[:1] == " "
    )
    cells = {name.strip(): value.strip() for name, value in cells.items()}
    assert cells["images"] == "12"
    assert cells["targets"] == str(summary["targets"])
    assert cells["mask area, px: mean"] == f"{summary['mean_area']:.2f}"
    assert cells["normalised density of clusters"] == f"{summary['density_clusters']:.4f}"
    assert len({len(line) for line in result.stdout.splitlines() if line[:1] == " "}) == 1
    first, second = result.stderr.splitlines()
    assert first == "devkit: 12 images, 12 masks, 12 sky masks; 8 bit"
    assert second.startswith(
        "note: boxes in XML, dialect sirst by a few of them: exact in BAFE-Net"
    )


def test_the_document_has_the_numbers_of_python(dense):
    found = document(dense)
    expected = dataset_stats(file.load() for file in read_dataset(dense).scenes).summary()
    assert found["schema"] == "densesirst-gen/stats@1"
    assert found["summary"] == expected
    assert len(found["distributions"]["brightness_rank"]["shares"]) == 20
    assert found["against"] is None


def test_the_number_of_jobs_does_not_matter(dense):
    assert document(dense, "--jobs", 2) == document(dense)


def test_split_limit_and_sky_choose(dense, tmp_path):
    split = tmp_path / "part.txt"
    split.write_text("003\n005\n011\n")
    assert document(dense, "--split", split)["summary"]["images"] == 3
    assert document(dense, "--split", split, "--limit", 2)["summary"]["images"] == 2
    plain = write_folders(tmp_path / "plain", random_scenes(0, 2))
    sky = dense / "SkySeg" / "BinaryMask"
    assert document(plain)["summary"]["images_with_sky_mask"] == 0
    assert document(plain, "--sky", sky)["summary"]["images_with_sky_mask"] == 2


def test_saved_numbers_serve_as_the_folder(dense, other, saved):
    by_folder, by_file = (document(dense, "--against", ref)["against"] for ref in (other, saved))
    assert by_folder.pop("dataset") == str(other)
    assert by_file.pop("dataset") == str(saved)
    assert by_folder.pop("sentence") == by_file.pop("sentence").replace(str(saved), str(other))
    assert by_folder == by_file
    assert len(by_file["statistics"]) == 20


def test_two_datasets_side_by_side(dense, saved):
    result = stats(dense, "--against", saved)
    lines = result.stdout.splitlines()
    assert next(line for line in lines if "  images " in line).split() == ["images", "12", "9"]
    assert sum(line.startswith("peak_increment ") for line in lines) == 1
    assert lines[-1].startswith(f"Differs from {saved}")
    assert "with 9 images only large differences show" in lines[-1]


def test_csv_has_a_row_for_each(dense, tmp_path):
    summary = document(dense, "--csv", tmp_path / "made" / "dense")["summary"]
    rows = {
        kind: list(
            csv.DictReader((tmp_path / "made" / f"dense-{kind}.csv").read_text().splitlines())
        )
        for kind in ("targets", "clusters")
    }
    assert len(rows["targets"]) == summary["targets"]
    assert len(rows["clusters"]) == summary["clusters"] + summary["singles"]
    assert {row["image"] for row in rows["targets"]} <= {f"{k:03}" for k in range(12)}


def edge_cases() -> dict[str, list[Scene]]:
    return {
        "no targets": [make_scene(targets=0)],
        "one target": [make_scene(targets=1)],
        "16 bit": [make_scene(dtype=np.uint16), make_scene(dtype=np.uint16, name="b", targets=0)],
        "one pixel": [Scene("p", np.ones((1, 2), np.uint8), np.array([[1, 0]], np.int32))],
    }


@pytest.mark.parametrize("case", edge_cases())
def test_edge_cases_have_defined_values(case, tmp_path):
    folder = write_folders(tmp_path / "data", edge_cases()[case])
    outputs = ("--save", tmp_path / "all.json", "--csv", tmp_path / "all")
    found = document(folder, *outputs)["summary"]
    assert found["images"] == len(edge_cases()[case])
    assert found["images_with_sky_mask"] == 0
    assert "nan" not in (tmp_path / "all-targets.csv").read_text()
    json.loads((tmp_path / "all.json").read_text(), parse_constant=pytest.fail)
    assert "nan" not in stats(folder).stdout


def test_no_image_at_all(dense, tmp_path):
    result = stats(dense, "--limit", 0, "--save", tmp_path / "s.json", "--csv", tmp_path / "s")
    assert "nan" not in result.stdout
    assert set(document(dense, "--limit", 0)["summary"].values()) == {0}
    assert len((tmp_path / "s-targets.csv").read_text().splitlines()) == 1
    result = stats(dense, "--limit", 0, "--against", dense, code=FAILED)
    assert "at least 1 image" in result.stderr


@pytest.mark.parametrize(("limit", "code"), [(0.1, PROBLEMS), (1000, 0)])
def test_fail_over(dense, saved, limit, code):
    result = stats(dense, "--against", saved, "--fail-over", limit, "--quiet", code=code)
    assert result.stdout == ""
    assert ("mean ratio" in result.stderr) == bool(code)


@pytest.mark.parametrize("flags", [("--probe",), ("--fail-over", "1")])
def test_comparing_needs_a_reference(dense, flags):
    result = stats(dense, *flags, code=USAGE)
    assert "need --against" in result.stderr


def test_wrong_references(dense, saved, tmp_path):
    assert "holds only numbers" in stats(dense, "--against", saved, "--probe", code=USAGE).stderr
    assert "--against" in stats(dense, "--against", tmp_path / "none", code=USAGE).stderr
    short = tmp_path / "short.json"
    short.write_text(json.dumps(document(dense)))
    assert "--save" in stats(dense, "--against", short, code=FAILED).stderr


@dataclass(frozen=True)
class FakeResult:
    auc: float = 0.61
    low: float = 0.55
    high: float = 0.67
    n_a: int = 5
    n_b: int = 6


def test_probe_sees_the_scenes_of_both(dense, other, monkeypatch):
    seen = []

    def probe(a, b, *, seed):
        seen.extend([[scene.name for scene in part] for part in (a, b)] + [seed])
        return FakeResult()

    monkeypatch.setattr(side_by_side, "probe", probe)
    flags = ("--limit", 3, "--against", other, "--probe", "--seed", 4)
    assert document(dense, *flags)["against"]["probe"]["auc"] == 0.61
    assert seen == [["000", "001", "002"], [f"{k:03}" for k in range(9)], 4]
    assert "AUC of 0.61 (0.55 to 0.67)" in stats(dense, *flags).stdout


def test_what_cannot_be_read_is_set_aside(tmp_path):
    folder = write_folders(tmp_path, random_scenes(0, 3))
    (folder / "images" / "001.png").write_bytes(b"\x89PNG")
    result = stats(folder, "--strict", "--json", code=SET_ASIDE)
    assert "set aside 001: " in result.stderr
    found = json.loads(result.stdout)
    assert found["summary"]["images"] == 2
    assert list(found["set_aside"]) == ["001"]
    stats(folder)


def test_plots_are_written(dense, saved, tmp_path, monkeypatch):
    figures = pytest.importorskip("densesirst_gen.stats.report.figures")
    monkeypatch.setattr(figures, "CHARTS", figures.CHARTS[:1])
    stats(dense, "--against", saved, "--plots", tmp_path / "figures")
    found = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    assert found.keys() == {"size.png", "size.svg"}
    assert found["size.svg"].startswith(b"<svg")
    assert found["size.png"].startswith(b"\x89PNG")


def test_page_is_written(dense, saved, tmp_path, monkeypatch):
    pytest.importorskip("jinja2")
    figures = pytest.importorskip("densesirst_gen.stats.report.figures")
    labels = []
    monkeypatch.setattr(figures, "draw_figures", lambda *a: labels.extend(a[2:]) or [])
    page = tmp_path / "page.html"
    stats(dense, "--against", saved, "--html", page)
    text = page.read_text("utf-8")
    assert labels == [(dense.name, saved.name)]
    assert "Differs from" in text
    assert "density of clusters" in text


# row 80
def test_missing_libraries_are_named_before_any_work(dense, tmp_path, monkeypatch):
    module = sys.modules["densesirst_gen.cli.stats"]
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    for flag, extra in (("--plots", "plot"), ("--html", "plot")):
        result = stats(dense, flag, tmp_path / "out", code=FAILED)
        assert f"pip install 'densesirst_gen[{extra}]'" in result.stderr
        assert result.stdout == ""


# row 56
def test_names_cannot_reach_the_terminal(tmp_path):
    folder = write_folders(tmp_path / "da\x1b[31mta", random_scenes(0, 2))
    assert "\x1b" not in stats(folder, "--against", folder).output


def test_each_side_has_its_own_span(tmp_path: Path) -> None:
    """Row 122: two cameras whose counts say the same are the same, once each is told its span."""
    scenes = random_scenes(4, 6)
    twice, thrice = (
        write_folders(
            tmp_path / str(k),
            [replace(s, image=s.image.astype(np.uint16) * k, span=(0, 255 * k)) for s in scenes],
        )
        for k in (2, 3)
    )
    mine = (twice, "--span", 0, 510, "--against", thrice)
    told, other = (
        document(*mine, "--against-span", 0, white)["against"]["statistics"]
        for white in (765, 1530)
    )
    assert all(row["distance"] in (None, pytest.approx(0, abs=1e-9)) for row in told)
    assert any((row["distance"] or 0) > 0.1 for row in other)


def test_a_span_of_no_images_is_refused(dense: Path, saved: Path) -> None:
    for against in ([], ["--against", saved]):
        found = stats(dense, *against, "--against-span", 0, 1, code=USAGE)
        assert "--against-span is of the images of --against" in found.stderr
