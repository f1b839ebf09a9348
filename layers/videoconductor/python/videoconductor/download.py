"""Fetching a finished clip over HTTP: only from origins on a list, and only from public addresses.

The address is looked up once, judged, and then connected to, so that a name cannot lead elsewhere
between the look and the leap.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from videoconductor import inputs
from videoconductor.errors import CopyInterrupted, NotAClip, SourceNotAllowed, UrlExpired

CHUNK_BYTES = 256 * 1024
CONNECT_SECONDS = 5
READ_SECONDS = 15
PORTS = {"http": 80, "https": 443}
MAX_ADDRESSES = 4
EXPIRED = frozenset({401, 403, 404, 410})

Resolver = Callable[[str, int], list[str]]


@dataclass(frozen=True)
class Bounds:
    """How much one copy may take."""

    max_bytes: int = 2 * 1024**3
    seconds: float = 120


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system's resolver tells them."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def client() -> httpx.Client:
    """An HTTP client that does nothing by itself: no retry, redirect, proxy or kept connection.

    A kept connection belongs to an address, and two hosts may share one: the second would be
    served over what was verified for the first.
    """
    return httpx.Client(
        transport=httpx.HTTPTransport(retries=0, limits=httpx.Limits(max_keepalive_connections=0)),
        follow_redirects=False,
        trust_env=False,
    )


class Downloads:
    """Opens clips for reading from the origins it was given, each `scheme://host[:port]`."""

    def __init__(
        self,
        origins: Collection[str],
        bounds: Bounds | None = None,
        *,
        http: httpx.Client | None = None,
        resolver: Resolver = resolve,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._origins = frozenset(origins)
        self._bounds = bounds or Bounds()
        self._http = http or client()
        self._resolver = resolver
        self._clock = clock

    @contextmanager
    def open(self, url: str) -> Iterator[Iterator[bytes]]:
        """The body of `url` in chunks, whole or not at all.

        Raises SourceNotAllowed, UrlExpired, NotAClip for an answer that is no MP4 by its headers
        or its size, CopyInterrupted when the transfer breaks or takes too long; while reading, too.
        """
        end = self._clock() + self._bounds.seconds
        reply = self._reply(self._target(url))
        try:
            yield _in_chunks(self._body(reply, _length(reply, self._bounds.max_bytes), end))
        finally:
            reply.close()

    def _target(self, url: str) -> httpx.URL:
        """`url`, when it is on the list. Two parsers have to agree on where it leads."""
        try:
            origin = inputs.origin(url)
            target = httpx.URL(url)
            is_same = inputs.origin(f"{target.scheme}://{target.netloc.decode()}") == origin
        except (ValueError, httpx.InvalidURL) as problem:
            raise SourceNotAllowed(f"the clip's url {problem}", code="source") from None
        if origin not in self._origins or not is_same:
            raise SourceNotAllowed(f"{origin} is not on the list of clip sources", code="source")
        return target

    def _reply(self, target: httpx.URL) -> httpx.Response:
        """The head of the answer, from the first address that takes the connection."""
        addresses = self._addresses(target.host, target.port or PORTS[target.scheme])
        seconds = min(READ_SECONDS, self._bounds.seconds)
        timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
        for address in addresses[:MAX_ADDRESSES]:
            request = self._http.build_request(
                "GET",
                target.copy_with(host=address),
                headers={"Host": target.netloc.decode("ascii"), "Accept-Encoding": "identity"},
                extensions={"sni_hostname": target.host},
                timeout=timeout,
            )
            try:
                return self._http.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as problem:
                broken: httpx.HTTPError = problem
            except httpx.HTTPError as problem:
                broken = problem
                break
        raise CopyInterrupted(f"the clip's host: {type(broken).__name__}") from broken

    def _addresses(self, host: str, port: int) -> list[str]:
        if _is_literal(host):
            return [host]  # on the list as it stands: somebody meant exactly this address
        try:
            addresses = self._resolver(host, port)
        except (OSError, UnicodeError) as problem:
            raise CopyInterrupted(f"{host} cannot be looked up") from problem
        if not addresses or not all(map(inputs.is_public_address, addresses)):
            raise SourceNotAllowed(f"{host} leads to an address that is not public", code="source")
        return list(dict.fromkeys(addresses))

    def _body(self, reply: httpx.Response, length: int | None, end: float) -> Iterator[bytes]:
        """The body as the network hands it over, so that a trickle meets the clock."""
        received = 0
        try:
            for piece in reply.iter_raw():
                received += len(piece)
                if received > self._bounds.max_bytes:
                    raise NotAClip(f"the file is larger than {self._bounds.max_bytes} bytes")
                if self._clock() > end:
                    raise CopyInterrupted(f"the copy took longer than {self._bounds.seconds} s")
                yield piece
        except httpx.HTTPError as problem:
            raise CopyInterrupted(
                f"the transfer broke after {received} bytes: {type(problem).__name__}"
            ) from problem
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


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True
