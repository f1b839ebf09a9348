"""Fetches finished clips: below a folder, under their S3 keys, each verified by its sha256."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

import httpx

from videoconductor_cli.address import LOOPBACK
from videoconductor_cli.errors import BadInput, NoAnswer, NoClip

CHUNK_BYTES = 1024 * 1024
TIMEOUT = httpx.Timeout(connect=5, read=30, write=10, pool=5)
PAUSES = (0.5, 2.0)  # before the second and third attempt


def check_writable(folder: Path) -> None:
    """Raises BadInput for a folder that no clip could be put into."""
    whole = folder.absolute()
    nearest = next(place for place in (whole, *whole.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise BadInput(f"cannot write into {folder}: {nearest} is not a folder one can write to")


def fetch(
    video: Mapping[str, Any],
    folder: Path,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """The file of a finished clip, whose bytes are those the library holds.

    It appears under its name only when it is whole and verified. The same file again changes
    nothing; another one in its place is never overwritten. Raises NoClip, NoAnswer.
    """
    target = _target(folder, str(video["key"]))
    if target.exists():
        if target.is_file() and _digest(target) == video["sha256"]:
            return target
        raise NoClip(f"something else stands at {target}: move it away, or download elsewhere")
    url = str(video["url"])
    with connection(url, transport) as http, _beside(target) as draft:
        _check(target, _written(http, url, draft, sleep), video["sha256"])
        draft.replace(target)
    return target


def renew(
    http: httpx.Client,
    url: str,
    target: Path,
    sha256: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Path | None:
    """Have at `target` what a url gives; the answer is where another file went that stood there.

    The same file again changes nothing. Raises NoClip, NoAnswer.
    """
    if sha256 is not None and target.is_file() and _digest(target) == sha256:
        return None
    with _beside(target) as draft:
        digest = _written(http, url, draft, sleep)
        if sha256 is not None:
            _check(target, digest, sha256)
        return _put(draft, target, digest)


def write(content: bytes, target: Path, *, replace: bool = False) -> Path | None:
    """Have `content` at `target`; the answer is where another file went, as `renew` says it.

    With `replace` it goes nowhere. Raises NoClip.
    """
    with _beside(target) as draft:
        draft.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        if replace and target.is_file() and _digest(target) != digest:
            draft.replace(target)
            return None
        return _put(draft, target, digest)


def connection(url: str, transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """What downloads from a url's host; a proxy does not lead back to this machine."""
    past_proxies = False
    with suppress(httpx.InvalidURL):  # whoever asks for it is told
        past_proxies = httpx.URL(url).host in LOOPBACK
    return httpx.Client(timeout=TIMEOUT, transport=transport, trust_env=not past_proxies)


def _put(draft: Path, target: Path, digest: str) -> Path | None:
    """Give a finished draft its name, and what has that name another one."""
    aside = None
    if target.exists():
        if not target.is_file():
            raise NoClip(f"something else stands at {target}: move it away, or download elsewhere")
        standing = _digest(target)
        if standing == digest:
            return None
        aside = target.with_stem(f"{target.stem}.{standing[:16]}")
        if aside.exists() and not (aside.is_file() and _digest(aside) == standing):
            raise NoClip(f"other files stand at {target} and {aside}: move one of them away")
        target.replace(aside)
    draft.replace(target)
    return aside


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A name beside `target` to write to; nothing is left there. Raises NoClip."""
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield draft
    except OSError as problem:
        raise NoClip(f"cannot write {target}: {problem.strerror}") from problem
    finally:
        with suppress(OSError):
            draft.unlink()


def _check(target: Path, digest: str, sha256: str) -> None:
    if digest != sha256:
        raise NoClip(f"what came for {target.name} is not the clip: its sha256 is {digest}")


def _target(folder: Path, key: str) -> Path:
    path = PurePosixPath(key)
    if path.is_absolute() or ".." in path.parts or "\\" in key:
        raise NoClip(f"the clip's key {key!r} leads out of the download folder")
    return folder.expanduser() / path


def _written(http: httpx.Client, url: str, draft: Path, sleep: Callable[[float], None]) -> str:
    """Write the body of `url` and return its sha256; a broken transfer begins again."""
    for pause in (*PAUSES, None):
        try:
            with http.stream("GET", url) as response, draft.open("wb") as file:
                if not response.is_success:
                    raise NoAnswer(f"the file's url answered {response.status_code}")
                digest = hashlib.sha256()
                for chunk in response.iter_bytes(CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
                return digest.hexdigest()
        except httpx.TransportError as problem:
            if pause is None:
                raise NoAnswer(f"the download broke: {type(problem).__name__}") from problem
            sleep(pause)
        except httpx.InvalidURL as problem:
            raise NoAnswer(f"the file's url is none: {problem}") from problem
    raise AssertionError


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
