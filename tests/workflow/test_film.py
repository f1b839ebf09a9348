"""A film through the real machine: what a run pays for, and what it takes as it is."""

import copy
import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.workflow.conftest import JPEG, ROOT
from videoconductor import views, wiring
from videoconductor.errors import (
    IdempotencyConflict,
    InvalidRequest,
    MachineUnavailable,
    NotSetGoing,
)

RING = json.loads((ROOT / "tests/fixtures/hoa-nightclub.json").read_text())
MAX_STATE_BYTES = 64 * 1024


def short_ring():
    """Ring's film with clips of a second, which are encoded in no time."""
    film = copy.deepcopy(RING)
    for clip in film["clips"]:
        clip["duration"] = 1
    return film


def script(*prompts, film="film", **fields):
    """A film of clips from text alone; a prompt that is a dict is a clip."""
    clips = [
        {"id": f"{number:02}", "duration": 1}
        | (prompt if isinstance(prompt, dict) else {"prompt": prompt})
        for number, prompt in enumerate(prompts, 1)
    ]
    return {"schemaVersion": "1.0", "requestId": film, "clips": clips, **fields}


FRAMED = {
    "prompt": "she waves",
    "firstFrame": {"imagePrompt": "a woman at a bar"},
    "thumbnail": {"enabled": True, "overlays": [{"text": "Free", "role": "title"}]},
}


def test_rings_sample_becomes_five_clips_three_stills_and_two_thumbnails(films):
    run, listed = films.accept(json.dumps(RING, indent=2))
    execution = films.watch_film(run)
    run = wiring.manifest().run(run.film, run.run_id)

    assert execution.status == "SUCCEEDED"
    assert execution.path == ["HasItems", "Clips", "Conclude", "IsFinished", "Finished"]
    assert (run.status, run.done, run.due, run.items, run.total) == ("finished", 5, 5, 5, 5)
    assert len(films.videos()) == 5
    assert len(films.stills()) == 3
    assert run.cost_usd == run.estimated_cost_usd == Decimal("4.21")
    assert sum(job["cost_usd_ticks"] for job in films.jobs()) == 4.21 * 10**10
    # Each started from its own still, and from no other's.
    with_still = [clip.clip_id for clip in listed if clip.quality_mode == "draft_i2v"]
    entries = films.entries(RING["requestId"])
    assert [e.clip_id for e in entries.values() if e.first_frame_url] == with_still
    assert len({e.first_frame_url for e in entries.values() if e.first_frame_url}) == 3
    manifest = views.manifest(run.film, entries.values(), [run], wiring.opened)
    assert [clip["_key"] for clip in manifest["clips"]] == [
        "01_hoa_video_call_pains::draft",
        "02_ringize_audio_upload_prompt::draft",
        "03_sf_nightclub_ring_opener::draft_i2v",
        "04_sf_nightclub_guy_notices_ring::draft_i2v",
        "05_sf_nightclub_ringize_payoff::draft_i2v",
    ]
    assert all(clip["status"] == "done" and clip["posterUrl"] for clip in manifest["clips"])
    assert [bool(clip["thumbnailUrl"]) for clip in manifest["clips"]] == [0, 0, 1, 0, 1]
    assert [bool(clip["downloads"]["thumbnail"]) for clip in manifest["clips"]] == [0, 0, 1, 0, 1]
    # The thumbnail is made of the still.
    picture = wiring.library().key_of(manifest["clips"][2]["thumbnailUrl"])
    still = wiring.library().key_of(manifest["clips"][2]["firstFrameUrl"])
    content = b"".join(wiring.library().read(picture))
    assert content == JPEG + b"".join(wiring.library().read(still))[:8]


def test_what_a_run_leaves_behind_names_every_clip_and_is_announced_once(films):
    run = films.film(script("one", "two"))

    [event] = films.ready
    assert event == {
        "filmId": "film",
        "runId": run.run_id,
        "status": "finished",
        "total": 2,
        "done": 2,
        "failed": 0,
        "unresolved": 0,
        "missing": [],
        "resultKey": run.result_key,
        "estimatedCostUsd": 0.1,
        "costUsd": 0.1,
        "spentUsd": 0.1,
        "reservedUsd": 0.0,
    }
    result = films.document(run.result_key)
    assert [clip["clipId"] for clip in result["clips"]] == ["01", "02"]
    assert all(clip["status"] == "finalized" for clip in result["clips"])
    keys = {clip["clip"]["key"] for clip in result["clips"]}
    assert keys <= set(films.objects())
    assert films.document(run.request_key) == script("one", "two")
    assert [event["status"] for event in films.published] == ["finalized", "finalized"]


