"""What is told beside the inbox: that a file was accepted or refused, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ValidationError

from videoconductor import views
from videoconductor.clip import SETTLED, FilmClip, FilmRun, Inbox, Noun, Render, Status
from videoconductor.errors import (
    FilmNotFound,
    KeyTaken,
    LibraryUnavailable,
    QuoteRequired,
    RenderNotFound,
    VideoConductorError,
)
from videoconductor.spending import Standings

if TYPE_CHECKING:
    from videoconductor.library import Library
    from videoconductor.manifest import Manifest

Kind = Literal["accepted", "result", "error"]
KINDS: tuple[Kind, ...] = ("accepted", "result", "error")
Message = tuple[Kind, dict[str, Any]]
# A run as it stands, its clips and their renders by id.
FindFilm = Callable[[str, str], tuple[FilmRun, Sequence[FilmClip], dict[str, Render]]]

_ROUNDS = 10

ADVICE_FAILED = (
    "mend what the error names and put the file again, or retry the render: docs/operating.md "
    "says which of the two, and what it costs"
)
ADVICE_FILM = (
    "put the file again: the run that it starts takes what is there, fetches what may still be "
    "had and pays only for what came to nothing"
)


class Told(Noun):
    """What was written to the outbox, and where; `nothing` if there was no need."""

    outcome: Literal["accepted", "result", "error", "nothing"] = "nothing"
    key: str | None = None


def write(library: Library, inbox: Inbox, compose: Callable[[], Message | None]) -> Told:
    """Write what `compose` gives to the outbox, unless it gives nothing.

    Nothing is written about a version of a file once something was about a newer one. `compose`
    is asked again when somebody else wrote meanwhile, so that whoever writes last knows what all
    others knew. Raises LibraryUnavailable.
    """
    for _ in range(_ROUNDS):
        found = {kind: library.document(library.outbox_key(inbox.key, kind)) for kind in KINDS}
        if any(_is_newer(content, inbox) for content, _ in found.values()):
            return Told()
        composed = compose()
        if composed is None:
            return Told()
        kind, body = composed
        key, (before, etag) = library.outbox_key(inbox.key, kind), found[kind]
        whole = {"inbox": inbox.model_dump(mode="json"), **body}
        content = json.dumps(whole, indent=2, ensure_ascii=False).encode("utf-8", "replace")
        if content != before:
            try:
                library.swap_document(key, content, etag)
            except KeyTaken:
                continue
        return Told(outcome=kind, key=key)
    raise LibraryUnavailable(f"the outbox changed {_ROUNDS} times while being written")


def is_refused(library: Library, inbox: Inbox) -> bool:
    """Whether the outbox says of this very version that it came to nothing."""
    content, _ = library.document(library.outbox_key(inbox.key, "error"))
    found = _about(content)
    return found is not None and found.version_id == inbox.version_id


def refusal(refused: VideoConductorError) -> Message:
    """What is told of a file that was refused whole: RFC 9457 problem details."""
    problem = views.problem(refused)
    if isinstance(refused, QuoteRequired):
        problem["quote"] = views.quote_in_short(refused.quote)
    return "error", {"success": False, **problem}


def tell(
    detail: Mapping[str, Any], manifest: Manifest, library: Library, find_film: FindFilm
) -> Told:
    """Tell beside the inbox what came of a render or a run, if a file asked for it.

    `detail`, an event's, says no more than which one it is: what is told is what is on record,
    whatever event comes late or twice.
    """
    try:
        if "renderId" in detail:
            name = str(detail["renderId"])
            inbox = manifest.read(name).inbox
            compose: Callable[[], Message | None] = lambda: of_render(  # noqa: E731
                manifest.read(name), library.uri, Standings(manifest.caps())
            )
        else:
            film, run_id = str(detail["filmId"]), str(detail["runId"])
            inbox = manifest.run(film, run_id).inbox
            compose = lambda: of_film(*find_film(film, run_id), library.uri)  # noqa: E731
    except (RenderNotFound, FilmNotFound):
        return Told()  # somebody removed the record by hand
    return Told() if inbox is None else write(library, inbox, compose)


def of_render(
    render: Render, uri_of: Callable[[str], str], standings: Standings | None = None
) -> Message | None:
    """What is told of a render: nothing while it is under way. `uri_of` tells where a key is."""
    if render.status not in SETTLED:
        return None
    detail = views.detail(render, uri_of, standings=standings)
    if render.status == "finalized":
        return "result", {"success": True, **detail}
    failure = render.failure
    problem = _problem(
        TITLES[render.status],
        f"{failure.error}: {failure.message}" if failure else render.status,
        views.advice(render) or ADVICE_FAILED,
    )
    return "error", {**problem, "render": detail}


def of_film(
    run: FilmRun,
    clips: Sequence[FilmClip],
    renders: Mapping[str, Render],
    uri_of: Callable[[str], str],
) -> Message | None:
    """What is told of a run of a script: nothing while it goes on."""
    if run.status == "running":
        return None
    detail = views.film_detail(run, clips, renders)
    for row in detail["clips"]:
        render = renders.get(row["renderId"])
        row["url"] = uri_of(render.clip.key) if render is not None and render.clip else None
    if run.status == "finished":
        return "result", {"success": True, **detail}
    words = f"{run.done} of {run.total} clips are there; each of the others says why it is not"
    return "error", {**_problem(f"The film is {run.status}", words, ADVICE_FILM), "film": detail}


TITLES: dict[Status, str] = {
    "failed": "The render has failed",
    "cancelled": "The render was cancelled",
    "stalled": "The render is stalled",
    "submit_unknown": "Nobody knows whether the render was accepted",
}


def _problem(title: str, words: str, advice: str) -> dict[str, Any]:
    return {
        "success": False,
        "type": "about:blank",
        "title": title,
        "detail": words[: views.MAX_DETAIL],
        "advice": advice,
    }


def _is_newer(content: bytes | None, inbox: Inbox) -> bool:
    found = _about(content)
    return found is not None and found.is_newer_than(inbox)


def _about(content: bytes | None) -> Inbox | None:
    """Which version a document of the outbox is about; None if it is none of ours."""
    try:
        return Inbox.model_validate(json.loads(content or b"{}")["inbox"])
    except (ValueError, KeyError, TypeError, RecursionError, ValidationError):
        return None
