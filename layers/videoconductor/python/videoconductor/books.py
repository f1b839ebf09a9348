"""What the table says of money: the counters that caps are held against, and the ledger.

Both are written by `manifest`, in the same transactions as the renders whose POSTs they are about;
here they are only read. Their keys are in the table of `manifest`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, NamedTuple

from videoconductor import aws
from videoconductor.errors import ManifestUnavailable
from videoconductor.ledger import Counter, Entry, Scope

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_BATCH = 100  # keys in a BatchGetItem
_ROUNDS = 10
_FIRST, _LAST = " ", "\U0010ffff"  # before and after every name there is


class Tally(NamedTuple):
    """How a counter stands: ticks held and settled, and how many entries made it so.

    `total` is what caps are held against: of both together.
    """

    held: int = 0
    settled: int = 0
    entries: int = 0
    total: int = 0


class Books:
    """The counters and the ledger, to read."""

    def __init__(self, table: str, dynamodb: DynamoDBClient) -> None:
        self._table = table
        self._dynamodb = dynamodb

    def standing(self, wanted: Collection[Counter]) -> dict[Counter, Tally]:
        """How these counters stand now; one that nothing was ever booked on stands at nothing."""
        found = dict.fromkeys(wanted, Tally())
        names = list(found)
        for start in range(0, len(names), _BATCH):
            keys = [_key(counter) for counter in names[start : start + _BATCH]]
            for item in self._batch(keys):
                counter = Counter(item["pk"]["S"].removeprefix("SPEND#"), item["sk"]["S"])
                found[counter] = _tally(item)
        return found

    def tallies(
        self, scope: Scope, first: str = "", last: str = "\U0010ffff"
    ) -> Iterator[tuple[str, Tally]]:
        """Name and standing of each counter of a scope, from `first` to `last` by name."""
        for item in self._query(f"SPEND#{scope}", first or _FIRST, last):
            yield item["sk"]["S"], _tally(item)

    def entries(self, day: str) -> Iterator[Entry]:
        """The entries of POSTs that were permitted on a day, in the order of their writing."""
        for item in self._query(f"LEDGER#{day}", _FIRST, _LAST):
            yield Entry.model_validate_json(item["document"]["S"])

    def _query(self, partition: str, first: str, last: str) -> Iterator[dict[str, Any]]:
        with _unavailable("Query"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
                ExpressionAttributeValues={
                    ":pk": {"S": partition},
                    ":first": {"S": first},
                    ":last": {"S": last},
                },
            )
            for page in pages:
                yield from page["Items"]

    def _batch(self, keys: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for _ in range(_ROUNDS):
            with _unavailable("BatchGetItem"):
                answer = self._dynamodb.batch_get_item(
                    RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}}
                )
            yield from answer["Responses"].get(self._table, ())
            left = answer["UnprocessedKeys"].get(self._table)
            if left is None:
                return
            keys = list(left["Keys"])
        raise ManifestUnavailable("DynamoDB BatchGetItem: keys left over")


def _key(counter: Counter) -> dict[str, Any]:
    return {"pk": {"S": f"SPEND#{counter.scope}"}, "sk": {"S": counter.name}}


def _tally(item: Any) -> Tally:
    names = ("heldTicks", "settledTicks", "entryCount", "totalTicks")
    return Tally(*(int(item.get(name, {}).get("N", 0)) for name in names))


def _unavailable(call: str) -> AbstractContextManager[None]:
    return aws.raising(ManifestUnavailable, f"DynamoDB {call}")
