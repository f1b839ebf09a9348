"""Going through a whole stack, page by page: what is not as it should be, and mending it.

A page is what fits into one request. Where it ends, its position says where the next one begins:
in which part of the stack, and after what in it. What looks deserted is looked at twice, some time
apart: what moved meanwhile is being worked on.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from aws_lambda_powertools import Logger
from pydantic import ValidationError

from videoconductor import budgets, doctoring, reconciling
from videoconductor.clip import SETTLED, FilmRun, ManifestEntry, Render
from videoconductor.doctoring import Finding, Places, Repair
from videoconductor.errors import FilmNotFound, InvalidRequest, RenderNotFound, VideoConductorError
from videoconductor.intake import Treatment
from videoconductor.sweeping import MAX_LOOKED_AT, Help, Sweeper, SweepOrder, without_numbers

if TYPE_CHECKING:
    from videoconductor.books import Books, Tally
    from videoconductor.letters import DeadLetters
    from videoconductor.library import Library
    from videoconductor.machine import Machine
    from videoconductor.manifest import Manifest
    from videoconductor.treasurer import Treasurer

# What one page does at most: an answer has to be there within 30 seconds.
MAX_SECONDS = 10.0
MAX_STEPS = 40
MAX_FINDINGS = 100
# What is looked at in one step; less of it while things are mended, which takes its time.
ROWS = 500
ROWS_TO_MEND = 50
OBJECTS = 500
DELIVERIES = 100
DELIVERIES_TO_MEND = 10
EXECUTIONS = 100
FILM_EXECUTIONS = 25
ENTRIES_AT_ONCE = 20_000  # of the ledger
LOOKS_AT_ONCE = 8  # at objects
SECONDS_BETWEEN_LOOKS = 1.0
MAX_CURSOR_BYTES = 6000
T = TypeVar("T", Render, FilmRun)

_log = Logger(service="videoconductor", child=True)


class Recovers(Protocol):
    """Takes up what was delivered for a render that nobody could account for."""

    def recover(self, render_id: str) -> bool:
        """Whether it set the render going with it."""

    def lying(self, render: Render) -> int | None:
        """The attempt whose delivery was not taken up; None if there is none."""


class Position(NamedTuple):
    """Where a page begins: in which part of the stack, and after what in it."""

    part: str
    after: tuple[str, ...] = ()


@dataclass
class Page:
    """What was looked at, what was found, and where to go on; None at the end of all.

    `decided` and `decided_ticks` are renders at rest, and what they hold, of which somebody knows:
    they were cancelled, given up, or sent again all the same.
    """

    looked: dict[str, int] = field(default_factory=lambda: dict.fromkeys(doctoring.LOOKED_AT, 0))
    findings: list[Finding] = field(default_factory=list)
    decided: int = 0
    decided_ticks: int = 0
    position: Position | None = None


def told(page: Page) -> dict[str, Any]:
    """A page as doors answer with it."""
    return {
        "looked": page.looked,
        "findings": [finding.model_dump(mode="json") for finding in page.findings],
        "decided": {"renders": page.decided, "heldUsd": float(budgets.usd(page.decided_ticks))},
        "nextCursor": None if page.position is None else cursor(page.position),
    }


def cursor(position: Position) -> str:
    """A position as callers carry it from page to page."""
    text = json.dumps([position.part, *position.after], ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode()).decode()


def position(cursor: str | None) -> Position:
    """The position that a cursor stands for, the first if there is none. Raises InvalidRequest."""
    if cursor is None:
        return Position(PARTS[0])
    try:
        text = base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True).decode()
        part, *after = json.loads(text)
        is_one = part in PARTS and len(cursor) <= MAX_CURSOR_BYTES
        if not is_one or not all(isinstance(one, str) and one.encode() for one in after):
            raise ValueError
        if len(after) not in AFTER[part] or (part == "books" and after and not _day(after[0])):
            raise ValueError
        if any(len(one.encode()) > LONGEST.get(part, MAX_KEY_BYTES) for one in after):
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        words = "is not the nextCursor of a page"
        raise InvalidRequest.of("cursor", cursor[:80], words) from None
    return Position(part, tuple(after))


@dataclass(frozen=True)
class Doctor:
    """The examination, with everything it needs handed in."""

    manifest: Manifest
    machine: Machine
    library: Library
    books: Books
    treasurer: Treasurer
    sweeper: Sweeper
    recovery: Recovers
    letters: DeadLetters
    places: Places
    clock: Callable[[], datetime]
    pause: Callable[[float], None]

    def examine(self, begin: Position, treatment: Treatment | None = None) -> Page:
        """Look at what fits into a page, from `begin` on, and mend it if there is a treatment.

        It sends no POST. What it mends is mended as the sweep does, so both may run at any time.
        Raises ManifestUnavailable, MachineUnavailable, LibraryUnavailable and QueueUnavailable
        when it cannot look, and InvalidRequest for a position that is none.
        """
        visit = _Visit(self, treatment)
        end = self.clock() + timedelta(seconds=MAX_SECONDS)
        here: Position | None = begin
        for _ in range(MAX_STEPS):
            if here is None or len(visit.page.findings) >= MAX_FINDINGS or self.clock() > end:
                break
            after = visit.step(here)
            here = Position(here.part, after) if after else _next(here.part)
        visit.page.position = here
        return visit.page


@dataclass
class _Visit:
    """One page in the making. A step looks at some, and says after what to go on."""

    doctor: Doctor
    treatment: Treatment | None
    page: Page = field(default_factory=Page)

    def step(self, here: Position) -> tuple[str, ...]:
        """Look at what comes next; empty at the end of a part."""
        steps: dict[str, Callable[[tuple[str, ...]], tuple[str, ...]]] = {
            "deliveries": self._deliveries,
            "records": self._records,
            "executions": self._executions,
            "film executions": self._film_executions,
            "clips": self._clips,
            "books": self._books,
            "letters": self._letters,
        }
        return steps[here.part](here.after)

    @cached_property
    def order(self) -> SweepOrder:
        """How the sweep would go about it."""
        return SweepOrder(may_post=self.treatment is not None and self.treatment.may_post)

    @cached_property
    def running(self) -> frozenset[str]:
        """The executions of clips under way when this was first asked: to look at fewer of them."""
        return self.doctor.machine.running(MAX_LOOKED_AT)

    @cached_property
    def films(self) -> frozenset[str]:
        """The runs whose executions are under way."""
        return without_numbers(self.doctor.machine.films_running(MAX_LOOKED_AT))

    @property
    def mends(self) -> bool:
        """Whether what is found is to be mended."""
        return self.treatment is not None

    def found(self, finding: Finding | None, mend: Callable[[], Repair | None]) -> None:
        """Take down what is wrong, and mend it if that is wanted."""
        if finding is None:
            return
        how = None
        if self.mends:
            with _not_mended(finding):
                how = mend()
        self.page.findings.append(finding if how is None else finding.mended(how))

    # ── What was delivered ───────────────────────────────────────────────────────────────────────

    def _deliveries(self, after: tuple[str, ...]) -> tuple[str, ...]:
        doctor = self.doctor
        limit = DELIVERIES_TO_MEND if self.mends else DELIVERIES
        listed, last = doctor.library.deliveries(limit, *after)
        self.page.looked["deliveries"] += len(listed)
        known, unreadable = self._read({doctoring.delivered_for(key) or "" for key, _ in listed})
        told: set[str] = set()
        for key, modified in listed:
            render_id = doctoring.delivered_for(key)
            if self._is_new(modified, self.grace) or render_id in told or render_id in unreadable:
                continue
            record = known.get(render_id or "")
            if record is not None:
                told.add(record.render_id)
                if record.status not in SETTLED or doctor.recovery.lying(record) is None:
                    continue
            name = key if record is None else record.render_id
            finding = doctoring.delivered(record, name, key, modified, doctor.places)
            self.found(finding, partial(self._recovered, record))
        return _after(last)

    def _recovered(self, record: Render | None) -> Repair | None:
        if record is None or not self.doctor.recovery.recover(record.render_id):
            return None
        return "recovered"

    # ── Records ──────────────────────────────────────────────────────────────────────────────────

    def _records(self, after: tuple[str, ...]) -> tuple[str, ...]:
        doctor, looked = self.doctor, self.page.looked
        limit = ROWS_TO_MEND if self.mends else ROWS
        rows, last = doctor.manifest.rows(limit, (after[0], after[1]) if after else None)
        renders = [row.holds for row in rows if isinstance(row.holds, Render)]
        runs = [row.holds for row in rows if isinstance(row.holds, FilmRun)]
        entries = [row.holds for row in rows if isinstance(row.holds, ManifestEntry)]
        looked["renders"] += len(renders)
        looked["runs"] += len(runs)
        looked["entries"] += len(entries)
        for row in rows:
            if row.holds is None:
                self.found(doctoring.unreadable(row.pk, row.sk, doctor.places), _nothing)
        for render in renders:
            self._at_rest(render)
        self._adrift(renders, runs)
        finished = [one for one in renders if one.status == "finalized" and one.clip is not None]
        self._finished(finished)
        self._entries(entries)
        return last or ()

    def _at_rest(self, render: Render) -> None:
        now = self.doctor.clock()
        self.found(doctoring.unresolved(render), _nothing)
        self.found(doctoring.held(render, now), _nothing)
        if doctoring.is_held_by_decision(render, now):
            self.page.decided += 1
            self.page.decided_ticks += render.held_ticks

    def _adrift(self, renders: Sequence[Render], runs: Sequence[FilmRun]) -> None:
        """What is open and deserted, at two looks with a pause between them."""
        doctor = self.doctor
        suspects = [one for one in renders if self._is_adrift(one)]
        runs = [one for one in runs if doctor.sweeper.is_run_adrift(one, self.order)]
        if not suspects and not runs:
            return
        doctor.pause(SECONDS_BETWEEN_LOOKS)
        for seen in suspects:
            record = self._as_seen(seen, partial(doctor.manifest.read, seen.render_id))
            if record is not None and self._is_adrift(record):
                self._found_adrift(record)
        for noted in runs:
            run = self._as_seen(noted, partial(doctor.manifest.run_at, noted.film, noted.order))
            if run is not None and doctor.sweeper.is_run_adrift(run, self.order):
                self._found_run_adrift(run)

    def _is_adrift(self, record: Render) -> bool:
        if not record.is_open or f"{record.render_id}-{record.executions}" in self.running:
            return False
        return self.doctor.sweeper.is_adrift(record, self.films, self.order)

    @staticmethod
    def _as_seen(seen: T, read: Callable[[], T]) -> T | None:
        """What is on record, if nobody wrote it since."""
        try:
            latest = read()
        except (RenderNotFound, FilmNotFound):
            return None
        return latest if latest.version == seen.version else None

    def _found_adrift(self, record: Render) -> None:
        sweeper, order = self.doctor.sweeper, self.order
        is_over = record.status in SETTLED
        finding = doctoring.untold(record) if is_over else doctoring.lost(record)
        self.found(finding, lambda: _repair(sweeper.help_render(record, order)))

    def _found_run_adrift(self, run: FilmRun) -> None:
        sweeper, order = self.doctor.sweeper, self.order
        is_over = run.status != "running"
        finding = doctoring.untold_run(run) if is_over else doctoring.lost_run(run)
        self.found(finding, lambda: _repair(sweeper.help_run(run, order)))

    def _finished(self, finished: Sequence[Render]) -> None:
        doctor = self.doctor
        sizes = self._sizes([one.clip.key for one in finished if one.clip is not None])
        for render in finished:
            assert render.clip is not None
            size = sizes[render.clip.key]
            self.found(doctoring.without_object(render, size, doctor.places), _nothing)
        for render in reconciling.unentered(finished, doctor.manifest):
            finding = doctoring.without_entry(render)
            self.found(finding, partial(self._entered, render))

    def _entered(self, render: Render) -> Repair:
        reconciling.enter(render, self.doctor.manifest, self.doctor.library, self.doctor.clock)
        return "entered"

    def _entries(self, entries: Sequence[ManifestEntry]) -> None:
        """Entries of clips of ours; what was taken in from elsewhere lies where it lies."""
        doctor = self.doctor
        keys = {id(one): doctor.library.key_of(one.url) for one in entries}
        ours = [
            (one, key)
            for one in entries
            if (key := keys[id(one)]) and key.startswith(f"{doctor.places.prefix}/")
        ]
        sizes = self._sizes([key for _, key in ours])
        gone = [(one, key) for one, key in ours if sizes[key] is None]
        known, _ = self._read({one.render_id or "" for one, _ in gone})
        for entry, key in gone:
            record = known.get(entry.render_id or "")
            # What is wrong with a finished render's own clip was told with the render.
            if record is None or record.clip is None or record.clip.key != key:
                self.found(doctoring.entry_without_object(entry, key, doctor.places), _nothing)

    def _sizes(self, keys: Sequence[str]) -> dict[str, int | None]:
        if not keys:
            return {}
        with ThreadPoolExecutor(LOOKS_AT_ONCE) as pool:
            return dict(zip(keys, pool.map(self.doctor.library.size, keys), strict=True))

    # ── Executions ───────────────────────────────────────────────────────────────────────────────

    def _executions(self, after: tuple[str, ...]) -> tuple[str, ...]:
        running, token = self.doctor.machine.page(EXECUTIONS, *after)
        self.page.looked["executions"] += len(running)
        known = self.doctor.manifest.known({_id_of(one.name) for one in running})
        for one in running:
            if _id_of(one.name) not in known:
                finding = doctoring.execution_without_record(one.name, one.arn, one.started)
                self.found(finding, _nothing)
        return _after(token)

    def _film_executions(self, after: tuple[str, ...]) -> tuple[str, ...]:
        running, token = self.doctor.machine.film_page(FILM_EXECUTIONS, *after)
        self.page.looked["executions"] += len(running)
        for one in running:
            asked = self.doctor.machine.input(one.arn)
            film, order = asked.get("film"), asked.get("runOrder")
            # A map's own executions are about a clip's turn; they end with their film's.
            if isinstance(film, str) and isinstance(order, str) and not self._has(film, order):
                finding = doctoring.execution_without_record(one.name, one.arn, one.started)
                self.found(finding, _nothing)
        return _after(token)

    def _has(self, film: str, order: str) -> bool:
        try:
            self.doctor.manifest.run_at(film, order)
        except FilmNotFound:
            return False
        except ValidationError:
            pass  # it is there, and told of as unreadable
        return True

    # ── Objects ──────────────────────────────────────────────────────────────────────────────────

    def _clips(self, after: tuple[str, ...]) -> tuple[str, ...]:
        doctor = self.doctor
        listed, last = doctor.library.clips(OBJECTS, *after)
        self.page.looked["objects"] += len(listed)
        clips = [
            (key, modified, doctor.places.rendering(key))
            for key, modified in listed
            if key.endswith(".mp4") and not self._is_new(modified, doctoring.OBJECT_GRACE)
        ]
        ids = {whose.render_id or "" for _, _, whose in clips if whose is not None}
        known, unreadable = self._read(ids)
        for key, modified, whose in clips:
            render_id = "" if whose is None else whose.render_id or ""
            record = known.get(render_id)
            if render_id in unreadable or not doctoring.may_be_nameless(key, record, doctor.places):
                continue
            if not self._is_named(key, record):
                finding = doctoring.nameless(key, record, modified, doctor.places)
                self.found(finding, _nothing)
        return _after(last)

    def _is_named(self, key: str, record: Render | None) -> bool:
        """Whether the manifest names an object, or it is one of two that came for one key."""
        doctor, uri = self.doctor, self.doctor.library.uri(key)
        film = doctor.places.film(key)
        whose = doctor.places.rendering(key)
        named: list[ManifestEntry] = []
        try:
            if whose is not None:
                named += doctor.manifest.versions(whose.film, whose.entry_id)
            if film is not None and not any(one.url == uri for one in named):
                named += doctor.manifest.entries(film)
        except ValidationError:
            return True  # what cannot be read may name it
        if any(one.url == uri for one in named):
            return True
        return record is not None and doctor.library.has_conflict(key)

    # ── Money, and what was given up ─────────────────────────────────────────────────────────────

    def _books(self, after: tuple[str, ...]) -> tuple[str, ...]:
        spans = _spans(self.doctor.books, date.fromisoformat(after[0]) if after else None)
        if not spans:
            return ()
        checked = self.doctor.treasurer.check(spans[0])
        self.page.looked["counters"] += checked.counters
        for difference in checked.differences:
            self.found(doctoring.counter(difference, self.doctor.places), _nothing)
        following = spans[1] if len(spans) > 1 else None
        return () if following is None else (following[0].isoformat(),)

    def _letters(self, after: tuple[str, ...]) -> tuple[str, ...]:
        letters = self.doctor.letters
        for url, of_webhooks in ((letters.events, False), (letters.webhooks, True)):
            if url:
                self.page.looked["queues"] += 1
                if count := letters.count(url):
                    finding = doctoring.dead_letters(url, count, of_webhooks=of_webhooks)
                    self.found(finding, _nothing)
        return ()

    # ── What they share ──────────────────────────────────────────────────────────────────────────

    @property
    def grace(self) -> timedelta:
        """Younger than this, something may be just about to be worked on."""
        return timedelta(seconds=self.order.grace_seconds)

    def _is_new(self, moment: datetime, grace: timedelta) -> bool:
        return self.doctor.clock() - moment < grace

    def _read(self, render_ids: Iterable[str]) -> tuple[dict[str, Render], set[str]]:
        """Renders by id, and the ids of those whose records cannot be read."""
        wanted = {render_id for render_id in render_ids if render_id}
        try:
            return self.doctor.manifest.read_many(wanted), set()
        except ValidationError:
            return self._read_each(wanted)

    def _read_each(self, render_ids: Iterable[str]) -> tuple[dict[str, Render], set[str]]:
        known: dict[str, Render] = {}
        unreadable = set()
        for render_id in render_ids:
            try:
                known |= self.doctor.manifest.read_many([render_id])
            except ValidationError:
                unreadable.add(render_id)
        return known, unreadable


# In this order: what was delivered accounts for renders that are looked at after it.
PARTS = ("deliveries", "records", "executions", "film executions", "clips", "books", "letters")
# Bytes of what stands after a part: keys of S3 and of the table, tokens of Step Functions.
MAX_KEY_BYTES = 1024
LONGEST = {"executions": 3096, "film executions": 3096}
# How many words say where to go on, in each.
AFTER: dict[str, tuple[int, ...]] = {part: (0, 2 if part == "records" else 1) for part in PARTS}


def _next(part: str) -> Position | None:
    number = PARTS.index(part) + 1
    return Position(PARTS[number]) if number < len(PARTS) else None


def _after(last: str | None) -> tuple[str, ...]:
    return () if last is None else (last,)


def _id_of(name: str) -> str:
    """The id of the render that an execution is about."""
    return name.rpartition("-")[0] or name


def _nothing() -> None:
    """What only a person can mend."""


def _repair(helped: Help | None) -> Repair | None:
    return None if helped == "left" else helped


def _day(text: str) -> bool:
    return bool(date.fromisoformat(text))  # raises ValueError


@contextmanager
def _not_mended(finding: Finding) -> Iterator[None]:
    """What cannot be mended now stays on the list, and keeps nothing else from being mended."""
    try:
        yield
    except VideoConductorError as problem:
        words = {"finding": finding.kind, "of": finding.name, "error": type(problem).__name__}
        _log.warning("not mended", extra=words)


Span = tuple[date, date]


def _spans(books: Books, begin: date | None) -> list[Span | None]:
    """The days to be checked at once, from `begin` on: all there are (None), else month by month,
    and where a month has too many entries for that, day by day.
    """
    months = dict(books.tallies("month"))
    if begin is None and sum(tally.entries for tally in months.values()) <= ENTRIES_AT_ONCE:
        return [None]
    found: list[Span] = []
    for name, tally in sorted(months.items()):
        first = date.fromisoformat(f"{name}-01")
        last = (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        found += [(first, last)] if tally.entries <= ENTRIES_AT_ONCE else _days(books, first, last)
    return list[Span | None](span for span in found if begin is None or span[0] >= begin)


def _days(books: Books, first: date, last: date) -> list[Span]:
    known: Iterable[tuple[str, Tally]] = books.tallies("day", first.isoformat(), last.isoformat())
    days = [date.fromisoformat(name) for name, _ in known]
    return [(day, day) for day in days]
