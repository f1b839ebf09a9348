"""How long does `make demo` take once everything is set up?

Runs it in a copy of what git knows of the project, so that no stack and no film of an earlier demo
helps it. Usage: python -m benchmarks.demo
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.rows import Row, verdict

ROOT = Path(__file__).resolve().parents[1]
GOAL = 40  # seconds, on two cores
COMMAND = (sys.executable, "-c", "from videoconductor_cli.doorstep import main; main()", "demo")


def copied(folder: Path) -> None:
    """What git knows of the project, and what is new in it, as it stands."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode()
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def seconds() -> float:
    """The wall time of a first demo. Raises CalledProcessError, with what it said."""
    with tempfile.TemporaryDirectory(prefix="demo-") as folder:
        copied(Path(folder))
        paths = [f"{folder}/layers/videoconductor/python", f"{folder}/local"]
        environment = {"PATH": "/usr/bin:/bin", "HOME": folder, "PYTHONPATH": ":".join(paths)}
        began = time.monotonic()
        demo = subprocess.Popen(
            COMMAND, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            said, _ = demo.communicate()
        except KeyboardInterrupt:
            demo.communicate()  # it was told as well, and takes its stack down
            raise
        if demo.returncode:
            sys.stderr.write(said.decode(errors="replace"))
            raise subprocess.CalledProcessError(demo.returncode, COMMAND)
        return time.monotonic() - began


def rows() -> list[Row]:
    """The one row."""
    took = seconds()
    return [Row("`make demo` after set-up", "s", None, took, f"at most {GOAL}", took <= GOAL)]


if __name__ == "__main__":
    sys.exit(verdict(rows()))
