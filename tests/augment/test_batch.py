"""The laws on batches of tensors; nothing waits for the device; compilers take it whole."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from paste_cases import chebyshev_gap, config_of, library_for
from scenes import make_scene
from scipy import stats

from densesirst_gen.paste.config import PROFILES, PasteConfig
from densesirst_gen.paste.draws import n_draws
from densesirst_gen.paste.extract import stack_entries
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.planner import make_plan
from densesirst_gen.paste.seeds import scene_rng
from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.settings import ConfigError

torch = pytest.importorskip("torch")

from cost import cost_of, least_bytes  # noqa: E402

from densesirst_gen.augment.batch import BatchBagCopyPaste, BatchResult  # noqa: E402
from densesirst_gen.paste.batch.plan import REASONS  # noqa: E402

SHAPE = (70, 100)


def some_batch(n: int = 4, *, seed: int = 0, dtype: torch.dtype = torch.uint8) -> dict[str, Any]:
    """Images with targets, and skies of which parts are missing."""
    rng = np.random.default_rng(seed)
    scenes = [make_scene(SHAPE, targets=k % 3, seed=seed + k) for k in range(n)]
    coarse = rng.random((n, 3, 4)) < 0.9
    sky = np.repeat(np.repeat(coarse, 25, axis=1), 25, axis=2)[:, : SHAPE[0], : SHAPE[1]]
    images = [scene.image for scene in scenes] or np.zeros((0, *SHAPE), np.uint8)
    labels = [scene.labels for scene in scenes] or np.zeros((0, *SHAPE), np.int32)
    return {
        "images": torch.from_numpy(np.array(images))[:, None].to(dtype),
        "sky": torch.from_numpy(sky.copy()),
        "labels": torch.from_numpy(np.array(labels)),
    }


def seeded(aug: BatchBagCopyPaste, n: int, seed: int = 0) -> torch.Tensor:
    return aug.draw(n, torch.Generator().manual_seed(seed))


def boxes_of(labels: torch.Tensor, m: int) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, m, 4) boxes of a label map, padded with rubbish, and their numbers."""
    boxes, counts = torch.full((len(labels), m, 4), -7.5), []
    for b, found in enumerate(annotate(each.numpy()).boxes for each in labels):
        boxes[b, : len(found)] = torch.from_numpy(found).float()
        counts.append(len(found))
    return boxes, torch.tensor(counts, dtype=torch.int64)


def assert_equal(a: BatchResult, b: BatchResult) -> None:
    for name in BatchResult._fields[:-1]:
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    assert torch.equal(a.plan.valid, b.plan.valid)


def check_laws(batch: dict[str, Any], result: BatchResult, config: PasteConfig) -> int:
    plan, n_before = result.plan, batch["labels"].amax((1, 2))
    touched = result.images != batch["images"]
    assert not touched[:, 0][result.plan.valid.sum(1) == 0].any()
    for b in range(len(plan.valid)):
        before, after = batch["labels"][b].numpy(), result.labels[b].numpy()
        n, new = int(plan.valid[b].sum()), after * (before == 0)
        assert int(after.max()) == n_before[b] + n
        assert ((after == before) | (before == 0)).all()
        assert label_mask(after > 0).max() == after.max()
        notes = annotate(after)
        assert (result.boxes[b, :n].numpy() == notes.boxes[n_before[b] :]).all()
        assert result.counts[b] == n
        assert bool(n) == (REASONS[plan.skip_reason[b]] == "")
        assert plan.requested[b] == n + plan.dropped[b].sum()
        for label in range(int(n_before[b]) + 1, int(after.max()) + 1):
            mask, others = new == label, (after > 0) & (after != label)
            assert batch["sky"][b].numpy()[mask].all() or config.region == "anywhere"
            if others.any():
                assert chebyshev_gap(mask, others) >= config.gap_px[0]
            rise = result.images[b, 0].numpy().astype(float) - batch["images"][b, 0].numpy()
            assert rise[mask].max() >= config.min_increment
        far = ~torch.nn.functional.max_pool2d((result.labels[b] > 0).float()[None], 9, 1, 4).bool()
        assert not touched[b][far].any()
    return int(plan.valid.sum())


