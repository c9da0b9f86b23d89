import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from scenes import random_scenes

from densesirst_gen.stats.compare.fidelity import compare
from densesirst_gen.stats.report.text import table_rows, table_text
from densesirst_gen.stats.rows import GROUP, SCENE, TARGET
from densesirst_gen.stats.saved import (
    SCHEMA,
    StatsFileError,
    csv_files,
    read_saved,
    stats_from_tables,
    tables_document,
)
from densesirst_gen.stats.tables import DatasetStats, dataset_stats


@pytest.fixture(scope="module")
def stats() -> DatasetStats:
    return dataset_stats(random_scenes(0, 6))


def rows_of(stats: DatasetStats, name: str) -> list[dict[str, str]]:
    text = dict(csv_files(stats))[name].decode()
    return list(csv.DictReader(io.StringIO(text)))


def saved(path, stats, **changes):
    path.write_text(json.dumps({"schema": SCHEMA, "tables": tables_document(stats), **changes}))
    return path


def test_saved_tables_come_back_exactly(tmp_path, stats):
    back = read_saved(saved(tmp_path / "s.json", stats))
    assert back.names == stats.names
    for name in ("targets", "groups", "scenes", "sky_map"):
        one, two = getattr(back, name), getattr(stats, name)
        assert one.dtype == two.dtype
        assert (one == two).all()
    assert compare(back, stats) == compare(stats, stats)


def test_no_rows_come_back(tmp_path):
    back = read_saved(saved(tmp_path / "s.json", dataset_stats([])))
    assert (len(back.targets), len(back.scenes)) == (0, 0)


def test_other_files_are_not_saved_statistics(tmp_path):
    for content in ('{"images": []}', "[1]", "no JSON", "[" * 100_000):
        path = tmp_path / "other.json"
        path.write_text(content)
        assert read_saved(path) is None


def test_another_schema_or_no_rows_is_an_error(tmp_path, stats):
    with pytest.raises(StatsFileError, match="expected 'densesirst-gen/stats@1'"):
        read_saved(saved(tmp_path / "s.json", stats, schema="densesirst-gen/stats@9"))
    path = tmp_path / "short.json"
    path.write_text(json.dumps({"schema": SCHEMA}))
    with pytest.raises(StatsFileError, match="--save"):
        read_saved(path)


@pytest.mark.parametrize(
    ("table", "column", "values"),
    [
        ("targets", "scene", [99]),
        ("targets", "scene", [-1]),
        ("targets", "area", ["x"]),
        ("targets", "area", [2**40]),
        ("targets", "area", None),
        ("targets", "scr", [float("nan")]),
        ("targets", "scr", []),
        ("scenes", "width", [1]),
    ],
)
def test_damage_is_an_error(tmp_path, stats, table, column, values):
    tables = tables_document(stats)
    n = len(tables[table][column])
    tables[table][column] = values * n if values and table == "targets" else values
    with pytest.raises(StatsFileError, match=r"s\.json: damaged"):
        read_saved(saved(tmp_path / "s.json", stats, tables=tables))


def test_tables_of_another_shape_are_an_error(tmp_path, stats):
    for damage in ({"names": []}, {"sky_map": [[0.0]]}, {"names": None}, {"targets": {}}):
        tables = {**tables_document(stats), **damage}
        with pytest.raises(StatsFileError):
            read_saved(saved(tmp_path / "s.json", stats, tables=tables))


def test_csv_has_a_row_for_each_target_and_each_group(stats):
    targets, groups = rows_of(stats, "targets.csv"), rows_of(stats, "clusters.csv")
    assert (len(targets), len(groups)) == (len(stats.targets), len(stats.groups))
    assert [row["image"] for row in groups] == [stats.names[k] for k in stats.groups["scene"]]
    assert [float(row["scr"]) for row in targets] == stats.targets["scr"].tolist()
    assert set(targets[0]) == {"image", *TARGET.names} - {"scene"}
    assert set(groups[0]) == {"image", *GROUP.names} - {"scene"}


def test_what_does_not_exist_is_an_empty_cell(stats):
    scenes = [replace(scene, sky=None) for scene in random_scenes(0, 1)]
    labels = np.where(scenes[0].labels == 1, 1, 0).astype(np.int32)
    alone = rows_of(dataset_stats([replace(scenes[0], labels=labels)]), "targets.csv")
    assert [alone[0][name] for name in ("in_sky", "gap", "nearest_distance")] == [""] * 3
    assert alone[0]["saturated"] in ("0", "1")


# row 55
def test_names_are_no_formulas(stats):
    names = ("=1+1", "+a", "-a", "@a", "\ta", 'a,"b"')
    cells = {row["image"] for row in rows_of(replace(stats, names=names), "clusters.csv")}
    assert cells == {"'=1+1", "'+a", "'-a", "'@a", "'\ta", 'a,"b"'}


def many(n: int, per_scene: int = 13) -> DatasetStats:
    """Made-up rows: n targets in clusters of 13, one to a scene."""
    rng = np.random.default_rng(n)
    n_scenes = -(-n // per_scene)
    tables = {"targets": np.zeros(n, TARGET), "groups": np.zeros(n_scenes, GROUP)}
    tables["scenes"] = np.zeros(n_scenes, SCENE)
    for name, table in tables.items():
        for column in table.dtype.names:
            table[column] = rng.integers(1, 9, len(table)) + rng.random(len(table))
        table["scene"] = np.arange(len(table)) // (per_scene if name == "targets" else 1)
    return DatasetStats(tuple(map(str, range(n_scenes))), **tables)


def test_forty_thousand_targets():
    """Anything quadratic in these would need minutes or 13 GB."""
    stats = many(40_000)
    assert "40,000" in table_text([table_rows(stats)])
    assert dict(csv_files(stats))["targets.csv"].count(b"\n") == 40_001
    back = stats_from_tables(json.loads(json.dumps(tables_document(stats), allow_nan=False)))
    assert (back.targets == stats.targets).all()
    assert all(d.distance == 0 for d in compare(back, stats, draws=5) if d.distance is not None)


def test_what_an_earlier_version_saved_is_read(stats, tmp_path):
    """Groups were regions then."""
    text = json.dumps({"schema": SCHEMA, "tables": tables_document(stats)})
    path = tmp_path / "old.json"
    path.write_text(text.replace('"group', '"region'))
    found = read_saved(path)
    assert (found.groups == stats.groups).all()
    assert (found.targets == stats.targets).all()
