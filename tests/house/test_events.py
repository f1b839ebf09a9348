"""The sample events are what the functions are handed."""

import json
from pathlib import Path

import pytest

from tests.workflow.conftest import Cloud
from videoconductor import intake
from videoconductor.clip import Render

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
FUNCTIONS = {
    resource["Properties"]["CodeUri"].rstrip("/").rpartition("/")[2]: resource["Properties"]
    for resource in Cloud.template()["Resources"].values()
    if resource["Type"] == "AWS::Serverless::Function"
}
DOORS = {name: function["Events"] for name, function in FUNCTIONS.items() if "Events" in function}
STATES = sorted(set(FUNCTIONS) - set(DOORS))
# With which status a render reaches a state.
STATUSES = {
    "start": "planned",
    "poll": "rendering",
    "finalize": "rendered",
    "record_failure": "rendering",
}


def event(name: str) -> dict:
    return json.loads((EVENTS / f"{name}.json").read_text())


def test_each_function_has_a_sample_event_and_each_event_a_function():
    files = {path.stem for path in EVENTS.glob("*.json") if not path.stem.startswith("demo-")}
    assert files == set(FUNCTIONS)


@pytest.mark.parametrize("name", STATES)
def test_the_event_of_a_state_is_a_whole_render_with_the_status_it_arrives_with(name):
    document = event(name)
    render = Render.model_validate(document)
    assert render.model_dump(mode="json") == document
    assert render.status == STATUSES[name]
    assert (render.caught is not None) == (name == "record_failure")
    assert (render.job is not None) == (name != "start")


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


def test_the_samples_are_of_one_render():
    ids = {event(name)["renderId"] for name in STATES}
    paths = [event(name)["rawPath"] for name in ("browse", "resolve")]
    assert len(ids) == 1
    assert all(ids.copy().pop() in path for path in paths)
