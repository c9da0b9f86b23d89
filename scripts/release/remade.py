"""Make the released DenseSIRST from SIRST v2 and the recovered parameters of its patches.

python scripts/reproduce.py densesirst --out DIR [--data DIR] [--frames NPZ] [--parameters NPZ]
                                       [--sky DEVKIT] [--against DEVKIT]

Writes DIR/SIRSTdevkit: PNGImages, and below SIRST masks, boxes and points. The sky masks of the
release are drawn by hand and follow from nothing; they are not made. --against says how much of
what was made equals a released devkit, label by label.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from release.frames import read_frames
from release.model import Paste, paste_all
from release.parameters import read_parameters
from release.scenes import WHITE, decode, mixed, old_mask, readings

from densesirst_gen.datasets.grammar.voc import read_voc
from densesirst_gen.datasets.layouts.devkit import encode_image, image_path, target_files
from densesirst_gen.scene.annotate import annotate, label_mask
from densesirst_gen.scene.scene import Scene

PARAMETERS = Path(__file__).parents[1] / "data" / "densesirst_trainval.npz"


def main(arguments: list[str]) -> None:
    """Write the devkit, and compare it if asked to."""
    args = _arguments(arguments)
    sirstv2 = args.data if args.data.name == "sirstv2" else args.data / "sirstv2"
    frames = read_frames(sirstv2, args.sky or sirstv2.parent / "densesirst", args.frames)
    kit = args.out / "SIRSTdevkit"
    names = []
    for scene in remade(sirstv2, args.parameters, frames):
        _write(kit, scene)
        names.append(scene.name)
    print(f"{len(names)} images in {kit}")
    if args.against:
        print(agreement_text(agreement(kit, args.against, names)))


def _arguments(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="reproduce.py", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["densesirst"])
    default = os.environ.get("DENSESIRST_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder with sirstv2/")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--frames", type=Path, help="donors at 5x5: names, patches")
    parser.add_argument("--sky", type=Path, help="devkit with SkySeg/ (default: DATA/densesirst)")
    parser.add_argument("--parameters", type=Path, default=PARAMETERS)
    parser.add_argument("--against", type=Path, help="released SIRSTdevkit to compare with")
    return parser.parse_args(arguments)


def remade(sirstv2: Path, parameters: Path, frames: dict[str, np.ndarray]) -> Iterator[Scene]:
    """The released scenes, without sky, in the order of the parameters."""
    for name, (conversion, pastes) in read_parameters(parameters).items():
        _known(name, pastes, frames)
        before = readings(mixed(sirstv2) / f"{name}.png")[conversion]
        image, mask = paste_all(before, pastes, frames)
        labels = label_mask(mask | old_mask(sirstv2, name, mask.shape))
        yield Scene(name, np.ascontiguousarray(image), labels)


def _known(name: str, pastes: list[Paste], frames: dict[str, np.ndarray]) -> None:
    missing = sorted({paste.donor for paste in pastes} - frames.keys())
    if missing:
        raise SystemExit(f"{name}: no frame of donor {missing[0]}; give --frames")


def _write(kit: Path, scene: Scene) -> None:
    annotations = annotate(scene.labels)
    files = dict(target_files(scene, annotations, voc_dialect="densesirst"))
    points = f"SIRST/Point_label/{scene.name}_pixels0.txt"
    files[points] = "".join(f"{x} {y}\n" for x, y in points_of(scene.labels > 0)).encode()
    files[image_path(scene)] = encode_image(scene.image)
    for path, content in files.items():
        (kit / path).parent.mkdir(parents=True, exist_ok=True)
        (kit / path).write_bytes(content)


def points_of(mask: np.ndarray) -> list[tuple[int, int]]:
    """The points as released: of the outlines' polygons, cut to whole pixels, in OpenCV's order.

    The centroid of the polygon through the outer pixels, not that of the pixels; a line has no
    polygon, its point is the middle of its box.
    """
    outlines, _ = cv2.findContours(
        mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    )
    return [_polygon_point(outline) for outline in outlines]


def _polygon_point(outline: np.ndarray) -> tuple[int, int]:
    moments = cv2.moments(outline)
    if not moments["m00"]:
        x, y, width, height = cv2.boundingRect(outline)
        return x + width // 2, y + height // 2
    return int(moments["m10"] / moments["m00"]), int(moments["m01"] / moments["m00"])


def agreement(kit: Path, released: Path, names: list[str]) -> dict[str, tuple[int, int]]:
    """What is equal of how many: images, changed pixels, masks, boxes, points."""
    count = dict.fromkeys(("images", "masks", "boxes", "points"), (0, 0))
    pixels = np.zeros(2, int)
    for name in names:
        made, there = (_image(root / "PNGImages" / f"{name}.png") for root in (kit, released))
        _add(count, "images", [(made == there).all()])
        pixels += np.count_nonzero(made == there), made.size
        mask = f"SIRST/BinaryMask/{name}_pixels0.png"
        _add(count, "masks", [(_mask(kit / mask) == _mask(released / mask)).all()])
        for what, path, read in (
            ("boxes", f"SIRST/BBox/{name}.xml", _boxes),
            ("points", f"SIRST/Point_label/{name}_pixels0.txt", _points),
        ):
            mine, theirs = set(read(kit / path)), read(released / path)
            _add(count, what, [item in mine for item in theirs])
    return {**count, "pixels": (int(pixels[0]), int(pixels[1]))}


def _add(count: dict[str, tuple[int, int]], what: str, equal: list) -> None:
    same, n = count[what]
    count[what] = same + sum(map(bool, equal)), n + len(equal)


def _image(path: Path) -> np.ndarray:
    return next(iter(readings(path).values()))


def _mask(path: Path) -> np.ndarray:
    return decode(path, cv2.IMREAD_GRAYSCALE) > WHITE // 2


def _boxes(path: Path) -> list[tuple[float, ...]]:
    return [tuple(box) for box in read_voc(path).boxes.tolist()]


def _points(path: Path) -> list[tuple[int, ...]]:
    return [tuple(map(int, line.split())) for line in path.read_text().splitlines() if line]


def agreement_text(counts: dict[str, tuple[int, int]]) -> str:
    """One line a kind."""
    return "\n".join(
        f"{what:7} {same} of {n} equal ({same / max(1, n):.3%})"
        for what, (same, n) in counts.items()
    )
