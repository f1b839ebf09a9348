"""RELIABILITY, the witness: what xAI delivers itself makes good what an answer's loss would cost.

The simulator PUTs to presigned urls of the stage's bucket. A server of this test takes them as S3
does: the object first, then the event. The last line of most tests is how many jobs xAI started.
"""

import http.server
import json
import logging
import threading
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.workflow.conftest import KEY, Killed, load_handler, stage_on
from tests.workflow.test_doors import CONTEXT
from tests.workflow.test_film_failures import until
from tests.workflow.test_first_frame import order, posts_to_xai, still_keys, stills, videos
from videoconductor import recovering, wiring
from videoconductor.errors import (
    InvalidRequest,
    LibraryUnavailable,
    MachineUnavailable,
    NotAllowed,
    RenderFailed,
)
from videoconductor.providers import Pending, xai
from xai_simulator.options import SimulatorOptions
from xai_simulator.server import running

LATE = 0.6  # seconds after done
ANSWERS_LOST = ["lost", "lost503", "lost504", "garbled", "start_no_id", "start_redirected"]
RECOVERED = ["NeedsFirstFrame", "Start", "IsStarted", "Finalize", "Thumbnail"]


class Bay:
    """The bucket's end of a presigned PUT: it keeps the object, and tells of it unless held."""

    def __init__(self):
        self.held, self.told, self.events, self.puts = False, [], [], []
        self.closed = ("nowhere",)
        self.stage = None
        self.handler = load_handler("on_delivery").handler

    def take(self, target, content, headers):
        parts = urlsplit(target)
        query = parse_qs(parts.query)
        # Nothing but the host is signed: whoever uploads may say of what type it is.
        if query["X-Amz-SignedHeaders"] != ["host"] or parts.path.endswith(self.closed):
            return 403
        self.puts.append((parts.path.lstrip("/"), headers["Content-Type"]))
        event = self.put(parts.path.lstrip("/"), content)
        if not self.held:
            self.tell(event)
        return 200

    def put(self, key, content):
        """An object in the bucket; S3's event about it."""
        self.stage.s3.put_object(Bucket="library", Key=key, Body=content)
        self.events.append(created(key))
        return self.events[-1]

    def tell(self, event):
        done = self.handler(event, CONTEXT)
        self.told.append(done["outcome"])
        return done


def created(key, bucket="library"):
    detail = {"bucket": {"name": bucket}, "object": {"key": key, "size": 1}}
    return {"id": "e", "source": "aws.s3", "detail-type": "Object Created", "detail": detail}


@contextmanager
def served(bay):
    class Door(http.server.BaseHTTPRequestHandler):
        def do_PUT(self):
            content = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(bay.take(self.path, content, self.headers))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def witnessed(simulator, handlers, monkeypatch):
    """A stage with the setting, and its bay."""
    bay = Bay()
    with served(bay) as origin:
        trusted = f"{simulator.origin},{origin}"
        given = {"WITNESS": "True", "VIDEO_INPUT_ORIGINS": trusted}
        with stage_on(simulator, handlers, monkeypatch, **given) as stage:
            bay.stage, stage.bay = stage, bay
            signed = wiring.library().upload_url

            def here(key, seconds):
                """The url, with this test's server in the place of the bucket's host."""
                return origin + signed(key, seconds).partition(".com")[2]

            monkeypatch.setattr(wiring.library(), "upload_url", here)
            yield stage


@pytest.fixture(scope="module")
def simulator():
    with running(SimulatorOptions(key=KEY, job_seconds=0.2, witness_delay=LATE)) as server:
        yield server


@pytest.fixture(scope="module")
def silent():
    """xAI, if it should leave `video.url` empty where it has delivered."""
    options = SimulatorOptions(key=KEY, job_seconds=0.2, witness_delay=LATE, url_with_upload=False)
    with running(options) as server:
        yield server


@pytest.fixture
def stage(simulator, handlers, monkeypatch):
    with witnessed(simulator, handlers, monkeypatch) as made:
        yield made


@pytest.fixture
def blind(silent, handlers, monkeypatch):
    """The same with answers that have no url."""
    with witnessed(silent, handlers, monkeypatch) as made:
        yield made


def finished(stage, render):
    """The render once it is finalized, whoever set it going."""
    until(lambda: stage.record(render).status == "finalized")
    stage.settle()
    return stage.record(render)


def settled(stage, render):
    stage.settle()
    return stage.record(render)


def clips(stage):
    return [k for k in stage.objects() if k.startswith("generated/videos/") and k.endswith(".mp4")]


def versions(stage, render):
    return wiring.manifest().versions("f", f"{render.clip_id}::draft")


def submit(stage, marks="", **fields):
    prompt = " ".join(["a lamp", *(f"[[sim:{name}]]" for name in marks.split())])
    return stage.submit(prompt=prompt, clipId="c", pipelineRequestId="f", **fields)


def delivered(stage):
    """Wait for a delivery and the event about it."""
    return until(lambda: stage.bay.told and stage.bay.told[-1])


# -- an answer that nobody saw ---------------------------------------------------------------------


