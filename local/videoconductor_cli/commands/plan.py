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
    from videoconductor.script import FilmPlan

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
SOME_CLIP = "https://example.com/clip.mp4"


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
    source_video: Annotated[
        str | None,
        typer.Option(
            "--source-video",
            "--source-url",
            metavar="URL",
            help="Clip to edit, extend or remaster; `manifest` as in film.",
        ),
    ] = None,
    remaster: options.Remaster = False,
    extend: options.Extend = False,
    clip_id: Annotated[
        list[str] | None,
        typer.Option(
            "--clip-id", "--clip", help="Name of the clip; clips of a script may be several."
        ),
    ] = None,
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
    if clip_id and len(clip_id) > 1:
        raise BadInput("a clip request is of one clip: give --clip-id once")
    given["clip_id"] = clip_id[0] if clip_id else None
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
    from dataclasses import replace

    from videoconductor import intake, planning, wiring
    from videoconductor.errors import InvalidRequest

    try:
        request = intake.clip_request(json.dumps(fields))
        modes, models = wiring.quality_modes(), wiring.models()
        defaults = replace(wiring.plan_defaults(), takes_own_clips=True)
        return request, planning.plan(request, modes, models, defaults)
    except InvalidRequest as invalid:
        raise _bad(invalid) from invalid


def _bad(invalid: InvalidRequest) -> BadInput:
    lines = [f"  {problem}" for problem in invalid.problems]
    return BadInput("\n".join(["The request is invalid", *lines]))


def film_plan(
    content: str | bytes, only: list[str] | None, remaster: bool, source_url: str | None
) -> FilmPlan:
    """A script's plan, made as the API makes it. Raises BadInput with all that is wrong with it.

    What the film's manifest holds is not known here: a clip of it is one of unknown length.
    """
    from dataclasses import replace

    from videoconductor import script, wiring
    from videoconductor.clip import FROM_MANIFEST
    from videoconductor.errors import InvalidRequest

    if source_url == FROM_MANIFEST:
        source_url = SOME_CLIP
    try:
        return script.plan_json(
            content,
            wiring.quality_modes(),
            wiring.models(),
            replace(wiring.plan_defaults(), takes_own_clips=True),
            only=only or (),
            remaster=remaster,
            source_video_url=source_url,
        )
    except InvalidRequest as invalid:
        raise _bad(invalid) from invalid


def _show_film(content: str, given: Mapping[str, Any], *, as_json: bool) -> None:
    """The plan of a scripted request: of all its clips, or of some. Raises BadInput."""
    from videoconductor_cli import showing

    if wrong := sorted(name for name in SINGLE_CLIP if given.get(name)):
        options = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
        raise BadInput(f"a script says for itself what its clips are like: leave out {options}")
    film = film_plan(content, given["clip_id"], given["remaster"], given["source_video"])
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
