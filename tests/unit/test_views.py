"""How renders, entries and problems look from outside."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from videoconductor import errors, views
from videoconductor.budgets import Caps
from videoconductor.clip import (
    Attempt,
    Clip,
    Delivery,
    Failure,
    FilmRun,
    ManifestEntry,
    Render,
    Shortfall,
)
from videoconductor.errors import InvalidRequest, Problem
from videoconductor.spending import Standings
from videoconductor.tools import wording

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def render(plan):
    return Render(
        render_id="0" * 32,
        clip_id="clip 1",
        pipeline_request_id="кино & co",
        plan=plan(prompt="a secret lamp", duration=10),
        caller="arn:aws:iam::123456789012:user/ann",
        request_sha256="f" * 64,
        created_at=NOW,
    )


@pytest.fixture
def finalized(render):
    return render.having(
        NOW + timedelta(minutes=1),
        "finalized",
        job={"requestId": "b13f69f3"},
        delivery=Delivery(url="https://vidgen.x.ai/a.mp4", model="grok-imagine-video-1.5"),
        attempts=(
            Attempt(
                number=1,
                permitted_at=NOW,
                lease_until=NOW + timedelta(seconds=150),
                request_id="b13f69f3",
                outcome="accepted",
                cost_ticks=5_000_000_000,
            ),
        ),
        clip=Clip(
            key="generated/videos/a.mp4",
            sidecar_key="generated/videos/a.json",
            bytes=1000,
            sha256="a" * 64,
            seconds=10.04,
            width=848,
            height=480,
            video_codec="avc1",
        ),
    )


def signed(key):
    return f"https://bucket/{key}?signature"


def test_an_accepted_request_is_answered_with_all_that_was_decided(render):
    answer = views.accepted(render)
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert (answer["status"], answer["qualityMode"], answer["resolution"]) == (
        "planned",
        "draft",
        "480p",
    )
    assert answer["estimatedCostUsd"] == 0.5
    assert answer["estimate"]["lines"][0]["amountUsd"] == 0.5


def test_the_same_request_is_answered_the_same_however_far_it_got(render, finalized):
    assert views.accepted(finalized) == views.accepted(render)


def test_links_survive_any_id(render):
    assert views.links(render)["manifest"] == (
        "/v1/films/%D0%BA%D0%B8%D0%BD%D0%BE%20%26%20co/manifest"
    )


def test_a_finished_render_has_everything_to_find_and_verify_the_clip(finalized):
    answer = views.detail(finalized, signed)
    json.dumps(answer, allow_nan=False)
    assert answer["result"] == {
        "success": True,
        "video": {
            "temporaryUrl": "https://vidgen.x.ai/a.mp4",
            "requestId": "b13f69f3",
            "model": "grok-imagine-video-1.5",
            "costUsd": 0.5,
            "url": "https://bucket/generated/videos/a.mp4?signature",
            "key": "generated/videos/a.mp4",
            "sidecarKey": "generated/videos/a.json",
            "bytes": 1000,
            "sha256": "a" * 64,
            "duration": 10.04,
            "width": 848,
            "height": 480,
            "videoCodec": "avc1",
            "audioCodec": None,
        },
    }
    assert [moment["status"] for moment in answer["timeline"]] == ["planned", "finalized"]


def test_a_render_under_way_has_no_result(render):
    assert views.detail(render, signed)["result"] is None


def test_a_failed_render_keeps_what_its_clip_can_still_be_had_by(render):
    failed = render.having(
        NOW,
        "failed",
        job={"requestId": "b13f69f3"},
        delivery=Delivery(url="https://vidgen.x.ai/a.mp4"),
        failure=Failure(error="CopyFailed", message="every url had expired"),
    )
    answer = views.detail(failed, signed)
    assert answer["error"]["error"] == "CopyFailed"
    assert answer["result"]["success"] is False
    assert answer["result"]["video"]["temporaryUrl"] == "https://vidgen.x.ai/a.mp4"


def test_a_submit_unknown_comes_with_advice_and_its_attempts(render):
    attempt = Attempt(
        number=1, permitted_at=NOW, lease_until=NOW, outcome="unknown", message="ReadTimeout"
    )
    answer = views.detail(render.having(NOW, "submit_unknown", attempts=(attempt,)), signed)
    assert "attach" in answer["advice"]
    assert answer["attempts"][0]["outcome"] == "unknown"
    assert answer["result"] == {"success": False, "video": None}
    assert "by itself" not in answer["advice"]


@pytest.mark.parametrize(
    ("attempts", "words"), [("attempts", "by itself"), ("still_attempts", "a retry takes it")]
)
def test_the_advice_says_that_a_witness_may_come_where_one_was_asked_for(render, attempts, words):
    lost = Attempt(number=1, permitted_at=NOW, lease_until=NOW, outcome="unknown", witness="sent")
    for attempt, is_said in (
        (lost, True),
        (lost.model_copy(update={"witness": "refused"}), False),
        (lost.model_copy(update={"witness": None}), False),
    ):
        unknown = render.having(NOW, "submit_unknown", **{attempts: (attempt,)})
        assert (words in views.advice(unknown)) == is_said


def test_a_render_shows_what_it_spent_what_is_reserved_and_the_tighter_of_its_caps(render):
    def attempt(number, outcome, **fields):
        return Attempt(number=number, permitted_at=NOW, lease_until=NOW, outcome=outcome, **fields)

    tries = (
        attempt(1, "refused", reserved_ticks=5 * 10**9),
        attempt(2, "accepted", reserved_ticks=5 * 10**9, spent_ticks=4 * 10**9),
        attempt(3, "unknown", reserved_ticks=5 * 10**9),
    )
    limited = render.having(NOW, "submit_unknown", attempts=tries, max_cost_usd=Decimal(2))
    caps = Standings(Caps(render=Decimal("1.5")))

    assert [views.summary(limited)[name] for name in ("spentUsd", "reservedUsd")] == [0.4, 0.5]
    assert views.detail(limited, signed)["spending"] == {
        "capUsd": 2.0,
        "spentUsd": 0.4,
        "reservedUsd": 0.5,
        "leftUsd": 1.1,
    }
    assert views.detail(limited, signed, None, caps)["spending"]["capUsd"] == 1.5
    assert views.detail(render, signed, None, caps)["spending"]["leftUsd"] == 1.5
    assert views.detail(render, signed)["spending"]["capUsd"] is None


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        ("BudgetExceeded", "cap:day", "budget set day USD`, then `videoconductor retry"),
        ("BudgetExceeded", "cap:film", "budget set film USD --name 'кино & co'`"),
        ("BudgetExceeded", "cap:caller", "--name arn:aws:iam::123456789012:user/ann`"),
        ("BudgetExceeded", "cap:render", "`videoconductor budget set render USD`, then"),
        ("BudgetExceeded", "cap:own", "its own maxCostUsd of $2: `videoconductor retry"),
        ("BudgetExceeded", "cap:own", " --max-cost-usd N`"),
        ("BudgetExceeded", "cap:run", "a run of the film with a higher one pays"),
        ("SpendingStopped", None, "`videoconductor budget resume`"),
        ("Unpriced", None, "models.json"),
    ],
)
def test_what_a_cap_kept_from_being_sent_says_how_to_make_room(render, error, code, words):
    failure = Failure(error=error, message="m", code=code)
    failed = render.having(NOW, "failed", failure=failure, max_cost_usd=Decimal(2))
    assert words in views.detail(failed, signed)["advice"]
    told = "\n".join(wording.standing(views.detail(failed, signed)))
    assert code != "cap:own" or "budget set" not in told
    assert not any(wrong in told for wrong in ("anew", "ask for another", "no cap"))
    [row] = wording.page({"videos": [views.summary(failed)], "nextCursor": None})
    assert "spent $0.00" in row
    assert "Do not ask for it again" in told
    assert words in told


def test_the_prompt_is_in_no_view(render, finalized):
    for answer in (views.summary(render), views.detail(finalized, signed), views.accepted(render)):
        assert "secret lamp" not in json.dumps(answer)


def made(name="c1::draft", **fields):
    return ManifestEntry(
        id=name,
        pipeline_request_id="film",
        quality_mode=name.partition("::")[2],
        render_id="0" * 32,
        status="finalized",
        generation_kind="text-to-video",
        request_id="b13f69f3",
        url="s3://bucket/a.mp4",
        temporary_url=None,
        duration=10.0,
        resolution="480p",
        model="grok-imagine-video",
        sha256="a" * 64,
        estimated_cost_usd="0.5",
        requested_at=NOW,
        updated_at=NOW,
    ).model_copy(update=fields)


def test_a_manifest_is_the_existing_systems_version_three():
    entry = made()
    answer = views.manifest("film", [entry])
    assert json.loads(json.dumps(answer)) == answer
    assert {key: answer[key] for key in ("version", "requestId", "runs")} == {
        "version": 3,
        "requestId": "film",
        "runs": [],
    }
    (clip,) = answer["clips"]
    assert clip.keys() >= {
        "id", "pipelineRequestId", "qualityMode", "duration", "status", "generationKind",
        "requestId", "url", "temporaryUrl", "firstFrameUrl", "thumbnailUrl", "estimatedCostUsd",
        "model", "resolution", "remasterFromRequestId", "error", "_key", "updatedAt",
    }  # fmt: skip
    assert (clip["id"], clip["_key"], clip["status"]) == ("c1", "c1::draft", "done")
    assert clip["updatedAt"] == "2026-11-22T12:00:00Z"
    assert (clip["posterUrl"], clip["remasteredAs"], clip["importedAt"]) == (None, [], None)


def test_a_manifest_shows_where_pictures_are_and_when_a_clip_was_taken_in():
    entry = made(
        first_frame_url="s3://bucket/f.jpg",
        poster_url="s3://bucket/p.jpg",
        thumbnail_url="s3://bucket/t.jpg",
        imported_at=NOW,
    )
    (clip,) = views.manifest("film", [entry])["clips"]
    assert (clip["firstFrameUrl"], clip["posterUrl"], clip["thumbnailUrl"]) == (
        "s3://bucket/f.jpg",
        "s3://bucket/p.jpg",
        "s3://bucket/t.jpg",
    )
    assert clip["importedAt"] == "2026-11-22T12:00:00Z"
    assert "downloads" not in clip


def test_a_manifest_has_urls_to_fetch_from_when_they_are_asked_for():
    entry = made(poster_url="s3://bucket/p.jpg", first_frame_url="https://a.example.com/1.png")

    def opened(uri):
        return f"{uri}?signature" if uri and uri.startswith("s3:") else None

    (clip,) = views.manifest("film", [entry], (), opened)["clips"]
    assert clip["downloads"] == {
        "video": "s3://bucket/a.mp4?signature",
        "firstFrame": None,
        "thumbnail": None,
        "poster": "s3://bucket/p.jpg?signature",
    }


def test_a_manifest_links_a_clip_to_its_remasters():
    entries = [
        made("c1::draft", request_id="1"),
        made("c1::production", request_id="2", remaster_from_request_id="1"),
        made("c2::draft", request_id=None),
        made("c3::draft", request_id="3", remaster_from_request_id="elsewhere"),
    ]
    clips = {clip["_key"]: clip for clip in views.manifest("film", entries)["clips"]}
    assert clips["c1::draft"]["remasteredAs"] == ["c1::production"]
    assert clips["c1::production"]["remasterFromRequestId"] == "1"
    assert [clips[key]["remasteredAs"] for key in ("c1::production", "c2::draft")] == [[], []]


def run_of(**fields):
    return FilmRun(
        run_id="r",
        film="film",
        caller="ann",
        request_sha256="0",
        requested_at=NOW,
        total=3,
        due=2,
        items=2,
        estimated_cost_usd="1.5",
        items_key="generated/films/items.json",
        clips_key="generated/films/clips.json",
        request_key="generated/films/request.json",
    ).model_copy(update=fields)


def test_what_the_newest_run_lacks_stands_in_the_manifest_unless_there_is_one_of_before():
    missing = tuple(
        Shortfall(
            clip_id=name,
            quality_mode="draft",
            render_id="1",
            status=status,
            error="OutOfCredits",
            message="no money",
        )
        for name, status in (("c1", "failed"), ("c2", "cancelled"), ("c3", "submit_unknown"))
    )
    older = run_of(run_id="o", missing=(missing[0].model_copy(update={"clip_id": "c9"}),))
    newest = run_of(status="incomplete", done=1, failed=2, ended_at=NOW, missing=missing)

    answer = views.manifest("film", [made()], [older, newest])

    assert [(clip["_key"], clip["status"]) for clip in answer["clips"]] == [
        ("c1::draft", "done"),
        ("c2::draft", "failed"),
        ("c3::draft", "submit_unknown"),
    ]
    assert answer["clips"][1]["error"] == "OutOfCredits: no money"
    assert answer["clips"][1]["url"] is None
    assert [run["runId"] for run in answer["runs"]] == ["o", "r"]
    assert [failed["clipId"] for failed in answer["runs"][1]["failed"]] == ["c1", "c2", "c3"]


def test_a_run_counts_what_is_still_under_way():
    answer = views.film_run(run_of(done=1, unresolved=1))
    assert answer["counts"] == {
        "total": 3,
        "done": 1,
        "failed": 0,
        "running": 1,
        "unresolved": 1,
    }
    assert answer["links"]["self"] == "/v1/films/film?run=r"
    assert (answer["estimatedCostUsd"], answer["costUsd"]) == (1.5, None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidRequest.of("prompt", None, "is required"), 400),
        (errors.RenderNotFound("x"), 404),
        (errors.NotAllowed("x"), 409),
        (errors.IdempotencyConflict("x"), 409),
        (errors.ManifestUnavailable("table arn"), 503),
        (errors.LibraryUnavailable("bucket"), 503),
        (errors.MachineUnavailable("x"), 503),
    ],
)
def test_errors_become_http_once(error, status):
    answer = views.problem(error)
    assert (answer["status"], answer["type"]) == (status, "about:blank")
    assert status != 503 or str(error) not in answer["detail"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", "x"),
        (7.5, 7.5),
        (True, True),
        (None, None),
        (10**30, "1" + "0" * 30),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
        ([1, 2], "[1, 2]"),
        ("a" * 500, "a" * 200 + "…"),
        ("\ud800", "\\ud800"),
        (b"\xff", "b'\\xff'"),
    ],
)
def test_a_value_is_repeated_as_json_that_anybody_can_read(value, shown):
    answer = views.problem(InvalidRequest([Problem("field", value, "is odd", ("a", "b"))]))
    assert answer["errors"] == [
        {"field": "field", "value": shown, "message": "is odd", "choices": ["a", "b"]}
    ]
    json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()


def test_megabytes_in_a_request_are_not_repeated():
    huge = [{"a" * 1000: ["b" * 1000] * 1000}] * 10
    answer = views.problem(InvalidRequest([Problem("thumbnail", huge, "is odd")]))
    assert len(json.dumps(answer)) < 5000
