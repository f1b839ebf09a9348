"""Quotes through the doors: what they say is what the simulator charges, and what they hold to."""

import copy
import json
from decimal import Decimal

import pytest

from tests.workflow.conftest import load_handler
from tests.workflow.test_doors import CONTEXT, call, event
from tests.workflow.test_film import FRAMED, RING, script
from tests.workflow.test_film_doors import over_http
from tests.workflow.test_inbox import box  # noqa: F401
from tests.workflow.test_mcp import film_door, handler  # noqa: F401
from tests.workflow.test_requested import deliver  # noqa: F401
from videoconductor import wiring
from videoconductor.clip import TICKS_PER_USD, FilmOrder
from videoconductor.errors import InvalidRequest, QuoteRequired
from videoconductor.quotes import Quote

MODES = ("draft", "draft_i2v", "production", "production_i2v")
DEAR = "0.09"  # US dollars above which tests that want it are asked for consent


@pytest.fixture
def ask(films):
    door = load_handler("plan")

    def quoted(body, **query):
        before = len(films.objects()), films.dynamodb.scan(TableName="table")["Count"]
        content = body if isinstance(body, str) else json.dumps(body)
        status, answer = call(door, "POST", "/v1/quotes", content, query=query)
        assert (len(films.objects()), films.dynamodb.scan(TableName="table")["Count"]) == before
        return status, answer

    return quoted


@pytest.fixture
def dear(films, monkeypatch):
    """A stack where consent is needed early."""
    make_dear(monkeypatch)
    return films


def make_dear(monkeypatch):
    monkeypatch.setenv("QUOTE_ABOVE_USD", DEAR)
    wiring.settings.cache_clear()
    wiring.director.cache_clear()


@pytest.fixture
def http(films):
    return over_http({"film": load_handler("film"), "browse": load_handler("browse")})


def charged(films, jobs=0):
    """What the simulator has billed since so many jobs."""
    ticks = sum(job["cost_usd_ticks"] for job in films.jobs()[jobs:])
    return Decimal(ticks) / TICKS_PER_USD


def usd(amount):
    return Decimal(str(round(amount, 10)))


def test_a_quote_of_rings_sample_is_what_the_simulator_charges(films, ask):
    status, body = ask(RING)
    run = films.film(json.dumps(RING), quote_id=body["quoteId"])

    assert status == 200
    assert run.status == "finished"
    assert usd(body["totalUsd"]) == usd(body["leastUsd"]) == Decimal("4.21") == charged(films)
    assert (run.max_cost_usd, run.cost_usd) == (Decimal("4.21"), Decimal("4.21"))
    assert (body["due"], body["reused"]) == (5, 0)
    lines = [line for clip in body["clips"] for line in clip["lines"]]
    assert sum(line["what"].startswith("still by") for line in lines) == 3
    assert all(line["asOf"] and line["source"] for line in lines)
    # Nothing is due any more, and what was quoted is of no use to another film.
    again = ask(RING)[1]
    assert (again["totalUsd"], again["due"], again["reused"]) == (0, 0, 5)
    assert films.film(json.dumps(RING), quote_id=again["quoteId"]).due == 0
    with pytest.raises(InvalidRequest, match="of another request"):
        films.accept(script("other"), quote_id=again["quoteId"])


IMAGE = "assets/first.png"


def framed(mode, **frame):
    return {"prompt": f"she waves in {mode}", "video": {"qualityMode": mode}, "firstFrame": frame}


def films_of_every_kind(origin):
    """Scripts and orders, each with what the film has to have before."""
    image = f"{origin}/{IMAGE}"
    modes = [
        *({"prompt": f"rain in {mode}", "video": {"qualityMode": mode}} for mode in MODES[::2]),
        *(framed(mode, imagePrompt="a bar") for mode in MODES),
        *(framed(mode, imageUrl=image) for mode in MODES),
    ]
    both = script({"prompt": "one"}, FRAMED)
    return {
        "modes": (script(*modes), {}, None),
        "remastered": (both, {"remaster": True}, both),
        "edited": (both, {"source_video_url": "manifest"}, both),
        "forced": (both, {"force": True}, both),
        "partly": (script({"prompt": "one"}, FRAMED, "three"), {}, both),
    }


