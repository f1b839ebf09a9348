"""Files of a film's folder: verified ones, and others that stand in their place moved aside."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from videoconductor.client.errors import NotKept
from videoconductor.client.files import check, connection, digest, draft_of, written
from videoconductor_cli.errors import BadInput

__all__ = ["check_writable", "connection", "renew", "write"]


def check_writable(folder: Path) -> None:
    """Raises BadInput for a folder that no clip could be put into."""
    whole = folder.absolute()
    nearest = next(place for place in (whole, *whole.parents) if place.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise BadInput(f"cannot write into {folder}: {nearest} is not a folder one can write to")


def renew(
    http: httpx.Client,
    url: str,
    target: Path,
    sha256: str | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Path | None:
    """Have at `target` what a url gives; the answer is where another file went that stood there.

    The same file again changes nothing. Raises NotKept, Unavailable.
    """
    if sha256 is not None and target.is_file() and digest(target) == sha256:
        return None
    with draft_of(target) as draft:
        found = written(http, url, draft, sleep)
        if sha256 is not None:
            check(target, found, sha256)
        return _put(draft, target, found)


def write(content: bytes, target: Path, *, replace: bool = False) -> Path | None:
    """Have `content` at `target`; the answer is where another file went, as `renew` says it.

    With `replace` it goes nowhere. Raises NotKept.
    """
    with draft_of(target) as draft:
        draft.write_bytes(content)
        found = hashlib.sha256(content).hexdigest()
        if replace and target.is_file() and digest(target) != found:
            draft.replace(target)
            return None
        return _put(draft, target, found)


def _put(draft: Path, target: Path, found: str) -> Path | None:
    """Give a finished draft its name, and what has that name another one."""
    aside = None
    if target.exists():
        if not target.is_file():
            raise NotKept(f"something else stands at {target}: move it away, or download elsewhere")
        standing = digest(target)
        if standing == found:
            return None
        aside = target.with_stem(f"{target.stem}.{standing[:16]}")
        if aside.exists() and not (aside.is_file() and digest(aside) == standing):
            raise NotKept(f"other files stand at {target} and {aside}: move one of them away")
        target.replace(aside)
    draft.replace(target)
    return aside
