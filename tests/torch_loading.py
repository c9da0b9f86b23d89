"""A dataset that PyTorch's DataLoader can send to its workers, for the tests of `BagCopyPaste`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
