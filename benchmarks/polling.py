"""How late is a finished clip noticed, with how many state transitions, and for how much?

First a simulation: the real state machine is walked, and the real verb `poll` runs on a clock that
costs no time, against jobs whose times are drawn from a stated distribution. Only xAI, the record
and the latencies are stand-ins. The naive way beside it, Wait 5 s, one GET, Choice, is written
here. Then, with --stack, clips on the local stack: transitions and seconds come from the histories
of their executions, the moment at which a job was done from the journal of xAI's simulator.

Nothing of this ran on AWS or against xAI.

Usage: python -m benchmarks.polling [--clips 1000] [--stack]
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from statistics import NormalDist, mean, median
from typing import Any, NamedTuple

from benchmarks.rows import Row, verdict
from local_stack import LocalStack, Options, endpoints
from local_stack.clients import clients_of
from tests.workflow.conftest import Cloud
from tests.workflow.walking import Walker
from videoconductor import VideoConductor, wiring, workflow
from videoconductor.clip import Attempt, CostLine, Estimate, Render, RenderPlan
from videoconductor.manifest import Manifest
from videoconductor.orchestration import WORK, PriceList, Work
from videoconductor.providers import Pending, Ready
from videoconductor.workflow import Pace, guards

ROOT = Path(__file__).resolve().parents[1]
SEED = 7
EPOCH = datetime(2026, 11, 22, 12, tzinfo=UTC)
# Lognormal, so that the naive way takes 12.8 GETs and is 2.8 s late, 5.1 s for one clip in twenty.
MEAN_JOB_SECONDS = 64.0
SPREAD = 0.6
GET_SECONDS = 0.18  # a GET tells how the job stood when it was sent
STATE_SECONDS = 0.02  # what a run of a function takes besides
NAIVE_WAIT = 5
NAIVE_TRANSITIONS = 5  # of a clip without its rounds, as many as ours; a round has three
NAIVE_GIGABYTES = Decimal("0.5")
MEAN_GOAL, P95_GOAL, TRANSITIONS_GOAL, USD_GOAL = 0.8, 1.6, 10, 350
CLIPS_ON_STACK = 8  # of each kind
SHORTER_LINGERS = (20, 0)
AT_A_TIME = 6  # on the local stack, which runs eight functions of states at once
FUNCTIONS = ("Start", "Poll", "Finalize", "Thumbnail")

Progress = Callable[[float, random.Random], int | None]


def _noisy(share: float, lot: random.Random) -> int:
    return max(0, min(99, round(100 * share + lot.gauss(0, 3))))


# What a job tells of itself, by the share of its time that is over.
PROGRESS: dict[str, Progress] = {
    "linear, give or take 3 points": _noisy,
    "in steps of 10": lambda share, lot: int(share * 10) * 10,
    "slow, then fast": lambda share, lot: int(99 * share**2),
    "fast, then slow": lambda share, lot: int(99 * share**0.5),
    "none": lambda share, lot: None,
}


# Those that goals are for, and what they are called there.
TOLD = {"linear, give or take 3 points": "with progress", "none": "without"}


def durations(clips: int, spread: float = SPREAD, average: float = MEAN_JOB_SECONDS) -> list[float]:
    """Seconds that so many jobs take, each standing for an equal share of all there are."""
    usual = NormalDist(math.log(average) - spread**2 / 2, spread)
    return [math.exp(usual.inv_cdf((n + 0.5) / clips)) for n in range(clips)]


class Seen(NamedTuple):
    """What one clip took; `delay` is seconds from its end to our noticing."""

    gets: int
    delay: float
    transitions: int
    rounds: int
    poll_seconds: float


@dataclass
class Job:
    """A job at xAI that takes its time, and tells of it or not; a Provider, as far as Poll asks."""

    seconds: float
    progress: Progress
    lot: random.Random
    now: float = 0.0
    began: float = 0.0
    gets: int = 0
    noticed: float = 0.0

    @property
    def delay(self) -> float:
        """Seconds from its end to the answer that told of it."""
        return self.noticed - self.began - self.seconds

    def clock(self) -> datetime:
        return EPOCH + timedelta(seconds=self.now)

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def wait_until(self, moment: float) -> None:
        self.now = max(self.now, moment)

    def poll(self, job: Any) -> Pending | Ready:
        sent = self.now
        self.gets += 1
        self.now += GET_SECONDS
        share = (sent - self.began) / self.seconds
        if share < 1:
            return Pending(self.progress(share, self.lot))
        self.noticed = self.now
        return Ready(url="https://vidgen.x.ai/clip.mp4")


@dataclass
class Record:
    """The manifest, as far as Poll needs it."""

    render: Render
    writes: int = 0

    def read(self, render_id: str) -> Render:
        return self.render

    def update(self, render_id: str, change: Callable[[Render], Render]) -> Render:
        after = change(self.render)
        self.writes += after is not self.render
        self.render = after
        return after


@dataclass
class Clip:
    """One clip on its way through the real machine; its POST and its end take no time."""

    job: Job
    pace: Pace
    poll_seconds: float = 0.0
    record: Record = field(init=False)

    def __post_init__(self) -> None:
        self.record = Record(planned())

    def invoke(self, function: str, document: Any) -> Any:
        self.job.now += STATE_SECONDS
        states = {
            "start": self._started,
            "poll": self._polled,
            "finalize": self._finalized,
            "thumbnail": lambda render: render,
        }
        return states[function](Render.model_validate(document)).model_dump(mode="json")

    def _started(self, render: Render) -> Render:
        job: Any = {"requestId": "job"}
        self.job.began = self.job.now
        return self.record.update("", guards.accepted(1, job, self.pace, self.job.clock))

    def _polled(self, render: Render) -> Render:
        began = self.job.now
        record: Any = self.record
        library: Any = None
        provider: Any = self.job
        after = workflow.poll(
            render, record, library, provider, self.pace, self.job.clock, self.job.pause
        )
        self.poll_seconds += self.job.now - began
        return after

    def _finalized(self, render: Render) -> Render:
        return self.record.update("", lambda same: same.having(EPOCH, "finalized"))

    def walk(self) -> Seen:
        walker = Walker(self.invoke, lambda key: None, lambda: self.job.now, self.job.wait_until)
        walk = walker.start("render_clip", "clip-1", self.record.render.model_dump(mode="json"))
        while walk.is_running:
            walker.step(walk)
        assert walk.status == "SUCCEEDED", walk.error
        return Seen(
            gets=self.job.gets,
            delay=self.job.delay,
            transitions=len(walk.path),
            rounds=walk.path.count("Poll"),
            poll_seconds=self.poll_seconds,
        )


def planned() -> Render:
    """A render before its POST."""
    line = CostLine(
        what="grok-imagine-video 480p",
        quantity=Decimal(6),
        unit="second",
        unit_usd=Decimal("0.05"),
        amount_usd=Decimal("0.3"),
    )
    plan = RenderPlan(
        operation="generate",
        task="text-to-video",
        provider="xai",
        quality_mode="draft",
        model="grok-imagine-video",
        prompt="a lamp in the rain",
        estimate=Estimate(lines=(line,), total_usd=line.amount_usd, as_of="2026-11-22"),
    )
    return Render(
        render_id="clip",
        clip_id="clip",
        pipeline_request_id="film",
        plan=plan,
        caller="arn:aws:iam::111122223333:user/editor",
        request_sha256="0",
        created_at=EPOCH,
        attempts=(Attempt(number=1, permitted_at=EPOCH, lease_until=EPOCH, outcome="submitting"),),
    )


def walked(seconds: float, progress: Progress, pace: Pace, number: int = 0) -> Seen:
    """One clip whose job takes so many seconds, by our own code."""
    lot = random.Random(f"{SEED} {number}")  # noqa: S311
    return Clip(Job(seconds, progress, lot), pace).walk()


def naive(seconds: float) -> Seen:
    """The same clip by Wait 5 s, one GET, Choice."""
    now, gets = 0.0, 0
    while True:
        now += NAIVE_WAIT + STATE_SECONDS
        sent, now, gets = now, now + GET_SECONDS, gets + 1
        if sent >= seconds:
            break
    transitions = NAIVE_TRANSITIONS + 3 * gets
    return Seen(gets, now - seconds, transitions, gets, gets * (GET_SECONDS + STATE_SECONDS))


class Summary(NamedTuple):
    """What many clips took on average; `p95` is the delay of one in twenty."""

    gets: float
    delay: float
    p95: float
    transitions: float
    rounds: float
    poll_seconds: float


def summed_up(clips: Sequence[Seen]) -> Summary:
    """The averages."""
    delays = sorted(clip.delay for clip in clips)
    return Summary(
        gets=mean(clip.gets for clip in clips),
        delay=mean(delays),
        p95=delays[math.ceil(0.95 * len(delays)) - 1],
        transitions=mean(clip.transitions for clip in clips),
        rounds=mean(clip.rounds for clip in clips),
        poll_seconds=mean(clip.poll_seconds for clip in clips),
    )


def pace() -> Pace:
    """The times of a render as the settings have them where nobody says otherwise."""
    chosen = wiring.Settings()
    return Pace(
        poll_interval=chosen.poll_interval_ms / 1000,
        poll_timeout=chosen.poll_timeout_ms / 1000,
        poll_linger=chosen.poll_linger_seconds,
    )


def simulated(progress: str, seconds: Iterable[float], linger: float | None = None) -> Summary:
    """Our way, for jobs that take so many seconds and tell of themselves in a way of PROGRESS.

    `linger` is how long a run of Poll may stay, if not as long as the setting says.
    """
    told, chosen = PROGRESS[progress], pace()
    if linger is not None:
        chosen = replace(chosen, poll_linger=linger)
    return summed_up([walked(each, told, chosen, n) for n, each in enumerate(seconds)])


def gigabytes(state: str) -> Decimal:
    """The memory of a state's function, by the template."""
    template = Cloud.template()
    usual = template["Globals"]["Function"]["MemorySize"]
    properties = template["Resources"][f"{state}Function"]["Properties"]
    return Decimal(properties.get("MemorySize", usual)) / 1024


