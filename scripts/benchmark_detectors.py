"""`scripts/benchmark.py detectors`: size, arithmetic and speed of the five detectors, in one run.

Times are of the network on one image (batch 1, no decoding of boxes), in evaluation mode with
random weights; every ratio is of two times of the same round.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from tables import TABLES
from timing import ratio, spread
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

from densesirst_gen.detection.detectors import build_detector
from densesirst_gen.detection.detectors.base import Detector

Steps = dict[str, Callable[[], object]]
WIDTHS: dict[str, dict[str, Any]] = {
    "bafenet": {"width": 64, "head_width": 256},
    "eflnet": {"width_multiple": 1.0},
    "serankdet": {"base_width": 64},
    "adsnet": {"width": 128, "stem_width": 64},
    "cgranet": {"width": 32, "backbone_width": 64},
}
"""The options that make each of the five narrower, at full width; the first is the reference."""
VARIANTS = ("channels-last", "bf16", "fused", "compile")
WARM_UP = 2


@dataclass(frozen=True)
class Model:
    """A network whose size is known from elsewhere.

    Parameters
    ----------
    label, detector, preset : str
    options : dict
    parameters, gmac : float, optional
        Published: millions; at about 512 x 512. None: nobody says.
    """

    label: str
    detector: str
    preset: str = "official"
    options: dict[str, Any] = field(default_factory=dict)
    parameters: float | None = None
    gmac: float | None = None

    def build(self, width: float = 1.0) -> Detector:
        """In evaluation mode, `width` times as wide."""
        full = WIDTHS[self.detector]
        narrow = {name: type(value)(value * width) for name, value in full.items()}
        options = {**narrow, **self.options}
        return build_detector(self.detector, self.preset, **options).eval()


FCOS = {"num_levels": 5, "seg_head": False, "exchange": False, "adapter": False}
MODELS = (  # the published ones of CgraNet and EFLNet have a classifier of 1000 and of 80 classes
    Model("BAFE-Net R50", "bafenet", parameters=35.626, gmac=71.639),
    Model("EFLNet", "eflnet", parameters=38.519),
    Model("SeRankDet", "serankdet"),
    Model("ADSNet, dense", "adsnet", "paper", {"sparse_impl": "dense_masked"}),
    Model("CgraNet", "cgranet", "paper", parameters=26.12),
)
ALSO_COUNTED = (
    Model("BAFE-Net R18", "bafenet", options={"depth": 18}, parameters=22.31, gmac=57.654),
    Model("FCOS R50", "bafenet", "paper", FCOS, parameters=32.113, gmac=50.291),
    Model("SeRankDet, paper", "serankdet", "paper"),
)


def benchmark_detectors(
    rounds: int, sizes: Sequence[int], width: float, variants: Sequence[str] | None
) -> None:
    """All of it; the first size is that of everything but the times.

    Variants are all by default, on a CPU without "compile", which takes minutes for each detector.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if variants is None:
        variants = VARIANTS if device == "cuda" else VARIANTS[:-1]
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    print(f"{name}, {torch.get_num_threads()} threads, {width:g} of the width, {rounds} rounds")
    tell_sizes(sizes, width)
    for size in sizes:
        tell_times(size, width, rounds, device)
    tell_sparse(sizes[0], width, rounds, device)
    if variants:
        tell_variants(sizes[0], width, rounds, device, variants)


# ---- size and arithmetic