@pytest.mark.parametrize("switch", ["bag-cp", "paper", "sparse", "anywhere", "small patches"])
def test_laws_hold(switch: str, libraries: dict[str, TargetLibrary]) -> None:
    config = config_of(switch)
    aug, batch = BatchBagCopyPaste(library_for(config, libraries), config), some_batch(6)
    kept = {name: tensor.clone() for name, tensor in batch.items()}
    assert check_laws(batch, aug(**batch, draws=seeded(aug, 6)), config) > 20
    for name, tensor in kept.items():
        assert torch.equal(batch[name], tensor)


def test_the_batch_is_its_singles(targets: TargetLibrary) -> None:
    aug, batch = BatchBagCopyPaste(targets), some_batch()
    draws = seeded(aug, 4)
    whole = aug(**batch, draws=draws)
    for b in range(4):
        single = aug(**{k: v[b : b + 1] for k, v in batch.items()}, draws=draws[b : b + 1])
        for name in BatchResult._fields[:-1]:
            assert torch.equal(getattr(single, name)[0], getattr(whole, name)[b])


class TestWhatMayBeGiven:
    # row 85
    def test_an_empty_batch(self, targets: TargetLibrary) -> None:
        result = BatchBagCopyPaste(targets)(**some_batch(0))
        assert result.images.shape == (0, 1, *SHAPE)
        assert result.boxes.shape == (0, 27, 4)
        assert result.plan.to_plans(PasteConfig()) == []

    # row 85
    def test_images_without_sky_are_left_and_said(self, targets: TargetLibrary) -> None:
        aug, batch = BatchBagCopyPaste(targets), some_batch()
        batch["sky"][1] = False
        batch["sky"][2] = torch.arange(SHAPE[1]) % 19 > 0
        result = aug(**batch, draws=seeded(aug, 4))
        assert torch.equal(result.images[1:3], batch["images"][1:3])
        assert torch.equal(result.labels[1:3], batch["labels"][1:3])
        reasons = [REASONS[code] for code in result.plan.skip_reason]
        assert reasons == ["", "no_sky", "no_window", ""]
        white = aug(torch.full_like(batch["images"], 255), batch["sky"], draws=seeded(aug, 4))
        assert REASONS[white.plan.skip_reason[0]] == "nothing_visible"

    # row 16
    def test_an_image_smaller_than_a_region(self, targets: TargetLibrary) -> None:
        for shape in [(1, 1), (19, 300), (40, 3)]:
            images = torch.zeros(2, 1, *shape, dtype=torch.uint8)
            result = BatchBagCopyPaste(targets)(images, torch.ones(2, *shape, dtype=torch.bool))
            assert [REASONS[code] for code in result.plan.skip_reason] == ["no_window"] * 2
            assert not result.images.any()

    def test_p_is_the_share_of_images_that_are_chosen(self, targets: TargetLibrary) -> None:
        batch = some_batch(2)
        never = BatchBagCopyPaste(targets, p=0)(**batch)
        assert torch.equal(never.images, batch["images"])
        assert torch.equal(never.labels, batch["labels"])
        assert [REASONS[code] for code in never.plan.skip_reason] == ["not_drawn"] * 2
        assert not never.plan.requested.any()
        aug = BatchBagCopyPaste(targets, p=0.3)
        draws = seeded(aug, 400)
        images = torch.zeros(400, 1, 24, 24, dtype=torch.uint8)
        plan = aug.plan(images, torch.ones(400, 24, 24, dtype=torch.bool), draws=draws)
        assert torch.equal(plan.valid.any(1), draws[:, 0] < 0.3)
        assert abs((draws[:, 0] < 0.3).double().mean() - 0.3) < 0.08

    def test_boxes_in_place_of_labels(self, targets: TargetLibrary) -> None:
        aug, batch = BatchBagCopyPaste(targets), some_batch(5)
        boxes, counts = boxes_of(batch["labels"], 3)
        assert counts.tolist() == [0, 1, 2, 0, 1]
        given = {"boxes": boxes, "counts": counts}
        result = aug(batch["images"], batch["sky"], **given, draws=seeded(aug, 5))
        assert result.boxes.dtype == boxes.dtype
        for b, n in enumerate(counts):
            labels, total = result.labels[b], int(result.counts[b])
            assert torch.equal(result.boxes[b, :n], boxes[b, :n])
            assert labels.unique().tolist() == [0, *range(n + 1, total + 1)]
            assert not labels[batch["labels"][b] > 0].any()
            for k in range(n, total):
                rows, cols = (labels == k + 1).nonzero().T
                box = [cols.min(), rows.min(), cols.max() + 1, rows.max() + 1]
                assert result.boxes[b, k].tolist() == box
            centres = (boxes[b, :n, :2] + boxes[b, :n, 2:] - 1) / 2
            assert torch.equal(result.points[b, :n], centres)
            assert not result.boxes[b, total:].any()
            assert not result.points[b, total:].any()
        both = aug(**batch, **given, draws=seeded(aug, 5))
        assert torch.equal(both.boxes, result.boxes)
        assert torch.equal(both.labels > result.labels, batch["labels"] > 0)

    # row 85
    def test_mixed_sizes_are_padded(self, targets: TargetLibrary) -> None:
        """Padding is never pasted into, whatever is in it, and changes nothing else."""
        aug, batch = BatchBagCopyPaste(targets), some_batch(3)
        sizes = torch.tensor([[70, 100], [45, 100], [60, 41]])
        padded = {name: tensor.clone() for name, tensor in batch.items()}
        for b, (height, width) in enumerate(sizes.tolist()):
            for tensor, rubbish in zip(padded.values(), (200, True, 0), strict=True):
                tensor[b, ..., height:, :] = rubbish
                tensor[b, ..., width:] = rubbish
        draws = seeded(aug, 3)
        result = aug(**padded, sizes=sizes, draws=draws)
        for b, (height, width) in enumerate(sizes.tolist()):
            cut = {name: t[b : b + 1, ..., :height, :width] for name, t in batch.items()}
            single = aug(**cut, draws=draws[b : b + 1])
            for name in ("images", "labels"):
                whole = getattr(result, name)[b]
                assert torch.equal(whole[..., :height, :width], getattr(single, name)[0])
                assert torch.equal(whole[..., height:, :], padded[name][b, ..., height:, :])
                assert torch.equal(whole[..., width:], padded[name][b, ..., width:])
            assert torch.equal(result.boxes[b], single.boxes[0])

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
    # row 86
    def test_colours_are_kept_and_so_is_the_memory_format(
        self, dtype: torch.dtype, targets: TargetLibrary
    ) -> None:
        aug, batch = BatchBagCopyPaste(targets), some_batch(dtype=dtype)
        draws, span = seeded(aug, 4), (0.0, 255.0)
        gray = aug(**batch, draws=draws, span=span)
        colours = batch | {"images": batch["images"].expand(-1, 3, -1, -1)}
        last = batch | {"images": colours["images"].contiguous(memory_format=torch.channels_last)}
        for given in (colours, last):
            result = aug(**given, draws=draws, span=span)
            assert torch.equal(result.images, gray.images.expand(-1, 3, -1, -1))
            assert torch.equal(result.labels, gray.labels)
        assert result.images.is_contiguous(memory_format=torch.channels_last)
        assert not result.images.is_contiguous()

    def test_in_place(self, targets: TargetLibrary) -> None:
        aug, batch = BatchBagCopyPaste(targets), some_batch()
        draws = seeded(aug, 4)
        expected = aug(**batch, draws=draws)
        aug.inplace = True
        result = aug(**batch, draws=draws)
        assert_equal(result, expected)
        for name in ("images", "labels"):
            assert getattr(result, name).data_ptr() == batch[name].data_ptr()
        with pytest.raises(ValueError, match="contiguous"):
            aug(batch["images"][..., 1:], batch["sky"][..., 1:])

    def test_what_lies_at_the_edge_of_a_label_map_is_kept(self, targets: TargetLibrary) -> None:
        """Rows of the plan that are not in use write nothing, also where labels are negative."""
        aug, batch = BatchBagCopyPaste(targets), some_batch()
        batch["labels"][:, 0, 0] = -1
        batch["labels"][:, -1, -1] = -1
        result = aug(**batch, draws=seeded(aug, 4))
        assert (result.labels[:, 0, 0] == -1).all()
        assert (result.labels[:, -1, -1] == -1).all()

    def test_not_a_number_is_left_alone(self, targets: TargetLibrary) -> None:
        aug, batch = BatchBagCopyPaste(targets), some_batch(dtype=torch.float32)
        batch["images"][0] = torch.nan
        result = aug(**batch, draws=seeded(aug, 4), span=(0, 255))
        assert result.images[0].isnan().all()
        assert not result.images[1:].isnan().any()
        assert REASONS[result.plan.skip_reason[0]] == "nothing_visible"

    def test_autocast_changes_nothing(self, targets: TargetLibrary) -> None:
        aug, batch = BatchBagCopyPaste(targets), some_batch()
        draws = seeded(aug, 4)
        with torch.autocast("cpu", torch.bfloat16):
            found = aug(**batch, draws=draws)
        assert_equal(found, aug(**batch, draws=draws))


