"""How renders, the manifest and problems look from outside: the JSON of answers."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from videoconductor.clip import SETTLED, ManifestEntry, Render
from videoconductor.errors import (
    CallerUnknown,
    IdempotencyConflict,
    InvalidRequest,
    NotAllowed,
    NotSetGoing,
    Problem,
    RenderNotFound,
    VideoConductorError,
)

PresignedUrl = Callable[[str], str]

MAX_SHOWN = 200  # characters of a value that is repeated in a problem
MAX_DETAIL = 2000
MAX_EXACT_INTEGER = 2**53

# The one place where errors become HTTP. Anything else from the tree is 503: ask again.
HTTP_STATUS: dict[type[VideoConductorError], tuple[int, str]] = {
    CallerUnknown: (403, "Nobody vouches for the caller"),
    InvalidRequest: (400, "The request is invalid"),
    RenderNotFound: (404, "There is no such render"),
    NotAllowed: (409, "The render's state does not allow this"),
    IdempotencyConflict: (409, "The Idempotency-Key was used for another request"),
    NotSetGoing: (503, "The render was not set going"),
}


def accepted(render: Render) -> dict[str, Any]:
    """The answer to a request that was accepted: the same each time it is asked again."""
    plan = render.plan
    return {
        "renderId": render.render_id,
        "status": "planned",
        "clipId": render.clip_id,
        "pipelineRequestId": render.pipeline_request_id,
        "qualityMode": plan.quality_mode,
        "model": plan.model,
        "operation": plan.operation,
        "duration": plan.duration,
        "resolution": plan.resolution,
        "aspectRatio": plan.aspect_ratio,
        "estimatedCostUsd": float(plan.estimate.total_usd),
        "estimate": plan.estimate.model_dump(mode="json"),
        "warnings": list(plan.warnings),
        "links": links(render),
    }


def links(render: Render) -> dict[str, str]:
    """Where to go from here, relative to the API's own address."""
    return {
        "self": f"/v1/videos/{render.render_id}",
        "manifest": f"/v1/films/{quote(render.pipeline_request_id, safe='')}/manifest",
    }


def summary(render: Render) -> dict[str, Any]:
    """One line of a list of renders."""
    return {
        "renderId": render.render_id,
        "status": render.status,
        "clipId": render.clip_id,
        "pipelineRequestId": render.pipeline_request_id,
        "qualityMode": render.plan.quality_mode,
        "model": render.plan.model,
        "progress": render.progress,
        "estimatedCostUsd": float(render.plan.estimate.total_usd),
        "costUsd": _number(render),
        "requestedAt": _time(render.created_at),
        "links": links(render),
    }


def page(renders: Sequence[Render], limit: int) -> dict[str, Any]:
    """A page of renders, newest first, and the cursor of the next page if there may be one."""
    is_full = len(renders) == limit
    cursor = base64.urlsafe_b64encode(renders[-1].order.encode()).decode() if is_full else None
    return {"videos": [summary(render) for render in renders], "nextCursor": cursor}


def before(cursor: str) -> str:
    """The render order that a page's cursor stands for. Raises ValueError for anything else."""
    order = base64.urlsafe_b64decode(cursor.encode()).decode()
    datetime.fromisoformat(order.partition("#")[0]).astimezone(UTC)
    return order


def detail(render: Render, presigned_url: PresignedUrl) -> dict[str, Any]:
    """Everything a caller may know about a render, with its result once it has one."""
    plan = render.plan
    return {
        **summary(render),
        "operation": plan.operation,
        "duration": plan.duration,
        "resolution": plan.resolution,
        "aspectRatio": plan.aspect_ratio,
        "estimate": plan.estimate.model_dump(mode="json"),
        "warnings": list(plan.warnings),
        "requestId": render.request_id,
        "attempts": [a.model_dump(mode="json", exclude_none=True) for a in render.attempts],
        "timeline": [{"status": "planned", "at": _time(render.created_at)}]
        + [m.model_dump(mode="json") for m in render.timeline],
        "deadline": _time(render.deadline),
        "caller": render.caller,
        "error": render.failure and render.failure.model_dump(mode="json"),
        "advice": ADVICE.get(render.status),
        "result": result(render, presigned_url) if render.status in SETTLED else None,
    }


