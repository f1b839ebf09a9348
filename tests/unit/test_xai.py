"""xAI on the wire: what each answer proves, and that no more than one request is ever sent."""

from __future__ import annotations

import base64
import gzip
import json
import random
import socket
import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import wires
from videoconductor.addresses import Broken, NotConnected, Patience
from videoconductor.errors import (
    JobNotFound,
    KeyRefused,
    ModerationRejected,
    NotSent,
    OutOfCredits,
    ProviderUnavailable,
    RateLimited,
    RenderExpired,
    RenderFailed,
    RenderRefused,
    SubmitUnknown,
)
from videoconductor.providers import MadeStill, Pending, Ready, xai
from videoconductor.providers.xai import Xai

KEY = "xai-0123456789abcdef"
CUTS = st.integers(0, 600)
SHORT = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ID = "b13f69f3-69f9-928c-ba4b-ab52fba62b36"


def reply(status, body=b"", headers="", *, length=None):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    size = len(content) if length is None else length
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {size}\r\n{headers}\r\n".encode()
    return head + content


def drip(first, then=b" "):
    """Bytes that never end, quickly enough for every socket's patience."""

    def answer(opened):
        opened.sendall(first)
        while True:
            opened.sendall(then)
            time.sleep(0.002)

    return answer


class Keys:
    """A key and how often it was asked for, and asked for anew."""

    def __init__(self, *keys):
        self.keys, self.asked = list(keys) or [KEY], []

    def __call__(self, renew):
        self.asked.append(renew)
        key = self.keys.pop(0) if len(self.keys) > 1 else self.keys[0]
        if isinstance(key, Exception):
            raise key
        return key


class Ticking:
    """A clock that moves a second each time somebody looks."""

    def __init__(self):
        self.at = 0.0

    def __call__(self):
        self.at += 1
        return self.at


def provider(base, keys=None, **options):
    return Xai(f"{base}/v1", keys or Keys(), now=lambda: NOW, **options)


@pytest.fixture
def start(plan):
    def started(base, keys=None, **options):
        return provider(base, keys, **options).start(
            plan(prompt="a lamp"), lambda frame: frame.url, "trace-1"
        )

    return started


def poll(base, keys=None, job=None, **options):
    return provider(base, keys, **options).poll(job or {"requestId": ID})


# -- the POST --------------------------------------------------------------------------------------


def test_an_accepted_job_is_its_request_id(serve, start):
    server = serve(reply(200, {"request_id": ID}))
    assert start(server.origin) == {"requestId": ID}
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/videos/generations HTTP/1.1")
    assert f"authorization: bearer {KEY}".encode() in head.lower()
    assert b"x-client-request-id: trace-1" in head.lower()
    assert b"content-type: application/json" in head.lower()
    assert json.loads(body) == {
        "model": "grok-imagine-video",
        "prompt": "a lamp",
        "duration": 6,
        "aspect_ratio": "16:9",
        "resolution": "480p",
    }


def test_frames_go_out_under_the_urls_they_are_given(plan):
    planned = plan(
        prompt="x",
        model="grok-imagine-video-1.5",
        imageUrl="https://a.example.com/1.png",
        lastFrameUrl="https://a.example.com/2.png",
        referenceImageUrls=["https://a.example.com/3.png"],
    )
    body = xai.body(planned, lambda frame: f"{frame.url}?signed")
    assert body["image"] == {"url": "https://a.example.com/1.png?signed"}
    assert body["last_frame"] == {"url": "https://a.example.com/2.png?signed"}
    assert body["reference_images"] == [{"url": "https://a.example.com/3.png?signed"}]


MESSAGE = "Your team 7 has either used all available credits or reached its monthly spending limit."
RATE = (
    "Too many requests for team 7 and model grok-imagine-video-1.5. Your team's rate limit is - "
    "Requests per Second (actual/limit): 2/2."
)

REFUSALS = {
    "wrong key": (
        400,
        {"code": "invalid-argument", "error": "Incorrect API key provided: xa***gA."},
    ),
    "no key": (401, {"code": "unauthenticated:no-credentials", "error": "No credentials"}),
    "payment": (402, {"error": "Payment required"}),
    "permission": (403, {"code": "permission-denied", "error": "No access to this model"}),
    "model": (404, {"code": "not-found", "error": "The model X does not exist"}),
    "method": (405, b""),
    "too large": (413, b"<html>413</html>"),
    "media type": (415, b"Expected request with `Content-Type: application/json`"),
    "serde": (422, b"Failed to deserialize: unknown variant `auto`, expected one of `16:9`"),
    "nested": (400, {"error": {"message": "Duration must be between 1 and 15", "code": "bad"}}),
    "moderated": (400, {"code": "imagine:content-moderated", "error": "rejected by moderation"}),
    "empty": (400, b""),
    "list": (400, b"[1]"),
}


