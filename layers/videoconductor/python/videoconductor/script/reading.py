"""A script's text, read: a FilmRequest, or every problem with the place it is at."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from videoconductor import reading as strict
from videoconductor.errors import InvalidRequest, Problem
from videoconductor.script import checks
from videoconductor.script.schema import FilmRequest

MAX_CHARACTERS = 32 * 1024 * 1024  # ten thousand clips of three kilobytes each
MAX_MENDINGS = 5
MAX_MENDED_ERRORS = 1000

_MESSAGES = {
    "missing": "is required",
    "too_short": "must hold at least one",
    "string_too_short": "must not be empty",
}


@dataclass(frozen=True)
class Reading:
    """A script with what is wrong with it.

    `film` is what remains once everything out of shape has been taken away, if anything does;
    `broken` are the clips that lost something.
    """

    film: FilmRequest | None
    problems: tuple[Problem, ...]
    broken: frozenset[int] = frozenset()


def from_json(text: str | bytes) -> FilmRequest:
    """The FilmRequest in a JSON text. Raises InvalidRequest with every problem found.

    Not among them is what shows only in the compiled clips, the length of prompts and the limits
    of models: for those too, see `films.plan_json`.
    """
    found = reading(text)
    if found.film is None or found.problems:
        raise refusal(found.problems)
    return found.film


def reading(text: str | bytes) -> Reading:
    """A script and all that is wrong with its shape and its names.

    Raises InvalidRequest for a text that is no JSON object, or too large to look at.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidRequest.of("body", None, f"is longer than {MAX_CHARACTERS} characters")
    document = strict.document(text)
    try:
        film = _film(document)
    except ValidationError as invalid:
        return _broken(document, invalid)
    return Reading(film, tuple(checks.problems(film)))


def refusal(problems: tuple[Problem, ...]) -> InvalidRequest:
    """The problems as an error, each once, and no more of them than anybody reads."""
    each: dict[str, Problem] = {}
    for problem in problems:
        each.setdefault(f"{problem.field}\0{problem.message}\0{str(problem.value)[:200]}", problem)
    shown = list(each.values())
    more = len(shown) - strict.MAX_PROBLEMS
    if more > 0:
        shown = shown[: strict.MAX_PROBLEMS]
        shown.append(Problem("body", None, f"has {more} more problems"))
    return InvalidRequest(shown)


def _film(document: dict[str, Any]) -> FilmRequest:
    return FilmRequest.model_validate(document, by_alias=True, by_name=False)


def _broken(document: dict[str, Any], invalid: ValidationError) -> Reading:
    errors = _errors(invalid)
    # Nobody reads more of them, and to look for what each may have meant takes its time.
    problems = [_problem(error) for error in errors[:MAX_MENDED_ERRORS]]
    problems += [
        Problem(strict.path(error["loc"]), None, error["msg"])
        for error in errors[MAX_MENDED_ERRORS:]
    ]
    film = _mended(document, errors)
    if film is not None:
        problems += checks.problems(film, _names(document))
    broken = {
        location[1]
        for location in (error["loc"] for error in errors)
        if len(location) > 1 and location[0] == "clips" and isinstance(location[1], int)
    }
    return Reading(film, tuple(problems), frozenset(broken))


def _errors(invalid: ValidationError) -> list[ErrorDetails]:
    # Pydantic counts only elements that are sound: a list of broken ones is not too short.
    return [
        error
        for error in invalid.errors(include_url=False, include_context=True)
        if error["type"] != "too_short" or not error["input"]
    ]


def _problem(error: ErrorDetails) -> Problem:
    location, kind = error["loc"], error["type"]
    path = strict.path(location)
    value = error["input"]
    if kind == "missing" or isinstance(value, dict | list | tuple):
        value = None  # the object around it, or as much of one as somebody cared to send
    if kind == "extra_forbidden":
        found = strict.problem(error, _fields(location[:-1]))
        return Problem(path, value, found.message, found.choices)
    if kind == "provider":
        return Problem(path, value, error["msg"], ("xai",))
    if kind in _MESSAGES:
        return Problem(path, value, _MESSAGES[kind])
    found = strict.problem(error, [])
    return Problem(path, value, found.message, found.choices)


def _fields(location: tuple[int | str, ...]) -> list[str]:
    """The fields that the schema knows at a place."""
    noun: type[BaseModel] = FilmRequest
    for part in location:
        if isinstance(part, str):
            by_alias = {field.alias or name: field for name, field in noun.model_fields.items()}
            noun = _noun_in(by_alias[part].annotation) or noun
    return [field.alias or name for name, field in noun.model_fields.items()]


def _noun_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_noun_in, get_args(annotation))), None)


# -- what remains of a broken script ---------------------------------------------------------------


def _names(document: dict[str, Any]) -> list[str]:
    """Who is meant to be in the cast, in however broken an entry."""
    cast = document.get("cast")
    members = cast if isinstance(cast, list) else []
    ids = [member.get("id") for member in members if isinstance(member, dict)]
    return [name for name in ids if isinstance(name, str)]


def _mended(document: dict[str, Any], errors: list[ErrorDetails]) -> FilmRequest | None:
    """The script without what is out of shape, so that the rest is checked in the same go."""
    mended = copy.deepcopy(document)
    for _ in range(MAX_MENDINGS):
        if len(errors) > MAX_MENDED_ERRORS:
            return None
        for error in errors:
            _mend(mended, error)
        try:
            return _film(mended)
        except ValidationError as invalid:
            errors = _errors(invalid)
    return None


def _mend(document: dict[str, Any], error: ErrorDetails) -> None:
    """Takes one value away; a required one is replaced by one that nothing can be said against."""
    *way, last = error["loc"]
    place: Any = document
    for part in way:
        place = place[part]
    index = next((part for part in reversed(error["loc"]) if isinstance(part, int)), 0)
    if isinstance(last, int):
        place[last] = _ELEMENTS[str(way[-1])](index)
    elif last in _REQUIRED and error["type"] != "extra_forbidden":
        place[last] = _REQUIRED[last](index)
    else:
        place.pop(last, None)


_ELEMENTS: dict[str, Callable[[int], dict[str, Any]]] = {
    "clips": lambda index: {"id": f"unnamed{index}", "duration": 15, "prompt": "-"},
    "cast": lambda index: {"id": f"unnamed{index}", "description": "-"},
    "dialogue": lambda index: {"speaker": "-", "line": ""},
    "overlays": lambda index: {"text": ""},
}
_REQUIRED: dict[str, Callable[[int], Any]] = {
    "schemaVersion": lambda index: "1.0",
    "requestId": lambda index: "unnamed",
    "clips": lambda index: [_ELEMENTS["clips"](index)],
    "id": lambda index: f"unnamed{index}",
    "description": lambda index: "-",
    "duration": lambda index: 15,
    "speaker": lambda index: "-",
    "line": lambda index: "",
    "text": lambda index: "",
    "enabled": lambda index: False,
}