ADVICE = {
    "submit_unknown": "xAI may have accepted this render: look in your xAI account, then attach "
    "its request id, retry it (which may charge twice), or abandon it",
    "stalled": "the job may still finish: attach it again to go on waiting",
    "cancelled": "nobody is waiting for this render any more, but a job that xAI accepted goes on "
    "and may be billed: attach it to get its clip",
}


def result(render: Render, presigned_url: PresignedUrl) -> dict[str, Any]:
    """The existing system's result: whether it worked, and all there is to find and verify it."""
    clip, delivery = render.clip, render.delivery
    video: dict[str, Any] = {
        "temporaryUrl": delivery.url if delivery else None,
        "requestId": render.request_id,
        "model": (delivery.model if delivery else None) or render.plan.model,
        "costUsd": _number(render),
    }
    if clip is not None:
        video |= {
            "url": presigned_url(clip.key),
            "key": clip.key,
            "sidecarKey": clip.sidecar_key,
            "bytes": clip.bytes,
            "sha256": clip.sha256,
            "duration": clip.seconds,
            "width": clip.width,
            "height": clip.height,
            "videoCodec": clip.video_codec,
            "audioCodec": clip.audio_codec,
        }
    success = render.status == "finalized"
    return {"success": success, "video": video if success or delivery else None}


def manifest(pipeline_request_id: str, entries: Iterable[ManifestEntry]) -> dict[str, Any]:
    """A film's manifest in the existing system's third version."""
    return {
        "version": 3,
        "requestId": pipeline_request_id,
        "clips": [_manifest_clip(entry) for entry in entries],
        "runs": [],
    }


def _manifest_clip(entry: ManifestEntry) -> dict[str, Any]:
    return {
        "id": entry.id.removesuffix(f"::{entry.quality_mode}"),
        "pipelineRequestId": entry.pipeline_request_id,
        "qualityMode": entry.quality_mode,
        "duration": entry.duration,
        "status": "done",
        "generationKind": entry.generation_kind,
        "requestId": entry.request_id,
        "url": entry.url,
        "temporaryUrl": entry.temporary_url,
        "firstFrameUrl": None,
        "thumbnailUrl": None,
        "estimatedCostUsd": float(entry.estimated_cost_usd),
        "costUsd": None if entry.cost_usd is None else float(entry.cost_usd),
        "model": entry.model,
        "modelServed": entry.model_served,
        "resolution": entry.resolution,
        "remasterFromRequestId": entry.remaster_from_request_id,
        "error": None,
        "purpose": entry.purpose,
        "refCode": entry.ref_code,
        "sha256": entry.sha256,
        "renderId": entry.render_id,
        "_key": entry.id,
        "updatedAt": _time(entry.updated_at),
    }


def problem(error: VideoConductorError) -> dict[str, Any]:
    """An error as RFC 9457 problem details; its `status` is the HTTP status."""
    status, title = HTTP_STATUS.get(type(error), (503, "Something we rely on did not answer"))
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    is_known = type(error) in HTTP_STATUS
    body["detail"] = str(error)[:MAX_DETAIL] if is_known else "nothing was spent; ask again"
    if isinstance(error, InvalidRequest):
        body["errors"] = [_problem(found) for found in error.problems]
    return body


def _problem(found: Problem) -> dict[str, Any]:
    shown = found.value
    is_odd = isinstance(shown, float) and not math.isfinite(shown)
    if is_odd or (isinstance(shown, int) and abs(shown) > MAX_EXACT_INTEGER):
        shown = str(shown)
    elif not isinstance(shown, str | int | float | bool | None):
        shown = repr(shown)
    if isinstance(shown, str):
        # Whatever it holds, the answer is valid UTF-8 and stays short.
        shown = shown[:MAX_SHOWN].encode("utf-8", "backslashreplace").decode() + (
            "…" if len(shown) > MAX_SHOWN else ""
        )
    answer = {"field": found.field, "value": shown, "message": found.message}
    return {**answer, "choices": list(found.choices)} if found.choices else answer


def _number(render: Render) -> float | None:
    return None if render.cost_usd is None else float(render.cost_usd)


def _time(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
