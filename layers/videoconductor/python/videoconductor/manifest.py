"""The DynamoDB table: renders, and the manifest of finished clips. The only file that knows it.

| pk                  | sk                                 | what                               |
|---------------------|------------------------------------|------------------------------------|
| `RENDER#<renderId>` | `RENDER`                           | a render, whole                    |
| `FILM#<film>`       | `ENTRY#<clipId>::<mode>`           | the manifest entry: newest clip    |
| `FILM#<film>`       | `VERSION#<clipId>::<mode>#<order>` | every finished clip, kept for good |
| `FILM#<film>`       | `STILL#<clipId>::<fingerprint>`    | a still that was made for a clip   |
| `FILM#<film>`       | `RUN#<order>`                      | a run of the film's script         |
| `RUN#<runId>`       | `CLAIM`                            | whose an Idempotency-Key's run is  |

A render's record is written by compare-and-swap on `version`: of two writers one is told to look
again. Index `renders` lists them by month of birth and order.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from videoconductor.clip import MAX_ID_BYTES, FilmRun, ManifestEntry, Render, Still
from videoconductor.errors import (
    FilmNotFound,
    ManifestUnavailable,
    RecordChanged,
    RenderExists,
    RenderNotFound,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

INDEX = "renders"
_WRITE_ROUNDS = 10
_BATCH = 100  # keys in a BatchGetItem
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
        item = _entry_item(entry, order)
        values = {":order": {"S": order}}
        self._put(item, f"VERSION#{entry.id}#{order}", "attribute_not_exists(pk)")
        is_newer = "attribute_not_exists(pk) OR renderOrder < :order"
        self._put(item, f"ENTRY#{entry.id}", is_newer, values)

    def entry(self, pipeline_request_id: str, entry_id: str) -> ManifestEntry | None:
        """The entry of a film under `id::qualityMode`."""
        item = self._get(_film_key(pipeline_request_id, f"ENTRY#{entry_id}"))
        return None if item is None else ManifestEntry.model_validate_json(item["document"]["S"])

    def restore(self, entry: ManifestEntry, order: str) -> None:
        """Make a finished clip the entry again, as if it had been asked for at `order`."""
        values = {":order": {"S": order}}
        is_newer = "attribute_not_exists(pk) OR renderOrder < :order"
        self._put(_entry_item(entry, order), f"ENTRY#{entry.id}", is_newer, values)

    def take_in(self, entry: ManifestEntry) -> bool:
        """Enter a clip from an existing manifest, unless there is an entry; whether it was."""
        item = _entry_item(entry, entry.requested_at.isoformat(timespec="microseconds"))
        return self._put(item, f"ENTRY#{entry.id}", "attribute_not_exists(pk)")

    def illustrate(
        self, render: Render, *, poster_url: str, thumbnail_url: str | None, fingerprint: str | None
    ) -> None:
        """Enter where a clip's pictures are, wherever that very clip is entered.

        `fingerprint` is the thumbnail's, of what it was to look like.
        """
        names = (f"VERSION#{render.entry_id}#{render.clip_order}", f"ENTRY#{render.entry_id}")
        for name in names:
            item = self._get(_film_key(render.pipeline_request_id, name))
            if item is None or render.clip is None:
                continue
            entry = ManifestEntry.model_validate_json(item["document"]["S"])
            if (entry.render_id, entry.sha256) != (render.render_id, render.clip.sha256):
                continue  # another clip took its place
            pictured = {
                "poster_url": poster_url,
                "thumbnail_url": thumbnail_url,
                "thumbnail_fingerprint": fingerprint,
            }
            order = item["renderOrder"]["S"]
            self._put(
                _entry_item(entry.model_copy(update=pictured), order),
                name,
                "renderOrder = :order",
                {":order": {"S": order}},
            )

    def still(self, film: str, clip_id: str, fingerprint: str) -> Still | None:
        """The still of this shape that was made for a clip of a film before."""
        item = self._get(_film_key(film, f"STILL#{clip_id}::{fingerprint}"))
        return None if item is None else Still.model_validate_json(item["document"]["S"])

    def stills(self, film: str) -> set[tuple[str, str]]:
        """Clip id and fingerprint of every still that a film has."""
        names = (item["sk"]["S"].removeprefix("STILL#") for item in self._query(film, "STILL#"))
        return {(clip_id, shape) for clip_id, _, shape in (n.rpartition("::") for n in names)}

    def keep_still(self, film: str, clip_id: str, still: Still) -> None:
        """Have a still found by later renders of its clip; the first one of a shape stays."""
        item: Item = {
            "pk": {"S": f"FILM#{film}"},
            "document": {"S": still.model_dump_json(exclude_defaults=True)},
        }
        self._put(item, f"STILL#{clip_id}::{still.fingerprint}", "attribute_not_exists(pk)")

    def claim(self, run_id: str, digest: str, moment: datetime) -> tuple[str, datetime]:
        """Take a run's id for one request; digest and moment of whoever had it first."""
        key: Item = {"pk": {"S": f"RUN#{run_id}"}, "sk": {"S": "CLAIM"}}
        item: Item = {**key, "digest": {"S": digest}, "at": {"S": moment.isoformat()}}
        if self._put(item, "CLAIM", "attribute_not_exists(pk)"):
            return digest, moment
        held = self._get(key)
        if held is None:
            raise ManifestUnavailable("the claim to a run is there, and cannot be read")
        return held["digest"]["S"], datetime.fromisoformat(held["at"]["S"])

    def create_run(self, run: FilmRun) -> bool:
        """Put a new run of a film on record; False when it is there already."""
        item = _run_item(run.model_copy(update={"version": 1}))
        return self._put(item, f"RUN#{run.order}", "attribute_not_exists(pk)")

    def update_run(self, run: FilmRun, change: Callable[[FilmRun], FilmRun]) -> FilmRun:
        """Apply `change` to the run's record as it is at the moment of writing."""
        for _ in range(_WRITE_ROUNDS):
            latest = self.run(run.film, run.run_id)
            changed = change(latest)
            if changed == latest:
                return latest
            changed = changed.model_copy(update={"version": latest.version + 1})
            values = {":old": {"N": str(latest.version)}}
            if self._put(_run_item(changed), f"RUN#{run.order}", "version = :old", values):
                return changed
        raise ManifestUnavailable(f"the run changed {_WRITE_ROUNDS} times while being written")

    def run(self, film: str, run_id: str | None = None) -> FilmRun:
        """A run of a film, the newest if none is named. Raises FilmNotFound."""
        for run in self._runs(film, newest_first=True):
            if run_id in {None, run.run_id}:
                return run
        raise FilmNotFound(f"{film} has no run {run_id}" if run_id else f"{film} has no run")

    def runs(self, film: str) -> list[FilmRun]:
        """Every run of a film, oldest first."""
        return list(self._runs(film, newest_first=False))

    def _runs(self, film: str, *, newest_first: bool) -> Iterator[FilmRun]:
        for item in self._query(film, "RUN#", newest_first=newest_first):
            yield FilmRun.model_validate_json(item["document"]["S"])

    def read_many(self, render_ids: Collection[str]) -> dict[str, Render]:
        """The renders of these ids that are on record, by id."""
        found: dict[str, Render] = {}
        names = list(dict.fromkeys(render_ids))
        for start in range(0, len(names), _BATCH):
            keys = [_render_key(name) for name in names[start : start + _BATCH]]
            for _ in range(_WRITE_ROUNDS):
                with _unavailable("BatchGetItem"):
                    answer = self._dynamodb.batch_get_item(
                        RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}}
                    )
                for item in answer["Responses"].get(self._table, ()):
                    render = _render(item)
                    found[render.render_id] = render
                left = answer["UnprocessedKeys"].get(self._table)
                if left is None:
                    break
                keys = list(left["Keys"])
            else:
                raise ManifestUnavailable("DynamoDB BatchGetItem: keys left over")
        return found

    def entries(self, pipeline_request_id: str) -> list[ManifestEntry]:
        """The entries of a film, by clip id and mode."""
        return list(self._film(pipeline_request_id, "ENTRY#"))

    def versions(self, pipeline_request_id: str, entry_id: str) -> list[ManifestEntry]:
        """Every finished clip of an entry, oldest request first."""
        return list(self._film(pipeline_request_id, f"VERSION#{entry_id}#"))

    def _film(self, pipeline_request_id: str, prefix: str) -> Iterator[ManifestEntry]:
        for item in self._query(pipeline_request_id, prefix):
            yield ManifestEntry.model_validate_json(item["document"]["S"])

    def _query(self, film: str, prefix: str, *, newest_first: bool = False) -> Iterator[Item]:
        with _unavailable("Query"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                ConsistentRead=True,
                KeyConditionExpression="pk = :film AND begins_with(sk, :prefix)",
                ExpressionAttributeValues={
                    ":film": {"S": f"FILM#{film}"},
                    ":prefix": {"S": prefix},
                },
                ScanIndexForward=not newest_first,
            )
            for page in pages:
                yield from page["Items"]

    def _get(self, key: Item) -> Item | None:
        with _unavailable("GetItem"):
            answer = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return answer.get("Item")

    def _put(self, item: Item, name: str, condition: str, values: Item | None = None) -> bool:
        """Write an item under sort key `name` if `condition` holds; whether it did."""
        more: Item = {"ExpressionAttributeValues": values} if values else {}
        with _unavailable("PutItem"):
            try:
                self._dynamodb.put_item(
                    TableName=self._table,
                    Item={**item, "sk": {"S": name}},
                    ConditionExpression=condition,
                    **more,
                )
            except ClientError as problem:
                if not _is_conditional(problem):
                    raise
                return False
        return True

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


def _film_key(film: str, name: str) -> Item:
    return {"pk": {"S": f"FILM#{film}"}, "sk": {"S": name}}


def _entry_item(entry: ManifestEntry, order: str) -> Item:
    return {
        "pk": {"S": f"FILM#{entry.pipeline_request_id}"},
        "renderOrder": {"S": order},
        "document": {"S": entry.model_dump_json(exclude_defaults=True)},
    }


def _run_item(run: FilmRun) -> Item:
    return {
        "pk": {"S": f"FILM#{run.film}"},
        "version": {"N": str(run.version)},
        "document": {"S": run.model_dump_json(exclude_defaults=True)},
    }


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
