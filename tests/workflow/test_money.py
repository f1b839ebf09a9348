"""What each way a POST can end does to money: reserved with the permit, then released or settled.

xAI's journal says what it charged; the ledger's entries and the counters must say the same.
"""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from tests.workflow.conftest import CALLER, ROOT
from videoconductor import budgets, ledger, pricing, wiring
from videoconductor.clip import FilmOrder, Render
from videoconductor.errors import InvalidRequest, LibraryUnavailable, OverBudget, RateLimited
from videoconductor.ledger import Counter
from videoconductor.models import ModelCatalog
from videoconductor.workflow import guards

PRESETS = ROOT / "presets"
CENT = 10**8
SECOND = 5 * CENT  # of draft
STILL = 2 * CENT
FRAMED_SECOND = 9 * CENT  # of draft_i2v, at 8, and the image handed in, at 1


def entries(stage):
    return list(wiring.books().entries(ledger.day_of(stage.now())))


def booked(stage):
    """Kind, what for, and what was held and settled by it, of each entry."""
    return [(e.kind, e.what, e.held_ticks, e.settled_ticks) for e in entries(stage)]


def month(stage):
    counter = Counter("month", ledger.day_of(stage.now())[:7])
    return wiring.books().standing([counter])[counter]


def charged(stage):
    return sum(job["cost_usd_ticks"] for job in stage.jobs())


RESERVED = ("reserve", "clip", SECOND, 0)
RELEASED = ("release", "clip", -SECOND, 0)
SETTLED = ("settle", "clip", -SECOND, SECOND)

WAYS = {
    "": ([RESERVED, SETTLED], "finalized", "reported"),
    "[[sim:start429]]": ([RESERVED, RELEASED, RESERVED, SETTLED], "finalized", "reported"),
    "[[sim:nocredits]]": ([RESERVED, RELEASED], "failed", None),
    "[[sim:moderated]]": ([RESERVED, SETTLED], "failed", "reported"),
    "[[sim:moderated_400]]": ([RESERVED, SETTLED], "failed", "reported"),
    # Whether xAI bills a job that failed is not established: until it says so, it may have.
    "[[sim:failed]]": ([RESERVED, SETTLED], "failed", "estimate"),
    "[[sim:expired]]": ([RESERVED, SETTLED], "failed", "estimate"),
    # Made and paid for, whatever became of the copy.
    "[[sim:notmp4]]": ([RESERVED, SETTLED], "failed", "reported"),
    "[[sim:lost]]": ([RESERVED], "submit_unknown", None),
    "[[sim:start503]]": ([RESERVED], "submit_unknown", None),
}


@pytest.mark.parametrize("marker", WAYS)
def test_what_a_post_costs_is_reserved_then_released_or_settled(stage, marker):
    booked_then, status, basis = WAYS[marker]
    render = stage.submit(prompt=f"a lamp {marker}", purpose="teaser")
    stage.run(render)

    record = stage.record(render)
    assert record.status == status
    assert booked(stage) == booked_then
    held, settled = sum(e[2] for e in booked_then), sum(e[3] for e in booked_then)
    assert (record.held_ticks, record.spent_ticks) == (held, settled)
    assert month(stage)[:2] == (held, settled)
    last = entries(stage)[-1]
    assert last.basis == basis
    assert (last.tag, last.caller, last.film) == ("teaser", record.caller, "default")
    if basis == "reported":
        assert settled == charged(stage)


def test_a_still_is_reserved_and_settled_by_itself(stage):
    stage.run(stage.submit(firstFramePrompt="a lamp, unlit"))

    assert sorted(booked(stage)) == [
        ("reserve", "clip", FRAMED_SECOND, 0),
        ("reserve", "still", STILL, 0),
        ("settle", "clip", -FRAMED_SECOND, FRAMED_SECOND),
        ("settle", "still", -STILL, STILL),
    ]
    assert month(stage)[:2] == (0, charged(stage))


def test_a_still_that_was_withheld_is_paid_for(stage):
    stage.run(stage.submit(firstFramePrompt="a lamp [[sim:moderated]]"))

    assert booked(stage) == [
        ("reserve", "still", STILL, 0),
        ("settle", "still", -STILL, STILL),
    ]
    assert charged(stage) == STILL


