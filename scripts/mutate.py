"""Would the tests notice? Change one operator or number at a time, and see whether a test fails.

    python scripts/mutate.py [--sample 60] [--seed 0] [--part density ...] [--jobs 1]

Of each part so many changes are drawn, each made in memory as the module is imported by a process
of its own, which runs the tests of that part until one fails. What no test notices is printed with
its line. Changes in messages, annotations and docstrings are not made. Needs a system with fork.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_loader
from pathlib import Path
from types import CodeType
from typing import Any

ROOT = Path(__file__).parents[1]
PRELOAD = ("cv2", "hypothesis", "numpy", "PIL.Image", "pycocotools.mask", "pytest", "scipy.ndimage")
OPTIONS = ["-x", "-q", "-n", "0", "--assert", "plain", "-p", "no:cacheprovider"]
MINUTES = 5.0
"""After that a change is taken for noticed: it made an endless loop."""


@dataclass(frozen=True)
class Part:
    """Modules, and the tests that are about them."""

    modules: Sequence[str]
    tests: Sequence[str]


PARTS = {
    "annotation": Part(
        ["scene.annotate", "scene.windows"],
        ["scene", "datasets/test_formats.py"],
    ),
    "density": Part(["scene.density"], ["scene"]),
    "formats": Part(
        [
            "datasets.grammar.voc",
            "datasets.grammar.dialects",
            "datasets.coco.written",
            "datasets.layouts.devkit",
        ],
        ["datasets/test_written_numbers.py", "datasets/test_formats.py"],
    ),
    "placement": Part(
        ["paste.placement"],
        ["paste/test_placement.py", "paste/test_official_faults.py", "paste/test_laws.py"],
    ),
    "metrics": Part(
        [f"detection.metrics.{n}" for n in ("boxes", "coco", "targets", "pixels", "voc", "curves")],
        [f"detection/test_metrics_{n}.py" for n in ("boxes", "masks", "edges")],
    ),
}


@dataclass(frozen=True)
class Change:
    """One change: where, the tree with it, and words for it."""

    module: str
    line: int
    words: str
    tree: ast.Module


SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def changes_of(module: str, source: str) -> list[Change]:
    """All changes that can be made to a module."""
    tree = ast.parse(source)
    places = list(_places(tree))
    found = []
    for k, (node, _) in enumerate(places):
        changed = copy.deepcopy(tree)
        other, change = list(_places(changed))[k]
        before = ast.unparse(_shown(node))
        change()
        found.append(
            Change(module, node.lineno, f"{before} -> {ast.unparse(_shown(other))}", changed)
        )
    return found


def _shown(node: ast.AST) -> Any:
    return node.test if isinstance(node, ast.If | ast.IfExp) else node


def _places(tree: ast.AST) -> Iterator[tuple[Any, Callable[[], None]]]:
    """Nodes that can be changed, each with a call that does so, in the order of the source."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns") or isinstance(tree, ast.Raise | ast.JoinedStr):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_text(child):
                yield from _at(child)
                yield from _places(child)


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _at(node: Any) -> Iterator[tuple[Any, Callable[[], None]]]:
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        yield node, lambda: node.ops.__setitem__(0, SWAPS[type(node.ops[0])]())
    if isinstance(node, ast.BinOp | ast.BoolOp) and type(node.op) in SWAPS and not _joins(node):
        yield node, lambda: setattr(node, "op", SWAPS[type(node.op)]())
    if isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        yield node, lambda: setattr(node, "value", _other(node.value))
    if isinstance(node, ast.If | ast.IfExp) and not isinstance(node.test, ast.Compare):
        yield node, lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))


def _joins(node: ast.AST) -> bool:
    """Types joined by ``|``, and text put together, are no arithmetic."""
    return any(
        isinstance(n, ast.JoinedStr) or (isinstance(n, ast.Constant) and isinstance(n.value, str))
        for n in ast.walk(node)
    )


def _other(value: Any) -> Any:
    return not value if isinstance(value, bool) else value + 1


# ---------------------------------------------------------------- trying


class Loader(SourceFileLoader):
    """Gives the changed module."""

    def __init__(self, change: Change, path: Path) -> None:
        super().__init__(f"densesirst_gen.{change.module}", str(path))
        self.change = change

    def get_code(self, fullname: str) -> CodeType:
        return compile(ast.fix_missing_locations(self.change.tree), self.path, "exec")

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """As a finder, of this module alone."""
        return spec_from_loader(name, self) if name == self.name else None


def begin(change: Change | None, tests: Sequence[str]) -> int:
    """A process that runs the tests; its exit code is 0 if none fails."""
    pid = os.fork()
    if pid:
        return pid
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.setsid()
    code = 99
    try:
        import pytest

        if change:
            sys.meta_path.insert(0, Loader(change, _path(change.module)))  # type: ignore[arg-type]
        paths = [str(ROOT / "tests" / test) for test in tests]
        code = int(pytest.main([*OPTIONS, *paths]))
    finally:
        os._exit(code)


def _path(module: str) -> Path:
    return ROOT / "densesirst_gen" / f"{module.replace('.', '/')}.py"


def is_noticed(pids: dict[int, tuple[Any, float]]) -> tuple[Any, bool]:
    """The next process to end, or to take too long, and whether its change was noticed."""
    while True:
        for pid, (change, begun) in pids.items():
            ended, status = os.waitpid(pid, os.WNOHANG)
            late = time.monotonic() - begun > MINUTES * 60
            if late and not ended:
                os.killpg(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            if ended or late:
                del pids[pid]
                return change, late or os.waitstatus_to_exitcode(status) != 0
        time.sleep(0.05)


def survivors(part: Part, changes: Sequence[Change], jobs: int) -> list[Change]:
    """The changes that no test notices."""
    waiting, at_work, found = list(changes), dict[int, tuple[Any, float]](), []
    while waiting or at_work:
        while waiting and len(at_work) < jobs:
            change = waiting.pop()
            at_work[begin(change, part.tests)] = (change, time.monotonic())
        change, noticed = is_noticed(at_work)
        if not noticed:
            found.append(change)
            print(f"  not noticed: {change.module}:{change.line}: {change.words}", flush=True)
    return found


def passes_unchanged(part: Part) -> bool:
    pids = {begin(None, part.tests): (None, time.monotonic())}
    return not is_noticed(pids)[1]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sample", type=int, default=60, help="changes of each part; 0: all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args()
    for name in PRELOAD:
        importlib.import_module(name)
    total = [0, 0]
    for name in options.part:
        part = PARTS[name]
        if not passes_unchanged(part):
            sys.exit(f"{name}: the tests fail without any change")
        drawn, n_all = draw(part, options.sample, options.seed)
        left = survivors(part, drawn, options.jobs)
        print(f"{name}: {len(drawn) - len(left)} of {len(drawn)} noticed (of {n_all})", flush=True)
        total = [total[0] + len(drawn) - len(left), total[1] + len(drawn)]
    print(f"all: {total[0]} of {total[1]} noticed, {100 * total[0] / max(total[1], 1):.0f} %")
    return 0


def draw(part: Part, n: int, seed: int) -> tuple[list[Change], int]:
    """Some of the changes of a part, and how many there are."""
    found = [c for m in part.modules for c in changes_of(m, _path(m).read_text())]
    return (random.Random(seed).sample(found, min(n, len(found))) if n else found), len(found)


if __name__ == "__main__":
    sys.exit(main())
