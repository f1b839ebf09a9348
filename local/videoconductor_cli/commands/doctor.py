"""`doctor`: what in a stack is not as it should be, and what helps."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoconductor_cli import options

if TYPE_CHECKING:
    from videoconductor.client import Diagnosis

API_VARIABLE = "VIDEOCONDUCTOR_API_URL"
# In this order: what may cost money first. Each in words.
KINDS = {
    "submit_unknown": "xAI may have accepted these, and nobody knows",
    "stalled": "past their deadline",
    "delivery": "delivered, and not taken up",
    "held": "at rest, and what their POSTs cost is not known",
    "counter": "counters that differ from the ledger",
    "render_without_execution": "renders that nothing works on",
    "run_without_execution": "runs of films that nothing works on",
    "execution_without_record": "executions of what is not on record",
    "clip_without_entry": "finished clips that the manifest lacks",
    "entry_without_object": "clips whose object is gone, or another",
    "object_without_entry": "clips that nothing names",
    "unannounced": "at rest, and nobody was told",
    "dead_letters": "given up",
    "unreadable": "items of the table that cannot be read",
}


def doctor(
    repair: Annotated[
        bool, typer.Option("--repair", help="Mend what is safe to mend, and list the rest.")
    ] = False,
    may_post: Annotated[
        bool,
        typer.Option(
            "--may-post",
            help="With --repair: also set going what was not sent yet, which is paid for.",
        ),
    ] = False,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Find what is not as it should be, and say what helps.

    Changes nothing without --repair, and is harmless at any time. Ends with 1 if anything is left.
    """
    from videoconductor_cli import address, showing
    from videoconductor_cli.errors import BadInput

    if may_post and not repair:
        raise BadInput("--may-post goes with --repair only")
    client = address.client(api, data_folder)
    with showing.working("looking") as show:
        found = client.doctor(
            repair=repair, may_post=may_post, on_page=lambda seen: show(looked_at(seen))
        )
    if as_json:
        showing.give_json(found.document)
    else:
        _told(found, api)
    if not found.is_healthy:
        raise typer.Exit(1)


def looked_at(found: Diagnosis) -> str:
    """How much was looked at, in a line."""
    return "looked at " + ", ".join(f"{count} {name}" for name, count in found.looked.items())


def _told(found: Diagnosis, api: str | None) -> None:
    from videoconductor_cli import showing

    for kind in sorted({one["kind"] for one in found.findings}, key=_place):
        those = [one for one in found.findings if one["kind"] == kind]
        showing.give(f"{kind} ({len(those)}): {KINDS.get(kind, '')}".rstrip(": "))
        for one in those:
            for line in _lines(one, api):
                showing.give(f"  {line}")
        showing.give("")
    showing.say(looked_at(found))
    decided = found.document["decided"]
    if decided["renders"]:
        held = showing.usd(decided["heldUsd"])
        showing.say(
            f"held by somebody's decision: {held} for {_many(decided['renders'], 'render')}"
        )
    left = sum(not one["repaired"] for one in found.findings)
    mended = len(found.findings) - left
    if left:
        more = f", {mended} repaired" if mended else ""
        showing.give(f"{_many(left, 'finding')} left{more}")
    else:
        showing.give(f"healthy, {mended} repaired" if mended else "healthy")


def _many(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _place(kind: str) -> int:
    return [*KINDS, kind].index(kind)


def _lines(one: Mapping[str, Any], api: str | None) -> list[str]:
    from videoconductor_cli import showing

    since = f"since {one['since']}" if one["since"] else ""
    held = f"{showing.usd(one['heldUsd'])} held" if one["heldUsd"] else ""
    about = [part for part in (one["name"], since, held, one["repaired"]) if part]
    commands = [f"    $ {_addressed(command, api)}" for command in one["commands"]]
    return ["  ".join(about), f"  {one['words']}", *commands]


def _addressed(command: str, api: str | None) -> str:
    """A command as this person has to give it to reach the same stack."""
    if api is None or not command.startswith("videoconductor "):
        return command
    if command.startswith("videoconductor webhook "):
        return f"{command} --stack NAME"
    is_known = os.environ.get(API_VARIABLE) == api
    return command if is_known else f"{command} --api {shlex.quote(api)}"
