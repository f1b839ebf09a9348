"""Each clip of a film becomes one request, with all that the script says about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoconductor import planning
from videoconductor.errors import InvalidRequest
from videoconductor.script import compile_film, from_json

FIXTURES = Path(__file__).parents[1] / "fixtures"
SAMPLE = from_json((FIXTURES / "hoa-nightclub.json").read_bytes())
COMPILED = json.loads((FIXTURES / "ring_bodies.json").read_text())
IMAGE = "https://images.example.com/first.png"
SOURCE = "https://clips.example.com/source.mp4"


def film(*clips, **fields):
    document = {"schemaVersion": "1.0", "requestId": "film", **fields}
    made = [
        {"id": f"c{n}", "duration": 5, "prompt": "Rain", **clip} for n, clip in enumerate(clips)
    ]
    return from_json(json.dumps({**document, "clips": made}))


def fields(made, **options):
    [request] = compile_film(made, **options)
    return request.model_dump(mode="json", exclude_unset=True)


BASE = {"prompt": "Rain", "duration": 5, "clipId": "c0", "pipelineRequestId": "film"}
# What the existing compiler passes on although it changes nothing about the clip.
ALWAYS_IDLE = {"persistToFilebase", "imageProvider"}
IDLE_WITHOUT_STILL = {"imageResolution"}
IDLE_IN_A_REMASTER = {"qualityMode", "resolution"}


@pytest.mark.parametrize("remaster", [False, True])
def test_the_sample_becomes_the_existing_compilers_bodies_without_what_has_no_effect(remaster):
    requests = compile_film(SAMPLE, remaster=remaster)
    bodies = COMPILED["remasterBodies" if remaster else "bodies"]
    assert len(requests) == len(bodies) == 5
    for request, body in zip(requests, bodies, strict=True):
        idle = set(ALWAYS_IDLE)
        idle |= IDLE_IN_A_REMASTER if remaster else set()
        idle |= set() if "firstFramePrompt" in body else IDLE_WITHOUT_STILL
        expected = {name: value for name, value in body.items() if name not in idle}
        assert request.model_dump(mode="json", exclude_unset=True) == expected


@pytest.mark.parametrize("remaster", [False, True])
def test_what_is_left_out_changes_no_plan(modes, models, remaster):
    bodies = COMPILED["remasterBodies" if remaster else "bodies"]
    for request, body in zip(compile_film(SAMPLE, remaster=remaster), bodies, strict=True):
        ours = planning.plan(request, modes, models)
        theirs = planning.plan(type(request).model_validate(body), modes, models)
        assert ours.warnings == ()
        assert ours == theirs.model_copy(update={"warnings": ()})


def test_everything_a_clip_can_say_is_in_its_request():
    clip = {
        "aspectRatio": "1:1",
        "firstFrame": {
            "imagePrompt": "Pic",
            "imageModel": "grok-imagine-image",
            "imageResolution": "1k",
            "imageProvider": "xai",
        },
        "video": {
            "provider": "xai",
            "model": "grok-imagine-video",
            "qualityMode": "production",
            "resolution": "720p",
        },
        "thumbnail": {"enabled": True, "overlays": [{"text": "Hi"}]},
        "remaster": {"remasterFromRequestId": "r-1"},
    }
    assert fields(film(clip, purpose=" ad ", refCode="x")) == {
        **BASE,
        "aspectRatio": "1:1",
        "firstFramePrompt": "Pic Aspect ratio 1:1, cinematic still frame, photorealistic, no text "
        "overlays, no watermarks.",
        "imageModel": "grok-imagine-image",
        "imageResolution": "1k",
        "imageProvider": "xai",
        "model": "grok-imagine-video",
        "qualityMode": "production",
        "resolution": "720p",
        "thumbnail": {"enabled": True, "overlays": [{"text": "Hi"}]},
        "remaster": True,
        "remasterFromRequestId": "r-1",
        "purpose": "ad",
        "refCode": "x",
    }


DEFAULTS = {
    "qualityMode": "production",
    "aspectRatio": "4:3",
    "videoResolution": "480p",
    "imageResolution": "2k",
    "imageProvider": "xai",
    "duration": 9,
}


def test_defaults_hold_where_a_clip_is_silent_or_blank():
    assert fields(
        film({"aspectRatio": " ", "firstFrame": {"imagePrompt": "Pic"}}, defaults=DEFAULTS)
    ) == {
        **BASE,
        "firstFramePrompt": "Pic",
        "qualityMode": "production",
        "aspectRatio": "4:3",
        "resolution": "480p",
        "imageResolution": "2k",
    }


def test_a_clip_comes_before_the_defaults():
    clip = {
        "aspectRatio": "9:16",
        "video": {"qualityMode": "draft", "resolution": "720p"},
        "firstFrame": {"imagePrompt": "Pic", "imageResolution": "1k"},
    }
    found = fields(film(clip, defaults=DEFAULTS))
    assert (found["qualityMode"], found["resolution"]) == ("draft", "720p")
    assert (found["aspectRatio"], found["imageResolution"]) == ("9:16", "1k")


def test_a_film_that_says_nothing_leaves_everything_to_the_settings():
    assert fields(film({})) == BASE


def test_an_image_of_ones_own_is_passed_on_without_a_still():
    frame = {"imageUrl": f" {IMAGE} ", "imagePrompt": "Pic", "imageResolution": "1k"}
    found = fields(film({"firstFrame": frame}, defaults=DEFAULTS))
    assert found["imageUrl"] == IMAGE
    assert "firstFramePrompt" not in found
    assert found["imageResolution"] == "1k"


@pytest.mark.parametrize("thumbnail", [{"enabled": False, "overlays": [{"text": "x"}]}, None])
def test_a_thumbnail_that_is_not_wanted_is_not_asked_for(thumbnail):
    assert fields(film({} if thumbnail is None else {"thumbnail": thumbnail})) == BASE


def test_a_clip_with_a_source_is_an_edit_that_starts_from_no_image():
    clip = {
        "firstFrame": {"imagePrompt": "Pic", "imageUrl": IMAGE},
        "remaster": {"sourceVideoUrl": f" {SOURCE}\n"},
    }
    assert fields(film(clip, defaults=DEFAULTS)) == {
        **BASE,
        "remaster": True,
        "sourceVideoUrl": SOURCE,
    }


def test_an_empty_remaster_makes_the_clip_anew():
    assert fields(film({"remaster": {}})) == {**BASE, "remaster": True}


def test_a_source_given_from_outside_beats_the_scripts_own():
    clip = {"remaster": {"sourceVideoUrl": SOURCE, "remasterFromRequestId": "r-1"}}
    found = fields(film(clip), source_video_url=f"{SOURCE}?2")
    assert found["sourceVideoUrl"] == f"{SOURCE}?2"
    assert found["remasterFromRequestId"] == "r-1"


def test_chosen_clips_come_in_the_films_order():
    made = film({}, {}, {})
    assert [r.clip_id for r in compile_film(made, only=["c2", "c0"])] == ["c0", "c2"]


def test_a_chosen_clip_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(InvalidRequest) as refused:
        compile_film(film({}, {}), only=["c1", "c9"])
    [problem] = refused.value.problems
    assert (problem.value, problem.choices) == ("c9", ("c0", "c1"))


def test_prompts_beyond_the_models_bytes_are_refused_where_they_were_written():
    clips = (
        {"prompt": "é" * 2049},
        {"prompt": "", "scene": {"action": "a" * 4089}},
        {"prompt": "", "scene": {"action": "a" * 4088}},
        {"firstFrame": {"imagePrompt": "a" * 4097}},
    )
    with pytest.raises(InvalidRequest) as refused:
        compile_film(film(*clips))
    assert [(p.field, p.message) for p in refused.value.problems] == [
        ("clips[0].prompt", "is 4098 bytes long; at most 4096 are allowed"),
        ("clips[1].scene", "is 4097 bytes long; at most 4096 are allowed"),
        ("clips[3].firstFrame.imagePrompt", "is 4097 bytes long; at most 4096 are allowed"),
    ]
