"""The answers of the existing system's route: `{success, data | error}`, for the clients it has.

`success` says whether the clip is there, so that a client which knows no other answer never takes
a render that is still under way, or came to nothing, for a finished clip.
"""

from __future__ import annotations

from typing import Any

from videoconductor import views
from videoconductor.clip import SETTLED, Render
from videoconductor.views import PresignedUrl

PATH = "/api/mcp/v1/videos"
WAIT_SECONDS = 25  # API Gateway gives up after 30
RETRY_AFTER_SECONDS = 2
UNDER_WAY = "the clip is still being made; ask again: the same request finds it and pays nothing"
UNRESOLVED = {
    "submit_unknown": "nobody knows whether xAI accepted the request",
    "stalled": "xAI has not finished in time",
    "cancelled": "the render was cancelled",
}


def status(render: Render) -> int:
    """The HTTP status: 202 as long as it is worth asking again."""
    return 200 if render.status in SETTLED else 202


def headers(render: Render) -> dict[str, str]:
    """Where to ask again, and when, as long as that makes sense."""
    if render.status in SETTLED:
        return {}
    return {"Location": _location(render), "Retry-After": str(RETRY_AFTER_SECONDS)}


def answer(render: Render, presigned_url: PresignedUrl) -> dict[str, Any]:
    """What became of a request that was accepted."""
    found = views.result(render, presigned_url)
    body = {"success": found["success"], "data": _fields(render, found["video"], presigned_url)}
    if found["success"]:
        return body
    words, code = _trouble(render)
    return {**body, "error": words, "code": code}


def refusal(problem: dict[str, Any], name: str) -> dict[str, Any]:
    """A request that was not accepted: problem details and the error's name, as those clients
    read them.
    """
    words = ": ".join(problem[part] for part in ("title", "detail") if part in problem)
    body = {"success": False, "error": words, "code": name}
    return {**body, "errors": problem["errors"]} if "errors" in problem else body


def _fields(
    render: Render, video: dict[str, Any] | None, presigned_url: PresignedUrl
) -> dict[str, Any]:
    made, plan, pictures = video or {}, render.plan, render.pictures
    first_frame = render.still or plan.image

    def opened(key: str | None) -> str | None:
        return None if key is None else presigned_url(key)

    return {
        "renderId": render.render_id,
        "status": render.status,
        "clipId": render.clip_id,
        "pipelineRequestId": render.pipeline_request_id,
        "qualityMode": plan.quality_mode,
        "model": made.get("model", plan.model),
        "resolution": plan.resolution,
        "aspectRatio": plan.aspect_ratio,
        "duration": made.get("duration", plan.duration),
        "requestId": render.request_id,
        "url": made.get("url"),
        "temporaryUrl": made.get("temporaryUrl"),
        "firstFrameUrl": opened(first_frame.key if first_frame else None),
        "thumbnailUrl": opened(pictures.thumbnail_key if pictures else None),
        "posterUrl": opened(pictures.poster_key if pictures else None),
        "estimatedCostUsd": float(plan.estimate.total_usd),
        "costUsd": None if render.cost_usd is None else float(render.cost_usd),
        "warnings": list(plan.warnings),
        "advice": views.advice(render),
        "links": {"self": _location(render)},
        "video": video,
    }


def _trouble(render: Render) -> tuple[str, str]:
    """Why there is no clip, in words and by name."""
    if render.status not in SETTLED:
        return UNDER_WAY, "UnderWay"
    if render.failure is not None:
        return render.failure.message, render.failure.error
    return UNRESOLVED.get(render.status, f"the render is {render.status}"), render.status


def _location(render: Render) -> str:
    return f"{PATH}/{render.render_id}"
