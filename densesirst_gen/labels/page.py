"""What `validate` found, as one HTML page that loads nothing, in the style of that of stats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from densesirst_gen.labels.findings import NOTES, RULES, Finding
from densesirst_gen.labels.validate import Validated
from densesirst_gen.stats.report.page import template
from densesirst_gen.version import __version__

SHOWN = 200
"""Findings of a rule on the page."""
PROBLEMS_ARE = "What is wrong, or can't be right for all readers: a rule, then file and value."
NOTES_ARE = "What may well be meant, and is worth a look."


@dataclass(frozen=True)
class Broken:
    """A rule with what breaks it.

    Parameters
    ----------
    name, title : str
        A key of `RULES`, and its words.
    n : int
    shown : sequence of Finding
        The first of them.
    """

    name: str
    title: str
    n: int
    shown: Sequence[Finding]


@dataclass(frozen=True)
class Part:
    """Problems, or notes: its words and its rules.

    Parameters
    ----------
    key, title, about : str
    rules : sequence of Broken
    """

    key: str
    title: str
    about: str
    rules: Sequence[Broken]


def findings_html(name: str, found: Validated, verdict: str) -> str:
    """The page.

    Parameters
    ----------
    name : str
        Of the dataset.
    found : Validated
    verdict : str
        In a sentence.

    Returns
    -------
    str
        HTML, to be written as UTF-8; all text is escaped.

    Raises
    ------
    ImportError
        If Jinja2 is not installed.
    """
    broken = [_broken(rule, found.findings) for rule in RULES]
    kinds = (
        Part("problems", "Problems", PROBLEMS_ARE, _of(broken, notes=False)),
        Part("notes", "Notes", NOTES_ARE, _of(broken, notes=True)),
    )
    page = template("findings.html.j2", "densesirst_gen.labels").render(
        title=f"Labels of {name}",
        sentence=verdict,
        tables=_tables(found, kinds),
        parts=[part for part in kinds if part.rules],
        version=__version__,
    )
    return page.encode("utf-8", "replace").decode("utf-8")


def _broken(rule: str, findings: Sequence[Finding]) -> Broken:
    same = [finding for finding in findings if finding.rule == rule]
    return Broken(rule, RULES[rule], len(same), same[:SHOWN])


def _of(broken: Sequence[Broken], *, notes: bool) -> list[Broken]:
    return [rule for rule in broken if rule.n and (rule.name in NOTES) == notes]


def _tables(found: Validated, parts: Sequence[Part]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Caption and rows of each table that has any."""
    counts = {"images": found.n_images, "targets": found.n_targets}
    tables = [
        ("Dataset", counts),
        *((part.title, {rule.title: rule.n for rule in part.rules}) for part in parts),
        ("Boxes by dialect", found.dialects),
    ]
    return [
        (caption, [(name, f"{n:,}") for name, n in rows.items()])
        for caption, rows in tables
        if rows
    ]