@pytest.mark.parametrize("marker", ANSWERS_LOST)
def test_a_job_whose_answer_was_lost_is_recovered_without_its_request_id(stage, marker):
    render = submit(stage, marker)

    first = stage.run(render)
    record = finished(stage, render)
    second = stage.run(record)

    assert first.error == "SubmitUnknown"
    assert second.path == RECOVERED
    assert second.status == "SUCCEEDED"
    [attempt] = record.attempts
    assert (attempt.outcome, attempt.request_id, attempt.witness) == ("accepted", None, "taken")
    # Nobody said what it cost: it is settled to what was reserved.
    assert (record.held_ticks, record.spent_ticks) == (0, attempt.reserved_ticks)
    assert attempt.reserved_ticks > 0
    assert record.failure is None
    assert [e["status"] for e in stage.published] == ["submit_unknown", "finalized"]
    [entry] = wiring.manifest().entries("f")
    assert (entry.url, entry.sha256) == (wiring.library().uri(record.clip.key), record.clip.sha256)
    assert (entry.request_id, entry.temporary_url) == (None, None)
    assert clips(stage) == [record.clip.key]
    assert len(stage.jobs()) == 1


def test_killed_after_the_post_the_witness_is_found_before_anybody_is_told(stage, monkeypatch):
    fired = stage.kill(monkeypatch, wiring.provider("xai"), "start", "after")
    render = submit(stage)
    # It comes while the permit is still in somebody's hands: the look after the lease finds it.
    stage.while_waiting = lambda: delivered(stage)

    execution = stage.run(render)

    assert fired == ["start"]
    assert execution.status == "SUCCEEDED"
    rest = execution.path.index("RecordFailure")
    assert execution.path[rest:] == ["RecordFailure", "IsOver", "Finalize", "Thumbnail"]
    assert stage.bay.told == ["awaited"]
    assert stage.record(render).executions == 1
    assert [e["status"] for e in stage.published] == ["finalized"]
    assert len(stage.jobs()) == 1


def test_killed_between_permit_and_post_nothing_comes_and_nothing_is_sent_again(stage, monkeypatch):
    stage.kill(monkeypatch, wiring.provider("xai"), "start", "before")
    render = submit(stage)

    execution = stage.run(render)

    assert execution.error == "SubmitUnknown"
    assert wiring.recovery().recover(render.render_id) is False
    assert stage.record(render).status == "submit_unknown"
    assert stage.record(render).attempts[0].witness == "sent"
    assert stage.jobs() == []


def test_a_request_id_that_never_got_on_record_is_not_needed(stage, monkeypatch):
    """The table takes neither the id nor the news of it, and the process that knew it dies."""
    update, fallen = wiring.manifest().update, []

    def fails(render_id, change):
        if not fallen and wiring.manifest().read(render_id).attempts:
            fallen.append(render_id)
            raise Killed
        return update(render_id, change)

    monkeypatch.setattr(wiring.manifest(), "update", fails)
    render = submit(stage)

    stage.run(render)
    record = finished(stage, render)

    assert fallen
    assert record.attempts[0].request_id is None
    assert len(stage.jobs()) == 1


def test_an_event_that_comes_before_the_render_is_at_rest_is_not_needed_later(stage):
    """It is told of once only, and too early: whoever marks the render unknown looks."""
    stage.bay.held = True
    update = wiring.manifest().update

    def after_the_event(render_id, change):
        latest = wiring.manifest().read(render_id)
        if change(latest).status == "submit_unknown" and not stage.bay.told:
            [event] = until(lambda: stage.bay.events)
            stage.bay.tell(event)
        return update(render_id, change)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring.manifest(), "update", after_the_event)
        render = submit(stage, "lost")
        execution = stage.run(render)

    assert stage.bay.told == ["awaited"]
    assert execution.status == "SUCCEEDED"
    assert stage.record(render).status == "finalized"
    assert len(stage.jobs()) == 1


def test_a_witness_that_is_told_of_again_and_again_is_taken_up_once(stage):
    stage.bay.held = True
    render = submit(stage, "lost")
    stage.run(render)
    [event] = until(lambda: stage.bay.events)

    told = [stage.bay.tell(event)["outcome"] for _ in range(3)]
    record = finished(stage, render)
    told.append(stage.bay.tell(event)["outcome"])

    assert told[0] == "recovered"
    assert set(told[1:]) <= {"awaited", "left"}
    assert told[3] == "left"
    assert record.executions == stage.record(render).executions == 2
    assert len(versions(stage, render)) == 1
    assert len(clips(stage)) == 1
    assert len(stage.jobs()) == 1


