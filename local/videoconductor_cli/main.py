"""The commands of `videoconductor`. The script that is installed enters at `doorstep`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from videoconductor_cli.commands import (
    browse,
    budget,
    costs,
    demo,
    doctor,
    film,
    films,
    generate,
    invoke,
    jobs,
    local,
    manifest,
    mcp,
    openapi,
    plan,
    probe,
    quote,
    resolve,
    simulator,
    token,
    webhook,
)
from videoconductor_cli.exits import Counted, ended_in_words


class Commands(TyperGroup):
    """Expected errors end in words on stderr and an exit code, never in a traceback."""

    def invoke(self, ctx: Any) -> Any:
        with ended_in_words():
            return super().invoke(ctx)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Pay once for xAI Grok Imagine video, and keep every clip.",
)
app.command()(demo.demo)
app.command()(generate.generate)
app.command(cls=Counted)(film.film)
app.command(cls=Counted)(jobs.jobs)
app.command()(browse.status)
app.command("list")(browse.renders)
app.add_typer(manifest.app, name="manifest")
app.command()(mcp.mcp)
app.command()(plan.plan)
app.command()(quote.quote)
app.command()(openapi.openapi)
app.command()(probe.probe)
app.command("film-cancel")(films.film_cancel)
app.command()(resolve.cancel)
app.command()(resolve.attach)
app.command()(resolve.retry)
app.command()(resolve.resume)
app.command()(resolve.abandon)
app.add_typer(budget.app, name="budget")
app.command()(costs.costs)
app.command()(doctor.doctor)
app.add_typer(token.app, name="token")
app.add_typer(webhook.app, name="webhook")
local.app.command()(invoke.invoke)
app.add_typer(local.app, name="local")
app.command(add_help_option=False, context_settings=simulator.PASSED_ON)(simulator.simulator)


def _show_version(wanted: bool) -> None:
    if wanted:
        from videoconductor import __version__

        typer.echo(f"videoconductor {__version__}")
        raise typer.Exit


@app.callback()
def videoconductor(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version."),
    ] = False,
) -> None:
    """Everything before a command's name."""


def main() -> None:
    """Run the command line and leave with its exit code."""
    app(prog_name="videoconductor")


if __name__ == "__main__":
    main()