def test_a_hold_nobody_can_account_for_is_settled_by_attaching_its_job(stage):
    render = stage.submit(prompt="a lamp [[sim:lost]]")
    stage.run(render)
    [job] = stage.jobs()

    stage.run(wiring.conductor().attach(render.render_id, job["id"]))

    assert stage.record(render).status == "finalized"
    assert booked(stage) == [RESERVED, SETTLED]


def test_a_hold_nobody_can_account_for_stays_when_it_is_given_up_or_paid_for_twice(stage):
    conductor = wiring.conductor()
    render = stage.submit(prompt="a lamp [[sim:start503]]")
    stage.run(render)
    stage.run(conductor.retry(render.render_id, may_charge_twice=True))

    assert booked(stage) == [RESERVED, RESERVED, SETTLED]
    assert (stage.record(render).held_ticks, stage.record(render).spent_ticks) == (SECOND, SECOND)

    other = stage.submit(prompt="another lamp [[sim:start503]]")
    stage.run(other)
    conductor.abandon(other.render_id)
    assert stage.record(other).held_ticks == SECOND
    assert month(stage)[:2] == (2 * SECOND, SECOND)


def test_killed_between_permit_and_post_the_hold_stays(stage, monkeypatch):
    stage.kill(monkeypatch, wiring.provider("xai"), "start", "before")
    render = stage.submit()
    stage.run(render)

    assert stage.record(render).status == "submit_unknown"
    assert booked(stage) == [RESERVED]


def test_nothing_reported_is_settled_to_the_estimate(stage, monkeypatch):
    provider = wiring.provider("xai")
    real = provider.poll

    def silent(job):
        answer = real(job)
        return (
            type(answer)(**{**answer.__dict__, "cost_ticks": None})
            if answer.__dict__.get("cost_ticks")
            else answer
        )

    monkeypatch.setattr(provider, "poll", silent)
    stage.run(stage.submit())

    assert booked(stage) == [RESERVED, SETTLED]
    assert entries(stage)[-1].basis == "estimate"


# -- caps ------------------------------------------------------------------------------------------


def caps(**changed):
    changed = {name: None if v is None else Decimal(v) for name, v in changed.items()}
    wiring.manifest().change_caps(lambda held: held.model_copy(update=changed), "ann")


def refused(stage, render):
    """The code of a refusal that sent nothing; None when the render was let out."""
    stage.run(render)
    record = stage.record(render)
    if record.failure is None:
        return None
    assert record.failure.error in {"BudgetExceeded", "SpendingStopped", "Unpriced"}
    assert (record.status, record.held_ticks, record.spent_ticks) == ("failed", 0, 0)
    return record.failure.code or record.failure.error


def test_every_cap_holds_and_a_raised_one_lets_a_refused_render_go_on(stage):
    let_out = [
        ({"day": "0.05"}, "cap:day"),
        ({"day": None, "month": "0.09"}, "cap:month"),
        ({"month": None, "film": "0.05"}, "cap:film"),
        ({"film": None, "caller": "0.05"}, "cap:caller"),
        ({"caller": None, "render": "0.04"}, "cap:render"),
    ]
    assert refused(stage, stage.submit(prompt="the first")) is None
    last = None
    for changed, code in let_out:
        caps(**changed)
        last = stage.submit(prompt=code)
        assert refused(stage, last) == code
    assert len(stage.jobs()) == 1
    assert "is $0.04" in stage.record(last).failure.message

    caps(render="0.05")
    stage.run(wiring.conductor().retry(last.render_id))
    assert stage.record(last).status == "finalized"
    assert month(stage)[:2] == (0, 2 * SECOND)


def test_the_default_is_a_hundred_dollars_a_day(stage):
    counter = Counter("day", ledger.day_of(stage.now()))
    stage.dynamodb.put_item(
        TableName="table",
        Item={
            "pk": {"S": f"SPEND#{counter.scope}"},
            "sk": {"S": counter.name},
            "totalTicks": {"N": str(budgets.DEFAULT_DAY_USD * 100 * CENT - SECOND + 1)},
        },
    )
    assert refused(stage, stage.submit()) == "cap:day"


def test_a_render_s_own_limit_counts_all_its_attempts(stage):
    conductor = wiring.conductor()
    render = stage.submit(prompt="a lamp [[sim:failed]]", maxCostUsd=0.09)
    stage.run(render)

    before = stage.record(render)
    with pytest.raises(InvalidRequest, match=r"maxCostUsd: 0.09 .*\$0.05 spent .* make \$0.10"):
        conductor.retry(render.render_id)
    assert stage.record(render) == before
    stage.run(conductor.retry(render.render_id, max_cost_usd=Decimal("0.10")))
    assert len(stage.jobs()) == 2
    assert stage.record(render).spent_ticks == 2 * SECOND