# row 86
def test_gradients_pass_as_through_a_copy(targets: TargetLibrary) -> None:
    aug, batch = BatchBagCopyPaste(targets), some_batch(dtype=torch.float32)
    images = batch.pop("images").requires_grad_()
    weights = torch.rand_like(images)
    result = aug(images * 1, **batch, draws=seeded(aug, 4), span=(0, 255))
    assert (result.images != images).any()
    (result.images * weights).sum().backward()
    assert torch.equal(images.grad, weights)


def test_the_module_holds_no_state_and_can_be_sent_to_workers(targets: TargetLibrary) -> None:
    aug, batch = BatchBagCopyPaste(targets, p=0.9), some_batch()
    assert not aug.state_dict()
    assert "p=0.9" in repr(aug)
    draws = seeded(aug, 4)
    assert_equal(pickle.loads(pickle.dumps(aug))(**batch, draws=draws), aug(**batch, draws=draws))
    assert not torch.equal(aug.draw(2), aug.draw(2))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(4, 2, *SHAPE)}, r"images must be \(B, 1 or 3, H, W\)"),
        ({"images": torch.zeros(4, *SHAPE)}, r"images must be \(any, any, any, any\)"),
        ({"images": torch.zeros(4, 1, *SHAPE, dtype=torch.float64)}, "got .* of torch.float64"),
        ({"images": np.zeros((4, 1, *SHAPE))}, "images must be a Tensor, got ndarray"),
        ({"sky": torch.ones(4, 70, 99, dtype=torch.bool)}, r"sky must be \(4, 70, 100\)"),
        ({"sky": torch.ones(4, *SHAPE)}, "sky must be .* of torch.bool"),
        ({"sky": None}, "sky must be given, or config.region be 'anywhere'"),
        ({"labels": torch.zeros(3, *SHAPE, dtype=torch.int32)}, "labels must be"),
        ({"boxes": torch.zeros(4, 3)}, r"boxes must be \(4, any, 4\)"),
        ({"counts": torch.zeros(4, dtype=torch.int64)}, "give boxes, too"),
        ({"sizes": torch.zeros(4, dtype=torch.int64)}, r"sizes must be \(4, 2\)"),
        ({"span": (1.0, 1.0)}, "span must be .black, white. with black < white"),
        ({"span": (0.0, 1023.0)}, "span of uint8 images must end at 255"),
        ({"span": torch.zeros(4)}, r"span must be \(4, 2\)"),
        ({"draws": torch.zeros(4, 3, dtype=torch.float64)}, "draws must be"),
        ({"images": torch.zeros(4, 1, *SHAPE, device="meta")}, "images: on meta, but the library"),
    ],
)
def test_bad_input_is_named(change: dict[str, Any], message: str, targets: TargetLibrary) -> None:
    with pytest.raises(ValueError, match=message):
        BatchBagCopyPaste(targets)(**some_batch() | change)


