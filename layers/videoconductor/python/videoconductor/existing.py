"""Manifests of the existing system, read: version 3, and the older shape without a version.

What they list was paid for elsewhere. Their files lie where they lay; a provider's temporary url is
marked once it can no longer be good.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, ValidationError
from pydantic.alias_generators import to_camel

from videoconductor import inputs, reading
from videoconductor.clip import Id, ManifestEntry
from videoconductor.errors import InvalidRequest, Problem
from videoconductor.planning import OWN_CLIP
from videoconductor.quality import QualityModes

# How long xAI's urls are good, as its Python SDK says.
TEMPORARY = timedelta(hours=24)
TEMPORARY_HOSTS = (".x.ai",)
FINISHED = frozenset({"done", "finalized", "completed"})
MAX_CLIPS = 10_000
MAX_URL = 8192
EXPIRED = "the temporary url has expired, and no copy is known"


def _nothing(value: Any) -> Any:
    return None if value == "" else value


Words = Annotated[str, Field(max_length=8192)]
Text = Annotated[Words | None, BeforeValidator(_nothing), Field(default=None)]


class _Foreign(BaseModel):
    """Written by somebody else: what we do not know is left alone."""

    model_config = ConfigDict(
        extra="ignore",
        frozen=True,
        alias_generator=to_camel,
        validate_by_alias=True,
        hide_input_in_errors=True,
    )


class _Clip(_Foreign):
    id: Id
    quality_mode: Text
    status: str
    duration: Annotated[float | None, Field(default=None, ge=0, le=86_400, allow_inf_nan=False)]
    generation_kind: Text
    request_id: Text
    url: Text
    temporary_url: Text
    first_frame_url: Text
    thumbnail_url: Text
    poster_url: Text
    model: Text
    model_served: Text
    resolution: Text
    sha256: Text
    purpose: Text
    ref_code: Text
    remaster_from_request_id: Text
    respect_moderation: StrictBool | None = None
    estimated_cost_usd: Annotated[
        Decimal | None, Field(default=None, ge=0, le=1_000_000, allow_inf_nan=False)
    ]
    cost_usd: Annotated[
        Decimal | None, Field(default=None, ge=0, le=1_000_000, allow_inf_nan=False)
    ]
    updated_at: datetime | None = None


class _Manifest(_Foreign):
    version: int | None = None
    request_id: Text
    project: Text
    model: Text
    generated_at: datetime | None = None
    updated_at: datetime | None = None
    clips: Annotated[tuple[_Clip, ...], Field(max_length=MAX_CLIPS)]


@dataclass(frozen=True)
class Existing:
    """The finished clips of a manifest as entries of a film, and what was left out or is odd."""

    entries: tuple[ManifestEntry, ...]
    warnings: tuple[str, ...]


def entries(text: str, film: str, modes: QualityModes, now: datetime) -> Existing:
    """What an existing manifest holds, as entries of `film`.

    Raises InvalidRequest with every problem for a text that is no manifest.
    """
    manifest = _read(text)
    found: dict[str, ManifestEntry] = {}
    warnings: list[str] = []
    problems: list[Problem] = []
    for index, clip in enumerate(manifest.clips):
        at = f"clips[{index}]"
        if clip.status not in FINISHED or clip.respect_moderation is False:
            warnings.append(f"{at}: {clip.id} is left out: it is not finished ({clip.status})")
            continue
        problems += _check_urls(at, clip)
        try:
            entry = _entry(clip, manifest, film, modes, now)
        except InvalidRequest as refused:
            problems += [
                Problem(f"{at}.qualityMode", p.value, p.message, p.choices)
                for p in refused.problems
            ]
            continue
        if entry.id in found:
            problems.append(Problem(f"{at}.id", entry.id, "is there twice"))
        found[entry.id] = entry
        if entry.error is not None:
            warnings.append(f"{at}: {clip.id}: {entry.error}")
    if problems:
        raise InvalidRequest(problems[: reading.MAX_PROBLEMS])
    return Existing(tuple(found.values()), tuple(warnings))


def _read(text: str) -> _Manifest:
    document = reading.document(text)
    if document.get("version") not in (None, 3):  # a list: what is sent need not be hashable
        raise InvalidRequest.of(
            "version", document["version"], "is not known", ["3", "(none: the older shape)"]
        )
    try:
        return _Manifest.model_validate(document)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=True)
        problems = [reading.problem(error, []) for error in errors[: reading.MAX_PROBLEMS]]
        raise InvalidRequest(problems) from None


def _check_urls(at: str, clip: _Clip) -> list[Problem]:
    """Urls that nobody could fetch, or nobody should: they are shown, and handed to xAI."""
    problems = []
    for name in ("url", "temporary_url", "first_frame_url", "thumbnail_url", "poster_url"):
        url = getattr(clip, name)
        if url is None or url.startswith(OWN_CLIP):
            continue
        try:
            inputs.public_url(url, max_characters=MAX_URL)
        except ValueError as problem:
            problems.append(Problem(f"{at}.{to_camel(name)}", inputs.shown(url), str(problem)))
    return problems


def _entry(
    clip: _Clip, manifest: _Manifest, film: str, modes: QualityModes, now: datetime
) -> ManifestEntry:
    model = clip.model or manifest.model
    mode = modes.find(clip.quality_mode or _mode_of(model, clip, modes))[0]
    made = _utc(clip.updated_at or manifest.generated_at or manifest.updated_at) or now
    made = min(made, now)
    is_temporary = _is_temporary(clip.url)
    url = None if is_temporary else clip.url
    temporary = clip.temporary_url or (clip.url if is_temporary else None)
    is_dead = url is None and now - made >= TEMPORARY
    return ManifestEntry(
        id=f"{clip.id}::{mode}",
        pipeline_request_id=film,
        quality_mode=mode,
        status="finalized",
        generation_kind=clip.generation_kind,
        request_id=clip.request_id,
        url=url,
        temporary_url=temporary,
        first_frame_url=clip.first_frame_url,
        thumbnail_url=clip.thumbnail_url,
        poster_url=clip.poster_url,
        duration=clip.duration,
        resolution=clip.resolution or modes.find(mode)[1].resolution,
        model=model,
        model_served=clip.model_served,
        sha256=clip.sha256,
        estimated_cost_usd=clip.estimated_cost_usd,
        cost_usd=clip.cost_usd,
        purpose=clip.purpose,
        ref_code=clip.ref_code,
        remaster_from_request_id=clip.remaster_from_request_id,
        error=EXPIRED if is_dead else None,
        imported_at=now,
        requested_at=made,
        updated_at=made,
    )


def _mode_of(model: str | None, clip: _Clip, modes: QualityModes) -> str:
    """The mode whose model and resolution a clip of the older shape has; else the default one."""
    for name, mode in modes.modes.items():
        if mode.model == model and clip.resolution in {None, mode.resolution}:
            return name
    return modes.defaults.quality_mode


def _is_temporary(url: str | None) -> bool:
    if url is None:
        return False
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host.endswith(TEMPORARY_HOSTS)


def _utc(moment: datetime | None) -> datetime | None:
    """A moment in our own zone: moments become text, and text is compared."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the first or last hours there are
        return moment.replace(tzinfo=UTC)