@pytest.mark.parametrize(("status", "body"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_final_and_in_xais_words(serve, start, status, body):
    server = serve(reply(status, body))
    with pytest.raises(RenderRefused) as refused:
        start(server.origin)
    assert len(server.requests) == 1
    assert str(refused.value)
    if isinstance(body, dict):
        error = body["error"]
        assert str(refused.value) == (error["message"] if isinstance(error, dict) else error)
    assert not isinstance(refused.value, OutOfCredits) or status == 402


def test_a_refusal_carries_xais_code_and_cost(serve, start):
    usage = {"cost_in_usd_ticks": 200_000_000}
    server = serve(reply(400, {"code": "imagine:content-moderated", "error": "x", "usage": usage}))
    with pytest.raises(RenderRefused) as refused:
        start(server.origin)
    assert (refused.value.code, refused.value.cost_ticks) == (
        "imagine:content-moderated",
        200_000_000,
    )


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    "words",
    [
        MESSAGE,
        "Your newly created team doesn't have any credits yet. You can purchase those.",
        "You have run out of credits.",
        "Insufficient funds",
        "Monthly spending limit reached: too many requests",
        "Please check your plan and billing details.",
    ],
)
def test_an_empty_account_is_told_from_a_rate_limit_by_its_words(serve, start, status, words):
    server = serve(reply(status, {"code": "resource-exhausted", "error": words}))
    with pytest.raises(OutOfCredits, match=words[:20]):
        start(server.origin)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "words",
    [
        RATE,
        "Too many requests. Buy credits to raise your rate limit.",
        "Rate limit of 60 requests per minute: https://console.x.ai/team/1/billing raises it.",
        "slow down",
        "",
    ],
)
def test_a_rate_limit_may_be_tried_again(serve, start, words):
    server = serve(reply(429, {"code": "resource-exhausted", "error": words}))
    with pytest.raises(RateLimited):
        start(server.origin)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("Retry-After: 7", 7),
        ("Retry-After: 0", 0),
        ("Retry-After: 1.2", 2),
        ("Retry-After: Sun, 22 Nov 2026 12:01:30 GMT", 90),
        ("Retry-After: Sun, 22 Nov 2026 11:00:00 GMT", 0),
        ("Retry-After: -5", None),
        ("Retry-After: soon", None),
        ("Retry-After: " + "9" * 5000, None),
        ("Retry-After: ٣", None),
        ("Retry-After: Sun, 99 Nov 2026 12:01:30 GMT", None),
    ],
)
def test_retry_after_is_honoured_when_it_can_be_read(start, header, seconds):
    name, _, value = header.partition(":")
    headers = {name.lower(): value.strip()} if header else {}

    def answer(request):
        return wires.reply(429, {"error": RATE}, headers)

    with pytest.raises(RateLimited) as limited:
        start("https://api.example.com", wire=wires.wire(answer))
    assert limited.value.retry_after == seconds


AMBIGUOUS = {
    "200 without an id": reply(200, {}),
    "200 with an empty id": reply(200, {"request_id": ""}),
    "200 with a blank id": reply(200, {"request_id": "  "}),
    "200 with null": reply(200, {"request_id": None}),
    "200 with a number": reply(200, {"request_id": 5}),
    "200 with a list": reply(200, [{"request_id": ID}]),
    "200 with an endless id": reply(200, {"request_id": "a" * 5000}),
    "200 with half a surrogate": reply(200, b'{"request_id": "\\ud800"}'),
    "200 with a line break": reply(200, {"request_id": "a\nb"}),
    "200 that is HTML": reply(200, b"<html>ok</html>"),
    "200 that is empty": reply(200),
    "200 that is nested": reply(200, b"[" * 100_000),
    "200 cut short": reply(200, b'{"request_id": "b13f', length=200),
    "200 cut after the id": reply(200, {"request_id": ID}, length=2000),
    "200 too large": reply(200, b" " * (xai.MAX_REPLY_BYTES + 10) + b'{"request_id": "a"}'),
    "chunks cut short": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
    "headers cut short": b"HTTP/1.1 200 OK\r\nContent-",
    "nothing at all": b"",
    "not HTTP": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "301": reply(301, b"", "Location: /v1/elsewhere\r\n"),
    "302": reply(302, b"", "Location: https://example.com/\r\n"),
    "303": reply(303, b"", "Location: /v1/elsewhere\r\n"),
    "307": reply(307, b"", "Location: /v1/videos/generations\r\n"),
    "308": reply(308, b"", "Location: /v1/videos/generations\r\n"),
    "304": reply(304),
    "408": reply(408, {"error": "timeout"}),
    "409": reply(409, {"error": "conflict"}),
    "425": reply(425, {"error": "too early"}),
    **{
        str(status): reply(status, {"error": "try again"}, "Retry-After: 1\r\n")
        for status in (500, 501, 502, 503, 504, 520, 522, 524, 529, 599)
    },
    "503 with an id": reply(503, {"request_id": ID}),
}


@pytest.mark.parametrize("answer", AMBIGUOUS.values(), ids=AMBIGUOUS)
def test_what_proves_nothing_is_submit_unknown_and_never_sent_again(serve, start, answer):
    server = serve(answer)
    with pytest.raises(SubmitUnknown) as unknown:
        start(server.origin)
    time.sleep(0.01)
    assert len(server.requests) == 1
    assert len(str(unknown.value)) < 1000


def test_a_200_without_an_id_is_kept_in_words_for_the_person_who_looks(serve, start):
    server = serve(reply(200, {"id": "under-another-name"}))
    with pytest.raises(SubmitUnknown, match="under-another-name"):
        start(server.origin)


def test_a_connection_reset_after_sending_is_submit_unknown(serve, start):
    def reset(opened):
        raise ConnectionResetError

    server = serve(reset)
    with pytest.raises(SubmitUnknown):
        start(server.origin)
    assert len(server.requests) == 1


