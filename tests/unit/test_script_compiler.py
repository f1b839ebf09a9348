"""What the models read: each part of a prompt, and what becomes of a part that is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from videoconductor.script import compiler, from_json

FIXTURES = Path(__file__).parents[1] / "fixtures"
CLOSING = "Realistic lip movement, speaking over ambient sound, no burned-in subtitles."
STYLE = "cinematic still frame, photorealistic, no text overlays, no watermarks."
PIA = {"id": "pia", "description": "Tall woman, red coat. Smiles", "label": "Pia"}
OLD = {"id": "old_man", "description": "Old man. Grey beard, cane"}


def film(clip, **fields):
    document = {"schemaVersion": "1.0", "requestId": "film", "cast": [PIA, OLD], **fields}
    return from_json(json.dumps({**document, "clips": [{"id": "a", "duration": 5, **clip}]}))


def video(clip, **fields):
    made = film(clip, **fields)
    return compiler.video_prompt(made, made.clips[0], compiler.cast_of(made))


def still(frame, clip=None, **fields):
    made = film({"firstFrame": frame, **(clip or {})}, **fields)
    return compiler.still_prompt(made, made.clips[0], compiler.cast_of(made))


def label(speaker="x", **member):
    made = film({}, cast=[{"id": "x", **member}] if member else [])
    return compiler.speaker_label(speaker, compiler.cast_of(made))


COMPILED = json.loads((FIXTURES / "ring_bodies.json").read_text())["bodies"]


@pytest.mark.parametrize("number", range(5))
def test_the_sample_compiles_to_the_existing_compilers_very_bytes(number):
    made = from_json((FIXTURES / "hoa-nightclub.json").read_bytes())
    cast, clip, body = compiler.cast_of(made), made.clips[number], COMPILED[number]
    assert clip.id == body["clipId"]
    assert compiler.video_prompt(made, clip, cast).encode() == body["prompt"].encode()
    expected = body.get("firstFramePrompt", "")
    assert compiler.still_prompt(made, clip, cast).encode() == expected.encode()


# -- the video prompt ------------------------------------------------------------------------------

SAID = {"speaker": "pia", "line": "Go.", "tone": "softly"}


@pytest.mark.parametrize(
    ("scene", "setting", "expected"),
    [
        (
            {"camera": "Wide", "action": "{{pia}} runs", "dialogue": [SAID]},
            "A quay",
            "A quay CAMERA: Wide ACTION: Tall woman, red coat. Smiles runs DIALOGUE: Pia (softly) "
            f'says: "Go." {CLOSING}',
        ),
        ({"camera": "Wide", "action": "Rain"}, "A quay", "A quay CAMERA: Wide ACTION: Rain"),
        ({"camera": "Wide"}, None, "CAMERA: Wide"),
        ({"action": "Rain"}, "A quay.", "A quay. ACTION: Rain"),
        ({"dialogue": [SAID]}, None, f'DIALOGUE: Pia (softly) says: "Go." {CLOSING}'),
        ({"dialogue": [{**SAID, "tone": " "}]}, None, f'DIALOGUE: Pia says: "Go." {CLOSING}'),
        ({"dialogue": []}, "A quay", "A quay"),
        ({"dialogue": [{**SAID, "line": " \n"}]}, "A quay", "A quay"),
        ({"camera": " \t", "action": "\n"}, " \u00a0A quay\ufeff ", "A quay"),
        ({}, None, ""),
        ({"action": "a  b\nc"}, None, "ACTION: a  b\nc"),
    ],
)
def test_a_scene_becomes_its_parts_in_order_without_those_that_are_missing(
    scene, setting, expected
):
    fields = {} if setting is None else {"setting": setting}
    assert video({"scene": scene}, **fields) == expected


def test_several_lines_are_said_one_after_the_other_and_closed_once():
    lines = [{"speaker": "pia", "line": " One. "}, {"speaker": "old_man", "line": 'Say "two".'}]
    assert video({"scene": {"dialogue": lines}}) == (
        f'DIALOGUE: Pia says: "One." Old man says: "Say "two"." {CLOSING}'
    )


def test_a_clips_own_prompt_is_used_as_it_is_instead_of_the_scene():
    clip = {"prompt": "  Just {{pia}}, {{nobody}}\n", "scene": {"dialogue": [SAID]}}
    assert video(clip, setting="A quay") == "Just {{pia}}, {{nobody}}"


def test_a_blank_prompt_leaves_the_scene_in_force():
    assert video({"prompt": " \n", "scene": {"action": "Rain"}}) == "ACTION: Rain"


def test_names_are_filled_in_nowhere_but_in_the_action():
    scene = {"camera": "On {{pia}}", "dialogue": [{**SAID, "line": "{{pia}}?", "tone": "{{pia}}"}]}
    assert video({"scene": scene}, setting="{{pia}}'s") == (
        f"{{{{pia}}}}'s CAMERA: On {{{{pia}}}} DIALOGUE: Pia ({{{{pia}}}}) says: "
        f'"{{{{pia}}}}?" {CLOSING}'
    )


# -- names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{pia}} and {{pia}}", "Red hat and Red hat"),
        ("{{ pia }}", "Red hat"),
        ("{{pia}}{{other}}", "Red hat{{pia}} \\1 $&"),
        ("{{nobody}} {pia} {{{pia}}}", "{{nobody}} {pia} {Red hat}"),
        ("  {{pia}}  ", "Red hat"),
    ],
)
def test_a_name_is_replaced_by_the_trimmed_description_once(text, expected):
    cast = [
        {"id": "pia", "description": "  Red hat\n"},
        {"id": "other", "description": "{{pia}} \\1 $&"},
    ]
    made = film({}, cast=cast)
    assert compiler.resolved(text, compiler.cast_of(made)) == expected


def test_a_text_that_would_grow_beyond_reason_is_not_built():
    made = film({}, cast=[{"id": "x", "description": "y" * 4000}])
    grown = compiler.resolved("{{x}}" * 100_000, compiler.cast_of(made))
    assert len(grown) < 1_000_000
    assert len(grown) > compiler.MAX_RESOLVED_CHARACTERS


# -- who speaks ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "expected"),
    [
        ({"description": "Tall, dark", "label": " The tall one "}, "The tall one"),
        ({"description": "Tall, dark", "label": "  "}, "Tall"),
        ({"description": "Tall. Dark, old"}, "Tall"),
        ({"description": "Tall and dark"}, "Tall and dark"),
        ({"description": "  Tall , dark"}, "Tall"),
        ({"description": "a" * 79}, "a" * 79),
        ({"description": "a" * 79 + ", b"}, "a" * 79),
        ({"description": "a" * 80}, "x"),
        ({"description": "\U0001f600" * 40}, "x"),
        ({"description": "\U0001f600" * 39}, "\U0001f600" * 39),
        ({"description": ", dark"}, "x"),
        ({"description": "  "}, "x"),
        ({"description": "Tall", "label": "l" * 200}, "l" * 200),
    ],
)
def test_a_speaker_is_called_by_label_first_clause_or_id(member, expected):
    assert label(**member) == expected


def test_a_speaker_outside_the_cast_is_called_by_the_id_with_blanks():
    assert label("the_night_porter") == "the night porter"


def test_a_speakers_id_is_trimmed_before_it_is_looked_up():
    assert label(" x ", description="Tall, dark") == "Tall"


# -- the still prompt ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("clip", "setting", "expected"),
    [
        ({"aspectRatio": "1:1"}, "Quay", f"Pic Setting: Quay. Aspect ratio 1:1, {STYLE}"),
        ({}, "Quay", "Pic Setting: Quay."),
        ({}, "Quay.", "Pic Setting: Quay.."),
        ({"aspectRatio": " 9:16 "}, " ", f"Pic Aspect ratio 9:16, {STYLE}"),
        ({"aspectRatio": " "}, None, "Pic"),
        ({}, None, "Pic"),
    ],
)
def test_a_still_has_setting_and_ratio_only_where_they_are_given(clip, setting, expected):
    fields = {} if setting is None else {"setting": setting}
    defaults = {"aspectRatio": "4:3"}
    assert still({"imagePrompt": " Pic "}, clip, defaults=defaults, **fields) == expected


def test_a_still_shows_the_cast_but_its_setting_keeps_names_as_they_are():
    assert still({"imagePrompt": "{{old_man}} sits"}, setting="{{pia}}") == (
        "Old man. Grey beard, cane sits Setting: {{pia}}."
    )


def test_an_image_of_ones_own_suppresses_the_still():
    assert still({"imagePrompt": "Pic", "imageUrl": "https://a.example.com/b.png"}) == ""


@pytest.mark.parametrize(
    "frame", [{}, {"imagePrompt": " "}, {"imagePrompt": "Pic", "imageUrl": " "}]
)
def test_no_picture_is_no_still_and_a_blank_url_is_no_image(frame):
    assert still(frame, setting="Quay") == ("Pic Setting: Quay." if "imageUrl" in frame else "")
