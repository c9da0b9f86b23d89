"""Only regular files are opened: a pipe or a device never hangs anything."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from densesirst_gen.files.images.codec import CodecError, png_text, read_image, read_mask, read_size
from densesirst_gen.files.regular import NotRegularError, read_bytes


def test_files_and_links_to_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to("a")
    assert read_bytes(tmp_path / "a") == read_bytes(str(tmp_path / "b")) == b"content"


# row 50
def test_what_is_no_regular_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
    kinds = {"pipe": "a pipe", "link": "a pipe", "socket": "a socket", ".": "a folder"}
    for name, kind in kinds.items():
        with pytest.raises(NotRegularError, match=f"{kind}, not a regular file"):
            read_bytes(tmp_path / name)
    with pytest.raises(NotRegularError, match="/dev/zero: a device, not a regular file"):
        read_bytes("/dev/zero")


def test_missing_files_and_circles_of_links(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none")
    with pytest.raises(OSError, match="loop"):
        read_bytes(tmp_path / "loop")


# row 74
def test_no_handle_is_left_open(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "a").write_bytes(b"")
    before = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").is_dir() else 0
    for _ in range(20):
        read_bytes(tmp_path / "a")
        with pytest.raises(NotRegularError):
            read_bytes(tmp_path / "pipe")
    after = len(os.listdir("/proc/self/fd")) if before else 0
    assert after == before


@pytest.mark.parametrize("read", [read_image, read_mask, read_size, png_text])
def test_images_are_regular_files(tmp_path: Path, read: object) -> None:
    assert callable(read)
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(CodecError, match=r"a\.png.*not a regular file"):
        read(tmp_path / "a.png")
