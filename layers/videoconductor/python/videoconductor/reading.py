"""JSON that somebody sent, read strictly; and what is wrong with it in words, with its place."""

from __future__ import annotations

import json
from typing import Any

from pydantic_core import ErrorDetails

from videoconductor.errors import InvalidRequest, Problem

# Beyond these, an answer would grow with the request instead of with what is wrong with it.
MAX_DEPTH = 32
MAX_PROBLEMS = 50
MAX_NAME_CHARACTERS = 64


def document(text: str | bytes) -> dict[str, Any]:
    """The object in a JSON text, to RFC 8259 and a little stricter.

    No key may come twice (which one counts depends on the reader, and a video is paid for), no
    NaN or Infinity, no lone surrogate, no nesting beyond MAX_DEPTH.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise InvalidRequest.of("body", None, "is not UTF-8 text") from None
    except RecursionError:
        raise InvalidRequest.of("body", None, f"is nested deeper than {MAX_DEPTH}") from None
    except ValueError as problem:
        raise InvalidRequest.of("body", None, f"is not JSON: {problem}") from None
    if not isinstance(found, dict):
        raise InvalidRequest.of("body", found, "must be a JSON object")
    _check_texts(found)
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise InvalidRequest.of(shown_name(name), None, "is given twice")
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


def problem(error: ErrorDetails, known: list[str]) -> Problem:
    field, value = path(error["loc"]), error["input"]
    match error["type"]:
        case "extra_forbidden":
            import difflib  # for those who misspell a field alone

            near = difflib.get_close_matches(shown_name(str(error["loc"][-1])), known)
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


def shown_name(text: str) -> str:
    """A field's name as somebody wrote it, fit to be repeated in an answer."""
    start = text[:MAX_NAME_CHARACTERS]
    return start if start.isprintable() else ascii(start)[1:-1]


def path(location: tuple[Any, ...]) -> str:
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{shown_name(part)}" if text else shown_name(part)
    return text or "body"
