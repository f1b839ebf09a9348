"""How long to wait: before the next poll, and before a postponed POST."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

LONGEST_PAUSE = 60
LONGEST_POLL_GAP = 30
LONGEST_ASKED = 600  # of what a provider asks us to wait
# A job this old that tells nothing of its end is asked about now and then, and not lingered for.
LONGEST_BLIND = 600
FIRST_INTERVALS = 3
ROUND_INTERVALS = 4
SHORTEST_LINGER_GAP = 0.5
LONGEST_LINGER_GAP = 10
MAX_STRAIN = 6


class Sight(NamedTuple):
    """How far a job was last seen to be, and when it came to be so, in seconds since its POST.

    Without `since` that is not known: what a poll told some time ago, and a newer one still does,
    says nothing of when the job will end.
    """

    progress: int | None = None
    since: float | None = None

    def after(self, progress: int | None, elapsed: float) -> Sight:
        """What is known when a poll has told `progress`, `elapsed` seconds after the POST."""
        if progress is None or progress == self.progress:
            return self
        return Sight(progress, elapsed)

    def remaining(self, elapsed: float) -> float | None:
        """Seconds that the job should still take; None when nothing is known of it.

        Reckoned from the moment at which the progress moved, so that steps do not put the end off.
        A job that is late by more than a tenth has shown that its progress says nothing.
        """
        if self.since is None or not 0 < (self.progress or 0) < 100:
            return None
        end = self.since * 100 / (self.progress or 1)
        return max(0.0, end - elapsed) if elapsed <= 1.1 * end else None


def first_gap(interval: float, left: float, linger: float) -> int:
    """Whole seconds from the POST until the first poll: three intervals where polls linger."""
    gap = FIRST_INTERVALS * interval if linger > 0 else interval
    return _whole(min(gap, max(LONGEST_POLL_GAP, interval)), left)


def lingers(elapsed: float, remaining: float | None, linger: float) -> bool:
    """Whether a poll stays for the end of the job: it is near, or might be at any moment."""
    if remaining is None:
        return linger > 0 and elapsed < LONGEST_BLIND
    return linger > 0 and remaining <= linger


def linger_gap(interval: float, elapsed: float, remaining: float | None, strain: int = 0) -> float:
    """Seconds between two polls of one run: a quarter of what should remain.

    From an eighth of the interval to the whole of it. Where nothing is known, a sixth, and later
    what has passed by 150. Each answer of no use (`strain`) doubles it.
    """
    if remaining is None:
        gap = max(interval / 6, elapsed / 150)
    else:
        gap = max(interval / 8, remaining / 4)
    gap = max(SHORTEST_LINGER_GAP, min(gap, interval))
    return gap * float(2 ** min(strain, MAX_STRAIN))


def poll_gap(interval: float, elapsed: float, remaining: float | None, left: float) -> int:
    """Whole seconds until the next state Poll.

    `interval` is the usual gap, `elapsed` the time since the POST, `left` the time to the
    deadline. Half of what should remain, where that is known; else a quarter of what has passed.
    Never below the interval, unless the end is near, nor beyond the deadline.
    """
    if remaining is None:
        gap, shortest = 0.25 * elapsed, interval
    else:
        gap = 0.5 * remaining
        shortest = interval / 2 if remaining <= 0.25 * elapsed else interval
    return _whole(min(max(gap, shortest), max(LONGEST_POLL_GAP, interval)), left)


def round_gap(interval: float, gap: float, stayed: float, left: float) -> int:
    """Whole seconds until a Poll comes again whose time was up after `stayed` seconds.

    `gap` is what it would have let pass itself. A round, stay and wait together, takes four
    intervals at least, for each costs state transitions.
    """
    rest = min(ROUND_INTERVALS * interval, LONGEST_POLL_GAP) - stayed
    return _whole(max(math.floor(gap), rest), left)


def asked_gap(gap: int, retry_after: int | None, left: float) -> int:
    """`gap`, or what the provider asks for if that is more, up to ten minutes of it."""
    return _whole(max(gap, min(retry_after or 0, LONGEST_ASKED)), left)


def pause(postponements: int, retry_after: int | None, jitter: random.Random) -> int:
    """Whole seconds until a postponed POST is tried again: exponential with full jitter.

    What the provider asks for is a lower bound, up to ten minutes of it.
    """
    ceiling = min(LONGEST_PAUSE, 2 ** min(postponements + 1, 10))
    asked = min(retry_after or 0, LONGEST_ASKED)
    return max(1, math.ceil(asked + jitter.uniform(ceiling / 4, ceiling)))


def _whole(gap: float, left: float) -> int:
    """A wait of the state machine, which takes whole seconds from one on."""
    return max(1, math.ceil(min(gap, left)))
