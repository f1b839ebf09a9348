"""The single-use permit: on record before a POST that costs money, and then what came of it.

A render POSTs for two things at most, its still and its job; each has a list of attempts of its
own. What is written here is written only from answers that prove it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from videoconductor import pacing
from videoconductor.clip import SETTLED, Attempt, Failure, Render, Status
from videoconductor.errors import (
    NotSent,
    RateLimited,
    RenderFailed,
    RenderRefused,
    SubmitUnknown,
)

if TYPE_CHECKING:
    from videoconductor.manifest import Manifest

Clock = Callable[[], datetime]
Change = Callable[[Render], Render]
# The fields of a render that hold attempts.
Purpose = Literal["attempts", "still_attempts"]
PURPOSES: tuple[Purpose, ...] = ("still_attempts", "attempts")

# A POST the provider keeps postponing is given up after so many tries: nothing was spent.
MAX_POSTPONEMENTS = 60
MAX_WORDS = 300


def attempts(record: Render, purpose: Purpose) -> tuple[Attempt, ...]:
    """All permits a render ever took for this purpose, oldest first."""
    found: tuple[Attempt, ...] = getattr(record, purpose)
    return found


def newest(record: Render, purpose: Purpose) -> Attempt | None:
    """The newest permit for this purpose, if one was ever taken."""
    return attempts(record, purpose)[-1] if attempts(record, purpose) else None


def in_hand(record: Render) -> tuple[Purpose, Attempt] | None:
    """The permit that somebody may be holding now."""
    for purpose in PURPOSES:
        attempt = newest(record, purpose)
        if attempt is not None and attempt.outcome == "submitting":
            return purpose, attempt
    return None


def lease_left(attempt: Attempt, now: datetime) -> int:
    """Whole seconds for which a permit may still be in somebody's hands."""
    left = (attempt.lease_until - now).total_seconds()
    return math.ceil(left) + 1 if left > 0 else 0


def take(manifest: Manifest, record: Render, purpose: Purpose, lease: int, clock: Clock) -> Render:
    """Put the intention to POST on record. RecordChanged means that somebody else took it."""
    now = clock()
    before = attempts(record, purpose)
    permit = Attempt(
        number=before[-1].number + 1 if before else 1,
        permitted_at=now,
        lease_until=now + timedelta(seconds=lease),
        outcome="submitting",
    )
    status: Status | None = "framing" if purpose == "still_attempts" else None
    changed: dict[str, Any] = {purpose: (*before, permit)}
    return manifest.save(record.having(now, status, **changed))


def with_attempt(record: Render, purpose: Purpose, number: int, **changes: Any) -> dict[str, Any]:
    """The field of a render in which attempt `number` has these changes."""
    return {
        purpose: tuple(
            attempt.model_copy(update=changes) if attempt.number == number else attempt
            for attempt in attempts(record, purpose)
        )
    }


def postpone(
    manifest: Manifest,
    record: Render,
    purpose: Purpose,
    problem: NotSent,
    clock: Clock,
    jitter: random.Random,
) -> Render:
    """Nothing was accepted and it may be sent again: the record with the wait until then.

    Raises RenderRefused, on record, after MAX_POSTPONEMENTS.
    """
    if record.postponements >= MAX_POSTPONEMENTS:
        refusal = RenderRefused(f"given up after {MAX_POSTPONEMENTS} tries: {problem}")
        raise refused(manifest, record, purpose, refusal, clock) from problem
    retry_after = problem.retry_after if isinstance(problem, RateLimited) else None
    seconds = pacing.pause(record.postponements, retry_after, jitter)
    number = attempts(record, purpose)[-1].number

    def postponed(latest: Render) -> Render:
        now = clock()
        changed = with_attempt(
            latest,
            purpose,
            number,
            outcome="refused" if isinstance(problem, RateLimited) else "not_sent",
            message=str(problem)[:MAX_WORDS],
            settled_at=now,
        )
        if changed[purpose][-1].number != number or latest.executions != record.executions:
            return latest.having(now, **changed)
        changed[purpose] = _folded(changed[purpose])
        changed |= {"postponements": latest.postponements + 1, "wait_seconds": seconds}
        return latest.having(now, **changed)

    return manifest.update(record.render_id, postponed)


def refused(
    manifest: Manifest,
    record: Render,
    purpose: Purpose,
    problem: RenderFailed,
    clock: Clock,
) -> RenderFailed:
    """Put on record that nothing was accepted and why, and that the render has failed by it."""
    number = attempts(record, purpose)[-1].number

    def changed(latest: Render) -> Render:
        now = clock()
        latest = latest.having(
            now,
            **with_attempt(
                latest,
                purpose,
                number,
                outcome="refused",
                message=str(problem)[:MAX_WORDS],
                cost_ticks=problem.cost_ticks,
                settled_at=now,
            ),
        )
        return while_same(
            record,
            lambda same: same.having(now, "failed", failure=failure(problem), wait_seconds=0),
        )(latest)

    manifest.update(record.render_id, changed)
    return problem


def given_up(record: Render, problem: RenderFailed, clock: Clock) -> Change:
    """Puts on record why a render fails that was not sent."""
    found = failure(problem)
    return while_same(
        record, lambda same: same.having(clock(), "failed", failure=found, wait_seconds=0)
    )


def unknown(manifest: Manifest, record: Render, clock: Clock, words: str) -> SubmitUnknown:
    """Put on record that the POST `record` holds the permit for may have been accepted."""
    held = in_hand(record)

    def marked(latest: Render) -> Render:
        # Another execution may hold a permit of its own by now.
        is_ours = _named(in_hand(latest)) == _named(held)
        return marked_unknown(latest, clock(), words) if is_ours else latest

    manifest.update(record.render_id, marked)
    return SubmitUnknown(words)


def marked_unknown(latest: Render, now: datetime, words: str) -> Render:
    """The render after a POST of which nobody knows what came; as it is if none is open."""
    held = in_hand(latest)
    if held is None:
        return latest
    purpose, attempt = held
    words = words[:MAX_WORDS]
    is_settled = latest.status in SETTLED
    return latest.having(
        now,
        None if is_settled else "submit_unknown",
        **with_attempt(
            latest, purpose, attempt.number, outcome="unknown", message=words, settled_at=now
        ),
        failure=latest.failure if is_settled else Failure(error="SubmitUnknown", message=words),
        wait_seconds=0,
    )


def while_same(record: Render, change: Change) -> Change:
    """`change`, unless somebody decided otherwise about the render since `record` was read."""

    def changed(latest: Render) -> Render:
        is_same = latest.executions == record.executions and latest.job == record.job
        return change(latest) if is_same and latest.status not in SETTLED else latest

    return changed


def failure(problem: RenderFailed) -> Failure:
    """An error as it is kept on record."""
    return Failure(error=type(problem).__name__, message=str(problem), code=problem.code)


def _named(held: tuple[Purpose, Attempt] | None) -> tuple[Purpose, int] | None:
    return held and (held[0], held[1].number)


def _folded(found: tuple[Attempt, ...]) -> tuple[Attempt, ...]:
    """Two tries in a row that reached nobody in the same way become one that counts them."""
    if len(found) < 2 or found[-2].outcome != found[-1].outcome:
        return found
    last = found[-1].model_copy(update={"repeats": found[-2].repeats + 1})
    return (*found[:-2], last)
