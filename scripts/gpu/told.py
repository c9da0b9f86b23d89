"""What a part of the run has found: a line of JSON each, written when it is known.

A line says what part it is of, on what device and with which torch; a run that is cut short leaves
the lines it has got to.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RESULTS = "results.jsonl"


def device() -> str:
    """``cuda`` where there is one, else ``cpu``."""
    import torch  # what only reads results does without

    return "cuda" if torch.cuda.is_available() else "cpu"


def device_name() -> str:
    """For people."""
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"


def tell(out: Path, part: str, what: str, **values: Any) -> None:
    """Write a result, and show it."""
    import torch

    row = {
        "part": part,
        "what": what,
        **values,
        "device": device_name(),
        "torch": torch.__version__,
    }
    line = json.dumps(row) + "\n"
    handle = os.open(out / RESULTS, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(handle, line.encode())  # whole, also where several processes write
    finally:
        os.close(handle)
    print(line, end="", flush=True)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": statistics.median(values), "least": min(values), "greatest": max(values)}


def read(out: Path) -> list[dict[str, Any]]:
    """All results of a folder; a line that was cut off is left out."""
    path = out / RESULTS
    rows = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else ():
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows
