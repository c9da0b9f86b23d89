"""One scene of a build, from its files to its files: read, plan, render, annotate, write."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from densesirst_gen.annotate import annotate
from densesirst_gen.codec import CodecError
from densesirst_gen.config import SKY_CONFIDENCE, SKY_MARGIN, PasteConfig
from densesirst_gen.formats import SceneFile
from densesirst_gen.formats.coco import coco_image
from densesirst_gen.formats.devkit import devkit_files, image_path
from densesirst_gen.library import TargetLibrary, load_library
from densesirst_gen.output import write_files
from densesirst_gen.plan import PastePlan, make_plan, pixels_of, scene_rng
from densesirst_gen.render import render
from densesirst_gen.scene import Scene, SceneError
from densesirst_gen.sky import predict_sky


@dataclass(frozen=True)
class Recipe:
    """Everything but the inputs that decides the content of a built dataset.

    Parameters
    ----------
    config : PasteConfig
    seed : int
        At least 0.
    copies : int
        Scenes made of each background; copy k > 0 is named ``NAME_copyk``.
    voc_dialect : str
        Of the box files, see `densesirst_gen.formats.voc`.
    sky_confidence : float
        Least probability of a predicted sky pixel that is pasted on, and least confidence of its
        image; 0.5 to 1.
    sky_margin : int
        Pixels kept free along the boundary of a predicted sky. Given skies are used as they are.
    """

    config: PasteConfig
    seed: int = 0
    copies: int = 1
    voc_dialect: str = "sirst"
    sky_confidence: float = SKY_CONFIDENCE
    sky_margin: int = SKY_MARGIN

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("copies", 1), ("sky_margin", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
        if not 0.5 <= self.sky_confidence <= 1:
            raise ValueError(f"sky_confidence must be 0.5 to 1, got {self.sky_confidence!r}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "config": self.config.to_dict(),
            "seed": self.seed,
            "copies": self.copies,
            "voc_dialect": self.voc_dialect,
            "sky_confidence": self.sky_confidence,
            "sky_margin": self.sky_margin,
        }


def copy_name(name: str, copy: int) -> str:
    """Name of the k-th scene made of a background."""
    return f"{name}_copy{copy}" if copy else name


def pixel_digest(array: np.ndarray) -> str:
    """SHA-256 of dtype, shape and values: the same for every encoding of the same pixels."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    digest = hashlib.sha256(f"{little.dtype.str}{little.shape}".encode())
    digest.update(little.data)
    return digest.hexdigest()


def produce(
    task: tuple[SceneFile, int],
    recipe: Recipe,
    library: Path,
    out: Path | None,
    store: Path | None = None,
    device: str = "cpu",
) -> dict[str, Any]:
    """Make one scene of a dataset.

    Parameters
    ----------
    task : (SceneFile, int)
        The background, and which copy.
    recipe : Recipe
    library : Path
        File of the target library.
    out : Path or None
        Folder of the dataset; None plans only and writes nothing.
    store : Path, optional
        Of predicted skies, see `densesirst_gen.sky.predict_sky`.
    device : str
        Where stamps are computed: cpu, or a device of torch. The files are the same.

    Returns
    -------
    dict
        The scene's line in the journal. A background that can't be read gives ``error`` and no
        files.
    """
    source, copy = task
    name = copy_name(source.name, copy)
    entry: dict[str, Any] = {"name": name, "source": source.name, "copy": copy}
    try:
        entry["inputs"] = [file_digest(path) for path in source.files()]
        background, notes = source.load_with_notes()
        background, usable, sky = find_sky(background, recipe, store)
    except (CodecError, SceneError, OSError) as error:
        return {**entry, "error": str(error)}
    rng = scene_rng(recipe.seed, source.name, copy)
    targets = load_library(library)
    plan = make_plan(replace(background, sky=usable), targets, recipe.config, rng)
    if plan.skip_reason == "no_sky" and background.sky is not None and background.sky.any():
        plan = replace(plan, skip_reason="unsure_sky")
    entry |= {"notes": notes, **sky, "counts": _counts(background, plan)}
    entry |= {"skip_reason": plan.skip_reason, "dropped": plan.dropped}
    if out is None:
        return entry
    scene = replace(_rendered(background, targets, plan, device), name=name)
    return entry | _written(scene, background, plan, targets, entry, recipe, out)


def _rendered(scene: Scene, library: TargetLibrary, plan: PastePlan, device: str) -> Scene:
    if device == "cpu":
        return render(scene, library, plan)
    from densesirst_gen.batch_render import render_scenes

    return next(render_scenes([scene], [plan], library, device))


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def find_sky(
    scene: Scene, recipe: Recipe, store: Path | None = None
) -> tuple[Scene, np.ndarray | None, dict[str, Any]]:
    """The scene with a sky mask, where to paste, and the record of both.

    Parameters
    ----------
    scene : Scene
        A given sky is used as it is; without one it is predicted, if the recipe needs it.
    recipe : Recipe
    store : Path, optional
        See `densesirst_gen.sky.predict_sky`.

    Returns
    -------
    scene : Scene
    usable : ndarray, (H, W), bool, or None
        The part of its sky that may be pasted on.
    record : dict
        ``sky``: given, predicted or none; ``sky_confidence``: of a prediction, else None.
    """
    if scene.sky is not None:
        return scene, scene.sky, {"sky": "given", "sky_confidence": None}
    if recipe.config.region == "anywhere":
        return scene, None, {"sky": "none", "sky_confidence": None}
    prediction = predict_sky(scene, store=store)
    usable = prediction.certain(recipe.sky_confidence, recipe.sky_margin)
    record = {"sky": "predicted", "sky_confidence": round(prediction.confidence, 4)}
    return replace(scene, sky=prediction.sky), usable, record


def _counts(background: Scene, plan: PastePlan) -> dict[str, int]:
    return {
        "original": background.n_targets,
        "pasted": len(plan),
        "requested": plan.requested,
        "regions": len(plan.windows),
    }


def _written(
    scene: Scene,
    background: Scene,
    plan: PastePlan,
    library: TargetLibrary,
    entry: dict[str, Any],
    recipe: Recipe,
    out: Path,
) -> dict[str, Any]:
    annotations = annotate(scene.labels)
    files = write_files(out, devkit_files(scene, annotations, voc_dialect=recipe.voc_dialect))
    image, targets = coco_image(scene, annotations, 0, image_path(scene))
    for target, paste in zip(targets[background.n_targets :], plan.pastes, strict=True):
        target["attributes"] |= {
            "cluster": int(paste["cluster"]),
            "donor": str(library.sources[paste["donor"]]),
        }
    line = plan_line(scene, background, plan, library) | {
        k: entry[k] for k in ("copy", "source", "inputs", "sky", "sky_confidence")
    }
    return {
        "files": files,
        "area": int(annotations.areas.sum()),
        "plan": json.dumps(line, ensure_ascii=False, allow_nan=False),
        "coco": {"image": image, "annotations": targets},
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
