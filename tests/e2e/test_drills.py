"""A few cases of `make reliability`: that its drills strike, and that its judge looks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.reliability import matrix
from tests.reliability.kinds import KINDS
from tests.reliability.plans import Case, Point
from tests.reliability.stage import Stage

pytestmark = [pytest.mark.e2e, pytest.mark.long]

TEXT = KINDS[0]
FINE, UNKNOWN = frozenset({"finalized"}), frozenset({"submit_unknown"})
POST = Point("start", "xai", "POST videos")
CASES = (
    Case(TEXT, Point("submit", "dynamodb", "PutItem"), "kill", "after", expected=FINE),
    Case(TEXT, POST, "kill", "during", death="Lambda.Unknown", expected=UNKNOWN),
    Case(TEXT, Point("finalize", "s3", "PutObject"), "throttle", "before", 3, expected=FINE),
)
NEVER = Case(TEXT, Point("start", "sqs", "SendMessage"), "kill", expected=FINE)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("drills") / "stage")
    try:
        stage.up()
        yield stage
    finally:
        stage.down()


def test_what_dies_or_fails_at_a_call_is_paid_for_once_and_a_fault_that_never_struck_is_told(stage):
    results = {one.case.name: one for one in matrix.run(stage, (*CASES, NEVER), lambda _: None)}

    assert {case.name: results[case.name].verdict.wrong for case in CASES} == {
        case.name: () for case in CASES
    }
    held = [one.case.name for one in results.values() if one.verdict.held]
    assert held == [case.name for case in CASES if case.point == POST]
    assert results[NEVER.name].verdict.wrong == ("the fault never struck",)
    assert results[NEVER.name].verdict.outcome == "finalized"