def test_no_answer_in_time_is_submit_unknown(serve, start, monkeypatch):
    monkeypatch.setattr(xai, "_JOB", replace(xai._JOB, patience=Patience(0.2, 0.2, 0.2)))
    server = serve(lambda opened: time.sleep(1))
    with pytest.raises(SubmitUnknown, match="TimeoutError after sending"):
        start(server.origin)
    assert len(server.requests) == 1


def test_an_answer_that_trickles_is_given_up_in_bounded_time(serve, start):
    server = serve(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n"))
    with pytest.raises(SubmitUnknown, match="too long"):
        start(server.origin, clock=Ticking())
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "error"), [(400, RenderRefused), (422, RenderRefused), (429, RateLimited)]
)
def test_a_status_that_proves_a_refusal_does_so_though_its_body_breaks_off(
    serve, start, status, error
):
    server = serve(reply(status, b'{"error": "Durat', length=500))
    with pytest.raises(error):
        start(server.origin)


def test_an_answer_may_be_compressed_against_our_wish(serve, start):
    body = gzip.compress(json.dumps({"request_id": ID}).encode())
    server = serve(reply(200, body, "Content-Encoding: gzip\r\n"))
    assert start(server.origin) == {"requestId": ID}


def test_a_post_that_is_refused_for_a_key_that_was_replaced_may_be_sent_again(serve, start):
    server = serve(reply(400, {"error": "Incorrect API key provided: ol***"}))
    with pytest.raises(NotSent, match="replaced"):
        start(server.origin, Keys("old-key", "new-key"))
    with pytest.raises(RenderRefused, match="Incorrect"):
        start(server.origin, Keys("old-key"))
    assert len(server.requests) == 2


def test_a_202_with_an_id_is_accepted_too(serve, start):
    assert start(serve(reply(202, {"request_id": ID})).origin) == {"requestId": ID}


def test_a_refused_connection_is_not_sent(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotSent, match="ConnectionRefusedError"):
        start(f"http://127.0.0.1:{port}")


def test_a_name_that_cannot_be_looked_up_is_not_sent(start):
    with pytest.raises(NotSent, match="gaierror"):
        start("http://api.x.invalid")


class Rude:
    """Where TLS was expected, something else is spoken."""

    def wrap_socket(self, opened, server_side):
        opened.recv(10)
        opened.sendall(b"this is not TLS")
        raise OSError


def test_a_failed_tls_handshake_is_not_sent(serve, start):
    server = serve(reply(200, {"request_id": ID}), Rude())
    with pytest.raises(NotSent, match="SSLError"):
        start(server.origin)
    assert server.requests == []


def test_a_certificate_nobody_vouches_for_is_not_sent(serve, start, certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate("api.x.ai"))
    server = serve(reply(200, {"request_id": ID}), context)
    with pytest.raises(NotSent):
        start(server.origin)
    assert server.requests == []


@pytest.mark.parametrize(
    ("broken", "error"), [(NotConnected("x"), NotSent), (Broken("x"), SubmitUnknown)]
)
def test_only_a_connection_that_never_was_is_not_sent(start, broken, error):
    def answer(request):
        raise broken

    with pytest.raises(error):
        start("https://api.example.com", wire=wires.wire(answer))


class Choked(socket.socket):
    """A connection that stands, and breaks as soon as a byte is to go over it."""

    problem: Exception

    def sendall(self, *arguments):
        raise self.problem


@pytest.mark.parametrize(
    "problem", [TimeoutError(), BrokenPipeError(), ConnectionResetError(), ssl.SSLError()]
)
def test_a_break_at_the_first_byte_is_submit_unknown(serve, start, monkeypatch, problem):
    server = serve(reply(200, {"request_id": ID}))

    def connected(address, seconds):
        opened = Choked()
        opened.problem = problem
        opened.connect(address)
        return opened

    monkeypatch.setattr(socket, "create_connection", connected)
    with pytest.raises(SubmitUnknown, match=type(problem).__name__):
        start(server.origin)


def test_a_post_that_is_not_taken_is_given_up_in_time_and_is_submit_unknown(
    serve, start, monkeypatch
):
    class Deaf:
        def wrap_socket(self, opened, server_side):
            time.sleep(2)
            raise OSError

    server = serve(reply(200, {"request_id": ID}), Deaf())
    monkeypatch.setattr(xai, "_JOB", replace(xai._JOB, patience=Patience(1, 0.2, 1)))
    monkeypatch.setattr(xai, "body", lambda *_: {"prompt": "a" * 64 * 2**20})
    with pytest.raises(SubmitUnknown, match="TimeoutError"):
        start(server.origin.replace("https", "http"))


class Hasty:
    """Answers to the first bytes of a request, and hangs up on the rest."""

    def __init__(self, answer):
        self.answer = answer

    def wrap_socket(self, opened, server_side):
        opened.recv(10)
        opened.sendall(self.answer)
        raise OSError


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (reply(413, {"error": "too large"}), RenderRefused),
        (reply(429, {"error": RATE}), RateLimited),
        (reply(503, {"error": "try again"}), SubmitUnknown),
        (b"HTTP/1.1 413 Too La", SubmitUnknown),
        (b"", SubmitUnknown),
    ],
)
def test_an_answer_to_a_body_that_was_not_taken_counts(serve, start, monkeypatch, answer, error):
    server = serve(b"", Hasty(answer))
    monkeypatch.setattr(xai, "body", lambda *_: {"prompt": "a" * 16 * 2**20})
    with pytest.raises(error):
        start(server.origin.replace("https", "http"))


