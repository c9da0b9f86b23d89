"""How a region was filled: the room that was left in it, beside that of a simulated filling.

In a region a patch has 14 x 14 places. Where corners lie 13 px apart in both directions, the
region is known to the pixel, and so is the number of places that were still free at the end: a
patch and the pixel around it must not touch an earlier mask."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from release.image import Inverted
from release.model import HIGH, LOW, SIDE, THRESHOLD, Paste, gaussians, mask_of
from scipy import ndimage
from scipy.sparse.csgraph import connected_components

PLACES = 14
"""Places of a corner in a region, along each axis."""
ROOM = 10
"""So many free places are found by a hundred attempts in 99 of 100 cases."""
ASKED = (
    (9, 100),
    (9, 50),
    (9, 200),
    (10, 100),
    (12, 100),
    (8, 100),
    ((6, 12), 100),
    ((9, 12), 100),
)


def regions_of(images: list[Inverted]) -> dict:
    """Sizes of the groups of patches, and the room that was left in those that are known."""
    groups = [group for image in images for group in _groups(image.pastes)]
    extents = [np.ptp(_corners(group), axis=0) for group in groups]
    one_region = [max(extent) < PLACES for extent in extents]
    known = [g for g, extent in zip(groups, extents, strict=True) if (extent == PLACES - 1).all()]
    left = [(len(group), _room_left(group)) for group in known]
    return {
        "groups": len(groups),
        "wider_than_a_region": one_region.count(False),
        "largest_extent_in_a_region": int(
            max((max(e) for e, ok in zip(extents, one_region, strict=True) if ok), default=0)
        ),
        "per_image": np.bincount([len(_groups(image.pastes)) for image in images]).tolist(),
        "targets": np.bincount(
            [len(g) for g, ok in zip(groups, one_region, strict=True) if ok]
        ).tolist(),
        "known_regions": len(known),
        "room_left": room_table(left),
    }


def room_table(left: list[tuple[int, int]]) -> dict[str, dict]:
    """By the number of targets: regions, mean free places, shares with none and with much room."""
    by_number = defaultdict(list)
    for n, room in left:
        by_number[n].append(room)
    return {
        str(n): {
            "regions": len(rooms),
            "mean": round(float(np.mean(rooms)), 2),
            "none": round(float(np.mean(np.array(rooms) == 0)), 3),
            f"{ROOM}_or_more": round(float(np.mean(np.array(rooms) >= ROOM)), 3),
        }
        for n, rooms in sorted(by_number.items())
    }


def _groups(pastes: list[Paste]) -> list[list[Paste]]:
    """Patches whose corners are at most 10 px apart, by single linkage."""
    if not pastes:
        return []
    corners = _corners(pastes)
    near = abs(corners[:, None] - corners).max(2) <= 10
    n, label = _components(near)
    return [[pastes[k] for k in np.flatnonzero(label == g)] for g in range(n)]


def _components(near: np.ndarray) -> tuple[int, np.ndarray]:
    return connected_components(near, directed=False)


def _corners(pastes: list[Paste]) -> np.ndarray:
    return np.array([(paste.row, paste.col) for paste in pastes]).reshape(-1, 2)


def _room_left(group: list[Paste]) -> int:
    """Free places of a region whose first and last places are taken."""
    corners = _corners(group)
    field = np.zeros((PLACES + SIDE - 1,) * 2, bool)
    for paste, (row, col) in zip(group, corners - corners.min(0), strict=True):
        field[row : row + SIDE, col : col + SIDE] |= mask_of(paste)
    return int(free_places(field).sum())


def free_places(field: np.ndarray) -> np.ndarray:
    """Corners, bool (14, 14), of patches that keep 1 px from the masks in a field (18, 18)."""
    taken = ndimage.maximum_filter(field.astype(np.uint8), 3, mode="constant")
    touched = ndimage.maximum_filter(taken, SIDE, origin=-(SIDE // 2), mode="constant")
    return touched[:PLACES, :PLACES] == 0


def simulate(asked: int | tuple[int, int], attempts: int, regions: int, seed: int) -> dict:
    """Fill regions target by target: how many come in, and the room left where it can be seen."""
    rng = np.random.default_rng(seed)
    targets, left = [], []
    for _ in range(regions):
        corners, room = _filled(rng, asked, attempts)
        targets.append(len(corners))
        if (np.ptp(corners, axis=0) == PLACES - 1).all():
            left.append((len(corners), room))
    shares = np.bincount(targets) / regions
    return {"targets": shares.round(3).tolist(), "room_left": room_table(left)}


def _filled(
    rng: np.random.Generator, asked: int | tuple[int, int], attempts: int
) -> tuple[np.ndarray, int]:
    n = asked if isinstance(asked, int) else int(rng.integers(asked[0], asked[1] + 1))
    values = rng.uniform(LOW, HIGH, (n, 5))
    theta = np.radians(rng.integers(-90, 90, n))
    masks = (gaussians(values, theta) > THRESHOLD).reshape(n, SIDE, SIDE)
    field = np.zeros((PLACES + SIDE - 1,) * 2, bool)
    corners = []
    for mask in masks:
        free = np.argwhere(free_places(field))
        if rng.uniform() < 1 - (1 - len(free) / PLACES**2) ** attempts:
            row, col = free[rng.integers(len(free))]
            field[row : row + SIDE, col : col + SIDE] |= mask
            corners.append((row, col))
    return np.array(corners), int(free_places(field).sum())
