"""Train the network that finds the sky, and say how well it does on images it has not seen.

python scripts/train_sky.py hold-out --by image|sequence|sensor [--fold 0] --seed S --out fold.npz
python scripts/train_sky.py member --seed S --out member.npz
python scripts/train_sky.py ship --members MEMBER.npz ... --folds FOLD.npz ...

hold-out  trains without one part of the images and stores what the network says of them
member    trains on all images
ship      fits the doubt to the stored answers and writes the package's weights, 8 bits each

`scripts/evaluate_sky.py FOLD.npz ...` turns stored answers into the figures of the model card.
A training takes some twenty minutes on one core; none needs a GPU.
"""

from __future__ import annotations

import argparse
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from evaluate_sky import answers_of, overlap_of
from safetensors.numpy import save_file
from scipy.optimize import least_squares, minimize_scalar
from scipy.special import expit, logit
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from densesirst_gen import skynet
from densesirst_gen.formats import read_dataset, read_split
from densesirst_gen.sky import expected_overlap, unit_gray
from densesirst_gen.skynet import BLOCK, CHANNELS, FINE, GRID, features, resized

WIDTHS = 48, 64, 96, 128
BATCH = 16
RATE = 4e-3
DECAY = 0.05
EMA = 0.997
OTHER_SKY = 0.35
"""How often an image's sky is replaced: sky and ground of any kind may meet."""
STORED = 2 * FINE[0], 2 * FINE[1]
"""Images are kept at 512x640, so that a crop has detail of its own."""


def main() -> None:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["hold-out", "member", "ship"])
    default = os.environ.get("DENSESIRST_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--by", choices=["image", "sequence", "sensor"], default="image")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fold.npz"))
    parser.add_argument("--folds", type=Path, nargs="+", default=[])
    parser.add_argument("--members", type=Path, nargs="+", default=[])
    parser.add_argument("--epochs", type=int, default=90)
    parser.add_argument("--versions", type=int, default=20, help="distorted copies of each image")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    images = load_images(args.data)
    {"hold-out": hold_out, "member": member, "ship": ship}[args.what](images, args)


def hold_out(images: Images, args: argparse.Namespace) -> None:
    """Train on all folds but one; store the log-odds of that one."""
    held = folds(images.names, args.by, args.data) == args.fold
    model = trained(images.part(~held), args)
    tests = images.part(held)
    answers = np.stack([answer(model, image) for image in tests.image])
    np.savez_compressed(
        args.out, names=tests.names, log_odds=answers.astype(np.float16), by=args.by, fold=args.fold
    )
    print(f"{args.out}: {held.sum()} images held out by {args.by}, {(~held).sum()} trained on")


def member(images: Images, args: argparse.Namespace) -> None:
    """Train on everything; store the weights."""
    np.savez(args.out, **folded(trained(images, args)))


def ship(images: Images, args: argparse.Namespace) -> None:
    """Write the weights of the package: the members, and their calibration."""
    path = Path(skynet.__file__).parent / "weights" / "sky.safetensors"
    stored = {}
    for k, file in enumerate(args.members):
        for name, value in np.load(file).items():
            stored |= skynet.packed(f"{k}.{name}", value)
    doubt = calibration(args.folds, images)
    path.parent.mkdir(exist_ok=True)
    save_file(stored, path, {name: f"{value:.4f}" for name, value in doubt.items()})
    print(f"{path}: {path.stat().st_size / 1e6:.2f} MB, {doubt}")


# ---------------------------------------------------------------------------------------- images


@dataclass(frozen=True)
class Images:
    """Images with their sky masks, brought to one size.

    Parameters
    ----------
    names : ndarray, (N,), str
    image, sky : ndarray, (N, 512, 640), uint8
        Gray levels; share of the pixel that is sky, 0 to 255.
    """

    names: np.ndarray
    image: np.ndarray
    sky: np.ndarray

    def part(self, chosen: np.ndarray) -> Images:
        """Those where `chosen` is True."""
        return Images(self.names[chosen], self.image[chosen], self.sky[chosen])


def load_images(data: Path) -> Images:
    """SIRST v2 with the sky masks of DenseSIRST."""
    masks = data / "densesirst" / "SkySeg" / "BinaryMask"
    names, images, skies = [], [], []
    for file in tqdm(read_dataset(data / "sirstv2", sky_dir=masks).scenes, "reading", leave=False):
        scene = file.load()
        assert scene.sky is not None
        names.append(scene.name)
        images.append(in_bytes(unit_gray(scene)))
        skies.append(in_bytes(scene.sky.astype(np.float32)))
    return Images(np.array(names), np.stack(images), np.stack(skies))


