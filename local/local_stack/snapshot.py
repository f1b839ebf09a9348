"""Writes ministack's tables to disk as fast as can be: it happens before every answer to a write.

ministack's own saving copies everything and encodes it piece by piece, ten times as slow. What is
written is the same, and is read by ministack itself. A row that has not been replaced since the
last time is not encoded again: ministack puts a new one in its place and never changes one.
"""

import json
import os
from collections.abc import Iterable
from operator import is_
from pathlib import Path
from typing import Any, NamedTuple

from ministack.core import persistence  # type: ignore[import-untyped]
from ministack.core.responses import AccountRegionScopedDict  # type: ignore[import-untyped]
from ministack.services import dynamodb  # type: ignore[import-untyped]

# dynamodb.get_state()'s keys, and where it has them from.
KEPT = {
    "tags": "_tags",
    "ttl_settings": "_ttl_settings",
    "pitr_settings": "_pitr_settings",
    "kinesis_destinations": "_kinesis_destinations",
    "contributor_insights": "_contributor_insights",
    "backups": "_backups",
    "resource_policies": "_resource_policies",
    "exports": "_exports",
    "imports": "_imports",
}


PLACE = "\x00rows of table {}\x00"  # in the encoded state, where a table's rows belong


class Partition(NamedTuple):
    """A partition as it was when it was encoded last."""

    rows: dict[str, Any]
    held: list[Any]
    texts: list[str]
    member: str  # of its table's object

    def is_of(self, rows: dict[str, Any], held: list[Any]) -> bool:
        """Whether it is these rows, and no other ones. They are held, so no id is of two."""
        is_as_long = self.rows is rows and len(self.held) == len(held)
        return is_as_long and all(map(is_, self.held, held))


class Rows:
    """Rows as JSON; a partition in which none was replaced is not put together again."""

    def __init__(self) -> None:
        self._known: dict[int, Partition] = {}
        self._seen: dict[int, Partition] = {}

    def encoded(self, tables: list[dict[str, Any]]) -> list[str]:
        """The `items` of each table; what no table holds any more is forgotten."""
        self._seen = {}
        texts = [self._table(items) for items in tables]
        self._known = self._seen
        return texts

    def _table(self, items: dict[str, Any]) -> str:
        return _object(self._partition(pk, rows) for pk, rows in items.items())

    def _partition(self, pk: str, rows: dict[str, Any]) -> str:
        found, held = self._known.get(id(rows)), list(rows.values())
        if found is None or not found.is_of(rows, held):
            pairs = zip(found.held, found.texts, strict=True) if found is not None else ()
            known = {id(row): text for row, text in pairs}
            texts = [known.get(id(row)) or _encoded(row) for row in held]
            member = _member(pk, _object(map(_member, rows, texts)))
            found = Partition(rows, held, texts, member)
        self._seen[id(rows)] = found
        return found.member


def save_tables(rows: Rows) -> None:
    """Replace the state file of DynamoDB. Not to be interrupted by a write: call it on the loop."""
    text = encoded(rows)
    path = Path(persistence.STATE_DIR) / "dynamodb.json"
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def encoded(rows: Rows) -> str:
    """What persistence.save_state writes of dynamodb.get_state()."""
    tables = AccountRegionScopedDict()
    items: list[dict[str, Any]] = []
    for (account, region, name), table in dynamodb._tables.all_items():
        kept = {key: part for key, part in table.items() if key != dynamodb._INDEX_MEMBERS}
        if "items" in kept:
            kept["items"] = PLACE.format(len(items))
            items.append(table["items"])
        tables.set_scoped(account, region, name, kept)
    state = {"tables": tables} | {key: getattr(dynamodb, name) for key, name in KEPT.items()}
    version = persistence._state_format_version("dynamodb")
    rest = json.dumps(
        {"__ministack_format__": version, "payload": state}, default=persistence._json_default
    )
    pieces = []
    for number, table_text in enumerate(rows.encoded(items)):
        before, rest = rest.split(json.dumps(PLACE.format(number)))
        pieces += [before, table_text]
    return "".join([*pieces, rest])


def _encoded(row: Any) -> str:
    return json.dumps(row, default=persistence._json_default)


def _member(key: str, text: str) -> str:
    return f"{json.dumps(key)}: {text}"


def _object(members: Iterable[str]) -> str:
    return "{" + ", ".join(members) + "}"
