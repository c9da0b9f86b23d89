"""`scripts/benchmark.py online` and `gpu`: the augmentation in a training pipeline, and in bulk."""

from __future__ import annotations

import os
import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from cost import cost_of, least_bytes
from timing import microseconds, noise_scene, ratio, spread

from densesirst_gen import BagCopyPaste, PasteConfig, build_library, demo_scene
from densesirst_gen.augment.batch import BatchBagCopyPaste
from densesirst_gen.detection.detectors import build_detector
from densesirst_gen.detection.detectors.base import Targets
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene

CONFIG = PasteConfig(n_regions=(2, 2), per_region=(6, 12))
"""Two clusters of 6 to 12 targets in every image."""
SIDE = 512
STEP_BATCH, CPU_BATCH, GPU_BATCH = 8, 64, 256
Steps = dict[str, Callable[[], object]]


def demo_library() -> TargetLibrary:
    """Targets of the demo scenes."""
    return build_library(demo_scene(index) for index in range(12))


def benchmark_online(rounds: int) -> None:
    """One image on one core, beside its floor and other pipelines; share of a training step."""
    torch.set_num_threads(1)
    scene, aug = noise_scene(), BagCopyPaste(demo_library(), CONFIG)
    free, boxes = aug.placement_map(scene), annotate(scene.labels).boxes
    arrays = {"image": scene.image, "sky": scene.sky, "mask": scene.labels, "bboxes": boxes}
    steps: Steps = {
        "copy image and labels (floor)": lambda: (scene.image.copy(), scene.labels.copy()),
        "aug(scene), placement map known": lambda: aug(scene, free=free),
        "aug(scene), new sky": lambda: aug(scene),
        "aug(image, sky, mask, bboxes)": lambda: aug(**arrays),
        **other_pipelines(scene),
    }
    print(f"one {SIDE} x {SIDE} image, two clusters of 6 to 12 targets, one core, {rounds} rounds")
    known = tell(steps, rounds)["aug(scene), placement map known"]
    share_of_step(aug, scene, statistics.median(known))
    batch_against_loop(rounds)


def other_pipelines(scene: Scene) -> Steps:
    """An Albumentations pipeline of comparable work: as many patches pasted, then a flip."""
    try:
        import albumentations as A
    except ImportError:
        print("Albumentations is not installed: its pipeline is not measured")
        return {}
    patch = np.full((5, 5), 200, np.uint8)
    rng = np.random.default_rng(0)

    def overlays() -> list[dict[str, Any]]:
        corners = rng.uniform(0.01, 0.9, (18, 2))
        return [
            {"image": patch, "bbox": (x, y, x + 0.01, y + 0.01), "mask_id": 1} for x, y in corners
        ]

    compose = A.Compose([A.OverlayElements(p=1), A.HorizontalFlip(p=0.5)])
    mask = scene.labels.astype(np.uint8)
    return {
        "Albumentations OverlayElements": lambda: compose(
            image=scene.image, mask=mask, overlay_metadata=overlays()
        )
    }


