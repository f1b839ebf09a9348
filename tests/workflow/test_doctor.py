"""The doctor: each kind of disorder is found by itself, and repaired or named with what helps."""

from __future__ import annotations

import base64
import json
import shlex
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from typer.testing import CliRunner

from tests.workflow.conftest import REGION, FilmStage, load_handler
from tests.workflow.gateway import client_of
from tests.workflow.test_doors import CONTEXT
from tests.workflow.test_film import script
from tests.workflow.test_film_failures import until
from videoconductor import VideoConductor, answers, examining, wiring
from videoconductor.client import Diagnosis
from videoconductor.client.errors import InvalidRequest
from videoconductor.clip import SETTLED, Attempt, Render
from videoconductor.errors import EventsUnavailable, MachineUnavailable
from videoconductor_cli import address
from videoconductor_cli.main import app

pytestmark = pytest.mark.long

LATER = 120
PREFIX = "generated/videos"
MP4 = b"\0\0\0\x18ftypmp42 no clip of anybody"


@pytest.fixture(scope="module")
def door() -> Any:
    return load_handler("doctor")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(wiring, "pause", taken.append)
    return taken


@pytest.fixture
def client(
    films: FilmStage, door: Any, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> VideoConductor:
    """The client, whose requests reach the function's handler."""

    def look(answer: dict[str, Any]) -> None:
        if answer["statusCode"] == 200:
            answers.Examination.model_validate_json(answer["body"], strict=True, by_name=False)

    wiring.treasurer.cache_clear()
    made = client_of(door, CONTEXT, look)
    monkeypatch.setattr(address, "client", lambda api, data_folder: made)
    return made


@pytest.fixture
def sweep(films: FilmStage) -> Callable[..., dict[str, Any]]:
    handler = load_handler("sweep").handler
    return lambda **order: handler({"id": "e", "detail-type": "Scheduled Event", **order}, CONTEXT)


def run(*arguments: str) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(app, list(arguments))
    return outcome.exit_code, outcome.stdout, outcome.stderr


def kinds(found: Diagnosis) -> list[tuple[str, str]]:
    return sorted((one["kind"], one["name"]) for one in found.findings)


def repaired(found: Diagnosis) -> list[tuple[str, str, str | None]]:
    return sorted((one["kind"], one["name"], one["repaired"]) for one in found.findings)


def later(films: FilmStage) -> None:
    """Beyond every grace: objects bear the time of this machine's clock, not of the stage's."""
    behind = (datetime.now(UTC) - films.now()).total_seconds()
    films.elapsed += max(behind, 0) + 7200


def finished(films: FilmStage, **fields: Any) -> Render:
    render = films.submit(**fields)
    films.run(render)
    record = films.record(render)
    assert record.status == "finalized", record.failure
    return record


def items(films: FilmStage) -> list[dict[str, Any]]:
    found = films.dynamodb.scan(TableName="table")["Items"]
    return sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def delete(films: FilmStage, pk: str, sk: str) -> dict[str, Any]:
    """Take an item away; what it was."""
    found = films.dynamodb.get_item(TableName="table", Key=key(pk, sk))["Item"]
    films.dynamodb.delete_item(TableName="table", Key=key(pk, sk))
    return dict(found)


def changed(films: FilmStage, render: Render, **fields: Any) -> Render:
    """A render as it never was: written past the ledger, as only a test would."""
    record = films.record(render).model_copy(update=fields)
    delete(films, f"RENDER#{render.render_id}", "RENDER")
    wiring.manifest().create(record)
    return films.record(render)


def without_execution(films: FilmStage, monkeypatch: pytest.MonkeyPatch, prompt: str) -> Render:
    def fail(render: Render) -> None:
        raise MachineUnavailable("down")

    with monkeypatch.context() as broken:
        broken.setattr(wiring.machine(), "start", fail)
        with pytest.raises(Exception, match="on record"):
            films.submit(key=prompt, prompt=prompt)
    return wiring.manifest().renders(films.now(), 1)[0]


def end_all(films: FilmStage) -> None:
    """Cancel what would go on for ever."""
    for render in wiring.manifest().renders(films.now(), 100):
        if render.status not in SETTLED:
            wiring.conductor().cancel(render.render_id)
    films.settle()


# ── No false alarm ───────────────────────────────────────────────────────────────────────────────


def test_a_healthy_stack_has_no_finding_whatever_was_done_in_it(
    films: FilmStage,
    client: VideoConductor,
    sweep: Callable[..., dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert client.doctor().is_healthy
    opener = finished(films, clipId="opener", pipelineRequestId="intro")
    films.elapsed += 1
    finished(films, clipId="opener", pipelineRequestId="intro")  # the first is superseded
    films.film(script("one", "two [[sim:moderated]]"))
    films.film(script("one", "two [[sim:moderated]]"), force=True, max_cost_usd=5)
    moderated = films.submit(prompt="x [[sim:moderated]]")
    films.run(moderated)
    # Cancelled before it was sent, and while xAI was at it.
    early = without_execution(films, monkeypatch, "early")
    wiring.conductor().cancel(early.render_id)
    under_way = films.submit(prompt="long [[sim:hang]]")
    until(lambda: films.record(under_way).status == "rendering")
    wiring.conductor().cancel(under_way.render_id)
    films.run(under_way)
    # No picture could be had of it, and another came for the key of this one.
    monkeypatch.setattr(films, "paint", lambda *arguments: 1 / 0)
    finished(films, prompt="no picture")
    contested = films.submit(prompt="contested", key="contested", clipId="c")
    taken = wiring.library().clip_key(contested)
    films.s3.put_object(Bucket="library", Key=taken, Body=MP4)
    films.run(contested)
    assert films.record(contested).failure.error == "ClipConflict"
    wiring.conductor().retry(contested.render_id, may_charge_twice=True)
    films.run(films.record(contested))
    assert films.record(contested).status == "finalized"
    # What was taken in lies elsewhere, or where it lay in the bucket.
    own = f"{PREFIX}/brought/mine/draft/mine.mp4"
    films.s3.put_object(Bucket="library", Key=own, Body=MP4)
    taken_in = [
        {"id": "theirs", "status": "done", "url": "https://example.com/theirs.mp4"},
        {"id": "gone", "status": "done", "temporaryUrl": "https://vidgen.x.ai/gone.mp4"},
        {"id": "mine", "status": "done", "url": f"s3://library/{own}"},
        {"id": "far", "status": "done", "url": "s3://another/far.mp4"},
        {"id": "beside", "status": "done", "url": "s3://library/somewhere/else.mp4"},
    ]
    wiring.director().take_in("brought", json.dumps({"version": 3, "clips": taken_in}))
    films.settle()
    films.elapsed += LATER
    sweep()

    for _ in range(2):
        found = client.doctor()
        assert kinds(found) == []
        later(films)
    assert found.looked["renders"] >= 9
    assert found.looked["entries"] >= 8
    assert found.looked["counters"] > 3
    # What nobody waits for any more is held by a decision.
    assert found.document["decided"] == {"renders": 1, "heldUsd": 0.05}
    before = items(films)
    assert client.doctor(repair=True, may_post=True).findings == ()
    assert items(films) == before
    code, out, err = run("doctor")
    assert (code, out) == (0, "healthy\n")
    assert "looked at 0 deliveries, 1" in err
    assert "held by somebody's decision: $0.050 for 1 render" in err
    assert films.record(opener).status == "finalized"


def test_what_is_under_way_is_no_finding_and_is_left_alone(
    films: FilmStage, client: VideoConductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = films.submit(prompt="a [[sim:hang]]")
    made, _ = films.accept(script("one [[sim:hang]]", "two [[sim:hang]]"))
    until(lambda: len(films.jobs()) == 3)
    until(lambda: {r.status for r in wiring.manifest().renders(films.now(), 9)} == {"rendering"})
    for moment in (0, LATER):
        films.elapsed += moment
        assert client.doctor().findings == ()
        assert client.doctor(repair=True, may_post=True).findings == ()
        # One that began just now, or is beyond what is listed, is looked at by itself.
        with monkeypatch.context() as patch:
            patch.setattr(wiring.machine(), "running", lambda limit: frozenset())
            assert client.doctor(repair=True, may_post=True).findings == ()
    assert len(films.jobs()) == 3
    record = films.record(alone)
    assert (record.executions, len(record.attempts)) == (1, 1)
    assert wiring.manifest().run(made.film, made.run_id).executions == 1
    end_all(films)


def test_what_moved_between_two_looks_is_alive(
    films: FilmStage, client: VideoConductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = without_execution(films, monkeypatch, "a lamp")
    films.elapsed += LATER

    looks: list[float] = []

    def pause(seconds: float) -> None:
        if not looks:
            wiring.conductor().resume(lost.render_id)
        looks.append(seconds)

    monkeypatch.setattr(wiring, "pause", pause)
    assert client.doctor(repair=True, may_post=True).findings == ()
    assert looks
    films.run(films.record(lost))
    assert films.record(lost).executions == 2


# ── Renders and runs ─────────────────────────────────────────────────────────────────────────────


def test_a_render_that_was_never_sent_is_set_going_only_if_that_is_wanted(
    films: FilmStage, client: VideoConductor, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    lost = without_execution(films, monkeypatch, "a lamp")
    assert client.doctor().findings == ()  # it may be just about to be started
    films.elapsed += LATER
    wanted = [("render_without_execution", lost.render_id)]
    for repair in (False, True):
        found = client.doctor(repair=repair)
        assert kinds(found) == wanted
        [finding] = found.findings
        assert finding["repaired"] is None
        assert finding["commands"] == [
            "videoconductor doctor --repair --may-post",
            f"videoconductor resume {lost.render_id}",
        ]
    assert pauses == [examining.SECONDS_BETWEEN_LOOKS] * 2
    assert films.jobs() == []
    found = client.doctor(repair=True, may_post=True)
    assert repaired(found) == [("render_without_execution", lost.render_id, "resumed")]
    assert found.is_healthy
    films.run(films.record(lost))
    assert films.record(lost).status == "finalized"
    assert len(films.jobs()) == 1
    assert client.doctor().findings == ()


def test_a_render_that_waits_for_its_job_is_resumed_and_nothing_is_sent(
    films: FilmStage, client: VideoConductor
) -> None:
    render = films.submit(prompt="a [[sim:hang]]")
    until(lambda: films.record(render).status == "rendering")
    films.stop_clips()
    films.elapsed += LATER
    [finding] = client.doctor().findings
    assert finding["commands"][0] == "videoconductor doctor --repair"
    assert finding["heldUsd"] == 0.05
    found = client.doctor(repair=True)
    assert repaired(found) == [("render_without_execution", render.render_id, "resumed")]
    assert client.doctor().findings == ()
    assert len(films.jobs()) == 1
    films.elapsed += 21600
    films.run(films.record(render))
    assert films.record(render).status == "stalled"


def test_a_run_without_an_execution_is_found_with_its_clips(
    films: FilmStage, client: VideoConductor
) -> None:
    made, _ = films.accept(script("one [[sim:slow]]", "two [[sim:slow]]"))
    until(lambda: len(films.jobs()) == 2)
    films.stop_film(made, with_clips=True)
    films.elapsed += LATER
    name = f"film/{made.run_id}"
    found = client.doctor(repair=True)
    runs = [one for one in found.findings if one["kind"] == "run_without_execution"]
    assert [(one["name"], one["repaired"]) for one in runs] == [(name, None)]
    assert runs[0]["commands"] == ["videoconductor doctor --repair --may-post"]
    found = client.doctor(repair=True, may_post=True)
    assert ("run_without_execution", name, "resumed") in repaired(found)
    ended = films.end(wiring.manifest().run("film", made.run_id))
    films.settle()
    assert ended.status == "finished"
    assert len(films.videos()) == 2
    films.elapsed += LATER
    assert client.doctor().findings == ()


def test_what_nobody_was_told_of_is_announced(
    films: FilmStage, client: VideoConductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*arguments: Any) -> None:
        raise EventsUnavailable("down")

    with monkeypatch.context() as broken:
        broken.setattr(wiring.events(), "publish", silent)
        ready = finished(films)
        films.elapsed += LATER
        found = client.doctor(repair=True)
        assert repaired(found) == [("unannounced", ready.render_id, None)]
        assert found.findings[0]["commands"] == ["videoconductor doctor --repair"]
    ended = films.film(script("one"))
    wiring.manifest().update_run(ended, lambda r: r.model_copy(update={"announced": False}))
    films.elapsed += LATER
    found = client.doctor(repair=True)
    assert repaired(found) == [
        ("unannounced", ready.render_id, "announced"),
        ("unannounced", f"film/{ended.run_id}", "announced"),
    ]
    assert [event["renderId"] for event in films.published].count(ready.render_id) == 1
    assert [event["runId"] for event in films.ready] == [ended.run_id] * 2
    assert client.doctor().findings == ()


def test_what_only_a_person_can_resolve_is_listed_with_its_money_and_its_commands(
    films: FilmStage, client: VideoConductor
) -> None:
    unknown, stalled = films.submit(prompt="x [[sim:lost]]"), films.submit(prompt="y [[sim:hang]]")
    films.run(unknown)
    until(lambda: films.record(stalled).status == "rendering")
    films.elapsed += 21600
    films.run(stalled)
    for repair in (False, True):
        found = client.doctor(repair=repair, may_post=repair)
        assert kinds(found) == [
            ("stalled", stalled.render_id),
            ("submit_unknown", unknown.render_id),
        ]
    by_kind = {one["kind"]: one for one in found.findings}
    for kind, render in (("stalled", stalled), ("submit_unknown", unknown)):
        record, one = films.record(render), by_kind[kind]
        assert one["heldUsd"] == 0.05
        assert datetime.fromisoformat(one["since"]) == record.timeline[-1].at
        assert one["repaired"] is None
    name = unknown.render_id
    assert by_kind["submit_unknown"]["commands"] == [
        f"videoconductor attach {name} REQUEST_ID",
        f"videoconductor retry {name} --may-charge-twice",
        f"videoconductor abandon {name}",
    ]
    assert by_kind["stalled"]["commands"][0] == f"videoconductor attach {stalled.render_id}"
    assert len(films.jobs()) == 2

    code, out, _ = run("doctor", "--repair")
    assert code == 1
    assert (
        out.splitlines()[0] == "submit_unknown (1): xAI may have accepted these, and nobody knows"
    )
    assert f"      $ videoconductor abandon {name}" in out
    assert out.splitlines()[-1] == "2 findings left"
    assert "$0.050 held" in out
    code, out, _ = run("doctor", "--json")
    document = json.loads(out)
    assert (code, document["healthy"], len(document["findings"])) == (1, False, 2)
    _, out, _ = run("doctor", "--api", "https://other.example")
    assert f"videoconductor abandon {name} --api https://other.example" in out
    assert run("doctor", "--may-post")[0] == 2

    # Decided, they are no finding any more: what they hold is known.
    wiring.conductor().abandon(unknown.render_id)
    wiring.conductor().abandon(stalled.render_id)
    found = client.doctor()
    assert found.findings == ()
    assert found.document["decided"] == {"renders": 2, "heldUsd": 0.1}


def test_money_that_is_held_without_an_end_is_a_finding_unless_somebody_decided_it(
    films: FilmStage, client: VideoConductor
) -> None:
    render = finished(films)
    now = films.now()
    open_one = Attempt(
        number=1, permitted_at=now, lease_until=now, outcome="submitting", reserved_ticks=7 * 10**9
    )
    fields = {"clip": None, "job": None, "delivery": None, "failure": None}
    told = {"status": "cancelled", "announced": "cancelled", **fields}
    delete(films, "FILM#default", f"ENTRY#{render.entry_id}")
    changed(films, render, **told, attempts=(open_one.model_copy(update={"outcome": "accepted"}),))
    films.elapsed += LATER
    assert [one for one in client.doctor().findings if one["kind"] != "counter"] == []
    changed(films, render, attempts=(open_one,))
    for repair in (False, True):
        [finding] = [one for one in client.doctor(repair=repair).findings if one["kind"] == "held"]
        assert (finding["name"], finding["heldUsd"]) == (render.render_id, 0.7)
        assert finding["commands"] == [
            f"videoconductor attach {render.render_id} REQUEST_ID",
            f"videoconductor retry {render.render_id} --may-charge-twice",
        ]


# ── Clips, entries, objects ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("prefix", ["ENTRY#", "VERSION#", "both"])
@pytest.mark.parametrize("by", ["doctor", "sweep"])
def test_a_finished_clip_that_the_manifest_lacks_is_entered_from_its_record(
    films: FilmStage,
    client: VideoConductor,
    sweep: Callable[..., dict[str, Any]],
    prefix: str,
    by: str,
) -> None:
    films.film(script("one", "two"))
    [render] = films.renders("film")["01"]
    before = {one.id: one for one in wiring.manifest().entries("film")}
    lost = {
        f"ENTRY#{render.entry_id}",
        f"VERSION#{render.entry_id}#{films.record(render).clip_order}",
    }
    for name in lost:
        if name.startswith(prefix) or prefix == "both":
            delete(films, "FILM#film", name)
    films.elapsed += LATER
    finding = ("clip_without_entry", render.render_id)
    assert kinds(client.doctor()) == [finding]
    if by == "doctor":
        assert repaired(client.doctor(repair=True)) == [(*finding, "entered")]
    else:
        assert sweep()["entered"] == [render.render_id]
        assert sweep()["entered"] == []
    assert client.doctor().findings == ()
    after = {one.id: one for one in wiring.manifest().entries("film")}
    assert after.keys() == before.keys()
    for name, entry in after.items():
        same = {"updated_at": before[name].updated_at}
        assert entry.model_copy(update=same) == before[name]
    assert len(wiring.manifest().versions("film", render.entry_id)) == 1


def test_the_sweep_enters_clips_of_the_last_day_over_the_turn_of_a_month(
    films: FilmStage, sweep: Callable[..., dict[str, Any]]
) -> None:
    films.elapsed = (datetime(2026, 11, 30, 23, 50, tzinfo=UTC) - films.now()).total_seconds()
    render = finished(films)
    delete(films, "FILM#default", f"ENTRY#{render.entry_id}")
    films.elapsed += 1200
    assert films.now().month == 12
    finished(films)
    assert sweep()["entered"] == [render.render_id]
    delete(films, "FILM#default", f"ENTRY#{render.entry_id}")
    films.elapsed += 86_400
    assert sweep()["entered"] == []


def test_an_entry_that_is_lost_is_the_newest_clip_s_again(
    films: FilmStage, client: VideoConductor
) -> None:
    finished(films, clipId="opener", pipelineRequestId="intro")
    films.elapsed += 1
    newer = finished(films, clipId="opener", pipelineRequestId="intro")
    delete(films, "FILM#intro", f"ENTRY#{newer.entry_id}")
    films.elapsed += LATER
    # Both are looked at, in no order that means anything.
    found = client.doctor(repair=True)
    assert {how for _, _, how in repaired(found)} == {"entered"}
    entry = wiring.manifest().entry("intro", newer.entry_id)
    assert entry is not None
    assert entry.render_id == newer.render_id
    assert client.doctor().findings == ()


def test_a_clip_whose_object_is_gone_or_another_is_named_with_the_way_back(
    films: FilmStage, client: VideoConductor
) -> None:
    render = finished(films)
    assert render.clip is not None
    films.s3.delete_object(Bucket="library", Key=render.clip.key)
    for repair in (False, True):
        found = client.doctor(repair=repair)
        assert kinds(found) == [("entry_without_object", render.render_id)]
    [finding] = found.findings
    look, bring_back = map(shlex.split, finding["commands"])
    assert look[:3] == ["aws", "s3api", "list-object-versions"]
    asked = dict(zip(look[3::2], look[4::2], strict=True))
    listed = films.s3.list_object_versions(Bucket=asked["--bucket"], Prefix=asked["--prefix"])
    [marker] = listed["DeleteMarkers"]
    asked = dict(zip(bring_back[3::2], bring_back[4::2], strict=True))
    assert asked["--version-id"] == "DELETE_MARKER"
    films.s3.delete_object(
        Bucket=asked["--bucket"], Key=asked["--key"], VersionId=marker["VersionId"]
    )
    assert client.doctor().findings == ()
    films.s3.put_object(Bucket="library", Key=render.clip.key, Body=MP4)
    [finding] = client.doctor().findings
    assert finding["kind"] == "entry_without_object"
    assert f"has {len(MP4)} bytes, not {render.clip.bytes}" in finding["words"]


def test_an_entry_that_was_taken_in_for_an_object_of_ours_that_is_not_there(
    films: FilmStage, client: VideoConductor
) -> None:
    gone = f"{PREFIX}/brought/mine/draft/mine.mp4"
    clips = [{"id": "mine", "status": "done", "url": f"s3://library/{gone}"}]
    wiring.director().take_in("brought", json.dumps({"version": 3, "clips": clips}))
    found = client.doctor(repair=True)
    assert kinds(found) == [("entry_without_object", "brought/mine::draft")]
    assert gone in found.findings[0]["words"]


def test_an_object_that_nothing_names_is_found_once_it_is_old_enough(
    films: FilmStage, client: VideoConductor
) -> None:
    ready = finished(films, pipelineRequestId="intro", clipId="opener")
    assert ready.clip is not None
    stray = f"{PREFIX}/intro/opener/draft/by hand.mp4"
    earlier = ready.clip.key.replace(".mp4", "-7.mp4")
    for name in (stray, earlier, ready.clip.key.replace(".mp4", ".0123456789abcdef.mp4")):
        films.s3.put_object(Bucket="library", Key=name, Body=MP4)
    films.s3.put_object(Bucket="library", Key=f"{PREFIX}/notes.txt", Body=b"x")
    failed = films.submit(prompt="x [[sim:moderated]]", pipelineRequestId="intro", clipId="b")
    films.run(failed)
    copied = wiring.library().clip_key(films.record(failed))
    films.s3.put_object(Bucket="library", Key=copied, Body=MP4)
    assert kinds(client.doctor()) == []
    later(films)
    for repair in (False, True):
        found = client.doctor(repair=repair)
        wanted = [("object_without_entry", name) for name in (stray, earlier, copied)]
        assert kinds(found) == sorted(wanted)
    by_name = {one["name"]: one for one in found.findings}
    attach = f"videoconductor attach {failed.render_id}"
    assert by_name[copied]["commands"][0] == attach
    assert by_name[stray]["commands"] == [
        f"aws s3 cp 's3://library/{stray.removesuffix('mp4')}json' -",
        f"aws s3 cp 's3://library/{stray}' .",
        f"aws s3 rm 's3://library/{stray}'",
    ]
    # An entry of the film makes it known; so does a version of the clip.
    clips = [{"id": "x", "status": "done", "url": f"s3://library/{stray}"}]
    wiring.director().take_in("intro", json.dumps({"version": 3, "clips": clips}))
    assert stray not in {one["name"] for one in client.doctor().findings}
    delete(films, f"RENDER#{ready.render_id}", "RENDER")
    assert ready.clip.key not in {one["name"] for one in client.doctor().findings}


# ── Executions, money, queues, deliveries ────────────────────────────────────────────────────────


def test_executions_of_what_is_not_on_record_are_found(
    films: FilmStage, client: VideoConductor
) -> None:
    go_on = threading.Event()
    made, _ = films.accept(script("one [[sim:hang]]"))
    until(lambda: {r.status for r in wiring.manifest().renders(films.now(), 9)} == {"rendering"})
    films.while_waiting = lambda: go_on.wait(30)
    try:
        [clip] = films.renders("film")["01"]
        until(lambda: films.waits)
        kept = [
            delete(films, f"RENDER#{clip.render_id}", "RENDER"),
            delete(films, "FILM#film", f"RUN#{made.order}"),
        ]
        found = client.doctor(repair=True, may_post=True)
        wanted = {f"{clip.render_id}-1", f"{made.run_id}-1"}
        told = {one["name"]: one for one in found.findings if one["kind"] != "object"}
        assert wanted == {n for n, o in told.items() if o["kind"] == "execution_without_record"}
        command = shlex.split(told[f"{clip.render_id}-1"]["commands"][1])
        assert command[:3] == ["aws", "stepfunctions", "stop-execution"]
        assert command[4].endswith(f":{clip.render_id}-1")
        for item in kept:
            films.dynamodb.put_item(TableName="table", Item=item)
        assert kinds(client.doctor()) == []
    finally:
        films.while_waiting = None
        go_on.set()
    end_all(films)


def test_a_counter_that_was_changed_is_set_right_by_its_command(
    films: FilmStage, client: VideoConductor
) -> None:
    finished(films, pipelineRequestId="it's ours")
    place = key("SPEND#film", "it's ours")
    films.dynamodb.update_item(
        TableName="table",
        Key=place,
        UpdateExpression="ADD totalTicks :n",
        ExpressionAttributeValues={":n": {"N": "7"}},
    )
    for repair in (False, True):
        found = client.doctor(repair=repair)
        assert kinds(found) == [("counter", "film it's ours")]
    check, mend = found.findings[0]["commands"]
    assert check == "videoconductor costs --check"
    typed(films, mend)
    assert client.doctor().findings == ()
    films.dynamodb.delete_item(TableName="table", Key=place)
    [finding] = client.doctor().findings
    typed(films, finding["commands"][1])
    assert client.doctor().findings == ()


def typed(films: FilmStage, command: str) -> None:
    """Do what a command of the AWS command line would."""
    words = shlex.split(command)
    assert words[:3] == ["aws", "dynamodb", "update-item"]
    asked = dict(zip(words[3::2], words[4::2], strict=True))
    films.dynamodb.update_item(
        TableName=asked["--table-name"],
        Key=json.loads(asked["--key"]),
        UpdateExpression=asked["--update-expression"],
        ConditionExpression=asked["--condition-expression"],
        ExpressionAttributeValues=json.loads(asked["--expression-attribute-values"]),
    )


def test_many_entries_are_checked_by_months_and_days(
    films: FilmStage, client: VideoConductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(films)
    films.elapsed += 20 * 86_400
    finished(films)
    whole = client.doctor().looked["counters"]
    monkeypatch.setattr(examining, "ENTRIES_AT_ONCE", 2)
    # Films count for good, so they are left to the check of everything.
    assert client.doctor().looked["counters"] == whole - 1
    monkeypatch.setattr(examining, "ENTRIES_AT_ONCE", 1)
    assert client.doctor().looked["counters"] == 2
    place = key("SPEND#day", "2026-12-12")
    films.dynamodb.update_item(
        TableName="table",
        Key=place,
        UpdateExpression="ADD heldTicks :n",
        ExpressionAttributeValues={":n": {"N": "7"}},
    )
    assert kinds(client.doctor()) == [("counter", "day 2026-12-12")]


def test_dead_letters_are_counted(
    films: FilmStage, client: VideoConductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs = boto3.client("sqs", REGION)
    urls = {
        variable: sqs.create_queue(QueueName=name)["QueueUrl"]
        for variable, name in (
            ("DEAD_LETTERS_URL", "dead"),
            ("WEBHOOK_DEAD_LETTERS_URL", "dead-hooks"),
        )
    }
    for variable, url in urls.items():
        monkeypatch.setenv(variable, url)
    wiring.settings.cache_clear()
    found = client.doctor()
    assert (found.findings, found.looked["queues"]) == ((), 2)
    for url in urls.values():
        sqs.send_message(QueueUrl=url, MessageBody="x")
    found = client.doctor(repair=True)
    assert kinds(found) == [("dead_letters", "dead"), ("dead_letters", "dead-hooks")]
    events, hooks = (one["commands"] for one in found.findings)
    assert events == [
        f"aws sqs receive-message --queue-url {urls['DEAD_LETTERS_URL']} "
        "--message-attribute-names All"
    ]
    assert hooks == ["videoconductor webhook dead", "videoconductor webhook dead --redeliver"]
    assert found.findings[0]["words"].startswith("1 events")


def test_what_cannot_be_read_is_named_and_keeps_nothing_else_from_being_looked_at(
    films: FilmStage, client: VideoConductor, sweep: Callable[..., dict[str, Any]]
) -> None:
    spoilt, other = finished(films), films.submit(prompt="x [[sim:lost]]")
    films.run(other)
    films.elapsed += 1
    entered = finished(films, pipelineRequestId="intro")
    version = f"VERSION#{entered.entry_id}#{entered.clip_order}"
    delete(films, "FILM#intro", f"ENTRY#{entered.entry_id}")
    other_entry = finished(films, pipelineRequestId="outro")
    stray = f"{PREFIX}/intro/{entered.clip_id}/draft/by hand.mp4"
    films.s3.put_object(Bucket="library", Key=stray, Body=MP4)
    for place in (
        key(f"RENDER#{spoilt.render_id}", "RENDER"),
        key("FILM#intro", version),
        key("FILM#outro", f"ENTRY#{other_entry.entry_id}"),
    ):
        films.dynamodb.update_item(
            TableName="table",
            Key=place,
            UpdateExpression="SET document = :spoilt",
            ExpressionAttributeValues={":spoilt": {"S": '{"status": "unheard of"}'}},
        )
    later(films)
    # Whether a clip by hand is a version that cannot be read, nobody can tell.
    found = client.doctor()
    assert kinds(found) == [
        ("clip_without_entry", entered.render_id),
        ("submit_unknown", other.render_id),
        ("unreadable", f"FILM#outro ENTRY#{other_entry.entry_id}"),
        ("unreadable", f"RENDER#{spoilt.render_id} RENDER"),
    ]
    assert ("clip_without_entry", entered.render_id, "entered") in repaired(
        client.doctor(repair=True)
    )
    assert wiring.manifest().entry("intro", entered.entry_id) is not None
    assert sweep()["missed"] == []


@pytest.fixture
def lost_with_a_clip(films: FilmStage) -> tuple[Render, bytes]:
    """A render of which nobody knows whether xAI accepted it, and the clip it made of it."""
    ready = finished(films, prompt="the same")
    assert ready.clip is not None
    content = films.s3.get_object(Bucket="library", Key=ready.clip.key)["Body"].read()
    lost = films.submit(prompt="the same [[sim:lost]]", clipId="lost")
    films.run(lost)
    record = films.record(lost)
    sent = tuple(one.model_copy(update={"witness": "sent"}) for one in record.attempts)
    return changed(films, record, attempts=sent), content


def test_what_was_delivered_is_taken_up(
    films: FilmStage,
    client: VideoConductor,
    lost_with_a_clip: tuple[Render, bytes],
    sweep: Callable[..., dict[str, Any]],
) -> None:
    lost, content = lost_with_a_clip
    posts = len(films.jobs())
    films.elapsed += LATER
    assert sweep()["recovered"] == []
    place = wiring.library().witness_key(lost.render_id, 1)
    films.s3.put_object(Bucket="library", Key=place, Body=content)
    foreign = "incoming/nobody/1.mp4"
    films.s3.put_object(Bucket="library", Key=foreign, Body=content)
    later(films)
    found = client.doctor()
    assert kinds(found) == [
        ("delivery", lost.render_id),
        ("delivery", foreign),
        ("submit_unknown", lost.render_id),
    ]
    by_name = {one["name"]: one for one in found.findings if one["kind"] == "delivery"}
    assert by_name[lost.render_id]["commands"] == [
        "videoconductor doctor --repair",
        f"videoconductor attach {lost.render_id}",
    ]
    found = client.doctor(repair=True)
    assert repaired(found) == [
        ("delivery", lost.render_id, "recovered"),
        ("delivery", foreign, None),
    ]
    films.run(films.record(lost))
    assert films.record(lost).status == "finalized"
    assert len(films.jobs()) == posts
    assert kinds(client.doctor()) == [("delivery", foreign)]


def test_the_sweep_takes_up_what_was_delivered(
    films: FilmStage,
    sweep: Callable[..., dict[str, Any]],
    lost_with_a_clip: tuple[Render, bytes],
) -> None:
    lost, content = lost_with_a_clip
    place = wiring.library().witness_key(lost.render_id, 1)
    films.s3.put_object(Bucket="library", Key=place, Body=content)
    films.elapsed += LATER
    assert sweep()["recovered"] == [lost.render_id]
    films.run(films.record(lost))
    assert films.record(lost).status == "finalized"
    assert sweep()["recovered"] == []


# ── Pages ────────────────────────────────────────────────────────────────────────────────────────


def test_page_by_page_the_same_is_found(
    films: FilmStage, client: VideoConductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    films.film(script("one", "two [[sim:lost]]", "three [[sim:moderated]]"))
    finished(films)
    for number in range(3):
        films.s3.put_object(Bucket="library", Key=f"{PREFIX}/x/y/draft/{number}.mp4", Body=MP4)
    later(films)
    whole = client.doctor()
    assert len(whole.findings) == 4
    for name in ("ROWS", "OBJECTS", "DELIVERIES", "EXECUTIONS", "FILM_EXECUTIONS", "MAX_STEPS"):
        monkeypatch.setattr(examining, name, 1)
    seen: list[Diagnosis] = []
    slowly = client.doctor(on_page=seen.append)
    assert len(seen) > 20
    assert kinds(slowly) == kinds(whole)
    assert slowly.looked == whole.looked


def test_a_page_ends_when_its_time_is_up_or_enough_was_found(
    films: FilmStage, client: VideoConductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        films.s3.put_object(Bucket="library", Key=f"{PREFIX}/x/y/draft/{number}.mp4", Body=MP4)
    later(films)
    pages: list[Diagnosis] = []
    client.doctor(on_page=pages.append)
    assert len(pages) == 1
    monkeypatch.setattr(examining, "MAX_FINDINGS", 1)
    pages.clear()
    assert len(client.doctor(on_page=pages.append).findings) == 3
    assert len(pages) == 2
    monkeypatch.setattr(examining, "MAX_FINDINGS", 100)
    sizes = wiring.library().deliveries

    def slow(*arguments: Any) -> Any:
        films.elapsed += examining.MAX_SECONDS + 1
        return sizes(*arguments)

    monkeypatch.setattr(wiring.library(), "deliveries", slow)
    pages.clear()
    client.doctor(on_page=pages.append)
    assert len(pages) == 2


def test_a_cursor_of_somebody_s_own_making_is_refused(client: VideoConductor) -> None:
    for cursor in ("x", "", base64.urlsafe_b64encode(b'["books", "yesterday"]').decode()):
        with pytest.raises(InvalidRequest) as refused:
            client.call("POST", "/v1/doctor", {"cursor": cursor})
        assert [one.field for one in refused.value.problems] == ["cursor"]


def test_fields_and_parameters_that_nobody_knows_are_refused(client: VideoConductor) -> None:
    for method, path, body in (
        ("GET", "/v1/doctor?mayPost=true", None),
        ("POST", "/v1/doctor?cursor=x", None),
        ("POST", "/v1/doctor", {"mayPay": True}),
        ("POST", "/v1/doctor", {"mayPost": "yes"}),
    ):
        with pytest.raises(InvalidRequest):
            client.call(method, path, body)
