"""The list of renders: newest first, in pages, over the turn of a month, and sieved."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.workflow.conftest import ROOT
from videoconductor import listing, manifest, views, wiring
from videoconductor.clip import Render
from videoconductor.errors import InvalidRequest
from videoconductor.listing import Wanted


def test_renders_are_listed_newest_first_over_the_turn_of_months(stage, monkeypatch):
    made = []
    for days in (0, 1, 40, 75):
        at = datetime(2026, 10, 31, 23, 59, tzinfo=UTC) - timedelta(days=75 - days)
        monkeypatch.setattr(wiring, "now", lambda at=at: at)
        wiring.conductor.cache_clear()
        made.append(stage.submit().render_id)
    stage.settle()

    found = wiring.manifest().renders(datetime(2026, 11, 1, 0, 1, tzinfo=UTC), 10)

    assert [render.render_id for render in found] == made[::-1]


@pytest.fixture
def recorded(stage):
    """Renders on record, a day apart, newest first: nothing of them is under way."""

    render = Render.model_validate_json((ROOT / "events/start.json").read_text())

    def record(count, since=None, **changes):
        made = []
        for number in range(count):
            fields = {name: values[number % len(values)] for name, values in changes.items()}
            mode = fields.pop("mode", render.plan.quality_mode)
            plan = render.plan.model_copy(update={"quality_mode": mode})
            at = (since or stage.now()) - timedelta(days=1 + number)
            fields |= {"plan": plan, "created_at": at, "render_id": f"{number:04d}"}
            made.append(wiring.manifest().create(render.model_copy(update=fields)))
        return made

    return record


def walked(stage, most_pages=20, **query):
    """What all pages of a query hold, and how many there were."""
    given = {name: [value] if isinstance(value, str) else value for name, value in query.items()}
    seen, pages, cursor = [], 0, {}
    while pages < most_pages:
        wanted = listing.wanted({**given, **cursor}, wiring.quality_modes())
        page = views.page(wiring.manifest().page(wanted, stage.now()))
        seen += [video["renderId"] for video in page["videos"]]
        pages += 1
        if page["nextCursor"] is None:
            return seen, pages
        cursor = {"cursor": [page["nextCursor"]]}
    raise AssertionError("the pages do not end")


def test_a_record_that_cannot_be_read_is_left_out_of_a_list_and_keeps_no_page_from_it(
    stage, recorded, caplog
):
    made = recorded(7)
    for spoilt in (made[0], made[3], made[6]):
        stage.dynamodb.update_item(
            TableName="table",
            Key={"pk": {"S": f"RENDER#{spoilt.render_id}"}, "sk": {"S": "RENDER"}},
            UpdateExpression="SET document = :spoilt",
            ExpressionAttributeValues={":spoilt": {"S": '{"status": "unheard of"}'}},
        )
    left = [render.render_id for number, render in enumerate(made) if number not in {0, 3, 6}]
    for limit in ("1", "2", "50"):
        seen, _ = walked(stage, limit=limit)
        assert seen == left
    seen, _ = walked(stage, limit="2", status="finalized")
    assert seen == [
        render.render_id
        for render in made
        if render.render_id in left and render.status == "finalized"
    ]
    assert "left out of a list" in caplog.text


def test_pages_follow_each_other_without_gap_or_repetition_whatever_is_wanted(stage, recorded):
    made = recorded(
        24,
        status=["finalized", "failed", "stalled"],
        pipeline_request_id=["one", "two"],
        mode=["draft", "production"],
    )

    def ids(sieve):
        return [render.render_id for render in made if sieve(render)]

    bounds = made[20].created_at, made[3].created_at
    after, before = (moment.isoformat().replace("+00:00", "Z") for moment in bounds)
    for query, sieve in (
        ({"film": "one"}, lambda r: r.pipeline_request_id == "one"),
        ({"mode": "prod"}, lambda r: r.plan.quality_mode == "production"),
        ({"status": ["failed", "stalled"]}, lambda r: r.status in {"failed", "stalled"}),
        (
            {"status": "failed", "film": "two", "mode": "production"},
            lambda r: r.status == "failed" and r.pipeline_request_id == "two",
        ),
        (
            {"requestedAfter": after, "requestedBefore": before},
            lambda r: bounds[0] <= r.created_at < bounds[1],
        ),
    ):
        seen, pages = walked(stage, limit="2", **query)
        assert seen == ids(sieve), query
        assert len(seen) / 2 <= pages <= len(seen) / 2 + 1


def test_a_page_costs_a_bounded_number_of_rows_and_says_where_to_go_on(
    stage, recorded, monkeypatch
):
    monkeypatch.setattr(manifest, "_SIEVED_ROWS", 4)
    monkeypatch.setattr(manifest, "_MOST_ROWS", 8)
    made = recorded(20, status=["finalized"] * 18 + ["failed"] * 2)

    seen, pages = walked(stage, status="failed")

    assert seen == [render.render_id for render in made[18:]]
    assert pages == 3


def test_empty_months_are_looked_through_back_to_the_day_that_is_named(stage, recorded):
    two_years_ago = stage.now() - timedelta(days=730)
    [old] = recorded(1, since=two_years_ago, pipeline_request_id=["old"])

    assert walked(stage, film="old") == ([], 1)
    assert walked(stage, film="old", requestedAfter="2020-01-01T00:00:00Z")[0] == [old.render_id]
    # Nothing is older than the program, whatever is asked for.
    seen, pages = walked(stage, film="nobody", requestedAfter="0001-01-01T00:00:00Z")
    assert (seen, pages < 10) == ([], True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("limit=5&limit=6", "limit"),
        ("cursor=x", "cursor"),
        ("status=done", "status"),
        ("status=failed&status=", "status"),
        ("mode=best", "mode"),
        ("film=a::b", "film"),
        ("requestedAfter=2026-11-22", "requestedAfter"),
        ("requestedAfter=2026-11-22T20:15:00", "requestedAfter"),
        ("requestedBefore=2026-11-22T20:15:00+01:00", "requestedBefore"),
        ("requestedBefore=0001-01-01T00:00:00%2B10:00", "requestedBefore"),
        (
            "requestedAfter=2026-11-22T20:15:00Z&requestedBefore=2026-11-22T20:15:00Z",
            "requestedAfter",
        ),
    ],
)
def test_a_query_that_means_nothing_is_refused_by_its_parameter(query, field):
    from urllib.parse import parse_qs

    with pytest.raises(InvalidRequest) as refused:
        listing.wanted(parse_qs(query, keep_blank_values=True), wiring.quality_modes())

    [problem] = refused.value.problems
    assert problem.field == field
    assert problem.choices or field not in {"status", "mode"}
    assert json.dumps(views.problem(refused.value))


@pytest.mark.parametrize(
    "cursor", ["", "x", "bm90IGEgdGltZQ==", "\u0430", "=" * 99, "MjAyNi0xMS0yMg==", "M" * 9999]
)
def test_a_cursor_of_somebodys_own_making_is_refused(cursor):
    with pytest.raises(ValueError, match=r"\w"):
        listing.position(cursor)


def test_a_cursor_beyond_all_times_ends_the_list(stage):
    for moment in ("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00"):
        wanted = Wanted(position=listing.position(listing.cursor(moment)))
        assert wiring.manifest().page(wanted, stage.now()) == listing.Page((), None)
