"""`local invoke`: run one function on one event, as Lambda would."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from videoconductor_cli import address, options
from videoconductor_cli.commands.local import local_stack_problems
from videoconductor_cli.errors import BadInput, NoClip

if TYPE_CHECKING:
    from local_stack import Endpoints
    from local_stack.invocation import Invocation

BROKEN = 500  # HTTP statuses from here on are a failure of the function


def invoke(
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="poll, submit, …")],
    event: Annotated[
        Path | None,
        typer.Option("--event", metavar="FILE", help="The event; events/FUNCTION.json if not."),
    ] = None,
    sam: Annotated[
        Path | None, typer.Option("--sam", help="With Docker: run it by this SAM CLI.")
    ] = None,
    data_folder: options.DataFolder = None,
) -> None:
    """Run one function on one event, as Lambda would.

    A sample event runs on a stack of its own, which passes and has all that the event speaks of;
    another event on the running local stack.
    """
    from local_stack import containers, invocation
    from local_stack.packaging import read_template
    from videoconductor_cli import samples, showing

    project = address.project()
    with local_stack_problems():
        template = read_template(project / "template.yaml")
        names = invocation.functions(template)
        if function not in names:
            raise BadInput(f"no function is called {function!r}; choose one of: {', '.join(names)}")
        is_sample = event is None or event.resolve() == samples.path(project, function).resolve()
        given = None if event is None or is_sample else read(event)
        in_container = sam is not None and containers.is_possible()
        if sam is not None and not in_container:
            showing.say("no Docker here: the function runs as a process of this machine")
        with ExitStack() as stack:
            endpoints = stack.enter_context(passing(project) if is_sample else lasting(data_folder))
            if is_sample:
                stage = stack.enter_context(samples.Stage(project, endpoints))
                given = stage.prepare(function)
            if sam is not None and in_container:
                done = containers.invoke(template, project, endpoints, names[function], given, sam)
            else:
                done = invocation.invoke(template, project, endpoints, names[function], given)
    conclude(function, done)


def read(path: Path) -> Any:
    """An event from a file. Raises BadInput."""
    try:
        return json.loads(path.read_bytes())
    except OSError as problem:
        raise BadInput(f"{path}: {problem.strerror}") from problem
    except (ValueError, RecursionError) as problem:
        raise BadInput(f"{path} is not JSON: {problem}") from problem


@contextmanager
def passing(project: Path) -> Iterator[Endpoints]:
    """A stack for this one event, with the simulator; nothing of it is kept."""
    from local_stack import LocalStack, Options
    from videoconductor_cli import showing

    with tempfile.TemporaryDirectory(prefix="videoconductor-") as folder:
        stack = LocalStack(Path(folder), project, Options(job_seconds=0.5))
        showing.say("Starting AWS and the simulator …")
        try:
            yield stack.up()
        finally:
            stack.down()


@contextmanager
def lasting(data_folder: Path | None) -> Iterator[Endpoints]:
    """The local stack that runs. Raises NoAnswer, and BadInput for one that pays."""
    running = address.running(address.stack_folder(data_folder))
    if running.simulator_origin is None:
        raise BadInput(
            "the local stack uses the real xAI, whose key is handed to no single function: "
            "start it with `videoconductor local up --simulator`"
        )
    yield running


def conclude(function: str, done: Invocation) -> None:
    """Print the log and the answer. Raises NoClip when the function failed."""
    from videoconductor_cli import showing

    for line in done.log.splitlines():
        showing.say(line)
    showing.say(f"{function} took {done.seconds:.1f} s, its start included")
    if done.error is not None:
        showing.give_json(done.error)
        raise NoClip(f"{function} failed: {done.error.get('errorType')}")
    showing.give_json(done.answer)
    status = done.answer.get("statusCode") if isinstance(done.answer, dict) else None
    if isinstance(status, int) and status >= BROKEN:
        raise NoClip(f"{function} answered {status}")
