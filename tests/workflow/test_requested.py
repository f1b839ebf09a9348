"""The EventBridge door: requests on the bus, twice, together, at fault, and our own events."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.workflow.conftest import load_handler
from tests.workflow.test_doors import CONTEXT
from tests.workflow.test_film import script
from videoconductor import conductor, wiring
from videoconductor.errors import EventsUnavailable, ManifestUnavailable

CLIP = {"prompt": "a lamp", "duration": 1, "refCode": "order-7"}


def event(detail, detail_type="ClipRequested", name="e1", source="orders"):
    return {
        "version": "0",
        "id": name,
        "detail-type": detail_type,
        "source": source,
        "account": "111122223333",
        "time": "2026-11-22T20:15:36Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": detail,
    }


@pytest.fixture
def deliver(films, monkeypatch):
    """Deliver an event; `refused` has what was told of those at fault."""
    handler = load_handler("on_request").handler
    told, refused = [], wiring.events().refused
    monkeypatch.setattr(wiring.events(), "refused", lambda one: (refused(one), told.append(one)))

    def call(*arguments, **named):
        return handler(event(*arguments, **named), CONTEXT)

    call.refused = told
    return call


def test_a_request_is_one_render_by_its_key_or_else_by_its_event(films, deliver):
    keyed = {**CLIP, "idempotencyKey": "key é"}
    with ThreadPoolExecutor(4) as pool:
        taken = list(pool.map(lambda n: deliver(keyed, name=f"k{n}"), range(4)))
        again = list(pool.map(lambda _: deliver(CLIP, name="same"), range(4)))
    assert len({each["renderId"] for each in taken}) == 1
    assert len({each["renderId"] for each in again}) == 1
    other = deliver(CLIP, name="another")
    foreign = deliver(keyed, source="elsewhere")
    renders = {each["renderId"] for each in (taken[0], again[0], other, foreign)}
    assert len(renders) == 4
    films.settle()

    assert len(films.jobs()) == 4
    render = wiring.manifest().read(taken[0]["renderId"])
    assert render.caller == "event:111122223333:orders"
    assert render.render_id == conductor.derived_id(render.caller, "key é")
    assert (render.inbox, render.status, render.ref_code) == (None, "finalized", "order-7")
    # The key is none of what was asked for: without it the same would be asked.
    assert render.request_sha256 == wiring.manifest().read(other["renderId"]).request_sha256


def test_a_film_that_is_asked_for_is_one_run(films, deliver):
    asked = {"script": script("one", "two"), "order": {"clip": ["01"]}, "idempotencyKey": "k"}
    taken = [deliver(asked, "FilmRequested", name=name) for name in ("a", "b")]
    assert taken[0] == taken[1]
    run = films.end(wiring.manifest().run("film", taken[0]["runId"]))
    assert (run.status, run.total, len(films.jobs())) == ("finished", 1, 1)


def test_what_is_at_fault_is_told_of_and_never_tried_again(films, deliver):
    bad = [
        ("ClipRequested", {}, {"prompt"}),
        ("ClipRequested", {"prompt": "a", "duration": "6", "x": 1}, {"duration", "x"}),
        ("ClipRequested", {"prompt": "\ud800"}, {"body"}),
        ("ClipRequested", {**CLIP, "idempotencyKey": 7}, {"idempotencyKey"}),
        ("ClipRequested", {"duration": 1, "idempotencyKey": "a\n"}, {"idempotencyKey"}),
        ("ClipRequested", {"detail": [float("nan")]}, {"body"}),
        ("ClipRequested", [], {"body"}),
        ("FilmRequested", CLIP, {"prompt", "duration", "refCode", "script"}),
        ("FilmRequested", {"script": {"clips": []}}, {"script.clips"}),
        ("FilmRequested", {"script": script("a"), "order": {"only": []}}, {"order.only"}),
    ]
    for number, (kind, detail, fields) in enumerate(bad):
        taken = deliver(detail, kind, name=f"bad-{number}")
        assert taken["outcome"] == "refused", detail
        told = deliver.refused[-1]
        assert (told["detailType"], told["source"]) == (kind, "orders")
        assert told["eventId"] == f"bad-{number}"
        assert fields <= {each["field"] for each in told["errors"]}, told
        assert 'prompt": "a' not in json.dumps(told)
    deliver({**CLIP, "idempotencyKey": "k"})
    conflict = deliver({**CLIP, "duration": 2, "idempotencyKey": "k"})
    assert (conflict["outcome"], conflict["errors"][0]["field"]) == ("refused", "idempotencyKey")
    assert len(deliver.refused) == len(bad) + 1
    films.settle()
    assert len(films.jobs()) == 1


def test_our_own_events_ask_for_nothing_and_our_own_faults_are_raised(films, deliver, monkeypatch):
    assert deliver(CLIP, source="videoconductor")["outcome"] == "ignored"
    assert deliver(CLIP, "ClipReady")["outcome"] == "ignored"

    def fail(*arguments, **named):
        raise ManifestUnavailable("down")

    with monkeypatch.context() as broken:
        broken.setattr(wiring.manifest(), "create", fail)
        with pytest.raises(ManifestUnavailable):
            deliver(CLIP)
    with monkeypatch.context() as broken:

        def silent(detail):
            raise EventsUnavailable("down")

        broken.setattr(wiring.events(), "refused", silent)
        with pytest.raises(EventsUnavailable):
            deliver({})
    assert deliver(CLIP)["outcome"] == "accepted"
    films.settle()
    assert len(films.jobs()) == 1
