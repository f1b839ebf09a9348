"""Fetching a clip: only from where it is allowed, whole or not at all, within bounds."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
import tracemalloc

import pytest

from tests import wires
from videoconductor import addresses, download, inputs
from videoconductor.addresses import NotConnected
from videoconductor.download import Bounds, Downloads
from videoconductor.errors import CopyInterrupted, NotAClip, SourceNotAllowed, UrlExpired

BODY = b"\0\0\0\x10ftypisom" + bytes(range(256)) * 40
SOURCE = "https://vidgen.x.ai"


def reply(status=200, body=BODY, headers="", *, length=None):
    size = len(body) if length is None else length
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {size}\r\nContent-Type: video/mp4\r\n"
    return f"{head}{headers}\r\n".encode() + body


def fetch(server, path="/a.mp4", *, bounds=None, **options):
    downloads = Downloads([server.origin], bounds, **options)
    with downloads.open(server.origin + path) as incoming:
        return b"".join(incoming.chunks)


class Never:
    """A resolver or wire that must not be asked."""

    def __call__(self, *arguments):
        raise AssertionError("nothing was to be looked up or fetched")


def nothing_fetched(url, origins=(SOURCE,), resolver=None):
    downloads = Downloads(origins, resolver=resolver or Never(), wire=Never())
    with pytest.raises(SourceNotAllowed) as refused, downloads.open(url):
        pass
    assert "secret" not in str(refused.value)


# -- where from ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.com/a.mp4",
        "http://vidgen.x.ai/a.mp4",
        "https://vidgen.x.ai@evil.example.com/a.mp4",
        "https://vidgen.x.ai:secret@evil.example.com/a.mp4",
        "https://secret@vidgen.x.ai/a.mp4",
        "https://vidgen.x.ai:secret@vidgen.x.ai/a.mp4",
        "https://vidgen.x.ai\\@evil.example.com/a.mp4",
        "https://vidgen.x.ai.evil.example.com/a.mp4",
        "https://vidgen.x.ai./a.mp4",
        "https://vidgen.x.ai:8443/a.mp4",
        "https://vidgen.x.ai:80/a.mp4",
        "https://vidgen.x.ai:99999/a.mp4",
        "https://evil.example.com#https://vidgen.x.ai/",
        "https://evil.example.com?https://vidgen.x.ai/",
        "https://evil.example.com/https://vidgen.x.ai/",
        "https://vidgen.x.ai%2eevil.example.com/",
        "https://vidgen.x.ai%00.evil.example.com/",
        "https:/vidgen.x.ai/a.mp4",
        "https:vidgen.x.ai/a.mp4",
        "//vidgen.x.ai/a.mp4",
        "vidgen.x.ai/a.mp4",
        "ftp://vidgen.x.ai/a.mp4",
        "file:///etc/passwd",
        "data:video/mp4;base64,AAAA",
        "https://vidgen.x.ai/a b.mp4",
        "https://vidgen.x.ai/a\r\nHost: evil.example.com",
        "https://v\u0131dgen.x.ai/a.mp4",
        "https://127.0.0.1/a.mp4",
        "https://2130706433/a.mp4",
        "https://0x7f.1/a.mp4",
        "https://[::1]/a.mp4",
        "https://[::ffff:127.0.0.1]/a.mp4",
        "https://[::1/a.mp4",
        "https://169.254.169.254/latest/meta-data",
        "https://xn--/a.mp4",
        "https://" + "a" * 70_000,
        "",
        "https://",
    ],
)
def test_only_origins_on_the_list_are_fetched_from(url):
    nothing_fetched(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://vidgen.x.ai/a.mp4",
        "https://VIDGEN.X.AI/a.mp4",
        "HTTPS://vidgen.x.ai/a.mp4",
        "https://vidgen.x.ai:443/a.mp4",
        "https://vidgen.x.ai/a.mp4?x=https://evil.example.com/#y",
        "https://vidgen.x.ai//evil.example.com/a.mp4",
    ],
)
def test_an_origin_on_the_list_is_fetched_from_in_any_spelling(url):
    seen = []

    def answer(request):
        seen.append(request)
        return wires.reply(200, BODY)

    wire = wires.wire(answer)
    downloads = Downloads([SOURCE], resolver=lambda host, port: ["8.8.8.8"], wire=wire)
    with downloads.open(url) as incoming:
        assert b"".join(incoming.chunks) == BODY
    (request,) = seen
    assert (request.address, request.target.authority) == ("8.8.8.8", "vidgen.x.ai")
    assert request.headers == {}


PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.31.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "::127.0.0.1",
    "nonsense",
]


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("others", [[], ["8.8.8.8"]], ids=["alone", "among others"])
def test_a_name_that_leads_to_a_private_address_is_refused(address, others):
    for found in ([*others, address], [address, *others]):
        nothing_fetched(f"{SOURCE}/a.mp4", resolver=lambda host, port, found=found: found)


def test_a_name_that_leads_nowhere_is_refused_or_tried_again():
    nothing_fetched(f"{SOURCE}/a.mp4", resolver=lambda host, port: [])
    for problem in (socket.gaierror(-2, "x"), TimeoutError(), UnicodeError("label too long")):

        def resolver(host, port, problem=problem):
            raise problem

        with (
            pytest.raises(CopyInterrupted, match="looked up"),
            Downloads([SOURCE], resolver=resolver).open(f"{SOURCE}/a.mp4"),
        ):
            pass


def test_a_name_is_looked_up_once_and_that_address_is_connected_to():
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    seen = []

    def answer(request):
        seen.append(request.address)
        return wires.reply(200, BODY)

    downloads = Downloads(
        [SOURCE],
        resolver=lambda host, port: next(answers),
        wire=wires.wire(answer),
    )
    with downloads.open(f"{SOURCE}/a.mp4") as incoming:
        assert b"".join(incoming.chunks) == BODY
    assert seen == ["8.8.8.8"]
    with pytest.raises(SourceNotAllowed), downloads.open(f"{SOURCE}/a.mp4"):
        pass


def test_the_next_address_is_tried_when_one_takes_no_connection():
    seen = []

    def answer(request):
        seen.append(request.address)
        if request.address == "2606:4700::1":
            raise NotConnected("no route")
        return wires.reply(200, BODY)

    found, wire = ["2606:4700::1", "8.8.8.8", "8.8.4.4"], wires.wire(answer)
    downloads = Downloads([SOURCE], resolver=lambda host, port: found, wire=wire)
    with downloads.open(f"{SOURCE}/a.mp4") as incoming:
        assert b"".join(incoming.chunks) == BODY
    assert seen == ["2606:4700::1", "8.8.8.8"]


def test_an_origin_that_is_an_address_is_meant_as_it_stands(serve):
    assert fetch(serve(reply()), resolver=Never()) == BODY


def test_the_certificate_is_checked_against_the_name_though_an_address_is_connected_to(
    serve, certificate, monkeypatch
):
    monkeypatch.setattr(inputs, "is_public_address", lambda text: True)
    cert, key = certificate("vidgen.x.ai")
    other, _ = certificate("other.x.ai")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    names = []
    context.sni_callback = lambda opened, name, _: names.append(name)
    server = serve(reply(), context)
    trust = ssl.create_default_context()
    trust.load_verify_locations(cert)
    trust.load_verify_locations(other)

    def taken(host, trust):
        wire = addresses.Direct(lambda: trust)
        origin = f"https://{host}:{server.port}"
        downloads = Downloads([origin], resolver=lambda h, p: ["127.0.0.1"], wire=wire)
        with downloads.open(f"{origin}/a.mp4") as incoming:
            return b"".join(incoming.chunks)

    assert taken("vidgen.x.ai", trust) == BODY
    assert names == ["vidgen.x.ai"]
    assert f"host: vidgen.x.ai:{server.port}".encode() in server.requests[0].lower()
    with pytest.raises(CopyInterrupted, match="SSLCertVerificationError"):
        taken("other.x.ai", trust)
    with pytest.raises(CopyInterrupted, match="SSLCertVerificationError"):
        taken("vidgen.x.ai", ssl.create_default_context())
    assert len(server.requests) == 1


def test_the_shipped_client_keeps_no_connection_and_trusts_no_environment(serve, monkeypatch):
    def answer(opened):
        opened.sendall(reply())
        time.sleep(0.5)  # the connection is open, and nobody listens on it any more

    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    server = serve(answer)
    downloads = Downloads([server.origin])
    for _ in range(2):
        with downloads.open(f"{server.origin}/a.mp4") as incoming:
            assert b"".join(incoming.chunks) == BODY
    assert len(server.requests) == 2


# -- what comes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
@pytest.mark.parametrize("target", ["http://169.254.169.254/latest", "/b.mp4", None])
def test_a_redirect_is_not_followed(serve, status, target):
    other = serve(reply())
    location = "" if target is None else f"Location: {target.replace('OTHER', other.origin)}\r\n"
    server = serve(reply(status, b"", location))
    with pytest.raises(SourceNotAllowed, match="redirects"):
        fetch(server)
    assert len(server.requests) == 1


def test_a_redirect_to_another_allowed_origin_is_not_followed_either(serve):
    other = serve(reply())
    server = serve(reply(302, b"", f"Location: {other.origin}/b.mp4\r\n"))
    with pytest.raises(SourceNotAllowed):
        Downloads([server.origin, other.origin]).open(f"{server.origin}/a").__enter__()
    assert other.requests == []


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_url_that_no_longer_works_has_expired(serve, status):
    with pytest.raises(UrlExpired, match=str(status)):
        fetch(serve(reply(status, b"<Error>AccessDenied</Error>")))


@pytest.mark.parametrize("status", [204, 206, 400, 408, 425, 429, 500, 502, 503, 504, 529])
def test_another_status_interrupts_the_copy(serve, status):
    with pytest.raises(CopyInterrupted, match=str(status)):
        fetch(serve(reply(status, b"")))


@pytest.mark.parametrize(
    "kind",
    ["text/html", "text/html; charset=utf-8", "TEXT/Plain", "application/json", "application/xml"],
)
def test_a_page_is_no_clip(serve, kind):
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: {kind}\r\n\r\nhi".encode()
    with pytest.raises(NotAClip, match="serves"):
        fetch(serve(answer))


@pytest.mark.parametrize(
    "kind", ["video/mp4", "application/octet-stream", "binary/octet-stream", ""]
)
def test_any_kind_that_may_hold_a_clip_is_taken(serve, kind):
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(BODY)}\r\nContent-Type: {kind}\r\n\r\n"
    assert fetch(serve(head.encode() + BODY)) == BODY


def test_no_compression_is_asked_for_and_none_is_taken(serve):
    server = serve(reply(200, gzip.compress(BODY), "Content-Encoding: gzip\r\n"))
    with pytest.raises(NotAClip, match="compressed"):
        fetch(server)
    assert b"accept-encoding: identity" in server.requests[0].lower()
    assert fetch(serve(reply(headers="Content-Encoding: Identity\r\n"))) == BODY


def test_a_body_in_chunks_without_a_length_is_taken(serve):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    parts = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (BODY[:7], BODY[7:]))
    assert fetch(serve(head + parts + b"0\r\n\r\n")) == BODY
    with pytest.raises(CopyInterrupted):
        fetch(serve(head + parts))


def test_a_body_that_ends_with_the_connection_is_taken_as_far_as_it_comes(serve):
    assert fetch(serve(b"HTTP/1.1 200 OK\r\n\r\n" + BODY)) == BODY


@pytest.mark.parametrize("missing", [1, 100, len(BODY)])
def test_a_short_body_interrupts_the_copy(serve, missing):
    with pytest.raises(CopyInterrupted):
        fetch(serve(reply(body=BODY[: len(BODY) - missing], length=len(BODY))))


def test_a_body_longer_than_announced_is_never_more_than_was_announced(serve):
    assert fetch(serve(reply(body=BODY, length=100))) == BODY[:100]


def test_a_reset_in_the_middle_interrupts_the_copy(serve):
    def answer(opened):
        opened.sendall(reply(length=10**6))
        time.sleep(0.05)
        raise ConnectionResetError

    with pytest.raises(CopyInterrupted, match="broke"):
        fetch(serve(answer))


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-", b"SSH-2.0\r\n\r\n"])
def test_an_answer_that_is_none_interrupts_the_copy(serve, answer):
    with pytest.raises(CopyInterrupted):
        fetch(serve(answer))


@pytest.mark.parametrize("length", ["-1", "abc", "1, 2", "9" * 5000, "٣"])
def test_a_length_that_is_none_is_no_crash(serve, length):
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n".encode()
    with pytest.raises((CopyInterrupted, NotAClip)):
        fetch(serve(head + BODY))


def test_a_host_that_takes_no_connection_interrupts_the_copy():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(CopyInterrupted, match="ConnectionRefusedError"):
        Downloads([origin]).open(f"{origin}/a.mp4").__enter__()


def test_an_announced_size_over_the_limit_is_refused_before_the_body(serve):
    server = serve(lambda opened: opened.sendall(reply(body=b"", length=1001)))
    with pytest.raises(NotAClip, match="larger than 1000"):
        fetch(server, bounds=Bounds(max_bytes=1000))
    assert fetch(serve(reply(body=b"x" * 1000)), bounds=Bounds(max_bytes=1000)) == b"x" * 1000


def test_a_size_over_the_limit_that_nobody_announced_is_refused_as_it_comes(serve):
    def answer(opened):
        opened.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            opened.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    tracemalloc.start()
    with pytest.raises(NotAClip, match="larger"):
        fetch(serve(answer), bounds=Bounds(max_bytes=2**21))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * 2**20


def test_a_trickle_is_given_up_when_its_time_is_over(serve):
    def answer(opened):
        opened.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            opened.sendall(b"x")
            time.sleep(0.002)

    began = time.monotonic()
    with pytest.raises(CopyInterrupted, match=r"longer than 0\.3 s"):
        fetch(serve(answer), bounds=Bounds(seconds=0.3))
    assert time.monotonic() - began < 2


def test_a_body_that_ends_before_its_first_byte_interrupts_the_copy(serve):
    with pytest.raises(CopyInterrupted, match="0 of some bytes"):
        fetch(serve(b"HTTP/1.1 200 OK\r\n\r\n"))


def test_silence_is_given_up_when_its_time_is_over(serve):
    def answer(opened):
        opened.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nxxx")
        time.sleep(3)

    began = time.monotonic()
    with pytest.raises(CopyInterrupted):
        fetch(serve(answer), bounds=Bounds(seconds=0.3))
    assert time.monotonic() - began < 2


def test_a_body_comes_in_pieces_of_a_useful_size(serve):
    body = b"x" * (3 * download.CHUNK_BYTES)
    server = serve(reply(body=body))
    with Downloads([server.origin]).open(f"{server.origin}/a") as incoming:
        sizes = [len(chunk) for chunk in incoming.chunks]
    assert sum(sizes) == len(body)
    assert len(sizes) <= 4


def test_leaving_early_closes_the_connection(serve):
    gone = []

    def answer(opened):
        opened.sendall(reply(length=10**7))
        try:
            while True:
                opened.sendall(b"x" * 65536)
        except OSError:
            gone.append(True)

    server = serve(answer)
    with Downloads([server.origin]).open(f"{server.origin}/a") as incoming:
        next(incoming.chunks)
    for _ in range(100):
        if gone:
            break
        time.sleep(0.02)
    assert gone