def count(network: nn.Module) -> int:
    """Parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def gmac(network: nn.Module, size: int) -> float:
    """1e9 multiply-adds of convolutions and products of matrices, for one size x size image."""
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 1, size, size, device=device))
    return counter.get_total_flops() / 2e9


def tell_sizes(
    sizes: Sequence[int], width: float, models: Sequence[Model] = (*MODELS, *ALSO_COUNTED)
) -> None:
    """Parameters and GMAC beside the published ones; nothing is computed."""
    head = "".join(f"{f'GMAC {size}':>11}" for size in sizes)
    print(f"\n{'':18}{'parameters':>12}{head}{'published: M':>15}{'GMAC':>9}")
    for model in models:
        with torch.device("meta"):
            network = model.build(width)
        macs = "".join(f"{gmac(network, size):11.2f}" for size in sizes)
        known = (model.parameters, model.gmac) if width == 1 else (None, None)
        said = [f"{value:.3f}" if value else "-" for value in known]
        print(f"{model.label:18}{count(network):12,}{macs}{said[0]:>15}{said[1]:>9}")


# ---- time


def in_turns(steps: Steps, rounds: int, device: str) -> dict[str, list[float]]:
    """Milliseconds of each step, one value a round; steps take turns, so noise meets them all."""
    for step in steps.values():
        for _ in range(WARM_UP if device == "cuda" else 1):
            milliseconds(step, device)
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name].append(milliseconds(step, device))
    return times


def milliseconds(step: Callable[[], object], device: str) -> float:
    """Of one call, waiting for the device."""
    start = time.perf_counter()
    step()
    if device == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def inference(network: Callable[[Tensor], Any], images: Tensor) -> Callable[[], object]:
    """A call of the network without gradients."""

    def step() -> object:
        with torch.no_grad():
            return network(images)

    return step


def noise(size: int, device: str) -> Tensor:
    """One image."""
    return torch.rand(1, 1, size, size, generator=torch.Generator().manual_seed(0)).to(device)


def tell(times: dict[str, list[float]], more: dict[str, str] | None = None) -> None:
    """Each step, and its ratio to the first."""
    reference = next(iter(times.values()))
    for name, values in times.items():
        ratios = f"x {ratio(values, reference)}"
        print(f"{name:24}{spread(values, 'ms'):42}{ratios:26}{(more or {}).get(name, '')}".rstrip())


def tell_times(size: int, width: float, rounds: int, device: str) -> None:
    """The five, one image at a time."""
    images = noise(size, device)
    networks = {model.label: model.build(width).to(device) for model in MODELS}
    print(f"\none image of {size} x {size}, ratio to {MODELS[0].label}")
    steps = {name: inference(network, images) for name, network in networks.items()}
    tell(in_turns(steps, rounds, device))


def tell_sparse(size: int, width: float, rounds: int, device: str) -> None:
    """ADSNet: dropped patches not computed, or set to zero, against computing all."""
    rows = TABLES["adsnet-8"].rows
    seconds = {row.label: row.published["seconds"] for row in rows}
    images, steps, more = noise(size, device), {}, {}
    for row in reversed(rows):
        for way in ("gather", "dense_masked") if row.label != "dense" else ("gather",):
            options = {**row.options, **({"sparse_impl": way} if row.label != "dense" else {})}
            network = Model(row.label, "adsnet", "paper", options).build(width).to(device)
            name = row.label if way == "gather" else f"{row.label} set to zero"
            steps[name] = inference(network, images)
            said = f", published x {seconds[row.label] / seconds['dense']:.2f}"
            more[name] = f"{gmac(network, size):.2f} GMAC" + (said if way == "gather" else "")
    print(f"\nADSNet, {size} x {size}, by share that stages 3 and 2 drop; ratio to dense")
    tell(in_turns(steps, rounds, device), more)


def tell_variants(
    size: int, width: float, rounds: int, device: str, variants: Sequence[str]
) -> None:
    """What other ways of running the same network give, against plain eager."""
    print(f"\nother ways of running, {size} x {size}, ratio to float32 as it is")
    for model in MODELS:
        network, images = model.build(width).to(device), noise(size, device)
        steps: Steps = {model.label: inference(network, images)}
        for name in variants:
            step = inference(varied(network, name, device), images)
            reason = refusal(step)
            if reason:
                print(f"  {name}: not available here ({reason})")
            else:
                steps[f"  {name}"] = step
        tell(in_turns(steps, rounds, device))


def varied(network: Detector, variant: str, device: str) -> Callable[[Tensor], Any]:
    """The network, run in one of `VARIANTS`."""
    if variant == "channels-last":
        return copy.deepcopy(network).to(memory_format=torch.channels_last)
    if variant == "fused":
        return fused(network)
    if variant == "compile":
        return torch.compile(network)

    def half(images: Tensor) -> Any:
        with torch.autocast(device, torch.bfloat16):
            return network(images)

    return half


def fused(network: Detector) -> Detector:
    """A copy whose convolutions, where a batch norm follows in a row of layers, do its work."""
    network = copy.deepcopy(network)
    for layers in network.modules():
        if isinstance(layers, nn.Sequential):
            for (one, conv), (other, norm) in pairwise(list(layers.named_children())):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    setattr(layers, one, fuse_conv_bn_eval(conv, norm))
                    setattr(layers, other, nn.Identity())
    return network


def refusal(step: Callable[[], object]) -> str:
    """The first line of why a step doesn't run, such as a missing compiler; empty if it does."""
    try:
        step()
    except RuntimeError as error:
        return f"{type(error).__name__}: {error}".split("\n")[0]
    return ""
