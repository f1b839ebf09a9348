"""Requests that leave for the outside: which addresses they may go to, and what they may take.

A name that a stranger gave is looked up once, its addresses are judged, and one of these very
addresses is connected to, so that a name cannot lead elsewhere between the look and the leap. All
of a request has one limit of time: a client's own limits hold for each single read, of which a
trickle needs any number. Redirects are followed nowhere.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import httpx

from videoconductor import inputs

MAX_ADDRESSES = 4
LOOK_UP_SECONDS = 5.0
UNPACKED_BYTES = 64 * 1024  # at a time
PORTS = {"http": 80, "https": 443}

Resolver = Callable[[str, int], list[str]]
_CONNECTED = frozenset({"connection.connect_tcp.complete", "connection.start_tls.complete"})


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system's resolver tells them."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def parsed(url: str) -> tuple[str, httpx.URL]:
    """A url's origin, and the url as a client takes it.

    Raises ValueError, in words for a person, when two parsers do not agree on where it leads.
    """
    origin = inputs.origin(url)
    try:
        target = httpx.URL(url)
        is_same = inputs.origin(f"{target.scheme}://{target.netloc.decode()}") == origin
    except httpx.InvalidURL:
        is_same = False
    if not is_same:
        raise ValueError("is not a well-formed url")
    return origin, target


def public(
    host: str,
    port: int,
    resolver: Resolver = resolve,
    seconds: float = LOOK_UP_SECONDS,
) -> list[str]:
    """The addresses of a host, each once, every one of them public.

    Raises LookupError when the name cannot be looked up in so many seconds, ValueError, in words
    for a person, when it leads to nothing or to an address that is not public.
    """
    addresses = _looked_up(host, port, resolver, seconds)
    if not addresses or not all(map(inputs.is_public_address, addresses)):
        raise ValueError(f"{host} leads to an address that is not public")
    return list(dict.fromkeys(addresses))


def _looked_up(host: str, port: int, resolver: Resolver, seconds: float) -> list[str]:
    """What a resolver answers. The system's has no limit of time that could be set from here."""
    answers: list[list[str]] = []

    def ask() -> None:
        with suppress(OSError, UnicodeError):
            answers.append(resolver(host, port))

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(seconds)
    if not answers:
        raise LookupError(f"{host} cannot be looked up")
    return answers[0]


def is_literal(host: str) -> bool:
    """Whether a host is an address itself, or the name that every machine has for its own."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def client(transport: httpx.BaseTransport | None = None) -> httpx.Client:
    """An HTTP client that does nothing by itself: no retry, redirect, proxy or kept connection.

    A kept connection belongs to an address, and two hosts may share one: the second would be
    served over what was verified for the first. One that was kept over a Lambda's freeze is often
    dead, and a POST that dies on it cannot be told from one that was accepted.
    """
    # It would log the whole url of every request, and urls open what they lead to.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.Client(
        transport=transport
        or httpx.HTTPTransport(retries=0, limits=httpx.Limits(max_keepalive_connections=0)),
        follow_redirects=False,
        trust_env=False,
    )


class Limit:
    """The time that a request may take in all. When it is over, its connection is hung up.

    Then its client finds that the other side is gone: ask `is_over` which of the two it was, and
    ask it of a body without a length too, which looks as if it had come to its end.
    """

    def __init__(self) -> None:
        self._opened: list[socket.socket] = []
        self._ended = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._ended.is_set()

    def watch(self, event: str, details: Any) -> None:
        """What the client tells of its connections: the extension `trace` of a request."""
        if event in _CONNECTED:
            self._opened.append(details["return_value"].get_extra_info("socket"))
            if self.is_over:
                self.end()

    def end(self) -> None:
        """Hang up."""
        self._ended.set()  # first: the other thread notices at once that its connection is gone
        for each in self._opened[-1:]:  # with TLS it has taken the plain one's place
            with suppress(OSError):
                socket.socket.shutdown(each, socket.SHUT_RDWR)


@contextmanager
def bounded(seconds: float) -> Iterator[Limit]:
    """So many seconds from now on for a request, however the other side spends them."""
    limit = Limit()
    timer = threading.Timer(seconds, limit.end)
    timer.daemon = True
    timer.start()
    try:
        yield limit
    finally:
        timer.cancel()


def sent(
    http: httpx.Client,
    method: str,
    target: httpx.URL,
    addresses: Sequence[str],
    limit: Limit,
    *,
    timeout: httpx.Timeout,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """The head of the answer to a request, from the first address that takes the connection.

    The name of `target` is what its certificate is checked against. Raises httpx.HTTPError.
    """
    broken: httpx.HTTPError = httpx.ConnectError("no address")
    for address in addresses[:MAX_ADDRESSES]:
        if limit.is_over:
            break
        request = http.build_request(
            method,
            target.copy_with(host=address),
            content=content,
            headers={
                "Host": target.netloc.decode("ascii"),
                "Accept-Encoding": "identity",
                **(headers or {}),
            },
            extensions={"sni_hostname": target.host, "trace": limit.watch},
            timeout=timeout,
        )
        try:
            return http.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as problem:
            broken = problem
    raise broken


def unpacked(reply: httpx.Response) -> Iterator[bytes]:
    """The body of an answer, in pieces that stay small though it was compressed unasked.

    A packed piece may hold a thousand times its size. Raises httpx.HTTPError.
    """
    encoding = reply.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        yield from reply.iter_bytes()
    elif encoding in {"gzip", "x-gzip"}:
        yield from _gunzipped(reply.iter_raw())
    else:
        yield from reply.iter_raw()


def _gunzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packed = zlib.decompressobj(16 + zlib.MAX_WBITS)
    for piece in pieces:
        rest = piece
        while rest:
            try:
                yield packed.decompress(rest, UNPACKED_BYTES)
            except zlib.error:
                raise httpx.DecodingError("not gzip, as it says it is") from None
            rest = packed.unconsumed_tail
