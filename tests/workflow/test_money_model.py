"""Money under any interleaving: what is settled and held never exceeds a cap, and nothing stays
held that xAI refused. Permits, the table and the ledger are real; DynamoDB is moto's.

Starts, answers, deaths, decisions of people and changes of caps come in any order, and between a
start's look at the caps and its write anything else may happen.
"""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import boto3
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.workflow.balance import check_books, counted, standing
from videoconductor import budgets, ledger, permits, revival
from videoconductor.books import Books
from videoconductor.budgets import Caps
from videoconductor.clip import CostLine, Delivery, Estimate, Render, RenderPlan
from videoconductor.errors import (
    BudgetExceeded,
    ModerationRejected,
    RateLimited,
    RecordChanged,
    RenderRefused,
    SpendingStopped,
)
from videoconductor.manifest import Manifest
from videoconductor.workflow import guards, polling

BEGAN = datetime(2026, 11, 30, 23, tzinfo=UTC)  # a day and a month end soon
LEASE = 150
CENT = 10**8
TABLES = itertools.count()


class World:
    """A few renders of two films and two callers, their table, and what xAI holds against us."""

    def __init__(self, dynamodb, caps):
        name = f"table-{next(TABLES)}"
        keys = [("pk", "HASH"), ("sk", "RANGE")]
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
        )
        self.now = BEGAN
        self.manifest = Manifest(name, dynamodb, self.clock, pause=lambda _: None)
        self.books = Books(name, dynamodb)
        self.names = [self.create(number) for number in range(6)]
        self.lowered = False  # a cap was set below what was spent: it cannot be kept any more
        self.manifest.change_caps(lambda _: caps, "ann")

    def clock(self):
        return self.now

    def create(self, number):
        cents = [10, 10, 10, 25, 30, 7][number]
        line = CostLine(
            what="some model",
            quantity=Decimal(1),
            unit="second",
            unit_usd=Decimal(cents) / 100,
            amount_usd=Decimal(cents) / 100,
        )
        plan = RenderPlan(
            operation="generate",
            task="text-to-video",
            provider="xai",
            quality_mode="draft",
            model="grok-imagine-video",
            prompt="a lamp",
            estimate=Estimate(lines=(line,), total_usd=line.amount_usd, as_of="2026-11-22"),
        )
        render = Render(
            render_id=f"r{number}",
            clip_id=f"c{number}",
            pipeline_request_id=f"film{number % 2}",
            plan=plan,
            caller=f"arn:aws:iam::1:user/caller{number % 3}",
            request_sha256="0",
            created_at=self.now,
            taken_up_by="run-1" if number < 3 else None,
            run_limit_usd=Decimal("0.25") if number < 3 else None,
            max_cost_usd=Decimal("0.60") if number == 4 else None,
        )
        return self.manifest.create(render).render_id

    def renders(self):
        return [self.manifest.read(name) for name in self.names]

    # -- what may happen ---------------------------------------------------------------------------

    def start(self, name, between=None):
        """Take a permit; `between` happens after the look at the caps."""
        record = self.manifest.read(name)
        if record.status != "planned" or permits.in_hand(record) is not None:
            return
        real, stands = self.manifest.caps, {}

        def looked():
            seen = real()
            self.manifest.caps = real
            if between is not None:
                between()
            stands.update(self.standing())
            return seen

        self.manifest.caps = looked
        try:
            permits.take(self.manifest, record, "attempts", LEASE, self.clock)
        except RecordChanged:
            assert between is not None
        except SpendingStopped:
            assert between is not None or real().stopped_at is not None
        except BudgetExceeded:
            assert self.manifest.read(name).status in {"failed", "cancelled"}
            assert between is not None or self.is_full(record, stands)
        else:
            assert not self.is_full(record, stands)
            assert real().stopped_at is None
        finally:
            self.manifest.caps = real

    def is_full(self, record, stands):
        """Whether some cap has no room for one more POST of this render, reckoned by hand."""
        caps = self.manifest.caps()
        amount = budgets.price(record.plan, "clip")
        own = [cap for cap in (caps.render, record.max_cost_usd) if cap is not None]
        spent = sum(map(counted, record.attempts))
        bounds = self.bounds(caps)
        mine = ledger.counters(
            ledger.day_of(self.now), record.pipeline_request_id, record.caller, record.run_id
        )
        return any(spent + amount > budgets.ticks(cap) for cap in own) or any(
            stands.get(counter, 0) + amount > bounds[counter.scope](counter)
            for counter in mine
            if bounds[counter.scope](counter) is not None
        )

    @staticmethod
    def bounds(caps):
        def ticks(cap):
            return None if cap is None else budgets.ticks(cap)

        return {
            "day": lambda _: ticks(caps.day),
            "month": lambda _: ticks(caps.month),
            "film": lambda counter: ticks(caps.cap("film", counter.name)),
            "caller": lambda counter: ticks(caps.cap("caller", counter.name.partition("#")[2])),
            "run": lambda _: ticks(Decimal("0.25")),
        }

    def with_permit(self, name):
        record = self.manifest.read(name)
        return record if permits.in_hand(record) is not None else None

    def refuse(self, name):
        if record := self.with_permit(name):
            problem = RenderRefused("no", code="400")
            permits.refused(self.manifest, record, "attempts", problem, self.clock)

    def moderate(self, name):
        if record := self.with_permit(name):
            problem = ModerationRejected("withheld", cost_ticks=3 * CENT)
            permits.refused(self.manifest, record, "attempts", problem, self.clock)

    def postpone(self, name):
        if record := self.with_permit(name):
            problem, jitter = RateLimited("slow down"), random.Random(7)  # noqa: S311
            permits.postpone(self.manifest, record, "attempts", problem, self.clock, jitter)

    def accept(self, name):
        if record := self.with_permit(name):
            job = {"requestId": f"job-{name}-{len(record.attempts)}"}
            number = record.attempts[-1].number
            change = guards.accepted(number, job, guards.Pace(), self.clock)
            self.manifest.update(name, change)

    def die(self, name):
        if record := self.with_permit(name):
            permits.unknown(self.manifest, record, self.clock, "gone")

    def finish(self, name, share=None):
        record = self.manifest.read(name)
        if record.status == "rendering":
            cost = None if share is None else record.attempts[-1].reserved_ticks * share // 100
            delivery = Delivery(url="https://vidgen.x.ai/x.mp4")
            polling._rendered(self.manifest, record, delivery, cost, self.clock)

    def expire(self, name):
        def polled(latest):
            return latest.having(self.now, "rendering") if latest.status == "rendered" else latest

        self.manifest.update(name, polled)

    def fail(self, name):
        record = self.manifest.read(name)
        if record.status in {"rendering", "rendered"}:
            problem = ModerationRejected("withheld")
            polling.fail(self.manifest, record, problem, self.clock, job_has_ended=True)

    def retry(self, name):
        def again(latest):
            is_over = latest.status in {"failed", "submit_unknown", "stalled", "rendered"}
            return revival.retried(latest, self.now) if is_over else latest

        self.manifest.update(name, again)

    def cancel(self, name):
        self.manifest.update(name, lambda latest: latest.having(self.now, "cancelled"))

    def cap(self, scope, cents):
        before = self.manifest.caps()
        amount = None if cents is None else Decimal(cents) / 100
        self.manifest.change_caps(lambda caps: caps.with_cap(scope, None, amount), "ann")
        old = before.cap(scope)
        self.lowered |= amount is not None and (old is None or amount < old)

    def stop(self, _):
        self.manifest.change_caps(lambda caps: caps.stopped(self.now, "enough"), "ann")

    def go_on(self, _):
        self.manifest.change_caps(Caps.resumed, "ann")

    def wait(self, _):
        self.now += timedelta(minutes=17)

    # -- what must hold ----------------------------------------------------------------------------

    def standing(self):
        return standing(self.renders())

    def check(self):
        kept = check_books(self.renders(), self.books)
        if not self.lowered:
            bounds = self.bounds(self.manifest.caps())
            for counter, tally in kept.items():
                bound = bounds[counter.scope](counter)
                assert bound is None or tally.held + tally.settled <= bound, counter


