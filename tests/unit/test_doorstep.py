"""Help and version of the command line, which are answered before typer is there."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib.metadata import EntryPoint

import pytest

from videoconductor_cli import doorstep
from videoconductor_cli.address import CHECKOUT

RENEW = (
    "COLUMNS=80 .venv/bin/python -m videoconductor_cli.main --help"
    " > local/videoconductor_cli/help.txt"
)
PROGRAM = """
import sys
from videoconductor_cli.doorstep import main
try:
    main()
finally:
    sys.stderr.write(",".join(sorted({"typer", "videoconductor_cli.main"} & set(sys.modules))))
"""


Said = tuple[int, str, str]


def said(command: Sequence[str], columns: str) -> Said:
    """Exit code, output, and what was said on stderr."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": columns}
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, env=environment
    )
    return done.returncode, done.stdout, done.stderr


def answered(*arguments: str, columns: str = "80") -> Said:
    """What the doorstep says, and at the end of stderr which of typer and the commands it took."""
    return said(["-c", PROGRAM, *arguments], columns)


@cache
def by_typer(*arguments: str, columns: str = "80") -> Said:
    return said(["-m", "videoconductor_cli.main", *arguments], columns)


def test_the_help_that_is_kept_is_typer_s() -> None:
    kept = (CHECKOUT / "local" / "videoconductor_cli" / doorstep.HELP).read_text(encoding="utf-8")
    assert by_typer("--help") == (0, kept, ""), f"renew it: {RENEW}"


@pytest.mark.parametrize("asked", ["--help", "--version"])
def test_help_and_version_are_typer_s_without_typer(asked: str) -> None:
    assert answered(asked) == by_typer(asked)


def test_no_argument_shows_the_help_on_stderr_and_fails() -> None:
    assert answered() == by_typer()


def test_a_wide_terminal_has_the_same_help() -> None:
    assert answered("--help", columns="200") == by_typer("--help", columns="200")


def test_a_narrow_terminal_is_left_to_typer() -> None:
    code, out, imported = answered("--help", columns="60")
    assert (code, out) == by_typer("--help", columns="60")[:2]
    assert out != by_typer("--help")[1]
    assert imported == "typer,videoconductor_cli.main"


@pytest.mark.parametrize("columns", ["", "0", "wide"])
def test_a_width_that_says_nothing_is_80_columns(columns: str) -> None:
    assert answered("--help", columns=columns)[:2] == by_typer("--help")[:2]


@pytest.mark.parametrize("arguments", [("plan", "--help"), ("--help", "plan"), ("--no-such",)])
def test_all_else_is_typer_s(arguments: tuple[str, ...]) -> None:
    code, out, told = answered(*arguments)
    expected_code, expected_out, expected_told = by_typer(*arguments)
    assert (code, out) == (expected_code, expected_out)
    assert told == f"{expected_told}typer,videoconductor_cli.main"


def test_the_command_that_is_installed_is_this_one() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))
    named = project["project"]["scripts"]["videoconductor"]
    assert EntryPoint("videoconductor", named, "console_scripts").load() is doorstep.main
