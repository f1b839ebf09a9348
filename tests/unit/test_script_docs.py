"""The page about scripts shows what its example really becomes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from videoconductor.script import json_schema, plan_json, schema
from videoconductor.script.films import FilmPlan

PAGE = (Path(__file__).parents[2] / "docs" / "scripts.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCES = [(kind, text.rstrip("\n")) for kind, text in FENCE.findall(PAGE)]


@pytest.fixture
def example(modes, models) -> FilmPlan:
    [text] = [text for kind, text in FENCES if kind == "json"]
    return plan_json(text, modes, models)


def test_the_example_becomes_the_prompts_that_are_shown(example):
    shown = [text for kind, text in FENCES if kind == "text"]
    assert [example.clips[1].plan.prompt, example.clips[1].plan.first_frame_prompt] == shown


def test_the_example_is_planned_in_the_modes_that_are_named_without_a_warning(example):
    assert [clip.plan.quality_mode for clip in example.clips] == ["draft", "draft_i2v"]
    assert [clip.warnings for clip in example.clips] == [(), ()]


def test_every_field_of_a_script_is_on_the_page():
    definitions = json_schema()["$defs"].values()
    fields = {name for part in (json_schema(), *definitions) for name in part["properties"]}
    assert [name for name in sorted(fields) if f"`{name}`" not in PAGE] == []


def test_the_limits_on_the_page_are_those_of_the_code():
    assert f"1 to {schema.MAX_CLIPS:,} clips" in PAGE
    assert f"{schema.MAX_PROMPT_BYTES:,} characters" in PAGE


def test_the_schema_is_a_schema_of_the_named_draft():
    assert json_schema()["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert "2020-12" in PAGE
