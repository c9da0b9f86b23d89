"""Log-odds that are kept by the content of the image, so that each image is looked at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from densesirst_gen.files.atomic import write_atomically
from densesirst_gen.files.images.codec import CodecError, encode_png, read_image
from densesirst_gen.sky.graph import ODDS


def kept(
    gray: np.ndarray,
    store: Path | None,
    digest: str,
    shape: tuple[int, int],
    compute: Callable[[], np.ndarray],
) -> np.ndarray:
    """What is computed of an image, read from the store if it is there, else put into it.

    A store that can't be read or written only costs time.

    Parameters
    ----------
    gray : ndarray, (H, W), float32
        The image.
    store : Path or None
        A folder.
    digest : str
        Of what is computed.
    shape : (int, int)
        Of what is computed: log-odds in steps of 1/16, from -8 to 127/16, a byte each.
    compute : callable
    """
    if store is None:
        return compute()
    path = _place(store, gray, digest)
    with suppress(OSError, CodecError):
        values = read_image(path).array
        if values.shape == shape:
            return (values.astype(np.float32) + ODDS.least) * np.float32(ODDS.step)
    found = compute()
    with suppress(OSError):
        write_atomically(path, encode_png((found / ODDS.step - ODDS.least).astype(np.uint8)))
    return found


def _place(store: Path, gray: np.ndarray, digest: str) -> Path:
    content = hashlib.sha256(f"{digest} {gray.shape}".encode())
    content.update(gray.data)
    name = content.hexdigest()
    return store / name[:2] / f"{name}.png"
