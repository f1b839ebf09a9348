"""Looking again until something is over: for callers who would rather wait than ask."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

# API Gateway gives up on an answer after 30 seconds.
MOST_SECONDS = 20
GAP_SECONDS = 1.0

T = TypeVar("T")


def watched(
    look: Callable[[], T],
    is_over: Callable[[T], bool],
    seconds: float,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> T:
    """What `look` sees: as soon as `is_over` says so, else as it is after `seconds`.

    Looks once at least, and then about once a second. What `look` raises passes through.
    """
    end = clock() + timedelta(seconds=seconds)
    while True:
        seen = look()
        left = (end - clock()).total_seconds()
        if left <= 0 or is_over(seen):
            return seen
        sleep(min(GAP_SECONDS, left))
