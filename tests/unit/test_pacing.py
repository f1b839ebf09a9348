"""Waits: whole seconds, never past the deadline, never hammering."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from videoconductor import pacing

SECONDS = st.floats(0, 100_000)


@given(
    interval=st.floats(0.1, 600),
    elapsed=st.floats(-10, 100_000),
    progress=st.none() | st.integers(-5, 105),
    left=st.floats(-10, 100_000),
)
def test_a_poll_gap_is_a_whole_number_of_seconds_within_bounds(interval, elapsed, progress, left):
    gap = pacing.poll_gap(interval, elapsed, progress, left)
    assert isinstance(gap, int)
    assert 1 <= gap <= max(pacing.LONGEST_POLL_GAP, interval) + 1
    assert gap <= max(1, left + 1)


def test_a_poll_gap_starts_at_the_interval_and_grows():
    assert [pacing.poll_gap(5, elapsed, None, 900) for elapsed in (0, 10, 40, 80, 400)] == [
        5,
        5,
        10,
        20,
        30,
    ]


def test_progress_shortens_the_gap_towards_the_end():
    assert pacing.poll_gap(5, 100, 50, 900) == 30
    assert pacing.poll_gap(5, 30, 75, 900) == 5
    assert pacing.poll_gap(5, 30, 95, 900) == 3


@given(
    postponements=st.integers(0, 1000),
    retry_after=st.none() | st.integers(0, 10**9),
    seed=st.integers(),
)
def test_a_pause_waits_at_least_as_long_as_asked_and_is_bounded(postponements, retry_after, seed):
    seconds = pacing.pause(postponements, retry_after, random.Random(seed))  # noqa: S311
    assert isinstance(seconds, int)
    assert max(1, min(retry_after or 0, 600)) <= seconds <= 600 + pacing.LONGEST_PAUSE


def test_pauses_grow_and_differ():
    def longest(postponements):
        return max(pacing.pause(postponements, None, random.Random(n)) for n in range(500))  # noqa: S311

    assert [longest(n) for n in range(8)] == [2, 4, 8, 16, 32, 60, 60, 60]
    assert len({pacing.pause(9, None, random.Random(n)) for n in range(50)}) > 10  # noqa: S311
