"""RELIABILITY, Spending: one POST per attempt, and no second one unless nothing was accepted.

The last line of most tests is the question that matters: how many jobs did xAI start?
"""

import threading
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest

from tests.workflow.conftest import Killed
from videoconductor import intake, permits, wiring, workflow
from videoconductor.errors import (
    IdempotencyConflict,
    InvalidRequest,
    MachineUnavailable,
    ManifestUnavailable,
    NotAllowed,
    NotSetGoing,
)

START_ERRORS = sorted(workflow.CRASHES)


@pytest.mark.long
@pytest.mark.parametrize("error", START_ERRORS)
def test_killed_before_the_permit_was_taken_start_runs_again_and_posts_once(stage, error):
    stage.break_state("Start", error, "before")
    render = stage.submit()

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert execution.path[:8] == [
        "NeedsFirstFrame",
        "Start",
        "AwaitLease",
        "RecordFailure",
        "IsOver",
        "AwaitTurn",
        "NeedsFirstFrame",
        "Start",
    ]
    assert stage.waits[0] == 150
    assert len(stage.jobs()) == 1


def test_killed_between_permit_and_post_is_submit_unknown_and_never_posts(stage, monkeypatch):
    fired = stage.kill(monkeypatch, wiring.provider("xai"), "start", "before")
    render = stage.submit()

    execution = stage.run(render)

    assert fired == ["start"]
    assert (execution.status, execution.error) == ("FAILED", "SubmitUnknown")
    assert stage.record(render).status == "submit_unknown"
    assert stage.published[-1]["status"] == "submit_unknown"
    assert stage.jobs() == []


@pytest.mark.parametrize("error", START_ERRORS)
def test_killed_after_the_post_was_stored_goes_on_to_poll_with_one_job(stage, error):
    stage.break_state("Start", error, "after")
    render = stage.submit()

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert len(stage.jobs()) == 1


def test_killed_after_the_post_before_its_id_was_stored_is_submit_unknown(stage, monkeypatch):
    fired = stage.kill(monkeypatch, wiring.provider("xai"), "start", "after")
    render = stage.submit()

    execution = stage.run(render)

    assert fired == ["start"]
    assert execution.error == "SubmitUnknown"
    assert stage.record(render).attempts[0].outcome == "unknown"
    assert len(stage.jobs()) == 1


@pytest.mark.parametrize("marker", ["lost", "garbled"])
def test_an_answer_lost_after_sending_is_submit_unknown_without_a_second_post(stage, marker):
    render = stage.submit(prompt=f"a lamp [[sim:{marker}]]")

    execution = stage.run(render)

    assert execution.error == "SubmitUnknown"
    assert stage.record(render).status == "submit_unknown"
    assert len(stage.jobs()) == 1


def test_a_5xx_on_the_post_is_submit_unknown_without_a_second_post(stage):
    render = stage.submit(prompt="a lamp [[sim:start503]]")

    execution = stage.run(render)

    assert execution.error == "SubmitUnknown"
    posts = [r for r in stage.simulator.requests() if r["method"] == "POST"]
    assert len(posts) == 1


def test_a_rate_limit_is_waited_out_and_posted_again(stage):
    render = stage.submit(prompt="a lamp [[sim:start429]]")

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert execution.path[1:6] == ["Start", "IsStarted", "AwaitTurn", "NeedsFirstFrame", "Start"]
    assert [a.outcome for a in stage.record(render).attempts] == ["refused", "accepted"]
    assert len(stage.jobs()) == 1


def test_an_unreachable_api_is_tried_again_until_it_answers(stage, monkeypatch):
    monkeypatch.setenv("XAI_API_BASE_URL", "http://127.0.0.1:9/v1")
    wiring.settings.cache_clear()
    wiring.provider.cache_clear()
    render = stage.submit()

    def back_on_line():
        monkeypatch.setenv("XAI_API_BASE_URL", stage.simulator.base_url)
        wiring.settings.cache_clear()
        wiring.provider.cache_clear()

    stage.while_waiting = back_on_line
    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert stage.record(render).attempts[0].outcome == "not_sent"
    assert len(stage.jobs()) == 1


