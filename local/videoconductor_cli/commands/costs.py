"""`costs`: what was spent, from the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoconductor_cli import options

if TYPE_CHECKING:
    from videoconductor.client import CostCheck, Costs

Since = Annotated[
    str | None,
    typer.Option("--from", metavar="DAY", help="First day (UTC); that of this month if not."),
]
Until = Annotated[
    str | None, typer.Option("--to", metavar="DAY", help="Last day (UTC); today if not given.")
]


def costs(
    by: Annotated[
        str | None,
        typer.Option(
            show_default="film",
            help="What a row is of: render, film, caller, tag, day, month, model or run.",
        ),
    ] = None,
    since: Since = None,
    until: Until = None,
    film: Annotated[str | None, typer.Option(metavar="ID", help="Only of this film.")] = None,
    caller: Annotated[str | None, typer.Option(metavar="ARN", help="Only of this caller.")] = None,
    tag: Annotated[
        str | None, typer.Option(help="Only of this purpose; empty for those without one.")
    ] = None,
    render: Annotated[
        str | None, typer.Option(metavar="RENDER_ID", help="Only of this render.")
    ] = None,
    run: Annotated[str | None, typer.Option(metavar="RUN_ID", help="Only of this run.")] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    as_json: options.AsJson = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare the counters with the ledger instead.")
    ] = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Show what was spent, and what is reserved."""
    from videoconductor_cli import address, showing
    from videoconductor_cli.errors import BadInput

    if as_csv and (as_json or check):
        raise BadInput("--csv goes neither with --json nor with --check")
    filters = {"film": film, "caller": caller, "tag": tag, "render": render, "run": run}
    if check:
        chosen = {"by": by, **filters}
        if wrong := [name for name, value in chosen.items() if value is not None]:
            raise BadInput(f"--check compares everything: not with --{wrong[0]}")
    client = address.client(api, data_folder)
    if check:
        _checked(client.check_costs(since=since, until=until), as_json)
        return
    by = "film" if by is None else by
    found = client.costs(by, since=since, until=until, **filters)
    if as_json:
        showing.give_json(found.document)
    elif as_csv:
        typer.echo(found.csv, nl=False)
    else:
        _told(found)


def _told(found: Costs) -> None:
    from videoconductor_cli import showing

    document = found.document
    showing.say(f"{document['from']} to {document['to']} (UTC), US dollars")
    if not found.rows:
        showing.say("nothing was spent, and nothing is reserved")
        return
    columns = ["settled", "reported", "estimated", "held", "released", "orchestration"]
    rows = [_row(row["name"] or "-", row) for row in found.rows]
    showing.give_table([document["by"], "POSTs", *columns], [*rows, _row("total", found.totals)])
    about = document["orchestration"]
    showing.say(
        f"orchestration is {about['about']} ({about['region']}, {about['asOf']}); the rest is xAI's"
    )


def _row(name: str, row: Mapping[str, Any]) -> list[str]:
    amounts = ("settledUsd", "reportedUsd", "estimatedUsd", "heldUsd", "releasedUsd")
    cells = [f"{row[amount]:.3f}" for amount in amounts]
    return [name, str(row["posts"]), *cells, f"{row['orchestrationUsd']:.5f}"]


def _checked(found: CostCheck, as_json: bool) -> None:
    from videoconductor_cli import showing

    document = found.document
    if as_json:
        showing.give_json(document)
    else:
        compared = f"{document['counters']} counters with {document['entries']} entries"
        compared += f" of {document['days']} days"
        if document["moving"]:
            showing.say(f"{len(document['moving'])} counters were written at every look: ask again")
        if found.agrees:
            showing.give(f"the books agree: {compared}")
        else:
            showing.give(f"the books do not agree: {compared}\n")
            sides = ("spentUsd", "reservedUsd", "totalUsd", "entries")
            rows = [
                [_named(one), side, f"{one['counter'][side]:g}", f"{one['ledger'][side]:g}"]
                for one in found.differences
                for side in sides
                if one["counter"][side] != one["ledger"][side]
            ]
            showing.give_table(["counter", "what", "counter says", "ledger says"], rows)
    if not found.agrees:
        raise typer.Exit(1)


def _named(one: Mapping[str, Any]) -> str:
    month = f" in {one['month']}" if one["month"] else ""
    return f"{one['scope']} {one['name']}{month}"
