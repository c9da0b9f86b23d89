"""docs/reliability.md and the tests name each other: every row, no gap, no name that is none."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCUMENT = (TESTS.parent / "docs/reliability.md").read_text(encoding="utf-8")
LAST_ROW, LAST_PROMISE = 141, 12
REFERENCE = re.compile(r"`([\w/]+\.py)::(\w+)`")
NUMBERS = re.compile(r"\brows? ((?:\d+(?: \([^)]*\))?(?:, | and | to )?)+)", re.IGNORECASE)


def lines_of(pattern: str) -> dict[int, list[str]]:
    """The cells of the lines whose first cell is a number after `pattern`."""
    found: dict[int, list[str]] = {}
    for line in DOCUMENT.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and (match := re.fullmatch(rf"{pattern}(\d+)", cells[0])):
            assert int(match[1]) not in found, f"{cells[0]} comes twice"
            found[int(match[1])] = cells
    return found


ROWS, PROMISES = lines_of(""), lines_of("P")


@cache
def said_of(file: str) -> dict[str, str]:
    """What stands about each test in its comment and docstring."""
    path = TESTS / file
    source = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = source.splitlines()
    nodes = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.FunctionDef))
    return {n.name: f"{lines[n.lineno - 2]}\n{ast.get_docstring(n) or ''}" for n in nodes}


def numbers_in(text: str) -> set[int]:
    found: set[int] = set()
    for match in NUMBERS.finditer(text):
        body = re.sub(r"\([^)]*\)", "", match[1])
        found |= {int(number) for number in re.findall(r"\d+", body)}
        for first, last in re.findall(r"(\d+) to (\d+)", body):
            found |= set(range(int(first), int(last) + 1))
    return found


def test_no_row_and_no_promise_is_missing() -> None:
    assert sorted(ROWS) == list(range(1, LAST_ROW + 1))
    assert sorted(PROMISES) == list(range(1, LAST_PROMISE + 1))


def test_every_test_that_is_named_exists() -> None:
    named = REFERENCE.findall(DOCUMENT)
    assert len(named) > 200
    assert [f"{file}::{test}" for file, test in named if test not in said_of(file)] == []


@pytest.mark.parametrize("number", sorted(ROWS))
def test_a_row_has_tests_that_carry_its_number_or_says_that_it_has_none(number: int) -> None:
    cells = ROWS[number]
    named, result = REFERENCE.findall(cells[3]), cells[4]
    assert re.match(r"holds$|in part: .|not provoked: .|open$", result), result
    assert bool(named) == (result not in ("open",) and not result.startswith("not provoked"))
    without = [test for file, test in named if number not in numbers_in(said_of(file)[test])]
    assert without == []


@pytest.mark.parametrize("number", sorted(PROMISES))
def test_a_promise_has_tests(number: int) -> None:
    cells = PROMISES[number]
    assert REFERENCE.findall(cells[2])
    assert re.match(r"holds$|in part: .", cells[3])


def test_the_first_86_rows_are_not_open() -> None:
    assert [number for number in range(1, 87) if ROWS[number][4] == "open"] == []
