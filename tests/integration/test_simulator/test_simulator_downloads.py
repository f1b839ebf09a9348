"""What a result url serves when a marker asks for something other than the file."""

from __future__ import annotations

import time

import httpx
import pytest

from xai_simulator.mp4_boxes import NotAnMp4, footage


def result(xai, name, **fields):
    return xai.finish(f"x [[sim:{name}]]", **fields)["video"]["url"]


@pytest.mark.parametrize("name", ["short", "short_once", "reset"])
def test_a_download_can_break_off(xai, name):
    url = result(xai, name)
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        httpx.get(url)
    if name == "short_once":
        assert httpx.get(url).status_code == 200
    assert int(httpx.head(url).headers["content-length"]) > 1000


@pytest.mark.parametrize("name", ["truncated", "long"])
def test_a_download_can_be_shorter_than_the_file_says(xai, name, tmp_path):
    content = httpx.get(result(xai, name)).content
    whole = httpx.get(xai.finish()["video"]["url"]).content
    assert len(content) < len(whole) * 0.8


def test_a_download_can_stall_or_drip(xai_with):
    xai = xai_with(time_scale=1)
    for name in ("stall", "drip"):
        began = time.monotonic()
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(result(xai, name), timeout=0.3)
        assert time.monotonic() - began < 60


@pytest.mark.parametrize(
    ("name", "content_type", "begins"),
    [
        ("empty", "video/mp4", b""),
        ("html", "text/html", b"<!doctype html>"),
        ("json", "application/json", b"{"),
        ("notmp4", "video/mp4", b"This only claims"),
        ("octet", "application/octet-stream", b"\0\0\0"),
    ],
)
def test_a_result_url_can_serve_something_else(xai, name, content_type, begins):
    reply = httpx.get(result(xai, name))
    assert reply.status_code == 200
    assert reply.headers["content-type"] == content_type
    assert reply.content.startswith(begins)
    assert bool(reply.content) is (name != "empty")


def test_an_mp4_can_lack_its_moov_box(xai, tmp_path):
    path = tmp_path / "nomoov.mp4"
    path.write_bytes(httpx.get(result(xai, "nomoov")).content)
    with pytest.raises(NotAnMp4, match="no moov box"):
        footage(path)


@pytest.mark.parametrize("name", ["oversize", "oversize_chunked"])
def test_a_result_can_be_larger_than_any_limit(xai_with, name):
    xai = xai_with(oversize_bytes=3 * 2**30)
    with httpx.stream("GET", result(xai, name)) as reply:
        announced = reply.headers.get("content-length")
        assert announced == (str(3 * 2**30) if name == "oversize" else None)
        received = 0
        for chunk in reply.iter_bytes():
            received += len(chunk)
            if received > 20 * 2**20:
                break
    assert received > 20 * 2**20
    assert xai.generate().status_code == 200


def test_an_oversize_result_ends_where_it_was_announced(xai_with):
    xai = xai_with(oversize_bytes=1_000_000)
    for name in ("oversize", "oversize_chunked"):
        assert len(httpx.get(result(xai, name)).content) == 1_000_000


def test_a_result_url_can_redirect(xai):
    reply = httpx.get(result(xai, "redirect"))
    assert reply.status_code == 302
    followed = httpx.get(result(xai, "redirect"), follow_redirects=True)
    assert followed.content[4:8] == b"ftyp"
    private = httpx.get(result(xai, "redirect_private"))
    assert private.headers["location"].startswith("http://169.254.169.254/")
    loop = result(xai, "redirect_loop")
    assert loop.endswith(httpx.get(loop).headers["location"])


def test_a_gone_url_is_replaced_at_the_next_poll(xai):
    request_id = xai.start("x [[sim:gone]]")
    first = xai.ended(request_id).json()["video"]["url"]
    assert xai.poll(request_id).json()["video"]["url"] == first
    assert httpx.get(first).status_code == 404
    second = xai.poll(request_id).json()["video"]["url"]
    assert second != first
    assert httpx.get(second).content[4:8] == b"ftyp"


def test_every_url_of_a_job_can_be_expired(xai):
    request_id = xai.start("x [[sim:expired_url]]")
    for _ in range(2):
        url = xai.ended(request_id).json()["video"]["url"]
        assert httpx.get(url).status_code == 403


def test_a_first_download_can_be_503(xai):
    url = result(xai, "download503")
    assert [httpx.get(url).status_code for _ in range(2)] == [503, 200]
