"""The files of a dataset: what the manifest says, what is listed, what is there."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from densesirst_gen.build.verify.problem import Problem
from densesirst_gen.datasets.grammar.dialects import DIALECTS
from densesirst_gen.files.atomic import OutputError, digest_of
from densesirst_gen.files.folder import CHECKSUMS
from densesirst_gen.files.manifest import MANIFEST, SCHEMA
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.scene.counts import Counts
from densesirst_gen.settings import ConfigError

NO_SPANS = digest_of([])
MAX_BYTES = 1_000_000_000
IMAGES = "PNGImages/"
SCENE_PARTS = (IMAGES, "SIRST/", "SkySeg/")
LINE = re.compile(r"([0-9a-f]{64})  (.+)")
LEFT_BY_SYSTEMS = re.compile(r"(\.DS_Store|\._.*|Thumbs\.db|desktop\.ini|\.directory|\.nfs.*)")
LEFT_BY_US = re.compile(r"(\.build/.*|\.lock|(.*/)?\.[0-9a-f]{16}\.part)")


@dataclass(frozen=True)
class Given:
    """What the manifest says of a build, as far as it can be understood.

    Parameters
    ----------
    manifest : dict
    config : PasteConfig or None
    dialect : str or None
        Of the box files.
    """

    manifest: dict[str, Any]
    config: PasteConfig | None
    dialect: str | None

    def part(self, name: str) -> dict[str, Any]:
        """One of its objects; empty if it has none of that name."""
        value = self.manifest.get(name)
        return value if isinstance(value, dict) else {}

    @property
    def recipe(self) -> dict[str, Any]:
        """What decided the content of the build."""
        return self.part("recipe")

    @property
    def span(self) -> tuple[float, float] | None:
        """(black, white) as declared for the whole build; None if they were not."""
        span = self.recipe.get("span")
        if not isinstance(span, list) or len(span) != 2:
            return None
        if not all(type(value) in (int, float) for value in span):
            return None
        return float(span[0]), float(span[1])

    @property
    def has_several_spans(self) -> bool:
        """Whether each camera was given a span of its own."""
        declared = self.recipe.get("spans_sha256", NO_SPANS) != NO_SPANS
        return declared and self.recipe.get("span") is None

    @property
    def counts(self) -> dict[str, Counts]:
        """What the values of the images mean, by dtype, as far as it can be understood."""
        found = {}
        recorded = self.recipe.get("counts")
        for kind, values in recorded.items() if isinstance(recorded, dict) else ():
            with suppress(ValueError):
                found[kind] = Counts.from_dict(values)
        return found

    def number(self, name: str, default: int) -> int:
        """A whole number of the recipe."""
        value = self.recipe.get(name)
        return value if type(value) is int else default


def read_manifest(root: Path) -> Given:
    """The manifest of a finished build.

    Raises
    ------
    OutputError
        If there is none of ours.
    """
    path = root / MANIFEST
    if not path.is_file():
        interrupted = (root / ".build").is_dir()
        words = "it was interrupted, build --resume ends it" if interrupted else f"no {MANIFEST}"
        raise OutputError(f"{root} is not a finished build: {words}")
    try:
        manifest = json.loads(_bytes_of(path))
    except (ValueError, RecursionError, OSError) as error:
        raise OutputError(f"{path}: not JSON ({error})") from error
    schema = manifest.get("schema") if isinstance(manifest, dict) else None
    if schema != SCHEMA or not isinstance(manifest.get("recipe"), dict):
        raise OutputError(f"{path}: not the manifest of a build, schema is not {SCHEMA}")
    if manifest.get("synthetic") is not True:
        raise OutputError(
            f"{root} is not a build, so it has no plans: `validate` checks its labels"
        )
    recipe = manifest["recipe"]
    dialect = recipe.get("voc_dialect")
    known = isinstance(dialect, str) and dialect in DIALECTS
    return Given(manifest, _config(recipe.get("config")), dialect if known else None)


def _config(values: Any) -> PasteConfig | None:
    try:
        return PasteConfig.from_dict(values)
    except (ConfigError, TypeError, AttributeError, OverflowError):
        return None


def _bytes_of(path: Path) -> bytes:
    if path.stat().st_size > MAX_BYTES:
        raise OutputError(f"{path}: more than {MAX_BYTES} bytes")
    return path.read_bytes()


def recipe_problems(given: Given) -> Iterator[Problem]:
    """What in the recipe can't be understood, or contradicts the rest of the manifest."""
    if given.config is None:
        yield Problem(MANIFEST, "manifest", "recipe.config is no config")
    if given.dialect is None:
        found = given.recipe.get("voc_dialect")
        yield Problem(MANIFEST, "manifest", f"recipe.voc_dialect is {found!r}, not a known dialect")
    if given.recipe.get("span") is not None and given.span is None:
        what = f"recipe.span is {given.recipe['span']!r}, not [black, white]"
        yield Problem(MANIFEST, "manifest", what)
    if len(given.counts) != len(given.recipe.get("counts") or ()):
        yield Problem(MANIFEST, "manifest", "recipe.counts are no counts of images")
    said = given.part("conventions").get("boxes", "")
    if given.dialect and not str(said).endswith(f"dialect {given.dialect}"):
        what = f"conventions.boxes says {said!r}, the recipe dialect {given.dialect}"
        yield Problem(MANIFEST, "manifest", what)
    if given.part("source").get("layout") != given.recipe.get("layout"):
        yield Problem(MANIFEST, "manifest", "source.layout is not the recipe's")


