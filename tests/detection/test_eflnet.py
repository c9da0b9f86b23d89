"""EFLNet: published counts, head, anchors, assignment, losses, and that it learns.

The laws of its loss functions and of the deformable convolution are in the tests of those.
"""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from toy_detection import (
    average_precision,
    n_parameters,
    on_paper,
    overfit,
    tiny,
    toy_batch,
    toy_metas,
)

from densesirst_gen.detection.detectors import build_detector
from densesirst_gen.detection.detectors.base import ImageMeta, Targets
from densesirst_gen.detection.detectors.eflnet import EFLNet, RawOutput
from densesirst_gen.detection.detectors.eflnet_assign import (
    COCO_ANCHORS,
    assign_slots,
    candidates,
    decoded,
    fitting_anchors,
    make_slots,
    possible_recall,
    worst_ratio,
)
from densesirst_gen.detection.detectors.eflnet_head import (
    N_ANCHORS,
    DynamicHeadBlock,
    DynamicReLU,
    Predictor,
    RepConv,
    ScaleAttention,
)
from densesirst_gen.detection.detectors.parts.layers import box_iou
from densesirst_gen.detection.detectors.parts.losses import focal_loss, true_probability
from densesirst_gen.settings import ConfigError

BASELINE = {"atfl_mode": "bce", "box_loss": "ciou", "assign_metric": "iou", "dyhead_blocks": 0}
ANCHORS = torch.tensor(COCO_ANCHORS, dtype=torch.float32)
SMALL_ANCHORS = torch.tensor([[[8.0, 8], [12, 16], [20, 14]]] * 3)
SLOTS = make_slots([(8, 8), (4, 4), (2, 2)], SMALL_ANCHORS)
CHANNELS = 16


# ---- published counts


@pytest.mark.parametrize(
    ("preset", "options", "published"),
    [
        ("official", {"dyhead_blocks": 0}, 32_585_996),
        ("official", {"dyhead_blocks": 1}, 34_502_504),
        ("official", {"dyhead_blocks": 2}, 36_419_012),
        ("official", {}, 38_335_520),
        ("paper", {}, 40_252_028),
        ("paper", {"dyhead_blocks": 5}, 42_168_536),
        ("official", {"n_classes": 80}, 38_518_958),
    ],
)
def test_parameters(preset: str, options: dict[str, object], published: int) -> None:
    assert n_parameters(on_paper("eflnet", preset, **options)) == published


@pytest.mark.parametrize(("n_blocks", "gmac"), [(0, 7.93), (3, 11.69)])
def test_multiplications_at_256(n_blocks: int, gmac: float) -> None:
    detector = build_detector("eflnet", "official", dyhead_blocks=n_blocks)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        detector(torch.zeros(1, 1, 256, 256))  # where tensors hold nothing, sampling is slower
    assert counter.get_total_flops() / 2e9 == pytest.approx(gmac, abs=0.006)


# ---- head


