"""The verb poll: has the provider finished?

Near the end it lingers: it asks again in the same process, for less than the state machine's next
round would cost, and sees the end sooner. What it saw goes on record when it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
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

# How old the record may become that a lingering poll goes by: a cancelled render is left by then.
MAX_RECORD_AGE = 5.0  # seconds, or an interval if that is less

NOT_FINISHED = "not finished by the deadline"
NOT_DELIVERED = "xAI made the clip, gave no url and had not delivered it by the deadline"

# Seconds before a url that did not work is asked for anew: a file may come a little later than its
# url.
URL_WAITS = (1, 10, 60)

_log = Logger(service="videoconductor", child=True)


@dataclass(frozen=True)
class _Vigil:
    """What one run of Poll has come to know of a job, and how long it may stay, in seconds.

    `strain` counts the answers of no use, `retry_after` is what the last of them asked for, and
    `looked_at` when the record was last read.
    """

    interval: float
    linger: float
    began: datetime
    looked_at: datetime
    sight: pacing.Sight
    strain: int = 0
    retry_after: int | None = None
    has_answer: bool = False

    @classmethod
    def begun(cls, record: Render, pace: Pace, now: datetime) -> _Vigil:
        sight = pacing.Sight(record.progress)
        return cls(pace.poll_interval, pace.poll_linger, now, now, sight)

    def after(self, answer: Pending, record: Render, now: datetime) -> _Vigil:
        sight = self.sight.after(answer.progress, _elapsed(record, now))
        return replace(self, sight=sight, retry_after=None, has_answer=True)

    def unanswered(self, problem: ProviderUnavailable) -> _Vigil:
        return replace(self, strain=self.strain + 1, retry_after=problem.retry_after)

    def is_outdated(self, now: datetime) -> bool:
        """Whether the record is to be read again: a person may have decided something meanwhile."""
        age = (now - self.looked_at).total_seconds()
        return age >= min(MAX_RECORD_AGE, self.interval)

    def at_ease(self) -> _Vigil:
        """The same for a job whose end nobody can be there for: nothing is known, none lingers."""
        return replace(self, sight=pacing.Sight(), linger=0)

    def pause(self, record: Render, now: datetime) -> float | None:
        """Seconds until this run asks again; None when it is to return."""
        gap, left = self._gap(record, now), _left(record, now)
        if gap is None or left <= 0:
            return None
        gap = min(max(gap, self.retry_after or 0), left)
        stays = gap <= pacing.LONGEST_LINGER_GAP and self._stayed(now) + gap <= self.linger
        return gap if stays else None

    def wait(self, record: Render, now: datetime) -> int:
        """Whole seconds until the state comes again."""
        gap, elapsed, left = self._gap(record, now), _elapsed(record, now), _left(record, now)
        if gap is None:
            wait = pacing.poll_gap(self.interval, elapsed, self.sight.remaining(elapsed), left)
        else:
            wait = pacing.round_gap(self.interval, gap, self._stayed(now), left)
        return pacing.asked_gap(wait, self.retry_after, left)

    def _gap(self, record: Render, now: datetime) -> float | None:
        """Seconds between two polls of a run that stays; None where none would."""
        elapsed = _elapsed(record, now)
        remaining = self.sight.remaining(elapsed)
        if not pacing.lingers(elapsed, remaining, self.linger):
            return None
        return pacing.linger_gap(self.interval, elapsed, remaining, self.strain)

    def _stayed(self, now: datetime) -> float:
        return (now - self.began).total_seconds()


def poll(
    render: Render,
    manifest: Manifest,
    library: Library,
    provider: Provider,
    pace: Pace,
    clock: Clock,
    pause: Callable[[float], None],
) -> Render:
    """Ask the provider how the job stands, and stay for its end where that is near.

    Returns the render `rendering` with `wait_seconds` until the next poll, or `rendered` with its
    delivery. Raises RenderStalled, RenderCancelled, or a RenderFailed, each on record already.
    """
    record = current(manifest, render, pace, clock)
    vigil = _Vigil.begun(record, pace, clock())
    while record.status in {"rendering", "rendered"} and record.job is not None:
        found = _asked(manifest, record, library, provider, vigil, clock)
        if isinstance(found, Render):
            return found
        vigil = found
        if record.missing_since is not None:  # the count of 404s ends here, whatever comes
            record = _seen(manifest, record, vigil, clock)
        gap = vigil.pause(record, clock())
        if gap is None:
            return _wait_on(manifest, _seen(manifest, record, vigil, clock), vigil, clock)
        pause(gap)
        if vigil.is_outdated(clock()):
            record = current(manifest, render, pace, clock)
            vigil = replace(vigil, looked_at=clock())
    return resumed(record)


def _asked(
    manifest: Manifest,
    record: Render,
    library: Library,
    provider: Provider,
    vigil: _Vigil,
    clock: Clock,
) -> Render | _Vigil:
    """One GET: the render where the answer settles how the run ends, else what is known now."""
    try:
        answer = provider.poll(record.job or {})
    except NoUrl as problem:
        return _without_url(manifest, record, library, problem, vigil.at_ease(), clock)
    except RenderFailed as problem:
        fail(manifest, record, problem, clock, job_has_ended=True)
        raise
    except JobNotFound as problem:
        return _not_found(manifest, record, problem, vigil.at_ease(), clock)
    except ProviderUnavailable as problem:
        _log.warning("poll without an answer", extra={"error": type(problem).__name__})
        return vigil.unanswered(problem)
    if isinstance(answer, Ready):
        delivery = Delivery(url=answer.url, model=answer.model, seconds=answer.seconds)
        return _rendered(manifest, record, delivery, answer.cost_ticks, clock)
    return vigil.after(answer, record, clock())


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


def _seen(manifest: Manifest, record: Render, vigil: _Vigil, clock: Clock) -> Render:
    """The render with the progress that was seen of its job, on record if that is news."""
    if not vigil.has_answer:
        return record

    def seen(latest: Render) -> Render:
        progress = max(latest.progress or 0, vigil.sight.progress or 0) or None
        if latest.missing_since is None and progress in {None, latest.progress}:
            return latest  # nothing worth a write
        return latest.having(clock(), progress=progress or latest.progress, missing_since=None)

    return unless_cancelled(manifest.update(record.render_id, while_same(record, seen)))


def _without_url(
    manifest: Manifest,
    record: Render,
    library: Library,
    problem: NoUrl,
    vigil: _Vigil,
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
    return _wait_on(manifest, unless_cancelled(latest), vigil, clock, NOT_DELIVERED)


def _has_come(library: Library, key: str) -> bool:
    try:
        return library.exists(key)
    except LibraryUnavailable as problem:
        _log.warning("no look at a witness", extra={"error": type(problem).__name__})
        return False


def _wait_on(
    manifest: Manifest, record: Render, vigil: _Vigil, clock: Clock, words: str = NOT_FINISHED
) -> Render:
    now = clock()
    if _left(record, now) <= 0:
        raise _stalled(manifest, record, words, clock)
    return record.having(now, wait_seconds=vigil.wait(record, now))


def _elapsed(record: Render, now: datetime) -> float:
    return (now - (record.submitted_at or now)).total_seconds()


def _left(record: Render, now: datetime) -> float:
    return ((record.deadline or now) - now).total_seconds()


def _not_found(
    manifest: Manifest, record: Render, problem: JobNotFound, vigil: _Vigil, clock: Clock
) -> Render:
    now = clock()
    since = record.missing_since or now
    if now - since >= MISSING_GRACE:
        raise _stalled(manifest, record, f"xAI no longer knows the job: {problem}", clock)
    latest = manifest.update(
        record.render_id,
        while_same(record, lambda same: same.having(now, missing_since=since)),
    )
    return _wait_on(manifest, unless_cancelled(latest), vigil, clock)


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
            # For which Finalize's next url is waited, where this one turns out not to work.
            wait_seconds=URL_WAITS[min(latest.copies, len(URL_WAITS) - 1)],
        )

    return unless_cancelled(manifest.update(record.render_id, while_same(record, rendered)))
