"""Exit codes, and the one place where errors become them."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from videoconductor_cli.errors import BadInput, CommandError, NoAnswer, NoClip

EXIT_CODES: dict[type[CommandError], int] = {NoClip: 1, BadInput: 2, NoAnswer: 3}
INTERRUPTED = 130
MOST_COUNTED = 99
BEYOND_COUNTING = 100  # an error's own code on top of this is no count


def counted(clips: int) -> int:
    """The exit code that counts clips."""
    return min(clips, MOST_COUNTED)


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
        try:
            return super().invoke(ctx)
        except CommandError as problem:
            typer.echo(str(problem), err=True)
            raise typer.Exit(BEYOND_COUNTING + EXIT_CODES[type(problem)]) from problem
