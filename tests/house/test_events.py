"""The sample events are what the functions are handed."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workflow.conftest import Cloud
from videoconductor import intake, script, wiring
from videoconductor.clip import FilmRun, Render, Turn
from videoconductor.machine import Machine

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
FUNCTIONS = {
    resource["Properties"]["CodeUri"].rstrip("/").rpartition("/")[2]: resource["Properties"]
    for resource in Cloud.template()["Resources"].values()
    if resource["Type"] == "AWS::Serverless::Function"
}
DOORS = {name: function["Events"] for name, function in FUNCTIONS.items() if "Events" in function}
# With which status a render reaches a state.
STATUSES = {
    "first_frame": "planned",
    "start": "planned",
    "poll": "rendering",
    "finalize": "rendered",
    "thumbnail": "finalized",
    "record_failure": "rendering",
}
UNSENT = {"first_frame", "start"}
# The states of a film have documents of their own.
FILM_STATES = {"take_up", "conclude"}


def event(name: str) -> dict:
    return json.loads((EVENTS / f"{name}.json").read_text())


def test_each_function_has_a_sample_event_and_each_event_a_function():
    files = {path.stem for path in EVENTS.glob("*.json") if not path.stem.startswith("demo-")}
    assert files == set(FUNCTIONS) == {*DOORS, *STATUSES, *FILM_STATES}


@pytest.mark.parametrize("name", STATUSES)
def test_the_event_of_a_state_is_a_whole_render_with_the_status_it_arrives_with(name):
    document = event(name)
    render = Render.model_validate(document)
    assert render.model_dump(mode="json") == document
    assert render.status == STATUSES[name]
    assert (render.caught is not None) == (name == "record_failure")
    assert (render.job is not None) == (name not in UNSENT)
    needs_still = render.plan.first_frame_prompt is not None and render.plan.image is None
    assert needs_still == (name == "first_frame")


def test_the_event_of_a_turn_is_as_the_machine_hands_over_a_drafted_render():
    document = event("take_up")
    turn = Turn.model_validate(document)
    assert set(document) == {"marker", "render"}  # the map's ItemSelector
    drafted = turn.render.model_dump(mode="json", exclude_defaults=True)
    assert document["render"] == drafted
    assert turn.render.version == 0  # it is not on record yet


def test_the_event_of_the_end_of_a_run_is_what_its_execution_is_started_with():
    started: list[dict[str, Any]] = []
    client: Any = SimpleNamespace(start_execution=lambda **given: started.append(given))
    document, turn = event("conclude"), Turn.model_validate(event("take_up"))
    run = FilmRun(
        run_id=document["runId"],
        film=document["film"],
        caller=turn.render.caller,
        request_sha256=turn.render.request_sha256,
        requested_at=turn.render.created_at,
        total=1,
        due=1,
        items=1,
        estimated_cost_usd=turn.render.plan.estimate.total_usd,
        items_key=document["itemsKey"],
        clips_key="",
        request_key="",
    )
    Machine("", client, "arn").start_film(run)
    assert json.loads(started[0]["input"]) == document
    assert started[0]["name"] == document["marker"] == turn.marker


@pytest.mark.parametrize("name", sorted(DOORS))
def test_the_event_of_a_door_takes_one_of_its_routes_and_is_signed(name):
    document = event(name)
    routes = {
        f"{e['Properties']['Method']} {e['Properties']['Path']}" for e in DOORS[name].values()
    }
    http = document["requestContext"]["http"]
    method, template = document["routeKey"].split(" ")
    path = template
    for parameter, value in document.get("pathParameters", {}).items():
        path = path.replace(f"{{{parameter}}}", value)
    assert document["version"] == "2.0"
    assert document["routeKey"] == document["requestContext"]["routeKey"]
    assert document["routeKey"] in routes
    assert (http["method"], http["path"], document["rawPath"]) == (method, path, path)
    assert document["requestContext"]["authorizer"]["iam"]["userArn"].startswith("arn:aws:iam::")


def test_the_bodies_of_the_doors_are_understood():
    assert intake.clip_request(event("submit")["body"]).clip_id == "opener"
    assert intake.attachment(event("resolve")["body"]).request_id
    film = script.from_json(event("film")["body"])
    assert [clip.id for clip in film.clips] == ["01_opener", "02_floor"]


def test_the_demo_s_film_is_what_is_said_of_it():
    """One clip of a prompt alone, one with a still and a title card, one with a bar on a frame."""
    text = (EVENTS / "demo-film.json").read_text()
    film = script.plan_json(text, wiring.quality_modes(), wiring.models())
    first, second, third = film.clips
    assert film.total_usd < 1
    assert first.plan.prompt == first.request.prompt
    assert (first.plan.first_frame_prompt, first.request.thumbnail) == (None, None)
    assert second.plan.first_frame_prompt
    assert "DIALOGUE:" in (second.plan.prompt or "")
    for clip, source, template in (
        (second, "firstFrame", "title_card"),
        (third, "generated", "cta_bar"),
    ):
        assert clip.request.thumbnail is not None
        assert clip.request.thumbnail.source_frame == source
        assert clip.request.thumbnail.template == template


def test_the_samples_are_of_one_render():
    ids = {event(name)["renderId"] for name in STATUSES}
    ids.add(event("take_up")["render"]["renderId"])
    paths = [event(name)["rawPath"] for name in ("browse", "resolve")]
    assert len(ids) == 1
    assert all(ids.copy().pop() in path for path in paths)
