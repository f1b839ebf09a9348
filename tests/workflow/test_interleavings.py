"""People deciding while executions run, stale executions, and edges that fail at a bad moment."""

import base64
import threading

import pytest

from videoconductor import doctoring, planning, wiring
from videoconductor.errors import (
    CopyInterrupted,
    EventsUnavailable,
    InvalidRequest,
    JobNotFound,
    MachineUnavailable,
    ManifestUnavailable,
    NotAllowed,
    NotSetGoing,
    ProviderUnavailable,
    RateLimited,
    RenderRefused,
    UrlExpired,
)
from videoconductor.providers import Pending, Ready

pytestmark = pytest.mark.long


class Gate:
    """Holds one call of a method until it is opened."""

    def __init__(self, monkeypatch, edge, call, *, after=True):
        real = getattr(edge, call)
        self._inside, self._opened, self._used = threading.Event(), threading.Event(), False

        def held(*arguments):
            if self._used:
                return real(*arguments)
            self._used = True
            answer = real(*arguments) if after else None
            self._inside.set()
            self._opened.wait(20)
            return answer if after else real(*arguments)

        monkeypatch.setattr(edge, call, held)

    def reached(self):
        assert self._inside.wait(20)

    def open(self):
        self._opened.set()


@pytest.fixture
def xai(stage):
    return wiring.provider("xai")


@pytest.fixture
def conductor(stage):
    return wiring.conductor()


def failing_saves_of_a_job(monkeypatch, times):
    manifest = wiring.manifest()
    real, failed = manifest.save, []

    def save(before, render, *terms):
        if render.job is not None and len(failed) < times:
            failed.append(render.render_id)
            raise ManifestUnavailable("DynamoDB PutItem: ProvisionedThroughputExceeded")
        return real(before, render, *terms)

    monkeypatch.setattr(manifest, "save", save)
    return failed


def test_a_mistyped_attach_does_not_open_the_way_to_a_second_charge(stage, conductor):
    render = stage.submit(prompt="x [[sim:lost]]")
    stage.run(render)
    stage.run(conductor.attach(render.render_id, "not-a-real-id"))
    assert stage.record(render).status == "failed"

    with pytest.raises(NotAllowed, match="mayChargeTwice"):
        conductor.retry(render.render_id)

    [job] = stage.jobs()
    assert stage.run(conductor.attach(render.render_id, job["id"])).status == "SUCCEEDED"
    assert stage.record(render).attempts[0].request_id == job["id"]
    assert len(stage.jobs()) == 1


def test_attaching_somebody_elses_failed_job_proves_nothing_about_the_lost_post(stage, conductor):
    other = stage.submit(prompt="y [[sim:failed]]")
    stage.run(other)
    render = stage.submit(prompt="x [[sim:lost]]")
    stage.run(render)
    stage.run(conductor.attach(render.render_id, stage.record(other).request_id))

    with pytest.raises(NotAllowed, match="mayChargeTwice"):
        conductor.retry(render.render_id)


def test_a_lost_post_is_given_up_though_the_job_that_was_attached_has_failed(stage, conductor):
    other = stage.submit(prompt="y [[sim:failed]]")
    stage.run(other)
    render = stage.submit(prompt="x [[sim:lost]]")
    stage.run(render)
    stage.run(conductor.attach(render.render_id, stage.record(other).request_id))
    before = stage.record(render)
    assert before.status == "failed"
    [finding] = [doctoring.held(before, stage.now())]
    assert finding.commands[-1] == f"videoconductor abandon {render.render_id}"

    given_up = conductor.abandon(render.render_id)

    assert (given_up.status, given_up.failure.error) == ("failed", "Abandoned")
    assert before.failure.message in given_up.failure.message
    assert doctoring.held(given_up, stage.now()) is None
    assert doctoring.is_held_by_decision(given_up, stage.now())
    assert given_up.held_ticks == before.held_ticks > 0
    with pytest.raises(NotAllowed, match="mayChargeTwice"):
        conductor.retry(render.render_id)
    for settled in (render, other):
        with pytest.raises(NotAllowed, match="nothing to abandon"):
            conductor.abandon(settled.render_id)


def test_a_job_attached_to_a_refused_render_needs_consent_before_another_is_paid_for(
    stage, conductor
):
    other = stage.submit(prompt="y [[sim:job_lost]]")
    stage.run(other)
    render = stage.submit(prompt="x [[sim:nocredits]]")
    stage.run(render)
    stage.run(conductor.attach(render.render_id, stage.record(other).request_id))
    assert stage.record(render).status == "stalled"

    with pytest.raises(NotAllowed, match="mayChargeTwice"):
        conductor.retry(render.render_id)

    assert len(stage.jobs()) == 1


