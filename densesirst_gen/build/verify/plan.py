"""A plan against what it was made from and what it made: scene, sky, library, seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from densesirst_gen.build.kept_free import positions_outside
from densesirst_gen.build.plan_lines import below
from densesirst_gen.build.recipe import copy_name
from densesirst_gen.build.verify.folder import Given
from densesirst_gen.paste.config import PasteConfig
from densesirst_gen.paste.library import TargetLibrary
from densesirst_gen.paste.plan import COLUMNS, DROPPED, SKIPPED, PastePlan
from densesirst_gen.paste.planner import make_plan
from densesirst_gen.paste.seeds import RNG_SCHEME, scene_rng
from densesirst_gen.paste.shapes import shapes_at
from densesirst_gen.paste.stamps import effect, plan_stamps, to_values
from densesirst_gen.scene.scene import Scene, gray_step
from densesirst_gen.sky.limits import DOUBTFUL
from densesirst_gen.version import __version__

MAX_DRAWN = 10_000_000
"""Random numbers of a plan that is drawn again; a build's own take a few hundred."""
SKIES = ("given", "predicted", "none")


@dataclass(frozen=True, eq=False)
class Planned:
    """A scene's plan, and what it is compared with.

    Parameters
    ----------
    line : dict
        Of ``plans.jsonl``, its form checked.
    plan : PastePlan
        Of that line; it fits the image and the library.
    background : Scene
        Without the pastes; its sky is the written mask.
    library : TargetLibrary
    """

    line: Mapping[str, Any]
    plan: PastePlan
    background: Scene
    library: TargetLibrary


def header_faults(line: Mapping[str, Any], given: Given) -> Iterator[str]:
    """What a line says otherwise than the manifest and its own numbers do."""
    name, source, copy = line["name"], line["source"], line["copy"]
    if line["scene"] != source:
        yield f"scene is {line['scene']!r}, source {source!r}"
    if name != copy_name(source, copy) or copy >= given.number("copies", 1):
        yield f"it can't be copy {copy} of {source} in a build of {given.number('copies', 1)}"
    if given.config is not None and PasteConfig.from_dict(line["config"]) != given.config:
        yield "config is not the manifest's"
    n_pastes, n_dropped = len(line["pastes"]), sum(line["dropped"].values())
    if line["requested"] != n_pastes + n_dropped:
        yield f"requested is {line['requested']}, not {n_pastes} pasted and {n_dropped} dropped"
    for reason in sorted(set(line["dropped"]) - {*DROPPED, *SKIPPED}):
        yield f"dropped has the unknown reason {reason!r}"
    if bool(line["skip_reason"]) != (n_pastes == 0) or line["skip_reason"] not in ("", *SKIPPED):
        yield f"skip_reason is {line['skip_reason']!r} with {n_pastes} pastes"
    yield from _sky_faults(line, given)


def _sky_faults(line: Mapping[str, Any], given: Given) -> Iterator[str]:
    sky, confidence = line["sky"], line["sky_confidence"]
    region = given.config.region if given.config is not None else ""
    if sky not in SKIES or (sky == "none" and region == "sky"):
        yield f"sky is {sky!r} where targets are pasted into {region or '?'}"
    if sky == "predicted" and region == "anywhere":
        yield "sky is 'predicted' where none is needed"
    if (sky == "predicted") != (confidence is not None):
        yield f"sky is {sky!r} with sky_confidence {confidence!r}"
    if confidence is not None and confidence < DOUBTFUL and line["pastes"]:
        yield f"{len(line['pastes'])} pastes on a sky of confidence {confidence}, below {DOUBTFUL}"


def paste_faults(planned: Planned) -> Iterator[str]:
    """Rows that the library, their window, or the numbering contradict."""
    line, plan, library = planned.line, planned.plan, planned.library
    config, first = plan.config, planned.background.n_targets + 1
    if line["n_original"] != planned.background.n_targets:
        yield f"n_original is {line['n_original']}, below the pastes are {first - 1} targets"
    sizes = shapes_at(library, config.patch_px, config.resize, config.flatten).sizes
    for k, (paste, row) in enumerate(zip(plan.pastes, line["pastes"], strict=True)):
        donor = int(paste["donor"])
        source = str(library.sources[donor])
        if row["source"] != source:
            yield f"paste {k}: source is {row['source']!r}, donor {donor} is {source!r}"
        if row["label"] != line["n_original"] + k + 1:
            yield f"paste {k}: label is {row['label']}, expected {line['n_original'] + k + 1}"
        if [paste["height"], paste["width"]] != sizes[donor].tolist():
            size = "{} x {}".format(*sizes[donor])
            yield f"paste {k}: {paste['height']} x {paste['width']}, donor {donor} is {size}"
        fault = _window_fault(paste, plan)
        if fault:
            yield f"paste {k}: {fault}"


