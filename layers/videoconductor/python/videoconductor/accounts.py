"""Questions about money, and changes of caps, as somebody asks for them; the rows of an answer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictStr, WithJsonSchema

from videoconductor import budgets, identity, intake, listing, reading
from videoconductor.budgets import Caps, Scope
from videoconductor.clip import MAX_USD, Label, Noun, Usd
from videoconductor.errors import InvalidRequest, Problem
from videoconductor.ledger import Entry

By = Literal["render", "film", "caller", "tag", "day", "month", "model", "run"]
BY: tuple[By, ...] = ("render", "film", "caller", "tag", "day", "month", "model", "run")
MAX_DAYS = 93
MAX_ENTRIES = 50_000
MAX_ROWS = 10_000
EVERYBODY = "*"
INHERIT = "inherit"
CALLER = "^[!-~]{1,256}$"  # with the month before it, a counter's name
_A_DAY = "must be a day such as 2026-11-22"
DECIMALS = 10  # of a US dollar: ticks are not divided
_AMOUNT = (
    f"must be a number of US dollars from 0 to {MAX_USD:,} with at most {DECIMALS} decimals, "
    "or null for no cap"
)


# ── Caps ─────────────────────────────────────────────────────────────────────────────────────────


def _amount(value: Any) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(_AMOUNT)
    found = Decimal(str(value))
    if not is_amount(found):
        raise ValueError(_AMOUNT)
    return found


def is_amount(amount: Decimal) -> bool:
    """Whether a cap can be this, to the tick; -0 is a slip and no amount."""
    if not amount.is_finite() or amount.is_signed() or amount > MAX_USD:
        return False
    return amount == amount.quantize(Decimal(1).scaleb(-DECIMALS))


def _own_amount(value: Any) -> Decimal | Literal["inherit"] | None:
    try:
        return "inherit" if value == INHERIT else _amount(value)
    except ValueError:
        raise ValueError(f'{_AMOUNT}; "{INHERIT}" takes a name\'s own cap away') from None


_USD_SCHEMA: dict[str, Any] = {"type": ["number", "null"], "minimum": 0, "maximum": MAX_USD}
Amount = Annotated[Usd | None, BeforeValidator(_amount), WithJsonSchema(_USD_SCHEMA)]
OwnAmount = Annotated[
    Decimal | Literal["inherit"] | None,
    BeforeValidator(_own_amount),
    WithJsonSchema({"anyOf": [_USD_SCHEMA, {"const": INHERIT}]}),
]


class NewCaps(Noun):
    """Caps that are to be others, in US dollars: what is not given stays; null is no cap.

    `film` and `caller` are by name: `*` is the cap of all that have none of their own.
    """

    render: Amount = None
    film: dict[StrictStr, OwnAmount] = Field(default_factory=dict)
    caller: dict[StrictStr, OwnAmount] = Field(default_factory=dict)
    day: Amount = None
    month: Amount = None

    def put_over(self, caps: Caps) -> Caps:
        """Caps with these put over them. Raises InvalidRequest."""
        for scope in ("render", "day", "month"):
            if scope in self.model_fields_set:
                caps = caps.with_cap(scope, None, getattr(self, scope))
        for name, amount in self.film.items():
            caps = _with_own(caps, "film", name, amount)
        for name, amount in self.caller.items():
            caps = _with_own(caps, "caller", name, amount)
        return caps


class CapsChange(Noun):
    """A change of caps, all of it or nothing."""

    caps: NewCaps


class StopOrder(Noun):
    """Why spending is to stop."""

    reason: Label | None = None


def caps_change(text: str) -> NewCaps:
    """The caps in a JSON text `{"caps": {…}}`. Raises InvalidRequest with every problem."""
    document = reading.document(text)
    problems = [
        Problem(reading.shown_name(name), None, "is not a known field", ("caps",))
        for name in document
        if name != "caps"
    ]
    given = document.get("caps")
    if not isinstance(given, dict) or not given:
        problems.append(Problem("caps", given, "must be an object of caps", budgets.SCOPES))
    if problems or not isinstance(given, dict):
        raise InvalidRequest(problems[: reading.MAX_PROBLEMS])
    # What an amount is to the last digit is lost in a float.
    problems = list(_wrong_caps(json.loads(text, parse_float=_exact)["caps"]))
    if problems:
        raise InvalidRequest(problems[: reading.MAX_PROBLEMS])
    try:
        return intake.given(NewCaps, given)
    except InvalidRequest as refused:
        raise InvalidRequest(
            [replace(p, field=f"caps.{p.field}") for p in refused.problems]
        ) from None


def _wrong_caps(given: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with caps as they were written, each under its own name."""
    for scope, caps in given.items():
        field_name = f"caps.{reading.shown_name(scope)}"
        if scope not in budgets.SCOPES:
            yield Problem(field_name, None, "is not a known cap", budgets.SCOPES)
        elif scope not in budgets.NAMED:
            yield from _wrong_amount(field_name, caps, _amount)
        elif not isinstance(caps, dict):
            words = f'must be an object of caps by name; "{EVERYBODY}" is that of all others'
            yield Problem(field_name, _plain(caps), words)
        else:
            for name, cap in caps.items():
                of_one = f"{field_name}.{reading.shown_name(name)}"
                if wrong := _wrong_name(scope, name, cap):
                    yield Problem(of_one, None, wrong)
                else:
                    yield from _wrong_amount(of_one, cap, _own_amount)


