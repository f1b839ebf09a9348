"""Doors into the one request model: each turns what it was given into a ClipRequest, or refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import StrictBool, TypeAdapter, ValidationError

from videoconductor import reading
from videoconductor.clip import MAX_USD, ClipRequest, FilmOrder, Id, Noun
from videoconductor.errors import InvalidRequest, Problem

N = TypeVar("N", bound=Noun)


class Attachment(Noun):
    """Which job to attach: the one on record when no request id is given."""

    request_id: Id | None = None


class Retrial(Noun):
    """Whether the caller accepts that a retry may be paid for a second time."""

    may_charge_twice: StrictBool = False


def clip_request(text: str | bytes) -> ClipRequest:
    """The ClipRequest in a JSON text, field names in camelCase.

    Raises InvalidRequest with one problem for each field at fault.
    """
    return _read(ClipRequest, text)


def attachment(text: str) -> Attachment:
    """The Attachment in a JSON text. Raises InvalidRequest."""
    return _read(Attachment, text)


def retrial(text: str) -> Retrial:
    """The Retrial in a JSON text. Raises InvalidRequest."""
    return _read(Retrial, text)


def film_order(given: Mapping[str, Sequence[str]]) -> FilmOrder:
    """How a script is to be made, from the parameters of a query.

    `clip` may be given several times. Raises InvalidRequest with every problem.
    """
    problems: list[Problem] = []
    fields: dict[str, Any] = {}
    for name, values in given.items():
        read = _ORDER_FIELDS.get(name)
        if read is None:
            problems.append(
                Problem(reading.shown_name(name), None, "is not known", tuple(_ORDER_FIELDS))
            )
        elif len(values) > 1 and name != "clip":
            problems.append(Problem(name, values[1], "is given twice"))
        else:
            try:
                fields[read[0]] = read[1](values)
            except ValueError as problem:
                problems.append(Problem(name, values[0], str(problem)))
    if problems:
        raise InvalidRequest(problems)
    try:
        return FilmOrder.model_validate(fields)
    except ValidationError as invalid:
        errors = invalid.errors(include_url=False, include_context=True)
        wrong = [reading.problem(error, []) for error in errors[: reading.MAX_PROBLEMS]]
        # The parameter is called `clip`, once for each of them.
        raise InvalidRequest(
            [replace(p, field=p.field.replace("only", "clip")) for p in wrong]
        ) from None


def _flag(values: Sequence[str]) -> bool:
    if values[0] not in {"true", "false"}:
        raise ValueError("must be true or false")
    return values[0] == "true"


def _text(values: Sequence[str]) -> str:
    if not values[0].strip():
        raise ValueError("must not be blank")
    return values[0].strip()


def _dollars(values: Sequence[str]) -> Decimal:
    if not _DECIMAL.fullmatch(values[0]) or Decimal(values[0]) > MAX_USD:
        raise ValueError(f"must be a number of dollars from 0 to {MAX_USD}")
    return Decimal(values[0])


_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_ORDER_FIELDS: dict[str, tuple[str, Callable[[Sequence[str]], Any]]] = {
    "clip": ("only", tuple),
    "remaster": ("remaster", _flag),
    "sourceVideoUrl": ("source_video_url", _text),
    "force": ("force", _flag),
    "maxCostUsd": ("max_cost_usd", _dollars),
}


def identifier(field: str, text: str) -> str:
    """`text`, if it can be the id of a film or clip. Raises InvalidRequest naming `field`."""
    try:
        return TypeAdapter(Id).validate_python(text)
    except ValidationError as invalid:
        words = invalid.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise InvalidRequest.of(field, text, words) from None


def _read(noun: type[N], text: str | bytes) -> N:
    document = reading.document(text)
    try:
        return noun.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as invalid:
        known = [field.alias or name for name, field in noun.model_fields.items()]
        errors = invalid.errors(include_url=False, include_context=True)
        problems = [reading.problem(error, known) for error in errors[: reading.MAX_PROBLEMS]]
        if len(errors) > reading.MAX_PROBLEMS:
            more = f"has {len(errors) - reading.MAX_PROBLEMS} more problems"
            problems.append(Problem("body", None, more))
        raise InvalidRequest(problems) from None
