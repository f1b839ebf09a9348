"""Requests that leave for the outside: which addresses they may go to, and what they may take.

A name that a stranger gave is looked up once, its addresses are judged, and one of these very
addresses is connected to, so that a name cannot lead elsewhere between the look and the leap. All
of a request has one limit of time: a socket's own limit holds for each single read, of which a
trickle needs any number. Redirects are followed nowhere, nothing is sent twice, and no proxy of
the environment is asked.

The connection stands before the first byte of a request is sent. Whatever fails until then,
certificates included, is NotConnected and proves that nothing was sent.
"""

from __future__ import annotations

import http.client
import io
import ipaddress
import re
import socket
import ssl
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from urllib3.util import parse_url

from videoconductor import __version__, inputs

MAX_ADDRESSES = 4
LOOK_UP_SECONDS = 5.0
PIECE_BYTES = 64 * 1024  # at a time
HUNG_UP_SECONDS = 0.5  # for what the other side said before it hung up: it is here already
PORTS = {"http": 80, "https": 443}

_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)

Resolver = Callable[[str, int], list[str]]


class Broken(Exception):
    """A request that came to no whole answer: whoever it went to may have taken it.

    Its words are the name of what went wrong, and hold no url.
    """

    def __init__(self, problem: Exception | str, *, is_slow: bool = False) -> None:
        super().__init__(problem if isinstance(problem, str) else type(problem).__name__)
        self.is_slow = is_slow or isinstance(problem, TimeoutError)


class NotConnected(Broken):
    """A request of which nothing was sent: there was no connection to send it on."""


class Target(NamedTuple):
    """Where a url leads to, as it is put on the wire."""

    scheme: str
    host: str
    port: int
    path: str  # and its query

    @property
    def authority(self) -> str:
        """`host[:port]`, the scheme's own port left out: a Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


class Patience(NamedTuple):
    """Seconds that one step of a request may take."""

    connect: float
    write: float
    read: float


@dataclass(frozen=True)
class Request:
    """A request as it leaves. `address` is connected to; `target` names whom it is for."""

    method: str
    target: Target
    address: str
    patience: Patience
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None


@dataclass(frozen=True)
class Reply:
    """The head of an answer, the names of its headers in lower case, and its body, to be read."""

    status: int
    headers: Mapping[str, str]
    body: io.BufferedIOBase

    def pieces(self) -> Iterator[bytes]:
        """The body as the network hands it over, PIECE_BYTES at most. Raises Broken."""
        return _read(self.body.read1, PIECE_BYTES)

    def chunks(self, size: int) -> Iterator[bytes]:
        """The body in chunks of `size` bytes; only the last is smaller. Raises Broken."""
        return _read(self.body.read, size)

    def close(self) -> None:
        """Hang up, whatever is still to come."""
        self.body.close()


def _read(read: Callable[[int], bytes], size: int) -> Iterator[bytes]:
    try:
        while piece := read(size):
            yield piece
    except (OSError, http.client.HTTPException, ValueError) as problem:
        raise Broken(problem) from problem


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system's resolver tells them."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def parsed(url: str) -> tuple[str, Target]:
    """A url's origin, and where it leads to.

    Raises ValueError, in words for a person, when two parsers do not agree on that.
    """
    origin = inputs.origin(url)
    try:
        found = parse_url(url)
    except ValueError:
        raise ValueError("is not a well-formed url") from None
    scheme, host = found.scheme or "", (found.host or "").strip("[]")
    target = Target(scheme, host, found.port or PORTS.get(scheme, 0), found.request_uri)
    if scheme not in PORTS or f"{scheme}://{target.authority}" != origin:
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


class Limit:
    """The time that a request may take in all. When it is over, its connection is hung up.

    Then its reader finds that the other side is gone: ask `is_over` which of the two it was, and
    ask it of a body without a length too, which looks as if it had come to its end.
    """

    def __init__(self) -> None:
        self._opened: socket.socket | None = None
        self._ended = threading.Event()

    @property
    def is_over(self) -> bool:
        """Whether the time is over."""
        return self._ended.is_set()

    def watch(self, opened: socket.socket) -> None:
        """This is the connection from now on."""
        self._opened = opened
        if self.is_over:
            self.end()

    def end(self) -> None:
        """Hang up."""
        self._ended.set()  # first: the other thread notices at once that its connection is gone
        if self._opened is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._opened, socket.SHUT_RDWR)  # without TLS's farewell


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


# Sends a request, once, and gives the head of its answer. Raises NotConnected, Broken.
Wire = Callable[[Request, Limit], Reply]


@cache
def trust() -> ssl.SSLContext:
    """Whose certificates are believed: botocore's bundle, read once, for it takes its time."""
    from botocore.httpsession import get_cert_path

    context = ssl.create_default_context(cafile=get_cert_path(True))
    context.set_alpn_protocols(["http/1.1"])
    return context


