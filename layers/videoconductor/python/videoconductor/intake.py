"""Doors into the one request model: each turns what it was given into a ClipRequest, or refuses."""

from __future__ import annotations

import difflib
import json
from typing import Any, TypeVar

from pydantic import StrictBool, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from videoconductor.clip import ClipRequest, Id, Noun
from videoconductor.errors import InvalidRequest, Problem

# Beyond these, an answer would grow with the request instead of with what is wrong with it.
MAX_DEPTH = 32
MAX_PROBLEMS = 50
MAX_NAME_CHARACTERS = 64

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


def identifier(field: str, text: str) -> str:
    """`text`, if it can be the id of a film or clip. Raises InvalidRequest naming `field`."""
    try:
        return TypeAdapter(Id).validate_python(text)
    except ValidationError as invalid:
        words = invalid.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
        raise InvalidRequest.of(field, text, words) from None


def _read(noun: type[N], text: str | bytes) -> N:
    document = _document(text)
    try:
        return noun.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as invalid:
        known = [field.alias or name for name, field in noun.model_fields.items()]
        errors = invalid.errors(include_url=False, include_context=True)
        problems = [_problem(error, known) for error in errors[:MAX_PROBLEMS]]
        if len(errors) > MAX_PROBLEMS:
            more = f"has {len(errors) - MAX_PROBLEMS} more problems"
            problems.append(Problem("body", None, more))
        raise InvalidRequest(problems) from None


def _document(text: str | bytes) -> dict[str, Any]:
    """The object in a JSON text, to RFC 8259 and a little stricter.

    No key may come twice (which one counts depends on the reader, and a video is paid for), no
    NaN or Infinity, no lone surrogate, no nesting beyond MAX_DEPTH.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise InvalidRequest.of("body", None, "is not UTF-8 text") from None
    except RecursionError:
        raise InvalidRequest.of("body", None, f"is nested deeper than {MAX_DEPTH}") from None
    except ValueError as problem:
        raise InvalidRequest.of("body", None, f"is not JSON: {problem}") from None
    if not isinstance(document, dict):
        raise InvalidRequest.of("body", document, "must be a JSON object")
    _check_texts(document)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidRequest.of(_name(name), None, "is given twice")
        found[name] = value
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _check_texts(document: dict[str, Any]) -> None:
    """Every text in a document is Unicode, and nothing lies deeper than MAX_DEPTH."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for value in level:
            if isinstance(value, str):
                _check_unicode(value)
            elif isinstance(value, dict):
                below += value.keys()
                below += value.values()
            elif isinstance(value, list):
                below += value
        if not below:
            return
        level = below
    raise InvalidRequest.of("body", None, f"is nested deeper than {MAX_DEPTH}")


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = ascii(text[:MAX_NAME_CHARACTERS])
        raise InvalidRequest.of("body", shown, "is not valid Unicode text") from None


def _problem(error: ErrorDetails, known: list[str]) -> Problem:
    field, value = _path(error["loc"]), error["input"]
    match error["type"]:
        case "extra_forbidden":
            near = difflib.get_close_matches(_name(str(error["loc"][-1])), known)
            return Problem(field, value, "is not a known field", tuple(near or known))
        case "literal_error":
            expected = str(error["ctx"]["expected"]).replace("'", "").replace(" or ", ", ")
            return Problem(field, value, "is not allowed", tuple(expected.split(", ")))
        case "value_error":
            return Problem(field, value, str(error["ctx"]["error"]))
        case _:
            return Problem(field, value, _sentence(error["msg"]))


def _sentence(message: str) -> str:
    return f"is refused: {message[0].lower()}{message[1:]}"


def _name(text: str) -> str:
    """A field's name as somebody wrote it, fit to be repeated in an answer."""
    start = text[:MAX_NAME_CHARACTERS]
    return start if start.isprintable() else ascii(start)[1:-1]


def _path(location: tuple[Any, ...]) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            path += f".{_name(part)}" if path else _name(part)
    return path or "body"
