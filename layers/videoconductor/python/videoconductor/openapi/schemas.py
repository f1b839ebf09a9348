"""The schemas of the API's document: requests and answers as JSON schema (2020-12), by name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from videoconductor import script
from videoconductor.accounts import EVERYBODY, INHERIT, CapsChange, StopOrder
from videoconductor.clip import (
    ID_PUNCTUATION,
    MAX_ID_BYTES,
    MAX_ID_CHARACTERS,
    MAX_PROMPT_BYTES,
    MAX_URL_CHARACTERS,
    MAX_USD,
    ClipRequest,
)
from videoconductor.inputs import IMAGE_SUFFIXES, MAX_INLINE_IMAGE_BYTES
from videoconductor.intake import Attachment, Remastering, RenderRetrial, Retrial, Treatment
from videoconductor.models import Model, ModelCatalog
from videoconductor.quality import QualityModes

Schema = dict[str, Any]

TEMPLATE = "#/components/schemas/{model}"
REQUESTS: tuple[type[BaseModel], ...] = (
    Attachment,
    CapsChange,
    ClipRequest,
    Remastering,
    RenderRetrial,
    Retrial,
    StopOrder,
    Treatment,
)
# A script's parts are told from a clip request's by this; the script itself has a name of its own.
SCRIPT_PREFIX = "Script"

# JSON schema knows no classes of characters that all of its readers agree on: what is beyond
# ASCII is let through here, and letters, marks and digits are told from the rest by the API.
_NOT_IN_IDS = r"\x00-\x1f\"#$%*/;<>?\[\\\]^`{|}\x7f-\x9f"
ID_PATTERN = f"^[^{_NOT_IN_IDS} :]([^{_NOT_IN_IDS}]*[^{_NOT_IN_IDS} :])?$"
ID = {"minLength": 1, "maxLength": MAX_ID_CHARACTERS, "pattern": ID_PATTERN}
ID_WORDS = (
    f"Letters, digits and marks of any script, blanks and {ID_PUNCTUATION.strip()}, but no `::`; "
    f"at most {MAX_ID_BYTES} bytes of UTF-8"
)
PROMPT = {"minLength": 1, "maxLength": MAX_PROMPT_BYTES, "pattern": r"\S"}
LABEL = {"maxLength": 256}
HTTPS = "^[Hh][Tt][Tt][Pp][Ss]?://"  # http only from an origin that the stack was told to trust
_IMAGE_WORDS = (
    f"an https url of at most {MAX_URL_CHARACTERS} characters on a public host, or a "
    f"`data:{'|'.join(sorted(IMAGE_SUFFIXES))};base64,` url of an image of at most "
    f"{MAX_INLINE_IMAGE_BYTES // 1024**2} MiB"
)
_IMAGE = {"pattern": f"{HTTPS}|^data:"}


class _Generator(GenerateJsonSchema):
    """Null is a type beside the other where there is one; a default of null says nothing."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        made = super().nullable_schema(schema)
        other, *nothing = made.get("anyOf", [{}])
        if nothing != [{"type": "null"}] or not isinstance(other.get("type"), str):
            return made
        both = {**other, "type": [other["type"], "null"]}
        return {**both, "enum": [*other["enum"], None]} if "enum" in other else both

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        made = super().default_schema(schema)
        if made.get("default", ...) is None:
            del made["default"]
        return made


def schemas(
    answers: Iterable[type[BaseModel]], modes: QualityModes, models: ModelCatalog
) -> dict[str, Schema]:
    """Every schema that a request or one of the `answers` needs, by name, in order.

    The names of modes and models are those of this stack.
    """
    wanted: list[tuple[type[BaseModel], Any]] = [
        (model, "validation") for model in (*REQUESTS, *answers)
    ]
    _, made = models_json_schema(wanted, ref_template=TEMPLATE, schema_generator=_Generator)
    found: dict[str, Schema] = {**made["$defs"], **_script(), "ExistingManifest": EXISTING}
    request = found["ClipRequest"]
    request["description"] = REQUEST_WORDS
    fields = _clip_request(modes, models)
    _say_more(request, fields)
    remaster = ("prompt", "qualityMode", "maxCostUsd", "callbackUrl")
    _say_more(found["Remastering"], REMASTERING | {name: fields[name] for name in remaster})
    _say_more(found["ThumbnailOrder"], THUMBNAIL)
    _say_more(found["Overlay"], OVERLAY)
    _say_more(found["Attachment"], ATTACHMENT)
    _say_more(found["Retrial"], RETRIAL)
    _say_more(found["RenderRetrial"], RETRIAL | RENDER_RETRIAL)
    found["NewCaps"]["minProperties"] = 1
    _say_more(found["NewCaps"], NEW_CAPS)
    _say_more(found["StopOrder"], STOP)
    _say_more(found["Treatment"], TREATMENT)
    return dict(sorted(found.items()))


def _say_more(schema: Schema, more: dict[str, Schema]) -> None:
    for name, words in more.items():
        # What says its own type takes the place of what pydantic makes of ours.
        made = {} if "type" in words else schema["properties"][name]
        schema["properties"][name] = {**made, **words}


