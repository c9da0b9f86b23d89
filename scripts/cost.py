"""What a computation on tensors costs, counted while it runs: kernels, bytes, waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

WAITS = (
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "unique",
    "_unique2",
    "unique_consecutive",
    "equal",
    "is_nonzero",
    "repeat_interleave",
    "bincount",
)
LOOKUPS = ("gather", "index", "index_select", "scatter_reduce_")
FREE = ("detach", "empty", "empty_strided", "empty_like", "_unsafe_view", "alias", "lift_fresh")


class Cost(NamedTuple):
    """What was counted.

    Parameters
    ----------
    n_kernels : int
        Operations that are not mere views; without a compiler each is a kernel or more.
    n_bytes : int
        What these read and wrote; of a look-up only what was looked up. Small tensors stay in the
        caches of a device, and a compiler leaves most of them out, so this is an upper bound.
    waits : tuple of str
        Operations whose result or shape the host has to wait for, and tensors made of numbers of
        the host: an empty tuple means that the call can run ahead of the device, and be captured
        in a CUDA graph.
    """

    n_kernels: int
    n_bytes: int
    waits: tuple[str, ...]


def cost_of(call: Callable[..., Any], *arguments: Any, **named: Any) -> Cost:
    """Count what a call does, as PyTorch runs it without a compiler.

    Parameters
    ----------
    call : callable
    *arguments, **named
        Of the call.

    Returns
    -------
    Cost
    """
    with _Counter() as counter:
        call(*arguments, **named)
    return Cost(counter.n_kernels, counter.n_bytes, tuple(counter.waits))


def least_bytes(images: Tensor, labels: Tensor | None = None, *, inplace: bool = False) -> int:
    """Bytes that copy-paste cannot do without: every large tensor is read or written once.

    The sky is read; the images are read and written, except in place; a label map is written, and
    one that was given is read. What is done at the pasted pixels is too little to count.

    Parameters
    ----------
    images : Tensor, (B, C, H, W)
    labels : Tensor, (B, H, W), optional
    inplace : bool

    Returns
    -------
    int
        For the whole batch.
    """
    n_pixels = len(images) * images.shape[2] * images.shape[3]
    copied = 0 if inplace else 2 * _size(images)
    if labels is None:
        return n_pixels + copied + 4 * n_pixels
    return n_pixels + copied + (1 if inplace else 2) * _size(labels)


class _Counter(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.n_kernels, self.n_bytes = 0, 0
        self.waits: list[str] = []

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in WAITS or (name == "index" and _has_mask(args[1])):
            self.waits.append(name)
        if name == "lift_fresh" or (name == "_to_copy" and _crosses(args[0], result)):
            self.waits.append(name)
        if not func.is_view and name not in FREE:
            self.n_kernels += 1
            self.n_bytes += _moved(name, args, result)
        return result


def _has_mask(indices: Iterable[Tensor | None]) -> bool:
    return any(index is not None and index.dtype == torch.bool for index in indices)


def _crosses(source: Tensor, result: Tensor) -> bool:
    return source.device != result.device


def _moved(name: str, args: tuple[Any, ...], result: Any) -> int:
    if name.startswith("new_") or name.endswith("_like"):
        return _size(result)
    if name in LOOKUPS:
        found = args[3] if name == "scatter_reduce_" else result
        return sum(map(_size, _tensors(args[1:]))) + 2 * _size(found)
    return sum(map(_size, [*_tensors(args), *_tensors([result])]))


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    found = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += _tensors(value)
    return found


def _size(tensor: Tensor) -> int:
    """Bytes of the memory behind a tensor that it looks at: an expanded one has few."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
