"""A script's text becomes a FilmRequest, or every problem with the place it is at."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videoconductor.errors import InvalidRequest
from videoconductor.script import from_json, plan_json

SAMPLE = (Path(__file__).parents[1] / "fixtures" / "hoa-nightclub.json").read_text()
CAST = [{"id": "pia", "description": "Pia"}, {"id": "old_man", "description": "Old man"}]


def script(*clips, **fields):
    clips = clips or ({"id": "a", "duration": 5, "prompt": "Rain"},)
    return {"schemaVersion": "1.0", "requestId": "film", "cast": CAST, "clips": clips, **fields}


def problems(document):
    with pytest.raises(InvalidRequest) as refused:
        from_json(document if isinstance(document, str | bytes) else json.dumps(document))
    return {problem.field: problem for problem in refused.value.problems}


def clip(name="a", **fields):
    return {"id": name, "duration": 5, "prompt": "Rain", **fields}


def test_the_sample_is_read_with_all_it_says():
    film = from_json(SAMPLE)
    assert film.request_id == "hoa-nightclub-viral-2026-06"
    assert film.defaults.video_resolution == "480p"
    assert [member.id for member in film.cast] == ["guy", "girl"]
    assert film.clips[2].scene.dialogue[1].tone == "laughing"
    assert film.clips[4].thumbnail.overlays[0].role == "cta"


# -- shape -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "path", "said", "choices"),
    [
        ({"purposes": "x"}, "purposes", "not a known field", ("purpose",)),
        ({"schemaVersion": "2.0"}, "schemaVersion", "not allowed", ("1.0",)),
        ({"schemaVersion": 1.0}, "schemaVersion", "not allowed", ("1.0",)),
        ({"requestId": "a/b"}, "requestId", "'/'", ()),
        ({"requestId": "a::b"}, "requestId", "'::'", ()),
        ({"requestId": ""}, "requestId", "1 to 128", ()),
        ({"purpose": "p" * 257}, "purpose", "at most 256", ()),
        ({"setting": None}, "setting", "must not be null", ()),
        ({"setting": "s" * 4097}, "setting", "at most 4096", ()),
        ({"clips": []}, "clips", "at least one", ()),
        ({"defaults": {"provider": "google"}}, "defaults.provider", "not supported", ("xai",)),
        (
            {"defaults": {"imageProvider": "google"}},
            "defaults.imageProvider",
            "not supported",
            ("xai",),
        ),
        (
            {"defaults": {"videoProvider": "google"}},
            "defaults.videoProvider",
            "not supported",
            ("xai",),
        ),
        ({"defaults": {"provider": "runway"}}, "defaults.provider", "not allowed", ("xai",)),
        ({"defaults": {"duration": 16}}, "defaults.duration", "15", ()),
        ({"defaults": {"aspect_ratio": "1:1"}}, "defaults.aspect_ratio", "known", ("aspectRatio",)),
        ({"cast": [{"id": "Pia", "description": "x"}]}, "cast[0].id", "pattern", ()),
        ({"cast": [{"id": "pia", "description": ""}]}, "cast[0].description", "empty", ()),
        ({"cast": [{"id": "pia"}]}, "cast[0].description", "is required", ()),
        ({"cast": ["pia"]}, "cast[0]", "refused", ()),
    ],
)
def test_what_is_out_of_shape_in_the_film_is_named(fields, path, said, choices):
    found = problems(script(**fields))
    assert list(found) == [path]
    assert said in found[path].message
    assert found[path].choices == choices


@pytest.mark.parametrize(
    ("fields", "path", "said", "choices"),
    [
        ({"id": "a/b"}, "clips[0].id", "'/'", ()),
        ({"id": "a\\b"}, "clips[0].id", "'/'", ()),
        ({"id": "a::b"}, "clips[0].id", "'::'", ()),
        ({"id": " a"}, "clips[0].id", "blank", ()),
        ({"id": "\U0001f600"}, "clips[0].id", "letters", ()),
        ({"duration": 0}, "clips[0].duration", "greater", ()),
        ({"duration": 7.5}, "clips[0].duration", "integer", ()),
        ({"duration": "7"}, "clips[0].duration", "integer", ()),
        ({"duration": True}, "clips[0].duration", "integer", ()),
        ({"propmt": "x"}, "clips[0].propmt", "not a known field", ("prompt",)),
        (
            {"scene": {"actoin": "x"}},
            "clips[0].scene.actoin",
            "not a known field",
            ("action",),
        ),
        (
            {"scene": {"dialogue": [{"speaker": "pia", "line": "x", "tones": "y"}]}},
            "clips[0].scene.dialogue[0].tones",
            "not a known field",
            ("tone",),
        ),
        (
            {"scene": {"dialogue": [{"speaker": "pia"}]}},
            "clips[0].scene.dialogue[0].line",
            "is required",
            (),
        ),
        (
            {"firstFrame": {"imageProvider": "google"}},
            "clips[0].firstFrame.imageProvider",
            "not supported",
            ("xai",),
        ),
        (
            {"video": {"provider": "google"}},
            "clips[0].video.provider",
            "not supported",
            ("xai",),
        ),
        (
            {"video": {"qualityMode": "prod"}},
            "clips[0].video.qualityMode",
            "not allowed",
            ("draft", "draft_i2v", "production", "production_i2v"),
        ),
        ({"thumbnail": {}}, "clips[0].thumbnail.enabled", "is required", ()),
        ({"thumbnail": {"enabled": 1}}, "clips[0].thumbnail.enabled", "boolean", ()),
        (
            {"thumbnail": {"enabled": True, "overlays": [{"text": "x", "role": "logo"}]}},
            "clips[0].thumbnail.overlays[0].role",
            "not allowed",
            ("title", "subtitle", "cta", "caption"),
        ),
        (
            {"remaster": {"remasterFromRequestId": "a/b"}},
            "clips[0].remaster.remasterFromRequestId",
            "'/'",
            (),
        ),
    ],
)
def test_what_is_out_of_shape_in_a_clip_is_named(fields, path, said, choices):
    found = problems(script(clip(**fields)))
    assert list(found) == [path]
    assert said in found[path].message
    assert found[path].choices == choices


def test_a_whole_number_may_be_written_with_a_point():
    assert from_json(json.dumps(script(clip(duration=7.0)))).clips[0].duration == 7


def test_more_clips_than_a_film_can_have_are_refused():
    found = problems(script(*[clip(f"c{n}") for n in range(10_001)]))
    assert "at most 10000" in found["clips"].message


# -- names -----------------------------------------------------------------------------------------


def test_an_id_used_twice_is_refused_where_it_comes_again():
    found = problems(
        script(clip("a"), clip("b"), clip("a"), cast=[CAST[0], {"id": "pia", "description": "x"}])
    )
    assert found["clips[2].id"].message == "is the id of clips[0] too"
    assert found["cast[1].id"].message == "is the id of cast[0] too"
    assert len(found) == 2


@pytest.mark.parametrize("name", ["pai", "Pia", "", "pia x"])
def test_a_name_that_nobody_bears_is_refused_with_those_there_are(name):
    token = f"{{{{{name}}}}}"
    scene = {"id": "a", "duration": 5, "scene": {"action": f"{token} runs"}}
    found = problems(script({**scene, "firstFrame": {"imagePrompt": f"{{{{pia}}}} {token}"}}))
    assert list(found) == ["clips[0].firstFrame.imagePrompt", "clips[0].scene.action"]
    for problem in found.values():
        assert problem.value == token
        assert problem.message == "is not in the cast"
        assert problem.choices == ("pia", "old_man")


def test_a_film_without_a_cast_says_so_of_a_name():
    found = problems(script({"id": "a", "duration": 5, "scene": {"action": "{{pia}}"}}, cast=[]))
    assert "which is empty" in found["clips[0].scene.action"].message


@pytest.mark.parametrize(
    "fields",
    [
        {"scene": {"action": "{{nobody}}", "dialogue": [{"speaker": " ", "line": "x"}]}},
        {"firstFrame": {"imagePrompt": "{{nobody}}", "imageUrl": "https://a.example.com/b.png"}},
        {
            "firstFrame": {"imagePrompt": "{{nobody}}"},
            "remaster": {"sourceVideoUrl": "https://a.example.com/b.mp4"},
        },
        {"prompt": "{{nobody}}"},
    ],
)
def test_text_without_effect_cannot_be_wrong(fields):
    assert from_json(json.dumps(script(clip(**fields)))).clips[0].id == "a"


def test_a_line_that_nobody_says_is_refused_at_its_speaker():
    lines = [{"speaker": "pia", "line": "x"}, {"speaker": " _ ", "line": "x"}]
    found = problems(script({"id": "a", "duration": 5, "scene": {"dialogue": lines}}))
    assert list(found) == ["clips[0].scene.dialogue[1].speaker"]
    assert found["clips[0].scene.dialogue[1].speaker"].choices == ("pia", "old_man")


def test_a_speaker_outside_the_cast_is_allowed():
    lines = [{"speaker": "the_porter", "line": "x"}]
    assert from_json(json.dumps(script({"id": "a", "duration": 5, "scene": {"dialogue": lines}})))


# -- all at once -----------------------------------------------------------------------------------

BROKEN = script(
    clip("same", duration=99, scene={"action": "{{nobody}}"}, prompt=""),
    clip("same", colour="red"),
    {"duration": 5, "prompt": "Rain"},
    "a clip",
    clip("d", video={"resolution": "1080p"}, aspectRatio="7:1"),
    clip("e", prompt="é" * 2049, video={"model": "sora"}, firstFrame={"imageUrl": "ftp://x"}),
    {"id": "f", "duration": 5, "scene": {"dialogue": [{"speaker": "", "line": "x"}, 7]}},
    {"id": "g", "duration": 5},
    defaults={"provider": "google"},
    cast=[*CAST, {"id": "Nobody", "description": "x"}],
)


def test_every_problem_of_a_script_is_found_in_one_go():
    assert set(problems(BROKEN)) == {
        "defaults.provider",
        "cast[2].id",
        "clips[0].duration",
        "clips[0].scene.action",
        "clips[1].colour",
        "clips[1].id",
        "clips[2].id",
        "clips[3]",
        "clips[6].scene.dialogue[0].speaker",
        "clips[6].scene.dialogue[1]",
    }


def test_the_limits_of_models_are_found_in_the_same_go_when_planning(modes, models):
    with pytest.raises(InvalidRequest) as refused:
        plan_json(json.dumps(BROKEN), modes, models)
    assert {problem.field for problem in refused.value.problems} == {
        *problems(BROKEN),
        "clips[4].video.resolution",
        "clips[4].aspectRatio",
        "clips[5].prompt",
        "clips[5].video.model",
        "clips[5].firstFrame.imageUrl",
        "clips[7].prompt",
    }


def test_what_was_taken_from_a_broken_clip_is_not_missed_a_second_time(modes, models):
    broken = script({"id": "a", "duration": 5, "scene": {"action": 7}})
    with pytest.raises(InvalidRequest) as refused:
        plan_json(json.dumps(broken), modes, models)
    assert [problem.field for problem in refused.value.problems] == ["clips[0].scene.action"]


def test_a_broken_cast_member_is_still_known_by_name():
    cast = [{"id": "Pia", "description": "x"}, {"id": "old_man"}]
    scene = {"action": "{{Pia}} {{old_man}}"}
    found = problems(script({"id": "a", "duration": 5, "scene": scene}, cast=cast))
    assert list(found) == ["cast[0].id", "cast[1].description"]


def test_a_field_in_the_wrong_place_hides_no_other_problem():
    scene = {"action": "{{nobody}}", "duration": 5}
    found = problems(script({"id": "a", "duration": 5, "scene": scene}, defaults={"id": "x"}))
    assert list(found) == ["defaults.id", "clips[0].scene.duration", "clips[0].scene.action"]


def test_a_problem_repeats_no_more_of_a_script_than_a_single_value():
    found = problems(script({"duration": 5, "prompt": ["a"]}, setting={"a": "b"}, project=7))
    assert {path: problem.value for path, problem in found.items()} == {
        "project": 7,
        "setting": None,
        "clips[0].id": None,
        "clips[0].prompt": None,
    }


def test_a_text_too_large_to_look_at_is_refused_for_that():
    found = problems('{"project": "' + "x" * (32 * 1024 * 1024) + '"}')
    assert "is longer than" in found["body"].message


def test_an_answer_does_not_grow_with_what_is_wrong():
    with pytest.raises(InvalidRequest) as refused:
        from_json(json.dumps(script(*[clip(f"c{n}", duration=0) for n in range(2000)])))
    found = refused.value.problems
    assert len(found) == 51
    assert found[-1].message == "has 1950 more problems"


# -- whatever comes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{",
        '{"a": NaN}',
        "{" * 100_000,
        "[" * 100_000,
        '{"a":' * 40 + "1" + "}" * 40,
        '{"requestId": "a", "requestId": "b"}',
        b"\xff",
        '{"setting": "\\ud800"}',
        '{"a": ' + "9" * 5000 + "}",
        '{"clips": ' + "[" * 30 + "]" * 30 + "}",
        '{"clips": {"0": 1}, "cast": {}, "defaults": []}',
        '{"cast": [[]], "clips": [[]]}',
    ],
    ids=lambda text: ascii(text[:24]),
)
def test_a_text_that_is_no_script_is_refused_and_nothing_else(text):
    assert problems(text)


def test_a_prompt_bomb_is_refused_at_its_clip(modes, models):
    cast = [{"id": "x", "description": "y" * 4096}]
    bombs = [{"id": f"c{n}", "duration": 5, "scene": {"action": "{{x}}" * 9000}} for n in range(20)]
    with pytest.raises(InvalidRequest) as refused:
        plan_json(json.dumps(script(*bombs, cast=cast)), modes, models)
    assert [p.field for p in refused.value.problems] == [f"clips[{n}].scene" for n in range(20)]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = [
    "schemaVersion",
    "requestId",
    "defaults",
    "cast",
    "setting",
    "clips",
    "provider",
    "duration",
    "id",
    "description",
    "label",
    "firstFrame",
    "scene",
    "video",
    "thumbnail",
    "remaster",
    "prompt",
    "imagePrompt",
    "imageUrl",
    "dialogue",
    "speaker",
    "line",
    "overlays",
    "enabled",
    "text",
    "role",
]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_replaces_a_part_of_a_script_it_is_read_or_refused(data, modes, models):
    document = json.loads(SAMPLE)
    for _ in range(data.draw(st.integers(1, 3))):
        place = document
        while True:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = data.draw(st.sampled_from(keys + NAMES if isinstance(place, dict) else keys))
            inner = place.get(key) if isinstance(place, dict) else place[key]
            if not isinstance(inner, dict | list) or not inner or data.draw(st.booleans()):
                place[key] = data.draw(JSON)
                break
            place = inner
    with suppress(InvalidRequest):
        assert plan_json(json.dumps(document), modes, models).as_document()["clips"]
