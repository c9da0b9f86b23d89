"""Where the released data are, for tests that can do without them."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]


def data_folder() -> Path:
    """The folder of the released data; skips the test if there is none."""
    folder = Path(os.environ.get("DENSESIRST_DATA", CHECKOUT.parent / "shared" / "data"))
    if not (folder / "densesirst").is_dir():
        pytest.skip(f"released data not found in {folder} (set DENSESIRST_DATA)")
    return folder
