"""Cost so far, reserved and cap, wherever somebody looks; and films that a cap is too small for."""

import json
from decimal import Decimal

import pytest

from tests.workflow.conftest import CALLER, load_handler
from tests.workflow.test_film import script
from tests.workflow.test_film_doors import over_http
from videoconductor import asking, details, wiring
from videoconductor.clip import FilmOrder
from videoconductor.errors import OverBudget
from videoconductor.tools import wording
from videoconductor.tools.arguments import FilmAsked, FilmManifest
from videoconductor.tools.direct import DirectDesk


@pytest.fixture(scope="module")
def doors():
    return {name: load_handler(name) for name in ("film", "browse")}


@pytest.fixture
def http(films, doors):
    return over_http(doors)


def change(what):
    return wiring.manifest().change_caps(what, "tester")


def money(cap, spent, reserved, left):
    return {"capUsd": cap, "spentUsd": spent, "reservedUsd": reserved, "leftUsd": left}


def test_a_film_shows_what_each_run_and_all_of_it_spent_reserved_and_may_cost(films, http):
    change(
        lambda caps: caps.with_cap("film", None, Decimal(1)).with_cap("render", None, Decimal(1))
    )
    seen = []
    films.while_waiting = lambda: seen.append(http("GET", "/v1/films/film", film="film")[1])
    prompts = ["one", "two [[sim:moderated]]", "three [[sim:lost]]"]
    _, first, _ = http("POST", "/v1/films", script(*prompts), query="maxCostUsd=0.5")
    films.end(wiring.manifest().run("film"))
    films.while_waiting = None

    assert any(found["spending"]["reservedUsd"] > 0.05 for found in seen)
    assert all(found["spending"]["capUsd"] == 0.5 for found in seen)
    _, found, _ = http("GET", "/v1/films/film", film="film")
    # What moderation withheld is paid for; of what nobody knows, all is held.
    assert found["spending"] == money(0.5, 0.1, 0.05, 0.35)
    assert found["filmSpending"] == money(1, 0.1, 0.05, 0.85)
    assert [films.ready[-1][name] for name in ("spentUsd", "reservedUsd")] == [0.1, 0.05]
    result = films.document(found["resultKey"])
    assert (result["spentUsd"], result["reservedUsd"]) == (0.1, 0.05)

    # A run without a limit counts its own POSTs alone, and the film all.
    http("POST", "/v1/films", script(*prompts, "four"))
    films.end(wiring.manifest().run("film"))
    _, found, _ = http("GET", "/v1/films/film", film="film")
    assert found["spending"] == money(None, 0.1, 0, None)
    assert found["filmSpending"] == money(1, 0.2, 0.05, 0.75)
    _, page, _ = http("GET", "/v1/films")
    assert [one["spending"]["spentUsd"] for one in page["films"]] == [0.1, 0.1]
    _, manifest, _ = http("GET", "/v1/films/film/manifest", film="film")
    assert manifest["spending"] == found["filmSpending"]
    assert [one["spending"]["capUsd"] for one in manifest["runs"]] == [0.5, None]
    assert [one["spending"]["reservedUsd"] for one in manifest["runs"]] == [0.05, 0]

    _, listed, _ = http("GET", "/v1/videos", query="status=submit_unknown")
    [lost] = listed["videos"]
    assert (lost["spentUsd"], lost["reservedUsd"]) == (0, 0.05)
    desk = DirectDesk(CALLER)
    render = desk.render(lost["renderId"], 0)
    assert render["spending"] == money(1, 0, 0.05, 0.95)
    assert "Spent $0.00, reserved $0.05, of $1.00, $0.95 left." in wording.standing(render)[0]
    told = "\n".join(wording.film(desk.film(FilmAsked(film="film"))))
    assert "Spent $0.10, reserved $0.00, no limit of its own." in told
    assert "The film in all: spent $0.20, reserved $0.05, of $1.00, $0.75 left." in told
    assert desk.manifest(FilmManifest(film="film"))["spending"] == manifest["spending"]
    assert first["runId"] == manifest["runs"][0]["runId"]


def test_what_a_cap_is_too_small_for_is_a_402_at_every_door_and_nothing_of_it_is_kept(films, http):
    change(lambda caps: caps.with_cap("film", "film", Decimal("0.09")))
    text = json.dumps(script("one", "two"))

    status, problem, _ = http("POST", "/v1/films", text, key="k")

    assert (status, problem["status"]) == (402, 402)
    assert problem["budget"] == {
        "scope": "film",
        "name": "film",
        **money(0.09, 0, 0, 0.09),
        "neededUsd": 0.1,
        "change": "videoconductor budget set film USD --name film",
    }
    assert http("GET", "/v1/films/film", film="film")[0] == 404
    asked = asking.Scripted(text, FilmOrder())
    with pytest.raises(asking.REFUSALS) as refused:
        wiring.reception().accept(asked, "event:1", "key")
    assert isinstance(refused.value, OverBudget)
    [[error], _] = details.field_errors(refused.value)
    assert (error.field, "budget set film" in error.message) == ("budget", True)

    # With room for it, the same key has it made; again, it finds that run, whatever is left.
    change(lambda caps: caps.with_cap("film", "film", Decimal("0.1")))
    status, accepted, _ = http("POST", "/v1/films", text, key="k")
    assert status == 202
    films.end(wiring.manifest().run("film"))
    change(lambda caps: caps.stopped(films.now(), "enough for today"))
    assert http("POST", "/v1/films", text, key="k")[1]["runId"] == accepted["runId"]
    assert http("POST", "/v1/films", text)[0] == 202  # all of it is there
    status, problem, _ = http("POST", "/v1/films/film/remaster", film="film")
    assert (status, problem["budget"]["scope"]) == (402, "stop")
    assert "enough for today" in problem["detail"]
    films.settle()
    assert len(films.jobs()) == 2


def test_a_clip_that_was_kept_from_being_sent_says_what_a_person_can_do(films):
    change(lambda caps: caps.stopped(films.now(), "the invoice"))
    render = films.submit()
    films.run(render)
    desk = DirectDesk(CALLER)
    found = desk.render(render.render_id, 0)

    assert (found["status"], found["error"]["error"]) == ("failed", "SpendingStopped")
    assert "`videoconductor budget resume`" in found["advice"]
    [words, *_] = wording.standing(found)
    assert "the invoice" in words
    assert "Do not ask for it again" in words
    assert found["spending"] == money(None, 0, 0, None)
    assert films.jobs() == []

    change(lambda caps: caps.resumed())
    films.run(wiring.conductor().retry(render.render_id))
    found = desk.render(render.render_id, 0)
    assert (found["status"], found["advice"], found["spentUsd"]) == ("finalized", None, 0.05)
