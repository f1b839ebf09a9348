"""Every figure of docs/performance.md, the naive way beside ours, in one run.

Usage: python -m benchmarks [--only imports films | --page docs/performance.md]
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from benchmarks.rows import Measured, Row, line, rows_of

# In the order of the table.
MODULES = ("imports", "polling", "copying", "bursts", "door", "films", "cli", "demo")
# Polling waits for most of its time. These count, whatever else the machine does.
BESIDE = {"polling": ("imports", "bursts")}
TOOLS = ("git", "openssl", "valgrind")
HEAD = ("| | naive | ours | ours / naive | goal | |", "|---|---:|---:|---:|---|---|")
TABLE, DETAILS = "make bench", "benchmarks.polling"  # by whom a part of the page is written


def table(rows: Iterable[Row]) -> str:
    """The rows as Markdown."""
    return "\n".join([*HEAD, *map(line, rows)]) + "\n"


def written(page: str, by: str, text: str) -> str:
    """A page with one of its parts replaced. Raises ValueError where it has no place for it."""
    first, last = f"<!-- written by {by}: begin -->\n", f"<!-- written by {by}: end -->\n"
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the page does not say where to put what {by} writes")
    return f"{before}{first}\n{text}\n{last}{after}"


def measured(names: Sequence[str]) -> Iterator[tuple[str, Measured | None]]:
    """What each module measures, shown when it is there; None for one that broke."""
    left = list(names)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as beside:
        for first, others in BESIDE.items():
            if first in left:
                awaited = beside.submit(rows_of, first)
                here = [name for name in others if name in left]
                yield from ((name, told(name, partial(rows_of, name))) for name in here)
                yield first, told(first, awaited.result)
                left = [name for name in left if name not in {first, *here}]
    yield from ((name, told(name, partial(rows_of, name))) for name in left)


def told(name: str, measure: Callable[[], Measured]) -> Measured | None:
    """What a module measures, of which a person who waits is told. It takes no other down."""
    try:
        found = measure()
    except Exception:  # noqa: BLE001  (whatever one part dies of, the others took minutes)
        print(f"{name}: not measured\n{traceback.format_exc()}", file=sys.stderr, flush=True)
        return None
    print(f"{name}: {found.seconds:.0f} s", file=sys.stderr, flush=True)
    print("\n".join(map(line, found.rows)), file=sys.stderr, flush=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--only", nargs="+", choices=MODULES, default=MODULES)
    which.add_argument("--page", type=Path, help="where all of it is written to")
    chosen = parser.parse_args()
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        parser.error(f"needs {', '.join(missing)}")
    if chosen.page is not None:
        for part in (TABLE, DETAILS):
            written(chosen.page.read_text(), part, "")
    found = dict(measured(chosen.only))
    known = [each for name in chosen.only if (each := found[name]) is not None]
    rows = [row for each in known for row in each.rows]
    print(table(rows))
    if len(known) < len(found):
        return 1
    if chosen.page is not None:
        machine = f"Python {platform.python_version()} on {os.cpu_count()} CPUs"
        text = f"{table(rows)}\nOf {datetime.now(UTC):%Y-%m-%d}, {machine}.\n"
        page = written(chosen.page.read_text(), TABLE, text)
        details = "\n".join(each.details for each in known if each.details)
        chosen.page.write_text(written(page, DETAILS, details))
    return 0 if all(row.is_met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
