"""What changes the weights: the optimiser, the learning rate at each step, the running mean."""

from __future__ import annotations

import math
from bisect import bisect_right

import torch
from torch import nn

from densesirst_gen.detection.training.settings import TrainConfig

AVERAGE_RAMP = 2000
POLY_POWER = 0.9


def make_optimiser(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """The optimiser of all parameters that are trained; biases and norms do not decay.

    Raises
    ------
    RuntimeError
        If ``dadapt`` is asked for and not installed.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimiser == "sgd":
        nesterov = config.momentum > 0
        return torch.optim.SGD(groups, config.lr, momentum=config.momentum, nesterov=nesterov)
    if config.optimiser == "adam":
        return torch.optim.Adam(groups, config.lr)
    if config.optimiser == "dadapt":
        return _dadapt(groups, config.lr)
    return torch.optim.AdamW(groups, config.lr)


def _dadapt(groups: list[dict[str, object]], lr: float) -> torch.optim.Optimizer:
    try:
        from dadaptation import DAdaptAdam
    except ImportError as error:
        raise RuntimeError("dadaptation is not installed: pip install dadaptation") from error
    made: torch.optim.Optimizer = DAdaptAdam(groups, lr=lr, decouple=True)
    return made


def lr_share(step: int, n_steps: int, config: TrainConfig) -> float:
    """Learning rate of a step, as a share of ``config.lr``.

    Parameters
    ----------
    step, n_steps : int
        From 0; of the whole run.
    """
    warmup = min(config.warmup, n_steps // 4)
    if step < warmup:
        return config.warmup_from + (1 - config.warmup_from) * (step + 1) / warmup
    done = step / n_steps
    if config.schedule == "step":
        return float(0.1 ** bisect_right(sorted(config.milestones), done))
    if config.schedule == "cosine":
        return config.final + (1 - config.final) * (1 + math.cos(math.pi * done)) / 2
    return float((1 - done) ** POLY_POWER) if config.schedule == "poly" else 1.0


def update_average(average: nn.Module, model: nn.Module, step: int, decay: float) -> None:
    """Move a running mean towards the weights; at first in longer strides, as it knows little."""
    follow(average, model, decay * (1 - math.exp(-(step + 1) / AVERAGE_RAMP)))


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, kept: float) -> None:
    """Move a mean of weights towards a model's; `kept`, 0 to 1, is the share that stays."""
    pairs = zip(average.state_dict().values(), model.state_dict().values(), strict=True)
    for mean, value in pairs:
        if mean.is_floating_point():
            mean.lerp_(value, 1 - kept)
        else:
            mean.copy_(value)
