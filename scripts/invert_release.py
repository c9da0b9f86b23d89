"""Recover how every target of the released DenseSIRST was pasted.

python scripts/invert_release.py SIRSTV2 DEVKIT --split FILE --json FILE [--frames NPZ] [--jobs N]

SIRSTV2 holds `mixed/` and `annotations/masks/`, DEVKIT is the released folder `SIRSTdevkit`. For
each pasted patch: donor, lambda, sigma_x, sigma_y, mu_x, mu_y, theta and corner, so that
floor(lambda T G), cut at 255, gives all its pixels. Donors are the images Misc_* of SIRST v2,
cropped by the sky masks of DEVKIT, at 5x5. For images not at hand: whole images of --frames (or
of densesirst/misc_frames_5x5.npz beside SIRSTV2) and scripts/data/unnamed_frames.npz. --start
takes parameters found before: what they explain is not searched again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from release.fit import Bank
from release.frames import read_frames
from release.image import QUICK, THOROUGH, Inverted, invert_image
from release.parameters import Parameters, read_parameters, write_parameters
from release.report import report_text, summary_of
from release.scenes import read_pair

_ready: dict = {}


def main() -> None:
    """Invert a split, write the JSON, print the report."""
    args = _arguments()
    names = [line.strip() for line in args.split.read_text().splitlines() if line.strip()]
    frames = read_frames(args.sirstv2, args.devkit, args.frames)
    began = time.monotonic()
    start = read_parameters(args.start) if args.start else {}
    images = list(invert(args.sirstv2, args.devkit, names, frames, args.jobs, start=start))
    document = document_of(images)
    args.json.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n")
    if args.parameters:
        write_parameters(args.parameters, images)
    print(report_text(document))
    print(f"{(time.monotonic() - began) / max(1, document['patches']):.3f} s a patch")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("sirstv2", type=Path, help="folder of SIRST v2")
    parser.add_argument("devkit", type=Path, help="folder SIRSTdevkit of the release")
    parser.add_argument("--split", type=Path, required=True, help="names of images, one a line")
    parser.add_argument("--json", type=Path, required=True, help="file to write")
    parser.add_argument("--frames", type=Path, help="frames at 5x5: names, patches")
    parser.add_argument("--parameters", type=Path, help="also write them for `reproduce.py`")
    parser.add_argument("--start", type=Path, help="parameters found before")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    args = parser.parse_args()
    if not args.split.is_file():
        sys.exit(f"{args.split}: no such file")
    return args


def invert(
    sirstv2: Path,
    devkit: Path,
    names: list[str],
    frames: dict[str, np.ndarray],
    jobs: int,
    draws: int = 600_000,
    start: Parameters | None = None,
) -> Iterator[Inverted]:
    """The images of a split, in its order."""
    work = partial(_invert_one, sirstv2, devkit)
    if jobs == 1:
        _prepare(frames, draws, start)
        yield from map(work, names)
        return
    with multiprocessing.get_context("spawn").Pool(jobs, _prepare, (frames, draws, start)) as pool:
        yield from pool.imap(work, names)


def _prepare(frames: dict[str, np.ndarray], draws: int, start: Parameters | None) -> None:
    _ready.update(bank=Bank(draws), frames=frames, start=start or {})


def _invert_one(sirstv2: Path, devkit: Path, name: str) -> Inverted:
    pair = read_pair(sirstv2, devkit, name)
    _, known = _ready["start"].get(name, ("", []))
    efforts = (QUICK, THOROUGH, QUICK)
    return invert_image(pair, _ready["frames"], _ready["bank"], efforts, known)


def document_of(images: list[Inverted]) -> dict:
    """The JSON document."""
    rows = [row for image in images for row in image.rows]
    lost = sum(image.lost for image in images)
    n = len(rows) + lost
    covered = sum(image.n_pixels for image in images)
    return {
        "patches": n,
        "exact_share": sum(row["exact"] for row in rows) / max(1, n),
        "exact_pixel_share": sum(image.n_equal for image in images) / max(1, covered),
        "images": len(images),
        "equal_images": sum(image.equal for image in images),
        "equal_masks": sum(image.equal_mask for image in images),
        "patches_without_corner": lost,
        "stray_pixels": sum(image.stray for image in images),
        "summary": summary_of(images),
        "rows": rows,
    }


if __name__ == "__main__":
    main()
