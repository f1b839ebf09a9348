"""How long to wait: before the next poll, and before a postponed POST. Whole seconds throughout."""

from __future__ import annotations

import math
import random

LONGEST_PAUSE = 60
LONGEST_POLL_GAP = 30


def poll_gap(interval: float, elapsed: float, progress: int | None, left: float) -> int:
    """Seconds until the next poll.

    `interval` is the usual gap, `elapsed` the time since the POST, `left` the time to the
    deadline. With progress, half of what should remain; without, a quarter of what has passed;
    never below the interval, unless the end is near, nor beyond the deadline.
    """
    if progress is not None and 0 < progress < 100:
        gap = 0.5 * elapsed * (100 - progress) / progress
        shortest = interval / 2 if progress >= 80 else interval
    else:
        gap, shortest = 0.25 * elapsed, interval
    gap = min(max(gap, shortest), max(LONGEST_POLL_GAP, interval))
    return max(1, math.ceil(min(gap, left)))


def pause(postponements: int, retry_after: int | None, jitter: random.Random) -> int:
    """Seconds until a postponed POST is tried again: exponential with full jitter.

    What the provider asks for is a lower bound, up to ten minutes of it.
    """
    ceiling = min(LONGEST_PAUSE, 2 ** min(postponements + 1, 10))
    asked = min(retry_after or 0, 600)
    return max(1, math.ceil(asked + jitter.uniform(ceiling / 4, ceiling)))