def in_bytes(values: np.ndarray) -> np.ndarray:
    """Values 0 to 1 at 512x640, as 0 to 255."""
    return np.round(resized(values, STORED) * 255).astype(np.uint8)


def folds(names: np.ndarray, by: str, data: Path) -> np.ndarray:
    """Which fold each image belongs to.

    ``image``: the released validation split is fold 0, all else 1. ``sequence``: three folds that
    share no recording (name without its number; the two large unnamed series, ``Misc`` and
    ``iraytek``, in runs of neighbouring numbers). ``sensor``: ``Misc``, ``iraytek`` and the rest.
    """
    if by == "image":
        split = data / "densesirst" / "Splits" / "val_v2.txt"
        validation = set(read_split(split, list(names)))
        return np.array([name not in validation for name in names], int)
    if by == "sensor":
        return np.array([0 if n.startswith("Misc") else 1 + (n[:4] != "iray") for n in names])
    return np.array([zlib.crc32(recording(name).encode()) % 3 for name in names])


def recording(name: str) -> str:
    """What images of one recording have in common in their names."""
    series, number = re.fullmatch(r"(.*?)(\d+)", name).groups()  # type: ignore[union-attr]
    run = {"Misc_": 10, "iraytek-": 30}.get(series)
    return f"{series}{int(number) // run}" if run else series


# ----------------------------------------------------------------------------------- distortion