def _script() -> dict[str, Schema]:
    """The schema of a script, its parts under names that no other schema has."""
    text = json.dumps(script.json_schema())
    text = re.sub(
        rf'"#/\$defs/(?:{SCRIPT_PREFIX})?', f'"#/components/schemas/{SCRIPT_PREFIX}', text
    )
    whole = json.loads(text)
    parts = whole.pop("$defs")
    del whole["$schema"]
    named = {f"{SCRIPT_PREFIX}{n.removeprefix(SCRIPT_PREFIX)}": part for n, part in parts.items()}
    for schema in (whole, *named.values()):
        for field in schema["properties"].values():
            field.pop("title", None)
    for schema, name in ((whole, "requestId"), (named["ScriptClip"], "id")):
        schema["properties"][name] |= {"pattern": ID_PATTERN, "description": ID_WORDS}
    whole["description"] += " The format's own schema is docs/scripted-request.schema.json."
    return {"FilmRequest": whole, **named}


REQUEST_WORDS = (
    "What a clip is to be. Unknown fields are refused, and so are keys that come twice; which "
    "fields fit together depends on the model. Whole numbers are written without a fraction."
)


def _clip_request(modes: QualityModes, models: ModelCatalog) -> dict[str, Schema]:
    """What pydantic does not know of a request's fields."""
    videos, images = _rows(models, "video"), _rows(models, "image")
    longest = max(limits.max_seconds or 0 for row in videos for limits in row.tasks.values())
    return {
        "prompt": {
            **PROMPT,
            "description": f"What the clip shows; at most {MAX_PROMPT_BYTES} bytes of UTF-8",
        },
        "qualityMode": {
            "enum": [
                *(n for known, row in modes.modes.items() for n in (known, *row.aliases)),
                None,
            ],
            "description": f"A quality mode or another name of one; "
            f"{modes.defaults.quality_mode} if not given. See GET /v1/quality-modes",
        },
        "operation": {
            "description": "`generate`, or `edit` with a sourceVideoUrl, if not given; `remaster` "
            "is the same as `remaster: true`"
        },
        "duration": {
            "minimum": 1,
            "maximum": longest,
            "description": "Seconds; limits by model and task. See GET /v1/models",
        },
        "aspectRatio": {
            "enum": [*_union(row.aspect_ratios for row in videos), None],
            "description": "By model; a first frame's own counts more",
        },
        "resolution": {
            "enum": [*_union(row.resolutions for row in videos), None],
            "description": "Instead of the mode's",
        },
        "model": {
            "enum": [*_names(models, "video"), None],
            "description": "Instead of the mode's. See GET /v1/models",
        },
        "imageUrl": {**_IMAGE, "description": f"First frame: {_IMAGE_WORDS}"},
        "lastFrameUrl": {**_IMAGE, "description": f"Last frame: {_IMAGE_WORDS}"},
        "referenceImageUrls": {
            "items": {"type": "string", **_IMAGE},
            "description": f"Images to go by, how many by model. Each: {_IMAGE_WORDS}",
        },
        "firstFramePrompt": {
            **PROMPT,
            "description": "Has an image made, and paid for, that the clip starts from; at most "
            f"{MAX_PROMPT_BYTES} bytes of UTF-8; without effect beside imageUrl",
        },
        "imageModel": {
            "enum": [*_names(models, "image"), None],
            "description": f"Makes that image; {modes.defaults.image_model} if not given",
        },
        "imageResolution": {
            "enum": [*_union(row.resolutions for row in images), None],
            "description": "How large that image is, by model; its own if not given",
        },
        "imageProvider": {
            "enum": ["xai", None],
            "description": "Without effect, and says so: stills are made by xAI",
        },
        "sourceVideoUrl": {
            "pattern": f"{HTTPS}|^s3://",
            "description": "The clip to edit, extend or remaster: an https url of at most "
            f"{MAX_URL_CHARACTERS} characters on a public host, or the s3:// url of a clip in the "
            "manifest of the same film",
        },
        "remaster": {"description": "Makes it again at 720p"},
        "remasterFromRequestId": {
            **ID,
            "description": "xAI's id of what is remastered; kept in the record and the manifest",
        },
        "clipId": {
            **ID,
            "description": f"The clip's name in its film; the render's id if not given. {ID_WORDS}",
        },
        "pipelineRequestId": {**ID, "description": f"The film; `default` if not given. {ID_WORDS}"},
        "purpose": {**LABEL, "description": "Printable; kept in the record, manifest and events"},
        "refCode": {**LABEL, "description": "Printable; kept in the record, manifest and events"},
        "thumbnail": {"description": "How the picture that stands for the clip is to look"},
        "maxCostUsd": {
            "type": ["number", "null"],
            "minimum": 0,
            "maximum": MAX_USD,
            "description": "Refuses the request if its estimate is more US dollars than this",
        },
        "quoteId": {"description": "A quote of this very request: its total is the limit"},
        "callbackUrl": {
            "pattern": HTTPS,
            "maxLength": MAX_URL_CHARACTERS,
            "description": "An https url on a public host that is told, signed as Standard "
            "Webhooks prescribes, how the render ends",
        },
        "persistToFilebase": {"description": "Without effect, and says so"},
    }


