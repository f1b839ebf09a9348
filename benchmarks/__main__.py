"""Every figure of docs/performance.md, the naive way beside ours, in one run.

Usage: python -m benchmarks [--only imports films] [--page docs/performance.md]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from benchmarks.rows import Measured, Row, line, rows_of

# Each has rows(); in the order of the table.
MODULES = ("imports", "polling", "copying", "bursts", "door", "films", "cli", "demo")
# Polling waits for most of its time. These count, whatever else the machine does.
BESIDE = {"polling": ("imports", "bursts")}
BEGIN, END = "<!-- written by make bench: begin -->\n", "<!-- written by make bench: end -->\n"
HEAD = ("| | naive | ours | ours / naive | goal | |", "|---|---:|---:|---:|---|---|")


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    return "\n".join([*HEAD, *map(line, rows)]) + "\n"


def written(page: str, text: str) -> str:
    """A page with its table replaced. Raises ValueError where it has no place for one."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the page does not say where the table goes")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def measured(names: Sequence[str]) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each module, shown when they are there."""
    left = list(names)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as beside:
        for first, others in BESIDE.items():
            if first in left:
                awaited = beside.submit(rows_of, first)
                here = [name for name in others if name in left]
                yield from ((name, told(name, rows_of(name))) for name in here)
                yield first, told(first, awaited.result())
                left = [name for name in left if name not in {first, *here}]
    yield from ((name, told(name, rows_of(name))) for name in left)


def told(name: str, measured: Measured) -> list[Row]:
    """The rows of a module, of which a person who waits is told."""
    print(f"{name}: {measured.seconds:.0f} s", file=sys.stderr, flush=True)
    print("\n".join(map(line, measured.rows)), file=sys.stderr, flush=True)
    return measured.rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=MODULES, default=MODULES)
    parser.add_argument("--page", type=Path)
    chosen = parser.parse_args()
    found = dict(measured(chosen.only))
    rows = [row for name in chosen.only for row in found[name]]
    print(table(rows))
    if chosen.page is not None:
        chosen.page.write_text(written(chosen.page.read_text(), table(rows)))
    return 0 if all(row.is_met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
