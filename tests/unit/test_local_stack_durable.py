"""A DynamoDB write is on disk before it is answered."""

import asyncio
import json
import sqlite3
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


NAMES = ("pk", "sk")
CLIPS = {
    "TableName": "clips",
    "AttributeDefinitions": [{"AttributeName": name, "AttributeType": "S"} for name in NAMES],
    "KeySchema": [
        {"AttributeName": name, "KeyType": kind}
        for name, kind in zip(NAMES, ("HASH", "RANGE"), strict=True)
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
KEY = {"pk": {"S": "a"}, "sk": {"S": "1"}}
OTHER = {"pk": {"S": "a"}, "sk": {"S": "2"}}
ITEM = {**KEY, "raw": {"B": "aGk="}, "m": {"M": {"n": {"N": "1"}}}}
CHANGE = {
    "TableName": "clips",
    "Key": KEY,
    "UpdateExpression": "SET m.n = m.n + :one",
    "ExpressionAttributeValues": {":one": {"N": "1"}},
}
TAKE = {"Delete": {"TableName": "clips", "Key": OTHER}}
# ministack takes this one, and there never is such a row.
MISS = {"Delete": {"TableName": "clips", "Key": {**OTHER, "pk": {"S": "\ud800"}}}}
WRITES = [
    ("CreateTable", CLIPS),
    ("PutItem", {"TableName": "clips", "Item": ITEM}),
    ("PutItem", {"TableName": "clips", "Item": OTHER}),
    ("UpdateItem", CHANGE),
    (
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Update": CHANGE},
                {"Put": {"TableName": "clips", "Item": {**KEY, "pk": {"S": "b\x00\u2028ё"}}}},
            ]
        },
    ),
    ("PutItem", {"TableName": "clips", "Item": {**OTHER, "n": {"N": "2"}}}),
    ("TransactWriteItems", {"TransactItems": [TAKE, MISS]}),
    ("DeleteItem", {"TableName": "clips", "Key": KEY}),
    ("DeleteItem", {"TableName": "clips", "Key": KEY}),
    ("PutItem", {"TableName": "clips", "Item": ITEM}),
    ("BatchWriteItem", {"RequestItems": {"clips": [{"PutRequest": {"Item": OTHER}}]}}),
    ("CreateTable", {**CLIPS, "TableName": "stills"}),
    ("PutItem", {"TableName": "stills", "Item": ITEM}),
    ("DeleteTable", {"TableName": "clips"}),
    ("DeleteTable", {"TableName": "stills"}),
]


@pytest.fixture
def dynamodb(monkeypatch):
    """ministack's, without what follows it."""
    from ministack.services import dynamodb

    from local_stack import tables

    for name in tables.CHANGES:
        monkeypatch.setattr(dynamodb, name, getattr(dynamodb, name))
    return dynamodb


def written(dynamodb, operation, body):
    headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
    asked = dynamodb.handle_request("POST", "/", headers, json.dumps(body).encode(), {})
    status, _, answer = asyncio.run(asked)
    assert status == 200, answer


def as_ministack_would(dynamodb):
    from ministack.core import persistence

    return json.loads(json.dumps(dynamodb.get_state(), default=persistence._json_default))


@pytest.mark.parametrize("every", [1, 4, len(WRITES) - 2])
def test_what_is_kept_is_what_ministack_itself_would_write(every, dynamodb, tmp_path):
    """Says so when a new ministack keeps its tables in another way."""
    from local_stack.tables import restore

    tables = restore(tmp_path)
    tables.follow()
    assert not (tmp_path / "dynamodb.json").exists()
    for number, (operation, body) in enumerate(WRITES, start=1):
        written(dynamodb, operation, body)
        if number % every:
            continue
        tables.save()
        restore(tmp_path)
        kept = json.loads((tmp_path / "dynamodb.json").read_text())
        assert kept["payload"] == as_ministack_would(dynamodb), operation


def test_a_save_writes_the_rows_that_were_written(dynamodb, tmp_path):
    from local_stack.tables import restore

    tables = restore(tmp_path)
    tables.follow()
    written(dynamodb, "CreateTable", CLIPS)
    try:
        for number in range(50):
            item = {**KEY, "sk": {"S": f"{number:02}"}}
            written(dynamodb, "PutItem", {"TableName": "clips", "Item": item})
        tables.save()
        before = tables._file.total_changes
        written(dynamodb, "PutItem", {"TableName": "clips", "Item": ITEM})
        tables.save()
        # The row, and what there is beside rows taken away and put back.
        assert tables._file.total_changes - before == 3
    finally:
        written(dynamodb, "DeleteTable", {"TableName": "clips"})


def test_what_an_earlier_run_had_and_this_one_has_not_is_gone(dynamodb, tmp_path):
    from local_stack.tables import Tables

    earlier = Tables(tmp_path)
    earlier.follow()
    written(dynamodb, "CreateTable", CLIPS)
    written(dynamodb, "PutItem", {"TableName": "clips", "Item": ITEM})
    earlier.save()
    written(dynamodb, "DeleteTable", {"TableName": "clips"})
    later = Tables(tmp_path)
    later.save()
    assert later.state()["payload"] == as_ministack_would(dynamodb)


def test_what_could_not_be_written_is_written_by_the_next_save(dynamodb, tmp_path, monkeypatch):
    from local_stack import tables as module

    tables = module.restore(tmp_path)
    tables.follow()
    written(dynamodb, "CreateTable", CLIPS)
    try:
        tables.save()
        written(dynamodb, "PutItem", {"TableName": "clips", "Item": ITEM})
        with monkeypatch.context() as broken:
            broken.setattr(module, "PUT", "no sql at all")
            with pytest.raises(sqlite3.OperationalError):
                tables.save()
        written(dynamodb, "PutItem", {"TableName": "clips", "Item": OTHER})
        tables.save()
        assert tables.state()["payload"] == as_ministack_would(dynamodb)
    finally:
        written(dynamodb, "DeleteTable", {"TableName": "clips"})