def test_an_api_that_stays_unreachable_ends_failed_with_nothing_spent(stage, monkeypatch):
    monkeypatch.setenv("XAI_API_BASE_URL", "http://127.0.0.1:9/v1")
    wiring.settings.cache_clear()
    wiring.provider.cache_clear()
    monkeypatch.setattr(permits, "MAX_POSTPONEMENTS", 8)

    execution = stage.run(stage.submit())

    assert execution.error == "RenderRefused"
    assert "given up after 8 tries" in execution.cause
    assert max(stage.waits) <= 60
    assert stage.jobs() == []


def test_out_of_credits_fails_at_once_with_the_reason(stage):
    render = stage.submit(prompt="a lamp [[sim:nocredits]]")

    execution = stage.run(render)

    assert execution.path == ["NeedsFirstFrame", "Start", "RecordFailure", "IsOver", "Failed"]
    assert execution.error == "OutOfCredits"
    assert "credits" in execution.cause
    assert len(stage.record(render).attempts) == 1
    assert stage.jobs() == []


def test_a_wrong_key_fails_at_once_and_is_never_shown(stage):
    secret = "xai-" + "s3cret" * 8
    boto3.client("secretsmanager", "us-east-1").put_secret_value(
        SecretId="xai", SecretString=secret
    )
    wiring.api_key(renew=True)
    render = stage.submit()

    execution = stage.run(render)

    assert execution.error == "RenderRefused"
    record = stage.record(render)
    assert "Incorrect API key" in record.failure.message
    assert secret not in record.model_dump_json()
    assert secret not in (execution.cause or "")


def test_the_same_key_and_body_again_is_one_render_with_the_same_answer(stage):
    first = stage.submit(key="k")
    stage.run(first)
    again = stage.submit(key="k")

    assert again.render_id == first.render_id
    assert len(stage.jobs()) == 1


def test_the_same_key_and_body_at_the_same_time_is_one_render(stage):
    gate = threading.Barrier(8)

    def submit(_):
        gate.wait()
        return stage.submit(key="k").render_id

    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(submit, range(8)))

    assert len(ids) == 1
    stage.run(stage.submit(key="k"))
    assert len(stage.jobs()) == 1


def test_the_same_key_with_another_body_is_refused_and_writes_nothing(stage):
    first = stage.submit(key="k")
    stage.run(first)
    before = stage.record(first)

    with pytest.raises(IdempotencyConflict):
        stage.submit(key="k", prompt="another lamp")

    assert stage.record(first) == before
    assert len(stage.jobs()) == 1


def test_another_callers_same_key_is_another_render(stage):
    first = stage.submit(key="k")
    request = intake.clip_request('{"prompt": "a lamp in the rain", "duration": 1}')
    other = wiring.conductor().accept(request, "arn:aws:iam::1:user/somebody-else", "k")

    assert other.render_id != first.render_id


def test_a_door_killed_between_record_and_execution_is_finished_by_its_callers_retry(
    stage, monkeypatch
):
    machine = wiring.conductor().machine
    fired = stage.kill(monkeypatch, machine, "start", "before")
    with pytest.raises(Killed):
        stage.submit(key="k")
    assert fired == ["start"]

    execution = stage.run(stage.submit(key="k"))

    assert execution.status == "SUCCEEDED"
    assert len(stage.jobs()) == 1


def test_a_request_over_its_own_cap_is_refused_before_anything_is_written(stage):
    with pytest.raises(InvalidRequest, match="maxCostUsd"):
        stage.submit(duration=10, maxCostUsd=0.1)

    assert wiring.manifest().renders(stage.now(), 10) == []
    assert stage.jobs() == []


def test_a_submit_unknown_can_be_attached_by_the_request_id_somebody_found(stage):
    render = stage.submit(prompt="a lamp [[sim:lost]]")
    stage.run(render)
    [job] = stage.jobs()

    execution = stage.run(wiring.conductor().attach(render.render_id, job["id"]))

    assert execution.status == "SUCCEEDED"
    assert stage.record(render).status == "finalized"
    assert len(stage.jobs()) == 1


