"""A dataset that PyTorch's DataLoader can send to its workers, for the tests of `BagCopyPaste`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from densesirst_gen.augment.bag_copy_paste import BagCopyPaste
from densesirst_gen.scene.scene import Scene


class Pasted(torch.utils.data.Dataset):
    """One scene, pasted into anew for every item, with the index or without."""

    def __init__(self, scene: Scene, aug: BagCopyPaste, n: int, with_index: bool) -> None:
        self.scene, self.aug, self.n, self.with_index = scene, aug, n, with_index

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> torch.Tensor:
        scene = self.aug(self.scene, index=index if self.with_index else None)
        return torch.from_numpy(scene.image)


def two_epochs(
    dataset: Pasted, before: Callable[[int], None] = lambda epoch: None, **options: Any
) -> list[list[bytes]]:
    """The items of two epochs; `before` is called with the number of each."""
    torch.manual_seed(0)
    loader = DataLoader(dataset, batch_size=None, **options)
    epochs = []
    for epoch in range(2):
        before(epoch)
        epochs.append([item.numpy().tobytes() for item in loader])
    return epochs


class Seeds(torch.utils.data.Dataset):
    """The items of a dataset, each with the seed of the worker that has made it."""

    def __init__(self, dataset: Pasted) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[int, torch.Tensor]:
        return torch.utils.data.get_worker_info().seed, self.dataset[index]


def items(dataset: Any, **options: Any) -> list[Any]:
    """The items of one epoch."""
    torch.manual_seed(0)
    return list(DataLoader(dataset, batch_size=None, **options))


def joined(datasets: list[Pasted], **options: Any) -> list[bytes]:
    """The items of several datasets, one after the other, in one epoch."""
    loaded = items(torch.utils.data.ConcatDataset(datasets), **options)
    return [item.numpy().tobytes() for item in loaded]


@dataclass(frozen=True)
class Lightning:
    """Seeds as ``pl_worker_init_function`` does: by the worker's seed and the rank."""

    rank: int

    def __call__(self, worker: int) -> None:
        base = torch.initial_seed() - worker
        words = np.random.SeedSequence([base, worker, self.rank]).generate_state(4)
        torch.manual_seed(int(words[0]))


@dataclass(frozen=True)
class Mmengine:
    """Seeds as mmengine's ``worker_init_fn`` does: by the run's seed, rank and worker."""

    rank: int

    def __call__(self, worker: int) -> None:
        torch.manual_seed(2 * self.rank + worker + 7)


@dataclass(frozen=True)
class Transformers:
    """Seeds as Transformers' ``seed_worker`` does: by the worker's seed and the rank."""

    rank: int

    def __call__(self, worker: int) -> None:
        torch.manual_seed(2 * self.rank + torch.initial_seed() % 2**32)


HOOKS = {"lightning": Lightning, "mmengine": Mmengine, "transformers": Transformers}
