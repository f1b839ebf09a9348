"""From a finished render to the request for its remaster: linked to it, and of the same inputs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from videoconductor import reports
from videoconductor.clip import ClipRequest, Frame, Render, RenderPlan
from videoconductor.errors import InvalidRequest, NotAllowed, VideoConductorError
from videoconductor.intake import Remastering
from videoconductor.quality import QualityModes


@dataclass(frozen=True)
class RemasterOrder:
    """The request for a remaster, and what planning has to know beside it.

    `frames` are the parent's images that lie in the library, by the uris that stand for them in
    the request. `source_seconds` and `source_resolution` are of the clip that is edited.
    `aspect_ratio` is the parent's where the request cannot say it: beside a first frame it would
    have no effect.
    """

    request: ClipRequest
    frames: Mapping[str, Frame]
    source_seconds: Decimal | None = None
    source_resolution: str | None = None
    aspect_ratio: str | None = None

    def framed(self, plan: RenderPlan) -> RenderPlan:
        """The plan with the library's own images where their uris stood."""

        def own(frame: Frame | None) -> Frame | None:
            return frame and self.frames.get(frame.url or "", frame)

        changes = {
            "image": own(plan.image),
            "last_frame": own(plan.last_frame),
            "references": tuple(self.frames.get(f.url or "", f) for f in plan.references),
            "aspect_ratio": self.aspect_ratio or plan.aspect_ratio,
        }
        return plan.model_copy(update=changes)


def order(
    parent: Render, wanted: Remastering, modes: QualityModes, uri: Callable[[str], str]
) -> RemasterOrder:
    """What has to be asked for, to have `parent` remastered. `uri` names a key of the library.

    Raises NotAllowed when there is nothing to remaster, InvalidRequest for an edit without prompt.
    """
    if parent.clip is None or parent.status != "finalized":
        raise NotAllowed(f"the render is {parent.status}: only a finished clip can be remastered")
    linked = {
        "remaster": True,
        "remaster_from_request_id": parent.request_id,
        "clip_id": parent.clip_id,
        "pipeline_request_id": parent.pipeline_request_id,
        "purpose": parent.purpose,
        "ref_code": parent.ref_code,
        "thumbnail": parent.thumbnail,
        "quality_mode": wanted.quality_mode,
        "max_cost_usd": wanted.max_cost_usd,
        "callback_url": wanted.callback_url,
    }
    if wanted.edit:
        if wanted.prompt is None:
            raise InvalidRequest.of("prompt", None, "is required to edit a clip")
        source = uri(parent.clip.key)
        fields = {"prompt": wanted.prompt, "duration": wanted.duration, "source_video_url": source}
        seconds = Decimal(str(parent.clip.seconds))
        made = reports.made_resolution(parent.plan, parent.clip)
        return RemasterOrder(ClipRequest(**linked, **fields), {}, seconds, made)
    _check_makes_sense(parent.plan, modes)
    return _anew(parent.plan, wanted, linked, modes, uri)


def _check_makes_sense(plan: RenderPlan, modes: QualityModes) -> None:
    """Whether making a clip anew can give more than there is. Raises NotAllowed."""
    made = modes.remaster.resolution
    if plan.operation != "generate":
        raise NotAllowed(
            f"the clip was made from another one ({plan.operation}) and keeps its resolution: "
            "remaster that one, or this one with edit"
        )
    if plan.resolution is not None and _lines(plan.resolution) >= _lines(made):
        raise NotAllowed(
            f"the clip was made at {plan.resolution}, and a remaster is made at {made}: "
            "ask for a new clip, or remaster this one with edit"
        )


def _lines(resolution: str) -> int:
    return int(resolution.removesuffix("p"))


def _anew(
    plan: RenderPlan,
    wanted: Remastering,
    linked: Mapping[str, Any],
    modes: QualityModes,
    uri: Callable[[str], str],
) -> RemasterOrder:
    # A still is found again by what it was asked for with; an image that came along, by its key.
    image = plan.image if plan.first_frame_prompt is None else None
    frames: dict[str, Frame] = {}

    def url(frame: Frame | None) -> str | None:
        if frame is None:
            return None
        if frame.key is None:
            return frame.url
        frames[uri(frame.key)] = frame
        return uri(frame.key)

    request = ClipRequest(
        **linked,
        prompt=wanted.prompt or plan.prompt,
        duration=wanted.duration or plan.duration,
        aspect_ratio=plan.aspect_ratio if image is None else None,
        model=_chosen_model(plan, modes),
        image_url=url(image),
        last_frame_url=url(plan.last_frame),
        reference_image_urls=tuple(url(frame) or "" for frame in plan.references),
        first_frame_prompt=plan.first_frame_prompt,
        image_model=plan.image_model,
        image_resolution=plan.image_resolution,
    )
    return RemasterOrder(request, frames, aspect_ratio=plan.aspect_ratio)


def _chosen_model(plan: RenderPlan, modes: QualityModes) -> str | None:
    """The model of a clip, where somebody chose it instead of the mode's own."""
    mode = modes.modes.get(plan.quality_mode)
    return None if mode is None or mode.model == plan.model else plan.model


def refusal(refused: InvalidRequest, wanted: Remastering) -> VideoConductorError:
    """The error for a request that cannot be planned: whose fault it is decides."""
    given = {name for name, value in wanted.model_dump(by_alias=True).items() if value is not None}
    if any(problem.field in given for problem in refused.problems):
        return refused
    return NotAllowed(f"the clip cannot be remastered: {refused}")


def sha256(render_id: str, wanted: Remastering) -> str:
    """A fingerprint of what was asked, and of which render, whatever it may cost."""
    asked = wanted.model_dump(mode="json", exclude_defaults=True, exclude={"max_cost_usd"})
    fields = [render_id, asked]
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()
