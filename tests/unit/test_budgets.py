"""Money without a table: caps and the room they leave, entries, rows of costs, AWS's share."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from videoconductor import accounts, budgets, ledger, orchestration, statements
from videoconductor.books import Tally
from videoconductor.budgets import Caps
from videoconductor.clip import Attempt, Render
from videoconductor.errors import BudgetExceeded, InvalidRequest, SpendingStopped, Unpriced
from videoconductor.ledger import Change, Counter, Entry
from videoconductor.orchestration import PriceList
from videoconductor.treasurer import Treasurer

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)
PRICES = PriceList.from_json((ROOT / "presets/aws-prices.json").read_text())
CENT = 10**8
RENDER = Render.model_validate_json((ROOT / "events/start.json").read_text())
CALLER = RENDER.caller


def usd(amount: str) -> Decimal:
    return Decimal(amount)


def attempt(number: int = 1, outcome: Any = "submitting", **changes: Any) -> Attempt:
    fields: dict[str, Any] = {"permitted_at": NOW, "lease_until": NOW, "reserved_ticks": 30 * CENT}
    return Attempt(number=number, outcome=outcome, **{**fields, **changes})


def having(*attempts: Attempt, version: int = 2, **changes: Any) -> Render:
    return RENDER.model_copy(update={"attempts": attempts, "version": version, **changes})


def test_room_is_what_each_cap_leaves_and_the_tighter_of_a_render_s_own() -> None:
    day, month = Counter("day", "2026-11-30"), Counter("month", "2026-11")
    film, caller = Counter("film", "nightclub"), Counter("caller", f"2026-11#{CALLER}")
    assert budgets.room(Caps(day=None), RENDER, 30 * CENT, NOW) == {}
    caps = Caps(month=usd("0.3"), film=usd("9"), films={"nightclub": usd("1")}, caller=usd("2"))
    assert budgets.room(caps, RENDER, 30 * CENT, NOW) == {
        day: 9970 * CENT,
        month: 0,
        film: 70 * CENT,
        caller: 170 * CENT,
    }
    # Its own cap of none beats the general one; `inherit` brings that back.
    free = caps.with_cap("film", "nightclub", None)
    assert film not in budgets.room(free, RENDER, 30 * CENT, NOW)
    again = free.without_own("film", "nightclub")
    assert budgets.room(again, RENDER, 30 * CENT, NOW)[film] == 870 * CENT
    later = NOW + timedelta(seconds=1)
    assert Counter("day", "2026-12-01") in budgets.room(caps, RENDER, 30 * CENT, later)
    run = having(run_limit_usd=usd("3"), taken_up_by="run-1-2")
    assert budgets.room(caps, run, 30 * CENT, NOW)[Counter("run", "run-1")] == 270 * CENT

    with pytest.raises(BudgetExceeded, match=r"\$0\.30.*no room for \$0\.3000000001"):
        budgets.room(caps, RENDER, 30 * CENT + 1, NOW)
    with pytest.raises(SpendingStopped, match="a reason"):
        budgets.room(caps.stopped(NOW, "a reason").stopped(NOW, "another"), RENDER, 1, NOW)
    assert caps.stopped(NOW, "a reason").resumed() == caps
    with pytest.raises(Unpriced):
        budgets.room(caps, RENDER, None, NOW)
    assert budgets.room(Caps(day=None), RENDER, None, NOW) == {}
    tight = having(attempt(), max_cost_usd=usd("0.59"))
    with pytest.raises(BudgetExceeded, match="reserved") as refused:
        budgets.room(Caps(render=usd("5")), tight, 30 * CENT, NOW)
    assert (refused.value.code, "the render's own limit" in str(refused.value)) == ("cap:own", True)
    for own, scope in (("5", "render"), ("0.59", "render"), ("0.58", "own")):
        tight = having(attempt(), max_cost_usd=usd(own))
        with pytest.raises(BudgetExceeded) as refused:
            budgets.room(Caps(render=usd("0.59")), tight, 30 * CENT, NOW)
        assert refused.value.code == f"cap:{scope}", own
    assert budgets.room(Caps(render=usd("5")), having(attempt()), 30 * CENT, NOW)

    with pytest.raises(InvalidRequest, match="scope"):
        caps.with_cap("week", None, None)
    with pytest.raises(InvalidRequest, match="no meaning"):
        caps.with_cap("day", "monday", None)


def test_each_write_has_the_entries_of_what_it_does_and_they_sum_to_what_is_there() -> None:
    still = attempt(reserved_ticks=4 * CENT, outcome="accepted", spent_ticks=4 * CENT)
    lives = [
        having(version=1),
        having(attempt(run_id="run-1"), version=2),
        having(attempt(outcome="unknown", run_id="run-1"), version=3),
        having(attempt(outcome="abandoned", run_id="run-1"), attempt(2), version=4),
        having(
            attempt(outcome="abandoned", run_id="run-1"),
            attempt(2, "not_sent"),
            attempt(3),
            version=5,
        ),
        # The estimate first, then what xAI reports.
        having(attempt(3, "accepted", spent_ticks=30 * CENT), version=6),
        having(attempt(3, "accepted", spent_ticks=25 * CENT, cost_ticks=25 * CENT), version=7),
    ]
    kinds = []
    for before, after in pairwise(lives[:5]):
        kinds.append([(e.kind, e.held_ticks) for e in ledger.entries(before, after, NOW)])
    reserve = ("reserve", 30 * CENT)
    assert kinds == [[reserve], [], [reserve], [("release", -30 * CENT), reserve]]
    [estimated] = ledger.entries(having(attempt(3)), lives[5], NOW)
    [reported] = ledger.entries(lives[5], lives[6], NOW)
    assert (estimated.basis, estimated.held_ticks) == ("estimate", -30 * CENT)
    assert (reported.basis, reported.settled_ticks) == ("reported", -5 * CENT)
    made = ledger.entries(None, having(attempt(run_id="r"), still_attempts=(still,)), NOW)
    assert [(e.what, e.kind) for e in made] == [("still", "settle"), ("clip", "reserve")]
    assert len({e.name for e in made}) == 2
    summed = ledger.changes(made)
    assert summed[Counter("day", "2026-11-30")] == Change(30 * CENT, 4 * CENT, 2)
    assert summed[Counter("run", "r")] == Change(30 * CENT, 0, 1)


def test_posts_become_rows_and_one_that_is_reported_late_counts_as_reported() -> None:
    lives = [
        having(version=1),
        having(attempt(), version=2),
        having(attempt(outcome="accepted", spent_ticks=30 * CENT), version=3),
        having(attempt(outcome="accepted", spent_ticks=25 * CENT, cost_ticks=25 * CENT), version=4),
    ]
    entries: list[Entry] = []
    for number, (before, after) in enumerate(pairwise(lives)):
        entries += ledger.entries(before, after, NOW + timedelta(seconds=30 * number))
    grouped = accounts.Grouped("model")
    for post in accounts.posts(entries):
        assert post.open_seconds == 30
        grouped.add(post, Decimal("0.001"))
    [post] = accounts.posts(entries[:2])
    grouped.add(post, Decimal(0))
    [post] = accounts.posts(entries[:1])
    assert post.open_seconds is None
    grouped.add(post, Decimal(0))
    [(name, row)] = grouped.sorted()
    assert name == RENDER.plan.model
    assert (row.posts, row.reported, row.estimated, row.held) == (
        3,
        25 * CENT,
        30 * CENT,
        30 * CENT,
    )
    assert row.settled == grouped.totals.settled == 55 * CENT
    assert [statements.plain(n) for n in (1e-6, 3, 120.0)] == ["0.000001", "3", "120"]


def test_a_question_is_of_this_month_unless_it_says_and_bounded() -> None:
    asked = accounts.question({}, NOW)
    assert (asked.first, asked.last) == (date(2026, 11, 1), date(2026, 11, 30))
    assert list(asked.days(date(2026, 11, 2))) == ["2026-11-01", "2026-11-02"]
    asked = accounts.question({"to": ["2026-02-10"]}, NOW)
    assert asked.first == date(2026, 2, 1)
    role = "arn:aws:sts::111122223333:assumed-role/editor/session-7"
    asked = accounts.question({"caller": [role], "format": ["csv"]}, NOW)
    assert asked.caller is not None
    assert "session-7" not in asked.caller
    whole = {"from": ["2026-08-30"], "to": ["2026-11-30"]}
    assert len(list(accounts.question(whole, NOW).days(NOW.date()))) == 93
    with pytest.raises(InvalidRequest, match="93 days"):
        accounts.question({"from": ["2026-08-29"], "to": ["2026-11-30"]}, NOW)
    with pytest.raises(InvalidRequest) as refused:
        accounts.question({"by": ["x"], "from": ["now"], "caller": ["\x00"]}, NOW)
    assert [problem.field for problem in refused.value.problems] == ["by", "from", "caller"]


def test_orchestration_is_estimated_from_how_long_a_post_was_open() -> None:
    def rounds(seconds: float, linger: float) -> int:
        return orchestration.watched(seconds, 5, linger).rounds

    assert rounds(0, 0) == rounds(0, 90) == 0
    assert [rounds(seconds, 0) for seconds in (5, 12, 60, 600)] == [1, 3, 9, 28]
    assert [rounds(seconds, 90) for seconds in (5, 60, 105, 200, 600)] == [1, 1, 1, 3, 7]
    assert orchestration.watched(60, 5, 90).stayed == 45
    assert orchestration.watched(60, 5, 0).stayed == 0
    assert orchestration.watched(10**9, 5, 90) == orchestration.watched(6 * 3600, 5, 90)
    begun = orchestration.cost(PRICES, "clip", None, 5, 90)
    whole = orchestration.cost(PRICES, "clip", 60, 5, 90)
    assert begun < whole < orchestration.cost(PRICES, "clip", 600, 5, 90)
    assert whole < orchestration.cost(PRICES, "clip", 60, 5, 0)
    # The transitions alone: the start and three states, three a poll, and two at the end.
    assert whole > (4 + 3 + 2) * PRICES.prices.state_transition
    assert whole < Decimal("0.003")
    assert orchestration.cost(PRICES, "still", None, 5, 90) < Decimal("0.001")


class Table:
    """The books in memory: counters as they are set, entries as they are put."""

    def __init__(self, entries: list[Entry]) -> None:
        self.found = entries
        self.counters: dict[Counter, Tally] = {
            counter: Tally(*change, change.held + change.settled)
            for counter, change in ledger.changes(entries).items()
        }
        self.looks = 0

    def tallies(self, scope: Any, first: str = "", last: str = "\U0010ffff") -> Any:
        self.looks += 1
        for counter, tally in sorted(self.counters.items()):
            if counter.scope == scope and first <= counter.name <= last:
                yield counter.name, tally

    def entries(self, day: str) -> Any:
        return iter([entry for entry in self.found if entry.day == day])

    def caps(self) -> Caps:
        return Caps()


def treasurer(table: Any) -> Treasurer:
    return Treasurer(table, table, PRICES, 5, 90, lambda: NOW, lambda seconds: None)


def test_a_check_finds_a_lost_counter_and_says_what_would_not_stand_still() -> None:
    render = having(attempt(run_id="r"), still_attempts=(attempt(),))
    made = [*ledger.entries(None, render, NOW)]
    table = Table(made)
    checked = treasurer(table).check()
    assert (checked.differences, checked.entries, checked.counters) == ((), 2, 5)
    assert table.looks == 2 * len(ledger.SCOPES)

    # Without its day's counter a day is found by its month's.
    del table.counters[Counter("day", "2026-11-30")]
    [difference] = treasurer(table).check().differences
    assert difference.counter == Counter("day", "2026-11-30")
    assert (difference.entries, difference.ledger_entries) == (0, 2)

    class Restless(Table):
        def tallies(self, scope: Any, first: str = "", last: str = "\U0010ffff") -> Any:
            for name, tally in super().tallies(scope, first, last):
                yield name, tally._replace(entries=self.looks if scope == "film" else tally.entries)

    checked = treasurer(Restless(made)).check()
    assert checked.moving == (Counter("film", "nightclub"),)
    assert checked.differences == ()
