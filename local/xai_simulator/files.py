"""Stored files: what `storage_options` keeps and what `/v1/files` takes in."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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

    def __init__(self) -> None:
        self._files: dict[str, StoredFile] = {}

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
        return stored

    def publish(self, stored: StoredFile, expires_after: int | None = None) -> None:
        """Give the file a public url."""
        stored.token = stored.token or uuid.uuid4().hex
        stored.public_expires = int(time.time()) + expires_after if expires_after else None

    def find(self, file_id: str) -> StoredFile | None:
        """The file with this id."""
        return self._files.get(file_id)

    def published(self, token: str) -> StoredFile | None:
        """The file with this public token."""
        return next((kept for kept in self._files.values() if kept.token == token), None)

    def named(self, filename: str | None = None) -> list[StoredFile]:
        """Files of this name, or all, newest first."""
        kept = [row for row in self._files.values() if filename in (None, row.filename)]
        return kept[::-1]

    def remove(self, file_id: str) -> bool:
        """Forget the file; whether it was there."""
        return self._files.pop(file_id, None) is not None

    def clear(self) -> None:
        """Forget all files."""
        self._files.clear()
