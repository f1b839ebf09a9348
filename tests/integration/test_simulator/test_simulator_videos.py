"""What a job makes: real MP4s of the length, ratio and resolution asked for, at the list price."""

from __future__ import annotations

import base64
import time

import httpx
import pytest

from xai_simulator.frames import ratio_of

CLASSIC = "grok-imagine-video"
NEW = "grok-imagine-video-1.5"
LITE = "grok-imagine-video-1.5-lite"
DOLLAR = 10**10


def test_a_job_goes_from_pending_to_done_as_the_contract_shows(xai_with, conforms):
    xai = xai_with(job_seconds=3, time_scale=1)
    started = xai.generate("a fox")
    assert set(started.json()) == {"request_id"}
    conforms("StartDeferredResponse", started.json())
    request_id = started.json()["request_id"]
    pending = xai.poll(request_id)
    assert pending.status_code == 202
    assert pending.text.startswith('{"status":"pending","progress":')
    conforms("VideoResponse", pending.json())
    done = xai.ended(request_id)
    assert done.status_code == 200
    conforms("VideoResponse", done.json())
    url = done.json()["video"]["url"]
    assert done.json() == {
        "status": "done",
        "video": {"url": url, "duration": 1, "respect_moderation": True},
        "model": CLASSIC,
        "usage": {"cost_in_usd_ticks": 500_000_000},
        "progress": 100,
    }
    assert url.startswith(f"{xai.simulator.origin}/xai-vidgen-bucket/xai-video-")


def test_progress_advances_with_time(xai_with):
    xai = xai_with(job_seconds=2.5, time_scale=1, progress_steps=50)
    request_id = xai.start()
    seen = []
    while (reply := xai.poll(request_id)).status_code == 202:
        seen.append(reply.json()["progress"])
        time.sleep(0.05)
    assert seen == sorted(seen)
    assert len(set(seen)) >= 3
    assert all(0 <= value <= 99 for value in seen)


@pytest.mark.parametrize(
    ("model", "resolution", "ratio", "seconds"),
    [
        (CLASSIC, "480p", "16:9", 15),
        (CLASSIC, "720p", "9:16", 3),
        (NEW, "1080p", "16:9", 2),
        (NEW, "480p", "1:1", 2),
        (LITE, "720p", "4:3", 1),
        (NEW, "720p", "21:9", 1),
        (CLASSIC, "480p", "2:3", 1),
    ],
)
def test_the_mp4_is_what_was_asked_for(xai, probe, model, resolution, ratio, seconds):
    body = xai.finish(
        "Лиса, a fox", model=model, resolution=resolution, aspect_ratio=ratio, duration=seconds
    )
    reply = httpx.get(body["video"]["url"])
    assert reply.headers["content-type"] == "video/mp4"
    assert int(reply.headers["content-length"]) == len(reply.content)
    made = probe(reply.content)
    assert made.codecs == ("h264", "aac")
    assert made.seconds == pytest.approx(seconds, abs=1 / 24)
    assert made.frames == seconds * 24
    assert min(made.size) == int(resolution.removesuffix("p"))
    assert made.size[0] / made.size[1] == pytest.approx(ratio_of(ratio), rel=0.01)


def test_the_index_comes_before_the_frames(xai):
    content = httpx.get(xai.finish()["video"]["url"]).content
    assert content.index(b"moov") < content.index(b"mdat")


def test_generate_audio_false_makes_a_silent_clip(xai, probe):
    url = xai.finish("quiet", generate_audio=False)["video"]["url"]
    assert probe(httpx.get(url).content).codecs == ("h264",)


def test_no_duration_means_8_seconds_at_480p(xai, probe):
    body = xai.finish("defaults", duration=None)
    assert body["video"]["duration"] == 8
    assert probe(httpx.get(body["video"]["url"]).content).size == (854, 480)


@pytest.mark.parametrize("fields", [{"duration": "2"}, {"duration": 2.0}, {"seconds": "2"}])
def test_a_duration_may_be_a_string_and_may_be_called_seconds(xai, fields):
    reply = xai.post("videos/generations", {"prompt": "a fox", **fields})
    assert xai.ended(reply.json()["request_id"]).json()["video"]["duration"] == 2


def test_unknown_fields_are_ignored(xai):
    body = xai.finish("a fox", image_url=xai.asset("first.png"), video={"url": 1}, seed="x")
    assert body["status"] == "done"
    assert xai.simulator.jobs()[0]["task"] == "text-to-video"


@pytest.mark.parametrize(
    ("field", "inner"),
    [("image", "url"), ("input_reference", "url"), ("image", "image_url")],
)
def test_a_clip_from_an_image_has_the_images_ratio(xai, probe, field, inner):
    fields = {field: {inner: xai.asset("portrait.png"), "type": "image_url"}}
    body = xai.finish(None, aspect_ratio="16:9", **fields)
    assert probe(httpx.get(body["video"]["url"]).content).size == (480, 854)
    assert xai.simulator.jobs()[0]["task"] == "image-to-video"