NUMBERS = st.integers(0, 5)
PLAIN = ["refuse", "moderate", "postpone", "accept", "die", "fail", "retry", "cancel", "stop"]
PLAIN += ["go_on", "wait", "expire"]
CAPS = st.tuples(
    st.just("cap"),
    st.sampled_from(["day", "month", "film", "caller", "render"]),
    st.sampled_from([None, 0, 7, 20, 30, 50, 100, 200]),
)
# Starts more often than all else: caps are about those.
STEPS = st.one_of(
    st.tuples(st.just("start"), NUMBERS),
    st.tuples(st.just("start"), NUMBERS),
    st.tuples(st.sampled_from(PLAIN), NUMBERS),
    st.tuples(st.just("finish"), NUMBERS, st.sampled_from([None, 100, 60, 0])),
    CAPS,
)
MEANWHILE = st.tuples(st.just("start between"), NUMBERS, STEPS)


@pytest.fixture(scope="module")
def dynamodb():
    with mock_aws():
        yield boto3.client(
            "dynamodb", "us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )


def happening(world, step):
    """What a step does, when it is called."""
    name, *given_ = step
    if name == "start between":
        number, other = given_
        return partial(world.start, world.names[number], happening(world, other))
    if name == "cap":
        return partial(world.cap, *given_)
    number, *more = given_
    return partial(getattr(world, name), world.names[number], *more)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    caps=st.sampled_from(
        [
            Caps(day=Decimal("0.30")),
            Caps(day=Decimal("0.57"), film=Decimal("0.30")),
            Caps(day=None, month=Decimal("0.50"), caller=Decimal("0.40")),
            Caps(day=Decimal(1), render=Decimal("0.30")),
        ]
    ),
    steps=st.lists(st.one_of(STEPS, MEANWHILE), min_size=5, max_size=24),
)
@example(  # the cap is reached to the cent, and a refusal makes room for another
    caps=Caps(day=Decimal("0.30")),
    steps=[("start", 3), ("start", 0), ("refuse", 3), ("retry", 3), ("start", 4)],
)
@example(  # two looked at the same caps, and there is room for one
    caps=Caps(day=Decimal("0.30")), steps=[("start between", 4, ("start", 3))]
)
@example(  # the switch is set between the look and the write
    caps=Caps(), steps=[("start between", 4, ("stop", 0)), ("start", 4)]
)
@example(  # what nobody can account for stays held, and counts towards the render's own limit
    caps=Caps(),
    steps=[(do, 4) for _ in range(3) for do in ("start", "die", "retry")],
)
@example(  # a job whose cost is told again, and differently
    caps=Caps(),
    steps=[
        *(("start", 0), ("accept", 0), ("finish", 0, 100), ("expire", 0)),
        *(("finish", 0, 60), ("fail", 0)),
    ],
)
def test_caps_hold_and_books_balance_whatever_happens_in_whatever_order(dynamodb, caps, steps):
    world = World(dynamodb, caps)
    for step in steps:
        happening(world, step)()
    world.check()