def _window_fault(paste: np.void, plan: PastePlan) -> str:
    cluster, config = int(paste["cluster"]), plan.config
    if cluster >= len(plan.windows):
        return f"cluster is {cluster}, there are {len(plan.windows)} windows"
    corner = np.array([paste["row"], paste["col"]]) - plan.windows[cluster]
    far = corner + np.array([paste["height"], paste["width"]])
    margin = config.window_margin
    if (corner < margin).any() or (far > config.window_px - margin).any():
        row, col = plan.windows[cluster]
        return (
            f"at ({paste['row']}, {paste['col']}) it leaves window {cluster}, "
            f"{config.window_px} px at ({row}, {col})"
        )
    return ""


def window_faults(planned: Planned) -> Iterator[str]:
    """Windows out of the image, over each other, on targets or on what is not sky."""
    plan, scene = planned.plan, planned.background
    taken, side = np.zeros(scene.shape, bool), plan.config.window_px
    needs_sky = plan.config.region == "sky"
    for k, (row, col) in enumerate(plan.windows.tolist()):
        place = f"window {k} at ({row}, {col})"
        box = np.s_[row : row + side, col : col + side]
        if row + side > scene.shape[0] or col + side > scene.shape[1]:
            yield f"{place} leaves the image of {scene.shape}"
            continue
        if taken[box].any():
            yield f"{place} overlaps another"
        taken[box] = True
        if scene.labels[box].any():
            yield f"{place} lies on a target that was there before"
        if needs_sky and scene.sky is not None and not scene.sky[box].all():
            n_other = int((~scene.sky[box]).sum())
            yield f"{place}: {n_other} of its {side * side} pixels are not sky by the written mask"


def effect_faults(planned: Planned) -> Iterator[str]:
    """Rows whose ``increment`` or ``n_clipped`` is not what they do to the pixels below."""
    plan, scene = planned.plan, planned.background
    if not len(plan):
        return
    config = plan.config
    shapes = shapes_at(planned.library, config.patch_px, config.resize, config.flatten)
    rise, masks = plan_stamps(plan.pastes, shapes, config)
    under = below(planned.line, plan).astype(np.float64)
    rises, clipped = effect(under, to_values(rise, scene), masks, scene.levels[1])
    least = config.min_increment * gray_step(*scene.levels)
    for k, paste in enumerate(plan.pastes):
        for column, value in (("increment", rises[k]), ("n_clipped", clipped[k])):
            if not _is_near(paste[column], value):
                yield f"paste {k}: {column} is {paste[column]:g}, its pixels give {value:g}"
        if rises[k] < least:
            yield f"paste {k}: it rises by {rises[k]:g}, less than {least:g}"


def _is_near(found: Any, wanted: Any) -> Any:
    """Equal but for the last bits, which processors are not of one mind about."""
    return np.isclose(found, wanted, rtol=1e-6, atol=1e-9)


def can_be_drawn(given: Given) -> bool:
    """Whether this version draws as the one that made the dataset did."""
    made_by = given.part("generator").get("version")
    same = made_by == __version__ and given.manifest.get("rng") == RNG_SCHEME
    config = given.config
    if not same or config is None or type(given.recipe.get("seed")) is not int:
        return False
    n_slots = config.n_regions[1] * config.per_region[1]
    return n_slots * (config.smoothest_of + config.patch_px**2) <= MAX_DRAWN


def drawn_faults(planned: Planned, given: Given, usable: np.ndarray | None) -> Iterator[str]:
    """The first difference from the plan that seed, scene, sky and library give.

    Parameters
    ----------
    planned : Planned
    given : Given
        See `can_be_drawn`.
    usable : ndarray, (H, W), bool, or None
        Sky that may be pasted on.
    """
    line, plan = planned.line, planned.plan
    rng = scene_rng(given.recipe["seed"], line["source"], line["copy"])
    scene = replace(planned.background, name=line["scene"], sky=usable)
    free = positions_outside(scene, plan.config, line.get("kept_free", ()))
    again = make_plan(scene, planned.library, plan.config, rng, free=free)
    where = f"seed {given.recipe['seed']} gives"
    if again.windows.tolist() != plan.windows.tolist():
        yield f"windows are {plan.windows.tolist()}, {where} {again.windows.tolist()}"
    elif len(again) != len(plan):
        yield f"{len(plan)} pastes, {where} {len(again)}"
    elif again.skip_reason not in (plan.skip_reason, "no_sky"):
        yield f"skip_reason is {plan.skip_reason!r}, {where} {again.skip_reason!r}"
    elif again.dropped != plan.dropped:
        yield f"dropped is {plan.dropped}, {where} {again.dropped}"
    else:
        yield from _row_difference(plan, again, where)


def _row_difference(plan: PastePlan, again: PastePlan, where: str) -> Iterator[str]:
    for name in COLUMNS:
        odd = np.flatnonzero(~_is_near(plan.pastes[name], again.pastes[name]))
        if len(odd):
            k = int(odd[0])
            here, there = plan.pastes[name][k], again.pastes[name][k]
            yield f"paste {k}: {name} is {here:g}, {where} {there:g}"
            return