def test_a_submit_unknown_is_retried_only_by_somebody_who_accepts_a_second_charge(stage):
    render = stage.submit(prompt="a lamp [[sim:start503]]")
    stage.run(render)

    with pytest.raises(NotAllowed, match="mayChargeTwice"):
        wiring.conductor().retry(render.render_id)
    retried = wiring.conductor().retry(render.render_id, may_charge_twice=True)
    execution = stage.run(retried)

    assert execution.status == "SUCCEEDED"
    assert [a.outcome for a in stage.record(render).attempts] == ["abandoned", "accepted"]
    assert len(stage.jobs()) == 1


def test_a_stalled_render_that_was_abandoned_is_not_retried_without_consent(stage, monkeypatch):
    monkeypatch.setenv("VIDEO_GEN_POLL_TIMEOUT_MS", "1000")
    wiring.settings.cache_clear()
    render = stage.submit(prompt="a lamp [[sim:hang]]")
    stage.run(render)
    wiring.conductor().abandon(render.render_id)

    with pytest.raises(NotAllowed, match="mayChargeTwice"):
        wiring.conductor().retry(render.render_id)

    assert len(stage.jobs()) == 1


def test_a_render_that_xai_ended_is_retried_without_further_ado(stage):
    render = stage.submit(prompt="a lamp [[sim:failed]]")
    stage.run(render)

    stage.run(wiring.conductor().retry(render.render_id))

    assert len(stage.jobs()) == 2
    assert [a.outcome for a in stage.record(render).attempts] == ["accepted", "accepted"]


def test_a_key_that_cannot_be_read_postpones_the_post_instead_of_losing_it(stage):
    secrets = boto3.client("secretsmanager", "us-east-1")
    secrets.delete_secret(SecretId="xai", ForceDeleteWithoutRecovery=True)
    render = stage.submit()

    def restore():
        stage.while_waiting = None
        secrets.create_secret(Name="xai", SecretString="sim-key")

    stage.while_waiting = restore
    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert [a.outcome for a in stage.record(render).attempts] == ["not_sent", "accepted"]
    assert len(stage.jobs()) == 1


def test_a_decision_whose_execution_does_not_start_says_so_and_can_be_resumed(stage, monkeypatch):
    render = stage.submit(prompt="a lamp [[sim:lost]]")
    stage.run(render)
    [job] = stage.jobs()
    with monkeypatch.context() as patch:

        def down(render):
            raise MachineUnavailable("Step Functions: ThrottlingException")

        patch.setattr(type(wiring.conductor().machine), "start", lambda self, render: down(render))
        with pytest.raises(NotSetGoing, match="resume"):
            wiring.conductor().attach(render.render_id, job["id"])

    execution = stage.run(wiring.conductor().resume(render.render_id))

    assert execution.status == "SUCCEEDED"
    assert len(stage.jobs()) == 1


def test_a_submit_unknown_can_be_abandoned(stage):
    render = stage.submit(prompt="a lamp [[sim:lost]]")
    stage.run(render)

    assert wiring.conductor().abandon(render.render_id).status == "failed"
    assert len(stage.jobs()) == 1


def test_a_job_whose_id_could_not_be_stored_travels_on_and_is_stored_by_poll(stage, monkeypatch):
    manifest = wiring.manifest()
    real, failures = manifest.save, [0]

    def failing(before, render, *terms):
        if render.job is not None and failures[0] < 1:
            failures[0] += 1
            raise ManifestUnavailable("DynamoDB PutItem: InternalServerError")
        return real(before, render, *terms)

    monkeypatch.setattr(manifest, "save", failing)
    render = stage.submit()

    execution = stage.run(render)

    assert failures == [1]
    assert execution.status == "SUCCEEDED"
    assert stage.record(render).attempts[0].outcome == "accepted"
    assert len(stage.jobs()) == 1


def test_two_executions_of_one_render_share_a_single_permit(stage, monkeypatch):
    render = stage.submit()
    resumed = wiring.conductor().resume(render.render_id)

    executions = [stage.run(render), stage.run(resumed)]

    assert "SUCCEEDED" in {execution.status for execution in executions}
    assert stage.record(render).status == "finalized"
    assert len(stage.jobs()) == 1
