"""RELIABILITY, Waiting: polls may fail in any way; the job is asked about again, never posted."""

import boto3
import pytest

from videoconductor import wiring, workflow
from videoconductor.errors import NotAllowed

PENDING = ["empty202", "unknown_status", "no_progress", "backwards"]
POLL_FAULTS = [
    "poll408",
    "poll429",
    "poll500",
    "poll502",
    "poll503",
    "poll529",
    "poll404",
    "poll_drop",
    "poll_html",
    "poll_empty200",
    "truncated_json",
    "bad_key_poll",
    "poll401",
    "poll403",
]
ENDINGS = {
    "failed": ("RenderFailed", "internal_error"),
    "failed_invalid": ("RenderFailed", "invalid_argument"),
    "failed_permission": ("RenderFailed", "permission_denied"),
    "failed_precondition": ("RenderFailed", "failed_precondition"),
    "failed_unavailable": ("RenderFailed", "service_unavailable"),
    "failed_no_error": ("RenderFailed", None),
    "expired": ("RenderExpired", "expired"),
    "moderated": ("ModerationRejected", "moderated"),
    "moderated_null": ("ModerationRejected", "moderated"),
    "moderated_failed": ("ModerationRejected", "invalid_argument"),
    "moderated_400": ("ModerationRejected", "Client specified an invalid argument"),
    "moderated_400_new": ("ModerationRejected", "imagine:content-moderated"),
    "no_url": ("NoUrl", "no_url"),
}
BILLED = ["moderated", "moderated_null", "moderated_400", "moderated_400_new", "no_url"]


@pytest.mark.parametrize("marker", [*PENDING, *POLL_FAULTS])
def test_a_poll_without_a_usable_answer_is_repeated_and_the_clip_comes(stage, marker):
    render = stage.submit(prompt=f"a lamp [[sim:{marker}]]")

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert stage.record(render).status == "finalized"
    assert execution.path.count("Poll") >= 2
    assert len(stage.jobs()) == 1


@pytest.mark.parametrize("marker", ENDINGS)
def test_a_job_that_ends_badly_is_failed_with_code_and_words(stage, marker):
    error, code = ENDINGS[marker]
    render = stage.submit(prompt=f"a lamp [[sim:{marker}]]")

    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.status, execution.error) == ("FAILED", error)
    assert execution.path[-3:] == ["RecordFailure", "IsOver", "Failed"]
    assert (record.status, record.failure.error, record.failure.code) == ("failed", error, code)
    assert record.failure.message
    assert record.job["requestId"] == stage.jobs()[0]["id"]
    assert [event["status"] for event in stage.published] == ["failed"]
    assert len(stage.jobs()) == 1
    assert stage.objects() == []


@pytest.mark.parametrize("marker", BILLED)
def test_what_xai_billed_for_a_job_without_a_clip_is_booked(stage, marker):
    render = stage.submit(prompt=f"a lamp [[sim:{marker}]]")

    stage.run(render)

    assert stage.record(render).cost_ticks == stage.jobs()[0]["cost_usd_ticks"] == 5 * 10**8


@pytest.mark.parametrize("marker", ["no_status", "file_only"])
def test_the_older_and_the_stored_shape_of_done_are_understood(stage, marker):
    render = stage.submit(prompt=f"a lamp [[sim:{marker}]]")

    assert stage.run(render).status == "SUCCEEDED"


@pytest.fixture
def short_deadline(stage, monkeypatch):
    """Two minutes instead of fifteen: fewer polls to sit through."""
    monkeypatch.setenv("VIDEO_GEN_POLL_TIMEOUT_MS", "120000")
    wiring.settings.cache_clear()
    return 120


def test_a_deadline_that_passes_leaves_the_render_stalled_with_its_request_id(
    stage, short_deadline
):
    render = stage.submit(prompt="a lamp [[sim:hang]]")

    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == ("RenderStalled", "stalled")
    assert record.job["requestId"] == stage.jobs()[0]["id"]
    assert (record.held_ticks, record.spent_ticks) == (record.attempts[0].reserved_ticks, 0)
    assert short_deadline <= stage.elapsed <= short_deadline + 31
    assert stage.published[-1]["status"] == "stalled"
    assert len(stage.jobs()) == 1


def test_the_deadline_counts_from_the_post_not_from_the_wait_for_a_turn(stage, short_deadline):
    render = stage.submit(prompt="a lamp [[sim:start429]] [[sim:hang]]")

    stage.run(render)

    record = stage.record(render)
    assert record.submitted_at > record.created_at
    assert (record.deadline - record.submitted_at).total_seconds() == short_deadline


