"""The verbs of the state machine: start, poll, finalize, record_failure.

Each reads the record before anything else and goes on from what it finds, so that any of them may
be run again at any time. What a verb learns goes on record before it is acted upon, and only while
the record is still about the same job and execution: a person may have decided otherwise meanwhile.
"""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from videoconductor import copying, pacing, reports
from videoconductor.clip import (
    SETTLED,
    Attempt,
    Caught,
    Delivery,
    Failure,
    Frame,
    Render,
    Status,
    request_id,
)
from videoconductor.errors import (
    CopyFailed,
    EventsUnavailable,
    JobNotFound,
    ManifestUnavailable,
    NotSent,
    ProviderUnavailable,
    RateLimited,
    RecordChanged,
    RenderCancelled,
    RenderFailed,
    RenderRefused,
    RenderStalled,
    SubmitUnknown,
    UrlExpired,
)
from videoconductor.providers import Job, Pending, Provider, Ready

if TYPE_CHECKING:
    from videoconductor.download import Downloads
    from videoconductor.events import Events
    from videoconductor.library import Library
    from videoconductor.manifest import Manifest

Clock = Callable[[], datetime]
Change = Callable[[Render], Render]

# A POST the provider keeps postponing is given up after so many tries: nothing was spent.
MAX_POSTPONEMENTS = 60
# How long a job that was accepted may be unknown to the provider before we stop asking.
MISSING_GRACE = timedelta(seconds=120)
MAX_EXPIRED_URLS = 4
# Start's function must have time left for the whole POST once it holds the permit.
MAX_SECONDS_BEFORE_POST = 20
# Names under which AWS reports a process that is gone; the machine's Catch of Start has the same.
CRASHES = frozenset(
    {
        "Lambda.Unknown",
        "Lambda.ServiceException",
        "Lambda.AWSLambdaException",
        "Lambda.SdkClientException",
        "Lambda.ClientExecutionTimeoutException",
        "Runtime.ExitError",
        "Runtime.Unknown",
        "Sandbox.Timedout",
        "States.Timeout",
    }
)
MAX_CRASHES = 10
MAX_WORDS = 300

_log = Logger(service="videoconductor", child=True)


@dataclass(frozen=True)
class Pace:
    """Times of a render in seconds, all from settings."""

    poll_interval: float = 5
    poll_timeout: float = 900
    lease: int = 150


def start(
    render: Render,
    manifest: Manifest,
    library: Library,
    provider: Provider,
    pace: Pace,
    clock: Clock,
    jitter: random.Random,
) -> Render:
    """Send the POST that costs money, under a permit that is good for one.

    Returns the render `rendering`, or `planned` with `wait_seconds` until Start may run again.
    Raises SubmitUnknown, RenderRefused or RenderCancelled, each on record already.
    """
    began = clock()
    record = _current(manifest, render, pace, clock)
    if record.status not in {"planned", "framing"}:
        return _resumed(record)
    attempt = record.attempt
    if attempt is not None and attempt.outcome == "submitting":
        left = _lease_left(attempt, clock())
        if left > 0:
            return record.having(clock(), wait_seconds=left)
        raise _unknown(manifest, record, clock, "the process that held the permit to POST is gone")

    frame_urls = _frame_urls(record, library)
    if (clock() - began).total_seconds() > MAX_SECONDS_BEFORE_POST:
        raise ManifestUnavailable("too slow today to send a POST that could be answered in time")
    record = _take_permit(manifest, record, pace, clock)
    attempt = record.attempts[-1]
    trace = f"{record.render_id}-{attempt.number}"
    try:
        job = provider.start(record.plan, frame_urls.__getitem__, trace)
    except NotSent as problem:
        return _postpone(manifest, record, problem, clock, jitter)
    except RenderRefused as problem:
        raise _refused(manifest, record, problem, clock) from problem
    except SubmitUnknown as problem:
        raise _unknown(manifest, record, clock, str(problem)) from problem
    # First of all a line in the log: from here on the job is paid for.
    _log.info("job accepted", extra={"job": request_id(job)})
    accepted = _accepted(attempt.number, job, pace, clock)
    try:
        return _unless_cancelled(manifest.update(record.render_id, accepted))
    except ManifestUnavailable:
        # The document carries the job to the next state, which puts it on record.
        _log.warning("job accepted but not on record yet")
        return accepted(record)


