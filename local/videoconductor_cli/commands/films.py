"""`list --films`, `film-cancel`: the runs of all films, and an end to one of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoconductor_cli import options

if TYPE_CHECKING:
    from videoconductor import VideoConductor


def show(
    client: VideoConductor, status: Iterable[str], film: str | None, limit: int, *, as_json: bool
) -> None:
    """Print the newest runs as a table, or as JSON."""
    from videoconductor_cli import showing

    found = [run.document for run in client.films(status=status, film=film, limit=limit)]
    if as_json:
        showing.give_json({"films": found})
        return
    if not found:
        showing.say("no such runs" if status or film else "no films yet")
        return
    showing.give_table(
        ["film", "run", "status", "there", "cost", "asked for"], [_row(run) for run in found]
    )


def film_cancel(
    film: Annotated[str, typer.Argument(metavar="FILM", help="As `film` said it.")],
    run: Annotated[
        str | None, typer.Option(metavar="RUN_ID", help="This run; the newest if not given.")
    ] = None,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Send no more clips of a film's run.

    Clips that are there stay. Jobs that xAI accepted go on and may be billed; a new run gets
    their clips.
    """
    from videoconductor_cli import address, showing

    found = address.client(api, data_folder).cancel_film(film, run).document
    if as_json:
        showing.give_json(found)
        return
    counts, billed = found["counts"], found["mayBeBilled"]
    showing.give(
        f"run {found['runId']} of {found['filmId']} is cancelled: "
        f"{counts['done']} of {counts['total']} clips are there"
    )
    for clip in billed:
        job = clip["requestId"] or "not known yet"
        price = showing.usd(clip["estimatedCostUsd"])
        showing.say(f"xAI may still bill {clip['clipId']}, {price}: request id {job}")
    if billed:
        showing.say("the next run of the film waits for those clips, at no further cost")


def _row(run: dict[str, Any]) -> list[str]:
    from videoconductor_cli import showing

    # How many are there is on record once the run is over.
    counts, is_over = run["counts"], run["status"] != "running"
    return [
        run["filmId"],
        run["runId"],
        run["status"],
        f"{counts['done']} of {counts['total']}" if is_over else f"of {counts['total']}",
        showing.cost(run) + showing.reserved(run),
        run["requestedAt"][5:16].replace("T", " "),
    ]
