"""What a person sees: progress and words on stderr, answers on stdout."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn
from rich.table import Column, Table
from rich.text import Text

Document = Mapping[str, Any]
Show = Callable[[Document], None]

# How far a render is when the provider reports no progress.
FLOORS = {"planned": 0, "framing": 0, "rendering": 2, "rendered": 98, "finalized": 100}
AT_REST = frozenset(
    {"finalized", "failed", "cancelled", "submit_unknown", "stalled", "finished", "incomplete"}
)
NAME = "videoconductor"
UNFOLDED = 500  # columns
LONGEST_CELL = 80  # characters of a text that may be long
LINE_STEP = 20  # percent between two lines where there is no terminal


def say(text: str = "") -> None:
    """Words for the person, on stderr."""
    _stderr().print(text, markup=False, highlight=False, soft_wrap=True)


def give(text: str) -> None:
    """An answer, on stdout."""
    Console().print(text, markup=False, highlight=False, soft_wrap=True)


def give_json(document: Any) -> None:
    """A JSON answer, on stdout."""
    Console().out(json.dumps(document, indent=2, ensure_ascii=False), highlight=False)


def give_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table, on stdout: folded to fit a terminal, a line for each row where there is none."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=UNFOLDED)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:  # the first one is an id, to be copied in one piece
        table.add_column(column, overflow="fold", no_wrap=column is columns[0])
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table, highlight=False)


def cut(text: str) -> str:
    """As much of a text as a table has room for."""
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"


def program() -> str:
    """How this person calls the command: by its name when it is on the PATH, else by its path."""
    called = Path(sys.argv[0])
    if called.name != NAME or shutil.which(NAME):
        return NAME
    here = Path.cwd()
    return str(called.relative_to(here) if called.is_relative_to(here) else called)


def estimate(document: Document) -> list[str]:
    """What a render will cost, a line for each thing that is paid for."""
    lines = [
        f"  {line['what']}: {line['quantity']:g} {line['unit']}{_plural(line['quantity'])} "
        f"at ${line['unitUsd']:g} = {usd(line['amountUsd'])}"
        for line in document["lines"]
    ]
    most = document["totalUsd"]
    total = between(document.get("leastUsd", most), most)  # an older API says the most only
    return [*lines, f"  estimate: {total} (prices of {document['asOf']})"]


def described(document: Document) -> str:
    """What is made, in a line: the same of a plan, an accepted request and a render."""
    seconds = document["duration"]
    parts = [
        f"{document['operation']} {document['qualityMode']}",
        document["model"],
        document["resolution"],
        document["aspectRatio"],
        None if seconds is None else f"{seconds} s",
    ]
    return ", ".join(part for part in parts if part)


def detail(render: Document) -> list[str]:
    """A render as lines of words."""
    video = (render["result"] or {}).get("video") or {}
    rows = {
        "render": render["renderId"],
        "status": f"{render['status']}, {percent(render)}%",
        "clip": f"{render['clipId']} of film {render['pipelineRequestId']}",
        "made": described(render),
        "asked for": render["requestedAt"],
        "xAI job": render["requestId"],
        "attempts": str(len(render["attempts"])),
        "estimate": usd(render["estimatedCostUsd"]),
        "cost": usd(render["costUsd"]),
        "money": spending(render.get("spending")),
        "key": video.get("key"),
        "sha256": video.get("sha256"),
        "url": video.get("url"),
        "callback": told(render.get("callback")),
    }
    return [f"{name:<10} {words}" for name, words in rows.items() if words]


def told(callback: Document | None) -> str | None:
    """How telling a callbackUrl went, in a line."""
    if callback is None:
        return None
    answer = f"{callback['attempts']} attempts, the last: "
    answer += str(callback["lastStatus"] or callback["lastError"])
    if callback["nextAttemptAt"]:
        return f"again at {callback['nextAttemptAt']} ({answer})"
    if callback["givenUpAt"]:
        return f"given up ({answer})"
    return f"told at {callback['deliveredAt']}" if callback["deliveredAt"] else "not told yet"


def usd(amount: float | None) -> str:
    """Dollars, to the tenth of a cent."""
    return "" if amount is None else f"${amount:.3f}"


def exact(amount: float | None, places: int = 2) -> str:
    """Dollars to the last digit, and to so many places at least."""
    if amount is None:
        return ""
    whole, _, rest = f"{Decimal(str(amount)):,.10f}".partition(".")
    return f"${whole}.{rest.rstrip('0').ljust(places, '0')}"


def between(least: float, most: float) -> str:
    """What something costs: the most, after the least where that is less."""
    return usd(most) if least == most else f"{usd(least)} to {usd(most)}"


def cost(document: Document) -> str:
    """What a render, clip or run came to, with `~` where that is an estimate.

    What it may cost is told only while nothing is decided.
    """
    billed, known = document["costUsd"], document.get("spending") or document
    spent, held = known.get("spentUsd"), known.get("reservedUsd")
    if billed is not None and not spent:
        return usd(billed)
    if spent is None or not (spent or held or document["status"] in AT_REST):
        return f"~{usd(document['estimatedCostUsd'])}"
    return usd(spent) if billed is not None or not spent else f"~{usd(spent)}"


def spending(found: Document | None) -> str:
    """Cost so far, reserved and cap, in a line; nothing where there is neither of the last two."""
    if not found or (found["capUsd"] is None and not found["reservedUsd"]):
        return ""
    of = "" if found["capUsd"] is None else f" of {exact(found['capUsd'], 3)}"
    return f"spent {usd(found['spentUsd'])}, reserved {usd(found['reservedUsd'])}{of}"


def reserved(document: Document) -> str:
    """What a row of a list says beside its cost: what is held, if anything is."""
    held = document.get("reservedUsd") or (document.get("spending") or {}).get("reservedUsd")
    return f", {usd(held)} reserved" if held else ""


@contextmanager
def board() -> Iterator[Show]:
    """A place that shows renders as they go on: bars on a terminal, otherwise lines."""
    console = _stderr()
    if not console.is_terminal:
        yield _lines()
        return
    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}", markup=False, table_column=_column(20)),
        BarColumn(bar_width=10),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[words]}", markup=False, table_column=_column()),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {}

        def show(render: Document) -> None:
            name = render["renderId"]
            if name not in tasks:
                tasks[name] = progress.add_task(_name(render), total=100, words="")
            progress.update(tasks[name], completed=percent(render), words=_words(render))
            if _end(render) is not None:
                progress.stop_task(tasks[name])

        yield show


@contextmanager
def steps(words: str, number: int) -> Iterator[Callable[[], None]]:
    """Something that goes on in so many steps; each is told by a call."""
    console = _stderr()
    say(words)
    if not console.is_terminal:
        yield lambda: None
        return
    columns = (BarColumn(), TextColumn("{task.completed:.0f} of {task.total:.0f}"))
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=number)
        yield lambda: progress.advance(task)


@contextmanager
def working(words: str) -> Iterator[Callable[[str], None]]:
    """Something that takes its time; each call says how far it is, where there is a terminal."""
    console = _stderr()
    if not console.is_terminal:
        yield lambda words: None
        return
    with console.status(Text(words)) as status:
        yield lambda words: status.update(Text(words))


def percent(render: Document) -> int:
    """How far a render is, of a hundred."""
    floor = FLOORS.get(render["status"], 0)
    return max(floor, min(98, int(render["progress"] or 0)))


def elapsed(render: Document, now: datetime) -> float:
    """Seconds since a render was asked for, up to its end if it has come to one."""
    end = _end(render)
    begun = datetime.fromisoformat(render["requestedAt"])
    return max(0.0, ((end or now) - begun).total_seconds())


def _words(render: Document) -> str:
    """Status, time passed, time left and money of a render."""
    seconds = elapsed(render, datetime.now(UTC))
    words = [f"{render['status']:<9}", clock(seconds)]
    progress = render["progress"] or 0
    if render["status"] == "rendering" and 0 < progress < 100:
        words.append(f"~{clock(seconds * (100 - progress) / progress)} left")
    found = cost(render)
    is_guess = found == f"~{usd(render['estimatedCostUsd'])}"
    words.append(f"{'est.' if is_guess else 'cost'} {found.lstrip('~')}{reserved(render)}")
    return "  ".join(words)


def _name(render: Document) -> str:
    """A clip's own name, or the start of its render's id when nobody gave it one."""
    clip, render_id = str(render["clipId"]), str(render["renderId"])
    return render_id[:8] if clip == render_id else clip


def _column(max_width: int | None = None) -> Column:
    return Column(no_wrap=True, overflow="ellipsis", max_width=max_width)


def _lines() -> Show:
    shown: dict[str, tuple[str, int]] = {}

    def show(render: Document) -> None:
        state = (render["status"], percent(render) // LINE_STEP)
        if shown.get(render["renderId"]) != state:
            shown[render["renderId"]] = state
            say(f"{_name(render)}: {percent(render)}%  {_words(render)}")

    return show


def _end(render: Document) -> datetime | None:
    """When a render came to rest; None while it goes on."""
    if render["result"] is None:
        return None
    return datetime.fromisoformat(render["timeline"][-1]["at"])


def clock(seconds: float) -> str:
    """Minutes and seconds, and hours if there are any."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _plural(quantity: float) -> str:
    return "" if quantity == 1 else "s"


def _stderr() -> Console:
    return Console(stderr=True)
