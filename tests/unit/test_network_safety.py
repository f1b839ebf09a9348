"""One way to the outside: hostile servers and resolvers, at each edge that sends requests."""

from __future__ import annotations

import gzip
import ipaddress
import json
import ssl
import threading
import time
import tracemalloc
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests import wires
from videoconductor import addresses, inputs
from videoconductor.addresses import NotConnected, Patience
from videoconductor.download import Bounds, Downloads
from videoconductor.errors import (
    CopyInterrupted,
    NotAClip,
    NotSent,
    ProviderUnavailable,
    ReceiverUnavailable,
    SourceNotAllowed,
    SubmitUnknown,
)
from videoconductor.providers import xai
from videoconductor.providers.xai import Xai
from videoconductor.receivers import Receivers

SECONDS = 0.3
GENEROUS = 8.0  # a busy machine; what is shown is that it ends, not when
OPEN_END = 30.0  # what a hostile server would take


# -- each edge, against one server ---------------------------------------------------------------


def downloaded(origin, wire=None):
    bounds = Bounds(max_bytes=2**20, seconds=SECONDS)
    downloads = Downloads([origin], bounds, wire=wire)
    with downloads.open(f"{origin}/a.mp4") as incoming:
        return sum(map(len, incoming.chunks))


def called_back(origin, wire=None):
    receivers = Receivers(loopback=True, seconds=SECONDS, wire=wire)
    return receivers.post(f"{origin}/take", {"webhook-id": "wh_1"}, b"{}")


def polled(origin, wire=None):
    return Xai(f"{origin}/v1", lambda renew: "key", wire=wire).poll({"requestId": "1"})


@pytest.fixture
def started(plan):
    def start(origin, wire=None):
        lamp = plan(prompt="a lamp")
        return Xai(f"{origin}/v1", lambda renew: "key", wire=wire).start(
            lamp, lambda frame: frame.url, "trace"
        )

    return start


@pytest.fixture
def edges(started, monkeypatch):
    """Each way to the outside, and what it says of an answer that never comes to its end."""
    for bounds in ("_JOB", "_POLL", "_STILL"):
        monkeypatch.setattr(xai, bounds, replace(getattr(xai, bounds), seconds=SECONDS))
    return {
        "download": (downloaded, CopyInterrupted),
        "webhook": (called_back, ReceiverUnavailable),
        "poll": (polled, ProviderUnavailable),
        "post": (started, SubmitUnknown),
    }


EDGES = ["download", "webhook", "poll", "post"]
HEAD = b"HTTP/1.1 200 OK\r\n"


def again(opened, piece, pause=0.02):
    """The same piece until the other side has had enough, or this one's patience ends."""
    end = time.monotonic() + OPEN_END
    while time.monotonic() < end:
        opened.sendall(piece)
        time.sleep(pause)


def silence(opened):
    opened.recv(1)


def a_byte_at_a_time(opened):
    again(opened, b"H")


def headers_that_trickle(opened):
    opened.sendall(HEAD)
    again(opened, b"X-A: b\r\n")


def informational_without_end(opened):
    again(opened, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 0)


SLOW_HEADS = [silence, a_byte_at_a_time, headers_that_trickle, informational_without_end]


def handshake(certificate, host="localhost"):
    """A context that serves for a host, and a wire that trusts it and nobody else."""
    cert, key = certificate(host)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    trust = ssl.create_default_context()
    trust.load_verify_locations(cert)
    return context, addresses.Direct(lambda: trust)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("answer", SLOW_HEADS, ids=lambda answer: answer.__name__)
def test_a_head_that_never_ends_is_hung_up_on_in_time(
    serve, certificate, edges, edge, is_secure, answer
):
    context, wire = handshake(certificate) if is_secure else (None, None)
    server = serve(answer, context)
    call, error = edges[edge]
    began = time.monotonic()
    with pytest.raises(error):
        call(server.origin.replace("127.0.0.1", "localhost"), wire)
    assert time.monotonic() - began < GENEROUS
    assert len(server.requests) == 1


@pytest.mark.parametrize("edge", EDGES)
def test_a_head_without_bounds_is_refused_before_it_fills_the_memory(serve, edges, edge):
    def answer(opened):
        opened.sendall(HEAD)
        again(opened, b"X-A: " + b"b" * 8000, 0)

    call, error = edges[edge]
    server = serve(answer)
    tracemalloc.start()
    try:
        with pytest.raises(error):
            call(server.origin)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 16 * 2**20


class Unwilling:
    """TLS that begins and goes on for ever."""

    def wrap_socket(self, opened, server_side):
        opened.recv(10)
        opened.sendall(b"\x16\x03\x03\x3f\xff")  # a record of so many bytes, which trickle
        again(opened, b"\x02", 0.05)
        raise OSError


