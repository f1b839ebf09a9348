"""Quality modes are rows of a file."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from videoconductor import planning
from videoconductor.clip import ClipRequest
from videoconductor.errors import InvalidRequest
from videoconductor.quality import QualityModes

PRESETS = Path(__file__).parents[2] / "presets"
ROWS = json.loads((PRESETS / "video-presets.json").read_text())
TABLE = {
    "draft": ("grok-imagine-video", "480p", False),
    "draft_i2v": ("grok-imagine-video-1.5", "480p", True),
    "production": ("grok-imagine-video", "720p", False),
    "production_i2v": ("grok-imagine-video-1.5", "720p", True),
}


def changed(**changes):
    rows = copy.deepcopy(ROWS)
    for path, value in changes.items():
        *folders, name = path.split("__")
        row = rows
        for folder in folders:
            row = row[folder]
        row[name] = value
    return QualityModes.from_json(json.dumps(rows))


def test_the_shipped_file_holds_the_users_table(modes):
    for name, (model, resolution, requires_image) in TABLE.items():
        row = modes.modes[name]
        assert (row.model, row.resolution, row.requires_image) == (
            model,
            resolution,
            requires_image,
        )
    assert modes.defaults.quality_mode == "draft"
    assert modes.remaster.resolution == "720p"


def test_every_mode_names_a_model_that_makes_its_resolution(modes, models):
    for name, row in modes.modes.items():
        canonical, model, retired = models.find(row.model)
        assert (canonical, retired) == (row.model, None), name
        assert row.resolution in model.resolutions, name


def test_a_new_mode_is_one_row_and_no_code(models):
    row = {
        "model": "grok-imagine-video-1.5-lite",
        "resolution": "1080p",
        "requiresImage": False,
        "aliases": ["cheap-hd"],
        "about": "upscaled, cheap",
    }
    modes = changed(modes__lite_1080p=row)
    request = ClipRequest(prompt="a lamp", quality_mode="cheap-hd", duration=10)
    planned = planning.plan(request, modes, models)
    assert (planned.quality_mode, planned.model, planned.resolution) == (
        "lite_1080p",
        "grok-imagine-video-1.5-lite",
        "1080p",
    )
    assert float(planned.estimate.total_usd) == 1.4
    with pytest.raises(InvalidRequest) as refused:
        modes.find("nope")
    assert "lite_1080p" in refused.value.problems[0].choices


def test_a_mode_is_found_by_name_and_by_alias(modes):
    assert modes.find("prod") == modes.find("production")
    assert modes.find("i2v-480")[0] == "draft_i2v"


@pytest.mark.parametrize(
    "change",
    [
        {"modes__draft__aliases": ["prod"]},
        {"modes__draft__aliases": ["production"]},
        {"modes__draft__withImage": "nope"},
        {"remaster__fromText": "nope"},
        {"defaults__qualityMode": "nope"},
        {"modes__a/b": ROWS["modes"]["draft"]},
        {"modes__a::b": ROWS["modes"]["draft"]},
        {"modes__": ROWS["modes"]["draft"]},
        {"modes__draft__modell": "x"},
        {"modes__draft__resolution": None},
    ],
)
def test_a_file_that_does_not_hang_together_is_refused_when_it_is_read(change):
    with pytest.raises(ValidationError):
        changed(**change)
