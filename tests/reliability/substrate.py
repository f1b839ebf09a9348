"""Is the ground sound? A matrix on an emulator that lets two writers win would prove nothing."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from botocore.exceptions import ClientError

from tests.reliability.kinds import KINDS, prompt
from tests.reliability.plans import Case, Point
from tests.reliability.stage import Stage

ROUNDS = 25
RIVALS = 8
TABLE = "substrate"
BUCKET = "substrate"


class Unsound(Exception):
    """The substrate does what AWS would not."""


@dataclass(frozen=True)
class Check:
    """What was tried how often, and how often it came out otherwise than on AWS."""

    what: str
    rounds: int
    violations: int


def check(stage: Stage) -> list[Check]:
    """Try what the matrix stands on. Raises Unsound."""
    prepare(stage)
    found = [
        contest("one PutItem of several wins", lambda n: put_item(stage, n)),
        contest("one UpdateItem of several wins", lambda n: update_item(stage, n)),
        contest("one TransactWriteItems of several wins, whole", lambda n: transact(stage, n)),
        contest("one PutObject with If-None-Match wins", lambda n: put_object(stage, n)),
        killing(stage),
        counting(stage),
    ]
    if bad := [one for one in found if one.violations]:
        raise Unsound(
            "; ".join(f"{one.what}: not in {one.violations} of {one.rounds}" for one in bad)
        )
    return found


def prepare(stage: Stage) -> None:
    stage.client("dynamodb").create_table(
        TableName=TABLE,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        BillingMode="PAY_PER_REQUEST",
    )
    stage.client("s3").create_bucket(Bucket=BUCKET)


def contest(
    what: str, rivals_of: Callable[[int], tuple[Callable[[int], Any], Callable[[int], bool]]]
) -> Check:
    """Rounds in which several do the same at once: one may win, and what is there must be its."""
    violations = 0
    for number in range(ROUNDS):
        attempt, is_whole = rivals_of(number)
        winners = together(attempt)
        violations += len(winners) != 1 or not is_whole(winners[0])
    return Check(what, ROUNDS, violations)


def together(attempt: Callable[[int], Any]) -> list[int]:
    """Those whose attempt was not refused, when all begin at the same moment."""
    gate = threading.Barrier(RIVALS)
    winners: list[int] = []

    def one(number: int) -> None:
        gate.wait()
        with suppress(ClientError):
            attempt(number)
            winners.append(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(RIVALS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return winners


def _item(stage: Stage, name: str) -> dict[str, Any]:
    found = stage.client("dynamodb").get_item(
        TableName=TABLE, Key={"pk": {"S": name}}, ConsistentRead=True
    )
    item: dict[str, Any] = found.get("Item", {})
    return item


def _is_by(stage: Stage, name: str, rival: int) -> bool:
    return bool(_item(stage, name).get("by") == {"N": str(rival)})


def put_item(stage: Stage, number: int) -> Any:
    name, table = f"put-{number}", stage.client("dynamodb")

    def attempt(rival: int) -> None:
        table.put_item(
            TableName=TABLE,
            Item={"pk": {"S": name}, "by": {"N": str(rival)}},
            ConditionExpression="attribute_not_exists(pk)",
        )

    return attempt, lambda rival: _is_by(stage, name, rival)


def update_item(stage: Stage, number: int) -> Any:
    name, table = f"update-{number}", stage.client("dynamodb")
    table.put_item(TableName=TABLE, Item={"pk": {"S": name}, "version": {"N": "1"}})

    def attempt(rival: int) -> None:
        table.update_item(
            TableName=TABLE,
            Key={"pk": {"S": name}},
            UpdateExpression="SET version = :new, #by = :me",
            ConditionExpression="version = :old",
            ExpressionAttributeNames={"#by": "by"},
            ExpressionAttributeValues={
                ":new": {"N": "2"},
                ":old": {"N": "1"},
                ":me": {"N": str(rival)},
            },
        )

    return attempt, lambda rival: _is_by(stage, name, rival)


def transact(stage: Stage, number: int) -> Any:
    name, table = f"transact-{number}", stage.client("dynamodb")

    def attempt(rival: int) -> None:
        by = {"N": str(rival)}
        parts: list[dict[str, Any]] = [
            {"Put": {"TableName": TABLE, "Item": {"pk": {"S": f"{name}-b"}, "by": by}}},
            {
                "Put": {
                    "TableName": TABLE,
                    "Item": {"pk": {"S": name}, "by": by},
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            },
        ]
        table.transact_write_items(TransactItems=parts)

    def is_whole(rival: int) -> bool:
        return _is_by(stage, name, rival) and _is_by(stage, f"{name}-b", rival)

    return attempt, is_whole


def put_object(stage: Stage, number: int) -> Any:
    name, store = f"object-{number}", stage.client("s3")

    def attempt(rival: int) -> None:
        store.put_object(Bucket=BUCKET, Key=name, Body=b"%d" % rival, IfNoneMatch="*")

    def is_whole(rival: int) -> bool:
        found = store.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        return bool(found == b"%d" % rival)

    return attempt, is_whole


def killing(stage: Stage) -> Check:
    """A process that is to die is dead, and the caller gets no answer of it."""
    violations = 0
    for moment in ("before", "after"):
        case = Case(KINDS[0], Point("describe", "handler"), "kill", moment)
        stage.plan(case)
        answer = stage.call(case.token, "GET", "/v1/models", None)
        line = stage.first_shot(case.token)
        violations += answer.status_code < 500 or line is None or is_alive(line["process"])
    return Check("a process that is to die is dead", 2, violations)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{process}/stat") as stat:  # noqa: PTH123
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def counting(stage: Stage) -> Check:
    """The simulator's journal has every job, whatever became of the answer."""
    violations = 0
    for marker, started in (("", 2), ("lost", 2), ("denied", 0)):
        text = prompt("substrate", marker)
        for _ in range(2):
            with suppress(httpx.HTTPError):
                httpx.post(
                    f"{stage.endpoints.simulator_origin}/v1/videos/generations",
                    json={"prompt": text, "model": "grok-imagine-video", "duration": 1},
                    headers={"Authorization": f"Bearer {stage.endpoints.simulator_key}"},
                    timeout=30,
                )
        violations += len(stage.jobs(text)) != started
    return Check("the journal has every job", 3, violations)
