"""The DynamoDB table: renders, and the manifest of finished clips. The only file that knows it.

| pk                  | sk                                 | what                               |
|---------------------|------------------------------------|------------------------------------|
| `RENDER#<renderId>` | `RENDER`                           | a render, whole                    |
| `FILM#<film>`       | `ENTRY#<clipId>::<mode>`           | the manifest entry: newest clip    |
| `FILM#<film>`       | `VERSION#<clipId>::<mode>#<order>` | every finished clip, kept for good |

A render's record is written by compare-and-swap on `version`: of two writers one is told to look
again. Index `renders` lists them by month of birth and order.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from videoconductor.clip import MAX_ID_BYTES, ManifestEntry, Render
from videoconductor.errors import ManifestUnavailable, RecordChanged, RenderExists, RenderNotFound

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "renders"
_WRITE_ROUNDS = 10
_LISTED_MONTHS = 12

Item = dict[str, Any]


class Manifest:
    """Records of renders, and entries of finished clips."""

    def __init__(self, table: str, dynamodb: DynamoDBClient) -> None:
        self._table = table
        self._dynamodb = dynamodb

    def create(self, render: Render) -> Render:
        """Put a new render on record. Raises RenderExists when its id is taken."""
        record = render.model_copy(update={"version": 1})
        try:
            self._write(record, "attribute_not_exists(pk)", {})
        except RecordChanged:
            raise RenderExists(render.render_id) from None
        return record

    def read(self, render_id: str) -> Render:
        """The render on record, as last written. Raises RenderNotFound."""
        if not 0 < len(render_id.encode()) <= MAX_ID_BYTES:
            raise RenderNotFound(render_id[:40])  # DynamoDB would refuse the key
        with _unavailable("GetItem"):
            item = self._dynamodb.get_item(
                TableName=self._table, Key=_render_key(render_id), ConsistentRead=True
            ).get("Item")
        if item is None:
            raise RenderNotFound(render_id)
        return _render(item)

    def save(self, render: Render) -> Render:
        """Replace the record from which `render` was made.

        Raises RecordChanged when somebody else wrote it since; nothing is written then.
        """
        record = render.model_copy(update={"version": render.version + 1, "caught": None})
        self._write(record, "version = :old", {":old": {"N": str(render.version)}})
        return record

    def update(self, render_id: str, change: Callable[[Render], Render]) -> Render:
        """Apply `change` to the record as it is at the moment of writing.

        `change` may be called several times; returning its argument unchanged writes nothing.
        """
        for _ in range(_WRITE_ROUNDS):
            record = self.read(render_id)
            changed = change(record)
            if changed == record:
                return record
            try:
                return self.save(changed)
            except RecordChanged:
                continue
        raise ManifestUnavailable(f"the record changed {_WRITE_ROUNDS} times while being written")

    def renders(self, latest: datetime, limit: int, before: str | None = None) -> list[Render]:
        """Up to `limit` renders, newest first, of the month of `latest` and the eleven before.

        With `before`, a render's order, those that were asked for before it, and its months.
        """
        if before is not None:
            latest = datetime.fromisoformat(before.partition("#")[0])
        found: list[Render] = []
        month = latest.astimezone(UTC)
        for _ in range(_LISTED_MONTHS):
            found += self._listed(month, limit - len(found), before)
            if len(found) >= limit:
                break
            month = month.replace(day=1) - timedelta(days=1)
        return found

    def _listed(self, month: datetime, limit: int, before: str | None) -> list[Render]:
        values: Item = {":month": {"S": _month(month)}}
        condition = "listed = :month"
        if before is not None:
            condition += " AND renderOrder < :before"
            values[":before"] = {"S": before}
        with _unavailable("Query"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=INDEX,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ScanIndexForward=False,
                PaginationConfig={"MaxItems": limit, "PageSize": limit},
            )
            return [_render(item) for page in pages for item in page["Items"]]

    def publish(self, entry: ManifestEntry, order: str) -> None:
        """Keep a finished clip as a version, and as the entry unless a newer request finished."""
        item: Item = {
            "pk": {"S": f"FILM#{entry.pipeline_request_id}"},
            "renderOrder": {"S": order},
            "document": {"S": entry.model_dump_json()},
        }
        with _unavailable("PutItem"):
            self._dynamodb.put_item(
                TableName=self._table,
                Item={**item, "sk": {"S": f"VERSION#{entry.id}#{order}"}},
            )
            try:
                self._dynamodb.put_item(
                    TableName=self._table,
                    Item={**item, "sk": {"S": f"ENTRY#{entry.id}"}},
                    ConditionExpression="attribute_not_exists(pk) OR renderOrder < :order",
                    ExpressionAttributeValues={":order": {"S": order}},
                )
            except ClientError as problem:
                if not _is_conditional(problem):
                    raise

    def entries(self, pipeline_request_id: str) -> list[ManifestEntry]:
        """The entries of a film, by clip id and mode."""
        return list(self._film(pipeline_request_id, "ENTRY#"))

    def versions(self, pipeline_request_id: str, entry_id: str) -> list[ManifestEntry]:
        """Every finished clip of an entry, oldest request first."""
        return list(self._film(pipeline_request_id, f"VERSION#{entry_id}#"))

    def _film(self, pipeline_request_id: str, prefix: str) -> Iterator[ManifestEntry]:
        with _unavailable("Query"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :film AND begins_with(sk, :prefix)",
                ExpressionAttributeValues={
                    ":film": {"S": f"FILM#{pipeline_request_id}"},
                    ":prefix": {"S": prefix},
                },
            )
            for page in pages:
                for item in page["Items"]:
                    yield ManifestEntry.model_validate_json(item["document"]["S"])

    def _write(self, record: Render, condition: str, values: Item) -> None:
        # A retried request finds its own first try in the way: the token tells whose it is.
        token = uuid.uuid4().hex
        item: Item = {
            **_render_key(record.render_id),
            "version": {"N": str(record.version)},
            "writtenBy": {"S": token},
            "status": {"S": record.status},
            "listed": {"S": _month(record.created_at)},
            "renderOrder": {"S": record.order},
            "document": {"S": record.model_dump_json(exclude={"version"}, exclude_defaults=True)},
        }
        request: Item = {"ExpressionAttributeValues": values} if values else {}
        with _unavailable("PutItem"):
            try:
                self._dynamodb.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression=condition,
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                    **request,
                )
            except ClientError as problem:
                if not _is_conditional(problem):
                    raise
                found: Item = problem.response.get("Item", {})  # type: ignore[assignment]
                if found.get("writtenBy", {}).get("S") != token:
                    raise RecordChanged(record.render_id) from None


def _render_key(render_id: str) -> Item:
    return {"pk": {"S": f"RENDER#{render_id}"}, "sk": {"S": "RENDER"}}


def _render(item: Any) -> Render:
    render = Render.model_validate_json(item["document"]["S"])
    return render.model_copy(update={"version": int(item["version"]["N"])})


def _month(moment: datetime) -> str:
    return f"RENDERS#{moment.astimezone(UTC):%Y-%m}"


def _is_conditional(problem: ClientError) -> bool:
    return problem.response.get("Error", {}).get("Code") == "ConditionalCheckFailedException"


@contextmanager
def _unavailable(call: str) -> Iterator[None]:
    try:
        yield
    except ClientError as problem:
        code = problem.response.get("Error", {}).get("Code", "")
        raise ManifestUnavailable(f"DynamoDB {call}: {code}") from problem
    except BotoCoreError as problem:
        raise ManifestUnavailable(f"DynamoDB {call}: {type(problem).__name__}") from problem
