"""Existing manifests, version 3 and the older shape: read, or refused with what is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videoconductor import existing
from videoconductor.errors import InvalidRequest

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RING = (Path(__file__).parents[1] / "fixtures/ring-manifest-all.json").read_text()
TEMPORARY_URL = "https://vidgen.x.ai/xai-vidgen-bucket/a.mp4?token=secret"


def read(modes, *clips, **fields):
    return existing.entries(json.dumps({"clips": clips, **fields}), "film", modes, NOW)


def one(modes, clip=None, **fields):
    found = read(modes, {"id": "01", "status": "done", **(clip or {})}, **fields)
    [entry] = found.entries
    return entry, found.warnings


def test_rings_own_manifest_is_read(modes):
    found = existing.entries(RING, "film", modes, NOW)

    assert [entry.clip_id for entry in found.entries] == [
        "01_hoa_video_call_pains",
        "02_ringize_audio_upload_prompt",
        "03_sf_nightclub_ring_opener",
        "04_sf_nightclub_guy_notices_ring",
        "05_sf_nightclub_ringize_payoff",
    ]
    first = found.entries[0]
    assert first.id == "01_hoa_video_call_pains::draft"
    assert (first.model, first.resolution, first.duration) == ("grok-imagine-video", "480p", 10)
    assert first.request_id == "b13f69f3-69f9-928c-ba4b-ab52fba62b36"
    assert first.requested_at.isoformat() == "2026-06-18T14:32:39.028000+00:00"
    assert (first.url, first.error) == (None, existing.EXPIRED)
    assert first.temporary_url.startswith("https://vidgen.x.ai/")
    assert (first.render_id, first.sha256, first.fingerprint) == (None, None, None)
    assert len(found.warnings) == 5


def test_all_that_version_3_says_is_kept(modes):
    clip = {
        "id": "01",
        "qualityMode": "i2v-720",
        "duration": 6.04,
        "status": "finalized",
        "generationKind": "image-to-video",
        "requestId": "b13f69f3",
        "url": "https://cdn.example.com/01.mp4",
        "temporaryUrl": TEMPORARY_URL,
        "firstFrameUrl": "s3://old/01.png",
        "thumbnailUrl": "https://cdn.example.com/01.jpg",
        "posterUrl": "",
        "estimatedCostUsd": 0.9,
        "costUsd": "0.84",
        "model": "grok-imagine-video-1.5",
        "modelServed": "grok-imagine-video-1.5-2026-05-30",
        "resolution": "720p",
        "remasterFromRequestId": "a00",
        "purpose": "viral-ad",
        "refCode": "ring",
        "sha256": "a" * 64,
        "updatedAt": "2026-11-21T00:00:00Z",
        "_key": "01::i2v_prod",
        "somethingNew": {"a": [1]},
    }

    [entry] = read(modes, clip, version=3, requestId="elsewhere").entries

    assert entry.id == "01::production_i2v"
    assert entry.pipeline_request_id == "film"
    assert entry.url == clip["url"]
    assert (entry.poster_url, entry.error, entry.imported_at) == (None, None, NOW)
    assert (entry.estimated_cost_usd, entry.cost_usd) == (Decimal("0.9"), Decimal("0.84"))
    assert entry.remaster_from_request_id == "a00"
    assert entry.updated_at == entry.requested_at == datetime(2026, 11, 21, tzinfo=UTC)
    assert entry.model_validate_json(entry.model_dump_json()) == entry


@pytest.mark.parametrize(
    ("clip", "mode"),
    [
        ({}, "draft"),
        ({"model": "grok-imagine-video", "resolution": "720p"}, "production"),
        ({"model": "grok-imagine-video-1.5"}, "draft_i2v"),
        ({"model": "grok-imagine-video-1.5", "resolution": "1080p"}, "production_1080p"),
        ({"model": "somebody-elses", "resolution": "8k"}, "draft"),
        ({"qualityMode": "prod"}, "production"),
    ],
)
def test_a_clip_that_names_no_mode_gets_the_one_it_was_made_in(modes, clip, mode):
    entry, _ = one(modes, clip)

    assert entry.quality_mode == mode
    assert entry.id == f"01::{mode}"


@pytest.mark.parametrize(
    ("url", "age", "is_dead"),
    [
        (TEMPORARY_URL, timedelta(hours=23, minutes=59), False),
        (TEMPORARY_URL, timedelta(hours=24), True),
        ("https://cdn.example.com/a.mp4", timedelta(days=900), False),
        ("s3://bucket/a.mp4", timedelta(days=900), False),
        # Not xAI's, whatever it looks like.
        ("https://vidgen.x.ai.example.com/a.mp4", timedelta(days=900), False),
        ("https://example.com/?x=.x.ai", timedelta(days=900), False),
        (None, timedelta(days=2), True),
    ],
)
def test_a_temporary_url_is_marked_once_it_can_no_longer_be_good(modes, url, age, is_dead):
    entry, warnings = one(modes, {"url": url, "updatedAt": (NOW - age).isoformat()})

    assert bool(entry.error) == bool(warnings) == is_dead
    assert not any("secret" in warning for warning in warnings)
    if url == TEMPORARY_URL:
        assert (entry.url, entry.temporary_url) == (None, url)


def test_a_clip_is_no_newer_than_its_import_and_moments_are_all_of_one_zone(modes):
    moments = {
        "2030-01-01T00:00:00Z": NOW,
        "2026-11-22T20:30:00+09:00": datetime(2026, 11, 22, 11, 30, tzinfo=UTC),
        "2026-11-22T11:30:00": datetime(2026, 11, 22, 11, 30, tzinfo=UTC),
    }
    for text, moment in moments.items():
        entry, _ = one(modes, {"updatedAt": text})
        assert entry.requested_at == moment
        assert entry.requested_at.utcoffset() == timedelta(0)
    entry, _ = one(modes, generatedAt="2026-11-01T00:00:00Z")
    assert entry.requested_at.isoformat() == "2026-11-01T00:00:00+00:00"


def test_what_is_not_finished_is_left_out_and_said_so(modes):
    found = read(
        modes,
        {"id": "a", "status": "failed"},
        {"id": "b", "status": "done", "respectModeration": False},
        {"id": "c", "status": "completed"},
    )

    assert [entry.clip_id for entry in found.entries] == ["c"]
    assert [warning.split(":")[0] for warning in found.warnings] == ["clips[0]", "clips[1]"]


def test_every_problem_is_told_at_its_place_and_nothing_is_entered(modes):
    with pytest.raises(InvalidRequest) as refused:
        read(
            modes,
            {"id": "a", "status": "done", "qualityMode": "4k"},
            {"id": "b", "status": "done"},
            {"id": "b", "status": "done"},
            {"id": "c", "status": "done", "url": "http://127.0.0.1/a.mp4"},
            {"id": "d", "status": "done", "posterUrl": "javascript:alert(1)"},
        )

    assert [problem.field for problem in refused.value.problems] == [
        "clips[0].qualityMode",
        "clips[2].id",
        "clips[3].url",
        "clips[4].posterUrl",
    ]
    assert "draft" in refused.value.problems[0].choices


def test_no_more_problems_are_told_than_anybody_reads(modes):
    with pytest.raises(InvalidRequest) as refused:
        read(modes, *[{"id": "a::b", "status": "done"}] * 1000)
    assert len(refused.value.problems) <= 51

    with pytest.raises(InvalidRequest) as refused:
        read(modes, *[{"id": "a", "status": "done"}] * 1000)
    assert len(refused.value.problems) <= 51


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(
        ["done", "draft", TEMPORARY_URL, "0001-01-01T00:00:00+14:00", "NaN", "1e999"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
CLIP_FIELDS = [field.alias for field in existing._Clip.model_fields.values()]
FILE_FIELDS = [field.alias for field in existing._Manifest.model_fields.values()]


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(st.sampled_from(CLIP_FIELDS), JSON, max_size=4),
    st.dictionaries(st.sampled_from(FILE_FIELDS), JSON, max_size=2),
)
def test_whatever_stands_in_any_field_it_is_read_or_refused(modes, clip, fields):
    document = {"clips": [{"id": "01", "status": "done", **clip}], **fields}
    try:
        found = existing.entries(json.dumps(document), "film", modes, NOW)
    except InvalidRequest:
        return
    for entry in found.entries:
        text = entry.model_dump_json()
        assert entry.model_validate_json(text) == entry
        assert entry.requested_at <= NOW


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "1", '"x"', "{", "{}", '{"clips": NaN}', '{"a": 1, "a": 1}', "\x00"]
)
def test_what_is_no_manifest_is_refused(modes, text):
    with pytest.raises(InvalidRequest):
        existing.entries(text, "film", modes, NOW)