@pytest.mark.parametrize("kind", ["modes", "remastered", "edited", "forced", "partly"])
def test_a_quote_of_a_film_is_what_the_simulator_charges(films, ask, monkeypatch, kind):
    film, order, before = films_of_every_kind(films.simulator.origin)[kind]
    if before is not None:
        films.film(before)
        films.elapsed += 60
    # xAI cannot read from moto: the same bytes from a host of its own.
    found = films.entries("film").values()
    places = {wiring.library().key_of(entry.url): entry.temporary_url for entry in found}
    monkeypatch.setattr(wiring.library(), "presigned_url", lambda key, _: places[key])
    jobs = len(films.jobs())

    quoted = wiring.director().quote(json.dumps(film), FilmOrder(**order))
    run = films.film(film, quote_id=quoted.quote_id, max_cost_usd=Decimal(99), **order)

    assert run.status == "finished", run.missing
    assert run.max_cost_usd == quoted.total_usd
    paid = charged(films, jobs)
    assert quoted.least_usd == quoted.total_usd == paid > 0


def test_a_quote_of_a_clip_is_what_the_simulator_charges(films, ask, monkeypatch):
    origin = films.simulator.origin
    films.run(films.submit(clipId="c", pipelineRequestId="f", duration=2))
    [entry] = wiring.manifest().entries("f")
    monkeypatch.setattr(wiring.library(), "presigned_url", lambda *_: entry.temporary_url)
    image = f"{origin}/{IMAGE}"
    own = {"sourceVideoUrl": entry.url, "pipelineRequestId": "f"}
    foreign = {"sourceVideoUrl": entry.temporary_url}
    for fields, is_open in (
        ({"referenceImageUrls": [image, image], "duration": 2}, False),
        ({"imageUrl": image, "lastFrameUrl": image, "model": "grok-imagine-video-1.5"}, False),
        ({**own, "operation": "edit"}, False),
        ({**own, "operation": "extend", "duration": 2}, False),
        ({**own, "operation": "remaster"}, False),
        ({**foreign, "operation": "edit"}, True),
        ({**foreign, "operation": "extend", "duration": 2}, True),
    ):
        jobs = len(films.jobs())
        asked = {"prompt": f"snow {jobs}", **({} if "ideo" in str(fields) else {"duration": 1})}
        status, body = ask({**asked, **fields})
        assert status == 200, body
        execution = films.run(films.submit(**{"duration": None, **asked, **fields}))

        assert execution.status == "SUCCEEDED", execution
        paid = charged(films, jobs)
        assert body["leastUsd"] <= paid <= usd(body["totalUsd"]) + Decimal("0.001")
        assert (body["leastUsd"] < body["totalUsd"]) is is_open
        if not is_open:
            assert usd(body["totalUsd"]) == pytest.approx(paid, abs=Decimal("0.001"))
        assert len(body["clips"]) == body["due"] == 1


def test_a_clip_may_come_with_its_quote_which_is_its_limit_then(films, ask):
    clip = {"prompt": "a lamp [[sim:failed]]", "duration": 1, "clipId": "c"}
    door = load_handler("submit")

    def post(body, key=None):
        sent = event("POST", "/v1/videos", json.dumps(body))
        sent["headers"] |= {"idempotency-key": key} if key else {}
        answer = door.handler(sent, CONTEXT)
        return answer["statusCode"], json.loads(answer["body"])

    quoted = ask(clip)[1]["quoteId"]
    for field, wrong in (
        ("quoteId", {**clip, "duration": 2, "quoteId": quoted}),
        ("quoteId", {**clip, "quoteId": "q1-x"}),
        ("maxCostUsd", {**clip, "quoteId": quoted, "maxCostUsd": 0.04}),
    ):
        status, body = post(wrong)
        assert (status, [error["field"] for error in body["errors"]]) == (400, [field])
    status, body = post({**clip, "quoteId": quoted}, "k")
    assert status == 202
    render = wiring.manifest().read(body["renderId"])
    films.run(render)
    assert films.record(render).max_cost_usd == Decimal("0.05")
    again = post(clip, "k")
    assert (again[0], again[1]["renderId"]) == (202, render.render_id)
    with pytest.raises(InvalidRequest, match="maxCostUsd"):
        wiring.conductor().retry(render.render_id)


