"""Shared layers: laws of boxes, suppression, pyramid and deformable convolution."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from densesirst_gen.detection.detectors.parts import layers
from densesirst_gen.detection.detectors.parts.layers import (
    FPN,
    ConvNormAct,
    ModulatedDeformConv2d,
    _deform_conv2d,
    box_area,
    box_iou,
    cell_centres,
    deform_conv2d,
    nms,
    paired_iou,
)

SEED = 0


def random_boxes(n: int, seed: int = SEED, extent: float = 40.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=generator) * extent
    return torch.cat([corner, corner + 1 + 9 * torch.rand(n, 2, generator=generator)], dim=1)


# ---- boxes


def test_a_shift_of_one_pixel_of_three_halves_the_iou() -> None:
    box = torch.tensor([[0.0, 0, 3, 3]])
    assert box_iou(box, box + torch.tensor([1.0, 0, 1, 0])).item() == 0.5
    assert box_iou(box, box + 1).item() == pytest.approx(4 / 14)


def test_iou_counts_the_pixels_of_masks() -> None:
    generator = np.random.default_rng(SEED)
    for _ in range(20):
        low, size = generator.integers(0, 8, (2, 2)), generator.integers(1, 8, (2, 2))
        masks = np.zeros((2, 16, 16), bool)
        for mask, (y, x), (h, w) in zip(masks, low, size, strict=True):
            mask[y : y + h, x : x + w] = True
        boxes = torch.tensor(np.concatenate([low, low + size], 1)[:, [1, 0, 3, 2]]).float()
        expected = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
        assert paired_iou(boxes[0], boxes[1]).item() == pytest.approx(expected, abs=1e-6)


def test_empty_and_inside_out_boxes_overlap_nothing() -> None:
    odd = torch.tensor([[3.0, 3, 3, 3], [5, 5, 2, 2]])
    assert box_area(odd).tolist() == [0, 0]
    assert box_iou(odd, torch.cat([odd, torch.tensor([[0.0, 0, 9, 9]])])).max() == 0
    assert box_iou(torch.zeros(0, 4), odd).shape == (0, 2)


def test_cell_centres_are_x_y_in_raster_order() -> None:
    assert cell_centres(2, 3, 8, "cpu").tolist() == [
        [4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12],
    ]  # fmt: skip


# ---- suppression


def slow_nms(boxes: torch.Tensor, scores: torch.Tensor, max_iou: float) -> list[int]:
    kept: list[int] = []
    iou = box_iou(boxes, boxes).tolist()
    for k in sorted(range(len(boxes)), key=lambda k: (-scores[k].item(), k)):
        if all(iou[k][j] <= max_iou for j in kept):
            kept.append(k)
    return kept


@pytest.mark.parametrize("chunk", [1, 7, 512])
@given(st.integers(0, 40), st.integers(0, 10_000), st.sampled_from([0.1, 0.5, 0.9]))
def test_nms_is_the_greedy_rule_whatever_is_compared_at_once(
    chunk: int, n: int, seed: int, max_iou: float
) -> None:
    with patch.object(layers, "NMS_CHUNK", chunk):
        check_nms(n, seed, max_iou)


def check_nms(n: int, seed: int, max_iou: float) -> None:
    boxes = random_boxes(n, seed, extent=12)
    scores = torch.rand(n, generator=torch.Generator().manual_seed(seed)).mul(8).round() / 8
    assert nms(boxes, scores, max_iou).tolist() == slow_nms(boxes, scores, max_iou)
    assert nms(boxes, scores, max_iou, 3).tolist() == slow_nms(boxes, scores, max_iou)[:3]


def test_an_overlap_of_just_the_limit_is_kept() -> None:
    boxes = torch.tensor([[0.0, 0, 3, 3], [1, 0, 4, 3]])
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.5).tolist() == [0, 1]
    assert nms(boxes, torch.tensor([0.9, 0.8]), 0.49).tolist() == [0]


# ---- modules


def test_convolution_has_a_bias_only_without_a_norm() -> None:
    assert ConvNormAct(3, 4).conv.bias is None
    assert ConvNormAct(3, 4, norm=None).conv.bias is not None
    assert list(dict(ConvNormAct(3, 4, norm=None, act=None).named_children())) == ["conv"]


@pytest.mark.parametrize("side", [1, 3, 5])
@pytest.mark.parametrize("dilation", [1, 3])
def test_convolution_keeps_the_size(side: int, dilation: int) -> None:
    layer = ConvNormAct(2, 4, side, dilation=dilation)
    assert layer(torch.randn(2, 2, 13, 9)).shape == (2, 4, 13, 9)


def test_pyramid_of_odd_sizes_and_extra_levels() -> None:
    pyramid = FPN((4, 8, 16), 32, n_extra=2)
    sides = [(13, 9), (7, 5), (4, 3)]
    inputs = [torch.randn(1, c, *side) for c, side in zip((4, 8, 16), sides, strict=True)]
    sizes = [tuple(level.shape[2:]) for level in pyramid(inputs)]
    assert sizes == [*sides, (2, 2), (1, 1)]


def test_coarse_features_reach_finer_levels_and_not_the_reverse() -> None:
    pyramid = FPN((4, 4), 8)
    fine, coarse = torch.randn(1, 4, 8, 8), torch.randn(1, 4, 4, 4)
    base, changed = pyramid([fine, coarse]), pyramid([fine, coarse + 1])
    assert not torch.equal(base[0], changed[0])
    assert torch.equal(base[1], pyramid([fine + 1, coarse])[1])


# ---- deformable convolution


def deform_inputs(dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(SEED)
    shapes = (2, 3, 6, 7), (2, 18, 6, 7), (2, 9, 6, 7), (4, 3, 3, 3)
    return tuple(torch.randn(s, generator=generator, dtype=dtype) for s in shapes)


@pytest.mark.parametrize("stride", [1, 2])
def test_without_offsets_it_is_a_convolution(stride: int) -> None:
    x, _, _, weight = deform_inputs()
    plain = F.conv2d(x, weight, torch.arange(4.0), stride, 1)
    size = plain.shape[2:]
    out = deform_conv2d(
        x,
        torch.zeros(2, 18, *size),
        torch.ones(2, 9, *size),
        weight,
        torch.arange(4.0),
        stride=stride,
    )
    torch.testing.assert_close(out, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("down", "right"), [(1, 0), (0, -2), (2, 1)])
def test_whole_offsets_shift_the_input(down: int, right: int) -> None:
    x, _, modulation, weight = deform_inputs()
    offset = torch.tensor([down, right] * 9).float().view(1, 18, 1, 1).expand(2, -1, 6, 7)
    shifted = torch.roll(F.pad(x, (3, 3, 3, 3)), (-down, -right), (2, 3))
    plain = deform_conv2d(
        shifted, torch.zeros(2, 18, 12, 13), F.pad(modulation, (3, 3, 3, 3)), weight
    )[..., 3:-3, 3:-3]
    torch.testing.assert_close(
        deform_conv2d(x, offset, modulation, weight), plain, atol=1e-5, rtol=1e-4
    )


def slow_deform(x, offset, modulation, weight):
    """One output at a time, from the definition."""
    x, offset, modulation = (t.numpy() for t in (x, offset, modulation))
    out = np.zeros((len(x), len(weight), *offset.shape[2:]))
    for b, i, j, k in np.ndindex(len(x), *offset.shape[2:], 9):
        y = i - 1 + k // 3 + offset[b, 2 * k, i, j]
        col = j - 1 + k % 3 + offset[b, 2 * k + 1, i, j]
        for row, column in ((r, c) for r in (0, 1) for c in (0, 1)):
            r, c = int(np.floor(y)) + row, int(np.floor(col)) + column
            if 0 <= r < x.shape[2] and 0 <= c < x.shape[3]:
                share = (1 - abs(y - r)) * (1 - abs(col - c)) * modulation[b, k, i, j]
                out[b, :, i, j] += share * (weight[:, :, k // 3, k % 3].numpy() @ x[b, :, r, c])
    return out


def test_it_is_its_definition_also_at_the_border() -> None:
    inputs = deform_inputs(torch.float64)
    np.testing.assert_allclose(deform_conv2d(*inputs).numpy(), slow_deform(*inputs), atol=1e-9)


def test_its_gradients_are_right() -> None:
    x, offset, modulation, weight = deform_inputs(torch.float64)
    inputs = [x[:1, :2, :4, :4], offset[:1, :, :4, :4], modulation[:1, :, :4, :4], weight[:2, :2]]
    assert torch.autograd.gradcheck(
        deform_conv2d, [t.clone().requires_grad_() for t in inputs], fast_mode=True
    )


def test_it_equals_the_installed_operator() -> None:
    ops = pytest.importorskip("torchvision.ops")
    x, offset, modulation, weight = deform_inputs()
    theirs = ops.deform_conv2d(x, offset, weight, None, 1, 1, 1, modulation)
    ours = _deform_conv2d(x, offset, modulation, weight, None, 1, 1)
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_offsets_of_another_level_are_refused() -> None:
    """The reference network passes offsets of twice the size, and its operator doesn't look."""
    x, offset, modulation, weight = deform_inputs()
    with pytest.raises(ValueError, match=r"offset must be \(2, 18, 3, 3\) .* \(2, 18, 6, 7\)"):
        deform_conv2d(x[..., :3, :3], offset, modulation, weight)
    with pytest.raises(ValueError, match="modulation must be"):
        deform_conv2d(x, offset, modulation[:, :8], weight)


def test_the_module_takes_offsets_of_its_output_size() -> None:
    layer = ModulatedDeformConv2d(3, 5, stride=2, bias=True)
    out = layer(torch.randn(1, 3, 7, 9), torch.randn(1, 18, 4, 5), torch.rand(1, 9, 4, 5))
    assert out.shape == (1, 5, 4, 5)
