"""An evaluation as a table that people read."""

from __future__ import annotations

from densesirst_gen.detection.evaluation.evaluate import Evaluation
from densesirst_gen.detection.metrics.coco import AreaScores
from densesirst_gen.stats.report.text import ABSENT, Section, table_text

N_WORST = 5
MILLION = 1e6


def evaluation_text(evaluation: Evaluation) -> str:
    """The table, and the scenes with most errors below it."""
    sections = [_counts(evaluation), _boxes(evaluation), _targets(evaluation)]
    sections += _pixels(evaluation)
    worst = [
        (row.name, f"{row.n_missed} missed, {row.n_false} false, of {row.n_truth}")
        for row in evaluation.worst(N_WORST)
    ]
    sections += [("Scenes with most errors", worst)] if worst else []
    return table_text([sections])


def _counts(e: Evaluation) -> Section:
    at = "best F1" if e.kind == "boxes" and e.scoring.threshold is None else "given"
    kind = f"threshold of scores ({at})" if e.kind == "boxes" else "threshold of probabilities"
    rows = [
        ("scenes", f"{len(e.scenes):,}"),
        ("targets", f"{len(e.target_rows):,}"),
        ("boxes found", f"{e.voc12.n_found:,}"),
        (kind, f"{e.threshold:.3f}"),
    ]
    return "Evaluated", rows


def _boxes(e: Evaluation) -> Section:
    n, coco, f1 = e.voc12.n_truth, e.coco, e.f1
    capped = f", {coco.n_capped} boxes cut off" if coco.n_capped else ""
    rows = [
        ("mAP07 (11 points)", _number(e.voc07.ap, n)),
        ("mAP12 (area)", _number(e.voc12.ap, n)),
        ("recall", _number(e.voc12.recall, n)),
        (f"COCO AP .50:.95, at most {_most(e)} an image{capped}", _number(coco.ap, n)),
        ("COCO AP50", _number(coco.ap50, n)),
        ("COCO AP75", _number(coco.ap75, n)),
        *((f"COCO AP, {_area(a)}", _number(a.ap, a.n_truth)) for a in coco.areas),
        (f"F1 at confidence {f1.conf:.3f}", _number(f1.f1, n)),
        ("precision there", _number(f1.precision, n)),
        ("recall there", _number(f1.recall, n)),
        ("mNoCoAP of points", _number(e.noco.ap, n)),
    ]
    return f"Boxes, IoU {e.scoring.iou_thr:g}", rows


def _most(e: Evaluation) -> str:
    return "any" if e.scoring.max_dets is None else str(e.scoring.max_dets)


def _area(area: AreaScores) -> str:
    if area.high is None:
        return f"boxes of {area.low:g} px and more"
    return f"boxes of {area.low:g} to below {area.high:g} px"


def _targets(e: Evaluation) -> Section:
    t = e.targets
    rows = [
        ("Pd", _number(t.pd, t.n_truth)),
        ("Fa, 1e-6" + (", of filled boxes" if t.from_boxes else ""), f"{t.fa * MILLION:.2f}"),
        ("precision", _number(t.precision, t.n_found)),
        ("F1", _number(t.f1, t.n_truth)),
    ]
    if t.target_niou is not None:
        rows.append(("nIoU of targets", _number(t.target_niou, t.n_truth)))
    return f"Targets, centroids < {e.scoring.max_dist:g} px, {e.scoring.matching}", rows


def _pixels(e: Evaluation) -> list[Section]:
    if e.pixels is None or e.curves is None:
        return []
    p, c = e.pixels, e.curves
    n = c.n_positive
    rows = [
        ("IoU", _number(p.iou, n)),
        (f"nIoU of images ({e.scoring.empty} {p.n_empty} empty)", _number(p.niou, n)),
        ("precision", _number(p.precision, n)),
        ("recall", _number(p.recall, n)),
        ("F1", _number(p.f, n)),
        ("F1, mean of images", _number(p.mean_f, n)),
        ("Fa, 1e-6", f"{p.fa * MILLION:.2f}"),
        ("AUC", _number(c.auc, n)),
        (f"AUC up to FPR {c.options['max_fpr']:g}", _number(c.low_fpr_auc, n)),
        ("average precision", _number(c.average_precision, n)),
        (f"greatest F1, from {c.max_f1_threshold:.3f} on", _number(c.max_f1, n)),
    ]
    return [(f"Pixels above {e.threshold:g}", rows)]


def _number(value: float, n: int) -> str:
    return f"{value:.4f}" if n else ABSENT
