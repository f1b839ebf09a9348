"""`demo`: the whole way on this machine, from a script to a film's files, without spending."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from videoconductor_cli import address
from videoconductor_cli.commands import local
from videoconductor_cli.errors import NoAnswer, NoClip

if TYPE_CHECKING:
    from local_stack import Endpoints

# Beside the data of `local up`, not in it: a stack takes what is below its folder for its own.
DATA_FOLDER = ".videoconductor-demo"
SCRIPT = Path("events", "demo-film.json")
FOLDER = Path("generated")


def demo() -> None:
    """Make a short film on this machine: stills, clips, thumbnails.

    xAI is simulated and XAI_API_KEY ignored: nothing is spent.
    """
    from videoconductor_cli import showing

    began = time.monotonic()
    folder = address.project() / DATA_FOLDER
    showing.say("A film by xAI's simulator on this machine: prices are shown, nothing is spent.")
    if os.environ.get(local.KEY):
        showing.say(f"{local.KEY} is set, and ignored here.")
    with alone(folder), running(folder) as endpoints:
        folder = made(endpoints)
        spent = capped(endpoints)
    showing.give(f"\nDone in {time.monotonic() - began:.0f} s, nothing was spent. Look at:")
    for path in sorted(folder.rglob("*.*")):
        showing.give(f"  {path}")
    program = showing.program()
    showing.give(f"{spent} Set your own: {program} budget set day USD")
    showing.give("Try next:")
    showing.give(f"  {program} plan {SCRIPT}")
    showing.give(f"  {program} local up")
    showing.give(f"  {program} film {SCRIPT} --download")
    showing.give(f"  {program} generate 'a fox in the snow' --download")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One demo at a time: the first to end would stop the other's stack."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NoAnswer("a demo is running already: wait for its end") from None
        yield


@contextmanager
def running(folder: Path) -> Iterator[Endpoints]:
    """A stack of the demo's own, with the simulator whatever the environment holds."""
    from local_stack import LocalStack, Options
    from videoconductor_cli import showing

    options = Options(xai_api_key=None, job_seconds=1.5)
    stack = LocalStack(folder, address.project(), options)
    try:
        showing.say("Starting AWS and the simulator …")
        with local.local_stack_problems():
            endpoints = stack.up()
        showing.say(f"… up after {sum(stack.timings.values()):.1f} s")
        yield endpoints
    finally:
        with local.local_stack_problems():
            stack.down()


def capped(endpoints: Endpoints) -> str:
    """What of the day's cap all that came to."""
    from videoconductor_cli import showing

    day = address.of(endpoints).budget().standing("day")
    if day is None or day.cap_usd is None:
        return "No cap on a day's spending is set."
    return f"{showing.usd(day.spent_usd)} of a day's cap of ${day.cap_usd:g} would be spent."


def made(endpoints: Endpoints) -> Path:
    """The sample film with all its files; its folder."""
    from videoconductor_cli import film_folder, film_report, reading
    from videoconductor_cli.watching import watch_film

    client = address.of(endpoints)
    script = reading.script(str(address.project() / SCRIPT))
    # Forced: a second demo is to show something, and spends nothing either.
    accepted = client.film(script, force=True).document
    film_report.announce(accepted)
    run = watch_film(client, accepted["filmId"], accepted["runId"])
    film_report.conclude(run, accepted)
    if absent := film_report.absent(run):
        raise NoClip(f"{len(absent)} clips of the film are missing")
    fetched = film_folder.fetch(client, run["filmId"], FOLDER)
    if fetched.incomplete:
        raise NoClip("\n".join(fetched.words()))
    return fetched.place.resolve()
