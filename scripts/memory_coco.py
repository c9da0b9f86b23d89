"""Memory and time of a COCO file of many images, written by our writer and read by our reader.

python scripts/memory_coco.py [N ...] [--out DIR]     (default 20000 40000)

Synthetic rows: three targets an image, two as run lengths and one as polygon; the images are one
small picture under many names. Each step is a process of its own, so that peaks are its own. Told
for each: the time, and of the bytes that the process grew by an image's share, at most, and after
reading what the scenes keep.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from densesirst_gen.datasets import read_dataset
from densesirst_gen.datasets.coco.reader import read_coco
from densesirst_gen.datasets.coco.written import coco_image, coco_text
from densesirst_gen.files.images.codec import encode_png
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene

FOLDER = 1000
"""Images of one."""
PAGE = os.sysconf("SC_PAGE_SIZE")
STEPS = ("write", "read_coco", "read_dataset")


def main() -> None:
    """Each size and each step."""
    if sys.argv[1:2] == ["one"]:
        return one(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sizes", nargs="*", type=int, default=[20_000, 40_000], metavar="N")
    parser.add_argument("--out", type=Path, help="folder to work in  [a temporary one]")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        for n in options.sizes:
            images(Path(folder), n)
            for step in STEPS:
                subprocess.run([sys.executable, __file__, "one", step, str(n), folder], check=True)


def images(folder: Path, n: int) -> None:
    """One small image under many names."""
    first = encode_png(scene().image)
    for k in range(n):
        path = folder / "images" / file_name(k)
        if path.exists():
            continue
        path.parent.mkdir(exist_ok=True, parents=True)
        if k % FOLDER:
            os.link(path.parent / Path(file_name(k - k % FOLDER)).name, path)
        else:
            path.write_bytes(first)


def file_name(k: int) -> str:
    return f"{k // FOLDER:04d}/{k:08d}.png"


def scene() -> Scene:
    """64 x 64 with three targets."""
    labels = np.zeros((64, 64), np.int32)
    for number, (row, col) in enumerate(((10, 12), (20, 40), (33, 31)), 1):
        labels[row : row + 3, col : col + 2] = number
        labels[row + 1, col + 2] = number
    return Scene("a", np.full((64, 64), 90, np.uint8), labels)


def rows(n: int) -> Iterator[dict]:
    """The records of `n` images."""
    made = scene()
    image, targets = coco_image(made, annotate(made.labels), 0, "a.png")
    x, y, *_ = targets[2]["bbox"]
    corners = ((0, 0), (2, 0), (2, 1), (3, 1), (3, 2), (2, 2), (2, 3), (0, 3))
    targets[2]["segmentation"] = [[v for dx, dy in corners for v in (x + dx, y + dy)]]
    for k in range(n):
        yield {"image": {**image, "file_name": file_name(k)}, "annotations": targets}


def one(step: str, n: int, folder: Path) -> None:
    """A line of what a step with `n` images takes."""
    path, kept = folder / "annotations.json", None
    before, held, start = peak(), resident(), time.perf_counter()
    if step == "write":
        with open(path, "wb") as file:
            file.writelines(coco_text(lambda: rows(n), {}))
    else:
        kept = read_coco(path) if step == "read_coco" else read_dataset(path)
        assert len(kept.scenes) == n
    spent, grown = time.perf_counter() - start, peak() - before
    gc.collect()
    size = path.stat().st_size
    print(
        f"{step} {n:,}: {size / 1e6:.0f} MB of text, {spent:.1f} s ({1e6 * spent / n:.0f} us an "
        f"image); at most {grown / n:.0f} bytes an image ({grown / 2**20:.0f} MiB)"
        + (f", kept {(resident() - held) / n:.0f}" if kept else ""),
        flush=True,
    )
    if kept:
        assert kept.scenes[n // 2].load().n_targets == 3


def peak() -> int:
    """Bytes of this process at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def resident() -> int:
    """Bytes of this process now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


if __name__ == "__main__":
    main()
