"""`local up`, `local down`, `local status`: AWS and xAI's simulator on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from videoconductor_cli import address, options
from videoconductor_cli.errors import BadInput, NoAnswer

if TYPE_CHECKING:
    from local_stack import Endpoints

KEY = "XAI_API_KEY"
# Settings of the environment that the local stack heeds, by the template's parameter.
PARAMETERS = {
    "PollIntervalMs": "VIDEO_GEN_POLL_INTERVAL_MS",
    "PollLingerSeconds": "POLL_LINGER_SECONDS",
    "PollTimeoutMs": "VIDEO_GEN_POLL_TIMEOUT_MS",
    "DefaultDuration": "XAI_VIDEO_DEFAULT_DURATION",
    "DefaultAspectRatio": "XAI_VIDEO_ASPECT_RATIO",
    "RequestsPerSecond": "REQUESTS_PER_SECOND",
    "QuoteAboveUsd": "QUOTE_ABOVE_USD",
    "PriceDriftPercent": "PRICE_DRIFT_PERCENT",
    "StopOnDrift": "STOP_ON_DRIFT",
}
PAID_PARAMETERS = {**PARAMETERS, "XaiApiBaseUrl": "XAI_API_BASE_URL"}

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Run AWS and xAI's simulator on this machine.",
)


@app.command()
def up(
    data_folder: options.DataFolder = None,
    port: Annotated[int | None, typer.Option(help="Port of AWS; a free one if not given.")] = None,
    auth: Annotated[
        bool, typer.Option("--auth", help="Check signatures and the functions' policies.")
    ] = False,
    simulated: Annotated[
        bool, typer.Option("--simulator", help=f"Use the simulator even if {KEY} is set.")
    ] = False,
    price_factor: Annotated[
        list[str] | None,
        typer.Option(
            "--simulator-price-factor",
            metavar="MODEL=FACTOR",
            help="Have the simulator bill so many times the list price.",
        ),
    ] = None,
    serve_as: Annotated[
        list[str] | None,
        typer.Option(
            "--simulator-serve-as",
            metavar="MODEL=OTHER",
            help="Have the simulator say that another model was at work.",
        ),
    ] = None,
) -> None:
    """Start the local stack and deploy what has changed."""
    from local_stack import LocalStack, Options
    from videoconductor_cli import showing

    key = None if simulated else os.environ.get(KEY) or None
    drifts = {"--price-factor": price_factor or (), "--serve-as": serve_as or ()}
    chosen = Options(
        port=port,
        auth=auth,
        xai_api_key=key,
        parameters=parameters(os.environ, paid=bool(key)),
        simulator_arguments=simulator_arguments(drifts, paid=bool(key)),
    )
    if key:
        showing.say(f"{KEY} is set: renders go to xAI and are billed (--simulator to pay nothing)")
    stack = LocalStack(
        address.stack_folder(data_folder), address.project(), chosen, on_restart=take_up
    )
    with local_stack_problems():
        running = stack.up()
    show(running, sum(stack.timings.values()))


@app.command()
def down(data_folder: options.DataFolder = None) -> None:
    """Stop the local stack; its clips and records stay."""
    from local_stack import LocalStack
    from videoconductor_cli import showing

    folder = address.stack_folder(data_folder)
    with local_stack_problems():
        was_up = LocalStack(folder, address.project()).down()
    showing.give(f"stopped; the data stays in {folder}" if was_up else "nothing was running")


@app.command()
def status(data_folder: options.DataFolder = None, as_json: options.AsJson = False) -> None:
    """Show whether the local stack runs, and where; exit code 3 when it does not."""
    from local_stack import LocalStack
    from videoconductor_cli import showing

    folder = address.stack_folder(data_folder)
    with local_stack_problems():
        found = LocalStack(folder, address.project()).status()
    if as_json:
        running = found.endpoints
        showing.give_json(
            {
                "running": running is not None,
                "dataFolder": str(folder),
                "apiUrl": running and running.api_url,
                "awsEndpointUrl": running and running.aws_endpoint_url,
                "simulatorOrigin": running and running.simulator_origin,
                "auth": running and running.auth,
            }
        )
    elif found.endpoints is not None:
        show(found.endpoints)
        showing.give(f"processes  {len(found.emulators + found.simulators + found.functions)}")
    if found.endpoints is None:
        raise NoAnswer(f"no local stack is running with its data in {folder}")


def show(running: Endpoints, seconds: float | None = None) -> None:
    """Print where a stack answers."""
    from videoconductor_cli import showing

    xai = running.simulator_origin or "the real one: renders are billed"
    after = "" if seconds is None else f"   (up after {seconds:.1f} s)"
    showing.give(f"API        {running.api_url}{after}")
    showing.give(f"AWS        {running.aws_endpoint_url}")
    showing.give(f"xAI        {xai}")
    showing.give(f"bucket     {running.bucket}")
    showing.give(f"table      {running.table}")


def parameters(environment: Mapping[str, str], *, paid: bool) -> dict[str, str]:
    """The template's parameters, from settings under the names they have everywhere."""
    names = PAID_PARAMETERS if paid else PARAMETERS
    return {
        name: environment[variable] for name, variable in names.items() if environment.get(variable)
    }


def simulator_arguments(drifts: Mapping[str, Sequence[str]], *, paid: bool) -> tuple[str, ...]:
    """The simulator's options with their MODEL=VALUE pairs, as arguments. Raises BadInput."""
    from pydantic import ValidationError

    from xai_simulator.options import SimulatorOptions

    arguments: list[str] = []
    for option, pairs in drifts.items():
        named, field = f"--simulator{option[1:]}", option[2:].replace("-", "_")
        if pairs and paid:
            raise BadInput(f"{named} has no effect on the real xAI: give --simulator as well")
        try:
            options = SimulatorOptions.model_validate({field: list(pairs)})
        except ValidationError as problem:
            words = problem.errors()[0]["msg"]
            raise BadInput(f"{named}: {', '.join(pairs)!r}: {words}") from None
        models = options.catalog().models
        for name in getattr(options, field):
            if name not in models:
                choices = ", ".join(models)
                raise BadInput(f"{named}: {name!r} is no model; choose one of: {choices}")
        arguments += [part for pair in pairs for part in (option, pair)]
    return tuple(arguments)


def take_up(running: Endpoints) -> None:
    """Give renders and films that a stop of the stack interrupted a new execution each.

    What was not sent yet, perhaps meant for the simulator, is not sent to the real xAI unasked.
    """
    from local_stack import sweep
    from videoconductor_cli import showing

    swept = sweep(running, may_post=running.simulator_origin is not None)
    for name in swept.resumed:
        showing.say(f"took up {_shown(name)} again")
    for name in swept.left:
        if "/" in name:
            showing.say(f"{_shown(name)} goes on, billed, when its script is handed in again")
        else:
            showing.say(f"{_shown(name)} was not sent yet; this will be billed:")
            showing.say(f"  {showing.program()} resume {name}")


def _shown(name: str) -> str:
    film, _, run = name.rpartition("/")
    return f"run {run} of film {film}" if film else f"render {name}"


@contextmanager
def local_stack_problems() -> Iterator[None]:
    """What the local stack cannot do, as a command's error."""
    from local_stack import LocalStackError

    try:
        yield
    except LocalStackError as problem:
        raise NoAnswer(str(problem)) from problem
