"""Keeps ministack's tables on disk, row by row: it happens before every answer to a write.

ministack itself writes all of its tables, and at a clean stop only. Here the rows that were
written since the last save go into a SQLite file, in one transaction, so that a save costs what
was written and not what there is. Before ministack loads, `restore` makes the file that it reads.
"""

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ministack.core import persistence  # type: ignore[import-untyped]
from ministack.core.responses import AccountRegionScopedDict  # type: ignore[import-untyped]
from ministack.services import dynamodb  # type: ignore[import-untyped]

from local_stack.folder import TABLES

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
# Through these ministack changes single rows, through nothing else.
CHANGES = ("_set_item", "_remove_item")
# Of a table: its rows, and what ministack makes of them by itself.
UNKEPT = frozenset({"items", dynamodb._INDEX_MEMBERS})

# `place` is the order in which the rows came. Keys are JSON: a row that is to be taken away and is
# not there may have one that is no proper text.
SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS rest (text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rows (
    place INTEGER PRIMARY KEY,
    name TEXT NOT NULL, pk TEXT NOT NULL, sk TEXT NOT NULL, row TEXT NOT NULL,
    UNIQUE (name, pk, sk)
);
"""
PUT = """
INSERT INTO rows (name, pk, sk, row) VALUES (?, ?, ?, ?)
ON CONFLICT (name, pk, sk) DO UPDATE SET row = excluded.row
"""


class Tables:
    """The file of a stack's tables, which follows ministack's from `follow` on.

    Not to be interrupted by a write: call it on the loop where ministack changes its tables.
    """

    def __init__(self, folder: Path) -> None:
        self._file = sqlite3.connect(folder / TABLES, isolation_level=None)
        self._file.executescript(SCHEMA)
        self._changed: list[tuple[dict[str, Any], str, str]] = []
        self._kept: dict[str, Any] = {}  # the rows of each table, as the object that holds them

    def follow(self) -> None:
        """Take note of each change from now on."""
        for name in CHANGES:
            setattr(dynamodb, name, self._noting(getattr(dynamodb, name)))

    def _noting(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def noting(table: dict[str, Any], pk: str, sk: str, *rest: Any) -> Any:
            replaced = change(table, pk, sk, *rest)
            # Afterwards: a thread of ministack's takes away what is past its time, at any moment.
            self._changed.append((table, pk, sk))
            return replaced

        return noting

    def save(self) -> None:
        """Bring the file up to date. What cannot be written now is written by the next save."""
        changed = len(self._changed)
        scoped = dict(dynamodb._tables.all_items())
        found = {_name(*scope): table for scope, table in scoped.items()}
        with self._file:
            self._file.execute("BEGIN")
            if not self._kept:  # whatever an earlier run had and this one has not
                self._file.execute("DELETE FROM rows")
            for name in self._kept.keys() - found.keys():
                self._replace(name, {})
            for name, table in found.items():
                if self._kept.get(name) is not table["items"]:
                    self._replace(name, table["items"])
            names = {id(table): name for name, table in found.items()}
            rows = {
                (names[id(table)], pk, sk): table["items"].get(pk, {}).get(sk)
                for table, pk, sk in self._changed[:changed]
                if id(table) in names
            }
            for (name, pk, sk), row in rows.items():
                key = (name, _encoded(pk), _encoded(sk))
                if row is None:
                    self._file.execute("DELETE FROM rows WHERE (name, pk, sk) = (?, ?, ?)", key)
                else:
                    self._file.execute(PUT, (*key, _encoded(row)))
            self._file.execute("DELETE FROM rest")
            self._file.execute("INSERT INTO rest VALUES (?)", (_rest(scoped),))
        del self._changed[:changed]
        self._kept = {name: table["items"] for name, table in found.items()}

    def _replace(self, name: str, items: dict[str, dict[str, Any]]) -> None:
        self._file.execute("DELETE FROM rows WHERE name = ?", (name,))
        # Copies: a thread of ministack's may take rows away meanwhile.
        rows = ((pk, sk, row) for pk, held in [*items.items()] for sk, row in [*held.items()])
        self._file.executemany(PUT, ((name, *map(_encoded, row)) for row in rows))

    def state(self) -> dict[str, Any] | None:
        """What persistence.save_state writes of dynamodb.get_state(), as of the last save."""
        found = self._file.execute("SELECT text FROM rest").fetchone()
        if found is None:
            return None
        state: dict[str, Any] = json.loads(found[0])
        tables = state["payload"]["tables"]["data"]
        for table in tables.values():
            table["items"] = {}
        query = "SELECT name, pk, sk, row FROM rows ORDER BY place"
        for name, pk, sk, row in self._file.execute(query):
            held = tables[name]["items"].setdefault(json.loads(pk), {})
            held[json.loads(sk)] = json.loads(row)
        return state


def restore(folder: Path) -> Tables:
    """The tables of a stack's folder; what ministack reads when it starts is as they were saved."""
    tables = Tables(folder)
    state = tables.state()
    if state is not None:
        draft = folder / "dynamodb.new"
        draft.write_text(json.dumps(state), encoding="utf-8")
        draft.replace(folder / "dynamodb.json")
    return tables


def _name(account: str, region: str, name: str) -> str:
    """What persistence calls a table."""
    return f"{account}\x00{region}\x00{name!r}"


def _rest(scoped: dict[tuple[str, str, str], dict[str, Any]]) -> str:
    """The state of these tables without any row."""
    tables = AccountRegionScopedDict()
    for scope, table in scoped.items():
        kept = {key: part for key, part in table.items() if key not in UNKEPT}
        tables.set_scoped(*scope, kept)
    payload = {"tables": tables} | {key: getattr(dynamodb, name) for key, name in KEPT.items()}
    version = persistence._state_format_version("dynamodb")
    return _encoded({"__ministack_format__": version, "payload": payload})


def _encoded(part: Any) -> str:
    return json.dumps(part, default=persistence._json_default)
