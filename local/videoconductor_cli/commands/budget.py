"""`budget`: what may be spent, and the kill switch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from videoconductor_cli import options

if TYPE_CHECKING:
    from videoconductor.client import Budget

app = typer.Typer(no_args_is_help=True, help="What may be spent: caps, and the kill switch.")

NAMED = ("film", "caller")
SCOPES = ("render", *NAMED, "day", "month")
EVERYBODY = "*"
AMOUNT = re.compile(r"\$?([0-9]{1,7}(?:\.[0-9]{1,10})?)", re.ASCII)
MOST = 1_000_000
BELOW_NOTHING = re.compile(r"-\$?[0-9.]+.*", re.ASCII)


class _Set(TyperCommand):
    """An amount below nothing is a wrong amount, and no option that there is not."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take apart what was given. Raises BadInput."""
        before = ["", *args]
        for last, word in zip(before, args, strict=False):
            if last != "--name" and BELOW_NOTHING.fullmatch(word):
                _usd(word)
        return super().parse_args(ctx, args)


OfFilm = Annotated[str | None, typer.Option("--film", metavar="ID", help="How this film stands.")]
OfCaller = Annotated[
    str | None, typer.Option("--caller", metavar="ARN", help="How this caller stands this month.")
]


@app.command("show")
def show(
    film: OfFilm = None,
    caller: OfCaller = None,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Show every cap, and how what it counts stands."""
    from videoconductor_cli import address

    _told(address.client(api, data_folder).budget(film=film, caller=caller), as_json)


@app.command("set", cls=_Set)
def set_cap(
    scope: Annotated[
        str, typer.Argument(metavar="SCOPE", help="render, film, caller, day or month.")
    ],
    amount: Annotated[
        str | None,
        typer.Argument(metavar="[AMOUNT|none]", help="US dollars, or none for no cap."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="This film or caller alone; all others if not given.")
    ] = None,
    inherit: Annotated[
        bool, typer.Option("--inherit", help="Take the cap away that --name has of its own.")
    ] = False,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Set a cap, or take it away. Below what is spent is allowed: nothing new is sent then."""
    from videoconductor_cli import address
    from videoconductor_cli.errors import BadInput

    if scope not in SCOPES:
        raise BadInput(f"SCOPE: {scope!r} is not known; choose one of: {', '.join(SCOPES)}")
    if name is not None and not name.strip():
        raise BadInput("--name is empty: give one, or leave the option out for all others")
    if name is not None and scope not in NAMED:
        raise BadInput(f"--name goes with {' and '.join(NAMED)} only, not with {scope!r}")
    if inherit and (name is None or amount is not None):
        raise BadInput("--inherit needs --name, and no amount")
    if not inherit and amount is None:
        raise BadInput("say how many US dollars, or none")
    cap: Any = "inherit" if inherit else _usd(str(amount))
    caps = {scope: {EVERYBODY if name is None else name: cap}} if scope in NAMED else {scope: cap}
    client = address.client(api, data_folder)
    found = client.set_budget(caps)
    if name is not None:
        found = client.budget(**{scope: name})
    _told(found, as_json)


@app.command("stop")
def stop(
    reason: Annotated[
        str | None, typer.Option(help="Why: it is told to whoever is refused.")
    ] = None,
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Let no new POST out to xAI. What runs is finished and kept."""
    from videoconductor_cli import address

    _told(address.client(api, data_folder).stop_spending(reason), as_json)


@app.command("resume")
def resume(
    as_json: options.AsJson = False,
    api: options.Api = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Let POSTs out again. Renders that failed meanwhile stay failed: retry them."""
    from videoconductor_cli import address

    _told(address.client(api, data_folder).resume_spending(), as_json)


def _usd(text: str) -> float | None:
    from videoconductor_cli.errors import BadInput

    if text == "none":
        return None
    found = AMOUNT.fullmatch(text)
    if found is None or float(found[1]) > MOST:
        raise BadInput(
            f"AMOUNT: {text!r} must be a number of US dollars from 0 to {MOST:,} with at most ten "
            "decimals, or none"
        )
    return float(found[1])


def _told(found: Budget, as_json: bool) -> None:
    from videoconductor_cli import showing

    document = found.document
    if as_json:
        showing.give_json(document)
        return
    if found.is_stopped:
        since = document["stoppedAt"]
        showing.give(f"spending is stopped since {since}: {found.stopped_because}")
        showing.give(f"let POSTs out again with `{showing.program()} budget resume`\n")
    showing.give_table(
        ["scope", "name", "cap", "spent", "reserved", "left"], [*_unnamed(found), *_rows(found)]
    )
    if document["changedAt"]:
        showing.say(f"changed at {document['changedAt']} by {document['changedBy']}")


def _unnamed(found: Budget) -> list[list[str]]:
    """The caps that stand nowhere: each render has its own sum, and so has each film and caller."""
    caps = found.caps
    general = {"render": caps["render"], **{name: caps[name][EVERYBODY] for name in NAMED}}
    return [[scope, "each", _cap(cap), "", "", ""] for scope, cap in general.items()]


def _rows(found: Budget) -> list[list[str]]:
    return [_row(one) for one in found.standings]


def _row(one: Mapping[str, Any]) -> list[str]:
    from videoconductor_cli import showing

    name = f"{one['name']} in {one['month']}" if one["month"] else one["name"]
    amounts = (one["spentUsd"], one["reservedUsd"], one["leftUsd"])
    return [one["scope"], name, _cap(one["capUsd"]), *(showing.exact(a) for a in amounts)]


def _cap(amount: float | None) -> str:
    from videoconductor_cli import showing

    return "none" if amount is None else showing.exact(amount)
