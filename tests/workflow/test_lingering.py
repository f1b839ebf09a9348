"""A poll stays for the end of its job: few state transitions, and the end is soon noticed."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest

from benchmarks.polling import EPOCH, Job, Record, planned
from tests.workflow.conftest import Cloud
from videoconductor import orchestration, wiring, workflow
from videoconductor.errors import JobNotFound, ProviderUnavailable, RenderCancelled
from videoconductor.providers import Pending, Ready
from videoconductor.workflow import Pace, guards

READY = Ready(url="https://vidgen.x.ai/clip.mp4")
PLAIN = [
    *("NeedsFirstFrame", "Start", "IsStarted"),
    *("Wait", "Poll", "IsRendered"),
    *("Finalize", "Thumbnail"),
]


@pytest.fixture
def lingering(stage, monkeypatch):
    """A stage on which polls stay, as they do where nobody says otherwise."""
    monkeypatch.delenv("POLL_LINGER_SECONDS")
    wiring.settings.cache_clear()
    return stage


class Script(Job):
    """A provider that gives these answers in turn, and then the last of them again and again."""

    def __init__(self, *answers):
        super().__init__(1000, lambda share, lot: None, None)
        self.answers = list(answers)
        self.asked = []

    def poll(self, job):
        self.asked.append(self.now)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    """A render whose job was accepted at second 0, and one run of Poll some time after it."""

    def __init__(self, *answers, linger=90, at=15):
        self.provider = Script(*answers)
        self.record = Record(planned())
        self.pace = Pace(poll_linger=linger)
        accepted = guards.accepted(1, {"requestId": "job"}, self.pace, self.provider.clock)
        self.record.update("clip", accepted)
        self.record.writes = 0
        self.provider.now = at

    def change(self, **changes):
        self.record.render = self.record.render.model_copy(update=changes)

    def poll(self, pause=None):
        return workflow.poll(
            self.record.render,
            self.record,
            None,
            self.provider,
            self.pace,
            self.provider.clock,
            pause or self.provider.pause,
        )


# -- on the machine --------------------------------------------------------------------------------


@pytest.mark.parametrize("marker", ["no_progress", "empty202"])
def test_one_poll_sees_the_end_of_a_job_that_tells_nothing(lingering, marker):
    render = lingering.submit(prompt=f"a lamp [[sim:slow]] [[sim:{marker}]]")

    execution = lingering.run(render)

    assert execution.status == "SUCCEEDED"
    assert execution.path == PLAIN
    assert len(lingering.lingers) >= 2
    assert len(lingering.jobs()) == 1


@pytest.mark.parametrize("marker", ["poll429", "poll503", "poll_drop", "truncated_json"])
def test_an_answer_of_no_use_does_not_end_the_stay(lingering, marker):
    render = lingering.submit(prompt=f"a lamp [[sim:{marker}]]")

    execution = lingering.run(render)

    assert execution.path == PLAIN
    assert lingering.lingers


def test_a_render_that_is_cancelled_meanwhile_is_left_within_seconds(lingering):
    render = lingering.submit(prompt="a lamp [[sim:hang]]")

    def cancel():
        if lingering.lingers:
            lingering.while_waiting = None
            wiring.conductor().cancel(render.render_id)

    lingering.while_waiting = cancel
    execution = lingering.run(render)

    assert (execution.error, lingering.record(render).status) == ("RenderCancelled", "cancelled")
    assert execution.path.count("Poll") == 1
    assert sum(lingering.lingers) <= 2 * 5


def test_a_poll_stays_no_longer_than_it_may_and_no_longer_than_the_deadline(lingering, monkeypatch):
    monkeypatch.setenv("VIDEO_GEN_POLL_TIMEOUT_MS", "200000")
    wiring.settings.cache_clear()
    render = lingering.submit(prompt="a lamp [[sim:hang]]")

    execution = lingering.run(render)

    record = lingering.record(render)
    assert (execution.error, record.status) == ("RenderStalled", "stalled")
    assert execution.path.count("Poll") == 3  # from 15 s, from 106 s, and at the deadline
    assert (lingering.now() - record.deadline).total_seconds() < 2
    assert all(isinstance(seconds, int) and seconds >= 1 for seconds in lingering.waits)


def test_the_settings_leave_the_function_its_time():
    template = Cloud.template()
    function = template["Resources"]["PollFunction"]["Properties"]
    linger = template["Parameters"]["PollLingerSeconds"]
    # One GET has 15 s, the table three times six.
    assert linger["MaxValue"] + 15 + 2 * 18 <= function["Timeout"]
    assert function["MemorySize"] == orchestration.POLL_MEGABYTES
    assert linger["Default"] == wiring.Settings().poll_linger_seconds <= linger["MaxValue"]


# -- one run ---------------------------------------------------------------------------------------


def test_what_was_seen_goes_on_record_once_a_run():
    world = World(*[Pending(progress) for progress in range(60, 99)], READY, linger=12)

    after = world.poll()

    assert after.status == "rendering"
    assert len(world.provider.asked) >= 3
    assert world.record.writes == 1
    assert world.record.render.progress == after.progress > 60


def test_the_end_of_a_job_is_noticed_in_the_run_that_stays_for_it():
    world = World(Pending(50), Pending(90), READY)

    after = world.poll()

    assert (after.status, world.record.writes) == ("rendered", 1)


def test_without_time_to_linger_it_asks_once():
    world = World(Pending(90), READY, linger=0)

    after = world.poll()

    assert len(world.provider.asked) == 1
    assert after.wait_seconds == 3


def test_an_end_that_is_far_is_not_waited_for_in_the_process():
    world = World(Pending(5))

    after = world.poll()

    assert len(world.provider.asked) == 1
    assert after.wait_seconds == 30


def test_gaps_double_with_each_refusal_and_then_the_machine_waits():
    world = World(ProviderUnavailable("429"))

    after = world.poll()

    asked = world.provider.asked
    gaps = [round(b - a, 2) for a, b in itertools.pairwise(asked)]
    assert gaps == [1.67, 3.33, 6.67]
    assert after.wait_seconds >= 13
    assert world.record.writes == 0


def test_a_retry_after_is_heeded_in_the_run_and_by_the_machine():
    short = World(ProviderUnavailable("429", retry_after=8), READY)
    assert short.poll().status == "rendered"
    assert short.provider.asked == [15, 23]

    long = World(ProviderUnavailable("429", retry_after=45), READY)
    after = long.poll()
    assert (long.provider.asked, after.wait_seconds) == ([15], 45)


def test_a_job_that_is_not_known_is_not_lingered_for():
    world = World(JobNotFound("404"))

    after = world.poll()

    assert len(world.provider.asked) == 1
    assert after.missing_since is not None
    assert after.wait_seconds == 5


def test_an_answer_ends_the_count_of_404s_before_the_run_does():
    world = World(Pending(90), JobNotFound("404"), at=150)
    world.change(missing_since=EPOCH + timedelta(seconds=15))

    after = world.poll()

    assert after.status == "rendering"  # the grace begins anew
    assert (after.missing_since - EPOCH).total_seconds() > 150


def test_a_job_that_another_execution_took_over_is_left():
    world = World(Pending(None))
    render = world.record.render

    def taken_over(seconds):
        world.provider.pause(seconds)
        world.change(executions=2)

    world.record.render = render
    with pytest.raises(RenderCancelled, match="taken over"):
        world.poll(taken_over)
    assert world.provider.now <= 15 + 6


def test_a_run_whose_job_somebody_settled_goes_on_with_that():
    world = World(Pending(None))

    def finalized(seconds):
        world.provider.pause(seconds)
        world.change(status="finalized")

    assert world.poll(finalized).status == "finalized"
