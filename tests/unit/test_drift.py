"""What counts as drift, by the record alone, and what becomes of it on the bus."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from videoconductor import drift, planning
from videoconductor.clip import Attempt, ClipRequest, Delivery, Render
from videoconductor.drift import ModelDrift, PriceDrift, Watch
from videoconductor.errors import EventsUnavailable
from videoconductor.events import MAX_ENTRIES, Events
from videoconductor.models import ModelCatalog
from videoconductor.planning import PlanDefaults

TEXT = (Path(__file__).parents[2] / "presets/models.json").read_text()
CLASSIC, OTHER = "grok-imagine-video", "grok-imagine-video-1.5"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
CENT = 10**8
TEN = Decimal(10)


def attempt(number: int = 1, **fields: Any) -> Attempt:
    found = {"reserved_ticks": 5 * CENT, "outcome": "accepted", **fields}
    return Attempt(number=number, permitted_at=NOW, lease_until=NOW, **found)


@pytest.fixture
def record(modes, models):
    """Makes a render at rest of a request's plan, with these fields."""

    def made(request: dict[str, Any] | None = None, **fields: Any) -> Render:
        asked = ClipRequest(prompt="a lamp", **(request or {"duration": 1}))
        given = {"delivery": Delivery(url="u"), "status": "finalized", **fields}
        return Render(
            render_id="r",
            clip_id="c",
            pipeline_request_id="f",
            plan=planning.plan(asked, modes, models),
            caller="c",
            request_sha256="",
            created_at=NOW,
            **given,
        )

    return made


@pytest.mark.parametrize(
    ("reserved", "cost", "percent"),
    [
        (500, 550, None),
        (500, 551, Decimal("10.2")),
        (500, 450, None),
        (500, 449, Decimal("-10.2")),
        (500, 0, Decimal(-100)),
        (500, None, None),
        (0, 700, None),
    ],
)
def test_a_price_drifts_beyond_the_percentage_up_or_down(record, models, reserved, cost, percent):
    billed = None if cost is None else cost * CENT
    paid = attempt(reserved_ticks=reserved * CENT, cost_ticks=billed)
    found = drift.found(record(attempts=(paid,)), models, TEN)
    assert [one.percent for one in found] == ([] if percent is None else [percent])
    assert [one.is_upward for one in found] == ([] if percent is None else [percent > 0])


@pytest.mark.parametrize(("cost", "percent"), [(0, None), (449, None), (551, Decimal("10.2"))])
def test_a_post_that_brought_nothing_drifts_upwards_alone(record, models, cost, percent):
    paid = attempt(reserved_ticks=500 * CENT, cost_ticks=cost * CENT, has_ended=True)
    rest = record(attempts=(paid,), status="failed", delivery=None)
    found = drift.found(rest, models, TEN)
    assert [one.percent for one in found] == ([] if percent is None else [percent])


@pytest.mark.parametrize(
    ("usd", "bounds"),
    [("0.70", None), ("0.11", None), ("0.78", (0, 0.696)), ("0.0", None)],
)
def test_where_an_estimate_is_open_only_what_lies_outside_has_drifted(record, models, usd, bounds):
    asked = {"source_video_url": "https://example.com/x.mp4", "quality_mode": "production"}
    opened = record(asked)
    most = int(opened.plan.estimate.total_usd * 100 * CENT)
    paid = attempt(reserved_ticks=most, cost_ticks=int(Decimal(usd) * 100 * CENT))
    opened = opened.model_copy(update={"attempts": (paid,)})
    found = drift.found(opened, models, TEN)
    assert len(found) == (0 if bounds is None else 1)
    if bounds is not None:
        least, most_usd = (float(b) / (100 * CENT) for b in (found[0].least_ticks, most))
        assert (round(least, 3), round(most_usd, 3)) == bounds


