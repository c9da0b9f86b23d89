"""A COCO file is written in pieces: what is in memory of an image is its id."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

from densesirst_gen.datasets.coco.written import coco_text

CODE = {"size": [64, 64], "counts": "nn61_70N21O1ObkR2"}
TARGET = {"image_id": 0, "category_id": 1, "bbox": [1.0, 2.0, 3.0, 4.0], "area": 9, "iscrowd": 0}


def peak(n: int) -> int:
    def entries() -> Iterator[dict]:
        for k in range(n):
            image = {"id": 0, "file_name": f"{k:08d}.png", "width": 64, "height": 64}
            yield {"image": image, "annotations": [{**TARGET, "segmentation": CODE}]}

    tracemalloc.start()
    try:
        assert sum(map(len, coco_text(entries, {}))) > 200 * n
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_writing_more_images_takes_little_more_memory() -> None:
    few, many = (min(peak(n) for _ in range(2)) for n in (500, 1_500))
    assert many - few < 1_000 * 250  # the least: at times Python's table of names grows
