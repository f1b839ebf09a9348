"""Our schema against the original: the same fields, and the same verdict on any document."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator
from pydantic import ValidationError

from videoconductor.script import FilmRequest, json_schema

FIXTURES = Path(__file__).parents[1] / "fixtures"
ORIGINAL = json.loads((FIXTURES / "scripted-video-generation.schema.json").read_text())
SAMPLE = json.loads((FIXTURES / "hoa-nightclub.json").read_text())
OURS = json_schema()


def is_original(document):
    return Draft7Validator(ORIGINAL).is_valid(document)


def is_in_our_schema(document):
    return Draft202012Validator(OURS).is_valid(document)


def is_film(document):
    try:
        FilmRequest.model_validate(copy.deepcopy(document), by_alias=True, by_name=False)
    except ValidationError:
        return False
    return True


# -- the two schemas, side by side -----------------------------------------------------------------

# Words of JSON schema that decide, and what ours may say beyond the original's.
DECIDING = {"type", "enum", "const", "minimum", "maximum", "minLength", "minItems", "pattern"}
STRICTER = {
    **{path: {"maxLength": 128} for path in ("requestId", "clips[].id")},
    "clips[].remaster.remasterFromRequestId": {"minLength": 1, "maxLength": 128},
    **{path: {"maxLength": 4096} for path in ("setting", "cast[].description", "cast[].label")},
    "clips": {"maxItems": 10_000},
    **{
        f"{place}rovider": {"const": "xai"}
        for place in (
            "defaults.p",
            "defaults.imageP",
            "defaults.videoP",
            "clips[].firstFrame.imageP",
            "clips[].video.p",
        )
    },
}


def flat(schema, root, path=""):
    """Every place of a schema, with what decides there."""
    while "$ref" in schema:
        found = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    here = {word: schema[word] for word in (*DECIDING, "maxLength", "maxItems") if word in schema}
    if schema.get("type") == "object":
        here["required"] = sorted(schema.get("required", []))
        here["additionalProperties"] = schema.get("additionalProperties", True)
    places = {path: here}
    for name, inner in schema.get("properties", {}).items():
        places |= flat(inner, root, f"{path}.{name}".lstrip("."))
    if "items" in schema:
        places |= flat(schema["items"], root, f"{path}[]")
    return places


def test_our_schema_is_the_original_but_for_what_is_documented_as_stricter():
    expected = flat(ORIGINAL, ORIGINAL)
    expected[""]["additionalProperties"] = False  # a misspelt field bills a different video
    for path, more in STRICTER.items():
        if "const" in more:
            expected[path].pop("enum")
        expected[path] |= more
    assert flat(OURS, OURS) == expected


def test_our_schema_is_a_schema():
    Draft202012Validator.check_schema(OURS)


def test_the_sample_fits_all_three():
    assert is_original(SAMPLE)
    assert is_in_our_schema(SAMPLE)
    assert is_film(SAMPLE)


# -- any document ----------------------------------------------------------------------------------

IDS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=12)
MODES = st.sampled_from(["draft", "draft_i2v", "production", "production_i2v"])
SIZES, STILLS = st.sampled_from(["480p", "720p", "1080p"]), st.sampled_from(["1k", "2k"])
SECONDS = st.integers(1, 15) | st.integers(1, 15).map(float)
XAI = st.just("xai")


def some(required=None, **optional):
    return st.fixed_dictionaries(required or {}, optional=optional)


LINES = some({"speaker": TEXTS, "line": TEXTS}, tone=TEXTS)
OVERLAYS = some(
    {"text": TEXTS},
    role=st.sampled_from(["title", "subtitle", "cta", "caption"]),
    position=st.sampled_from(
        ["top", "center", "bottom", "top-left", "bottom-left", "bottom-right"]
    ),
)
CLIPS = some(
    {"id": IDS, "duration": SECONDS},
    aspectRatio=TEXTS,
    prompt=TEXTS,
    firstFrame=some(
        imagePrompt=TEXTS,
        imageUrl=TEXTS,
        imageProvider=XAI,
        imageModel=TEXTS,
        imageResolution=STILLS,
    ),
    scene=some(action=TEXTS, camera=TEXTS, dialogue=st.lists(LINES, max_size=2)),
    video=some(provider=XAI, model=TEXTS, qualityMode=MODES, resolution=SIZES),
    thumbnail=some(
        {"enabled": st.booleans()},
        sourceFrame=st.sampled_from(["firstFrame", "generated"]),
        template=st.sampled_from(["default", "title_card", "cta_bar"]),
        aspectRatio=TEXTS,
        overlays=st.lists(OVERLAYS, max_size=2),
    ),
    remaster=some(sourceVideoUrl=TEXTS, remasterFromRequestId=IDS),
)
FILMS = some(
    {
        "schemaVersion": st.just("1.0"),
        "requestId": IDS,
        "clips": st.lists(CLIPS, min_size=1, max_size=2),
    },
    project=TEXTS,
    purpose=IDS,
    refCode=IDS,
    defaults=some(
        provider=XAI,
        qualityMode=MODES,
        aspectRatio=TEXTS,
        imageResolution=STILLS,
        videoResolution=SIZES,
        imageProvider=XAI,
        videoProvider=XAI,
        duration=SECONDS,
    ),
    cast=st.lists(some({"id": IDS, "description": TEXTS.filter(bool)}, label=TEXTS), max_size=2),
    setting=TEXTS,
)
ODD = st.sampled_from(
    [None, True, False, 0, 1, 16, -1, 2.5, 1.0, "", "x", "google", "1.0", [], {}]
) | st.sampled_from(["A B", "draft", "1k", "4k", "title", "Pia", ["x"], [{}], {"id": "x"}])


def mutated(draw, document):
    """The document with one value replaced, dropped or added somewhere."""
    place = document
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            break
        key = draw(st.sampled_from(keys))
        inner = place[key]
        if isinstance(inner, dict | list) and inner and draw(st.integers(0, 3)):
            place = inner
            continue
        match draw(st.sampled_from(["replace", "drop", "add"])):
            case "replace":
                place[key] = draw(ODD)
            case "drop":
                del place[key]
            case _ if isinstance(place, dict):
                place[draw(st.sampled_from(["x", "request_id", "image_url", "provider"]))] = "xai"
            case _:
                place.append(draw(ODD))
        break
    return document


@settings(max_examples=150, deadline=None)
@given(film=FILMS)
def test_what_the_original_accepts_ours_accepts(film):
    assert is_original(film)
    assert is_in_our_schema(film)
    assert is_film(film)


def without_google(document):
    return "google" not in json.dumps(document)


def has_only_known_fields(document):
    return set(document) <= set(ORIGINAL["properties"])


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_on_a_damaged_script_all_three_agree(data):
    document = mutated(data.draw, data.draw(FILMS))
    assert is_film(document) == is_in_our_schema(document), document
    if without_google(document) and has_only_known_fields(document):
        assert is_film(document) == is_original(document), document
    elif not is_original(document):
        assert not is_film(document)


@pytest.mark.parametrize("name", ["a/b", "a::b", "a\\b", ".", "..", " a", "a:", "a\n", "\u2603"])
def test_ids_that_the_original_accepts_and_no_library_can_hold_are_refused(name):
    for change in ({"requestId": name}, {"clips": [{"id": name, "duration": 5}]}):
        document = {**SAMPLE, **change}
        assert is_original(document)
        assert not is_film(document)
