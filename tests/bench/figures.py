"""PURE. From what runs measured to the rows of a report, and those as a table for people."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import NamedTuple

from tocsin_local.report import REPORTED, Row

DIGITS = 3  # after the point: milliseconds, where the unit is seconds


class Bound(NamedTuple):
    """What a figure is compared with."""

    sign: str
    """`<=` or `>=`."""
    limit: float

    def __str__(self) -> str:
        return f"{self.sign} {self.limit:g}"

    def holds(self, value: float) -> bool:
        """Whether `value` keeps it."""
        return value <= self.limit if self.sign == "<=" else value >= self.limit


def at_most(limit: float) -> Bound:
    """A figure that should be small."""
    return Bound("<=", limit)


def at_least(limit: float) -> Bound:
    """A figure that should be large."""
    return Bound(">=", limit)


def row(
    name: str,
    values: Sequence[float],
    unit: str,
    bound: Bound | None = None,
    *,
    of: Callable[[Sequence[float]], float] = median,
) -> Row:
    """The row of one figure that was measured once a run: the median counts, or what else is made `of` them."""
    value = of(values)
    return Row(
        name=name,
        value=round(value, DIGITS),
        unit=unit,
        bound=REPORTED if bound is None else str(bound),
        ok=bound is None or bound.holds(value),
        runs=len(values),
        min=round(min(values), DIGITS),
        max=round(max(values), DIGITS),
    )


def table(rows: Sequence[Row]) -> list[str]:
    """The rows for people."""
    heading = (
        f"  {'figure':<34} {'median':>10} {'unit':<13} {'bound':<11} {'':<4} {'runs':>4} {'min':>10} {'max':>10}"
    )
    return [heading, *map(_line, rows)]


def _line(row: Row) -> str:
    bound, mark = ("", "") if row.bound == REPORTED else (row.bound, "ok" if row.ok else "NO")
    spread = f"{row.min:>10g} {row.max:>10g}"
    return f"  {row.name:<34} {row.value:>10g} {row.unit:<13} {bound:<11} {mark:<4} {row.runs:>4} {spread}"
