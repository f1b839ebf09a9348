"""Drift: xAI bills otherwise than models.json says, or answers with another model."""

import json
import re
from types import SimpleNamespace

import pytest

from tests.workflow.conftest import KEY, Killed, stage_on
from videoconductor import wiring
from videoconductor.errors import EventsUnavailable
from xai_simulator.options import SimulatorOptions
from xai_simulator.server import running

CLASSIC, LITE = "grok-imagine-video", "grok-imagine-video-1.5-lite"
OTHER, ALIAS = "grok-imagine-video-1.5", "grok-imagine-video-1.5-2026-05-30"
DEARER = {CLASSIC: 1.4, "grok-imagine-image": 1.4}


@pytest.fixture(scope="module")
def drifting():
    """An xAI that has changed since models.json was written."""
    options = SimulatorOptions(
        key=KEY, job_seconds=0.2, price_factor=DEARER, serve_as={LITE: CLASSIC, OTHER: ALIAS}
    )
    with running(options) as server:
        yield server


@pytest.fixture
def stage(drifting, handlers, monkeypatch, request):
    with stage_on(drifting, handlers, monkeypatch, **getattr(request, "param", {})) as made:
        yield made


def counted(capsys):
    """The sums of the metrics that were counted since the last look."""
    sums = {}
    for line in capsys.readouterr().out.splitlines():
        if line.startswith("{") and '"CloudWatchMetrics"' in line:
            told = json.loads(line)
            for name, [value] in ((n, v) for n, v in told.items() if isinstance(v, list)):
                sums[name] = round(sums.get(name, 0) + value, 6)
    return sums


def told(stage):
    return [(name, detail["what"], detail["attempt"]) for name, detail in stage.drifts]


def test_a_price_that_has_drifted_is_told_with_the_first_clip_and_once(stage, capsys):
    render = stage.submit(clipId="opener", pipelineRequestId="film-1")

    assert stage.run(render).status == "SUCCEEDED"

    [(name, detail)] = stage.drifts
    assert name == "PriceDrift"
    assert detail == {
        "renderId": render.render_id,
        "clipId": "opener",
        "pipelineRequestId": "film-1",
        "qualityMode": "draft",
        "status": "finalized",
        "what": "clip",
        "attempt": 1,
        "requestId": stage.jobs()[0]["id"],
        "model": CLASSIC,
        "leastUsd": 0.05,
        "reservedUsd": 0.05,
        "costUsd": 0.07,
        "percent": 40.0,
        "pricesAsOf": wiring.models().models[CLASSIC].as_of,
        "refCode": None,
        "purpose": None,
    }
    sums = counted(capsys)
    assert (sums["PriceDrift"], sums["ReservedUsd"], sums["SpentUsd"]) == (1, 0.05, 0.07)
    assert wiring.manifest().caps().stopped_at is None
    document = stage.record(render).model_dump(mode="json")
    stage.invoke("finalize", document)
    stage.invoke("record_failure", document)
    assert len(stage.published) == len(stage.drifts) == 1
    assert counted(capsys).keys().isdisjoint({"PriceDrift", "ReservedUsd", "SpentUsd"})


def test_another_model_is_told_of_and_an_alias_is_not(stage, capsys):
    lite = stage.submit(qualityMode="preview")
    stage.run(lite)

    [(name, detail)] = stage.drifts
    assert (name, detail["model"], detail["modelServed"]) == ("ModelDrift", LITE, CLASSIC)
    assert counted(capsys)["ModelDrift"] == 1

    stage.run(alias := stage.submit(qualityMode="draft_15"))
    assert stage.record(alias).attempts[0].model_served == ALIAS
    assert len(stage.drifts) == 1


def test_a_cost_that_is_not_reported_has_not_drifted(stage):
    render = stage.submit(prompt="a lamp [[sim:no_usage]]")
    stage.run(render)
    assert (stage.record(render).status, stage.drifts) == ("finalized", [])


@pytest.mark.parametrize("marker", ["moderated", "moderated_400"])
def test_a_moderated_clip_counts_and_a_retry_tells_of_the_new_post_alone(stage, marker):
    render = stage.submit(qualityMode="preview", model=CLASSIC, prompt=f"a lamp [[sim:{marker}]]")
    stage.run(render)
    assert told(stage) == [("PriceDrift", "clip", 1)]
    assert stage.drifts[0][1]["status"] == "failed"

    stage.run(wiring.conductor().retry(render.render_id))
    assert told(stage) == [("PriceDrift", "clip", 1), ("PriceDrift", "clip", 2)]


