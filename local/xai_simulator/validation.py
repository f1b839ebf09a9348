"""The contract's rules: a request that passes becomes an order, one that does not is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from videoconductor.errors import InvalidRequest
from videoconductor.models import Model, ModelCatalog, Task
from xai_simulator import replies
from xai_simulator.image_rules import image_order
from xai_simulator.inputs import UrlRule, origin_of
from xai_simulator.options import SimulatorOptions
from xai_simulator.orders import Order, Origin, VideoOrder
from xai_simulator.replies import Refusal
from xai_simulator.scenarios import markers
from xai_simulator.shapes import Shape

Fields = dict[str, Any]
Rule = Callable[[Fields, Task, Model], str | None]

PROMPT_BYTES = 4096
DEFAULT_SECONDS = {"generate": 8, "extend": 6}
POST_SECONDS = (1, 15)
MAX_AUDIOS = 3
MAX_KEYFRAMES = 4
MAX_LIFETIME = 2_592_000
MIN_PUBLIC_LIFETIME = 3_600


class Rulebook:
    """The rules as they apply to one catalog and one set of options."""

    def __init__(self, catalog: ModelCatalog, options: SimulatorOptions) -> None:
        self._catalog = catalog
        self._options = options
        self._check_url = UrlRule(options)

    def order(self, shape: Shape, fields: Fields) -> Order:
        """The order that `fields` amount to; raises Refusal with xAI's words."""
        produces = "image" if shape in ("image", "image_edit") else "video"
        model, row, quality = self._model(fields, produces)
        prompt = fields.get("prompt") or ""
        if len(prompt.encode("utf-8", "surrogatepass")) > PROMPT_BYTES:
            raise Refusal(f"Prompt length exceeds the maximum allowed length of {PROMPT_BYTES}")
        _check_storage(fields.get("storage_options"))
        asked = fields.get("model") or model
        shared: Fields = {
            "model": model,
            "row": row,
            "reported_model": self._options.serve_as.get(
                asked, self._options.serve_as.get(model, model)
            ),
            "price_factor": self._options.price_factor.get(
                asked, self._options.price_factor.get(model, 1.0)
            ),
            "prompt": prompt,
            "markers": markers(prompt),
            "storage": fields.get("storage_options"),
            "asked": {"shape": shape, "fields": fields},
        }
        if produces == "image":
            return image_order(shape == "image_edit", fields, shared, quality, self._check_url)
        if shape == "generate":
            return self._generated(fields, shared, row)
        return self._from_video("edit" if shape == "edit" else "extend", fields, shared, row)

    def _model(self, fields: Fields, produces: str) -> tuple[str, Model, str | None]:
        asked = fields.get("model")
        name = self._catalog.names(produces)[0] if asked is None else asked
        try:
            known, row, retired = self._catalog.find(name, produces=produces)
        except InvalidRequest:
            team = self._options.team_id
            raise Refusal(replies.NO_MODEL.format(model=name, team=team), 404) from None
        return known, row, retired.quality if retired else None

    def _generated(self, fields: Fields, shared: Fields, row: Model) -> VideoOrder:
        task = _task(fields)
        fields = {
            **fields,
            "duration": _given(fields, "duration", DEFAULT_SECONDS["generate"]),
            "resolution": fields.get("resolution") or row.resolutions[0],
        }
        self._check_team(fields)
        for rule in GENERATION_RULES:
            if problem := rule(fields, task, row):
                raise Refusal(problem)
        check = self._check_url
        first = fields.get("image")
        return VideoOrder(
            **shared,
            operation="generate",
            task=task,
            aspect_ratio=fields.get("aspect_ratio"),
            resolution=fields["resolution"],
            seconds=fields["duration"],
            image=None if first is None else origin_of(first, check),
            further_images=tuple(origin_of(image, check) for image in _further_images(fields)),
            sound=fields.get("generate_audio") is not False,
            upload_url=self._upload_url(fields),
        )

    def _from_video(self, task: str, fields: Fields, shared: Fields, row: Model) -> VideoOrder:
        if task not in row.tasks:
            raise Refusal("Video editing is not supported for this model.")
        self._check_team(fields)
        seconds = None
        if task == "extend":
            seconds = _given(fields, "duration", DEFAULT_SECONDS["extend"])
            if problem := _outside(seconds):
                raise Refusal(problem)
        return VideoOrder(
            **shared,
            operation=cast(Any, task),
            task=cast(Any, task),
            aspect_ratio=None,
            resolution=row.resolutions[0],
            seconds=seconds,
            video=Origin(fields["video"].get("url"), fields["video"].get("file_id")),
            upload_url=self._upload_url(fields),
        )

    def _check_team(self, fields: Fields) -> None:
        marked = markers(fields.get("prompt") or "")
        zero_retention = self._options.zero_data_retention or marked.has("zdr")
        full_hd = self._options.full_hd and not marked.has("no1080p")
        if zero_retention and not fields.get("output"):
            raise Refusal(
                "Zero Data Retention teams must provide output.upload_url for video generation."
            )
        if fields.get("resolution") == "1080p" and not full_hd:
            raise Refusal("1080p video resolution is not available for your team.")

    def _upload_url(self, fields: Fields) -> str | None:
        url = (fields.get("output") or {}).get("upload_url")
        if url is not None:
            self._check_url(url, "output.upload_url")
        return cast("str | None", url)


