"""Paths that stand in files of ours: inside of the folder, or refused."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from densesirst_gen.files.atomic import RefusedError
from densesirst_gen.files.checksums import read_checksums
from densesirst_gen.files.clear import clear_build
from densesirst_gen.files.names import is_inner

OUTSIDE = [
    "/a",
    "//a",
    "///a",
    "//etc/passwd",
    "..",
    "../a",
    "a/../b",
    "",
    ".",
    "./",
    "/",
    "a\0",
    7,
]
INSIDE = ["a", "a/b.png", "./a", "a//b", "a/./b", "..a", "a..", "a/...", " ", "a\\b", "-", "~"]


@pytest.mark.parametrize("name", OUTSIDE, ids=repr)
def test_what_leads_out(name: object) -> None:
    """Row 49. Two slashes are a root of their own in POSIX."""
    assert not is_inner(name)


@pytest.mark.parametrize("name", INSIDE)
def test_what_does_not(name: str) -> None:
    assert is_inner(name)


@given(st.text("/.a\\~ ", max_size=12))
def test_what_is_inner_stays_inside(name: str) -> None:
    root = PurePosixPath("/root/of/it")
    joined = root / name
    stays = joined.is_relative_to(root) and joined != root and ".." not in joined.parts
    assert is_inner(name) == stays


@pytest.mark.parametrize("slashes", ["/", "//"])
def test_an_overwrite_deletes_nothing_elsewhere(slashes: str, tmp_path: Path) -> None:
    """Rows 49 and 60: a list of checksums by a stranger, who wants a file deleted."""
    victim = tmp_path / "victim"
    victim.touch()
    root = tmp_path / "out"
    root.mkdir()
    name = f"{slashes}{str(victim).lstrip('/')}"
    (root / "files.sha256").write_text(f"{'0' * 64}  {name}\n")
    manifest = '{"schema": "densesirst-gen/manifest@1", "generator": {"name": "densesirst_gen"}}'
    (root / "manifest.json").write_text(manifest)
    with pytest.raises(RefusedError, match="leads out of the folder"):
        list(read_checksums(root / "files.sha256"))
    with pytest.raises(RefusedError):
        clear_build(root)
    assert victim.exists()
