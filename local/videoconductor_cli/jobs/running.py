"""Several clips at once, and what Ctrl-C means: send nothing more, but let answers come in."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from videoconductor_cli.jobs.making import Maker, Outcome, Stopped
from videoconductor_cli.jobs.manifest import NotOnRecord
from videoconductor_cli.jobs.survey import Row, Survey

LOOK_SECONDS = 0.2  # how often the main thread wakes up, which is where Ctrl-C arrives


class Stop:
    """Asks everybody to stop; whoever pauses or checks hears of it."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __call__(self) -> None:
        """Ask."""
        self._event.set()

    def check(self) -> None:
        """Raises Stopped if somebody has asked."""
        if self._event.is_set():
            raise Stopped

    def pause(self, seconds: float) -> None:
        """Wait so long. Raises Stopped if somebody has asked, or asks meanwhile."""
        if self._event.wait(max(0.0, seconds)):
            raise Stopped


@dataclass
class Result:
    """What came of a run: an outcome for each clip that was brought to one.

    `problem` is what made it impossible to go on, `bugs` what nobody expected.
    """

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    is_interrupted: bool = False
    problem: NotOnRecord | None = None
    bugs: list[BaseException] = field(default_factory=list)


def run(
    survey: Survey, maker: Maker, stop: Stop, concurrency: int, say: Callable[[str], None]
) -> Result:
    """Make all clips about which there is something to do, `concurrency` at a time.

    After Ctrl-C, POSTs that are on their way are waited for, so that their answers get on record;
    a second one leaves them to be found out about later.
    """
    result = Result()
    todo: queue.SimpleQueue[Row] = queue.SimpleQueue()
    for row in survey.rows:
        if row.rest is None:
            todo.put(row)
        else:
            result.outcomes[row.clip.key] = Outcome(row.rest.is_finished, row.rest.attempt)
    threads = [
        threading.Thread(
            target=_work, args=(todo, maker, stop, result), name=f"clip-{number}", daemon=True
        )
        for number in range(min(concurrency, todo.qsize()))
    ]
    for thread in threads:
        thread.start()
    try:
        _join(threads)
    except KeyboardInterrupt:
        result.is_interrupted = True
        stop()
        say("\nstopping: waiting for the answers to what was sent (Ctrl-C again does not wait)")
        try:
            _join(threads)
        except KeyboardInterrupt:
            say("stopped")
    return result


def _work(todo: queue.SimpleQueue[Row], maker: Maker, stop: Stop, result: Result) -> None:
    """Make one clip after another until there are no more, or nobody can go on."""
    while True:
        try:
            row = todo.get_nowait()
            stop.check()
            outcome = maker.make(row.clip, may_send=row.may_send)
            result.outcomes[row.clip.key] = outcome
        except (queue.Empty, Stopped):
            return
        except NotOnRecord as problem:
            result.problem = problem
            stop()
            return
        except BaseException as bug:  # noqa: BLE001 - told once the others have come to an end
            result.bugs.append(bug)
            stop()
            return


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        while thread.is_alive():
            thread.join(LOOK_SECONDS)
