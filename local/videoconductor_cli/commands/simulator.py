"""`simulator`: xAI's media API on this machine; the options are the simulator's own."""

from __future__ import annotations

import typer

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def simulator(context: typer.Context) -> None:
    """Serve xAI's media API on localhost."""
    # Built here, not at import: the simulator's options need packages that --help does without.
    from xai_simulator.command import HELP
    from xai_simulator.command import simulator as serve

    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(help=HELP)(serve)
    app(context.args, prog_name="videoconductor simulator")
