"""One clip's way through a run, with a provider and a clock of our own."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from videoconductor.clip import ClipRequest, RenderPlan
from videoconductor.download import Downloads
from videoconductor.errors import (
    JobNotFound,
    KeyRefused,
    ModerationRejected,
    NotSent,
    OutOfCredits,
    ProviderUnavailable,
    RateLimited,
    RenderRefused,
    SubmitUnknown,
)
from videoconductor.providers import Pending, Ready
from videoconductor.script import fingerprint
from videoconductor_cli.jobs.deciding import Want
from videoconductor_cli.jobs.making import MAX_POSTPONEMENTS, Maker, Stopped, Times, Tools
from videoconductor_cli.jobs.manifest import Manifest, NotOnRecord
from videoconductor_cli.jobs.plans import PlannedClip
from videoconductor_cli.jobs.record import Attempt

NOW = datetime(2026, 11, 22, tzinfo=UTC)
READY = Ready("https://vidgen.x.ai/a.mp4", "grok-imagine-video", 6.0, 3_000_000_000)
JOB = {"requestId": "job1"}


@dataclass
class Script:
    """A provider that answers from lists; the last answer is given again and again."""

    manifest: Manifest
    starts: list[Any] = field(default_factory=lambda: [JOB])
    polls: list[Any] = field(default_factory=lambda: [READY])
    seen: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)

    def start(self, plan: RenderPlan, frame_url: Any, trace: str) -> Any:
        # What is on the disk at the very moment of the POST.
        [on_disk] = Manifest(self.manifest.path.parent, "film").entries()
        assert on_disk.newest is not None
        assert (on_disk.newest.status, on_disk.newest.request_id) == ("submitting", None)
        self.traces.append(trace)
        return self._next(self.starts)

    def poll(self, job: Any) -> Any:
        [on_disk] = Manifest(self.manifest.path.parent, "film").entries()
        assert job["requestId"] in {a.request_id for a in on_disk.attempts}
        self.seen.append(job["requestId"])
        return self._next(self.polls)

    def attach(self, request_id: str) -> Any:
        return {"requestId": request_id}

    def make_still(self, plan: RenderPlan, trace: str) -> Any:
        raise AssertionError

    @staticmethod
    def _next(answers: list[Any]) -> Any:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


@dataclass
class World:
    """Everything around a clip; `pauses` are the seconds it waited."""

    folder: Path
    clip: PlannedClip
    manifest: Manifest
    script: Script
    pauses: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    seconds: float = 0
    stops_at: float | None = None

    def make(self, *, may_send: bool = True, **want: bool) -> Any:
        return Maker(self._tools(), Want(**want)).make(self.clip, may_send=may_send)

    @property
    def newest(self) -> Attempt:
        found = Manifest(self.folder, "film").entry(self.clip.key).newest
        assert found is not None
        return found

    def _tools(self) -> Tools:
        return Tools(
            manifest=self.manifest,
            provider=lambda _: self.script,
            downloads=Downloads([]),
            folder=self.folder,
            times=Times(5, 60, 20),
            new_id=lambda: "render",
            now=lambda: NOW,
            clock=lambda: self.seconds,
            pause=self._pause,
            check=self._check,
            jitter=random.Random(1),  # noqa: S311
            show=lambda _: None,
            say=self.said.append,
        )

    def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.seconds += seconds
        self._check()

    def _check(self) -> None:
        if self.stops_at is not None and self.seconds >= self.stops_at:
            raise Stopped


@pytest.fixture
def world(tmp_path: Path, plan: Callable[..., RenderPlan]) -> World:
    made = plan(prompt="a lamp", duration=6)
    clip = PlannedClip("lamp", ClipRequest(prompt="a lamp"), made, fingerprint(made))
    manifest = Manifest(tmp_path, "film")
    return World(tmp_path, clip, manifest, Script(manifest))


def test_a_clip_is_sent_waited_for_and_on_record(world: World) -> None:
    world.script.polls = [Pending(20), Pending(), READY]
    outcome = world.make()
    assert (outcome.is_finished, outcome.sent) == (True, 1)
    assert world.pauses == [5, 5, 5]
    assert (world.newest.status, world.newest.request_id) == ("done", "job1")
    assert (world.newest.temporary_url, world.newest.cost_ticks) == (READY.url, 3_000_000_000)
    assert world.script.traces == ["render-1-0"]


def test_a_post_that_reached_nobody_is_sent_again_with_patience(world: World) -> None:
    world.script.starts = [NotSent("refused"), RateLimited("slowly", 30), JOB]
    assert world.make().is_finished
    assert len(world.script.traces) == len(set(world.script.traces)) == 3
    assert world.newest.number == 1
    assert world.pauses[0] <= 2
    assert world.pauses[1] >= 30


def test_patience_with_posts_that_reach_nobody_has_an_end(world: World) -> None:
    world.script.starts = [NotSent("refused")]
    assert not world.make().is_finished
    assert len(world.script.traces) == MAX_POSTPONEMENTS
    assert (world.newest.status, world.newest.request_id) == ("failed", None)


@pytest.mark.parametrize("problem", [RenderRefused("no"), OutOfCredits("no money")])
def test_a_refusal_is_final_for_this_run(world: World, problem: Exception) -> None:
    world.script.starts = [problem]
    assert not world.make().is_finished
    assert len(world.script.traces) == 1
    assert world.newest.status == "failed"
    assert world.newest.error is not None
    assert world.newest.error.error == type(problem).__name__


def test_what_may_have_been_accepted_is_not_sent_again(world: World) -> None:
    world.script.starts = [SubmitUnknown("500")]
    assert not world.make().is_finished
    assert world.newest.status == "submit_unknown"
    assert not world.make().is_finished
    assert len(world.script.traces) == 1


def test_an_error_that_nobody_foresaw_leaves_the_permit_taken(world: World) -> None:
    world.script.starts = [ZeroDivisionError()]
    with pytest.raises(ZeroDivisionError):
        world.make()
    assert world.newest.status == "submitting"
    assert not world.make().is_finished
    assert len(world.script.traces) == 1


def test_a_job_that_could_not_be_written_down_is_said_aloud(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = world.manifest.put

    def full(entry: Any) -> None:
        if entry.newest.status == "rendering":
            raise NotOnRecord("the disk is full")
        put(entry)

    monkeypatch.setattr(world.manifest, "put", full)
    with pytest.raises(NotOnRecord):
        world.make()
    [words] = world.said
    assert "--attach lamp=job1" in words
    assert world.newest.status == "submitting"


def test_nothing_is_sent_when_it_cannot_be_written_down_first(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Any) -> None:
        raise NotOnRecord("the disk is full")

    monkeypatch.setattr(world.manifest, "put", full)
    with pytest.raises(NotOnRecord):
        world.make()
    assert world.script.traces == []


def test_a_moderated_job_is_failed_with_what_it_cost(world: World) -> None:
    world.script.polls = [ModerationRejected("withheld", code="moderated", cost_ticks=5)]
    assert not world.make().is_finished
    assert (world.newest.status, world.newest.cost_ticks) == ("failed", 5)
    assert len(world.script.traces) == 1


def test_polls_without_an_answer_are_repeated_until_the_deadline(world: World) -> None:
    world.script.polls = [ProviderUnavailable("503")]
    assert not world.make().is_finished
    assert (world.newest.status, world.newest.request_id) == ("stalled", "job1")
    assert world.seconds == pytest.approx(60)  # counted from the POST


@pytest.mark.parametrize("problem", [JobNotFound("404"), KeyRefused("401")])
def test_a_job_turned_away_stalls_after_a_grace(world: World, problem: Exception) -> None:
    world.script.polls = [problem]
    assert not world.make().is_finished
    assert world.newest.status == "stalled"
    assert world.seconds == pytest.approx(25)


def test_a_grace_begins_anew_after_an_answer(world: World) -> None:
    gone = JobNotFound("404")
    world.script.polls = [gone, gone, gone, Pending(5), gone, gone, gone, READY]
    assert world.make().is_finished


def test_a_stalled_job_is_taken_up_by_the_next_run(world: World) -> None:
    world.script.polls = [Pending(50)]
    world.make()
    world.script.polls = [READY]
    assert world.make(may_send=False).is_finished
    assert world.script.seen[-1] == "job1"
    assert len(world.script.traces) == 1


def test_a_stop_before_the_post_leaves_nothing_behind(world: World) -> None:
    world.stops_at = 0
    with pytest.raises(Stopped):
        world.make()
    assert world.script.traces == []
    assert not world.manifest.path.exists()


def test_a_stop_while_waiting_leaves_the_job_to_the_next_run(world: World) -> None:
    world.stops_at = 7
    world.script.polls = [Pending()]
    with pytest.raises(Stopped):
        world.make()
    assert (world.newest.status, world.newest.request_id) == ("rendering", "job1")


def test_a_stop_between_two_tries_leaves_the_clip_unsent(world: World) -> None:
    world.stops_at = 1
    world.script.starts = [NotSent("refused")]
    with pytest.raises(Stopped):
        world.make()
    assert world.newest.status == "not_sent"
    world.stops_at, world.script.starts = None, [JOB]
    assert world.make().is_finished
    assert world.newest.number == 1


def test_a_clip_that_cannot_be_fetched_stays_done_and_is_not_sent_again(world: World) -> None:
    outcome = world.make(download=True)  # no origin is on the list of sources
    assert not outcome.is_finished
    assert world.newest.status == "done"
    assert world.newest.error is not None
    assert world.newest.error.error == "SourceNotAllowed"
    assert world.newest.temporary_url == READY.url
    assert not world.make(download=True, may_send=False).is_finished
    assert len(world.script.traces) == 1
