"""Sky masks to the tools that people annotate with, and back without loss."""

from __future__ import annotations

from densesirst_gen.sky.tools.coco import read_sky_coco, write_sky_coco
from densesirst_gen.sky.tools.cvat import read_sky_cvat, write_sky_cvat
from densesirst_gen.sky.tools.labelme import read_sky_labelme, write_sky_labelme
from densesirst_gen.sky.tools.masks import SkyMask

__all__ = [
    "SkyMask",
    "read_sky_coco",
    "read_sky_cvat",
    "read_sky_labelme",
    "write_sky_coco",
    "write_sky_cvat",
    "write_sky_labelme",
]
