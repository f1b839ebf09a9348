"""`demo`: the whole way on this machine, from two requests to two MP4s, without spending."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from videoconductor_cli import address
from videoconductor_cli.commands import browse, local
from videoconductor_cli.commands.generate import submit
from videoconductor_cli.errors import NoAnswer, NoClip

if TYPE_CHECKING:
    from local_stack import Endpoints

# Beside the data of `local up`, not in it: a stack takes what is below its folder for its own.
DATA_FOLDER = ".videoconductor-demo"
REQUESTS = ("demo-text-to-video.json", "demo-image-to-video.json")
FIRST_FRAME = "/assets/first.png"
FILM = "demo"
MANIFEST = Path("generated", "manifest.json")


def demo() -> None:
    """Make two clips on this machine.

    xAI is simulated and XAI_API_KEY ignored: nothing is spent.
    """
    from videoconductor_cli import showing

    began = time.monotonic()
    folder = address.project() / DATA_FOLDER
    showing.say("Two clips by xAI's simulator on this machine: prices are shown, nothing is spent.")
    if os.environ.get(local.KEY):
        showing.say(f"{local.KEY} is set, and ignored here.")
    with alone(folder), running(folder) as endpoints:
        clips = made(endpoints)
    showing.give(f"\nDone in {time.monotonic() - began:.0f} s, nothing was spent. Look at:")
    for clip in clips:
        showing.give(f"  {clip}")
    showing.give(f"  {MANIFEST.resolve()}")
    program = showing.program()
    showing.give("Try next:")
    showing.give(f"  {program} plan --prompt 'a fox in the snow'")
    showing.give(f"  {program} local up")
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


def made(endpoints: Endpoints) -> list[Path]:
    """Both clips, side by side; their files, and the manifest on screen and on disk."""
    from videoconductor_cli import outcome, showing
    from videoconductor_cli.client import VideoConductor
    from videoconductor_cli.watching import watch

    client = VideoConductor(address.of(endpoints))
    accepted = [submit(client, fields, None) for fields in requests(endpoints)]
    renders = watch(client, [render["renderId"] for render in accepted])
    clips = [Path(outcome.clip(render, Path())).resolve() for render in renders]
    manifest = client.manifest(FILM)
    browse.write(MANIFEST, manifest)
    showing.give("\nManifest")
    browse.show(manifest)
    listed = {clip["renderId"] for clip in manifest["clips"]}
    if missing := [render["renderId"] for render in renders if render["renderId"] not in listed]:
        raise NoClip(f"not in the manifest: {', '.join(missing)}")
    return clips


def requests(endpoints: Endpoints) -> list[dict[str, Any]]:
    """The sample requests; one that starts from an image gets the simulator's."""
    events = address.project() / "events"
    found = [json.loads((events / name).read_text(encoding="utf-8")) for name in REQUESTS]
    return [
        {**fields, "imageUrl": f"{endpoints.simulator_origin}{FIRST_FRAME}"}
        if fields["qualityMode"].endswith("i2v")
        else fields
        for fields in found
    ]
