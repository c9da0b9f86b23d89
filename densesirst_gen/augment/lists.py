"""Lists with a row for each target: how they grow, and what their dtype can hold."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from densesirst_gen.augment.notices import tell_once

COLUMNS = {"bboxes": 4, "points": 2}
PER_IMAGE = frozenset(
    {
        "image_id",
        "image_size",
        "img_size",
        "img_shape",
        "input_size",
        "ori_shape",
        "orig_size",
        "original_size",
        "pad",
        "scale",
        "scale_factor",
        "size",
    }
)
"""Names under which frameworks keep one or two numbers of the image itself."""


def shown(value: Any) -> str:
    """What a value is, for messages."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return type(value).__name__


def as_array(name: str, rows: Any) -> np.ndarray:
    """A list as an array; ValueError, with its name, if its rows differ in length."""
    try:
        return np.asarray(rows)
    except ValueError as error:
        raise ValueError(f"{name} must have rows of one length ({error})") from None


def look_at_pixels(boxes: np.ndarray, shape: tuple[int, ...]) -> None:
    """Warn once of boxes that seem to be fractions of the image, and are taken for pixels.

    Parameters
    ----------
    boxes : ndarray, (N, 4)
    shape : tuple of int
        Of the image.
    """
    is_unit = boxes.size > 0 and boxes.min() >= 0 and boxes.max() <= 1 < min(shape)
    if is_unit and (boxes != np.rint(boxes)).any():
        tell_once(
            "bboxes",
            f"bboxes such as {boxes[0].tolist()} lie within 0 and 1, in an image of {shape[0]} x "
            f"{shape[1]}: they are taken for pixels, as new ones are; multiply fractions by width "
            "and height",
        )


def table(name: str, rows: Any) -> np.ndarray:
    """Boxes (N, 4) or points (N, 2) as an array; ValueError if they are none."""
    values, n_columns = as_array(name, rows), COLUMNS[name]
    if values.size == 0:
        return values.reshape(0, n_columns)
    if values.ndim != 2 or values.shape[1] != n_columns or values.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be numbers of shape (N, {n_columns}), got {shown(values)}")
    bad = ~np.isfinite(values).all(axis=1)
    if name == "bboxes":
        bad |= (values[:, 2:] < values[:, :2]).any(axis=1)
    if bad.any():
        k = int(np.argmax(bad))
        rule = "finite x0 <= x1 and y0 <= y1" if name == "bboxes" else "finite"
        raise ValueError(f"{name} must be {rule}, got {values[k].tolist()} in row {k}")
    return values


def check_rows(lists: Mapping[str, Any]) -> None:
    """Raise ValueError unless all lists of a sample have a row for each of the same targets."""
    rows = {name: n_rows(name, value) for name, value in lists.items() if value is not None}
    if len(set(rows.values())) > 1:
        *names, last = lists
        raise ValueError(f"{', '.join(names)} and {last} must have the same length, got {rows}")


def n_rows(name: str, value: Any) -> int:
    """The length of a list; ValueError, with its name, if it has none."""
    try:
        return len(value)
    except TypeError:
        raise ValueError(
            f"{name} must have a row for each target, got {shown(value)} {value!r}"
        ) from None


def append(name: str, rows: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Rows of a table with new ones after them, in the table's dtype.

    Raises
    ------
    ValueError
        If that dtype is no number or can't hold them.
    """
    if rows.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be numbers, got {shown(rows)}")
    with np.errstate(over="ignore", invalid="ignore"):
        cast = new.astype(rows.dtype)
    check_held(name, new, cast, rows.dtype)
    return np.concatenate([rows, cast])


def check_held(name: str, values: Any, cast: Any, dtype: Any) -> None:
    """Whether a dtype holds values: whole numbers as they are, others to within half of one.

    Parameters
    ----------
    name : str
        Of the list, for the message.
    values : ndarray
    cast : ndarray
        The same after they were in that dtype.
    dtype : object
        As the message calls it.

    Raises
    ------
    ValueError
        With the first value that it can't hold.
    """
    values = np.asarray(values)
    with np.errstate(invalid="ignore"):
        off = np.abs(np.asarray(cast, np.float64) - values)
        is_lost = ~(off < np.where(values == np.rint(values), np.finfo(float).tiny, 0.5))
    if np.asarray(cast).dtype.kind in "iub":
        is_lost |= off != 0
    if is_lost.any():
        raise ValueError(
            f"{name} of {dtype} can't hold {values[is_lost][0]}, which new targets have: give a "
            "wider dtype"
        )


def label_column(name: str, given: Any, label: Any, n: int) -> np.ndarray:
    """Class numbers with those of n new targets after them.

    Parameters
    ----------
    name : str
    given : array, (N,) or (N, 1)
    label : number
    n : int

    Raises
    ------
    ValueError
        If they are no such numbers, or `label` can't be one of them.
    """
    labels = as_array(name, given)
    if labels.ndim != 1 and labels.shape[1:] != (1,):
        raise ValueError(
            f"{name} must be (N,), a class number for each target, got {shown(labels)}"
        )
    if labels.dtype.kind in "iuf":
        check_label(name, labels, label)
    return append(name, labels, np.full((n, *labels.shape[1:]), label))


def check_label(name: str, given: Any, label: Any) -> None:
    """Whether new rows can have a label beside the given ones, which stay as they are.

    Parameters
    ----------
    name : str
        Of the list, for the message.
    given : sequence or ndarray
        The labels that are there. None at all: any label serves, unless the dtype says otherwise.
    label : object
        None: it was not said.

    Raises
    ------
    ValueError
        If it was not said, is of another kind (numbers, text), or their dtype can't hold it.
    """
    kinds = _kinds(given)
    found = " and ".join(sorted(kinds)) or "classes"
    if label is None:
        raise ValueError(
            f"{name} holds {found}, and no class is said for new targets, nor assumed to be 0: "
            "give label=... of the same kind"
        )
    if kinds - {_kind(label)}:
        raise ValueError(
            f"{name} holds {found}, and new targets would get {label!r}: give label=... of the "
            "same kind"
        )
    if isinstance(given, np.ndarray) and given.dtype.kind in "biufU" and not _holds(given, label):
        raise ValueError(
            f"{name} of {given.dtype} can't hold {label!r}, the label of new targets: give "
            "another label=..., or a wider dtype"
        )


def _holds(given: np.ndarray, label: Any) -> bool:
    """Whole numbers and text as they are, fractions rounded to the floats at hand."""
    with np.errstate(over="ignore", invalid="ignore"):
        cast = np.array([label]).astype(given.dtype)[0]
    is_whole = isinstance(label, Integral | str | np.bool_) or float(label).is_integer()
    if given.dtype.kind == "f" and not is_whole:
        return bool(np.isfinite(cast))
    return bool(cast == label)


def _kinds(given: Any) -> set[str]:
    """What a list of labels holds, as far as can be told."""
    if isinstance(given, np.ndarray) and given.dtype.kind in "biufU":
        return {"text" if given.dtype.kind == "U" else "numbers"}
    return set(map(_kind, given))


def _kind(label: Any) -> str:
    if isinstance(label, str):
        return "text"
    return "numbers" if isinstance(label, Real | np.bool_) else type(label).__name__
