"""A film whose processes and executions die: at any place, and the same script again ends it well.

One job a clip, whatever happens: that is the line most tests end with.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pytest

from tests.workflow.conftest import FilmStage
from tests.workflow.test_film import FRAMED, script
from tests.workflow.test_film_failures import until
from videoconductor import filming, wiring
from videoconductor.errors import NotAllowed

pytestmark = pytest.mark.long

SLOW = script("one [[sim:slow]]", {**FRAMED, "prompt": "two [[sim:slow]]"}, "three [[sim:slow]]")


def one_job_a_clip(films: FilmStage, clips: int, stills: int = 0) -> bool:
    made = films.renders("film")
    return (
        len(films.videos()) == clips
        and len(films.stills()) == stills
        and all(len(renders) == 1 for renders in made.values())
        and all(len(renders[0].attempts) == 1 for renders in made.values())
    )


@pytest.mark.parametrize("with_clips", [False, True])
@pytest.mark.parametrize("again", ["script", "resume"])
def test_a_film_stopped_in_the_middle_is_ended_without_another_job(films, with_clips, again):
    run, _ = films.accept(SLOW)
    until(lambda: len(films.jobs()) >= 3)
    films.stop_film(run, with_clips=with_clips)
    assert wiring.manifest().run("film").status == "running"
    films.elapsed += 60

    if again == "script":
        second, _ = films.accept(SLOW)
    else:
        second = wiring.director().resume("film", run.run_id)
    ended = films.end(second)

    assert (ended.status, ended.done) == ("finished", 3)
    assert one_job_a_clip(films, 3, stills=1)
    assert len(films.entries("film")) == 3
    assert [event["runId"] for event in films.ready] == [second.run_id]


def test_a_film_stopped_before_any_clip_had_its_turn_pays_on_the_second_run_only(films):
    gate = threading.Event()
    real = films.handlers["take_up"].handler
    films.handlers["take_up"].handler = lambda event, context: (
        gate.wait(20),
        real(event, context),
    )[1]
    try:
        run, _ = films.accept(script("one", "two"))
        until(lambda: films.calls.count("take_up") == 2)
        films.stop_film(run)
    finally:
        gate.set()
        films.handlers["take_up"].handler = real
    assert films.jobs() == []

    assert films.film(script("one", "two")).status == "finished"
    assert one_job_a_clip(films, 2)


def test_clip_executions_that_die_get_another_from_the_same_run(films):
    run, _ = films.accept(SLOW)
    until(lambda: len(films.videos()) == 3)

    assert len(films.stop_clips()) == 3

    assert films.end(run).status == "finished"
    assert one_job_a_clip(films, 3, stills=1)
    assert {render.executions for [render] in films.renders("film").values()} == {2}


def test_a_clip_whose_executions_die_each_time_is_left_alone_after_some_tries(films):
    run, listed = films.accept(script("one [[sim:hang]]"))
    name = listed[0].render_id
    until(films.jobs)
    for number in range(1, filming.MAX_TRIES + 1):
        until(lambda number=number: f"{name}-{number}" in films.stop_clips())

    run = films.end(run)

    assert (run.status, run.missing[0].status) == ("incomplete", "rendering")
    assert (run.done, run.failed, run.unresolved) == (0, 0, 0)
    assert len(films.jobs()) == 1


def test_take_up_killed_around_the_record_is_run_again_and_makes_one_job(films, monkeypatch):
    for number, when in enumerate(("before", "after"), 1):
        with monkeypatch.context() as patch:
            fired = films.kill(patch, wiring.manifest(), "create", when)
            run = films.film(script("one", film=f"film-{number}"))

        assert fired == ["create"]
        assert run.status == "finished"
        assert len(films.jobs()) == number


def test_take_up_killed_around_a_revival_allows_one_post(films, monkeypatch):
    names = [f"film-{number}" for number in range(4)]
    for name in names:
        films.film(script("one [[sim:failed]]", film=name))
    films.calm(monkeypatch)
    films.elapsed += 1
    for name, (call, when) in zip(
        names, product(("read", "update"), ("before", "after")), strict=True
    ):
        before = len(films.jobs())
        with monkeypatch.context() as patch:
            fired = films.kill(patch, wiring.manifest(), call, when)
            run = films.film(script("one [[sim:failed]]", film=name))

        assert fired == [call]
        assert run.status == "finished", (call, when)
        assert len(films.jobs()) == before + 1, (call, when)
        [[render]] = films.renders(name).values()
        assert len(render.attempts) == 2


def test_take_up_killed_after_its_record_and_then_the_film_is_ended_by_the_next_run(
    films, monkeypatch
):
    real = wiring.manifest().create
    reached = threading.Event()

    def dying(render):
        real(render)
        reached.set()
        threading.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(wiring.manifest(), "create", dying)
        run, listed = films.accept(script("one"))
        assert reached.wait(20)
        films.stop_film(run)
    assert films.record(listed[0]).status == "planned"
    assert films.jobs() == []

    films.elapsed += 60
    second, listed = films.accept(script("one"))
    assert films.end(second).status == "finished"
    assert one_job_a_clip(films, 1)


def test_take_up_that_crashes_or_times_out_is_run_again(films):
    errors = ("Lambda.Unknown", "States.Timeout", "Sandbox.Timedout")
    for number, (error, when) in enumerate(product(errors, ("before", "after")), 1):
        films.break_state("TakeUp", error, when)

        run = films.film(script("one", film=f"film-{number}"))

        assert run.status == "finished", (error, when)
        assert films.faults == []
        assert len(films.jobs()) == number, (error, when)


def test_an_item_whose_turn_never_comes_does_not_stop_the_others(films, monkeypatch):
    real = wiring.manifest().create

    def down(render):
        if render.clip_id == "01":
            raise RuntimeError("the table is gone, for this one")
        return real(render)

    monkeypatch.setattr(wiring.manifest(), "create", down)

    run = films.film(script("one", "two", "three"))

    assert (run.status, run.done) == ("incomplete", 2)
    assert [(m.clip_id, m.status) for m in run.missing] == [("01", "planned")]
    assert len(films.jobs()) == 2


def test_two_runs_after_a_death_of_everything_make_one_job_a_clip(films):
    run, _ = films.accept(SLOW)
    until(lambda: len(films.jobs()) >= 3)
    films.stop_film(run, with_clips=True)
    together = threading.Barrier(2)

    def ask(_):
        together.wait()
        return films.accept(SLOW)[0]

    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(ask, range(2)))

    assert [films.end(each).status for each in runs] == ["finished", "finished"]
    assert one_job_a_clip(films, 3, stills=1)


OUTSIDE_CALLS = [
    ("manifest", "run", 1),
    ("library", "read", 1),
    ("manifest", "read_many", 1),
    ("library", "replace_document", 1),
    ("manifest", "runs", 1),
    ("manifest", "update_run", 1),
    ("events", "film_ready", 1),
    ("manifest", "update_run", 2),
]
# Announced at least once: twice where it died after the event and before that was on record.
TWICE = {("film_ready", 1, "after"), ("update_run", 2, "before")}


def test_conclude_killed_at_any_outside_call_ends_in_one_consistent_record(films, monkeypatch):
    film = script("one", "two [[sim:lost]]")
    films.film(film)
    kept = []
    for (edge, call, nth), when in product(OUTSIDE_CALLS, ("before", "after")):
        films.ready.clear()
        films.elapsed += 1
        run, _ = films.accept(film)
        # TakeUp of the clip nobody can account for reads no run; the door has had its turn.
        with monkeypatch.context() as patch:
            fired = films.kill(patch, getattr(wiring, edge)(), call, when, nth)
            execution = films.watch_film(run)

        assert fired == [call], (call, nth, when)
        assert execution.error == "FilmIncomplete", (call, nth, when)
        run = wiring.manifest().run("film", run.run_id)
        assert (run.status, run.done, run.unresolved, run.announced) == ("incomplete", 1, 1, True)
        assert [m.clip_id for m in run.missing] == ["02"]
        result = films.document(run.result_key)
        assert (result["done"], result["unresolved"], len(result["clips"])) == (1, 1, 2)
        assert len(films.ready) == 1 + ((call, nth, when) in TWICE), (call, nth, when)
        assert all(event == films.ready[0] for event in films.ready)
        kept.append(run)
    assert wiring.manifest().runs("film")[1:] == kept
    assert len(films.jobs()) == 2


def test_a_run_whose_conclusion_failed_for_good_is_resumed_without_a_job(films, monkeypatch):
    with monkeypatch.context() as patch:

        def down(*_):
            raise RuntimeError("no library")

        patch.setattr(wiring.library(), "replace_document", down)
        run, _ = films.accept(script("one"))
        execution = films.watch_film(run)
    assert (execution.status, execution.path[-1]) == ("FAILED", "Unrecorded")
    assert execution.path.count("Conclude") == 1
    assert films.calls.count("conclude") == 21
    assert wiring.manifest().run("film").status == "running"

    run = films.end(wiring.director().resume("film"))

    assert (run.status, run.executions) == ("finished", 2)
    assert one_job_a_clip(films, 1)
    with pytest.raises(NotAllowed, match="hand the script in again"):
        wiring.director().resume("film")


def test_an_execution_that_was_overtaken_leaves_the_conclusion_to_the_other(films, monkeypatch):
    reached, opened = threading.Event(), threading.Event()
    real = films.handlers["conclude"].handler

    def held(event, context):
        if event["marker"].endswith("-1"):
            reached.set()
            assert opened.wait(20)
        return real(event, context)

    monkeypatch.setattr(films.handlers["conclude"], "handler", held)
    run, _ = films.accept(script("one"))
    assert reached.wait(20)
    second = wiring.director().resume("film", run.run_id)
    ended = films.end(second)
    opened.set()

    first = films.watch_film(run)

    assert (first.status, first.error) == ("FAILED", "FilmIncomplete") or (
        first.status == "SUCCEEDED"
    )
    assert ended.result_key.endswith("result-2.json")
    assert wiring.manifest().run("film") == ended
    assert len(films.ready) == 1
    assert len(films.jobs()) == 1


def test_a_film_whose_items_cannot_be_read_is_concluded_and_says_so(films, monkeypatch):
    put = wiring.library().put_document

    def lost(key, content):
        if not key.endswith("items.json"):
            put(key, content)

    monkeypatch.setattr(wiring.library(), "put_document", lost)
    run, _ = films.accept(script("one"))

    execution = films.watch_film(run)

    assert (execution.status, execution.error) == ("FAILED", "FilmIncomplete")
    assert execution.path == ["HasItems", "Clips", "Conclude", "IsFinished", "Incomplete"]
    run = wiring.manifest().run("film")
    assert [(m.clip_id, m.status) for m in run.missing] == [("01", "planned")]
    assert films.jobs() == []