def test_a_refusal_that_is_paid_for_stays_though_the_next_post_is_put_off(stage, monkeypatch):
    """A still that is withheld, and then a 429: both are refusals, and one cost money."""
    provider = wiring.provider("xai")
    real, posts = provider.make_still, []

    def every_other_is_too_fast(plan, trace, _):
        posts.append(trace)
        if len(posts) % 2 == 0:
            raise RateLimited("slow down", retry_after=1)
        return real(plan, trace, None)

    monkeypatch.setattr(provider, "make_still", every_other_is_too_fast)
    still = "a lamp [[sim:moderated]]"
    render = stage.submit(prompt="it glows", firstFramePrompt=still, maxCostUsd=0.14)
    stage.run(render)
    stage.run(wiring.conductor().retry(render.render_id))
    assert stage.record(render).spent_ticks == month(stage).settled == 2 * STILL == charged(stage)
    with pytest.raises(InvalidRequest, match="maxCostUsd"):
        wiring.conductor().retry(render.render_id)


def test_each_job_settles_its_own_post_and_what_nobody_asks_after_any_more_is_paid_for(stage):
    """The first POST's job is attached after a second one was sent, and gives the clip."""
    conductor = wiring.conductor()
    render = stage.submit(prompt="a lamp [[sim:slow]]")
    stage.while_waiting = lambda: conductor.cancel(render.render_id)
    stage.run(render)
    stage.run(conductor.retry(render.render_id, may_charge_twice=True))
    stage.while_waiting = None
    first, second = stage.jobs()

    stage.run(conductor.attach(render.render_id, first["id"]))

    record = stage.record(render)
    assert (record.status, record.request_id) == ("finalized", first["id"])
    assert [(a.request_id, a.cost_ticks, a.spent_ticks) for a in record.attempts] == [
        (first["id"], SECOND, SECOND),
        (second["id"], None, SECOND),
    ]
    assert month(stage)[:2] == (0, 2 * SECOND)


def test_a_job_of_no_post_on_record_is_booked_beside_those(stage):
    conductor = wiring.conductor()
    other = stage.submit(prompt="another")
    stage.run(other)
    render = stage.submit(prompt="a lamp [[sim:failed]]")
    stage.run(render)

    stage.run(conductor.attach(render.render_id, stage.record(other).request_id))

    record = stage.record(render)
    assert [(a.outcome, a.reserved_ticks, a.spent_ticks) for a in record.attempts] == [
        ("accepted", SECOND, SECOND),
        ("accepted", 0, SECOND),
    ]


def test_a_stranger_s_job_that_fails_leaves_the_render_as_it_was(stage):
    conductor = wiring.conductor()
    other = stage.submit(prompt="another [[sim:failed]]")
    stage.run(other)
    render = stage.submit(prompt="a lamp [[sim:failed]]")
    stage.run(render)
    stage.run(conductor.attach(render.render_id, stage.record(other).request_id))

    stage.run(conductor.retry(render.render_id))  # needs no consent: all of it has ended
    assert len(stage.jobs()) == 3


def test_an_answer_that_comes_after_another_job_gave_the_clip_is_paid_for(stage):
    conductor, manifest = wiring.conductor(), wiring.manifest()
    other = stage.submit(prompt="another")
    stage.run(other)
    render = stage.submit(prompt="a lamp [[sim:lost]]")
    stage.run(render)
    waiting = stage.record(render).attempts[0].model_copy(update={"outcome": "submitting"})
    manifest.update(render.render_id, lambda r: r.model_copy(update={"attempts": (waiting,)}))
    stage.run(conductor.attach(render.render_id, stage.record(other).request_id))
    assert stage.record(render).held_ticks == SECOND

    late = guards.accepted(1, {"requestId": "late"}, guards.Pace(), stage.now)
    manifest.update(render.render_id, late)

    record = stage.record(render)
    assert [(a.request_id, a.held_ticks, a.spent_ticks) for a in record.attempts] == [
        ("late", 0, SECOND),
        (stage.record(other).request_id, 0, SECOND),
    ]


