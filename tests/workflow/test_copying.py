"""RELIABILITY, Copying: a whole, playable MP4 gets into the library, or nothing does."""

import json

import pytest

from videoconductor import wiring
from videoconductor.clip import Incoming
from videoconductor.errors import LibraryUnavailable, ManifestUnavailable
from videoconductor.workflow import failing

RETRIED = ["short", "long", "truncated", "reset"]
REFUSED = {
    "html": "NotAClip",
    "json": "NotAClip",
    "empty": "NotAClip",
    "notmp4": "NotAClip",
    "nomoov": "NotAClip",
    "redirect": "SourceNotAllowed",
    "redirect_private": "SourceNotAllowed",
    "redirect_loop": "SourceNotAllowed",
    "private_url": "SourceNotAllowed",
    "file_url": "SourceNotAllowed",
}


@pytest.mark.parametrize("marker", RETRIED)
def test_a_body_that_is_not_whole_commits_nothing_and_the_copy_is_retried(stage, marker):
    render = stage.submit(prompt=f"a lamp [[sim:{marker}]]")

    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == ("CopyInterrupted", "failed")
    assert stage.calls.count("finalize") == 9
    assert record.delivery.url.startswith(stage.simulator.origin)
    assert record.job is not None
    assert stage.objects() == []
    assert len(stage.jobs()) == 1


@pytest.mark.parametrize("marker", ["short_once", "download503"])
def test_a_copy_that_breaks_once_is_made_whole_by_the_next(stage, marker):
    render = stage.submit(prompt=f"a lamp [[sim:{marker}]]")

    assert stage.run(render).status == "SUCCEEDED"
    assert [key.rpartition(".")[2] for key in stage.objects()] == ["jpg", "json", "mp4"]
    assert len(stage.jobs()) == 1


@pytest.mark.parametrize("marker", REFUSED)
def test_what_is_not_a_clip_or_not_from_xai_is_refused_at_once(stage, marker):
    render = stage.submit(prompt=f"a lamp [[sim:{marker}]]")

    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == (REFUSED[marker], "failed")
    assert stage.calls.count("finalize") == 1
    assert record.delivery is not None
    assert stage.objects() == []
    assert wiring.manifest().entries("default") == []
    assert len(stage.jobs()) == 1


@pytest.mark.parametrize("marker", ["oversize", "oversize_chunked"])
def test_a_file_over_the_limit_is_refused(stage, monkeypatch, marker):
    monkeypatch.setenv("MAX_CLIP_BYTES", str(5 * 1024 * 1024))
    wiring.settings.cache_clear()
    wiring.downloads.cache_clear()

    execution = stage.run(stage.submit(prompt=f"a lamp [[sim:{marker}]]"))

    assert execution.error == "NotAClip"
    assert stage.objects() == []


@pytest.mark.parametrize("marker", ["drip", "stall"])
def test_a_slow_drip_is_given_up_within_its_time(stage, monkeypatch, marker):
    monkeypatch.setenv("COPY_SECONDS", "0.3")
    wiring.settings.cache_clear()
    wiring.downloads.cache_clear()

    execution = stage.run(stage.submit(prompt=f"a lamp [[sim:{marker}]]"))

    assert execution.error == "CopyInterrupted"
    assert stage.objects() == []


def test_an_expired_url_is_asked_for_anew_and_then_copied(stage):
    render = stage.submit(prompt="a lamp [[sim:gone]]")

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert execution.path.count("Finalize") == 2
    assert execution.path[-6:-1] == ["Finalize", "Wait", "Poll", "IsRendered", "Finalize"]
    assert len(stage.jobs()) == 1


def test_urls_that_are_always_expired_end_in_failed_with_everything_kept(stage):
    render = stage.submit(prompt="a lamp [[sim:expired_url]]")

    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == ("CopyFailed", "failed")
    assert record.job is not None
    assert record.delivery is not None
    assert execution.path.count("Finalize") == 4
    assert stage.waits[-3:] == [1, 10, 60]


