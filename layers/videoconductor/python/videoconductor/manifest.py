"""The DynamoDB table: renders, and the manifest of finished clips. The only file that knows it.

| pk                  | sk                                 | what                               |
|---------------------|------------------------------------|------------------------------------|
| `RENDER#<renderId>` | `RENDER`                           | a render, whole                    |
| `FILM#<film>`       | `ENTRY#<clipId>::<mode>`           | the manifest entry: newest clip    |
| `FILM#<film>`       | `VERSION#<clipId>::<mode>#<order>` | every finished clip, kept for good |
| `FILM#<film>`       | `STILL#<clipId>::<fingerprint>`    | a still that was made for a clip   |
| `FILM#<film>`       | `MAKING#<clipId>::<fingerprint>`   | who has a still made at the moment |
| `FILM#<film>`       | `RUN#<order>`                      | a run of the film's script         |
| `RENDER#<renderId>` | `CALLBACK`                         | how telling its callbackUrl went   |
| `FILM#<film>`       | `CALLBACK#<runId>`                 | the same of a run                  |
| `RUN#<runId>`       | `CLAIM`                            | whose an Idempotency-Key's run is  |
| `BUDGET`            | `CAPS`                             | every cap, and the kill switch     |
| `SPEND#<scope>`     | a counter's name                   | what is held and what was spent    |
| `LEDGER#<day>`      | an entry's name, which sorts       | an entry of the ledger             |
| `TURNS#<model>`     | `LINE`                             | who may POST next; `turns` has it  |

A render's record is written by compare-and-swap on `version`: of two writers one is told to look
again. A write that changes what its POSTs hold or have spent is a transaction, with the counters
and the ledger's entries; the one that takes a permit has the caps among its conditions. Index
`renders` lists renders, and runs, by month of birth and order. In the index `open` are, by kind
and order, those of both alone that are not at rest or whose rest was not announced.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from aws_lambda_powertools import Logger
from botocore.exceptions import ClientError
from pydantic import ValidationError

from videoconductor import aws, budgets, ledger
from videoconductor.budgets import Caps, Making, Room, Terms
from videoconductor.clip import (
    MAX_ID_BYTES,
    Callback,
    FilmRun,
    ManifestEntry,
    Notice,
    Render,
    Still,
)
from videoconductor.errors import (
    FilmNotFound,
    ManifestUnavailable,
    RecordChanged,
    RenderExists,
    RenderNotFound,
    StillInTheMaking,
)
from videoconductor.ledger import Counter, Entry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from videoconductor.listing import Page, T, Wanted

INDEX = "renders"
OPEN_INDEX = "open"
_WRITE_ROUNDS = 10
_BATCH = 100  # keys in a BatchGetItem
# Writers that meet at one counter are turned away, all but one: so many tries, this far apart.
# Fewer for who has not sent anything yet: a function has only so much time.
_MEETINGS = 20
_MEETINGS_BEFORE_POST = 10
_LONGEST_PAUSE = 1.0
# What one page of a list may cost: queries, each of a megabyte at most, and rows looked at.
_MOST_READS = 16
_MOST_ROWS = 1000
_SIEVED_ROWS = 250
_BEGINNING = datetime(2020, 1, 1, tzinfo=UTC)  # no render is older

Item = dict[str, Any]
_log = Logger(service="videoconductor", child=True)


class Row(NamedTuple):
    """A render, a run or a manifest entry as it is on record; None where it cannot be read."""

    pk: str
    sk: str
    holds: Render | FilmRun | ManifestEntry | None


class Entered(NamedTuple):
    """Whether a clip is among its entry's versions, and the order of what is entered."""

    is_version: bool
    entry_order: str | None


