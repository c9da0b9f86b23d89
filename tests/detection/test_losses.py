"""Loss functions against their definitions, their limits and each other."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from densesirst_gen.detection.detectors.parts.losses import (
    atfl_loss,
    bce_loss,
    ciou,
    dice_loss,
    focal_loss,
    iou_loss,
    nwd,
    soft_iou_loss,
)

LOGITS = torch.linspace(-6, 6, 49)
LABELS = (torch.arange(49) % 3 == 0).float()
EXTREME = torch.tensor([-80.0, 80, -80, 80, 0])
EXTREME_LABELS = torch.tensor([0.0, 0, 1, 1, 1])
BOX = torch.tensor([[10.0, 10, 13, 14]])


def bce(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def gradient(loss, x: torch.Tensor) -> torch.Tensor:
    x = x.clone().requires_grad_()
    loss(x).sum().backward()
    return x.grad


# ---- classification


def test_focal_without_focus_is_cross_entropy() -> None:
    torch.testing.assert_close(focal_loss(LOGITS, LABELS, -1, 0), bce(LOGITS, LABELS))
    torch.testing.assert_close(focal_loss(LOGITS, LABELS, 0.5, 0), bce(LOGITS, LABELS) / 2)


def test_focal_of_one_element_by_hand() -> None:
    logit = torch.tensor([math.log(0.9 / 0.1)])
    found = focal_loss(logit, torch.ones(1)), focal_loss(logit, torch.zeros(1))
    assert found[0].item() == pytest.approx(-0.25 * 0.1**2 * math.log(0.9), rel=1e-5)
    assert found[1].item() == pytest.approx(-0.75 * 0.9**2 * math.log(0.1), rel=1e-5)


def test_ignored_pixels_change_nothing() -> None:
    targets = LABELS.to(torch.uint8)
    with_holes = torch.cat([targets, torch.full((20,), 255, dtype=torch.uint8)])
    noise = torch.cat([LOGITS, torch.randn(20) * 50])
    torch.testing.assert_close(bce_loss(noise, with_holes), bce(LOGITS, LABELS).mean())
    assert gradient(lambda x: bce_loss(x, with_holes), noise)[49:].abs().max() == 0


def test_all_ignored_is_zero() -> None:
    assert bce_loss(LOGITS, torch.full((49,), 255)).item() == 0


def test_atfl_without_exponents_is_cross_entropy() -> None:
    assert torch.equal(atfl_loss(LOGITS, LABELS, gamma=0, eta=0), bce(LOGITS, LABELS))


def test_atfl_of_lambda_one_is_focal_loss() -> None:
    found = atfl_loss(LOGITS, LABELS, gamma=2, eta=2, lambda_=1)
    torch.testing.assert_close(found, focal_loss(LOGITS, LABELS, -1, 2), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("p_c", "exponent"), [(1.0, 0), (math.exp(-2), 2)])
def test_atfl_of_easy_elements_is_focal_of_the_expected_probability(p_c, exponent) -> None:
    easy = torch.linspace(0.01, 6, 20)
    found = atfl_loss(easy, torch.ones(20), gamma=-math.log(p_c))
    torch.testing.assert_close(found, focal_loss(easy, torch.ones(20), -1, exponent))


def test_the_jump_of_atfl_at_its_threshold() -> None:
    at, above = torch.zeros(1), torch.full((1,), 1e-5)
    ratio = atfl_loss(at, torch.ones(1), gamma=3) / atfl_loss(above, torch.ones(1), gamma=3)
    assert ratio.item() == pytest.approx((3.5 - 0.5) ** math.log(2) / 0.5**3, rel=1e-3)


@pytest.mark.parametrize(
    ("p", "lambda_", "value"),
    [(0.1, 1.5, 5.0), (0.01, 1.5, 29), (0.001, 1.5, 113), (0.1, 3.5, 39), (0.01, 3.5, 1456)],
)
def test_how_fast_the_weight_of_hard_elements_grows(p: float, lambda_: float, value: float) -> None:
    logit = torch.tensor([math.log(p / (1 - p))])
    found = atfl_loss(logit, torch.ones(1), gamma=1, lambda_=lambda_).item()
    assert found == pytest.approx(value, rel=0.02)


@pytest.mark.parametrize("lambda_", [1.0, 1.5, 3.5])
def test_atfl_and_its_gradient_are_finite(lambda_: float) -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return atfl_loss(x, EXTREME_LABELS, gamma=1.0, lambda_=lambda_)

    assert loss(EXTREME).isfinite().all()
    assert gradient(loss, EXTREME).isfinite().all()


def test_atfl_takes_soft_targets() -> None:
    found = atfl_loss(torch.zeros(1), torch.tensor([0.3]), gamma=0, eta=0)
    assert found.item() == pytest.approx(math.log(2))


@pytest.mark.parametrize("loss", [focal_loss, bce_loss, soft_iou_loss, dice_loss])
def test_half_precision_is_computed_in_single(loss) -> None:
    logits = torch.rand(1, 1, 8, 8).half()
    assert loss(logits, torch.ones(1, 1, 8, 8)).dtype == torch.float32


# ---- boxes


def test_iou_loss_by_hand() -> None:
    shifted = BOX + torch.tensor([1.0, 0, 1, 0])
    assert iou_loss(shifted, BOX).item() == pytest.approx(-math.log(0.5))
    assert iou_loss(BOX, BOX).item() == 0
    assert iou_loss(BOX + 20, BOX).item() == pytest.approx(-math.log(1e-6))


def test_ciou_is_iou_less_distance_less_shape() -> None:
    wide = torch.tensor([[8.5, 10, 14.5, 14]])
    v = (2 / math.pi * (math.atan(6 / 4) - math.atan(3 / 4))) ** 2
    expected = 0.5 - v * v / (0.5 + v)
    assert ciou(wide, BOX).item() == pytest.approx(expected, rel=1e-4)
    assert ciou(BOX, BOX).item() == pytest.approx(1)
    apart = ciou(BOX + torch.tensor([10.0, 0, 10, 0]), BOX).item()
    assert apart == pytest.approx(-(10**2) / (13**2 + 4**2), rel=1e-4)


def test_nwd_of_a_shift() -> None:
    for d in (0.0, 1.0, 3.0, 40.0):
        moved = BOX + torch.tensor([0.6 * d, 0.8 * d] * 2)
        assert nwd(moved, BOX, 11).item() == pytest.approx(math.exp(-d / 11), rel=1e-5)


def test_nwd_of_a_growth_about_the_centre() -> None:
    grown = BOX + torch.tensor([-1.0, -1, 1, 1])
    assert nwd(grown, BOX, 11).item() == pytest.approx(math.exp(-math.sqrt(2) / 11), rel=1e-5)


def test_nwd_is_symmetric_and_scales_with_its_constant() -> None:
    boxes = torch.rand(20, 4).cumsum(1)
    torch.testing.assert_close(nwd(boxes[:10], boxes[10:], 5), nwd(boxes[10:], boxes[:10], 5))
    torch.testing.assert_close(nwd(boxes * 7, BOX * 7, 35), nwd(boxes, BOX, 5))


def test_nwd_of_all_pairs() -> None:
    boxes = torch.rand(6, 4).cumsum(1)
    pairs = nwd(boxes[:, None], boxes[:4], 3)
    assert pairs.shape == (6, 4)
    torch.testing.assert_close(pairs[5, 2], nwd(boxes[5], boxes[2], 3))


def test_boxes_apart_have_a_gradient_by_nwd_and_ciou_and_none_by_iou() -> None:
    far = BOX + 30
    assert gradient(lambda b: iou_loss(b, BOX), far).abs().max() == 0
    assert gradient(lambda b: nwd(b, BOX, 11), far).abs().min() > 0
    assert gradient(lambda b: ciou(b, BOX), far).abs().max() > 0


@pytest.mark.parametrize(
    "loss", [iou_loss, lambda a, b: nwd(a, b, 11), lambda a, b: 1 - ciou(a, b)]
)
@pytest.mark.parametrize("other", [BOX, BOX + 50, torch.tensor([[12.0, 12, 12, 12]])])
def test_box_losses_and_their_gradients_are_finite(loss, other: torch.Tensor) -> None:
    assert loss(other, BOX).isfinite().all()
    assert gradient(lambda b: loss(b, BOX), other).isfinite().all()
    assert loss(torch.zeros(0, 4), torch.zeros(0, 4)).shape == (0,)


# ---- masks


@pytest.mark.parametrize("loss", [soft_iou_loss, dice_loss])
@pytest.mark.parametrize("per_image", [True, False])
def test_overlap_losses_go_from_zero_to_one(loss, per_image: bool) -> None:
    mask = torch.zeros(2, 1, 40, 40)
    mask[:, :, 5:35, 5:35] = 1
    assert loss(mask, mask, per_image=per_image).item() == pytest.approx(0, abs=1e-6)
    assert loss(1 - mask, mask, per_image=per_image).item() == pytest.approx(1, abs=2e-3)


def test_overlap_by_hand() -> None:
    probs = torch.tensor([[0.5, 1.0], [0.0, 0.0]]).view(2, 1, 1, 2)
    masks = torch.tensor([[1.0, 0.0], [0.0, 0.0]]).view(2, 1, 1, 2)
    iou, dice = (f(probs, masks, smooth=0.0, per_image=False) for f in (soft_iou_loss, dice_loss))
    assert iou.item() == pytest.approx(1 - 0.5 / 2)
    assert dice.item() == pytest.approx(1 - 1 / 2.5)


def test_images_are_summed_apart_or_together() -> None:
    probs, masks = torch.rand(3, 1, 8, 8), (torch.rand(3, 1, 8, 8) > 0.7).float()
    apart = soft_iou_loss(probs, masks, per_image=True)
    alone = [soft_iou_loss(probs[k : k + 1], masks[k : k + 1]) for k in range(3)]
    torch.testing.assert_close(apart, torch.stack(alone).mean())
    assert not torch.isclose(apart, soft_iou_loss(probs, masks))


@pytest.mark.parametrize("loss", [soft_iou_loss, dice_loss])
def test_unknown_pixels_change_nothing(loss) -> None:
    probs, masks = torch.rand(1, 1, 8, 8), (torch.rand(1, 1, 8, 8) > 0.7).float()
    valid = torch.ones(1, 1, 8, 8)
    valid[..., 4:] = 0
    torch.testing.assert_close(loss(probs, masks, valid), loss(probs[..., :4], masks[..., :4]))
