"""The command `videoconductor`: help and version at once, all else by the commands.

Those two need none of what commands import, nor typer: `sys` and `os` are in every interpreter.
"""

from __future__ import annotations

import os
import sys

HELP = "help.txt"
COLUMNS = 80  # typer writes as wide as this where there is room, and no wider


def main() -> None:
    """Run the command line and leave with its exit code."""
    asked = sys.argv[1:]
    if asked == ["--version"]:
        _leave(_version())
    if asked in ([], ["--help"]) and _is_wide():
        _leave(_help(), is_told=bool(asked))
    from videoconductor_cli.main import main as run

    run()


def _version() -> str:
    from videoconductor import __version__

    return f"videoconductor {__version__}\n"


def _help() -> str:
    # Without pathlib: its import takes longer than all of this.
    with open(os.path.join(os.path.dirname(__file__), HELP)) as kept:  # noqa: PTH118, PTH120, PTH123
        return kept.read()


def _is_wide() -> bool:
    """Whether typer would find room for all columns; where in doubt, it is to say so itself."""
    if given := os.environ.get("COLUMNS"):
        return given.isdecimal() and int(given) >= COLUMNS
    try:
        return os.get_terminal_size(1).columns >= COLUMNS
    except OSError:
        return True  # no terminal


def _leave(text: str, *, is_told: bool = True) -> None:
    """Say something, and end: on stderr with code 2 where it is not what was asked for."""
    stream = sys.stdout if is_told else sys.stderr
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        os._exit(1)  # nobody reads on, and the interpreter would complain of that at its end
    sys.exit(0 if is_told else 2)