def test_no_document_of_a_state_grows_large(films):
    """The longest prompts there may be, in three bytes a character."""
    prompt, still = "雨" * 1365, "夜" * 1365
    overlays = [{"text": "街" * 500}] * 12
    films.film(
        script(
            {
                "prompt": prompt,
                "firstFrame": {"imagePrompt": still},
                "thumbnail": {"enabled": True, "overlays": overlays},
            },
            purpose="p" * 256,
        )
    )

    assert set(films.largest) >= {"take_up", "render_clip", "first_frame", "finalize", "conclude"}
    assert max(films.largest.values()) <= 2 * MAX_STATE_BYTES
    # Without the texts of a thumbnail, which no film of Ring's has so many of:
    films.largest.clear()
    films.film(script({"prompt": prompt, "firstFrame": {"imagePrompt": still}}, film="plain"))
    assert max(films.largest.values()) <= MAX_STATE_BYTES


def test_the_same_script_again_takes_everything_and_pays_for_nothing(films):
    first, listed = films.accept(short_ring())
    films.end(first)
    jobs, before = films.jobs(), films.entries(first.film)

    second, again = films.accept(short_ring())
    execution = films.watch_film(second)

    assert execution.path == ["HasItems", "Conclude", "IsFinished", "Finished"]
    assert films.jobs() == jobs
    assert films.entries(first.film) == before
    assert (second.due, second.items, second.estimated_cost_usd) == (0, 0, 0)
    assert all(clip.is_reused and not clip.is_due for clip in again)
    assert [c.render_id for c in again] == [c.render_id for c in listed]
    ended = wiring.manifest().run(second.film, second.run_id)
    assert (ended.status, ended.done, ended.cost_usd) == ("finished", 5, None)
    result = films.document(ended.result_key)
    assert all(clip["reused"] and clip["clip"] for clip in result["clips"])


def test_blanks_order_purpose_and_thumbnail_do_not_make_a_clip_another_one(films):
    films.film(script("one", FRAMED))
    jobs = films.jobs()
    changed = script("  one\n", {**FRAMED, "thumbnail": {"enabled": False}}, purpose="other")
    changed["clips"].reverse()

    run = films.film(changed)

    assert (run.status, run.due) == ("finished", 0)
    assert films.jobs() == jobs


def test_one_changed_line_is_one_new_clip_from_the_same_still_and_back_again_is_none(films):
    film, key = short_ring(), "03_sf_nightclub_ring_opener::draft_i2v"
    first = films.film(film)
    before = films.entries(first.film)
    changed = copy.deepcopy(film)
    changed["clips"][2]["scene"]["dialogue"][0]["line"] = "So your street uses Ring?"

    films.elapsed += 60
    second, listed = films.accept(changed)
    assert [clip.clip_id for clip in listed if clip.is_due] == [key.partition("::")[0]]
    # The still is there: a second of 1.5 at 480p, with an image that is paid for by itself.
    assert second.estimated_cost_usd == Decimal("0.09")
    second = films.end(second)

    assert (second.status, second.items) == ("finished", 1)
    assert len(films.videos()) == 6
    assert len(films.stills()) == 3
    after = films.entries(first.film)
    assert [name for name in after if after[name] != before[name]] == [key]
    assert after[key].first_frame_url == before[key].first_frame_url
    assert after[key].thumbnail_url
    assert second.cost_usd == second.estimated_cost_usd

    films.elapsed += 60
    third, listed = films.accept(film)
    assert not any(clip.is_due for clip in listed)
    third = films.end(third)

    assert (third.status, third.due, third.items) == ("finished", 0, 1)
    assert len(films.jobs()) == 9
    restored = films.entries(first.film)[key]
    assert restored.render_id == before[key].render_id
    assert restored.url == before[key].url
    assert restored.thumbnail_url == before[key].thumbnail_url
    assert restored.poster_url == before[key].poster_url
    versions = wiring.manifest().versions(first.film, key)
    assert {v.render_id for v in versions} == {before[key].render_id, after[key].render_id}

    films.elapsed += 60
    fourth = films.film(film)
    assert (fourth.due, fourth.items) == (0, 0)
    fifth = films.film(changed)
    assert (fifth.due, fifth.items) == (0, 1)
    assert films.entries(first.film)[key].render_id == after[key].render_id
    assert len(films.jobs()) == 9


