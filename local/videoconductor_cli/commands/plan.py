"""`plan`: what would be sent and what it would cost; needs nothing running, spends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    request: options.Request = None,
    prompt: options.Prompt = None,
    mode: options.Mode = None,
    duration: options.Duration = None,
    aspect_ratio: options.AspectRatio = None,
    resolution: options.Resolution = None,
    model: options.Model = None,
    image: options.Image = None,
    last_frame: options.LastFrame = None,
    reference: options.Reference = None,
    source_video: options.AnySource = None,
    remaster: options.Remaster = False,
    extend: options.Extend = False,
    clip_id: options.ClipIds = None,
    film: options.Film = None,
    max_cost_usd: options.MaxCostUsd = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what would be sent, and its cost.

    Needs nothing running, no network and no key; spends nothing.
    """
    given = dict(locals())
    from videoconductor import views
    from videoconductor_cli import showing

    wanted = script_or_clip(request, given)
    if isinstance(wanted, str):
        _show_film(wanted, given, as_json=as_json)
        return
    asked, planned = _planned(wanted)
    if as_json:
        total = float(planned.estimate.total_usd)
        showing.give_json({"clips": [_clip(asked, planned)], "estimatedCostUsd": total})
        return
    showing.give(showing.described(planned.model_dump(mode="json")))
    for line in showing.estimate(views.estimate(planned.estimate)):
        showing.give(line)
    for warning in planned.warnings:
        showing.give(f"  note: {warning}")
    sent = _sent(planned, _shown)
    showing.give(f"\n{sent['method']} {sent['path']}")
    showing.give_json(sent["body"])


def script_or_clip(request: str | None, given: Mapping[str, Any]) -> str | dict[str, Any]:
    """A script's text, or a clip request's fields, as file and options say. Raises BadInput."""
    from videoconductor_cli import reading

    content = None if request is None else reading.text(request)
    if content is not None and reading.is_script(content):
        if wrong := sorted(name for name in SINGLE_CLIP if given.get(name)):
            options = ", ".join(f"--{name.replace('_', '-')}" for name in wrong)
            raise BadInput(f"a script says for itself what its clips are like: leave out {options}")
        return content
    clip_id = given["clip_id"] or ()
    if len(clip_id) > 1:
        raise BadInput("a clip request is of one clip: give --clip-id once")
    one = {**given, "clip_id": clip_id[0] if clip_id else None}
    return reading.request(request, one, content)


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
    from videoconductor import views
    from videoconductor_cli import showing

    film = film_plan(content, given["clip_id"], given["remaster"], given["source_video"])
    document = film.as_document()
    if as_json:
        showing.give_json(document)
        return
    for clip, shown in zip(film.clips, document["clips"], strict=True):
        showing.give(f"{shown['clipId']}: {showing.described(clip.plan.model_dump(mode='json'))}")
        for line in showing.estimate(views.estimate(clip.plan.estimate)):
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