def prices() -> PriceList:
    """AWS's list prices."""
    return PriceList.from_json((ROOT / "presets/aws-prices.json").read_text("utf-8"))


def usd(transitions: float, requests: float, gigabyte_seconds: float) -> float:
    """Dollars for a million clips: state transitions, runs of functions, their gigabyte-seconds."""
    each = prices().prices
    total = (
        Decimal(transitions) * each.state_transition
        + Decimal(requests) * each.lambda_request
        + Decimal(gigabyte_seconds) * each.lambda_gigabyte_second
    )
    return float(total * 1_000_000)


def beside_usd(rounds: float) -> float:
    """Dollars for a million clips: what their table, bucket and the like come to beside that."""
    each = prices()
    pieces: list[tuple[Work, float]] = [(WORK["post"], 1), (WORK["poll"], rounds), (WORK["end"], 1)]
    alone = [
        each.usd(work._replace(transitions=0, functions=0, gigabyte_seconds=Decimal(0)))
        * Decimal(times)
        for work, times in pieces
    ]
    return float(sum(alone) * 1_000_000)


def our_usd(found: Summary, fixed_gigabyte_seconds: float) -> float:
    """Our dollars for a million clips; `fixed_…` is what the functions beside Poll take a clip."""
    polled = found.poll_seconds * float(gigabytes("Poll"))
    return usd(found.transitions, 3 + found.rounds, fixed_gigabyte_seconds + polled)


