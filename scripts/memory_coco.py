"""Memory and time of a COCO file of many images, written and read: synthetic rows, a target each.

python scripts/memory_coco.py [N ...]     (default 20000 40000: what is between them is per image)
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from densesirst_gen.datasets.coco import coco_image, coco_text
from densesirst_gen.datasets.coco_reader import read_coco
from densesirst_gen.files.codec import encode_png
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.scene import Scene


def main() -> None:
    """Each size in a process of its own, so that peaks are its own."""
    if sys.argv[1:2] == ["one"]:
        return one(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
    sizes = [int(text) for text in sys.argv[1:]] or [20_000, 40_000]
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            images(Path(folder), n)
            for what in ("write", "read"):
                subprocess.run([sys.executable, __file__, "one", what, str(n), folder], check=True)


def images(folder: Path, n: int) -> None:
    """One small image under many names."""
    (folder / "images").mkdir(exist_ok=True)
    first = folder / "first.png"
    first.write_bytes(encode_png(scene().image))
    for k in range(n):
        path = folder / f"images/{k // 1000:04d}/{k:08d}.png"
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            os.link(first, path) if k % 1000 else path.write_bytes(first.read_bytes())


def scene() -> Scene:
    """64 x 64 with a target."""
    labels = np.zeros((64, 64), np.int32)
    labels[30:33, 30:33] = 1
    return Scene("a", np.full((64, 64), 90, np.uint8), labels)


def one(what: str, n: int, folder: Path) -> None:
    """Write or read `n` images; a line of what it took."""
    before, start = peak(), time.perf_counter()
    path = folder / "annotations.json"
    if what == "write":
        with open(path, "wb") as file:
            file.writelines(coco_text(lambda: rows(n), {}))
    else:
        assert len(read_coco(path).scenes) == n
    spent, grown = time.perf_counter() - start, peak() - before
    size = path.stat().st_size / 2**20
    print(f"{what} {n:,}: {size:.0f} MiB of text, {spent:.1f} s, peak +{grown / 1024:.0f} MiB")


def peak() -> int:
    """KiB of this process at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def rows(n: int) -> Iterator[dict]:
    """The records of `n` images."""
    made = scene()
    annotations = annotate(made.labels)
    for k in range(n):
        image, targets = coco_image(made, annotations, 0, f"{k // 1000:04d}/{k:08d}.png")
        yield {"image": image, "annotations": targets}


if __name__ == "__main__":
    main()
