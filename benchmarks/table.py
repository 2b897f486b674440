"""The lines of the table that `speed.py` prints: a value, the same of the program beside it, their ratio, and a target.
"""

import operator
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

WARM_UP_SECONDS = 1
HEAD = ("work", "device on the", "measured", "beside", "ratio", "noise", "target", "met")
_COMPARISONS = {"≥": operator.ge, "≤": operator.le, "<": operator.lt}


@dataclass(frozen=True)
class Target:
    """A limit for the median or, if `each`, for every value. It concerns the ratio to the program beside it or, with a
    `unit`, the measured value.
    """

    comparison: str
    limit: float
    each: bool = False
    unit: str = ""

    def is_met(self, values: Sequence[float]) -> bool:
        """Returns whether the values meet the target."""
        compared = values if self.each else [statistics.median(values)]
        return all(_COMPARISONS[self.comparison](value, self.limit) for value in compared)

    def __str__(self) -> str:
        return f"{self.comparison} {self.limit:g} {self.unit or '×'}{', every value' if self.each else ''}"


@dataclass(frozen=True)
class Line:
    """One line: what was measured, a value for each round, and the same of the peer.

    `noise` has a ratio for each round: the same program measured against itself, as a second process.
    """

    work: str
    device: str
    unit: str
    measured: Sequence[float]
    peer: str = ""
    beside: Sequence[float] = ()
    noise: Sequence[float] = ()
    target: Target | None = None

    def cells(self) -> tuple[str, ...]:
        """Returns the texts of the line, in the order of `HEAD`."""
        ratio = ratios(self.measured, self.beside) if self.beside else []
        met = "–"
        if self.target is not None:
            met = "yes" if self.target.is_met(self.measured if self.target.unit else ratio) else "**no**"
        return (self.work, self.device or "–", f"{spread(self.measured)} {self.unit}",
                f"{self.peer} {spread(self.beside)}" if self.beside else "–",
                f"{spread(ratio)} ×" if ratio else "–", spread(self.noise) if self.noise else "–",
                str(self.target or "–"), met)


def ratios(values: Sequence[float], others: Sequence[float]) -> list[float]:
    """Returns the ratio of each round."""
    return [value / other for value, other in zip(values, others, strict=True)]


def spread(values: Sequence[float]) -> str:
    """Returns the median, and the least and the greatest value."""
    least, middle, greatest = (_number(value) for value in (min(values), statistics.median(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({least}–{greatest})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def show(lines: Sequence[Line]) -> None:
    """Prints the lines as a Markdown table."""
    for cells in (HEAD, ("---",) * len(HEAD), *(line.cells() for line in lines)):
        print("| " + " | ".join(cells) + " |")


def interleaved(what: str, rounds: int, programs: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measures each program once in every round. Returns the values of each."""
    found: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(rounds):
        for name, measure in programs.items():
            found[name].append(measure())
        print(f"{what}, round {number + 1} of {rounds}: "
              + ", ".join(f"{name} {_number(values[-1])}" for name, values in found.items()), file=sys.stderr)
    return found
