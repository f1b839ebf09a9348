"""Before anything is done: what a run would do about each clip, and what it would pay for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from videoconductor import intake
from videoconductor.errors import InvalidRequest, Problem
from videoconductor_cli.jobs import deciding, fetching
from videoconductor_cli.jobs.deciding import Fetch, Rest, SoFar, Step, Want
from videoconductor_cli.jobs.manifest import Manifest
from videoconductor_cli.jobs.plans import PlannedClip, refusal
from videoconductor_cli.jobs.record import OPEN, Attempt, Entry


@dataclass(frozen=True)
class Decisions:
    """What a person has decided about POSTs of unknown fate: jobs found, clips to send again."""

    attach: Sequence[str] = ()
    retry: Sequence[str] = ()


@dataclass(frozen=True)
class Row:
    """One clip before the run: what is on record, what comes first, whether it will be sent."""

    clip: PlannedClip
    entry: Entry
    step: Step
    may_send: bool

    @property
    def rest(self) -> Rest | None:
        """How the clip stays, if there is nothing to do about it."""
        return self.step if isinstance(self.step, Rest) and not self.may_send else None

    @property
    def words(self) -> str:
        """What will be done about it."""
        entry, step = self.entry, self.step
        if self.rest is not None:
            return self._at_rest(self.rest)
        if isinstance(step, Fetch):
            return "is made: its file is fetched, nothing is sent"
        if not self.may_send:
            found = [a.request_id for a in entry.attempts if a.status in OPEN]
            return (
                f"job {', '.join(map(str, found))} is under way: it is waited for, nothing is sent"
            )
        return self._sent()

    def _at_rest(self, step: Rest) -> str:
        if step.is_finished:
            return "has its clip already: nothing is sent"
        if step.attempt is not None and step.attempt.status == "done":
            return "is made, but its file is not here: --download fetches it, nothing is sent"
        return "may have been accepted by xAI before: it is not sent again unasked"

    def _sent(self) -> str:
        newest = self.entry.newest
        cost = f"${self.clip.plan.estimate.total_usd:.3f}"
        if newest is None or newest.status == "not_sent":
            return cost
        if deciding.is_changed(self.entry, self.clip.fingerprint):
            return f"{cost}  (made anew: it was changed)"
        if newest.status == "done":
            return f"{cost}  (made anew: --force)"
        if newest.status == "abandoned":
            return f"{cost}  (sent again, though the first may be billed too)"
        why = newest.error.error if newest.error else newest.status
        return f"{cost}  (tried anew: {why} before)"


@dataclass(frozen=True)
class Survey:
    """All clips before the run."""

    rows: tuple[Row, ...]

    @property
    def clips(self) -> list[PlannedClip]:
        """The clips, in order."""
        return [row.clip for row in self.rows]

    @property
    def total_usd(self) -> Decimal:
        """What is paid for in this run, as estimated."""
        costs = (row.clip.plan.estimate.total_usd for row in self.rows if row.may_send)
        return sum(costs, Decimal(0))

    def news(self, manifest: Manifest) -> Iterator[Entry]:
        """The entries that are to be written before anything is done.

        Somebody has decided about them; or who was sending them is gone; or the clip is wanted in
        another shape than before, whose finished clip, if there is one, speaks for it then.
        """
        for row in self.rows:
            known, wanted = manifest.entry(row.clip.key), row.clip.fingerprint
            if row.entry != known or known.wanted not in {wanted, None}:
                yield replace(row.entry, wanted=wanted)

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing to do: nobody has to be asked, nothing is written."""
        return all(row.rest is not None for row in self.rows)


