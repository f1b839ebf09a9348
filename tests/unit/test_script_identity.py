"""A clip's fingerprint changes with what shapes the clip, and with nothing else."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from videoconductor.clip import RenderPlan
from videoconductor.identity import SHAPING
from videoconductor.script import fingerprint, plan_json

SAMPLE = json.loads((Path(__file__).parents[1] / "fixtures" / "hoa-nightclub.json").read_text())
NOT_SHAPING = {"quality_mode", "remaster", "estimate", "warnings"}


@pytest.fixture
def prints(modes, models):
    def of(document, **options):
        made = plan_json(json.dumps(document), modes, models, **options)
        return {clip.request.clip_id: fingerprint(clip.plan) for clip in made.clips}

    return of


def changed(change):
    document = copy.deepcopy(SAMPLE)
    change(document)
    return document


def test_a_fingerprint_outlives_runs_and_releases(prints):
    # Changing this value makes everybody pay again for every clip they have.
    assert prints(SAMPLE)["03_sf_nightclub_ring_opener"] == (
        "4f5cadf8000732ff11fa8ffbabf18f4f25c192a97589a5dc767c8fe1fab0b58b"
    )


def test_every_field_of_a_plan_is_known_to_shape_the_clip_or_not():
    assert set(RenderPlan.model_fields) == SHAPING | NOT_SHAPING


def reversed_keys(value):
    if isinstance(value, dict):
        return {key: reversed_keys(value[key]) for key in reversed(value)}
    return [reversed_keys(item) for item in value] if isinstance(value, list) else value


COSMETIC = {
    "blanks around the setting": lambda d: d.update(setting=f"\n {d['setting']} \t"),
    "blanks around an action": lambda d: d["clips"][2]["scene"].update(
        action=f" {d['clips'][2]['scene']['action']}\n"
    ),
    "blanks inside a token": lambda d: d["clips"][2]["scene"].update(
        action=d["clips"][2]["scene"]["action"].replace("{{guy}}", "{{ guy }}")
    ),
    "another clip's text": lambda d: d["clips"][0].update(prompt="Something else"),
    "one clip less": lambda d: d["clips"].pop(0),
    "the order of clips": lambda d: d["clips"].reverse(),
    "somebody new in the cast": lambda d: d["cast"].append({"id": "new", "description": "New"}),
    "the thumbnail": lambda d: d["clips"][2]["thumbnail"].update(enabled=False),
    "project and purpose": lambda d: d.update(project="x", purpose="y", refCode="z"),
    "a default that changes nothing": lambda d: d["defaults"].update(duration=3),
    "a mode that says the same": lambda d: d["defaults"].update(qualityMode="draft_i2v"),
}


@pytest.mark.parametrize("what", COSMETIC)
def test_what_does_not_shape_a_clip_leaves_its_fingerprint(prints, what):
    def change(document):
        COSMETIC[what](document)
        if what == "a mode that says the same":
            document["clips"] = document["clips"][2:]

    before, after = prints(SAMPLE), prints(changed(change))
    for name in ("03_sf_nightclub_ring_opener", "05_sf_nightclub_ringize_payoff"):
        assert after[name] == before[name]


def test_the_order_of_keys_leaves_every_fingerprint(prints):
    assert prints(reversed_keys(SAMPLE)) == prints(SAMPLE)


OPENER = 2
SHAPING_CHANGES = {
    "dialogue": lambda c: c["scene"]["dialogue"][0].update(line="Other words."),
    "tone": lambda c: c["scene"]["dialogue"][0].update(tone="coldly"),
    "camera": lambda c: c["scene"].update(camera="Wide"),
    "still": lambda c: c["firstFrame"].update(imagePrompt="Another picture"),
    "image model": lambda c: c["firstFrame"].update(imageModel="grok-imagine-image-2.0"),
    "image resolution": lambda c: c["firstFrame"].update(imageResolution="1k"),
    "image": lambda c: c.update(firstFrame={"imageUrl": "https://a.example.com/b.png"}),
    "duration": lambda c: c.update(duration=11),
    "ratio": lambda c: c.update(aspectRatio="1:1"),
    "model": lambda c: c.update(video={"model": "grok-imagine-video"}),
    "resolution": lambda c: c.update(video={"resolution": "720p"}),
    "source": lambda c: c.update(remaster={"sourceVideoUrl": "https://a.example.com/b.mp4"}),
}


@pytest.mark.parametrize("what", SHAPING_CHANGES)
def test_what_shapes_a_clip_changes_its_fingerprint_and_no_other(prints, what):
    before = prints(SAMPLE)
    after = prints(changed(lambda document: SHAPING_CHANGES[what](document["clips"][OPENER])))
    assert {name for name in before if before[name] != after[name]} == {
        SAMPLE["clips"][OPENER]["id"]
    }


def test_a_cast_members_description_changes_the_clips_that_show_them(prints):
    before = prints(SAMPLE)
    after = prints(changed(lambda d: d["cast"][1].update(description="Somebody else")))
    assert {name[:2] for name in before if before[name] != after[name]} == {"03", "04", "05"}


def test_a_remaster_is_another_clip_than_its_draft(prints):
    before, after = prints(SAMPLE), prints(SAMPLE, remaster=True)
    assert not set(before.values()) & set(after.values())
