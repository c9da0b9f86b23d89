"""What a build records of each scene: in its journal, and in ``plans.jsonl``."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

from densesirst_gen.files.atomic import pixel_digest
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import PastePlan
from densesirst_gen.paste.stamps import pixels_of
from densesirst_gen.scene.scene import Scene


def counts(background: Scene, plan: PastePlan) -> dict[str, int]:
    return {
        "original": background.n_targets,
        "pasted": len(plan),
        "requested": plan.requested,
        "regions": len(plan.windows),
    }


def plan_line(
    scene: Scene, background: Scene, plan: PastePlan, library: TargetLibrary
) -> dict[str, Any]:
    """A scene's line in ``plans.jsonl``: the plan, and what is needed to undo and redo it.

    ``under`` holds the background's pixels below every patch (rows of the plan, then raster order,
    little-endian, base64), so a rendered scene can be turned back into its background, and
    rendered again, without any other file. ``inputs`` are the SHA-256 of the files it was read
    from: image, target mask, sky mask, as far as there are.
    """
    index = pixels_of(plan.pastes, plan.config.patch_px, scene.shape[1])
    under = background.image.ravel()[np.minimum(index, scene.image.size - 1)]
    values = plan.to_json()
    for row in values["pastes"]:
        row["source"] = str(library.sources[row["donor"]])
    return {
        "name": scene.name,
        **values,
        "levels": list(scene.levels),
        "dtype": scene.image.dtype.newbyteorder("<").str,
        "under": base64.b64encode(under.astype(under.dtype.newbyteorder("<"))).decode("ascii"),
        "pixel_sha256": pixel_digest(scene.image),
        "n_original": background.n_targets,
    }
