"""`plan`: what would be sent and what it would cost; needs nothing running, spends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoconductor_cli import options
from videoconductor_cli.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videoconductor.clip import ClipRequest, Frame, RenderPlan
    from videoconductor.errors import InvalidRequest

# Options that describe a single clip: in a script each clip has its own.
SINGLE_CLIP = (
    "prompt",
    "mode",
    "duration",
    "aspect_ratio",
    "resolution",
    "model",
    "image",
    "last_frame",
    "reference",
    "extend",
    "film",
    "max_cost_usd",
)
LONGEST_SHOWN = 100  # characters of a url


def plan(
    request: Annotated[
        str | None,
        typer.Argument(metavar="[REQUEST.json]", help="Clip request or script; - reads stdin."),
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="What the clip should show.")] = None,
    mode: options.Mode = None,
    duration: options.Duration = None,
    aspect_ratio: options.AspectRatio = None,
    resolution: options.Resolution = None,
    model: options.Model = None,
    image: options.Image = None,
    last_frame: options.LastFrame = None,
    reference: options.Reference = None,
    source_video: options.SourceVideo = None,
    remaster: options.Remaster = False,
    extend: options.Extend = False,
    clip_id: options.ClipId = None,
    film: options.Film = None,
    max_cost_usd: options.MaxCostUsd = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what would be sent, and its cost.

    Needs nothing running, no network and no key; spends nothing.
    """
    given = dict(locals())
    from videoconductor_cli import reading, showing

    content = None if request is None else reading.text(request)
    if content is not None and reading.is_script(content):
        _show_film(content, given, as_json=as_json)
        return
    asked, planned = _planned(reading.request(request, given, content))
    if as_json:
        total = float(planned.estimate.total_usd)
        showing.give_json({"clips": [_clip(asked, planned)], "estimatedCostUsd": total})
        return
    showing.give(showing.described(planned.model_dump(mode="json")))
    for line in showing.estimate(planned.estimate.model_dump(mode="json")):
        showing.give(line)
    for warning in planned.warnings:
        showing.give(f"  note: {warning}")
    sent = _sent(planned, _shown)
    showing.give(f"\n{sent['method']} {sent['path']}")
    showing.give_json(sent["body"])


def _planned(fields: dict[str, Any]) -> tuple[ClipRequest, RenderPlan]:
    """The request and its plan, made as the API makes it. Raises BadInput."""
    import json

    from videoconductor import intake, planning, wiring
    from videoconductor.errors import InvalidRequest

    try:
        request = intake.clip_request(json.dumps(fields))
        modes, models = wiring.quality_modes(), wiring.models()
        return request, planning.plan(request, modes, models, wiring.plan_defaults())
    except InvalidRequest as invalid:
        raise _bad(invalid) from invalid


def _bad(invalid: InvalidRequest) -> BadInput:
    lines = [f"  {problem}" for problem in invalid.problems]
    return BadInput("\n".join(["The request is invalid", *lines]))


def _show_film(content: str, given: Mapping[str, Any], *, as_json: bool) -> None:
    """The plan of a scripted request: of all its clips, or of one. Raises BadInput."""
    from videoconductor import script, wiring
    from videoconductor.errors import InvalidRequest
    from videoconductor_cli import showing

    if wrong := sorted(name for name in SINGLE_CLIP if given.get(name)):
        options = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
        raise BadInput(f"a script says for itself what its clips are like: leave out {options}")
    try:
        film = script.plan_json(
            content,
            wiring.quality_modes(),
            wiring.models(),
            wiring.plan_defaults(),
            only=[given["clip_id"]] if given.get("clip_id") else (),
            remaster=bool(given.get("remaster")),
            source_video_url=given.get("source_video"),
        )
    except InvalidRequest as invalid:
        raise _bad(invalid) from invalid
    document = film.as_document()
    if as_json:
        showing.give_json(document)
        return
    for clip, shown in zip(film.clips, document["clips"], strict=True):
        showing.give(f"{shown['clipId']}: {showing.described(clip.plan.model_dump(mode='json'))}")
        for line in showing.estimate(clip.plan.estimate.model_dump(mode="json")):
            showing.give(line)
        for warning in shown["warnings"]:
            showing.give(f"  note: {warning}")
    showing.give(f"the film: {len(film.clips)} clips, ${document['estimatedCostUsd']:.3f}")


def _clip(request: ClipRequest, plan: RenderPlan) -> dict[str, Any]:
    from videoconductor.script import ClipPlan

    document = ClipPlan(request, plan, plan.warnings).as_document()
    return {**document, "request": _sent(plan, str)}


def _sent(plan: RenderPlan, url: Any) -> dict[str, Any]:
    """The POST to xAI; `url` says how an image's url is written."""
    from videoconductor.providers import xai

    def frame_url(frame: Frame) -> str:
        return str(url(frame.url))

    path = f"/v1/{xai.PATHS[plan.operation]}"
    return {"method": "POST", "path": path, "body": xai.body(plan, frame_url)}


def _shown(url: str) -> str:
    """A url short enough to be read: an inline image is megabytes of base64."""
    if len(url) <= LONGEST_SHOWN or not url.startswith("data:"):
        return url
    return f"{url[:32]}… ({len(url)} characters)"
