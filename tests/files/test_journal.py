"""What stands in .build/ and in a finished folder may be damaged: one line, never a traceback."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from densesirst_gen.files.atomic import OutputError, RefusedError, write_files
from densesirst_gen.files.checksums import checksum_lines, read_checksums
from densesirst_gen.files.folder import CHECKSUMS, MANIFEST, SCHEMA, BuildFolder, journal_line

RECIPE = {"seed": 0, "config": {"gain": [0.5, 1.0]}}
ENTRY = {"name": "a", "files": {"images/a.png": "0" * 64}, "area": 3, "plan": "{}"}
OBJECTS = [
    b"",
    b" ",
    b"{",
    b"[]",
    b"null",
    b"7",
    b'"text"',
    b"true",
    b"\xff\xfe{}",
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b"{} {}",
    b"{'a': 1}",
    b'{"a" 1}',
    b'{"a": 1,}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"\x00" * 64,
    b'{"a": "\xc3"}',
    b"<html></html>",
    b"version https://git-lfs.github.com/spec/v1\n",
    b"\xef\xbb\xbf{}",
]


def begun(root: Path) -> BuildFolder:
    folder = BuildFolder(root, RECIPE)
    folder.open(resume=False, overwrite=False)
    return folder


def done(root: Path, name: str) -> dict[str, Any]:
    return {"name": name, "files": write_files(root, [(f"images/{name}.png", name.encode())])}


@pytest.mark.parametrize("content", OBJECTS, ids=range(len(OBJECTS)))
@pytest.mark.parametrize("name", [".build/recipe.json", MANIFEST])
# row 46
def test_a_damaged_recipe_or_manifest_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    begun(tmp_path)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(OutputError, match=Path(name).name) as error:
        BuildFolder(tmp_path, RECIPE).open(resume=True, overwrite=False)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("recipe", [None, 7, "x", [], [1], True])
def test_a_manifest_without_a_recipe_is_not_resumed(tmp_path: Path, recipe: Any) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"schema": SCHEMA, "recipe": recipe}))
    with pytest.raises(RefusedError, match="no recipe"):
        BuildFolder(tmp_path, RECIPE).open(resume=True, overwrite=False)


def test_values_that_are_no_json_can_be_told(tmp_path: Path) -> None:
    begun(tmp_path)
    (tmp_path / ".build/recipe.json").write_text('{"seed": 1e999}')
    with pytest.raises(RefusedError, match="seed was Infinity, now 0"):
        BuildFolder(tmp_path, RECIPE).open(resume=True, overwrite=False)


@pytest.mark.parametrize("kind", ["folder", "pipe"])
@pytest.mark.parametrize("name", [".build/recipe.json", MANIFEST, ".build/journal.jsonl"])
def test_what_is_no_file_neither_hangs_nor_breaks(tmp_path: Path, name: str, kind: str) -> None:
    folder = begun(tmp_path)
    (tmp_path / name).unlink(missing_ok=True)
    os.mkfifo(tmp_path / name) if kind == "pipe" else (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match="not a regular file"):
        folder.open(resume=True, overwrite=False)


def damaged_lines() -> Iterator[bytes]:
    good = journal_line(ENTRY).encode()
    yield from (content + b"\n" for content in OBJECTS)
    for old, new in [
        (b'"area": 3', b'"area": 4'),
        (b'"name": "a"', b'"name": "b"'),
        (b'"name": "a"', b'"name": 7'),
        (b'"name"', b'"nome"'),
        (b"images/a.png", b"images/b.png"),
        (b'"0000', b'"1000'),
        (b"line_sha256", b"line_sha255"),
        (b", ", b","),
        (b'"plan": "{}"', b'"plan": "{ }"'),
    ]:
        yield good.replace(old, new, 1)
    yield good.rstrip(b"}\n") + b"\n"
    yield good.replace(b'"name"', b'"name": "z", "name"', 1)
    for files in (7, "text", [7], [""], ["../a"], ["/etc/passwd"], ["a\0b"], {"../x": "0" * 64}):
        yield json.dumps({"name": "a", "files": files}).encode() + b"\n"


LINES = [line for line in damaged_lines() if b"line_sha255" not in line]


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_damaged_line_is_named_and_nothing_deleted(tmp_path: Path, line: bytes) -> None:
    folder = begun(tmp_path)
    folder.append([done(tmp_path, "first")])
    with open(folder.journal, "ab") as journal:
        journal.write(line + journal_line(ENTRY).encode())
    for use in (folder.done, lambda: list(folder.sorted_entries()), lambda: list(folder.entries())):
        with pytest.raises(OutputError, match=r"journal\.jsonl, line 2: not as it was written"):
            use()
    with pytest.raises(OutputError, match="line 2"):
        BuildFolder(tmp_path, RECIPE).open(resume=False, overwrite=True)
    assert (tmp_path / "images/first.png").exists()


def test_a_line_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    folder = begun(tmp_path)
    folder.journal.write_text(json.dumps(done(tmp_path, "a")) + "\n")
    assert folder.done() == {"a"}


@pytest.mark.parametrize("damage", ["emptied", "flipped", "gone", "link", "folder"])
def test_a_scene_whose_file_is_damaged_is_not_done(tmp_path: Path, damage: str) -> None:
    folder = begun(tmp_path)
    folder.append([done(tmp_path, "a"), done(tmp_path, "b")])
    path = tmp_path / "images/a.png"
    (tmp_path / "same").write_bytes(path.read_bytes())
    if damage in ("emptied", "flipped"):
        path.write_bytes(b"" if damage == "emptied" else b"A")
    else:
        path.unlink()
    if damage == "link":
        path.symlink_to(tmp_path / "same")
    if damage == "folder":
        path.mkdir()
    assert folder.done() == {"b"}
    assert [entry["name"] for entry in folder.entries()] == ["b"]


def test_a_folder_that_leads_out_is_not_written_to(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    folder = begun(out)
    folder.append([done(out, "a")])
    (out / "images").rename(elsewhere)
    (out / "images").symlink_to(elsewhere)
    for resume in (True, False):
        with pytest.raises(RefusedError, match="leads out of"):
            folder.open(resume=resume, overwrite=not resume)
    assert (elsewhere / "a.png").exists()


# row 62
def test_a_full_disk_leaves_whole_lines_and_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = begun(tmp_path)
    folder.append([done(tmp_path, "a")])
    before = folder.journal.read_bytes()

    class Full:
        def __init__(self, file: Any) -> None:
            self.file = file

        def write(self, line: bytes) -> int:
            if len(line) < 20:
                raise OSError(28, "No space left on device")
            return int(self.file.write(line[:-10]))

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def __enter__(self) -> Full:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

    def almost_full(*args: Any, **options: Any) -> Full:
        return Full(open(*args, **options))

    monkeypatch.setattr("densesirst_gen.files.journal.open", almost_full, raising=False)
    with pytest.raises(OSError, match=r"No space left on device: '.*journal\.jsonl'"):
        folder.append([done(tmp_path, "b")])
    monkeypatch.undo()
    assert folder.journal.read_bytes() == before


def test_a_build_killed_in_its_first_step_can_be_begun_again(tmp_path: Path) -> None:
    (tmp_path / ".build/parts").mkdir(parents=True)
    (tmp_path / ".build/parts/.0123.part").write_bytes(b"half")
    begun(tmp_path)
    assert (tmp_path / ".build/recipe.json").exists()


def test_the_hidden_folder_of_another_program_is_left_alone(tmp_path: Path) -> None:
    own = tmp_path / ".build/parts/main.o"
    own.parent.mkdir(parents=True)
    own.write_text("x")
    for overwrite in (False, True):
        with pytest.raises(RefusedError):
            BuildFolder(tmp_path, RECIPE).open(resume=False, overwrite=overwrite)
    assert own.exists()


@pytest.mark.parametrize("name", ["a\u2028b.png", "a\x0cb", "a\x85b", "a\x1cb", " a ", "ü", "😀"])
def test_names_with_separators_of_lines_can_be_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    (tmp_path / "own.txt").write_text("keep me")
    (tmp_path / MANIFEST).write_text(json.dumps({"schema": SCHEMA}))
    lines = b"".join(checksum_lines([(name, "0" * 64)]))
    (tmp_path / CHECKSUMS).write_bytes(lines)
    assert list(read_checksums(tmp_path / CHECKSUMS)) == [(name, "0" * 64)]
    BuildFolder(tmp_path, RECIPE).open(resume=False, overwrite=True)
    assert {p.name for p in tmp_path.iterdir()} == {"own.txt", ".build"}


SUMS = [
    b"\n",
    b"text\n",
    b"0" * 64 + b"\n",
    b"0" * 64 + b"  \n",
    b"0" * 64 + b"  a",
    b"0" * 63 + b"g  a\n",
    b"0" * 64 + b"  .\n",
    b"0" * 64 + b"  a\0b\n",
    b"0" * 64 + b"  images\n",
    b"\xff" * 70 + b"\n",
]


@pytest.mark.parametrize("content", SUMS, ids=range(len(SUMS)))
# row 60
def test_a_damaged_list_of_checksums_stops_an_overwrite(tmp_path: Path, content: bytes) -> None:
    write_files(tmp_path, [("images/a.png", b"x")])
    (tmp_path / MANIFEST).write_text(json.dumps({"schema": SCHEMA}))
    (tmp_path / CHECKSUMS).write_bytes(content)
    with pytest.raises(OutputError, match=r"files\.sha256|images is a folder"):
        BuildFolder(tmp_path, RECIPE).open(resume=False, overwrite=True)
    assert (tmp_path / "images/a.png").exists()


@pytest.mark.parametrize("epoch", ["abc", "1.5", "1e9", "9" * 30, "-" + "9" * 30, "0x10"])
# row 130
def test_a_wrong_date_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, epoch: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", epoch)
    with pytest.raises(OutputError, match="SOURCE_DATE_EPOCH must be a whole number"):
        begun(tmp_path)
    assert not list(tmp_path.iterdir())
