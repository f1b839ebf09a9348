"""What a running local stack takes: CPU and memory of its processes."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from local_stack import LocalStack

TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
LOOK_SECONDS = 5  # each look reads every process of the machine: that takes CPU from the stack


def processes(stack: LocalStack) -> list[int]:
    """Every process of a stack."""
    found = stack.status()
    return [*found.emulators, *found.simulators, *found.functions]


def resident(pid: int) -> int:
    """Resident bytes of a process; pages that several share count for each."""
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    return 0


def cpu_seconds(stack: LocalStack) -> float:
    """CPU of the stack's processes so far, and of those that they have buried."""
    found, total = stack.status(), 0
    keepers = {*found.emulators, *found.simulators}
    for pid in {*keepers, *found.functions}:
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15] if pid in keepers else fields[11:13]))
    return total / TICKS


@dataclass
class Peak:
    """The most memory that all processes of a stack had at once, looked at every five seconds."""

    stack: LocalStack
    peak_bytes: int = 0
    largest_bytes: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.is_over.wait(LOOK_SECONDS):
            with suppress(Exception):  # a look that fails is made again
                self.look()

    def look(self) -> None:
        found = self.stack.status()
        functions = [resident(pid) for pid in found.functions]
        others = sum(map(resident, [*found.emulators, *found.simulators]))
        self.peak_bytes = max(self.peak_bytes, sum(functions) + others)
        self.largest_bytes = max([self.largest_bytes, *functions])


@contextmanager
def peak(stack: LocalStack) -> Iterator[Peak]:
    """Looks on while the block runs."""
    looking = Peak(stack)
    threading.Thread(target=looking.run, daemon=True).start()
    try:
        yield looking
    finally:
        looking.is_over.set()
