"""Answers without a network: what a test puts in the place of the wire to the outside."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from typing import Any

from videoconductor.addresses import Limit, Reply, Request


def reply(status: int = 200, content: Any = b"", headers: Mapping[str, str] | None = None) -> Reply:
    """An answer; what is not bytes goes out as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Reply(status, dict(headers or {}), io.BytesIO(body))


def wire(answer: Callable[[Request], Reply]) -> Callable[[Request, Limit], Reply]:
    """A wire that has `answer` answer. It may raise NotConnected, or Broken, as the real one."""
    return lambda request, limit: answer(request)
