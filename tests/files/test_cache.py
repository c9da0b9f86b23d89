"""Caches lie where the platform keeps them, and nowhere if there is no home."""

from __future__ import annotations

from pathlib import Path

import pytest

from densesirst_gen.files import cache
from densesirst_gen.files.cache import cache_folder
from densesirst_gen.sky.predict import default_store


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DENSESIRST_GEN_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_platform_says_where(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(cache, "user_cache_path", lambda name, **_: Path("/Library/Caches", name))
    assert cache_folder() == Path("/Library/Caches/densesirst-gen")
    old = tmp_path / ".cache" / "densesirst-gen"
    old.mkdir(parents=True)
    assert default_store() == old / "sky"


@pytest.mark.parametrize("home", [None, ""])
def test_without_a_home_there_is_no_cache(
    monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    import pwd

    def unknown(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME") if home is None else monkeypatch.setenv("HOME", home)
    assert default_store() is None or home == ""
