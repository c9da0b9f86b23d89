"""What all detectors share: the registry, their settings, inputs, and the way back to the image."""

from __future__ import annotations

from dataclasses import asdict

import pytest
import torch

from densesirst_gen.detection.detectors import build_detector, detector_class, detector_names
from densesirst_gen.detection.detectors.base import (
    ImageMeta,
    Preprocess,
    Targets,
    mask_predictions,
    to_input_boxes,
    to_native_boxes,
    to_native_map,
)
from densesirst_gen.settings import ConfigError

# ---- registry and settings


@pytest.mark.parametrize("name", detector_names())
def test_each_preset_of_each_detector_is_built_and_built_again_from_its_settings(name) -> None:
    for preset in detector_class(name).presets:
        with torch.device("meta"):
            detector = build_detector(name, preset)
            again = build_detector(name, **asdict(detector.config))
        assert detector.task in ("boxes", "mask")
        assert {k: v.shape for k, v in detector.state_dict().items()} == {
            k: v.shape for k, v in again.state_dict().items()
        }


@pytest.mark.parametrize("name", detector_names())
def test_every_setting_has_a_help_text(name: str) -> None:
    fields = detector_class(name).config_type.__dataclass_fields__.values()
    assert all(len(f.metadata["help"]) > 5 for f in fields)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: build_detector("yolo"), "unknown detector 'yolo'; known: .*bafenet"),
        (lambda: build_detector("bafenet", "best"), "preset 'best' of bafenet; known: paper"),
        (lambda: build_detector("bafenet", deep=1), "option 'deep' of bafenet; known: depth, "),
        (lambda: build_detector("bafenet", depth=20), "depth must be one of 18, .*, got 20"),
    ],
)
def test_unknown_names_and_values_are_refused_with_the_known_ones(call, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        call()


# ---- inputs


def test_one_gray_channel_becomes_three_by_their_own_mean() -> None:
    images = torch.rand(2, 1, 4, 5)
    out = Preprocess()(images)
    assert out.shape == (2, 3, 4, 5)
    torch.testing.assert_close(out[:, 1], (images[:, 0] - 0.456) / 0.224)
    assert Preprocess((0.5,), (1.0,))(images).shape == (2, 1, 4, 5)


def test_each_image_is_standardised_by_itself() -> None:
    images = torch.rand(3, 1, 16, 16) * torch.tensor([1, 0.1, 0]).view(3, 1, 1, 1)
    out = Preprocess(per_image=True)(images)
    torch.testing.assert_close(out[0], Preprocess(per_image=True)(images[:1])[0])
    torch.testing.assert_close(out[:2].std((2, 3)), torch.ones(2, 3))
    assert out[2].abs().max() == 0


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (8, 8)])
def test_other_images_than_gray_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must be \(B, 1, H, W\) gray"):
        Preprocess()(torch.zeros(shape))


def test_padding_is_neither_target_nor_background() -> None:
    labels = torch.tensor([[[0, 2, -1]]], dtype=torch.int32)
    targets = Targets([torch.zeros(2, 4)], labels, torch.zeros(1, 1, 3, dtype=torch.uint8))
    assert targets.masks.tolist() == [[[[0, 1, 0]]]]
    assert targets.valid.tolist() == [[[[1, 1, 0]]]]
    assert len(targets.to("cpu")) == 1


# ---- the way back


META = ImageMeta((40, 100), scale=(0.5, 2.0), pad=(3, 7))


def test_boxes_go_to_the_input_and_back() -> None:
    boxes = torch.tensor([[0.0, 0, 100, 40], [10, 4, 13, 9]])
    assert to_input_boxes(boxes, META).tolist() == [[7, 3, 207, 23], [27, 5, 33, 7.5]]
    torch.testing.assert_close(to_native_boxes(to_input_boxes(boxes, META), META), boxes)


def test_boxes_are_cut_to_the_image() -> None:
    outside = torch.tensor([[0.0, 0, 500, 500], [0, 0, 5, 2]])
    assert to_native_boxes(outside, META).tolist() == [[0, 0, 100, 40], [0, 0, 0, 0]]


def test_maps_lose_their_padding_and_are_resized() -> None:
    values = torch.full((32, 224), 9.0)
    values[3:23, 7:207] = torch.linspace(0, 1, 200)
    native = to_native_map(values, META)
    assert native.shape == META.size
    assert native.max() <= 1
    assert (native.diff(dim=1) >= 0).all()


def test_a_map_of_the_images_size_is_not_touched() -> None:
    values = torch.rand(40, 100)
    assert torch.equal(to_native_map(values, ImageMeta((40, 100))), values)


def test_a_mask_detector_predicts_probabilities_at_the_images_size() -> None:
    logits = torch.tensor([-80.0, 0, 80]).view(3, 1, 1, 1).expand(-1, 1, 32, 224)
    found = mask_predictions(logits, [META] * 3)
    assert [p.prob_map.mean().item() for p in found] == pytest.approx([0, 0.5, 1])
    assert found[0].prob_map.shape == META.size
    assert found[0].boxes.shape == (0, 4)