class Direct:
    """The wire: a connection of its own for each request, to those whom `trust` believes.

    A kept connection belongs to an address, and two hosts may share one: the second would be
    served over what was verified for the first. One that was kept over a Lambda's freeze is often
    dead, and a POST that dies on it cannot be told from one that was accepted.
    """

    def __init__(self, trust: Callable[[], ssl.SSLContext] = trust) -> None:
        self._trust = trust

    def __call__(self, request: Request, limit: Limit) -> Reply:
        try:
            opened = self._connected(request, limit)
        except (OSError, ValueError) as problem:
            raise NotConnected(problem) from problem
        # The body holds on to the socket: closed here, it stays open until the reply is closed.
        with opened:
            try:
                answer = _answered(request, opened)
            except (OSError, http.client.HTTPException, ValueError) as problem:
                raise Broken(problem) from problem
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status, headers, answer)

    def _connected(self, request: Request, limit: Limit) -> socket.socket:
        target, seconds = request.target, request.patience.connect
        opened = socket.create_connection((request.address, target.port), seconds)
        try:
            limit.watch(opened)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return opened if target.scheme == "http" else self._secured(opened, target.host, limit)
        except BaseException:
            opened.close()
            raise

    def _secured(self, opened: socket.socket, host: str, limit: Limit) -> socket.socket:
        secured = self._trust().wrap_socket(
            opened, server_hostname=host, do_handshake_on_connect=False
        )
        try:
            limit.watch(secured)  # it has taken the plain one's place
            secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        return secured


def _answered(request: Request, opened: socket.socket) -> http.client.HTTPResponse:
    connection = _Connection(request.target.host)
    connection.sock = opened
    opened.settimeout(request.patience.write)
    headers = {
        "Host": request.target.authority,
        "User-Agent": f"videoconductor/{__version__}",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **request.headers,
    }
    try:
        connection.request(request.method, request.target.path, request.content, headers)
    except TimeoutError:
        raise
    except OSError as problem:
        # Who refuses a request by its head may answer, and hang up on its body.
        opened.settimeout(min(HUNG_UP_SECONDS, request.patience.read))
        try:
            return connection.getresponse()
        except (OSError, http.client.HTTPException, ValueError):
            raise problem from None
    opened.settimeout(request.patience.read)
    return connection.getresponse()


class _Whole(io.BufferedReader):
    """Where lines are whole: a head that breaks off is not taken for one that has ended."""

    def readline(self, size: int | None = -1, /) -> bytes:
        line = super().readline(size)
        if not line.endswith(b"\n") and len(line) != size:
            raise http.client.RemoteDisconnected("in the middle of a line")
        return line


class _Answer(http.client.HTTPResponse):
    """The answer that counts, of which the head is whole and the length is a number."""

    def __init__(self, opened: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(opened, *arguments, **options)
        self.fp = _Whole(self.fp.detach())

    def begin(self) -> None:
        super().begin()
        while self.status in range(100, 200):  # what comes before an answer, any number of times
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        lengths = set(self.headers.get_all("content-length", ()))
        if len(lengths) > 1 or not all(map(_LENGTH.fullmatch, lengths)):
            raise http.client.HTTPException("no length")

    def read1(self, size: int = -1, /) -> bytes:
        return self._unless_short(super().read1(size))

    def read(self, size: int | None = None, /) -> bytes:
        return self._unless_short(super().read(size))

    def _unless_short(self, piece: bytes) -> bytes:
        if not piece and self.length:
            raise http.client.IncompleteRead(b"", self.length)
        return piece


class _Connection(http.client.HTTPConnection):
    """Speaks HTTP over a connection that stands already, and opens none."""

    response_class = _Answer
    auto_open = 0


def sent(
    wire: Wire,
    method: str,
    target: Target,
    addresses: Sequence[str],
    limit: Limit,
    *,
    patience: Patience,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """The head of the answer to a request, from the first address that takes the connection.

    The name of `target` is what its certificate is checked against. Raises NotConnected, Broken.
    """
    broken = NotConnected("no address")
    for address in addresses[:MAX_ADDRESSES]:
        if limit.is_over:
            break
        try:
            return wire(Request(method, target, address, patience, headers or {}, content), limit)
        except NotConnected as problem:
            broken = problem
    raise broken


def unpacked(reply: Reply) -> Iterator[bytes]:
    """The body of an answer, in pieces that stay small though it was compressed unasked.

    A packed piece may hold a thousand times its size. Raises Broken.
    """
    encoding = reply.headers.get("content-encoding", "identity").strip().lower()
    if encoding in {"gzip", "x-gzip"}:
        return _gunzipped(reply.pieces())
    return reply.pieces()


def _gunzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    packed = zlib.decompressobj(16 + zlib.MAX_WBITS)
    for piece in pieces:
        rest = piece
        while rest:
            try:
                yield packed.decompress(rest, PIECE_BYTES)
            except zlib.error as problem:
                raise Broken("not gzip, as it says it is") from problem
            rest = packed.unconsumed_tail
