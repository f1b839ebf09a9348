"""What a call of the client can end with. `str()` of each is for a person to read.

ClientError
├── ApiError            what the API answered, or that it did not
│   ├── InvalidRequest  the request is at fault; `problems` says where
│   ├── QuoteRequired   it costs much, and was neither quoted nor limited: `quote` says what
│   ├── OverBudget      a cap of the stack leaves no room for it: `budget` says which
│   ├── NotFound        there is no such render, film or run
│   ├── Conflict        its state does not allow it, or the key came with another request
│   ├── Unauthorized    there are no credentials, or the API does not let these in
│   └── Unavailable     no answer, or none of use: ask again, with the same key
├── RenderFailed        a render came to rest without its clip
├── FilmIncomplete      a run of a film is over and not whole
├── StillRunning        the time to wait is over, and the work goes on
└── NotKept             a file could not be put where it belongs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from videoconductor.errors import Problem, VideoConductorError

if TYPE_CHECKING:
    from videoconductor.client.results import Film, Quote, VideoRender

ASK_AGAIN = frozenset({429, 500, 502, 503, 504})
NOT_LET_IN = frozenset({401, 403})


class ClientError(VideoConductorError):
    """Root of the tree."""


class ApiError(ClientError):
    """What the API answered, or that it did not: then there is no `status`.

    `title`, `detail` and `document` are the problem's (RFC 9457), as far as there was one.
    """

    def __init__(
        self, words: str, *, status: int | None = None, document: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(words)
        self.status = status
        self.document: dict[str, Any] = dict(document or {})

    @property
    def title(self) -> str | None:
        """What went wrong, in a few words."""
        return self.document.get("title")

    @property
    def detail(self) -> str | None:
        """What went wrong this time."""
        return self.document.get("detail")


class InvalidRequest(ApiError):
    """The request is at fault; `problems` says where. Nothing was written, nothing was spent."""

    def __init__(self, words: str, problems: Sequence[Problem] = (), **fields: Any) -> None:
        super().__init__(words, **fields)
        self.problems = tuple(problems)


class QuoteRequired(ApiError):
    """It costs more than may be spent without a quote or a limit. Nothing was spent."""

    @property
    def quote(self) -> Quote:
        """What it would cost; with its `id` the same request is accepted."""
        from videoconductor.client.results import Quote

        return Quote(self.document.get("quote") or {})


class OverBudget(ApiError):
    """A cap of the stack, or the kill switch, leaves no room for it. Nothing was spent."""

    @property
    def budget(self) -> dict[str, Any]:
        """The cap, what stands under it, and the `change` that makes room."""
        return dict(self.document.get("budget") or {})


class NotFound(ApiError):
    """There is no such render, film or run."""


class Conflict(ApiError):
    """Its state does not allow it, or the key came with another request before."""


class Unauthorized(ApiError):
    """There are no credentials, or the API does not let these in."""


class Unavailable(ApiError):
    """No answer, or none of use: ask again.

    `key` is the Idempotency-Key that was sent: with it, what may have been accepted is not paid
    for twice.
    """

    key: str | None = None


class RenderFailed(ClientError):
    """A render came to rest without its clip."""

    def __init__(self, render: VideoRender) -> None:
        words = [f"render {render.id} is {render.status}"]
        words += [str(render.error)] if render.error else []
        words += [render.advice] if render.advice else []
        super().__init__("; ".join(words))
        self.render = render


class FilmIncomplete(ClientError):
    """A run of a film is over and not whole."""

    def __init__(self, film: Film) -> None:
        lacking = ", ".join(f"{clip.clip_id} ({clip.status})" for clip in film.missing[:10])
        more = "" if len(film.missing) <= 10 else f" and {len(film.missing) - 10} more"
        super().__init__(f"film {film.id}, run {film.run_id}, is {film.status}: {lacking}{more}")
        self.film = film


class StillRunning(ClientError):
    """The time to wait is over, and the work goes on: `found` is how it stood last."""

    def __init__(self, found: VideoRender | Film) -> None:
        super().__init__(f"{found.id} is still {found.status}; it goes on, wait for it again")
        self.found = found


class NotKept(ClientError):
    """A file could not be put where it belongs, or is not the one on record."""


def refusal(status: int, reason: str, document: Mapping[str, Any] | None) -> ApiError:
    """An answer that is no success, as an error. `document` is its JSON, if it had any."""
    fields = dict(document or {})
    words = [str(fields.get("title") or fields.get("message") or reason)]
    problems = [_problem(found) for found in fields.get("errors") or ()]
    if problems:
        words += [f"  {found}" for found in problems]
    elif fields.get("detail"):
        words += [f"  {fields['detail']}"]
    text = "\n".join(words)
    if status in NOT_LET_IN:
        words_then = f"the API does not let these AWS credentials in ({status}): {text}"
        return Unauthorized(words_then, status=status, document=fields)
    if status == 402 and "budget" in fields:
        return OverBudget(text, status=status, document=fields)
    if status == 402:
        return QuoteRequired(text, status=status, document=fields)
    if status == 404:
        return NotFound(text, status=status, document=fields)
    if status == 409:
        return Conflict(text, status=status, document=fields)
    if 400 <= status < 500 and status not in ASK_AGAIN:
        return InvalidRequest(text, problems, status=status, document=fields)
    return Unavailable(f"the API answered {status}: {text}", status=status, document=fields)


def _problem(found: Mapping[str, Any]) -> Problem:
    return Problem(
        str(found.get("field")),
        found.get("value"),
        str(found.get("message")),
        tuple(found.get("choices") or ()),
    )
