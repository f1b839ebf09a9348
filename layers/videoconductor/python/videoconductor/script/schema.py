"""A scripted request as it is written: every field of schema version 1.0, and its JSON schema."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    WithJsonSchema,
    field_validator,
)
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

from videoconductor.clip import MAX_ID_CHARACTERS, MAX_PROMPT_BYTES, Id, Label, Noun

MAX_CLIPS = 10_000  # what one film's map over its clips is made for

# `String.prototype.trim` decides what is blank, as in the compiler whose text ours equals.
BLANKS = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)


def trimmed(text: str | None) -> str:
    """`text` without the blanks around it; nothing for no text."""
    return "" if text is None else text.strip(BLANKS)


def _whole(value: Any) -> Any:
    # JSON knows one kind of number: 10.0 is the integer 10.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _offered(value: Any) -> Any:
    if value == "google":
        raise PydanticCustomError("provider", "is not supported: videos and stills are made by xAI")
    return value


def _bare(value: Any) -> Any:
    return trimmed(value) if isinstance(value, str) else value


_ID_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARACTERS}

ScriptId = Annotated[Id, WithJsonSchema(_ID_SCHEMA)]
Mark = Annotated[Label, BeforeValidator(_bare)]
Provider = Annotated[Literal["xai"], BeforeValidator(_offered)]
Mode = Literal["draft", "draft_i2v", "production", "production_i2v"]
ImageResolution = Literal["1k", "2k"]
VideoResolution = Literal["480p", "720p", "1080p"]
# What many clips have in common is bounded by itself: no prompt could hold more of it.
Shared = Annotated[StrictStr, Field(max_length=MAX_PROMPT_BYTES)]
Seconds = Annotated[StrictInt, Field(ge=1, le=15), BeforeValidator(_whole)]


class _Part(Noun):
    """A piece of a script. What is not wanted is left out: null is no value."""

    @field_validator("*", mode="before")
    @classmethod
    def _is_given(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("must not be null; leave the field out instead")
        return value


class FilmDefaults(_Part):
    """What clips get that do not say themselves."""

    provider: Provider | None = None
    quality_mode: Mode | None = None
    aspect_ratio: StrictStr | None = None
    image_resolution: ImageResolution | None = None
    video_resolution: VideoResolution | None = None
    image_provider: Provider | None = None
    video_provider: Provider | None = None
    duration: Seconds | None = None


class CastMember(_Part):
    """Somebody who appears: `{{id}}` stands for the description, the label for who speaks."""

    id: Annotated[StrictStr, Field(pattern="^[a-z][a-z0-9_]*$")]
    description: Annotated[Shared, Field(min_length=1)]
    label: Shared | None = None


class DialogueLine(_Part):
    """What somebody says, and how."""

    speaker: StrictStr
    line: StrictStr
    tone: StrictStr | None = None


class Scene(_Part):
    """What the camera sees and hears."""

    action: StrictStr | None = None
    camera: StrictStr | None = None
    dialogue: tuple[DialogueLine, ...] = ()


class FirstFrame(_Part):
    """The image the clip starts from: one that exists, or a prompt for one to be made."""

    image_prompt: StrictStr | None = None
    image_url: StrictStr | None = None
    image_provider: Provider | None = None
    image_model: StrictStr | None = None
    image_resolution: ImageResolution | None = None


class VideoChoice(_Part):
    """Which model makes the clip, and how large."""

    provider: Provider | None = None
    model: StrictStr | None = None
    quality_mode: Mode | None = None
    resolution: VideoResolution | None = None


class Overlay(_Part):
    """A line of text on the thumbnail."""

    text: StrictStr
    role: Literal["title", "subtitle", "cta", "caption"] | None = None
    position: (
        Literal["top", "center", "bottom", "top-left", "bottom-left", "bottom-right"] | None
    ) = None


class Thumbnail(_Part):
    """The picture that stands for the clip."""

    enabled: StrictBool
    source_frame: Literal["firstFrame", "generated"] | None = None
    template: Literal["default", "title_card", "cta_bar"] | None = None
    aspect_ratio: StrictStr | None = None
    overlays: tuple[Overlay, ...] = ()


class RemasterOrder(_Part):
    """Makes the clip a remaster: of a source video if there is one, else made anew."""

    source_video_url: StrictStr | None = None
    remaster_from_request_id: ScriptId | None = None


class ScriptClip(_Part):
    """One clip of a film, as written."""

    id: ScriptId
    duration: Seconds
    aspect_ratio: StrictStr | None = None
    prompt: StrictStr | None = None
    first_frame: FirstFrame = FirstFrame()
    scene: Scene = Scene()
    video: VideoChoice = VideoChoice()
    thumbnail: Thumbnail | None = None
    remaster: RemasterOrder | None = None


class FilmRequest(_Part):
    """A scripted request: a film's worth of clips that share a cast and a setting."""

    schema_version: Literal["1.0"]
    request_id: ScriptId
    project: StrictStr | None = None
    purpose: Mark | None = None
    ref_code: Mark | None = None
    defaults: FilmDefaults = FilmDefaults()
    cast: tuple[CastMember, ...] = ()
    setting: Shared | None = None
    clips: Annotated[tuple[ScriptClip, ...], Field(min_length=1, max_length=MAX_CLIPS)]


class _Generator(GenerateJsonSchema):
    """An absent field is absent, not null: neither null nor a default is part of the schema."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def json_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of a scripted request."""
    schema = FilmRequest.model_json_schema(by_alias=True, schema_generator=_Generator)
    return {"$schema": _Generator.schema_dialect, **schema}