def naive_usd(found: Summary, fixed_gigabyte_seconds: float) -> float:
    """The same of the naive way."""
    polled = found.poll_seconds * float(NAIVE_GIGABYTES)
    return usd(found.transitions, 3 + found.rounds, fixed_gigabyte_seconds + polled)


# -- on the local stack ----------------------------------------------------------------------------


class Real(NamedTuple):
    """A clip on the local stack; `fixed` is gigabyte-seconds of the functions beside Poll."""

    seen: Seen
    fixed: float
    has_progress: bool
    seconds: float


def on_stack(each: int) -> tuple[list[Real], float]:
    """Clips with and without progress, so many of each, over the whole of the distribution.

    With them the most that a process of Poll held, in MiB.
    """
    asked = [(round(place), told) for place in durations(each) for told in (True, False)]
    parameters = {
        "PollIntervalMs": str(wiring.Settings().poll_interval_ms),
        "PollLingerSeconds": str(wiring.Settings().poll_linger_seconds),
        "SweepState": "DISABLED",
    }
    with tempfile.TemporaryDirectory() as folder:
        stack = LocalStack(Path(folder), ROOT, Options(parameters=parameters, job_seconds=1))
        try:
            ends = stack.up()
            with ThreadPoolExecutor(AT_A_TIME) as pool:
                # What the processes of functions take to begin is no part of this.
                warm = [(1, True, f"{n} ") for n in range(AT_A_TIME)]
                list(pool.map(lambda one: _made(stack, ends, *one), warm))
                # The longest first, so that none is left to wait for at the end.
                order = sorted(asked, reverse=True)
                made = list(pool.map(lambda one: _made(stack, ends, *one), order))
            return made, _peak_of_poll(stack)
        finally:
            stack.down()


def _peak_of_poll(stack: LocalStack) -> float:
    peaks = [0.0]
    for pid in stack.status().functions:
        process = Path(f"/proc/{pid}")
        with suppress(OSError):
            if b"PollFunction" in (process / "environ").read_bytes():
                lines = (process / "status").read_text().splitlines()
                peaks += [int(line.split()[1]) / 1024 for line in lines if "VmHWM" in line]
    return max(peaks)


