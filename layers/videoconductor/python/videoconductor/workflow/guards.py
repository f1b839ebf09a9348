"""What every verb begins with: the record, and whether this execution is still in charge of it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from videoconductor import pacing, permits, slots
from videoconductor.clip import Render, Slot, request_id
from videoconductor.errors import (
    ManifestUnavailable,
    NotSent,
    RateLimited,
    RenderCancelled,
    RenderFailed,
    RenderStalled,
    SubmitUnknown,
)
from videoconductor.permits import Change, Clock
from videoconductor.providers import Job

if TYPE_CHECKING:
    from videoconductor.manifest import Manifest
    from videoconductor.turns import Turns

# A function must have time left for the whole POST once it holds the permit.
MAX_SECONDS_BEFORE_POST = 20
# Whose turn is so far off looks again meanwhile: others may have come, or gone.
LONGEST_WAIT = 900
# For how long nobody sends anything after a 429 that does not say: the limit is per second.
CLOSED_SECONDS = 1
HOLDER_GONE = "the process that held the permit to POST is gone"

_log = Logger(service="videoconductor", child=True)


@dataclass(frozen=True)
class Pace:
    """Times of a render in seconds, all from settings.

    `poll_linger` is how long one run of Poll may stay and ask again; 0 is once.
    """

    poll_interval: float = 5
    poll_timeout: float = 900
    poll_linger: float = 0
    lease: int = 150


def current(manifest: Manifest, render: Render, pace: Pace, clock: Clock) -> Render:
    """The record of `render`, provided that this execution is still the one in charge of it."""
    record = with_carried_job(manifest.read(render.render_id), render, manifest, pace, clock)
    record = permits.with_carried_answer(record, render, manifest, clock)
    return in_charge(record, render.executions)


def in_charge(record: Render, execution: int) -> Render:
    """`record`, provided that it is still this execution's. Raises RenderCancelled."""
    if record.executions != execution:
        raise RenderCancelled(f"execution {record.executions} has taken over")
    return unless_cancelled(record)


def with_carried_job(
    record: Render, render: Render, manifest: Manifest, pace: Pace, clock: Clock
) -> Render:
    """The record with the job that the document carries because Start could not write it."""
    posted = render.attempt
    if render.job is None or posted is None or posted.request_id != render.request_id:
        return record
    known = next((a for a in record.attempts if a.number == posted.number), None)
    if known is None or known.request_id is not None:
        return record
    return manifest.update(record.render_id, accepted(posted.number, render.job, pace, clock))


def unless_cancelled(record: Render) -> Render:
    if record.status == "cancelled":
        raise RenderCancelled(f"render {record.render_id} was cancelled")
    return record


def resumed(record: Render) -> Render:
    """A record that is further on than the state thought. Raises what ended it, if it ended."""
    if record.status == "submit_unknown":
        raise SubmitUnknown(record.failure.message if record.failure else "unknown")
    if record.status == "stalled":
        raise RenderStalled(record.failure.message if record.failure else "stalled")
    if record.status == "failed":
        raise RenderFailed(record.failure.message if record.failure else "failed")
    return record.model_copy(update={"wait_seconds": max(record.wait_seconds, 1)})


def in_time(began: datetime, clock: Clock) -> None:
    if (clock() - began).total_seconds() > MAX_SECONDS_BEFORE_POST:
        raise ManifestUnavailable("too slow today to send a POST that could be answered in time")


def waiting(record: Render, slot: Slot, clock: Clock) -> Render:
    """The render that waits for its slot; so that the last second or two pass in process."""
    left = math.floor((slot.at - clock()).total_seconds()) - slot.is_firm
    return record.having(clock(), slot=slot, wait_seconds=min(max(1, left), LONGEST_WAIT))


def put_off(again: Render, problem: Exception, slot: Slot | None, turns: Turns) -> Render:
    """The render that is sent again later, with the place in the line that it had.

    What a 429 says is for everybody: nothing more is sent to that model for so long, up to ten
    minutes of it, for nobody could open the line again.
    """
    if slot is None:
        return again
    if isinstance(problem, RateLimited):
        try:
            seconds = min(problem.retry_after or CLOSED_SECONDS, pacing.LONGEST_ASKED)
            turns.close(slot.model, seconds)
        except ManifestUnavailable:
            _log.warning("a 429 could not be told to the others")
    return again.model_copy(update={"slot": slots.loose(slot)})


def answered(
    manifest: Manifest,
    record: Render,
    purpose: permits.Purpose,
    problem: NotSent | RenderFailed,
    clock: Clock,
    jitter: random.Random,
) -> Render:
    """Put on record that a POST was not accepted. Raises `problem` unless it may be sent again.

    Where the table does not take it the document carries it to the next state: a hold that nobody
    releases would stay for good.
    """
    try:
        if isinstance(problem, NotSent):
            again = permits.postpone(manifest, record, purpose, problem, clock, jitter)
            return unless_cancelled(again)
        raise permits.refused(manifest, record, purpose, problem, clock) from problem
    except permits.NotOnRecord as late:
        _log.warning("an answer is not on record yet")
        return late.render


def accepted(number: int, job: Job, pace: Pace, clock: Clock) -> Change:
    """Puts an accepted job on record, under the attempt that started it.

    It becomes the render's job only where none has taken its place. A render that was cancelled
    or given up meanwhile stays so, and can be attached.
    """

    def put_on_record(latest: Render) -> Render:
        mine = next((a for a in latest.attempts if a.number == number), None)
        if mine is None or mine.request_id is not None:
            return latest
        now = clock()
        changed = permits.with_attempt(
            latest,
            "attempts",
            number,
            outcome="accepted",
            request_id=request_id(job),
            message=None,
            settled_at=now,
        )
        if latest.status == "finalized":
            # Its clip came of another job: nobody will ask after this one.
            changed = permits.with_attempt(
                latest.model_copy(update=changed), "attempts", number, **mine.costing(None)
            )
        if latest.job is not None or number != latest.attempts[-1].number:
            return latest.having(now, **changed)
        return latest.having(
            now,
            "rendering" if latest.status in {"planned", "framing"} else None,
            **changed,
            job=job,
            submitted_at=now,
            deadline=now + timedelta(seconds=pace.poll_timeout),
            wait_seconds=pacing.first_gap(pace.poll_interval, pace.poll_timeout, pace.poll_linger),
        )

    return put_on_record
