"""Stills: generated, edited, deferred, withheld, and what they cost."""

from __future__ import annotations

import base64
import io

import httpx
import pytest
from PIL import Image

DOLLAR = 10**10


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def test_a_still_is_a_jpeg_behind_a_url(xai, conforms):
    body = xai.post("images/generations", {"prompt": "a fox"}).json()
    conforms("GeneratedImageResponse", body)
    assert body["usage"] == {"cost_in_usd_ticks": 200_000_000}
    (entry,) = body["data"]
    reply = httpx.get(entry["url"])
    assert reply.headers["content-type"] == entry["mime_type"] == "image/jpeg"
    assert opened(reply.content).format == "JPEG"


def test_base64_is_bare_and_decodes(xai, conforms):
    asked = {"prompt": "a fox", "n": 3, "response_format": "b64_json"}
    body = xai.post("images/generations", asked).json()
    conforms("GeneratedImageResponse", body)
    assert len(body["data"]) == 3
    assert all(opened(base64.b64decode(row["b64_json"])).width for row in body["data"])
    assert all("url" not in row for row in body["data"])
    assert body["usage"]["cost_in_usd_ticks"] == 3 * 200_000_000


@pytest.mark.parametrize(
    ("ratio", "resolution", "size"),
    [
        ("16:9", "1k", (1280, 720)),
        ("9:16", "1k", (720, 1280)),
        ("1:1", "1k", (1024, 1024)),
        ("16:9", "2k", (2816, 1584)),
        ("auto", None, (1024, 1024)),
    ],
)
def test_a_still_has_the_pixels_that_were_recorded(xai, ratio, resolution, size):
    asked = {"prompt": "a fox", "aspect_ratio": ratio, "resolution": resolution}
    body = xai.post("images/generations", asked).json()
    assert opened(httpx.get(body["data"][0]["url"]).content).size == size


@pytest.mark.parametrize(
    ("model", "quality", "dollars"),
    [
        ("grok-imagine-image-2.0", "low", 0.04),
        ("grok-imagine-image-2.0", "medium", 0.06),
        ("grok-imagine-image-quality", None, 0.04),
        ("grok-imagine-image", None, 0.02),
    ],
)
def test_a_still_costs_the_price_of_its_quality(xai, model, quality, dollars):
    body = xai.post("images/generations", {"prompt": "x", "model": model, "quality": quality})
    assert body.json()["usage"]["cost_in_usd_ticks"] == round(dollars * DOLLAR)


@pytest.mark.parametrize("n", [0, 11])
def test_n_is_1_to_10(xai, n):
    reply = xai.post("images/generations", {"prompt": "a fox", "n": n})
    assert reply.status_code == 400
    assert reply.json()["error"] == "n must be between 1 and 10 inclusive"


def test_an_edit_takes_one_image_or_several_but_not_both(xai):
    image = {"url": xai.asset("first.png")}
    edit = {"prompt": "bluer"}
    assert xai.post("images/edits", {**edit, "image": image}).status_code == 200
    assert xai.post("images/edits", {**edit, "images": [image, image]}).status_code == 200
    for wrong in ({}, {"image": image, "images": [image]}, {"images": []}):
        reply = xai.post("images/edits", {**edit, **wrong})
        assert reply.status_code == 400
        assert "Exactly one of `image` or `images`" in reply.json()["error"]


@pytest.mark.parametrize(
    ("model", "most"), [("grok-imagine-image", 3), ("grok-imagine-image-2.0", 5)]
)
def test_an_edit_takes_as_many_images_as_the_model_allows(xai, model, most):
    image = {"url": xai.asset("square.png")}
    asked = {"prompt": "bluer", "model": model}
    assert xai.post("images/edits", {**asked, "images": [image] * most}).status_code == 200
    reply = xai.post("images/edits", {**asked, "images": [image] * (most + 1)})
    assert reply.status_code == 400
    assert f"Maximum allowed is {most}" in reply.json()["error"]


def test_an_edit_keeps_the_ratio_of_its_image(xai):
    body = xai.post("images/edits", {"prompt": "b", "image": {"url": xai.asset("portrait.png")}})
    width, height = opened(httpx.get(body.json()["data"][0]["url"]).content).size
    assert width / height == pytest.approx(9 / 16, rel=0.02)


def test_an_edit_without_a_prompt_is_422_and_a_generation_400(xai):
    image = {"url": xai.asset("first.png")}
    assert "missing field `prompt`" in xai.post("images/edits", {"image": image}).text
    reply = xai.post("images/generations", {})
    assert reply.json()["error"] == "Prompt cannot be empty. Please provide a prompt."


def test_a_deferred_still_is_polled_for(xai_with, conforms):
    xai = xai_with(job_seconds=3, time_scale=1)
    started = xai.post("images/generations", {"prompt": "later", "deferred": True}).json()
    assert set(started) == {"request_id"}
    assert xai.http.get(f"/v1/images/{started['request_id']}").status_code == 202
    body = xai.ended(started["request_id"], "images").json()
    conforms("GeneratedImageResponse", body)
    assert httpx.get(body["data"][0]["url"]).status_code == 200
    assert xai.poll(started["request_id"]).status_code == 404


def test_a_deferred_still_cannot_be_base64(xai):
    asked = {"prompt": "later", "deferred": True, "response_format": "b64_json"}
    assert xai.post("images/generations", asked).status_code == 400


def test_an_unknown_deferred_still_is_404(xai):
    reply = xai.http.get("/v1/images/0f0e7f0e-0000-4000-8000-000000000000")
    assert reply.status_code == 404
    assert reply.json()["error"] == "Unknown request id or the result has expired"


def test_a_moderated_still_is_400_and_billed(xai):
    reply = xai.post("images/generations", {"prompt": "x [[sim:moderated]]"})
    assert reply.status_code == 400
    assert reply.json() == {
        "code": "imagine:content-moderated",
        "error": "Generated image rejected by content moderation.",
        "usage": {"cost_in_usd_ticks": 200_000_000},
    }
    assert [job["billed"] for job in xai.simulator.jobs()] == [True]


def test_a_failed_still_is_an_http_error(xai):
    reply = xai.post("images/generations", {"prompt": "x [[sim:failed]]"})
    assert (reply.status_code, reply.json()["code"]) == (500, "internal-error")


def test_a_still_can_be_lost_after_it_was_paid_for(xai):
    with pytest.raises(httpx.RemoteProtocolError):
        xai.post("images/generations", {"prompt": "x [[sim:lost]]"})
    assert len(xai.simulator.jobs()) == 1


def test_stills_are_put_to_their_upload_urls(xai):
    urls = [xai.asset("put/a.jpg"), xai.asset("put/b.jpg")]
    asked = {"prompt": "x", "n": 2, "output": {"upload_urls": urls}}
    assert xai.post("images/generations", asked).status_code == 200
    assert all(opened(httpx.get(url).content).format == "JPEG" for url in urls)
    for wrong in ({"n": 1}, {"output": {"upload_urls": []}}):
        reply = xai.post("images/generations", {**asked, **wrong})
        assert reply.status_code == 400


def test_stored_stills_have_a_file_each(xai, conforms):
    options = {"filename": "a.jpg", "public_url": {"expires_after": 3600}}
    body = xai.post("images/generations", {"prompt": "x", "n": 2, "storage_options": options})
    conforms("GeneratedImageResponse", body.json())
    files = [row["file_output"] for row in body.json()["data"]]
    assert all(httpx.get(row["public_url"]).status_code == 200 for row in files)
    assert all(row["public_url_expires_at"] for row in files)
