"""Does a clip of a large film cost more than one of a small one?

Makes films of 10, 100 and 1,000 clips, one after the other, each on a local stack of its own with
xAI's simulator, and divides by the clips what the stack's processes took of CPU: functions,
emulator and simulator alike. A first film starts every process before anything counts.

Usage: python -m benchmarks.films [--clips 10 100 1000]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import meters
from benchmarks.rows import Row, verdict
from local_stack import LocalStack, Options
from videoconductor import VideoConductor

ROOT = Path(__file__).resolve().parents[1]
CLIPS = (10, 100, 1000)
SECONDS = 1800
WARM = 16  # clips: as many at once as the stack lets, so that every process is there
MIB = 2**20
# The dearest size may take this much more a clip than the cheapest.
FLAT = 1.25
# And the largest process of a function may have grown by so much.
GROWTH_MIB = 16


class Measured(NamedTuple):
    """A film of so many clips: CPU seconds a clip, bytes of the largest function's process, and
    seconds in all.
    """

    clips: int
    cpu_seconds: float
    function_bytes: int
    seconds: float


def script(name: str, clips: int) -> dict[str, Any]:
    """A film of so many short clips, of which the simulator has made none before."""
    return {
        "schemaVersion": "1.0",
        "requestId": name,
        "defaults": {"qualityMode": "draft", "aspectRatio": "16:9"},
        "clips": [
            {"id": f"c{number:04}", "duration": 1, "prompt": f"{name}: a lighthouse from {number}."}
            for number in range(clips)
        ],
    }


def measured(clips: int) -> Measured:
    """One film on a stack of its own."""
    # The stack runs eight functions at a time; more clips than that wait for xAI meanwhile.
    options = Options(job_seconds=1, parameters={"FilmConcurrency": "24"})
    with tempfile.TemporaryDirectory(prefix="films-") as folder:
        stack = LocalStack(Path(folder), ROOT, options)
        try:
            stack.up()
            with VideoConductor.local(stack.folder.root, timeout=60) as client:
                client.film(script("warm", WARM), max_cost_usd=1000, wait=True, timeout=SECONDS)
                before, began = meters.cpu_seconds(stack), time.monotonic()
                with meters.peak(stack) as looking:
                    wanted = script("measured", clips)
                    client.film(wanted, max_cost_usd=1000, wait=True, timeout=SECONDS)
                    seconds = time.monotonic() - began
                    looking.look()
                spent = meters.cpu_seconds(stack) - before
        finally:
            stack.down()
    return Measured(clips, spent / clips, looking.largest_bytes, seconds)


def rows(sizes: tuple[int, ...] = CLIPS) -> list[Row]:
    """CPU a clip and memory: the dearest size against the cheapest."""
    found = [measured(size) for size in sizes]
    spent = [each.cpu_seconds for each in found]
    held = [each.function_bytes / MIB for each in found]
    cpu, growth = max(spent) / min(spent), max(held) - held[0]
    name = f"a film of {' / '.join(f'{size:,}' for size in sizes)} clips"
    seconds = " / ".join(f"{each:.2f}" for each in spent)
    mib = " / ".join(f"{each:.0f}" for each in held)
    return [
        Row(
            f"{name}: CPU a clip, the whole stack ({seconds} s), dearest",
            "x the cheapest",
            None,
            cpu,
            f"at most {FLAT:g}",
            cpu <= FLAT,
        ),
        Row(
            f"{name}: largest function ({mib} MiB), growth",
            "MiB",
            None,
            growth,
            f"at most {GROWTH_MIB}",
            growth <= GROWTH_MIB,
        ),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, nargs="+", default=list(CLIPS))
    return verdict(rows(tuple(parser.parse_args().clips)))


if __name__ == "__main__":
    sys.exit(main())