def test_a_cap_is_reached_to_the_cent(dynamodb):
    world = World(dynamodb, Caps(day=Decimal("0.62")))
    for name in world.names:
        world.start(name)

    [(_, day)] = world.books.tallies("day")
    # Two of the run's three at 10 cents (its limit is 25), then 25, then 30 does not fit, then 7.
    assert day.held == (10 + 10 + 25 + 7) * CENT
    states = [(r.status, r.failure and r.failure.code) for r in world.renders()]
    assert states[2] == ("failed", "cap:run")
    assert states[4] == ("failed", "cap:day")
    world.check()


def test_the_check_would_notice(dynamodb):
    """The seeded bugs of this file's own watch: each must make `check` fail."""
    for spoil in (
        lambda world: world.manifest._dynamodb.update_item(
            TableName=world.manifest._table,
            Key={"pk": {"S": "SPEND#month"}, "sk": {"S": "2026-11"}},
            UpdateExpression="ADD heldTicks :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        ),
        lambda world: world.manifest._write(
            world.manifest.read("r0").model_copy(update={"attempts": (), "version": 9}),
            "attribute_exists(pk)",
            {},
        ),
    ):
        world = World(dynamodb, Caps())
        world.start("r0")
        world.check()
        spoil(world)
        with pytest.raises(AssertionError):
            world.check()
