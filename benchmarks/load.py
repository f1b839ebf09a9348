"""How much does the local stack bear, and what is left of it when much goes wrong for long?

First bursts of renders, each twice as large as the one before, until one does not come to rest in
its time. Then renders at a steady rate, while xAI's simulator lets a share of its answers go wrong
and a function's process is killed again and again. At the end every job, attempt, object, entry
and counter is held against the others. 0 when nothing was lost or started twice.

Usage: python -m benchmarks.load [--minutes 10] [--gap 3] [--bursts 16 32 64] [--page docs/load.md]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.meters import cpu_seconds, processes, resident
from local_stack import Endpoints, LocalStack, Options, sweep
from local_stack.clients import clients_of
from videoconductor import VideoConductor, ledger
from videoconductor.books import Books
from videoconductor.client.errors import ApiError
from videoconductor.clip import SETTLED, Render
from videoconductor.manifest import Manifest

ROOT = Path(__file__).resolve().parents[1]
SEED = 7
BURST_SECONDS = 240
REST_SECONDS = 600
AT_A_TIME = 12  # requests; the stack lets no more through
COLUMNS = (
    *("renders", "under way at once", "not at rest in time"),
    *("seconds", "CPU seconds a render", "peak MiB"),
)
HELD = {"submitting", "unknown", "abandoned"}
PARAMETERS = {"PollIntervalMs": "2000", "LeaseSeconds": "20"}


def options(fault_rate: float) -> Options:
    """A stack whose xAI lets such a share of its answers go wrong."""
    arguments = ("--fault-rate", str(fault_rate), "--fault-seed", str(SEED))
    return Options(parameters=PARAMETERS, job_seconds=3, simulator_arguments=arguments)


@dataclass
class Meter:
    """Looks at the stack each second: how many renders are under way, and its memory at most."""

    stack: LocalStack
    manifest: Manifest
    most_open: int = 0
    peak_bytes: int = 0
    is_over: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        while not self.is_over.wait(1):
            self.peak_bytes = max(self.peak_bytes, sum(map(resident, processes(self.stack))))
            with suppress(Exception):  # a look that fails is made again
                self.most_open = max(self.most_open, len(self.manifest.open_renders(10_000)))


@dataclass
class Load:
    """The renders that were asked for, by prompt."""

    stack: LocalStack
    endpoints: Endpoints
    prompts: dict[str, str] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    kills: int = 0

    @property
    def manifest(self) -> Manifest:
        dynamodb = clients_of(self.endpoints)("dynamodb")
        return Manifest(self.endpoints.table, dynamodb, lambda: datetime.now(UTC))

    def ask(self, number: int) -> None:
        """One render, of a clip of its own in one of five films."""
        prompt = f"a lighthouse, seen from ship {number}"
        fields: Any = {"pipelineRequestId": f"load-{number % 5}", "clipId": f"c{number}"}
        try:
            with VideoConductor.local(self.stack.folder.root, timeout=60) as client:
                made = client.generate(
                    request={"prompt": prompt, "duration": 1, **fields}, key=f"load-{number}"
                )
            self.prompts[prompt] = made.id
        except ApiError as problem:
            self.refused[type(problem).__name__] += 1

    def renders(self) -> dict[str, Render]:
        """What is on record."""
        return {render.render_id: render for render in table_of(self.endpoints).renders}

    def rest(self, seconds: float) -> int:
        """Wait until all are at rest, sweeping as the schedule does; how many are not."""
        end, swept = time.monotonic() + seconds, time.monotonic()
        while True:
            moving = sum(r.status not in SETTLED for r in self.renders().values())
            if not moving or time.monotonic() > end:
                return moving
            if time.monotonic() - swept > 60:
                swept = time.monotonic()
                with suppress(Exception):
                    sweep(self.endpoints, may_post=True)
            time.sleep(2)

    def kill_one(self, chance: random.Random) -> None:
        """kill -9 one of the functions' processes."""
        found = self.stack.status().functions
        if found:
            with suppress(ProcessLookupError):
                os.kill(chance.choice(found), signal.SIGKILL)
                self.kills += 1


@dataclass(frozen=True)
class Table:
    """All there is on record."""

    renders: tuple[Render, ...]
    names: frozenset[tuple[str, str]]


def table_of(endpoints: Endpoints) -> Table:
    """Every item of the table."""
    dynamodb = clients_of(endpoints)("dynamodb")
    pages = dynamodb.get_paginator("scan").paginate(TableName=endpoints.table)
    items = [item for page in pages for item in page["Items"]]
    renders = (item for item in items if item["sk"]["S"] == "RENDER")
    return Table(
        tuple(Render.model_validate_json(item["document"]["S"]) for item in renders),
        frozenset((item["pk"]["S"], item["sk"]["S"]) for item in items),
    )


