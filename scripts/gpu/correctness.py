"""Part 1: is what a GPU computes what a CPU computes, to the bit?

python scripts/gpu/correctness.py OUT [--toy]

The tests that need a device; a data set built with ``--device cuda`` and with ``cpu``, byte by
byte; `BatchBagCopyPaste` against numpy for the three dtypes, as it is, compiled, and in a CUDA
graph. Each check is a line with ``ok``; one that breaks is told and the next goes on. Exit code 1
if any is not ok. Without a GPU the device is the CPU: only that the checks run is shown then.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from benchmark_online import CONFIG
from told import device, tell
from torch import Tensor

from densesirst_gen import BagCopyPaste, build_library
from densesirst_gen.augment.batch import BatchBagCopyPaste
from densesirst_gen.augment.calls import CallStream
from densesirst_gen.build.dataset import build_dataset
from densesirst_gen.build.recipe import Recipe
from densesirst_gen.datasets import Dataset
from densesirst_gen.datasets.demo.dataset import demo_dataset
from densesirst_gen.paste.draws import n_draws
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.scene import Scene

ROOT = Path(__file__).parents[2]
PART = "correctness"
TESTS = "tests/augment/test_batch.py", "tests/detection/test_kept.py"
N_BUILT, N_BATCH = 64, 16
TOY_BUILT, TOY_BATCH = 1, 2
SPANS = {"uint8": None, "uint16": (0.0, 16383.0), "float32": (0.0, 1.0)}
NOT_THE_SAME = ("manifest.json", "README.md", "SHA256SUMS")
"""Files of a build that name its time, or the digests of such."""


def main(argv: list[str] | None = None) -> int:
    """Run all checks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--toy", action="store_true", help="few scenes, no compiler")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    checks = checks_of(toy=args.toy)
    went_well = [checked(args.out, name, check) for name, check in checks.items()]
    return 0 if all(went_well) else 1


def checks_of(*, toy: bool) -> dict[str, Callable[[], Any]]:
    """By name; the cheapest and most telling first. Each gives a falsy value, or what is wrong."""
    case = Case.of_demo(TOY_BATCH if toy else N_BATCH)
    checks: dict[str, Callable[[], Any]] = {
        f"as numpy, {kind}": lambda kind=kind: case.wrong(kind, case.module()) for kind in SPANS
    }
    checks["in a CUDA graph"] = case.wrong_in_graph
    checks["tests on a device"] = wrong_tests if not toy else lambda: None
    checks["build, byte by byte"] = lambda: wrong_files(TOY_BUILT if toy else N_BUILT)
    for kind in () if toy else SPANS:
        checks[f"compiled, {kind}"] = lambda kind=kind: case.wrong_compiled(kind)
    return checks


def checked(out: Path, name: str, check: Callable[[], Any]) -> bool:
    """Run a check and tell how it went."""
    start = time.perf_counter()
    try:
        wrong = check()
    except Exception as error:
        wrong = f"{type(error).__name__}: {str(error)[:2000]}"
    seconds = round(time.perf_counter() - start, 2)
    tell(out, PART, name, ok=not wrong, wrong=wrong or None, seconds=seconds)
    return not wrong


# ---- copy-paste


