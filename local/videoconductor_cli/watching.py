"""Waits for a render or a film to come to rest; says how to come back to a wait broken off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from videoconductor import VideoConductor
from videoconductor.client.errors import Unauthorized, Unavailable
from videoconductor.client.results import Document, VideoRender
from videoconductor.clip import SETTLED
from videoconductor_cli import film_board, showing
from videoconductor_cli.errors import NoAnswer
from videoconductor_cli.exits import INTERRUPTED

LOCAL_GAP = 0.4  # seconds between two looks
DEPLOYED_GAP = 5.0
FILM_LOCAL_GAP = 0.5
FILM_DEPLOYED_GAP = 2.0
LONGEST_GAP = 5.0
PATIENCE = 180.0  # seconds that a film is watched without an answer
CLOSING = 60.0  # seconds that a film may run on when all its clips are at rest
LOST = (NoAnswer, Unauthorized, Unavailable)


def watch(
    client: VideoConductor,
    render_id: str,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> VideoRender:
    """A render once it is at rest; its progress is shown meanwhile."""
    gap = LOCAL_GAP if client.is_local else DEPLOYED_GAP
    with showing.board() as show:
        render = client.render(render_id)
        show(render.document)
        while not render.is_settled:
            asked = clock()
            render = client.render(render_id, wait=int(gap))
            show(render.document)
            if not render.is_settled:
                sleep(max(0.0, gap - (clock() - asked)))
        return render


def watch_film(
    client: VideoConductor,
    film: str,
    run_id: str,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Document:
    """A run of a film once it is over; it is shown meanwhile.

    A run may take hours: no answer for a while is waited out. Raises NoAnswer, BadInput.
    """
    answered = clock()
    at_rest: float | None = None
    is_silent = False
    gap = 0.0
    with film_board.board() as board:
        while True:
            asked = clock()
            try:
                document = client.film_status(film, run_id, wait=int(gap)).document
            except Unavailable as lost:
                if clock() - answered > PATIENCE:
                    raise
                if not is_silent:
                    board.say(f"{lost}; trying on …")
                is_silent = True
                sleep(LONGEST_GAP)
                continue
            answered, is_silent = clock(), False
            board.show(document)
            if document["status"] != "running":
                return document
            # Its clips are at rest before their film is; a film that does not notice is left.
            rests = all(clip["status"] in SETTLED for clip in document["clips"])
            at_rest = (at_rest or answered) if rests else None
            if at_rest is not None and answered - at_rest > CLOSING:
                return document
            gap = film_gap(len(document["clips"]), is_local=client.is_local)
            sleep(max(0.0, gap - (clock() - asked)))


def film_gap(clips: int, *, is_local: bool) -> float:
    """Seconds between two looks at a film: the answer grows with its clips, and so does this."""
    shortest = FILM_LOCAL_GAP if is_local else FILM_DEPLOYED_GAP
    return min(LONGEST_GAP, shortest * (1 + clips / 100))


@contextmanager
def come_back(render_id: str, api: str | None, data_folder: Path | None) -> Iterator[None]:
    """Ctrl-C and a lost connection leave a render running: say how to find it again."""
    where = [f"--api {api}"] if api else [f"--data {data_folder}"] if data_folder else []
    command = " ".join([showing.program(), "status", render_id, "--watch", *where])
    with broken_off(f"The render goes on without you; come back to it with:\n  {command}"):
        yield


@contextmanager
def broken_off(words: str) -> Iterator[None]:
    """What to say when Ctrl-C or a lost connection ends a wait."""
    try:
        yield
    except KeyboardInterrupt:
        showing.say(f"\n{words}")
        raise typer.Exit(INTERRUPTED) from None
    except LOST as lost:
        raise NoAnswer(f"{lost}\n{words}") from lost
