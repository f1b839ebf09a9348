"""The real ASL, walked one state at a time by whoever holds the executions in hand.

Step Functions, and moto with it, runs executions beside each other as it likes. Here a test says
which of them goes on next, so that any interleaving can be had, and had again. It knows what our
two machines use of the language, and no more; test_model.py compares it with moto.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.workflow.conftest import definition

Document = Any
Invoke = Callable[[str, Document], Document]
MACHINES = ("render_clip", "render_film")


class Fault(Exception):
    """What a state fails with: the error's name, as Retry and Catch know it, and its words."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.cause = cause


@dataclass
class Walk:
    """An execution, or the turn of one item of a Map: where it stands and what it carries."""

    machine: str
    name: str
    states: dict[str, Any]
    document: Document
    state: str
    entered: float
    parent: Walk | None = None
    status: str = "RUNNING"
    error: str | None = None
    path: list[str] = field(default_factory=list)
    tries: dict[int, int] = field(default_factory=dict)
    children: list[Walk] = field(default_factory=list)
    awaited: Walk | None = None

    @property
    def is_running(self) -> bool:
        return self.status == "RUNNING"


class Walker:
    """Step Functions, as far as our machines need it.

    `invoke` runs a function on a document, or raises Fault; `read` gives the document under a key
    of the library; `clock` and `wait_until` are of seconds.
    """

    def __init__(
        self,
        invoke: Invoke,
        read: Callable[[str], Document],
        clock: Callable[[], float],
        wait_until: Callable[[float], None],
        at_a_time: int = 2,
    ) -> None:
        self.invoke = invoke
        self.read = read
        self.clock = clock
        self.wait_until = wait_until
        self.machines = {
            name: json.loads(definition(name, FilmConcurrency=at_a_time)) for name in MACHINES
        }
        self.walks: list[Walk] = []

    # -- the API -----------------------------------------------------------------------------------

    def call(self, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Answer what the package asks Step Functions."""
        answers: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "StartExecution": self._started,
            "DescribeExecution": self._described,
            "ListExecutions": self._listed,
        }
        return answers[operation](parameters)

    def _started(self, asked: dict[str, Any]) -> dict[str, Any]:
        machine = asked["stateMachineArn"].rpartition(":")[2]
        if self.find(machine, asked["name"]) is None:
            self.start(machine, asked["name"], json.loads(asked["input"]))
        return {"executionArn": f"{asked['stateMachineArn']}:{asked['name']}"}

    def _described(self, asked: dict[str, Any]) -> dict[str, Any]:
        *_, machine, name = asked["executionArn"].split(":")
        found = self.find(machine, name)
        return {"status": "MISSING" if found is None else found.status}

    def _listed(self, asked: dict[str, Any]) -> dict[str, Any]:
        machine = asked["stateMachineArn"].rpartition(":")[2]
        running = [w for w in self.walks if w.is_running and not w.parent and w.machine == machine]
        return {"executions": [{"name": walk.name} for walk in running]}

    # -- walking -----------------------------------------------------------------------------------

    def find(self, machine: str, name: str) -> Walk | None:
        """The execution of this name."""
        mine = (w for w in self.walks if not w.parent and (w.machine, w.name) == (machine, name))
        return next(mine, None)

    def start(self, machine: str, name: str, document: Document) -> Walk:
        """A new execution, before its first state."""
        return self._begin(machine, name, self.machines[machine], document, None)

    def _begin(
        self, machine: str, name: str, flow: dict[str, Any], document: Document, parent: Walk | None
    ) -> Walk:
        begin = flow["StartAt"]
        walk = Walk(machine, name, flow["States"], document, begin, self.clock(), parent)
        walk.path.append(begin)
        self.walks.append(walk)
        return walk

    def ready(self) -> list[Walk]:
        """Those that can go on, oldest first."""
        return [walk for walk in self.walks if walk.is_running and not self._is_blocked(walk)]

    def _is_blocked(self, walk: Walk) -> bool:
        awaits = [*walk.children, *([walk.awaited] if walk.awaited else [])]
        if any(other.is_running for other in awaits):
            return True
        if walk.parent is None:
            return False
        width = walk.parent.states[walk.parent.state]["MaxConcurrency"]
        before = [turn for turn in walk.parent.children if turn.is_running][:width]
        return all(turn is not walk for turn in before)

    def stop(self, walk: Walk, *, with_clips: bool) -> None:
        """End an execution in the middle, with what it has begun or without."""
        walk.status = "ABORTED"
        for turn in walk.children:
            if turn.is_running:
                self.stop(turn, with_clips=with_clips)
        if with_clips and walk.awaited is not None and walk.awaited.is_running:
            self.stop(walk.awaited, with_clips=True)

    def step(self, walk: Walk) -> None:
        """Go on by one state."""
        state = walk.states[walk.state]
        kinds: dict[str, Callable[[Walk, dict[str, Any]], None]] = {
            "Choice": self._choice,
            "Task": self._task,
            "Wait": self._wait,
            "Map": self._map,
            "Pass": self._pass,
            "Succeed": lambda walk, _: self._end(walk, "SUCCEEDED"),
            "Fail": self._fail,
        }
        try:
            kinds[state["Type"]](walk, state)
        except Fault as fault:
            self._failed(walk, state, fault)

    def _enter(self, walk: Walk, state: str) -> None:
        walk.state, walk.entered = state, self.clock()
        walk.tries, walk.children, walk.awaited = {}, [], None
        walk.path.append(state)

    def _go_on(self, walk: Walk, state: dict[str, Any]) -> None:
        if state.get("End"):
            self._end(walk, "SUCCEEDED")
        else:
            self._enter(walk, state["Next"])

    @staticmethod
    def _end(walk: Walk, status: str, error: str | None = None) -> None:
        walk.status, walk.error = status, error

    def _choice(self, walk: Walk, state: dict[str, Any]) -> None:
        chosen = (rule["Next"] for rule in state["Choices"] if holds(rule, walk.document))
        self._enter(walk, next(chosen, state["Default"]))

    def _wait(self, walk: Walk, state: dict[str, Any]) -> None:
        path = state.get("SecondsPath")
        seconds = state["Seconds"] if path is None else at(path, walk.document)
        assert isinstance(seconds, int)
        assert seconds > 0
        self.wait_until(walk.entered + seconds)
        self._go_on(walk, state)

    def _pass(self, walk: Walk, state: dict[str, Any]) -> None:
        walk.document = state["Result"]
        self._go_on(walk, state)

    def _fail(self, walk: Walk, state: dict[str, Any]) -> None:
        path = state.get("ErrorPath")
        self._end(walk, "FAILED", state["Error"] if path is None else at(path, walk.document))

    def _task(self, walk: Walk, state: dict[str, Any]) -> None:
        if state["Resource"].endswith("startExecution.sync:2"):
            self._nested(walk, state)
            return
        self.wait_until(walk.entered)  # a retry has its time
        answer = self.invoke(state["Resource"].rpartition(":")[2], walk.document)
        if not walk.is_running:
            return  # somebody stopped it meanwhile
        walk.document = answer
        self._go_on(walk, state)

    def _nested(self, walk: Walk, state: dict[str, Any]) -> None:
        if walk.awaited is None:
            wanted = {
                name.removesuffix(".$"): at(value, walk.document) if name.endswith("$") else value
                for name, value in state["Parameters"].items()
            }
            machine = wanted["StateMachineArn"].rpartition(":")[2]
            if self.find(machine, wanted["Name"]) is not None:
                raise Fault("StepFunctions.ExecutionAlreadyExistsException")
            walk.awaited = self.start(machine, wanted["Name"], wanted["Input"])
        elif walk.awaited.status == "SUCCEEDED":
            self._go_on(walk, state)
        else:
            raise Fault("States.TaskFailed")

    def _map(self, walk: Walk, state: dict[str, Any]) -> None:
        if walk.children:
            self._go_on(walk, state)
            return
        key = at(state["ItemReader"]["Parameters"]["Key.$"], walk.document)
        for number, item in enumerate(self.read(key)):
            document = {
                name.removesuffix(".$"): item if path.startswith("$$") else at(path, walk.document)
                for name, path in state["ItemSelector"].items()
            }
            turn = f"{walk.name}/{number}"
            flow = state["ItemProcessor"]
            walk.children.append(self._begin(walk.machine, turn, flow, document, walk))

    def _failed(self, walk: Walk, state: dict[str, Any], fault: Fault) -> None:
        if not walk.is_running:
            return
        for number, rule in enumerate(state.get("Retry", ())):
            if not names(rule, fault.error):
                continue
            tried = walk.tries.get(number, 0)
            if tried >= rule["MaxAttempts"]:
                break
            walk.tries[number] = tried + 1
            pause = rule["IntervalSeconds"] * rule["BackoffRate"] ** tried
            walk.entered = self.clock() + min(pause, rule.get("MaxDelaySeconds", pause))
            return
        for rule in state.get("Catch", ()):
            if names(rule, fault.error):
                if rule.get("ResultPath", "") == "$.caught":
                    caught = {"Error": fault.error, "Cause": fault.cause}
                    walk.document = {**walk.document, "caught": caught}
                self._enter(walk, rule["Next"])
                return
        self._end(walk, "FAILED", fault.error)


def names(rule: dict[str, Any], error: str) -> bool:
    """Whether a Retry or Catch is for an error."""
    return bool({"States.ALL", error} & set(rule["ErrorEquals"]))


def at(path: str, document: Document) -> Any:
    """The value at `$.a.b`."""
    for name in path.split(".")[1:]:
        document = document[name]
    return document


def holds(rule: dict[str, Any], document: Document) -> bool:
    """Whether a Choice's rule does."""
    if "And" in rule:
        return all(holds(part, document) for part in rule["And"])
    if "Or" in rule:
        return any(holds(part, document) for part in rule["Or"])
    value = at(rule["Variable"], document)
    [(operator, operand)] = [pair for pair in rule.items() if pair[0] not in {"Variable", "Next"}]
    operators: dict[str, Callable[[], bool]] = {
        "StringEquals": lambda: bool(value == operand),
        "NumericGreaterThan": lambda: bool(value > operand),
        "IsString": lambda: isinstance(value, str) is operand,
        "IsNull": lambda: (value is None) is operand,
    }
    return operators[operator]()
