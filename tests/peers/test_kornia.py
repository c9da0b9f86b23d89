"""Kornia's conventions, in our words: batches, replay, gradients, and where its pixels lie."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import hosts
import numpy as np
import pytest
from scenes import make_scene

from densesirst_gen.augment import notices
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.annotate import annotate

torch = pytest.importorskip("torch")

from densesirst_gen.augment.batch import BatchBagCopyPaste  # noqa: E402

SHAPE = (96, 128)
N = 3
ANYWHERE = PasteConfig(region="anywhere")


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "_told", {"span"})


@pytest.fixture
def kornia() -> Any:
    pytest.importorskip("kornia")
    return hosts.imported("kornia")


@pytest.fixture
def aug(targets: TargetLibrary) -> Any:
    return BatchBagCopyPaste(targets, ANYWHERE)


def images(dtype: Any = torch.float32, channels: int = 1) -> Any:
    """(N, C, H, W), floats within 0..1, as kornia has them."""
    found = [make_scene(SHAPE, targets=0, seed=k).image for k in range(N)]
    batch = torch.from_numpy(np.stack(found))[:, None].expand(-1, channels, -1, -1)
    return (batch / 255).to(dtype) if dtype.is_floating_point else batch.to(dtype)


def same(first: Any, second: Any) -> bool:
    return all(map(torch.equal, first[:5], second[:5]))


class TestModule:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.uint8])
    @pytest.mark.parametrize("channels", [1, 3])
    def test_type_and_range_stay(self, dtype: Any, channels: int, aug: Any) -> None:
        given = images(dtype, channels)
        made = aug(given).images
        assert (made.shape, made.dtype, made.device) == (given.shape, given.dtype, given.device)
        assert (made != given).any()
        assert made.float().min() >= 0
        assert made.float().max() <= (1 if dtype.is_floating_point else 255)

    def test_replay_by_its_draws(self, aug: Any) -> None:
        draws = aug.draw(N)
        assert same(aug(images(), draws=draws), aug(images(), draws=draws))
        assert not same(aug(images(), draws=draws), aug(images(), draws=aug.draw(N)))

    def test_torchs_seed_rules(self, aug: Any) -> None:
        found = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            found.append(aug(images()))
        assert same(found[0], found[1])
        assert not same(found[1], found[2])

    def test_each_image_has_draws_of_its_own(self, aug: Any) -> None:
        result = aug(images()[:1].expand(N, -1, -1, -1))
        assert len({image.numpy().tobytes() for image in result.images}) == N

    def test_p_0_is_the_identity(self, targets: TargetLibrary) -> None:
        result = BatchBagCopyPaste(targets, ANYWHERE, p=0)(images())
        assert torch.equal(result.images, images())
        assert not result.counts.any()

    def test_a_batch_of_one_and_of_none(self, aug: Any) -> None:
        draws = aug.draw(N)
        whole, one = aug(images(), draws=draws), aug(images()[:1], draws=draws[:1])
        assert torch.equal(whole.images[:1], one.images)
        assert len(aug(images()[:0]).images) == 0

    def test_copies_pickles_and_state(self, aug: Any) -> None:
        draws = aug.draw(N)
        for other in (copy.deepcopy(aug), pickle.loads(pickle.dumps(aug))):
            assert same(other(images(), draws=draws), aug(images(), draws=draws))
        assert not aug.state_dict()
        assert not list(aug.parameters())

    def test_gradients_pass_where_nothing_was_pasted(self, aug: Any) -> None:
        given = images().requires_grad_()
        made = aug(given).images
        made.sum().backward()
        assert (given.grad == 1).all()

    def test_the_input_stays(self, aug: Any) -> None:
        given = images()
        before = given.clone()
        aug(given)
        assert torch.equal(given, before)


class TestBesideKornia:
    def test_the_sky_goes_through_its_sequence(self, kornia: Any, targets: TargetLibrary) -> None:
        sky = torch.zeros((N, 1, *SHAPE))
        sky[..., :64] = 1
        sequence = kornia.augmentation.AugmentationSequential(
            kornia.augmentation.RandomHorizontalFlip(p=1.0), data_keys=["input", "mask"]
        )
        flipped, sky = sequence(images(), sky)
        result = BatchBagCopyPaste(targets)(flipped, sky[:, 0] > 0.5)
        changed = (result.images != flipped)[:, 0]
        assert changed.any()
        assert not changed[..., :64].any()

    def test_its_flips_move_labels_boxes_and_points_alike(self, kornia: Any, aug: Any) -> None:
        """Its boxes name the last pixel, ours the edge behind it; points are pixel indices."""
        result = aug(images())
        labels = kornia.geometry.transform.hflip(result.labels[:, None].float())[:, 0].int()
        for b in range(N):
            n = int(result.counts[b])
            assert n > 3
            found = annotate(labels[b].numpy())
            boxes = result.boxes[b, :n]
            ours = torch.stack([128 - boxes[:, 2], 128 - boxes[:, 0]], dim=1)
            assert (found.boxes[:, [0, 2]] == ours.numpy()).all()
            last = kornia.geometry.boxes.Boxes.from_tensor(boxes.float()[None], mode="xyxy")
            assert torch.equal(last.to_tensor("xyxy")[0].long(), boxes)
            mirrored = 127 - result.points[b, :n, 0].numpy()
            assert found.points[:, 0] == pytest.approx(mirrored, abs=1e-4)

    def test_inside_its_pipeline_of_images(self, kornia: Any, aug: Any) -> None:
        class Pasted(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.aug = aug

            def forward(self, batch: Any) -> Any:
                return self.aug(batch).images

        blur = kornia.augmentation.RandomGaussianBlur((3, 3), (0.1, 0.5), p=1.0)
        made = torch.nn.Sequential(Pasted(), blur)(images())
        assert made.shape == images().shape
        assert torch.isfinite(made).all()
