"""Figures of a dataset, alone or over those of a reference, each with its definition."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

from densesirst_gen.stats.tables import DatasetStats

try:
    import matplotlib
    from matplotlib.figure import Figure as Canvas
    from matplotlib.font_manager import findfont, get_font
except ImportError as error:
    raise ImportError("figures need Matplotlib: pip install 'densesirst_gen[plot]'") from error

from densesirst_gen.stats.report.charts import CHARTS, Chart
from densesirst_gen.stats.report.drawing import Sample

STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "0.3",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelcolor": "0.15",
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 160,
    "savefig.dpi": 160,
    "font.size": 9,
    "grid.color": "0.9",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "densesirst-gen",
    "text.parse_math": False,
    "xtick.color": "0.3",
    "ytick.color": "0.3",
}
CAPTION_SIZE = 8
LONGEST_LABEL = 24
LETTERS_PER_INCH = 16.5
LINE_INCH = 0.165
MARGIN_INCH = 0.1
TITLE_INCH = 0.3

Saved = TypeVar("Saved", str, bytes)


@dataclass(frozen=True)
class Figure:
    """A figure; each of its forms is drawn when it is first asked for."""

    chart: Chart = field(repr=False)
    samples: Sequence[Sample] = field(repr=False)

    @property
    def name(self) -> str:
        """For files: letters and hyphens."""
        return self.chart.name

    @property
    def title(self) -> str:
        """A few words."""
        return self.chart.title

    @property
    def caption(self) -> str:
        """The definition of what is drawn."""
        return self.chart.caption

    @cached_property
    def svg(self) -> str:
        """An ``<svg>`` element without title and caption, for pages that set these themselves."""
        return self._saved(_svg)

    @cached_property
    def captioned_svg(self) -> str:
        """The same with both, to stand alone."""
        return self._saved(_svg, words=True)

    @cached_property
    def png(self) -> bytes:
        """A PNG file, with title and caption."""
        return self._saved(_png, words=True)

    def _saved(self, save: Callable[[Canvas], Saved], *, words: bool = False) -> Saved:
        """Draw in the package's style; one canvas a form, for a layout depends on those before."""
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            canvas = Canvas(figsize=self.chart.size_for(len(self.samples)), layout="constrained")
            self.chart.draw(canvas, self.samples)
            if words:
                _add_words(canvas, self.chart)
            return save(canvas)


def draw_figures(
    stats: DatasetStats,
    reference: DatasetStats | None = None,
    labels: tuple[str, str] = ("this dataset", "reference"),
) -> list[Figure]:
    """All figures; equal numbers give equal files.

    Parameters
    ----------
    stats : DatasetStats
        May be empty: then the figures say so.
    reference : DatasetStats, optional
        Drawn over it.
    labels : (str, str)
        Names of the two in the legend.
    """
    shown = [stats] if reference is None else [stats, reference]
    samples = [Sample(s, _plain(label)) for s, label in zip(shown, labels, strict=False)]
    return [Figure(chart, samples) for chart in CHARTS]


def _plain(label: str) -> str:
    """A label that Matplotlib draws: not too long, no letter that the font lacks."""
    letters = get_font(findfont("DejaVu Sans")).get_charmap()
    short = label if len(label) <= LONGEST_LABEL else f"...{label[3 - LONGEST_LABEL :]}"
    drawn = "".join(c if ord(c) in letters and c.isprintable() else "?" for c in short)
    return f" {drawn}"  # what starts with an underscore has no place in a legend


def _add_words(canvas: Canvas, chart: Chart) -> None:
    """Make room above for the title and below for the caption; the axes keep their size."""
    width, height = canvas.get_size_inches()
    lines = textwrap.wrap(chart.caption, int(width * LETTERS_PER_INCH))
    below = len(lines) * LINE_INCH + 2 * MARGIN_INCH
    total = height + below + TITLE_INCH
    canvas.set_size_inches(width, total)
    layout = canvas.get_layout_engine()
    assert layout is not None
    layout.set(rect=(0, below / total, 1, height / total))  # type: ignore[call-arg]
    left, top, foot = MARGIN_INCH / width, 1 - MARGIN_INCH / total, (below - MARGIN_INCH) / total
    canvas.text(left, top, chart.title, va="top", fontsize=10, fontweight="bold")
    canvas.text(left, foot, "\n".join(lines), va="top", fontsize=CAPTION_SIZE, color="0.25")


def _svg(canvas: Canvas) -> str:
    buffer = io.StringIO()
    canvas.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _png(canvas: Canvas) -> bytes:
    buffer = io.BytesIO()
    canvas.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