def _made(stack: LocalStack, ends: Any, seconds: int, has_progress: bool, name: str = "") -> Real:
    told = "" if has_progress else " [[sim:no_progress]]"
    prompt = f"a lamp in the rain {name}[[sim:slow={seconds}]]{told}"
    with VideoConductor.local(stack.folder.root, timeout=60) as client:
        asked = client.generate(request={"prompt": prompt, "duration": 1}, key=prompt)
        client.wait(asked.id, timeout=600)
    clients = clients_of(ends)
    record = Manifest(ends.table, clients("dynamodb"), lambda: datetime.now(UTC)).read(asked.id)
    return _told(record, seconds, has_progress, ends, clients("stepfunctions"))


def _told(record: Render, seconds: int, has_progress: bool, ends: Any, client: Any) -> Real:
    arn = ends.state_machine_arn.replace(":stateMachine:", ":execution:")
    events = _history(client, f"{arn}:{record.render_id}-{record.executions}")
    entered = [
        e["stateEnteredEventDetails"]["name"] for e in events if "stateEnteredEventDetails" in e
    ]
    scheduled = sum(e["type"] in {"TaskScheduled", "LambdaFunctionScheduled"} for e in events)
    tasks = sum(name in FUNCTIONS for name in entered)
    times = _seconds_of_tasks(events)
    job = str((record.job or {})["requestId"])
    journal: Any = endpoints.fetched(f"{ends.simulator_origin}/_sim/journal")
    began = next(row["time"] for row in journal["jobs"] if row["id"] == job)
    done = datetime.fromisoformat(began) + timedelta(seconds=seconds)
    noticed = next(moment.at for moment in record.timeline if moment.status == "rendered")
    gets = [r for r in journal["requests"] if r["method"] == "GET" and r["path"].endswith(job)]
    seen = Seen(
        gets=len(gets),
        delay=(noticed - done).total_seconds(),
        transitions=len(entered) + max(0, scheduled - tasks),
        rounds=entered.count("Poll"),
        poll_seconds=times["Poll"],
    )
    fixed = sum(times[name] * float(gigabytes(name)) for name in times if name != "Poll")
    return Real(seen, fixed, has_progress, seconds)


def _history(client: Any, arn: str) -> list[dict[str, Any]]:
    pages = client.get_paginator("get_execution_history").paginate(executionArn=arn)
    return [event for page in pages for event in page["events"]]


def _seconds_of_tasks(events: Iterable[dict[str, Any]]) -> dict[str, float]:
    """How long each function ran in all, by when its state was entered and left."""
    times, entered = dict.fromkeys(FUNCTIONS, 0.0), {}
    for event in events:
        if event["type"] == "TaskStateEntered":
            entered[event["stateEnteredEventDetails"]["name"]] = event["timestamp"]
        elif event["type"] == "TaskStateExited":
            name = event["stateExitedEventDetails"]["name"]
            times[name] += (event["timestamp"] - entered[name]).total_seconds()
    return times


# -- what is told ----------------------------------------------------------------------------------


class Found(NamedTuple):
    """What was found: the naive way, ours by what jobs tell, and clips on the local stack."""

    clips: int
    naive: Summary
    ours: dict[str, Summary]
    wide: dict[str, Summary]
    shorter: dict[tuple[int, str], Summary]
    real: tuple[Real, ...] = ()
    poll_mib: float = 0.0

    @property
    def fixed(self) -> float:
        """Gigabyte-seconds of Start, Finalize and Thumbnail, as measured or as estimated."""
        if self.real:
            return median(one.fixed for one in self.real)
        return float(WORK["post"].gigabyte_seconds + WORK["end"].gigabyte_seconds)

    def dollars(self, way: str) -> float:
        """For a million clips."""
        if way == "naive":
            return naive_usd(self.naive, self.fixed)
        return our_usd(self.ours[way], self.fixed)


def find(clips: int, *, has_stack: bool) -> Found:
    """Simulate so many clips in each way, and make some on the local stack if wanted."""
    real, poll_mib = on_stack(CLIPS_ON_STACK) if has_stack else ([], 0.0)
    seconds = durations(clips)
    wide = durations(clips, spread=0.8)
    return Found(
        clips=clips,
        naive=summed_up([naive(each) for each in seconds]),
        ours={progress: simulated(progress, seconds) for progress in PROGRESS},
        wide={progress: simulated(progress, wide) for progress in PROGRESS},
        shorter={
            (linger, progress): simulated(progress, seconds, linger)
            for linger in SHORTER_LINGERS
            for progress in TOLD
        },
        real=tuple(real),
        poll_mib=poll_mib,
    )


