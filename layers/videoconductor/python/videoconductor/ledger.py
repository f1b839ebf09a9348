"""The ledger: what every change of a render's attempts does to money, as entries that stay.

An attempt holds what its POST may cost from the moment of its permit. That is released when it is
proved that nothing was accepted, and settled when what it cost is known, or taken for its
estimate. Nobody writes an entry by hand: each is the difference between a render's record before
and after a write, and goes out with that write or not at all. So the sum of entries and the
counters that caps are held against cannot drift apart.

All money here is in ticks, 10^10 a US dollar, which are whole numbers. A POST counts towards the
day and the month (UTC) of its permit, whenever it is settled.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from videoconductor import identity
from videoconductor.clip import Attempt, Noun, Render

Kind = Literal["reserve", "release", "settle"]
Scope = Literal["day", "month", "film", "caller", "run"]
SCOPES: tuple[Scope, ...] = ("day", "month", "film", "caller", "run")
What = Literal["still", "clip"]


class Counter(NamedTuple):
    """One sum that is kept: `name` is a day, a month, a film, `month#caller`, or a run."""

    scope: Scope
    name: str


class Entry(Noun):
    """One change of what is held and what is settled, for one POST. It is never changed.

    `held_ticks` and `settled_ticks` are what was added to either, or taken away. `basis` says
    whether xAI reported what was settled, or it is the estimate.
    """

    kind: Kind
    at: datetime
    day: str
    held_ticks: int
    settled_ticks: int
    basis: Literal["reported", "estimate"] | None = None
    render_id: str
    what: What
    attempt: int
    version: int
    film: str
    clip_id: str
    caller: str
    run_id: str | None = None
    model: str
    operation: str
    tag: str | None = None
    ref_code: str | None = None

    @property
    def name(self) -> str:
        """Sorts the entries of a day by time, and tells them apart."""
        moment = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        return f"{moment}#{self.render_id}#{self.what}#{self.attempt}#{self.version}"

    @property
    def counters(self) -> tuple[Counter, ...]:
        """The sums that this entry is part of."""
        return counters(self.day, self.film, self.caller, self.run_id)


class Change(NamedTuple):
    """What some entries together do to one counter."""

    held: int = 0
    settled: int = 0
    entries: int = 0

    def plus(self, entry: Entry) -> "Change":
        """This and one entry more."""
        return Change(
            self.held + entry.held_ticks, self.settled + entry.settled_ticks, self.entries + 1
        )


def day_of(moment: datetime) -> str:
    """The day in UTC that a POST permitted at `moment` counts towards."""
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def counters(day: str, film: str, caller: str, run_id: str | None) -> tuple[Counter, ...]:
    """The counters of a POST that was permitted on `day` to `caller`, a principal."""
    month = day[:7]
    found = [
        Counter("day", day),
        Counter("month", month),
        Counter("film", film),
        Counter("caller", f"{month}#{caller}"),
    ]
    return (*found, Counter("run", run_id)) if run_id is not None else tuple(found)


def entries(before: Render | None, after: Render, now: datetime) -> tuple[Entry, ...]:
    """What the write that turns `before` into `after` does to money. None for most writes."""
    return tuple(_entries(before, after, now))


def changes(found: Iterable[Entry]) -> dict[Counter, Change]:
    """What entries together do to each counter they touch."""
    summed: dict[Counter, Change] = {}
    for entry in found:
        for counter in entry.counters:
            summed[counter] = summed.get(counter, Change()).plus(entry)
    return summed


def _entries(before: Render | None, after: Render, now: datetime) -> Iterator[Entry]:
    for what in ("still", "clip"):
        was = {} if before is None else _by_number(before, what)
        found = _by_number(after, what)
        gone = [was[number] for number in was.keys() - found.keys()]
        if any(attempt.held_ticks or attempt.spent_ticks for attempt in gone):
            raise ValueError(
                "an attempt that holds or has spent something was taken off the record"
            )
        for number, attempt in found.items():
            earlier = was.get(number)
            held, settled = attempt.held_ticks, attempt.spent_ticks or 0
            if earlier is not None:
                held -= earlier.held_ticks
                settled -= earlier.spent_ticks or 0
            if held or settled:
                yield _entry(after, what, attempt, held, settled, now)


def _by_number(render: Render, what: What) -> dict[int, Attempt]:
    found = render.still_attempts if what == "still" else render.attempts
    return {attempt.number: attempt for attempt in found}


def _entry(
    render: Render, what: What, attempt: Attempt, held: int, settled: int, now: datetime
) -> Entry:
    plan = render.plan
    kind: Kind = "settle" if settled else "reserve" if held > 0 else "release"
    basis: Literal["reported", "estimate"] | None = None
    if kind == "settle":
        basis = "estimate" if attempt.cost_ticks is None else "reported"
    return Entry(
        kind=kind,
        at=now,
        day=day_of(attempt.permitted_at),
        held_ticks=held,
        settled_ticks=settled,
        basis=basis,
        render_id=render.render_id,
        what=what,
        attempt=attempt.number,
        version=render.version,
        film=render.pipeline_request_id,
        clip_id=render.clip_id,
        caller=identity.principal(attempt.caller or render.caller),
        run_id=attempt.run_id,
        model=(plan.image_model or "") if what == "still" else plan.model,
        operation="image" if what == "still" else plan.operation,
        tag=render.purpose,
        ref_code=render.ref_code,
    )