def test_an_image_may_be_a_data_url(xai, probe):
    picture = httpx.get(xai.asset("square.png")).content
    url = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    body = xai.finish("turn", image={"url": url})
    assert probe(httpx.get(body["video"]["url"]).content).size == (480, 480)


def test_an_image_that_cannot_be_read_fails_the_job(xai):
    body = xai.finish("turn", image={"url": xai.asset("in.mp4")})
    assert (body["status"], body["error"]["code"]) == ("failed", "invalid_argument")
    assert xai.simulator.jobs()[0]["cost_usd_ticks"] == 0


def test_text_to_video_without_a_prompt_is_accepted_and_fails(xai, conforms):
    body = xai.finish(None)
    assert body == {
        "status": "failed",
        "error": {
            "code": "invalid_argument",
            "message": "Prompt cannot be empty. Please provide a prompt.",
        },
    }
    conforms("VideoResponse", body)


def test_a_prompt_of_4096_bytes_is_accepted_and_drawn(xai):
    assert xai.finish("слон " * 455 + "x")["status"] == "done"


def test_an_edit_keeps_the_sources_length_and_size(xai, probe):
    body = xai.from_video("edits")
    made = probe(httpx.get(body["video"]["url"]).content)
    assert made.seconds == pytest.approx(4, abs=1 / 24)
    assert made.size == (1280, 720)
    assert made.codecs == ("h264", "aac")
    assert body["usage"]["cost_in_usd_ticks"] == int((4 * 0.07 + 4 * 0.01) * DOLLAR)
    assert body["video"]["duration"] == 4


def test_an_edit_of_a_1080p_clip_comes_out_at_720p(xai, probe):
    source = xai.finish("tall", model=NEW, resolution="1080p", aspect_ratio="9:16")["video"]["url"]
    body = xai.from_video("edits", video={"url": source})
    assert probe(httpx.get(body["video"]["url"]).content).size == (720, 1280)


def test_an_edit_of_more_than_8_7_seconds_fails(xai):
    body = xai.from_video("edits", video={"url": xai.asset("in-9.mp4")})
    assert body["error"]["code"] == "invalid_argument"
    assert "8.7s" in body["error"]["message"]


@pytest.mark.parametrize("path", ["edits", "extensions"])
@pytest.mark.parametrize("asset", ["missing.mp4", "first.png"])
def test_a_bad_video_url_is_accepted_and_fails(xai, path, asset):
    body = xai.from_video(path, video={"url": xai.asset(asset)})
    assert (body["status"], body["error"]["code"]) == ("failed", "invalid_argument")


def test_a_nonsense_video_url_is_accepted_and_fails(xai):
    assert xai.from_video("edits", video={"url": "nonsense"})["status"] == "failed"


def test_an_extension_is_the_source_and_the_tail(xai, probe):
    body = xai.from_video("extensions", duration=2)
    made = probe(httpx.get(body["video"]["url"]).content)
    assert made.seconds == pytest.approx(6, abs=1 / 24)
    assert body["video"]["duration"] == 6
    assert body["usage"]["cost_in_usd_ticks"] == int((2 * 0.07 + 4 * 0.01) * DOLLAR)


def test_an_extension_adds_6_seconds_unless_told(xai):
    assert xai.from_video("extensions")["video"]["duration"] == 10


@pytest.mark.parametrize("duration", [1, 11, 15])
def test_an_extension_out_of_2_to_10_seconds_is_accepted_and_fails(xai, duration):
    body = xai.from_video("extensions", duration=duration)
    assert body["error"]["message"] == "Duration must be between 2 and 10 seconds"


def test_an_extension_of_a_1_second_clip_fails(xai):
    body = xai.from_video("extensions", video={"url": xai.asset("in-1.mp4")})
    assert body["error"]["code"] == "invalid_argument"


def image(xai, name="first.png"):
    return {"url": xai.asset(name)}


PRICES = {
    (CLASSIC, "480p"): 0.05,
    (CLASSIC, "720p"): 0.07,
    (NEW, "480p"): 0.08,
    (NEW, "720p"): 0.14,
    (NEW, "1080p"): 0.25,
    (LITE, "480p"): 0.02,
    (LITE, "720p"): 0.03,
    (LITE, "1080p"): 0.14,
}


@pytest.mark.parametrize(("model", "resolution"), PRICES)
def test_seconds_cost_the_models_price_at_the_resolution(xai, model, resolution):
    body = xai.finish("price", model=model, resolution=resolution, duration=3)
    wanted = round(3 * PRICES[model, resolution] * DOLLAR)
    assert body["usage"]["cost_in_usd_ticks"] == wanted
    assert xai.simulator.jobs()[0]["cost_usd_ticks"] == wanted


def test_each_input_image_costs(xai):
    body = xai.finish(
        "inputs",
        model=NEW,
        duration=2,
        image=image(xai),
        last_frame=image(xai, "last.png"),
        keyframes=[{"image": image(xai, "square.png"), "timestamp_s": 1.333}],
        reference_images=[image(xai), image(xai)],
        reference_audios=[{"voice_id": "ara"}],
    )
    assert body["usage"]["cost_in_usd_ticks"] == round((2 * 0.08 + 5 * 0.01) * DOLLAR)
    assert xai.simulator.jobs()[0]["task"] == "reference-to-video"