def survey(
    manifest: Manifest,
    clips: Sequence[PlannedClip],
    want: Want,
    decisions: Decisions,
    folder: Path,
    new_id: Callable[[], str],
    now: datetime,
) -> Survey:
    """What a run would do. Raises InvalidRequest for decisions that fit nothing on record."""
    clips = [_with_origin(clip, manifest) for clip in clips]
    decided, problems = _decided(manifest, clips, decisions, new_id, now)
    if problems:
        raise refusal(problems)
    rows = []
    for clip in clips:
        entry = decided.get(clip.key) or deciding.orphaned(manifest.entry(clip.key), now)
        may_send = deciding.will_send(entry, clip.fingerprint, want)
        here = {a.number for a in entry.attempts if fetching.is_whole(folder, a.file)}
        step = deciding.next_step(entry, clip.fingerprint, want, SoFar(may_send), here)
        rows.append(Row(clip, entry, step, may_send))
    return Survey(tuple(rows))


def _with_origin(clip: PlannedClip, manifest: Manifest) -> PlannedClip:
    """A remaster with the job it is a remaster of: the clip's own, made in another mode before."""
    if not clip.plan.remaster or clip.request.remaster_from_request_id is not None:
        return clip
    made: list[Attempt] = [
        entry.shown
        for entry in manifest.entries()
        if entry.id == clip.id and entry.key != clip.key
        if entry.shown is not None and entry.shown.status == "done"
    ]
    newest = max(made, key=lambda attempt: attempt.updated_at, default=None)
    if newest is None or newest.request_id is None:
        return clip
    named = {"remaster_from_request_id": newest.request_id}
    return replace(clip, request=clip.request.model_copy(update=named))


def _decided(
    manifest: Manifest,
    clips: Sequence[PlannedClip],
    decisions: Decisions,
    new_id: Callable[[], str],
    now: datetime,
) -> tuple[dict[str, Entry], list[Problem]]:
    by_id = {clip.id: clip for clip in clips}
    decided: dict[str, Entry] = {}
    problems: list[Problem] = []

    def take(clip: PlannedClip, option: str, found: Entry | Problem) -> None:
        if isinstance(found, Problem):
            problems.append(found)
        elif clip.key in decided:
            problems.append(Problem(option, clip.id, "has been decided about already"))
        else:
            decided[clip.key] = found

    for text in decisions.attach:
        pair = _pair(text, by_id)
        if isinstance(pair, Problem):
            problems.append(pair)
            continue
        clip, job = pair
        problems += _borne_by_another(manifest, clip, job)
        entry = manifest.entry(clip.key)
        take(clip, "--attach", deciding.attached(entry, clip, job, new_id(), now))
    for clip_id in decisions.retry:
        if clip_id not in by_id:
            problems.append(_not_chosen("--retry-unknown", clip_id, by_id))
            continue
        clip = by_id[clip_id]
        found = deciding.given_up(manifest.entry(clip.key), clip_id, now)
        take(clip, "--retry-unknown", found)
    return decided, problems


def _pair(text: str, by_id: Mapping[str, PlannedClip]) -> tuple[PlannedClip, str] | Problem:
    """The clip and the job in `CLIP_ID=REQUEST_ID`; ids may have a `=` of their own."""
    cuts = [at for at, character in enumerate(text) if character == "="]
    for at in cuts:
        if text[:at] in by_id:
            try:
                return by_id[text[:at]], intake.identifier("--attach", text[at + 1 :])
            except InvalidRequest as refused:
                return refused.problems[0]
    if not cuts:
        return Problem("--attach", text, "must be CLIP_ID=REQUEST_ID")
    return _not_chosen("--attach", text[: cuts[0]], by_id)


def _not_chosen(option: str, clip_id: str, by_id: Mapping[str, PlannedClip]) -> Problem:
    return Problem(option, clip_id, "is none of the chosen clips", tuple(by_id))


def _borne_by_another(manifest: Manifest, clip: PlannedClip, job: str) -> Iterator[Problem]:
    for entry in manifest.entries():
        if entry.key != clip.key and any(a.request_id == job for a in entry.attempts):
            yield Problem("--attach", job, f"is the job of {entry.key}")
