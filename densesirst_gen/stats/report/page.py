"""One self-contained HTML page about a dataset: its numbers, its figures and images to look at.

The page needs no network and no server. Its layers and its zoom are checkboxes, links and style
rules; the script only adds keys and focus.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from densesirst_gen.scene.scene import Scene
from densesirst_gen.stats.compare.fidelity import StatisticDistance, score
from densesirst_gen.stats.report.gallery import data_uri, scene_view
from densesirst_gen.version import __version__

if TYPE_CHECKING:
    import jinja2

    from densesirst_gen.stats.report.figures import Figure

HERE = "densesirst_gen.stats.report"
SHORTEST_BAR, LONGEST_BAR = 2.0, 5.0
"""Bars of the comparison end at the largest ratio, but not before the one or after the other."""


@dataclass(frozen=True)
class Bar:
    """A statistic with the bar of its ratio.

    Parameters
    ----------
    row : StatisticDistance
    length, one : float
        Shares of the full length: the bar's, and where a ratio of 1 is.
    cut : bool
        The ratio is larger than there is room for.
    """

    row: StatisticDistance
    length: float
    one: float
    cut: bool


def report_html(
    title: str,
    rows: Sequence[tuple[str, Sequence[tuple[str, str]]]],
    figures: Sequence[Figure],
    scenes: Iterable[Scene],
    *,
    comparison: Sequence[StatisticDistance] | None = None,
    sentence: str = "",
) -> str:
    """A page that can be opened from a file, sent by mail and printed.

    Parameters
    ----------
    title : str
        Names the dataset.
    rows : sequence of (section, [(name, value)])
        The table, as it is to be read.
    figures : sequence of Figure
        From `figures.draw_figures`. Each is an image of its own, from which neither scripts nor
        style rules reach the page.
    scenes : iterable of Scene
        Read once, one after another. Each is embedded with all its pixels, about 0.3 MB for
        640 x 512: a dozen is a good number.
    comparison : sequence of StatisticDistance, optional
        From `fidelity.compare`.
    sentence : str
        What can honestly be said; stands below the title.

    Returns
    -------
    str
        HTML, to be written as UTF-8. All text is escaped; the page loads nothing, and its own
        policy forbids it. Characters that UTF-8 cannot hold become question marks.

    Raises
    ------
    ImportError
        If Jinja2 is not installed.
    """
    script = (
        files("densesirst_gen.stats.report").joinpath("templates", "report.js").read_text("utf-8")
    )
    page = template("report.html.j2").render(
        title=title,
        sentence=sentence,
        sections=[(name, items) for name, items in rows if items],
        figures=[(f, data_uri("image/svg+xml", f.svg.encode())) for f in figures],
        views=[scene_view(scene) for scene in scenes],
        bars=_bars(comparison or ()),
        total=score(comparison or ()),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
        version=__version__,
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def template(name: str, package: str = HERE) -> jinja2.Template:
    """A template of a package, which may include those of the report, its style sheet first of all.

    Parameters
    ----------
    name : str
        Of a file in the folder ``templates`` of the package.
    package : str

    Raises
    ------
    ImportError
        If Jinja2 is not installed.
    """
    try:
        import jinja2
    except ImportError as error:
        hint = "the HTML page needs Jinja2: pip install 'densesirst_gen[report]'"
        raise ImportError(hint) from error
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader(p) for p in dict.fromkeys([package, HERE])]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    return environment.get_template(name)


def _bars(comparison: Sequence[StatisticDistance]) -> list[Bar]:
    largest = max((row.ratio or 0.0 for row in comparison), default=0.0)
    full = min(max(largest, SHORTEST_BAR), LONGEST_BAR)
    return [
        Bar(row, min((row.ratio or 0.0) / full, 1.0), 1 / full, (row.ratio or 0.0) > full)
        for row in comparison
    ]


def _number(value: float | None) -> str:
    """Three digits; an en dash for None."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
