"""Every refusal in the contract, by status and by words."""

from __future__ import annotations

import httpx
import pytest

CLASSIC = "grok-imagine-video"
NEW = "grok-imagine-video-1.5"
LITE = "grok-imagine-video-1.5-lite"
IMAGE = {"url": "data:image/png;base64,iVBORw0KGgo="}


def refused(reply: httpx.Response, status: int, code: str, text: str) -> None:
    assert reply.status_code == status, reply.text
    body = reply.json()
    assert set(body) == {"code", "error"}
    assert body["code"] == code
    assert text in body["error"]


BAD_VALUES = {
    "a duration of 0": ({"duration": 0}, "Duration must be between 1 and 15 seconds"),
    "a duration of 16": ({"duration": 16}, "Duration must be between 1 and 15 seconds"),
    "a numeric string out of range": (
        {"duration": "16"},
        "Duration must be between 1 and 15 seconds",
    ),
    "the alias seconds out of range": (
        {"seconds": 99},
        "Duration must be between 1 and 15 seconds",
    ),
    "references for 16 s on 1.5": (
        {"model": NEW, "reference_images": [IMAGE], "duration": 16},
        "Duration 16s exceeds the maximum allowed for reference-to-video, which is 15s.",
    ),
    "references for 11 s on classic": (
        {"model": CLASSIC, "reference_images": [IMAGE], "duration": 11},
        "Duration 11s exceeds the maximum allowed for reference-to-video, which is 10s.",
    ),
    "15 references": (
        {"model": NEW, "reference_images": [IMAGE] * 15},
        "Too many reference images: 15. Maximum allowed is 14.",
    ),
    "references on lite": (
        {"model": LITE, "reference_images": [IMAGE]},
        "Reference-to-video is not supported for this model.",
    ),
    "references at 1080p": (
        {"model": NEW, "reference_images": [IMAGE], "resolution": "1080p"},
        "1080p video resolution is not supported for reference-to-video requests.",
    ),
    "1080p on classic": (
        {"model": CLASSIC, "resolution": "1080p"},
        "1080p video resolution is not supported",
    ),
    "voices on classic": (
        {"model": CLASSIC, "reference_audios": [{"voice_id": "ara"}]},
        "`reference_audios` is not supported for this model.",
    ),
    "4 voices": (
        {"model": NEW, "reference_audios": [{"voice_id": "ara"}] * 4},
        "Too many reference audio clips: 4. Maximum allowed is 3.",
    ),
    "a first frame beside references on classic": (
        {"model": CLASSIC, "image": IMAGE, "reference_images": [IMAGE]},
        "cannot be used together",
    ),
    "a last frame on classic": (
        {"model": CLASSIC, "image": IMAGE, "last_frame": IMAGE},
        "`last_frame` is not supported for this model.",
    ),
    "keyframes on lite": (
        {"model": LITE, "duration": 4, "keyframes": [{"image": IMAGE, "timestamp_s": 1}]},
        "`keyframes` is not supported for this model.",
    ),
    "5 keyframes": (
        {"model": NEW, "keyframes": [{"image": IMAGE, "timestamp_s": 1}] * 5, "duration": 9},
        "Too many keyframes: 5. Maximum allowed is 4.",
    ),
    "a keyframe at 0": (
        {"model": NEW, "keyframes": [{"image": IMAGE, "timestamp_s": 0}], "duration": 4},
        "must be greater than 0 and less than the duration",
    ),
    "a keyframe at the end": (
        {"model": NEW, "keyframes": [{"image": IMAGE, "timestamp_s": 4}], "duration": 4},
        "must be greater than 0 and less than the duration",
    ),
    "a keyframe off the grid": (
        {"model": NEW, "keyframes": [{"image": IMAGE, "timestamp_s": 0.5}], "duration": 4},
        "grid of 1/3 second",
    ),
    "a prompt of 4097 bytes": (
        {"prompt": "é" * 2048 + "x"},
        "Prompt length exceeds the maximum allowed length of 4096",
    ),
    "an image over plain http": ({"image": {"url": "http://example.com/a.png"}}, "https"),
    "an image without url and file_id": ({"image": {}}, "exactly one of"),
    "a data url without base64": ({"image": {"url": "data:image/png,abc"}}, "must be base64"),
    "an upload url of another kind": (
        {"output": {"upload_url": "data:image/png;base64,aGk="}},
        "output.upload_url: only public https URLs are supported.",
    ),
    "a data url that is not base64": ({"image": {"url": "data:image/png;base64,@@@"}}, "base64"),
    "an empty file name": ({"storage_options": {"filename": ""}}, "filename"),
    "a file kept too long": (
        {"storage_options": {"filename": "a.mp4", "expires_after": 2592001}},
        "expires_after",
    ),
    "a public url too short": (
        {"storage_options": {"filename": "a.mp4", "public_url": {"expires_after": 3599}}},
        "public_url.expires_after",
    ),
    "an unknown marker": ({"prompt": "[[sim:nonsense]]"}, "no marker 'nonsense'"),
}


