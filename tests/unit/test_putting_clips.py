"""A clip on its way into S3: in one request, and nothing is committed that was not checked."""

from __future__ import annotations

import re
import ssl
import time

import boto3
import pytest
from botocore.config import Config
from moto import mock_aws

from videoconductor import copying, wiring
from videoconductor.clip import Incoming
from videoconductor.errors import CopyInterrupted, KeyTaken, LibraryUnavailable, NotAClip
from videoconductor.library import Library

KEY = "generated/videos/f/c/draft/r.mp4"
CHUNK = 256 * 1024
CLIP = bytes(range(256)) * 1024 * 6  # six chunks
OK = b'HTTP/1.1 200 OK\r\nETag: "e"\r\nContent-Length: 0\r\n\r\n'


def chunks(content=CLIP, problem=None):
    for at in range(0, len(content), CHUNK):
        yield content[at : at + CHUNK]
    if problem is not None:
        raise problem


@pytest.fixture
def credentials(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def library(credentials):
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="library")
        yield Library("library", s3, "generated/videos", once=lambda: wiring._once(s3))


@pytest.fixture
def plainly(credentials, monkeypatch):
    """A library whose S3 is a server without TLS, as on a person's machine."""

    def made(server):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.origin)
        monkeypatch.setenv("BUCKET_NAME", "library")
        wiring.forget()
        return wiring.library()

    yield made
    wiring.forget()


@pytest.fixture
def securely(credentials, certificate):
    """A library whose S3 is a server with TLS."""

    def made(server):
        s3 = boto3.client(
            "s3",
            endpoint_url=server.origin.replace("127.0.0.1", "localhost"),
            verify=str(certificate("localhost")[0]),
            config=Config(s3={"addressing_style": "path"}),
        )
        once = s3.meta.config.merge(Config(retries={"total_max_attempts": 1}))
        again = boto3.client(
            "s3",
            endpoint_url=s3.meta.endpoint_url,
            verify=str(certificate("localhost")[0]),
            config=once,
        )
        return Library("library", s3, "generated/videos", once=lambda: again)

    return made


@pytest.fixture
def context(certificate):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*certificate("localhost"))
    return made


def to_the_end(taken):
    """Asks for what follows the head, takes all that comes, and answers when the trailer has."""

    def answer(opened):
        opened.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not taken.endswith(b"\r\n0\r\n\r\n"):
            piece = opened.recv(65536)
            if not piece:
                return
            taken.extend(piece)
        opened.sendall(OK)

    return answer


# -- what is committed -----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [len(CLIP), None], ids=["of known length", "of unknown length"])
def test_a_clip_is_there_whole_and_a_second_one_never_takes_its_place(library, length):
    library.put_clip(KEY, Incoming(chunks(), length))
    with pytest.raises(KeyTaken):
        library.put_clip(KEY, Incoming(chunks(CLIP[::-1]), length))
    assert b"".join(library.read(KEY)) == CLIP


@pytest.mark.parametrize("length", [len(CLIP), None], ids=["of known length", "of unknown length"])
@pytest.mark.parametrize("problem", [CopyInterrupted("x"), NotAClip("x")])
def test_what_the_source_raises_comes_through_and_nothing_is_committed(library, length, problem):
    with pytest.raises(type(problem)) as raised:
        library.put_clip(KEY, Incoming(chunks(problem=problem), length))
    assert raised.value is problem
    assert not library.exists(KEY)


@pytest.mark.parametrize("content", [b"a", CLIP[:CHUNK], CLIP[: CHUNK + 1], CLIP])
def test_a_clip_of_any_size_goes_out_in_one_request_without_tls(serve, plainly, content):
    server = serve(OK)
    plainly(server).put_clip(KEY, Incoming(chunks(content), len(content)))
    [request] = server.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /")
    assert b"if-none-match: *" in head.lower()
    assert b"unsigned-payload" in head.lower()
    assert body == content


def test_a_clip_goes_out_in_one_request_with_a_checksum_after_it(serve, securely, context):
    taken = bytearray()
    server = serve(to_the_end(taken), context)
    securely(server).put_clip(KEY, Incoming(chunks(), len(CLIP)))
    [head] = server.requests
    assert b"if-none-match: *" in head.lower()
    assert f"x-amz-decoded-content-length: {len(CLIP)}".encode() in head.lower()
    assert re.search(rb"x-amz-checksum-crc32:[A-Za-z0-9+/]{6}==\r\n\r\n", taken)


@pytest.mark.parametrize("is_secure", [False, True], ids=["http", "https"])
def test_the_end_of_a_clip_is_not_sent_before_all_of_it_was_checked(
    serve, plainly, securely, context, is_secure
):
    taken = bytearray()
    server = serve(to_the_end(taken), context if is_secure else None)
    library = (securely if is_secure else plainly)(server)
    problem = NotAClip("its media is not all there")
    with pytest.raises(NotAClip) as raised:
        library.put_clip(KEY, Incoming(chunks(problem=problem), len(CLIP)))
    assert raised.value is problem
    time.sleep(0.2)
    came = b"".join(server.requests).partition(b"\r\n\r\n")[2] + taken
    assert b"x-amz-checksum" not in came
    assert len(came) < len(CLIP) - CHUNK // 2


@pytest.mark.parametrize("status", [500, 503, 409])
def test_what_s3_fails_at_is_not_tried_again_with_a_body_that_is_gone(serve, plainly, status):
    server = serve(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
    with pytest.raises(LibraryUnavailable, match=str(status)):
        plainly(server).put_clip(KEY, Incoming(chunks(), len(CLIP)))
    assert len(server.requests) == 1


def test_a_key_that_is_taken_may_be_told_before_the_clip_was_read(serve, plainly):
    """S3 may refuse on the head alone. What would have come is read to its end nevertheless."""
    server = serve(b"HTTP/1.1 412 X\r\nContent-Length: 0\r\n\r\n")
    read = []

    def source():
        for chunk in chunks():
            read.append(chunk)
            yield chunk

    with pytest.raises(KeyTaken):
        copying._put(KEY, Incoming(source(), len(CLIP)), plainly(server))
    assert b"".join(read) == CLIP
