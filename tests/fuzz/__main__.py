"""`make fuzz`: a local stack of its own with schemathesis at each of its routes, each phase of it;
then the tests of hostile input, with many times the examples that `make test` has of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local_stack import LocalStack, Options
from tests import fuzz

HOSTILE = (
    "tests/unit/test_mp4_hostile.py",
    "tests/unit/test_network_safety.py",
    "tests/workflow/test_hostile_input.py",
)
OFTEN = "30"
QUICK = {"PollIntervalMs": "500", "LeaseSeconds": "4"}


def main() -> int:
    """Look at the routes, and at hostile input. 0 when nothing was found."""
    found = [at_the_routes(), at_hostile_input()]
    return max(found)


def at_hostile_input() -> int:
    """The tests that hypothesis makes up their input of, for longer. 0 when nothing was found."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--timeout", "3600", *HOSTILE]
    environment = {**os.environ, fuzz.TIMES: OFTEN}
    return subprocess.run(command, cwd=fuzz.ROOT, env=environment).returncode


def at_the_routes() -> int:
    """Bring a stack up, look at it, bring it down. 0 when nothing was found."""
    with tempfile.TemporaryDirectory() as folder:
        options = Options(parameters=QUICK, job_seconds=0.3, auth=True)
        stack = LocalStack(Path(folder), fuzz.ROOT, options)
        try:
            running = stack.up()
            command = fuzz.command(running, *sys.argv[1:])
            environment = fuzz.environment(running, fuzz.token(running))
            return subprocess.run(command, cwd=folder, env=environment).returncode
        finally:
            stack.down()


if __name__ == "__main__":
    sys.exit(main())
