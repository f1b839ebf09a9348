"""Fetches finished clips: below a folder, under their S3 keys, each verified by its sha256."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
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
    draft = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        url = httpx.URL(str(video["url"]))
        past_proxies = url.host in LOOPBACK
        with httpx.Client(timeout=TIMEOUT, transport=transport, trust_env=not past_proxies) as http:
            digest = _written(http, url, draft, sleep)
        if digest != video["sha256"]:
            raise NoClip(f"what came for {target.name} is not the clip: its sha256 is {digest}")
        draft.replace(target)
    except OSError as problem:
        raise NoClip(f"cannot write {target}: {problem.strerror}") from problem
    finally:
        with suppress(OSError):
            draft.unlink()
    return target


def _target(folder: Path, key: str) -> Path:
    path = PurePosixPath(key)
    if path.is_absolute() or ".." in path.parts or "\\" in key:
        raise NoClip(f"the clip's key {key!r} leads out of the download folder")
    return folder.expanduser() / path


def _written(
    http: httpx.Client, url: httpx.URL, draft: Path, sleep: Callable[[float], None]
) -> str:
    """Write the body of `url` and return its sha256; a broken transfer begins again."""
    for pause in (*PAUSES, None):
        try:
            with http.stream("GET", url) as response, draft.open("wb") as file:
                if not response.is_success:
                    raise NoAnswer(f"the clip's url answered {response.status_code}")
                digest = hashlib.sha256()
                for chunk in response.iter_bytes(CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
                return digest.hexdigest()
        except httpx.TransportError as problem:
            if pause is None:
                raise NoAnswer(f"the download broke: {type(problem).__name__}") from problem
            sleep(pause)
    raise AssertionError


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
