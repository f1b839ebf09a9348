"""A jobs file's text, read: its clips as clip requests, and all that is wrong with it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from videoconductor import intake
from videoconductor.clip import ClipRequest
from videoconductor.errors import InvalidRequest, Problem
from videoconductor.reading import document as document_in

MAX_CHARACTERS = 32 * 1024 * 1024
IGNORED = frozenset({"created", "updated", "workflow", "notes", "version", "schemaVersion"})
KNOWN = frozenset({"project", "defaultQualityMode", "modes", "clips"}) | IGNORED
IGNORED_OF_A_CLIP = frozenset({"notes"})
ID = "clipId"  # what a clip's `id` is called in a request
BLANK_IS_NONE = frozenset({"imageUrl", "lastFrameUrl", "sourceVideoUrl"})
NO_STILLS = "no stills are made here: give the clip an imageUrl"
NOT_HERE = {
    "firstFramePrompt": NO_STILLS,
    "imageModel": NO_STILLS,
    "imageResolution": NO_STILLS,
    "imageProvider": NO_STILLS,
    "thumbnail": "no thumbnails are made here",
    "clipId": "is called id here",
    "pipelineRequestId": "is the file's project here",
    "maxCostUsd": "is the option --max-cost-usd here",
    "quoteId": "quotes are for the API: use --max-cost-usd",
    "callbackUrl": "nobody is called back from here",
    "persistToFilebase": "clips are kept on this machine: use --download",
}


@dataclass(frozen=True)
class Clip:
    """One row of `clips`. `spelling` says how its fields are written in the file.

    `request` is missing where the row is out of shape.
    """

    index: int
    id: str
    request: ClipRequest | None
    spelling: Mapping[str, str] = field(default_factory=dict)

    def placed(self, problem: Problem) -> Problem:
        """A problem with the request, at its place in the file."""
        name, bracket, rest = problem.field.partition("[")
        written = self.spelling.get(name, "id" if name == ID else name)
        path = f"clips[{self.index}].{written}{bracket}{rest}"
        # Prompts are long and private: the place says which one is meant.
        value = None if name == "prompt" else problem.value
        return Problem(path, value, problem.message, problem.choices)


@dataclass(frozen=True)
class JobsFile:
    """A jobs file, as far as it could be read, with the problems found on the way."""

    project: str
    default_mode: str | None
    modes: Mapping[str, Mapping[str, Any]]
    clips: tuple[Clip, ...]
    problems: tuple[Problem, ...]


def jobs_file(text: str, stem: str) -> JobsFile:
    """The jobs file in a JSON text; `stem` is its name, for one that names no project.

    Raises InvalidRequest for a text that is no JSON object: all else is in `problems`.
    """
    if len(text) > MAX_CHARACTERS:
        raise InvalidRequest.of("body", None, f"is longer than {MAX_CHARACTERS} characters")
    document = document_in(text)
    problems = [
        Problem(name, None, "is not a known field", _choices(name))
        for name in document
        if name not in KNOWN
    ]
    project = _project(document.get("project"), stem, problems)
    default_mode = _default_mode(document.get("defaultQualityMode"), problems)
    modes = _modes(document.get("modes"), problems)
    clips = tuple(_clips(document.get("clips"), problems))
    return JobsFile(project, default_mode, modes, clips, tuple(problems))


def _choices(name: str) -> tuple[str, ...]:
    return tuple(difflib.get_close_matches(name[:64], KNOWN) or sorted(KNOWN))


def _project(value: Any, stem: str, problems: list[Problem]) -> str:
    if value is not None and not isinstance(value, str):
        problems.append(Problem("project", value, "must be a text"))
        return stem
    if value is None and not stem:
        problems.append(Problem("project", None, "is required where the file has no name"))
        return stem
    try:
        return intake.identifier("project", stem if value is None else value)
    except InvalidRequest as refused:
        problems += refused.problems
        return stem


def _default_mode(value: Any, problems: list[Problem]) -> str | None:
    if value is None or isinstance(value, str):
        return value
    problems.append(Problem("defaultQualityMode", value, "must be the name of a quality mode"))
    return None


def _modes(value: Any, problems: list[Problem]) -> Mapping[str, Mapping[str, Any]]:
    """What the file says of modes, for comparison only."""
    if value is None:
        return {}
    if isinstance(value, dict) and all(isinstance(row, dict) for row in value.values()):
        return value
    problems.append(Problem("modes", None, "must be an object of objects"))
    return {}


def _clips(value: Any, problems: list[Problem]) -> Iterator[Clip]:
    if not isinstance(value, list) or not value:
        message = "is required" if value is None else "must be a list of at least one clip"
        problems.append(Problem("clips", None, message))
        return
    first: dict[str, int] = {}
    for index, row in enumerate(value):
        if not isinstance(row, dict):
            problems.append(Problem(f"clips[{index}]", None, "must be an object"))
            continue
        clip, found = _clip(index, row)
        problems += found
        if clip.id and first.setdefault(clip.id, index) != index:
            twice = f"is the id of clips[{first[clip.id]}] too"
            problems.append(Problem(f"clips[{index}].id", clip.id, twice))
        yield clip


def _clip(index: int, row: Mapping[str, Any]) -> tuple[Clip, list[Problem]]:
    fields, spelling, found = _fields(row)
    clip_id = fields.get(ID)
    bare = Clip(index, clip_id if isinstance(clip_id, str) else "", None, spelling)
    if clip_id is None:
        found.append(Problem(ID, None, "is required"))
    try:
        request = intake.clip_request(json.dumps(fields))
    except InvalidRequest as refused:
        # `json.dumps` of what was read is JSON: what is refused are fields.
        found += refused.problems
        request = None
    clip = bare if found else Clip(index, bare.id, request, spelling)
    return clip, [bare.placed(problem) for problem in found]


def _fields(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
    """A row as the fields of a request: each under its one name, nothing left that says nothing."""
    fields: dict[str, Any] = {}
    spelling: dict[str, str] = {}
    found: list[Problem] = []
    spellings = _spellings()
    for written, value in row.items():
        name = spellings.get(written)
        if name is None:
            found += _unknown(written, spellings)
        elif name in spelling:
            found.append(Problem(written, None, f"is given as {spelling[name]} too"))
        else:
            spelling[name] = written
            if not _says_nothing(name, value):
                fields[name] = value
    seconds = fields.get("duration")
    if isinstance(seconds, float):  # JSON has one kind of number: 10.0 is 10
        fields["duration"] = int(seconds) if seconds.is_integer() else None
        if fields["duration"] is None:
            found.append(Problem("duration", seconds, "must be whole seconds"))
    return fields, spelling, found


def _unknown(written: str, spellings: Mapping[str, str]) -> list[Problem]:
    if written in IGNORED_OF_A_CLIP:
        return []
    for name, known in ClipRequest.model_fields.items():
        alias = known.alias or name
        if written in {name, alias} and alias in NOT_HERE:
            return [Problem(written, None, f"is not known here: {NOT_HERE[alias]}")]
    near = difflib.get_close_matches(written[:64], spellings)
    return [Problem(written, None, "is not a known field", tuple(near or _names(spellings)))]


def _names(spellings: Mapping[str, str]) -> list[str]:
    return ["id", *sorted(set(spellings.values()) - {ID})]


def _spellings() -> dict[str, str]:
    """Each way to write a field, and the field: requests are camelCase, xAI's own are not."""
    found = {"id": ID}
    for name, known in ClipRequest.model_fields.items():
        alias = known.alias or name
        if alias not in NOT_HERE:
            found |= {alias: alias, name: alias}
    return found


def _says_nothing(name: str, value: Any) -> bool:
    is_blank = name in BLANK_IS_NONE and isinstance(value, str) and not value.strip()
    return value is None or is_blank
