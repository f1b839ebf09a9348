"""`make fuzz`: a local stack of its own, and schemathesis at each of its routes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from local_stack import LocalStack, Options
from tests import fuzz

QUICK = {"PollIntervalMs": "500", "LeaseSeconds": "4"}


def main() -> int:
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
