"""The write protocol: complete, resumable or refused, whatever happened before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from densesirst_gen.files.atomic import (
    OutputError,
    RefusedError,
    atomic_file,
    write_atomically,
    write_files,
)
from densesirst_gen.files.folder import (
    MANIFEST,
    SCHEMA,
    BuildFolder,
    clear_build,
    journal_line,
    locked,
)

RECIPE = {"seed": 0, "config": {"gain": [0.5, 1.0]}}


def begun(root: Path) -> BuildFolder:
    folder = BuildFolder(root, RECIPE)
    folder.open(resume=False, overwrite=False)
    return folder


def entry(root: Path, name: str) -> dict[str, object]:
    return {"name": name, "files": write_files(root, [(f"images/{name}.png", name.encode())])}


# row 75
def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file.txt"
    with pytest.raises(TypeError), atomic_file(target) as file:
        file.writelines([b"half", None])  # type: ignore[list-item]
    assert not target.exists()
    assert not list(tmp_path.rglob("*.part"))
    write_atomically(target, b"whole")
    assert target.read_bytes() == b"whole"


def test_names_of_any_length_and_kind(tmp_path: Path) -> None:
    for name in ["-rf", "a b", "ü%#'\"", "n" * 251 + ".png", "日本"]:
        write_files(tmp_path, [(name, b"x")])
        assert (tmp_path / name).read_bytes() == b"x"


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(RefusedError, match="is not empty"):
        begun(tmp_path)
    with pytest.raises(RefusedError, match="no build of densesirst-gen"):
        BuildFolder(tmp_path, RECIPE).open(resume=False, overwrite=True)
    assert (tmp_path / "thesis.tex").exists()


# row 60
def test_overwriting_deletes_our_files_and_no_others(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.append([entry(tmp_path, "a"), entry(tmp_path, "b")])
    (tmp_path / "images" / "own.txt").write_text("keep me")
    clear_build(tmp_path)
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["own.txt"]


# row 60
def test_a_foreign_manifest_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"schema": "other"}))
    with pytest.raises(RefusedError, match="no build of densesirst-gen"):
        clear_build(tmp_path)


def test_checksums_cannot_point_out_of_the_folder(tmp_path: Path) -> None:
    victim = tmp_path / "victim.txt"
    victim.write_text("x")
    root = tmp_path / "out"
    root.mkdir()
    (root / MANIFEST).write_text(json.dumps({"schema": SCHEMA}))
    (root / "files.sha256").write_text(f"{'0' * 64}  ../victim.txt\n{'0' * 64}  {victim}\n")
    with pytest.raises(RefusedError, match="leads out of"):
        clear_build(root)
    assert victim.exists()


def test_resuming_knows_what_is_done(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.append([entry(tmp_path, "b"), entry(tmp_path, "a"), entry(tmp_path, "c")])
    folder.append([{"name": "d", "error": "truncated"}])
    (tmp_path / "images" / "c.png").unlink()
    with open(folder.journal, "a") as journal:
        journal.write(journal_line(entry(tmp_path, "e"))[:-20])
    again = BuildFolder(tmp_path, RECIPE)
    again.open(resume=True, overwrite=False)
    assert again.done() == {"a", "b"}
    assert [e["name"] for e in again.sorted_entries()] == ["a", "b"]


# row 67
def test_resuming_with_another_recipe_is_refused_with_the_difference(tmp_path: Path) -> None:
    begun(tmp_path)
    other = BuildFolder(tmp_path, {**RECIPE, "seed": 1})
    with pytest.raises(RefusedError, match="seed was 0, now 1"):
        other.open(resume=True, overwrite=False)


def test_resuming_nothing_begins(tmp_path: Path) -> None:
    folder = BuildFolder(tmp_path / "new", RECIPE)
    folder.open(resume=True, overwrite=False)
    assert folder.done() == set()


def test_closing_leaves_the_manifest_alone(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.close({})
    assert [p.name for p in tmp_path.iterdir()] == [MANIFEST]


def test_two_builds_do_not_share_a_folder(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(RefusedError, match="another run"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    code = (
        "import sys, os; from pathlib import Path; from densesirst_gen.files.folder import locked\n"
        "with locked(Path(sys.argv[1])): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / ".lock").exists()
    with locked(tmp_path):
        holder = json.loads((tmp_path / ".lock").read_text())
        assert holder["pid"] == os.getpid()


# row 66
def test_the_lock_of_another_host_is_not(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text(json.dumps({"pid": 1, "host": "elsewhere", "nonce": "a"}))
    with pytest.raises(RefusedError, match="delete"), locked(tmp_path):
        pass


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="not a folder"), locked(tmp_path / "out"):
        pass


def test_a_refused_build_leaves_no_new_folder(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), locked(tmp_path / "a" / "b"):
        raise RuntimeError
    assert not (tmp_path / "a").exists()
