"""Controls: submits written otherwise, run through the kills of Start, must pay twice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.reliability.kinds import KINDS, prompt
from tests.reliability.matrix import NOTHING, Tell, played, settled
from tests.reliability.plans import Case, cases
from tests.reliability.spread import is_death, is_hindered
from tests.reliability.stage import Stage

NAMES = ("naive", "powertools")
TABLE = "drill-idempotency"
TEXT = KINDS[0]
# A process that is gone holds Powertools' record for as long as its function might have run.
PARAMETERS = {"StartFunctionSeconds": "6", "PollTimeoutMs": "60000"}


@dataclass(frozen=True)
class Control:
    """How many cases a control went through, and in how many of them xAI started jobs twice."""

    name: str
    cases: int
    charged_twice: int


def controls(folder: Path, tell: Tell) -> list[Control]:
    """Both controls, each on a stack of its own."""
    return [controlled(folder, name, tell) for name in NAMES]


def controlled(folder: Path, name: str, tell: Tell) -> Control:
    environment = {"IDEMPOTENCY_TABLE": TABLE}
    stage = Stage(folder / name, name, PARAMETERS, environment)
    try:
        stage.up()
        make_table(stage)
        calm = Case(TEXT, NOTHING, "none")
        played(stage, [calm], tell, {})
        calls = {TEXT.name: {"start": stage.calls(calm.token)["start"]}}
        drilled = [case for case in cases(calls, witness=False) if is_paid(case)]
        played(stage, drilled, tell, {})
        settled(stage)
        jobs = [len(stage.jobs(prompt(case.token))) for case in drilled]
    finally:
        stage.down()
    return Control(name, len(drilled), sum(started > 1 for started in jobs))


def is_paid(case: Case) -> bool:
    return case.point.function == "start" and (is_death(case) or is_hindered(case))


def make_table(stage: Stage) -> None:
    stage.client("dynamodb").create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
