"""How executions end: each state is entered by some, and what one fails with is a known name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import yaml

from tests.reliability import matrix
from tests.reliability.kinds import KINDS
from tests.reliability.matrix import Result, Tell
from tests.reliability.plans import DEATHS, Case, Point
from tests.reliability.project import ROOT
from tests.reliability.stage import Stage
from videoconductor import errors
from videoconductor.workflow import CRASHES


def is_error(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Exception)


# Of the machines themselves, and what all tries of a state that is turned away end in.
OWN = frozenset({"FilmIncomplete", "Lambda.TooManyRequestsException"})
KNOWN = frozenset(
    {
        *(name for name, found in vars(errors).items() if is_error(found)),
        *CRASHES,
        *filter(None, DEATHS),
        *OWN,
    }
)


# One execution's worth: the first try of RecordFailure or Conclude and its twenty retries.
ALL_TRIES = 21
MACHINES = ("render_clip", "render_film")
ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


@dataclass(frozen=True)
class Entered:
    """How many states the machines have, and which of them no execution has entered."""

    states: int
    never: tuple[str, ...]


def unrecorded() -> list[Case]:
    """The states whose own failure is caught by nothing but `Unrecorded`, failing every time."""
    ends = (("failed", "record_failure"), ("film", "conclude"))
    kinds = {kind.name: kind for kind in KINDS}
    return [
        Case(
            kinds[name],
            Point(function, "handler"),
            "throttle",
            "before",
            ALL_TRIES,
            expected=frozenset({kinds[name].end(witness=False)}),
        )
        for name, function in ends
    ]


def run_unrecorded(stage: Stage, cases: list[Case], tell: Tell) -> list[Result]:
    """Run them on a stack whose states do not wait: between tries it would be minutes."""
    return [fully_struck(result) for result in matrix.run(stage, cases, tell)]


def fully_struck(result: Result) -> Result:
    """The result, which is wrong where an earlier try got through."""
    if result.fired == ALL_TRIES:
        return result
    wrong = (*result.verdict.wrong, f"{result.fired} of {ALL_TRIES} tries were struck")
    return replace(result, verdict=replace(result.verdict, wrong=wrong))


def entered(seen: Collection[tuple[str, str]]) -> Entered:
    """Which states of the machines have been entered, of those that executions were seen in."""
    states = {(machine, name) for machine in MACHINES for name in states_of(machine)}
    never = states - set(seen)
    return Entered(len(states), tuple(f"{machine}.{name}" for machine, name in sorted(never)))


def states_of(machine: str) -> list[str]:
    """The names of a machine's states. Those inside of a Map leave no history in the emulator."""
    text = (ROOT / "statemachine" / f"{machine}.asl.yaml").read_text(encoding="utf-8")
    return list(yaml.safe_load(text)["States"])


def paths(stage: Stage) -> Iterator[tuple[str, str]]:
    """Machine and name of each state that was entered, over and over."""
    client = stage.client("stepfunctions")
    pages = client.get_paginator("list_executions")
    for machine in client.list_state_machines()["stateMachines"]:
        name = next(known for known in MACHINES if is_called(machine["name"], known))
        for status in ENDED:
            found = pages.paginate(stateMachineArn=machine["stateMachineArn"], statusFilter=status)
            for execution in (each for page in found for each in page["executions"]):
                history = client.get_paginator("get_execution_history").paginate(
                    executionArn=execution["executionArn"]
                )
                for event in (each for page in history for each in page["events"]):
                    if "stateEnteredEventDetails" in event:
                        yield name, event["stateEnteredEventDetails"]["name"]


def is_called(deployed: str, name: str) -> bool:
    """Whether a machine's name in a stack is made of its own."""
    return name.replace("_", "") in deployed.lower().replace("-", "").replace("_", "")


def strange(stage: Stage) -> list[str]:
    """Errors that executions failed with and that are in no list, each with how often."""
    found = Counter(error for error in failures(stage) if error not in KNOWN)
    return [f"{count} executions failed with {name!r}" for name, count in sorted(found.items())]


def failures(stage: Stage) -> list[str]:
    """What each execution that did not succeed failed with."""
    machines = stage.client("stepfunctions").list_state_machines()["stateMachines"]
    pages = stage.client("stepfunctions").get_paginator("list_executions")
    return [
        stage.client("stepfunctions")
        .describe_execution(executionArn=execution["executionArn"])
        .get("error", "")
        for machine in machines
        for status in ("FAILED", "TIMED_OUT", "ABORTED")
        for page in pages.paginate(stateMachineArn=machine["stateMachineArn"], statusFilter=status)
        for execution in page["executions"]
    ]