def poll(
    render: Render, manifest: Manifest, provider: Provider, pace: Pace, clock: Clock
) -> Render:
    """Ask the provider once how the job stands.

    Returns the render `rendering` with `wait_seconds` until the next poll, or `rendered` with its
    delivery. Raises RenderStalled, RenderCancelled, or a RenderFailed, each on record already.
    """
    record = _current(manifest, render, pace, clock)
    if record.status not in {"rendering", "rendered"} or record.job is None:
        return _resumed(record)
    try:
        answer = provider.poll(record.job)
    except RenderFailed as problem:
        _fail(manifest, record, problem, clock, job_has_ended=True)
        raise
    except JobNotFound as problem:
        return _not_found(manifest, record, problem, pace, clock)
    except ProviderUnavailable as problem:
        _log.warning("poll without an answer", extra={"error": type(problem).__name__})
        return _wait_on(manifest, record, None, pace, clock)
    if isinstance(answer, Ready):
        return _rendered(manifest, record, answer, clock)
    return _pending(manifest, record, answer, pace, clock)


def finalize(
    render: Render,
    manifest: Manifest,
    library: Library,
    downloads: Downloads,
    events: Events,
    pace: Pace,
    clock: Clock,
) -> Render:
    """Copy the finished clip into the library, enter it into the manifest and announce it.

    Raises UrlExpired (poll for a fresh url), CopyInterrupted and the edges' Unavailable errors
    (run again), or a RenderFailed that is on record already.
    """
    record = _current(manifest, render, pace, clock)
    if record.status == "finalized":
        return announce(record, manifest, events, clock)
    if record.status != "rendered" or record.delivery is None:
        raise RecordChanged(f"nothing to copy: the render is {_resumed(record).status}")
    try:
        clip = copying.copy(record, library, downloads)
    except UrlExpired as problem:
        raise _url_expired(manifest, record, problem, clock) from problem
    except RenderFailed as problem:
        _fail(manifest, record, problem, clock)
        raise
    uri = library.uri(clip.key)
    library.put_sidecar(clip.sidecar_key, reports.sidecar(record, clip, uri))
    manifest.publish(reports.entry(record, clip, uri, clock()), record.clip_order)
    record = _unless_cancelled(
        manifest.update(
            record.render_id,
            _while_same(
                record,
                lambda latest: latest.having(
                    clock(), "finalized", clip=clip, failure=None, wait_seconds=0
                ),
            ),
        )
    )
    return announce(record, manifest, events, clock)


def record_failure(
    render: Render, manifest: Manifest, events: Events, pace: Pace, clock: Clock
) -> Render:
    """Bring a render whose state raised an error to rest, or send it on.

    What is on record decides, not the error: a job that may still finish is polled on, a permit
    that another process may hold is waited for, and only what cannot be paid for is `failed`.
    """
    record = _with_carried_job(manifest.read(render.render_id), render, manifest, pace, clock)
    if record.executions != render.executions:
        overtaken = Failure(error="RenderCancelled", message="another execution has taken over")
        return render.having(clock(), "cancelled", failure=overtaken)
    caught = render.caught or Caught(Error="Unknown")

    def settled(latest: Render) -> Render:
        if latest.status in SETTLED or latest.executions != record.executions:
            return latest
        return _sent_on(latest, caught, pace, clock()) or _brought_to_rest(latest, caught, clock())

    record = manifest.update(record.render_id, settled)
    if record.status not in SETTLED:
        return record
    try:
        return announce(record, manifest, events, clock)
    except EventsUnavailable:
        if record.status != "finalized":
            raise
        _log.warning("the clip is there, but could not be announced")
        return record


def announce(record: Render, manifest: Manifest, events: Events, clock: Clock) -> Render:
    """Publish what became of a render, once for each time it comes to rest."""
    if record.announced == record.status or record.status not in SETTLED:
        return record
    status: Status = record.status
    events.publish(status, reports.event(record))
    return manifest.update(
        record.render_id,
        lambda latest: (
            latest.having(clock(), announced=status) if latest.status == status else latest
        ),
    )


