"""From a film to clip requests: one for each clip, each field with the place it was written at."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from videoconductor import reading as strict
from videoconductor.clip import ClipRequest
from videoconductor.errors import Problem
from videoconductor.script import checks
from videoconductor.script.compiler import Cast, cast_of, still_prompt, video_prompt
from videoconductor.script.reading import refusal
from videoconductor.script.schema import FilmRequest, ScriptClip, trimmed

MAX_CHOICES = 50


@dataclass(frozen=True)
class Take:
    """Which clips of a film to make, and how: as written, or remastered.

    `source` is the video all of them are edited from, `sources` that of each by its id.
    """

    only: Collection[str] = ()
    remaster: bool = False
    source: str | None = None
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Compiled:
    """A clip's request, where each of its fields was written, and what is odd or wrong."""

    index: int
    request: ClipRequest
    paths: dict[str, str]
    warnings: tuple[str, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Field:
    """A field of the request, what it holds, and where that was written."""

    name: str
    value: Any
    path: str
    is_inherited: bool = False


def compile_film(
    film: FilmRequest,
    *,
    only: Collection[str] = (),
    remaster: bool = False,
    source_video_url: str | None = None,
) -> tuple[ClipRequest, ...]:
    """One request for each clip, or for those named by `only`, in the film's order.

    `remaster` asks for each of them at 720p, `source_video_url` for an edit of that video.
    Raises InvalidRequest with every problem found; the limits of models are not among them.
    """
    take = Take(only, remaster, source_video_url)
    compiled = list(compiled_clips(film, take))
    problems = [*checks.problems(film), *take_problems(film, take)]
    problems += [problem for clip in compiled for problem in clip.problems]
    if problems:
        raise refusal(tuple(problems))
    return tuple(clip.request for clip in compiled)


def take_problems(film: FilmRequest, take: Take) -> list[Problem]:
    """Clips that are asked for by name and do not exist."""
    known = {clip.id: None for clip in film.clips}
    choices = tuple(list(known)[:MAX_CHOICES])
    return [
        Problem("clip", name, "is not a clip of this film", choices)
        for name in take.only
        if name not in known
    ]


def compiled_clips(film: FilmRequest, take: Take) -> Iterator[Compiled]:
    """Each clip that `take` asks for, compiled; what is wrong with it is reported, not raised."""
    cast = cast_of(film)
    for index, clip in enumerate(film.clips):
        if not take.only or clip.id in take.only:
            yield _compiled(film, index, clip, cast, take)


def _compiled(film: FilmRequest, index: int, clip: ScriptClip, cast: Cast, take: Take) -> Compiled:
    at = f"clips[{index}]"
    source = _source(at, clip, take)
    fields = [
        *_prompts(film, at, clip, cast, is_edit=bool(source.value)),
        *_choices(film, at, clip),
        *_marks(film, at, clip),
    ]
    if take.remaster or source.value or clip.remaster is not None:
        fields += [source, *_remaster(at, clip)]
    held = {field.name: field for field in fields if field.value not in {None, ""}}
    written = {
        name: field
        for name, field in held.items()
        if not field.is_inherited or name not in _without_effect(held)
    }
    if clip.thumbnail is not None and clip.thumbnail.enabled:
        shown = clip.thumbnail.model_dump(mode="json", exclude_unset=True)
        written["thumbnail"] = _Field("thumbnail", shown, f"{at}.thumbnail")
    request, problems = _request(written)
    prompts = [request.prompt or "", request.first_frame_prompt or ""]
    warnings = [*checks.warnings(at, clip, cast, prompts), *_frame_warnings(at, clip, source)]
    return Compiled(
        index,
        request,
        {field.name: field.path for field in fields} | {n: f.path for n, f in written.items()},
        tuple(warnings),
        tuple(problems),
    )


def _source(at: str, clip: ScriptClip, take: Take) -> _Field:
    given = take.sources.get(clip.id, take.source)
    if given is not None:
        return _Field("sourceVideoUrl", trimmed(given), "sourceVideoUrl")
    own = clip.remaster.source_video_url if clip.remaster is not None else None
    return _Field("sourceVideoUrl", trimmed(own), f"{at}.remaster.sourceVideoUrl")


def _prompts(
    film: FilmRequest, at: str, clip: ScriptClip, cast: Cast, *, is_edit: bool
) -> list[_Field]:
    has_scene = not trimmed(clip.prompt) and "scene" in clip.model_fields_set
    fields = [
        _Field(
            "prompt", video_prompt(film, clip, cast), f"{at}.{'scene' if has_scene else 'prompt'}"
        )
    ]
    frame, path = clip.first_frame, f"{at}.firstFrame"
    # An edit starts from its source, whose frames are there already.
    still = "" if is_edit else still_prompt(film, clip, cast)
    image = "" if is_edit else trimmed(frame.image_url)
    return [
        *fields,
        _Field("firstFramePrompt", still, f"{path}.imagePrompt"),
        _Field("imageUrl", image, f"{path}.imageUrl"),
        _Field("imageModel", trimmed(frame.image_model), f"{path}.imageModel"),
    ]


def _choices(film: FilmRequest, at: str, clip: ScriptClip) -> list[_Field]:
    """What a clip may say itself or leave to the film's defaults."""
    defaults, video, frame = film.defaults, clip.video, clip.first_frame
    still_size, maker = "firstFrame.imageResolution", "firstFrame.imageProvider"
    rows = (
        ("qualityMode", video.quality_mode, "video.qualityMode", defaults.quality_mode),
        ("aspectRatio", clip.aspect_ratio, "aspectRatio", defaults.aspect_ratio),
        ("resolution", video.resolution, "video.resolution", defaults.video_resolution),
        ("imageResolution", frame.image_resolution, still_size, defaults.image_resolution),
        ("imageProvider", frame.image_provider, maker, defaults.image_provider),
    )
    fields = [
        _Field("duration", clip.duration, f"{at}.duration"),
        _Field("model", trimmed(video.model), f"{at}.video.model"),
    ]
    for name, own, path, inherited in rows:
        if trimmed(own) or not trimmed(inherited):
            fields.append(_Field(name, trimmed(own), f"{at}.{path}"))
        else:
            place = "videoResolution" if name == "resolution" else name
            fields.append(_Field(name, trimmed(inherited), f"defaults.{place}", is_inherited=True))
    return fields


def _marks(film: FilmRequest, at: str, clip: ScriptClip) -> list[_Field]:
    return [
        _Field("clipId", clip.id, f"{at}.id"),
        _Field("pipelineRequestId", film.request_id, "requestId"),
        _Field("purpose", film.purpose, "purpose"),
        _Field("refCode", film.ref_code, "refCode"),
    ]


def _remaster(at: str, clip: ScriptClip) -> list[_Field]:
    parent = clip.remaster.remaster_from_request_id if clip.remaster is not None else None
    return [
        _Field("remaster", True, f"{at}.remaster"),
        _Field("remasterFromRequestId", parent, f"{at}.remaster.remasterFromRequestId"),
    ]


def _without_effect(held: Collection[str]) -> set[str]:
    """Fields that change nothing about a request with these: a default says nothing there."""
    idle = {"imageProvider"}
    if "firstFramePrompt" not in held:
        idle |= {"imageResolution"}
    if "remaster" in held:
        idle |= {"qualityMode", "resolution"}
    if "sourceVideoUrl" in held:
        idle |= {"aspectRatio"}
    return idle


def _request(fields: dict[str, _Field]) -> tuple[ClipRequest, list[Problem]]:
    """The request with these fields. One that is refused is replaced, so that planning goes on."""
    values = {name: field.value for name, field in fields.items()}
    try:
        return _validated(values), []
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=True)
    problems = []
    for error in errors:
        name = str(error["loc"][0])
        found = strict.problem(error, [])
        inner = strict.path(error["loc"][1:]) if len(error["loc"]) > 1 else ""
        place = f"{fields[name].path}.{inner}" if inner else fields[name].path
        value = None if isinstance(error["input"], dict | list | tuple) else error["input"]
        problems.append(Problem(place, value, found.message, found.choices))
        values[name] = "-" if name in {"prompt", "firstFramePrompt"} else None
    return _validated(values), problems


def _validated(values: dict[str, Any]) -> ClipRequest:
    return ClipRequest.model_validate(values, by_alias=True, by_name=False)


def _frame_warnings(at: str, clip: ScriptClip, source: _Field) -> Iterator[str]:
    frame = clip.first_frame
    if source.value:
        if trimmed(frame.image_prompt) or trimmed(frame.image_url):
            yield f"{at}.firstFrame has no effect: the clip is made from its source video"
    elif trimmed(frame.image_prompt) and trimmed(frame.image_url):
        yield f"{at}.firstFrame.imagePrompt has no effect: imageUrl is the first frame"


def placed(problem: Problem, compiled: Compiled) -> Problem:
    """A problem of a clip's request, at the place where the script says it."""
    field = problem.field
    name = field.split("[", 1)[0]
    return replace(problem, field=compiled.paths.get(name, f"clips[{compiled.index}].{field}"))