@pytest.mark.parametrize("times", [1, 300])
def test_what_comes_before_the_answer_is_not_the_answer(serve, start, times):
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    server = serve(early * times + reply(200, {"request_id": ID}))
    assert start(server.origin) == {"requestId": ID}


def test_the_key_is_in_no_error_though_xai_repeats_it(serve, start):
    for answer in (
        reply(400, {"code": KEY, "error": f"Incorrect API key provided: {KEY}"}),
        reply(422, f"bad header: Bearer {KEY}".encode()),
        reply(500, {"error": {"message": KEY}}),
        reply(200, {"key": KEY}),
        reply(429, {"error": f"{KEY} is too fast"}),
    ):
        with pytest.raises((RenderRefused, SubmitUnknown, RateLimited)) as refused:
            start(serve(answer).origin)
        assert KEY not in f"{refused.value} {getattr(refused.value, 'code', '')}"
        assert "***" in str(refused.value)


def test_what_opens_a_url_is_in_no_error_though_xai_repeats_it(serve, start):
    words = "cannot fetch https://bucket.example.com/a.png?X-Amz-Signature=secret: 403"
    with pytest.raises(RenderRefused) as refused:
        start(serve(reply(400, {"error": words})).origin)
    assert str(refused.value) == "cannot fetch https://bucket.example.com/a.png?*** 403"


def test_words_are_one_short_line_of_text(serve, start):
    words = "a\nb\x1b[31m\ud800" + "c" * 5000
    with pytest.raises(RenderRefused) as refused:
        start(serve(reply(400, {"error": words})).origin)
    text = str(refused.value)
    assert text.startswith("a b [31m?ccc")
    assert (len(text), text.isprintable()) == (xai.MAX_WORDS, True)


def test_a_short_key_spoils_neither_id_nor_url(serve, start):
    server = serve(reply(200, {"request_id": "sim-b13f"}))
    assert start(server.origin, Keys("sim")) == {"requestId": "sim-b13f"}
    done = {"status": "done", "video": {"url": "https://vidgen.x.ai/xai-vidgen-bucket/a.mp4"}}
    answer = poll(serve(reply(200, done)).origin, Keys("xai"))
    assert answer.url == "https://vidgen.x.ai/xai-vidgen-bucket/a.mp4"


@pytest.mark.parametrize("key", ["", " ", "a b", "a\r\nX: y", "schlüssel", "\0"])
def test_a_key_that_fits_no_header_is_read_anew_and_then_refused_unsent(serve, start, key):
    server, keys = serve(reply(200, {"request_id": ID})), Keys(key)
    with pytest.raises(RenderRefused, match="not set, or malformed"):
        start(server.origin, keys)
    assert server.requests == []
    assert keys.asked == [False, True]
    assert start(server.origin, Keys(key, KEY)) == {"requestId": ID}


def test_a_key_that_cannot_be_read_is_not_sent(serve, start):
    server = serve(reply(200, {"request_id": ID}))
    with pytest.raises(NotSent, match="secrets are away"):
        start(server.origin, Keys(ProviderUnavailable("secrets are away")))
    assert server.requests == []


@pytest.mark.parametrize(
    "answer",
    [reply(401, {"error": "x"}), reply(400, {"error": "Incorrect API key provided"})],
)
def test_a_key_refused_on_the_post_is_read_anew_for_the_next(serve, start, answer):
    keys = Keys()
    with pytest.raises(RenderRefused):
        start(serve(answer).origin, keys)
    assert keys.asked == [False, True]


# -- stills ----------------------------------------------------------------------------------------

PICTURE = b"\x89PNG\r\n\x1a\n" + b"\0" * 300
TICKS = 200_000_000
USAGE = {"usage": {"cost_in_usd_ticks": TICKS}}


def image(content=PICTURE, **fields):
    return {"data": [{"b64_json": base64.b64encode(content).decode(), **fields}], **USAGE}


@pytest.fixture
def make_still(plan):
    def made(base, keys=None, **options):
        planned = plan(prompt="it glows", firstFramePrompt="a lamp", aspectRatio="9:16")
        return provider(base, keys, **options).make_still(planned, "r-still-1")

    return made


def test_a_still_is_asked_for_in_the_answer_itself(serve, make_still):
    server = serve(reply(200, image()))
    assert make_still(server.origin) == MadeStill(PICTURE, "image/png", TICKS)
    (request,) = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/images/generations HTTP/1.1")
    assert f"authorization: bearer {KEY}".encode() in head.lower()
    assert b"x-client-request-id: r-still-1" in head.lower()
    assert json.loads(body) == {
        "model": "grok-imagine-image",
        "prompt": "a lamp",
        "n": 1,
        "aspect_ratio": "9:16",
        "response_format": "b64_json",
    }