def test_an_answer_that_comes_after_another_execution_gave_up_is_kept_and_needs_consent(
    stage, conductor, xai, monkeypatch
):
    monkeypatch.setenv("VIDEO_GEN_POLL_TIMEOUT_MS", "60000")
    wiring.settings.cache_clear()
    gate = Gate(monkeypatch, xai, "start", after=False)
    render = stage.submit(prompt="x [[sim:hang]]")
    gate.reached()
    stage.break_state("Start", "Lambda.ResourceNotReadyException", "before")
    resumed = conductor.resume(render.render_id)
    stage.while_waiting = gate.open

    stage.run(resumed)
    stage.run(render)

    record = stage.record(render)
    assert record.request_id == stage.jobs()[0]["id"]
    assert record.status in {"rendering", "stalled"}
    if record.status == "stalled":
        with pytest.raises(NotAllowed):
            conductor.retry(render.render_id)
    assert len(stage.jobs()) == 1


@pytest.mark.parametrize("failures", [1, 2, 4])
def test_a_carried_job_gets_on_record_however_often_the_table_fails(stage, monkeypatch, failures):
    failed = failing_saves_of_a_job(monkeypatch, failures)
    render = stage.submit()

    execution = stage.run(render)

    assert len(failed) == failures
    assert execution.status == "SUCCEEDED"
    assert stage.record(render).attempts[0].request_id == stage.jobs()[0]["id"]
    assert len(stage.jobs()) == 1


def test_a_carried_job_gets_on_record_through_record_failure_too(stage, monkeypatch):
    failed = failing_saves_of_a_job(monkeypatch, 2)
    stage.break_state("Poll", "Runtime.ImportModuleError", "before")
    render = stage.submit()

    execution = stage.run(render)

    assert len(failed) == 2
    assert execution.status == "SUCCEEDED"
    assert len(stage.jobs()) == 1


def test_a_carried_job_survives_a_resume(stage, conductor, monkeypatch):
    failing_saves_of_a_job(monkeypatch, 1)
    resumed = []

    def resume():
        if not resumed:
            resumed.append(conductor.resume(render.render_id))

    stage.while_waiting = resume
    render = stage.submit()
    first = stage.run(render)
    second = stage.run(resumed[0])

    assert first.error == "RenderCancelled"
    assert second.status == "SUCCEEDED"
    assert stage.record(render).status == "finalized"
    assert len(stage.jobs()) == 1


def test_the_answer_of_a_job_that_was_replaced_meanwhile_changes_nothing(
    stage, conductor, xai, monkeypatch
):
    other = stage.submit(prompt="clip A")
    stage.run(other)
    wrong = stage.record(other).request_id
    render = stage.submit(prompt="clip B [[sim:lost]]")
    stage.run(render)
    right = next(job["id"] for job in stage.jobs() if job["id"] != wrong)
    gate = Gate(monkeypatch, xai, "poll")
    attached = conductor.attach(render.render_id, wrong)
    gate.reached()
    conductor.cancel(render.render_id)
    again = conductor.attach(render.render_id, right)
    gate.open()

    stage.run(attached)
    stage.run(again)

    record = stage.record(render)
    assert (record.status, record.request_id) == ("finalized", right)
    assert right in record.delivery.url
    assert record.clip.sha256 != stage.record(other).clip.sha256


def test_a_copy_that_was_overtaken_by_a_paid_retry_does_not_finish_the_retry(
    stage, conductor, xai, monkeypatch
):
    copy = Gate(monkeypatch, wiring.library(), "put_sidecar", after=False)
    render = stage.submit(prompt="one")
    copy.reached()
    conductor.cancel(render.render_id)
    poll = Gate(monkeypatch, xai, "poll", after=False)
    retried = conductor.retry(render.render_id, may_charge_twice=True)
    poll.reached()
    copy.open()
    stage.run(render)
    poll.open()

    second = stage.run(retried)

    record = stage.record(render)
    assert second.status == "SUCCEEDED"
    assert record.request_id == record.attempts[-1].request_id
    assert record.clip.key.endswith("-2.mp4")
    assert len(stage.jobs()) == 2