def journal(endpoints: Endpoints) -> Mapping[str, list[dict[str, Any]]]:
    """The simulator's requests and jobs."""
    with urllib.request.urlopen(f"{endpoints.simulator_origin}/_sim/journal") as answer:  # noqa: S310
        found: Mapping[str, list[dict[str, Any]]] = json.load(answer)
    return found


def wrongs(load: Load) -> dict[str, list[str]]:
    """What must not be, by kind: each is empty when all is well."""
    table, jobs = table_of(load.endpoints), journal(load.endpoints)["jobs"]
    s3 = clients_of(load.endpoints)("s3")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=load.endpoints.bucket, Prefix="generated/videos/"
    )
    objects = {found["Key"] for page in pages for found in page.get("Contents", ())}
    by_prompt: dict[str, list[str]] = {}
    for job in jobs:
        by_prompt.setdefault(job["prompt_sha256"], []).append(job["id"])
    wrong: dict[str, list[str]] = {
        "jobs beyond attempts": [],
        "lost jobs": [],
        "finalized without object or entry": [],
        "objects of no finalized render": [],
        "renders asked for and not on record": [],
        "counters that do not agree": _unbalanced(load, table.renders),
    }
    for render in table.renders:
        started = by_prompt.pop(digest(render.plan.prompt or ""), [])
        sent = [a for a in render.attempts if a.outcome not in {"refused", "not_sent"}]
        if len(started) > len(sent):
            wrong["jobs beyond attempts"].append(render.render_id)
        known = {attempt.request_id for attempt in sent}
        held = sum(a.request_id is None and a.outcome in HELD for a in sent)
        if len(set(started) - known) > held:
            wrong["lost jobs"].append(render.render_id)
        film = f"FILM#{render.pipeline_request_id}"
        names = {
            (film, f"ENTRY#{render.entry_id}"),
            (film, f"VERSION#{render.entry_id}#{render.clip_order}"),
        }
        if render.clip is not None and render.status == "finalized":
            is_there = {render.clip.key, render.clip.sidecar_key} <= objects
            objects -= {render.clip.key, render.clip.sidecar_key}
            if not is_there or not names <= table.names:
                wrong["finalized without object or entry"].append(render.render_id)
    wrong["lost jobs"] += [name for names in by_prompt.values() for name in names]
    wrong["objects of no finalized render"] += sorted(objects)
    known_ids = {render.render_id for render in table.renders}
    wrong["renders asked for and not on record"] += sorted({*load.prompts.values()} - known_ids)
    return wrong


def digest(prompt: str) -> str:
    """A prompt as the journal names it."""
    from xai_simulator.journal import digest as told

    return str(told(prompt))


def _unbalanced(load: Load, renders: Iterable[Render]) -> list[str]:
    """Counters that the ledger or the records contradict."""
    books = Books(load.endpoints.table, clients_of(load.endpoints)("dynamodb"))
    days = [day for day, _ in books.tallies("day")]
    entered = ledger.changes(entry for day in days for entry in books.entries(day))
    owed: Counter[str] = Counter()
    for render in renders:
        for attempt in render.attempts:
            day = ledger.day_of(attempt.permitted_at)
            owed[day] += attempt.held_ticks + (attempt.spent_ticks or 0)
    return [
        day
        for day, tally in books.tallies("day")
        if (tally.held, tally.settled, tally.entries) != entered[ledger.Counter("day", day)]
        or tally.total != owed[day]
    ]


def burst(load: Load, first: int, size: int) -> dict[str, Any]:
    """So many renders at once; what came of them, and in how many seconds."""
    meter = Meter(load.stack, load.manifest)
    threading.Thread(target=meter.run, daemon=True).start()
    began, cpu = time.monotonic(), cpu_seconds(load.stack)
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        list(pool.map(load.ask, range(first, first + size)))
    moving = load.rest(BURST_SECONDS)
    meter.is_over.set()
    return {
        "renders": size,
        "under way at once": meter.most_open,
        "not at rest in time": moving,
        "seconds": round(time.monotonic() - began),
        "CPU seconds a render": round((cpu_seconds(load.stack) - cpu) / size, 1),
        "peak MiB": round(meter.peak_bytes / 2**20),
    }


