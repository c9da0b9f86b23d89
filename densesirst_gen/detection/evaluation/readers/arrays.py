"""Arrays of NumPy and MATLAB."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.detection.evaluation.errors import PredictionError
from densesirst_gen.detection.evaluation.readers import mat5

DEPTHS = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}
SUFFIXES = (".npy", ".mat")


def read_array(path: Path) -> np.ndarray:
    """The array of a ``.npy`` or ``.mat`` file.

    Returns
    -------
    ndarray
        Float, bool, uint8 or uint16, of any shape.

    Raises
    ------
    PredictionError
        If it can't be read, has another type, or a ``.mat`` has not exactly one matrix.
    """
    values = _read_mat(path) if path.suffix.lower() == ".mat" else _read_npy(path)
    if values.dtype not in (*DEPTHS, np.bool_) and not np.issubdtype(values.dtype, np.floating):
        raise PredictionError(f"{path}: must be float, bool, uint8 or uint16, got {values.dtype}")
    return values


def _read_npy(path: Path) -> np.ndarray:
    """Mapped first: a header that promises more than the file holds asks for no memory."""
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # on hostile bytes it raises anything
        raise PredictionError(f"{path}: not a readable .npy file ({error})") from error
    if not isinstance(values, np.ndarray):
        raise PredictionError(f"{path}: a .npz file, not a .npy file")
    return np.array(values)


def _read_mat(path: Path) -> np.ndarray:
    """In MATLAB's own types: whole doubles are stored as bytes, and would mean n / 255."""
    from scipy.io import loadmat

    if path.stat().st_size > mat5.MAX_BYTES:
        raise PredictionError(f"{path}: more than {mat5.MAX_BYTES} bytes")
    content = path.read_bytes()
    if content.startswith(b"MATLAB 7.3"):
        raise PredictionError(f"{path}: a .mat file of version 7.3, save with '-v7'")
    try:
        if mat5.is_mat5(content):
            variables: Mapping[str, Any] = mat5.matrices(content)
        else:
            variables = loadmat(BytesIO(content), mat_dtype=True)
    except Exception as error:  # on hostile bytes of version 4, SciPy raises anything
        raise PredictionError(f"{path}: not a readable .mat file ({error})") from error
    return _matrix(path, variables)


def _matrix(path: Path, variables: Mapping[str, Any]) -> np.ndarray:
    found = {
        name: value
        for name, value in variables.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf"
    }
    matrices = {n: v for n, v in found.items() if v.ndim > 1 and v.size > 1} or found
    if len(matrices) != 1:
        names = ", ".join(sorted(matrices)) or "none"
        raise PredictionError(
            f"{path}: a .mat file of a map has one numeric matrix, this has {names}"
        )
    return next(iter(matrices.values()))