def test_the_model_of_a_clip_that_was_withheld_is_known(stage):
    render = stage.submit(qualityMode="preview", prompt="a lamp [[sim:moderated]]")
    stage.run(render)
    assert stage.record(render).status == "failed"
    assert told(stage) == [("ModelDrift", "clip", 1)]


def test_a_still_is_a_post_of_its_own(stage):
    render = stage.submit(firstFramePrompt="a lamp", clipId="c", prompt="it glows")
    stage.run(render)
    assert told(stage) == [("PriceDrift", "still", 1)]
    assert stage.drifts[0][1]["reservedUsd"] == 0.02
    assert stage.drifts[0][1]["costUsd"] == 0.028


@pytest.mark.parametrize("stage", [{"STOP_ON_DRIFT": "True"}], indirect=True)
def test_with_the_stop_no_post_follows_the_first_that_drifted_upwards(stage):
    first = stage.submit()
    stage.run(first)
    caps = wiring.manifest().caps()
    assert caps.stopped_at == stage.now()
    assert re.search(
        rf"PriceDrift: .*{CLASSIC} cost \$0\.07 where \$0\.05 .*{first.render_id}",
        caps.stopped_because,
    )

    second = stage.submit()
    assert stage.run(second).error == "SpendingStopped"
    assert stage.record(second).status == "failed"
    assert len(stage.jobs()) == 1
    assert len(stage.drifts) == 1


@pytest.mark.parametrize("stage", [{"PRICE_DRIFT_PERCENT": "40"}], indirect=True)
def test_what_is_within_the_set_percentage_is_no_drift(stage):
    stage.run(stage.submit())
    assert (len(stage.published), stage.drifts) == (1, [])


@pytest.mark.parametrize(
    ("marker", "reserved", "spent"),
    [
        ("start429", 0.05, 0.07),
        ("lost", 0.05, None),
        ("start503", 0.05, None),
        ("nocredits", None, None),
    ],
)
def test_what_is_reserved_is_counted_once_and_what_is_refused_is_not(
    stage, capsys, marker, reserved, spent
):
    stage.run(stage.submit(prompt=f"a lamp [[sim:{marker}]]"))
    sums = counted(capsys)
    assert (sums.get("ReservedUsd"), sums.get("SpentUsd")) == (reserved, spent)


def test_a_silent_bus_hears_of_both_when_it_is_back_and_neither_is_lost(stage, monkeypatch, capsys):
    publish, tries = wiring.events().publish, []

    def silent(*arguments):
        tries.append(arguments)
        if len(tries) < 3:
            raise EventsUnavailable("down")
        if len(tries) == 3:
            publish(*arguments)
            raise Killed  # it was published, and nobody marked it
        return publish(*arguments)

    monkeypatch.setattr(wiring.events(), "publish", silent)
    render = stage.submit()
    stage.run(render)
    assert stage.record(render).announced == "finalized"
    assert told(stage) == 2 * [("PriceDrift", "clip", 1)]
    assert len(stage.published) == 2  # at least once, and never one without the other
    assert counted(capsys)["PriceDrift"] == 1


def test_a_drift_that_the_bus_refuses_alone_is_told_by_the_sweep(stage, monkeypatch):
    client, refused = wiring.events()._client, []
    real = client.put_events

    def put_events(Entries):  # noqa: N803
        reply = real(Entries=Entries[:1] if not refused else Entries)
        if not refused:
            refused.append(Entries[1]["DetailType"])
            reply["Entries"].append({"ErrorCode": "InternalFailure"})
        return reply

    monkeypatch.setattr(wiring.events(), "_client", SimpleNamespace(put_events=put_events))
    render = stage.submit()
    assert stage.run(render).status == "SUCCEEDED"
    assert refused == ["PriceDrift"]
    assert stage.record(render).is_open

    wiring.conductor().announce(stage.record(render))  # as the sweep does with what is open

    assert told(stage) == [("PriceDrift", "clip", 1)]
    assert not stage.record(render).is_open