@pytest.mark.parametrize("case", BAD_VALUES)
def test_a_bad_value_is_refused_in_the_contracts_words(xai, case):
    fields, text = BAD_VALUES[case]
    reply = xai.post("videos/generations", {"prompt": "a fox", **fields})
    refused(reply, 400, "invalid-argument", text)
    assert xai.simulator.jobs() == []


MISTYPED = {
    "a fractional duration": ({"duration": 7.5}, "floating point `7.5`"),
    "a duration in words": ({"duration": "six"}, "numeric string"),
    "a boolean duration": ({"duration": True}, "boolean `true`"),
    "duration and seconds together": ({"duration": 6, "seconds": 6}, "duplicate field `duration`"),
    "the ratio auto": ({"aspect_ratio": "auto"}, "unknown variant `auto`, expected one of `1:1`"),
    "an unknown resolution": ({"resolution": "4k"}, "unknown variant `4k`"),
    "a bare url as image": ({"image": "https://x.example/a.png"}, "expected struct ImageUrl"),
    "references that are no list": ({"reference_images": {}}, "expected a sequence"),
    "a keyframe without a time": ({"keyframes": [{"image": IMAGE}]}, "missing field `timestamp_s`"),
    "a prompt that is a number": ({"prompt": 5}, "integer `5`"),
    "an output without upload_url": ({"output": {}}, "missing field `upload_url`"),
    "storage without filename": ({"storage_options": {}}, "missing field `filename`"),
    "an image and its alias together": ({"image": IMAGE, "input_reference": IMAGE}, "duplicate"),
}


@pytest.mark.parametrize("case", MISTYPED)
def test_a_wrong_type_is_422_in_plain_text(xai, case):
    fields, text = MISTYPED[case]
    reply = xai.post("videos/generations", {"prompt": "a fox", **fields})
    assert reply.status_code == 422
    assert reply.headers["content-type"].startswith("text/plain")
    assert reply.text.startswith("Failed to deserialize the JSON body into the target type: ")
    assert text in reply.text


def sent(xai, content, path="videos/generations", **headers):
    given = {"content-type": "application/json", **headers}
    return xai.http.post(f"/v1/{path}", content=content, headers=given)


def test_a_field_given_twice_is_422_unless_it_is_unknown(xai):
    reply = sent(xai, b'{"prompt":"a","duration":5,"duration":6}')
    assert (reply.status_code, "duplicate field `duration`" in reply.text) == (422, True)
    assert sent(xai, b'{"prompt":"a","duration":1,"seed":5,"seed":6}').status_code == 200


def test_an_extension_has_no_user(xai):
    body = {"prompt": "on", "video": {"url": xai.asset("in.mp4")}, "user": 5}
    assert xai.post("videos/extensions", body).status_code == 200
    assert xai.post("videos/edits", body).status_code == 422


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json; charset=utf-8", 200),
        ("application/vnd.x+json", 200),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain", 415),
        ("", 415),
    ],
)
def test_a_body_must_be_called_json(xai, kind, status):
    body = b'{"prompt":"a","duration":1}'
    assert sent(xai, body, **{"content-type": kind}).status_code == status


def test_a_body_that_cannot_be_read_is_refused_in_plain_text(xai):
    reply = sent(xai, b"zzz", **{"content-encoding": "gzip"})
    assert (reply.status_code, reply.headers["content-type"][:10]) == (400, "text/plain")
    form = {"content-type": "multipart/form-data; boundary=x"}
    assert sent(xai, b"zzz", "files", **form).status_code == 400
    assert sent(xai, b"zzz", "files", **{"content-type": "multipart/form-data"}).status_code == 400


def test_a_body_without_end_is_413_in_plain_text(xai):
    reply = sent(xai, b'{"prompt":"' + b"a" * (129 * 2**20) + b'"}')
    assert (reply.status_code, reply.headers["content-type"][:10]) == (413, "text/plain")
    assert xai.simulator.jobs() == []


def test_a_wrong_method_is_405_and_told_which_are_right(xai):
    reply = xai.http.put("/v1/videos/generations")
    refused(reply, 405, "method-not-allowed", "Method Not Allowed")
    assert "POST" in reply.headers["allow"]


@pytest.mark.parametrize("path", ["edits", "extensions"])
@pytest.mark.parametrize("field", ["prompt", "video"])
def test_an_edit_without_a_required_field_is_422(xai, path, field):
    body = {"prompt": "bluer", "video": {"url": xai.asset("in.mp4")}}
    del body[field]
    reply = xai.post(f"videos/{path}", body)
    assert reply.status_code == 422
    assert f"missing field `{field}`" in reply.text