def _given(fields: Fields, name: str, default: int) -> int:
    value = fields.get(name)
    return default if value is None else int(value)


def _task(fields: Fields) -> Task:
    if fields.get("reference_images") or fields.get("reference_audios"):
        return "reference-to-video"
    first_frame = fields.get("image") or fields.get("last_frame") or fields.get("keyframes")
    return "image-to-video" if first_frame else "text-to-video"


def _further_images(fields: Fields) -> list[Fields]:
    last = [fields["last_frame"]] if fields.get("last_frame") else []
    frames = [frame["image"] for frame in fields.get("keyframes") or []]
    return [*last, *frames, *(fields.get("reference_images") or [])]


def _outside(seconds: int) -> str | None:
    low, high = POST_SECONDS
    if not low <= seconds <= high:
        return f"Duration must be between {low} and {high} seconds"
    return None


def _duration(fields: Fields, task: Task, row: Model) -> str | None:
    limits = row.tasks.get(task)
    seconds = fields["duration"]
    if task == "reference-to-video" and limits and seconds > (limits.max_seconds or 15):
        return (
            f"Duration {seconds}s exceeds the maximum allowed for reference-to-video, "
            f"which is {limits.max_seconds}s."
        )
    return _outside(seconds)


def _references(fields: Fields, task: Task, row: Model) -> str | None:
    count = len(fields.get("reference_images") or [])
    limits = row.tasks.get("reference-to-video")
    if count and limits is None:
        return "Reference-to-video is not supported for this model."
    if limits and count > (limits.max_references or count):
        most = limits.max_references
        return f"Too many reference images: {count}. Maximum allowed is {most}."
    return None


def _audios(fields: Fields, task: Task, row: Model) -> str | None:
    clips = fields.get("reference_audios") or []
    # The catalog has no column for voices: they came with pinned first frames, on one model.
    if clips and not row.first_frame_with_references:
        return "`reference_audios` is not supported for this model."
    if len(clips) > MAX_AUDIOS:
        return f"Too many reference audio clips: {len(clips)}. Maximum allowed is {MAX_AUDIOS}."
    if any(bool(clip.get("url")) == bool(clip.get("voice_id")) for clip in clips):
        return "Each reference audio must have exactly one of `voice_id` or `url`."
    return None


def _combination(fields: Fields, task: Task, row: Model) -> str | None:
    both = fields.get("image") and fields.get("reference_images")
    if both and not row.first_frame_with_references:
        return "`image` and `reference_images` cannot be used together with this model."
    return None


def _frames(fields: Fields, task: Task, row: Model) -> str | None:
    named = [name for name in ("last_frame", "keyframes") if fields.get(name)]
    if named and not row.last_frame:
        return f"`{named[0]}` is not supported for this model."
    return None


def _keyframes(fields: Fields, task: Task, row: Model) -> str | None:
    frames = fields.get("keyframes") or []
    if len(frames) > MAX_KEYFRAMES:
        return f"Too many keyframes: {len(frames)}. Maximum allowed is {MAX_KEYFRAMES}."
    for frame in frames:
        at = frame["timestamp_s"]
        if not 0 < at < fields["duration"]:
            return (
                f"Keyframe timestamp {at:g}s must be greater than 0 and less than the duration, "
                f"which is {fields['duration']}s."
            )
        if abs(at * 3 - round(at * 3)) > 0.03:
            return f"Keyframe timestamp {at:g}s is not on the grid of 1/3 second."
    times = [round(frame["timestamp_s"] * 3) for frame in frames]
    if len(set(times)) < len(times):
        return "Keyframe timestamps must be distinct."
    return None


def _resolution(fields: Fields, task: Task, row: Model) -> str | None:
    asked = fields["resolution"]
    narrowed = row.tasks[task].resolutions if task in row.tasks else None
    if narrowed is not None and asked not in narrowed:
        return f"{asked} video resolution is not supported for {task} requests."
    if asked not in row.resolutions:
        if task == "reference-to-video":
            return f"{asked} video resolution is not supported for {task} requests."
        return f"{asked} video resolution is not supported for this model."
    return None


GENERATION_RULES: tuple[Rule, ...] = (
    _references,
    _audios,
    _combination,
    _frames,
    _resolution,
    _duration,
    _keyframes,
)


def _check_storage(storage: Fields | None) -> None:
    if storage is None:
        return
    if not storage["filename"].strip():
        raise Refusal("storage_options.filename must not be empty")
    lifetime = storage.get("expires_after")
    if lifetime is not None and not 0 < lifetime <= MAX_LIFETIME:
        raise Refusal(f"storage_options.expires_after must be between 1 and {MAX_LIFETIME}")
    public = storage.get("public_url")
    public_lifetime = public.get("expires_after") if isinstance(public, dict) else None
    if public_lifetime is not None and not MIN_PUBLIC_LIFETIME <= public_lifetime <= MAX_LIFETIME:
        raise Refusal(
            "storage_options.public_url.expires_after must be between "
            f"{MIN_PUBLIC_LIFETIME} and {MAX_LIFETIME}"
        )
