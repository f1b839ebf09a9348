"""How long does `make demo` take once everything is set up?

Runs it in a copy of what git knows of the project, so that no stack and no film of an earlier demo
helps it. Usage: python -m benchmarks.demo
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rows import Row

ROOT = Path(__file__).resolve().parents[1]
GOAL = 40  # seconds, on two cores


def seconds() -> float:
    """The wall time of a first demo."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), folder], check=True)  # noqa: S607
        paths = [f"{folder}/layers/videoconductor/python", f"{folder}/local"]
        command = [sys.executable, "-m", "videoconductor_cli.main", "demo"]
        environment = {"PATH": "/usr/bin:/bin", "HOME": folder, "PYTHONPATH": ":".join(paths)}
        began = time.monotonic()
        subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
        return time.monotonic() - began


def rows() -> list[Row]:
    """The one row."""
    took = seconds()
    return [Row("`make demo` after set-up", "s", None, took, f"<= {GOAL}", took <= GOAL)]


if __name__ == "__main__":
    print(rows())
