"""Exit codes, and how errors become them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from videoconductor.client.errors import (
    ClientError,
    Conflict,
    InvalidRequest,
    NotFound,
    NotKept,
    OverBudget,
    QuoteRequired,
    RenderFailed,
    Unauthorized,
    Unavailable,
)
from videoconductor_cli.errors import BadInput, CommandError, NoAnswer, NoClip

EXIT_CODES: dict[type[Exception], int] = {
    NoClip: 1,
    RenderFailed: 1,
    NotKept: 1,
    BadInput: 2,
    InvalidRequest: 2,
    QuoteRequired: 2,
    OverBudget: 2,
    NotFound: 2,
    Conflict: 2,
    NoAnswer: 3,
    Unauthorized: 3,
    Unavailable: 3,
}
EXPECTED = (CommandError, ClientError)  # they end in words, not in a traceback
INTERRUPTED = 130
MOST_COUNTED = 99
BEYOND_COUNTING = 100  # an error's own code on top of this is no count


def counted(clips: int) -> int:
    """The exit code that counts clips."""
    return min(clips, MOST_COUNTED)


@contextmanager
def ended_in_words(beyond: int = 0) -> Iterator[None]:
    """Expected errors end in words on stderr and their exit code, which `beyond` is added to."""
    try:
        yield
    except EXPECTED as problem:
        typer.echo(str(problem), err=True)
        raise typer.Exit(beyond + EXIT_CODES[type(problem)]) from problem


class Counted(TyperCommand):
    """A command whose exit code is a count: its errors end with codes beyond every count."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """What was given is taken apart here; an option that there is not is bad input."""
        try:
            return super().make_context(*args, **kwargs)
        except TyperException as problem:
            problem.exit_code = BEYOND_COUNTING + EXIT_CODES[BadInput]
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with ended_in_words(BEYOND_COUNTING):
            return super().invoke(ctx)