@pytest.mark.parametrize("channels_in", [4, 8])
def test_the_branches_are_one_convolution(channels_in: int) -> None:
    torch.manual_seed(0)
    layer = RepConv(channels_in, 8)
    for norm in (m for m in layer.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    layer.eval()
    x = torch.randn(2, channels_in, 7, 5)
    torch.testing.assert_close(layer(x), F.silu(layer.branches(x)), atol=1e-5, rtol=1e-4)


def test_an_equal_width_has_one_more_branch() -> None:
    assert n_parameters(RepConv(8, 8)) == 64 * 10 + 3 * 16
    assert n_parameters(RepConv(4, 8)) == 32 * 10 + 2 * 16


@pytest.mark.parametrize(("sigmoid", "at_one"), [("paper", 1), ("relu6", 2 / 3)])
def test_scale_attention_goes_from_a_half_to_one(sigmoid: str, at_one: float) -> None:
    layer = ScaleAttention(CHANNELS, sigmoid)
    nn.init.zeros_(layer.conv.weight)
    x = torch.randn(2, CHANNELS, 3, 4)
    for bias, factor in ((-5.0, 0.5), (0.0, 0.5), (1.0, at_one), (9.0, 1.0)):
        nn.init.constant_(layer.conv.bias, bias)
        torch.testing.assert_close(layer(x), x * factor)


def test_the_dynamic_activation_without_a_say_is_a_relu() -> None:
    layer, x = DynamicReLU(CHANNELS), torch.randn(2, CHANNELS, 3, 4)
    nn.init.zeros_(layer.expand.weight)
    nn.init.zeros_(layer.expand.bias)
    torch.testing.assert_close(layer(x), x.relu())
    layer.expand.bias.data[: 2 * CHANNELS] = 9
    torch.testing.assert_close(layer(x), torch.maximum(2 * x + 0.5, torch.zeros(())))


ODD_LEVELS = ((13, 9), (7, 5), (4, 3))


def levels() -> list[torch.Tensor]:
    torch.manual_seed(1)
    return [torch.randn(2, CHANNELS, *size) for size in ODD_LEVELS]


@pytest.mark.parametrize("order", ["upsample_first", "subsample_offsets"])
def test_a_block_keeps_the_sizes_also_odd_ones(order: str) -> None:
    block, inputs = DynamicHeadBlock(CHANNELS, order, "paper"), levels()
    nn.init.normal_(block.offset.weight, std=0.1)
    outputs = block(inputs)
    assert [x.shape for x in outputs] == [x.shape for x in inputs]
    assert all(x.isfinite().all() for x in outputs)


@pytest.mark.parametrize("order", ["upsample_first", "subsample_offsets"])
def test_a_new_block_is_made_of_plain_convolutions_at_half_strength(order: str) -> None:
    block, inputs = DynamicHeadBlock(CHANNELS, order, "paper"), levels()
    block.activation = nn.Identity()

    def plain(layer: nn.Module, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        return layer.norm(F.conv2d(x, layer.conv.weight, None, stride, 1) / 2)

    def upsampled(x: torch.Tensor) -> torch.Tensor:
        return F.interpolate(x, ODD_LEVELS[1], mode="bilinear")

    high = plain(block.high, upsampled(inputs[2]))
    if order == "subsample_offsets":
        high = upsampled(plain(block.high, inputs[2]))
    low, mid = plain(block.low, inputs[0], 2), plain(block.mid, inputs[1])
    expected = (block.scale(low) + block.scale(mid) + block.scale(high)) / 3
    torch.testing.assert_close(block(inputs)[1], expected, atol=1e-4, rtol=1e-4)


def test_levels_of_unrelated_sizes_are_refused() -> None:
    block = DynamicHeadBlock(CHANNELS, "upsample_first", "paper")
    fine, coarse, _ = levels()
    with pytest.raises(ValueError, match="offset must be"):
        block([fine, coarse[..., :-1]])


def test_an_output_and_its_slot_are_of_one_anchor_and_cell() -> None:
    predictor, n_outputs = Predictor(18, 6), 6
    nn.init.zeros_(predictor.added)
    nn.init.ones_(predictor.factor)
    nn.init.zeros_(predictor.conv.bias)
    predictor.conv.weight.data = torch.eye(18)[:, :, None, None]
    slots = make_slots([(3, 5)], ANCHORS)
    for anchor, row, column, output in ((0, 0, 0, 0), (1, 2, 0, 3), (2, 1, 4, 5)):
        x = torch.zeros(1, 18, 3, 5)
        x[0, anchor * n_outputs + output, row, column] = 1
        ((slot, where),) = predictor(x)[0].nonzero().tolist()
        assert where == output
        assert slots.anchors[slot].tolist() == ANCHORS[0, anchor].tolist()
        assert slots.centres[slot].tolist() == [8 * column + 4, 8 * row + 4]


# ---- anchors


def draw_sizes(low: float, high: float, n: int = 200) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return (low + (high - low) * torch.rand(n, 2, generator=generator)).round()


def test_anchors_are_fitted_to_tiny_targets_of_one_pixel_too() -> None:
    """The published code leaves out targets below two pixels."""
    sizes = torch.cat([draw_sizes(1, 9), torch.ones(100, 2)])
    assert possible_recall(sizes, ANCHORS.view(-1, 2)) < 0.5
    fitted = fitting_anchors(sizes, ANCHORS)
    assert fitted.shape == ANCHORS.shape
    assert possible_recall(sizes, fitted.view(-1, 2)) == 1
    assert worst_ratio(torch.ones(1, 2), fitted.view(-1, 2)).amin() < 2
    assert (fitted.view(-1, 2).prod(1).diff() >= 0).all()


def test_fitting_is_repeatable() -> None:
    sizes = draw_sizes(1, 9)
    assert torch.equal(fitting_anchors(sizes, ANCHORS), fitting_anchors(sizes, ANCHORS))


@pytest.mark.parametrize("sizes", [draw_sizes(20, 300), torch.zeros(0, 2), torch.zeros(3, 2)])
def test_anchors_that_fit_are_kept(sizes: torch.Tensor) -> None:
    assert torch.equal(fitting_anchors(sizes, ANCHORS), ANCHORS)


def test_targets_of_one_size() -> None:
    fitted = fitting_anchors(torch.full((5, 2), 2.0), ANCHORS).view(-1, 2)
    assert fitted.isfinite().all()
    assert worst_ratio(torch.full((1, 2), 2.0), fitted).max() < 1.5


def test_fitted_anchors_are_in_the_checkpoint() -> None:
    detector, other = tiny("eflnet"), tiny("eflnet")
    detector.before_training(draw_sizes(1, 9))
    assert not torch.equal(detector.anchors, other.anchors)
    other.load_state_dict(detector.state_dict())
    assert torch.equal(detector.anchors, other.anchors)
    kept = tiny("eflnet", autoanchor=False)
    kept.before_training(draw_sizes(1, 9))
    assert torch.equal(kept.anchors, ANCHORS)


# ---- slots and candidates


def test_outputs_of_zero_are_the_anchors() -> None:
    boxes = decoded(torch.zeros(1, len(SLOTS.levels), 4), SLOTS)[0]
    torch.testing.assert_close((boxes[:, :2] + boxes[:, 2:]) / 2, SLOTS.centres)
    torch.testing.assert_close(boxes[:, 2:] - boxes[:, :2], SLOTS.anchors)


def encoded(boxes: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """The outputs that slots must give for boxes, from the printed formula."""
    centres, cells = (boxes[:, :2] + boxes[:, 2:]) / 2, SLOTS.centres[rows]
    corner = cells / SLOTS.strides[rows] - 0.5
    place = (centres / SLOTS.strides[rows] - corner + 0.5) / 2
    size = ((boxes[:, 2:] - boxes[:, :2]) / SLOTS.anchors[rows]).sqrt() / 2
    return torch.logit(torch.cat([place, size], dim=1))


def random_boxes(n: int, seed: int = 0, side: float = 64.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    centre, size = torch.rand(2, n, 2, generator=generator)
    size = 2 + 18 * size
    return torch.cat([centre * side - size / 2, centre * side + size / 2], dim=1)


def test_every_candidate_can_be_the_target_it_may_serve() -> None:
    boxes = random_boxes(60)
    target, slot = candidates(boxes, SLOTS).nonzero().T
    outputs = torch.zeros(1, len(SLOTS.levels), 4)
    for k in range(len(boxes)):
        rows = slot[target == k]
        outputs[0, rows] = encoded(boxes[target[target == k]], rows)
        found = decoded(outputs, SLOTS)[0, rows]
        torch.testing.assert_close(found, boxes[k].expand(len(rows), -1), atol=1e-3, rtol=1e-3)


def fine_cells(*box: float) -> list[list[int]]:
    """(column, row) of the finest level's cells that may serve a box, with the anchor of 8 px."""
    rows = candidates(torch.tensor([box]), SLOTS)[0] & (SLOTS.levels == 0)
    rows &= (SLOTS.anchors == 8).all(dim=1)
    return sorted((SLOTS.centres[rows] / 8).int().tolist())


def test_candidates_are_the_cell_and_its_two_nearest_neighbours() -> None:
    assert fine_cells(16, 16, 20, 20) == [[1, 2], [2, 1], [2, 2]]
    assert fine_cells(16, 20, 22, 24) == [[1, 2], [2, 2], [2, 3]]
    assert fine_cells(0, 0, 4, 4) == [[0, 0]]
    assert fine_cells(18, 18, 22, 22) == [[2, 2]]
    assert fine_cells(14, 18, 18, 22) == [[1, 2], [2, 2]]


def test_anchors_of_another_size_are_no_candidates() -> None:
    assert fine_cells(18, 18, 18 + 2, 22) == []
    assert fine_cells(18, 18, 18 + 2.1, 22) != []
    assert fine_cells(10, 10, 18, 42) == []
    assert fine_cells(20, 20, 20, 20) == []


# ---- assignment


def assigned(similarity: list[list[float]], allowed: list[list[bool]]) -> list[int]:
    sure = torch.ones(len(similarity[0]))
    return assign_slots(torch.tensor(similarity), sure, torch.tensor(allowed)).tolist()


def test_a_target_has_as_many_slots_as_its_similarities_sum_to() -> None:
    assert assigned([[0.9, 0.2, 0.8, 0.7]], [[True] * 4]) == [0, -1, 0, -1]
    assert assigned([[0.2, 0.1, 0.3, 0.1]], [[True] * 4]) == [-1, -1, 0, -1]
    assert assigned([[0.9, 0.2, 0.8, 0.7]], [[True, True, False, True]]) == [0, -1, -1, -1]


def test_confident_slots_are_cheaper() -> None:
    similarity, allowed = torch.tensor([[0.5, 0.55]]), torch.tensor([[True, True]])
    assert assign_slots(similarity, torch.tensor([0.9, 0.9]), allowed).tolist() == [-1, 0]
    assert assign_slots(similarity, torch.tensor([0.9, 0.1]), allowed).tolist() == [0, -1]


def test_a_slot_claimed_twice_goes_to_the_cheaper_target() -> None:
    similarity = [[0.9, 0.95, 0.2, 0.0], [0.0, 0.99, 0.1, 0.95]]
    assert assigned(similarity, [[True] * 4] * 2) == [0, 1, -1, 1]


def test_the_loser_of_its_only_claim_gets_another_slot() -> None:
    """Plain SimOTA leaves it without a sample: in a dense cluster that is nothing rare."""
    similarity = [[0.9, 0.05, 0.0], [0.8, 0.0, 0.1]]
    found = assigned(similarity, [[True] * 3] * 2)
    assert sorted(found) == [-1, 0, 1]
    assert found[0] == 0
    assert assigned(similarity, [[True, True, False], [True, False, False]]) == [1, 0, -1]


@given(st.integers(0, 10_000), st.integers(0, 9), st.integers(1, 12), st.floats(0.05, 1))
def test_as_many_targets_as_possible_have_a_slot(seed: int, n: int, m: int, share: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    similarity = torch.rand(n, m, generator=generator)
    allowed = torch.rand(n, m, generator=generator) < share
    owner = assign_slots(similarity, torch.rand(m, generator=generator), allowed)
    slot = (owner >= 0).nonzero()[:, 0]
    assert allowed[owner[slot], slot].all()
    matched = maximum_bipartite_matching(csr_array(allowed.numpy()), perm_type="column")
    assert len(owner[slot].unique()) == (matched >= 0).sum()


# ---- losses


def perfect(detector: EFLNet, targets: Targets, side: int) -> RawOutput:
    """Raw outputs that say just what `targets` are."""
    with torch.no_grad():
        raw = detector(torch.rand(len(targets), 1, side, side))
    raw.objectness[:] = 0
    for k, boxes in enumerate(targets.boxes):
        allowed = candidates(boxes, raw.slots)
        raw.boxes[k] = torch.where(
            allowed.any(0)[:, None], boxes[allowed.int().argmax(0)], raw.boxes[k]
        )
        raw.objectness[k] = torch.where(detector.owners(raw, k, boxes) >= 0, 80.0, -80.0)
    return raw


@pytest.mark.parametrize("options", [{}, BASELINE])
def test_the_truth_has_no_loss_and_is_predicted(options: dict[str, object]) -> None:
    _, targets = toy_batch(4, 128, (10, 20))
    detector = tiny("eflnet", **options).eval()
    raw = perfect(detector, targets, 128)
    parts = detector.loss(raw, targets)
    assert set(parts) == {"box", "objectness"}
    assert all(part.item() == pytest.approx(0, abs=1e-5) for part in parts.values())
    for found, boxes in zip(
        detector.predict(raw, [ImageMeta((128, 128))] * 4), targets.boxes, strict=True
    ):
        assert len(found.boxes) == len(boxes)
        assert box_iou(found.boxes, boxes).amax(0).min() > 0.999


@pytest.mark.parametrize("options", [{}, {"pc_scope": "all"}, {"n_classes": 3}, BASELINE])
def test_images_without_targets(options: dict[str, object]) -> None:
    detector, images = tiny("eflnet", **options), torch.rand(2, 1, 64, 64)
    nothing = Targets(
        [torch.zeros(0, 4)] * 2,
        torch.zeros(2, 64, 64, dtype=torch.int32),
        torch.full((2, 64, 64), 255, dtype=torch.uint8),
    )
    parts = detector.loss(detector(images), nothing)
    assert parts["box"].item() == 0
    assert parts.get("cls", torch.zeros(())).item() == 0
    sum(parts.values()).backward()
    assert all(p.grad.isfinite().all() for p in detector.parameters() if p.grad is not None)


def test_the_loss_is_a_mean_times_the_batch() -> None:
    images, targets = toy_batch(1, 64, (10, 20), seed=3)
    detector = tiny("eflnet").eval()
    twice = Targets(targets.boxes * 2, targets.labels.repeat(2, 1, 1), targets.sky.repeat(2, 1, 1))
    once = detector.loss(detector(images), targets)
    both = detector.loss(detector(images.repeat(2, 1, 1, 1)), twice)
    for name, part in once.items():
        torch.testing.assert_close(both[name], 2 * part, rtol=1e-4, atol=1e-6)


def test_levels_count_by_their_balance_whatever_their_size() -> None:
    detector = tiny("eflnet", atfl_mode="bce").eval()
    with torch.no_grad():
        raw = detector(torch.rand(1, 1, 64, 128))
    nothing = Targets([torch.zeros(0, 4)], torch.zeros(1, 64, 128), torch.zeros(1, 64, 128))
    for level, balance in enumerate((4, 1, 0.4)):
        raw.objectness[:] = torch.where(raw.slots.levels == level, 0.0, -80.0)
        found = detector.loss(raw, nothing)["objectness"]
        expected = 0.7 * 64 * 128 / 640**2 * balance * math.log(2)
        assert found.item() == pytest.approx(expected, rel=1e-4)


def test_boxes_are_averaged_within_a_level() -> None:
    """Two far boxes on one level count as one; on two levels as two."""
    detector = tiny("eflnet", nwd_c=0.1).eval()
    detector.anchors.copy_(SMALL_ANCHORS)
    with torch.no_grad():
        raw = detector(torch.rand(1, 1, 64, 64))
    raw.boxes[:] = torch.tensor([500.0, 500, 510, 510])
    raw.objectness[:] = -9
    found = []
    for best in ([0, 0], [0, 1]):
        boxes = torch.tensor([[18.0, 18, 26, 26], [42, 42, 50, 50]])
        raw.objectness[:] = -9
        for box, level in zip(boxes, best, strict=True):
            here = candidates(box[None], raw.slots)[0] & (raw.slots.levels == level)
            raw.objectness[0, here] = 9
        targets = Targets([boxes], torch.zeros(1, 64, 64), torch.zeros(1, 64, 64))
        found.append(detector.loss(raw, targets)["box"].item())
    assert found == pytest.approx([0.05, 0.1])


def test_distances_in_pixels_or_cells() -> None:
    """In cells of stride 8 with C = 12 a shift of a whole small target costs three percent."""
    box, strides = torch.tensor([[10.0, 10, 13, 13]]), torch.tensor([[8.0]])
    moved = box + torch.tensor([3.0, 0, 3, 0])
    pixel, cell = (
        tiny("eflnet").nwd(moved, box, strides),
        tiny("eflnet", "official").nwd(moved, box, strides),
    )
    assert pixel.item() == pytest.approx(math.exp(-3 / 11), rel=1e-5)
    assert cell.item() == pytest.approx(math.exp(-3 / 8 / 12), rel=1e-5)


def test_the_assignment_follows_its_metric() -> None:
    """Boxes beside a target are all alike by IoU; by NWD the nearer is the better sample."""
    target = torch.tensor([[20.0, 20, 24, 24]])
    owners = {}
    for metric in ("nwd", "iou"):
        detector = tiny("eflnet", assign_metric=metric).eval()
        detector.anchors.copy_(SMALL_ANCHORS)
        with torch.no_grad():
            raw = detector(torch.rand(1, 1, 64, 64))
        raw.objectness[:] = 0
        slots = candidates(target, raw.slots)[0].nonzero()[:, 0]
        raw.boxes[0] = target + 300
        raw.boxes[0, slots[-1]] = target + torch.tensor([5.0, 0, 5, 0])
        owners[metric] = (detector.owners(raw, 0, target) >= 0).nonzero()[:, 0].tolist()
    assert owners == {"nwd": [slots[-1].item()], "iou": [slots[0].item()]}


LOGITS, LABELS = torch.linspace(-6, 6, 49), (torch.arange(49) % 3 == 0).float()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"atfl_mode": "bce"}, focal_loss(LOGITS, LABELS, -1, 0)),
        ({"atfl_mode": "focal", "gamma": 3.0}, focal_loss(LOGITS, LABELS, gamma=3)),
        (
            {"atfl_mode": "fixed", "eta": 2.0, "gamma": 2.0, "lambda_": 1.0},
            focal_loss(LOGITS, LABELS, -1, 2),
        ),
        (
            {"atfl_mode": "adaptive", "threshold": 0.0},
            focal_loss(LOGITS, LABELS, -1, 4),
        ),
    ],
)
def test_losses_of_the_objectness(options: dict[str, object], expected: torch.Tensor) -> None:
    found = tiny("eflnet", **options).each_loss(LOGITS, LABELS, torch.tensor(math.exp(-4)))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_lambda_weighs_hard_elements() -> None:
    hard = torch.tensor([-2.0])
    light, heavy = (
        tiny("eflnet", lambda_=v).each_loss(hard, torch.ones(1), torch.ones(())).item()
        for v in (1.5, 3.5)
    )
    p = 1 / (1 + math.exp(2))
    assert heavy / light == pytest.approx(((3.5 - p) / (1.5 - p)) ** -math.log(p), rel=1e-4)


# ---- expected probability


def test_true_probability_takes_soft_targets() -> None:
    logits = torch.tensor([math.log(4), math.log(4), math.log(4)])
    found = true_probability(logits, torch.tensor([1.0, 0.0, 0.5]))
    torch.testing.assert_close(found, torch.tensor([0.8, 0.2, 0.5]))


P_T, POSITIVE = torch.tensor([0.2, 0.4, 0.9]), torch.tensor([True, True, False])


def test_whose_probability_is_expected() -> None:
    assert tiny("eflnet").expected(P_T, POSITIVE).item() == pytest.approx(0.3)
    assert tiny("eflnet", pc_scope="all").expected(P_T, POSITIVE).item() == pytest.approx(0.5)
    assert tiny("eflnet").expected(P_T, POSITIVE & False).item() == 1


def test_past_epochs_have_a_twentieth_of_the_say() -> None:
    """Eq. 6 divides the sum of t epochs by t - 1; after one epoch that is by zero."""
    detector = tiny("eflnet")
    for values in ([0.2, 0.4], [0.8]):
        for v in values:
            detector.expected(torch.tensor([v]), torch.tensor([True]))
        detector.after_epoch()
    found = detector.expected(torch.tensor([0.6]), torch.tensor([True])).item()
    assert found == pytest.approx(0.05 * (0.3 + 0.8) / 2 + 0.95 * 0.6)
    fresh = tiny("eflnet")
    fresh.load_state_dict(detector.state_dict())
    assert torch.equal(fresh.pc_past, detector.pc_past)


def test_evaluation_and_empty_epochs_leave_no_history() -> None:
    detector = tiny("eflnet").eval()
    detector.expected(P_T, POSITIVE)
    detector.after_epoch()
    without = tiny("eflnet", pc_history=False)
    without.expected(P_T, POSITIVE)
    without.after_epoch()
    assert detector.pc_past.tolist() == without.pc_past.tolist() == [0, 0]


# ---- the whole


def test_every_trained_parameter_gets_a_gradient() -> None:
    detector = tiny("eflnet", n_classes=2, dyhead_blocks=2)
    images, targets = toy_batch(3, 64, (6, 20))
    sum(detector.loss(detector(images), targets).values()).backward()
    assert {n for n, p in detector.named_parameters() if p.grad is None} == set()


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("official", {}),
        ("official", BASELINE),
        ("paper", {**BASELINE, "atfl_mode": "adaptive"}),
        ("paper", {"atfl_mode": "focal", "in_channels": 1, "scale_sigmoid": "relu6"}),
        ("paper", {"atfl_mode": "fixed", "n_classes": 3, "assign_metric": "iou"}),
        ("paper", {"box_loss": "ciou", "nwd_units": "cell", "high_order": "subsample_offsets"}),
    ],
)
def test_every_switch_runs_forward_and_back(preset: str, options: dict[str, object]) -> None:
    detector = tiny("eflnet", preset, **options)
    images, targets = toy_batch(2, 64, (10, 20))
    parts = detector.loss(detector(images), targets)
    assert ("cls" in parts) == (detector.config.n_classes > 1)
    sum(parts.values()).backward()
    assert all(p.grad.isfinite().all() for p in detector.parameters() if p.grad is not None)
    detector.eval()
    with torch.no_grad():
        raw = detector(images)
    assert raw.boxes.shape == (2, N_ANCHORS * (64 + 16 + 4), 4)
    assert len(detector.predict(raw, toy_metas(images))) == 2


