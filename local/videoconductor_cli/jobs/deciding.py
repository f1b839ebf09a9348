"""What comes next for a clip, from what is on record of it. Nothing here has an effect.

Money decides the order: a job that may be running is waited for before anything is sent, and
what may have been accepted is never sent again unless a person says so.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from videoconductor.clip import Failure
from videoconductor.errors import Problem
from videoconductor_cli.jobs.plans import PlannedClip
from videoconductor_cli.jobs.record import OPEN, UNKNOWN, Attempt, Entry, Status, permit

# Attempts that may have started a job whose id nobody knows.
LOST: frozenset[Status] = UNKNOWN | {"abandoned"}


@dataclass(frozen=True)
class Want:
    """What is wanted of every clip: its file here, or just the clip; anew in any case or not."""

    download: bool = False
    force: bool = False


@dataclass(frozen=True)
class SoFar:
    """What this run has done about a clip, by the numbers of its attempts.

    `may_send` is settled before the run begins: nothing is sent whose price was not shown.
    """

    may_send: bool
    sent: int | None = None
    waited: frozenset[int] = frozenset()
    fetched: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Send:
    """The POST that costs money."""


@dataclass(frozen=True)
class Wait:
    """Ask how an accepted job stands until it has come to its end."""

    attempt: Attempt


@dataclass(frozen=True)
class Fetch:
    """Put the file of a finished clip where it belongs."""

    attempt: Attempt


@dataclass(frozen=True)
class Rest:
    """Nothing more in this run: the clip is there, or it is not and `attempt` says why."""

    is_finished: bool
    attempt: Attempt | None = None


Step = Send | Wait | Fetch | Rest


def next_step(
    entry: Entry, fingerprint: str, want: Want, so_far: SoFar, on_disk: Collection[int]
) -> Step:
    """What to do about a clip now; `on_disk` are the attempts whose file is there, whole."""
    for attempt in entry.attempts:
        if attempt.status in OPEN and attempt.number not in so_far.waited:
            return Wait(attempt)
    done = _sufficient(entry, fingerprint, want, so_far)
    if done is not None:
        is_here = done.number in on_disk
        if want.download and not is_here and done.number not in so_far.fetched:
            return Fetch(done)
        return Rest(is_here or (done.file is None and not want.download), done)
    newest = entry.newest
    unknown = blocked(entry)
    if unknown is not None:
        return Rest(False, unknown)
    is_postponed = newest is not None and newest.status == "not_sent"
    if so_far.may_send and (so_far.sent is None or is_postponed):
        return Send()
    return Rest(False, newest)


def will_send(entry: Entry, fingerprint: str, want: Want) -> bool:
    """Whether a run sends a POST for this clip, as far as one can tell before it begins.

    A job of the same shape under way is the clip already, even one that may come to nothing.
    """
    if any(a.status in OPEN and a.fingerprint in {fingerprint, None} for a in entry.attempts):
        return False
    return blocked(entry) is None and _sufficient(entry, fingerprint, want, None) is None


def is_changed(entry: Entry, fingerprint: str) -> bool:
    """Whether there is a finished clip, but of another shape than is wanted now."""
    shown = entry.shown
    return shown is not None and shown.status == "done" and entry.finished(fingerprint) is None


def _sufficient(entry: Entry, fingerprint: str, want: Want, so_far: SoFar | None) -> Attempt | None:
    """The finished clip that makes another one unnecessary."""
    done = entry.finished(fingerprint)
    if done is None or not want.force:
        return done
    made_now = set() if so_far is None else {so_far.sent, *so_far.waited}
    return done if done.number in made_now or (so_far and not so_far.may_send) else None


def blocked(entry: Entry) -> Attempt | None:
    """The attempt of which nobody knows whether it was accepted."""
    return next((a for a in reversed(entry.attempts) if a.status in UNKNOWN), None)


def orphaned(entry: Entry, now: datetime) -> Entry:
    """The entry as it is when nobody else is at work: who was submitting is gone."""
    gone = Failure(error="SubmitUnknown", message="the process that was sending it is gone")
    for attempt in entry.attempts:
        if attempt.status == "submitting":
            entry = entry.having(attempt.having(now, "submit_unknown", error=gone))
    return entry


# -- what a person decides -------------------------------------------------------------------------


def attached(
    entry: Entry, clip: PlannedClip, request_id: str, render_id: str, now: datetime
) -> Entry | Problem:
    """The entry with a job that somebody found again, to be waited for."""
    found = {"request_id": request_id, "submitted_at": now, "error": None}
    known = next((a for a in entry.attempts if a.request_id == request_id), None)
    if known is not None:
        is_over = known.status in {"done", "rendering"}
        return entry if is_over else entry.having(known.having(now, "rendering", **found))
    lost = [a for a in entry.attempts if a.status in LOST and a.request_id is None]
    if lost:
        return entry.having(lost[-1].having(now, "rendering", **found))
    newest = entry.newest
    if newest is None or (newest.status in {"failed", "not_sent"} and newest.request_id is None):
        return entry.having(permit(entry, clip, render_id, now).having(now, "rendering", **found))
    message = f"lacks no job: the one on record is {newest.request_id or 'not known'}"
    return Problem("--attach", clip.id, message)


def given_up(entry: Entry, clip_id: str, now: datetime) -> Entry | Problem:
    """The entry with its unknown or stalled attempt given up, so that the clip is sent again."""
    over = [a for a in entry.attempts if a.status in UNKNOWN or a.status == "stalled"]
    if not over:
        message = "has no POST whose fate is unknown, and no job that stalled"
        return Problem("--retry-unknown", clip_id, message)
    why = Failure(error="Abandoned", message="given up by --retry-unknown; it may have been billed")
    for attempt in over:
        entry = entry.having(attempt.having(now, "abandoned", error=why))
    return entry
