"""Frames of sequences, and what is held back of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from densesirst_gen.datasets.dataset import Dataset, SceneFile
from densesirst_gen.datasets.parts.sequences import sequences
from densesirst_gen.datasets.parts.splits import donor_scenes, held_back_twice

FRAMES = [f"{seq}/{k:05}" for seq in ("s1", "s2") for k in range(6)]


def dataset(splits: dict[str, list[str]], names: list[str] = FRAMES) -> Dataset:
    scenes = tuple(SceneFile(name, Path(f"{name}.png")) for name in names)
    return Dataset(Path("d"), "folders", scenes, {k: tuple(v) for k, v in splits.items()})


def donors(splits: dict[str, list[str]], names: list[str] = FRAMES) -> set[str]:
    return {scene.name.split("/")[0] for scene in donor_scenes(dataset(splits, names))}


def test_whole_sequences_are_split_as_they_are() -> None:
    splits = {"train": FRAMES[:6], "test": FRAMES[6:]}
    assert donors(splits) == {"s1"}
    assert held_back_twice(dataset(splits)) == []


def test_a_sequence_with_held_back_frames_gives_no_targets() -> None:
    splits = {"train": [*FRAMES[:6], *FRAMES[6:9]], "test": FRAMES[9:]}
    assert donors(splits) == {"s1"}
    (note,) = held_back_twice(dataset(splits))
    assert note == "1 sequences have frames that are held back and others, and give no targets: s2"


@pytest.mark.parametrize(
    "names",
    [
        [f"{k:05}" for k in range(12)],
        [f"day/{k}" for k in (3, 77, 512, 1004, 9000)] + [f"night/{k}" for k in (1, 70, 900, 4000)],
        [f"{folder}/{stem}" for folder in "ab" for stem in ("x", "y", "z", "u", "v")],
        [f"one/{k}" for k in range(9)],
    ],
)
def test_what_is_no_sequence(names: list[str]) -> None:
    assert sequences(names) == {}
    half = len(names) // 2
    found = {
        s.name for s in donor_scenes(dataset({"train": names[:half], "test": names[half:]}, names))
    }
    assert found == set(names[:half])


def test_frames_with_a_word_before_the_number() -> None:
    names = [f"{seq}/frame_{k}" for seq in ("a", "b") for k in range(10, 16)]
    assert set(sequences(names)) == {"a", "b"}
