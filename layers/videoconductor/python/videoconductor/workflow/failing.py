"""The verb record_failure: a render whose state raised an error is brought to rest, or sent on."""

from __future__ import annotations

import json
import math
from datetime import datetime
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from videoconductor import permits, recovering, revival
from videoconductor.clip import SETTLED, Caught, Failure, Render, Status
from videoconductor.drift import Watch
from videoconductor.errors import EventsUnavailable, LibraryUnavailable
from videoconductor.permits import Clock
from videoconductor.workflow.finishing import announce
from videoconductor.workflow.guards import Pace, with_carried_job

if TYPE_CHECKING:
    from videoconductor.events import Events
    from videoconductor.library import Library
    from videoconductor.manifest import Manifest

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
# What goes by, and lets no POST be sent while it is there.
PASSING = frozenset({"ManifestUnavailable"})
MAX_CRASHES = 10
# Lambda turned the invocation away, as often as the machine asked: no code ran.
TURNED_AWAY = "Lambda.TooManyRequestsException"

_log = Logger(service="videoconductor", child=True)


def record_failure(
    render: Render,
    manifest: Manifest,
    library: Library,
    events: Events,
    watch: Watch,
    pace: Pace,
    clock: Clock,
) -> Render:
    """Bring a render whose state raised an error to rest, or send it on.

    What is on record decides, not the error: a job that may still finish is polled on, a permit
    that another process may hold is waited for, and only what cannot be paid for is `failed`. A
    render at rest whose witness has come goes on as `rendered`.
    """
    record = with_carried_job(manifest.read(render.render_id), render, manifest, pace, clock)
    record = permits.with_carried_answer(record, render, manifest, clock)
    if record.executions != render.executions:
        overtaken = Failure(error="RenderCancelled", message="another execution has taken over")
        return render.having(clock(), "cancelled", failure=overtaken)
    caught = render.caught or Caught(Error="Unknown")

    def settled(latest: Render) -> Render:
        if latest.status in SETTLED or latest.executions != record.executions:
            return latest
        if latest.status == "rendered" and _is_taken_up(latest, render):
            return latest  # by an earlier run of this, whose answer was lost
        return _sent_on(latest, caught, pace, clock()) or _brought_to_rest(latest, caught, clock())

    # First at rest, and then the look: a witness that comes in between is told of by its event.
    record = _taken_up(manifest.update(record.render_id, settled), manifest, library, clock)
    if record.status not in SETTLED:
        return record
    try:
        return announce(record, manifest, events, watch, clock)
    except EventsUnavailable:
        if record.status != "finalized":
            raise
        _log.warning("the clip is there, but could not be announced")
        return record


def _sent_on(latest: Render, caught: Caught, pace: Pace, now: datetime) -> Render | None:
    """The render on its way again, with the wait before its next state; None if there is none."""
    held = permits.in_hand(latest)
    if held is not None:
        left = permits.lease_left(held[1], now)
        if left > 0:
            return latest.having(now, wait_seconds=left)
        # The still may stand in the library: FirstFrame looks before it gives up.
        is_still = held[0] == "still_attempts" and latest.crashes < MAX_CRASHES
        return latest.having(now, crashes=latest.crashes + 1, wait_seconds=1) if is_still else None
    if latest.status == "rendering" and latest.deadline is not None and now < latest.deadline:
        return latest.having(now, wait_seconds=math.ceil(pace.poll_interval))
    is_unsent = latest.status in {"planned", "framing"} and caught.Error in CRASHES | PASSING
    # It waits for room; what is paid for does not end for want of it.
    is_turned_away = latest.status != "rendering" and caught.Error == TURNED_AWAY
    if (is_unsent or is_turned_away) and latest.crashes < MAX_CRASHES:
        return latest.having(now, crashes=latest.crashes + 1, wait_seconds=1)
    return None


def _brought_to_rest(latest: Render, caught: Caught, now: datetime) -> Render:
    if permits.in_hand(latest) is not None:
        words = f"{caught.Error} after the permit to POST was taken"
        return permits.marked_unknown(latest, now, words)
    status: Status = "stalled" if latest.status == "rendering" else "failed"
    failure = Failure(error=caught.Error, message=_words(caught))
    return latest.having(now, status, failure=failure, wait_seconds=0)


def _by_witness(record: Render) -> int | None:
    """The attempt by whose witness alone a render goes, or went before it came to rest."""
    delivery = record.delivery
    return delivery.attempt if delivery is not None and delivery.url is None else None


def _is_taken_up(latest: Render, render: Render) -> bool:
    """Whether a render goes by a witness that the state which failed did not know of."""
    return _by_witness(latest) is not None and latest.delivery != render.delivery


def _taken_up(record: Render, manifest: Manifest, library: Library, clock: Clock) -> Render:
    """The render on its way with its witness, unless it comes to rest from just that way."""
    awaited = recovering.finishing(record)
    if _by_witness(record) in awaited:
        return record  # what kept it from the library would do so again, and again
    try:
        number = recovering.come(record, awaited, library)
    except LibraryUnavailable as problem:
        _log.warning("no look at a witness", extra={"error": type(problem).__name__})
        return record
    if number is None:
        return record

    def taken_up(latest: Render) -> Render:
        is_same = (latest.executions, latest.status) == (record.executions, record.status)
        return revival.delivered(latest, number, clock()) if is_same else latest

    return manifest.update(record.render_id, taken_up)


def _words(caught: Caught) -> str:
    """What the error said: Lambda wraps it into JSON with a stack trace around it."""
    try:
        said = json.loads(caught.Cause)["errorMessage"]
    except (ValueError, KeyError, TypeError, RecursionError):
        said = caught.Cause
    return str(said)[: permits.MAX_WORDS]
