"""What a plan costs, line by line, at the prices of the contract."""

from __future__ import annotations

from decimal import Decimal

import pytest

from videoconductor import planning, pricing
from videoconductor.clip import ClipRequest

IMAGE = "https://images.example.com/a.png"
CLIP = "https://clips.example.com/a.mp4"
CLASSIC, NEW, LITE = (
    "grok-imagine-video",
    "grok-imagine-video-1.5",
    "grok-imagine-video-1.5-lite",
)


def lines(planned):
    return [
        (line.what, float(line.quantity), line.unit, float(line.unit_usd), float(line.amount_usd))
        for line in planned.estimate.lines
    ]


@pytest.mark.parametrize(
    ("fields", "per_second", "total"),
    [
        ({"qualityMode": "draft"}, 0.05, 0.5),
        ({"qualityMode": "production"}, 0.07, 0.7),
        ({"qualityMode": "draft_i2v", "imageUrl": IMAGE}, 0.08, 0.81),
        ({"qualityMode": "production_i2v", "imageUrl": IMAGE}, 0.14, 1.41),
        ({"qualityMode": "preview"}, 0.02, 0.2),
        ({"qualityMode": "draft_15"}, 0.08, 0.8),
        ({"qualityMode": "production_15"}, 0.14, 1.4),
        ({"qualityMode": "production_1080p"}, 0.25, 2.5),
        ({"model": LITE, "resolution": "720p"}, 0.03, 0.3),
        ({"model": LITE, "resolution": "1080p"}, 0.14, 1.4),
        ({"model": CLASSIC, "imageUrl": IMAGE, "qualityMode": "production"}, 0.07, 0.702),
        ({"remaster": True}, 0.07, 0.7),
        ({"remaster": True, "imageUrl": IMAGE}, 0.14, 1.41),
    ],
)
def test_ten_seconds_cost_what_the_contract_says(plan, fields, per_second, total):
    planned = plan(prompt="x", duration=10, **fields)
    assert lines(planned)[0][1:4] == (10, "second", per_second)
    assert float(planned.estimate.total_usd) == total


def test_every_image_that_goes_in_is_paid_for(plan):
    planned = plan(prompt="x", imageUrl=IMAGE, lastFrameUrl=IMAGE, model=NEW, duration=1)
    assert lines(planned) == [
        (f"{NEW} 480p", 1, "second", 0.08, 0.08),
        ("input images", 2, "image", 0.01, 0.02),
    ]
    planned = plan(prompt="x", referenceImageUrls=[IMAGE] * 14, duration=1)
    assert lines(planned)[1] == ("input images", 14, "image", 0.002, 0.028)


def test_a_still_is_paid_for_and_goes_in_as_an_image(plan):
    planned = plan(prompt="x", firstFramePrompt="y", duration=1)
    assert lines(planned) == [
        ("still by grok-imagine-image", 1, "image", 0.02, 0.02),
        (f"{NEW} 480p", 1, "second", 0.08, 0.08),
        ("input images", 1, "image", 0.01, 0.01),
    ]


@pytest.mark.parametrize(
    ("image_model", "price"),
    [
        ("grok-imagine-image", 0.02),
        ("grok-imagine-image-2.0", 0.06),
        ("grok-imagine-image-quality", 0.04),
        ("grok-imagine-image-pro", 0.06),
    ],
)
def test_a_still_costs_what_its_model_does(plan, image_model, price):
    planned = plan(prompt="x", firstFramePrompt="y", imageModel=image_model)
    assert lines(planned)[0][4] == price


def test_a_still_that_is_there_already_costs_nothing_but_goes_in_all_the_same(plan):
    planned = plan(prompt="x", firstFramePrompt="y", duration=1)

    without = pricing.without_still(planned.estimate)

    assert without.lines == planned.estimate.lines[1:]
    assert without.total_usd == Decimal("0.09")
    assert pricing.without_still(without) == without
    bare = plan(prompt="x").estimate
    assert pricing.without_still(bare) == bare


def test_an_edit_of_unknown_length_is_taken_at_its_longest_and_dearest(plan):
    assert lines(plan(prompt="x", sourceVideoUrl=CLIP)) == [
        (f"{CLASSIC} (at most)", 8.7, "second", 0.07, 0.609),
        ("source clip (at most)", 8.7, "second", 0.01, 0.087),
    ]


def test_an_edit_of_known_length_is_taken_at_that(modes, models):
    request = ClipRequest(prompt="x", source_video_url=CLIP)
    planned = planning.plan(request, modes, models, source_seconds=Decimal(4))
    assert lines(planned) == [
        (CLASSIC, 4, "second", 0.07, 0.28),
        ("source clip", 4, "second", 0.01, 0.04),
    ]


def test_an_extension_costs_its_tail_and_its_source(plan):
    planned = plan(prompt="x", operation="extend", sourceVideoUrl=CLIP, duration=5)
    assert lines(planned) == [
        (CLASSIC, 5, "second", 0.07, 0.35),
        ("source clip (at most)", 15, "second", 0.01, 0.15),
    ]
    assert planned.estimate.total_usd == Decimal("0.50")


def test_an_estimate_says_of_when_its_prices_are(plan, models):
    assert plan(prompt="x").estimate.as_of == models.models[CLASSIC].as_of


def test_sums_of_money_are_exact(plan):
    planned = plan(prompt="x", model=LITE, duration=15, resolution="720p")
    assert planned.estimate.total_usd == Decimal("0.45")
    assert plan(prompt="x", model=LITE, duration=15, resolution="720p", maxCostUsd=0.45)


def test_a_quality_without_a_price_is_refused(models):
    name, model, _ = models.find("grok-imagine-image-2.0", produces="image")
    with pytest.raises(Exception, match="has no price for quality 'high'"):
        pricing.still_line(name, model, "high")