def read_checksums(root: Path, given: Given) -> tuple[dict[str, str], list[Problem]]:
    """The list of files.

    Returns
    -------
    listed : dict of str to str
        Path -> SHA-256; empty if there is no list.
    problems : list of Problem
    """
    path = root / CHECKSUMS
    if not path.is_file():
        return {}, [Problem(CHECKSUMS, "missing", "nothing else says which files belong here")]
    listed: dict[str, str] = {}
    problems = []
    content = _bytes_of(path)
    if hashlib.sha256(content).hexdigest() != given.part("files").get("sha256"):
        problems.append(Problem(CHECKSUMS, "checksum", f"not the SHA-256 that {MANIFEST} has"))
    lines = content.decode("utf-8", "surrogateescape").removesuffix("\n").split("\n")
    for number, line in enumerate(lines, 1):
        match = LINE.fullmatch(line)
        fault = "not a SHA-256, two spaces and a path" if match is None else ""
        if match is not None:
            fault = _path_fault(match[2], listed)
        if fault or match is None:
            problems.append(Problem(CHECKSUMS, "manifest", f"line {number}: {fault}"))
        else:
            listed[match[2]] = match[1]
    return listed, problems


def _path_fault(name: str, listed: Mapping[str, str]) -> str:
    if name in listed:
        return f"{name} comes twice"
    return "" if is_inside(name) else f"{name!r} is not a path inside the dataset"


def is_inside(name: str) -> bool:
    """Whether a name can only be that of a file inside the dataset."""
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and not {"\0", "\\"} & set(name)


def check_file(root: Path, name: str, digest: str | None) -> Problem | None:
    """Whether a file is there, and has the listed content.

    Parameters
    ----------
    root : Path
    name : str
        Relative to it.
    digest : str or None
        SHA-256; None: not looked at.
    """
    path = root / name
    if not path.is_file():
        there = path.exists() or path.is_symlink()
        return Problem(name, "missing", "not a regular file" if there else "no such file")
    if digest is None:
        return None
    try:
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        return Problem(name, "unreadable", str(error.strerror))
    if found == digest:
        return None
    return Problem(name, "checksum", f"SHA-256 is {found[:12]}..., {digest[:12]}... is listed")


def files_there(root: Path) -> Iterator[str]:
    """Every file below a folder, relative to it, POSIX; links to folders are not entered."""
    for folder, subfolders, files in os.walk(root):
        subfolders.sort()
        links = [name for name in subfolders if (Path(folder) / name).is_symlink()]
        for name in sorted([*files, *links]):
            yield (Path(folder) / name).relative_to(root).as_posix()


def extra(root: Path, name: str, listed: Mapping[str, str]) -> Problem | None:
    """What to say of a file that is there: nothing if it is listed."""
    if name in listed or name in (MANIFEST, CHECKSUMS) or not listed:
        return None
    if LEFT_BY_US.fullmatch(name):
        return Problem(name, "left", "left by an interrupted program of ours")
    if LEFT_BY_SYSTEMS.fullmatch(PurePosixPath(name).name):
        return Problem(name, "left", "left by a system's file browser")
    if (root / name).is_dir() and any(other.startswith(f"{name}/") for other in listed):
        return None
    return Problem(name, "extra", f"not listed in {CHECKSUMS}")


def scene_of_image(name: str) -> str | None:
    """The scene whose image a file of the dataset would be, by its path alone."""
    path = PurePosixPath(name)
    if not name.startswith(IMAGES) or path.suffix not in (".png", ".tif"):
        return None
    if LEFT_BY_SYSTEMS.fullmatch(path.name):
        return None
    return path.with_suffix("").as_posix().removeprefix(IMAGES)