@pytest.mark.parametrize("edge", EDGES)
def test_a_handshake_that_trickles_is_hung_up_on_and_nothing_was_sent(serve, edges, edge):
    call, _ = edges[edge]
    began = time.monotonic()
    with pytest.raises(Exception, match=r"reached|answer|longer than") as raised:
        call(serve(silence, Unwilling()).origin)
    assert time.monotonic() - began < GENEROUS
    if edge == "post":
        assert raised.type is NotSent


@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize("edge", ["download", "poll", "post"])
def test_a_body_that_we_hung_up_on_is_not_taken_for_a_whole_one(
    serve, certificate, edges, edge, is_secure
):
    """Without a length a body ends with its connection, whoever ends it."""
    whole = json.dumps({"request_id": "1", "status": "done", "video": {"url": "https://a.b/c"}})

    def answer(opened):
        opened.sendall(HEAD + b"\r\n" + whole.encode())
        opened.recv(1)

    context, wire = handshake(certificate) if is_secure else (None, None)
    server = serve(answer, context)
    call, error = edges[edge]
    with pytest.raises(error, match=r"too long|longer than"):
        call(server.origin.replace("127.0.0.1", "localhost"), wire)


@pytest.mark.parametrize("edge", ["poll", "post"])
def test_a_compressed_answer_is_never_larger_in_memory_than_an_answer_may_be(serve, edges, edge):
    bomb = gzip.compress(b'{"request_id": "' + b"a" * 64 * 2**20)
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    server = serve(head + bomb)
    call, error = edges[edge]
    tracemalloc.start()
    try:
        with pytest.raises(error, match=r"too large|too long"):
            call(server.origin)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 * 2**20


@pytest.mark.parametrize("edge", ["poll", "post"])
@pytest.mark.parametrize(
    "encoding", [b"gzip", b"x-gzip", b"br", b"zstd", b"deflate", b"gzip, gzip"]
)
def test_an_encoding_that_is_not_what_it_says_is_an_answer_of_no_use(serve, edges, edge, encoding):
    head = HEAD + b"Content-Encoding: " + encoding + b"\r\nContent-Length: 9\r\n\r\n"
    call, error = edges[edge]
    with pytest.raises(error):
        call(serve(head + b"\x00not that").origin)