def rows_of(found: Found) -> list[Row]:
    """The rows of what was found that have a goal: jobs that tell, and jobs that do not."""
    told = _rows_of_stack(found.real)
    was = found.naive
    for way, words in TOLD.items():
        ours, dollars, before = found.ours[way], found.dollars(way), found.dollars("naive")
        measures = (
            ("detection delay, mean", "s", was.delay, ours.delay, MEAN_GOAL),
            ("detection delay, p95", "s", was.p95, ours.p95, P95_GOAL),
            ("state transitions a clip", "", was.transitions, ours.transitions, TRANSITIONS_GOAL),
            ("orchestration, a million clips", "$", before, dollars, USD_GOAL),
        )
        told += [
            Row(f"{name}, {words}", unit, naive, value, f"at most {goal}", value <= goal)
            for name, unit, naive, value, goal in measures
        ]
    return told


def _rows_of_stack(real: Sequence[Real]) -> list[Row]:
    """The same goals, held against clips on the local stack."""
    told = []
    for has_progress, words in zip((True, False), TOLD.values(), strict=True):
        seen = [one.seen for one in real if one.has_progress is has_progress]
        if seen:
            found, what = summed_up(seen), f"{len(seen)} clips on the local stack, {words}"
            told += [
                Row(
                    f"{what}: delay, mean",
                    "s",
                    None,
                    found.delay,
                    f"at most {MEAN_GOAL}",
                    found.delay <= MEAN_GOAL,
                ),
                Row(
                    f"{what}: state transitions",
                    "",
                    None,
                    found.transitions,
                    f"at most {TRANSITIONS_GOAL}",
                    found.transitions <= TRANSITIONS_GOAL,
                ),
            ]
    return told


def rows_and_details(clips: int = 1000, *, has_stack: bool = True) -> tuple[list[Row], str]:
    """What was measured, row by row, and the tables of all that was tried."""
    found = find(clips, has_stack=has_stack)
    return rows_of(found), page(found)


def page(found: Found) -> str:
    """What was found, as tables of Markdown."""
    head = "| | GETs | late, mean s | late, p95 s | transitions | rounds | Poll, s | $ a million |"
    ways = {"naive": found.naive, **found.ours}
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for way, summary in ways.items():
        name = "Wait 5 s, GET, Choice" if way == "naive" else f"progress: {way}"
        lines.append(_line(name, summary, f"{found.dollars(way):.0f}"))
    lines += [
        _line(
            f"progress: {way}; times spread wider", summary, f"{our_usd(summary, found.fixed):.0f}"
        )
        for way, summary in found.wide.items()
    ]
    for (linger, way), summary in found.shorter.items():
        dollars = f"{our_usd(summary, found.fixed):.0f}"
        lines.append(_line(f"PollLingerSeconds {linger}, {TOLD[way]}", summary, dollars))
    for has_progress in (True, False):
        real = [one for one in found.real if one.has_progress is has_progress]
        if real:
            summary = summed_up([one.seen for one in real])
            told = "with progress" if has_progress else "without"
            name = f"{len(real)} clips on the local stack, {told}"
            lines.append(_line(name, summary, f"{our_usd(summary, found.fixed):.0f}"))
    beside = beside_usd(found.ours["none"].rounds)
    return "\n".join(
        [
            *lines,
            "",
            f"Beside that, reads and writes of the table and objects put: ${beside:.0f} a million.",
            f"Start, Finalize and Thumbnail take {found.fixed:.2f} GB-s a clip"
            + (", as measured on the local stack." if found.real else ", as estimated."),
            *([f"A process of Poll held {found.poll_mib:.0f} MiB at most."] * bool(found.poll_mib)),
        ]
    )


def _line(name: str, summary: Summary, dollars: str) -> str:
    cells = (
        f"{summary.gets:.1f}",
        *(f"{value:.2f}" for value in (summary.delay, summary.p95)),
        *(f"{value:.1f}" for value in (summary.transitions, summary.rounds)),
        f"{summary.poll_seconds:.0f}",
        dollars,
    )
    return f"| {name} | {' | '.join(cells)} |"


def main() -> int:
    """Print what was found; 0 when every goal is met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clips", type=int, default=1000, help="how many are simulated each way")
    parser.add_argument("--stack", action="store_true", help="make some on the local stack too")
    given = parser.parse_args()
    found = find(given.clips, has_stack=given.stack)
    print(page(found))
    print()
    return verdict(rows_of(found))


if __name__ == "__main__":
    sys.exit(main())
