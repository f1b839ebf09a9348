"""Bringing a finished clip into the library: whole and playable, or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from typing import TYPE_CHECKING

from videoconductor.clip import Clip, Incoming, Render
from videoconductor.errors import (
    ClipConflict,
    CopyInterrupted,
    KeyTaken,
    NotAClip,
    NothingDelivered,
    UrlExpired,
)
from videoconductor.mp4 import Mp4Facts, Mp4Inspector

if TYPE_CHECKING:
    from videoconductor.library import Library

# Opens the MP4 for reading, as often as it is called.
Source = Callable[[], AbstractContextManager[Incoming]]


def copy(record: Render, library: Library, source: Source) -> Clip:
    """Stream the delivered MP4 into the library, or find that an earlier run has.

    Raises UrlExpired, CopyInterrupted, LibraryUnavailable (run again), NothingDelivered, NotAClip,
    SourceNotAllowed, or ClipConflict when another file stands there; both are kept then.
    """
    key, scan = library.clip_key(record), _Scan()
    try:
        with source() as incoming:
            _put(key, scan.watched(incoming), library)
    except KeyTaken:
        return _contested(record, library, source, scan.clip(key, library.sidecar_key(record)))
    except (UrlExpired, CopyInterrupted, NothingDelivered, NotAClip):
        # What stands under the key was whole when it was put there, by an earlier run of this.
        if not library.exists(key):
            raise
        return _standing(record, library)
    return scan.clip(key, library.sidecar_key(record))


def _put(key: str, incoming: Incoming, library: Library) -> None:
    try:
        library.put_clip(key, incoming)
    except KeyTaken:
        for _ in incoming.chunks:  # S3 may say so early, and what came is to be known to its end
            pass
        raise


def _standing(record: Render, library: Library) -> Clip:
    """The clip that stands in the library already. Raises NotAClip or CopyInterrupted if none."""
    key, scan = library.clip_key(record), _Scan()
    for _ in scan.watch(library.read(key)):
        pass
    return scan.clip(key, library.sidecar_key(record))


def _contested(record: Render, library: Library, source: Source, ours: Clip) -> Clip:
    """An object stands where the clip belongs. The same file is success; both others are kept."""
    with suppress(NotAClip, CopyInterrupted):
        if _standing(record, library).sha256 == ours.sha256:
            return ours
    beside = library.conflict_key(record, ours.sha256)
    with suppress(KeyTaken), source() as incoming:
        library.put_clip(beside, _Scan().watched(incoming))
    raise ClipConflict(f"{ours.key} holds another file; this one is {beside}", code="conflict")


class _Scan:
    """Hash, size and MP4 structure of bytes that pass by.

    `watch` raises NotAClip after the last chunk but before its end, so nothing gets committed.
    """

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._inspector = Mp4Inspector()
        self._bytes = 0
        self._facts: Mp4Facts | None = None

    def watched(self, incoming: Incoming) -> Incoming:
        return Incoming(self.watch(incoming.chunks), incoming.length)

    def watch(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._inspector.feed(chunk)
            self._sha256.update(chunk)
            self._bytes += len(chunk)
            yield chunk
        self._facts = self._inspector.facts()

    def clip(self, key: str, sidecar_key: str) -> Clip:
        assert self._facts is not None
        return Clip(
            key=key,
            sidecar_key=sidecar_key,
            bytes=self._bytes,
            sha256=self._sha256.hexdigest(),
            seconds=self._facts.seconds,
            width=self._facts.width,
            height=self._facts.height,
            video_codec=self._facts.video_codec,
            audio_codec=self._facts.audio_codec,
        )
