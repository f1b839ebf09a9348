"""The file of a finished clip: fetched, verified, and put where nothing else stands."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from videoconductor.download import Downloads
from videoconductor.mp4 import Mp4Inspector
from videoconductor_cli.jobs.manifest import sync_folder
from videoconductor_cli.jobs.record import Attempt, Entry, KeptFile

FOLDER = "clips"
MAX_STEM_BYTES = 160  # a name has 255 bytes, and more is put around this
MAX_NAMES = 100


def name_of(entry: Entry, attempt: Attempt) -> str:
    """What the file of an attempt is called: `clip.mode.mp4`, `clip.mode-2.mp4` and so on."""
    stem = entry.id
    if len(stem.encode()) > MAX_STEM_BYTES:
        digest = hashlib.sha256(stem.encode()).hexdigest()[:16]
        cut = stem.encode()[: MAX_STEM_BYTES - 17].decode(errors="ignore")
        stem = f"{cut}-{digest}"
    number = "" if attempt.number == 1 else f"-{attempt.number}"
    return f"{stem}.{entry.quality_mode}{number}.mp4"


def is_whole(folder: Path, kept: KeptFile | None) -> bool:
    """Whether a file that was kept is there, as it was."""
    if kept is None:
        return False
    path = folder / kept.path
    try:
        return path.stat().st_size == kept.bytes and _digest(path) == kept.sha256
    except OSError:
        return False


def fetch(
    url: str, folder: Path, name: str, downloads: Downloads, check: Callable[[], None]
) -> KeptFile:
    """The MP4 of a url, kept below `folder` under a name of its own.

    It gets its name when it is whole, and no file that stands there is touched: the same one
    again is the one to keep, beside another one it gets another name. `check` is called between
    chunks, and may raise. Raises what `Downloads.open` and `Mp4Inspector` raise, and OSError.
    """
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    draft = place / f".{name}.part"
    try:
        with downloads.open(url) as incoming:
            kept = _written(draft, incoming.chunks, check)
        path = _published(draft, place / name, kept.sha256)
    finally:
        with suppress(OSError):
            draft.unlink()
    return kept.model_copy(update={"path": f"{FOLDER}/{path.name}"})


def _written(draft: Path, chunks: Iterator[bytes], check: Callable[[], None]) -> KeptFile:
    inspector, digest, size = Mp4Inspector(), hashlib.sha256(), 0
    with draft.open("wb") as file:
        for chunk in chunks:
            check()
            inspector.feed(chunk)
            digest.update(chunk)
            size += file.write(chunk)
        found = inspector.facts()
        file.flush()
        os.fsync(file.fileno())
    return KeptFile(
        path=draft.name,
        bytes=size,
        sha256=digest.hexdigest(),
        seconds=found.seconds,
        width=found.width,
        height=found.height,
    )


def _published(draft: Path, target: Path, sha256: str) -> Path:
    """Where the file has its name: `target`, or beside it where something else stands there."""
    for number in range(MAX_NAMES):
        beside = "" if number == 0 else f".{sha256[:12]}" + (f"-{number}" if number > 1 else "")
        path = target.with_name(f"{target.stem}{beside}{target.suffix}")
        if _give_name(draft, path):
            sync_folder(path.parent)
            return path
        if path.is_file() and _digest(path) == sha256:
            return path
    raise FileExistsError(0, "every name is taken", str(target))


def _give_name(draft: Path, path: Path) -> bool:
    """Give the draft its name, unless the name is taken."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            return False
        draft.rename(path)
    return True


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