STILLS = {
    "a JPEG": (image(b"\xff\xd8\xff\xe0more"), "image/jpeg", TICKS),
    "a WebP": (image(b"RIFF\0\0\0\0WEBPmore"), "image/webp", TICKS),
    "called by a wrong type": (image(mime_type="image/jpeg"), "image/png", TICKS),
    "as a data url": (
        {"data": [{"b64_json": "data:image/png;base64," + base64.b64encode(PICTURE).decode()}]},
        "image/png",
        None,
    ),
    "without its cost": ({"data": image()["data"]}, "image/png", None),
    "at a price that is none": (image() | {"usage": {"cost_in_usd_ticks": "2"}}, "image/png", None),
    "the first of two": ({**image(), "data": image()["data"] * 2}, "image/png", TICKS),
    "with a url beside it": (image(url="https://imgen.x.ai/a.png"), "image/png", TICKS),
    "that respects moderation": (image(respect_moderation=True), "image/png", TICKS),
}


@pytest.mark.parametrize(("body", "media_type", "ticks"), STILLS.values(), ids=STILLS)
def test_a_still_is_what_its_bytes_are(serve, make_still, body, media_type, ticks):
    made = make_still(serve(reply(200, body)).origin)
    assert (made.media_type, made.cost_ticks) == (media_type, ticks)


def test_a_still_may_be_larger_than_any_other_answer(serve, make_still):
    large = PICTURE + b"\0" * (8 * 1024 * 1024)
    assert make_still(serve(reply(200, image(large))).origin).content == large


NO_STILL = {
    "no data": {},
    "data of null": {"data": None},
    "data of nothing": {"data": []},
    "data of words": {"data": ["x"]},
    "data that is no list": {"data": {"b64_json": "QUJD"}},
    "null": {"data": [{"b64_json": None}]},
    "nothing": {"data": [{"b64_json": ""}]},
    "a number": {"data": [{"b64_json": 5}]},
    "a url instead": {"data": [{"url": "https://imgen.x.ai/a.png"}]},
    "no base64": {"data": [{"b64_json": "***"}]},
    "base64 cut short": {"data": [{"b64_json": "iVBORw0KG"}]},
    "letters of another script": {"data": [{"b64_json": "иVBO"}]},
    "HTML": image(b"<html>sorry</html>"),
    "a GIF": image(b"GIF89a......"),
    "an MP4": image(b"\0\0\0\x18ftypmp42"),
}


@pytest.mark.parametrize("body", NO_STILL.values(), ids=NO_STILL)
def test_an_answer_without_an_image_is_final_and_its_cost_is_told(serve, make_still, body):
    with pytest.raises(RenderFailed) as failed:
        make_still(serve(reply(200, body | USAGE)).origin)
    assert (failed.value.code, failed.value.cost_ticks) == ("no_image", TICKS)
    assert not isinstance(failed.value, RenderRefused)


WITHHELD = {
    "400": (400, {"code": "imagine:content-moderated", "error": "rejected", **USAGE}),
    "400 of before": (400, {"error": "Generated image rejected by content moderation.", **USAGE}),
    "403": (403, {"error": {"message": "against our safety rules", "code": "x"}, **USAGE}),
    "200": (200, {"data": [{"url": "", "respect_moderation": False}], **USAGE}),
    "200 with the image": (200, image(respect_moderation=False)),
}


@pytest.mark.parametrize(("status", "body"), WITHHELD.values(), ids=WITHHELD)
def test_a_moderated_still_has_a_name_and_a_cost_of_its_own(serve, make_still, status, body):
    server = serve(reply(status, body))
    with pytest.raises(ModerationRejected) as rejected:
        make_still(server.origin)
    assert rejected.value.cost_ticks == TICKS
    assert str(rejected.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "body"),
    [row for name, row in REFUSALS.items() if name != "moderated"],
    ids=[name for name in REFUSALS if name != "moderated"],
)
def test_a_refused_still_is_final_and_in_xais_words(serve, make_still, status, body):
    server = serve(reply(status, body))
    with pytest.raises(RenderRefused) as refused:
        make_still(server.origin)
    assert str(refused.value)
    assert len(server.requests) == 1


def test_a_still_is_limited_and_an_account_empty_as_for_a_job(serve, make_still):
    with pytest.raises(RateLimited) as limited:
        make_still(serve(reply(429, {"error": RATE}, "Retry-After: 7\r\n")).origin)
    assert limited.value.retry_after == 7
    with pytest.raises(OutOfCredits):
        make_still(serve(reply(429, {"error": MESSAGE})).origin)


def test_a_status_that_proves_a_refusal_of_a_still_does_so_though_its_body_breaks_off(
    serve, make_still
):
    with pytest.raises(RenderRefused):
        make_still(serve(reply(400, b'{"error": "Promp', length=500)).origin)


UNCLEAR = {
    name: answer
    for name, answer in AMBIGUOUS.items()
    if not name.startswith("200 with") or name == "200 with a list"
} | {
    "200 with nothing in it": reply(200, {}),
    "a still cut short": reply(200, image(), length=5000),
    "a still too large": reply(200, b" " * (xai.MAX_STILL_REPLY_BYTES + 10)),
}
UNCLEAR.pop("200 too large")


@pytest.mark.parametrize("answer", UNCLEAR.values(), ids=UNCLEAR)
def test_what_proves_nothing_about_a_still_is_submit_unknown(serve, make_still, answer):
    server = serve(answer)
    with pytest.raises(SubmitUnknown) as unknown:
        make_still(server.origin)
    assert len(server.requests) == 1
    assert len(str(unknown.value)) < 1000