@pytest.mark.parametrize(
    ("served", "is_drift"),
    [
        (None, False),
        (OTHER, False),
        (f"{OTHER}-2026-05-30", False),
        (f"{OTHER}-preview", False),
        ("grok-imagine-video-1.4", False),  # retired, and this one answers in its place
        (CLASSIC, True),
        (f"{OTHER}-2027-01-01", True),
    ],
)
def test_a_model_drifts_only_when_no_name_of_its_row_answers(record, served, is_drift):
    document = json.loads(TEXT)
    gone = {"replacedBy": f"{OTHER}-preview", "on": "2026-01-01", "source": "s"}
    document["retired"]["grok-imagine-video-1.4"] = gone
    models = ModelCatalog.from_json(json.dumps(document))
    for asked in (OTHER, "grok-imagine-video-1.4"):
        plan = record().plan.model_copy(update={"model": asked})
        made = record(attempts=(attempt(model_served=served),))
        found = drift.found(made.model_copy(update={"plan": plan}), models, TEN)
        assert [type(one) for one in found] == [ModelDrift] * is_drift


def test_each_post_is_looked_at_and_each_drift_told_once(record, models):
    late = Delivery(url="u", model="another")
    first = attempt(cost_ticks=9 * CENT, has_ended=True)
    made = record(
        {"duration": 1, "first_frame_prompt": "x"},
        still_attempts=(attempt(outcome="refused", cost_ticks=9 * CENT),),
        attempts=(first, attempt(2, cost_ticks=9 * CENT)),
        delivery=late,  # of before an attempt kept what served it
    )
    counted: list[str] = []
    watch = Watch(models=models, percent=TEN, stops=True, count=counted.append)
    untold = watch.untold(made)
    assert [(one.key, type(one)) for one in untold] == [
        ("PriceDrift#still#1", PriceDrift),
        ("PriceDrift#clip#1", PriceDrift),
        ("PriceDrift#clip#2", PriceDrift),
        ("ModelDrift#clip#2", ModelDrift),
    ]
    reason = watch.reason_to_stop(made, untold)
    assert reason is not None
    assert "cost $0.09 where $0.05 was reserved" in reason
    assert watch.reason_to_stop(made, untold[3:]) is None
    assert Watch(models, TEN, False, counted.append).reason_to_stop(made, untold) is None
    again = made.model_copy(update={"drifts_told": tuple(one.key for one in untold[:3])})
    assert watch.untold(again) == untold[3:]


@pytest.mark.parametrize(
    ("codes", "told"),
    [([None, None, None], {"a", "b"}), ([None, "Throttled", None], {"b"}), (["Down"] * 3, None)],
)
def test_drifts_go_with_the_announcement_and_hold_it_up_in_nothing(codes, told):
    asked: list[Any] = []

    def put_events(Entries: list[Any]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        asked.extend(Entries)
        entries = [{"ErrorCode": code} if code else {"EventId": "e"} for code in codes]
        return {"FailedEntryCount": sum(map(bool, codes)), "Entries": entries}

    client: Any = SimpleNamespace(put_events=put_events)
    beside: dict[str, tuple[str, dict[str, Any]]] = {"a": ("PriceDrift", {}), "b": ("x", {})}
    if told is None:
        with pytest.raises(EventsUnavailable):
            Events("bus", client).publish("finalized", {}, beside)
    else:
        assert Events("bus", client).publish("finalized", {}, beside) == told
    assert [entry["DetailType"] for entry in asked] == ["ClipReady", "PriceDrift", "x"]
    many: Any = {str(number): ("PriceDrift", {}) for number in range(99)}
    asked.clear()
    codes[:] = [None] * MAX_ENTRIES
    assert len(Events("bus", client).publish("failed", {}, many)) == MAX_ENTRIES - 1
    assert len(asked) == MAX_ENTRIES


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (32, None),
        (31, "choose another model before then"),
        (1, "choose another model before then"),
        (0, "that day has come"),
        (-400, "that day has come"),
    ],
)
def test_a_model_that_retires_is_warned_of_from_a_month_ahead(modes, days, words):
    document, day = json.loads(TEXT), date(2027, 3, 1)
    for name in (CLASSIC, "grok-imagine-image"):
        document["models"][name]["retires"] = day.isoformat()
    models = ModelCatalog.from_json(json.dumps(document))
    asked = ClipRequest(prompt="x", model=CLASSIC, first_frame_prompt="y")
    for today in (day - timedelta(days=days), None):
        plan = planning.plan(asked, modes, models, PlanDefaults(today=today))
        found = [warning for warning in plan.warnings if "retires on 2027-03-01" in warning]
        names = [] if words is None or today is None else ["grok-imagine-image", CLASSIC]
        assert sorted(one.split()[0] for one in found) == sorted(names)
        assert all(words in one for one in found)
