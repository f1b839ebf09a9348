"""How the clips of a run stand: a table that lives on a terminal, otherwise lines."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from videoconductor_cli import showing
from videoconductor_cli.jobs.making import Sight, state_of
from videoconductor_cli.jobs.survey import Row, Survey

BAR_WIDTH = 12
ENDED = frozenset({"done", "failed", "stalled", "unknown", "not sent", "not fetched", "abandoned"})


@dataclass
class Board:
    """Where the clips of a run stand; any thread may show it something.

    `say` puts words above the table.
    """

    console: Console
    sights: dict[str, Sight]
    began: dict[str, float] = field(default_factory=dict)
    shown: dict[str, tuple[str, int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    clock: Callable[[], float] = time.monotonic

    def say(self, text: str) -> None:
        """Words for the person."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def show(self, sight: Sight) -> None:
        """Take in how a clip stands now."""
        with self.lock:
            key = sight.clip.key
            self.sights[key] = sight
            self.began.setdefault(key, self.clock())
            if self.console.is_terminal:
                return
            state = (sight.state, sight.progress // showing.LINE_STEP)
            if self.shown.get(key) != state:
                self.shown[key] = state
                self.say(_line(sight))

    def __rich__(self) -> Table:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for column in ("clip", "state", "", "time", "cost"):
            table.add_column(column, no_wrap=True, overflow="ellipsis")
        with self.lock:
            for key, sight in self.sights.items():
                table.add_row(
                    Text(sight.clip.id),
                    Text(sight.state),
                    ProgressBar(100, _progress(sight), width=BAR_WIDTH),
                    Text(self._time(key, sight)),
                    Text(_cost(sight)),
                )
            table.add_row(Text("so far", style="bold"), Text(_count(self)), "", "", _sum(self))
        return table

    def _time(self, key: str, sight: Sight) -> str:
        if key not in self.began or sight.state in ENDED:
            return ""
        minutes, seconds = divmod(int(self.clock() - self.began[key]), 60)
        return f"{minutes}:{seconds:02}"


@contextmanager
def board(survey: Survey) -> Iterator[Board]:
    """A board with all clips on it, in their order, for as long as the block lasts."""
    console = Console(stderr=True)
    shown = Board(console, {row.clip.key: _at_first(row) for row in survey.rows})
    if not console.is_terminal:
        yield shown
        return
    with Live(shown, console=console, refresh_per_second=4):
        yield shown


def _at_first(row: Row) -> Sight:
    if row.rest is None:
        return Sight(row.clip, "waiting")
    state = state_of(row.rest.is_finished, row.rest.attempt)
    return Sight(row.clip, state, attempt=row.rest.attempt)


def _line(sight: Sight) -> str:
    words = [f"{sight.clip.id}: {sight.state}"]
    if sight.progress and sight.state == "rendering":
        words.append(f"{sight.progress}%")
    attempt = sight.attempt
    if attempt is not None and attempt.request_id and sight.state == "rendering":
        words.append(f"job {attempt.request_id}")
    if sight.state in ENDED:
        words.append(_cost(sight))
    return "  ".join(word for word in words if word)


def _progress(sight: Sight) -> int:
    return 100 if sight.state == "done" else sight.progress


def _cost(sight: Sight) -> str:
    """What a clip was billed, or `~` and its estimate while that is not known."""
    attempt = sight.attempt
    if attempt is None:
        return ""
    if attempt.cost_usd is not None:
        return showing.usd(float(attempt.cost_usd))
    guess = attempt.estimated_cost_usd
    return "" if guess is None or attempt.request_id is None else f"~{showing.usd(float(guess))}"


def _count(board: Board) -> str:
    done = sum(sight.state == "done" for sight in board.sights.values())
    return f"{done} of {len(board.sights)} done"


def _sum(board: Board) -> str:
    """What all of this has cost; with `~` where some of it is only estimated."""
    attempts = [sight.attempt for sight in board.sights.values() if sight.attempt is not None]
    under_way = [a for a in attempts if a.cost_usd is None and a.request_id is not None]
    billed = sum(float(a.cost_usd) for a in attempts if a.cost_usd is not None)
    guess = sum(float(a.estimated_cost_usd or 0) for a in under_way)
    return f"{'~' if under_way else ''}{showing.usd(billed + guess)}"
