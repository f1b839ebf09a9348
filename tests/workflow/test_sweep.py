"""The sweep: what lost its execution, what was never announced, and what it leaves alone."""

from datetime import timedelta

import pytest

from tests.workflow.conftest import load_handler
from tests.workflow.test_doors import CONTEXT
from tests.workflow.test_film import script
from tests.workflow.test_film_failures import until
from videoconductor import sweeping, wiring
from videoconductor.errors import EventsUnavailable, MachineUnavailable

NOTHING = {name: [] for name in ("resumed", "announced", "entered", "recovered", "left", "missed")}
LATER = 120


@pytest.fixture
def sweep(films):
    handler = load_handler("sweep").handler
    # A schedule's own event.
    schedule = {"id": "e", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}

    def swept(**order):
        done = handler({**schedule, **order}, CONTEXT)
        assert done.pop("oldestWaitSeconds") >= 0  # how long is in tests/unit/test_oldest_wait.py
        return done

    return swept


def are_open():
    return wiring.manifest().open_renders(10), wiring.manifest().open_runs(10)


def lose(films, monkeypatch, prompt, key=None):
    """A render on record whose execution was never started."""

    def fail(render):
        raise MachineUnavailable("down")

    with monkeypatch.context() as broken:
        broken.setattr(wiring.machine(), "start", fail)
        with pytest.raises(Exception, match="on record"):
            films.submit(key=key or prompt, prompt=prompt)
    return wiring.manifest().renders(films.now(), 1)[0]


def test_a_render_without_an_execution_gets_one_and_pays_once(films, sweep, monkeypatch):
    lost = lose(films, monkeypatch, "a lamp")
    assert are_open() == ([lost.render_id], [])
    assert sweep() == NOTHING  # it may be just about to be started
    films.elapsed += LATER
    # Twice: the second one finds it under way.
    swept = [sweep(), sweep()]
    assert [each["resumed"] for each in swept] == [[lost.render_id], []]
    films.run(films.record(lost))

    assert films.record(lost).status == "finalized"
    assert len(films.jobs()) == 1
    assert are_open() == ([], [])
    assert sweep() == NOTHING


def test_one_past_its_deadline_becomes_stalled_and_a_sent_one_is_never_sent_again(films, sweep):
    render = films.submit(prompt="a [[sim:hang]]")
    until(lambda: films.record(render).status == "rendering")
    films.elapsed += LATER
    assert sweep() == NOTHING
    films.stop_clips()
    films.elapsed += 21600
    assert sweep()["resumed"] == [render.render_id]
    films.run(films.record(render))
    assert films.record(render).status == "stalled"
    assert [event["status"] for event in films.published] == ["stalled"]
    assert len(films.jobs()) == 1
    assert sweep() == NOTHING


def test_what_nobody_was_told_of_is_announced(films, sweep, monkeypatch):
    publish = wiring.events().publish

    def silent(*arguments):
        raise EventsUnavailable("down")

    with monkeypatch.context() as broken:
        broken.setattr(wiring.events(), "publish", silent)
        ready = films.submit(prompt="a lamp")
        films.run(ready)
        assert (films.record(ready).status, films.record(ready).announced) == ("finalized", None)
        cancelled = lose(films, monkeypatch, "another")
        wiring.conductor().cancel(cancelled.render_id)
        films.elapsed += LATER
        swept = sweep()
        assert set(swept["missed"]) == {ready.render_id, cancelled.render_id}
    assert wiring.events().publish is publish
    swept = sweep()
    assert set(swept["announced"]) == {ready.render_id, cancelled.render_id}
    told = {event["renderId"]: event["status"] for event in films.published}
    assert told == {ready.render_id: "finalized", cancelled.render_id: "cancelled"}
    assert are_open() == ([], [])
    assert sweep() == NOTHING


def test_a_film_that_lost_its_execution_is_taken_up_and_ends_with_one_job_a_clip(films, sweep):
    run, _ = films.accept(script("one [[sim:slow]]", "two [[sim:slow]]"))
    until(lambda: len(films.jobs()) == 2)
    films.elapsed += LATER
    assert sweep() == NOTHING
    films.stop_film(run, with_clips=True)
    films.elapsed += LATER
    swept = sweep()
    name = f"film/{run.run_id}"
    # Its clips too: it is no longer there to mend them.
    assert name in swept["resumed"]
    assert len(swept["resumed"]) == 3
    again = wiring.manifest().run("film", run.run_id)
    assert again.executions == 2
    ended = films.end(again)
    films.settle()

    assert (ended.status, ended.done) == ("finished", 2)
    assert len(films.videos()) == 2
    assert [event["runId"] for event in films.ready] == [run.run_id]
    assert are_open() == ([], [])


