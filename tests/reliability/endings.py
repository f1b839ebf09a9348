"""How executions end: whatever one fails with must be a name that somebody has thought of."""

from __future__ import annotations

from collections import Counter

from tests.reliability.plans import DEATHS
from tests.reliability.stage import Stage
from videoconductor import errors
from videoconductor.workflow import CRASHES


def is_error(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Exception)


# Of the machines themselves.
OWN = frozenset({"FilmIncomplete"})
KNOWN = frozenset(
    {
        *(name for name, found in vars(errors).items() if is_error(found)),
        *CRASHES,
        *filter(None, DEATHS),
        *OWN,
    }
)


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
