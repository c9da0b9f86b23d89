"""What YOLO reads, written: a line for each target, lists of images, and ``data.yaml``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from densesirst_gen.datasets.grammar.outline import outline
from densesirst_gen.datasets.parts.split_words import part_of

File = tuple[str, bytes]
PARTS = ("train", "val", "test")


def box_lines(boxes: np.ndarray, shape: tuple[int, int]) -> list[str]:
    """``0 xc yc w h`` of each box, in as many digits as bring its pixels back.

    Parameters
    ----------
    boxes : ndarray, (N, 4)
        Half-open, xyxy, px.
    shape : (int, int)
        (H, W) of the image.
    """
    height, width = shape
    corners = np.asarray(boxes, np.float64).reshape(-1, 4) / (width, height, width, height)
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    rows = np.hstack([centres, corners[:, 2:] - corners[:, :2]])
    return [_line(row) for row in rows.tolist()]


def polygon_lines(labels: np.ndarray, boxes: np.ndarray) -> list[str]:
    """``0 x y x y ...`` of each target, its outline in pixel edges.

    Parameters
    ----------
    labels : ndarray, (H, W), int32
        0 background, k the k-th target.
    boxes : ndarray, (N, 4), int
        Half-open, of these targets.
    """
    height, width = labels.shape
    lines = []
    for number, (x0, y0, x1, y1) in enumerate(boxes.tolist(), 1):
        corners = outline(labels[y0:y1, x0:x1] == number) + np.array([x0, y0])
        lines.append(_line((corners / (width, height)).ravel().tolist()))
    return lines


def _line(values: Iterable[float]) -> str:
    return " ".join(["0", *(repr(value) for value in values)])


def label_path(image: str) -> str:
    """Where Ultralytics looks for the labels of an image: in ``labels/`` for ``images/``."""
    head, _, tail = f"/{image}".rpartition("/images/")
    return f"{head}/labels/{tail}".lstrip("/").rpartition(".")[0] + ".txt"


def lists_and_yaml(
    images: Mapping[str, str], splits: Mapping[str, Sequence[str]], category: str
) -> Iterator[File]:
    """The lists of images and ``data.yaml``, which has no path: that is the folder it lies in.

    Parameters
    ----------
    images : mapping of str to str
        Scene -> path of its image.
    splits : mapping of str to sequence of str
        Those of train, val and test become lists of YOLO; all keep a list of their own.
    category : str
        Name of the one class.
    """
    for split, members in splits.items():
        lines = "".join(f"./{images[name]}\n" for name in members)
        yield f"{split}.txt", lines.encode()
    said = {part: f"{_last(splits, part)}.txt" for part in PARTS if _last(splits, part)}
    remarks = []
    if "train" not in said:
        said["train"] = "images"
        remarks.append("# no list of training images came with the source: all are train")
    if "val" not in said:
        said["val"] = said.get("test", said["train"])
        which = "test" if "test" in said else "train"
        remarks.append(f"# no list of val came with the source: {which} stands in for it")
    parts = "".join(f"{part}: {json.dumps(said[part])}\n" for part in PARTS if part in said)
    head = "".join(f"{remark}\n" for remark in remarks)
    yield "data.yaml", f"{head}{parts}names:\n  0: {json.dumps(category)}\n".encode()


def _last(splits: Mapping[str, Sequence[str]], part: str) -> str:
    """The last split of a part: ``train_v2`` goes before ``train``."""
    found = sorted(split for split, members in splits.items() if members and part_of(split) == part)
    return found[-1] if found else ""
