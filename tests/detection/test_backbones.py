"""Backbones: the public networks by their names and counts, and how weights are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from toy_detection import n_parameters

from densesirst_gen.detection.detectors.parts.backbones import (
    Backbone,
    FrozenBatchNorm2d,
    load_weights,
    res2net50,
    resnet,
)

CLASSIFIER = {1: 513_000, 4: 2_049_000}


def tiny_resnet(depth: int = 18, **options) -> Backbone:
    torch.manual_seed(0)
    return resnet(depth, width=8, **options)


# ---- architecture


@pytest.mark.parametrize(
    ("depth", "published"),
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160)],
)
def test_parameters_of_resnet(depth: int, published: int) -> None:
    with torch.device("meta"):
        network = resnet(depth)
    expansion = network.channels[0] // 64
    assert n_parameters(network) + CLASSIFIER[expansion] == published


@pytest.mark.parametrize(
    ("variant", "published"),
    [("res2net50_v1b_26w_4s", 25_718_352), ("res2net50_26w_4s", 25_699_120)],
)
def test_parameters_of_res2net(variant: str, published: int) -> None:
    with torch.device("meta"):
        assert n_parameters(res2net50(variant)) + CLASSIFIER[4] == published


def test_parameters_of_the_shortened_resnet() -> None:
    with torch.device("meta"):
        network = resnet(18, stages=3)
    assert n_parameters(network) == 2_782_784
    assert network.channels == (64, 128, 256)


@pytest.mark.parametrize("make", [lambda: resnet(18), lambda: resnet(50), res2net50])
def test_stages_have_their_channels_and_strides(make) -> None:
    with torch.device("meta"):
        network = make()
        outputs = network(torch.zeros(1, 3, 96, 160))
    expected = [
        (1, c, 96 // s, 160 // s) for c, s in zip(network.channels, network.strides, strict=True)
    ]
    assert [tuple(x.shape) for x in outputs] == expected


def test_odd_sizes() -> None:
    for network in (tiny_resnet(18), tiny_resnet(50), res2net50(width=8)):
        sizes = [tuple(x.shape[2:]) for x in network(torch.zeros(1, 3, 75, 93))]
        assert sizes == [(19, 24), (10, 12), (5, 6), (3, 3)]


def test_public_names() -> None:
    with torch.device("meta"):
        plain = dict(resnet(50).state_dict())
        basic = dict(resnet(18).state_dict())
        scales = dict(res2net50().state_dict())
    assert plain["conv1.weight"].shape == (64, 3, 7, 7)
    assert plain["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert plain["layer3.5.bn3.running_var"].shape == (1024,)
    assert "layer1.0.downsample.0.weight" not in basic
    assert basic["layer2.0.downsample.1.bias"].shape == (128,)
    stem = {name.split(".")[1] for name in scales if name.startswith("conv1.")}
    assert stem == {"0", "1", "3", "4", "6"}
    assert scales["layer1.0.convs.2.weight"].shape == (26, 26, 3, 3)
    assert scales["layer4.0.downsample.1.weight"].shape == (2048, 1024, 1, 1)


def test_the_stride_is_on_the_3x3_convolution_or_as_caffe_had_it() -> None:
    block, old = tiny_resnet(50).layer2[0], tiny_resnet(50, style="caffe").layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((1, 1), (2, 2))
    assert (old.conv1.stride, old.conv2.stride) == ((2, 2), (1, 1))


@pytest.mark.parametrize("make", [lambda: resnet(20), lambda: res2net50("res2net101")])
def test_unknown_networks_are_refused(make) -> None:
    with pytest.raises(ValueError, match=r"must be one of .*, got"):
        make()


# ---- Res2Net block


def test_later_splits_see_earlier_ones_but_in_a_first_block() -> None:
    network = res2net50(width=16).eval()
    for block, sees in ((network.layer1[0], False), (network.layer1[1], True)):
        inputs = torch.randn(1, block.conv1.in_channels, 8, 8)
        before = second_split(block, inputs)
        with torch.no_grad():
            block.conv1.weight[: len(block.conv1.weight) // 4] += 1
        assert torch.equal(before, second_split(block, inputs)) is not sees


def second_split(block: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    hook = block.bns[1].register_forward_hook(lambda _module, _inputs, out: seen.append(out))
    block(inputs)
    hook.remove()
    return seen[0]


# ---- frozen norm


def test_frozen_norm_keeps_weights_and_statistics_in_training() -> None:
    network = tiny_resnet(norm=FrozenBatchNorm2d).train()
    before = {k: v.clone() for k, v in network.state_dict().items() if "bn" in k}
    sum(x.sum() for x in network(torch.randn(2, 3, 64, 64))).backward()
    assert network.conv1.weight.grad is not None
    assert network.bn1.weight.grad is None
    assert not network.bn1.training
    after = network.state_dict()
    assert all(torch.equal(v, after[k]) for k, v in before.items())


# ---- weights


def resnet_of(in_channels: int) -> Backbone:
    return tiny_resnet(in_channels=in_channels)


def res2net_of(in_channels: int) -> Backbone:
    return res2net50(width=8, in_channels=in_channels)


def public_file(folder: Path, network: nn.Module, **extra: torch.Tensor) -> Path:
    path = folder / "weights.pth"
    torch.save({**network.state_dict(), **extra}, path)
    return path


def test_public_weights_load_whole_but_for_the_classifier(tmp_path: Path) -> None:
    source, network = tiny_resnet(), tiny_resnet()
    with torch.no_grad():
        source.conv1.weight += 1
    extra = {"fc.weight": torch.zeros(10, 64), "fc.bias": torch.zeros(10)}
    report = load_weights(network, public_file(tmp_path, source, **extra))
    assert report.unused == ("fc.weight", "fc.bias")
    assert report.loaded == len(source.state_dict())
    assert torch.equal(network.conv1.weight, source.conv1.weight)


def test_old_files_have_no_counters(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    state = {k: v for k, v in tiny_resnet().state_dict().items() if "num_batches" not in k}
    torch.save({"state_dict": state}, path)
    assert load_weights(tiny_resnet(), path).loaded == len(state)


def test_a_shortened_network_leaves_out_what_is_named(tmp_path: Path) -> None:
    path = public_file(tmp_path, tiny_resnet())
    with pytest.raises(ValueError, match=r"not in the network: layer4\."):
        load_weights(tiny_resnet(stages=3), path)
    report = load_weights(tiny_resnet(stages=3), path, unused=("fc.", "layer4."))
    assert all(name.startswith("layer4.") for name in report.unused)


def test_weights_of_another_network_are_refused_and_nothing_changes(tmp_path: Path) -> None:
    network = tiny_resnet(34)
    before = network.conv1.weight.clone()
    with pytest.raises(ValueError, match=r"not in the file: layer1\.2"):
        load_weights(network, public_file(tmp_path, resnet(18, width=8)))
    with pytest.raises(ValueError, match="of another shape: conv1"):
        load_weights(network, public_file(tmp_path, resnet(34, width=16)))
    assert torch.equal(network.conv1.weight, before)


@pytest.mark.parametrize("make", [resnet_of, res2net_of])
def test_one_channel_is_the_same_function_as_three_equal_ones(tmp_path: Path, make) -> None:
    three, one = make(3).eval().double(), make(1).eval().double()
    load_weights(one, public_file(tmp_path, three))
    gray = torch.randn(1, 1, 64, 64, dtype=torch.float64)
    for a, b in zip(one(gray), three(gray.expand(-1, 3, -1, -1)), strict=True):
        torch.testing.assert_close(a, b)


class Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("code of a weights file was run",))


@pytest.mark.parametrize("content", [Trap(), [1, 2], {"conv1.weight": 3}])
def test_files_of_other_things_are_refused_and_not_run(tmp_path: Path, content: object) -> None:
    path = tmp_path / "bad.pth"
    torch.save(content, path)
    with pytest.raises(ValueError, match=r"bad\.pth: not a"):
        load_weights(tiny_resnet(), path)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.pth"
    path.write_bytes(public_file(tmp_path, tiny_resnet()).read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"cut\.pth: not a file of plain tensors"):
        load_weights(tiny_resnet(), path)


def test_safetensors(tmp_path: Path) -> None:
    files = pytest.importorskip("safetensors.torch")
    path = tmp_path / "weights.safetensors"
    files.save_file(tiny_resnet().state_dict(), path)
    assert load_weights(tiny_resnet(), path).unused == ()