def test_a_finalize_that_died_after_it_gave_up_a_url_polls_on_at_once(stage):
    render = stage.submit()
    stage.run(render)
    given_up = stage.record(render).model_copy(update={"status": "rendering", "announced": None})
    wiring.manifest().save(given_up, given_up)

    answer = stage.invoke("finalize", given_up.model_dump(mode="json"))

    assert json.loads(answer["Payload"].read())["errorType"] == "UrlExpired"


FINALIZE_CALLS = [
    ("library", "put_clip"),
    ("library", "put_sidecar"),
    ("manifest", "publish"),
    ("manifest", "update"),
    ("events", "publish"),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("edge", "call"), FINALIZE_CALLS)
def test_a_finalize_killed_at_any_step_ends_in_one_object_and_one_entry(
    stage, monkeypatch, edge, call, when
):
    render = stage.submit(clipId="c", pipelineRequestId="f")
    target = getattr(wiring, edge)()
    # Poll writes the record too: only the writes of Finalize are meant.
    nth = 1 if call != "update" else None
    fired = []
    handler = stage.handlers["finalize"].handler

    def killing(event, context):
        if not fired:
            with monkeypatch.context() as patch:
                fired.extend([None])
                seen = stage.kill(patch, target, call, when, nth or 1)
                try:
                    return handler(event, context)
                finally:
                    fired[:] = seen
        return handler(event, context)

    monkeypatch.setattr(stage.handlers["finalize"], "handler", killing)
    execution = stage.run(render)

    record = stage.record(render)
    assert fired == [call]
    assert execution.status == "SUCCEEDED"
    assert record.status == record.announced == "finalized"
    made = [record.clip.key, record.clip.sidecar_key, record.pictures.poster_key]
    assert sorted(stage.objects()) == sorted(made)
    [entry] = wiring.manifest().entries("f")
    assert len(wiring.manifest().versions("f", entry.id)) == 1
    assert [event["status"] for event in stage.published][-1] == "finalized"
    assert len(stage.jobs()) == 1


def test_a_copy_repeated_after_success_writes_nothing_more(stage):
    render = stage.submit(clipId="c", pipelineRequestId="f")
    stage.run(render)
    record, objects = stage.record(render), stage.objects()
    entries = wiring.manifest().entries("f")

    again = stage.invoke("finalize", render.model_dump(mode="json"))

    assert "FunctionError" not in again
    assert stage.record(render) == record
    assert stage.objects() == objects
    assert wiring.manifest().entries("f") == entries


@pytest.mark.parametrize(("state", "tries"), [("FirstFrame", 9), ("Start", 9), ("Finalize", 9)])
def test_a_state_that_is_turned_away_for_long_waits_on_and_ends_nothing(stage, state, tries):
    for _ in range(2 * tries):
        stage.break_state(state, failing.TURNED_AWAY)
    render = stage.submit(firstFramePrompt="a lamp", qualityMode="draft_i2v")
    execution = stage.run(render)
    assert execution.status == "SUCCEEDED"
    assert execution.path.count("RecordFailure") == 2
    assert stage.record(render).status == "finalized"
    assert [attempt.outcome for attempt in stage.record(render).attempts] == ["accepted"]


@pytest.mark.parametrize(
    "error", ["CopyInterrupted", "LibraryUnavailable", "ManifestUnavailable", "ValidationError"]
)
def test_a_paid_clip_outlasts_eight_tries_without_its_file_s3_or_the_table(stage, error):
    for _ in range(8):
        stage.break_state("Finalize", error)
    render = stage.submit()
    assert stage.run(render).status == "SUCCEEDED"
    assert stage.record(render).status == "finalized"
    assert len(stage.pauses) == 8


def test_an_unsent_render_outlasts_minutes_without_the_table(stage):
    for _ in range(5 * failing.MAX_CRASHES):
        stage.break_state("Start", "ManifestUnavailable")
    render = stage.submit()
    assert stage.run(render).status == "SUCCEEDED"
    assert [attempt.outcome for attempt in stage.record(render).attempts] == ["accepted"]


def test_a_state_that_is_turned_away_for_ever_is_given_up(stage):
    for _ in range(9 * (failing.MAX_CRASHES + 1)):
        stage.break_state("Finalize", failing.TURNED_AWAY)
    render = stage.submit()
    stage.run(render)
    assert stage.record(render).status == "failed"
    assert stage.record(render).failure.error == failing.TURNED_AWAY