def test_a_dear_script_needs_a_quote_or_a_limit_over_http(dear, http, ask):
    film = script("one", "two")

    status, refused, answer = http("POST", "/v1/films", film, key="k")
    assert status == 402
    assert "application/problem+json" in str(answer)
    quoted = ask(film)[1]
    assert refused["quote"] == quoted
    assert all(words in refused["detail"] for words in ("$0.10", "$0.09", quoted["quoteId"]))
    assert (dear.objects(), wiring.manifest().runs("film")) == ([], [])

    expired = copy.copy(quoted["quoteId"])
    other = ask(script("one", "three"))[1]["quoteId"]
    query = "quoteId={}".format
    for wrong in (other, "q1-1-1-0", "", f"{quoted['quoteId']}0"):
        status, body, _ = http("POST", "/v1/films", film, key="k", query=query(wrong))
        assert (status, [error["field"] for error in body["errors"]]) == (400, ["quoteId"]), wrong
    # A plan is held to it too, and a limit below what is due is refused in its own name.
    dear.elapsed += 3600
    status, body, _ = http("POST", "/v1/films", film, query=f"{query(expired)}&maxCostUsd=0.05")
    assert (status, body["errors"][0]["field"]) == (400, "maxCostUsd")

    # Less than what asks for consent is made without a word; the quote of more is still good.
    status, body, _ = http("POST", "/v1/films", film, query="clip=01")
    assert status == 202, body
    dear.end(wiring.manifest().run("film"))
    status, accepted, _ = http("POST", "/v1/films", film, key="k", query=query(expired))
    assert (status, accepted["due"]) == (202, 1)
    run = dear.end(wiring.manifest().run("film", accepted["runId"]))
    assert (run.status, run.max_cost_usd) == ("finished", Decimal("0.1"))
    # The same key again needs no consent: it pays for nothing. Nor does what is all there.
    assert http("POST", "/v1/films", film, key="k")[1] == accepted
    assert http("POST", "/v1/films", film)[0] == 202
    dear.settle()

    # A remaster is a run like any other; it may be agreed to as it is quoted.
    path = "/v1/films/film/remaster"
    status, refused, _ = http("POST", path, film="film")
    assert (status, refused["quote"]["totalUsd"]) == (402, 0.14)
    assert refused["quote"] == ask(film, remaster="true")[1]
    dear.elapsed += 24 * 3600
    agreed = query(refused["quote"]["quoteId"])
    status, body, _ = http("POST", path, film="film", query=agreed)
    assert (status, "expired on" in body["errors"][0]["message"]) == (400, True)
    assert http("POST", path, film="film", query="maxCostUsd=0.14")[0] == 202
    dear.settle()


def test_a_retry_needs_consent_of_its_own_unless_the_run_had_a_limit(dear, http, monkeypatch):
    film = script("one [[sim:moderated]]", "two [[sim:moderated]]")
    quoted = wiring.director().quote(json.dumps(film), FilmOrder())
    assert dear.film(film, quote_id=quoted.quote_id).status == "incomplete"
    dear.calm(monkeypatch)
    path = "/v1/films/film/retry"

    status, refused, _ = http("POST", path, film="film")
    assert (status, refused["quote"]["due"]) == (402, 2)
    first = wiring.manifest().run("film")
    assert dear.document(first.order_key) == {}
    query = f"quoteId={refused['quote']['quoteId']}"
    status, accepted, _ = http("POST", path, film="film", query=query)
    assert status == 202, accepted
    assert dear.end(wiring.manifest().run("film", accepted["runId"])).status == "finished"


