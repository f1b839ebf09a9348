"""Turns, through the real machine: who waits, what a 429 says to the others, and what is lost."""

import pytest

from tests.workflow.conftest import stage_on
from videoconductor import wiring
from videoconductor.errors import ManifestUnavailable
from videoconductor.providers import xai
from videoconductor.slots import micros
from videoconductor.workflow.guards import CLOSED_SECONDS

VIDEO, IMAGE = "grok-imagine-video", "grok-imagine-image"


def line(stage, model):
    key = {"pk": {"S": f"TURNS#{model}"}, "sk": {"S": "LINE"}}
    return stage.dynamodb.get_item(TableName="table", Key=key).get("Item")


def posts(stage):
    rows = stage.simulator.requests()
    return [row["status"] for row in rows if row["method"] == "POST"]


def test_a_clip_waits_until_the_line_is_open_and_is_sent_once(stage):
    wiring.turns().close(VIDEO, 30)
    execution = stage.run(stage.submit())
    assert execution.status == "SUCCEEDED"
    assert execution.path[:7] == [
        *("NeedsFirstFrame", "Start", "IsStarted", "AwaitTurn"),
        *("NeedsFirstFrame", "Start", "IsStarted"),
    ]
    assert execution.path.count("AwaitTurn") == 1
    assert 28 <= stage.waits[0] <= 30
    assert len(stage.jobs()) == 1


def test_what_waits_has_no_permit_and_nothing_on_record(stage):
    wiring.turns().close(VIDEO, 3000)
    seen = []
    stage.while_waiting = lambda: seen.append(stage.record(render))
    render = stage.submit()
    stage.run(render)
    assert seen[0].status == "planned"
    assert (seen[0].attempts, seen[0].held_ticks, seen[0].slot) == ((), 0, None)
    assert stage.record(render).slot is None


def test_a_429_closes_the_line_for_the_clips_that_come_after(stage):
    stage.run(stage.submit(prompt="a lamp [[sim:start429]]"))
    closed = int(line(stage, VIDEO)["closedUntil"]["N"])
    assert micros(stage.now()) - closed < 600_000_000
    assert posts(stage) == [429, 200]
    assert int(line(stage, VIDEO)["strain"]["N"]) > 0


def test_a_429_that_does_not_say_how_long_closes_it_for_a_second(stage, monkeypatch):
    asked = []
    close = wiring.turns().close
    monkeypatch.setattr(
        wiring.turns(), "close", lambda *given: (asked.append(given), close(*given))
    )
    stage.run(stage.submit(prompt="a lamp [[sim:start429]]"))
    assert asked == [(VIDEO, CLOSED_SECONDS)]


def test_a_429_that_asks_for_too_much_closes_the_line_for_ten_minutes(stage, monkeypatch):
    monkeypatch.setattr(xai, "_retry_after", lambda *_: 10**9)
    render = stage.submit(prompt="a lamp [[sim:start429]]")
    assert stage.run(render).status == "SUCCEEDED"
    assert posts(stage) == [429, 200]
    assert 500 < sum(stage.waits) < 900


def test_a_429_that_cannot_be_told_to_the_others_is_on_record_all_the_same(stage, monkeypatch):
    def down(*_):
        raise ManifestUnavailable("down")

    monkeypatch.setattr(wiring.turns(), "close", down)
    render = stage.submit(prompt="a lamp [[sim:start429]]")
    assert stage.run(render).status == "SUCCEEDED"
    assert [attempt.outcome for attempt in stage.record(render).attempts] == ["refused", "accepted"]


def test_a_still_and_its_clip_stand_in_lines_of_their_own(stage):
    wiring.turns().close(IMAGE, 20)
    execution = stage.run(stage.submit(firstFramePrompt="a lamp", qualityMode="draft_i2v"))
    assert execution.status == "SUCCEEDED"
    assert execution.path[:4] == ["NeedsFirstFrame", "FirstFrame", "IsFramed", "AwaitTurn"]
    assert execution.path.count("AwaitTurn") == 1
    assert line(stage, IMAGE) is not None
    assert line(stage, "grok-imagine-video-1.5") is not None


def test_a_clip_that_is_cancelled_while_it_waits_is_never_sent(stage):
    wiring.turns().close(VIDEO, 60)
    render = stage.submit()
    stage.while_waiting = lambda: wiring.conductor().cancel(render.render_id)
    stage.run(render)
    assert stage.record(render).status == "cancelled"
    assert posts(stage) == []


@pytest.mark.parametrize("call", ["reserve", "stand"])
def test_while_the_line_cannot_be_read_nothing_is_sent(stage, monkeypatch, call):
    def down(*_):
        raise ManifestUnavailable("down")

    monkeypatch.setattr(wiring.turns(), call, down)
    render = stage.submit()
    stage.run(render)
    assert posts(stage) == []
    assert stage.record(render).attempts == ()


def test_with_a_limit_of_nought_no_line_is_kept(simulator, handlers, monkeypatch):
    with stage_on(simulator, handlers, monkeypatch, REQUESTS_PER_SECOND="0") as stage:
        assert stage.run(stage.submit()).status == "SUCCEEDED"
        assert line(stage, VIDEO) is None


def test_the_setting_goes_before_the_file(simulator, handlers, monkeypatch):
    with stage_on(simulator, handlers, monkeypatch, REQUESTS_PER_SECOND="0.5"):
        assert wiring.limit(VIDEO).per_second == wiring.limit("anything").per_second == 0.5
    with stage_on(simulator, handlers, monkeypatch, REQUESTS_PER_SECOND=""):
        assert wiring.limit(VIDEO).per_second == wiring.models().models[VIDEO].rate_limit.per_second
        assert wiring.limit("anything") is None
