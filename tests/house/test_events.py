"""The sample events are what the functions are handed."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.workflow.conftest import Cloud
from videoconductor import asking, details, intake, script, sweeping, wiring
from videoconductor.clip import FilmRun, Render, Turn
from videoconductor.machine import Machine
from videoconductor.tools.catalog import TOOLS
from videoconductor_cli import samples

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
FUNCTIONS = {
    resource["Properties"]["CodeUri"].rstrip("/").rpartition("/")[2]: resource["Properties"]
    for resource in Cloud.template()["Resources"].values()
    if resource["Type"] == "AWS::Serverless::Function"
}
DOORS = {
    name: function["Events"]
    for name, function in FUNCTIONS.items()
    if any(event["Type"] == "HttpApi" for event in function.get("Events", {}).values())
}
# Set off by an event of a bus or by a schedule: nobody waits for an answer.
SET_OFF = {
    name: function["Events"]
    for name, function in FUNCTIONS.items()
    if "Events" in function and name not in DOORS
}
FUNCTION_NAMES = {
    resource["Properties"]["CodeUri"].rstrip("/").rpartition("/")[2]: name
    for name, resource in Cloud.template()["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
}
# Asked by the gateway, for other doors, who is calling.
AUTHORIZERS = {"authorize"}
# Handed the messages of a queue.
QUEUED = {"call_back"}
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
    known = {*DOORS, *SET_OFF, *QUEUED, *STATUSES, *FILM_STATES, *AUTHORIZERS}
    assert files == set(FUNCTIONS) == known


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
    assert set(document) == {"marker", "runOrder", "render"}  # the map's ItemSelector
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
    assert method in {http["method"], "ANY"}
    assert http["path"] == document["rawPath"] == path
    [guard] = {
        e["Properties"].get("Auth", {}).get("Authorizer", "AWS_IAM")
        for e in DOORS[name].values()
        if document["routeKey"] == f"{e['Properties']['Method']} {e['Properties']['Path']}"
    }
    vouched = document["requestContext"].get("authorizer")
    if guard == "AWS_IAM":
        assert vouched["iam"]["userArn"].startswith("arn:aws:iam::")
    elif guard == "ServiceToken":
        assert vouched["lambda"]["caller"].startswith("token:")
    else:
        assert vouched is None


def test_the_event_of_mcp_calls_a_tool_with_arguments_that_it_takes():
    document = event("mcp")
    body = json.loads(document["body"])
    assert document["headers"]["mcp-method"] == body["method"] == "tools/call"
    assert document["headers"]["mcp-name"] == body["params"]["name"]
    [tool] = [tool for tool in TOOLS if tool.name == body["params"]["name"]]
    assert intake.given(tool.takes, body["params"]["arguments"])


@pytest.mark.parametrize("name", sorted(SET_OFF))
def test_the_event_that_sets_a_function_off_is_one_that_its_rule_lets_through(name):
    document = event(name)
    [rule] = SET_OFF[name].values()
    assert set(document) == {
        *("version", "id", "detail-type", "source", "account"),
        *("time", "region", "resources", "detail"),
    }
    if rule["Type"] == "Schedule":
        assert (document["source"], document["detail"]) == ("aws.events", {})
        return
    pattern = rule["Properties"]["Pattern"]
    assert document["detail-type"] in pattern["detail-type"]
    for wanted in pattern["source"]:
        is_let_through = (
            document["source"] not in wanted["anything-but"]
            if isinstance(wanted, dict)
            else document["source"] == wanted
        )
        assert is_let_through
    if name in {"on_upload", "on_delivery"}:
        key = document["detail"]["object"]["key"]
        [matcher] = pattern["detail"]["object"]["key"]
        start, end = matcher["wildcard"].split("*")
        assert key.startswith(start)
        assert key.endswith(end)


def test_every_asynchronous_source_has_retries_and_a_place_for_what_was_given_up():
    """A rule's own for what Lambda did not take; the function's for what it failed at."""
    for name, sources in SET_OFF.items():
        for source in sources.values():
            assert source["Properties"]["RetryPolicy"]["MaximumRetryAttempts"] > 0, name
            assert source["Properties"]["DeadLetterConfig"]["Arn"].endswith("Letters.Arn"), name
        invoked = FUNCTIONS[name]["EventInvokeConfig"]
        assert invoked["MaximumRetryAttempts"] > 0, name
        assert invoked["DestinationConfig"]["OnFailure"]["Destination"].endswith("Letters.Arn")
    policy = Cloud.template()["Resources"]["DeadLettersPolicy"]["Properties"]["PolicyDocument"]
    [statement] = policy["Statement"]
    rules = {
        f"{FUNCTION_NAMES[name]}{source}.Arn"
        for name, sources in SET_OFF.items()
        for source, rule in sources.items()
        if rule["Properties"]["DeadLetterConfig"]["Arn"] == "DeadLetters.Arn"
    }
    assert set(statement["Condition"]["ArnEquals"]["aws:SourceArn"]) == rules


def test_the_details_of_the_events_are_understood():
    detail = event("on_request")["detail"]
    asked, key = asking.in_detail("ClipRequested", detail)
    assert (asked.clip_id, key) == ("opener", detail["idempotencyKey"])
    assert details.ClipDetail.model_validate(event("report")["detail"]).status == "finalized"
    assert sweeping.SweepOrder.model_validate(event("sweep")["detail"]).may_post


def test_the_event_of_the_authorizer_is_that_of_a_route_it_guards():
    asked, guarded = event("authorize"), event("generate")
    for name in ("version", "routeKey", "rawPath", "rawQueryString", "headers"):
        assert asked[name] == guarded[name]
    assert asked["identitySource"] == [asked["headers"]["authorization"]]
    assert "body" not in asked


def test_the_bodies_of_the_doors_are_understood():
    assert intake.clip_request(event("generate")["body"]).clip_id == "opener"
    assert intake.clip_request(event("submit")["body"]).clip_id == "opener"
    assert intake.clip_request(event("plan")["body"]).clip_id == "opener"
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


def held(document: Any, name: str) -> set[str]:
    """What a document, and the JSON texts inside it, hold under a name, at any depth."""
    if isinstance(document, str):
        return held(json.loads(document), name) if document.startswith("{") else set()
    if isinstance(document, list):
        return {found for one in document for found in held(one, name)}
    if not isinstance(document, dict):
        return set()
    own = {found for key, found in document.items() if key == name and isinstance(found, str)}
    return own | {found for one in document.values() for found in held(one, name)}


def test_the_samples_are_of_one_render_one_film_one_run_and_one_account():
    """What has to be on record for one of them is what `videoconductor local invoke` puts there."""
    documents = [event(name) for name in FUNCTIONS]
    [render_id] = held(documents, "renderId")
    assert all(render_id in event(name)["rawPath"] for name in ("browse", "resolve"))
    assert render_id == Render.model_validate(event(samples.RENDER)).render_id
    assert held(documents, "pipelineRequestId") | held(documents, "film") == {"nightclub"}
    assert held(documents, "clipId") == {"opener"}
    assert held(documents, "runId") == {event(samples.RUN)["runId"]}
    accounts = held(documents, "accountId") | held(documents, "account")
    accounts |= set(re.findall(r"arn:aws:[a-z0-9-]*:[a-z0-9-]*:(\d+):", json.dumps(documents)))
    assert accounts == {"111122223333"}


def test_whatever_is_prepared_is_prepared_for_a_function():
    assert set(samples.NEEDED) <= set(FUNCTIONS)
