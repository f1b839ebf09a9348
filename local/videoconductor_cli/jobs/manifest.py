"""The manifest on disk: one process at a time, each write whole or not at all.

Nothing is done about a clip before it stands here that it will be done: after a crash at any
point, what was sent and what was not can be told.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from videoconductor_cli.errors import BadInput
from videoconductor_cli.jobs.record import Entry, entry_of, row_of

NAME = "manifest.json"
LOCK = ".manifest.lock"
DRAFT = ".manifest.json.part"
VERSION = 3


class NotOnRecord(Exception):
    """Something has happened that could not be written down."""


class Manifest:
    """The manifest of one project, in a folder of its own.

    `order` are keys in the order in which new entries are to stand. What a simulator made is kept
    apart from what xAI made: neither counts as the other. Raises BadInput for a manifest that
    cannot be used.
    """

    def __init__(
        self, folder: Path, project: str, order: Sequence[str] = (), *, simulated: bool = False
    ) -> None:
        self._folder = folder
        self._project = project
        self._lock = threading.RLock()
        self._document = _of_one_kind(folder / NAME, _read(folder / NAME, project), simulated)
        self._rows = {_key(row): row for row in self._document["clips"]}
        self._entries = {key: _entry(key, row, folder) for key, row in self._rows.items()}
        self._is_closed = False
        self._order = [*self._rows, *(key for key in order if key not in self._rows)]

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._folder / NAME

    def entry(self, key: str) -> Entry:
        """What is on record under a key; an entry without attempts if nothing is."""
        clip_id, _, mode = key.rpartition("::")
        with self._lock:
            return self._entries.get(key) or Entry(clip_id, mode)

    def entries(self) -> list[Entry]:
        """All that is on record."""
        with self._lock:
            return list(self._entries.values())

    def rows(self) -> list[dict[str, Any]]:
        """The entries as they stand in the file."""
        with self._lock:
            return self._in_order(self._rows)

    def document(self) -> dict[str, Any]:
        """The whole manifest as it stands in the file."""
        with self._lock:
            return {**self._document, "clips": self.rows()}

    def put(self, entry: Entry) -> None:
        """Write an entry down. When this returns it is on the disk. Raises NotOnRecord."""
        with self._lock:
            row = row_of(self._project, entry, self._rows.get(entry.key))
            rows = {**self._rows, entry.key: row}
            self._write({**self._document, "clips": self._in_order(rows)})
            self._rows = rows
            self._entries[entry.key] = entry

    def put_run(self, run: Mapping[str, Any]) -> None:
        """Write down what a run is about, or what came of it. Raises NotOnRecord."""
        with self._lock:
            others = [row for row in self._document["runs"] if row.get("id") != run["id"]]
            document = {**self._document, "runs": [*others, dict(run)]}
            self._write({**document, "clips": self.rows()})
            self._document = document

    def _in_order(self, rows: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
        order = dict.fromkeys([*self._order, *rows])
        return [rows[key] for key in order if key in rows]

    def close(self) -> None:
        """Write nothing any more: another process may be the one that does."""
        with self._lock:
            self._is_closed = True

    def _write(self, document: Mapping[str, Any]) -> None:
        if self._is_closed:
            raise NotOnRecord("the run is over")
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        draft = self._folder / DRAFT
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
            sync_folder(self._folder)
        except OSError as problem:
            raise NotOnRecord(f"cannot write {self.path}: {problem.strerror}") from problem


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder, for this process alone. Raises BadInput when another one is at work in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+", encoding="utf-8")
    except OSError as problem:
        raise BadInput(f"cannot write into {folder}: {problem.strerror}") from problem
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            file.seek(0)
            who = file.read().strip() or "unknown"
            raise BadInput(
                f"another `videoconductor jobs` is at work in {folder} (process {who}): "
                "wait for it, or stop it with Ctrl-C"
            ) from problem
        except OSError as problem:
            raise BadInput(f"{folder} cannot be locked: {problem.strerror}") from problem
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def sync_folder(folder: Path) -> None:
    """Make names that were given in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(path: Path, project: str) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {"version": VERSION, "requestId": project, "clips": [], "runs": []}
    except (OSError, UnicodeDecodeError) as problem:
        raise _unreadable(path, str(problem)) from problem
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise _unreadable(path, "it is not JSON") from problem
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise _unreadable(path, f"it is not a manifest of version {VERSION}")
    if document.get("requestId") != project:
        raise BadInput(
            f"{path} is the manifest of {document.get('requestId')!r}, not of {project!r}: "
            "choose another folder with --to"
        )
    rows, runs = document.get("clips"), document.setdefault("runs", [])
    if not isinstance(rows, list) or not isinstance(runs, list):
        raise _unreadable(path, "its clips or runs are not a list")
    if not all(isinstance(row, dict) for row in [*rows, *runs]):
        raise _unreadable(path, "its clips or runs are not objects")
    if len({_key(row) for row in rows}) < len(rows):
        raise _unreadable(path, "two of its clips are the same")
    return document


def _of_one_kind(path: Path, document: dict[str, Any], simulated: bool) -> dict[str, Any]:
    if bool(document.get("simulated")) == simulated:
        return document
    if document["clips"]:
        kinds = ("xAI itself", "a simulator")
        raise BadInput(
            f"{path} holds clips of {kinds[not simulated]}, and XAI_API_BASE_URL now leads to "
            f"{kinds[simulated]}: choose another folder with --to"
        )
    head = {name: document[name] for name in ("version", "requestId")}
    return {**head, "simulated": simulated} | {**document, "simulated": simulated}


def _key(row: Mapping[str, Any]) -> str:
    return str(row.get("_key") or f"{row.get('id')}::{row.get('qualityMode')}")


def _entry(key: str, row: Mapping[str, Any], folder: Path) -> Entry:
    try:
        entry = entry_of(row)
    except ValueError as problem:
        raise _unreadable(folder / NAME, f"its clip {key!r} is not understood") from problem
    if entry.key != key:
        raise _unreadable(folder / NAME, f"its clip {key!r} has other names than its _key")
    return entry


def _unreadable(path: Path, why: str) -> BadInput:
    return BadInput(
        f"{path} cannot be used: {why}. It says which clips are paid for, so nothing is sent "
        "without it: mend it, or choose another folder with --to"
    )
