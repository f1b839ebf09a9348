"""What is told about a render: the sidecar beside its clip, its manifest entry, its event."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from videoconductor import budgets, identity, inputs
from videoconductor.clip import (
    Clip,
    FilmRun,
    Frame,
    ManifestEntry,
    Render,
    RenderPlan,
    Shortfall,
    Status,
)

if TYPE_CHECKING:
    from videoconductor.drift import Drift

# One event type for each status in which a render can come to rest.
DETAIL_TYPES: dict[Status, str] = {
    "finalized": "ClipReady",
    "failed": "ClipFailed",
    "cancelled": "ClipFailed",
    "stalled": "RenderStalled",
    "submit_unknown": "SubmitUnknown",
}
FILM_READY = "FilmReady"
REQUEST_REFUSED = "RequestRefused"
MAX_MISSING = 50  # kept on record, and told: an event holds 256 KiB


def sidecar(record: Render, clip: Clip, uri: str) -> dict[str, Any]:
    """Everything that is known about a clip, for whoever holds the file in ten years."""
    delivery, plan = record.delivery, record.plan
    return {
        "renderId": record.render_id,
        "clipId": record.clip_id,
        "pipelineRequestId": record.pipeline_request_id,
        "prompt": plan.prompt,
        "plan": _lasting(plan).model_dump(mode="json", exclude_none=True),
        "model": plan.model,
        "modelServed": delivery.model if delivery else None,
        "requestId": record.request_id,
        "attempts": [a.model_dump(mode="json", exclude_none=True) for a in record.attempts],
        "still": record.still and record.still.model_dump(mode="json"),
        "stillAttempts": [
            a.model_dump(mode="json", exclude_none=True) for a in record.still_attempts
        ],
        "estimatedCostUsd": float(plan.estimate.total_usd),
        "costUsd": _cost(record),
        "clip": {"uri": uri, **clip.model_dump(mode="json")},
        "requestedAt": record.created_at.isoformat(),
        "submittedAt": record.submitted_at and record.submitted_at.isoformat(),
        "timeline": [m.model_dump(mode="json") for m in record.timeline],
        "purpose": record.purpose,
        "refCode": record.ref_code,
        "remasterFromRequestId": record.remaster_from_request_id,
    }


def _lasting(plan: RenderPlan) -> RenderPlan:
    """A plan as it is kept beside its clip: what opened the urls of its request is left out."""

    def lasting(frame: Frame | None) -> Frame | None:
        if frame is None or frame.url is None:
            return frame
        return frame.model_copy(update={"url": inputs.shown(frame.url)})

    source = plan.source_video_url
    return plan.model_copy(
        update={
            "image": lasting(plan.image),
            "last_frame": lasting(plan.last_frame),
            "references": tuple(map(lasting, plan.references)),
            "source_video_url": None if source is None else inputs.shown(source),
        }
    )


def entry(record: Render, clip: Clip, uri_of: Callable[[str], str], now: datetime) -> ManifestEntry:
    """The manifest entry of a finished clip; `uri_of` tells where a key of the library is."""
    plan, delivery, pictures = record.plan, record.delivery, record.pictures
    return ManifestEntry(
        id=record.entry_id,
        pipeline_request_id=record.pipeline_request_id,
        quality_mode=plan.quality_mode,
        render_id=record.render_id,
        status="finalized",
        generation_kind=plan.task,
        request_id=record.request_id,
        url=uri_of(clip.key),
        temporary_url=delivery.url if delivery else None,
        duration=clip.seconds,
        resolution=made_resolution(plan, clip),
        model=plan.model,
        model_served=delivery.model if delivery else None,
        sha256=clip.sha256,
        estimated_cost_usd=plan.estimate.total_usd,
        cost_usd=record.cost_usd,
        purpose=record.purpose,
        ref_code=record.ref_code,
        remaster_from_request_id=record.remaster_from_request_id,
        first_frame_url=_first_frame_url(plan, uri_of),
        poster_url=pictures and uri_of(pictures.poster_key),
        thumbnail_url=pictures and pictures.thumbnail_key and uri_of(pictures.thumbnail_key),
        fingerprint=record.fingerprint,
        thumbnail_fingerprint=pictures and identity.thumbnail_fingerprint(record.thumbnail),
        requested_at=record.created_at,
        updated_at=now,
    )


def made_resolution(plan: RenderPlan, clip: Clip) -> str:
    """The resolution of a finished clip.

    An edit or extension keeps its source's, whatever was asked for.
    """
    asked = plan.resolution if plan.operation == "generate" else None
    return asked or f"{min(clip.width, clip.height)}p"


def film_event(run: FilmRun) -> dict[str, Any]:
    """The detail of the event that ends a run: how many clips there are, and what is missing."""
    return {
        "filmId": run.film,
        "runId": run.run_id,
        "status": run.status,
        "total": run.total,
        "done": run.done,
        "failed": run.failed,
        "unresolved": run.unresolved,
        "missing": [shortfall(missing) for missing in run.missing[:MAX_MISSING]],
        "resultKey": run.result_key,
        "estimatedCostUsd": float(run.estimated_cost_usd),
        "costUsd": None if run.cost_usd is None else float(run.cost_usd),
        "spentUsd": None if run.spent_usd is None else float(run.spent_usd),
        "reservedUsd": None if run.reserved_usd is None else float(run.reserved_usd),
    }


def shortfall(missing: Shortfall) -> dict[str, Any]:
    """A clip that did not come to be, as it is told."""
    return missing.model_dump(mode="json")


def event(record: Render) -> dict[str, Any]:
    """The detail of an event: who and what, never the prompt or a url that opens anything."""
    return {
        "renderId": record.render_id,
        "clipId": record.clip_id,
        "pipelineRequestId": record.pipeline_request_id,
        "qualityMode": record.plan.quality_mode,
        "status": record.status,
        "requestId": record.request_id,
        "clip": record.clip and record.clip.model_dump(mode="json"),
        "failure": record.failure and record.failure.model_dump(mode="json"),
        "estimatedCostUsd": float(record.plan.estimate.total_usd),
        "costUsd": _cost(record),
        "refCode": record.ref_code,
        "purpose": record.purpose,
    }


def drift_event(record: Render, drift: Drift) -> dict[str, Any]:
    """The detail of a drift's event: of which POST, and what it differs from by how much."""
    from videoconductor.drift import ModelDrift, PriceDrift  # who hands one in has them

    plan = record.plan
    told: dict[str, Any] = {
        "renderId": record.render_id,
        "clipId": record.clip_id,
        "pipelineRequestId": record.pipeline_request_id,
        "qualityMode": plan.quality_mode,
        "status": record.status,
        "what": drift.what,
        "attempt": drift.attempt.number,
        "requestId": drift.attempt.request_id,
        "model": drift.model,
        "refCode": record.ref_code,
        "purpose": record.purpose,
    }
    if isinstance(drift, ModelDrift):
        told["modelServed"] = drift.served
    if isinstance(drift, PriceDrift):
        told |= {
            "leastUsd": float(budgets.usd(drift.least_ticks)),
            "reservedUsd": float(budgets.usd(drift.most_ticks)),
            "costUsd": float(budgets.usd(drift.cost_ticks)),
            "percent": float(drift.percent),
            "pricesAsOf": plan.estimate.as_of,
        }
    return told


def _first_frame_url(plan: RenderPlan, uri_of: Callable[[str], str]) -> str | None:
    """Where the image is that the clip starts from: ours if we keep it, else as it was given."""
    if plan.image is None:
        return None
    # A caller's url is shown without what opens it.
    return uri_of(plan.image.key) if plan.image.key else inputs.shown(plan.image.url or "")


def _cost(record: Render) -> float | None:
    return None if record.cost_usd is None else float(record.cost_usd)