def _sent_on(latest: Render, caught: Caught, pace: Pace, now: datetime) -> Render | None:
    """The render on its way again, with the wait before its next state; None if there is none."""
    attempt = latest.attempt
    if attempt is not None and attempt.outcome == "submitting":
        left = _lease_left(attempt, now)
        return latest.having(now, wait_seconds=left) if left > 0 else None
    if latest.status == "rendering" and latest.deadline is not None and now < latest.deadline:
        return latest.having(now, wait_seconds=math.ceil(pace.poll_interval))
    is_unsent = latest.status in {"planned", "framing"}
    if is_unsent and caught.Error in CRASHES and latest.crashes < MAX_CRASHES:
        return latest.having(now, crashes=latest.crashes + 1, wait_seconds=1)
    return None


def _brought_to_rest(latest: Render, caught: Caught, now: datetime) -> Render:
    attempt = latest.attempt
    if attempt is not None and attempt.outcome == "submitting":
        return _marked_unknown(latest, now, f"{caught.Error} after the permit to POST was taken")
    status: Status = "stalled" if latest.status == "rendering" else "failed"
    failure = Failure(error=caught.Error, message=_words(caught))
    return latest.having(now, status, failure=failure, wait_seconds=0)


def _words(caught: Caught) -> str:
    """What the error said: Lambda wraps it into JSON with a stack trace around it."""
    try:
        said = json.loads(caught.Cause)["errorMessage"]
    except (ValueError, KeyError, TypeError, RecursionError):
        said = caught.Cause
    return str(said)[:MAX_WORDS]


def _current(manifest: Manifest, render: Render, pace: Pace, clock: Clock) -> Render:
    """The record of `render`, provided that this execution is still the one in charge of it."""
    record = _with_carried_job(manifest.read(render.render_id), render, manifest, pace, clock)
    if record.executions != render.executions:
        raise RenderCancelled(f"execution {record.executions} has taken over")
    return _unless_cancelled(record)


def _with_carried_job(
    record: Render, render: Render, manifest: Manifest, pace: Pace, clock: Clock
) -> Render:
    """The record with the job that the document carries because Start could not write it."""
    posted = render.attempt
    if render.job is None or posted is None or posted.request_id != render.request_id:
        return record
    known = next((a for a in record.attempts if a.number == posted.number), None)
    if known is None or known.request_id is not None:
        return record
    return manifest.update(record.render_id, _accepted(posted.number, render.job, pace, clock))


def _while_same(record: Render, change: Change) -> Change:
    """`change`, unless somebody decided otherwise about the render since `record` was read."""

    def changed(latest: Render) -> Render:
        is_same = latest.executions == record.executions and latest.job == record.job
        return change(latest) if is_same and latest.status not in SETTLED else latest

    return changed


def _unless_cancelled(record: Render) -> Render:
    if record.status == "cancelled":
        raise RenderCancelled(f"render {record.render_id} was cancelled")
    return record


def _resumed(record: Render) -> Render:
    """A record that is further on than the state thought. Raises what ended it, if it ended."""
    if record.status == "submit_unknown":
        raise SubmitUnknown(record.failure.message if record.failure else "unknown")
    if record.status == "stalled":
        raise RenderStalled(record.failure.message if record.failure else "stalled")
    if record.status == "failed":
        raise RenderFailed(record.failure.message if record.failure else "failed")
    return record.model_copy(update={"wait_seconds": max(record.wait_seconds, 1)})


def _frame_urls(record: Render, library: Library) -> dict[Frame, str]:
    """What the provider is handed for each frame: its url, or the image itself.

    An image of ours travels inside the POST, because a url into a local stack is none to xAI.
    """
    plan = record.plan
    frames = [frame for frame in (plan.image, plan.last_frame, *plan.references) if frame]
    urls = {}
    for frame in frames:
        if frame.key is None:
            urls[frame] = frame.url or ""
        else:
            content = base64.b64encode(b"".join(library.read(frame.key))).decode("ascii")
            urls[frame] = f"data:{frame.media_type};base64,{content}"
    return urls


def _lease_left(attempt: Attempt, now: datetime) -> int:
    """Whole seconds for which a permit may still be in somebody's hands."""
    left = (attempt.lease_until - now).total_seconds()
    return math.ceil(left) + 1 if left > 0 else 0


