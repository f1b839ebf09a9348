"""What a run has come to: where the clips are, and what can be done about those that are not."""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from videoconductor_cli.jobs import deciding
from videoconductor_cli.jobs.making import Outcome
from videoconductor_cli.jobs.manifest import Manifest
from videoconductor_cli.jobs.plans import PlannedClip
from videoconductor_cli.jobs.record import OPEN, UNKNOWN, Attempt, Entry
from videoconductor_cli.jobs.running import Result
from videoconductor_cli.jobs.survey import Survey


def words(
    clips: Sequence[PlannedClip], result: Result, manifest: Manifest, again: str
) -> Iterator[str]:
    """What came of the clips that are not there or will not last, and how to go on."""
    missing = unfinished(clips, result.outcomes)
    there = [clip for clip in clips if clip not in missing]
    for clip in missing:
        yield from why_not(clip, manifest.entry(clip.key), again)
    for clip in there:
        if deciding.blocked(manifest.entry(clip.key)) is not None:
            yield (
                f"{clip.id}: another POST for it may have been accepted and billed; "
                f"--attach {clip.id}=REQUEST_ID gets its clip, --retry-unknown {clip.id} forgets it"
            )
    passing = not_kept(there, result.outcomes)
    if passing:
        yield (
            f"WARNING: {len(passing)} of {len(clips)} clips are not kept here, only at xAI, which "
            f"deletes them after about 24 hours. Keep them with:\n  {again} --download"
        )
    if result.problem is not None:
        yield f"stopped: {result.problem}"
    for bug in result.bugs:
        yield "".join(traceback.format_exception(bug))
    if result.is_interrupted:
        yield f"Nothing is lost; go on with:\n  {again}"


def unfinished(clips: Sequence[PlannedClip], outcomes: Mapping[str, Outcome]) -> list[PlannedClip]:
    """The clips that are not there."""
    return [clip for clip in clips if not _is_finished(outcomes.get(clip.key))]


def places(
    clips: Sequence[PlannedClip], outcomes: Mapping[str, Outcome], folder: Path
) -> Iterator[tuple[str, str]]:
    """Each finished clip, and where it is: its file, else the url that lasts a day."""
    for clip in clips:
        outcome = outcomes.get(clip.key)
        if outcome is None or not outcome.is_finished or outcome.attempt is None:
            continue
        kept = outcome.attempt.file
        yield clip.id, str(folder / kept.path) if kept else outcome.attempt.temporary_url or ""


def not_kept(clips: Sequence[PlannedClip], outcomes: Mapping[str, Outcome]) -> list[PlannedClip]:
    """The finished clips that have no file here."""
    attempts = {key: outcome.attempt for key, outcome in outcomes.items() if outcome.is_finished}
    found = [(clip, attempts.get(clip.key)) for clip in clips]
    return [clip for clip, attempt in found if attempt is not None and attempt.file is None]


def why_not(clip: PlannedClip, entry: Entry, again: str) -> Iterator[str]:
    """Why a clip is not there, and what may help; `again` is this command once more."""
    unknown = deciding.blocked(entry)
    if unknown is not None:
        yield f"{clip.id}: nobody knows whether xAI accepted it{_because(unknown)}"
        yield "  look for it in your xAI account; it is not sent again unless you say so:"
        yield f"  {again} --attach {clip.id}=REQUEST_ID   # if a job is there"
        yield f"  {again} --retry-unknown {clip.id}   # if not; may be paid for twice"
        return
    newest = entry.newest
    if newest is None or newest.status in {"not_sent", "abandoned"}:
        yield f"{clip.id}: not sent{_because(newest)}"
        yield f"  {again}"
    elif newest.status in OPEN:
        yield f"{clip.id}: job {newest.request_id} goes on at xAI{_because(newest)}"
        yield f"  {again}   # waits for it, sends nothing"
        if newest.status == "stalled":
            yield f"  {again} --retry-unknown {clip.id}   # gives it up; may be paid for twice"
    elif newest.status == "failed":
        yield f"{clip.id}: failed{_because(newest)}"
        yield f"  {again}   # tries anew, and is paid for anew"
    elif newest.fingerprint not in {clip.fingerprint, None}:
        yield f"{clip.id}: not sent; what is there was made before it was changed"
        yield f"  {again}"
    elif newest.file is not None and newest.error is None:
        yield f"{clip.id}: not made anew, or its file was taken away from {newest.file.path}"
        yield f"  {again} --download   # fetches it, if it is not there"
    else:
        yield f"{clip.id}: made as job {newest.request_id}, but not fetched{_because(newest)}"
        yield f"  {again}   # sends nothing; with --download it is fetched"


def run_begin(run_id: str, survey: Survey, began: datetime) -> dict[str, Any]:
    """A run as it stands in the manifest before anything is known of its end."""
    return {
        "id": run_id,
        "startedAt": _time(began),
        "endedAt": None,
        "clips": [clip.key for clip in survey.clips],
        "estimatedCostUsd": float(survey.total_usd),
    }


def run_end(
    survey: Survey,
    outcomes: Mapping[str, Outcome],
    manifest: Manifest,
    began: datetime,
    ended: datetime,
) -> dict[str, Any]:
    """What came of a run: POSTs that were made, what they cost, clips that are there or not."""
    attempts = [a for clip in survey.clips for a in manifest.entry(clip.key).attempts]
    sent = [a for a in attempts if a.permitted_at is not None and a.permitted_at >= began]
    costs = [float(attempt.cost_usd) for attempt in sent if attempt.cost_usd is not None]
    missing = unfinished(survey.clips, outcomes)
    return {
        "endedAt": _time(ended),
        "sent": sum(a.request_id is not None or a.status in UNKNOWN for a in sent),
        "costUsd": sum(costs) if costs else None,
        "finished": len(survey.clips) - len(missing),
        "unfinished": [clip.key for clip in missing],
    }


def _is_finished(outcome: Outcome | None) -> bool:
    return outcome is not None and outcome.is_finished


def _because(attempt: Attempt | None) -> str:
    if attempt is None or attempt.error is None:
        return ""
    code = f" ({attempt.error.code})" if attempt.error.code else ""
    return f": {attempt.error.error}: {attempt.error.message}{code}"


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