def test_the_file_and_event_doors_say_what_it_costs_and_take_an_order(
    dear,
    box,  # noqa: F811
    deliver,  # noqa: F811
):
    film = script("one", "two")
    taken = box.deliver(box.put("inbox/f.json", film))
    [told] = box.refused
    [error] = box.outbox().values()

    assert taken["outcome"] == "refused"
    assert error["status"] == 402
    assert "clips" not in error["quote"]
    name = error["quote"]["quoteId"]
    assert (error["quote"]["leastUsd"], error["quote"]["totalUsd"]) == (0.1, 0.1)
    assert told["quote"] == {
        part: error["quote"][part]
        for part in ("quoteId", "expiresAt", "filmId", "due", "leastUsd", "totalUsd")
    }
    assert told["errors"][0]["field"] == "quoteId"
    assert len(json.dumps(told)) < 2000

    asked = {"script": film}
    assert deliver(asked, "FilmRequested")["outcome"] == "refused"
    assert deliver.refused[-1]["quote"]["quoteId"] == name
    bad = {**asked, "order": {"quoteId": "q1-x"}}
    assert deliver(bad, "FilmRequested", name="bad")["errors"][0]["field"] == "order.quoteId"
    # One and the same quote is good at every door: a film is made once however often it is taken.
    agreed = {**asked, "order": {"quoteId": name}}
    assert deliver(agreed, "FilmRequested", name="good")["outcome"] == "accepted"
    run = dear.end(wiring.manifest().run("film"))
    assert (run.status, run.max_cost_usd) == ("finished", Decimal("0.1"))
    assert box.deliver(box.put("inbox/g.json", agreed))["outcome"] == "accepted"
    dear.settle()


def test_a_tool_is_refused_in_words_with_the_numbers(film_door, monkeypatch):  # noqa: F811
    make_dear(monkeypatch)
    film = script("one", "two")

    refused = film_door.call("film-create", script=film)

    assert refused["isError"]
    words, problem = (part["text"] for part in refused["content"])
    quote = json.loads(problem)["quote"]
    assert "clips" not in quote
    assert all(part in words for part in ("$0.10", "$0.09", quote["quoteId"], "maxCostUsd"))
    # What to do first is to ask: the price, and whose word counts, before the id that agrees.
    asked = "Ask your person first. Tell them that film film costs $0.10 for 2 clips"
    assert words.startswith(asked)
    assert words.index("Do not agree for them") < words.index(quote["quoteId"])
    accepted = film_door.call("film-create", script=film, quoteId=quote["quoteId"])
    assert not accepted["isError"], accepted
    # The same call, with or without the quote, is the same run.
    again = film_door.call("film-create", script=film, maxCostUsd=1)
    assert again["structuredContent"]["runId"] == accepted["structuredContent"]["runId"]
    film_door.stage.settle()


def test_what_is_due_now_may_be_more_than_was_quoted(dear, monkeypatch):
    film = script("one", "two")
    director = wiring.director()
    dear.film(film, only=("01",))
    quoted = director.quote(json.dumps(film), FilmOrder())
    monkeypatch.setattr(wiring.manifest(), "entries", lambda name: [])
    monkeypatch.setattr(wiring.manifest(), "read_many", lambda names: {})

    with pytest.raises(InvalidRequest) as refused:
        dear.accept(film, quote_id=quoted.quote_id)

    [problem] = refused.value.problems
    assert problem.field == "quoteId"
    assert "$0.05, and $0.10 is due now" in problem.message
    with pytest.raises(QuoteRequired) as needed:
        dear.accept(film)
    assert isinstance(needed.value.quote, Quote)


def test_every_request_for_one_clip_takes_a_limit(stage):
    """Also the retry of a render, whose limit it replaces."""
    resolve, submit = load_handler("resolve"), load_handler("submit")
    render = stage.submit(prompt="x [[sim:failed]]", maxCostUsd=0.2)
    stage.run(render)
    assert stage.record(render).max_cost_usd == Decimal("0.2")
    path = f"/v1/videos/{render.render_id}/retry"

    status, body = call(resolve, "POST", path, '{"maxCostUsd": -1}')
    assert (status, body["errors"][0]["field"]) == (400, "maxCostUsd")
    assert call(resolve, "POST", path, '{"maxCostUsd": 0.6}')[0] == 200
    assert stage.record(render).max_cost_usd == Decimal("0.6")
    stage.settle()

    done = stage.submit(duration=1)
    stage.run(done)
    path = f"/v1/videos/{done.render_id}/remaster"
    status, body = call(submit, "POST", path, '{"maxCostUsd": 0.5}')
    assert status == 202, body
    assert wiring.manifest().read(body["renderId"]).max_cost_usd == Decimal("0.5")
    stage.settle()
