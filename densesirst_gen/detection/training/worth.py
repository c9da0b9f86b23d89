"""What a dataset is worth: what detectors that are trained on it find in real images.

Every detector is trained on each source under one budget: the same number of images, steps and
settings, whatever the size of the source. All are scored on the same held-out scenes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from densesirst_gen.detection.detectors import detector_class
from densesirst_gen.detection.evaluation.evaluate import Evaluation, Scoring
from densesirst_gen.detection.training.checkpoint import load_checkpoint
from densesirst_gen.detection.training.loop import make_fabric
from densesirst_gen.detection.training.parts import Part, check_apart, check_targets
from densesirst_gen.detection.training.predict import as_trained, reading_of, score_detector
from densesirst_gen.detection.training.published import published_for
from densesirst_gen.detection.training.run import Running, Task, main_scores, run_training
from densesirst_gen.detection.training.settings import settle

SCHEMA = "densesirst-gen/worth@1"
SCORES = ("ap", "ap07", "recall", "f1", "pd", "fa", "iou", "niou", "auc")
MAIN = {"boxes": "ap", "mask": "iou"}


@dataclass(frozen=True)
class Worth:
    """One row: a detector, what it was trained on, and what it finds in the held-out scenes.

    Parameters
    ----------
    detector, source, augment : str
    scores : dict of str to list of float
        As `densesirst_gen.detection.training.run.main_scores` names them; one value for each seed.
    n_images : int
        Seen in training, repetitions counted.
    """

    detector: str
    source: str
    augment: str
    scores: dict[str, list[float]]
    n_images: int


@dataclass(frozen=True, eq=False)
class Plan:
    """What `measure_worth` trains and scores.

    Parameters
    ----------
    detectors : sequence of str
    sources : mapping of str to Part
        What to train on, by name; the first is the one in question.
    real : Part
        Held-out scenes to score on.
    options : mapping
        For all trainings, see `settle`; its seed is the first.
    augments : sequence of str
        Each is a training of its own.
    n_seeds : int
    preset : str
    """

    detectors: Sequence[str]
    sources: Mapping[str, Part]
    real: Part
    options: Mapping[str, Any]
    augments: Sequence[str] = ("none",)
    n_seeds: int = 1
    preset: str = "paper"

    @property
    def n_images(self) -> int:
        """Of an epoch of every training: as many as the first source has."""
        return len(next(iter(self.sources.values())).files)

    @property
    def seeds(self) -> range:
        """Of the trainings of each row."""
        first = int(self.options.get("seed", 0))
        return range(first, first + self.n_seeds)


def measure_worth(
    plan: Plan, out: Path, *, resume: bool = False, running: Running | None = None
) -> list[Worth]:
    """Train and score everything; one folder for each training.

    Parameters
    ----------
    plan : Plan
    out : Path
    resume : bool
        Go on: what is trained is not trained again.
    running : Running, optional

    Raises
    ------
    DatasetError
        If the real scenes have no targets, or are among those trained on.
    """
    check_targets(plan.real, "scoring")
    held_back = plan.real.digests()
    for name, part in plan.sources.items():
        check_apart(part.digests(), held_back, f"the scenes to score on ({name})")
    running = running or Running()
    rows = []
    for detector, source, augment in product(plan.detectors, plan.sources, plan.augments):
        budget = {"images_per_epoch": plan.n_images, **plan.options, "augment": augment}
        base = Task(detector, plan.preset, budget, plan.sources[source], select_on="last")
        scores = []
        for seed in plan.seeds:
            folder = out / f"{detector}-{source}-{augment}-seed{seed}"
            task = replace(base, options={**budget, "seed": seed})
            run_training(task, folder, resume=resume, running=running)
            scores.append(main_scores(score_run(folder, plan.real, running)))
        by_name = {name: [s[name] for s in scores] for name in scores[0]}
        _, config = settle(detector, budget)
        seen = config.epochs * config.images_per_epoch
        rows.append(Worth(detector, source, augment, by_name, seen))
    return rows


def score_run(
    folder: Path, real: Part, running: Running, scoring: Scoring | None = None
) -> Evaluation:
    """All metrics of a finished training on held-out scenes."""
    checkpoint = load_checkpoint(folder)
    device = make_fabric(running.device).device
    reading = reading_of(checkpoint, device=device, workers=running.workers, watch=running.watch)
    files = as_trained(real.files, checkpoint)
    return score_detector(checkpoint.detector, files, reading, scoring)


def ratios(rows: Sequence[Worth], plan: Plan) -> list[dict[str, Any]]:
    """Score of the first source over that of each other, detector by detector.

    By AP for detectors of boxes, by IoU for those of masks; None where the other scored 0.
    """
    first, *others = plan.sources
    by_key = {(row.detector, row.source, row.augment): row for row in rows}
    found = []
    for (detector, source, augment), row in by_key.items():
        if source not in others:
            continue
        name = MAIN[detector_class(detector).task]
        mine = mean(by_key[detector, first, augment].scores[name])
        other = mean(row.scores[name])
        ratio = mine / other if other else None
        found.append(
            {
                "detector": detector,
                "augment": augment,
                "score": name,
                "of": first,
                "over": source,
                "ratio": ratio,
            }
        )
    return found


def worth_document(rows: Sequence[Worth], plan: Plan) -> dict[str, Any]:
    """Plain values for JSON."""
    return {
        "schema": SCHEMA,
        "scored_on": {
            "name": plan.real.name,
            "split": plan.real.split,
            "scenes": len(plan.real.files),
        },
        "checkpoint_rule": "last epoch",
        "rows": [asdict(row) for row in rows],
        "ratios": ratios(rows, plan),
        "published": [asdict(row) for name in plan.detectors for row in published_for(name)],
    }


def worth_text(rows: Sequence[Worth], plan: Plan) -> str:
    """The table that people read: our rows, the ratios, the published rows."""
    head = ["detector", "trained on", "augment", "images", *SCORES]
    lines = [head]
    for row in rows:
        values = [spread(row.scores.get(name)) for name in SCORES]
        lines.append([row.detector, row.source, row.augment, str(row.n_images), *values])
    for name in plan.detectors:
        for printed in published_for(name):
            values = [_number(getattr(printed, score)) for score in SCORES]
            lines.append([printed.method, f"as published, {printed.data}", "", "", *values])
    n = len(plan.real.files)
    caption = (
        f"scored on {n} scenes of {plan.real.name} ({plan.real.split}); weights of the last epoch; "
        "fa in 1e-6. Published rows: other data, budgets and protocols"
    )
    told = [
        f"{r['detector']} ({r['augment']}): {r['score']} of {r['of']} is {_number(r['ratio'])} "
        f"of that of {r['over']}"
        for r in ratios(rows, plan)
    ]
    return "\n".join([*columns(lines), "", caption, *told])


def spread(values: Sequence[float] | None) -> str:
    """Mean of the values and, of several, their standard deviation; - if there are none."""
    if not values:
        return "-"
    deviation = f" ±{stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{deviation}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def columns(lines: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
