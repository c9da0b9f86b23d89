"""What is odd in many records of a file, told once: how many, and the first of them."""

from __future__ import annotations

from collections import defaultdict


class Findings:
    """Oddities by kind, in the order in which they were first met."""

    def __init__(self) -> None:
        self._cases: dict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, case: str, n: int = 1) -> None:
        """Count a case, if `n` is not 0.

        Parameters
        ----------
        kind : str
            What follows the number: "annotations have no mask".
        case : str
            What it is, for whoever looks for it in the file.
        n : int
            As how many it counts.
        """
        if n:
            self._cases[kind] += [case] * n

    def drop(self, kind: str) -> None:
        """Forget the cases of a kind."""
        self._cases.pop(kind, None)

    def count(self, *kinds: str) -> int:
        """How many cases of these kinds there are."""
        return sum(len(self._cases[kind]) for kind in kinds if kind in self._cases)

    def line(self, kind: str, total: int | None = None) -> str:
        """Such as "3 of 8 annotations have no mask, such as annotation 17 of a.png"."""
        cases = self._cases[kind]
        share = f"{len(cases)} of {total}" if total else f"{len(cases)}"
        return f"{share} {kind}, such as {cases[0]}"

    def lines(self, total: int | None = None) -> list[str]:
        """A `line` for each kind."""
        return [self.line(kind, total) for kind in self._cases]
