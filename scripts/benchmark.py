"""How fast, against a baseline measured in the same run. Medians and ranges; nothing is asserted.

python scripts/benchmark.py build [--backgrounds DIR] [--sky DIR] [--rounds 3]
python scripts/benchmark.py render [--rounds 30]
python scripts/benchmark.py stats [--backgrounds DIR] [--rounds 3]
python scripts/benchmark.py convert --backgrounds DIR [--to coco yolo ...] [--rounds 3]
python scripts/benchmark.py online | gpu [--rounds 30]     (needs torch)
python scripts/benchmark.py sky [--rounds 30]
python scripts/benchmark.py detectors [--width 1] [--sizes 256 512] [--rounds 3]     (needs torch)
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from timing import microseconds, noise_scene, ratio, spread

from densesirst_gen.datasets import Dataset, SceneFile, read_dataset
from densesirst_gen.datasets.layouts.devkit import PALETTES, encode_image
from densesirst_gen.files.images import codec
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.extract import build_library
from densesirst_gen.paste.placement import choose_windows, free_positions
from densesirst_gen.paste.planner import allowed, make_plan
from densesirst_gen.paste.render import render
from densesirst_gen.paste.seeds import scene_rng
from densesirst_gen.paste.shapes import shapes_at
from densesirst_gen.scene.scene import Scene
from densesirst_gen.sky import network
from densesirst_gen.sky.doubt import predict_with_doubt
from densesirst_gen.sky.predict import answer, predict_sky, prediction_from, unit_gray


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "what",
        choices=[
            "build",
            "render",
            "stats",
            "convert",
            "online",
            "gpu",
            "sky",
            "detectors",
            "floor",
        ],
    )
    parser.add_argument("--backgrounds", default="demo")
    parser.add_argument("--sky")
    parser.add_argument("--out", help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--to", nargs="+", default=["coco", "yolo"], help="formats of convert")
    parser.add_argument("--width", type=float, default=1, help="share of each detector's channels")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512], help="of the images")
    ways = ["channels-last", "bf16", "fused", "compile"]
    parser.add_argument("--variants", nargs="*", choices=ways, help="of running a detector")
    args = parser.parse_args()
    if args.what == "floor":
        floor(_dataset(args.backgrounds, args.sky), Path(args.out))
    elif args.what == "build":
        benchmark_build(args.backgrounds, args.sky, args.rounds or 3)
    elif args.what == "stats":
        benchmark_stats(args.backgrounds, args.sky, args.rounds or 3)
    elif args.what == "convert":
        benchmark_convert(args.backgrounds, args.to, args.rounds or 3)
    elif args.what in ("online", "gpu"):
        import benchmark_online

        getattr(benchmark_online, f"benchmark_{args.what}")(args.rounds or 30)
    elif args.what == "detectors":
        from benchmark_detectors import benchmark_detectors

        benchmark_detectors(args.rounds or 3, args.sizes, args.width, args.variants)
    elif args.what == "sky":
        benchmark_sky(args.rounds or 30)
    else:
        benchmark_render(args.rounds or 30)


def _dataset(backgrounds: str, sky: str | None) -> Dataset:
    if backgrounds == "demo":
        sys.exit("the floor of demo is drawing: give --backgrounds with files")
    return read_dataset(backgrounds, sky_dir=sky)


# ---- build: a whole process, against decoding every input and encoding every output


def floor(dataset: Dataset, built: Path) -> None:
    """Decode each input once, encode each output image once, write each output file: nothing else.

    The pixels and texts written are those of `built`.
    """
    outputs = {scene.name: scene for scene in read_dataset(built).scenes}
    with tempfile.TemporaryDirectory() as folder:
        spent = 0.0
        for source in dataset.scenes:
            made, texts = outputs[source.name].load(), _texts(built, source.name)
            start = time.perf_counter()
            _decode(source)
            for number, content in enumerate([*_encoded(made), *texts]):
                (Path(folder) / f"{source.name}.{number}").write_bytes(content)
            spent += time.perf_counter() - start
    print(spent)


def _encoded(scene: Scene) -> list[bytes]:
    assert scene.sky is not None
    mask, sky = scene.labels > 0, scene.sky
    contents = [encode_image(scene.image)]
    for part, values in (("SIRST", mask), ("SkySeg", sky)):
        colours, bits = PALETTES[part]
        contents.append(codec.encode_png(values.astype(np.uint8) * 255))
        contents.append(codec.encode_palette_png(values, colours, bits=bits))
    return contents


def _texts(built: Path, name: str) -> list[bytes]:
    """The four small files of a scene: boxes, points, and what comes with the two masks."""
    names = ("SIRST/BBox/{}.xml", "SIRST/Point_label/{}_pixels0.txt")
    names += ("SIRST/BinaryMask/{}.xml", "SkySeg/BinaryMask/{}.xml")
    return [(built / template.format(name)).read_bytes() for template in names]


def benchmark_build(backgrounds: str, sky: str | None, rounds: int) -> None:
    """Images per second of the command, one and two jobs, against the floor; peak memory."""
    n = len(_dataset(backgrounds, sky).scenes)
    source = ["--backgrounds", backgrounds, *(["--sky", sky] if sky else [])]
    times: dict[str, list[float]] = {"floor": [], "jobs 1": [], "jobs 2": []}
    memory = {}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out"
        for _ in range(rounds):
            for jobs in (1, 2):
                shutil.rmtree(out, ignore_errors=True)
                seconds, peak = _timed(["build", *source, "--out", str(out), "-q", "-j", str(jobs)])
                times[f"jobs {jobs}"].append(seconds)
                memory[f"jobs {jobs}"] = peak
            command = [sys.executable, __file__, "floor", *source, "--out", str(out)]
            run = subprocess.run(command, check=True, capture_output=True, text=True)
            times["floor"].append(float(run.stdout))
    _tell(n, times, memory)
    print(f"jobs 1 takes {ratio(times['jobs 1'], times['floor'])} times the floor")
    print(f"jobs 2 has {ratio(times['jobs 1'], times['jobs 2'])} times the throughput of jobs 1")


def _tell(n: int, times: dict[str, list[float]], memory: dict[str, int]) -> None:
    print(f"{n} images, {len(times['floor'])} rounds, whole process")
    for name, values in times.items():
        print(f"{name:8} {spread(values, 's')}   {n / statistics.median(values):6.1f} images/s")
    print("peak memory of one process: " + ", ".join(f"{k} {v} MB" for k, v in memory.items()))


def _timed(arguments: Sequence[str], codes: tuple[int, ...] = (0,)) -> tuple[float, int]:
    """Seconds of wall time and peak memory (MB) of the largest process of a command."""
    code = (
        "import resource, subprocess, sys; ended = subprocess.run(sys.argv[1:]).returncode;"
        f"assert ended in {codes};"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    )
    command = [sys.executable, "-m", "densesirst_gen", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    start = time.perf_counter()
    watched = [sys.executable, "-c", code, *command]
    run = subprocess.run(watched, check=True, capture_output=True, text=True, env=environment)
    return time.perf_counter() - start, int(run.stdout.split()[-1])


# ---- stats: a whole process, against decoding every file once


def benchmark_stats(folder: str, sky: str | None, rounds: int) -> None:
    """The command with one and two jobs, against the floor; then rows without images."""
    dataset = _dataset(folder, sky)
    times: dict[str, list[float]] = {"floor": [], "jobs 1": [], "jobs 2": []}
    memory = {}
    for _ in range(rounds):
        start = time.perf_counter()
        for source in dataset.scenes:
            _decode(source)
        times["floor"].append(time.perf_counter() - start)
        for jobs in (1, 2):
            arguments = [folder, *(["--sky", sky] if sky else []), "-q", "-j", str(jobs)]
            seconds, memory[f"jobs {jobs}"] = _timed(["stats", *arguments])
            times[f"jobs {jobs}"].append(seconds)
    _tell(len(dataset.scenes), times, memory)
    print(f"jobs 1 takes {ratio(times['jobs 1'], times['floor'])} times the floor")
    print(f"jobs 2 takes {ratio(times['jobs 2'], times['floor'])} times the floor")


def benchmark_convert(folder: str, formats: Sequence[str], rounds: int) -> None:
    """Each format and validate with one and two jobs, against decoding each file once."""
    dataset = _dataset(folder, None)
    commands = {"validate": ["validate", folder]}
    for to in formats:
        commands[to] = ["convert", folder, "OUT", "--to", to, "--allow-loss"]
    times: dict[str, list[float]] = {"floor": []}
    memory = {}
    for _ in range(rounds):
        start = time.perf_counter()
        for source in dataset.scenes:
            _decode(source)
        times["floor"].append(time.perf_counter() - start)
        for what, words in commands.items():
            for jobs in (1, 2):
                name = f"{what}, jobs {jobs}"
                with tempfile.TemporaryDirectory() as out:
                    given = [word.replace("OUT", f"{out}/new") for word in words]
                    seconds, memory[name] = _timed([*given, "-q", "-j", str(jobs)], (0, 4))
                times.setdefault(name, []).append(seconds)
    _tell(len(dataset.scenes), times, memory)
    for name in memory:
        print(f"{name} takes {ratio(times[name], times['floor'])} times the floor")


def _decode(source: SceneFile) -> None:
    codec.read_image(source.image)
    for path in source.files()[1:]:
        codec.read_mask(path, sparse=False)


# ---- render: one image in memory, against copying it


def benchmark_render(rounds: int) -> None:
    """Plan and render one 512 x 512 image with two clusters, step by step."""
    config = PasteConfig(n_regions=(2, 2))
    scene = noise_scene()
    library = build_library([scene])
    rng = scene_rng(0, scene.name)
    side = config.window_px
    free = free_positions(~allowed(scene, config), side, side)
    plan = make_plan(scene, library, config, rng, free=free)
    shapes_at(library, config.patch_px, config.resize, config.flatten)
    draws = np.random.default_rng(0).random((2, 1))

    def whole(known: np.ndarray | None) -> None:
        render(scene, library, make_plan(scene, library, config, rng, free=known))

    steps: dict[str, Callable[[], object]] = {
        "copy image and labels (floor)": lambda: (scene.image.copy(), scene.labels.copy()),
        "placement map": lambda: free_positions(~allowed(scene, config), side, side),
        "choose two windows": lambda: choose_windows(free, draws, side, scene.image),
        "plan, map known": lambda: make_plan(scene, library, config, rng, free=free),
        "render": lambda: render(scene, library, plan),
        "plan + render, map known": lambda: whole(free),
        "plan + render, new sky": lambda: whole(None),
    }
    print(f"512 x 512, two clusters, {len(plan)} targets in this plan, {rounds} rounds")
    for name, step in steps.items():
        print(f"{name:30} {spread(microseconds(step, rounds), 'us')}")


# ---- sky: one image in memory, step by step


def benchmark_sky(rounds: int) -> None:
    """Predict the sky of one 512 x 640 image on one core."""
    cv2.setNumThreads(1)
    image = np.random.default_rng(0).integers(0, 255, (512, 640)).astype(np.uint8)
    scene = Scene("noise", image, np.zeros(image.shape, np.int32))
    gray = unit_gray(scene)
    coarse, inputs = answer(gray), network.features(gray)
    model = network.shipped().model
    steps: dict[str, Callable[[], object]] = {
        "gray to 0..1 (floor)": lambda: unit_gray(scene),
        "input of the network": lambda: network.features(gray),
        "forward pass": lambda: model.log_odds(inputs),
        "calibration and edges": lambda: prediction_from(coarse, gray),
        "predict_sky": lambda: predict_sky(scene),
        "with its doubt": lambda: predict_with_doubt(scene),
    }
    for name, step in steps.items():
        times = [t / 1e3 for t in microseconds(step, rounds, repeats=3)]
        print(f"{name:30} {spread(times, 'ms')}")


if __name__ == "__main__":
    main()