def test_who_sets_a_render_going_again_spends_it(stage):
    conductor = wiring.conductor()
    wiring.manifest().change_caps(
        lambda held: held.with_cap("caller", "token:bob", Decimal("0.01")), "ann"
    )
    render = stage.submit(prompt="a lamp [[sim:failed]]")
    stage.run(render)

    stage.run(conductor.retry(render.render_id, caller="token:bob"))
    assert stage.record(render).failure.code == "cap:caller"
    stage.run(conductor.retry(render.render_id, caller="token:cy"))

    spent = {name: tally.settled for name, tally in wiring.books().tallies("caller")}
    month_ = ledger.day_of(stage.now())[:7]
    assert spent == {f"{month_}#{CALLER}": SECOND, f"{month_}#token:cy": SECOND}


def test_a_retry_goes_at_today_s_prices(stage, monkeypatch):
    conductor = wiring.conductor()
    render = stage.submit(prompt="a lamp [[sim:nocredits]]")
    stage.run(render)
    catalog = json.loads((PRESETS / "models.json").read_text())
    catalog["models"]["grok-imagine-video"]["prices"]["perSecond"]["480p"] = 0.08
    dearer = replace(conductor, models=ModelCatalog.from_json(json.dumps(catalog)))

    stage.run(dearer.retry(render.render_id))

    assert [e.held_ticks for e in entries(stage) if e.kind == "reserve"] == [SECOND, 8 * CENT]


# -- when the table does not take it ---------------------------------------------------------------


def turned_away(monkeypatch, code, times, when):
    """Let transactions that change a record so be cancelled, so many times."""
    manifest = wiring.manifest()
    real, left = manifest._dynamodb.transact_write_items, [times]

    def transact(**given):
        document = given["TransactItems"][0]["Put"]["Item"]["document"]["S"]
        if not when(Render.model_validate_json(document)) or left[0] == 0:
            return real(**given)
        left[0] -= 1
        reasons = [{"Code": "None"}, {"Code": code}, *[{"Code": "None"}] * 8]
        error = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
        raise ClientError(error, "TransactWriteItems")

    client = SimpleNamespace(
        **{name: getattr(manifest._dynamodb, name) for name in ("get_item", "put_item", "query")},
        transact_write_items=transact,
        batch_get_item=manifest._dynamodb.batch_get_item,
    )
    monkeypatch.setattr(manifest, "_dynamodb", client)
    monkeypatch.setattr(manifest, "_pause", lambda _: None)
    return left


def is_refused(render):
    return any(a.outcome == "refused" for a in (*render.attempts, *render.still_attempts))


@pytest.mark.parametrize(
    ("code", "times"), [("TransactionConflict", 3), ("ThrottlingError", 3), ("Unheard", 1)]
)
@pytest.mark.parametrize("still", [None, "a lamp [[sim:nocredits]]"])
def test_a_refusal_is_released_however_the_table_feels(stage, monkeypatch, code, times, still):
    left = turned_away(monkeypatch, code, times, is_refused)
    fields = {"firstFramePrompt": still} if still else {}
    render = stage.submit(prompt="a lamp [[sim:nocredits]]", **fields)

    execution = stage.run(render)

    assert left == [0]
    assert execution.status == "FAILED"
    record = stage.record(render)
    assert (record.status, record.failure.error) == ("failed", "OutOfCredits")
    assert record.held_ticks == month(stage).held == 0
    assert stage.published[-1]["status"] == "failed"


def test_a_still_that_is_lost_is_settled_however_the_table_feels(stage, monkeypatch):
    left = turned_away(monkeypatch, "Unheard", 1, is_refused)

    def full(*_):
        raise LibraryUnavailable("S3 PutObject: SlowDown")

    monkeypatch.setattr(wiring.library(), "put_still", full)
    render = stage.submit(firstFramePrompt="a lamp")
    stage.run(render)

    assert left == [0]
    assert stage.record(render).failure.error == "CopyFailed"
    assert month(stage)[:2] == (0, STILL) == (0, charged(stage))


def test_a_put_off_post_whose_release_was_late_is_sent_once(stage, monkeypatch):
    left = turned_away(monkeypatch, "Unheard", 1, is_refused)
    render = stage.submit(prompt="a lamp [[sim:start429]]")

    assert stage.run(render).status == "SUCCEEDED"

    assert left == [0]
    assert len(stage.jobs()) == 1
    assert month(stage)[:2] == (0, SECOND)


