"""How runs, films and their manifests look from outside."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from videoconductor import errors, reports, views
from videoconductor.clip import (
    Attempt,
    Failure,
    FilmClip,
    FilmRun,
    ManifestEntry,
    Render,
    Shortfall,
)

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
FILM = "кино & co"
LINK = "/v1/films/%D0%BA%D0%B8%D0%BD%D0%BE%20%26%20co"


@pytest.fixture
def run():
    return FilmRun(
        run_id="9c",
        film=FILM,
        caller="arn:aws:iam::1:user/ann",
        request_sha256="f" * 64,
        requested_at=NOW,
        total=3,
        due=2,
        items=2,
        estimated_cost_usd=Decimal("0.6"),
        items_key="generated/films/i.json",
        clips_key="generated/films/c.json",
        request_key="generated/films/r.json",
    )


def clip(number, **changes):
    fields = {
        "clip_id": f"{number:02}",
        "quality_mode": "draft",
        "render_id": f"r{number}",
        "operation": "generate",
        "model": "grok-imagine-video",
        "duration": 6,
        "resolution": "480p",
        "aspect_ratio": "16:9",
        "estimated_cost_usd": Decimal("0.3"),
    }
    return FilmClip(**{**fields, **changes})


@pytest.fixture
def render(plan):
    attempt = Attempt(
        number=1, permitted_at=NOW, lease_until=NOW, outcome="accepted", cost_ticks=3 * 10**9
    )
    return Render(
        render_id="r1",
        clip_id="01",
        pipeline_request_id=FILM,
        plan=plan(prompt="a secret lamp", duration=6),
        caller="arn:x",
        request_sha256="f" * 64,
        created_at=NOW,
        attempts=(attempt,),
    )


def entry(key="01::draft", **changes):
    fields = {
        "id": key,
        "pipeline_request_id": FILM,
        "quality_mode": key.partition("::")[2],
        "render_id": "r1",
        "status": "finalized",
        "request_id": f"job-{key}",
        "url": f"s3://library/{key}.mp4",
        "requested_at": NOW,
        "updated_at": NOW,
    }
    return ManifestEntry(**{**fields, **changes})


def as_json(answer):
    text = json.dumps(answer, allow_nan=False, ensure_ascii=False)
    assert json.loads(text) == answer
    assert "secret" not in text
    return answer


def test_an_accepted_script_says_what_is_due_and_what_is_there(run):
    clips = [clip(1), clip(2, warnings=("odd",)), clip(3, is_due=False, is_reused=True)]

    answer = as_json(views.film_accepted(run, clips))

    assert (answer["filmId"], answer["runId"], answer["status"]) == (FILM, "9c", "running")
    assert (answer["due"], answer["reused"], answer["estimatedCostUsd"]) == (2, 1, 0.6)
    assert [(c["due"], c["reused"]) for c in answer["clips"]] == [(1, 0), (1, 0), (0, 1)]
    assert answer["clips"][1]["warnings"] == ["odd"]
    assert answer["links"] == {"self": f"{LINK}?run=9c", "manifest": f"{LINK}/manifest"}


def test_the_answer_is_the_same_however_far_the_run_got(run):
    over = run.model_copy(
        update={"status": "incomplete", "done": 1, "failed": 2, "executions": 3, "version": 9}
    )
    assert views.film_accepted(over, [clip(1)]) == views.film_accepted(run, [clip(1)])


def test_a_run_shows_how_each_clip_stands(run, render):
    failure = Failure(error="ModerationRejected", message="withheld", code="moderated")
    renders = {
        "r1": render.having(NOW, "failed", failure=failure),
        "r3": render.having(NOW, "rendering", progress=40),
        "r4": render.having(NOW, "submit_unknown"),
        # Was made again by somebody and failed: this run took the clip that was there.
        "r5": render.having(NOW, "failed", failure=failure),
    }
    clips = [clip(1), clip(2), clip(3), clip(4), clip(5, is_reused=True, is_due=False)]
    summed = run.model_copy(update={"total": 5, "done": 1, "failed": 1, "unresolved": 1})

    answer = as_json(views.film_detail(summed, clips, renders))

    assert answer["counts"] == {"total": 5, "done": 1, "failed": 1, "running": 2, "unresolved": 1}
    rows = {row["clipId"]: row for row in answer["clips"]}
    assert [rows[name]["status"] for name in sorted(rows)] == [
        "failed",
        "planned",
        "rendering",
        "submit_unknown",
        "finalized",
    ]
    assert rows["01"]["error"] == {
        "error": "ModerationRejected",
        "message": "withheld",
        "code": "moderated",
    }
    assert rows["01"]["costUsd"] == 0.3
    assert (rows["02"]["progress"], rows["02"]["costUsd"], rows["02"]["error"]) == (None,) * 3
    assert rows["03"]["progress"] == 40
    assert "attach" in rows["04"]["advice"]
    assert (rows["05"]["progress"], rows["05"]["error"], rows["05"]["advice"]) == (100, None, None)
    assert (answer["endedAt"], answer["costUsd"], answer["resultKey"]) == (None, None, None)
    assert answer["requestedAt"] == "2026-11-22T12:00:00Z"


def test_a_remaster_and_its_draft_are_linked_both_ways():
    entries = [
        entry("01::draft"),
        entry("01::production", remaster_from_request_id="job-01::draft"),
        entry("01::production_i2v", remaster_from_request_id="job-01::draft"),
        entry("02::draft", request_id=None),
    ]

    clips = {c["_key"]: c for c in as_json(views.manifest(FILM, entries))["clips"]}

    assert clips["01::draft"]["remasteredAs"] == ["01::production", "01::production_i2v"]
    assert clips["01::production"]["remasterFromRequestId"] == "job-01::draft"
    assert clips["02::draft"]["remasteredAs"] == []


def test_a_clip_that_the_newest_run_ended_without_stands_as_failed_unless_there_is_one(run):
    missing = (
        Shortfall(
            clip_id="01", quality_mode="draft", render_id="r1", status="failed", error="NotAClip"
        ),
        Shortfall(
            clip_id="02",
            quality_mode="draft",
            render_id="r2",
            status="failed",
            error="ModerationRejected",
            message="withheld",
        ),
        Shortfall(clip_id="03", quality_mode="draft", render_id="r3", status="cancelled"),
        Shortfall(clip_id="04", quality_mode="draft", render_id="r4", status="submit_unknown"),
    )
    over = run.model_copy(
        update={"status": "incomplete", "missing": missing, "ended_at": NOW, "done": 0, "failed": 3}
    )

    answer = as_json(views.manifest(FILM, [entry()], [run, over]))

    assert [(c["_key"], c["status"]) for c in answer["clips"]] == [
        ("01::draft", "done"),
        ("02::draft", "failed"),
        ("03::draft", "failed"),
        ("04::draft", "submit_unknown"),
    ]
    assert answer["clips"][1]["error"] == "ModerationRejected: withheld"
    assert answer["clips"][2]["error"] is None
    assert (answer["version"], answer["requestId"]) == (3, FILM)
    assert [r["status"] for r in answer["runs"]] == ["running", "incomplete"]
    [first, *_] = answer["runs"][1]["failed"]
    assert set(first) >= {"clipId", "qualityMode", "renderId", "status", "error", "message"}
    # An older run's shortfalls are history.
    again = views.manifest(FILM, [entry()], [over, run])
    assert [c["_key"] for c in again["clips"]] == ["01::draft"]


def test_files_of_the_library_can_be_fetched_and_others_cannot_be_signed():
    theirs = entry("02::draft", url=None, temporary_url="https://vidgen.x.ai/a.mp4")
    mine = entry(first_frame_url="s3://library/f.png", thumbnail_url=None)

    def signed(uri):
        return f"signed {uri}" if uri and uri.startswith("s3://library/") else None

    answer = as_json(views.manifest(FILM, [mine, theirs], [], signed))

    assert [clip["downloads"] for clip in answer["clips"]] == [
        {
            "video": "signed s3://library/01::draft.mp4",
            "firstFrame": "signed s3://library/f.png",
            "thumbnail": None,
            "poster": None,
        },
        {"video": None, "firstFrame": None, "thumbnail": None, "poster": None},
    ]
    assert all("downloads" not in clip for clip in views.manifest(FILM, [mine])["clips"])


def test_an_event_names_what_is_missing_and_holds_no_prompt(run):
    missing = tuple(
        Shortfall(clip_id=f"{n}", quality_mode="draft", render_id=f"r{n}", status="failed")
        for n in range(500)
    )
    over = run.model_copy(
        update={"status": "incomplete", "missing": missing, "cost_usd": Decimal("0.25")}
    )

    event = as_json(reports.film_event(over))

    assert (event["filmId"], event["runId"], event["status"]) == (FILM, "9c", "incomplete")
    assert len(event["missing"]) == reports.MAX_MISSING
    assert event["costUsd"] == 0.25
    assert reports.film_event(run)["costUsd"] is None


def test_a_film_nobody_knows_is_a_404_and_a_run_that_may_not_be_under_way_a_503():
    answer = views.problem(errors.FilmNotFound("harbour has no run"))
    assert (answer["status"], answer["detail"]) == (404, "harbour has no run")
    answer = views.problem(errors.NotSetGoing("hand the script in again"))
    assert answer["status"] == 503


def test_a_run_whose_time_has_a_zone_is_shown_in_utc(run):
    shown = views.film_run(run.model_copy(update={"ended_at": NOW + timedelta(seconds=1)}))
    assert shown["endedAt"] == "2026-11-22T12:00:01Z"
