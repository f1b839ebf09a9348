"""Waits for renders to come to rest, and says how to come back when the wait is broken off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from videoconductor.clip import SETTLED
from videoconductor_cli import showing
from videoconductor_cli.client import Document, VideoConductor
from videoconductor_cli.errors import NoAnswer
from videoconductor_cli.exits import INTERRUPTED

LOCAL_GAP = 0.4  # seconds between two looks
DEPLOYED_GAP = 2.0


def watch(
    client: VideoConductor, render_ids: Sequence[str], sleep: Callable[[float], None] = time.sleep
) -> list[Document]:
    """The renders once all are at rest, in the order given; their progress is shown meanwhile."""
    gap = LOCAL_GAP if client.address.is_local else DEPLOYED_GAP
    settled: dict[str, Document] = {}
    with showing.board() as show:
        while True:
            for render_id in render_ids:
                if render_id not in settled:
                    render = client.render(render_id)
                    show(render)
                    if render["status"] in SETTLED:
                        settled[render_id] = render
            if len(settled) == len(set(render_ids)):
                return [settled[render_id] for render_id in render_ids]
            sleep(gap)


@contextmanager
def come_back(render_id: str, api: str | None, data_folder: Path | None) -> Iterator[None]:
    """Ctrl-C and a lost connection leave a render running: say how to find it again."""
    where = [f"--api {api}"] if api else [f"--data {data_folder}"] if data_folder else []
    command = " ".join([showing.program(), "status", render_id, "--watch", *where])
    words = f"The render goes on without you; come back to it with:\n  {command}"
    try:
        yield
    except KeyboardInterrupt:
        showing.say(f"\n{words}")
        raise typer.Exit(INTERRUPTED) from None
    except NoAnswer as lost:
        raise NoAnswer(f"{lost}\n{words}") from lost