def test_force_makes_a_clip_again_from_the_same_still_and_the_same_key_is_the_same_purchase(films):
    film = script("one", FRAMED)
    films.film(film)
    before = films.entries("film")

    films.elapsed += 60
    forced = films.film(film, key="again", force=True, only=("02",))
    assert films.film(film, key="again", force=True, only=("02",)).run_id == forced.run_id

    assert (forced.status, forced.total, forced.due) == ("finished", 1, 1)
    assert (len(films.videos()), len(films.stills())) == (3, 1)
    after = films.entries("film")
    assert after["01::draft"] == before["01::draft"]
    assert after["02::draft_i2v"].render_id != before["02::draft_i2v"].render_id
    assert len(wiring.manifest().versions("film", "02::draft_i2v")) == 2
    assert films.film(film).due == 0

    films.film(film, force=True, only=("02",))
    assert (len(films.videos()), len(films.stills())) == (4, 1)


def test_only_the_clips_named_are_made_and_the_others_entries_stay_byte_for_byte(films):
    film = script("one", "two", "three")
    films.film(film, only=("02",))
    assert list(films.entries("film")) == ["02::draft"]
    item = films.dynamodb.query(
        TableName="table",
        KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
        ExpressionAttributeValues={":pk": {"S": "FILM#film"}, ":sk": {"S": "ENTRY#02"}},
    )["Items"]

    run = films.film(film)

    assert (run.status, run.total, run.due) == ("finished", 3, 2)
    assert len(films.jobs()) == 3
    after = films.dynamodb.query(
        TableName="table",
        KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
        ExpressionAttributeValues={":pk": {"S": "FILM#film"}, ":sk": {"S": "ENTRY#02"}},
    )["Items"]
    assert after == item


def test_a_script_that_is_refused_writes_nothing_and_names_everything(films):
    film = script("one", {"firstFrame": {"imagePrompt": "{{nobody}}"}, "prompt": "x"})
    film["clips"][0]["duration"] = 16
    cases = [
        (film, {}, {"clips[0].duration", "clips[1].firstFrame.imagePrompt"}),
        (script("one", "two"), {"only": ("03",)}, {"clip"}),
        (script("one", "two"), {"max_cost_usd": Decimal("0.09")}, {"maxCostUsd"}),
        (script("one", "two"), {"source_video_url": "http://10.0.0.1/a.mp4"}, {"sourceVideoUrl"}),
        (script("one", "two"), {"source_video_url": "manifest"}, {"sourceVideoUrl"}),
        ("[]", {}, {"body"}),
        ('{"clips": NaN}', {}, {"body"}),
        (script(), {}, {"clips"}),
    ]

    for text, order, fields in cases:
        with pytest.raises(InvalidRequest) as refused:
            films.accept(text, **order)
        assert {p.field for p in refused.value.problems} == fields

    assert films.objects() == []
    assert films.dynamodb.scan(TableName="table")["Count"] == 0
    assert films.simulator.requests() == []


def test_the_limit_of_cost_counts_only_what_is_due(films):
    film = script("one", "two")
    films.film(film, only=("01",))

    with pytest.raises(InvalidRequest, match=r"maxCostUsd.*0\.05"):
        films.accept(film, max_cost_usd=Decimal("0.049"))
    assert len(wiring.manifest().runs("film")) == 1

    run = films.film(film, max_cost_usd=Decimal("0.05"))
    assert (run.status, run.estimated_cost_usd) == ("finished", Decimal("0.05"))
    assert films.film(film, max_cost_usd=Decimal(0)).status == "finished"
    assert len(films.jobs()) == 2


def test_the_same_key_again_is_the_same_run_and_the_same_answer_at_any_time(films):
    film = script("one", "two")
    first = films.accept(film, key="k")
    during = films.accept(film, key="k")
    films.end(first[0])
    after = films.accept(film, key="k")

    answers = [views.film_accepted(run, clips) for run, clips in (first, during, after)]
    assert answers[0] == answers[1] == answers[2]
    assert len(wiring.manifest().runs("film")) == 1
    assert len(films.jobs()) == 2
    assert films.ready == films.ready[:1]


