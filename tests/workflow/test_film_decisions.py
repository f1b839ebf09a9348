"""What people decide about runs: cancel one, have it retried, have its script remastered."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.workflow.conftest import load_handler
from tests.workflow.test_film import script
from tests.workflow.test_film_doors import over_http
from tests.workflow.test_film_failures import until
from videoconductor import wiring
from videoconductor.clip import FilmOrder
from xai_simulator.scenarios import SCENARIOS, Markers


@pytest.fixture(scope="module")
def doors():
    return {name: load_handler(name) for name in ("film", "browse")}


@pytest.fixture
def http(films, doors):
    return over_http(doors)


SILENT = "[[sim:poll503=0]]"  # xAI makes the clip, and no poll gets an answer until it is calm


def under_way(films, *statuses):
    """Wait until the clips of the film that are on record have these statuses."""
    until(lambda: sorted(r.status for [r] in films.renders("film").values()) == sorted(statuses))


@pytest.mark.long
def test_a_run_that_is_cancelled_in_the_middle_sends_nothing_more_and_says_what_may_be_billed(
    films, http, monkeypatch
):
    film = script("one", *[f"{number} {SILENT}" for number in range(2, 10)])
    run, _ = films.accept(film)
    # As many as there is room for, once the first is there.
    under_way(films, "finalized", *["rendering"] * 6)
    jobs = {job["id"] for job in films.jobs()}

    status, body, _ = http("POST", "/v1/films/film/cancel", film="film", query=f"run={run.run_id}")

    assert (status, len(jobs)) == (200, 7)
    assert body["cancelledAt"] is not None
    assert body["counts"] == {"total": 9, "done": 1, "failed": 8, "running": 0, "unresolved": 0}
    there = films.entries("film")["01::draft"].request_id
    billed = {clip["requestId"] for clip in body["mayBeBilled"]}
    assert billed == jobs - {there}
    assert films.end(run).status == "cancelled"
    assert {job["id"] for job in films.jobs()} == jobs
    assert [(told["status"], told["done"]) for told in films.ready] == [("cancelled", 1)]
    assert films.document(films.ready[0]["resultKey"])["status"] == "cancelled"
    assert sorted(told["status"] for told in films.published) == ["cancelled"] * 6 + ["finalized"]
    _, detail, _ = http("GET", "/v1/films/film", film="film")
    assert [row["status"] for row in detail["clips"]] == ["finalized", *["cancelled"] * 8]
    unsent = [row for row in detail["clips"] if row["advice"] is None and row["error"]]
    assert {row["error"]["error"] for row in unsent} == {"FilmCancelled"}
    assert len(films.renders("film")) == 9 - len(unsent) == 7
    # Once more is the same; a run that is over cannot be resumed.
    assert http("POST", "/v1/films/film/cancel", film="film")[1] == {
        **body,
        **{name: detail[name] for name in ("status", "endedAt", "resultKey")},
    }
    status, refused, _ = http("POST", "/v1/films/film/resume", film="film")
    assert (status, "cancelled" in refused["detail"]) == (409, True)

    # Another run has what was sent already for nothing, and makes the rest.
    films.calm(monkeypatch)
    status, again, _ = http("POST", "/v1/films/film/retry", film="film")
    assert (status, again["due"]) == (202, 2)
    assert films.end(wiring.manifest().run("film")).status == "finished"
    assert len(films.jobs()) == 9
    assert http("POST", "/v1/films/film/cancel", film="film")[0] == 409


def test_a_turn_that_comes_while_its_run_is_cancelled_starts_nothing(films, monkeypatch):
    real = wiring.manifest().create
    for film, when in (("before", "before"), ("after", "after")):
        with monkeypatch.context() as patch:

            def create(render, film=film, when=when):
                # The turn has seen the run as it was before.
                if when == "before":
                    wiring.director().cancel(film)
                record = real(render)
                if when == "after":
                    wiring.director().cancel(film)
                return record

            patch.setattr(wiring.manifest(), "create", create)
            run = films.film(script("one", film=film))

        assert (run.status, run.failed) == ("cancelled", 1), when
        [[render]] = films.renders(film).values()
        assert (render.status, render.attempts) == ("cancelled", ()), when
    assert films.jobs() == []
    assert len(films.ready) == 2


def test_a_run_that_is_cancelled_while_it_is_summed_up_ends_once_and_one_without_execution_too(
    films, monkeypatch
):
    real = wiring.library().replace_document
    cancelled = []

    def replace_document(key, content):
        real(key, content)
        if not cancelled:
            cancelled.append(wiring.director().cancel("film"))

    with monkeypatch.context() as patch:
        patch.setattr(wiring.library(), "replace_document", replace_document)
        run = films.film(script("one", "two [[sim:failed]]"))

    assert (run.status, run.done, len(films.ready)) == ("cancelled", 1, 1)
    assert films.document(run.result_key)["status"] == "cancelled"
    # The result was written twice, and told once.
    assert films.ready[0]["status"] == "cancelled"

    run, _ = films.accept(script(f"three {SILENT}", film="dead"))
    until(lambda: len(films.jobs()) == 3)
    films.stop_film(run, with_clips=True)
    called_off, _ = wiring.director().cancel("dead")
    assert called_off.executions == 2
    assert films.end(called_off).status == "cancelled"
    assert [told["filmId"] for told in films.ready] == ["film", "dead"]


def test_a_clip_that_another_run_or_a_person_wants_is_not_lost_to_it(films, monkeypatch):
    film = script(f"one {SILENT}")
    first, _ = films.accept(film)
    under_way(films, "rendering")
    films.elapsed += 1
    second, listed = films.accept(film, max_cost_usd=0)
    assert [clip.is_due for clip in listed] == [False]

    # What the first has under way is nothing that the second could cancel.
    wiring.director().cancel("film", second.run_id)
    [[render]] = films.renders("film").values()
    assert render.status == "rendering"
    assert films.end(second).status == "cancelled"
    films.elapsed += 1
    third, _ = films.accept(film, max_cost_usd=0)
    until(lambda: len([turn for turn in films.turns if turn["step"] == "wait"]) > 1)

    wiring.director().cancel("film", first.run_id)

    # The third waits for its job again.
    until(lambda: films.record(render).taken_up_by == third.marker)
    wiring.conductor().cancel(render.render_id)
    wiring.conductor().attach(render.render_id)
    wiring.director().cancel("film", third.run_id)
    assert films.record(render).status == "rendering"
    films.calm(monkeypatch)
    until(lambda: films.record(render).status == "finalized")
    assert len(films.jobs()) == 1
    films.end(first)
    films.end(third)


def test_a_retry_pays_only_for_what_is_missing_as_the_run_was_asked_for(films, http, monkeypatch):
    film = script("one", "two [[sim:moderated]]", "three [[sim:lost]]", "four")
    query = "clip=01&clip=02&clip=03&maxCostUsd=0.15"
    _, first, _ = http("POST", "/v1/films", film, query=query, key="k")
    assert films.end(wiring.manifest().run("film")).status == "incomplete"
    before = len(films.jobs())
    films.calm(monkeypatch)
    films.elapsed += 60

    _, second, _ = http("POST", "/v1/films/film/retry", film="film", key="again")
    assert (second["due"], len(second["clips"])) == (1, 3)
    run = films.end(wiring.manifest().run("film"))
    # What nobody can account for is left to a person, or to a run that may pay twice.
    assert (run.status, run.done, run.unresolved) == ("incomplete", 2, 1)
    assert len(films.jobs()) == before + 1

    films.elapsed += 60
    consent = {"mayChargeTwice": True}
    assert http("POST", "/v1/films/film/retry", film="film", key="again")[1] == second
    for key, body in (("k", None), ("again", consent)):
        assert http("POST", "/v1/films/film/retry", body, film="film", key=key)[0] == 409
    over = http("POST", "/v1/films/film/retry", consent, film="film", query="maxCostUsd=0.04")
    assert (over[0], over[1]["errors"][0]["field"]) == (400, "maxCostUsd")
    _, third, _ = http("POST", "/v1/films/film/retry", consent, film="film", key="consent")
    assert third["due"] == 1
    assert films.end(wiring.manifest().run("film")).status == "finished"
    assert len(films.jobs()) == before + 2
    # The consent was for that run alone, and the key of an earlier one still means that.
    assert http("POST", "/v1/films", film, query=query, key="k")[1] == first
    assert not wiring.director().retry("film", None, FilmOrder(), "arn:x")[0].may_charge_twice
    films.settle()
    assert len(films.jobs()) == before + 2


def test_a_retry_of_a_forced_run_makes_what_that_one_lacks_and_no_more(films, http, monkeypatch):
    film = script("one", "two")
    films.film(film)
    films.elapsed += 60
    fails = (SCENARIOS["failed"],)
    monkeypatch.setattr(Markers, "at", lambda self, stage: fails if stage == "ending" else ())
    forced = films.film(film, force=True, only=("01",))
    assert (forced.status, forced.failed) == ("incomplete", 1)
    films.calm(monkeypatch)
    films.elapsed += 60

    status, body, _ = http("POST", "/v1/films/film/retry", film="film")

    assert (status, body["due"], body["reused"]) == (202, 1, 0)
    assert films.end(wiring.manifest().run("film")).status == "finished"
    assert len(films.jobs()) == 4
    _, body, _ = http("POST", "/v1/films/film/retry", film="film")
    assert (body["due"], body["reused"]) == (0, 1)
    films.settle()
    assert len(films.jobs()) == 4


def test_a_kept_script_is_remastered_from_nothing_or_from_its_clips(films, http):
    films.film(script("one", "two"))
    route = "/v1/films/film/remaster"

    refused = http("POST", route, film="film", query="maxCostUsd=0.01&edit=maybe&remaster=true")
    assert refused[0] == 400
    assert {error["field"]: error.get("choices") for error in refused[1]["errors"]} == {
        "edit": None,
        "remaster": ["run", "maxCostUsd", "quoteId", "callbackUrl", "clip", "edit"],
    }
    assert http("POST", route, film="film", query="maxCostUsd=0.01")[0] == 400
    assert http("POST", route, film="film", query="run=nobody")[0] == 404

    query = "clip=02&callbackUrl=https%3A%2F%2Fhooks.example.com%2Ffilm"
    status, body, answer = http("POST", route, film="film", query=query, key="720p")
    assert status == 202, body
    assert [(c["clipId"], c["qualityMode"], c["due"]) for c in body["clips"]] == [
        ("02", "production", True)
    ]
    run = wiring.manifest().run("film")
    assert (run.callback_url, run.run_id) == ("https://hooks.example.com/film", body["runId"])
    assert body["links"]["self"] in json.dumps(answer)
    films.end(run)
    # The newest run is another now: the key still means the same.
    assert http("POST", route, film="film", query=query, key="720p")[1] == body
    assert list(films.entries("film")) == ["01::draft", "02::draft", "02::production"]

    _, body, _ = http("POST", route, film="film", query="edit=true&clip=01")
    assert [clip["operation"] for clip in body["clips"]] == ["edit"]
    films.settle()


def test_runs_of_all_films_are_listed_newest_first_in_pages(films, http):
    made, _ = films.accept(script("one", film="東京 物語"))
    made = films.end(made)
    runs = [made]
    for number, status in enumerate(("incomplete", "cancelled"), 1):
        later = made.requested_at + timedelta(hours=number)
        other = {"film": "b", "run_id": f"b{number}", "requested_at": later, "status": status}
        runs.insert(0, made.model_copy(update=other))
        assert wiring.manifest().create_run(runs[0])

    status, body, _ = http("GET", "/v1/films")
    assert status == 200
    assert [run["runId"] for run in body["films"]] == [run.run_id for run in runs]
    _, shown, _ = http("GET", "/v1/films/b", film="b")
    # Its clips were paid for before it was asked for: to the run itself nothing is booked.
    del body["films"][0]["spending"]
    assert body["films"][0] == {name: shown[name] for name in body["films"][0]}

    def listed(query):
        return [run["filmId"] for run in http("GET", "/v1/films", query=query)[1]["films"]]

    assert listed("status=finished") == ["東京 物語"]
    assert listed("status=incomplete&status=cancelled") == ["b", "b"]
    assert listed("film=%E6%9D%B1%E4%BA%AC%20%E7%89%A9%E8%AA%9E") == ["東京 物語"]
    assert listed("requestedBefore=2026-11-22T12:30:00Z") == ["東京 物語"]
    first = http("GET", "/v1/films", query="limit=2")[1]
    assert listed(f"limit=2&cursor={first['nextCursor']}") == ["東京 物語"]
    for query, field in (
        ("status=stalled", "status"),
        ("mode=draft", "mode"),
        ("limit=0", "limit"),
    ):
        status, body, _ = http("GET", "/v1/films", query=query)
        assert (status, body["errors"][0]["field"]) == (400, field)


def test_a_run_is_waited_for_and_looked_at_cheaply(films, http, monkeypatch):
    run, _ = films.accept(script("one", "two"))
    looks, reads = [], []
    real = wiring.manifest().read_many
    monkeypatch.setattr(wiring, "limit", lambda model: None)  # no Start waits for its turn
    monkeypatch.setattr(wiring.manifest(), "read_many", lambda ids: reads.append(ids) or real(ids))
    monkeypatch.setattr(wiring, "pause", lambda seconds: looks.append(films.end(run)))
    monkeypatch.setattr(wiring, "now", lambda: datetime(2026, 11, 22, tzinfo=UTC))

    assert http("GET", "/v1/films/film", film="film", query="wait=21")[0] == 400
    status, body, _ = http("GET", "/v1/films/film", film="film", query="wait=20")

    assert (status, body["status"], len(looks)) == (200, "finished", 1)
    of_conclude = 1
    assert len(reads) - of_conclude == 1