def test_a_stalled_render_is_attached_again_and_finishes_with_its_first_job(stage, monkeypatch):
    monkeypatch.setenv("VIDEO_GEN_POLL_TIMEOUT_MS", "1000")
    wiring.settings.cache_clear()
    render = stage.submit(prompt="a lamp [[sim:slow]]")
    stage.run(render)
    assert stage.record(render).status == "stalled"
    assert stage.record(render).held_ticks > 0
    monkeypatch.setenv("VIDEO_GEN_POLL_TIMEOUT_MS", "900000")
    wiring.settings.cache_clear()
    wiring.conductor.cache_clear()

    execution = stage.run(wiring.conductor().attach(render.render_id))

    assert execution.status == "SUCCEEDED"
    assert stage.record(render).status == "finalized"
    assert len(stage.jobs()) == 1


def test_a_job_that_xai_no_longer_knows_is_stalled_after_a_grace_period(stage):
    render = stage.submit(prompt="a lamp [[sim:job_lost]]")

    execution = stage.run(render)

    assert execution.error == "RenderStalled"
    assert stage.record(render).status == "stalled"
    assert stage.elapsed >= workflow.MISSING_GRACE.total_seconds()
    assert len(stage.jobs()) == 1


def test_a_key_rotated_during_the_wait_is_read_anew(stage):
    secrets = boto3.client("secretsmanager", "us-east-1")
    rotations = []

    def rotate():
        # Wrong for one poll, right again for the next: only a reader that looks again finishes.
        value = "wrong" if not rotations else "sim-key"
        if len(rotations) < 2:
            secrets.put_secret_value(SecretId="xai", SecretString=value)
            wiring.api_key(renew=not rotations)
            rotations.append(value)

    stage.while_waiting = rotate
    render = stage.submit(prompt="a lamp [[sim:slow]]")

    execution = stage.run(render)

    assert rotations == ["wrong", "sim-key"]
    refused = [r for r in stage.simulator.requests() if r["method"] == "GET" and r["status"] == 400]
    assert len(refused) >= 1
    assert execution.status == "SUCCEEDED"
    assert len(stage.jobs()) == 1


def test_cancel_stops_the_wait_and_keeps_the_job_attachable(stage):
    render = stage.submit(prompt="a lamp [[sim:slow]]")

    def cancel():
        stage.while_waiting = None
        wiring.conductor().cancel(render.render_id)

    stage.while_waiting = cancel
    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == ("RenderCancelled", "cancelled")
    assert record.job["requestId"] == stage.jobs()[0]["id"]
    attached = wiring.conductor().attach(render.render_id)
    assert stage.run(attached).status == "SUCCEEDED"
    assert len(stage.jobs()) == 1


def test_cancel_before_the_post_lets_nothing_out(stage):
    render = stage.submit(prompt="a lamp [[sim:start429]]")
    stage.while_waiting = lambda: wiring.conductor().cancel(render.render_id)

    execution = stage.run(render)

    assert execution.error == "RenderCancelled"
    assert stage.jobs() == []


def test_cancelling_a_finished_render_is_refused(stage):
    render = stage.submit()
    stage.run(render)

    with pytest.raises(NotAllowed, match="finalized already"):
        wiring.conductor().cancel(render.render_id)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", ["Lambda.Unknown", "Sandbox.Timedout", "States.Timeout"])
def test_a_poll_whose_process_dies_is_repeated(stage, error, when):
    stage.break_state("Poll", error, when)
    render = stage.submit()

    assert stage.run(render).status == "SUCCEEDED"
    assert len(stage.jobs()) == 1


def test_a_poll_that_keeps_crashing_never_turns_a_paid_render_into_failed(stage):
    for _ in range(3):
        stage.break_state("Poll", "KeyError", "before")
    render = stage.submit()

    execution = stage.run(render)

    assert execution.path.count("RecordFailure") == 3
    assert execution.status == "SUCCEEDED"
    assert len(stage.jobs()) == 1


def test_a_poll_that_crashes_for_ever_ends_stalled_at_the_deadline(stage, short_deadline):
    for _ in range(2000):
        stage.break_state("Poll", "KeyError", "before")
    render = stage.submit()

    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.status, record.status) == ("FAILED", "stalled")
    assert record.failure.error == "KeyError"
    assert record.job is not None


def test_waits_are_whole_seconds_and_never_reach_past_the_deadline(stage, short_deadline):
    stage.run(stage.submit(prompt="a lamp [[sim:hang]]"))

    assert all(isinstance(seconds, int) and 1 <= seconds <= 30 for seconds in stage.waits)
