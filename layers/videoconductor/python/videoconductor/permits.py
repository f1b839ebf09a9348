"""The single-use permit: on record before a POST that costs money, and then what came of it.

A render POSTs for two things at most, its still and its job; each has a list of attempts of its
own. What is written here is written only from answers that prove it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from videoconductor import budgets, identity, pacing
from videoconductor.clip import SETTLED, Attempt, Failure, Render, Status
from videoconductor.errors import (
    BudgetExceeded,
    ManifestUnavailable,
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
# The url under which the provider may deliver to a key of the library: a secret. None where it is
# to deliver nothing, or cannot.
Witness = Callable[[str], str | None]
# The fields of a render that hold attempts.
Purpose = Literal["attempts", "still_attempts"]
PURPOSES: tuple[Purpose, ...] = ("still_attempts", "attempts")

# A POST the provider keeps postponing is given up after so many tries: nothing was spent.
MAX_POSTPONEMENTS = 60
MAX_WORDS = 300
FOR_THE_FIRST = timedelta(seconds=30)


def attempts(record: Render, purpose: Purpose) -> tuple[Attempt, ...]:
    """All permits a render ever took for this purpose, oldest first."""
    found: tuple[Attempt, ...] = getattr(record, purpose)
    return found


def newest(record: Render, purpose: Purpose) -> Attempt | None:
    """The newest permit for this purpose, if one was ever taken."""
    return attempts(record, purpose)[-1] if attempts(record, purpose) else None


def next_number(record: Render, purpose: Purpose) -> int:
    """The number of the permit that would be taken next."""
    found = newest(record, purpose)
    return found.number + 1 if found else 1


def of_job(record: Render) -> Attempt | None:
    """The attempt whose POST started the render's job: it answered with it, or may have.

    None where every POST is accounted for otherwise: then the job was paid for elsewhere.
    """
    if record.request_id is None:
        return None
    answered = (a for a in record.attempts if a.request_id == record.request_id)
    unseen = (
        attempt
        for attempt in reversed(record.attempts)
        if attempt.request_id is None
        and attempt.outcome in {"unknown", "abandoned"}
        and attempt.spent_ticks is None
    )
    return next(answered, None) or next(unseen, None)


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


def take(
    manifest: Manifest,
    record: Render,
    purpose: Purpose,
    lease: int,
    clock: Clock,
    *,
    has_witness: bool = False,
) -> Render:
    """Put the intention to POST on record, and reserve what the POST may cost, in one write.

    `has_witness` when the POST names a place for the provider to deliver to. RecordChanged means
    that somebody else took it, or changed the caps; StillInTheMaking that another render is at the
    same still, or has it already. Raises a BudgetExceeded, on record, where a cap has no room for
    it or the kill switch is set.
    """
    now = clock()
    until = now + timedelta(seconds=lease)
    before = attempts(record, purpose)
    amount = budgets.price(record.plan, "still" if purpose == "still_attempts" else "clip")
    permit = Attempt(
        number=next_number(record, purpose),
        permitted_at=now,
        lease_until=until,
        outcome="submitting",
        reserved_ticks=amount or 0,
        run_id=record.run_id if record.run_limit_usd is not None else None,
        caller=record.set_going_by,
        witness="sent" if has_witness else None,
    )
    status: Status | None = "framing" if purpose == "still_attempts" else None
    changed: dict[str, Any] = {purpose: (*before, permit)}
    try:
        caps = manifest.caps()
        room = budgets.room(caps, record, amount, now)
        making = _making(record, until) if purpose == "still_attempts" else None
        terms = budgets.Terms(caps, room, making)
        return manifest.save(record, record.having(now, status, **changed), terms)
    except BudgetExceeded as problem:
        manifest.update(record.render_id, given_up(record, problem, clock))
        raise


def _making(record: Render, until: datetime) -> budgets.Making:
    """The still of a render, as others look for it."""
    film, shape = record.pipeline_request_id, identity.still_fingerprint(record.plan)
    # Whoever looks for what this one has kept before it died comes first.
    return budgets.Making(film, record.clip_id, shape, until + FOR_THE_FIRST)


def _leave(manifest: Manifest, record: Render, purpose: Purpose) -> None:
    """Let another render have the still made that this one did not get."""
    if purpose == "still_attempts":
        shape = identity.still_fingerprint(record.plan)
        film = record.pipeline_request_id
        # It runs out by itself: what it was left for, an answer's own wait say, is not to be lost.
        with suppress(ManifestUnavailable):
            manifest.leave_still(film, record.clip_id, shape, record.render_id)


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

    latest = _on_record(manifest, record, postponed)
    _leave(manifest, record, purpose)
    return latest


def refused(
    manifest: Manifest,
    record: Render,
    purpose: Purpose,
    problem: RenderFailed,
    clock: Clock,
) -> RenderFailed:
    """Put on record that nothing was accepted and why, and that the render has failed by it."""
    mine = attempts(record, purpose)[-1]
    # What is no plain refusal was made: it is paid for, if only by the estimate.
    is_free = isinstance(problem, RenderRefused) and problem.cost_ticks is None
    cost = {} if is_free else mine.costing(problem.cost_ticks)

    def changed(latest: Render) -> Render:
        now = clock()
        latest = latest.having(
            now,
            **with_attempt(
                latest,
                purpose,
                mine.number,
                outcome="refused",
                message=str(problem)[:MAX_WORDS],
                settled_at=now,
                **cost,
            ),
        )
        return while_same(
            record,
            lambda same: same.having(now, "failed", failure=failure(problem), wait_seconds=0),
        )(latest)

    _on_record(manifest, record, changed)
    _leave(manifest, record, purpose)
    return problem


class NotOnRecord(Exception):
    """An answer proved that nothing was accepted, and the table did not take that.

    `render` is the document that carries it to the next state, as a job is carried.
    """

    def __init__(self, render: Render) -> None:
        super().__init__(render.render_id)
        self.render = render


def _on_record(manifest: Manifest, record: Render, change: Change) -> Render:
    try:
        return manifest.update(record.render_id, change)
    except (ManifestUnavailable, ValidationError) as problem:  # or a record of another release
        carrying = change(record)
        wait = max(carrying.wait_seconds, 1)
        raise NotOnRecord(carrying.model_copy(update={"wait_seconds": wait})) from problem


def with_carried_answer(record: Render, render: Render, manifest: Manifest, clock: Clock) -> Render:
    """The record with what the document says of a POST that the record takes for open."""
    for purpose in PURPOSES:
        told = newest(render, purpose)
        if told is None or told.outcome not in {"refused", "not_sent"}:
            continue
        known = next((a for a in attempts(record, purpose) if a.number == told.number), None)
        if known is not None and _is_unanswered(known):
            change = _answered(purpose, told, render, clock)
            latest = manifest.update(record.render_id, change)
            _leave(manifest, latest, purpose)
            return latest
    return record


def _is_unanswered(attempt: Attempt) -> bool:
    """Whether nobody knows yet what came of a POST, for all the record says."""
    open_ones = {"submitting", "unknown", "abandoned"}
    return attempt.outcome in open_ones and attempt.request_id is None


def _answered(purpose: Purpose, told: Attempt, render: Render, clock: Clock) -> Change:
    """Puts a carried answer on record, and the failure that came of it."""

    def answered(latest: Render) -> Render:
        known = next((a for a in attempts(latest, purpose) if a.number == told.number), None)
        if known is None or not _is_unanswered(known):
            return latest
        fields = ("outcome", "message", "settled_at", "cost_ticks", "spent_ticks")
        changes = {name: getattr(told, name) for name in fields}
        latest = latest.having(clock(), **with_attempt(latest, purpose, told.number, **changes))
        if latest.executions == render.executions:
            postponements = max(latest.postponements, render.postponements)
            latest = latest.model_copy(update={"postponements": postponements})
        if render.status != "failed":
            return latest
        return while_same(
            render,
            lambda same: same.having(clock(), "failed", failure=render.failure, wait_seconds=0),
        )(latest)

    return answered


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


def others_settled(latest: Render, number: int) -> Render:
    """With its clip there, nobody will ask after the render's other jobs: the provider bills them.

    Attempt `number` is the one that the clip is of.
    """
    others = [a for a in latest.attempts if a.held_ticks and a.outcome == "accepted"]
    for other in others:
        if other.number != number:
            costing = with_attempt(latest, "attempts", other.number, **other.costing(None))
            latest = latest.model_copy(update=costing)
    return latest


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
    if found[-2].spent_ticks is not None:
        return found  # refused, and paid for: that stays
    last = found[-1].model_copy(update={"repeats": found[-2].repeats + 1})
    return (*found[:-2], last)
