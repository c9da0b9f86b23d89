"""Whole images pasted while training: raw gray levels, whatever the range that the data fill."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.augment.bag_copy_paste import BagCopyPaste
from densesirst_gen.paste.config import PROFILES
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.counts import Counts


def test_release_pastes_frames(frames: TargetLibrary) -> None:
    scene, aug = make_scene(), BagCopyPaste(frames, "release", seed=1)
    out = aug(image=scene.image, sky=scene.sky, mask=scene.labels, index=0, return_plan=True)
    made = aug.render(scene, out["plan"])
    assert out["n_pasted"] > 3
    assert (out["image"] == made.image).all()
    assert (out["mask"] == made.labels).all()
    levels = frames.patches.max(axis=(1, 2))
    assert out["plan"].pastes["level"] == pytest.approx(levels[out["plan"].pastes["donor"]])


def test_the_range_that_the_data_fill_does_not_lessen_frames(frames: TargetLibrary) -> None:
    scene = make_scene()
    narrow = replace(frames, counts={"uint8": Counts((0.0, 255.0), 0.3, (), "8 bits")})
    wide, less = (
        BagCopyPaste(library, "release", seed=1)(image=scene.image, sky=scene.sky, index=0)["image"]
        for library in (frames, narrow)
    )
    assert (wide == less).all()


def test_fractions_and_whole_levels_are_the_same_but_for_rounding(frames: TargetLibrary) -> None:
    scene, aug = make_scene(), BagCopyPaste(frames, "release", seed=1)
    whole = aug(image=scene.image, sky=scene.sky, index=0)["image"]
    parts = aug(image=(scene.image / 255).astype(np.float32), sky=scene.sky, index=0)["image"]
    assert np.abs(parts * 255 - whole).max() < 1.01


def test_the_batch_takes_them_too(frames: TargetLibrary) -> None:
    torch = pytest.importorskip("torch")
    from densesirst_gen.augment.batch import BatchBagCopyPaste

    scene = make_scene()
    aug = BatchBagCopyPaste(frames, PROFILES["release"])
    images, sky = torch.from_numpy(scene.image)[None, None], torch.from_numpy(scene.sky)[None]
    made = aug(images, sky).images
    assert (made >= images).all()
    assert (made > images).any()
