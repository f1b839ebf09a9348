"""Setting a render going again that has come to rest, or whose execution is gone.

Each function gives the render as it has to be written before its next execution is started.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from videoconductor import permits
from videoconductor.clip import Attempt, Delivery, Render
from videoconductor.providers import Job

ABANDONED = "Abandoned"  # the failure of what somebody has given up
# Ends from which a job has nothing more to give, though it was never reported as failed.
USED_UP = frozenset({"NotAClip"})


def attached(latest: Render, job: Job, now: datetime, poll_timeout: float) -> Render:
    """The render waiting for `job`, for `poll_timeout` seconds from now."""
    waiting = _anew(latest).model_copy(update={"job": job})
    attempts = latest.attempts
    is_other = waiting.request_id != latest.request_id
    if not attempts or (is_other and permits.of_job(waiting) is None):
        # Of no POST on record: what it costs is booked beside those.
        other = Attempt(number=1, permitted_at=now, lease_until=now, outcome="unknown")
        if attempts:
            own = {"outcome": "accepted", "request_id": waiting.request_id}
            other = other.model_copy(update={"number": attempts[-1].number + 1, **own})
        attempts = (*attempts, other)
    return waiting.having(
        now,
        "rendering",
        still_attempts=_given_up(latest.still_attempts, now),
        # Whether that is the job of a POST nobody saw the answer of, its clip will show.
        attempts=attempts,
        submitted_at=latest.submitted_at or now,
        deadline=now + timedelta(seconds=poll_timeout),
        wait_seconds=1,
    )


def retried(latest: Render, now: datetime) -> Render:
    """The render as before its first POST, with leave for one more. A still that is kept stays."""
    return _anew(latest).having(
        now,
        "planned",
        still_attempts=_given_up(latest.still_attempts, now),
        attempts=_given_up(latest.attempts, now),
        postponements=0,
        job=None,
        submitted_at=None,
        deadline=None,
        progress=None,
        wait_seconds=0,
    )


def resumed(latest: Render, now: datetime) -> Render:
    """The render as it is, for an execution that takes the place of its own."""
    return latest.having(now, executions=latest.executions + 1)


def delivered(latest: Render, number: int, now: datetime) -> Render:
    """The render on its way into the library with what the witness of attempt `number` has.

    In the same execution. What is known of the attempt, and of the job of another, stays as it is
    until the clip is there.
    """
    return _cleared(latest).having(
        now,
        "rendered",
        delivery=Delivery(attempt=number),
        progress=100,
        wait_seconds=1,
    )


def may_still_cost(render: Render) -> bool:
    """Whether the newest POST, or the one whose job is waited for, may yet have to be paid for.

    For those before it that was settled, or consented to, when the newest was allowed.
    """
    attempts = (*render.attempts[-1:], *render.still_attempts[-1:])
    if not attempts:
        return False
    newest = max(attempts, key=lambda attempt: attempt.permitted_at)
    waited_for = permits.of_job(render)
    asked = [newest] if waited_for is None else [newest, waited_for]
    asked += [attempt for attempt in render.attempts if attempt.outcome == "submitting"]
    if any(_is_open(attempt) for attempt in asked):
        return True
    # A job that no POST on record explains: it was paid for elsewhere.
    is_settled = newest.outcome in {"refused", "not_sent"}
    return is_settled and render.job is not None and waited_for is None


def may_be_abandoned(render: Render) -> bool:
    """Whether there is something that nobody can account for, and nobody has given up yet.

    A render fails by the job that was attached to it, too: the POST whose answer was lost is held
    all the same.
    """
    if render.status in {"submit_unknown", "stalled"}:
        return True
    is_given_up = render.failure is not None and render.failure.error == ABANDONED
    attempts = (*render.still_attempts, *render.attempts)
    is_held = any(each.held_ticks and each.outcome == "unknown" for each in attempts)
    return render.status == "failed" and is_held and not is_given_up


def _is_open(attempt: Attempt) -> bool:
    if attempt.outcome in {"refused", "not_sent"}:
        return False
    return not (attempt.outcome == "accepted" and attempt.has_ended)


def made_good(
    latest: Render, now: datetime, poll_timeout: float, *, may_charge_twice: bool = False
) -> Render | None:
    """The render on its way to the clip it came to rest without; None where a person decides.

    A job that may still give its clip is waited for again: that costs nothing. Only what has come
    to nothing is allowed one more POST; with `may_charge_twice`, what nobody can account for, too.
    """
    error = latest.failure and latest.failure.error
    is_used_up = error in USED_UP or error == ABANDONED
    is_unknown = latest.status == "submit_unknown"
    is_open = is_unknown or (may_still_cost(latest) and not is_used_up)
    if is_open and latest.job is not None and (may_charge_twice or not is_unknown):
        return attached(latest, latest.job, now, poll_timeout)
    if is_open and not may_charge_twice:
        return None
    return retried(latest, now)


def _anew(latest: Render) -> Render:
    return _cleared(latest).model_copy(update={"executions": latest.executions + 1})


def _cleared(latest: Render) -> Render:
    """The render without what its last execution came to."""
    cleared: dict[str, Any] = {
        "missing_since": None,
        "delivery": None,
        "copies": 0,
        "crashes": 0,
        "failure": None,
        "announced": None,
    }
    return latest.model_copy(update=cleared)


def _given_up(attempts: tuple[Attempt, ...], now: datetime) -> tuple[Attempt, ...]:
    return tuple(
        attempt.model_copy(update={"outcome": "abandoned", "settled_at": now})
        if attempt.outcome in {"unknown", "submitting"}
        else attempt
        for attempt in attempts
    )