def test_the_same_file_already_there_is_success(stage, monkeypatch):
    render = stage.submit()
    stage.break_state("Finalize", "Lambda.Unknown", "before")
    library = wiring.library()
    real = library.put_clip

    def twice(key, incoming):
        content = b"".join(incoming.chunks)
        real(key, Incoming(iter([content]), incoming.length))
        real(key, Incoming(iter([content]), incoming.length))

    monkeypatch.setattr(library, "put_clip", twice)

    assert stage.run(render).status == "SUCCEEDED"
    assert [key.rpartition(".")[2] for key in stage.objects()] == ["jpg", "json", "mp4"]


def test_another_file_already_there_is_a_named_conflict_and_both_are_kept(stage):
    first = stage.submit(prompt="another lamp")
    stage.run(first)
    other = b"".join(wiring.library().read(stage.record(first).clip.key))
    render = stage.submit(prompt="a lamp")
    wiring.library().put_clip(wiring.library().clip_key(render), Incoming(iter([other])))

    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == ("ClipConflict", "failed")
    there = [key for key in stage.objects() if render.render_id in key]
    assert len(there) == 2
    assert all(key in record.failure.message for key in there)
    assert b"".join(wiring.library().read(wiring.library().clip_key(render))) == other


@pytest.mark.parametrize("error", [LibraryUnavailable, ManifestUnavailable])
def test_storage_that_fails_for_a_while_is_tried_again(stage, monkeypatch, error):
    edge, call = (
        (wiring.library(), "put_clip")
        if error is LibraryUnavailable
        else (wiring.manifest(), "publish")
    )
    real, failures = getattr(edge, call), []

    def failing(*arguments):
        if len(failures) < 3:
            failures.append(call)
            raise error("throttled")
        return real(*arguments)

    monkeypatch.setattr(edge, call, failing)

    assert stage.run(stage.submit()).status == "SUCCEEDED"
    assert len(failures) == 3
    assert len(stage.jobs()) == 1


def test_storage_that_fails_for_good_keeps_url_and_request_id_and_can_be_attached(
    stage, monkeypatch
):
    library = wiring.library()
    with monkeypatch.context() as patch:

        def failing(*arguments):
            raise LibraryUnavailable("S3 PutObject: SlowDown")

        patch.setattr(library, "put_clip", failing)
        render = stage.submit()
        execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == ("LibraryUnavailable", "failed")
    assert record.delivery is not None
    assert record.job is not None
    attached = wiring.conductor().attach(render.render_id)
    assert stage.run(attached).status == "SUCCEEDED"
    assert len(stage.jobs()) == 1


def test_an_event_bus_that_is_down_does_not_lose_the_clip(stage, monkeypatch):
    monkeypatch.setenv("EVENT_BUS_NAME", "nowhere")
    wiring.settings.cache_clear()
    wiring.events.cache_clear()
    render = stage.submit(clipId="c", pipelineRequestId="f")

    execution = stage.run(render)

    assert execution.status in {"SUCCEEDED", "FAILED"}
    assert stage.record(render).status == "finalized"
    assert len(wiring.manifest().entries("f")) == 1


def test_two_renders_of_one_entry_keep_both_objects_and_the_newer_request_wins(stage):
    older = stage.submit(clipId="c", pipelineRequestId="f")
    stage.elapsed += 1
    newer = stage.submit(clipId="c", pipelineRequestId="f")
    stage.settle()

    stage.run(older)
    stage.run(newer)

    [entry] = wiring.manifest().entries("f")
    assert entry.render_id == newer.render_id
    versions = wiring.manifest().versions("f", "c::draft")
    assert [v.render_id for v in versions] == [older.render_id, newer.render_id]
    assert sum(key.endswith(".mp4") for key in stage.objects()) == 2
    assert len(stage.objects()) == 6


def test_a_render_that_fails_leaves_the_finished_entry_alone(stage):
    stage.run(stage.submit(clipId="c", pipelineRequestId="f"))
    before = wiring.manifest().entries("f")
    stage.run(stage.submit(clipId="c", pipelineRequestId="f", prompt="x [[sim:failed]]"))

    assert wiring.manifest().entries("f") == before
