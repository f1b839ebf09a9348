"""A film whose clips go wrong, each in its own way: what is made, what is told, what comes next.

The good clips never suffer from the others. What has come to nothing is paid for again; what may
still be had is fetched without a POST; what nobody can account for is left to a person.
"""

import json
import time
from collections import Counter

import pytest

from tests.workflow.conftest import FilmStage
from tests.workflow.test_film import FRAMED, script
from videoconductor import filming, views, wiring

pytestmark = pytest.mark.long

GOOD = 6
# Clip, marker in its prompt, status it ends in, error on record.
MISHAPS = (
    ("moderated", "moderated", "failed", "ModerationRejected"),
    ("refused", "zdr", "failed", "RenderRefused"),
    ("broke", "nocredits", "failed", "OutOfCredits"),
    ("job failed", "failed", "failed", "RenderFailed"),
    ("no url", "no_url", "failed", "NoUrl"),
    ("junk", "notmp4", "failed", "NotAClip"),
    ("url expired", "expired_url", "failed", "CopyFailed"),
    ("job gone", "job_lost", "stalled", "RenderStalled"),
    ("answer lost", "lost", "submit_unknown", "SubmitUnknown"),
    ("overloaded", "lost503", "submit_unknown", "SubmitUnknown"),
)
# Fetched the next time, at no cost.
ATTACHED = {"url expired", "job gone"}
UNRESOLVED = {"answer lost", "overloaded"}
PAID_AGAIN = {name for name, *_ in MISHAPS} - ATTACHED - UNRESOLVED


def mishaps():
    bad = [{"id": name, "prompt": f"{name} [[sim:{marker}]]"} for name, marker, *_ in MISHAPS]
    return script(*bad, *[f"good {number}" for number in range(GOOD)])


def until(check, seconds=20):
    end = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return found


def posts(films: FilmStage) -> int:
    return sum(
        r["method"] == "POST" and r["path"].startswith("/v1/videos/")
        for r in films.simulator.requests()
    )


def test_every_clip_that_fails_is_named_with_its_reason_and_the_others_are_made(films):
    run, _ = films.accept(mishaps())
    execution = films.watch_film(run)
    run = wiring.manifest().run("film", run.run_id)

    assert (execution.status, execution.error) == ("FAILED", "FilmIncomplete")
    assert execution.path[-3:] == ["Conclude", "IsFinished", "Incomplete"]
    assert (run.status, run.done, run.failed, run.unresolved) == ("incomplete", GOOD, 7, 3)
    expected = {name: (status, error) for name, _, status, error in MISHAPS}
    [event] = films.ready
    result = films.document(run.result_key)
    told = {m["clipId"]: m for m in event["missing"]}
    assert {name: (m["status"], m["error"]) for name, m in told.items()} == expected
    assert result["missing"] == event["missing"]
    assert all(m["message"] and m["renderId"] for m in told.values())
    assert Counter(clip["status"] for clip in result["clips"]) == {
        "finalized": GOOD,
        "failed": 7,
        "stalled": 1,
        "submit_unknown": 2,
    }
    assert len(films.entries("film")) == GOOD
    assert posts(films) == len(MISHAPS) + GOOD
    # Nothing that opens anything, and no prompt, is in what is told.
    assert "sim:" not in json.dumps(event)
    assert "Signature" not in json.dumps(result)
    manifest = views.manifest("film", films.entries("film").values(), [run])
    states = Counter(clip["status"] for clip in manifest["clips"])
    assert states == {"done": GOOD, "failed": 7, "stalled": 1, "submit_unknown": 2}
    assert all(clip["error"] for clip in manifest["clips"] if clip["status"] != "done")
    # What was billed is booked, for withheld and unplayable clips too.
    billed = sum(job["cost_usd_ticks"] for job in films.jobs() if job["billed"])
    unseen = [job for job in films.jobs() if job["marker"] in {"lost", "lost503", "job_lost"}]
    booked = billed - sum(job["cost_usd_ticks"] for job in unseen)
    assert run.cost_usd is not None
    assert run.cost_usd * 10**10 == booked


