"""What is odd in many records of a file, told once: how many, and the first of them."""

from __future__ import annotations


class Findings:
    """Oddities by kind, in the order in which they were first met: how many, and the first."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._first: dict[str, str] = {}

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
            self._counts[kind] = self._counts.get(kind, 0) + n
            self._first.setdefault(kind, case)

    def drop(self, kind: str) -> None:
        """Forget the cases of a kind."""
        self._counts.pop(kind, None)
        self._first.pop(kind, None)

    def count(self, *kinds: str) -> int:
        """How many cases of these kinds there are."""
        return sum(self._counts.get(kind, 0) for kind in kinds)

    def line(self, kind: str, total: int | None = None) -> str:
        """Such as "3 of 8 annotations have no mask, such as annotation 17 of a.png"."""
        n = self._counts[kind]
        share = f"{n} of {total}" if total else f"{n}"
        return f"{share} {kind}, such as {self._first[kind]}"

    def lines(self, total: int | None = None) -> list[str]:
        """A `line` for each kind."""
        return [self.line(kind, total) for kind in self._counts]
