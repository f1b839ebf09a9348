"""Quotes without AWS: least and most, what has no price, and ids that hold a request to a price."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from videoconductor import planning, pricing, quotes, script, views
from videoconductor.clip import ClipRequest, FilmOrder
from videoconductor.errors import InvalidRequest
from videoconductor.models import ModelCatalog
from videoconductor.planning import PlannedClip
from videoconductor.tools.catalog import prices

NOW = datetime(2026, 11, 22, 12, 0, 0, 700_000, tzinfo=UTC)
CLIP = "https://clips.example.com/a.mp4"
IMAGE = "https://images.example.com/a.png"
CLASSIC, NEW, STILLS = "grok-imagine-video", "grok-imagine-video-1.5", "grok-imagine-image"
ROWS = json.loads((Path(__file__).parents[2] / "presets/models.json").read_text())


def of(planned, models, **changes):
    clip = PlannedClip("c", planned, planned.warnings, **changes)
    return quotes.quote("f", [clip], "0" * 64, models, NOW)


@pytest.mark.parametrize(
    ("fields", "least", "most"),
    [
        # Everything is known.
        ({"duration": 6}, "0.30", "0.30"),
        ({"duration": 1, "imageUrl": IMAGE, "lastFrameUrl": IMAGE, "model": NEW}, "0.10", "0.10"),
        ({"duration": 6, "firstFramePrompt": "y"}, "0.51", "0.51"),
        # Of a clip with a name, the still may be there.
        ({"duration": 6, "firstFramePrompt": "y", "clipId": "c"}, "0.49", "0.51"),
        # How long the source is decides all of an edit, and what goes in of an extension.
        ({"sourceVideoUrl": CLIP}, "0", "0.696"),
        ({"sourceVideoUrl": CLIP, "remaster": True}, "0", "0.696"),
        ({"sourceVideoUrl": CLIP, "operation": "extend", "duration": 2}, "0.12", "0.29"),
    ],
)
def test_what_is_open_has_a_least_beside_its_most(plan, models, fields, least, most):
    planned = plan(prompt="x", **fields)
    found = of(planned, models)

    assert planned.estimate.total_usd == Decimal(most)
    assert planned.estimate.least_usd == found.least_usd == Decimal(least)
    assert found.total_usd == planned.estimate.total_usd
    document = views.quote(found)
    [clip] = document["clips"]
    assert sum(line["leastUsd"] for line in clip["lines"]) == pytest.approx(float(least))
    assert all(line["leastUsd"] <= line["amountUsd"] for line in clip["lines"])
    # What a record has no need of is not in it: it was there before.
    kept = planned.estimate.model_dump_json(exclude_defaults=True)
    assert ("leastUsd" in kept) is (Decimal(least) != planned.estimate.total_usd)
    assert "isPriced" not in kept


@pytest.mark.parametrize("operation", ["edit", "remaster", "extend"])
def test_a_source_of_our_own_leaves_nothing_open(modes, models, operation):
    fields = {"operation": operation, "source_video_url": "s3://library/a.mp4"}
    request = ClipRequest(prompt="x", duration=2 if operation == "extend" else None, **fields)
    own = planning.plan(request, modes, models, None, Decimal("5.04"), "480p").estimate
    tall = planning.plan(request, modes, models, None, Decimal("5.04"), "1080p").estimate

    made = Decimal(2) if operation == "extend" else Decimal("5.04")
    assert own.least_usd == own.total_usd == made * Decimal("0.05") + Decimal("0.0504")
    assert tall.total_usd == made * Decimal("0.07") + Decimal("0.0504")


def test_each_line_names_the_row_its_price_is_from(plan, models):
    planned = plan(prompt="x", firstFramePrompt="y", duration=2)
    lines = views.quote(of(planned, models))["clips"][0]["lines"]

    assert [(line["model"], line["quantity"], line["unit"]) for line in lines] == [
        (STILLS, 1, "image"),
        (NEW, 2, "second"),
        (NEW, 1, "image"),
    ]
    for line in lines:
        row = models.models[line["model"]]
        assert (line["asOf"], line["source"]) == (row.as_of, row.source)
    idle = views.quote(of(planned, models, is_due=False, is_reused=True))
    assert (idle["clips"][0]["lines"], idle["totalUsd"], idle["reused"]) == ([], 0, 1)


def unpriced(*names):
    rows = json.loads(json.dumps(ROWS))
    for name in names:
        rows["models"][name]["prices"] = {}
    return ModelCatalog.from_json(json.dumps(rows))


@pytest.mark.parametrize("names", [(NEW,), (STILLS,), (NEW, STILLS)])
def test_a_model_without_a_price_is_planned_with_a_warning_and_refused_under_a_limit(modes, names):
    models = unpriced(*names)
    request = ClipRequest(prompt="x", first_frame_prompt="y", duration=2)
    planned = planning.plan(request, modes, models)

    assert not planned.estimate.is_priced
    assert sum("no price is known" in warning for warning in planned.warnings) == len(names)
    assert pricing.without_still(planned.estimate).is_priced is (names == (STILLS,))
    with pytest.raises(InvalidRequest) as refused:
        planning.plan(request.model_copy(update={"max_cost_usd": Decimal(9)}), modes, models)
    [problem] = refused.value.problems
    assert problem.field == "maxCostUsd"
    assert all(name in problem.message for name in names)
    found = of(planned, models)
    assert found.quote_id is None
    assert "leave those clips out" in str(quotes.required(found, Decimal(5)))
    # What shows prices shows that there is none.
    listed = views.quality_modes(modes, models)["modes"]
    assert [row["name"] for row in listed if row["usdPerSecond"] is None] == [
        name for name, mode in modes.modes.items() if mode.model in names
    ]
    assert views.models(models)
    told = prices(modes, models)
    assert ("no price known" in told) is (NEW in names)
    assert ("nobody knows" in told) is (STILLS in names)


CLIPS = '"clips": [{"id": "a", "duration": 6, "prompt": "x"}]'
SCRIPT = script.from_json(f'{{"schemaVersion": "1.0", "requestId": "f", {CLIPS}}}')
# Other keys first, another number that is the same, and what the schema gives anyway.
SPELT = script.from_json(
    '{"clips":[{"prompt":"x","duration":6.0,"id":"a","scene":{"dialogue":[]},"video":{}}],\n'
    '"defaults":{},"cast":[],"requestId":"f","schemaVersion":"1.0"}'
)
# What a clip gets when nobody says is none of the schema's: to say it is another script.
SAID = script.from_json(
    f'{{"schemaVersion": "1.0", "requestId": "f", "defaults": {{"qualityMode": "draft"}}, {CLIPS}}}'
)


def test_an_id_holds_a_request_to_a_price_for_a_day_however_it_is_spelt(plan, models):
    planned = plan(prompt="x", duration=6)
    order = FilmOrder(only=("a", "b"), callback_url="https://e.com", max_cost_usd=Decimal(9))
    same = FilmOrder(only=("b", "a", "b"), quote_id="q1-x")
    content = quotes.of_script(SCRIPT, order)
    clip = PlannedClip("a", planned, ())
    found = quotes.quote("f", [clip], content, models, NOW)
    name = found.quote_id

    assert found.expires_at == NOW.replace(microsecond=0) + timedelta(days=1)
    assert name == quotes.quote("f", [clip], content, models, NOW.replace(microsecond=1)).quote_id
    assert name.startswith(f"q1-{int(found.expires_at.timestamp())}-{3 * 10**9}-")
    assert quotes.of_script(SPELT, same) == content
    assert quotes.of_script(SAID, same) != content
    assert quotes.agreed(name, content, NOW + timedelta(hours=23)) == Decimal("0.3")
    version, expires, ticks, digest = name.split("-")
    others = {
        "expired on 2026-11-23T12:00:00Z": (name, NOW + timedelta(days=1)),
        "is not a quoteId": ("q1-1-2-3", NOW),
        "of another request": (name, NOW),
    }
    for words, (given, now) in others.items():
        held = content if "another" not in words else quotes.of_script(SCRIPT, FilmOrder())
        with pytest.raises(InvalidRequest, match=words) as refused:
            quotes.agreed(given, held, now)
        assert refused.value.problems[0].field == "quoteId"
    for forged in (
        f"{version}-{int(expires) + 9}-{ticks}-{digest}",
        f"{version}-{expires}-{int(ticks) + 9}-{digest}",
        f"{name}\n",
        f"q2{name[2:]}",
        "٣".join(name.split("3", 1)),
    ):
        with pytest.raises(InvalidRequest):
            quotes.agreed(forged, content, NOW)


def test_a_clip_s_hash_is_of_what_is_made_not_of_what_it_may_cost():
    asked = ClipRequest(prompt="x", duration=6)
    limited = ClipRequest(prompt="x", duration=6, max_cost_usd=Decimal(1), remaster=False)
    assert quotes.of_clip(asked) == quotes.of_clip(limited)
    assert quotes.of_clip(asked) != quotes.of_clip(ClipRequest(prompt="x", duration=7))
    assert quotes.usd(Decimal("1E-10")) == "$0.0000000001"