def share_of_step(aug: BagCopyPaste, scene: Scene, augment_us: float) -> None:
    """Augmenting a batch of eight against a training step of FCOS with ResNet-18 on it."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.set_num_threads(os.cpu_count() or 1)
    options = {"depth": 18, "seg_head": False, "exchange": False, "adapter": False}
    model = build_detector("bafenet", **options).to(device).train()
    scenes = [aug(replace(scene, name=str(k)), index=k) for k in range(STEP_BATCH)]
    images = torch.from_numpy(np.stack([s.image for s in scenes]))[:, None].to(device) / 255
    labels = torch.from_numpy(np.stack([s.labels for s in scenes]))
    boxes = [torch.from_numpy(annotate(s.labels).boxes).float() for s in scenes]
    targets = Targets(boxes, labels, torch.ones_like(labels, dtype=torch.uint8)).to(device)

    def step() -> None:
        sum(model.loss(model(images), targets).values()).backward()
        if device == "cuda":
            torch.cuda.synchronize()

    times = microseconds(step, rounds=3, repeats=1)
    share = STEP_BATCH * augment_us / statistics.median(times)
    print(
        f"training step, FCOS ResNet-18, batch {STEP_BATCH}, {device}: "
        f"{spread([t / 1e3 for t in times], 'ms')}; augmenting on one core is {share:.2%} of it"
    )


def batch_against_loop(rounds: int) -> None:
    """The torch path on the CPU against numpy in a loop, 64 images, one thread each."""
    torch.set_num_threads(1)
    library, scene = demo_library(), noise_scene()
    aug, batch = BagCopyPaste(library, CONFIG), BatchBagCopyPaste(library, CONFIG)
    images, sky, labels = tensors(scene, CPU_BATCH, "cpu")
    scenes = [replace(scene, name=str(k)) for k in range(CPU_BATCH)]
    loop, bulk = [], []
    for _ in range(max(3, rounds // 6)):
        loop += microseconds(lambda: [aug(s) for s in scenes], rounds=1, repeats=1)
        bulk += microseconds(lambda: batch(images, sky, labels), rounds=1, repeats=1)
    print(
        f"{CPU_BATCH} images, one thread: numpy loop {spread([t / 1e3 for t in loop], 'ms')}, "
        f"torch {spread([t / 1e3 for t in bulk], 'ms')}; ratio {ratio(bulk, loop)}"
    )


def tensors(scene: Scene, n: int, device: str) -> tuple[torch.Tensor, ...]:
    """The scene n times: images (n, 1, H, W), sky and labels (n, H, W)."""
    assert scene.sky is not None
    arrays = (scene.image[None], scene.sky, scene.labels)
    return tuple(torch.from_numpy(a).expand(n, *a.shape).contiguous().to(device) for a in arrays)


def benchmark_gpu(rounds: int) -> None:
    """Images per second, bytes and share of the memory bandwidth; without a GPU the counts only."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    images, sky, labels = tensors(noise_scene(), GPU_BATCH if device == "cuda" else 8, device)
    paste = BatchBagCopyPaste(demo_library(), CONFIG).to(device)
    draws = paste.draw(len(images))
    cost = cost_of(paste, images, sky, labels, draws=draws)
    least = least_bytes(images, labels)
    print(
        f"{len(images)} images of {SIDE} x {SIDE}, uint8, on {device}: {cost.n_kernels} kernels, "
        f"{cost.n_bytes / len(images) / 1e6:.1f} MB an image moved at most, "
        f"{least / len(images) / 1e6:.1f} MB at least, waits for the host: {len(cost.waits)}"
    )
    if device == "cpu":
        print("no GPU: its speed is not measured")
        return
    bandwidth = copy_bandwidth()
    calls = {"eager": paste, "compiled": torch.compile(paste, fullgraph=True)}
    for name, call in calls.items():
        run = lambda call=call: call(images, sky, labels, draws=paste.draw(len(images)))  # noqa: E731
        seconds = [ms / 1e3 for ms in on_device(run, rounds)]
        rate = len(images) / statistics.median(seconds)
        used = least / statistics.median(seconds) / bandwidth
        print(
            f"{name:9} {spread([s * 1e3 for s in seconds], 'ms')}: {rate:,.0f} images/s, "
            f"{used:.0%} of the {bandwidth / 1e12:.2f} TB/s that a copy reaches"
        )


def copy_bandwidth() -> float:
    """Bytes read and written per second by a copy of 1 GiB."""
    source = torch.empty(2**30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    milliseconds = statistics.median(on_device(lambda: target.copy_(source), 10))
    return 2 * 2**30 / milliseconds * 1e3


def on_device(run: Callable[[], object], rounds: int, repeats: int = 10) -> list[float]:
    """Milliseconds of a call by the device's own clock."""
    for _ in range(3):
        run()
    times = []
    for _ in range(rounds):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(repeats):
            run()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / repeats)
    return times


def tell(steps: Steps, rounds: int) -> dict[str, list[float]]:
    """Time steps in turns, so that noise meets all of them; microseconds."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            times[name] += microseconds(step, rounds=1, repeats=20)
    for name, values in times.items():
        print(f"{name:32} {spread(values, 'us')}")
    return times