def _wrong_amount(name: str, value: Any, read: Callable[[Any], Any]) -> Iterator[Problem]:
    try:
        read(value)
    except ValueError as wrong:
        yield Problem(name, _plain(value), str(wrong))


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _exact(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # its exponent is beyond all bounds
        return Decimal("NaN")


def stop_order(text: str) -> StopOrder:
    """The StopOrder in a JSON text. Raises InvalidRequest."""
    return intake.given(StopOrder, reading.document(text))


def caller_named(name: str) -> str:
    """A caller as entries name them: a role is the same in each of its sessions.

    Raises InvalidRequest for what cannot be one.
    """
    if not re.fullmatch(CALLER, name) or name.endswith("\n"):
        words = "is no caller: an ARN, or token:NAME, of at most 256 characters without blanks"
        raise InvalidRequest.of("caller", name, words)
    return identity.principal(name)


def _wrong_name(scope: Scope, name: str, amount: Any) -> str | None:
    if name == EVERYBODY:
        return f'cannot be "{INHERIT}": there is no other cap' if amount == INHERIT else None
    try:
        _film(name) if scope == "film" else caller_named(name)
    except InvalidRequest as refused:
        return f"has a name that {refused.problems[0].message}"
    return None


def _with_own(caps: Caps, scope: Scope, name: str, amount: Decimal | str | None) -> Caps:
    if name == EVERYBODY:
        return caps.with_cap(scope, None, None if isinstance(amount, str) else amount)
    known = caller_named(name) if scope == "caller" else name
    if isinstance(amount, str):
        return caps.without_own(scope, known)
    return caps.with_cap(scope, known, amount)


# ── Questions ────────────────────────────────────────────────────────────────────────────────────


class Question(Noun):
    """Which entries of the ledger are asked for, and how they are to be grouped.

    Days are those on which POSTs were permitted (UTC), both included. What is None leaves all in;
    a tag of "" is that of POSTs without one.
    """

    by: By = "film"
    first: date
    last: date
    film: str | None = None
    caller: str | None = None
    tag: str | None = None
    render: str | None = None
    run: str | None = None

    def days(self, today: date) -> Iterator[str]:
        """The days that can have entries, in order."""
        return days(self.first, min(self.last, today))

    def takes(self, entry: Entry) -> bool:
        """Whether an entry is asked for."""
        return (
            self.film in {None, entry.film}
            and self.caller in {None, entry.caller}
            and self.tag in {None, entry.tag or ""}
            and self.render in {None, entry.render_id}
            and self.run in {None, entry.run_id}
        )


def days(first: date, last: date) -> Iterator[str]:
    """Each day from one to another, both included."""
    for number in range((last - first).days + 1):
        yield (first + timedelta(days=number)).isoformat()


def question(given: Mapping[str, Sequence[str]], now: datetime) -> Question:
    """What a query asks about costs: this month, by film, if it does not say.

    `format` is for whoever writes the answer. Raises InvalidRequest with every problem.
    """
    fields = _read(given, {**FIELDS, "format": ("", _format)})
    fields.pop("", None)
    today = now.astimezone(UTC).date()
    last = fields.setdefault("last", today)
    first = fields.setdefault("first", last.replace(day=1))
    _check_range(first, last)
    if (last - first).days >= MAX_DAYS:
        words = f"is more than {MAX_DAYS} days before to: narrow the range"
        raise InvalidRequest.of("from", first.isoformat(), words)
    return Question(**fields)


def span(given: Mapping[str, Sequence[str]]) -> tuple[date, date] | None:
    """The days that a query wants checked; None for all there are. Raises InvalidRequest."""
    fields = _read(given, {name: FIELDS[name] for name in ("from", "to")})
    if not fields:
        return None
    for field_name, other in (("first", "from"), ("last", "to")):
        if field_name not in fields:
            raise InvalidRequest.of(other, None, "is required where the other end is given")
    _check_range(fields["first"], fields["last"])
    return fields["first"], fields["last"]


def _check_range(first: date, last: date) -> None:
    if first > last:
        raise InvalidRequest.of("from", first.isoformat(), f"is after to, {last.isoformat()}")


def _read(given: Mapping[str, Sequence[str]], known: Fields) -> dict[str, Any]:
    problems: list[Problem] = []
    found: dict[str, Any] = {}
    for name, values in given.items():
        if name not in known:
            problems.append(listing.unknown(name, known))
        elif len(values) > 1:
            problems.append(Problem(name, values[1], "is given twice"))
        else:
            field_name, read = known[name]
            try:
                found[field_name] = read(values[0])
            except InvalidRequest as refused:
                problems += [replace(problem, field=name) for problem in refused.problems]
    if problems:
        raise InvalidRequest(problems[: reading.MAX_PROBLEMS])
    return found


def _by(text: str) -> str:
    if text not in BY:
        raise InvalidRequest.of("by", text, "is not known", BY)
    return text


def _format(text: str) -> str:
    if text not in FORMATS:
        raise InvalidRequest.of("format", text, "is not known", FORMATS)
    return text


def _day(text: str) -> date:
    try:
        if not _DAY.fullmatch(text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest.of("day", text, _A_DAY) from None


def _film(text: str) -> str:
    return intake.identifier("film", text)


def _text(text: str) -> str:
    return text


_DAY = re.compile(r"2[0-9]{3}-[0-9]{2}-[0-9]{2}", re.ASCII)
FORMATS = ("json", "csv")
Fields = Mapping[str, tuple[str, Callable[[str], Any]]]
FIELDS: Fields = {
    "by": ("by", _by),
    "from": ("first", _day),
    "to": ("last", _day),
    "film": ("film", _film),
    "caller": ("caller", caller_named),
    "tag": ("tag", _text),
    "render": ("render", _text),
    "run": ("run", _text),
}


# ── Rows ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Row:
    """What some POSTs cost, in ticks; `orchestration_usd` is AWS's part, and an estimate."""

    posts: int = 0
    reported: int = 0
    estimated: int = 0
    held: int = 0
    released: int = 0
    orchestration_usd: Decimal = Decimal(0)

    @property
    def settled(self) -> int:
        """What was settled: as xAI reported it, or as it was estimated where it did not."""
        return self.reported + self.estimated

    def add(self, other: Row) -> None:
        """Take another's POSTs in."""
        self.posts += other.posts
        self.reported += other.reported
        self.estimated += other.estimated
        self.held += other.held
        self.released += other.released
        self.orchestration_usd += other.orchestration_usd


@dataclass
class Post:
    """One POST, as its entries tell of it."""

    first: Entry
    settled_at: datetime | None = None
    held: int = 0
    settled: int = 0
    released: int = 0
    basis: str | None = None

    @property
    def open_seconds(self) -> float | None:
        """How long it took until it was settled; None if it was not."""
        if self.settled_at is None:
            return None
        return (self.settled_at - self.first.at).total_seconds()

    def row(self, orchestration_usd: Decimal) -> Row:
        """What it adds to a row."""
        is_reported = self.basis == "reported"
        return Row(
            posts=1,
            reported=self.settled if is_reported else 0,
            estimated=0 if is_reported else self.settled,
            held=self.held,
            released=self.released,
            orchestration_usd=orchestration_usd,
        )


def posts(entries: Iterable[Entry]) -> Iterator[Post]:
    """The POSTs that a day's entries are about: all entries of one are in the day of its permit.

    One that was settled to its estimate first and is reported later counts as reported.
    """
    found: dict[tuple[str, str, int], Post] = {}
    for entry in entries:
        post = found.setdefault((entry.render_id, entry.what, entry.attempt), Post(entry))
        post.held += entry.held_ticks
        post.settled += entry.settled_ticks
        post.released -= entry.held_ticks if entry.kind == "release" else 0
        if entry.basis is not None:
            post.basis, post.settled_at = entry.basis, post.settled_at or entry.at
    yield from found.values()


@dataclass
class Grouped:
    """Rows by name; None is what has no such name."""

    by: By
    rows: dict[str | None, Row] = field(default_factory=dict)
    totals: Row = field(default_factory=Row)

    def add(self, post: Post, orchestration_usd: Decimal) -> None:
        """Take a POST into its row, and into the totals. Raises InvalidRequest beyond MAX_ROWS."""
        made = post.row(orchestration_usd)
        name = NAMES[self.by](post.first)
        if name not in self.rows and len(self.rows) == MAX_ROWS:
            words = f"has more than {MAX_ROWS} rows: narrow the range, or group otherwise"
            raise InvalidRequest.of("by", self.by, words)
        self.rows.setdefault(name, Row()).add(made)
        self.totals.add(made)

    def sorted(self) -> list[tuple[str | None, Row]]:
        """The rows, the dearest first; days and months in their order."""
        if self.by in {"day", "month"}:
            return sorted(self.rows.items(), key=lambda row: row[0] or "")
        return sorted(
            self.rows.items(), key=lambda row: (-row[1].settled, -row[1].held, row[0] or "")
        )


NAMES: Mapping[By, Callable[[Entry], str | None]] = {
    "render": lambda entry: entry.render_id,
    "film": lambda entry: entry.film,
    "caller": lambda entry: entry.caller,
    "tag": lambda entry: entry.tag or None,
    "day": lambda entry: entry.day,
    "month": lambda entry: entry.day[:7],
    "model": lambda entry: entry.model,
    "run": lambda entry: entry.run_id,
}
