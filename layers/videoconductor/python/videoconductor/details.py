"""The details of events, as models: of those that we publish, and of those that ask for work.

Those that we publish describe what `reports` builds; only a refusal is built from its model.
"""

from __future__ import annotations

from datetime import datetime
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
from videoconductor.drift import MODEL_DRIFT, PRICE_DRIFT
from videoconductor.errors import (
    InvalidRequest,
    OverBudget,
    QuoteRequired,
    VideoConductorError,
)
from videoconductor.intake import OrderDocument
from videoconductor.ledger import What
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


class PriceDriftDetail(Noun):
    """xAI billed a POST, for a render's still or its clip, otherwise than its estimate had it.

    `percent` is how far `cost_usd` is beside what was expected: above `reserved_usd`, or, negative,
    below `least_usd`, which is less than that only where the estimate was open.
    """

    render_id: str
    clip_id: str
    pipeline_request_id: str
    quality_mode: str
    status: Status
    what: What
    attempt: int
    request_id: str | None
    model: str
    least_usd: Usd
    reserved_usd: Usd
    cost_usd: Usd
    percent: float
    prices_as_of: str
    ref_code: str | None
    purpose: str | None


class ModelDriftDetail(Noun):
    """Another model than `model`, the one asked for, was at work on a POST."""

    render_id: str
    clip_id: str
    pipeline_request_id: str
    quality_mode: str
    status: Status
    what: What
    attempt: int
    request_id: str | None
    model: str
    model_served: str
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
    spent_usd: Usd | None
    reserved_usd: Usd | None


class FieldError(Noun):
    """One thing that is wrong with a request. What stood there is not repeated."""

    field: str
    message: str
    choices: tuple[str, ...] = ()


class QuotedDetail(Noun):
    """What a film would cost that was neither quoted nor limited; the quoteId lets it be made.

    It is null when a model of the film has no price.
    """

    quote_id: str | None
    expires_at: datetime
    film_id: str
    due: int
    least_usd: Usd
    total_usd: Usd


class RefusalDetail(Noun):
    """A request that came as an event, or in the inbox, and was refused whole."""

    source: str
    detail_type: str
    event_id: str
    inbox: Inbox | None = None
    errors: tuple[FieldError, ...]
    more_errors: int = 0
    quote: QuotedDetail | None = None


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
    PRICE_DRIFT: PriceDriftDetail,
    MODEL_DRIFT: ModelDriftDetail,
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
    if isinstance(refused, QuoteRequired):
        return (FieldError(field="quoteId", message=str(refused)[:MAX_MESSAGE]),), 0
    if isinstance(refused, OverBudget):
        return (FieldError(field="budget", message=str(refused)[:MAX_MESSAGE]),), 0
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


def quoted(refused: VideoConductorError) -> QuotedDetail | None:
    """What the request would have cost, if that is what it was refused for."""
    if not isinstance(refused, QuoteRequired):
        return None
    found = refused.quote
    return QuotedDetail(
        quote_id=found.quote_id,
        expires_at=found.expires_at,
        film_id=found.film,
        due=sum(clip.is_due for clip in found.clips),
        least_usd=found.least_usd,
        total_usd=found.total_usd,
    )


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
