"""Jobs files: what they may say, and every way to get them wrong, told at once with its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from videoconductor.errors import InvalidRequest
from videoconductor.models import ModelCatalog
from videoconductor.planning import PlanDefaults
from videoconductor.quality import QualityModes
from videoconductor_cli.jobs.plans import (
    Choice,
    PlannedClip,
    Rules,
    clip_notes,
    file_notes,
    planned,
)
from videoconductor_cli.jobs.reading import NOT_HERE, JobsFile, jobs_file

RING = Path(__file__).parents[1] / "fixtures" / "xai-video-jobs.json"
IMAGE = "https://example.com/first.png"
SOURCE = "https://example.com/source.mp4"


@pytest.fixture
def rules(modes: QualityModes, models: ModelCatalog) -> Rules:
    return Rules(modes, models, PlanDefaults())


def clip(**fields: Any) -> dict[str, Any]:
    return {"id": "lamp", "duration": 6, "prompt": "a lamp", **fields}


def file(*clips: Any, **fields: Any) -> JobsFile:
    return jobs_file(json.dumps({"project": "p", "clips": list(clips or (clip(),)), **fields}), "s")


def plans(read: JobsFile, rules: Rules, *flags: str, **choice: Any) -> tuple[PlannedClip, ...]:
    return planned(read, Choice(flags=flags, **choice), rules)


def problems(read: JobsFile, rules: Rules, *flags: str, **choice: Any) -> list[str]:
    with pytest.raises(InvalidRequest) as refused:
        plans(read, rules, *flags, **choice)
    return [str(problem) for problem in refused.value.problems]


def test_ring_s_file_is_read_unchanged(rules: Rules) -> None:
    read = jobs_file(RING.read_text(), "xai-video-jobs")
    clips = plans(read, rules)
    assert read.project == "ring-platform-viral-hoa-nightclub"
    assert [clip.plan.duration for clip in clips] == [10, 10, 12, 12, 15]
    assert {clip.plan.quality_mode for clip in clips} == {"draft"}
    assert {clip.plan.task for clip in clips} == {"text-to-video"}
    assert clips[0].key == "01_hoa_video_call_pains::draft"
    assert list(file_notes(read, rules)) == [
        "modes.production.estimatedUsdPerSecond is not used: it says 0.05, but it is 0.07"
    ]


@pytest.mark.parametrize(
    ("fields", "attribute", "value"),
    [
        ({"aspectRatio": "9:16"}, "aspect_ratio", "9:16"),
        ({"aspect_ratio": "9:16"}, "aspect_ratio", "9:16"),
        ({"duration": 10.0}, "duration", 10),
        ({"duration": None}, "duration", 6),
        ({"image_url": ""}, "task", "text-to-video"),
        ({"imageUrl": "  "}, "task", "text-to-video"),
        ({"image_url": IMAGE}, "quality_mode", "draft_i2v"),
        ({"imageUrl": IMAGE, "notes": "a note"}, "quality_mode", "draft_i2v"),
        ({"source_video_url": SOURCE, "duration": None}, "task", "edit"),
        ({"sourceVideoUrl": SOURCE, "operation": "extend"}, "task", "extend"),
        ({"quality_mode": "prod"}, "quality_mode", "production"),
        ({"qualityMode": "production", "resolution": "480p"}, "resolution", "480p"),
        ({"model": "grok-imagine-video-1.5"}, "model", "grok-imagine-video-1.5"),
        ({"remaster": True}, "quality_mode", "production"),
    ],
)
def test_a_clip_may_be_written_in_both_spellings(
    rules: Rules, fields: dict[str, Any], attribute: str, value: Any
) -> None:
    [found] = plans(file(clip(**fields)), rules)
    assert getattr(found.plan, attribute) == value


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"id": None}, "clips[0].id: is required"),
        ({"id": ""}, "clips[0].id: '' must have 1 to 128 characters (384 bytes)"),
        ({"id": "a/b"}, "clips[0].id: 'a/b' must not contain '/'"),
        ({"id": 7}, "clips[0].id: 7 is refused: input should be a valid string"),
        ({"duration": 7.5}, "clips[0].duration: 7.5 must be whole seconds"),
        ({"duration": "6"}, "clips[0].duration: '6' is refused: input should be a valid integer"),
        ({"duration": 16}, "clips[0].duration: 16 must be 1 to 15 whole seconds"),
        ({"duration": True}, "clips[0].duration: True is refused"),
        ({"aspect_ratio": "5:4"}, "clips[0].aspect_ratio: '5:4' is not offered by"),
        ({"prompt": ""}, "clips[0].prompt: is empty"),
        ({"prompt": None}, "clips[0].prompt: is required for text-to-video"),
        ({"prompt": "x" * 5000}, "clips[0].prompt: is 5000 bytes long; at most 4096 are allowed"),
        ({"image_url": "http://example.com/a.png"}, "clips[0].image_url: 'http://example.com/a"),
        ({"imageUrl": 5}, "clips[0].imageUrl: 5 is refused"),
        ({"quality_mode": "best"}, "clips[0].quality_mode: 'best' is not a quality mode; choose"),
        ({"promt": "x"}, "clips[0].promt: is not a known field; choose one of: prompt"),
        ({"zzz": 1}, "clips[0].zzz: is not a known field; choose one of: id, aspectRatio,"),
        (
            {"imageUrl": IMAGE, "image_url": IMAGE},
            "clips[0].image_url: is given as imageUrl too",
        ),
        ({"firstFramePrompt": "x"}, "clips[0].firstFramePrompt: is not known here: no stills are"),
        ({"max_cost_usd": 1}, "clips[0].max_cost_usd: is not known here: is the option --max-cost"),
        ({"operation": "paint"}, "clips[0].operation: 'paint' is not allowed; choose one of: gen"),
    ],
)
def test_what_is_wrong_with_a_clip_is_told_with_its_place(
    rules: Rules, fields: dict[str, Any], problem: str
) -> None:
    found = problems(file(clip(**fields)), rules)
    assert found[0].startswith(problem)
    assert len(found) == 1


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"clips": [clip()], "projekt": "p"}, "projekt: is not a known field; choose one of: proj"),
        ({"clips": [clip()], "project": 5}, "project: 5 must be a text"),
        ({"clips": [clip()], "project": "a/b"}, "project: 'a/b' must not contain"),
        ({"clips": []}, "clips: must be a list of at least one clip"),
        ({"clips": {}}, "clips: must be a list of at least one clip"),
        ({}, "clips: is required"),
        ({"clips": ["lamp"]}, "clips[0]: must be an object"),
        ({"clips": [clip()], "modes": [1]}, "modes: must be an object of objects"),
        ({"clips": [clip()], "defaultQualityMode": 5}, "defaultQualityMode: 5 must be the name"),
        ({"clips": [clip()], "defaultQualityMode": "x"}, "defaultQualityMode: 'x' is not a qual"),
        ({"clips": [clip(), clip()]}, "clips[1].id: 'lamp' is the id of clips[0] too"),
    ],
)
def test_what_is_wrong_with_the_file_is_told_too(
    rules: Rules, document: dict[str, Any], problem: str
) -> None:
    [found] = problems(jobs_file(json.dumps(document), "stem"), rules)
    assert found.startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "body: is not JSON"),
        ("[]", "body: .* must be a JSON object"),
        ('{"clips": [], "clips": []}', "clips: is given twice"),
        ('{"clips": NaN}', "body: is not JSON"),
    ],
)
def test_what_is_no_json_object_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        jobs_file(text, "stem")


def test_all_problems_are_told_at_once(rules: Rules) -> None:
    read = file(
        clip(duration=99, aspect_ratio="5:4"),
        clip(id="b", promt="x"),
        clip(id="c", quality_mode="best"),
        workfolw=1,
    )
    found = problems(read, rules, clip_ids=["lamp", "c", "nobody"])
    assert [problem.split(":")[0] for problem in found] == [
        "workfolw",
        "clips[1].promt",
        "CLIP_ID",
        "clips[2].quality_mode",
        "clips[0].duration",
        "clips[0].aspect_ratio",
    ]


def test_a_prompt_is_never_repeated_in_a_problem(rules: Rules) -> None:
    secret = "the secret plot"
    for fields in ({"prompt": secret * 400}, {"promt": secret}, {"prompt": [secret]}):
        assert not any(secret in problem for problem in problems(file(clip(**fields)), rules))


def test_the_name_of_the_file_stands_in_for_the_project() -> None:
    text = json.dumps({"clips": [clip()]})
    assert jobs_file(text, "teaser").project == "teaser"
    [problem] = jobs_file(text, "").problems
    assert str(problem) == "project: is required where the file has no name"


def test_a_flag_comes_before_the_clip_and_the_clip_before_the_file(rules: Rules) -> None:
    read = file(clip(), clip(id="b", qualityMode="draft"), defaultQualityMode="production")
    assert [c.plan.quality_mode for c in plans(read, rules)] == ["production", "draft"]
    assert [c.plan.quality_mode for c in plans(read, rules, "production")] == ["production"] * 2


def test_two_flags_are_one_too_many(rules: Rules) -> None:
    [found] = problems(file(), rules, "draft", "production")
    assert found == "--draft, --production: are several quality modes: give one"


def test_an_image_flag_names_the_chosen_clips_without_an_image(rules: Rules) -> None:
    read = file(clip(), clip(id="b", imageUrl=IMAGE), clip(id="c"))
    needs = "--draft_i2v: starts from an image, and these clips have no imageUrl: "
    assert problems(read, rules, "draft_i2v") == [f"{needs}lamp, c"]
    assert problems(read, rules, "draft_i2v", clip_ids=["b", "c"]) == [f"{needs}c"]
    assert plans(read, rules, "draft_i2v", clip_ids=["b"])[0].plan.quality_mode == "draft_i2v"


def test_an_image_flag_is_no_mode_of_a_source_clip(rules: Rules) -> None:
    [found] = problems(file(clip(source_video_url=SOURCE, duration=None)), rules, "draft_i2v")
    assert found.startswith("--draft_i2v: lamp: uses grok-imagine-video-1.5, which cannot do edit")


def test_a_remaster_is_made_at_720p_whatever_the_file_says(rules: Rules) -> None:
    read = file(
        clip(), clip(id="b", imageUrl=IMAGE), clip(id="c", sourceVideoUrl=SOURCE, duration=None)
    )
    clips = plans(read, rules, remaster=True)
    assert [c.plan.resolution for c in clips] == ["720p"] * 3
    assert [c.plan.quality_mode for c in clips] == ["production", "production_i2v", "production"]
    assert [c.plan.operation for c in clips] == ["generate", "generate", "edit"]
    assert not [note for note in clip_notes(clips) if "qualityMode" in note]


def test_warnings_are_told_once_with_their_clips(rules: Rules) -> None:
    read = file(clip(imageUrl=IMAGE, aspectRatio="9:16"), clip(id="b"))
    [note] = clip_notes(plans(read, rules))
    assert note.startswith("lamp: aspectRatio has no effect")


def test_every_field_of_a_request_is_either_taken_or_refused_with_a_reason() -> None:
    from videoconductor.clip import ClipRequest

    fields = {known.alias for known in ClipRequest.model_fields.values()}
    assert set(NOT_HERE) <= fields
    for name in fields - set(NOT_HERE):
        found = file(clip(**{name: "x"})).problems
        assert not any("is not a known field" in problem.message for problem in found), name
