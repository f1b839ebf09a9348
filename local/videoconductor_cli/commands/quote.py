"""`quote`: what a clip or a script costs, line by line, and an id that holds a film to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videoconductor_cli import options
from videoconductor_cli.errors import BadInput

if TYPE_CHECKING:
    from pathlib import Path

    from videoconductor import VideoConductor

OTHERWISE = (
    "name a deployed API with --api URL; `videoconductor plan` says what a request costs without "
    "one, though not what is there already"
)


def quote(
    request: options.Request = None,
    prompt: options.Prompt = None,
    mode: options.Mode = None,
    duration: options.Duration = None,
    aspect_ratio: options.AspectRatio = None,
    resolution: options.Resolution = None,
    model: options.Model = None,
    image: options.Image = None,
    last_frame: options.LastFrame = None,
    reference: options.Reference = None,
    source_video: options.AnySource = None,
    remaster: options.Remaster = False,
    extend: options.Extend = False,
    clip_id: options.ClipIds = None,
    film: options.Film = None,
    force: options.Force = False,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Say what a clip or a script costs, line by line.

    Of what is not there already. Spends nothing; the quoteId is good for a day.
    """
    given = dict(locals())
    from videoconductor_cli import quote_report, showing
    from videoconductor_cli.commands.plan import script_or_clip

    wanted = script_or_clip(request, given)
    client = _client(api, data_folder)
    if isinstance(wanted, str):
        found = client.quote_film(
            wanted.encode(),
            clips=clip_id or (),
            remaster=remaster,
            source_video_url=source_video,
            force=force,
        )
    elif force:
        raise BadInput("--force is for scripts: a clip request always asks for another clip")
    else:
        found = client.quote(request=wanted)
    if as_json:
        showing.give_json(found.document)
        return
    showing.give_table(quote_report.COLUMNS, quote_report.rows(found.document))
    for line in quote_report.summary(found.document):
        showing.give(line)


def _client(api: str | None, data_folder: Path | None) -> VideoConductor:
    from videoconductor_cli import address

    if api is not None:
        return address.deployed(api)
    return address.of(address.running(address.stack_folder(data_folder), OTHERWISE))
