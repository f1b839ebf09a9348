"""Permits: one for each POST, and only what an answer proves is written over one."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoconductor import permits
from videoconductor.budgets import Caps
from videoconductor.clip import SETTLED, Attempt, Failure, Render
from videoconductor.errors import (
    ModerationRejected,
    NotSent,
    OutOfCredits,
    RateLimited,
    RecordChanged,
    RenderRefused,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LEASE = 150
PURPOSES = ["attempts", "still_attempts"]
# Six seconds at $0.08 and an input image at $0.01; a still at $0.02.
PRICES = {"attempts": 4_900_000_000, "still_attempts": 200_000_000}


class Table:
    """One record, written by compare-and-swap as the manifest does it."""

    def __init__(self, render):
        self.record = render

    def save(self, before, after, terms=None):
        if before.version != self.record.version:
            raise RecordChanged(after.render_id)
        self.record = after.model_copy(update={"version": before.version + 1})
        self.terms = terms
        return self.record

    def update(self, render_id, change):
        changed = change(self.record)
        return self.record if changed == self.record else self.save(self.record, changed)

    def put(self, changed):
        return self.save(self.record, changed)

    def caps(self):
        return Caps()

    def leave_still(self, *still):
        self.left = still


@pytest.fixture
def table(plan):
    return Table(
        Render(
            render_id="r",
            clip_id="c",
            pipeline_request_id="f",
            plan=plan(prompt="a lamp", firstFramePrompt="a still"),
            caller="ann",
            request_sha256="0",
            created_at=NOW,
        )
    )


def clock():
    return NOW


def attempt(outcome="submitting", number=1, **fields):
    until = NOW + timedelta(seconds=LEASE)
    return Attempt(number=number, permitted_at=NOW, lease_until=until, outcome=outcome, **fields)


def take(table, purpose="attempts"):
    return permits.take(table, table.record, purpose, LEASE, clock)


def postpone(table, problem, purpose="attempts", record=None):
    return permits.postpone(
        table,
        record or table.record,
        purpose,
        problem,
        clock,
        random.Random(7),  # noqa: S311
    )


# -- taking ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "status"), [("attempts", "planned"), ("still_attempts", "framing")]
)
def test_a_permit_is_on_record_when_it_is_taken(table, purpose, status):
    record = take(table, purpose)

    assert record == table.record
    taken = attempt(reserved_ticks=PRICES[purpose])
    assert getattr(record, purpose) == (taken,)
    assert record.status == status
    assert permits.in_hand(record) == (purpose, taken)


@pytest.mark.parametrize("purpose", PURPOSES)
def test_of_two_who_read_the_same_record_one_gets_the_permit(table, purpose):
    read = table.record
    permits.take(table, read, purpose, LEASE, clock)

    with pytest.raises(RecordChanged):
        permits.take(table, read, purpose, LEASE, clock)

    assert len(getattr(table.record, purpose)) == 1


def test_permits_are_numbered_by_what_they_are_for(table):
    for purpose in ("still_attempts", "still_attempts", "attempts"):
        take(table, purpose)

    assert [a.number for a in table.record.still_attempts] == [1, 2]
    assert [a.number for a in table.record.attempts] == [1]


def test_the_number_after_folded_tries_is_the_next_one(table):
    table.record = table.record.model_copy(update={"attempts": (attempt("not_sent", 7),)})

    assert take(table).attempts[-1].number == 8


@pytest.mark.parametrize(
    "outcome", ["accepted", "refused", "not_sent", "unknown", "abandoned", "submitting"]
)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_only_a_permit_without_an_answer_is_in_hand(table, purpose, outcome):
    record = table.record.model_copy(update={purpose: (attempt(outcome),)})

    assert permits.newest(record, purpose) == attempt(outcome)
    assert permits.in_hand(record) == ((purpose, attempt()) if outcome == "submitting" else None)


def test_only_the_newest_permit_can_be_in_hand(table):
    record = table.record.model_copy(
        update={"attempts": (attempt(), attempt("refused", 2)), "still_attempts": ()}
    )

    assert permits.in_hand(record) is None
    assert permits.newest(record, "still_attempts") is None


@given(st.floats(min_value=-10_000, max_value=10_000))
def test_whoever_waits_as_long_as_told_finds_the_lease_over(seconds):
    now = NOW + timedelta(seconds=LEASE - seconds)

    left = permits.lease_left(attempt(), now)

    assert isinstance(left, int)
    assert (left == 0) == (now >= attempt().lease_until)
    assert permits.lease_left(attempt(), now + timedelta(seconds=left)) == 0
    assert left <= max(0, seconds) + 2


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize(
    ("problem", "outcome"), [(NotSent("no route"), "not_sent"), (RateLimited("slow"), "refused")]
)
def test_what_reached_nobody_waits_and_may_be_sent_again(table, purpose, problem, outcome):
    take(table, purpose)

    record = postpone(table, problem, purpose)

    assert getattr(record, purpose)[-1].outcome == outcome
    assert getattr(record, purpose)[-1].message == str(problem)
    assert record.wait_seconds >= 1
    assert (record.postponements, record.status in SETTLED) == (1, False)
    assert permits.in_hand(record) is None


def test_a_postponement_lasts_at_least_as_long_as_was_asked_for(table):
    take(table)

    assert postpone(table, RateLimited("slow", 45)).wait_seconds >= 45


def test_tries_in_a_row_that_reached_nobody_are_one_that_counts_them(table):
    problems = [NotSent("a"), NotSent("b"), RateLimited("c"), NotSent("d"), NotSent("e")]
    for problem in problems:
        take(table)
        postpone(table, problem)

    assert [(a.number, a.outcome, a.repeats) for a in table.record.attempts] == [
        (2, "not_sent", 1),
        (3, "refused", 0),
        (5, "not_sent", 1),
    ]
    assert table.record.postponements == len(problems)


def test_a_refusal_that_was_paid_for_is_never_folded_into_a_later_try(table):
    paid = {"cost_ticks": 7, "spent_ticks": 7}
    table.put(table.record.model_copy(update={"attempts": (attempt("refused", **paid),)}))

    take(table)
    postpone(table, RateLimited("c"))

    assert [(a.number, a.spent_ticks) for a in table.record.attempts] == [(1, 7), (2, None)]
    assert table.record.spent_ticks == 7


@pytest.mark.parametrize("purpose", PURPOSES)
def test_what_is_postponed_for_ever_is_refused_in_the_end(table, purpose):
    for _ in range(permits.MAX_POSTPONEMENTS):
        take(table, purpose)
        postpone(table, NotSent("no route"), purpose)
    take(table, purpose)

    with pytest.raises(RenderRefused, match="given up after 60 tries: no route"):
        postpone(table, NotSent("no route"), purpose)

    assert table.record.status == "failed"
    assert table.record.postponements == permits.MAX_POSTPONEMENTS == 60
    assert [a.outcome for a in getattr(table.record, purpose)] == ["not_sent", "refused"]


def test_still_and_clip_share_their_postponements(table):
    for purpose in PURPOSES:
        take(table, purpose)
        postpone(table, NotSent("no route"), purpose)

    assert table.record.postponements == 2


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize(
    "problem",
    [
        RenderRefused("no", code="400"),
        OutOfCredits("no money"),
        ModerationRejected("withheld", code="moderated", cost_ticks=5),
    ],
)
def test_a_refusal_fails_the_render_with_words_code_and_cost(table, purpose, problem):
    record = take(table, purpose)

    assert permits.refused(table, record, purpose, problem, clock) is problem

    newest = permits.newest(table.record, purpose)
    assert (newest.outcome, newest.message) == ("refused", str(problem))
    assert newest.cost_ticks == table.record.cost_ticks == problem.cost_ticks
    assert table.record.status == "failed"
    assert table.record.failure == Failure(
        error=type(problem).__name__, message=str(problem), code=problem.code
    )


def test_what_a_refusal_cost_is_booked_though_somebody_cancelled_meanwhile(table):
    record = take(table)
    table.put(table.record.having(NOW, "cancelled"))

    permits.refused(table, record, "attempts", ModerationRejected("x", cost_ticks=5), clock)

    assert (table.record.status, table.record.cost_ticks) == ("cancelled", 5)
    assert table.record.failure is None


@pytest.mark.parametrize("purpose", PURPOSES)
def test_an_answer_nobody_saw_is_unknown_and_leaves_the_render_to_a_person(table, purpose):
    record = take(table, purpose)

    problem = permits.unknown(table, record, clock, "w" * 500)

    assert str(problem) == "w" * 500
    assert table.record.status == "submit_unknown"
    assert table.record.failure == Failure(error="SubmitUnknown", message="w" * permits.MAX_WORDS)
    assert permits.newest(table.record, purpose).outcome == "unknown"


def test_an_answer_nobody_saw_keeps_what_somebody_decided_meanwhile(table):
    record = take(table)
    cancelled = Failure(error="RenderCancelled", message="on request")
    table.put(table.record.having(NOW, "cancelled", failure=cancelled))

    permits.unknown(table, record, clock, "lost")

    assert (table.record.status, table.record.failure) == ("cancelled", cancelled)
    assert table.record.attempts[0].outcome == "unknown"


def test_an_answer_nobody_saw_is_not_that_of_a_permit_somebody_else_holds(table):
    record = take(table)
    given_up = attempt("abandoned")
    table.put(table.record.having(NOW, attempts=(given_up,), executions=2))
    take(table)
    before = table.record

    permits.unknown(table, record, clock, "lost")

    assert table.record == before
    assert permits.in_hand(table.record) == (
        "attempts",
        attempt(number=2, reserved_ticks=PRICES["attempts"]),
    )


@pytest.mark.parametrize(
    "change", [{"executions": 2}, {"job": {"requestId": "1"}}, {"status": "cancelled"}]
)
def test_a_change_is_made_only_while_nobody_decided_otherwise(table, change):
    record = table.record
    mark = permits.while_same(record, lambda same: same.having(NOW, progress=7))

    assert mark(record).progress == 7
    assert mark(record.model_copy(update=change)).progress is None


def test_a_change_to_one_attempt_leaves_the_others_alone(table):
    both = (attempt("refused", 1), attempt("unknown", 2))
    record = table.record.model_copy(update={"attempts": both, "still_attempts": both})

    changed = permits.with_attempt(record, "attempts", 1, cost_ticks=5)

    assert changed == {"attempts": (attempt("refused", 1, cost_ticks=5), both[1])}
