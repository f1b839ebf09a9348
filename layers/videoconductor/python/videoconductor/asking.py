"""Requests that come without anybody waiting for an answer: as a file, or as an event's detail."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from videoconductor import details, intake, reading, views
from videoconductor.clip import ClipRequest, FilmOrder, Inbox, Noun
from videoconductor.details import FieldError, RefusalDetail
from videoconductor.errors import (
    IdempotencyConflict,
    InvalidRequest,
    OverBudget,
    Problem,
    QuoteRequired,
    VideoConductorError,
)

if TYPE_CHECKING:
    from videoconductor.conductor import Conductor
    from videoconductor.director import Director
    from videoconductor.events import Events

# What is the request's fault, and stays so however often it is tried.
REFUSALS = (InvalidRequest, IdempotencyConflict, OverBudget, QuoteRequired)
# What tells a script from a clip request; the one or the other.
OF_A_SCRIPT = frozenset({"clips", "schemaVersion"})
_WRAPPING = ("script", "order")


@dataclass(frozen=True)
class Scripted:
    """A script's text and how it is to be made; `is_wrapped` when both stood in one document."""

    text: str
    order: FilmOrder
    is_wrapped: bool = False


Asked = ClipRequest | Scripted


class Taken(Noun):
    """What came of an event that may have asked for something."""

    outcome: Literal["accepted", "refused", "ignored"]
    render_id: str | None = None
    film: str | None = None
    run_id: str | None = None
    inbox: Inbox | None = None
    errors: tuple[FieldError, ...] = ()


@dataclass(frozen=True)
class Reception:
    """What doors without an answer need. `director` is looked for when a script comes."""

    conductor: Conductor
    director: Callable[[], Director]
    events: Events

    def accept(
        self, asked: Asked, caller: str, key: str, inbox: Inbox | None = None
    ) -> tuple[dict[str, Any], Taken]:
        """Have it made, once for each key; the answer that an HTTP request would get.

        Raises one of REFUSALS, or what may be tried again.
        """
        if isinstance(asked, ClipRequest):
            render = self.conductor.accept(asked, caller, key, inbox)
            taken = Taken(outcome="accepted", render_id=render.render_id, inbox=inbox)
            return views.accepted(render), taken
        try:
            run, clips = self.director().accept(asked.text, asked.order, caller, key, inbox)
        except InvalidRequest as refused:
            raise _placed(refused) if asked.is_wrapped else refused from None
        taken = Taken(outcome="accepted", film=run.film, run_id=run.run_id, inbox=inbox)
        return views.film_accepted(run, clips), taken

    def refuse(
        self,
        event: Mapping[str, Any],
        refused: VideoConductorError,
        inbox: Inbox | None = None,
    ) -> Taken:
        """Tell on the bus that nothing came of an event. Raises EventsUnavailable."""
        errors, more = details.field_errors(refused)
        detail = RefusalDetail(
            source=event["source"],
            detail_type=event["detail-type"],
            event_id=event["id"],
            inbox=inbox,
            errors=errors,
            more_errors=more,
            quote=details.quoted(refused),
        )
        self.events.refused(detail.model_dump(mode="json"))
        return Taken(outcome="refused", inbox=inbox, errors=errors)


def in_file(content: bytes) -> Asked:
    """What a file asks for: a clip request, a script, or `{"script": …, "order": …}`.

    A byte order mark at its start is passed over. Raises InvalidRequest with every problem.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest.of("body", None, "is not UTF-8 text") from None
    if not text.strip():
        raise InvalidRequest.of("body", None, "is empty: a JSON object is required")
    document = reading.document(text)
    if "script" in document:
        return _wrapped(document, _WRAPPING)
    if OF_A_SCRIPT & document.keys():
        return Scripted(text, FilmOrder())
    return intake.clip_request(text)


def in_detail(detail_type: str, detail: Any) -> tuple[Asked, str | None]:
    """What an event's detail asks for, and the key that it may have been given.

    Raises InvalidRequest with every problem.
    """
    document = reading.document(json.dumps(detail))
    key = document.pop("idempotencyKey", None)
    problems: list[Problem] = []
    if key is not None and not _is_key(key):
        words = f"must have 1 to {details.MAX_KEY_CHARACTERS} printable characters"
        problems.append(Problem("idempotencyKey", key, words))
    try:
        if detail_type == details.FILM_REQUESTED:
            asked: Asked = _wrapped(document, (*_WRAPPING, "idempotencyKey"))
        else:
            asked = intake.clip_request(json.dumps(document))
    except InvalidRequest as refused:
        raise InvalidRequest([*problems, *refused.problems]) from None
    if problems:
        raise InvalidRequest(problems)
    return asked, key


def _is_key(key: Any) -> bool:
    is_text = isinstance(key, str) and key.isprintable()
    return is_text and 0 < len(key) <= details.MAX_KEY_CHARACTERS


def _wrapped(document: dict[str, Any], known: tuple[str, ...]) -> Scripted:
    """The script in a document and the order beside it, or all that is wrong with both."""
    problems = [
        Problem(reading.shown_name(name), None, "is not a known field", known)
        for name in document
        if name not in known
    ]
    order = FilmOrder()
    if not isinstance(given := document.get("order", {}), dict):
        problems.append(Problem("order", None, "must be a JSON object"))
    else:
        try:
            order = intake.film_order_document(given)
        except InvalidRequest as refused:
            problems += [replace(p, field=f"order.{p.field}") for p in refused.problems]
    if not isinstance(script := document.get("script"), dict):
        raise InvalidRequest([*problems, Problem("script", None, "is required: a JSON object")])
    text = json.dumps(script, ensure_ascii=False)
    if problems:
        raise InvalidRequest([*problems, *_script_problems(text)])
    return Scripted(text, order, is_wrapped=True)


def _script_problems(text: str) -> list[Problem]:
    from videoconductor import script  # what asks for a single clip never reads it

    found = script.reading(text).problems
    return list(_placed(script.refusal(found)).problems) if found else []


def _placed(refused: InvalidRequest) -> InvalidRequest:
    """Problems of a script and its order at their places in the document around both."""
    of_order = {field.alias for field in intake.OrderDocument.model_fields.values()}

    def placed(problem: Problem) -> Problem:
        if problem.field == "body":
            return problem
        is_ordered = problem.field.partition("[")[0] in of_order
        return replace(problem, field=f"{'order' if is_ordered else 'script'}.{problem.field}")

    return InvalidRequest([placed(problem) for problem in refused.problems])
