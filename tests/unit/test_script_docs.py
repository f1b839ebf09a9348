"""The page about scripts shows what its example really becomes, and limits as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import pytest
from jsonschema import Draft202012Validator

from videoconductor import existing
from videoconductor.clip import MAX_OVERLAY_CHARACTERS, MAX_OVERLAYS
from videoconductor.pictures.compose import POSTER_SIDE
from videoconductor.pictures.layout import SIZES
from videoconductor.pictures.templates import Place, Role, Template, place
from videoconductor.script import json_schema, plan_json, schema
from videoconductor.script.checks import WORDS_PER_SECOND
from videoconductor.script.films import FilmPlan
from videoconductor.workflow.starting import SOURCE_URL_SECONDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLE = ROOT / "events" / "demo-film.json"
PAGE = (DOCS / "scripts.md").read_text()
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCES = [(kind, text.rstrip("\n")) for kind, text in FENCE.findall(PAGE)]


def cells(name: str) -> list[str]:
    """The first row of a table that begins with this cell."""
    [row] = re.findall(rf"^\| `{re.escape(name)}`.* \|$", PAGE, re.MULTILINE)[:1]
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.fixture
def example(modes, models) -> FilmPlan:
    return plan_json(EXAMPLE.read_text(), modes, models)


def test_the_example_is_the_film_of_the_demo():
    [text] = [text for kind, text in FENCES if kind == "json"]
    assert text == EXAMPLE.read_text().rstrip("\n")


def test_the_example_becomes_the_prompts_that_are_shown(example):
    shown = [text for kind, text in FENCES if kind == "text"]
    assert [example.clips[1].plan.prompt, example.clips[1].plan.first_frame_prompt] == shown


def test_the_example_is_planned_in_the_modes_that_are_named_without_a_warning(example):
    assert [clip.plan.quality_mode for clip in example.clips] == ["draft", "draft_i2v", "draft"]
    assert [clip.warnings for clip in example.clips] == [(), (), ()]


def test_the_example_costs_what_is_said(example):
    assert example.total_usd < 1
    assert f"it would cost ${example.total_usd:.2f}." in PAGE


def test_every_field_of_a_script_is_on_the_page():
    definitions = json_schema()["$defs"].values()
    fields = {name for part in (json_schema(), *definitions) for name in part["properties"]}
    assert [name for name in sorted(fields) if f"`{name}`" not in PAGE] == []


def test_the_limits_on_the_page_are_those_of_the_code():
    assert f"1 to {schema.MAX_CLIPS:,} clips" in PAGE
    assert f"{schema.MAX_PROMPT_BYTES:,} characters" in PAGE
    assert f"at most {schema.MAX_PROMPT_BYTES:,} bytes" in PAGE
    assert f"at {WORDS_PER_SECOND} words a second" in PAGE
    assert f"up to {MAX_OVERLAYS} texts of at most {MAX_OVERLAY_CHARACTERS} characters" in PAGE
    assert f"at most {POSTER_SIDE:,} pixels" in PAGE
    assert SOURCE_URL_SECONDS == 3600
    assert "opened for xAI for an hour" in PAGE


@pytest.mark.parametrize("name", get_args(schema.Mode))
def test_what_a_mode_can_do_is_what_its_model_can_do(name, modes, models):
    mode = modes.modes[name]
    _, model, resolution, _, seconds, price = cells(name)
    row = models.models[mode.model]
    limits = {row.tasks[task].max_seconds for task in ("text-to-video", "image-to-video")}
    assert (model, resolution) == (mode.model, mode.resolution)
    assert {f"1 to {most}" for most in limits} == {seconds}
    assert price == str(row.prices.per_second[mode.resolution])


def test_prices_and_limits_in_the_text_are_those_of_the_models(modes, models):
    still = models.models[modes.defaults.image_model]
    video = models.models[modes.modes["draft_i2v"].model]
    edit = models.models[modes.modes[modes.remaster.from_source].model].tasks["edit"]
    assert f"costs ${still.prices.per_image['default']} with `{modes.defaults.image_model}`" in PAGE
    assert f"${video.prices.per_input_image} more" in PAGE
    assert PAGE.count(f"at most {edit.max_source_seconds} seconds long") == 2
    *ratios, last = video.aspect_ratios
    assert f"Ratios are {', '.join(ratios)} and {last}." in PAGE


def test_the_sizes_of_thumbnails_are_those_that_are_made():
    for ratio, (width, height) in SIZES.items():
        assert f"| {width}x{height} | {ratio} |" in PAGE


def test_every_template_role_and_position_is_named():
    for name in (*get_args(Template), *get_args(Role), *get_args(Place)):
        assert f"`{name}`" in PAGE


@pytest.mark.parametrize("role", get_args(Role))
def test_where_text_goes_is_where_it_is_put(role):
    """In a wide frame with a title; and where the page says so, in the others."""
    name = {"title": "title`, `subtitle", "subtitle": "title`, `subtitle"}.get(role, role)
    rows = re.findall(rf"^\| `{re.escape(name)}` \| (.*) \|$", PAGE, re.MULTILINE)
    said = [row.split(" | ") for row in rows if row.count(" | ") == 2]
    assert len(said) == 1
    for template, words in zip(get_args(Template), said[0], strict=True):
        wide, narrow = (place(role, ["title"], template, is_wide=wide) for wide in (True, False))
        others = "" if narrow == wide else f": {narrow}"
        assert words.startswith(wide)
        assert words.endswith(others or wide)


def test_the_urls_of_xai_are_held_for_good_as_long_as_the_page_says():
    hours = existing.TEMPORARY.total_seconds() / 3600
    assert f"{hours:g} hours" in (DOCS / "http-api.md").read_text()


def test_the_schema_is_a_schema_of_the_named_draft():
    assert json_schema()["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    assert "2020-12" in PAGE


def test_the_schema_s_file_is_what_the_command_on_the_page_writes(capsys):
    [(code, name)] = re.findall(r'python -c "(.*)" > (\S+)$', PAGE, re.MULTILINE)
    exec(code, {})  # noqa: S102 - it is what we tell people to run
    assert capsys.readouterr().out == (ROOT / name).read_text()


def test_the_example_fits_the_schema_s_file():
    written = json.loads((DOCS / "scripted-request.schema.json").read_text())
    Draft202012Validator(written).validate(json.loads(EXAMPLE.read_text()))
