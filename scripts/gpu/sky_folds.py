"""Part 5: the sky network on a GPU; samples are made by the CPU's cores, the rest by the device.

python scripts/gpu/sky_folds.py OUT --bundle DIR [--epochs 60] [--folds 0 1 2] [--workers 8] [--toy]

Trains without each fold of `train_sky.folds` by sequence, tells the mean IoU of the images held out
(at the network's own 256 x 320) and how many images a second it trained, and keeps the weights as
they would ship, in 8 bits. The images are those of the bundle, so stretched twice: figures for the
model card are made with ``scripts/evaluate_sky.py`` where the native data are.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import torch
from bundle import SKY_START, read_base
from evaluate_sky import overlap_of, resized
from sky_model import SkyNet, folded
from told import device, tell
from train_sky import CYCLES, STORED, Images, as_batch, folds, trained

from densesirst_gen.sky import network
from densesirst_gen.sky.graph import GRID
from densesirst_gen.sky.network import features

PART = "sky"


def main(argv: list[str] | None = None) -> None:
    """Train and score each fold."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--bundle", type=Path, default=Path("bundle"))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--folds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--toy", action="store_true", help="two images, one epoch, no process")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    images = images_of(args.bundle)
    for fold in args.folds[:1] if args.toy else args.folds:
        by_sequence = folds if not args.toy else lambda names, *_: np.arange(len(names)) % 3
        held = by_sequence(images.names, "sequence", args.bundle) == fold
        hold_out(images, held, fold, args)


def images_of(folder: Path) -> Images:
    """Those of a bundle, at the size that trainings keep."""
    base = read_base(folder)
    size = STORED[::-1]
    images = [cv2.resize(image, size, interpolation=cv2.INTER_LINEAR) for image in base.images]
    skies = [cv2.resize(s.astype(np.uint8) * 255, size) for s in base.sky]
    return Images(np.array(base.names), np.stack(images), np.stack(skies))


def hold_out(images: Images, held: np.ndarray, fold: int, args: argparse.Namespace) -> None:
    """Train without a fold; tell how well it does on that."""
    seen = images.part(~held)
    settings = SimpleNamespace(
        seed=fold,
        epochs=args.epochs,
        settle=max(1, args.epochs // 3),
        cycles=0 if args.toy else len(CYCLES),
        device=device(),
        workers=0 if args.toy else args.workers,
    )
    if args.toy:  # a batch is larger than a toy
        seen = Images(*(np.concatenate([v] * 8) for v in (seen.names, seen.image, seen.sky)))
    start = time.monotonic()
    model = trained(seen, settings, lambda: started(args.bundle))
    seconds = time.monotonic() - start
    stored = network.packed(folded(model))
    np.savez_compressed(args.out / f"sky-fold{fold}.npz", **stored)
    overlaps = [overlap(model.to(device()), *pair) for pair in pairs(images.part(held))]
    epochs = settings.epochs + settings.cycles * settings.settle
    tell(
        args.out,
        PART,
        "fold",
        fold=fold,
        epochs=epochs,
        trained_on=len(seen.names),
        held_out=len(overlaps),
        mean_iou=float(np.mean(overlaps)),
        images_per_s=len(seen.names) * epochs / seconds,
    )


def started(folder: Path) -> SkyNet:
    """The network before its training; from nothing where the bundle has no weights."""
    model = SkyNet()
    if (folder / SKY_START).is_file():
        with np.load(folder / SKY_START) as stored:
            state = {name: torch.from_numpy(stored[name]) for name in stored.files}
        model.load_state_dict(state)
    return model


def pairs(images: Images) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each image and its sky."""
    return list(zip(images.image, images.sky, strict=True))


@torch.inference_mode()
def overlap(model: SkyNet, image: np.ndarray, sky: np.ndarray) -> float:
    """IoU of what is found and what is there."""
    inputs = as_batch(features(image.astype(np.float32) / 255)[None]).to(device())
    found = model.eval()(inputs)[0, 0].cpu().numpy() > 0
    return float(overlap_of(found, resized(sky.astype(np.float32), GRID) > 127.5))


if __name__ == "__main__":
    main()