def test_settings_are_a_profile_by_name_or_plain_values(
    targets: TargetLibrary, frames: TargetLibrary
) -> None:
    assert BatchBagCopyPaste(frames, "release").config == PROFILES["release"]
    assert BatchBagCopyPaste(targets, {"n_regions": (1, 1)}).config.n_regions == (1, 1)
    with pytest.raises(ConfigError, match="config must be one of bag-cp"):
        BatchBagCopyPaste(targets, "bag")


def test_bad_settings_are_named(targets: TargetLibrary, regions: TargetLibrary) -> None:
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\], got 1.5"):
        BatchBagCopyPaste(targets, p=1.5)
    with pytest.raises(ValueError, match="library is empty"):
        BatchBagCopyPaste(stack_entries([], "targets", {}))
    with pytest.raises(ValueError, match="needs a library of targets, got one of regions"):
        BatchBagCopyPaste(regions)
    with pytest.raises(ValueError, match="must stay float64"):
        BatchBagCopyPaste(targets).half()(**some_batch())


@pytest.fixture(scope="module")
def rows(targets: TargetLibrary) -> tuple[np.ndarray, ...]:
    """Rows of 400 plans of each of the two planners, for one scene."""
    n, config = 400, replace(PROFILES["bag-cp"], gap_px=(1, 2), resize="shrink", patch_px=7)
    scene = make_scene((64, 72), targets=1)
    by_numpy = [make_plan(scene, targets, config, scene_rng(k, "a")) for k in range(n)]
    aug = BatchBagCopyPaste(targets, config)
    batch = [torch.from_numpy(a)[None] for a in (scene.image[None], scene.sky, scene.labels)]
    images, sky, labels = (t.expand(n, *t.shape[1:]) for t in batch)
    by_torch = aug.plan(images, sky, labels, draws=seeded(aug, n, 1)).to_plans(config)
    return tuple(np.concatenate([p.pastes for p in each]) for each in (by_numpy, by_torch))


