"""Can a network or boosted trees tell generated images from the released ones?

python scripts/told_apart.py GENERATED RELEASED --sirstv2 DIR [--by cnn trees] [--seeds 3]

cnn: crops of 64x64 pixels around the clusters of both, told by a small network.
trees: what was added to the image of SIRST v2 around each pasted target, 7x7 pixels, told by
boosted trees (needs scikit-learn).

Cross-validated by image: all that comes of one image of SIRST v2 is on one side of a fold. 0.5
can't tell. The interval is that of images drawn with replacement. `--probe` of
`densesirst-gen stats` is the third of the kind.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from release.scenes import mixed, old_mask, readings

from densesirst_gen.datasets import read_dataset
from densesirst_gen.scene.annotate import annotate
from densesirst_gen.scene.density import clusters
from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.compare.held_out import auc, folds, interval

CROP, PATCH = 64, 7
EPOCHS, BATCH = 12, 64


@dataclass(frozen=True)
class Side:
    """What is looked at of one dataset: arrays (n, side, side), and the image of each."""

    looks: np.ndarray
    names: list[str]


def main() -> None:
    """Tell two folders apart and print how well it went."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("generated", type=Path)
    parser.add_argument("released", type=Path)
    parser.add_argument("--sirstv2", type=Path, required=True, help="the images before pasting")
    parser.add_argument("--by", nargs="+", choices=("cnn", "trees"), default=["cnn", "trees"])
    parser.add_argument("--seeds", type=int, default=3, help="folds and starts to average over")
    parser.add_argument("--folds", type=int, default=4, help="parts, each held out in its turn")
    args = parser.parse_args()
    for by in args.by:
        sides = [gathered(folder, args.sirstv2, by) for folder in (args.generated, args.released)]
        found = told_apart(*sides, MODELS[by], args.seeds, args.folds)
        print(json.dumps({"by": by, **found}), flush=True)


def told_apart(
    a: Side, b: Side, model: Callable[..., np.ndarray], seeds: int, n_folds: int
) -> dict[str, object]:
    """The area under the ROC curve of scores of held-out images, mean of several folds."""
    looks = np.concatenate([a.looks, b.looks])
    is_b = np.arange(len(looks)) >= len(a.looks)
    _, image = np.unique([*a.names, *b.names], return_inverse=True)
    scores = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        fold = folds(image, n_folds, rng)
        score = np.zeros(len(looks))
        for k in range(n_folds):
            train, test = fold != k, fold == k
            score[test] = model(looks[train], is_b[train], looks[test], seed)
        scores.append(score)
    mean = np.mean(scores, axis=0)
    low, high = interval(mean, is_b, image, np.random.default_rng(0))
    each = [round(auc(score, is_b), 3) for score in scores]
    found = {"auc": auc(mean, is_b), "low": low, "high": high}
    rounded = {key: round(value, 3) for key, value in found.items()}
    return {**rounded, "each": each, "n": [len(a.looks), len(b.looks)]}


# ---- what is looked at


def gathered(folder: Path, sirstv2: Path, by: str) -> Side:
    """Of all images of a dataset that have some."""
    looks, names = [np.zeros((0, *([CROP if by == "cnn" else PATCH] * 2)), np.float32)], []
    for scene in (file.load() for file in read_dataset(folder).scenes):
        found = crops(scene) if by == "cnn" else increments(scene, sirstv2)
        looks.append(found)
        names += [scene.name] * len(found)
    return Side(np.concatenate(looks), names)


def crops(scene: Scene) -> np.ndarray:
    """(n, 64, 64) gray levels around the middle of each cluster of two targets or more."""
    points = annotate(scene.labels).points
    if len(points) < 2:
        return np.zeros((0, CROP, CROP), np.float32)
    group = clusters(points)
    dense = np.flatnonzero(np.bincount(group) > 1)
    middle = np.array([points[group == k].mean(axis=0) for k in dense]).reshape(-1, 2)
    return windows(scene.gray(), np.round(middle).astype(int), CROP)