def test_two_events_at_once_start_one_execution(stage):
    stage.bay.held = True
    render = submit(stage, "lost")
    stage.run(render)
    [event] = until(lambda: stage.bay.events)
    gate, told = threading.Barrier(6), []

    def tell():
        gate.wait()
        told.append(stage.bay.tell(event)["outcome"])

    threads = [threading.Thread(target=tell) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = finished(stage, render)

    assert told.count("recovered") == 1
    assert record.executions == 2
    assert len(stage.jobs()) == 1


@pytest.mark.long
@pytest.mark.parametrize(
    ("edge", "call"),
    [
        ("library", "delivered"),
        ("library", "put_clip"),
        ("library", "put_sidecar"),
        ("manifest", "publish"),
        ("manifest", "update"),
        ("events", "publish"),
    ],
)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_recovery_killed_at_any_step_ends_in_one_object_and_one_entry(
    stage, monkeypatch, edge, call, when
):
    stage.bay.held = True
    render = submit(stage, "lost")
    stage.run(render)
    [event] = until(lambda: stage.bay.events)
    nth = 2 if call == "update" else 1  # the event's own write is one of them
    fired = stage.kill(monkeypatch, getattr(wiring, edge)(), call, when, nth=nth)
    stage.bay.tell(event)

    record = finished(stage, render)

    assert fired
    assert clips(stage) == [record.clip.key]
    assert len(versions(stage, render)) == 1
    assert record.held_ticks == 0
    assert len(stage.jobs()) == 1


def test_what_was_set_going_without_an_execution_is_open_and_can_be_resumed(stage, monkeypatch):
    render = submit(stage, "lost witness_never")
    stage.run(render)
    event = stage.bay.put(wiring.library().witness_key(render.render_id, 1), clip_of(stage))

    with monkeypatch.context() as broken:
        broken.setattr(wiring.machine(), "start", lambda render: None)
        stage.bay.tell(event)

    assert stage.record(render).status == "rendered"
    assert wiring.manifest().open_renders(10) == [render.render_id]
    wiring.conductor().resume(render.render_id)
    assert finished(stage, render).status == "finalized"


def clip_of(stage):
    """The bytes of a real clip."""
    other = stage.submit(prompt="another lamp [[sim:witness_never]]")
    stage.run(other)
    return b"".join(wiring.library().read(stage.record(other).clip.key))


# -- late, never, broken ---------------------------------------------------------------------------


def test_where_nothing_goes_wrong_the_clip_is_taken_from_its_witness(stage, monkeypatch):
    monkeypatch.setattr(wiring.downloads(), "open", None)  # fetched from nowhere
    render = submit(stage)

    assert stage.run(render).status == "SUCCEEDED"

    record = stage.record(render)
    assert record.attempts[0].witness == "taken"
    assert record.attempts[0].request_id is not None
    assert record.executions == 1
    assert set(stage.bay.told) <= {"awaited", "left"}
    assert record.spent_ticks == record.attempts[0].cost_ticks
    assert len(clips(stage)) == len(versions(stage, render)) == 1
    assert len(stage.jobs()) == 1


def test_a_witness_that_is_late_changes_nothing_about_a_clip_that_is_there(stage):
    render = submit(stage, "witness_late")

    stage.run(render)
    before = stage.record(render)
    assert before.status == "finalized"
    assert delivered(stage) == "left"

    assert settled(stage, render) == before
    assert len(clips(stage)) == len(versions(stage, render)) == 1
    assert len(stage.jobs()) == 1


@pytest.mark.parametrize("marks", ["witness_never", "witness_broken"])
def test_without_a_good_witness_the_clip_is_fetched_from_its_url(stage, marks):
    render = submit(stage, marks)

    assert stage.run(render).status == "SUCCEEDED"

    record = stage.record(render)
    expected = {"witness_never": "taken", "witness_broken": "refused"}
    assert record.attempts[0].witness == expected[marks]
    assert record.clip.bytes > 0
    assert len(clips(stage)) == 1
    assert len(stage.jobs()) == 1


def test_a_lost_answer_with_a_witness_that_never_comes_stays_unknown(stage):
    render = submit(stage, "lost witness_never")

    assert stage.run(render).error == "SubmitUnknown"

    assert wiring.recovery().recover(render.render_id) is False
    with pytest.raises(NotAllowed):
        wiring.conductor().retry(render.render_id)
    with pytest.raises(InvalidRequest, match="none is on record"):
        wiring.conductor().attach(render.render_id)
    assert stage.record(render).held_ticks > 0
    assert len(stage.jobs()) == 1


def test_a_lost_answer_with_a_broken_witness_proves_nothing_and_stays_unknown(stage):
    render = submit(stage, "lost witness_broken")

    stage.run(render)
    until(lambda: stage.record(render).attempts[0].witness == "refused")
    record = settled(stage, render)

    assert (record.status, record.failure.error) == ("submit_unknown", "SubmitUnknown")
    assert "no clip" in record.failure.message
    assert record.attempts[0].outcome == "unknown"
    assert record.held_ticks > 0
    assert [e["status"] for e in stage.published][-1] == "submit_unknown"
    with pytest.raises(NotAllowed):  # a second charge still needs consent
        wiring.conductor().retry(render.render_id)
    assert stage.bay.tell(stage.bay.events[0])["outcome"] == "left"
    assert clips(stage) == []
    assert len(stage.jobs()) == 1


def test_something_too_large_is_no_witness(stage, monkeypatch):
    monkeypatch.setattr(wiring.library(), "_max_clip_bytes", 100)
    render = submit(stage, "lost")

    stage.run(render)
    until(lambda: stage.record(render).attempts[0].witness == "refused")

    assert settled(stage, render).status == "submit_unknown"
    assert clips(stage) == []


# -- a url that is gone, or was never there --------------------------------------------------------


def test_a_url_that_is_gone_is_not_needed_where_the_witness_is_there(stage):
    render = submit(stage, "expired_url")

    assert stage.run(render).status == "SUCCEEDED"

    assert stage.record(render).copies == 0
    assert len(stage.jobs()) == 1


def test_a_render_that_failed_for_its_dead_url_is_finished_when_its_witness_comes(stage):
    content = clip_of(stage)
    render = submit(stage, "expired_url witness_never")
    assert stage.run(render).error == "CopyFailed"
    assert stage.record(render).status == "failed"

    event = stage.bay.put(wiring.library().witness_key(render.render_id, 1), content)
    assert stage.bay.tell(event)["outcome"] == "recovered"
    record = finished(stage, render)

    # xAI has said what this one cost, and which job it was.
    assert record.spent_ticks == record.attempts[0].cost_ticks
    assert record.request_id == record.attempts[0].request_id is not None
    assert [e["status"] for e in stage.published] == ["finalized", "failed", "finalized"]
    assert len(stage.jobs()) == 2


@pytest.mark.parametrize("marks", ["", "witness_late"])
def test_done_without_a_url_is_a_finished_clip_as_soon_as_its_witness_is_there(blind, marks):
    render = submit(blind, marks)
    if marks:  # as long as polls find nothing, they go on
        blind.while_waiting = lambda: threading.Event().wait(0.2)

    assert blind.run(render).status == "SUCCEEDED"

    record = blind.record(render)
    assert (record.delivery.url, record.delivery.attempt) == (None, 1)
    assert record.delivery.model == "grok-imagine-video"
    assert record.attempts[0].witness == "taken"
    assert record.spent_ticks == record.attempts[0].cost_ticks
    assert [e["status"] for e in blind.published] == ["finalized"]
    assert len(blind.jobs()) == 1


def test_done_without_a_url_and_without_its_witness_is_stalled_and_recovered_later(blind):
    content = clip_of_blind(blind)
    render = submit(blind, "witness_never")

    assert blind.run(render).error == "RenderStalled"

    record = blind.record(render)
    assert "delivered" in record.failure.message
    # xAI has told what it costs, and waiting for the file does not make it undone.
    assert (record.held_ticks, record.spent_ticks) == (0, record.attempts[0].cost_ticks)
    with pytest.raises(NotAllowed):
        wiring.conductor().retry(render.render_id)
    event = blind.bay.put(wiring.library().witness_key(render.render_id, 1), content)
    assert blind.bay.tell(event)["outcome"] == "recovered"
    assert finished(blind, render).request_id == record.request_id
    assert len(blind.jobs()) == 2


def clip_of_blind(blind):
    other = blind.submit(prompt="another lamp")
    blind.run(other)
    return b"".join(wiring.library().read(blind.record(other).clip.key))


def test_done_without_a_url_and_with_a_broken_witness_is_stalled_not_failed(blind):
    render = submit(blind, "witness_broken")

    assert blind.run(render).error == "RenderStalled"

    record = blind.record(render)
    assert (record.status, record.attempts[0].witness) == ("stalled", "refused")
    assert clips(blind) == []
    # It may still be asked for: attached, it is polled on.
    wiring.conductor().attach(render.render_id)
    assert blind.run(blind.record(render)).error == "NoUrl"
    assert len(blind.jobs()) == 1


def test_a_job_that_xai_no_longer_knows_is_finished_by_its_witness(stage):
    render = submit(stage, "job_lost")

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert execution.path[-4:] == ["RecordFailure", "IsOver", "Finalize", "Thumbnail"]
    assert [e["status"] for e in stage.published] == ["finalized"]
    assert len(stage.jobs()) == 1


@pytest.mark.parametrize("marker", ["failed", "moderated", "moderated_400"])
def test_what_xai_withheld_or_gave_up_is_not_taken_from_a_witness(stage, marker):
    content = clip_of(stage)
    render = submit(stage, marker)
    assert stage.run(render).status == "FAILED"

    event = stage.bay.put(wiring.library().witness_key(render.render_id, 1), content)

    assert stage.bay.tell(event)["outcome"] == "left"
    assert settled(stage, render).status == "failed"
    assert len(stage.jobs()) == 2


# -- what lies there -------------------------------------------------------------------------------


def test_what_no_post_has_named_is_ignored(stage):
    with_one, without = submit(stage, "lost witness_never"), "nobody"
    stage.run(with_one)
    name = with_one.render_id
    foreign = [
        f"incoming/{without}/1.mp4",
        f"incoming/{name}/2.mp4",
        f"incoming/{name}/01.mp4",
        f"incoming/{name}/1.mp4.mp4",
        f"incoming/{name}/1/1.mp4",
        f"incoming/{name}/x.mp4",
        f"incoming/{'x' * 900}/1.mp4",
        "incoming/1.mp4",
        f"generated/videos/{name}/1.mp4",
    ]
    events = [stage.bay.put(key, b"not asked for") for key in foreign]
    events.append(created(f"incoming/{name}/1.mp4", bucket="another"))

    outcomes = {stage.bay.tell(event)["outcome"] for event in events}

    assert outcomes == {"ignored"}
    assert stage.record(with_one).status == "submit_unknown"
    found = dict(wiring.library().witnesses(100))
    assert found[f"incoming/{name}/2.mp4"] == (name, 2)
    assert found[f"incoming/{name}/01.mp4"] is None
    assert set(found) == {key for key in foreign if key.startswith("incoming/")}
    assert len(wiring.library().witnesses(3)) == 3


def test_an_attempt_that_named_no_place_has_no_witness(stage, monkeypatch):
    content = clip_of(stage)
    monkeypatch.setenv("WITNESS", "False")
    wiring.settings.cache_clear()
    render = submit(stage, "lost")
    stage.run(render)

    event = stage.bay.put(wiring.library().witness_key(render.render_id, 1), content)

    assert stage.bay.tell(event)["outcome"] == "ignored"
    assert wiring.recovery().recover(render.render_id) is False
    assert stage.record(render).status == "submit_unknown"


def test_a_look_that_fails_keeps_no_render_from_its_rest(stage, monkeypatch):
    render = submit(stage, "lost")
    stage.bay.held = True

    def down(key):
        raise LibraryUnavailable("S3 HeadObject: 503")

    with monkeypatch.context() as broken:
        broken.setattr(wiring.library(), "exists", down)
        assert stage.run(render).error == "SubmitUnknown"
    until(lambda: stage.bay.events)

    assert wiring.recovery().lying(stage.record(render)) == 1
    assert wiring.recovery().recover(render.render_id) is True
    assert wiring.recovery().recover(render.render_id) is False
    assert finished(stage, render).status == "finalized"
    assert len(stage.jobs()) == 1


def test_a_library_that_fails_for_good_is_tried_again_by_whoever_looks_later(stage, monkeypatch):
    stage.bay.held = True
    render = submit(stage, "lost")
    stage.run(render)
    [event] = until(lambda: stage.bay.events)

    def full(key, chunks):
        raise LibraryUnavailable("S3 PutObject: 503")

    with monkeypatch.context() as broken:
        broken.setattr(wiring.library(), "put_clip", full)
        stage.bay.tell(event)
        # It does not go round in circles: RecordFailure sets it going once at most.
        record = until(lambda: stage.record(render).failure and settled(stage, render))
    assert (record.status, record.failure.error) == ("failed", "LibraryUnavailable")
    with pytest.raises(NotAllowed):  # still nobody knows what became of the POST
        wiring.conductor().retry(render.render_id)

    with monkeypatch.context() as tired:
        tired.setattr(recovering, "MAX_EXECUTIONS", record.executions)
        assert wiring.recovery().recover(render.render_id) is False
        assert wiring.recovery().lying(stage.record(render)) == 1
    assert wiring.recovery().recover(render.render_id) is True
    assert finished(stage, render).attempts[0].outcome == "accepted"
    assert len(stage.jobs()) == 1


# -- people ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", ["cancel", "abandon"])
def test_what_a_person_gave_up_is_left_alone_until_a_person_attaches_it(
    stage, monkeypatch, decision
):
    stage.bay.held = True
    if decision == "cancel":
        stage.kill(monkeypatch, wiring.provider("xai"), "start", "after")
        render = submit(stage)
        stage.while_waiting = lambda: wiring.conductor().cancel(render.render_id)
        assert stage.run(render).error == "RenderCancelled"
        stage.while_waiting = None
    else:
        render = submit(stage, "lost")
        stage.run(render)
        wiring.conductor().abandon(render.render_id)
    [event] = until(lambda: stage.bay.events)
    rest = stage.record(render).status

    assert stage.bay.tell(event)["outcome"] == "left"
    assert wiring.recovery().recover(render.render_id) is False
    assert stage.record(render).status == rest
    assert wiring.recovery().lying(stage.record(render)) == 1
    wiring.conductor().attach(render.render_id)

    record = finished(stage, render)
    assert record.taken_up_by is None
    assert wiring.recovery().lying(record) is None
    assert len(stage.jobs()) == 1


def test_a_witness_that_comes_after_a_person_retried_is_kept_beside_the_second_clip(stage):
    content = clip_of(stage)
    stage.bay.closed = ("/1.mp4",)
    render = submit(stage, "lost")
    stage.run(render)
    with Calm():
        wiring.conductor().retry(render.render_id, may_charge_twice=True)
        assert stage.run(stage.record(render)).status == "SUCCEEDED"
    second = stage.record(render)
    assert [a.outcome for a in second.attempts] == ["abandoned", "accepted"]
    assert second.held_ticks == second.attempts[0].reserved_ticks
    first = stage.bay.put(wiring.library().witness_key(render.render_id, 1), content)

    assert wiring.recovery().lying(second) == 1
    assert stage.bay.tell(first)["outcome"] == "recovered"
    until(lambda: stage.record(render).attempts[0].witness == "taken")
    record = settled(stage, render)

    assert (record.status, record.clip) == ("finalized", second.clip)
    assert [a.outcome for a in record.attempts] == ["accepted", "accepted"]
    assert record.held_ticks == 0
    assert record.spent_ticks == sum(a.spent_ticks for a in record.attempts)
    assert all(a.spent_ticks for a in record.attempts)
    kept = [v.url for v in versions(stage, render)]
    assert len(kept) == 2
    assert entry_of(render).url == kept[1] == wiring.library().uri(second.clip.key)
    assert {url.removeprefix("s3://library/") for url in kept} <= set(clips(stage))
    assert stage.bay.tell(first)["outcome"] == "left"
    statuses = [e["status"] for e in stage.published if e["renderId"] == render.render_id]
    assert statuses == ["submit_unknown", "finalized"]
    assert len(stage.jobs()) == 3


def entry_of(render):
    return wiring.manifest().entry("f", render.entry_id)


def test_a_witness_that_comes_while_the_retry_is_under_way_is_kept_at_its_end(stage):
    stage.bay.held = True
    render = submit(stage, "lost")
    stage.run(render)
    [event] = until(lambda: stage.bay.events)
    stage.bay.held = False
    with Calm():
        stage.while_waiting = lambda: stage.bay.tell(event)
        wiring.conductor().retry(render.render_id, may_charge_twice=True)
        assert stage.run(stage.record(render)).status == "SUCCEEDED"

    record = settled(stage, render)
    assert [a.witness for a in record.attempts] == ["taken", "taken"]
    assert len(versions(stage, render)) == len(clips(stage)) == 2
    assert record.held_ticks == 0
    assert len(stage.jobs()) == 2


def test_a_retry_that_comes_to_nothing_is_made_good_by_the_first_jobs_witness(stage):
    content = clip_of(stage)
    stage.bay.closed, stage.bay.held = ("/2.mp4",), True
    render = submit(stage, "lost")
    stage.run(render)
    until(lambda: stage.bay.events)
    wiring.conductor().retry(render.render_id, may_charge_twice=True)

    # The second answer is lost as well; when that comes to rest, the first one's clip is there.
    execution = stage.run(stage.record(render))

    record = settled(stage, render)
    assert execution.status == "SUCCEEDED"
    assert record.delivery.attempt == 1
    assert [a.outcome for a in record.attempts] == ["accepted", "unknown"]
    assert record.held_ticks == record.attempts[1].reserved_ticks
    second = stage.bay.put(wiring.library().witness_key(render.render_id, 2), content)
    assert stage.bay.tell(second)["outcome"] == "recovered"
    until(lambda: stage.record(render).attempts[1].witness == "taken")
    record = settled(stage, render)
    assert record.delivery.attempt == 1
    assert len(versions(stage, render)) == 2
    # The newer job's is the entry, whichever came first.
    assert entry_of(render).url.endswith("-2.mp4")
    assert record.held_ticks == 0
    assert len(stage.jobs()) == 3


def test_a_request_id_that_a_person_found_and_the_witness_make_one_clip(stage):
    stage.bay.held = True
    render = submit(stage, "lost witness_late")
    stage.run(render)
    [job] = stage.jobs()
    wiring.conductor().attach(render.render_id, job["id"])
    assert stage.run(stage.record(render)).status == "SUCCEEDED"
    [event] = until(lambda: stage.bay.events)

    assert stage.bay.tell(event)["outcome"] == "left"

    record = settled(stage, render)
    assert record.request_id == job["id"]
    assert len(versions(stage, render)) == len(clips(stage)) == 1
    assert len(stage.jobs()) == 1


def key_of(event):
    return event["detail"]["object"]["key"]


class Calm:
    """Nothing goes wrong at xAI meanwhile, whatever prompts ask for."""

    def __enter__(self):
        from tests.workflow.conftest import FilmStage

        self.patch = pytest.MonkeyPatch()
        FilmStage.calm(self.patch)

    def __exit__(self, *_):
        self.patch.undo()


# -- the url ---------------------------------------------------------------------------------------


def test_the_url_is_in_the_post_and_nowhere_else(stage, caplog):
    posts = posts_to_xai()
    with caplog.at_level(logging.INFO):
        render = submit(stage, "lost")
        stage.run(render)
        record = finished(stage, render)

    [(path, body)] = posts
    assert path == "videos/generations"
    url = body["output"]["upload_url"]
    [mark] = parse_qs(urlsplit(url).query)["X-Amz-Signature"]
    [(key, kind)] = stage.bay.puts
    assert (key, kind) == (f"incoming/{render.render_id}/1.mp4", "video/mp4")
    sidecar = b"".join(wiring.library().read(record.clip.sidecar_key)).decode()
    told = json.dumps(stage.published, default=str)
    for place in (record.model_dump_json(), sidecar, told, caplog.text):
        assert mark not in place
        assert "Signature" not in place


def test_the_url_is_good_for_longer_than_a_render_may_take(stage):
    limit = wiring.Settings.model_fields["poll_timeout_ms"].metadata
    assert max(getattr(bound, "le", 0) for bound in limit) < wiring.WITNESS_SECONDS * 1000
    assert wiring.WITNESS_SECONDS <= 12 * 3600


def test_each_attempt_has_a_place_of_its_own_and_an_edit_has_one_too(stage):
    posts = posts_to_xai()
    render = submit(stage, "start429")
    stage.run(render)

    names = [urlsplit(body["output"]["upload_url"]).path for _, body in posts]
    assert names == [f"/incoming/{render.render_id}/{number}.mp4" for number in (1, 2)]
    assert [a.witness for a in stage.record(render).attempts] == ["sent", "taken"]
    assert len(stage.jobs()) == 1


def test_it_is_off_until_it_is_set(simulator, handlers, monkeypatch):
    with stage_on(simulator, handlers, monkeypatch) as stage:
        posts = posts_to_xai()
        render = submit(stage)
        stage.run(render)
        assert "output" not in posts[0][1]
        assert stage.record(render).attempts[0].witness is None


def test_where_xai_cannot_reach_the_bucket_it_is_not_asked_to_and_the_log_says_so_once(
    simulator, handlers, monkeypatch, caplog
):
    with stage_on(simulator, handlers, monkeypatch, WITNESS="True") as stage:
        monkeypatch.setattr(
            wiring.library(), "upload_url", lambda key, seconds: "http://127.0.0.1:9/x?Signature=s"
        )
        posts = posts_to_xai()
        for _ in range(2):
            assert stage.run(stage.submit()).status == "SUCCEEDED"
        assert all("output" not in body for _, body in posts)
        said = [r for r in caplog.records if "WITNESS has no effect" in r.getMessage()]
        assert len(said) <= 1


# -- stills ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("marker", ["lost", "lost503", "garbled"])
def test_a_still_whose_answer_was_lost_is_taken_from_its_witness(stage, marker):
    render = order(stage, f"a lamp [[sim:{marker}]]", duration=1)

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    record = stage.record(render)
    [attempt] = record.still_attempts
    assert (attempt.outcome, attempt.witness) == ("accepted", "sent")
    assert attempt.spent_ticks == attempt.reserved_ticks
    assert still_keys(stage) == [record.still.key] == [record.plan.image.key]
    assert max(stage.waits[:2]) <= 15  # it does not wait for the lease to pass
    assert (len(stills(stage)), len(videos(stage))) == (1, 1)


def test_a_still_whose_maker_died_is_taken_from_its_witness(stage, monkeypatch):
    stage.kill(monkeypatch, wiring.provider("xai"), "make_still", "after")
    render = order(stage, duration=1)

    assert stage.run(render).status == "SUCCEEDED"

    assert (len(stills(stage)), len(videos(stage))) == (1, 1)


@pytest.mark.parametrize("witness", ["witness_never", "witness_broken"])
def test_a_still_without_its_witness_is_unknown_once_the_lease_has_passed(stage, witness):
    render = order(stage, f"a lamp [[sim:lost]] [[sim:{witness}]]", duration=1)
    if witness == "witness_broken":  # half of a JPEG begins like one: here it is none at all
        put = wiring.library().delivered

        def torn(key, max_bytes=None):
            stage.s3.put_object(Bucket="library", Key=key, Body=b"<html>")
            return put(key, max_bytes)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(wiring.library(), "delivered", torn)
            execution = stage.run(render)
    else:
        execution = stage.run(render)

    assert execution.error == "SubmitUnknown"
    record = stage.record(render)
    assert sum(stage.waits) >= 150
    assert record.still_attempts[0].outcome == "unknown"
    assert "nothing was delivered" in record.failure.message
    assert record.held_ticks > 0
    assert (len(stills(stage)), len(videos(stage))) == (1, 0)


def test_a_still_that_came_after_it_was_given_up_is_not_paid_for_again(stage):
    render = order(stage, "a lamp [[sim:lost]] [[sim:witness_never]]", duration=1)
    stage.run(render)
    other = order(stage, "another lamp", duration=1, clipId="d")
    stage.run(other)
    content = b"".join(wiring.library().read(stage.record(other).still.key))
    key = wiring.library().still_witness_key(render.render_id, 1)
    stage.s3.put_object(Bucket="library", Key=key, Body=content)

    wiring.conductor().retry(render.render_id, may_charge_twice=True)
    record = stage.record(render)
    assert stage.run(record).status == "SUCCEEDED"

    record = stage.record(render)
    assert len(record.still_attempts) == 1
    assert record.still_attempts[0].outcome == "accepted"
    assert (len(stills(stage)), len(videos(stage))) == (2, 2)


def test_a_still_that_is_delivered_and_not_answered_with_is_taken_with_its_cost(stage, monkeypatch):
    made = wiring.provider("xai").make_still

    def silent(plan, trace, upload_url=None):
        cost = made(plan, trace, upload_url).cost_ticks
        raise RenderFailed("xAI made a still and did not send it", code="no_image", cost_ticks=cost)

    monkeypatch.setattr(wiring.provider("xai"), "make_still", silent)
    render = order(stage, duration=1)

    assert stage.run(render).status == "SUCCEEDED"

    [attempt] = stage.record(render).still_attempts
    assert attempt.cost_ticks is not None
    assert len(stills(stage)) == 1


# -- two things at once ----------------------------------------------------------------------------


def lies(stage, render, number, content=b"<html>"):
    """Put something where xAI delivers; the event about it."""
    return stage.bay.put(wiring.library().witness_key(render.render_id, number), content)


def lost(stage, marks="lost witness_never"):
    """A render whose answer was lost."""
    render = submit(stage, marks)
    assert stage.run(render).error == "SubmitUnknown"
    return render


def test_who_decides_while_a_broken_witness_is_read_is_not_overruled(stage, monkeypatch):
    render = submit(stage, "witness_never")
    lies(stage, render, 1)
    real, started = wiring.library().delivered, []

    def read(key, max_bytes=None):
        if not started:
            wiring.conductor().cancel(render.render_id)
            wiring.conductor().retry(render.render_id, may_charge_twice=True)
        return real(key, max_bytes)

    with monkeypatch.context() as slow:
        slow.setattr(wiring.machine(), "start", started.append)
        slow.setattr(wiring.library(), "delivered", read)
        assert stage.run(render).error == "RenderCancelled"

    record = stage.record(render)
    assert (record.status, record.executions, record.clip) == ("planned", 2, None)
    assert record.attempts[0].witness == "refused"
    assert clips(stage) == []


def test_the_look_of_a_render_at_rest_may_be_lost_and_is_done_again(stage):
    content = clip_of(stage)
    render = submit(stage, "lost witness_never")
    lies(stage, render, 1, content)
    stage.break_state("RecordFailure", "Lambda.Unknown", "after")

    execution = stage.run(render)

    assert execution.path.count("RecordFailure") == 1
    assert execution.status == "SUCCEEDED"
    statuses = [e["status"] for e in stage.published if e["renderId"] == render.render_id]
    assert statuses == ["finalized"]
    assert len(stage.jobs()) == 2


def test_a_witness_that_comes_after_the_last_look_of_a_running_execution_is_taken(
    stage, monkeypatch
):
    content = clip_of(stage)
    render = lost(stage)
    told = []

    def paint(record, video, still):
        if not told:
            told.append(stage.bay.tell(lies(stage, render, 1, content))["outcome"])
        return stage.paint(record, video, still)

    stage.bay.closed = ("/1.mp4",)
    with monkeypatch.context() as late, Calm():
        late.setattr(wiring, "painter", lambda: paint)
        wiring.conductor().retry(render.render_id, may_charge_twice=True)
        stage.run(stage.record(render))
        until(lambda: stage.record(render).attempts[0].witness == "taken")
        record = settled(stage, render)

    assert told == ["recovered"]
    assert record.status == "finalized"
    assert record.held_ticks == 0
    assert len(versions(stage, render)) == 2


def test_another_attempts_witness_that_comes_while_a_broken_one_is_read_is_found(
    stage, monkeypatch
):
    content = clip_of(stage)
    render = lost(stage)
    lies(stage, render, 1)
    real, told = wiring.library().delivered, []

    def read(key, max_bytes=None):
        if not told:
            told.append(stage.bay.tell(lies(stage, render, 2, content))["outcome"])
        return real(key, max_bytes)

    monkeypatch.setattr(wiring.library(), "delivered", read)
    wiring.conductor().retry(render.render_id, may_charge_twice=True)

    assert stage.run(stage.record(render)).status == "SUCCEEDED"

    record = stage.record(render)
    assert told == ["awaited"]
    assert [a.witness for a in record.attempts] == ["refused", "taken"]
    assert [a.outcome for a in record.attempts] == ["abandoned", "accepted"]


def test_an_event_that_set_a_render_going_and_died_starts_its_execution_the_next_time(
    stage, monkeypatch
):
    content = clip_of(stage)
    render = lost(stage)
    event = lies(stage, render, 1, content)

    def down(render):
        raise MachineUnavailable("Step Functions: 503")

    with monkeypatch.context() as broken:
        broken.setattr(wiring.machine(), "start", down)
        with pytest.raises(MachineUnavailable):
            stage.bay.tell(event)
    assert stage.record(render).status == "rendered"

    stage.bay.tell(event)

    assert finished(stage, render).executions == 2
    assert len(stage.jobs()) == 2


# -- whose job, and whose clip ---------------------------------------------------------------------


def test_a_clip_is_filed_under_its_own_attempt_and_leaves_the_others_place_free(stage):
    content = clip_of(stage)
    render = lost(stage)
    [_, job] = stage.jobs()

    def answered_late(latest):
        [first] = latest.attempts
        known = {"outcome": "accepted", "request_id": job["id"]}
        return latest.model_copy(update={"attempts": (first.model_copy(update=known),)})

    wiring.manifest().update(render.render_id, answered_late)
    wiring.conductor().retry(render.render_id, may_charge_twice=True)
    assert stage.run(stage.record(render)).error == "SubmitUnknown"
    wiring.conductor().attach(render.render_id, job["id"])
    assert stage.run(stage.record(render)).status == "SUCCEEDED"
    assert stage.record(render).clip.key.endswith(f"/{render.render_id}.mp4")
    assert stage.record(render).held_ticks > 0

    assert stage.bay.tell(lies(stage, render, 2, content))["outcome"] == "recovered"
    until(lambda: stage.record(render).attempts[1].witness == "taken")

    assert settled(stage, render).held_ticks == 0
    assert len(versions(stage, render)) == 2
    assert entry_of(render).url.endswith("-2.mp4")


def test_what_a_job_without_a_url_cost_is_booked_once_whosever_it_is(blind, monkeypatch):
    render = lost(blind)
    [job] = blind.jobs()
    with monkeypatch.context() as dying:
        blind.kill(dying, wiring.provider("xai"), "start", "before")
        wiring.conductor().retry(render.render_id, may_charge_twice=True)
        assert blind.run(blind.record(render)).error == "SubmitUnknown"
    wiring.conductor().attach(render.render_id, job["id"])

    assert blind.run(blind.record(render)).error == "RenderStalled"

    record = blind.record(render)
    assert [a.cost_ticks for a in record.attempts if a.cost_ticks] == [record.cost_ticks]
    assert record.held_ticks == record.attempts[0].reserved_ticks
    assert len(blind.jobs()) == 1


def test_a_broken_witness_of_an_earlier_attempt_takes_no_job_from_a_stalled_render(
    stage, monkeypatch
):
    stage.bay.closed = ("/1.mp4", "/2.mp4")
    render = lost(stage)
    lies(stage, render, 1)
    with Calm(), monkeypatch.context() as slow:
        slow.setattr(wiring.provider("xai"), "poll", lambda job: Pending(None))
        wiring.conductor().retry(render.render_id, may_charge_twice=True)
        assert stage.run(stage.record(render)).error == "RenderStalled"

    record = stage.record(render)
    assert record.attempts[0].witness == "refused"
    assert (record.status, record.request_id) == ("stalled", record.attempts[1].request_id)
    wiring.conductor().attach(render.render_id)
    assert stage.run(stage.record(render)).status == "SUCCEEDED"


# -- overwritten -----------------------------------------------------------------------------------


@pytest.mark.parametrize("marks", ["lost", "witness_never", ""])
def test_what_comes_after_the_copy_takes_nothing_from_it(stage, monkeypatch, marks):
    """The process dies when the clip is in the library; then something else lies there."""
    content = clip_of(stage)
    render = submit(stage, marks)
    put, fired = wiring.library().put_sidecar, []
    # The same clip in other bytes, where its url has told which ones are right; no clip otherwise.
    other = content + b"\0\0\0\x08free" if marks == "witness_never" else b"<html>"

    def dying(key, sidecar):
        if not fired:
            fired.append(key)
            lies(stage, render, 1, other)
            raise Killed
        return put(key, sidecar)

    monkeypatch.setattr(wiring.library(), "put_sidecar", dying)
    stage.run(render)
    record = finished(stage, render)

    assert fired
    stands = b"".join(wiring.library().read(record.clip.key))
    assert len(stands) == record.clip.bytes
    assert stands not in {other, b""}
    assert len(versions(stage, render)) == 1


def test_a_url_that_xai_says_back_opens_nothing_however_it_is_spelt():
    urls = (
        "https://b.s3.amazonaws.com/incoming/r/1.mp4?X-Amz-Credential=AKIA1&X-Amz-Signature=5ec4e7",
        r"https:\/\/b.s3.amazonaws.com\/r?X-Amz-Credential=AKIA1\u0026X-Amz-Signature=5ec4e7",
        "b.s3.amazonaws.com%2Fr%3FX-Amz-Credential%3DAKIA1%26X-Amz-Signature%3D5ec4e7",
    )
    for url in urls:
        words = xai._Mask("key")(f'{{"upload_url": "{url}", "why": "later"}}')
        assert "5ec4e7" not in words
        assert "AKIA1" not in words
        assert "later" in words
