"""Maps of scenes whose names are each other's with ``_pixels0`` behind."""

from __future__ import annotations

from pathlib import Path

from densesirst_gen.datasets.parts.names import SceneNames
from densesirst_gen.detection.evaluation.readers.map_files import claim_files


def claimed(*stems: str) -> dict[str, str]:
    folder = Path("maps")
    files = [folder / f"{stem}.png" for stem in stems]
    names = SceneNames(["a", "a_pixels0", "b"])
    return {name: path.stem for name, path in claim_files(folder, files, names).files.items()}


def test_maps_named_like_scenes() -> None:
    assert claimed("a", "a_pixels0", "b") == {"a": "a", "a_pixels0": "a_pixels0", "b": "b"}


def test_maps_with_the_suffix_of_masks() -> None:
    assert claimed("a_pixels0", "a_pixels0_pixels0", "b_pixels0") == {
        "a": "a_pixels0",
        "a_pixels0": "a_pixels0_pixels0",
        "b": "b_pixels0",
    }