def test_voices_alone_are_reference_to_video(xai):
    xai.finish("talk", model=NEW, reference_audios=[{"voice_id": "ara"}])
    assert xai.simulator.jobs()[0]["task"] == "reference-to-video"


def test_a_preview_alias_is_the_model_it_stands_for(xai):
    assert xai.finish(model="grok-imagine-video-1.5-preview")["model"] == NEW


def test_the_finished_file_is_put_to_the_upload_url(xai):
    body = xai.finish("put it", output={"upload_url": xai.asset("put/mine.mp4")})
    delivered = httpx.get(xai.asset("put/mine.mp4")).content
    assert delivered == httpx.get(body["video"]["url"]).content
    assert xai.simulator.jobs()[0]["uploads"] == ["HTTP 200"]


def test_storage_options_give_a_file_with_a_public_url(xai, conforms):
    options = {"filename": "mine.mp4", "expires_after": 3600, "public_url": True}
    body = xai.finish("keep it", storage_options=options)
    conforms("VideoResponse", body)
    kept = body["video"]["file_output"]
    assert kept["filename"] == "mine.mp4"
    assert kept["expires_at"] == pytest.approx(time.time() + 3600, abs=300)
    public = httpx.get(kept["public_url"])
    assert public.content == httpx.get(body["video"]["url"]).content
    assert public.headers["content-type"] == "video/mp4"
    private = xai.finish("private", storage_options={"filename": "b.mp4"})["video"]["file_output"]
    assert "public_url" not in private
    content = xai.http.get(f"/v1/files/{private['file_id']}/content")
    assert content.headers["content-type"] == "video/mp4"
    listed = xai.http.get("/v1/files", params={"filename": "mine.mp4"}).json()["data"]
    assert [row["id"] for row in listed] == [kept["file_id"]]


def test_a_stored_file_expires(xai):
    options = {"filename": "short.mp4", "expires_after": 1, "public_url": True}
    kept = xai.finish(storage_options=options)["video"]["file_output"]
    time.sleep(max(0.0, kept["expires_at"] - time.time()) + 0.1)
    assert httpx.get(kept["public_url"]).status_code == 404
    assert xai.http.get(f"/v1/files/{kept['file_id']}").status_code == 404
    assert xai.http.get("/v1/files").json()["data"] == []


def test_an_uploaded_file_can_be_an_input(xai):
    picture = httpx.get(xai.asset("square.png")).content
    stored = xai.http.post("/v1/files", files={"file": ("a.png", picture, "image/png")}).json()
    assert xai.finish("from a file", image={"file_id": stored["id"]})["status"] == "done"
    unknown = xai.finish("from nowhere", image={"file_id": "file_unknown"})
    assert unknown["status"] == "failed"


def test_result_urls_know_ranges_and_head_and_need_no_key(xai):
    url = xai.finish()["video"]["url"]
    whole = httpx.get(url).content
    part = httpx.get(url, headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert part.headers["content-range"] == f"bytes 4-7/{len(whole)}"
    head = httpx.head(url)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(whole)))
    assert head.headers["content-type"] == "video/mp4"


def test_the_model_lists_name_the_catalogs_models(xai):
    videos = xai.http.get("/v1/video-generation-models").json()["models"]
    assert [row["id"] for row in videos] == [CLASSIC, NEW, LITE]
    assert "grok-imagine-video-1.5-preview" in videos[1]["aliases"]
    images = xai.http.get("/v1/image-generation-models").json()["models"]
    assert [row["id"] for row in images] == ["grok-imagine-image", "grok-imagine-image-2.0"]
    everything = xai.http.get("/v1/models").json()
    assert everything["object"] == "list"
    assert len(everything["data"]) == 5
    single = xai.http.get(f"/v1/video-generation-models/{NEW}-preview").json()
    assert single["id"] == NEW
    assert xai.http.get("/v1/image-generation-models/" + NEW).status_code == 404


def test_twenty_jobs_at_once_all_end(xai, probe):
    ids = [xai.start(f"fox {number}", duration=3) for number in range(20)]
    urls = {xai.ended(request_id).json()["video"]["url"] for request_id in ids}
    assert len(urls) == len(xai.simulator.jobs()) == 20
    assert probe(httpx.get(urls.pop()).content).frames == 72


def test_odd_text_does_no_harm(xai):
    body = b'{"prompt": "\\ud800 \\u0000", "duration": 1}'
    headers = {"content-type": "application/json"}
    reply = xai.http.post("/v1/videos/generations", content=body, headers=headers)
    assert xai.ended(reply.json()["request_id"]).json()["status"] == "done"
    body = b'{"prompt": "x", "aspect_ratio": "\\ud800"}'
    assert xai.http.post("/v1/videos/generations", content=body, headers=headers).status_code == 422
    stored = {"filename": "a b/\u0436.mp4", "public_url": True}
    kept = xai.finish(storage_options=stored)["video"]["file_output"]
    assert httpx.get(kept["public_url"]).status_code == 200
