"""A film's plan: what every clip will be and cost, or all that is wrong, at its place."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from videoconductor.errors import InvalidRequest
from videoconductor.planning import PlanDefaults
from videoconductor.script import film_plan, from_json, plan_json

FIXTURES = Path(__file__).parents[1] / "fixtures"
SAMPLE = (FIXTURES / "hoa-nightclub.json").read_text()
COMPILED = json.loads((FIXTURES / "ring_bodies.json").read_text())["bodies"]
IMAGE = "https://images.example.com/first.png"
SOURCE = "https://clips.example.com/source.mp4"
CLASSIC, NEW = "grok-imagine-video", "grok-imagine-video-1.5"


def film(*clips, **fields):
    document = {"schemaVersion": "1.0", "requestId": "film", **fields}
    made = [{"id": f"c{n}", "duration": 5, **clip} for n, clip in enumerate(clips)]
    return from_json(json.dumps({**document, "clips": made}))


@pytest.fixture
def planned(modes, models):
    def plan(*clips, defaults=None, options=None, **fields):
        fields |= {} if defaults is None else {"defaults": defaults}
        return film_plan(film(*clips, **fields), modes, models, **(options or {}))

    return plan


@pytest.fixture
def refused(planned):
    def problems(*clips, **fields):
        with pytest.raises(InvalidRequest) as caught:
            planned(*clips, **fields)
        return {problem.field: problem for problem in caught.value.problems}

    return problems


def test_the_samples_plan_is_the_compiled_film_after_auto_select_with_its_price(modes, models):
    document = plan_json(SAMPLE, modes, models).as_document()
    text, still = ("draft", CLASSIC, "480p"), ("draft_i2v", NEW, "480p")
    expected = [
        (*text, 10, 0.5),
        (*text, 10, 0.5),
        (*still, 12, 0.99),
        (*still, 12, 0.99),
        (*still, 15, 1.23),
    ]
    assert list(document) == ["clips", "estimatedCostUsd"]
    assert document["estimatedCostUsd"] == 4.21
    for clip, body, (mode, model, resolution, duration, cost) in zip(
        document["clips"], COMPILED, expected, strict=True
    ):
        assert clip == {
            "clipId": body["clipId"],
            "prompt": body["prompt"],
            "firstFramePrompt": body.get("firstFramePrompt"),
            "qualityMode": mode,
            "model": model,
            "resolution": resolution,
            "duration": duration,
            "aspectRatio": "16:9",
            "operation": "generate",
            "estimatedCostUsd": cost,
            "warnings": [],
        }


def test_the_sample_remastered_is_720p_throughout(modes, models):
    clips = plan_json(SAMPLE, modes, models, remaster=True).as_document()["clips"]
    assert [clip["resolution"] for clip in clips] == ["720p"] * 5
    assert [clip["qualityMode"] for clip in clips] == ["production"] * 2 + ["production_i2v"] * 3
    assert [clip["estimatedCostUsd"] for clip in clips] == [0.7, 0.7, 1.71, 1.71, 2.13]


def test_the_document_is_json_as_it_stands(planned):
    document = planned({"prompt": "Rain"}, {"prompt": "Sun"}).as_document()
    assert json.loads(json.dumps(document)) == document


def test_only_the_chosen_clips_are_planned_and_priced(planned):
    made = planned({"prompt": "Rain"}, {"prompt": "Sun"}, options={"only": ["c1"]})
    assert [clip.request.clip_id for clip in made.clips] == ["c1"]
    assert made.total_usd == Decimal("0.25")


def test_settings_come_after_the_films_defaults(modes, models):
    settings = PlanDefaults(aspect_ratio="9:16")
    silent = film_plan(film({"prompt": "Rain"}), modes, models, settings)
    assert silent.clips[0].plan.aspect_ratio == "9:16"
    saying = film({"prompt": "Rain"}, defaults={"aspectRatio": "1:1"})
    assert film_plan(saying, modes, models, settings).clips[0].plan.aspect_ratio == "1:1"


# -- limits ----------------------------------------------------------------------------------------


def test_the_limits_of_every_clips_model_are_checked_at_their_places(refused):
    found = refused(
        {"prompt": "Rain", "video": {"resolution": "1080p"}},
        {"prompt": "Rain", "aspectRatio": "7:1"},
        {"prompt": "Rain", "video": {"model": "sora"}},
        {"firstFrame": {"imagePrompt": "Pic", "imageModel": "dall-e"}},
        {"prompt": "Rain", "video": {"qualityMode": "draft_i2v"}},
        {"scene": {"camera": " "}},
        {},
        {"prompt": "Rain", "firstFrame": {"imageUrl": "http://10.0.0.1/a.png"}},
    )
    assert list(found) == [
        "clips[0].video.resolution",
        "clips[1].aspectRatio",
        "clips[2].video.model",
        "clips[3].firstFrame.imageModel",
        "clips[4].firstFrame.imageUrl",
        "clips[5].scene",
        "clips[6].prompt",
        "clips[7].firstFrame.imageUrl",
    ]
    assert found["clips[0].video.resolution"].choices == ("480p", "720p")
    assert NEW in found["clips[2].video.model"].choices


def test_a_default_beyond_the_limits_is_named_once_where_it_was_written(refused):
    clips = [{"prompt": "Rain"}] * 30
    found = refused(*clips, defaults={"videoResolution": "1080p", "aspectRatio": "7:1"})
    assert list(found) == ["defaults.aspectRatio", "defaults.videoResolution"]


def test_a_source_that_is_too_long_is_refused_at_its_clip(refused, planned):
    clips = ({"prompt": "Rain"}, {"prompt": "Rain", "remaster": {"sourceVideoUrl": SOURCE}})
    found = refused(*clips, options={"source_seconds": {"c1": Decimal("8.8")}})
    assert list(found) == ["clips[1].remaster.sourceVideoUrl"]
    made = planned(*clips, options={"source_seconds": {"c1": Decimal("8.7")}})
    assert made.clips[1].plan.operation == "edit"
    assert made.clips[1].plan.quality_mode == "production"


def test_a_film_built_in_code_is_checked_like_one_that_was_read(refused, modes, models):
    twice = film({"prompt": "Rain"}).model_copy(
        update={"clips": film({"prompt": "Rain"}).clips * 2}
    )
    with pytest.raises(InvalidRequest, match=r"clips\[1\]\.id"):
        film_plan(twice, modes, models)


# -- warnings --------------------------------------------------------------------------------------


def lines(*said, speaker="pia"):
    return {"scene": {"dialogue": [{"speaker": speaker, "line": line} for line in said]}}


CAST = [{"id": "pia", "description": "Pia"}, {"id": "old_man", "description": "Old {{pia}}"}]


@pytest.mark.parametrize(
    ("clip", "expected"),
    [
        (lines("one two three four five six — seven eight nine ten 11 it's"), []),
        (
            lines("one two three four five six", "seven eight nine ten eleven twelve thirteen"),
            ["clips[0].scene.dialogue: 13 words take about 5.2 s to say, and the clip has 5 s"],
        ),
        (lines("word " * 10) | {"duration": 4}, []),
        (lines("word " * 99) | {"prompt": "Rain"}, []),
        (
            lines("Hi", speaker="the_porter"),
            [
                "clips[0].scene.dialogue[0].speaker: 'the_porter' is not in the cast, which has "
                "pia, old_man; the prompt says 'the porter'"
            ],
        ),
        (lines("Hi", " "), ["clips[0].scene.dialogue[1].line is blank and left out"]),
        (
            {"prompt": "{{pia}} in the rain"},
            [
                "clips[0]: {{pia}} stays in the prompt as it is: names are filled in only in "
                "firstFrame.imagePrompt and scene.action"
            ],
        ),
        (
            {"scene": {"action": "{{old_man}}"}},
            [
                "clips[0]: {{pia}} stays in the prompt as it is: names are filled in only in "
                "firstFrame.imagePrompt and scene.action"
            ],
        ),
        (
            {"prompt": "Rain", "scene": {"action": "{{nobody}}"}},
            ["clips[0].scene.action: {{nobody}} is not in the cast; the text is not used"],
        ),
        (
            {"prompt": "Rain", "firstFrame": {"imageUrl": IMAGE, "imagePrompt": "Pic"}},
            ["clips[0].firstFrame.imagePrompt has no effect: imageUrl is the first frame"],
        ),
        (
            {
                "prompt": "Rain",
                "firstFrame": {"imagePrompt": "Pic"},
                "remaster": {"sourceVideoUrl": SOURCE},
            },
            ["clips[0].firstFrame has no effect: the clip is made from its source video"],
        ),
    ],
)
def test_what_is_odd_but_can_be_made_is_a_warning(planned, clip, expected):
    [made] = planned(clip, cast=CAST).clips
    own = [warning for warning in made.warnings if warning.startswith("clips[")]
    assert own == expected
    assert made.as_document()["warnings"] == list(made.warnings)


@pytest.mark.parametrize(
    ("video", "resolution", "warns"),
    [
        ({"qualityMode": "production"}, "480p", True),
        ({"qualityMode": "production", "resolution": "480p"}, "480p", False),
        ({"qualityMode": "draft"}, "480p", False),
    ],
)
def test_a_default_resolution_that_overrules_a_clips_own_mode_is_pointed_out(
    planned, video, resolution, warns
):
    [made] = planned({"prompt": "Rain", "video": video}, defaults={"videoResolution": "480p"}).clips
    assert made.plan.resolution == resolution
    assert bool(made.warnings) is warns


def test_a_default_resolution_that_overrules_a_default_mode_is_meant(planned):
    defaults = {"qualityMode": "production", "videoResolution": "480p"}
    [made] = planned({"prompt": "Rain"}, defaults=defaults).clips
    assert (made.plan.resolution, made.warnings) == ("480p", ())


def test_warnings_of_the_plan_are_the_clips_too(planned):
    frame = {"imagePrompt": "Pic", "imageModel": "grok-imagine-image-quality"}
    [made] = planned({"prompt": "Rain", "firstFrame": frame}).clips
    assert made.plan.image_model == "grok-imagine-image-2.0"
    assert any("retired" in warning for warning in made.warnings)