def test_a_download_takes_no_compressed_body_at_all(serve):
    bomb = gzip.compress(bytes(2**20))
    head = HEAD + b"Content-Encoding: br\r\nContent-Length: %d\r\n\r\n" % len(bomb)
    with pytest.raises(NotAClip, match="compressed"):
        downloaded(serve(head + bomb).origin)


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("variable", ["ALL_PROXY", "HTTP_PROXY", "http_proxy"])
def test_no_proxy_of_the_environment_is_gone_through(serve, edges, edge, variable, monkeypatch):
    proxy = serve(HEAD + b"Content-Length: 0\r\n\r\n")
    monkeypatch.setenv(variable, proxy.origin)
    body = b'{"request_id": "1", "status": "pending"}'
    server = serve(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    edges[edge][0](server.origin)
    assert proxy.requests == []
    assert len(server.requests) == 1


@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_edge_follows_a_redirect(serve, edges, edge, status):
    other = serve(HEAD + b"Content-Length: 0\r\n\r\n")
    to = f"Location: {other.origin}/there\r\nContent-Length: 0\r\n\r\n"
    server = serve(f"HTTP/1.1 {status} X\r\n{to}".encode())
    call, error = edges[edge]
    if edge == "webhook":
        assert call(server.origin).status == status
    else:
        with pytest.raises((error, SourceNotAllowed)):
            call(server.origin)
    assert other.requests == []
    assert len(server.requests) == 1


# -- resolvers -----------------------------------------------------------------------------------

URL = "https://vidgen.x.ai/a.mp4"


def way(resolver, seen):
    """A download and a webhook by way of a resolver; what gets as far as a connection is `seen`."""

    def answer(request):
        seen.append(request.address)
        return wires.reply(200, b"clip")

    wire = wires.wire(answer)
    bounds = Bounds(seconds=SECONDS)
    downloads = Downloads(["https://vidgen.x.ai"], bounds, wire=wire, resolver=resolver)
    receivers = Receivers(seconds=SECONDS, wire=wire, resolver=resolver)

    def download():
        with downloads.open(URL) as incoming:
            return b"".join(incoming.chunks)

    return {"download": download, "webhook": lambda: receivers.post(URL, {}, b"{}")}


WAYS = ["download", "webhook"]
FAILURES = (CopyInterrupted, SourceNotAllowed, ReceiverUnavailable)


@pytest.mark.parametrize("kind", WAYS)
def test_a_resolver_that_hangs_is_not_waited_for(kind):
    released, seen = threading.Event(), []

    def resolver(host, port):
        released.wait(OPEN_END)
        return ["8.8.8.8"]

    began = time.monotonic()
    with pytest.raises(FAILURES, match="looked up"):
        way(resolver, seen)[kind]()
    assert time.monotonic() - began < GENEROUS
    released.set()
    assert seen == []


@pytest.mark.parametrize("kind", WAYS)
@pytest.mark.parametrize(
    "answer",
    [
        [],
        ["127.0.0.1"],
        ["8.8.8.8", "10.0.0.1"],
        ["10.0.0.1", "8.8.8.8"],
        ["8.8.8.8"] * 50_000 + ["169.254.169.254"],
        ["8.8.8.8", ""],
        ["8.8.8.8", "vidgen.x.ai"],
        ["8.8.8.8 "],
        ["8.8.8.8\n"],
        ["008.8.8.8"],
        ["8.8.8.8/32"],
        ["2606:4700::1%lo"],
        ["[2606:4700::1]"],
        ["::ffff:8.8.8.8"],
    ],
    ids=lambda answer: ",".join(answer)[:40] or "nothing",
)
def test_one_bad_address_among_thousands_spoils_the_name(kind, answer):
    seen = []
    with pytest.raises(FAILURES, match=r"not public|not lead to a public"):
        way(lambda host, port: answer, seen)[kind]()
    assert seen == []


@pytest.mark.parametrize("kind", WAYS)
def test_of_thousands_of_addresses_a_few_are_tried(kind):
    tried = []

    def answer(request):
        tried.append(request.address)
        raise NotConnected("nobody there")

    many = [str(ipaddress.ip_address("8.8.0.0") + n) for n in range(5000)]
    wire = wires.wire(answer)
    if kind == "download":
        opened = Downloads(["https://vidgen.x.ai"], wire=wire, resolver=lambda *_: many).open(URL)
        with pytest.raises(CopyInterrupted, match="nobody there"), opened:
            pass
    else:
        with pytest.raises(ReceiverUnavailable, match="nobody there"):
            Receivers(wire=wire, resolver=lambda *_: many).post(URL, {}, b"{}")
    assert tried == many[: len(tried)]
    assert 1 <= len(tried) <= addresses.MAX_ADDRESSES


def test_no_further_address_is_tried_when_the_time_is_over():
    tried = []

    def answer(request):
        tried.append(request.address)
        limit.end()
        raise NotConnected("nobody there")

    (_, target), found, patience = addresses.parsed(URL), ["8.8.8.8", "8.8.4.4"], Patience(1, 1, 1)
    with addresses.bounded(60) as limit, pytest.raises(NotConnected):
        addresses.sent(wires.wire(answer), "GET", target, found, limit, patience=patience)
    assert tried == ["8.8.8.8"]


@pytest.mark.parametrize("kind", WAYS)
def test_each_request_looks_anew_and_goes_nowhere_but_where_it_looked(kind):
    answers, seen = iter([["8.8.8.8"], ["127.0.0.1"], ["8.8.4.4"]]), []
    asked = []

    def resolver(host, port):
        asked.append((host, port))
        return next(answers)

    call = way(resolver, seen)[kind]
    call()
    with pytest.raises(FAILURES, match=r"not public|not lead to a public"):
        call()
    call()
    assert seen == ["8.8.8.8", "8.8.4.4"]
    assert asked == [("vidgen.x.ai", 443)] * 3


@pytest.mark.parametrize(
    "problem", [OSError("x"), TimeoutError(), UnicodeError("label too long"), ConnectionError()]
)
@pytest.mark.parametrize("kind", WAYS)
def test_a_resolver_that_fails_is_asked_again_another_time(kind, problem):
    def resolver(host, port):
        raise problem

    with pytest.raises((CopyInterrupted, ReceiverUnavailable), match="looked up"):
        way(resolver, [])[kind]()


# -- addresses, in any notation ------------------------------------------------------------------

# IANA's special-purpose registries (iana.org/assignments/iana-ipv4-special-registry and
# -ipv6-special-registry) where they are not globally reachable, and what wraps an IPv4 address.
REGISTERED = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.2.0/24
192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
::/8 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/32 2001:2::/48 2001:db8::/32 2002::/16 3fff::/20
5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8
"""
NEVER = [ipaddress.ip_network(network) for network in REGISTERED.split()]
ANY = st.one_of(
    st.ip_addresses(),
    st.sampled_from(NEVER).flatmap(lambda network: st.ip_addresses(network=network)),
)


@given(ANY)
@settings(max_examples=300, deadline=None)
@example(ipaddress.ip_address("192.88.99.1"))
@example(ipaddress.ip_address("3fff::1"))
@example(ipaddress.ip_address("fd00:ec2::254"))
def test_no_address_of_the_special_registries_is_public(address):
    if inputs.is_public_address(str(address)):
        assert not any(
            address in network for network in NEVER if network.version == address.version
        )


def test_addresses_of_the_open_internet_are_public():
    for address in ("8.8.8.8", "1.1.1.1", "104.18.0.1", "2606:4700::1111", "2a00:1450:4001::1"):
        assert inputs.is_public_address(address)


def _nobody(request, limit):
    raise AssertionError("nothing was to be sent")


def spellings(address):
    """One IPv4 address in the ways that resolvers and browsers read."""
    number = int(address)
    a, b, c, d = str(address).split(".")
    return [
        str(number),
        hex(number),
        f"0{number:o}",
        f"0x{int(a):x}.0x{int(b):x}.0x{int(c):x}.0x{int(d):x}",
        f"0{int(a):o}.0{int(b):o}.0{int(c):o}.0{int(d):o}",
        f"{a}.{number & 0xFFFFFF}",
        f"{a}.{b}.{number & 0xFFFF}",
        f"{address}.",
        f"[::ffff:{address}]",
        f"[::{address}]",
        f"[64:ff9b::{address}]",
        f"[2002:{number >> 16:x}:{number & 0xFFFF:x}::]",
        f"[::ffff:0:{address}]",
    ]


@given(
    st.sampled_from([n for n in NEVER if n.version == 4]).flatmap(
        lambda network: st.ip_addresses(network=network)
    )
)
@settings(max_examples=60, deadline=None)
@example(ipaddress.ip_address("127.0.0.1"))
@example(ipaddress.ip_address("169.254.169.254"))
def test_a_private_address_is_refused_however_it_is_spelt(address):
    receivers = Receivers(wire=_nobody, resolver=lambda *_: [str(address)])
    for host in [str(address), *spellings(address)]:
        for scheme in ("https", "http"):
            with pytest.raises(ValueError, match=r"public|well-formed|https"):
                inputs.public_url(f"{scheme}://{host}/x")
            with pytest.raises(ReceiverUnavailable, match="public address"):
                receivers.post(f"{scheme}://{host}/", {}, b"")


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://a.localhost/",
        "https://metadata.google.internal/",
        "https://router.lan/",
        "https://one-label/",
        "https://[fe80::1%25eth0]/",
        "https://[fe80::1%eth0]/",
        "https://user@hooks.example.com/",
        "https://:@hooks.example.com/",
        "https://b\u00fccher.example.com/",
        "https://\uff11\uff12\uff17.0.0.1/",
        "https://127\u30020\u30020\u30021/",
        "https://\u2460\u2461\u2466.0.0.1/",
        "https://hooks.example.com:0/",
        "https://hooks.example.com:65536/",
        "https://hooks.example.com:-1/",
        "https://hooks.example.com:\u0661/",
        "https://hooks.example.com%2f@127.0.0.1/",
        "https://hooks.example.com\t.evil.example/",
        "https://hooks.example.com\r\n\r\nGET / HTTP/1.1",
        "https://hooks..example.com/",
        "https://.example.com/",
        "https://" + ".".join(["a" * 63] * 5) + "/",
        "https://" + "a" * 64 + ".example.com/",
        "gopher://hooks.example.com/",
        "HTTPS:hooks.example.com",
        "https:///hooks.example.com",
    ],
)
def test_a_url_that_two_readers_could_read_differently_is_refused(url):
    for check in (inputs.public_url, inputs.callback_url):
        with pytest.raises(ValueError, match=r"public|well-formed|https|user name"):
            check(url)


def test_a_name_in_punycode_is_a_name_like_any_other_and_its_address_is_judged():
    url = "https://xn--bcher-kva.example.com/take"
    assert inputs.callback_url(url) == url
    with pytest.raises(ReceiverUnavailable, match="public address"):
        Receivers(wire=_nobody, resolver=lambda *_: ["10.0.0.1"]).post(url, {}, b"{}")


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
@example("https://[")
@example("https://[::1]]/")
@example("https://a\ud800.example.com/")
def test_any_text_is_a_url_or_a_value_error(text):
    for check in (inputs.origin, inputs.public_url, inputs.callback_url, addresses.parsed):
        for url in (text, f"https://{text}", f"https://example.com/{text}"):
            with suppress(ValueError):
                check(url)
