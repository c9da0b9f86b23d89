"""The figures of an evaluation, each with its definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from densesirst_gen.detection.evaluation.evaluate import Evaluation
from densesirst_gen.detection.evaluation.recall import Breakdown, breakdowns, interval
from densesirst_gen.detection.metrics import CurveResult
from densesirst_gen.detection.metrics.boxes import envelope
from densesirst_gen.stats.report.charts import Chart
from densesirst_gen.stats.report.drawing import ABOVE, BLUE, SKY_BLUE, VERMILLION
from densesirst_gen.stats.report.figures import Figure

LOWEST_FPR = 1e-7
BAR = 0.62
Draw = Callable[[Canvas, Evaluation], None]

ROC_CAPTION = (
    "Share of the target pixels against the share of all other pixels that reach a threshold. "
    "Shaded: the part that the area at low false positive rate (FPR) measures; below 1 in "
    "10,000 a detector is of use."
)
FROC_CAPTION = (
    "Share of the targets found against false boxes per image, as the score that is asked for "
    "falls. Boxes have no background to count, so this stands in place of the ROC curve of pixels."
)
PR_CAPTION = (
    "Boxes: along the list by falling score, a box counts as true by its IoU; the thin line is "
    "the envelope whose area is mAP12. Pixels, for maps: of those at or above each threshold."
)
SIZE_CAPTION = (
    "Targets found among those of a size, the longer side of the box in pixels. Bars: by the IoU "
    "of boxes, with 95 % intervals. Points: by the distance of centroids. n targets each."
)
DENSITY_CAPTION = (
    "Targets found among those in clusters of a density, N A_t / A_c (Eq. 4 of the paper, not "
    "normalised), and among singles. A cluster is linked by centroids less than 10 px apart."
)
GAP_CAPTION = (
    "Targets found among those whose nearest box of the same cluster is so far away: the larger "
    "of the gaps in x and y, 0 where boxes touch or overlap. Singles have none."
)


def draw_evaluation(evaluation: Evaluation) -> list[Figure]:
    """ROC (for boxes: free-response ROC), precision over recall, recall by kinds of targets.

    Parameters
    ----------
    evaluation : Evaluation
        May be of nothing: then the figures say so.
    """
    return [Figure(_chart(evaluation, *row), ()) for row in _rows(evaluation)]


def _chart(evaluation: Evaluation, name: str, title: str, caption: str, draw: Draw) -> Chart:
    return Chart(name, title, caption, lambda canvas, _: draw(canvas, evaluation))


def _rows(evaluation: Evaluation) -> list[tuple[str, str, str, Draw]]:
    roc = (
        ("roc", "ROC of pixels", ROC_CAPTION, draw_roc)
        if evaluation.curves
        else ("roc", "Free-response ROC of boxes", FROC_CAPTION, draw_froc)
    )
    return [
        roc,
        ("precision-recall", "Precision over recall", PR_CAPTION, draw_precision),
        ("recall-size", "Recall by size", SIZE_CAPTION, draw_recall(0, "longer side, px")),
        ("recall-density", "Recall by density", DENSITY_CAPTION, draw_recall(1, "density")),
        ("recall-gap", "Recall by gap", GAP_CAPTION, draw_recall(2, "gap to the nearest, px")),
    ]


def draw_roc(canvas: Canvas, evaluation: Evaluation) -> None:
    """ROC of pixels, false positive rate on a logarithmic axis."""
    axes, curves = canvas.add_subplot(), evaluation.curves
    assert curves is not None
    if not (curves.n_positive and curves.n_negative):
        _say_empty(axes)
        return
    low = max(LOWEST_FPR, 0.5 / curves.n_negative)
    end = curves.options["max_fpr"]
    axes.axvspan(low, end, color=SKY_BLUE, alpha=0.25, linewidth=0)
    axes.plot(*_roc_line(curves, low), color=BLUE, linewidth=1.8, label=_roc_label(curves))
    axes.set(xscale="log", xlim=(low, 1), ylim=(0, 1.02))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(**ABOVE)


def _roc_line(curves: CurveResult, low: float) -> tuple[np.ndarray, np.ndarray]:
    """Straight lines between the thresholds, drawn on a logarithmic axis."""
    fpr, tpr = np.append(0, curves.fpr), np.append(0, curves.tpr)
    x = np.union1d(np.geomspace(low, 1, 400), np.clip(fpr, low, 1))
    return x, np.interp(x, fpr, tpr)


def _roc_label(curves: CurveResult) -> str:
    end = curves.options["max_fpr"]
    return f"AUC {curves.auc:.4f}, up to FPR {end:g}: {curves.low_fpr_auc:.3f}"


def draw_froc(canvas: Canvas, evaluation: Evaluation) -> None:
    """Recall of boxes over false boxes per image."""
    axes, voc = canvas.add_subplot(), evaluation.voc12
    if not (voc.n_truth and voc.n_found):
        _say_empty(axes)
        return
    false = np.append(0, voc.curve_false) / voc.n_images
    label = f"final recall {voc.recall:.3f}"
    axes.plot(false, np.append(0, voc.curve_recall), color=BLUE, linewidth=1.8, label=label)
    axes.set(xlim=(0, max(false[-1], 1 / voc.n_images)), ylim=(0, 1.02))
    axes.set(xlabel="false boxes per image", ylabel="recall")
    axes.legend(**ABOVE)


def draw_precision(canvas: Canvas, evaluation: Evaluation) -> None:
    """Precision over recall of boxes and, for maps, of pixels."""
    axes, voc, curves = canvas.add_subplot(), evaluation.voc12, evaluation.curves
    if not voc.n_truth:
        _say_empty(axes)
        return
    recall, precision = voc.curve_recall, voc.curve_precision
    label = f"boxes, IoU ≥ {evaluation.scoring.iou_thr:g}: mAP12 {voc.ap:.3f}"
    axes.plot(recall, precision, color=BLUE, linewidth=1.8, marker=_dot(recall), label=label)
    if len(recall):
        highest = envelope(precision)
        steps = np.append(0, recall), np.append(highest[0], highest)
        axes.step(*steps, color=BLUE, linewidth=0.7, where="pre")
    if curves:
        label = f"pixels: AP {curves.average_precision:.3f}"
        axes.plot(curves.tpr, curves.precision, color=VERMILLION, linewidth=1.8, label=label)
    axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
    axes.legend(**ABOVE, ncols=2)


def _dot(values: np.ndarray) -> str:
    """A single cut makes no line: a mark for it."""
    return "o" if len(values) == 1 else ""


def draw_recall(which: int, label: str) -> Draw:
    """The drawing of one of the `breakdowns`."""

    def draw(canvas: Canvas, evaluation: Evaluation) -> None:
        axes, rows = canvas.add_subplot(), evaluation.target_rows
        if not len(rows):
            _say_empty(axes)
            return
        _draw_bins(axes, breakdowns(rows)[which], evaluation)
        axes.set_xlabel(label)

    return draw


def _draw_bins(axes: Axes, breakdown: Breakdown, evaluation: Evaluation) -> None:
    bins, scoring = breakdown.bins, evaluation.scoring
    n, iou, centroid = np.array([(b.n, b.by_iou, b.by_centroid) for b in bins]).T
    x, some = np.arange(len(bins)), n > 0
    share = iou[some] / n[some]
    low, high = interval(iou[some], n[some])
    name = f"IoU ≥ {scoring.iou_thr:g}"
    axes.bar(x[some], share, BAR, color=SKY_BLUE, edgecolor=BLUE, linewidth=0.8, label=name)
    errors = np.abs([low - share, high - share])
    axes.errorbar(x[some], share, errors, fmt="none", ecolor=BLUE, elinewidth=1.2)
    name = f"centroid < {scoring.max_dist:g} px"
    axes.plot(x[some], centroid[some] / n[some], "D", color=VERMILLION, markersize=4.5, label=name)
    axes.set_xticks(x, [f"{b.label}\nn = {b.n:,}" for b in bins], fontsize=8)
    axes.set(xlim=(-0.6, len(bins) - 0.4), ylim=(0, 1.02), ylabel="recall")
    axes.legend(**ABOVE, ncols=2)


def _say_empty(axes: Axes) -> None:
    axes.text(0.5, 0.5, "nothing to show", transform=axes.transAxes, ha="center", color="0.45")
    axes.set(xticks=[], yticks=[])