def test_the_next_run_repairs_what_can_be_and_pays_only_for_what_came_to_nothing(
    films, monkeypatch
):
    film = mishaps()
    first = films.film(film)
    before = {name: made[0] for name, made in films.renders("film").items()}
    jobs, sent = {job["id"] for job in films.jobs()}, posts(films)
    films.calm(monkeypatch)

    films.elapsed += 60
    second, listed = films.accept(film)
    assert {clip.clip_id for clip in listed if clip.is_due} == PAID_AGAIN
    assert sum(clip.is_reused for clip in listed) == GOOD
    assert float(second.estimated_cost_usd) == pytest.approx(0.05 * len(PAID_AGAIN))
    second = films.end(second)

    assert (second.status, second.failed, second.unresolved) == ("incomplete", 0, len(UNRESOLVED))
    assert {m.clip_id for m in second.missing} == UNRESOLVED
    assert posts(films) - sent == len(PAID_AGAIN)
    after = films.renders("film")
    assert all(len(made) == 1 for made in after.values())
    for name in ATTACHED:
        assert after[name][0].status == "finalized"
        assert after[name][0].request_id == before[name].request_id
    for name in PAID_AGAIN:
        assert after[name][0].status == "finalized"
        assert len(after[name][0].attempts) == 2
        assert after[name][0].attempts[0].request_id not in jobs - {before[name].request_id}
    for name in UNRESOLVED:
        assert after[name][0] == before[name]
    entries = films.entries("film")
    assert len(entries) == GOOD + len(PAID_AGAIN) + len(ATTACHED)
    [_, event] = films.ready
    assert {m["clipId"] for m in event["missing"]} == UNRESOLVED
    assert first.run_id != second.run_id

    # A person decides about what is left: one is given up, the other's job was found.
    given_up, found = before["answer lost"], before["overloaded"]
    wiring.conductor().abandon(given_up.render_id)
    lost_job = next(job for job in films.jobs() if job["marker"] == "lost503")
    attached = wiring.conductor().attach(found.render_id, lost_job["id"])
    films.run(attached)
    sent = posts(films)
    third = films.film(film)

    assert (third.status, third.due, third.items) == ("finished", 1, 1)
    assert posts(films) - sent == 1
    assert len(films.entries("film")) == len(MISHAPS) + GOOD


def test_a_clip_that_failed_and_is_not_asked_for_is_not_paid_for_again(films, monkeypatch):
    film = script("one [[sim:failed]]", "two")
    films.film(film)
    films.calm(monkeypatch)

    assert films.film(film, only=("02",)).status == "finished"

    assert len(films.jobs()) == 2


def test_a_still_that_moderation_refuses_is_named_and_its_clip_not_begun(films, monkeypatch):
    refused = {**FRAMED, "firstFrame": {"imagePrompt": "a bar [[sim:moderated]]"}}
    run = films.film(script("one", refused))

    assert (run.status, run.done, run.failed) == ("incomplete", 1, 1)
    [missing] = run.missing
    assert (missing.clip_id, missing.error) == ("02", "ModerationRejected")
    assert len(films.videos()) == 1
    films.calm(monkeypatch)
    again = films.film(script("one", refused))
    assert (again.status, again.due) == ("finished", 1)
    assert len(films.videos()) == 2


def test_a_cancelled_clip_is_waited_for_by_the_next_run_at_no_cost(films):
    film = script("one [[sim:slow]]", "two")
    run, listed = films.accept(film)
    cancelled = []

    def cancel():
        render = wiring.manifest().read(listed[0].render_id)
        if render.status == "rendering" and not cancelled:
            cancelled.append(wiring.conductor().cancel(render.render_id))

    films.while_waiting = cancel
    run = films.end(run)
    assert (run.status, run.failed, run.missing[0].status) == ("incomplete", 1, "cancelled")

    second, listed = films.accept(film)
    assert [clip.is_due for clip in listed] == [False, False]
    assert films.end(second).status == "finished"
    assert len(films.jobs()) == 2


def test_two_runs_at_once_never_pay_in_turns_for_a_clip_that_fails_each_time(films):
    """The second said that the clip was under way, and reckoned without its price."""
    film = script("one [[sim:slow]] [[sim:moderated]]")
    first, _ = films.accept(film)
    until(lambda: any(r.job for found in films.renders("film").values() for r in found))
    films.elapsed += 1
    second, listed = films.accept(film, max_cost_usd=0)
    assert [clip.is_due for clip in listed] == [False]
    until(lambda: len(films.ready) == 2 or len(films.jobs()) > 1)

    jobs = films.jobs()
    films.stop_film(first)
    films.stop_film(second, with_clips=True)

    assert len(jobs) == 1
    ended = wiring.manifest().runs("film")
    assert [run.status for run in ended] == ["incomplete", "incomplete"]
    assert [run.missing[0].error for run in ended] == ["ModerationRejected", "ModerationRejected"]


def test_resuming_a_run_does_not_pay_again_for_what_failed_in_it(films):
    """It said what it costs once, for one try of each clip."""
    run, _ = films.accept(script("one [[sim:failed]]", "two [[sim:slow]]"))
    until(lambda: "failed" in {r.status for [r] in films.renders("film").values()})
    films.stop_film(run)
    films.elapsed += 60

    run = films.end(wiring.director().resume("film", run.run_id))

    assert (run.status, run.done, run.failed, run.executions) == ("incomplete", 1, 1, 2)
    assert len(films.jobs()) == 2


def test_a_clip_that_was_asked_for_again_and_came_to_be_is_the_films_whenever_it_first_failed(
    films, monkeypatch
):
    films.film(script("one"))
    films.film(script("two [[sim:failed]]"))
    films.film(script("three"))
    films.film(script("one"))
    films.calm(monkeypatch)

    run = films.film(script("two [[sim:failed]]"))

    assert run.status == "finished"
    [entry] = films.entries("film").values()
    [clip] = filming.clips_of(run, wiring.library())
    assert entry.render_id == clip.render_id