def test_the_same_key_with_another_request_is_a_conflict_and_writes_nothing(films):
    films.film(script("one", "two"), key="k")
    objects = films.objects()

    for other, order in (
        (script("one", "three"), {}),
        (script("one", "two"), {"force": True}),
        (script("one", "two"), {"only": ("01",)}),
        (script("one", "two", film="another"), {}),
    ):
        with pytest.raises(IdempotencyConflict):
            films.accept(other, key="k", **order)

    films.settle()
    assert films.objects() == objects
    assert len(films.jobs()) == 2


def test_the_same_key_from_six_callers_at_once_is_one_run_and_one_job_a_clip(films):
    film = script("one", "two")
    together, ticks = threading.Barrier(6), itertools.count()
    object.__setattr__(
        wiring.director(), "clock", lambda: films.now() + timedelta(microseconds=next(ticks))
    )

    def ask(_):
        together.wait()
        return films.accept(film, key="k")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))

    films.end(answers[0][0])
    films.settle()
    shown = {json.dumps(views.film_accepted(*answer), sort_keys=True) for answer in answers}
    assert len(shown) == 1
    [run] = wiring.manifest().runs("film")
    assert run.status == "finished"
    assert len(films.jobs()) == 2


def test_a_key_whose_first_request_broke_off_never_makes_another_scripts_clips(films, monkeypatch):
    from videoconductor.errors import ManifestUnavailable

    with monkeypatch.context() as patch:

        def down(_):
            raise ManifestUnavailable("DynamoDB PutItem: InternalServerError")

        patch.setattr(wiring.manifest(), "create_run", down)
        with pytest.raises(ManifestUnavailable):
            films.accept(script("one", "two"), key="k")

    wanted = script("one", "changed")
    try:
        run = films.film(wanted, key="k")
    except IdempotencyConflict:
        assert films.jobs() == []
        return
    assert films.document(run.request_key) == wanted
    prompts = {render.plan.prompt for made in films.renders("film").values() for render in made}
    assert prompts == {"one", "changed"}


def test_a_run_whose_execution_may_not_have_started_is_started_by_the_same_key(films, monkeypatch):
    director = wiring.director()
    real = director.start

    def down(run):
        raise MachineUnavailable("Step Functions: ThrottlingException")

    object.__setattr__(director, "start", down)
    with pytest.raises(NotSetGoing, match="hand the script in again"):
        films.accept(script("one"), key="k")
    object.__setattr__(director, "start", real)
    assert films.jobs() == []

    assert films.film(script("one"), key="k").status == "finished"
    assert len(films.jobs()) == 1


def test_two_runs_of_one_script_at_the_same_time_make_one_job_a_clip(films):
    film = script("one", FRAMED, "three")
    together = threading.Barrier(2)

    def ask(_):
        together.wait()
        return films.accept(film)

    with ThreadPoolExecutor(2) as pool:
        runs = [run for run, _ in pool.map(ask, range(2))]

    ended = [films.end(run) for run in runs]
    assert [run.status for run in ended] == ["finished", "finished"]
    assert len({run.run_id for run in ended}) == 2
    assert (len(films.videos()), len(films.stills())) == (3, 1)
    assert all(len(made) == 1 for made in films.renders("film").values())


def test_a_run_waits_for_a_clip_that_another_run_has_under_way(films):
    film = script("one [[sim:slow]]")
    first, _ = films.accept(film)
    for _ in range(500):  # until it is on record that the clip was paid for
        if any(r.job for found in films.renders("film").values() for r in found):
            break
        threading.Event().wait(0.01)

    second, listed = films.accept(film, max_cost_usd=Decimal(0))
    assert [(clip.is_due, clip.is_reused) for clip in listed] == [(False, False)]
    assert films.end(second).status == "finished"

    assert "wait" in [turn["step"] for turn in films.turns]
    assert films.end(first).status == "finished"
    assert len(films.jobs()) == 1


def test_clips_of_one_film_in_another_order_and_films_of_the_same_clips_are_apart(films):
    films.film(script("one", film="a"))
    films.film(script("one", film="b"))

    assert films.entries("a")["01::draft"].render_id != films.entries("b")["01::draft"].render_id
    assert len(films.jobs()) == 2