def test_an_overtaken_execution_steps_aside_and_announces_nothing(
    stage, conductor, xai, monkeypatch
):
    gate = Gate(monkeypatch, xai, "poll")
    render = stage.submit()
    gate.reached()
    resumed = conductor.resume(render.render_id)
    gate.open()

    first = stage.run(render)
    second = stage.run(resumed)

    assert (first.status, first.error) == ("FAILED", "RenderCancelled")
    assert second.status == "SUCCEEDED"
    assert [event["status"] for event in stage.published] == ["finalized"]


def test_a_paid_retry_has_a_place_of_its_own_for_its_clip(stage, conductor, monkeypatch):
    manifest = wiring.manifest()
    with monkeypatch.context() as patch:

        def down(*_):
            raise ManifestUnavailable("DynamoDB PutItem: InternalServerError")

        patch.setattr(manifest, "publish", down)
        render = stage.submit()
        stage.run(render)
    assert stage.record(render).status == "failed"

    second = stage.run(conductor.retry(render.render_id, may_charge_twice=True))

    assert second.status == "SUCCEEDED"
    assert len([key for key in stage.objects() if key.endswith(".mp4")]) == 2
    assert stage.record(render).cost_ticks == sum(job["cost_usd_ticks"] for job in stage.jobs())


def test_the_entry_is_the_clip_of_the_last_attempt_and_the_first_stays_a_version(
    stage, conductor, monkeypatch
):
    manifest = wiring.manifest()
    real = manifest.publish
    with monkeypatch.context() as patch:

        def written_but_unheard(*arguments):
            real(*arguments)
            raise ManifestUnavailable("DynamoDB PutItem: InternalServerError")

        patch.setattr(manifest, "publish", written_but_unheard)
        render = stage.submit(clipId="c", pipelineRequestId="f")
        stage.run(render)

    stage.run(conductor.retry(render.render_id, may_charge_twice=True))

    [entry] = manifest.entries("f")
    versions = manifest.versions("f", "c::draft")
    assert entry.request_id == stage.record(render).request_id
    assert [v.request_id for v in versions] == [a.request_id for a in stage.record(render).attempts]


def test_an_inline_image_of_a_request_that_failed_is_not_taken_for_the_next_ones(
    stage, monkeypatch
):
    def url(content):
        return "data:image/png;base64," + base64.b64encode(content).decode()

    images = [b"\x89PNG\r\n\x1a\n" + bytes([n]) * 50 for n in (1, 2)]
    with monkeypatch.context() as patch:

        def down(_):
            raise ManifestUnavailable("DynamoDB PutItem: InternalServerError")

        patch.setattr(wiring.manifest(), "create", down)
        with pytest.raises(ManifestUnavailable):
            stage.submit(key="k", imageUrl=url(images[0]))

    render = stage.submit(key="k", imageUrl=url(images[1]))

    assert b"".join(wiring.library().read(render.plan.image.key)) == images[1]
    stage.run(render)


def test_a_start_that_never_lives_to_its_permit_is_given_up_after_some_rounds(stage, monkeypatch):
    real = stage.invoke

    def invoke(folder, event):
        return stage._died("Runtime.ExitError") if folder == "start" else real(folder, event)

    monkeypatch.setattr(stage, "invoke", invoke)
    render = stage.submit()

    execution = stage.run(render)

    assert (execution.error, stage.record(render).status) == ("Runtime.ExitError", "failed")
    assert execution.path.count("AwaitLease") == 11
    assert stage.jobs() == []


def test_a_clip_that_is_there_is_a_success_though_nobody_could_be_told(stage, monkeypatch):
    def down(*_):
        raise EventsUnavailable("EventBridge: ServiceUnavailable")

    monkeypatch.setattr(wiring.events(), "publish", down)
    render = stage.submit()

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert stage.record(render).status == "finalized"
    assert stage.record(render).announced is None


def test_a_clip_copied_by_an_earlier_run_is_found_though_its_source_is_gone(stage, monkeypatch):
    fired = stage.kill(monkeypatch, wiring.library(), "put_clip", "after")
    downloads = wiring.downloads()
    real = downloads.open

    def gone(url):
        if fired:
            raise CopyInterrupted("the clip's host: ConnectError")
        return real(url)

    monkeypatch.setattr(downloads, "open", gone)

    execution = stage.run(stage.submit())

    assert fired == ["put_clip"]
    assert execution.status == "SUCCEEDED"