def test_broken_json_is_400_in_plain_text(xai):
    headers = {"content-type": "application/json"}
    reply = xai.http.post("/v1/videos/generations", content=b'{"prompt": ', headers=headers)
    assert (reply.status_code, reply.headers["content-type"][:10]) == (400, "text/plain")


def test_a_body_that_is_no_object_is_422(xai):
    assert xai.post("videos/generations", ["a fox"]).status_code == 422


@pytest.mark.parametrize("path", ["videos/generations", "images/edits"])
def test_multipart_is_415_in_plain_text(xai, path):
    reply = xai.http.post(f"/v1/{path}", data={"prompt": "a"}, files={"image": b"x"})
    assert reply.status_code == 415
    assert reply.text == "Expected request with `Content-Type: application/json`"


@pytest.mark.parametrize("path", ["videos/generations", "models", "videos/nonsense"])
def test_a_wrong_key_is_400_and_masked(xai, path):
    key = "xai-1234567890gA"
    send = xai.http.post if path == "videos/generations" else xai.http.get
    reply = send(f"/v1/{path}", headers={"Authorization": f"Bearer {key}"})
    refused(
        reply,
        400,
        "invalid-argument",
        "Incorrect API key provided: xa***gA. You can obtain an API key from https://console.x.ai.",
    )


def test_no_key_is_401(xai):
    reply = httpx.get(f"{xai.simulator.base_url}/models")
    refused(reply, 401, "unauthenticated:no-credentials", "API key")


@pytest.mark.parametrize("model", ["grok-imagine-video-2.0", "", "grok-imagine-image"])
def test_an_unknown_model_is_404(xai, model):
    reply = xai.generate(model=model)
    refused(reply, 404, "not-found", f"The model {model} does not exist or your team")


@pytest.mark.parametrize("path", ["edits", "extensions"])
@pytest.mark.parametrize("model", [NEW, LITE, "grok-imagine-video-1.5-preview"])
def test_only_classic_edits_and_extends(xai, path, model):
    body = {"model": model, "prompt": "bluer", "video": {"url": xai.asset("in.mp4")}}
    reply = xai.post(f"videos/{path}", body)
    refused(reply, 400, "invalid-argument", "Video editing is not supported for this model.")


@pytest.mark.parametrize("duration", [0, 16])
def test_an_extension_out_of_1_to_15_seconds_is_refused(xai, duration):
    body = {"prompt": "on", "video": {"url": xai.asset("in.mp4")}, "duration": duration}
    reply = xai.post("videos/extensions", body)
    refused(reply, 400, "invalid-argument", "Duration must be between 1 and 15 seconds")


def test_an_unknown_request_id_is_404(xai):
    reply = xai.poll("0f0e7f0e-0000-4000-8000-000000000000")
    refused(reply, 404, "not-found", "No deferred video could be found with the given request_id")


def test_a_malformed_request_id_is_400(xai):
    refused(xai.poll("not-a-uuid"), 400, "invalid-argument", "Malformed request ID")


def test_a_zero_data_retention_team_must_give_an_upload_url(xai, xai_with):
    text = "Zero Data Retention teams must provide output.upload_url for video generation."
    refused(xai.generate("x [[sim:zdr]]"), 400, "invalid-argument", text)
    refused(xai_with(zero_data_retention=True).generate(), 400, "invalid-argument", text)
    assert xai.generate("x [[sim:zdr]]", output={"upload_url": xai.asset("put")}).is_success


def test_a_team_without_1080p_is_told_so(xai, xai_with):
    text = "1080p video resolution is not available for your team."
    asked = {"model": NEW, "resolution": "1080p"}
    refused(xai.generate("x [[sim:no1080p]]", **asked), 400, "invalid-argument", text)
    refused(xai_with(full_hd=False).generate(**asked), 400, "invalid-argument", text)


def test_starts_beyond_the_rate_limit_are_429(xai_with):
    xai = xai_with(requests_per_second=2, retry_after=3)
    replies = [xai.generate(model=NEW)]
    while replies[-1].status_code == 200 and len(replies) < 50:  # three at once, on a slow machine
        replies.append(xai.generate(model=NEW))
    refused(replies[-1], 429, "resource-exhausted", f"Too many requests for team {'0' * 8}-")
    text = f"and model {NEW}. Your team's rate limit is — Requests per Second (actual/limit): 2/2."
    assert text in replies[-1].json()["error"]
    assert replies[-1].headers["retry-after"] == "3"
    assert len(xai.simulator.jobs()) == len(replies) - 1 >= 2


def test_every_answer_of_the_api_has_a_trace_id(xai):
    for reply in (xai.generate(), xai.generate(duration=0), xai.http.get("/v1/nothing")):
        assert reply.headers["x-request-id"]


def test_an_unknown_path_is_a_flat_404(xai):
    refused(xai.http.get("/v1/nothing"), 404, "not-found", "Not Found")
