"""Waits: whole seconds, never past the deadline, never hammering; stays near the end of a job."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoconductor import pacing

INTERVALS = st.floats(0.1, 600)
LEFT = st.floats(-10, 100_000)
REMAINING = st.none() | st.floats(0, 100_000)
PROGRESS = st.none() | st.integers(-5, 105)


def seen(*polls: tuple[float, int | None], before: int | None = None) -> pacing.Sight:
    """What is known after polls, each the seconds since the POST and the progress it told."""
    sight = pacing.Sight(before)
    for elapsed, progress in polls:
        sight = sight.after(progress, elapsed)
    return sight


@given(interval=INTERVALS, elapsed=st.floats(-10, 100_000), remaining=REMAINING, left=LEFT)
def test_a_poll_gap_is_a_whole_number_of_seconds_within_bounds(interval, elapsed, remaining, left):
    gap = pacing.poll_gap(interval, elapsed, remaining, left)
    assert isinstance(gap, int)
    assert 1 <= gap <= max(pacing.LONGEST_POLL_GAP, interval) + 1
    assert gap <= max(1, left + 1)


@given(interval=INTERVALS, left=LEFT, linger=st.floats(0, 90), asked=st.none() | st.integers(0))
def test_no_wait_goes_beyond_the_deadline(interval, left, linger, asked):
    first = pacing.first_gap(interval, left, linger)
    again = pacing.round_gap(interval, interval / 6, linger, left)
    told = pacing.asked_gap(again, asked, left)
    for gap in (first, again, told):
        assert isinstance(gap, int)
        assert 1 <= gap <= max(1, left + 1)
    assert told <= max(pacing.LONGEST_ASKED, again)


def test_a_poll_gap_starts_at_the_interval_and_grows():
    assert [pacing.poll_gap(5, elapsed, None, 900) for elapsed in (0, 10, 40, 80, 400)] == [
        5,
        5,
        10,
        20,
        30,
    ]


def test_what_remains_shortens_the_gap_towards_the_end():
    assert pacing.poll_gap(5, 100, 100, 900) == 30
    assert pacing.poll_gap(5, 30, 10, 900) == 5
    assert pacing.poll_gap(5, 30, 2, 900) == 3


def test_a_job_tells_by_its_progress_when_it_will_end():
    assert seen((20, 40)).remaining(20) == 30
    assert seen((20, 40)).remaining(35) == 15
    assert seen((20, 40), (35, 50)).remaining(35) == 35


def test_a_step_counts_from_when_it_was_taken():
    # In steps of ten: at 54 s it has stood at 90 since 45 s, and ends at 50.
    assert seen((40, 80), (45, 90), (49, 90)).remaining(49) == 1


@pytest.mark.parametrize(
    "sight",
    [
        seen(),
        seen((20, None)),
        seen((20, 0)),
        seen((20, 100)),
        seen((20, 40), before=40),
        seen((10, 50), (30, 50)),
    ],
    ids=["never asked", "no progress", "none yet", "all of it", "as before", "late"],
)
def test_nothing_is_known_of_the_end(sight):
    assert sight.remaining(30) is None


@given(polls=st.lists(st.tuples(st.floats(0, 1000), PROGRESS)), elapsed=st.floats(0, 2000))
def test_whatever_a_job_tells_what_remains_is_a_time_or_unknown(polls, elapsed):
    remaining = seen(*sorted(polls, key=lambda poll: poll[0])).remaining(elapsed)
    assert remaining is None or 0 <= remaining < 1000 * 100


@given(
    interval=INTERVALS,
    elapsed=st.floats(0, 100_000),
    remaining=REMAINING,
    strain=st.integers(0, 100),
)
def test_a_run_that_stays_never_hammers(interval, elapsed, remaining, strain):
    gap = pacing.linger_gap(interval, elapsed, remaining, strain)
    longest = max(pacing.SHORTEST_LINGER_GAP, interval)
    assert pacing.SHORTEST_LINGER_GAP <= gap <= longest * 2**pacing.MAX_STRAIN
    assert gap <= pacing.linger_gap(interval, elapsed, remaining, strain + 1)
    if not strain:
        assert gap <= longest


def test_polls_come_closer_as_the_end_does():
    gaps = [pacing.linger_gap(5, 40, remaining) for remaining in (60, 12, 4, 2, 0)]
    assert gaps == [5, 3, 1, 0.625, 0.625]
    assert pacing.linger_gap(5, 40, None) == 5 / 6
    assert pacing.linger_gap(5, 300, None) == 2


def test_each_answer_of_no_use_doubles_the_gap():
    assert [pacing.linger_gap(6, 40, None, strain) for strain in range(4)] == [1, 2, 4, 8]


def test_a_poll_stays_for_an_end_that_is_near_or_may_come_any_time():
    assert pacing.lingers(20, 60, 90)
    assert not pacing.lingers(20, 120, 90)
    assert pacing.lingers(20, None, 90)
    assert not pacing.lingers(pacing.LONGEST_BLIND, None, 90)


@given(elapsed=st.floats(0, 1000), remaining=REMAINING)
def test_with_no_time_to_linger_no_poll_stays(elapsed, remaining):
    assert not pacing.lingers(elapsed, remaining, 0)


def test_the_first_poll_comes_after_three_intervals_where_polls_stay():
    assert pacing.first_gap(5, 900, 90) == 15
    assert pacing.first_gap(5, 900, 0) == 5
    assert pacing.first_gap(20, 900, 90) == 30
    assert pacing.first_gap(60, 900, 90) == 60


@given(interval=INTERVALS, gap=st.floats(0.5, 64), stayed=st.floats(0, 90))
def test_rounds_take_their_time_however_short_the_stay(interval, gap, stayed):
    again = pacing.round_gap(interval, gap, stayed, 900)
    least = min(pacing.ROUND_INTERVALS * interval, pacing.LONGEST_POLL_GAP)
    assert stayed + again >= least - 1e-6
    assert again >= math.floor(gap)


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
