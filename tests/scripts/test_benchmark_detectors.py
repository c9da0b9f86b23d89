"""`scripts/benchmark.py detectors`: what it counts, and that it compares like with like."""

from __future__ import annotations

import benchmark_detectors
import pytest
import torch
from benchmark_detectors import MODELS, fused, gmac, inference, noise, refusal, tell_sizes, varied
from torch import nn

from densesirst_gen.detection.detectors import detector_names

CGRANET = next(model for model in MODELS if model.detector == "cgranet")


def test_gmac_are_multiply_adds() -> None:
    side, channels = 24, 16
    network = nn.Conv2d(1, channels, 3, padding=1)
    assert gmac(network, side) == pytest.approx(side**2 * 9 * channels / 1e9)


def test_every_detector_is_measured_once_and_the_first_is_the_reference() -> None:
    assert sorted(model.detector for model in MODELS) == sorted(detector_names())
    assert MODELS[0].detector == "bafenet"


def test_published_sizes_stand_beside_full_width_only(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for width in (0.25, 1):
        tell_sizes([128], width, [CGRANET])
        told.append(capsys.readouterr().out.splitlines()[-1].split()[1:])
    assert told[0][2:] == ["-", "-"]
    assert told[1] == ["24,172,718", "1.55", "26.120", "-"]


@pytest.mark.parametrize(
    ("variant", "tolerance"), [("channels-last", 1e-4), ("bf16", 0.1), ("fused", 1e-4)]
)
def test_other_ways_of_running_give_the_same_masks(variant: str, tolerance: float) -> None:
    torch.manual_seed(0)
    network, images = CGRANET.build(0.25), noise(64, "cpu")
    one, other = (inference(run, images)() for run in (network, varied(network, variant, "cpu")))
    one, other = (raw[-1] if isinstance(raw, list | tuple) else raw for raw in (one, other))
    assert torch.allclose(one, other.float(), atol=tolerance * float(one.abs().max()))
    assert not next(network.parameters()).is_contiguous(memory_format=torch.channels_last)


def test_fused_networks_are_the_same_networks_with_fewer_layers() -> None:
    torch.manual_seed(0)
    model = next(model for model in MODELS if model.detector == "serankdet")
    network, images = model.build(0.125), noise(64, "cpu")
    network.train()(images.expand(4, -1, -1, -1))  # norms that do something
    one, other = (inference(run, images)()["main"] for run in (network.eval(), fused(network)))
    assert torch.allclose(one, other, atol=1e-4 * float(one.abs().max()))
    assert any(isinstance(m, nn.BatchNorm2d) for m in network.modules())
    assert not any(isinstance(m, nn.BatchNorm2d) for m in fused(network).modules())


def test_a_way_that_does_not_run_says_why() -> None:
    def broken() -> None:
        raise RuntimeError("no compiler\nand a long tail")

    assert refusal(broken) == "RuntimeError: no compiler"
    assert refusal(lambda: None) == ""


def test_adsnet_costs_less_the_more_it_drops(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark_detectors.tell_sparse(128, 0.25, rounds=1, device="cpu")
    lines = [line for line in capsys.readouterr().out.splitlines() if "GMAC" in line]
    assert len(lines) == 9
    assert ["zero" in line for line in lines] == [False, *[False, True] * 4]
    dense, *costs = (float(line.split(" GMAC")[0].split()[-1]) for line in lines)
    assert min(costs) == costs[2] < dense  # 0.3, 0.6
    assert set(costs[1::2]) == {dense}
    published = [line.split("published x ")[1] for line in lines if "published" in line]
    assert published == ["1.00", "0.74", "0.33", "0.43", "0.58"]