def test_the_kill_switch_meets_a_permit_and_is_set_all_the_same(stage, monkeypatch):
    manifest, meetings = wiring.manifest(), [2]
    real = manifest._dynamodb.put_item

    def put_item(**given):
        if given["Item"]["pk"]["S"] == "BUDGET" and meetings[0]:
            meetings[0] -= 1
            raise ClientError({"Error": {"Code": "TransactionConflictException"}}, "PutItem")
        return real(**given)

    client = SimpleNamespace(get_item=manifest._dynamodb.get_item, put_item=put_item)
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "_dynamodb", client)
        patch.setattr(manifest, "_pause", lambda _: None)
        manifest.change_caps(lambda held: held.stopped(stage.now(), "enough"), "ann")
    assert meetings == [0]
    assert refused(stage, stage.submit()) == "SpendingStopped"


def test_without_a_price_nothing_is_sent_while_there_is_any_cap(stage):
    manifest = wiring.manifest()

    def unpriced():
        """A render whose seconds have no price, and the image handed in has."""
        stage.break_state("Start", "Lambda.Unknown", "before")  # time to take the price away
        render = stage.submit()
        record = manifest.read(render.render_id)
        [line] = record.plan.estimate.lines
        nothing, cent = Decimal(0), Decimal("0.01")
        free = line.model_copy(
            update={"what": f"new {pricing.NO_PRICE}", "unit_usd": nothing, "amount_usd": nothing}
        )
        image = line.model_copy(update={"what": "input images", "amount_usd": cent})
        estimate = record.plan.estimate.model_copy(
            update={"lines": (free, image), "total_usd": cent, "is_priced": False}
        )
        plan = record.plan.model_copy(update={"estimate": estimate})
        manifest.save(record, record.model_copy(update={"plan": plan}))
        return render

    assert refused(stage, unpriced()) == "Unpriced"
    assert stage.jobs() == []
    caps(day=None)
    render = unpriced()
    stage.run(render)
    assert stage.record(render).status == "finalized"
    assert month(stage)[:2] == (0, charged(stage))


def test_a_run_s_limit_counts_all_its_clips(films):
    clips = [{"id": f"{n:02}", "duration": 1, "prompt": f"lamp {n}"} for n in range(3)]
    text = {"schemaVersion": "1.0", "requestId": "film", "clips": clips}
    run = films.end(films.film(text, max_cost_usd=Decimal("0.15")))

    assert run.status == "finished"
    mine = Counter("run", run.run_id)
    assert wiring.books().standing([mine])[mine][:2] == (0, 3 * SECOND)
    [render] = films.renders("film")["00"]
    assert render.attempts[-1].run_id == run.run_id


def test_who_hands_a_film_in_again_spends_what_its_run_sends_at_its_prices(films):
    clips = [{"id": "01", "duration": 1, "prompt": "lamp [[sim:nocredits]]"}]
    text = {"schemaVersion": "1.0", "requestId": "film", "clips": clips}
    films.film(text)
    wiring.manifest().change_caps(
        lambda held: held.with_cap("caller", "token:bob", Decimal("0.06")), "ann"
    )
    catalog = json.loads((PRESETS / "models.json").read_text())
    catalog["models"]["grok-imagine-video"]["prices"]["perSecond"]["480p"] = 0.08
    director = wiring.director()
    dearer = replace(director.conductor, models=ModelCatalog.from_json(json.dumps(catalog)))
    director = replace(director, conductor=dearer)

    def handed_in(caller):
        run, _ = director.accept(json.dumps(text), FilmOrder(), caller)
        films.end(run)
        [render] = films.renders("film")["01"]
        return render

    with pytest.raises(OverBudget, match="token:bob"):  # early, at the price of now
        handed_in("token:bob")
    render = handed_in("token:cy")
    assert render.attempts[-1].reserved_ticks == 8 * CENT
    assert render.attempts[-1].caller == "token:cy"


def test_a_still_kept_by_one_that_died_then_is_shared_by_one_that_waits(stage, monkeypatch):
    stage.kill(monkeypatch, wiring.library(), "put_still", "after")
    fields = {"firstFramePrompt": "a lamp", "clipId": "c", "pipelineRequestId": "f"}
    first = stage.submit(prompt="it glows", **fields)
    second = stage.submit(prompt="it fades", **fields)
    ends = [stage.run(render).status for render in (first, second)]

    assert ends == ["SUCCEEDED", "SUCCEEDED"]
    assert [job["operation"] for job in stage.jobs()].count("image") == 1
    assert month(stage)[:2] == (0, charged(stage))