@dataclass(frozen=True, eq=False)
class Case:
    """Scenes, a library, and what numpy makes of them.

    Parameters
    ----------
    scenes : list of Scene
        uint8, all sky but their targets, of one size.
    library : TargetLibrary
    draws : Tensor
        See `BatchBagCopyPaste.draw`.
    """

    scenes: list[Scene]
    library: TargetLibrary
    draws: Tensor

    @classmethod
    def of_demo(cls, n: int) -> Case:
        """The first demo scenes, cut to one size."""
        whole = [file.load() for file in demo_dataset().scenes[:n]]
        scenes = [_cut(scene) for scene in whole]
        rng, n_numbers = CallStream(0).rng, 1 + n_draws(CONFIG)
        draws = np.stack([rng(k).random(n_numbers) for k in range(len(scenes))])
        return cls(scenes, build_library(whole), torch.from_numpy(draws))

    def module(self) -> BatchBagCopyPaste:
        """On the device."""
        return BatchBagCopyPaste(self.library, CONFIG).to(device())

    def arguments(self, kind: str) -> dict[str, Tensor]:
        """Images, sky and labels on the device."""
        images = np.stack([as_kind(scene, kind).image for scene in self.scenes])
        deep = images.astype(np.int32) if kind == "uint16" else images
        arrays = {
            "images": deep[:, None],
            "sky": np.stack([scene.sky for scene in self.scenes]),
            "labels": np.stack([scene.labels for scene in self.scenes]),
        }
        return {name: torch.from_numpy(a).to(device()) for name, a in arrays.items()}

    def expected(self, kind: str) -> tuple[np.ndarray, np.ndarray]:
        """Images and labels by numpy."""
        aug = BagCopyPaste(self.library, CONFIG, span=SPANS[kind])
        made = [aug(as_kind(scene, kind), index=k) for k, scene in enumerate(self.scenes)]
        return np.stack([s.image for s in made]), np.stack([s.labels for s in made])

    def wrong(self, kind: str, call: Callable[..., Any]) -> str | None:
        """In what a call on the device differs from numpy."""
        draws = self.draws.to(device())
        made = call(**self.arguments(kind), draws=draws, span=SPANS[kind])
        return self.differing(kind, made)

    def differing(self, kind: str, made: Any) -> str | None:
        """How many pixels of images and labels are others."""
        images, labels = self.expected(kind)
        if np.array_equal(labels, np.stack([s.labels for s in self.scenes])):
            return "nothing was pasted"
        n_images = int((made.images[:, 0].cpu().numpy() != images).sum())
        n_labels = int((made.labels.cpu().numpy() != labels).sum())
        return f"{n_images} pixels, {n_labels} labels differ" if n_images or n_labels else None

    def wrong_compiled(self, kind: str) -> str | None:
        """As one graph of the compiler."""
        torch.compiler.reset()
        return self.wrong(kind, torch.compile(self.module(), fullgraph=True))

    def wrong_in_graph(self) -> str | None:
        """Captured with other numbers, then replayed; only on a GPU."""
        if device() == "cpu":
            return None
        call, arguments = self.module(), self.arguments("uint8")
        draws = call.draw(len(self.scenes))
        replay, made = captured(lambda: call(**arguments, draws=draws))
        draws.copy_(self.draws)
        replay()
        torch.cuda.synchronize()
        return self.differing("uint8", made)


def captured(call: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """A call as a CUDA graph: what replays it, and its result, which replays write again."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(2):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        made = call()
    return graph.replay, made


def _cut(scene: Scene) -> Scene:
    """The top left 160 x 160, targets numbered without gaps."""
    window = np.s_[:160, :160]
    labels = np.unique(scene.labels[window], return_inverse=True)[1].reshape(160, 160)
    sky = np.ones((160, 160), bool)
    return Scene(scene.name, scene.image[window].copy(), labels.astype(np.int32), sky)


def as_kind(scene: Scene, kind: str) -> Scene:
    """The scene in another dtype."""
    span = SPANS[kind]
    if span is None:
        return scene
    values = scene.image.astype(np.float64) / 255 * span[1]
    return replace(scene, image=values.astype(kind), span=span)


# ---- tests and builds


def wrong_tests() -> str | None:
    """The end of what pytest says, if a test fails or none ran."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-k", "OnADevice", *TESTS]
    run = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-W", "default"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    skipped = device() == "cuda" and " passed" not in run.stdout
    return (run.stdout + run.stderr)[-2000:] if run.returncode or skipped else None


def wrong_files(n: int) -> str | None:
    """Files of a build of n scenes that differ between the device and the CPU."""
    demo = demo_dataset()
    copies = -(-n // len(demo.scenes))
    scenes = demo.scenes[: -(-n // copies)]
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for where in ("cpu", "cuda" if device() == "cuda" else "cpu:0"):  # the latter by torch too
            out = Path(folder) / f"{len(found)}"
            build_dataset(
                Dataset(demo.root, "demo", scenes, counts=demo.counts),
                out,
                Recipe(CONFIG, copies=copies),
                device=where,
                jobs=min(copies, 8) if where == "cpu" else 1,
            )
            found.append(_contents(out))
    names = [name for name in found[0] | found[1] if found[0].get(name) != found[1].get(name)]
    return f"{len(names)} files differ: {names[:3]}" if names else None


def _contents(folder: Path) -> dict[str, bytes]:
    paths = (p for p in folder.rglob("*") if p.is_file() and p.name not in NOT_THE_SAME)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in paths}


if __name__ == "__main__":
    sys.exit(main())