class TestDistributions:
    """The two planners on the same sky, each with its own randomness; fixed seeds."""

    @pytest.mark.parametrize(
        "column",
        ["gain", "angle", "level", "sigma_x", "offset_y", "row", "col", "increment"],
    )
    def test_of_what_is_continuous(self, rows: Any, column: str) -> None:
        assert stats.ks_2samp(rows[0][column], rows[1][column]).pvalue > 1e-3

    @pytest.mark.parametrize("column", ["donor", "height", "width", "gap", "cluster"])
    def test_of_what_is_counted(self, rows: Any, column: str) -> None:
        values = np.unique(np.concatenate([r[column] for r in rows]))
        table = [[(r[column] == value).sum() for value in values] for r in rows]
        assert len(values) > 1
        assert stats.chi2_contingency(table).pvalue > 1e-3

    def test_a_bias_would_be_seen(self, rows: Any) -> None:
        shifted = rows[1]["gain"] * 0.98
        assert stats.ks_2samp(rows[0]["gain"], shifted).pvalue < 1e-3

    def test_windows_are_uniform_on_a_free_sky(self, targets: TargetLibrary) -> None:
        config, n = PasteConfig(n_regions=1, region_px=7, per_region=1), 20_000
        aug, free = BatchBagCopyPaste(targets, config), torch.ones(16, 15, dtype=torch.bool)
        free[3, 8] = False
        images = torch.zeros(1, 1, 16, 15, dtype=torch.uint8).expand(n, -1, -1, -1)
        plan = aug.plan(images, free.expand(n, -1, -1), draws=seeded(aug, n))
        corners = plan.windows[:, 0, 0] * 15 + plan.windows[:, 0, 1]
        hits = torch.bincount(corners, minlength=240)
        legal = torch.ones(16, 15, dtype=torch.bool)
        legal[10:], legal[:, 9:], legal[:4, 2:9] = False, False, False
        assert not hits[~legal.flatten()].any()
        assert stats.chisquare(hits[legal.flatten()].numpy()).pvalue > 1e-3


