"""Libraries of the system that a module needs, and that slim containers lack."""

from __future__ import annotations

import re

LIBRARY = re.compile(r"(\S+\.so[.\d]*): cannot open shared object file")
PACKAGES = {
    "libGL.so.1": "libgl1",
    "libxcb.so.1": "libxcb1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libX11.so.6": "libx11-6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
}
"""Of Debian and Ubuntu."""


def missing_library(error: BaseException) -> str:
    """A line on the library that an import failed for, and what helps; empty if it was none."""
    if not isinstance(error, ImportError) or not (found := LIBRARY.search(str(error))):
        return ""
    library = found[1]
    if library not in PACKAGES:
        return f"{library} is missing on this system, so a module can't be imported ({error.name})"
    return (
        f"OpenCV needs {library}: apt-get install {PACKAGES[library]} libgl1 libglib2.0-0, "
        "or instead of opencv-python: pip install opencv-python-headless"
    )
