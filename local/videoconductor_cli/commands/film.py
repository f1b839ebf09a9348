"""`film`: make the clips of a script, and pay only for those that are not there."""

from __future__ import annotations

import math
import shlex
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoconductor_cli import options
from videoconductor_cli.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping

    from videoconductor import VideoConductor
    from videoconductor.client.results import Document


def film(
    request: Annotated[
        str, typer.Argument(metavar="REQUEST.json", help="Script of the film; - reads stdin.")
    ],
    clip: Annotated[
        list[str] | None,
        typer.Option("--clip", "--clip-id", help="Make this clip only; may be repeated."),
    ] = None,
    remaster: Annotated[bool, typer.Option("--remaster", help="Make them again at 720p.")] = False,
    source_url: Annotated[
        str | None,
        typer.Option(
            "--source-url",
            "--source-video",
            metavar="URL|manifest",
            help="Video to edit, or the newest clip the film has of each.",
        ),
    ] = None,
    force: options.Force = False,
    max_cost_usd: options.MaxCostUsd = None,
    quote_id: options.QuoteId = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="With the key of an earlier run, that run is meant.")
    ] = None,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch clips and stills into DIR/FILM.")
    ] = False,
    to: options.To = None,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="End when the film is accepted.")
    ] = False,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Make the clips of a script.

    Pays for clips that are missing, have failed or have changed. The exit code is the number of
    clips that are not there.
    """
    given = dict(locals())
    from videoconductor_cli import address, downloads, film_report, outcome, reading, showing
    from videoconductor_cli.exits import counted
    from videoconductor_cli.watching import broken_off, watch_film

    for option, held in (("--idempotency-key", idempotency_key), ("--quote-id", quote_id)):
        options.refuse_empty(option, held)
    place = outcome.folder(download, to)
    if place is not None and no_wait:
        raise BadInput("files are fetched once the clips are there: leave out --no-wait")
    if place is not None:
        downloads.check_writable(place)  # before anything is paid for
    script = reading.script(request)
    price(script, given)
    client = address.client(api, data_folder)
    accepted, back = submit(client, script, given)
    if no_wait:
        showing.say(f"come back to it with:\n  {back}")
        if as_json:
            showing.give_json(accepted)
        else:
            showing.give(accepted["runId"])
        return
    with broken_off(
        f"The film goes on without you; come back to it, at no further cost, with:\n  {back}"
    ):
        run = watch_film(client, accepted["filmId"], accepted["runId"])
    if as_json:
        showing.give_json(run)
    else:
        film_report.conclude(run, accepted)
    changed = {"max_cost_usd": "N", "quote_id": None}
    again = {**given, **changed} if film_report.reached_its_limit(run) else given
    film_report.complain(run, command(again))
    lost = 0
    if place is not None:
        with broken_off(f"The clips are in the library; go on fetching them with:\n  {back}"):
            lost = fetch(client, run, place, as_json=as_json)
    elif not as_json:
        words = ["manifest", run["filmId"]]
        words += ["--api", given["api"]] if given["api"] else []
        words += ["--data", str(given["data_folder"])] if given["data_folder"] else []
        showing.say(f"look at it with: {showing.program()} {shlex.join(words)}")
    if code := counted(len(film_report.absent(run)) + lost):
        raise typer.Exit(code)


def price(script: bytes, given: Mapping[str, Any]) -> None:
    """Compile and price a script here, before anything is sent. Raises BadInput."""
    from videoconductor_cli import showing
    from videoconductor_cli.commands.plan import film_plan

    planned = film_plan(script, given["clip"], given["remaster"], given["source_url"])
    clips, usd = len(planned.clips), showing.usd(float(planned.total_usd))
    unless = "" if given["force"] else " if none of it is there already"
    words = "clip" if clips == 1 else "clips"
    showing.say(f"film {planned.film.request_id}: {clips} {words}, {usd}{unless}")


def submit(client: VideoConductor, script: bytes, given: Mapping[str, Any]) -> tuple[Document, str]:
    """Send the script and say what will be made; also the command that comes back to the run."""
    import uuid

    from videoconductor.client.errors import QuoteRequired
    from videoconductor_cli import film_report
    from videoconductor_cli.watching import broken_off

    key = given["idempotency_key"] or uuid.uuid4().hex
    back = command(given, key)
    with broken_off(
        "The film may have been accepted. This asks for the same run again, and pays for nothing "
        f"twice:\n  {back}"
    ):
        try:
            accepted = client.film(
                script,
                clips=given["clip"] or (),
                remaster=given["remaster"],
                source_video_url=given["source_url"] or None,
                force=given["force"],
                max_cost_usd=given["max_cost_usd"],
                quote_id=given["quote_id"],
                key=key,
            ).document
        except QuoteRequired as needed:
            _show_quote(needed.quote.document, given)
            raise
    film_report.announce(accepted)
    return accepted, back


def _show_quote(quote: Document, given: Mapping[str, Any]) -> None:
    """Say what the film would cost, and the two ways to agree to it."""
    from videoconductor_cli import quote_report, showing

    for row in quote_report.rows(quote):
        showing.say("  ".join(["", *filter(None, row)]))
    for line in quote_report.summary(quote):
        showing.say(line)
    if quote["quoteId"] is not None:
        key = given["idempotency_key"]
        agreed = command({**given, "quote_id": quote["quoteId"]}, key, is_same=True)
        most = math.ceil(quote["totalUsd"] * 10**6) / 10**6
        limited = command({**given, "quote_id": None, "max_cost_usd": most}, key, is_same=True)
        showing.say(f"Agree to it, or set a limit of your own:\n  {agreed}\n  {limited}")


def command(given: Mapping[str, Any], key: str | None = None, *, is_same: bool = False) -> str:
    """The command that was given, to be given again: for the run of a key, or for a new one.

    A new run is not forced: it is to pay for what is missing. And whoever comes back waits.
    Unless it is to be the same to the letter, as nothing came of it yet.
    """
    forced = given["force"] and (key or is_same)
    from videoconductor_cli import showing

    words = ["film", given["request"]]
    for name in given["clip"] or ():
        words += ["--clip", name]
    words += ["--remaster"] if given["remaster"] else []
    words += ["--force"] if forced else []
    words += ["--download"] if given["download"] else []
    words += ["--json"] if given["as_json"] else []
    words += ["--no-wait"] if is_same and given["no_wait"] else []
    for option, held in (
        ("--source-url", given["source_url"]),
        ("--max-cost-usd", given["max_cost_usd"]),
        ("--quote-id", given.get("quote_id")),
        ("--idempotency-key", key),
        ("--to", given["to"]),
        ("--api", given["api"]),
        ("--data", None if given["api"] else given["data_folder"]),
    ):
        # A float of a tiny amount has an exponent, which nobody would type.
        text = f"{Decimal(str(held)):f}" if isinstance(held, float) else str(held)
        words += [option, text] if held is not None else []
    return f"{showing.program()} {shlex.join(words)}"


def fetch(client: VideoConductor, run: Document, place: Path, *, as_json: bool) -> int:
    """Fetch the files of a run's clips; how many clips are there, but not with all their files."""
    from videoconductor_cli import film_folder, showing

    keys = [
        f"{clip['clipId']}::{clip['qualityMode']}"
        for clip in run["clips"]
        if clip["status"] == "finalized"
    ]
    fetched = film_folder.fetch(client, run["filmId"], place, keys)
    for line in fetched.words():
        showing.say(line)
    tell = showing.say if as_json else showing.give
    tell(str(fetched.place))
    return len(fetched.incomplete & set(keys))
