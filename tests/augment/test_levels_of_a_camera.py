"""Levels while training: a library knows its camera; a crop has those of its frame (row 116)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from densesirst_gen import BagCopyPaste, TargetLibrary
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.scene.counts import Counts

torch = pytest.importorskip("torch")
ANYWHERE = PasteConfig(region="anywhere")
NARROW = Counts((7200.0, 7710.0), 1.0, (0.0,), "their own range")


@pytest.fixture
def library(targets: TargetLibrary) -> TargetLibrary:
    """Of a camera with narrow counts, and of narrow 8-bit images."""
    counts = {"uint16": NARROW, "uint8": Counts((0.0, 255.0), 0.25)}
    return replace(targets, counts=counts)


def gray() -> np.ndarray:
    ramp = np.linspace(20, 150, 96)[:, None] + np.random.default_rng(0).normal(0, 2, (96, 96))
    return ramp.round().astype(np.uint8)


def rises(paste: BagCopyPaste, image: np.ndarray) -> np.ndarray:
    """Of all pixels."""
    return paste(image=image, index=0)["image"].astype(np.float64) - image


def test_a_library_gives_its_span_to_a_stream_of_its_camera(
    library: TargetLibrary, targets: TargetLibrary
) -> None:
    counts = (7200 + 2 * gray().astype(np.uint16)).astype(np.uint16)
    known = rises(BagCopyPaste(library, ANYWHERE), counts)
    given = rises(BagCopyPaste(targets, ANYWHERE, span=NARROW.span), counts)
    assert (known == given).all()
    assert known.max() > 0


# row 116
def test_a_crop_has_the_levels_of_its_frame(library: TargetLibrary) -> None:
    counts = (7200 + 2 * gray().astype(np.uint16)).astype(np.uint16)
    paste = BagCopyPaste(library, ANYWHERE)
    plans = [
        paste(image=image, index=0, return_plan=True)["plan"] for image in (counts, counts[:64])
    ]
    assert (plans[0].pastes["level"][:2] == plans[1].pastes["level"][:2]).all()


def test_narrow_8_bit_images_keep_their_range(
    library: TargetLibrary, targets: TargetLibrary
) -> None:
    narrow = rises(BagCopyPaste(library, ANYWHERE), gray())
    full = rises(BagCopyPaste(targets, ANYWHERE), gray())
    assert 0 < narrow.max() < 0.35 * full.max()


def test_8_bit_images_as_floats_keep_it_too(library: TargetLibrary) -> None:
    paste = BagCopyPaste(library, ANYWHERE)
    as_float = rises(paste, (gray() / 255).astype(np.float32)).max() * 255
    assert as_float == pytest.approx(rises(paste, gray()).max(), abs=2)


def test_pixels_without_data_stay_and_nothing_is_pasted_on_them(library: TargetLibrary) -> None:
    counts = (7200 + 2 * gray().astype(np.uint16)).astype(np.uint16)
    counts[:, 40:] = 0
    out = BagCopyPaste(library, ANYWHERE)(image=counts, index=0)
    assert out["n_pasted"] > 0
    assert (out["image"][:, 40:] == 0).all()


def test_a_batch_takes_what_its_library_knows(library: TargetLibrary) -> None:
    from densesirst_gen.augment.batch import BatchBagCopyPaste

    batch = BatchBagCopyPaste(library, ANYWHERE)
    images = torch.from_numpy(7200 + 2 * gray().astype(np.int32))[None, None]
    draws = batch.draw(1)
    span = batch.plan(images, draws=draws).span
    assert span.tolist() == [list(NARROW.span)]
    narrow = batch.plan(torch.from_numpy(gray())[None, None], draws=draws).columns["level"]
    full = BatchBagCopyPaste(replace(library, counts={}), ANYWHERE)
    whole = full.plan(torch.from_numpy(gray())[None, None], draws=draws).columns["level"]
    assert torch.allclose(narrow, whole * 0.25, atol=1e-3)
