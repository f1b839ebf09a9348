"""A DynamoDB write is on disk before it is answered."""

import asyncio
import json
import time

import pytest

from local_stack.durable import GroupCommit, durable

PUT = b"DynamoDB_20120810.PutItem"


class Ministack:
    """Applies a request when it comes, and answers."""

    def __init__(self, status=200):
        self.applied = []
        self.status = status

    async def __call__(self, scope, receive, send):
        self.applied.append(scope["number"])
        await send({"type": "http.response.start", "status": self.status, "headers": []})


def requests(app, *targets, path="/", method="POST"):
    """Send these at once; the numbers in the order they were answered."""
    answered = []

    async def one(number, target):
        async def send(message):
            if message["type"] == "http.response.start":
                answered.append(number)

        headers = [(b"x-amz-target", target)]
        scope = {"type": "http", "path": path, "method": method, "headers": headers}
        await app({**scope, "number": number}, None, send)

    async def run():
        await asyncio.gather(*(one(n, target) for n, target in enumerate(targets)))

    asyncio.run(run())
    return answered


def test_every_write_is_in_a_save_that_ended_before_its_answer():
    ministack, saves = Ministack(), []
    app = durable(ministack, lambda: saves.append(list(ministack.applied)), lambda: None)
    assert sorted(requests(app, PUT, PUT, PUT)) == [0, 1, 2]
    assert sorted(saves[-1]) == [0, 1, 2]


def test_writes_at_the_same_time_share_a_save():
    ministack, saves = Ministack(), []
    app = durable(ministack, lambda: saves.append(1), lambda: None)
    requests(app, *[PUT] * 20)
    assert len(saves) < 5


def test_who_comes_soon_after_a_save_that_took_long_shares_the_next():
    saves = []
    tables = GroupCommit(lambda: saves.append(time.sleep(0.05)))

    async def run():
        await tables.saved()
        asked = []
        for _ in range(5):
            asked.append(asyncio.create_task(tables.saved()))
            await asyncio.sleep(0.01)
        await asyncio.gather(*asked)

    asyncio.run(run())
    assert len(saves) == 2


@pytest.mark.parametrize("target", [b"DynamoDB_20120810.GetItem", b"DynamoDB_20120810.Query", b""])
def test_reads_save_nothing(target):
    saves = []
    requests(durable(Ministack(), lambda: saves.append(1), lambda: None), target)
    assert saves == []


def test_a_refused_write_saves_nothing():
    saves = []
    requests(durable(Ministack(status=400), lambda: saves.append(1), lambda: None), PUT)
    assert saves == []


def test_a_write_that_cannot_be_saved_is_not_answered():
    def full_disk():
        raise OSError("no space left")

    answered = []
    with pytest.raises(OSError, match="no space left"):
        answered = requests(durable(Ministack(), full_disk, lambda: None), PUT)
    assert answered == []


def test_all_state_is_saved_on_request():
    saves = []
    app = durable(Ministack(), lambda: None, lambda: saves.append("all"))
    requests(app, b"", path="/_local_stack/save")
    assert saves == ["all"]


def test_a_save_that_has_begun_is_not_enough_for_a_later_write():
    saves = []

    async def run():
        commit = GroupCommit(lambda: saves.append(1))
        await commit.saved()
        await commit.saved()

    asyncio.run(run())
    assert saves == [1, 1]


def test_our_snapshot_is_what_ministack_itself_would_write():
    """Says so when a new ministack keeps its tables in another way."""
    from ministack.core import persistence
    from ministack.services import dynamodb

    from local_stack import snapshot

    names = ("pk", "sk")
    table = {
        "TableName": "clips",
        "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in names],
        "KeySchema": [
            {"AttributeName": name, "KeyType": kind}
            for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
        ],
        "BillingMode": "PAY_PER_REQUEST",
    }
    key = {"pk": {"S": "a"}, "sk": {"S": "1"}}
    other = {"pk": {"S": "a"}, "sk": {"S": "2"}}
    item = {**key, "raw": {"B": "aGk="}, "m": {"M": {"n": {"N": "1"}}}}
    change = {
        "TableName": "clips",
        "Key": key,
        "UpdateExpression": "SET m.n = m.n + :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    both = [{"Update": change}, {"Put": {"TableName": "clips", "Item": {**key, "pk": {"S": "b"}}}}]
    rows = snapshot.Rows()
    for operation, body in (
        ("CreateTable", table),
        ("PutItem", {"TableName": "clips", "Item": item}),
        ("PutItem", {"TableName": "clips", "Item": other}),
        ("UpdateItem", change),
        ("TransactWriteItems", {"TransactItems": both}),
        ("PutItem", {"TableName": "clips", "Item": {**other, "n": {"N": "2"}}}),
        ("DeleteItem", {"TableName": "clips", "Key": key}),
        ("PutItem", {"TableName": "clips", "Item": item}),
    ):
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
        status, _, answer = asyncio.run(
            dynamodb.handle_request("POST", "/", headers, json.dumps(body).encode(), {})
        )
        assert status == 200, answer
        theirs = json.dumps(dynamodb.get_state(), default=persistence._json_default)
        ours = json.loads(snapshot.encoded(rows))["payload"]
        assert ours == json.loads(theirs), operation
    assert "aGk=" in theirs
    assert snapshot.encoded(rows) == snapshot.encoded(snapshot.Rows())