def increments(scene: Scene, sirstv2: Path) -> np.ndarray:
    """(n, 7, 7) gray levels added around the middle of each pasted target's box."""
    before = min(
        (image for image in readings(mixed(sirstv2) / f"{scene.name}.png").values()
         if image.shape == scene.labels.shape),
        key=lambda image: np.count_nonzero(image != scene.gray()),
    )  # fmt: skip
    old = old_mask(sirstv2, scene.name, before.shape)
    notes = annotate(scene.labels)
    pasted = ~np.isin(np.arange(1, len(notes) + 1), scene.labels[old])
    boxes = notes.boxes[pasted]
    middle = ((boxes[:, :2] + boxes[:, 2:] - 1) // 2).astype(int)
    return windows(scene.gray() - before.astype(np.float32), middle, PATCH)


def windows(image: np.ndarray, middle: np.ndarray, side: int) -> np.ndarray:
    """(n, side, side) around points (x, y); mirrored past the edge."""
    padded = np.pad(image.astype(np.float32), side // 2, mode="reflect")
    x, y = middle.T
    return np.array(sliding_window_view(padded, (side, side))[y, x])


# ---- who tells


def by_trees(train: np.ndarray, is_b: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Log odds by boosted trees on the pixels, their order, sums and moments."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    trees = HistGradientBoostingClassifier(
        max_iter=200, learning_rate=0.05, l2_regularization=1.0, class_weight="balanced",
        random_state=seed,
    )  # fmt: skip
    trees.fit(described(train), is_b)
    return np.asarray(trees.decision_function(described(test)))


def described(patches: np.ndarray) -> np.ndarray:
    """(n, F): pixels, pixels in order of size, rows' and columns' sums, total."""
    flat = patches.reshape(len(patches), -1)
    return np.concatenate(
        [
            flat,
            np.sort(flat, axis=1)[:, ::-1],
            patches.sum(1),
            patches.sum(2),
            flat.sum(1)[:, None],
        ],
        axis=1,
    )


def by_cnn(train: np.ndarray, is_b: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Log odds by four convolutions, two of them before anything is made smaller."""
    import torch

    torch.manual_seed(seed)
    network = small_network()
    weight = torch.tensor((~is_b).sum() / is_b.sum(), dtype=torch.float32)
    loss = torch.nn.BCEWithLogitsLoss(pos_weight=weight)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    n_steps = EPOCHS * -(-len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=n_steps)
    inputs, wanted = channels(train), torch.from_numpy(is_b.astype(np.float32))
    for rows in batches(len(train), seed):
        optimizer.zero_grad()
        loss(network(inputs[rows])[:, 0], wanted[rows]).backward()
        optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        return np.concatenate([network(part)[:, 0].numpy() for part in channels(test).split(256)])


def batches(n: int, seed: int) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = rng.permutation(n)
        yield from (order[k : k + BATCH] for k in range(0, n, BATCH))


def channels(crops: np.ndarray):
    """(n, 3, 64, 64): gray levels; the rise above the crop's median, as it is and compressed."""
    import torch

    gray = torch.from_numpy(crops) / 255
    rise = gray - gray.flatten(1).median(dim=1).values[:, None, None]
    return torch.stack([gray, 3 * rise, (rise * 50).asinh() / 3], dim=1)


def small_network():
    from torch import nn

    def step(n_in: int, n_out: int) -> Iterable[nn.Module]:
        return nn.Conv2d(n_in, n_out, 3, padding=1), nn.BatchNorm2d(n_out), nn.ReLU()

    return nn.Sequential(
        *step(3, 16), *step(16, 32), nn.MaxPool2d(2), *step(32, 32), nn.MaxPool2d(2),
        *step(32, 48), nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(48, 1),
    )  # fmt: skip


MODELS = {"cnn": by_cnn, "trees": by_trees}

if __name__ == "__main__":
    main()
