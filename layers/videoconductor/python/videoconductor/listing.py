"""Lists of renders and of runs, newest first: which are wanted, and where a page ends."""

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar, get_args

from videoconductor import intake, reading
from videoconductor.clip import FilmRun, FilmStatus, Noun, Render, Status
from videoconductor.errors import InvalidRequest, Problem
from videoconductor.quality import QualityModes

MAX_LIMIT = 100
_MAX_POSITION_BYTES = 512  # a moment, and the id of a render
T = TypeVar("T", Render, FilmRun)
_A_MOMENT = "must be a date and time with its zone, such as 2026-11-22T20:15:00Z"


class Wanted(Noun):
    """Which renders or runs a list is of, and which page of it.

    What is not given leaves all in. `requested_after` is meant with that moment,
    `requested_before` without it. A page begins below `position`, which the one before it gave.
    """

    statuses: tuple[Status | FilmStatus, ...] = ()
    film: str | None = None
    mode: str | None = None
    requested_after: datetime | None = None
    requested_before: datetime | None = None
    limit: int = 50
    position: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether each render or run that is come across is wanted."""
        return not self.statuses and self.film is None and self.mode is None

    def takes(self, one: Render | FilmRun) -> bool:
        """Whether a render or a run, of the time that is wanted, belongs into the list."""
        if self.statuses and one.status not in self.statuses:
            return False
        if isinstance(one, FilmRun):
            return self.film in {None, one.film}
        return self.film in {None, one.pipeline_request_id} and self.mode in {
            None,
            one.plan.quality_mode,
        }

    @property
    def ceiling(self) -> str | None:
        """The position below which everything wanted lies."""
        moment = self.requested_before
        before = None if moment is None else position_of(moment)
        known = [place for place in (self.position, before) if place is not None]
        return min(known, default=None)

    @property
    def floor(self) -> str | None:
        """The position below which nothing wanted lies."""
        return None if self.requested_after is None else position_of(self.requested_after)


@dataclass(frozen=True)
class Page(Generic[T]):
    """Renders or runs, newest first, and the position to go on from; None at the end of all."""

    found: tuple[T, ...]
    position: str | None


def position_of(moment: datetime) -> str:
    """The position just above everything that was asked for before a moment: see Render.order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment_of(position: str) -> datetime:
    """The moment of a position. Raises ValueError or OverflowError for what is none."""
    moment = datetime.fromisoformat(position.partition("#")[0])
    if moment.tzinfo is None:
        raise ValueError("has no zone")
    return moment.astimezone(UTC)


def cursor(position: str) -> str:
    """A position as callers carry it from page to page."""
    return base64.urlsafe_b64encode(position.encode()).decode()


def position(cursor: str) -> str:
    """The position that a cursor stands for. Raises ValueError or OverflowError for others."""
    found = base64.urlsafe_b64decode(cursor.encode()).decode()
    if len(found.encode()) > _MAX_POSITION_BYTES:
        raise ValueError("is too long")
    moment_of(found)
    return found


def wanted(
    given: Mapping[str, Sequence[str]], modes: QualityModes, known: "Fields | None" = None
) -> Wanted:
    """What a query asks for: `status`, which may be given several times, `film`, `mode`,
    `requestedAfter`, `requestedBefore`, `limit` and `cursor`.

    `known` are the parameters there are: FIELDS, or RUN_FIELDS for runs. Raises InvalidRequest
    with every problem, naming the choices.
    """
    known = known or FIELDS
    fields: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, values in given.items():
        if name not in known:
            problems.append(unknown(name, known))
        elif len(values) > 1 and name != "status":
            problems.append(Problem(name, values[1], "is given twice"))
        else:
            field, read = known[name]
            try:
                fields[field] = read(values, modes)
            except InvalidRequest as wrong:
                problems += [replace(problem, field=name) for problem in wrong.problems]
    if problems:
        raise InvalidRequest(problems[: reading.MAX_PROBLEMS])
    found = Wanted(**fields)
    after, before = found.requested_after, found.requested_before
    if after is not None and before is not None and not after < before:
        raise InvalidRequest.of(
            "requestedAfter", after.isoformat(), "is not before requestedBefore"
        )
    return found


def unknown(name: str, choices: Sequence[str] | Mapping[str, Any]) -> Problem:
    """What is wrong with a query parameter that nobody knows."""
    if not choices:
        return Problem(reading.shown_name(name), None, "is not known: no query is taken here")
    return Problem(reading.shown_name(name), None, "is not known", tuple(choices))


def _statuses(values: Sequence[str], modes: QualityModes) -> tuple[str, ...]:
    return _among(values, get_args(Status))


def _run_statuses(values: Sequence[str], modes: QualityModes) -> tuple[str, ...]:
    return _among(values, get_args(FilmStatus))


def _among(values: Sequence[str], known: tuple[str, ...]) -> tuple[str, ...]:
    wrong = next((value for value in values if value not in known), None)
    if wrong is not None:
        raise InvalidRequest.of("status", wrong, "is not a status", known)
    return tuple(dict.fromkeys(values))


def _film(values: Sequence[str], modes: QualityModes) -> str:
    return intake.identifier("film", values[0])


def _mode(values: Sequence[str], modes: QualityModes) -> str:
    return modes.find(values[0])[0]


def _moment(values: Sequence[str], modes: QualityModes) -> datetime:
    try:
        if "#" in values[0]:
            raise ValueError
        return moment_of(values[0])
    except (ValueError, OverflowError):
        # An unencoded + arrives as a blank: the commonest mistake there is.
        hint = "; + is %2B in a query" if " " in values[0] else ""
        raise InvalidRequest.of("moment", values[0], f"{_A_MOMENT}{hint}") from None


def _limit(values: Sequence[str], modes: QualityModes) -> int:
    return intake.whole_number("limit", values[0], 1, MAX_LIMIT)


def _position(values: Sequence[str], modes: QualityModes) -> str:
    try:
        return position(values[0])
    except (ValueError, OverflowError):
        raise InvalidRequest.of("cursor", values[0], "is not the nextCursor of a page") from None


Fields = Mapping[str, tuple[str, Callable[[Sequence[str], QualityModes], Any]]]
FIELDS: Fields = {
    "status": ("statuses", _statuses),
    "film": ("film", _film),
    "mode": ("mode", _mode),
    "requestedAfter": ("requested_after", _moment),
    "requestedBefore": ("requested_before", _moment),
    "limit": ("limit", _limit),
    "cursor": ("position", _position),
}
RUN_FIELDS: Fields = {
    **{name: read for name, read in FIELDS.items() if name != "mode"},
    "status": ("statuses", _run_statuses),
}
