"""Doors into the one request model: each turns what it was given into a ClipRequest, or refuses."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
)

from videoconductor import reading
from videoconductor.clip import (
    FROM_MANIFEST,
    MAX_USD,
    ClipRequest,
    FilmOrder,
    Id,
    MaxCost,
    Noun,
    Prompt,
)
from videoconductor.errors import InvalidRequest, Problem

N = TypeVar("N", bound=Noun)

MAX_UNKNOWN = 100_000  # fields of a document that are looked at one by one


class Attachment(Noun):
    """Which job to attach: the one on record when no request id is given."""

    request_id: Id | None = None


class Retrial(Noun):
    """Whether the caller accepts that a retry may be paid for a second time."""

    may_charge_twice: StrictBool = False


class RenderRetrial(Retrial):
    """A retry of a render, which may be given another limit."""

    max_cost_usd: MaxCost | None = None


class Treatment(Noun):
    """How a page of the examination is mended, from `cursor` on.

    Without `may_post` nothing is set going that might be paid for.
    """

    cursor: StrictStr | None = None
    may_post: StrictBool = False


class Remastering(Noun):
    """How a finished clip is to be remastered: made anew, or with `edit` edited from its file.

    What is not given is as it was, but for `max_cost_usd` and `callback_url`.
    """

    edit: StrictBool = False
    prompt: Prompt | None = None
    duration: Annotated[StrictInt, Field(ge=1)] | None = None
    quality_mode: StrictStr | None = None
    max_cost_usd: MaxCost | None = None
    callback_url: StrictStr | None = None


def _not_blank(text: str) -> str:
    if not text.strip():
        raise ValueError("must not be blank")
    return text.strip()


class OrderDocument(Noun):
    """How a script is to be made, as JSON: what is the query of `POST /v1/films` elsewhere."""

    clip: tuple[Id, ...] = ()
    remaster: StrictBool = False
    source_video_url: Annotated[StrictStr, AfterValidator(_not_blank)] | None = None
    force: StrictBool = False
    max_cost_usd: MaxCost | None = None
    quote_id: Annotated[StrictStr, AfterValidator(_not_blank)] | None = None
    callback_url: Annotated[StrictStr, AfterValidator(_not_blank)] | None = None


def clip_request(text: str | bytes) -> ClipRequest:
    """The ClipRequest in a JSON text, field names in camelCase.

    Raises InvalidRequest with one problem for each field at fault.
    """
    return _read(ClipRequest, text)


def given(noun: type[N], fields: Mapping[str, Any]) -> N:
    """The noun in a JSON object that somebody else has parsed, held to the same rules.

    Raises InvalidRequest with one problem for each field at fault.
    """
    try:
        text = json.dumps(fields)
    except RecursionError:
        raise InvalidRequest.of(
            "body", None, f"is nested deeper than {reading.MAX_DEPTH}"
        ) from None
    return _read(noun, text)


def attachment(text: str) -> Attachment:
    """The Attachment in a JSON text. Raises InvalidRequest."""
    return _read(Attachment, text)


def remastering(text: str) -> Remastering:
    """The Remastering in a JSON text. Raises InvalidRequest."""
    return _read(Remastering, text)


def is_script(text: str | bytes) -> bool:
    """Whether a JSON text is a script, not a clip request. Raises InvalidRequest for neither."""
    return "clips" in reading.document(text)


def retrial(text: str) -> Retrial:
    """The Retrial in a JSON text. Raises InvalidRequest."""
    return _read(Retrial, text)


def render_retrial(text: str) -> RenderRetrial:
    """The RenderRetrial in a JSON text. Raises InvalidRequest."""
    return _read(RenderRetrial, text)


def treatment(text: str) -> Treatment:
    """The Treatment in a JSON text. Raises InvalidRequest."""
    return _read(Treatment, text)


def film_order(given: Mapping[str, Sequence[str]]) -> FilmOrder:
    """How a script is to be made, from the parameters of a query.

    `clip` may be given several times. Raises InvalidRequest with every problem.
    """
    return _order(_chosen(given, _ORDER_FIELDS))


def film_retry(given: Mapping[str, Sequence[str]]) -> tuple[str | None, FilmOrder]:
    """Which run of a film is to be retried, and what is to be other than it was, from a query.

    Raises InvalidRequest with every problem.
    """
    chosen = _chosen(given, _RERUN_FIELDS)
    return chosen.pop("run_id", None), _order(chosen)


def film_remaster(given: Mapping[str, Sequence[str]]) -> tuple[str | None, FilmOrder]:
    """Which run's script is to be remastered, and how, from a query.

    Raises InvalidRequest with every problem.
    """
    chosen = _chosen(given, _REMASTERING_FIELDS)
    return chosen.pop("run_id", None), _order({**chosen, "remaster": True})


def _chosen(given: Mapping[str, Sequence[str]], known: "_Fields") -> dict[str, Any]:
    """The parameters of a query, read. Raises InvalidRequest with every problem."""
    problems: list[Problem] = []
    fields: dict[str, Any] = {}
    for name, values in given.items():
        read = known.get(name)
        if read is None:
            problems.append(Problem(reading.shown_name(name), None, "is not known", tuple(known)))
        elif len(values) > 1 and name != "clip":
            problems.append(Problem(name, values[1], "is given twice"))
        else:
            try:
                fields[read[0]] = read[1](values)
            except ValueError as problem:
                problems.append(Problem(name, values[0], str(problem)))
    if problems:
        raise InvalidRequest(problems)
    return fields


def _order(fields: Mapping[str, Any]) -> FilmOrder:
    try:
        return FilmOrder.model_validate(fields)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=True)
        wrong = [reading.problem(error, []) for error in errors[: reading.MAX_PROBLEMS]]
        # The parameter is called `clip`, once for each of them.
        raise InvalidRequest(
            [replace(p, field=p.field.replace("only", "clip")) for p in wrong]
        ) from None


def film_order_document(given: Mapping[str, Any]) -> FilmOrder:
    """How a script is to be made, from a JSON object with the names of the query's parameters.

    `clip` is a list. Raises InvalidRequest with every problem.
    """
    wanted = _validated(OrderDocument, given)
    fields = wanted.model_dump(exclude={"clip"})
    return FilmOrder(only=wanted.clip, **fields)


def order_document(order: FilmOrder) -> dict[str, Any]:
    """The JSON object that `film_order_document` reads an order from."""
    fields = order.model_dump(exclude={"only"})
    document = OrderDocument(clip=order.only, **fields)
    return document.model_dump(mode="json", exclude_defaults=True)


def _flag(values: Sequence[str]) -> bool:
    if values[0] not in {"true", "false"}:
        raise ValueError("must be true or false")
    return values[0] == "true"


def _edited(values: Sequence[str]) -> str | None:
    return FROM_MANIFEST if _flag(values) else None


def _as_it_is(values: Sequence[str]) -> str:
    return values[0]


def _text(values: Sequence[str]) -> str:
    return _not_blank(values[0])


def _dollars(values: Sequence[str]) -> Decimal:
    if not _DECIMAL.fullmatch(values[0]) or Decimal(values[0]) > MAX_USD:
        raise ValueError(f"must be a number of dollars from 0 to {MAX_USD}")
    return Decimal(values[0])


_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_Fields = Mapping[str, tuple[str, Callable[[Sequence[str]], Any]]]
_ORDER_FIELDS: _Fields = {
    "clip": ("only", tuple),
    "remaster": ("remaster", _flag),
    "sourceVideoUrl": ("source_video_url", _text),
    "force": ("force", _flag),
    "maxCostUsd": ("max_cost_usd", _dollars),
    "quoteId": ("quote_id", _text),
    "callbackUrl": ("callback_url", _text),
}
_RERUN_FIELDS: _Fields = {
    "run": ("run_id", _as_it_is),
    "maxCostUsd": _ORDER_FIELDS["maxCostUsd"],
    "quoteId": _ORDER_FIELDS["quoteId"],
    "callbackUrl": _ORDER_FIELDS["callbackUrl"],
}
_REMASTERING_FIELDS: _Fields = {
    **_RERUN_FIELDS,
    "clip": _ORDER_FIELDS["clip"],
    "edit": ("source_video_url", _edited),
}


def identifier(field: str, text: str) -> str:
    """`text`, if it can be the id of a film or clip. Raises InvalidRequest naming `field`."""
    try:
        return TypeAdapter(Id).validate_python(text)
    except ValidationError as invalid:
        words = invalid.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise InvalidRequest.of(field, text, words) from None


def whole_number(field: str, text: str, lowest: int, highest: int) -> int:
    """A number of a query between two bounds. Raises InvalidRequest naming `field`."""
    is_number = text.isascii() and text.isdigit() and len(text) < 6
    if not is_number or not lowest <= int(text) <= highest:
        raise InvalidRequest.of(field, text, f"must be a whole number from {lowest} to {highest}")
    return int(text)


def _read(noun: type[N], text: str | bytes) -> N:
    return _validated(noun, reading.document(text))


def _validated(noun: type[N], document: Mapping[str, Any]) -> N:
    known = [field.alias or name for name, field in noun.model_fields.items()]
    if len(document) > len(known) + MAX_UNKNOWN:
        # Before a million errors are made, of which fifty would be told.
        raise InvalidRequest.of("body", None, f"has {len(document)} fields", known)
    try:
        return noun.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=True)
        problems = [reading.problem(error, known) for error in errors[: reading.MAX_PROBLEMS]]
        if len(errors) > reading.MAX_PROBLEMS:
            more = f"has {len(errors) - reading.MAX_PROBLEMS} more problems"
            problems.append(Problem("body", None, more))
        raise InvalidRequest(problems) from None
