"""POSTs to callbackUrls: where they may go, and how long they may take."""

from __future__ import annotations

import logging
import socket
import ssl
import time

import pytest

from tests import wires
from videoconductor import addresses, inputs
from videoconductor.errors import ReceiverUnavailable
from videoconductor.receivers import Answer, Receivers

URL = "https://hooks.example.com/take?token=topsecret"
HEADERS = {"webhook-id": "wh_1"}


def reply(status=200, headers="", body=b"taken"):
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    return head.encode() + body


class Never:
    """A resolver or wire that must not be asked."""

    def __call__(self, *arguments):
        raise AssertionError("nothing was to be looked up or sent")


def refused(url, words, *, loopback=False, resolver=None):
    receivers = Receivers(loopback=loopback, wire=Never(), resolver=resolver or Never())
    with pytest.raises(ReceiverUnavailable, match=words) as problem:
        receivers.post(url, HEADERS, b"{}")
    assert "topsecret" not in str(problem.value)
    assert "example" not in str(problem.value)


def sent(server, **options):
    receivers = Receivers(loopback=True, **options)
    return receivers.post(f"{server.origin}/take?token=topsecret", HEADERS, b'{"a": 1}')


# -- where to ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://localhost/",
        "https://db.internal/",
        "https://user:topsecret@hooks.example.com/",
        "https://hooks.example.com\\@127.0.0.1/",
        "ftp://hooks.example.com/",
        "https://hooks.example.com/" + "a" * 2048,
    ],
)
def test_what_is_not_public_https_is_not_sent_to_though_it_is_on_record(url):
    refused(url, "public address")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fc00::1"])
@pytest.mark.parametrize("others", [[], ["8.8.8.8"]], ids=["alone", "among others"])
def test_a_name_that_leads_to_a_private_address_by_now_is_not_sent_to(address, others):
    for found in ([*others, address], [address, *others]):
        refused(URL, "public address", resolver=lambda host, port, found=found: found)
        refused(URL, "public address", resolver=lambda *_, found=found: found, loopback=True)


def test_a_name_that_cannot_be_looked_up_is_tried_again_later():
    def resolver(host, port):
        raise socket.gaierror(-2, "x")

    refused(URL, "looked up", resolver=resolver)
    refused(URL, "public address", resolver=lambda host, port: [])


def test_a_name_is_looked_up_once_and_that_very_address_is_connected_to():
    answers, seen = iter([["8.8.8.8"], ["127.0.0.1"]]), []

    def answer(request):
        seen.append(request)
        return wires.reply(204)

    receivers = Receivers(wire=wires.wire(answer), resolver=lambda host, port: next(answers))

    assert receivers.post(URL, HEADERS, b"{}") == Answer(204)
    [request] = seen
    assert (request.method, request.address) == ("POST", "8.8.8.8")
    assert request.target.authority == request.target.host == "hooks.example.com"
    with pytest.raises(ReceiverUnavailable, match="public address"):
        receivers.post(URL, HEADERS, b"{}")
    assert len(seen) == 1


def test_this_machine_is_called_where_that_is_allowed_and_nowhere_else(serve):
    server = serve(reply())
    assert sent(server) == Answer(200)
    url = f"http://localhost:{server.port}/take"
    assert Receivers(loopback=True).post(url, HEADERS, b"{}").status == 200
    refused(f"{server.origin}/take", "public address")
    refused("http://192.168.1.7/take", "public address", loopback=True)
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /take?token=topsecret HTTP/1.1")
    assert b"webhook-id: wh_1" in head
    assert body == b'{"a": 1}'


def test_the_certificate_is_checked_against_the_name(serve, certificate, monkeypatch):
    monkeypatch.setattr(inputs, "is_public_address", lambda text: True)
    cert, key = certificate("hooks.example.com")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    server = serve(reply(), context)
    trust = ssl.create_default_context()
    trust.load_verify_locations(cert)

    def posted(host):
        wire = addresses.Direct(lambda: trust)
        receivers = Receivers(wire=wire, resolver=lambda *_: ["127.0.0.1"])
        return receivers.post(f"https://{host}:{server.port}/take", HEADERS, b"{}")

    assert posted("hooks.example.com") == Answer(200)
    with pytest.raises(ReceiverUnavailable, match="SSLCertVerificationError"):
        posted("other.example.com")
    assert len(server.requests) == 1


# -- what comes back -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(serve, status):
    other = serve(reply())
    server = serve(reply(status, f"Location: {other.origin}/take\r\n"))
    assert sent(server) == Answer(status)
    assert other.requests == []


def test_a_status_and_a_wish_are_told(serve):
    assert sent(serve(reply(503, "Retry-After: 120\r\n"))) == Answer(503, "120")
    assert sent(serve(reply(410))) == Answer(410)


def test_the_body_of_an_answer_is_not_read(serve):
    def answer(opened):
        opened.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            opened.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    began = time.monotonic()
    assert sent(serve(answer)) == Answer(200)
    assert time.monotonic() - began < 2


def _silence(opened):
    time.sleep(3)


def _trickle(opened):
    opened.sendall(b"HTTP/1.1 200 OK\r\n")
    for _ in range(150):
        opened.sendall(b"X-A: b\r\n")
        time.sleep(0.02)


@pytest.mark.parametrize("answer", [_silence, _trickle], ids=["silence", "a trickle of headers"])
@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
def test_a_slow_receiver_is_given_up_in_time(serve, certificate, answer, is_secure):
    context, wire = None, None
    if is_secure:
        cert, key = certificate("localhost")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        trust = ssl.create_default_context()
        trust.load_verify_locations(cert)
        wire = addresses.Direct(lambda: trust)
    server = serve(answer, context)
    url = f"{server.origin.replace('127.0.0.1', 'localhost')}/take"
    began = time.monotonic()
    with pytest.raises(ReceiverUnavailable, match=r"no answer within 0\.5 s"):
        Receivers(loopback=True, seconds=0.5, wire=wire).post(url, HEADERS, b"{}")
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize("answer", [b"", b"SSH-2.0\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-"])
def test_an_answer_that_is_none_is_tried_again(serve, answer):
    with pytest.raises(ReceiverUnavailable, match=r"RemoteDisconnected|BadStatusLine"):
        sent(serve(answer))


def test_nobody_there_is_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ReceiverUnavailable, match="ConnectionRefusedError"):
        Receivers(loopback=True).post(f"http://127.0.0.1:{port}/", HEADERS, b"{}")


def test_no_url_is_logged_by_the_library_that_sends(serve, caplog):
    with caplog.at_level(logging.DEBUG):
        sent(serve(reply()))
    assert "topsecret" not in caplog.text