THUMBNAIL: dict[str, Schema] = {
    "enabled": {"description": "Whether there is to be one"},
    "sourceFrame": {"description": "Made of the clip's first frame, or generated from nothing"},
    "template": {"description": "How it is laid out"},
    "aspectRatio": {"description": "The clip's own if not given"},
    "overlays": {"description": "Lines of text on it"},
}
OVERLAY: dict[str, Schema] = {
    "text": {"description": "What is written"},
    "role": {"description": "What the line is"},
    "position": {"description": "Where it stands"},
}
ATTACHMENT: dict[str, Schema] = {
    "requestId": {
        **ID,
        "description": "xAI's id of the job; the one on record if not given",
    }
}
REMASTERING: dict[str, Schema] = {
    "edit": {"description": "Edits the clip's file instead of making the clip anew"},
    "duration": {
        "description": "Seconds; limits by model and task. Without effect, and says so, with edit"
    },
}
RETRIAL: dict[str, Schema] = {
    "mayChargeTwice": {
        "description": "That it may be paid for a second time is accepted: needed where an earlier "
        "POST may have been accepted, or its job may still finish"
    }
}
RENDER_RETRIAL: dict[str, Schema] = {
    "maxCostUsd": {
        "type": ["number", "null"],
        "minimum": 0,
        "maximum": MAX_USD,
        "description": "US dollars that all of the render's POSTs may cost together, from now on; "
        "as it was if not given",
    }
}
# At most ten decimals, which floats cannot say with `multipleOf`.
CAP: Schema = {"type": ["number", "null"], "minimum": 0, "maximum": MAX_USD}
OWN_CAP: Schema = {"anyOf": [CAP, {"const": INHERIT}]}
CALLER: Schema = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!-~]+$"}


def _caps_by_name(name: Schema, about: str) -> Schema:
    return {
        "type": "object",
        "description": f"{about}; `{EVERYBODY}` is that of all others. `{INHERIT}` takes a name's "
        "own cap away",
        "properties": {EVERYBODY: CAP},
        "additionalProperties": OWN_CAP,
        "propertyNames": {"anyOf": [{"const": EVERYBODY}, {**name, "type": "string"}]},
    }


NEW_CAPS: dict[str, Schema] = {
    "render": {**CAP, "description": "On all POSTs of one render"},
    "film": _caps_by_name(ID, "On all of one film, for good, by its id"),
    "caller": _caps_by_name(
        CALLER,
        "On one caller in a calendar month (UTC), by ARN or `token:NAME`",
    ),
    "day": {**CAP, "description": "On everybody on a day (UTC)"},
    "month": {**CAP, "description": "On everybody in a calendar month (UTC)"},
}
STOP: dict[str, Schema] = {
    "reason": {**LABEL, "description": "Printable; told to whoever is refused meanwhile"}
}
TREATMENT: dict[str, Schema] = {
    "cursor": {"description": "The nextCursor of the page before; the first if not given"},
    "mayPost": {
        "description": "Also sets going what was not sent to xAI yet, which is paid for then. A "
        "POST that might have been sent is never repeated"
    },
}
EXISTING: Schema = {
    "type": "object",
    "description": "A manifest of the existing system: version 3, or the older shape without one. "
    "Fields that nobody knows are left alone.",
    "required": ["clips"],
    "properties": {
        "version": {"type": ["integer", "null"]},
        "clips": {
            "type": "array",
            "maxItems": 10_000,
            "description": "Those that are not finished are left out, with a warning",
            "items": {
                "type": "object",
                "required": ["id", "status"],
                "properties": {
                    "id": {"type": "string", **ID, "description": ID_WORDS},
                    "status": {"type": "string", "description": "`done`, if it is finished"},
                    "qualityMode": {"type": ["string", "null"]},
                    "requestId": {"type": ["string", "null"]},
                    "url": {"type": ["string", "null"], "description": "Where its file is"},
                    "temporaryUrl": {"type": ["string", "null"]},
                },
            },
        },
    },
}


def mode_names(modes: QualityModes) -> list[str]:
    """Every name that a request may call a quality mode by."""
    return [name for known, row in modes.modes.items() for name in (known, *row.aliases)]


def _rows(models: ModelCatalog, produces: str) -> list[Model]:
    return [row for row in models.models.values() if row.produces == produces]


def _names(models: ModelCatalog, produces: str) -> list[str]:
    """Every name that a request may call such a model by."""
    known = models.names(produces)
    aliases = [alias for name in known for alias in models.models[name].aliases]
    retired = [old for old, row in models.retired.items() if row.replaced_by in {*known, *aliases}]
    return _union([known, aliases, retired])


def _union(lists: Iterable[Iterable[str]]) -> list[str]:
    return list(dict.fromkeys(item for items in lists for item in items))
