"""What is to go wrong where: cases, made of the calls that undisturbed runs were seen to make."""

from __future__ import annotations

import hashlib
import json
import math
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
# Of the looks at the line before a model the first ones come in every run: one to join it, one
# before the POST. More are made when others stand there.
SURE_LOOKS = {"GetItem line": 2, "UpdateItem line": 1, "UpdateItem closing": 1}
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
    def is_telling(self) -> bool:
        """Whether more hangs on it than an answer: all but what is read from the table."""
        return self.is_write or self.service not in {"dynamodb", "handler"}

    @property
    def is_write(self) -> bool:
        """Whether it changes a record of ours; a line is none."""
        return self.operation in {"PutItem", "UpdateItem", "TransactWriteItems"}


@dataclass(frozen=True)
class Case:
    """One thing that goes wrong at one place, in one kind of run.

    `is_at_post`: from a permit until what its POST answered is kept. `is_again`: at a place that
    another kind of run has come by already. `take` counts how often it has been tried.
    """

    kind: Kind
    point: Point
    fault: str
    moment: str = "before"
    times: int = 1
    death: str | None = None
    marker: str = ""
    expected: frozenset[str] = field(default=frozenset(), compare=False)
    is_at_post: bool = field(default=False, compare=False)
    is_again: bool = field(default=False, compare=False)
    take: int = field(default=1, compare=False)

    @property
    def name(self) -> str:
        """What `make reliability CASE=` takes."""
        if self.fault == "xai":
            return f"xai:{self.marker}"
        how = f"{self.fault}-{self.moment}" if self.fault in DYING else self.fault
        how = f"{how}-for-good" if self.times == 0 else how
        how = f"{how}-{self.times}-times" if self.times > BOTO_TRIES else how
        kind = f"{self.kind.name}+{self.marker}" if self.marker else self.kind.name
        return f"{kind}:{self.point.name}:{how}"

    @property
    def token(self) -> str:
        """What its events can be told by."""
        name = self.name if self.take == 1 else f"{self.name}, take {self.take}"
        return f"drill-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

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


def cases(recorded: dict[str, Calls], *, witness: bool) -> list[Case]:
    """Every case there is: every fault at each place in the first kind of run that comes by it, and
    a kill in each other kind.
    """
    made: dict[str, Case] = {}
    seen: set[Point] = set()
    for kind in KINDS:
        calls = recorded.get(kind.name, {})
        for point in places(calls):
            if kind.functions and point.function not in kind.functions:
                continue
            is_again = point in seen
            if is_again and not (point.function in STATES and kind.repeats):
                continue
            seen.add(point)
            at_post = is_at_post(point, calls)
            for case in faults_at(kind, point, is_first=not is_again):
                expected = expectation(case, calls, witness=witness)
                case = with_death(case, len(made), expected)
                made[case.name] = replace(case, is_again=is_again, is_at_post=at_post)
    return list(made.values())


def places(calls: Calls) -> Iterator[Point]:
    """Each place once that every such run comes by, in that order."""
    every = dict.fromkeys(point for runs in calls.values() for run in runs for point in run)
    yield from (
        point for point in every if point.number <= SURE_LOOKS.get(point.operation, math.inf)
    )


def faults_at(kind: Kind, point: Point, *, is_first: bool) -> Iterator[Case]:
    if point.service == "handler":
        yield Case(kind, point, "kill", "after")
        if not is_first:
            return
        yield Case(kind, point, "kill", "before")
        if point.function in STATES:
            yield Case(kind, point, "throttle", "before")
        return
    if not is_first:
        yield Case(kind, point, "kill", "during")
        return
    for moment in MOMENTS:
        yield Case(kind, point, "kill", moment)
    tries = 1 if point.service in OWN_TRIES else BOTO_TRIES
    yield Case(kind, point, "throttle", "before", tries)
    yield Case(kind, point, "lose", "during", 1)
    yield Case(kind, point, "refuse", "before", tries)


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


def lasting() -> list[Case]:
    """Services that stay away: for each what remains when everybody has given up."""
    text = KINDS[0]
    return [
        Case(text, point, fault, "before", 0, expected=frozenset({end}))
        for point, fault, end in LASTING
    ]


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
    run = run_of(case.point, calls)
    if not pays(run):
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


def run_of(point: Point, calls: Calls) -> list[Point]:
    """The first run of its function that comes by a point."""
    return next(run for run in calls[point.function] if point in run)


def pays(run: list[Point]) -> bool:
    """Whether a run takes a permit and sends a POST. A control takes no permit."""
    called = {point.service for point in run} | {point.operation for point in run}
    return {"xai", "TransactWriteItems"} <= called


def is_at_post(point: Point, calls: Calls) -> bool:
    """Whether money hangs on what happens at a point: from the permit to the answer's record."""
    if point.function not in {"start", "first_frame"} or not pays(run_of(point, calls)):
        return False
    run = run_of(point, calls)
    permit, _, kept = window(run)
    return permit <= run.index(point) <= kept


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