def test_polls_without_an_answer_do_not_count_as_expired_urls(stage, xai, monkeypatch):
    real, seen = xai.poll, {"ready": 0, "bad": 0}

    def poll(job):
        if seen["ready"] == 1 and seen["bad"] < 6:
            seen["bad"] += 1
            raise ProviderUnavailable("503")
        answer = real(job)
        seen["ready"] += isinstance(answer, Ready)
        return answer

    monkeypatch.setattr(xai, "poll", poll)
    downloads = wiring.downloads()
    opened = downloads.open

    def open_url(url):
        if seen["ready"] <= 1:
            raise UrlExpired("403")
        return opened(url)

    monkeypatch.setattr(downloads, "open", open_url)
    render = stage.submit()

    assert stage.run(render).status == "SUCCEEDED"
    assert stage.record(render).copies == 1


def test_two_blips_of_404_far_apart_are_two_blips(stage, xai, monkeypatch):
    real, seen = xai.poll, []

    def poll(job):
        seen.append(stage.elapsed)
        if len(seen) == 1 or (stage.elapsed > 200 and "second" not in seen):
            if len(seen) > 1:
                seen.append("second")
            raise JobNotFound("blip")
        return Pending() if stage.elapsed < 200 else real(job)

    monkeypatch.setattr(xai, "poll", poll)

    assert stage.run(stage.submit()).status == "SUCCEEDED"
    assert "second" in seen


def test_what_a_failed_attempt_cost_stays_booked_when_a_retry_is_refused(
    stage, conductor, xai, monkeypatch
):
    render = stage.submit(prompt="x [[sim:moderated]]")
    stage.run(render)
    assert stage.record(render).cost_ticks == 5 * 10**8

    def refused(*_):
        raise RenderRefused("400")

    monkeypatch.setattr(xai, "start", refused)
    stage.run(conductor.retry(render.render_id))

    assert stage.record(render).cost_ticks == 5 * 10**8


def test_an_execution_that_may_have_started_is_resumed_not_asked_for_again(
    stage, conductor, monkeypatch
):
    machine = type(conductor.machine)
    real = machine.start

    def lost(self, render):
        real(self, render)
        raise MachineUnavailable("Step Functions: ReadTimeoutError")

    with monkeypatch.context() as patch:
        patch.setattr(machine, "start", lost)
        with pytest.raises(NotSetGoing, match=r"render [0-9a-f]{32} is on record.*resume"):
            stage.submit()
    stage.settle()

    assert len(stage.jobs()) == 1


def test_a_session_of_a_role_is_the_same_caller_from_one_process_to_the_next(stage, conductor):
    from videoconductor import intake

    request = intake.clip_request('{"prompt": "a", "duration": 1}')
    role = "arn:aws:sts::1:assumed-role/Render/botocore-session-{}"
    person = "arn:aws:sts::1:assumed-role/AWSReservedSSO_Editor_1f/{}"

    ids = [conductor.accept(request, role.format(n), "k").render_id for n in (1, 2)]
    people = [conductor.accept(request, person.format(n), "k").render_id for n in "ab"]
    stage.settle()

    assert ids[0] == ids[1]
    assert people[0] != people[1]
    assert len(stage.jobs()) == 3


def test_a_repetition_is_answered_as_before_though_prices_have_changed(stage, monkeypatch):
    first = stage.submit(key="k", maxCostUsd=0.1)

    def dearer(*_, **__):
        raise InvalidRequest.of("maxCostUsd", 0.1, "is less than the estimate")

    monkeypatch.setattr(planning, "plan", dearer)

    assert stage.submit(key="k", maxCostUsd=0.1).render_id == first.render_id


def test_a_render_postponed_to_the_end_stays_a_small_document(stage, xai, monkeypatch):
    def limited(*_):
        raise RateLimited("x" * 500, 1)

    monkeypatch.setattr(xai, "start", limited)
    render = stage.submit(prompt="p" * 4096)
    stage.run(render)

    record = stage.record(render)
    assert len(record.model_dump_json()) < 16 * 1024
    assert record.attempts[-1].number == 61
    assert sum(1 + attempt.repeats for attempt in record.attempts) == 61


def test_an_abandoned_render_is_announced(stage, conductor):
    render = stage.submit(prompt="x [[sim:lost]]")
    stage.run(render)

    conductor.abandon(render.render_id)

    assert [event["status"] for event in stage.published] == ["submit_unknown", "failed"]


def test_abandoning_works_though_nobody_can_be_told(stage, conductor, monkeypatch):
    render = stage.submit(prompt="x [[sim:lost]]")
    stage.run(render)

    def down(*_):
        raise EventsUnavailable("EventBridge: ServiceUnavailable")

    monkeypatch.setattr(wiring.events(), "publish", down)

    assert conductor.abandon(render.render_id).status == "failed"