class Manifest:
    """Records of renders, and entries of finished clips."""

    def __init__(
        self,
        table: str,
        dynamodb: DynamoDBClient,
        clock: Callable[[], datetime],
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._table = table
        self._dynamodb = dynamodb
        self._clock = clock
        self._pause = pause

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

    def save(self, before: Render, after: Render, terms: Terms | None = None) -> Render:
        """Replace the record `before`, with the ledger's entries for what that does to money.

        With `terms` only if they hold. Raises RecordChanged when somebody else wrote the record
        since, or the caps, StillInTheMaking, and BudgetExceeded; nothing is written then.
        """
        record = after.model_copy(
            update={"version": before.version + 1, "caught": None, "slot": None}
        )
        old = {":old": {"N": str(before.version)}}
        entries = ledger.entries(before, record, self._clock())
        if not entries and terms is None:
            self._write(record, "version = :old", old)
        else:
            self._write_booked(record, "version = :old", old, entries, terms)
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
                return self.save(record, changed)
            except RecordChanged:
                continue
        raise ManifestUnavailable(f"the record changed {_WRITE_ROUNDS} times while being written")

    def renders(self, latest: datetime, limit: int) -> list[Render]:
        """Up to `limit` renders, newest first, of the month of `latest` and the eleven before."""
        from videoconductor.listing import Wanted

        return list(self.page(Wanted(limit=limit), latest).found)

    def page(self, wanted: Wanted, latest: datetime) -> Page[Render]:
        """The next renders that are wanted, newest first, asked for up to `latest`.

        Looks at the month in which it begins and the eleven before, or back to
        `requested_after`. The index knows a render's time and nothing else of what may be wanted,
        so it is read and sieved, up to a bound: a page can hold less than its limit, and say
        where to go on all the same. What cannot be read is left out, and logged: the doctor has it.
        """
        return self._page(wanted, latest, "RENDERS", Render)

    def run_page(self, wanted: Wanted, latest: datetime) -> Page[FilmRun]:
        """The next runs of all films that are wanted, as `page` finds renders."""
        return self._page(wanted, latest, "FILMS", FilmRun)

    def _page(self, wanted: Wanted, latest: datetime, kind: str, noun: type[T]) -> Page[T]:
        # What makes no list has no need of it: the states of a render.
        from videoconductor.listing import Page, moment_of, position_of

        position, floor = wanted.ceiling, wanted.floor
        if position is not None:
            latest = min(latest, moment_of(position))
        month = _first_of(latest)
        last = max(_first_of(wanted.requested_after or _year_before(month)), _BEGINNING)
        found: list[T] = []
        looked_at = 0
        for _ in range(_MOST_READS):
            if month < last or (position and floor and position <= floor):
                return Page(tuple(found), None)
            rows = wanted.limit - len(found) if wanted.is_everything else _SIEVED_ROWS
            rows = min(rows, _MOST_ROWS - looked_at)
            listed, is_all = self._listed(_month(kind, month), rows, position)
            for row, order in ((_row(item), item["renderOrder"]["S"]) for item in listed):
                if floor is not None and order < floor:
                    return Page(tuple(found), None)
                position = order
                if isinstance(row.holds, noun):
                    found += [row.holds] if wanted.takes(row.holds) else []
                else:
                    _log.warning("left out of a list", extra={"unreadable": f"{row.pk} {row.sk}"})
                if len(found) == wanted.limit:
                    return Page(tuple(found), position)
            looked_at += len(listed)
            if is_all:
                position, month = position_of(month), _first_of(month - timedelta(days=1))
            if looked_at >= _MOST_ROWS:
                break
        return Page(tuple(found), None if month < last else position)

    def _listed(self, month: str, limit: int, before: str | None) -> tuple[list[Item], bool]:
        """What a month has below a position, newest first; whether these are all."""
        values: Item = {":month": {"S": month}}
        condition = "listed = :month"
        if before is not None:
            condition += " AND renderOrder < :before"
            values[":before"] = {"S": before}
        with _unavailable("Query"):
            answer = self._dynamodb.query(
                TableName=self._table,
                IndexName=INDEX,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ScanIndexForward=False,
                Limit=limit,
            )
        return list(answer["Items"]), "LastEvaluatedKey" not in answer

    def recent(self, since: datetime, limit: int) -> list[Render]:
        """Up to `limit` renders that were asked for since then, newest first. What cannot be read
        is left out.
        """
        from videoconductor.listing import position_of

        month, floor = _first_of(self._clock()), position_of(since)
        found: list[Item] = []
        below = None
        for _ in range(_MOST_READS):
            listed, is_all = self._listed(_month("RENDERS", month), limit - len(found), below)
            found += listed
            below = listed[-1]["renderOrder"]["S"] if listed else below
            if len(found) >= limit or (below is not None and below < floor):
                break
            if is_all:
                month, below = _first_of(month - timedelta(days=1)), None
                if month < _first_of(since):
                    break
        read = (_row(item).holds for item in found)
        return [one for one in read if isinstance(one, Render) and one.order >= floor]

    def open_renders(self, limit: int) -> list[str]:
        """Ids of up to `limit` renders that are open, oldest first."""
        return [item["pk"]["S"].removeprefix("RENDER#") for item in self._open("render", limit)]

    def open_runs(self, limit: int) -> list[tuple[str, str]]:
        """Film and order of up to `limit` runs that are open, oldest first."""
        return [
            (item["pk"]["S"].removeprefix("FILM#"), item["sk"]["S"].removeprefix("RUN#"))
            for item in self._open("run", limit)
        ]

    def _open(self, kind: str, limit: int) -> Iterator[Item]:
        with _unavailable("Query"):
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self._table,
                IndexName=OPEN_INDEX,
                KeyConditionExpression="#open = :kind",
                ExpressionAttributeNames={"#open": "open"},
                ExpressionAttributeValues={":kind": {"S": kind}},
                PaginationConfig={"MaxItems": limit},
            )
            for page in pages:
                yield from page["Items"]

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

    def leave_still(self, film: str, clip_id: str, fingerprint: str, render_id: str) -> None:
        """Let others have a still made that a render was about to have made, and did not get."""
        item: Item = {
            "pk": {"S": f"FILM#{film}"},
            "renderId": {"S": render_id},
            "untilTime": {"N": "0"},
        }
        self._put(
            item,
            f"MAKING#{clip_id}::{fingerprint}",
            "renderId = :me",
            {":me": {"S": render_id}},
        )

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

    def callback(self, owner: Render | FilmRun | Notice) -> Callback | None:
        """What became of telling the callbackUrl of a render or a run of its newest event."""
        item = self._get(_callback_key(owner))
        return None if item is None else Callback.model_validate_json(item["document"]["S"])

    def update_callback(
        self, owner: Notice, change: Callable[[Callback | None], Callback]
    ) -> Callback:
        """Apply `change` to what is on record of telling it, at the moment of writing."""
        key = _callback_key(owner)
        for _ in range(_WRITE_ROUNDS):
            latest = self.callback(owner)
            held = 0 if latest is None else latest.version
            changed = change(latest).model_copy(update={"version": held + 1})
            item: Item = {
                "pk": key["pk"],
                "version": {"N": str(changed.version)},
                "document": {"S": changed.model_dump_json(exclude_defaults=True)},
            }
            condition = "attribute_not_exists(pk)" if latest is None else "version = :old"
            values = None if latest is None else {":old": {"N": str(held)}}
            if self._put(item, key["sk"]["S"], condition, values):
                return changed
        raise ManifestUnavailable(f"a callback changed {_WRITE_ROUNDS} times while being written")

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
        for run in self._runs(film, newest_first=True, at_a_time=None if run_id else 1):
            if run_id in {None, run.run_id}:
                return run
        raise FilmNotFound(f"{film} has no run {run_id}" if run_id else f"{film} has no run")

    def run_at(self, film: str, order: str) -> FilmRun:
        """The run of a film that was asked for at `order`. Raises FilmNotFound."""
        item = self._get(_film_key(film, f"RUN#{order}"))
        if item is None:
            raise FilmNotFound(f"{film} has no such run")
        return _run(item)

    def runs(self, film: str) -> list[FilmRun]:
        """Every run of a film, oldest first."""
        return list(self._runs(film, newest_first=False))

    def _runs(
        self, film: str, *, newest_first: bool, at_a_time: int | None = None
    ) -> Iterator[FilmRun]:
        for item in self._query(film, "RUN#", newest_first=newest_first, at_a_time=at_a_time):
            yield _run(item)

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

    def rows(
        self, limit: int, after: tuple[str, str] | None = None
    ) -> tuple[list[Row], tuple[str, str] | None]:
        """The renders, runs and entries among the next `limit` items of the whole table, in no
        order that means anything; and after which item to go on, None at the end.
        """
        more: Item = {}
        if after is not None:
            more["ExclusiveStartKey"] = {"pk": {"S": after[0]}, "sk": {"S": after[1]}}
        with _unavailable("Scan"):
            answer = self._dynamodb.scan(
                TableName=self._table,
                ConsistentRead=True,
                Limit=limit,
                FilterExpression="sk = :render OR begins_with(sk, :run) OR begins_with(sk, :entry)",
                ExpressionAttributeValues={
                    ":render": {"S": "RENDER"},
                    ":run": {"S": "RUN#"},
                    ":entry": {"S": "ENTRY#"},
                },
                **more,
            )
        last = answer.get("LastEvaluatedKey")
        following = None if last is None else (last["pk"]["S"], last["sk"]["S"])
        return [_row(item) for item in answer["Items"]], following

    def entered(self, renders: Collection[Render]) -> dict[str, Entered]:
        """How finished renders stand in the manifest, by their ids."""
        places = {
            render.render_id: (
                f"FILM#{render.pipeline_request_id}",
                f"VERSION#{render.entry_id}#{render.clip_order}",
                f"ENTRY#{render.entry_id}",
            )
            for render in renders
        }
        wanted = {(pk, sk) for pk, *names in places.values() for sk in names}
        found = {
            (item["pk"]["S"], item["sk"]["S"]): item["renderOrder"]["S"]
            for item in self._batch(wanted, "pk, sk, renderOrder")
        }
        return {
            name: Entered((pk, version) in found, found.get((pk, entry)))
            for name, (pk, version, entry) in places.items()
        }

    def known(self, render_ids: Collection[str]) -> set[str]:
        """Those of these renders that are on record."""
        wanted = {(f"RENDER#{render_id}", "RENDER") for render_id in render_ids}
        found = self._batch(wanted, "pk")
        return {item["pk"]["S"].removeprefix("RENDER#") for item in found}

    def _batch(self, wanted: Collection[tuple[str, str]], attributes: str) -> Iterator[Item]:
        """These attributes of the items under these keys, of those that are there."""
        names = sorted(wanted)
        for start in range(0, len(names), _BATCH):
            keys: list[Item] = [
                {"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in names[start : start + _BATCH]
            ]
            for _ in range(_WRITE_ROUNDS):
                with _unavailable("BatchGetItem"):
                    answer = self._dynamodb.batch_get_item(
                        RequestItems={
                            self._table: {
                                "Keys": keys,
                                "ConsistentRead": True,
                                "ProjectionExpression": attributes,
                            }
                        }
                    )
                yield from answer["Responses"].get(self._table, ())
                left = answer["UnprocessedKeys"].get(self._table)
                if left is None:
                    break
                keys = list(left["Keys"])
            else:
                raise ManifestUnavailable("DynamoDB BatchGetItem: keys left over")

    def entries(self, pipeline_request_id: str) -> list[ManifestEntry]:
        """The entries of a film, by clip id and mode."""
        return list(self._film(pipeline_request_id, "ENTRY#"))

    def versions(self, pipeline_request_id: str, entry_id: str) -> list[ManifestEntry]:
        """Every finished clip of an entry, oldest request first."""
        return list(self._film(pipeline_request_id, f"VERSION#{entry_id}#"))

    def _film(self, pipeline_request_id: str, prefix: str) -> Iterator[ManifestEntry]:
        for item in self._query(pipeline_request_id, prefix):
            yield ManifestEntry.model_validate_json(item["document"]["S"])

    def _query(
        self, film: str, prefix: str, *, newest_first: bool = False, at_a_time: int | None = None
    ) -> Iterator[Item]:
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
                PaginationConfig={"PageSize": at_a_time} if at_a_time else {},
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
                self._put_item(
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
        request: Item = {"ExpressionAttributeValues": values} if values else {}
        with _unavailable("PutItem"):
            try:
                self._put_item(
                    Item=_record_item(record, token),
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

    def _write_booked(
        self,
        record: Render,
        condition: str,
        values: Item,
        entries: Sequence[Entry],
        terms: Terms | None,
    ) -> None:
        """Write a record, the counters it moves and their entries: all, or nothing."""
        put = {
            "Item": _record_item(record, uuid.uuid4().hex),
            "ConditionExpression": condition,
            "ExpressionAttributeValues": values,
        }
        room: Room = {} if terms is None else terms.room
        changes = ledger.changes(entries)
        moved = [_moved(counter, change, room) for counter, change in changes.items()]
        writes: list[Item] = [{"Put": put}, *({"Update": update} for update in moved)]
        writes += [{"Put": _entered(entry)} for entry in entries]
        booked = len(writes)
        if terms is not None:
            writes.append({"ConditionCheck": _unchanged(terms.caps)})
            writes += _claimed(terms.making, record.render_id, self._clock())
        for write in writes:
            for action in write.values():
                action["TableName"] = self._table
        # A token of its own makes a request that the client repeats count once.
        token = uuid.uuid4().hex
        for meeting in range(_MEETINGS if terms is None else _MEETINGS_BEFORE_POST):
            reasons = self._transacted(writes, token)
            if reasons is None:
                return
            failed = [reason.get("Code") == "ConditionalCheckFailed" for reason in reasons]
            if failed[0] or any(failed[1 + len(changes) : booked + 1]):
                raise RecordChanged(record.render_id if failed[0] else "the caps")
            if any(failed[booked + 1 :]):
                raise StillInTheMaking(record.render_id)
            for counter, reason, is_short in zip(changes, reasons[1:], failed[1:], strict=False):
                if is_short:
                    raise _no_room(counter, reason.get("Item", {}), changes[counter], room)
            self._wait_for_others(meeting)
        raise ManifestUnavailable("DynamoDB TransactWriteItems: too many writers at a time")

    def _wait_for_others(self, meeting: int) -> None:
        """Some other writer was at one of the items at that moment."""
        self._pause(random.uniform(0, min(0.05 * 2**meeting, _LONGEST_PAUSE)))  # noqa: S311

    def _put_item(self, **request: Any) -> None:
        """PutItem, again while a transaction is at the item: botocore does not repeat that."""
        for meeting in range(_MEETINGS):
            try:
                self._dynamodb.put_item(TableName=self._table, **request)
            except ClientError as problem:
                if problem.response.get("Error", {}).get("Code") != _CONFLICT:
                    raise
                self._wait_for_others(meeting)
            else:
                return
        raise ManifestUnavailable("DynamoDB PutItem: too many writers at a time")

    def _transacted(self, writes: list[Item], token: str) -> list[Item] | None:
        """Why a transaction was cancelled, for each of its writes; None when it was not."""
        with _unavailable("TransactWriteItems"):
            try:
                self._dynamodb.transact_write_items(
                    TransactItems=writes,  # type: ignore[arg-type]
                    ClientRequestToken=token,
                )
            except ClientError as problem:
                reasons: Any = problem.response.get("CancellationReasons")
                code = problem.response.get("Error", {}).get("Code")
                if code != "TransactionCanceledException" or not reasons:
                    raise
                if not {reason.get("Code") for reason in reasons} <= _TELLING:
                    raise
                return list(reasons)
        return None

    # -- money -------------------------------------------------------------------------------------

    def caps(self) -> Caps:
        """The caps in force."""
        item = self._get(_CAPS_KEY)
        return Caps() if item is None else Caps.model_validate_json(item["document"]["S"])

    def change_caps(self, change: budgets.Change, by: str) -> Caps:
        """Apply `change` to the caps at the moment of writing, in the name of `by`."""
        for _ in range(_WRITE_ROUNDS):
            latest = self.caps()
            changed = change(latest)
            if changed == latest:
                return latest
            changed = changed.model_copy(
                update={
                    "version": latest.version + 1,
                    "changed_at": self._clock(),
                    "changed_by": by,
                }
            )
            item: Item = {
                "pk": _CAPS_KEY["pk"],
                "version": {"N": str(changed.version)},
                "document": {"S": changed.model_dump_json(exclude_none=False)},
            }
            condition = "attribute_not_exists(pk)" if latest.version == 0 else "version = :old"
            values = None if latest.version == 0 else {":old": {"N": str(latest.version)}}
            if self._put(item, "CAPS", condition, values):
                return changed
        raise ManifestUnavailable(f"the caps changed {_WRITE_ROUNDS} times while being written")


_CAPS_KEY: Item = {"pk": {"S": "BUDGET"}, "sk": {"S": "CAPS"}}
_CONFLICT = "TransactionConflictException"
# Reasons for which a transaction is tried again, or that say which condition did not hold.
_BUSY = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})
_TELLING = frozenset({"None", None, "ConditionalCheckFailed", *_BUSY})


def _record_item(record: Render, token: str) -> Item:
    return {
        **_render_key(record.render_id),
        "version": {"N": str(record.version)},
        "writtenBy": {"S": token},
        "status": {"S": record.status},
        "listed": {"S": _month("RENDERS", record.created_at)},
        "renderOrder": {"S": record.order},
        "document": {"S": record.model_dump_json(exclude={"version"}, exclude_defaults=True)},
        **({"open": {"S": "render"}} if record.is_open else {}),
    }


def _counter_key(counter: Counter) -> Item:
    return {"pk": {"S": f"SPEND#{counter.scope}"}, "sk": {"S": counter.name}}


def _entered(entry: Entry) -> Item:
    """The put of an entry, which never takes the place of another."""
    item = {
        "pk": {"S": f"LEDGER#{entry.day}"},
        "sk": {"S": entry.name},
        "document": {"S": entry.model_dump_json(exclude_defaults=True)},
    }
    return {"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}


def _moved(counter: Counter, change: ledger.Change, room: Room) -> Item:
    """The update of a counter, which must have the room for it if any is demanded."""
    total = change.held + change.settled
    values = {":h": change.held, ":s": change.settled, ":t": total, ":n": change.entries}
    bound: Item = {}
    if counter in room:
        values[":room"] = room[counter]
        bound = {
            "ConditionExpression": "attribute_not_exists(pk) OR totalTicks <= :room",
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
    return {
        "Key": _counter_key(counter),
        "UpdateExpression": "ADD heldTicks :h, settledTicks :s, totalTicks :t, entryCount :n",
        "ExpressionAttributeValues": {name: {"N": str(value)} for name, value in values.items()},
        **bound,
    }


def _unchanged(caps: Caps) -> Item:
    """The condition that these caps are in force still."""
    if caps.version == 0:
        return {"Key": _CAPS_KEY, "ConditionExpression": "attribute_not_exists(pk)"}
    return {
        "Key": _CAPS_KEY,
        "ConditionExpression": "version = :version",
        "ExpressionAttributeValues": {":version": {"N": str(caps.version)}},
    }


def _claimed(making: Making | None, render_id: str, now: datetime) -> list[Item]:
    """The conditions under which a render may have a still made, and that others wait for it."""
    if making is None:
        return []
    name = f"{making.clip_id}::{making.fingerprint}"
    claim = {
        **_film_key(making.film, f"MAKING#{name}"),
        "renderId": {"S": render_id},
        "untilTime": {"N": str(making.until.timestamp())},
    }
    mine = "attribute_not_exists(pk) OR renderId = :me OR untilTime < :now"
    values = {":me": {"S": render_id}, ":now": {"N": str(now.timestamp())}}
    return [
        {
            "Put": {
                "Item": claim,
                "ConditionExpression": mine,
                "ExpressionAttributeValues": values,
            }
        },
        {
            "ConditionCheck": {
                "Key": _film_key(making.film, f"STILL#{name}"),
                "ConditionExpression": "attribute_not_exists(pk)",
            }
        },
    ]


def _no_room(counter: Counter, item: Item, change: ledger.Change, room: Room) -> Exception:
    held, settled = (int(item.get(name, {}).get("N", 0)) for name in ("heldTicks", "settledTicks"))
    amount = change.held
    cap = budgets.usd(room[counter] + amount)
    return budgets.exceeded(counter.scope, counter.name, cap, held, settled, amount)


def _render_key(render_id: str) -> Item:
    return {"pk": {"S": f"RENDER#{render_id}"}, "sk": {"S": "RENDER"}}


def _callback_key(owner: Render | FilmRun | Notice) -> Item:
    if isinstance(owner, Render) or (isinstance(owner, Notice) and owner.render_id is not None):
        return {"pk": {"S": f"RENDER#{owner.render_id}"}, "sk": {"S": "CALLBACK"}}
    return _film_key(owner.film or "", f"CALLBACK#{owner.run_id}")


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
        "listed": {"S": _month("FILMS", run.requested_at)},
        "renderOrder": {"S": run.order},
        "document": {"S": run.model_dump_json(exclude_defaults=True)},
        **({"open": {"S": "run"}} if run.is_open else {}),
    }


def _render(item: Any) -> Render:
    render = Render.model_validate_json(item["document"]["S"])
    return render.model_copy(update={"version": int(item["version"]["N"])})


def _first_of(moment: datetime) -> datetime:
    moment = moment.astimezone(UTC)
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _year_before(month: datetime) -> datetime:
    """The eleventh month before one, or the beginning of all."""
    if month < _BEGINNING:
        return _BEGINNING
    years, months = divmod(month.year * 12 + month.month - 1 - 11, 12)
    return month.replace(year=years, month=months + 1)


def _run(item: Any) -> FilmRun:
    return FilmRun.model_validate_json(item["document"]["S"])


def _row(item: Any) -> Row:
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    read: Callable[[Item], Render | FilmRun | ManifestEntry] = _entry
    if sk == "RENDER":
        read = _render
    elif sk.startswith("RUN#"):
        read = _run
    try:
        return Row(pk, sk, read(item))
    except (KeyError, ValidationError):
        return Row(pk, sk, None)


def _entry(item: Item) -> ManifestEntry:
    return ManifestEntry.model_validate_json(item["document"]["S"])


def _month(kind: str, moment: datetime) -> str:
    return f"{kind}#{moment.astimezone(UTC):%Y-%m}"


def _is_conditional(problem: ClientError) -> bool:
    return aws.code(problem) == "ConditionalCheckFailedException"


def _unavailable(call: str) -> AbstractContextManager[None]:
    return aws.raising(ManifestUnavailable, f"DynamoDB {call}")
