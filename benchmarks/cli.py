"""What `videoconductor --help` and `--version` take, beside an interpreter that does nothing.

It is the script that is installed, with what that takes itself. The processor's time of a whole
process, the median of twenty, turn about: with others at work on the machine it stays what it is,
as the clock on the wall does not. Usage: python -m benchmarks.cli
"""

from __future__ import annotations

import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rows import Row, verdict

ROUNDS = 20
GOAL = 3
NOTHING = (sys.executable, "-c", "pass")
COMMAND = (sys.executable, str(Path(sys.executable).with_name("videoconductor")))
ASKED = ("--help", "--version")


def seconds(command: Sequence[str]) -> float:
    """User and system time of a process that runs a command, and says nothing."""
    silence = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    child = os.posix_spawn(command[0], command, os.environ, file_actions=silence)
    _, status, used = os.wait4(child, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {status}")
    return used.ru_utime + used.ru_stime


def rows() -> list[Row]:
    """A row for each: milliseconds; the naive column has those of the empty interpreter."""
    taken: dict[str, list[float]] = {name: [] for name in ("", *ASKED)}
    for _ in range(ROUNDS):
        taken[""].append(seconds(NOTHING))
        for asked in ASKED:
            taken[asked].append(seconds((*COMMAND, asked)))
    medians = {name: statistics.median(times) * 1000 for name, times in taken.items()}
    nothing = medians.pop("")
    goal = f"at most {GOAL} x python -c pass"
    return [
        Row(f"videoconductor {name}", "ms of CPU", nothing, ours, goal, ours <= GOAL * nothing)
        for name, ours in medians.items()
    ]


if __name__ == "__main__":
    sys.exit(verdict(rows()))
