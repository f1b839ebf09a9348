"""What comes next for a clip, by what is on record: the table of money."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from videoconductor.clip import ClipRequest, Failure, RenderPlan
from videoconductor.errors import Problem
from videoconductor.script import fingerprint
from videoconductor_cli.jobs.deciding import (
    Fetch,
    Rest,
    Send,
    SoFar,
    Wait,
    Want,
    attached,
    given_up,
    next_step,
    orphaned,
    will_send,
)
from videoconductor_cli.jobs.plans import PlannedClip
from videoconductor_cli.jobs.record import Attempt, Entry, KeptFile, entry_of, row_of

NOW = datetime(2026, 11, 22, tzinfo=UTC)
SHAPE, OTHER = "a" * 64, "b" * 64
KEPT = KeptFile(path="clips/lamp.mp4", bytes=5, sha256="0", seconds=6, width=854, height=480)


def attempt(status: Any, shape: str | None = SHAPE, number: int = 1, **fields: Any) -> Attempt:
    has_job = status in {"rendering", "stalled", "done"}
    given = {"request_id": f"job{number}" if has_job else None, **fields}
    return Attempt(
        number=number, status=status, render_id="r", updated_at=NOW, fingerprint=shape, **given
    )


def entry(*attempts: Attempt) -> Entry:
    return Entry("lamp", "draft", SHAPE, attempts)


def first(*attempts: Attempt, want: Want | None = None, here: bool = False) -> tuple[str, bool]:
    """The first step of a run, and whether a run sends anything."""
    known, want = entry(*attempts), want or Want()
    may_send = will_send(known, SHAPE, want)
    here_numbers = {a.number for a in attempts} if here else set()
    step = next_step(known, SHAPE, want, SoFar(may_send), here_numbers)
    return type(step).__name__, may_send


@pytest.mark.parametrize(
    ("attempts", "step", "may_send"),
    [
        ([], "Send", True),
        ([attempt("not_sent")], "Send", True),
        ([attempt("failed")], "Send", True),
        ([attempt("abandoned")], "Send", True),
        ([attempt("done", OTHER)], "Send", True),
        ([attempt("done")], "Rest", False),
        ([attempt("done", None)], "Rest", False),  # another program's: its shape is not known
        ([attempt("done"), attempt("done", OTHER, 2)], "Rest", False),
        ([attempt("submitting")], "Rest", False),
        ([attempt("submit_unknown")], "Rest", False),
        ([attempt("submit_unknown", OTHER)], "Rest", False),
        ([attempt("done", OTHER), attempt("submit_unknown", SHAPE, 2)], "Rest", False),
        ([attempt("rendering")], "Wait", False),
        ([attempt("stalled")], "Wait", False),
        ([attempt("rendering", OTHER)], "Wait", True),
        ([attempt("rendering", None)], "Wait", False),
    ],
)
def test_nothing_is_sent_that_may_be_paid_for_already(
    attempts: list[Attempt], step: str, may_send: bool
) -> None:
    assert first(*attempts) == (step, may_send)


@pytest.mark.parametrize(
    ("attempts", "step", "may_send"),
    [
        ([attempt("done")], "Send", True),
        ([attempt("rendering")], "Wait", False),
        ([attempt("submit_unknown")], "Rest", False),
        ([attempt("done"), attempt("submit_unknown", SHAPE, 2)], "Rest", False),
    ],
)
def test_force_makes_finished_clips_anew_and_overrules_nothing_else(
    attempts: list[Attempt], step: str, may_send: bool
) -> None:
    assert first(*attempts, want=Want(force=True)) == (step, may_send)


def test_a_clip_whose_file_is_wanted_and_not_here_is_fetched() -> None:
    want = Want(download=True)
    assert first(attempt("done"), want=want) == ("Fetch", False)
    assert first(attempt("done", file=KEPT), want=want) == ("Fetch", False)
    assert first(attempt("done", file=KEPT), want=want, here=True) == ("Rest", False)


def test_a_clip_whose_file_was_taken_away_is_not_finished() -> None:
    known = entry(attempt("done", file=KEPT))
    assert next_step(known, SHAPE, Want(), SoFar(False), set()) == Rest(False, known.newest)
    assert next_step(known, SHAPE, Want(), SoFar(False), {1}) == Rest(True, known.newest)


def test_a_job_that_fails_in_this_run_is_not_sent_again_in_it() -> None:
    failed = entry(attempt("failed"))
    assert next_step(failed, SHAPE, Want(), SoFar(True, sent=1), set()) == Rest(
        False, failed.newest
    )
    waited = SoFar(False, waited=frozenset({1}))
    assert next_step(failed, SHAPE, Want(), waited, set()) == Rest(False, failed.newest)
    stalled = entry(attempt("stalled"))
    assert next_step(stalled, SHAPE, Want(), waited, set()) == Rest(False, stalled.newest)


def test_a_changed_clip_is_sent_once_its_old_job_has_come_to_an_end() -> None:
    old = attempt("rendering", OTHER)
    assert next_step(entry(old), SHAPE, Want(), SoFar(True), set()) == Wait(old)
    over = SoFar(True, waited=frozenset({1}))
    done = entry(attempt("done", OTHER))
    assert next_step(done, SHAPE, Want(download=True), over, set()) == Send()


def test_under_force_only_what_was_made_in_this_run_counts() -> None:
    want = Want(download=True, force=True)
    both = entry(attempt("done"), attempt("done", number=2))
    assert next_step(both, SHAPE, want, SoFar(True, sent=2), set()) == Fetch(both.attempts[1])
    assert next_step(both, SHAPE, want, SoFar(True, sent=2), {2}) == Rest(True, both.attempts[1])
    worse = entry(attempt("done"), attempt("failed", number=2))
    assert next_step(worse, SHAPE, want, SoFar(True, sent=2), {1}) == Rest(False, worse.newest)


def test_a_finished_clip_speaks_for_its_entry_until_a_newer_one_is_finished() -> None:
    done, failed = attempt("done"), attempt("failed", number=2)
    assert entry(done, failed).shown == done
    assert entry(done, attempt("rendering", number=2)).shown == done
    assert entry(done, attempt("done", number=2)).shown == attempt("done", number=2)
    # Back to a shape that was made before: its clip is there, and it is the one that is wanted.
    assert entry(done, attempt("done", OTHER, 2)).shown == done


def test_the_holder_of_a_permit_that_is_gone_leaves_it_unknown() -> None:
    found = orphaned(entry(attempt("submitting")), NOW)
    assert found.newest is not None
    assert (found.newest.status, found.newest.request_id) == ("submit_unknown", None)


@pytest.fixture
def clip(plan: Callable[..., RenderPlan]) -> PlannedClip:
    made = plan(prompt="a lamp", duration=6)
    return PlannedClip("lamp", ClipRequest(prompt="a lamp"), made, fingerprint(made))


@pytest.mark.parametrize(
    ("attempts", "numbers"),
    [
        ([], [1]),
        ([attempt("not_sent")], [1]),
        ([attempt("failed")], [1, 2]),
        ([attempt("submitting")], [1]),
        ([attempt("submit_unknown")], [1]),
        ([attempt("abandoned"), attempt("done", number=2)], [1, 2]),
    ],
)
def test_a_job_is_attached_to_the_attempt_that_lacks_one(
    clip: PlannedClip, attempts: list[Attempt], numbers: list[int]
) -> None:
    found = attached(entry(*attempts), clip, "found", "r", NOW)
    assert isinstance(found, Entry)
    assert [a.number for a in found.attempts] == numbers
    [job] = [a for a in found.attempts if a.request_id == "found"]
    assert job.status == "rendering"


@pytest.mark.parametrize("status", ["rendering", "stalled", "done"])
def test_no_job_is_attached_where_none_is_missing(clip: PlannedClip, status: Any) -> None:
    assert isinstance(attached(entry(attempt(status)), clip, "found", "r", NOW), Problem)
    same = attached(entry(attempt(status)), clip, "job1", "r", NOW)
    assert isinstance(same, Entry)


@pytest.mark.parametrize("status", ["submitting", "submit_unknown", "stalled"])
def test_what_is_given_up_may_be_sent_again(status: Any) -> None:
    found = given_up(entry(attempt(status)), "lamp", NOW)
    assert isinstance(found, Entry)
    assert will_send(found, SHAPE, Want())


@pytest.mark.parametrize("status", ["done", "failed", "rendering", "not_sent"])
def test_only_what_is_unknown_or_stalled_can_be_given_up(status: Any) -> None:
    assert isinstance(given_up(entry(attempt(status)), "lamp", NOW), Problem)


def test_an_entry_is_the_same_after_it_was_written_and_read() -> None:
    error = Failure(error="RenderFailed", message="no", code="x")
    known = entry(
        attempt("done", file=KEPT, cost_ticks=3_000_000_000, temporary_url="https://x.ai/a.mp4"),
        attempt("failed", OTHER, 2, error=error),
    )
    row = row_of("film", known)
    assert entry_of(row) == known
    assert (row["status"], row["url"], row["costUsd"]) == ("done", "clips/lamp.mp4", 0.3)
    assert (row["_key"], row["duration"], row["resolution"]) == ("lamp::draft", 6.0, "480p")


def test_a_row_has_every_field_of_the_third_version() -> None:
    row = row_of("film", entry(attempt("done")))
    fields = {"id", "pipelineRequestId", "qualityMode", "duration", "status", "generationKind"}
    fields |= {"requestId", "url", "temporaryUrl", "firstFrameUrl", "thumbnailUrl", "error"}
    fields |= {"estimatedCostUsd", "costUsd", "model", "modelServed", "resolution", "sha256"}
    fields |= {"remasterFromRequestId", "purpose", "refCode", "renderId", "_key", "updatedAt"}
    assert fields <= set(row)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"status": "done", "requestId": "j", "url": "https://x.ai/a.mp4"}, "done"),
        ({"status": "failed"}, "failed"),
        ({"status": "pending", "requestId": "j"}, "rendering"),
        ({"status": "pending"}, "submit_unknown"),
        ({}, "submit_unknown"),
    ],
)
def test_another_program_s_entry_is_taken_as_paid_for(said: dict[str, Any], status: str) -> None:
    row = {"id": "lamp", "qualityMode": "draft", "extra": 1, **said}
    known = entry_of(row)
    assert known.newest is not None
    assert known.newest.status == status
    again = row_of("film", known, row)
    assert again["extra"] == 1
    assert again["url"] == said.get("url")