def test_a_clip_that_lost_its_execution_is_left_to_its_film_while_that_runs(films, sweep):
    run, _ = films.accept(script("one"))
    until(lambda: films.turns and films.jobs())
    [render] = films.renders("film")["01"]
    films.end(run)
    sweeper = wiring.sweeper()
    orphan = films.record(render).model_copy(
        update={"status": "rendering", "announced": None, "executions": 5}
    )
    wiring.manifest().save(orphan, orphan)
    films.elapsed += LATER
    tally = sweeping._Tally()
    sweeper._help_render(render.render_id, frozenset({run.run_id}), sweeping.SweepOrder(), tally)
    assert tally == sweeping._Tally()


def test_a_paid_clip_that_its_running_film_has_given_up_is_helped_after_half_an_hour(films):
    run, _ = films.accept(script("one"))
    films.end(run)
    [render] = films.renders("film")["01"]
    record = films.record(render)
    moved = record.timeline[-1].model_copy(update={"status": "rendering", "at": films.now()})
    lost = record.model_copy(
        update={"status": "rendering", "announced": None, "executions": 5, "timeline": (moved,)}
    )
    unsent = lost.model_copy(update={"status": "planned"})

    def is_adrift(one):
        films_running = frozenset({run.run_id})
        return wiring.sweeper().is_adrift(one, films_running, sweeping.SweepOrder())

    films.elapsed += 29 * 60
    assert not is_adrift(lost)
    films.elapsed += 2 * 60
    assert is_adrift(lost)
    assert not is_adrift(unsent)


def test_a_clip_of_a_cancelled_run_that_lost_its_execution_is_not_sent(films, sweep, monkeypatch):
    run, _ = films.accept(script("one"))
    films.end(run)
    [made] = films.renders("film")["01"]
    jobs = films.jobs()
    # TakeUp died before it saw the mark, whoever cancelled was too early to see the render, and the
    # run's execution is gone.
    as_before = {"status": "running", "announced": False, "cancelled_at": films.now()}
    wiring.manifest().update_run(run, lambda latest: latest.model_copy(update=as_before))
    unsent = {"status": "planned", "attempts": (), "job": None, "clip": None, "announced": None}
    key = {"pk": {"S": f"RENDER#{made.render_id}"}, "sk": {"S": "RENDER"}}
    films.dynamodb.delete_item(TableName="table", Key=key)
    wiring.manifest().create(made.model_copy(update=unsent))
    films.elapsed += LATER

    assert sweep()["resumed"] == [f"film/{run.run_id}"]
    films.end(wiring.manifest().run("film", run.run_id))
    films.settle()

    assert films.record(made).status == "cancelled"
    assert films.jobs() == jobs


def test_a_run_that_is_over_and_was_not_announced_is_announced(films, sweep, monkeypatch):
    run = films.film(script("one"))
    wiring.manifest().update_run(run, lambda r: r.model_copy(update={"announced": False}))
    assert are_open()[1] == [("film", run.order)]
    films.elapsed += LATER
    assert sweep()["announced"] == [f"film/{run.run_id}"]
    assert [event["runId"] for event in films.ready] == [run.run_id] * 2
    assert sweep() == NOTHING


def test_some_are_left_and_work_is_bounded_oldest_first(films, sweep, monkeypatch):
    monkeypatch.setattr(sweeping, "MAX_MENDED", 1)
    first, second = (lose(films, monkeypatch, prompt) for prompt in ("one", "two"))
    films.elapsed += LATER
    assert sweep(mayPost=False)["left"] == [first.render_id, second.render_id]
    assert films.jobs() == []
    assert sweep()["resumed"] == [first.render_id]
    films.run(films.record(first))
    record = films.record(second)
    changed = record.model_copy(update={"executions": sweeping.MAX_EXECUTIONS})
    wiring.manifest().save(record, changed)
    films.elapsed += LATER
    assert sweep() == {**NOTHING, "left": [second.render_id]}
    assert sweep(graceSeconds=10**6) == NOTHING
    # One whose record cannot be read keeps nobody from the others.
    lost = lose(films, monkeypatch, "three")
    films.elapsed += LATER
    films.dynamodb.update_item(
        TableName="table",
        Key={"pk": {"S": f"RENDER#{second.render_id}"}, "sk": {"S": "RENDER"}},
        UpdateExpression="SET document = :spoilt",
        ExpressionAttributeValues={":spoilt": {"S": '{"status": "unheard of"}'}},
    )
    monkeypatch.setattr(sweeping, "MAX_MENDED", 2)
    assert sweep() == {**NOTHING, "missed": [second.render_id], "resumed": [lost.render_id]}
    assert timedelta(seconds=LATER) > timedelta(seconds=sweeping.SweepOrder().grace_seconds)
