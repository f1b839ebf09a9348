"""Files of the library on this machine: each verified, and under its name only when it is whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

import httpx

from videoconductor.client.asking import is_local
from videoconductor.client.errors import NotKept, Unavailable
from videoconductor.client.results import Video

CHUNK_BYTES = 1024 * 1024
TIMEOUT = httpx.Timeout(connect=5, read=30, write=10, pool=5)
PAUSES = (0.5, 2.0)  # before the second and third attempt


def fetch(
    video: Video,
    to: Path,
    sleep: Callable[[float], None],
    transport: httpx.BaseTransport | None = None,
) -> Path:
    """The file of a finished clip, whose bytes are those the library holds.

    `to` is its name when that ends in .mp4, else the folder that it is put into under its key. It
    appears under its name only when it is whole and verified. The same file again changes
    nothing; another one in its place is never overwritten. Raises NotKept, and Unavailable with
    the `status` that the url answered.
    """
    target = _target(to.expanduser(), str(video.key))
    if target.exists():
        if target.is_file() and digest(target) == video.sha256:
            return target
        raise NotKept(f"something else stands at {target}: move it away, or download elsewhere")
    url = str(video.url)
    with connection(url, transport) as http, draft_of(target) as draft:
        check(target, written(http, url, draft, sleep), str(video.sha256))
        if video.bytes is not None and draft.stat().st_size != video.bytes:
            raise NotKept(f"what came for {target.name} has another size than the clip")
        draft.replace(target)
    return target


def connection(url: str, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """What downloads from a url's host; a proxy does not lead back to this machine."""
    return httpx.Client(timeout=TIMEOUT, transport=transport, trust_env=not is_local(url))


@contextmanager
def draft_of(target: Path) -> Iterator[Path]:
    """A name beside `target` to write to; nothing is left there. Raises NotKept."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield draft
    except OSError as problem:
        raise NotKept(f"cannot write {target}: {problem.strerror}") from problem
    finally:
        with suppress(OSError):
            draft.unlink()


def written(http: httpx.Client, url: str, draft: Path, sleep: Callable[[float], None]) -> str:
    """Write the body of `url` and return its sha256; a broken transfer begins again.

    Raises Unavailable.
    """
    for pause in (*PAUSES, None):
        try:
            with http.stream("GET", url) as response, draft.open("wb") as file:
                if not response.is_success:
                    words = f"the file's url answered {response.status_code}"
                    raise Unavailable(words, status=response.status_code)
                found = hashlib.sha256()
                for chunk in response.iter_bytes(CHUNK_BYTES):
                    found.update(chunk)
                    file.write(chunk)
                return found.hexdigest()
        except httpx.TransportError as problem:
            if pause is None:
                words = f"the download broke: {type(problem).__name__}"
                raise Unavailable(words) from problem
            sleep(pause)
        except httpx.InvalidURL as problem:
            raise Unavailable(f"the file's url is none: {problem}") from problem
    raise AssertionError


def check(target: Path, found: str, sha256: str) -> None:
    """Raises NotKept for bytes that are not those on record."""
    if found != sha256:
        raise NotKept(f"what came for {target.name} is not the clip: its sha256 is {found}")


def digest(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _target(to: Path, key: str) -> Path:
    if to.suffix.lower() == ".mp4" and not to.is_dir():
        return to
    path = PurePosixPath(key)
    if path.is_absolute() or ".." in path.parts or "\\" in key:
        raise NotKept(f"the clip's key {key!r} leads out of the download folder")
    return to / path