@pytest.mark.filterwarnings("ignore:float images without a span")
class TestNothingWaits:
    @pytest.mark.parametrize("given", ["sky", "labels", "boxes", "float", "deep"])
    def test_for_the_device(self, given: str, targets: TargetLibrary) -> None:
        """And the number of kernels does not hang on the number of images."""
        counts = []
        for n in (2, 5):
            batch = some_batch(n, dtype={"float": torch.float32, "deep": torch.int32}.get(given))
            labels = batch.pop("labels")
            if given in ("labels", "float", "deep"):
                batch["labels"] = labels
            if given == "boxes":
                batch["boxes"], batch["counts"] = boxes_of(labels, 3)
                batch["sizes"] = torch.full((n, 2), 60)
            cost = cost_of(BatchBagCopyPaste(targets), **batch)
            assert cost.waits == ()
            counts.append(cost.n_kernels)
        assert counts[0] == counts[1] < 900

    def test_and_a_wait_would_be_seen(self) -> None:
        values = torch.arange(4)
        for wait in (
            lambda: values[0].item(),
            lambda: values[values > 1],
            lambda: bool(values.any()),
            lambda: values.nonzero(),
            lambda: values.unique(),
            lambda: torch.tensor([1, 2]),
        ):
            assert cost_of(wait).waits

    def test_the_least_bytes_of_a_batch(self) -> None:
        images, n = torch.zeros(2, 3, 5, 7), 2 * 5 * 7
        labels = torch.zeros(2, 5, 7, dtype=torch.int64)
        assert least_bytes(images) == n + 2 * 12 * n + 4 * n
        assert least_bytes(images, labels) == n + 2 * 12 * n + 2 * 8 * n
        assert least_bytes(images, labels, inplace=True) == n + 8 * n

    def test_bytes_are_those_of_the_operands(self) -> None:
        a, b = torch.zeros(10, dtype=torch.int64), torch.zeros(10)
        assert cost_of(lambda: a + a)[:2] == (1, 240)
        assert cost_of(lambda: b[2:4].view(2, 1))[:2] == (0, 0)
        assert cost_of(lambda: b.gather(0, a[:2]))[:2] == (1, 2 * 8 + 2 * 8)


class TestCompilers:
    @pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
    def test_take_the_whole_graph(self, backend: str, targets: TargetLibrary) -> None:
        if backend == "inductor" and not os.environ.get("DENSESIRST_INDUCTOR"):
            pytest.skip("inductor compiles for minutes on a CPU: set DENSESIRST_INDUCTOR=1")
        torch.compiler.reset()
        aug, batch = BatchBagCopyPaste(targets), some_batch(dtype=torch.float32)
        compiled = torch.compile(aug, fullgraph=True, backend=backend)
        draws, weights = seeded(aug, 4), torch.rand(4, 1, *SHAPE)
        images = batch.pop("images").requires_grad_()
        found = compiled(images, **batch, span=(0, 255), draws=draws)
        assert_equal(found, aug(images, **batch, span=(0, 255), draws=draws))
        (found.images * weights).sum().backward()
        assert torch.equal(images.grad, weights)

    def test_draw_new_numbers_each_time(self, targets: TargetLibrary) -> None:
        torch.compiler.reset()
        aug, batch = BatchBagCopyPaste(targets), some_batch(2)
        compiled = torch.compile(aug, fullgraph=True, backend="eager")
        assert not torch.equal(compiled(**batch).plan.windows, compiled(**batch).plan.windows)


@pytest.fixture
def on_device(targets: TargetLibrary) -> tuple[BatchBagCopyPaste, dict[str, Any]]:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    batch = {name: tensor.cuda() for name, tensor in some_batch(8).items()}
    return BatchBagCopyPaste(targets).cuda(), batch


class TestOnADevice:
    # row 78
    def test_as_on_the_cpu(self, on_device: Any, targets: TargetLibrary) -> None:
        aug, batch = on_device
        draws = seeded(BatchBagCopyPaste(targets), 8)
        found = aug(**batch, draws=draws.cuda())
        expected = BatchBagCopyPaste(targets)(**some_batch(8), draws=draws)
        for name in BatchResult._fields[:-1]:
            assert torch.equal(getattr(found, name).cpu(), getattr(expected, name))

    def test_without_waiting(self, on_device: Any) -> None:
        aug, batch = on_device
        aug(**batch)
        torch.cuda.synchronize()
        torch.cuda.set_sync_debug_mode("error")
        try:
            aug(**batch)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    def test_in_a_graph(self, on_device: Any) -> None:
        aug, batch = on_device
        draws = aug.draw(8)
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            aug(**batch, draws=draws)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = aug(**batch, draws=draws)
        draws.copy_(aug.draw(8))
        graph.replay()
        assert_equal(captured, aug(**batch, draws=draws))

    def test_compiled(self, on_device: Any) -> None:
        aug, batch = on_device
        draws = aug.draw(8)
        assert draws.shape == (8, 1 + n_draws(aug.config))
        compiled = torch.compile(aug, fullgraph=True)
        assert_equal(compiled(**batch, draws=draws), aug(**batch, draws=draws))
