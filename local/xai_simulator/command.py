"""The command: `videoconductor simulator`, also `python -m xai_simulator`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from xai_simulator.options import PRESETS, SimulatorOptions
from xai_simulator.scenarios import SCENARIOS, STAGES
from xai_simulator.server import run


def marker_list() -> str:
    """Every marker and what it does, a paragraph for each stage."""
    paragraphs = []
    for stage, title in STAGES.items():
        rows = [row for row in SCENARIOS.values() if row.stage == stage]
        lines = [f"  {row.name:<20} {row.does}" for row in rows]
        paragraphs.append("\b\n" + "\n".join([f"{title}:", *lines]))
    return "\n\n".join(paragraphs)


HELP = f"""xAI's media API on localhost: real MP4s, the contract's errors and prices, no money.

Prints the base url and the key to use, and serves until it is stopped. It misbehaves on
request: put [[sim:NAME]] anywhere in a prompt; [[sim:NAME=3]] makes it strike three times.

{marker_list()}"""


def simulator(
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 0,
    key: Annotated[str, typer.Option(help="The only API key accepted.")] = "sim-key",
    host: Annotated[str, typer.Option(help="Address to listen at.")] = "127.0.0.1",
    origin: Annotated[
        str | None, typer.Option(help="Origin of result urls, if not its own.")
    ] = None,
    job_seconds: Annotated[float, typer.Option(help="How long a job takes.")] = 1.5,
    time_scale: Annotated[float, typer.Option(help="Factor on all times; 0.1 is faster.")] = 1.0,
    progress_steps: Annotated[int, typer.Option(help="Steps from 0 to 100.")] = 20,
    progress: Annotated[bool, typer.Option(help="Report progress.")] = True,
    usage: Annotated[bool, typer.Option(help="Report what jobs cost.")] = True,
    empty_pending: Annotated[bool, typer.Option(help="202 without a body.")] = False,
    requests_per_second: Annotated[
        float | None, typer.Option(help="Starts a second before 429; no limit if not given.")
    ] = None,
    retry_after: Annotated[
        int | None, typer.Option(help="Send Retry-After with each rate 429, in seconds.")
    ] = None,
    fault_rate: Annotated[float, typer.Option(help="Share of requests that fail, 0 to 1.")] = 0.0,
    fault_seed: Annotated[int | None, typer.Option(help="Makes the faults repeatable.")] = None,
    nocredits_status: Annotated[int, typer.Option(help="429 or 403.")] = 429,
    witness: Annotated[
        str, typer.Option(help="upload_url is served: prompt, late, never or broken.")
    ] = "prompt",
    witness_delay: Annotated[float, typer.Option(help="Seconds that late means.")] = 5.0,
    url_with_upload: Annotated[bool, typer.Option(help="url is filled beside upload_url.")] = True,
    price_factor: Annotated[
        list[str] | None, typer.Option(help="MODEL=1.4 bills that much more than the list price.")
    ] = None,
    serve_as: Annotated[
        list[str] | None, typer.Option(help="MODEL=OTHER reports OTHER in the done body.")
    ] = None,
    zero_data_retention: Annotated[
        bool, typer.Option(help="Refuse videos without output.upload_url.")
    ] = False,
    full_hd: Annotated[bool, typer.Option(help="The team may use 1080p.")] = True,
    team_id: Annotated[str, typer.Option(help="The team in error texts.")] = (
        SimulatorOptions.model_fields["team_id"].default
    ),
    oversize_bytes: Annotated[int, typer.Option(help="What [[sim:oversize]] announces.")] = 8
    * 2**30,
    input_origin: Annotated[
        list[str] | None, typer.Option(help="An http:// origin that inputs may come from.")
    ] = None,
    journal: Annotated[
        Path | None, typer.Option(help="Append the journal here, in JSON lines.")
    ] = None,
    cache: Annotated[Path | None, typer.Option(help="Keep clips here between runs.")] = None,
    presets: Annotated[Path, typer.Option(help="Folder with models.json.")] = PRESETS,
) -> None:
    given: dict[str, Any] = dict(locals())
    given["report_progress"] = given.pop("progress")
    given["report_usage"] = given.pop("usage")
    given["input_origins"] = tuple(given.pop("input_origin") or ())
    try:
        options = SimulatorOptions.model_validate(given)
    except ValidationError as problem:
        raise typer.BadParameter(_first_line(problem)) from None
    run(options, ready=lambda started: _announce(started, options.key))


simulator.__doc__ = HELP


def _first_line(problem: ValidationError) -> str:
    first = problem.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _announce(origin: str, key: str) -> None:
    typer.echo(f"XAI_API_BASE_URL={origin}/v1")
    typer.echo(f"XAI_API_KEY={key}")
    typer.echo(f"journal: {origin}/_sim/journal   stop: Ctrl-C")


def application() -> typer.Typer:
    """The command as an application of its own."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(help=HELP)(simulator)
    return app


def main() -> None:
    """Run the command on its own."""
    application()(prog_name="xai-simulator")
