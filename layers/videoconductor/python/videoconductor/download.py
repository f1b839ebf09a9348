"""Fetching a finished clip: only from origins on a list, and only from public addresses."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from videoconductor import addresses
from videoconductor.addresses import Broken, Limit, Patience, Reply, Resolver, Target, Wire
from videoconductor.clip import Incoming
from videoconductor.errors import CopyInterrupted, NotAClip, SourceNotAllowed, UrlExpired

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 5
READ_SECONDS = 15
EXPIRED = frozenset({401, 403, 404, 410})
REDIRECTS = range(300, 400)


@dataclass(frozen=True)
class Bounds:
    """How much one copy may take."""

    max_bytes: int = 2 * 1024**3
    seconds: float = 120


class Downloads:
    """Opens clips for reading from the origins it was given, each `scheme://host[:port]`."""

    def __init__(
        self,
        origins: Collection[str],
        bounds: Bounds | None = None,
        *,
        wire: Wire | None = None,
        resolver: Resolver = addresses.resolve,
    ) -> None:
        self._origins = frozenset(origins)
        self._bounds = bounds or Bounds()
        self._wire = wire or addresses.Direct()
        self._resolver = resolver

    @contextmanager
    def open(self, url: str) -> Iterator[Incoming]:
        """What `url` serves, whole or not at all.

        Raises SourceNotAllowed, UrlExpired, NotAClip for an answer that is no MP4 by its headers
        or its size, CopyInterrupted when the transfer breaks or takes too long; while reading, too.
        """
        with addresses.bounded(self._bounds.seconds) as limit:
            reply = self._reply(self._target(url), limit)
            try:
                length = _length(reply, self._bounds.max_bytes)
                yield Incoming(self._body(reply, length, limit), length)
            finally:
                reply.close()

    def _target(self, url: str) -> Target:
        """`url`, when it is on the list."""
        try:
            origin, target = addresses.parsed(url)
        except ValueError as problem:
            raise SourceNotAllowed(f"the clip's url {problem}", code="source") from None
        if origin not in self._origins:
            raise SourceNotAllowed(f"{origin} is not on the list of clip sources", code="source")
        return target

    def _reply(self, target: Target, limit: Limit) -> Reply:
        """The head of the answer, from the first address that takes the connection."""
        found = self._addresses(target.host, target.port)
        seconds = min(READ_SECONDS, self._bounds.seconds)
        patience = Patience(min(CONNECT_SECONDS, seconds), write=seconds, read=seconds)
        try:
            return addresses.sent(self._wire, "GET", target, found, limit, patience=patience)
        except Broken as problem:
            if limit.is_over:
                raise self._too_slow() from problem
            raise CopyInterrupted(f"the clip's host: {problem}") from problem

    def _addresses(self, host: str, port: int) -> list[str]:
        if addresses.is_literal(host):
            return [host]  # on the list as it stands: somebody meant exactly this address
        try:
            seconds = min(addresses.LOOK_UP_SECONDS, self._bounds.seconds)
            return addresses.public(host, port, self._resolver, seconds)
        except LookupError as problem:
            raise CopyInterrupted(str(problem)) from problem
        except ValueError as problem:
            raise SourceNotAllowed(str(problem), code="source") from problem

    def _too_slow(self) -> CopyInterrupted:
        return CopyInterrupted(f"the copy took longer than {self._bounds.seconds} s")

    def _body(self, reply: Reply, length: int | None, limit: Limit) -> Iterator[bytes]:
        """The body in chunks. A trickle meets the limit of time, which hangs up on it."""
        received = 0
        try:
            for chunk in reply.chunks(CHUNK_BYTES):
                received += len(chunk)
                if received > self._bounds.max_bytes:
                    raise NotAClip(f"the file is larger than {self._bounds.max_bytes} bytes")
                yield chunk
        except Broken as problem:
            if limit.is_over:
                raise self._too_slow() from problem
            raise CopyInterrupted(
                f"the transfer broke after {received} bytes: {problem}"
            ) from problem
        # A body without a length ends with its connection, which may be us who hung up.
        if limit.is_over and received != length:
            raise self._too_slow()
        # An empty one is no clip that somebody made, it is an answer that broke off.
        if received != length and (length is not None or not received):
            raise CopyInterrupted(f"{received} of {length or 'some'} bytes came")


def _length(reply: Reply, max_bytes: int) -> int | None:
    """The announced length of a usable answer, in bytes."""
    if reply.status in REDIRECTS:
        raise SourceNotAllowed("the clip's url redirects elsewhere", code="source")
    if reply.status in EXPIRED:
        raise UrlExpired(f"the clip's url answers {reply.status}")
    if reply.status != 200:
        raise CopyInterrupted(f"the clip's url answers {reply.status}")
    kind = reply.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind.startswith("text/") or kind in {"application/json", "application/xml"}:
        raise NotAClip(f"the clip's url serves {kind}")
    if reply.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise NotAClip("the clip's url serves a compressed body nobody asked for")
    text = reply.headers.get("content-length", "")
    length = int(text) if text and "transfer-encoding" not in reply.headers else None
    if length is not None and length > max_bytes:
        raise NotAClip(f"the file is larger than {max_bytes} bytes")
    return length
