"""`generate`: ask for a clip and wait until it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoconductor_cli import options
from videoconductor_cli.errors import NoAnswer

if TYPE_CHECKING:
    from videoconductor import VideoConductor
    from videoconductor.client.results import Document


def generate(
    prompt: Annotated[str | None, typer.Argument(help="What the clip should show.")] = None,
    request: Annotated[
        str | None,
        typer.Option("--request", metavar="FILE", help="JSON clip request; - reads stdin."),
    ] = None,
    mode: options.Mode = None,
    duration: options.Duration = None,
    aspect_ratio: options.AspectRatio = None,
    resolution: options.Resolution = None,
    model: options.Model = None,
    image: options.Image = None,
    last_frame: options.LastFrame = None,
    reference: options.Reference = None,
    source_video: options.SourceVideo = None,
    remaster: options.Remaster = False,
    extend: options.Extend = False,
    clip_id: options.ClipId = None,
    film: options.Film = None,
    max_cost_usd: options.MaxCostUsd = None,
    quote_id: options.QuoteId = None,
    idempotency_key: Annotated[
        str | None,
        typer.Option(help="With the key of an earlier request, that render is meant."),
    ] = None,
    download: options.Download = False,
    to: options.To = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="End when the request is accepted.")
    ] = False,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Ask for a clip and wait until it is there."""
    given = dict(locals())
    from videoconductor_cli import address, downloads, outcome, reading, showing
    from videoconductor_cli.watching import come_back, watch

    options.refuse_empty("--idempotency-key", idempotency_key)
    options.refuse_empty("--quote-id", quote_id)
    place = outcome.folder(download, to)
    if place is not None:
        downloads.check_writable(place)  # before anything is paid for
    fields = reading.request(request, given)
    client = address.client(api, data_folder)
    accepted = submit(client, fields, idempotency_key)
    if no_wait:
        showing.say(
            f"come back to it with: {showing.program()} status {accepted['renderId']} --watch"
        )
        if as_json:
            showing.give_json(accepted)
        else:
            showing.give(accepted["renderId"])
        return
    with come_back(accepted["renderId"], api, data_folder):
        render = watch(client, accepted["renderId"])
    outcome.conclude(render, place, as_json=as_json)


def submit(client: VideoConductor, fields: dict[str, Any], key: str | None) -> Document:
    """Send the request and say what will be made and what it will cost."""
    import uuid

    from videoconductor_cli import showing
    from videoconductor_cli.watching import LOST

    key = key or uuid.uuid4().hex
    again = (
        "The request may have been accepted. Give it again with "
        f"--idempotency-key {key}: it will not be paid for twice."
    )
    try:
        accepted = client.generate(request=fields, key=key).document
    except KeyboardInterrupt:
        showing.say(f"\n{again}")
        raise
    except LOST as problem:
        raise NoAnswer(f"{problem}\n{again}") from problem
    showing.say(f"render {accepted['renderId']}: {showing.described(accepted)}")
    for line in showing.estimate(accepted["estimate"]):
        showing.say(line)
    for warning in accepted["warnings"]:
        showing.say(f"  note: {warning}")
    return accepted
