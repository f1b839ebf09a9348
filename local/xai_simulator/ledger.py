"""What outlives a restart: one JSON file per job and per stored file, in the cache folder."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xai_simulator.jobs import Job, JobFailed, Made
from xai_simulator.orders import Order

Row = dict[str, Any]


def put(path: Path, content: bytes) -> None:
    """Write a file whole or not at all: a reader, or a restart, never finds half of it."""
    scratch = path.with_name(f"{path.name}-{uuid.uuid4().hex}.part")
    scratch.write_bytes(content)
    scratch.replace(path)


class Ledger:
    """Rows of one kind and name, a file each; without a folder nothing is kept."""

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def write(self, kind: str, name: str, row: Row) -> None:
        """Keep `row`, in place of an earlier one of this name."""
        if self._folder is not None:
            put(self._folder / f"{kind}-{name}.json", json.dumps(row).encode("ascii"))

    def rows(self, kind: str) -> list[Row]:
        """Every row of this kind, in no order; a file that cannot be read is passed over."""
        found = []
        for path in self._files(f"{kind}-*.json"):
            with contextlib.suppress(OSError, ValueError):
                found.append(json.loads(path.read_bytes()))
        return found

    def remove(self, kind: str, name: str) -> None:
        """Forget one row."""
        if self._folder is not None:
            (self._folder / f"{kind}-{name}.json").unlink(missing_ok=True)

    def clear(self) -> None:
        """Forget every row."""
        for path in self._files("*"):
            path.unlink(missing_ok=True)

    def _files(self, pattern: str) -> list[Path]:
        return [] if self._folder is None else list(self._folder.glob(pattern))


def row_of(job: Job) -> Row:
    """The job as it is kept; times are by the clock on the wall, which a restart does not reset."""
    failure = job.failure
    return {
        "id": job.id,
        "asked": job.order.asked,
        "began": job.began,
        "due": job.began + job.due - job.started,
        "status": job.status,
        "ticks": job.ticks,
        "failure": [failure.code, failure.message] if failure else None,
        "results": [{**asdict(made), "path": made.path.name} for made in job.results],
        "urls": [artifact.name for artifact in job.artifacts],
        "files": job.files,
        "uploads": job.uploads,
    }


def job_of(row: Row, order: Order, folder: Path) -> Job:
    """The kept job; one whose files have vanished has to be made again."""
    since = time.monotonic() - time.time()
    results = [Made(**{**made, "path": folder / made["path"]}) for made in row["results"]]
    whole = all(made.path.exists() for made in results)
    return Job(
        order,
        due=row["due"] + since,
        id=row["id"],
        began=row["began"],
        started=row["began"] + since,
        status=row["status"] if whole else "pending",
        ticks=row["ticks"],
        failure=JobFailed(*row["failure"]) if row["failure"] else None,
        results=results if whole else [],
        files=row["files"],
        uploads=row["uploads"],
    )