def steady(load: Load, first: int, minutes: float, gap: float) -> dict[str, Any]:
    """Renders at a steady rate while things go wrong; what was seen of the stack."""
    meter, chance = Meter(load.stack, load.manifest), random.Random(SEED)  # noqa: S311
    threading.Thread(target=meter.run, daemon=True).start()
    cpu, began = cpu_seconds(load.stack), time.monotonic()
    end, next_kill, number = began + 60 * minutes, began + 10, first
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        asking = []
        while time.monotonic() < end:
            asking.append(pool.submit(load.ask, number))
            number += 1
            if time.monotonic() >= next_kill:
                load.kill_one(chance)
                next_kill += 10
            time.sleep(gap)
    for each in asking:
        each.result()  # what went wrong with the asking itself ends the run
    moving = load.rest(REST_SECONDS)
    meter.is_over.set()
    asked = number - first
    return {
        "renders": asked,
        "under way at once": meter.most_open,
        "CPU seconds a render": round((cpu_seconds(load.stack) - cpu) / asked, 1),
        "peak MiB": round(meter.peak_bytes / 2**20),
        "kills": load.kills,
        "not at rest in time": moving,
    }


def faults(endpoints: Endpoints) -> int:
    """Answers of the simulator that went wrong."""
    requests = journal(endpoints)["requests"]
    return sum(row["status"] not in {200, 202} for row in requests)


def report(bursts: list[dict[str, Any]], run: dict[str, Any], command: str) -> str:
    """The page, as Markdown."""
    lines = [
        "# Load",
        "",
        f"Written by `{command}`. Figures differ from run to run and from machine to machine;",
        f"these are of {os.cpu_count()} CPUs, shared with other work. Nothing here ran on AWS.",
        "",
        "The local stack runs at most 8 functions and 12 requests of the API at a time, each a",
        "process of its own. xAI is the simulator, a job takes it three seconds.",
        "",
        "## Bursts",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * len(COLUMNS)}",
    ]
    lines += [f"| {' | '.join(str(each[column]) for column in COLUMNS)} |" for each in bursts]
    lines += ["", "## A steady rate while things go wrong", "", run["words"], ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in run["figures"].items()]
    return "\n".join([*lines, ""])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--gap", type=float, default=3, help="seconds between two renders")
    parser.add_argument("--bursts", type=int, nargs="*", default=[16, 32, 64])
    parser.add_argument("--fault-rate", type=float, default=0.02)
    parser.add_argument("--page", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="load-") as folder:
        stack = LocalStack(Path(folder), ROOT, options(0))
        try:
            return measured(stack, chosen)
        finally:
            stack.down()


def measured(stack: LocalStack, chosen: argparse.Namespace) -> int:
    """Both parts on a stack of their own, the figures, and whether anything is wrong."""
    load, bursts, asked = Load(stack, stack.up()), [], 0
    for size in chosen.bursts:
        bursts.append(burst(load, asked, size))
        asked += size
        tell(bursts[-1])
        if bursts[-1]["not at rest in time"]:
            break
    stack.options = options(chosen.fault_rate)
    load.endpoints = stack.up()
    before = faults(load.endpoints)
    earlier = set(load.prompts.values())
    run = steady(load, asked, chosen.minutes, chosen.gap)
    mine = set(load.prompts.values()) - earlier
    left = [render for render in load.renders().values() if render.render_id in mine]
    wrong = wrongs(load)
    run["figures"] = {
        **{name: run[name] for name in ("renders", "under way at once", "kills")},
        "answers of xAI that went wrong": faults(load.endpoints) - before,
        **dict(Counter(render.status for render in left).most_common()),
        "not at rest in time": run["not at rest in time"],
        "requests refused by the API for good": sum(load.refused.values()),
        **{name: len(found) for name, found in wrong.items()},
        "CPU seconds a render": run["CPU seconds a render"],
        "peak MiB of all processes": run["peak MiB"],
    }
    run["words"] = (
        f"{chosen.minutes:g} minutes, a render every {chosen.gap:g} seconds, "
        f"{chosen.fault_rate:.0%} of xAI's answers wrong at random, and every ten seconds "
        "`kill -9` for one of the functions' processes."
    )
    tell(run["figures"])
    for render in left:
        if render.status != "finalized":
            tell({render.render_id: [render.status, render.failure and render.failure.error]})
    tell({name: found for name, found in wrong.items() if found})
    if chosen.page is not None:
        chosen.page.write_text(report(bursts, run, "make load"))
    return 1 if any(wrong.values()) else 0


def tell(found: Mapping[str, Any]) -> None:
    print(json.dumps(found), flush=True)


if __name__ == "__main__":
    sys.exit(main())
