"""Part 2: how many images a second, what that is of the copy bandwidth, and where the time goes.

python scripts/gpu/bulk.py OUT [--toy] [--rounds 10] [--minutes 5]

For every batch size: as it is, compiled, and replayed as a CUDA graph (as it is and compiled),
beside the copy bandwidth of the same run. Then kernels an image and a table of the costliest
kernels (profile.txt), and how fast BAFE-Net R18 trains on inputs that lie on the device, so which
EPOCHS part 3 has time for; then what is compiled. Without a GPU only that it runs is shown, and
nothing is compiled.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmark_online import CONFIG, copy_bandwidth, demo_library, on_device, tensors
from correctness import captured
from cost import cost_of, least_bytes
from timing import noise_scene
from told import device, spread, tell
from torch.profiler import ProfilerActivity, profile
from worth import rate

from densesirst_gen import build_library, demo_scene
from densesirst_gen.augment.batch import BatchBagCopyPaste
from densesirst_gen.scene.scene import Scene

PART = "bulk"
BATCHES = (64, 256, 1024)
TOY_BATCHES = (2,)
ROWS = 25
GOAL = 500_000


def main(argv: list[str] | None = None) -> None:
    """Measure everything; each figure is told when it is known."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--toy", action="store_true")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=5, help="that part 3 will have")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1 if args.toy else torch.get_num_threads())
    scene = _small(noise_scene()) if args.toy else noise_scene()
    bandwidth = copy_bandwidth() if device() == "cuda" else None
    tell(args.out, PART, "copy bandwidth", bytes_per_s=bandwidth, goal=GOAL)
    library = build_library([demo_scene(0)]) if args.toy else demo_library()
    paste = BatchBagCopyPaste(library, CONFIG).to(device())
    sizes = TOY_BATCHES if args.toy else BATCHES
    for names in (("eager", "graph"), ("compiled", "compiled graph")):  # compiling takes a while
        for size in sizes:
            measure(args.out, paste, tensors(scene, size, device()), args, bandwidth, names)
        if names[0] == "eager":
            arguments = tensors(scene, sizes[-2:][0], device())
            tell_or_say(args.out, "profile", lambda x=arguments: profiled(args.out, paste, x))
            tell_or_say(args.out, "training rate", lambda: rate(args))


def tell_or_say(out: Path, what: str, measured: Callable[[], dict[str, Any]]) -> None:
    """What breaks does not end the run."""
    try:
        values = measured()
    except Exception as error:
        values = {"wrong": f"{type(error).__name__}: {str(error)[:1000]}"}
    tell(out, PART, what, **values)


def measure(
    out: Path,
    paste: BatchBagCopyPaste,
    arguments: tuple[torch.Tensor, ...],
    args: argparse.Namespace,
    bandwidth: float | None,
    names: tuple[str, ...],
) -> None:
    """One batch size, some ways of calling."""
    images, sky, labels = arguments
    draws = paste.draw(len(images))
    cost = cost_of(paste, images, sky, labels, draws=draws)
    least = least_bytes(images, labels)
    fixed = {
        "batch": len(images),
        "kernels": cost.n_kernels,
        "bytes an image at most": cost.n_bytes // len(images),
        "bytes an image at least": least // len(images),
        "waits": len(cost.waits),
    }
    for name, make in ways(paste, arguments, draws):
        if name not in names:
            continue
        try:
            seconds = timed(make(), args.rounds)
        except Exception as error:
            wrong = f"{type(error).__name__}: {str(error)[:1000]}"
            tell(out, PART, name, **fixed, wrong=wrong)
            continue
        rates = [len(images) / s for s in seconds]
        share = bandwidth and least / statistics.median(seconds) / bandwidth
        tell(out, PART, name, **fixed, images_per_s=spread(rates), share_of_copy=share)


def ways(
    paste: BatchBagCopyPaste, arguments: tuple[torch.Tensor, ...], draws: torch.Tensor
) -> Iterator[tuple[str, Callable[[], Callable[[], Any]]]]:
    """Name, and what makes a call without arguments; new numbers are drawn where they can be."""

    def drawing(call: Callable[..., Any]) -> Callable[[], Any]:
        return lambda: call(*arguments, draws=paste.draw(len(draws)))

    def replayed(call: Callable[..., Any]) -> Callable[[], Any]:
        replay, _ = captured(lambda: call(*arguments, draws=draws))

        def run() -> None:
            draws.copy_(paste.draw(len(draws)))
            replay()

        return run

    yield "eager", partial(drawing, paste)
    if device() == "cuda":
        compiled = torch.compile(paste, fullgraph=True, dynamic=False)
        yield "graph", partial(replayed, paste)
        yield "compiled", partial(drawing, compiled)
        yield "compiled graph", partial(replayed, compiled)


def timed(run: Callable[[], Any], rounds: int) -> list[float]:
    """Seconds of a call."""
    if device() == "cuda":
        return [ms / 1e3 for ms in on_device(run, rounds)]
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return times


def profiled(
    out: Path, paste: BatchBagCopyPaste, arguments: tuple[torch.Tensor, ...]
) -> dict[str, Any]:
    """The costliest kernels of a call as it is, as a table for people."""
    on_gpu = device() == "cuda"
    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    paste(*arguments)
    with profile(activities=kinds) as seen:
        for _ in range(3):
            paste(*arguments)
        if on_gpu:
            torch.cuda.synchronize()
    key = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    table = seen.key_averages().table(sort_by=key, row_limit=ROWS, max_name_column_width=70)
    (out / "profile.txt").write_text(table)
    return {"batch": len(arguments[0]), "file": "profile.txt"}


def _small(scene: Scene) -> Scene:
    window = scene.image[:128, :128], scene.labels[:128, :128]
    assert scene.sky is not None
    return Scene("small", *(a.copy() for a in window), scene.sky[:128, :128].copy())


if __name__ == "__main__":
    main()