def _take_permit(manifest: Manifest, record: Render, pace: Pace, clock: Clock) -> Render:
    """Put the intention to POST on record. RecordChanged means that somebody else took it."""
    now = clock()
    permit = Attempt(
        number=record.attempts[-1].number + 1 if record.attempts else 1,
        permitted_at=now,
        lease_until=now + timedelta(seconds=pace.lease),
        outcome="submitting",
    )
    return manifest.save(record.having(now, attempts=(*record.attempts, permit)))


def _with_attempt(record: Render, number: int, **changes: Any) -> tuple[Attempt, ...]:
    return tuple(
        attempt.model_copy(update=changes) if attempt.number == number else attempt
        for attempt in record.attempts
    )


def _accepted(number: int, job: Job, pace: Pace, clock: Clock) -> Change:
    """Puts an accepted job on record, under the attempt that started it.

    It becomes the render's job only where none has taken its place. A render that was cancelled
    or given up meanwhile stays so, and can be attached.
    """

    def accepted(latest: Render) -> Render:
        mine = next((a for a in latest.attempts if a.number == number), None)
        if mine is None or mine.request_id is not None:
            return latest
        now = clock()
        attempts = _with_attempt(
            latest,
            number,
            outcome="accepted",
            request_id=request_id(job),
            message=None,
            settled_at=now,
        )
        if latest.job is not None or number != latest.attempts[-1].number:
            return latest.having(now, attempts=attempts)
        return latest.having(
            now,
            "rendering" if latest.status in {"planned", "framing"} else None,
            attempts=attempts,
            job=job,
            submitted_at=now,
            deadline=now + timedelta(seconds=pace.poll_timeout),
            wait_seconds=pacing.poll_gap(pace.poll_interval, 0, None, pace.poll_timeout),
        )

    return accepted


def _postpone(
    manifest: Manifest, record: Render, problem: NotSent, clock: Clock, jitter: random.Random
) -> Render:
    if record.postponements >= MAX_POSTPONEMENTS:
        refusal = RenderRefused(f"given up after {MAX_POSTPONEMENTS} tries: {problem}")
        raise _refused(manifest, record, refusal, clock) from problem
    retry_after = problem.retry_after if isinstance(problem, RateLimited) else None
    seconds = pacing.pause(record.postponements, retry_after, jitter)
    number = record.attempts[-1].number

    def postponed(latest: Render) -> Render:
        now = clock()
        attempts = _with_attempt(
            latest,
            number,
            outcome="refused" if isinstance(problem, RateLimited) else "not_sent",
            message=str(problem)[:MAX_WORDS],
            settled_at=now,
        )
        if attempts[-1].number != number or latest.executions != record.executions:
            return latest.having(now, attempts=attempts)
        return latest.having(
            now,
            attempts=_folded(attempts),
            postponements=latest.postponements + 1,
            wait_seconds=seconds,
        )

    return _unless_cancelled(manifest.update(record.render_id, postponed))


