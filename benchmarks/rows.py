"""A line of the table that the benchmarks make together."""

from __future__ import annotations

import importlib
import time
from typing import NamedTuple


class Row(NamedTuple):
    """One figure, beside that of the naive way and what it is to reach."""

    name: str
    unit: str
    naive: float | None
    ours: float
    goal: str
    is_met: bool


class Measured(NamedTuple):
    """The rows of a module, and the seconds that they took."""

    rows: list[Row]
    seconds: float


def rows_of(name: str) -> Measured:
    """What a module of this package measures."""
    began = time.monotonic()
    rows: list[Row] = importlib.import_module(f"benchmarks.{name}").rows()
    return Measured(rows, time.monotonic() - began)
