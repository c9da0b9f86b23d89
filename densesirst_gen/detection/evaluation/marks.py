"""What programs put behind or before the name of a scene in the names of their files."""

from __future__ import annotations

import re

WORDS = (
    "pixels0|pred(?:s|ict|icted|ictions?)?|prob(?:s|ability|abilities)?|masks?|maps?|heat_?map|"
    "out(?:puts?)?|results?|res|seg(?:mentation)?|det(?:ections?)?|sal(?:iency)?|bin(?:ary)?|score"
)
MARKS = (re.compile(rf"[-_. ](?:{WORDS})$", re.I), re.compile(rf"^(?:{WORDS})[-_. ]", re.I))


def without_mark(path: str) -> tuple[str, str]:
    """A path without what marks a file as predicted, such as ``_Pred``, and that mark."""
    folder, slash, stem = path.rpartition("/")
    for mark in MARKS:
        if (match := mark.search(stem)) and len(match[0]) < len(stem):
            return folder + slash + stem[: match.start()] + stem[match.end() :], match[0]
    return path, ""
