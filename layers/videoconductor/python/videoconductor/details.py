"""The details of events, as models: of those that we publish, and of those that ask for work.

Those that we publish describe what `reports` builds; only a refusal is built from its model.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictStr
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

from videoconductor.clip import (
    MAX_USD,
    Clip,
    ClipRequest,
    Failure,
    FilmStatus,
    Inbox,
    Noun,
    Shortfall,
    Status,
    Usd,
)
from videoconductor.errors import InvalidRequest, VideoConductorError
from videoconductor.intake import OrderDocument
from videoconductor.reports import DETAIL_TYPES, FILM_READY, REQUEST_REFUSED

CLIP_REQUESTED = "ClipRequested"
FILM_REQUESTED = "FilmRequested"
SOURCE = "videoconductor"

SCRIPT_SCHEMA = "scripted-request.schema.json"
MAX_KEY_CHARACTERS = 255
# As much of a refusal as fits into an event of 256 KiB: one that does not is never told at all.
MAX_ERRORS = 50
MAX_MESSAGE = 500
MAX_CHOICES = 40
MAX_ERRORS_BYTES = 200 * 1024

EventKey = Annotated[StrictStr, Field(min_length=1, max_length=MAX_KEY_CHARACTERS)]


class ClipDetail(Noun):
    """How a render has come to rest: who and what, never the prompt or a url that opens it."""

    render_id: str
    clip_id: str
    pipeline_request_id: str
    quality_mode: str
    status: Status
    request_id: str | None
    clip: Clip | None
    failure: Failure | None
    estimated_cost_usd: Usd
    cost_usd: Usd | None
    ref_code: str | None
    purpose: str | None


class FilmDetail(Noun):
    """What a run of a film came to: how many clips there are, and the first that are missing."""

    film_id: str
    run_id: str
    status: FilmStatus
    total: int
    done: int
    failed: int
    unresolved: int
    missing: tuple[Shortfall, ...]
    result_key: str | None
    estimated_cost_usd: Usd
    cost_usd: Usd | None


class FieldError(Noun):
    """One thing that is wrong with a request. What stood there is not repeated."""

    field: str
    message: str
    choices: tuple[str, ...] = ()


class RefusalDetail(Noun):
    """A request that came as an event, or in the inbox, and was refused whole."""

    source: str
    detail_type: str
    event_id: str
    inbox: Inbox | None = None
    errors: tuple[FieldError, ...]
    more_errors: int = 0


class ClipRequestedDetail(ClipRequest):
    """A clip request. With `idempotency_key`, only once for each source of events."""

    idempotency_key: EventKey | None = None


class FilmRequestedDetail(Noun):
    """A scripted request and how it is to be made."""

    script: dict[str, Any]
    order: OrderDocument = OrderDocument()
    idempotency_key: EventKey | None = None


_PUBLISHED: dict[str, type[BaseModel]] = {
    **dict.fromkeys(DETAIL_TYPES.values(), ClipDetail),
    FILM_READY: FilmDetail,
    REQUEST_REFUSED: RefusalDetail,
}
_UNDERSTOOD: dict[str, type[BaseModel]] = {
    CLIP_REQUESTED: ClipRequestedDetail,
    FILM_REQUESTED: FilmRequestedDetail,
}


class _Untitled(GenerateJsonSchema):
    """A field's name says what it is."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def field_errors(refused: VideoConductorError) -> tuple[tuple[FieldError, ...], int]:
    """What is wrong with a request, as much as fits into an event, and how much more there is."""
    if not isinstance(refused, InvalidRequest):
        return (FieldError(field="idempotencyKey", message=str(refused)[:MAX_MESSAGE]),), 0
    shown: list[FieldError] = []
    room = MAX_ERRORS_BYTES
    for problem in refused.problems[:MAX_ERRORS]:
        error = FieldError(
            field=problem.field[:MAX_MESSAGE],
            message=problem.message[:MAX_MESSAGE],
            choices=tuple(choice[:MAX_MESSAGE] for choice in problem.choices[:MAX_CHOICES]),
        )
        room -= len(error.model_dump_json().encode())  # the clips of a film may be the choices
        if room < 0:
            break
        shown.append(error)
    return tuple(shown), len(refused.problems) - len(shown)


def json_schema() -> dict[str, Any]:
    """The schema (2020-12) of every event on the application's bus, as EventBridge delivers it."""
    modes: dict[JsonSchemaMode, dict[str, type[BaseModel]]] = {
        "serialization": _PUBLISHED,
        "validation": _UNDERSTOOD,
    }
    models = [(model, mode) for mode, found in modes.items() for model in found.values()]
    _, made = models_json_schema(list(dict.fromkeys(models)), schema_generator=_Untitled)
    parts = made["$defs"]
    for name in ("ClipRequestedDetail", "OrderDocument"):
        cost = {"type": ["number", "null"], "minimum": 0, "maximum": MAX_USD, "default": None}
        parts[name]["properties"]["maxCostUsd"] = cost
    parts["FilmRequestedDetail"]["properties"]["script"] = {"$ref": SCRIPT_SCHEMA}
    ours, theirs = {"const": SOURCE}, {"type": "string", "not": {"const": SOURCE}}
    events = [_event(name, model, ours) for name, model in _PUBLISHED.items()]
    events += [_event(name, model, theirs) for name, model in _UNDERSTOOD.items()]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Events on the application's bus",
        "oneOf": events,
        "$defs": dict(sorted(parts.items())),
    }


def _event(detail_type: str, model: type[BaseModel], source: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": detail_type,
        "type": "object",
        "required": ["source", "detail-type", "detail"],
        "properties": {
            "source": source,
            "detail-type": {"const": detail_type},
            "detail": {"$ref": f"#/$defs/{model.__name__}"},
        },
    }
