"""What each model can do, by the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from videoconductor.errors import InvalidRequest
from videoconductor.models import ModelCatalog

TEXT = (Path(__file__).parents[2] / "presets" / "models.json").read_text()
VIDEO = ["grok-imagine-video", "grok-imagine-video-1.5", "grok-imagine-video-1.5-lite"]


def test_every_row_is_dated_and_says_where_it_is_from(models):
    for row in models.models.values():
        assert len(row.as_of) == 10
        assert row.source
    for gone in models.retired.values():
        assert gone.source
        assert gone.replaced_by in models.models


def test_there_are_three_video_models(models):
    assert models.names() == VIDEO


@pytest.mark.parametrize(
    ("model", "tasks"),
    [
        (VIDEO[0], {"text-to-video", "image-to-video", "reference-to-video", "edit", "extend"}),
        (VIDEO[1], {"text-to-video", "image-to-video", "reference-to-video"}),
        (VIDEO[2], {"text-to-video", "image-to-video"}),
    ],
)
def test_a_model_does_what_the_contract_says(models, model, tasks):
    assert set(models.models[model].tasks) == tasks


def test_a_task_may_narrow_the_resolutions(models):
    row = models.models[VIDEO[1]]
    assert row.resolutions_for("text-to-video") == ("480p", "720p", "1080p")
    assert row.resolutions_for("reference-to-video") == ("480p", "720p")


def test_a_model_is_found_by_name_alias_or_what_it_was_called(models):
    assert models.find("grok-imagine-video-1.5-preview")[0] == VIDEO[1]
    name, _, retired = models.find("grok-imagine-image-quality", produces="image")
    assert (name, retired.quality) == ("grok-imagine-image-2.0", "low")


@pytest.mark.parametrize(
    ("name", "produces"), [("nope", "video"), (VIDEO[0], "image"), ("", "image")]
)
def test_an_unknown_model_is_refused_with_those_there_are(models, name, produces):
    with pytest.raises(InvalidRequest) as refused:
        models.find(name, produces=produces, field="thisField")
    (problem,) = refused.value.problems
    assert (problem.field, problem.value) == ("thisField", name)
    assert list(problem.choices) == models.names(produces)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows["models"][VIDEO[0]].update(colour="red"),
        lambda rows: rows["models"][VIDEO[0]]["prices"].update(perSecond={"480p": 0.05}),
        lambda rows: rows["models"][VIDEO[0]]["tasks"].update(dance={}),
        lambda rows: rows.update(currency="EUR"),
    ],
)
def test_a_malformed_row_is_refused_when_it_is_read(change):
    rows = json.loads(TEXT)
    change(rows)
    with pytest.raises(ValidationError):
        ModelCatalog.from_json(json.dumps(rows))
