"""Box dialects: which pixels the four numbers of a box in a VOC file mean.

No single dialect is read right by every tool, so files have to say which one they are in, or be
compared with their masks.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

# What a dialect adds to the minima and to the maxima of a half-open box, that is to the first pixel
# and to the one after the last.
DIALECTS = {
    "sirst": (1, 1),  # SIRST v2; exact in mmdet, which subtracts 1 from all four numbers
    "densesirst": (0, 0),  # half-open, as DenseSIRST was published
    "devkit": (1, 0),  # VOC itself: pixels counted from 1, both ends included
    "inclusive0": (0, -1),  # pixels counted from 0, both ends included
}

READERS = {
    "sirst": "exact in BAFE-Net and MMDetection, which take 1 from all four numbers, and as SIRST "
    "v2 has it; supervision reads boxes 1 px too wide and high, datumaro 1 px off",
    "densesirst": "half-open from 0, as DenseSIRST was published: exact in datumaro as it is; "
    "BAFE-Net and MMDetection read it 1 px off",
    "devkit": "VOC's own: exact in supervision, and in datumaro with "
    'coordinate_mode="voc-one-based"; BAFE-Net and MMDetection read boxes 1 px too narrow and low',
}
"""What programs read the boxes of each dialect right."""


def to_dialect(boxes: np.ndarray, dialect: str) -> np.ndarray:
    """Half-open boxes (N, 4) as the numbers that a dialect writes."""
    return boxes + _offsets(dialect).astype(boxes.dtype)


def from_dialect(boxes: np.ndarray, dialect: str) -> np.ndarray:
    """The numbers of a dialect, (N, 4), as half-open boxes."""
    return boxes - _offsets(dialect).astype(boxes.dtype)


def _offsets(dialect: str) -> np.ndarray:
    if dialect not in DIALECTS:
        raise ValueError(f"unknown box dialect {dialect!r}, known are {', '.join(DIALECTS)}")
    return np.repeat(DIALECTS[dialect], 2)


def dialect_votes(boxes: np.ndarray, mask_boxes: np.ndarray) -> Counter[str]:
    """How many boxes of a file fit a target exactly, in each dialect.

    Parameters
    ----------
    boxes : ndarray, (N, 4)
        As written in the file.
    mask_boxes : ndarray, (M, 4)
        Half-open boxes of the targets in the mask of the same image.
    """
    targets = set(map(tuple, mask_boxes.tolist()))
    votes = {d: map(tuple, from_dialect(boxes, d).tolist()) for d in DIALECTS}
    return Counter({d: n for d, v in votes.items() if (n := sum(box in targets for box in v))})


def infer_dialect(boxes: np.ndarray, mask_boxes: np.ndarray) -> str | None:
    """The dialect with most votes, None where no box fits any target; see `dialect_votes`."""
    votes = dialect_votes(boxes, mask_boxes).most_common(1)
    return votes[0][0] if votes else None
