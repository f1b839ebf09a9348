"""Fetching a finished clip: only from origins on a list, and only from public addresses."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from videoconductor import addresses
from videoconductor.addresses import Limit, Resolver
from videoconductor.errors import CopyInterrupted, NotAClip, SourceNotAllowed, UrlExpired

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 5
READ_SECONDS = 15
EXPIRED = frozenset({401, 403, 404, 410})


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
        http: httpx.Client | None = None,
        resolver: Resolver = addresses.resolve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origins = frozenset(origins)
        self._bounds = bounds or Bounds()
        self._http = http or addresses.client()
        self._resolver = resolver
        self._clock = clock

    @contextmanager
    def open(self, url: str) -> Iterator[Iterator[bytes]]:
        """The body of `url` in chunks, whole or not at all.

        Raises SourceNotAllowed, UrlExpired, NotAClip for an answer that is no MP4 by its headers
        or its size, CopyInterrupted when the transfer breaks or takes too long; while reading, too.
        """
        end = self._clock() + self._bounds.seconds
        with addresses.bounded(self._bounds.seconds) as limit:
            reply = self._reply(self._target(url), limit)
            try:
                length = _length(reply, self._bounds.max_bytes)
                yield _in_chunks(self._body(reply, length, end, limit))
            finally:
                reply.close()

    def _target(self, url: str) -> httpx.URL:
        """`url`, when it is on the list."""
        try:
            origin, target = addresses.parsed(url)
        except ValueError as problem:
            raise SourceNotAllowed(f"the clip's url {problem}", code="source") from None
        if origin not in self._origins:
            raise SourceNotAllowed(f"{origin} is not on the list of clip sources", code="source")
        return target

    def _reply(self, target: httpx.URL, limit: Limit) -> httpx.Response:
        """The head of the answer, from the first address that takes the connection."""
        found = self._addresses(target.host, target.port or addresses.PORTS[target.scheme])
        seconds = min(READ_SECONDS, self._bounds.seconds)
        timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
        try:
            return addresses.sent(self._http, "GET", target, found, limit, timeout=timeout)
        except httpx.HTTPError as broken:
            if limit.is_over:
                raise self._too_slow() from broken
            raise CopyInterrupted(f"the clip's host: {type(broken).__name__}") from broken

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

    def _body(
        self, reply: httpx.Response, length: int | None, end: float, limit: Limit
    ) -> Iterator[bytes]:
        """The body as the network hands it over, so that a trickle meets the clock."""
        received = 0
        try:
            for piece in reply.iter_raw():
                received += len(piece)
                if received > self._bounds.max_bytes:
                    raise NotAClip(f"the file is larger than {self._bounds.max_bytes} bytes")
                if self._clock() > end:
                    raise self._too_slow()
                yield piece
        except httpx.HTTPError as problem:
            if limit.is_over:
                raise self._too_slow() from problem
            raise CopyInterrupted(
                f"the transfer broke after {received} bytes: {type(problem).__name__}"
            ) from problem
        # A body without a length ends with its connection, which may be us who hung up.
        if limit.is_over:
            raise self._too_slow()
        if length is not None and received != length:
            raise CopyInterrupted(f"{received} of {length} bytes came")


def _in_chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    chunk = bytearray()
    for piece in pieces:
        chunk += piece
        if len(chunk) >= CHUNK_BYTES:
            yield bytes(chunk)
            chunk.clear()
    if chunk:
        yield bytes(chunk)


def _length(reply: httpx.Response, max_bytes: int) -> int | None:
    """The announced length of a usable answer, in bytes."""
    if reply.is_redirect or reply.has_redirect_location:
        raise SourceNotAllowed("the clip's url redirects elsewhere", code="source")
    if reply.status_code in EXPIRED:
        raise UrlExpired(f"the clip's url answers {reply.status_code}")
    if reply.status_code != 200:
        raise CopyInterrupted(f"the clip's url answers {reply.status_code}")
    kind = reply.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind.startswith("text/") or kind in {"application/json", "application/xml"}:
        raise NotAClip(f"the clip's url serves {kind}")
    if reply.headers.get("content-encoding", "identity").strip().lower() not in {"", "identity"}:
        raise NotAClip("the clip's url serves a compressed body nobody asked for")
    text = reply.headers.get("content-length", "")
    length = int(text) if text.isascii() and text.isdigit() else None
    if length is not None and length > max_bytes:
        raise NotAClip(f"the file is larger than {max_bytes} bytes")
    return length