def _folded(attempts: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """Two tries in a row that reached nobody in the same way become one that counts them."""
    if len(attempts) < 2 or attempts[-2].outcome != attempts[-1].outcome:
        return attempts
    last = attempts[-1].model_copy(update={"repeats": attempts[-2].repeats + 1})
    return (*attempts[:-2], last)


def _refused(
    manifest: Manifest, record: Render, problem: RenderRefused, clock: Clock
) -> RenderRefused:
    number = record.attempts[-1].number

    def refused(latest: Render) -> Render:
        now = clock()
        attempts = _with_attempt(
            latest,
            number,
            outcome="refused",
            message=str(problem)[:MAX_WORDS],
            cost_ticks=problem.cost_ticks,
            settled_at=now,
        )
        latest = latest.having(now, attempts=attempts)
        return _while_same(
            record,
            lambda same: same.having(now, "failed", failure=_failure(problem), wait_seconds=0),
        )(latest)

    manifest.update(record.render_id, refused)
    return problem


def _unknown(manifest: Manifest, record: Render, clock: Clock, words: str) -> SubmitUnknown:
    manifest.update(record.render_id, lambda latest: _marked_unknown(latest, clock(), words))
    return SubmitUnknown(words)


def _marked_unknown(latest: Render, now: datetime, words: str) -> Render:
    attempt = latest.attempt
    if attempt is None or attempt.outcome != "submitting":
        return latest
    words = words[:MAX_WORDS]
    is_settled = latest.status in SETTLED
    return latest.having(
        now,
        None if is_settled else "submit_unknown",
        attempts=_with_attempt(
            latest, attempt.number, outcome="unknown", message=words, settled_at=now
        ),
        failure=latest.failure if is_settled else Failure(error="SubmitUnknown", message=words),
        wait_seconds=0,
    )


def _fail(
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
        attempt = latest.attempts[-1]
        is_own = attempt.request_id is not None and attempt.request_id == latest.request_id
        changes: dict[str, Any] = {"has_ended": True} if job_has_ended and is_own else {}
        if problem.cost_ticks is not None:
            changes["cost_ticks"] = problem.cost_ticks
        return latest.having(
            clock(),
            "failed",
            attempts=_with_attempt(latest, attempt.number, **changes),
            failure=_failure(problem),
            wait_seconds=0,
        )

    manifest.update(record.render_id, _while_same(record, failed))


def _failure(problem: RenderFailed) -> Failure:
    return Failure(error=type(problem).__name__, message=str(problem), code=problem.code)


def _pending(
    manifest: Manifest, record: Render, answer: Pending, pace: Pace, clock: Clock
) -> Render:
    def pending(latest: Render) -> Render:
        progress = max(latest.progress or 0, answer.progress or 0) if answer.progress else None
        if latest.missing_since is None and progress in {None, latest.progress}:
            return latest  # nothing worth a write
        return latest.having(clock(), progress=progress or latest.progress, missing_since=None)

    latest = manifest.update(record.render_id, _while_same(record, pending))
    return _wait_on(manifest, _unless_cancelled(latest), answer.progress, pace, clock)


def _wait_on(
    manifest: Manifest, record: Render, progress: int | None, pace: Pace, clock: Clock
) -> Render:
    now = clock()
    since, deadline = record.submitted_at or now, record.deadline or now
    left = (deadline - now).total_seconds()
    if left <= 0:
        raise _stalled(manifest, record, "not finished by the deadline", clock)
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
        _while_same(record, lambda same: same.having(now, missing_since=since)),
    )
    return _wait_on(manifest, _unless_cancelled(latest), None, pace, clock)


def _stalled(manifest: Manifest, record: Render, words: str, clock: Clock) -> RenderStalled:
    failure = Failure(error="RenderStalled", message=words[:MAX_WORDS])
    manifest.update(
        record.render_id,
        _while_same(
            record,
            lambda same: same.having(clock(), "stalled", failure=failure, wait_seconds=0),
        ),
    )
    return RenderStalled(words)


def _rendered(manifest: Manifest, record: Render, ready: Ready, clock: Clock) -> Render:
    def rendered(latest: Render) -> Render:
        attempt = latest.attempts[-1]
        # A job that was attached and has a clip is the one whose answer nobody saw.
        changes: dict[str, Any] = {"outcome": "accepted", "request_id": latest.request_id}
        if attempt.outcome == "accepted":
            changes = {}
        if ready.cost_ticks is not None:
            changes["cost_ticks"] = ready.cost_ticks
        return latest.having(
            clock(),
            "rendered",
            attempts=_with_attempt(latest, attempt.number, **changes),
            delivery=Delivery(url=ready.url, model=ready.model, seconds=ready.seconds),
            progress=100,
            missing_since=None,
            wait_seconds=1,
        )

    return _unless_cancelled(manifest.update(record.render_id, _while_same(record, rendered)))


def _url_expired(
    manifest: Manifest, record: Render, problem: UrlExpired, clock: Clock
) -> UrlExpired | CopyFailed:
    """Back to polling for a fresh url, a few times."""
    if record.copies + 1 >= MAX_EXPIRED_URLS:
        failed = CopyFailed(f"every url xAI gave had expired: {problem}", code="url_expired")
        _fail(manifest, record, failed, clock)
        return failed
    manifest.update(
        record.render_id,
        _while_same(
            record,
            lambda same: same.having(clock(), "rendering", copies=same.copies + 1, wait_seconds=1),
        ),
    )
    return problem