def test_a_still_in_an_error_is_not_repeated(serve, make_still):
    with pytest.raises(SubmitUnknown) as unknown:
        make_still(serve(reply(200, image(), length=5000)).origin)
    assert base64.b64encode(PICTURE).decode()[:20] not in str(unknown.value)


def test_a_still_that_trickles_is_given_up_in_bounded_time(serve, make_still):
    server = serve(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n"))
    with pytest.raises(SubmitUnknown, match="too long"):
        make_still(server.origin, clock=Ticking())


def test_a_still_nobody_can_be_asked_for_is_not_sent(make_still, serve):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    listener.close()
    with pytest.raises(NotSent):
        make_still(f"http://127.0.0.1:{port}")
    server = serve(reply(200, image()))
    with pytest.raises(NotSent):
        make_still(server.origin, Keys(ProviderUnavailable("secrets are away")))
    with pytest.raises(RenderRefused):
        make_still(server.origin, Keys(""))
    assert server.requests == []


@pytest.mark.parametrize("answer", [reply(401, {"error": "x"}), reply(400, {"error": "API key"})])
def test_a_key_refused_on_a_still_is_read_anew_for_the_next(serve, make_still, answer):
    keys = Keys()
    with pytest.raises(RenderRefused):
        make_still(serve(answer).origin, keys)
    assert keys.asked == [False, True]


@SHORT
@given(answer=st.binary(max_size=60) | st.sampled_from([json.dumps(image()).encode()]), cut=CUTS)
def test_any_200_to_a_still_is_an_image_or_an_error_the_machine_knows(plan, answer, cut):
    planned = plan(prompt="it glows", firstFramePrompt="a lamp")
    wire = wires.wire(lambda _: wires.reply(200, answer[:cut]))
    try:
        made = provider("https://api.example.com", wire=wire).make_still(planned, "t")
    except RenderRefused:
        pytest.fail("xAI has taken the order")
    except (RenderFailed, SubmitUnknown):
        return
    assert made.content == PICTURE


# -- polls -----------------------------------------------------------------------------------------

PENDING = {
    "202 with progress": (reply(202, {"status": "pending", "progress": 40}), 40),
    "202 without a body": (reply(202), None),
    "202 that is no JSON": (reply(202, b"<html>"), None),
    "202 cut short": (reply(202, b'{"status": "pend', length=100), None),
    "202 with a list": (reply(202, [1]), None),
    "202 that says done": (reply(202, {"status": "done"}), None),
    "200 pending": (reply(200, {"status": "pending", "progress": 0}), 0),
    "200 unheard of": (reply(200, {"status": "polishing", "progress": 99}), 99),
    "200 with a status of null": (reply(200, {"status": None, "progress": 3}), 3),
    "200 with a status that is a list": (reply(200, {"status": ["done"]}), None),
    "200 with no status and no video": (reply(200, {"progress": 5}), 5),
    "progress as text": (reply(202, {"progress": "40"}), None),
    "progress as truth": (reply(202, {"progress": True}), None),
    "progress as NaN": (reply(202, b'{"progress": NaN}'), None),
    "progress endless": (reply(202, b'{"progress": Infinity}'), 100),
    "progress below": (reply(202, {"progress": -4}), 0),
    "progress beyond": (reply(202, {"progress": 10**300}), 100),
    "progress in part": (reply(202, {"progress": 12.7}), 12),
    "progress as object": (reply(202, {"progress": {}}), None),
}


@pytest.mark.parametrize(("answer", "progress"), PENDING.values(), ids=PENDING)
def test_what_is_not_finished_is_pending(serve, answer, progress):
    server = serve(answer)
    assert poll(server.origin) == Pending(progress)
    assert server.requests[0].startswith(f"GET /v1/videos/{ID} HTTP/1.1".encode())
    assert f"authorization: bearer {KEY}".encode() in server.requests[0].lower()


URL = "https://vidgen.x.ai/xai-vidgen-bucket/xai-video-7.mp4"
DONE = {
    "status": "done",
    "video": {"url": URL, "duration": 6, "respect_moderation": True},
    "model": "grok-imagine-video",
    "usage": {"cost_in_usd_ticks": 3_000_000_000},
    "progress": 100,
}


def without(*names, **changes):
    return {name: value for name, value in DONE.items() if name not in names} | changes


READY = {
    "recorded": (DONE, Ready(URL, "grok-imagine-video", 6.0, 3_000_000_000)),
    "without status": (without("status"), Ready(URL, "grok-imagine-video", 6.0, 3_000_000_000)),
    "status null": (without(status=None), Ready(URL, "grok-imagine-video", 6.0, 3_000_000_000)),
    "only a url": ({"status": "done", "video": {"url": URL}}, Ready(URL)),
    "stored": (
        {"status": "done", "video": {"url": None, "file_output": {"public_url": URL}}},
        Ready(URL),
    ),
    "stored beside an empty url": (
        {"status": "done", "video": {"url": "", "file_output": {"public_url": URL}}},
        Ready(URL),
    ),
    "stored beside nonsense": (
        {"status": "done", "video": {"url": {"a": 1}, "file_output": {"public_url": URL}}},
        Ready(URL),
    ),
    "odd extras": (
        {
            "status": "done",
            "video": {"url": URL, "duration": 10**400, "file_output": 5},
            "model": ["x"],
            "usage": {"cost_in_usd_ticks": "much"},
        },
        Ready(URL),
    ),
    "odder extras": (
        {
            "status": "done",
            "video": {"url": URL, "duration": True},
            "model": "",
            "usage": {"cost_in_usd_ticks": -5},
        },
        Ready(URL),
    ),
    "cost in parts": (without("model", usage={"cost_in_usd_ticks": 5e8}, video={"url": URL}),
                      Ready(URL, cost_ticks=500_000_000)),
    "cost beyond reason": (
        without("model", usage={"cost_in_usd_ticks": 10**300}, video={"url": URL}),
        Ready(URL),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "ready"), READY.values(), ids=READY)
def test_a_finished_job_is_ready(serve, body, ready):
    assert poll(serve(reply(200, body)).origin) == ready


BLOCKED = "Generated video rejected by content moderation."
BILLED = {"cost_in_usd_ticks": 2_500_000_000}
MODERATED = {
    "failed": (
        200,
        {
            "status": "failed",
            "error": {"code": "invalid_argument", "message": "content blocked by moderation"},
        },
        None,
    ),
    "done and withheld": (
        200,
        {"status": "done", "video": {"url": "", "respect_moderation": False}, "usage": BILLED},
        2_500_000_000,
    ),
    "done and withheld with null": (
        200,
        {"status": "done", "video": {"url": None, "respect_moderation": False}},
        None,
    ),
    "400": (
        400,
        {"code": "Client specified an invalid argument", "error": BLOCKED, "usage": BILLED},
        2_500_000_000,
    ),
    "400 by code": (400, {"code": "imagine:content-moderated", "error": "no"}, None),
}


@pytest.mark.parametrize(("status", "body", "ticks"), MODERATED.values(), ids=MODERATED)
def test_moderation_has_many_shapes_and_its_cost_is_booked(serve, status, body, ticks):
    with pytest.raises(ModerationRejected) as rejected:
        poll(serve(reply(status, body)).origin)
    assert rejected.value.cost_ticks == ticks


@pytest.mark.parametrize(
    "code",
    [
        "invalid_argument",
        "permission_denied",
        "failed_precondition",
        "service_unavailable",
        "internal_error",
    ],
)
def test_a_failed_job_fails_with_code_and_words(serve, code):
    body = {"status": "failed", "error": {"code": code, "message": "it broke"}, "usage": BILLED}
    with pytest.raises(RenderFailed) as failed:
        poll(serve(reply(200, body)).origin)
    assert type(failed.value) is RenderFailed
    assert (str(failed.value), failed.value.code) == ("it broke", code)
    assert failed.value.cost_ticks == 2_500_000_000


@pytest.mark.parametrize("error", [None, "", [], {}, 5, {"message": None}, {"message": ["x"]}])
def test_a_job_that_failed_without_saying_why_has_failed(serve, error):
    with pytest.raises(RenderFailed) as failed:
        poll(serve(reply(200, {"status": "failed", "error": error})).origin)
    assert str(failed.value)


def test_a_failure_in_flat_words_is_read(serve):
    with pytest.raises(RenderFailed, match="it broke"):
        poll(serve(reply(200, {"status": "failed", "error": "it broke"})).origin)


def test_an_expired_job_has_its_own_name(serve):
    with pytest.raises(RenderExpired):
        poll(serve(reply(200, {"status": "expired", "usage": BILLED})).origin)


@pytest.mark.parametrize(
    "video",
    [
        None,
        {},
        {"url": None},
        {"url": ""},
        {"url": " "},
        {"url": 5},
        {"url": "https://x/\n"},
        {"url": None, "file_output": {"public_url": None, "public_url_error": "quota"}},
        [],
    ],
)
def test_done_without_a_url_fails_and_does_not_wait_for_ever(serve, video):
    with pytest.raises(RenderFailed) as failed:
        poll(serve(reply(200, {"status": "done", "video": video, "usage": BILLED})).origin)
    assert (failed.value.code, failed.value.cost_ticks) == ("no_url", 2_500_000_000)


def test_done_without_a_url_says_what_storage_said(serve):
    video = {"url": None, "storage_error": "quota exceeded"}
    with pytest.raises(RenderFailed, match="quota exceeded"):
        poll(serve(reply(200, {"status": "done", "video": video})).origin)


@pytest.mark.parametrize(
    "answer",
    [
        reply(401, {"error": "no"}),
        reply(403, {"error": "no"}),
        reply(400, {"error": "Incorrect API key provided: xa***gA."}),
        reply(400, b"invalid API key"),
    ],
)
def test_a_key_refused_on_a_poll_is_read_anew(serve, answer):
    keys = Keys()
    with pytest.raises(KeyRefused):
        poll(serve(answer).origin, keys)
    assert keys.asked == [False, True]


def test_a_refused_key_stays_refused_though_the_new_one_cannot_be_read(serve):
    keys = Keys(KEY, ProviderUnavailable("secrets are away"))
    with pytest.raises(KeyRefused):
        poll(serve(reply(401)).origin, keys)


def test_a_key_that_fits_no_header_is_a_refused_one_on_a_poll(serve):
    with pytest.raises(KeyRefused):
        poll(serve(reply(200, DONE)).origin, Keys(""))


@pytest.mark.parametrize("status", [404, 410])
def test_a_job_nobody_knows_is_told_apart(serve, status):
    body = {"error": "No deferred video could be found with the given request_id"}
    with pytest.raises(JobNotFound, match="No deferred video"):
        poll(serve(reply(status, body)).origin)


def test_a_malformed_id_is_final(serve):
    with pytest.raises(RenderFailed, match="Malformed request ID") as failed:
        poll(serve(reply(400, {"code": "x", "error": "Malformed request ID"})).origin)
    assert type(failed.value) is RenderFailed


def test_a_400_with_a_cost_is_not_for_that_reason_moderation(serve):
    body = {"code": "bad", "error": "Prompt cannot be empty.", "usage": {"cost_in_usd_ticks": 0}}
    with pytest.raises(RenderFailed) as failed:
        poll(serve(reply(400, body)).origin)
    assert type(failed.value) is RenderFailed
    assert failed.value.cost_ticks == 0


USELESS = {
    **{
        str(status): reply(status, {"error": "later"})
        for status in (408, 409, 425, 429, 500, 502, 503, 504, 520, 529)
    },
    "429 without credits": reply(429, {"error": MESSAGE}),
    "302": reply(302, b"", "Location: /elsewhere\r\n"),
    "204": reply(204),
    "405": reply(405),
    "400 of a gateway": reply(400, b"<html>Bad Request</html>"),
    "200 without a body": reply(200),
    "200 that is HTML": reply(200, b"<html>"),
    "200 that is a list": reply(200, [DONE]),
    "200 that is null": reply(200, b"null"),
    "200 that is text": reply(200, b'"done"'),
    "200 cut short": reply(200, json.dumps(DONE).encode()[:60], length=400),
    "200 cut short by a byte": reply(
        200, json.dumps(DONE).encode(), length=len(json.dumps(DONE)) + 1
    ),
    "200 with truncated JSON": reply(200, json.dumps(DONE).encode()[:60]),
    "200 nested": reply(200, b"[" * 100_000),
    "200 huge": reply(200, b"x" * (xai.MAX_REPLY_BYTES + 1)),
    "nothing": b"",
    "not HTTP": b"hello\r\n\r\n",
}


@pytest.mark.parametrize("answer", USELESS.values(), ids=USELESS)
def test_an_answer_of_no_use_to_a_poll_means_poll_again(serve, answer):
    with pytest.raises(ProviderUnavailable) as useless:
        poll(serve(answer).origin)
    assert type(useless.value) is ProviderUnavailable


def test_a_poll_that_trickles_is_given_up_in_bounded_time(serve):
    server = serve(drip(b"HTTP/1.1 200 OK\r\nContent-Length: 900000\r\n\r\n"))
    with pytest.raises(ProviderUnavailable):
        poll(server.origin, clock=Ticking())


def test_a_poll_nobody_answers_means_poll_again():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(ProviderUnavailable):
        poll(f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("request_id", ["../models", "a/b", "a?b=c", "a#b", "a%2fb", "é"])
def test_a_request_id_stays_one_segment_of_the_path(serve, request_id):
    server = serve(reply(202))
    poll(server.origin, job={"requestId": request_id})
    path = server.requests[0].split()[1]
    assert path.startswith(b"/v1/videos/")
    assert path.count(b"/") == 3
    assert not {b"?", b"#"} & {path[n : n + 1] for n in range(len(path))}


def test_an_attached_job_is_polled_like_any_other(serve):
    server = serve(reply(202))
    provider(server.origin).poll(provider(server.origin).attach(ID))
    assert ID.encode() in server.requests[0]


def test_no_connection_is_kept_for_the_next_request(serve):
    def answer(opened):
        opened.sendall(reply(202))
        time.sleep(0.5)  # the connection is open, and nobody listens on it any more

    server = serve(answer)
    asked = provider(server.origin)
    assert [asked.poll({"requestId": ID}) for _ in range(2)] == [Pending(), Pending()]
    assert len(server.requests) == 2


def test_no_proxy_of_the_environment_is_used(serve, start, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert start(serve(reply(200, {"request_id": ID})).origin) == {"requestId": ID}


def test_any_answer_to_a_poll_ends_in_something_the_machine_knows(serve):
    known = (Pending, Ready)
    picker = random.Random(11)  # noqa: S311
    values = [
        None,
        True,
        0,
        -1,
        1e300,
        "",
        "x",
        "done",
        "failed",
        [],
        {},
        [1],
        {"url": URL},
        "\ud800",
    ]

    def answer(request):
        body = {
            name: picker.choice(values)
            for name in ("status", "video", "error", "usage", "progress", "model", "code")
            if picker.random() < 0.7
        }
        if picker.random() < 0.6:
            body["status"] = picker.choice(["done", "failed", "expired", "pending"])
        if picker.random() < 0.5:
            body["video"] = {
                name: picker.choice(values)
                for name in ("url", "duration", "respect_moderation", "file_output")
            }
        status = picker.choice([200, 200, 200, 202, 400, 401, 403, 404, 429, 500])
        return wires.reply(status, body)

    for _ in range(3000):
        try:
            found = poll("https://api.example.com", wire=wires.wire(answer))
        except (ProviderUnavailable, RenderFailed) as problem:
            str(problem).encode()
        else:
            assert isinstance(found, known)
            repr(found).encode()
