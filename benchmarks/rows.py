"""A line of the table that the benchmarks make together."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One figure, beside that of the naive way and what it is to reach."""

    name: str
    unit: str
    naive: float | None
    ours: float
    goal: str
    is_met: bool
