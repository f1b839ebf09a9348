"""Examples of requests, and the answers that the code itself gives to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any

from videoconductor import doctoring, planning, views
from videoconductor.clip import (
    TICKS_PER_USD,
    Attempt,
    Clip,
    ClipRequest,
    Delivery,
    Failure,
    FilmClip,
    FilmRun,
    Pictures,
    Render,
)
from videoconductor.errors import InvalidRequest
from videoconductor.models import ModelCatalog
from videoconductor.quality import QualityModes

Schema = dict[str, Any]
# By the name of a schema: examples by title, as OpenAPI has them.
Shown = dict[str, dict[str, Schema]]

RENDER_ID = "6f1c0a52b7d94e0f8a3be1d2c4f50617"
RUN_ID = "892965cf398aae03ad05d91fa02bd44f"
REQUEST_ID = "5a0e8f4e-3c1d-4f7a-9b52-0d6c8e1f2a34"
CALLER = "arn:aws:iam::111122223333:user/editor"
BEGAN = datetime(2026, 11, 22, 20, 15, tzinfo=UTC)
FOLDER = f"generated/{{}}/nightclub/opener/draft/{RENDER_ID}"
TEMPORARY = "https://vidgen.x.ai/xai-vidgen-bucket/xai-video-5a0e8f4e.mp4"

CLIPS: dict[str, Schema] = {
    "fromText": {
        "prompt": "A neon sign flickers over a wet street",
        "duration": 6,
        "clipId": "opener",
        "pipelineRequestId": "nightclub",
        "maxCostUsd": 1,
    },
    "fromAnImage": {
        "prompt": "The camera glides through the door",
        "qualityMode": "draft_i2v",
        "imageUrl": "https://example.com/door.png",
    },
    "fromAStill": {
        "prompt": "She turns to the camera and smiles",
        "qualityMode": "production_i2v",
        "firstFramePrompt": "A bartender behind a marble counter, warm light",
    },
}
CAPS: Schema = {"day": 50, "month": None, "film": {"*": 20, "nightclub": 5, "intro": "inherit"}}
SCRIPT: Schema = {
    "schemaVersion": "1.0",
    "requestId": "nightclub",
    "defaults": {"qualityMode": "draft", "aspectRatio": "16:9"},
    "cast": [{"id": "mara", "description": "a bartender with silver hair"}],
    "setting": "A bar, late at night",
    "clips": [
        {"id": "opener", "duration": 6, "scene": {"action": "{{mara}} lights a candle"}},
        {
            "id": "toast",
            "duration": 4,
            "scene": {"dialogue": [{"speaker": "mara", "line": "To the night shift."}]},
        },
    ],
}
MANIFEST: Schema = {
    "version": 3,
    "clips": [
        {
            "id": "opener",
            "status": "done",
            "qualityMode": "draft",
            "requestId": REQUEST_ID,
            "url": "https://example.com/opener.mp4",
        }
    ],
}


class Examples:
    """Examples for a stack with these quality modes and models, requests and answers.

    A request that its modes and models do not allow is not among them.
    """

    def __init__(self, modes: QualityModes, models: ModelCatalog) -> None:
        self.modes = modes
        self.models = models

    @cached_property
    def requests(self) -> Shown:
        """Bodies, by the name of their schema."""
        clips = {title: request for title, request in CLIPS.items() if self._plan(request)}
        return {
            "ClipRequest": _shown(clips),
            "FilmRequest": _shown({"film": SCRIPT}),
            "Attachment": _shown({"found": {"requestId": REQUEST_ID}}),
            "Retrial": _shown({"agreed": {"mayChargeTwice": True}}),
            "RenderRetrial": _shown({"agreed": {"mayChargeTwice": True, "maxCostUsd": 1}}),
            "CapsChange": _shown({"some": {"caps": CAPS}}),
            "StopOrder": _shown({"why": {"reason": "the wrong script was sent"}}),
            "Treatment": _shown({"first": {"mayPost": False}}),
            "ExistingManifest": _shown({"manifest": MANIFEST}),
        }

    @cached_property
    def problems(self) -> Shown:
        """Refusals, by the name of their schema."""
        misspelt = InvalidRequest.of("promt", "x", "is not a known field", ["prompt"])
        return {"ProblemDetails": _shown({"misspelt": views.problem(misspelt)})}

    @cached_property
    def answers(self) -> Shown:
        """What is answered, by the name of its schema."""
        render = self._render()
        if render is None:
            return {}
        done = _finished(render)
        run = _run(render)
        return {
            "AcceptedRender": _shown({"accepted": views.accepted(render)}),
            "RenderDetail": _shown({"finished": views.detail(done, _presigned)}),
            "Examination": _shown({"lost": _examined(render)}),
            "AcceptedFilm": _shown({"accepted": views.film_accepted(run, [_clip(render)])}),
            "FilmDetail": _shown(
                {"running": views.film_detail(run, [_clip(render)], {RENDER_ID: render})}
            ),
        }

    def _plan(self, request: Schema) -> Any:
        try:
            asked = ClipRequest.model_validate(request, by_alias=True, by_name=False)
            return planning.plan(asked, self.modes, self.models)
        except InvalidRequest:
            return None

    def _render(self) -> Render | None:
        request = CLIPS["fromText"]
        plan = self._plan(request)
        return plan and Render(
            render_id=RENDER_ID,
            clip_id=request["clipId"],
            pipeline_request_id=request["pipelineRequestId"],
            plan=plan,
            caller=CALLER,
            request_sha256="0" * 64,
            created_at=BEGAN,
            max_cost_usd=Decimal(request["maxCostUsd"]),
        )


def _shown(examples: dict[str, Schema]) -> dict[str, Schema]:
    return {title: {"value": value} for title, value in examples.items()}


def _presigned(key: str) -> str:
    return f"https://BUCKET.s3.amazonaws.com/{key}?X-Amz-Signature=SIGNATURE"


def _at(seconds: int) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def _finished(render: Render) -> Render:
    """The render when its clip is in the library."""
    cost = int(render.plan.estimate.total_usd * TICKS_PER_USD)
    attempt = Attempt(
        number=1,
        permitted_at=_at(1),
        lease_until=_at(151),
        request_id=REQUEST_ID,
        outcome="accepted",
        settled_at=_at(2),
        cost_ticks=cost,
        reserved_ticks=cost,
        spent_ticks=cost,
    )
    clip = Clip(
        key=f"{FOLDER.format('videos')}.mp4",
        sidecar_key=f"{FOLDER.format('videos')}.json",
        bytes=239_872,
        sha256="d87fe9407713a20c21863a101c1f369f4e192d4af609aab46114edaba1fb42a4",
        seconds=6,
        width=854,
        height=480,
        video_codec="avc1",
        audio_codec="mp4a",
    )
    return (
        render.having(_at(2), "rendering", attempts=(attempt,), job={"requestId": REQUEST_ID})
        .having(_at(34), "rendered", progress=100, deadline=_at(902))
        .having(
            _at(36),
            "finalized",
            clip=clip,
            delivery=Delivery(url=TEMPORARY, model=render.plan.model),
            pictures=Pictures(poster_key=f"{FOLDER.format('thumbnails')}-poster-0d1b7c2f9e34.jpg"),
        )
    )


def _examined(render: Render) -> Schema:
    """A page with a render of which nobody knows whether xAI accepted it."""
    ticks = int(render.plan.estimate.total_usd * TICKS_PER_USD)
    attempt = Attempt(
        number=1,
        permitted_at=_at(1),
        lease_until=_at(151),
        outcome="unknown",
        settled_at=_at(61),
        reserved_ticks=ticks,
    )
    words = "no answer within 60 seconds"
    lost = render.having(
        _at(61),
        "submit_unknown",
        attempts=(attempt,),
        failure=Failure(error="SubmitUnknown", message=words),
    )
    found = doctoring.unresolved(lost)
    looked = dict.fromkeys(doctoring.LOOKED_AT, 0) | {"renders": 214, "runs": 9, "entries": 80}
    return {
        "looked": looked,
        "findings": [found.model_dump(mode="json")] if found else [],
        "decided": {"renders": 1, "heldUsd": 0.3},
        "nextCursor": None,
    }


def _clip(render: Render) -> FilmClip:
    plan = render.plan
    return FilmClip(
        clip_id=render.clip_id,
        quality_mode=plan.quality_mode,
        render_id=render.render_id,
        operation=plan.operation,
        model=plan.model,
        duration=plan.duration,
        resolution=plan.resolution,
        aspect_ratio=plan.aspect_ratio,
        estimated_cost_usd=plan.estimate.total_usd,
    )


def _run(render: Render) -> FilmRun:
    place = f"generated/films/nightclub/{RUN_ID}"
    return FilmRun(
        run_id=RUN_ID,
        film=render.pipeline_request_id,
        caller=CALLER,
        request_sha256="0" * 64,
        requested_at=BEGAN,
        total=1,
        due=1,
        items=1,
        estimated_cost_usd=Decimal(render.plan.estimate.total_usd),
        items_key=f"{place}/items.jsonl",
        clips_key=f"{place}/clips.json",
        request_key=f"{place}/request.json",
    )
