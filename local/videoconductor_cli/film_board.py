"""A film as its clips come along: a table on a terminal, otherwise a line now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from videoconductor_cli import showing
from videoconductor_cli.showing import Document

UNDER_WAY = frozenset({"framing", "rendering", "rendered"})
UNRESOLVED = frozenset({"submit_unknown", "stalled"})  # a person decides
FAILED = frozenset({"failed", "cancelled"})
TROUBLED = FAILED | UNRESOLVED

FEW = 20  # clips that get a row, or lines, each
LEAST_ROWS = 3
BIG_STEP = 10  # percent of a big film between two lines
MOST_TROUBLES = 20  # clips of a big film that get a line each when something is wrong with them


@dataclass(frozen=True)
class Board:
    """Where a film is shown while it goes on, and where a word may be put in."""

    show: Callable[[Document], None]
    say: Callable[[str], None]


@contextmanager
def board() -> Iterator[Board]:
    """A place that shows a film as it goes on."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Board(_Lines().show, showing.say)
        return
    screen = _Screen(console)
    with Live(screen, console=console, refresh_per_second=4, transient=True) as live:

        def say(text: str) -> None:
            live.console.print(text, markup=False, highlight=False)

        yield Board(screen.show, say)


def total(film: Document) -> str:
    """A film in a line: how many of its clips are where, the money, the time."""
    clips = film["clips"]
    parts = [f"{done(clips)} of {len(clips)} clips done"]
    for words, statuses in (
        ("under way", UNDER_WAY),
        ("waiting", frozenset({"planned"})),
        ("failed", FAILED),
        ("unresolved", UNRESOLVED),
    ):
        if number := _number(clips, statuses):
            parts.append(f"{number} {words}")
    estimate = f"est. {showing.usd(film['estimatedCostUsd'])}"
    billed = film["costUsd"]
    money = estimate if billed is None else f"cost {showing.usd(billed)} ({estimate})"
    if spending := showing.spending(film.get("spending")):
        money = f"{spending} ({estimate})"
    return f"film {film['filmId']}: {', '.join(parts)}  {money}  {showing.clock(elapsed(film))}"


def done(clips: Sequence[Document]) -> int:
    """How many clips are there."""
    return _number(clips, frozenset({"finalized"}))


def elapsed(film: Document, now: datetime | None = None) -> float:
    """Seconds since a run was asked for, up to its end if it has come to one."""
    begun = datetime.fromisoformat(film["requestedAt"])
    end = film["endedAt"]
    until = datetime.fromisoformat(end) if end else now or datetime.now(UTC)
    return max(0.0, (until - begun).total_seconds())


def chosen(clips: Sequence[Document], most: int) -> list[Document]:
    """The clips to show in so many rows: all, or those under way and those in trouble."""
    if len(clips) <= most:
        return list(clips)
    troubled = [clip for clip in clips if clip["status"] in TROUBLED]
    going = [clip for clip in clips if clip["status"] in UNDER_WAY]
    kept = max(most // 3, most - len(going))
    troubled = troubled[-kept:]
    return [*troubled, *going[: most - len(troubled)]]


class _Screen:
    """A film as a table that fits the terminal, whatever the film's length."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._film: Document | None = None
        self._began: dict[str, float] = {}
        self._took: dict[str, float] = {}

    def show(self, film: Document) -> None:
        self._film = film
        now = self._clock()
        for clip in film["clips"]:
            name, status = clip["clipId"], clip["status"]
            if status in UNDER_WAY:
                self._began.setdefault(name, now)
                self._took.pop(name, None)
            elif name in self._began and status != "planned":
                self._took.setdefault(name, now - self._began[name])

    def __rich__(self) -> RenderableType:
        film = self._film
        if film is None:
            return Text("…")
        most = max(LEAST_ROWS, min(FEW, self._console.size.height - 4))
        rows = chosen(film["clips"], most)
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=30)
        table.add_column(no_wrap=True)
        table.add_column(width=10)
        for _ in range(3):
            table.add_column(justify="right", no_wrap=True)
        for clip in rows:
            table.add_row(*self._row(clip))
        lines: list[RenderableType] = [table] if rows else []
        if more := _not_shown(film["clips"], rows):
            lines.append(Text(more))
        return Group(*lines, Text(total(film), overflow="fold"))

    def _row(self, clip: Document) -> list[RenderableType]:
        name, percent = clip["clipId"], showing.percent(clip)
        style = "red" if clip["status"] in TROUBLED else ""
        return [
            Text(name),
            Text("reused" if _is_reused(clip) else clip["status"], style=style),
            ProgressBar(total=100, completed=percent, width=10),
            Text(f"{percent}%"),
            Text(self._time(name)),
            Text(_money(clip)),
        ]

    def _time(self, name: str) -> str:
        if name not in self._began:
            return ""
        return showing.clock(self._took.get(name, self._clock() - self._began[name]))


class _Lines:
    """A film in lines: few clips with each of their changes, many by the tenth of the film."""

    def __init__(self) -> None:
        self._seen: dict[str, object] = {}
        self._troubles = 0
        self._tenth = -1

    def show(self, film: Document) -> None:
        clips = film["clips"]
        few = len(clips) <= FEW
        for clip in clips:
            state = (clip["status"], showing.percent(clip) // showing.LINE_STEP if few else 0)
            if self._seen.get(clip["clipId"]) == state:
                continue
            self._seen[clip["clipId"]] = state
            if few and not _is_reused(clip):
                showing.say(_line(clip))
            elif clip["status"] in TROUBLED:
                self._trouble(clip)
        tenth = len(clips) and done(clips) * 100 // len(clips) // BIG_STEP
        if tenth != self._tenth and not few:
            self._tenth = tenth
            showing.say(total(film))

    def _trouble(self, clip: Document) -> None:
        self._troubles += 1
        if self._troubles <= MOST_TROUBLES:
            showing.say(_line(clip))
        elif self._troubles == MOST_TROUBLES + 1:
            showing.say("… and more in trouble; all of them are counted below")


def _line(clip: Document) -> str:
    return f"{clip['clipId']}: {showing.percent(clip)}%  {clip['status']:<9}  {_money(clip)}"


def _money(clip: Document) -> str:
    billed = clip["costUsd"]
    if _is_reused(clip) or (billed is None and clip["status"] in FAILED):
        return ""
    usd = showing.usd
    return f"cost {usd(billed)}" if billed is not None else f"est. {usd(clip['estimatedCostUsd'])}"


def _is_reused(clip: Document) -> bool:
    return bool(clip["reused"]) and clip["status"] == "finalized"


def _not_shown(clips: Sequence[Document], rows: Sequence[Document]) -> str:
    parts = []
    for words, statuses in (("under way", UNDER_WAY), ("in trouble", TROUBLED)):
        if more := _number(clips, statuses) - _number(rows, statuses):
            parts.append(f"{more} more {words}")
    return f"… and {', '.join(parts)}" if parts else ""


def _number(clips: Sequence[Document], statuses: frozenset[str]) -> int:
    return sum(clip["status"] in statuses for clip in clips)