def under_other_sky(
    image: np.ndarray, sky: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The image with its sky replaced by that of an image that is all sky."""
    other = other[:: rng.choice([-1, 1]), :: rng.choice([-1, 1])] * rng.uniform(0.4, 1.2)
    share = sky / np.float32(255)
    return np.clip(image * (1 - share) + other * share, 0, 255).astype(np.uint8)


def distorted(image: np.ndarray, sky: np.ndarray, rng: np.random.Generator) -> tuple:
    """A random crop of an image, turned a little, its gray levels changed; 256x320."""
    frame, sides = _crop(rng)
    if sides.min() > 0.75:  # nearly the whole image: average first, else fine detail aliases
        image, sky = resized(image, FINE), resized(sky, FINE)
    matrix = _matrix(frame, image.shape)
    options = {
        "flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        "borderMode": cv2.BORDER_REFLECT_101,
    }
    gray = cv2.warpAffine(image, matrix, FINE[::-1], **options).astype(np.float32) / 255
    return _regraded(gray, rng), cv2.warpAffine(sky, matrix, FINE[::-1], **options)


def _crop(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Map from the unit square to the part of the image that is kept, and that part's sides."""
    side = rng.uniform(0.35, 1) if rng.random() < 0.6 else 1.0
    stretch = np.exp(rng.uniform(-0.2, 0.2))
    sides = np.minimum(1, [side * stretch, side / stretch])
    centre = rng.uniform(sides / 2, 1 - sides / 2)
    turn = np.deg2rad(rng.uniform(-8, 8)) if rng.random() < 0.4 else 0.0
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = np.diag(sides) @ rotation
    return np.column_stack([linear, centre - linear @ [0.5, 0.5]]), sides


def _matrix(frame: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The map from pixels of the crop to pixels of the image."""
    size = np.array(shape[1::-1], float)
    linear = np.diag(size) @ frame[:, :2] @ np.diag(1 / np.array(FINE[::-1], float))
    return np.column_stack([linear, size * frame[:, 2]]).astype(np.float32)


def _regraded(gray: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Polarity, gamma, gain, offset, blur and noise, each now and then."""
    if rng.random() < 0.15:
        gray = 1 - gray
    if rng.random() < 0.6:
        gray = gray ** np.float32(np.exp(rng.uniform(-0.6, 0.6)))
    if rng.random() < 0.6:
        gray = gray * np.float32(rng.uniform(0.6, 1.3)) + np.float32(rng.uniform(-0.15, 0.15))
    if rng.random() < 0.3:
        gray = cv2.GaussianBlur(gray, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < 0.4:
        noise = rng.standard_normal(gray.shape, dtype=np.float32)
        gray = gray + noise * np.float32(rng.uniform(0, 0.04))
    return np.clip(gray, 0, 1)


class Pool:
    """Every image in several distorted versions, made once: distortion costs more than training.

    Parameters
    ----------
    images : Images
    versions : int
        Distorted versions of each image, beside the undistorted one.
    seed : int
    """

    def __init__(self, images: Images, versions: int, seed: int) -> None:
        shape = len(images.names), versions + 1
        self.inputs = np.empty((*shape, *GRID, CHANNELS), np.float16)
        self.sky = np.empty((*shape, *GRID), np.uint8)
        skies = np.flatnonzero(images.sky.mean((1, 2)) > 254)
        for i in tqdm(range(shape[0]), "distorting", leave=False):
            self._fill(i, images, skies, np.random.default_rng([seed, i]))

    def _fill(self, i: int, images: Images, skies: np.ndarray, rng: np.random.Generator) -> None:
        self.inputs[i, 0] = features(images.image[i].astype(np.float32) / 255)
        self.sky[i, 0] = resized(images.sky[i], GRID)
        for version in range(1, self.inputs.shape[1]):
            image, sky = images.image[i], images.sky[i]
            if rng.random() < OTHER_SKY:
                image = under_other_sky(image, sky, images.image[rng.choice(skies)], rng)
            gray, mask = distorted(image, sky, rng)
            self.inputs[i, version] = features(gray)
            self.sky[i, version] = resized(mask, GRID)

    def batches(self, epochs: int, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (B, C, H, W) and sky (B, 1, H, W), half of them mirrored."""
        count, versions = self.inputs.shape[:2]
        order = np.concatenate([rng.permutation(count) for _ in range(epochs)])
        for chosen in order[: len(order) // BATCH * BATCH].reshape(-1, BATCH):
            version = rng.integers(versions, size=BATCH)
            inputs, sky = self.inputs[chosen, version], self.sky[chosen, version]
            mirrored = rng.random(BATCH) < 0.5
            inputs[mirrored], sky[mirrored] = inputs[mirrored, :, ::-1], sky[mirrored, :, ::-1]
            yield as_batch(inputs), torch.from_numpy(sky)[:, None].float() / 255


def as_batch(inputs: np.ndarray) -> Tensor:
    """(B, H, W, C) of numpy as (B, C, H, W), channels last."""
    return torch.from_numpy(inputs).float().permute(0, 3, 1, 2)


# --------------------------------------------------------------------------------------- network


def convolution(inside: int, outside: int, stride: int = 1, *, relu: bool = True) -> nn.Sequential:
    """3x3 convolution, batch normalisation and, unless told otherwise, ReLU."""
    layers: list[nn.Module] = [
        nn.Conv2d(inside, outside, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outside),
    ]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if relu else []))


class Down(nn.Module):
    """Halve the size (but for the first level), then one residual block."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.enter = convolution(inside, outside, stride)
        self.first = convolution(outside, outside)
        self.second = convolution(outside, outside, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inside, H, W) to (B, outside, H / stride, W / stride)."""
        x = self.enter(x)
        return functional.relu(x + self.second(self.first(x)))


class Up(nn.Module):
    """Double the size, join the encoder's features of that size, two convolutions."""

    def __init__(self, inside: int, skip: int) -> None:
        super().__init__()
        self.first = convolution(inside + skip, skip)
        self.second = convolution(skip, skip)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, inside, H, W) and (B, skip, 2 H, 2 W) to (B, skip, 2 H, 2 W)."""
        x = functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return self.second(self.first(torch.cat([x, skip], 1)))


class SkyNet(nn.Module):
    """The network of `densesirst_gen.skynet`, as it is trained."""

    def __init__(self) -> None:
        super().__init__()
        inside = (CHANNELS * BLOCK**2, *WIDTHS[:-1])
        sizes = zip(inside, WIDTHS, strict=True)
        self.down = nn.ModuleList(Down(a, b, 1 + (i > 0)) for i, (a, b) in enumerate(sizes))
        deepest = WIDTHS[-1]
        self.context = nn.Sequential(
            nn.Linear(deepest, deepest), nn.ReLU(), nn.Linear(deepest, deepest)
        )
        self.drop = nn.Dropout2d(0.1)
        self.up = nn.ModuleList(Up(b, a) for a, b in pairwise(WIDTHS))
        self.answer = nn.Conv2d(WIDTHS[0], BLOCK**2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 6, 128, 160) to log-odds (B, 1, 128, 160)."""
        x, skips = functional.pixel_unshuffle(x, BLOCK), []
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = self.drop(x + self.context(x.mean((2, 3)))[..., None, None])
        for up, skip in zip(reversed(self.up), reversed(skips[:-1]), strict=True):
            x = up(x, skip)
        return functional.pixel_shuffle(self.answer(x), BLOCK)


# -------------------------------------------------------------------------------------- training


def trained(images: Images, args: argparse.Namespace) -> SkyNet:
    """Train on distorted versions; the running mean of the weights is returned."""
    torch.manual_seed(args.seed)
    pool = Pool(images, args.versions, args.seed)
    model, mean = SkyNet(), SkyNet().requires_grad_(False)
    mean.load_state_dict(model.state_dict())
    optimiser = torch.optim.AdamW(_groups(model), RATE)
    steps = len(images.names) * args.epochs // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps + 1, pct_start=0.03)
    batches = pool.batches(args.epochs, np.random.default_rng(args.seed))
    for step, (inputs, sky) in enumerate(tqdm(batches, "training", steps, leave=False)):
        _step(model, optimiser, schedule, inputs, sky)
        _follow(mean, model, min(EMA, (step + 1) / (step + 20)))
    return mean.eval()


def _step(
    model: SkyNet,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    inputs: Tensor,
    sky: Tensor,
) -> None:
    optimiser.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        answers = model(inputs)
    loss(answers.float(), sky).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    schedule.step()


def loss(answers: Tensor, sky: Tensor) -> Tensor:
    """Cross-entropy, three times as heavy along boundaries, and one minus the soft IoU."""
    entropy = functional.binary_cross_entropy_with_logits(answers, sky, reduction="none")
    edge = functional.max_pool2d(sky, 5, 1, 2) + functional.max_pool2d(-sky, 5, 1, 2)
    weight = 1 + 2 * edge
    found = answers.sigmoid()
    both, either = (found * sky).sum((1, 2, 3)), (found + sky - found * sky).sum((1, 2, 3))
    overlap = (both + 100) / (either + 100)  # an image without sky may find a few pixels
    return (entropy * weight).sum() / weight.sum() + 1 - overlap.mean()


def _groups(model: nn.Module) -> list[dict]:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": DECAY},
        {"params": others, "weight_decay": 0.0},
    ]


@torch.no_grad()
def _follow(mean: nn.Module, model: nn.Module, keep: float) -> None:
    for old, new in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
        if old.is_floating_point():
            old.lerp_(new, 1 - keep)
        else:
            old.copy_(new)


@torch.no_grad()
def answer(model: SkyNet, image: np.ndarray) -> np.ndarray:
    """Log-odds of one image, (128, 160), the mean of its own and of its mirror image's."""
    inputs = as_batch(features(image.astype(np.float32) / 255)[None])
    both = model(torch.cat([inputs, inputs.flip(3)]))[:, 0]
    return ((both[0] + both[1].flip(1)) / 2).numpy()


def folded(model: SkyNet) -> dict[str, np.ndarray]:
    """The weights as `densesirst_gen.skynet.log_odds` wants them."""
    weights = {}
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Sequential) and isinstance(layer[0], nn.Conv2d):
            scale = layer[1].weight / (layer[1].running_var + layer[1].eps).sqrt()
            taps = layer[0].weight * scale[:, None, None, None]
            bias = layer[1].bias - layer[1].running_mean * scale
            weights |= _named(name, taps.permute(2, 3, 1, 0).flatten(0, 2), bias)
        elif isinstance(layer, nn.Linear):
            weights |= _named(name, layer.weight.T, layer.bias)
    head = model.answer
    return weights | _named("answer", head.weight[:, :, 0, 0].T, head.bias)


def _named(name: str, weight: Tensor, bias: Tensor) -> dict[str, np.ndarray]:
    values = {"weight": weight, "bias": bias}
    return {f"{name}.{k}": np.ascontiguousarray(v.detach().numpy()) for k, v in values.items()}


# ----------------------------------------------------------------------------------- calibration


def calibration(folds: list[Path], images: Images) -> dict[str, float]:
    """Make stated chances true on images that were held out.

    Returns
    -------
    dict
        ``temperature`` of the log-odds: of least cross-entropy, every image weighing the same.
        ``slope`` and ``offset``: from the log-odds of the expected overlap to those of the true
        one, by least squares of the overlap.
    """
    if not folds:
        return {"temperature": 1.0, "slope": 1.0, "offset": 0.0}
    where = {name: i for i, name in enumerate(images.names)}
    found = answers_of(folds)
    answers = np.stack(list(found.values()))
    truth = np.stack([resized(images.sky[where[n]], GRID) for n in found]) / np.float32(255)

    def entropy(temperature: float) -> float:
        odds = answers / temperature
        return float(np.mean(np.logaddexp(0, odds) - truth * odds))

    temperature = float(minimize_scalar(entropy, bounds=(0.5, 5), method="bounded").x)
    expected = np.array([expected_overlap(expit(a / temperature)) for a in answers])
    overlap = np.array([overlap_of(a > 0, t > 0.5) for a, t in zip(answers, truth, strict=True)])
    odds = logit(np.clip(expected, 1e-4, 1 - 1e-4))
    fit = least_squares(lambda p: expit(p[0] * odds + p[1]) - overlap, [1.0, 0.0])
    return {"temperature": temperature, "slope": float(fit.x[0]), "offset": float(fit.x[1])}


if __name__ == "__main__":
    main()
