"""What is told about a render: the sidecar beside its clip, its manifest entry, its event."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from videoconductor.clip import Clip, ManifestEntry, Render


def sidecar(record: Render, clip: Clip, uri: str) -> dict[str, Any]:
    """Everything that is known about a clip, for whoever holds the file in ten years."""
    delivery, plan = record.delivery, record.plan
    return {
        "renderId": record.render_id,
        "clipId": record.clip_id,
        "pipelineRequestId": record.pipeline_request_id,
        "prompt": plan.prompt,
        "plan": plan.model_dump(mode="json", exclude_none=True),
        "model": plan.model,
        "modelServed": delivery.model if delivery else None,
        "requestId": record.request_id,
        "attempts": [a.model_dump(mode="json", exclude_none=True) for a in record.attempts],
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


def entry(record: Render, clip: Clip, uri: str, now: datetime) -> ManifestEntry:
    """The manifest entry of a finished clip."""
    plan, delivery = record.plan, record.delivery
    # An edit or extension keeps its source's resolution, whatever was asked for.
    asked = plan.resolution if plan.operation == "generate" else None
    return ManifestEntry(
        id=record.entry_id,
        pipeline_request_id=record.pipeline_request_id,
        quality_mode=plan.quality_mode,
        render_id=record.render_id,
        status="finalized",
        generation_kind=plan.task,
        request_id=record.request_id,
        url=uri,
        temporary_url=delivery.url if delivery else None,
        duration=clip.seconds,
        resolution=asked or f"{min(clip.width, clip.height)}p",
        model=plan.model,
        model_served=delivery.model if delivery else None,
        sha256=clip.sha256,
        estimated_cost_usd=plan.estimate.total_usd,
        cost_usd=record.cost_usd,
        purpose=record.purpose,
        ref_code=record.ref_code,
        remaster_from_request_id=record.remaster_from_request_id,
        requested_at=record.created_at,
        updated_at=now,
    )


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


def _cost(record: Render) -> float | None:
    return None if record.cost_usd is None else float(record.cost_usd)
