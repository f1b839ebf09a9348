"""How soon the end of a job is noticed, and for how many state transitions: what the docs claim."""

import pytest

from benchmarks import polling

CLIPS = 100


@pytest.fixture(scope="module")
def found():
    return polling.find(CLIPS, has_stack=False)


def test_the_naive_way_is_as_the_distribution_was_chosen_for(found):
    assert found.naive.gets == pytest.approx(12.8, rel=0.06)
    assert found.naive.delay == pytest.approx(2.78, rel=0.06)
    assert found.naive.p95 == pytest.approx(5.1, rel=0.06)


@pytest.mark.parametrize("progress", ["linear, give or take 3 points", "in steps of 10", "none"])
def test_the_end_is_noticed_within_a_second_for_few_transitions(found, progress):
    ours = found.ours[progress]

    assert ours.delay <= polling.MEAN_GOAL
    assert ours.p95 <= polling.P95_GOAL
    assert ours.transitions <= polling.TRANSITIONS_GOAL
    assert ours.gets <= 50


def test_progress_that_misleads_costs_little(found):
    for progress in ("slow, then fast", "fast, then slow"):
        assert found.ours[progress].delay < found.naive.delay / 2
        assert found.ours[progress].transitions < found.naive.transitions / 3


def test_a_plain_clip_takes_eight_transitions_and_four_functions():
    seen = polling.walked(50, polling.PROGRESS["none"], polling.pace())

    assert (seen.transitions, seen.rounds) == (8, 1)


def test_what_is_told_has_a_row_for_each_goal(found):
    rows = polling.rows_of(found)

    assert len(rows) == 8
    delays = [row for row in rows if row.unit != "$"]
    assert all(row.is_met for row in delays)
    assert all(row.naive > row.ours for row in rows)
    assert "| Wait 5 s, GET, Choice |" in polling.page(found)
