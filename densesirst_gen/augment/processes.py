"""Which process is this: the one place that tells the processes of a run apart.

A number that two processes share gives them the same draws. So it is made of all that may differ:
the worker's seed in a PyTorch DataLoader; else the rank that a launcher has given, the name that a
pool has given, and which fork of which fork this is. All of it is the same in the next run.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from densesirst_gen.paste.seeds import name_key

RANKS = (
    "RANK",
    "LOCAL_RANK",
    "NODE_RANK",
    "GROUP_RANK",
    "SLURM_PROCID",
    "OMPI_COMM_WORLD_RANK",
    "PMI_RANK",
    "PMIX_RANK",
    "MV2_COMM_WORLD_RANK",
    "HOROVOD_RANK",
)
"""Variables by which launchers number their processes; 0 or none: the first, or the only one."""
POOLS = ("multiprocessing.process", "multiprocess.process", "billiard.process")
"""Modules that start processes and give them names; loaded where they are in use."""
MAIN = "MainProcess"


class _Forks:
    """Counts forks, so that each child knows which one it is."""

    def __init__(self) -> None:
        self.children, self.n_outside = 0, 0
        self.path: tuple[int, ...] = ()

    def before(self) -> None:
        self.children += 1

    def in_child(self) -> None:
        self.path, self.children = (*self.path, self.children), 0
        if _worker() is None:
            self.n_outside = len(self.path)

    @property
    def in_worker(self) -> tuple[int, ...]:
        """The forks since PyTorch's worker began."""
        return self.path[self.n_outside :]


def _worker() -> Any:
    """What PyTorch tells of its DataLoader's worker; None elsewhere."""
    torch_data = sys.modules.get("torch.utils.data")
    return torch_data.get_worker_info() if torch_data else None


_forks = _Forks()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_forks.before, after_in_child=_forks.in_child)


def process_key() -> int:
    """What tells the processes of one run apart; 0 in one that is alone.

    In a DataLoader's worker it is the seed of PyTorch there: the worker's own, which is drawn anew
    for each epoch, or what a ``worker_init_fn`` has set. Elsewhere, and beside it where there are
    ranks, it is a hash of what the module says.
    """
    if _worker() is None:
        return _hash([*_ranks(), *_names(), *map(str, _forks.path)])
    seed = int(sys.modules["torch"].initial_seed()) % 2**64
    further = [*_ranks(), *map(str, _forks.in_worker)]
    return _hash([str(seed), *further]) if further else seed


def _hash(parts: list[str]) -> int:
    return name_key(" ".join(parts)) if parts else 0


def _ranks() -> list[str]:
    """The ranks that launchers and torch.distributed give, as far as they are not 0."""
    given = {name: os.environ.get(name, "") for name in RANKS}
    return [f"{name}={value}" for name, value in given.items() if value.strip("0")] + _group()


def _group() -> list[str]:
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return []
    rank = distributed.get_rank()
    return [f"group={rank}"] if rank else []


def _names() -> list[str]:
    """The names of this process among those that pools have started."""
    modules = [(name, sys.modules.get(name)) for name in POOLS]
    found = [(name, module.current_process().name) for name, module in modules if module]
    return [name if pool == POOLS[0] else f"{pool}={name}" for pool, name in found if name != MAIN]
