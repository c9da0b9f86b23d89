"""Libraries of the system that a module needs, and that slim containers lack."""

from __future__ import annotations

import re
import sys

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
    if isinstance(error, AttributeError):
        return _empty_opencv(error)
    if not isinstance(error, ImportError) or not (found := LIBRARY.search(str(error))):
        return ""
    library = found[1]
    if library not in PACKAGES:
        return f"{library} is missing on this system, so a module can't be imported ({error.name})"
    return (
        f"OpenCV needs {library}: apt-get install {PACKAGES[library]} libgl1 libglib2.0-0, "
        "or instead of opencv-python: pip install opencv-python-headless"
    )


def _empty_opencv(error: AttributeError) -> str:
    """Of two OpenCV distributions one was removed, and with it the files of the other."""
    cv2 = sys.modules.get("cv2")
    if cv2 is None or error.obj is not cv2 or hasattr(cv2, "imdecode"):
        return ""
    where = cv2.__file__ or next(iter(cv2.__path__))
    return (
        f"{where} is not OpenCV, or what is left of one: pip uninstall opencv-python "
        "opencv-python-headless opencv-contrib-python, then pip install opencv-python"
    )
