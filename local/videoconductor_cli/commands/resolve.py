"""`cancel`, `attach`, `retry`, `resume`, `abandon`: what a person decides about a render."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from videoconductor_cli import options

if TYPE_CHECKING:
    from videoconductor import VideoConductor
    from videoconductor.client.results import VideoRender


def cancel(
    render_id: options.RenderId,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Stop waiting for a render.

    A job that xAI accepted goes on and may be billed; `attach` gets its clip.
    """
    _command(lambda client: client.cancel(render_id), as_json, api, data_folder)


def attach(
    render_id: options.RenderId,
    request_id: Annotated[
        str | None,
        typer.Argument(metavar="[REQUEST_ID]", help="xAI's id of the job; the one on record."),
    ] = None,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Take up the wait for a job again.

    This spends nothing.
    """
    _command(lambda client: client.attach(render_id, request_id), as_json, api, data_folder)


def retry(
    render_id: options.RenderId,
    may_charge_twice: Annotated[
        bool,
        typer.Option("--may-charge-twice", help="Even where the last attempt may have been paid."),
    ] = False,
    max_cost_usd: Annotated[
        float | None,
        typer.Option(
            "--max-cost-usd",
            metavar="N",
            parser=options.us_dollars,
            help="What all its attempts may cost together, instead of its own limit.",
        ),
    ] = None,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Send a failed render once more.

    This is paid for.
    """
    _command(
        lambda client: client.retry(
            render_id, may_charge_twice=may_charge_twice, max_cost_usd=max_cost_usd
        ),
        as_json,
        api,
        data_folder,
    )


def resume(
    render_id: options.RenderId,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Give a render a new execution.

    In case its own is gone; harmless at any time.
    """
    _command(lambda client: client.resume(render_id), as_json, api, data_folder)


def abandon(
    render_id: options.RenderId,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Give up a render that is lost.

    One that is stalled, or of which nobody knows whether xAI accepted it.
    """
    _command(lambda client: client.abandon(render_id), as_json, api, data_folder)


def _command(
    command: Callable[[VideoConductor], VideoRender],
    as_json: bool,
    api: str | None,
    data_folder: Path | None,
) -> None:
    from videoconductor_cli import address, showing

    render = command(address.client(api, data_folder)).document
    if as_json:
        showing.give_json(render)
        return
    showing.give(f"{render['renderId']} is {render['status']}")
    if render["result"] is None:
        showing.say(f"follow it with: {showing.program()} status {render['renderId']} --watch")
    elif render["advice"]:
        showing.say(render["advice"])
