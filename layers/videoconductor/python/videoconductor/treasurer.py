"""What may be asked about money: the caps, the kill switch, what was spent, whether it adds up."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from videoconductor import accounts, intake, ledger, orchestration
from videoconductor.accounts import Grouped, NewCaps, Question
from videoconductor.budgets import Caps
from videoconductor.clip import Noun
from videoconductor.errors import InvalidRequest
from videoconductor.ledger import Change, Counter
from videoconductor.orchestration import PriceList

if TYPE_CHECKING:
    from videoconductor.books import Books, Tally
    from videoconductor.manifest import Manifest

MAX_CHECKED = 200_000  # entries that one check reads
# While writes go on, what moved between two looks is looked at again; so often.
_ROUNDS = 6
NO_REASON = "no reason given"


@dataclass(frozen=True)
class Budget:
    """The caps in force, and how what they count stands."""

    caps: Caps
    standings: tuple[tuple[Counter, Tally], ...]


@dataclass(frozen=True)
class Costs:
    """The answer to a question about costs."""

    question: Question
    grouped: Grouped
    prices: PriceList


class Difference(Noun):
    """A counter that is not the sum of its entries; ticks."""

    counter: Counter
    held: int
    settled: int
    total: int
    entries: int
    ledger_held: int
    ledger_settled: int
    ledger_entries: int


@dataclass(frozen=True)
class Checked:
    """What a check compared, and what did not agree; `moving` counters changed at every look."""

    days: int
    entries: int
    counters: int
    moving: tuple[Counter, ...] = ()
    differences: tuple[Difference, ...] = ()


@dataclass(frozen=True)
class Treasurer:
    """The commands, with everything they need handed in."""

    manifest: Manifest
    books: Books
    prices: PriceList
    poll_interval: float
    poll_linger: float
    clock: Callable[[], datetime]
    pause: Callable[[float], None]

    def show(self, film: str | None = None, caller: str | None = None) -> Budget:
        """The caps; day, month and those with a cap of their own; or one film, or caller.

        Raises InvalidRequest.
        """
        film = None if film is None else intake.identifier("film", film)
        caller = None if caller is None else accounts.caller_named(caller)
        caps = self.manifest.caps()
        day = ledger.day_of(self.clock())
        month = day[:7]
        is_all = film is None and caller is None
        films = caps.films if is_all else [film] if film is not None else ()
        callers = caps.callers if is_all else [caller] if caller is not None else ()
        wanted = [Counter("day", day), Counter("month", month)]
        wanted += [Counter("film", name) for name in films]
        wanted += [Counter("caller", f"{month}#{name}") for name in callers]
        found = self.books.standing(wanted)
        return Budget(caps, tuple((counter, found[counter]) for counter in wanted))

    def change(self, wanted: NewCaps, by: str) -> Budget:
        """Put caps over those in force. Below what is spent is allowed: nothing new is sent then.

        Raises InvalidRequest.
        """
        self.manifest.change_caps(wanted.put_over, by)
        return self.show()

    def stop(self, reason: str | None, by: str) -> Budget:
        """Let no new POST out. What runs is finished, and kept."""
        now = self.clock()
        self.manifest.change_caps(lambda caps: caps.stopped(now, reason or NO_REASON), by)
        return self.show()

    def resume(self, by: str) -> Budget:
        """Let POSTs out again, as far as the caps have room."""
        self.manifest.change_caps(lambda caps: caps.resumed(), by)
        return self.show()

    def costs(self, question: Question) -> Costs:
        """What the POSTs that are asked for cost, in rows. Raises InvalidRequest for too many."""
        grouped = Grouped(question.by)
        read = 0
        for day in question.days(self.clock().astimezone(UTC).date()):
            found = []
            for entry in self.books.entries(day):
                read += 1
                if read > accounts.MAX_ENTRIES:
                    words = f"leaves more than {accounts.MAX_ENTRIES} entries: narrow the range"
                    raise InvalidRequest.of("from", question.first.isoformat(), words)
                found += [entry] if question.takes(entry) else []
            for post in accounts.posts(found):
                first = post.first
                cost = orchestration.cost(
                    self.prices,
                    first.what,
                    post.open_seconds,
                    self.poll_interval,
                    self.poll_linger,
                )
                grouped.add(post, cost)
        return Costs(question, grouped, self.prices)

    def check(self, span: tuple[date, date] | None = None) -> Checked:
        """Compare the counters with the sums of the ledger's entries.

        Of all days there are, or of those of a span: then day by day, and what counts a month
        only for months that lie in it. Months without a counter are not read. It is right while
        writes go on: each of them moves its day's counter, so a day that stands as before is as it
        was read.
        """
        audit = _Audit(self.books, span, self.clock().astimezone(UTC).date())
        for number in range(_ROUNDS):
            if number:
                self.pause(0.05 * 2**number)
            if audit.looked():
                break
        return audit.checked()


@dataclass
class _Audit:
    """One check: the sums of each day, and the counters as they were seen around them."""

    books: Books
    span: tuple[date, date] | None
    today: date
    sums: dict[str, tuple[Tally | None, dict[Counter, Change]]] = field(default_factory=dict)
    entries: int = 0
    compared: int = 0
    moving: tuple[Counter, ...] = ()
    differences: tuple[Difference, ...] = ()

    def looked(self) -> bool:
        """Look once; whether all that was to be compared stood still, and agreed."""
        before = self._counters()
        days = self._days(before)
        for day in days:
            tally = before.get(Counter("day", day))
            if day not in self.sums or self.sums[day][0] != tally:
                self.sums[day] = (tally, self._summed(day))
        after = self._counters()
        summed = _together(changes for _, changes in self.sums.values())
        wanted = [c for c in {**before, **after, **summed} if self._is_covered(c)]
        self.compared = len(wanted)
        self.moving = tuple(c for c in wanted if before.get(c) != after.get(c))
        steady = [c for c in wanted if before.get(c) == after.get(c)]
        found = (_difference(c, after.get(c), summed.get(c, Change())) for c in steady)
        self.differences = tuple(difference for difference in found if difference is not None)
        self._forget()
        return not self.moving and not self.differences

    def checked(self) -> Checked:
        """What came of it."""
        return Checked(
            days=len(self.sums),
            entries=sum(
                changes.get(Counter("day", day), Change()).entries
                for day, (_, changes) in self.sums.items()
            ),
            counters=self.compared,
            moving=self.moving,
            differences=self.differences,
        )

    def _forget(self) -> None:
        """Have those days read again that something does not agree with."""
        # A write's items become visible one after another: only what stays is a difference.
        for difference in self.differences:
            name = difference.counter.name
            for day in list(self.sums):
                is_any = difference.counter.scope in {"film", "run"}
                if is_any or day.startswith(name.partition("#")[0]):
                    self.sums[day] = (None, self.sums[day][1])

    def _counters(self) -> dict[Counter, Tally]:
        found: dict[Counter, Tally] = {}
        for scope in ledger.SCOPES:
            if scope in {"film", "run"} and self.span is not None:
                continue
            first, last = _names(scope, self.span)
            for name, tally in self.books.tallies(scope, first, last):
                found[Counter(scope, name)] = tally
        return found

    def _days(self, counters: Mapping[Counter, Tally]) -> list[str]:
        known = {counter.name for counter in counters if counter.scope == "day"}
        for counter in counters:
            # A day whose counter is lost is found by its month's.
            if counter.scope == "month":
                first = date.fromisoformat(f"{counter.name}-01")
                known |= set(accounts.days(first, min(_end_of(first), self.today)))
        if self.span is not None:
            begin, end = (day.isoformat() for day in self.span)
            known = {day for day in known if begin <= day <= end}
        return sorted(known)

    def _summed(self, day: str) -> dict[Counter, Change]:
        found: dict[Counter, Change] = {}
        for entry in self.books.entries(day):
            self.entries += 1
            if self.entries > MAX_CHECKED:
                words = f"leaves more than {MAX_CHECKED} entries to read: check a span of days"
                raise InvalidRequest.of("from", self.span and self.span[0].isoformat(), words)
            for counter in entry.counters:
                found[counter] = found.get(counter, Change()).plus(entry)
        return found

    def _is_covered(self, counter: Counter) -> bool:
        """Whether all days that a counter counts are looked at."""
        if self.span is None:
            return True
        if counter.scope == "day":
            return True
        if counter.scope in {"film", "run"}:
            return False
        first = date.fromisoformat(f"{counter.name[:7]}-01")
        return self.span[0] <= first and min(_end_of(first), self.today) <= self.span[1]


def _names(scope: ledger.Scope, span: tuple[date, date] | None) -> tuple[str, str]:
    """From which name to which a scope's counters are to be read."""
    if span is None:
        return "", "\U0010ffff"
    first, last = span[0].isoformat(), span[1].isoformat()
    return (first, last) if scope == "day" else (first[:7], f"{last[:7]}\U0010ffff")


def _end_of(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)


def _together(found: Iterable[Mapping[Counter, Change]]) -> dict[Counter, Change]:
    summed: dict[Counter, Change] = {}
    for changes in found:
        for counter, change in changes.items():
            known = summed.get(counter, Change())
            summed[counter] = Change(*(a + b for a, b in zip(known, change, strict=True)))
    return summed


def _difference(counter: Counter, tally: Tally | None, change: Change) -> Difference | None:
    held, settled, entries, total = (0, 0, 0, 0) if tally is None else tally
    is_right = (held, settled, entries) == change and total == held + settled
    if is_right:
        return None
    return Difference(
        counter=counter,
        held=held,
        settled=settled,
        total=total,
        entries=entries,
        ledger_held=change.held,
        ledger_settled=change.settled,
        ledger_entries=change.entries,
    )
