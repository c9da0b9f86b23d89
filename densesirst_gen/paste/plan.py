"""A plan: what to paste into one scene, a table with one row for each target.

It can be printed, stored, replayed and tested. `densesirst_gen.make_plan` makes it,
`densesirst_gen.render` carries it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.plan_rules import PlanError, check_plan, check_row
from densesirst_gen.settings import ConfigError

_COLUMNS: list[tuple[str, type]] = [
    ("label", np.int64),  # the target's number in the rendered scene
    ("donor", np.int64),  # index in the library
    ("cluster", np.int64),  # window, 0-based
    ("row", np.int64),  # corner of the patch in the image
    ("col", np.int64),
    ("height", np.int64),  # of the patch, pixels
    ("width", np.int64),
    ("gap", np.int64),  # free pixels asked for around it
    ("level", np.float64),  # gray level of its peak before the gain
    ("gain", np.float64),  # lambda, Eq. 1
    ("sigma_x", np.float64),  # Eq. 2, in half patches
    ("sigma_y", np.float64),
    ("offset_x", np.float64),
    ("offset_y", np.float64),
    ("angle", np.float64),  # theta, Eq. 3, radians
    ("increment", np.float64),  # rise of its brightest pixel, in the image's own values
    ("n_clipped", np.int64),  # pixels cut at white
]
PASTE = np.dtype(_COLUMNS)
COLUMNS = tuple(name for name, _ in _COLUMNS)


RULES = {name: dtype is np.int64 for name, dtype in _COLUMNS}
"""Column -> whether it holds whole numbers."""


DECIMALS = 6

SKIPPED = {
    "no_sky": "no pixel is surely sky and free of targets",
    "no_window": "no window fits into what is free",
    "nothing_visible": "no target would fit or be seen",
    "not_drawn": "chance passed it over",
    "unsure_sky": "of its predicted sky nothing is sure enough",
}
"""Why nothing at all was pasted into a scene."""

DROPPED = {
    "no_window": "its window found no place",
    "no_room": "no position was left in its window, or none was hit",
    "invisible": "it would change nothing that can be seen",
    "fragmented": "its mask would fall apart",
}
"""Why a target that was asked for was not pasted; where there is no sky, `SKIPPED` says so."""


@dataclass(frozen=True, eq=False)
class PastePlan:
    """What to paste into one scene.

    Parameters
    ----------
    scene : str
        Name of the scene.
    config : PasteConfig
    pastes : ndarray, (N,), `PASTE`
        One row for each paste; labels follow those of the scene.
    windows : ndarray, (K, 2), int64
        (row, col) of the windows.
    requested : int
        Targets asked for, at least N.
    dropped : dict of str to int
        Why fewer were placed, see `DROPPED`: reason -> how many.
    skip_reason : str
        Why nothing at all was pasted, a key of `SKIPPED`; else empty.
    stamps : tuple of ndarray, optional
        What `plan_stamps` gives for the rows, kept by `make_plan` so that rendering need not
        compute it again; not written, and not taken over by `dataclasses.replace`.
    """

    scene: str
    config: PasteConfig
    pastes: np.ndarray
    windows: np.ndarray
    requested: int
    dropped: dict[str, int] = field(default_factory=dict)
    skip_reason: str = ""
    stamps: tuple[np.ndarray, np.ndarray] | None = field(default=None, init=False, repr=False)

    @classmethod
    def empty(cls, scene: str, config: PasteConfig, requested: int, reason: str) -> PastePlan:
        """Nothing to paste, for a reason; dropped are the targets asked for, if any."""
        pastes, windows = np.zeros(0, PASTE), np.zeros((0, 2), np.int64)
        dropped = {reason: requested} if requested else {}
        return cls(scene, config, pastes, windows, requested, dropped, reason)

    def __len__(self) -> int:
        return len(self.pastes)

    def with_stamps(self, rise: np.ndarray, masks: np.ndarray) -> PastePlan:
        """The same plan with its stamps, as `plan_stamps` gives them, at hand for rendering."""
        plan = replace(self)
        object.__setattr__(plan, "stamps", (rise, masks))
        return plan

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; angles in degrees. `from_json` gives back an equal plan."""
        rows = [
            {**dict(zip(COLUMNS, row, strict=True)), "angle": _degrees(row[COLUMNS.index("angle")])}
            for row in self.pastes.tolist()
        ]
        return {
            "scene": self.scene,
            "config": self.config.to_dict(),
            "requested": self.requested,
            "dropped": self.dropped,
            "skip_reason": self.skip_reason,
            "windows": self.windows.tolist(),
            "pastes": rows,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> PastePlan:
        """The plan that `to_json` wrote.

        Raises
        ------
        PlanError
            If it is none; the message says what is missing or which rule is broken.
        """
        check_plan(values)
        try:
            config = PasteConfig.from_dict(values["config"])
        except ConfigError as error:
            raise PlanError(f"plan of {values['scene']!r}: {error}") from error
        pastes = np.zeros(len(values["pastes"]), PASTE)
        for k, row in enumerate(values["pastes"]):
            check_row(row, RULES, config.patch_px, f"plan of {values['scene']!r}, paste {k}")
            pastes[k] = tuple(row[name] for name in COLUMNS)
        pastes["angle"] = np.radians(pastes["angle"])
        return cls(
            scene=values["scene"],
            config=config,
            pastes=pastes,
            windows=np.array(values["windows"], np.int64).reshape(-1, 2),
            requested=values["requested"],
            dropped=dict(values["dropped"]),
            skip_reason=values["skip_reason"],
        )


def _degrees(angle: float) -> float:
    return round(float(np.degrees(angle)), DECIMALS)
