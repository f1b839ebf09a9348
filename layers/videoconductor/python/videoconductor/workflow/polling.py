"""The verb poll: has the provider finished?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from videoconductor import pacing, permits
from videoconductor.clip import Attempt, Delivery, Failure, Render
from videoconductor.errors import (
    JobNotFound,
    LibraryUnavailable,
    NoUrl,
    ProviderUnavailable,
    RenderFailed,
    RenderStalled,
)
from videoconductor.permits import Clock, while_same
from videoconductor.providers import Pending, Provider, Ready
from videoconductor.workflow.guards import Pace, current, resumed, unless_cancelled

if TYPE_CHECKING:
    from videoconductor.library import Library
    from videoconductor.manifest import Manifest

# How long a job that was accepted may be unknown to the provider before we stop asking.
MISSING_GRACE = timedelta(seconds=120)

NOT_FINISHED = "not finished by the deadline"
NOT_DELIVERED = "xAI made the clip, gave no url and had not delivered it by the deadline"

_log = Logger(service="videoconductor", child=True)


def poll(
    render: Render,
    manifest: Manifest,
    library: Library,
    provider: Provider,
    pace: Pace,
    clock: Clock,
) -> Render:
    """Ask the provider once how the job stands.

    Returns the render `rendering` with `wait_seconds` until the next poll, or `rendered` with its
    delivery. Raises RenderStalled, RenderCancelled, or a RenderFailed, each on record already.
    """
    record = current(manifest, render, pace, clock)
    if record.status not in {"rendering", "rendered"} or record.job is None:
        return resumed(record)
    try:
        answer = provider.poll(record.job)
    except NoUrl as problem:
        return _without_url(manifest, record, library, problem, pace, clock)
    except RenderFailed as problem:
        fail(manifest, record, problem, clock, job_has_ended=True)
        raise
    except JobNotFound as problem:
        return _not_found(manifest, record, problem, pace, clock)
    except ProviderUnavailable as problem:
        _log.warning("poll without an answer", extra={"error": type(problem).__name__})
        return _wait_on(manifest, record, None, pace, clock)
    if isinstance(answer, Ready):
        delivery = Delivery(url=answer.url, model=answer.model, seconds=answer.seconds)
        return _rendered(manifest, record, delivery, answer.cost_ticks, clock)
    return _pending(manifest, record, answer, pace, clock)


def fail(
    manifest: Manifest,
    record: Render,
    problem: RenderFailed,
    clock: Clock,
    *,
    job_has_ended: bool = False,
) -> None:
    """Put a failure on record; `job_has_ended` when the provider itself gave the job up.

    Only an attempt whose own POST answered with that job ends with it: a job that somebody
    attached proves nothing about a POST whose answer nobody saw.
    """

    def failed(latest: Render) -> Render:
        attempt = permits.of_job(latest) or latest.attempts[-1]
        is_own = attempt.request_id is not None and attempt.request_id == latest.request_id
        changes: dict[str, Any] = {"has_ended": True} if job_has_ended and is_own else {}
        if changes or problem.cost_ticks is not None:
            changes |= attempt.costing(problem.cost_ticks)
        if problem.model_served is not None:
            changes["model_served"] = problem.model_served
        return latest.having(
            clock(),
            "failed",
            **permits.with_attempt(latest, "attempts", attempt.number, **changes),
            failure=permits.failure(problem),
            wait_seconds=0,
        )

    manifest.update(record.render_id, while_same(record, failed))


def _pending(
    manifest: Manifest, record: Render, answer: Pending, pace: Pace, clock: Clock
) -> Render:
    def pending(latest: Render) -> Render:
        progress = max(latest.progress or 0, answer.progress or 0) if answer.progress else None
        if latest.missing_since is None and progress in {None, latest.progress}:
            return latest  # nothing worth a write
        return latest.having(clock(), progress=progress or latest.progress, missing_since=None)

    latest = manifest.update(record.render_id, while_same(record, pending))
    return _wait_on(manifest, unless_cancelled(latest), answer.progress, pace, clock)


def _without_url(
    manifest: Manifest,
    record: Render,
    library: Library,
    problem: NoUrl,
    pace: Pace,
    clock: Clock,
) -> Render:
    """The clip was made, and is to be had from its witness alone: now, or when that has come.

    Raises `problem`, on record, where the POST named no place to deliver to.
    """
    attempt = permits.of_job(record) or record.attempts[-1]
    if attempt.witness != "sent":
        fail(manifest, record, problem, clock, job_has_ended=True)
        raise problem
    if _has_come(library, library.witness_key(record.render_id, attempt.number)):
        delivery = Delivery(model=problem.model_served, attempt=attempt.number)
        return _rendered(manifest, record, delivery, problem.cost_ticks, clock)

    def booked(latest: Render) -> Render:
        changes = _proved(latest, attempt)
        if problem.cost_ticks is not None:
            changes |= attempt.costing(problem.cost_ticks)
        return latest.model_copy(
            update=permits.with_attempt(latest, "attempts", attempt.number, **changes)
        )

    latest = manifest.update(record.render_id, while_same(record, booked))
    return _wait_on(manifest, unless_cancelled(latest), None, pace, clock, NOT_DELIVERED)


def _has_come(library: Library, key: str) -> bool:
    try:
        return library.exists(key)
    except LibraryUnavailable as problem:
        _log.warning("no look at a witness", extra={"error": type(problem).__name__})
        return False


def _wait_on(
    manifest: Manifest,
    record: Render,
    progress: int | None,
    pace: Pace,
    clock: Clock,
    words: str = NOT_FINISHED,
) -> Render:
    now = clock()
    since, deadline = record.submitted_at or now, record.deadline or now
    left = (deadline - now).total_seconds()
    if left <= 0:
        raise _stalled(manifest, record, words, clock)
    gap = pacing.poll_gap(pace.poll_interval, (now - since).total_seconds(), progress, left)
    return record.having(now, wait_seconds=gap)


def _not_found(
    manifest: Manifest, record: Render, problem: JobNotFound, pace: Pace, clock: Clock
) -> Render:
    now = clock()
    since = record.missing_since or now
    if now - since >= MISSING_GRACE:
        raise _stalled(manifest, record, f"xAI no longer knows the job: {problem}", clock)
    latest = manifest.update(
        record.render_id,
        while_same(record, lambda same: same.having(now, missing_since=since)),
    )
    return _wait_on(manifest, unless_cancelled(latest), None, pace, clock)


def _stalled(manifest: Manifest, record: Render, words: str, clock: Clock) -> RenderStalled:
    failure = Failure(error="RenderStalled", message=words[: permits.MAX_WORDS])
    manifest.update(
        record.render_id,
        while_same(
            record,
            lambda same: same.having(clock(), "stalled", failure=failure, wait_seconds=0),
        ),
    )
    return RenderStalled(words)


def _proved(latest: Render, attempt: Attempt) -> dict[str, Any]:
    """The changes to the attempt whose job, so the provider says, has made its clip."""
    if attempt.outcome == "accepted":
        return {}
    # A job that was attached and has a clip is the one whose answer nobody saw.
    return {"outcome": "accepted", "request_id": latest.request_id}


def _of(latest: Render, attempt: Attempt, delivery: Delivery) -> Delivery:
    """A delivery with its attempt, where those of others may come besides, each to its place."""
    if all(each.witness is None for each in latest.attempts):
        return delivery
    return delivery.model_copy(update={"attempt": attempt.number})


def _rendered(
    manifest: Manifest, record: Render, delivery: Delivery, cost_ticks: int | None, clock: Clock
) -> Render:
    def rendered(latest: Render) -> Render:
        attempt = permits.of_job(latest) or latest.attempts[-1]
        changes = _proved(latest, attempt) | attempt.costing(cost_ticks)
        if delivery.model is not None:
            changes["model_served"] = delivery.model
        latest = permits.others_settled(latest, attempt.number)
        return latest.having(
            clock(),
            "rendered",
            **permits.with_attempt(latest, "attempts", attempt.number, **changes),
            delivery=_of(latest, attempt, delivery),
            progress=100,
            missing_since=None,
            wait_seconds=1,
        )

    return unless_cancelled(manifest.update(record.render_id, while_same(record, rendered)))
