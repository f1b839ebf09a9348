"""What the simulator was asked and which jobs it started: the question most tests end with."""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


def digest(text: str) -> str:
    """The SHA-256 of a text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def fingerprint(secret: str) -> str:
    """A name for a key that does not give it away: the first 16 digits of its digest."""
    return digest(secret)[:16]


def stamp(at: float | None = None) -> str:
    """A time, now if none is given, in UTC, as the journal writes it."""
    moment = datetime.now(UTC) if at is None else datetime.fromtimestamp(at, UTC)
    return moment.isoformat(timespec="milliseconds")


class Journal:
    """Requests and jobs, in the order they came; safe to read from another thread."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._requests: list[Entry] = []
        self._jobs: dict[str, Entry] = {}
        self._written = _continued(file)

    def open_request(self, **entry: Any) -> Entry:
        """Enter a request as it arrives; its status is filled in by `close_request`."""
        row: Entry = {"time": stamp(), **entry, "marker": None, "status": None}
        with self._lock:
            self._requests.append(row)
        return row

    def close_request(self, row: Entry, status: int | None) -> None:
        """Note how a request was answered; None means that the connection was closed on it."""
        with self._lock:
            row["status"] = status
            self._append("request", row)

    def enter_job(self, job: Entry) -> None:
        """Enter a job, or what has become of it; the newest state of each is kept."""
        with self._lock:
            self._jobs[job["id"]] = job
            self._append("job", job)

    def enter_again(self, job: Entry) -> None:
        """Enter a job of an earlier run; a file that has it already is not told of it twice."""
        with self._lock:
            self._jobs[job["id"]] = job
            if job["id"] not in self._written:
                self._append("job", job)

    def requests(self) -> list[Entry]:
        """Every request so far, oldest first."""
        with self._lock:
            return [dict(row) for row in self._requests]

    def jobs(self) -> list[Entry]:
        """Every job started so far, oldest first, each in its present state."""
        with self._lock:
            return [dict(row) for row in self._jobs.values()]

    def clear(self) -> None:
        """Forget everything; lines already written to the file stay there."""
        with self._lock:
            self._requests.clear()
            self._jobs.clear()

    def _append(self, kind: str, row: Entry) -> None:
        if self._file is None:
            return
        with self._file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps({kind: row}, ensure_ascii=False) + "\n")


def _continued(file: Path | None) -> set[str]:
    """The ids of the jobs in a journal file that is there already; mends a line cut short."""
    if file is None or not file.exists():
        return set()
    content = file.read_bytes()
    if content and not content.endswith(b"\n"):
        with file.open("ab") as lines:
            lines.write(b"\n")
    written = set()
    for line in content.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            written.add(json.loads(line)["job"]["id"])
    return written
