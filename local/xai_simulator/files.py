"""Stored files: what `storage_options` keeps and what `/v1/files` takes in."""

from __future__ import annotations

import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xai_simulator.ledger import Ledger

KIND = "file"


@dataclass
class StoredFile:
    """One file, private until it is given a public url."""

    id: str
    filename: str
    path: Path
    content_type: str
    created: int
    expires: int | None = None
    token: str | None = None
    public_expires: int | None = None

    def entry(self) -> dict[str, Any]:
        """The file as `/v1/files` describes it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.path.stat().st_size,
            "created_at": self.created,
            "expires_at": self.expires,
            "filename": self.filename,
            "purpose": "",
        }


class FileShelf:
    """All stored files, by id and by the token of their public url."""

    def __init__(self, ledger: Ledger, folder: Path) -> None:
        self._ledger = ledger
        self._files: dict[str, StoredFile] = {}
        rows = sorted(ledger.rows(KIND), key=lambda row: row["created"])
        for stored in (StoredFile(**{**row, "path": folder / row["path"]}) for row in rows):
            if stored.path.exists():
                self._files[stored.id] = stored

    def keep(
        self, path: Path, filename: str, content_type: str, expires_after: int | None = None
    ) -> StoredFile:
        """Enter a file that lies at `path`."""
        now = int(time.time())
        stored = StoredFile(
            id=f"file_{uuid.uuid4()}",
            filename=filename,
            path=path,
            content_type=content_type,
            created=now,
            expires=now + expires_after if expires_after else None,
        )
        self._files[stored.id] = stored
        self._note(stored)
        return stored

    def _note(self, stored: StoredFile) -> None:
        row = {**asdict(stored), "path": stored.path.name}
        self._ledger.write(KIND, stored.id, row)

    def publish(self, stored: StoredFile, expires_after: int | None = None) -> None:
        """Give the file a public url."""
        stored.token = stored.token or uuid.uuid4().hex
        stored.public_expires = int(time.time()) + expires_after if expires_after else None
        self._note(stored)

    def find(self, file_id: str) -> StoredFile | None:
        """The file with this id."""
        stored = self._files.get(file_id)
        return None if stored is None or _past(stored.expires) else stored

    def published(self, token: str) -> StoredFile | None:
        """The file with this public token."""
        kept = (row for row in self.named() if row.token == token)
        return next((row for row in kept if not _past(row.public_expires)), None)

    def named(self, filename: str | None = None) -> list[StoredFile]:
        """Files of this name, or all, newest first."""
        kept = [row for row in self._files.values() if not _past(row.expires)]
        return [row for row in kept[::-1] if filename in (None, row.filename)]

    def remove(self, file_id: str) -> bool:
        """Forget the file; whether it was there."""
        self._ledger.remove(KIND, file_id)
        return self._files.pop(file_id, None) is not None

    def clear(self) -> None:
        """Forget all files."""
        self._files.clear()


def _past(moment: int | None) -> bool:
    return moment is not None and time.time() >= moment
