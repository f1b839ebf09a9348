"""What is on record of a clip: every permit to POST and what came of it, and how that is shown.

An entry of the manifest is its attempts; the fields that other programs read are a view of the
best one. A finished clip is only ever taken from there by a newer finished one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

from pydantic import TypeAdapter

from videoconductor.clip import TICKS_PER_USD, Failure, Noun, Usd
from videoconductor_cli.jobs.plans import PlannedClip

Status = Literal[
    "submitting",
    "not_sent",
    "rendering",
    "done",
    "failed",
    "stalled",
    "submit_unknown",
    "abandoned",
]
# The POST was permitted, and nobody knows whether a job came of it.
UNKNOWN: frozenset[Status] = frozenset({"submitting", "submit_unknown"})
# A job was accepted, and nobody has seen its end.
OPEN: frozenset[Status] = frozenset({"rendering", "stalled"})
SHOWN: dict[Status, str] = {"not_sent": "planned", "abandoned": "failed"}
DONE_ELSEWHERE = frozenset({"done", "completed", "finalized", "success"})
FAILED_ELSEWHERE = frozenset({"failed", "error", "expired", "cancelled"})


class KeptFile(Noun):
    """A clip's MP4 on this machine; `path` is relative to the manifest's folder."""

    path: str
    bytes: int
    sha256: str
    seconds: float
    width: int
    height: int


class Attempt(Noun):
    """One permit to POST, and all that came of it. Costs are in ticks, 10^10 a dollar."""

    number: int
    status: Status
    render_id: str
    updated_at: datetime
    fingerprint: str | None = None
    generation_kind: str | None = None
    model: str | None = None
    resolution: str | None = None
    duration: float | None = None
    estimated_cost_usd: Usd | None = None
    first_frame_url: str | None = None
    remaster_from_request_id: str | None = None
    purpose: str | None = None
    ref_code: str | None = None
    permitted_at: datetime | None = None
    postponements: int = 0
    request_id: str | None = None
    submitted_at: datetime | None = None
    temporary_url: str | None = None
    model_served: str | None = None
    seconds: float | None = None
    cost_ticks: int | None = None
    error: Failure | None = None
    file: KeptFile | None = None

    @property
    def cost_usd(self) -> Decimal | None:
        """What the provider says it billed."""
        return None if self.cost_ticks is None else Decimal(self.cost_ticks) / TICKS_PER_USD

    def having(self, now: datetime, status: Status | None = None, **changes: Any) -> Attempt:
        """A copy with `changes`."""
        return self.model_copy(
            update={"status": status or self.status, "updated_at": now, **changes}
        )


_ATTEMPTS = TypeAdapter(tuple[Attempt, ...])


@dataclass(frozen=True)
class Entry:
    """All that is on record under one `id::qualityMode`, attempts oldest first.

    `wanted` is the fingerprint of the clip as it was last asked for.
    """

    id: str
    quality_mode: str
    wanted: str | None = None
    attempts: tuple[Attempt, ...] = ()

    @property
    def key(self) -> str:
        """Its place in the manifest."""
        return f"{self.id}::{self.quality_mode}"

    @property
    def newest(self) -> Attempt | None:
        """The attempt that was made last."""
        return self.attempts[-1] if self.attempts else None

    def finished(self, fingerprint: str | None) -> Attempt | None:
        """The newest finished clip of that shape.

        One that another program entered has no shape we know of, and counts as of any.
        """
        for attempt in reversed(self.attempts):
            if attempt.status == "done" and attempt.fingerprint in {fingerprint, None}:
                return attempt
        return None

    @property
    def shown(self) -> Attempt | None:
        """The attempt that speaks for the entry: a finished one, if there is any."""
        done = [attempt for attempt in self.attempts if attempt.status == "done"]
        return self.finished(self.wanted) or (done[-1] if done else self.newest)

    def having(self, attempt: Attempt) -> Entry:
        """The entry with an attempt in the place of the one of its number, or added."""
        attempts = {known.number: known for known in self.attempts} | {attempt.number: attempt}
        return replace(self, attempts=tuple(attempts[number] for number in sorted(attempts)))


def permit(entry: Entry, clip: PlannedClip, render_id: str, now: datetime) -> Attempt:
    """The permit for one POST; one that reached nobody goes on under its number."""
    newest = entry.newest
    is_again = newest is not None and newest.status == "not_sent"
    last = 0 if newest is None else newest.number
    plan = clip.plan
    image = None if plan.image is None else plan.image.url
    return Attempt(
        number=last if is_again else last + 1,
        status="submitting",
        render_id=newest.render_id if newest is not None and is_again else render_id,
        updated_at=now,
        fingerprint=clip.fingerprint,
        generation_kind=plan.task,
        model=plan.model,
        resolution=plan.resolution if plan.operation == "generate" else None,
        duration=plan.duration,
        estimated_cost_usd=plan.estimate.total_usd,
        first_frame_url=None if image is None or image[:5].lower() == "data:" else image,
        remaster_from_request_id=clip.request.remaster_from_request_id,
        purpose=clip.request.purpose,
        ref_code=clip.request.ref_code,
        permitted_at=now,
        postponements=newest.postponements if newest is not None and is_again else 0,
    )


def entry_of(row: Mapping[str, Any]) -> Entry:
    """The entry in a row of `clips`; one that another program wrote is one attempt.

    Raises ValueError (of which pydantic's ValidationError is one) for a row it cannot read.
    """
    clip_id, mode = row.get("id"), row.get("qualityMode")
    if not isinstance(clip_id, str) or not isinstance(mode, str):
        raise ValueError("has no id or qualityMode")
    if "attempts" not in row:
        return Entry(clip_id, mode, None, (_adopted(row),))
    wanted = row.get("wantedFingerprint")
    attempts = _ATTEMPTS.validate_python(row["attempts"], strict=False)
    return Entry(clip_id, mode, wanted if isinstance(wanted, str) else None, attempts)


def _adopted(row: Mapping[str, Any]) -> Attempt:
    """Another program's entry. What may be paid for is taken as paid for."""
    url = _text(row, "temporaryUrl") or _text(row, "url")
    request_id, said = _text(row, "requestId"), str(row.get("status")).lower()
    status: Status = "submit_unknown"
    if said in DONE_ELSEWHERE:
        status = "done"
    elif said in FAILED_ELSEWHERE:
        status = "failed"
    elif request_id is not None:
        status = "rendering"
    return Attempt(
        number=1,
        status=status,
        render_id=_text(row, "renderId") or "",
        updated_at=datetime.fromisoformat(_text(row, "updatedAt") or "1970-01-01T00:00:00Z"),
        generation_kind=_text(row, "generationKind"),
        model=_text(row, "model"),
        resolution=_text(row, "resolution"),
        duration=row.get("duration"),
        estimated_cost_usd=row.get("estimatedCostUsd"),
        first_frame_url=_text(row, "firstFrameUrl"),
        remaster_from_request_id=_text(row, "remasterFromRequestId"),
        request_id=request_id,
        temporary_url=url if status == "done" else None,
    )


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return value if isinstance(value, str) and value else None


def row_of(project: str, entry: Entry, old: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The entry as a row of `clips`; fields of `old` that are not ours stay."""
    shown = entry.shown
    assert shown is not None
    kept = shown.file
    row = {
        "id": entry.id,
        "pipelineRequestId": project,
        "qualityMode": entry.quality_mode,
        "duration": kept.seconds if kept else shown.seconds or shown.duration,
        "status": SHOWN.get(shown.status, shown.status),
        "generationKind": shown.generation_kind,
        "requestId": shown.request_id,
        "url": quote(kept.path) if kept else None,
        "temporaryUrl": shown.temporary_url,
        "firstFrameUrl": shown.first_frame_url,
        "thumbnailUrl": None,
        "estimatedCostUsd": _number(shown.estimated_cost_usd),
        "costUsd": _number(shown.cost_usd),
        "model": shown.model,
        "modelServed": shown.model_served,
        "resolution": shown.resolution or (kept and f"{min(kept.width, kept.height)}p"),
        "remasterFromRequestId": shown.remaster_from_request_id,
        "error": shown.error and f"{shown.error.error}: {shown.error.message}",
        "purpose": shown.purpose,
        "refCode": shown.ref_code,
        "file": kept and kept.path,
        "bytes": kept and kept.bytes,
        "sha256": kept and kept.sha256,
        "renderId": shown.render_id,
        "fingerprint": shown.fingerprint,
        "wantedFingerprint": entry.wanted,
        "_key": entry.key,
        "updatedAt": shown.updated_at.isoformat().replace("+00:00", "Z"),
        "attempts": [a.model_dump(mode="json", exclude_none=True) for a in entry.attempts],
    }
    if old is not None and shown.fingerprint is None and kept is None:
        # Another program's clip: where that program put it is still where it is.
        row |= {name: old.get(name) for name in ("url", "thumbnailUrl", "costUsd")}
    return {**(old or {}), **row}


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
