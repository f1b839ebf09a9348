"""A line of the table that the benchmarks make together."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """One figure, beside that of the naive way and what it is to reach."""

    name: str
    unit: str
    naive: float | None
    ours: float
    goal: str
    is_met: bool


def shown(number: float | None, unit: str = "") -> str:
    """A figure as a person reads it, with three digits that count."""
    if number is None:
        return ""
    text = f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"
    return f"{text} {unit}".strip()


def line(row: Row) -> str:
    """A line of the table."""
    ratio = shown(row.ours / row.naive) if row.naive else ""
    cells = (row.name, shown(row.naive, row.unit), shown(row.ours, row.unit), ratio, row.goal)
    return f"| {' | '.join(cells)} | {'yes' if row.is_met else '**no**'} |"


def verdict(rows: Iterable[Row]) -> int:
    """Print each; 0 when every goal is met, for a command to end with."""
    all_rows = list(rows)
    print("\n".join(map(line, all_rows)))
    return 0 if all(row.is_met for row in all_rows) else 1


class Measured(NamedTuple):
    """The rows of a module, a table of its own if it has one, and the seconds that they took."""

    rows: list[Row]
    details: str
    seconds: float


def rows_of(name: str) -> Measured:
    """What a module of this package measures: `rows()`, or `rows_and_details()`."""
    began = time.monotonic()
    module = importlib.import_module(f"benchmarks.{name}")
    if hasattr(module, "rows_and_details"):
        rows, details = module.rows_and_details()
    else:
        rows, details = module.rows(), ""
    return Measured(rows, details, time.monotonic() - began)
