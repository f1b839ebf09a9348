"""What is to go wrong where: cases, made of the calls that undisturbed runs were seen to make."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from tests.reliability.kinds import KINDS, Kind

MOMENTS = ("before", "during", "after")
# Names under which AWS tells a state machine of a process that is gone; none is what the emulator
# itself makes of one, Runtime.ExitError.
DEATHS = (
    None,
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Runtime.Unknown",
    "States.Timeout",
)
STATES = frozenset(
    {
        "first_frame",
        "start",
        "poll",
        "finalize",
        "thumbnail",
        "record_failure",
        "take_up",
        "conclude",
    }
)
BOTO_TRIES = 3  # of one call: what is to reach our code has to strike them all
# After these nothing of what the process was about to do happens any more.
DYING = frozenset({"kill", "hang", "blackout"})
OWN_TRIES = {"xai", "download", "receiver"}  # made by our own code, once


@dataclass(frozen=True, order=True)
class Point:
    """An outside call of a function: the `number`th of its operation while it handles an event.

    `service` "handler" is the handler itself.
    """

    function: str
    service: str
    operation: str = ""
    number: int = 1

    @property
    def name(self) -> str:
        if self.service == "handler":
            return self.function
        call = f"{self.service}.{self.operation.replace(' ', '-')}"
        return f"{self.function}.{call}" + (f".{self.number}" if self.number > 1 else "")

    @property
    def call(self) -> str:
        """The call in words."""
        if self.service == "handler":
            return "the handler"
        ordinal = {2: "2nd", 3: "3rd"}.get(self.number, f"{self.number}th")
        return f"{self.service} {self.operation}" + (f", {ordinal}" if self.number > 1 else "")

    @property
    def is_write(self) -> bool:
        return self.operation in {"PutItem", "UpdateItem", "TransactWriteItems"}


@dataclass(frozen=True)
class Case:
    """One thing that goes wrong at one place, in one kind of run."""

    kind: Kind
    point: Point
    fault: str
    moment: str = "before"
    times: int = 1
    death: str | None = None
    marker: str = ""
    expected: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def name(self) -> str:
        """What `make reliability CASE=` takes."""
        if self.fault == "xai":
            return f"xai:{self.marker}"
        how = f"{self.fault}-{self.moment}" if self.fault in DYING else self.fault
        how = f"{how}-for-good" if self.times == 0 else how
        kind = f"{self.kind.name}+{self.marker}" if self.marker else self.kind.name
        return f"{kind}:{self.point.name}:{how}"

    @property
    def token(self) -> str:
        """What its events can be told by."""
        return f"drill-{hashlib.sha256(self.name.encode()).hexdigest()[:8]}"

    @property
    def plan(self) -> dict[str, Any]:
        """What the drill in the function reads."""
        return {
            "function": self.point.function,
            "service": self.point.service,
            "operation": self.point.operation,
            "number": self.point.number,
            "fault": "hang" if self.fault == "blackout" else self.fault,
            "moment": self.moment,
            "times": self.times,
            "name": self.death,
        }


LASTING = (
    (Point("start", "dynamodb", "TransactWriteItems"), "throttle", "failed"),
    (Point("poll", "xai", "GET videos"), "refuse", "stalled"),
    (Point("finalize", "download", "GET"), "refuse", "failed"),
    (Point("finalize", "s3", "PutObject"), "throttle", "failed"),
    (Point("finalize", "dynamodb", "PutItem"), "throttle", "failed"),
    (Point("finalize", "eventbridge", "PutEvents"), "throttle", "finalized"),
    (Point("thumbnail", "s3", "GetObject"), "throttle", "finalized"),
)
Calls = dict[str, list[list[Point]]]
"""By function, what it called while it handled each of its events, in order."""


def read_calls(text: str) -> Calls:
    """The calls of one run, from what the drill wrote down."""
    by_event: dict[tuple[str, str], list[Point]] = {}
    for line in map(json.loads, text.splitlines()):
        point = Point(line["function"], line["service"], line["operation"], line["number"])
        by_event.setdefault((line["function"], line["event"]), []).append(point)
    calls: Calls = {}
    for (function, _), points in by_event.items():
        calls.setdefault(function, []).append(points)
    return calls


def cases(recorded: dict[str, Calls], *, full: bool, witness: bool) -> list[Case]:
    """Every case, each place once: in the first kind of run that comes by it.

    In the full run every fault at each, and a kill at places of states in each kind of run.
    """
    made: dict[str, Case] = {}
    seen: set[Point] = set()
    for kind in KINDS:
        calls = recorded.get(kind.name, {})
        for point in places(calls):
            if kind.functions and point.function not in kind.functions:
                continue
            if point in seen and not (full and point.function in STATES and kind.repeats):
                continue
            faults = list(faults_at(kind, point, is_first=point not in seen, full=full))
            seen.add(point)
            for case in faults:
                expected = expectation(case, calls, witness=witness)
                made[case.name] = with_death(case, len(made), expected)
    return list(made.values())


def places(calls: Calls) -> Iterator[Point]:
    """Each place once, in the order in which a run comes by."""
    yield from dict.fromkeys(point for runs in calls.values() for run in runs for point in run)


def faults_at(kind: Kind, point: Point, *, is_first: bool, full: bool) -> Iterator[Case]:
    if point.service == "handler":
        yield Case(kind, point, "kill", "after")
        if not is_first:
            return
        yield Case(kind, point, "kill", "before")
        if point.function in STATES:
            yield Case(kind, point, "throttle", "before")
        return
    is_telling = point.is_write or point.service != "dynamodb"
    if not is_first:
        yield Case(kind, point, "kill", "during")
        return
    for moment in moments(point, is_telling=is_telling, full=full):
        yield Case(kind, point, "kill", moment)
    tries = 1 if point.service in OWN_TRIES else BOTO_TRIES
    if full or is_telling:
        yield Case(kind, point, "throttle", "before", tries)
        yield Case(kind, point, "lose", "during", 1)
    if full:
        yield Case(kind, point, "refuse", "before", tries)


def moments(point: Point, *, is_telling: bool, full: bool) -> tuple[str, ...]:
    """When a process is killed at a call. At a door before it is the same as after the last one."""
    if full or point.function in STATES:
        return MOMENTS
    return ("during", "after") if is_telling else ("during",)


def hangs(recorded: dict[str, Calls], *, witness: bool) -> list[Case]:
    """Each state once: its function comes to its time limit after it has looked at the record."""
    found: dict[str, Case] = {}
    for kind in KINDS:
        for point in places(recorded.get(kind.name, {})):
            is_post = point.service == "xai" and point.operation.startswith("POST")
            is_it = is_post or (point.operation == "GetItem" and point.number == 1)
            if point.function in STATES and is_it and not kind.functions:
                case = Case(kind, point, "hang", "after")
                expected = expectation(case, recorded[kind.name], witness=witness)
                found.setdefault(point.name, replace(case, expected=expected))
    return list(found.values())


def lasting(*, full: bool) -> list[Case]:
    """Services that stay away: for each what remains when everybody has given up."""
    text = KINDS[0]
    found = [
        Case(text, point, fault, "before", 0, expected=frozenset({end}))
        for point, fault, end in LASTING
    ]
    return [case for case in found if full or case.expected != frozenset({"stalled"})]


def with_death(case: Case, number: int, expected: frozenset[str]) -> Case:
    """The case with a name for its death: all of them have their turn."""
    is_named = case.fault == "kill" and case.point.function in STATES
    death = DEATHS[number % len(DEATHS)] if is_named else None
    return replace(case, death=death, expected=expected)


def expectation(case: Case, calls: Calls, *, witness: bool) -> frozenset[str]:
    """In what the catalogue of failures allows the case to end."""
    base = case.kind.end(witness)
    if case.point.function not in {"start", "first_frame"} or case.point.service == "handler":
        return frozenset({base})
    run = next(run for run in calls[case.point.function] if case.point in run)
    called = {point.service for point in run} | {point.operation for point in run}
    if not {"xai", "TransactWriteItems"} <= called:  # a control takes no permit
        return frozenset({base})
    permit, post, kept = window(run)
    here = run.index(case.point)
    if (
        case.point.function == "first_frame"
        and here == kept
        and case.fault in {"throttle", "refuse"}
    ):
        return frozenset({"failed"})  # the answer was the only copy: what it cost is booked
    unknown = frozenset({"submit_unknown"})
    if witness and here >= post:
        was_sent = here > post or case.moment != "before"
        has_job = was_sent and case.kind.is_accepted
        unknown = frozenset({"finalized"}) if has_job else unknown
    if case.fault == "lose":
        if here == permit:
            return frozenset({base}) | frozenset({"submit_unknown"})
        return unknown if here == post else frozenset({base})
    if case.fault not in DYING:
        return frozenset({base})
    begins = here > permit or (here == permit and case.moment != "before")
    is_over = here > kept or (here == kept and case.moment != "before")
    return unknown if begins and not is_over else frozenset({base})


def window(run: list[Point]) -> tuple[int, int, int]:
    """Where in a run of Start or FirstFrame the permit is taken, the POST sent, its answer kept."""
    permit = next(n for n, point in enumerate(run) if point.operation == "TransactWriteItems")
    post = next(n for n, point in enumerate(run) if point.service == "xai")
    after = range(post + 1, len(run))
    keeps = (n for n in after if run[n].is_write or run[n].operation == "PutObject")
    return permit, post, next(keeps, len(run))


def chosen(all_cases: Iterable[Case], pattern: str | None) -> list[Case]:
    """The cases whose name holds `pattern`, as it stands or as an expression; all without one."""
    return [
        case
        for case in all_cases
        if not pattern or pattern in case.name or re.search(pattern, case.name)
    ]