def test_the_class_counts_only_if_there_are_several() -> None:
    for n_classes in (1, 2):
        with torch.no_grad():
            raw = tiny("eflnet", n_classes=n_classes)(torch.rand(1, 1, 64, 64))
        of_class = raw.classes[..., 0].sigmoid() if n_classes > 1 else 1
        torch.testing.assert_close(raw.confidence, raw.objectness.sigmoid() * of_class)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width_multiple": 0.3}, "width_multiple must be a multiple of 1/16, got 0.3"),
        ({"eta": 4.0}, "eta must be 2.0 unless atfl_mode is 'fixed', got 4.0"),
        ({"gamma": 4.0}, "gamma must be 2.0 unless atfl_mode is 'fixed' or 'focal', got 4.0"),
        ({"lambda_": 0.5}, "lambda_ must be a number in .1, 100., got 0.5"),
    ],
)
def test_settings_that_break_a_rule_or_do_nothing_are_refused(options, message: str) -> None:
    with pytest.raises(ConfigError, match=f"EFLNetConfig.{message}"):
        build_detector("eflnet", **options)


def test_predictions_are_in_pixels_of_the_image_and_in_order() -> None:
    detector = tiny("eflnet", score_thr=0.0, max_det=20).eval()
    metas = [ImageMeta((30, 90), scale=(2.0, 0.5), pad=(1, 2)), ImageMeta((64, 64))]
    with torch.no_grad():
        found = detector.predict(detector(torch.rand(2, 1, 64, 64)), metas)
    for p, meta in zip(found, metas, strict=True):
        assert 0 < len(p.boxes) <= 20
        assert (p.boxes >= 0).all()
        assert (p.boxes[:, 2:] <= torch.tensor([meta.size[1], meta.size[0]])).all()
        assert (p.scores.diff() <= 0).all()
        overlap = box_iou(p.boxes, p.boxes) - torch.eye(len(p.boxes))
        assert overlap.max() <= 0.5 + 1e-6


def test_nothing_above_the_threshold_is_no_boxes() -> None:
    detector = tiny("eflnet", score_thr=1.0).eval()
    with torch.no_grad():
        found = detector.predict(detector(torch.rand(1, 1, 64, 64)), [ImageMeta((64, 64))])
    assert found[0].boxes.shape == (0, 4)
    assert found[0].scores.shape == (0,)


def test_mixed_precision() -> None:
    detector = tiny("eflnet")
    images, targets = toy_batch(2, 64, (10, 20))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parts = detector.loss(detector(images), targets)
    sum(parts.values()).backward()
    assert all(x.isfinite() and x.dtype == torch.float32 for x in parts.values())


# ---- learning


def test_it_learns_a_few_images_by_heart() -> None:
    """When calibrated, two seeds had AP 1.0 after 50 steps."""
    images, targets = toy_batch(2, 64, (10, 20))
    detector = tiny("eflnet", width_multiple=1 / 8)
    overfit(detector, images, targets, steps=50, lr=3e-3)
    assert average_precision(detector, images, targets) >= 0.95
