"""The HTTP doors with the events that API Gateway hands them: hostile bodies, paths and callers."""

import base64
import json
import re
from types import SimpleNamespace
from urllib.parse import urlencode

import pytest

from tests.workflow.conftest import ROOT, Cloud, load_handler
from videoconductor import wiring
from videoconductor.clip import Render

CONTEXT = SimpleNamespace(
    function_name="door",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:door",
    aws_request_id="request",
)


def event(method, path, body=None, *, is_base64=False, parameters=None, query=None, iam=True):
    authorizer = {"iam": {"userArn": "arn:aws:iam::1:user/tester"}} if iam else {}
    return {
        "version": "2.0",
        "routeKey": f"{method} {path}",
        "rawPath": path,
        "rawQueryString": urlencode(query or {}, doseq=True),
        "headers": {"content-type": "application/json"},
        "queryStringParameters": query,
        "pathParameters": parameters,
        "requestContext": {
            "stage": "$default",
            "http": {"method": method, "path": path},
            "authorizer": authorizer,
        },
        "body": body,
        "isBase64Encoded": is_base64,
    }


@pytest.fixture(scope="module")
def doors():
    return {name: load_handler(name) for name in ("submit", "browse", "resolve", "describe")}


def call(door, *arguments, **named):
    answer = door.handler(event(*arguments, **named), CONTEXT)
    return answer["statusCode"], json.loads(answer["body"])


@pytest.mark.parametrize("command", ["attach", "retry"])
@pytest.mark.parametrize("raw", [b"\xff\xfe", b"\x00", b"[1]", b'{"x": 1}', b"nul"])
def test_a_hostile_body_of_a_command_is_a_400(stage, doors, command, raw):
    render = stage.submit()
    stage.run(render)
    path = f"/v1/videos/{render.render_id}/{command}"

    status, body = call(
        doors["resolve"], "POST", path, base64.b64encode(raw).decode(), is_base64=True
    )

    assert status == 400, body
    assert body["errors"]


def test_a_command_needs_no_body(stage, doors):
    render = stage.submit(prompt="x [[sim:failed]]")
    stage.run(render)

    status, body = call(doors["resolve"], "POST", f"/v1/videos/{render.render_id}/retry")

    assert (status, body["status"]) == (200, "planned")
    stage.settle()


@pytest.mark.parametrize("name", ["a" * 2100, "%00", "हि", "nobody", "..", "\ud800"])
def test_a_strange_render_id_is_a_404(stage, doors, name):
    status, body = call(doors["browse"], "GET", f"/v1/videos/{name}")

    assert status == 404
    assert body["status"] == 404


@pytest.mark.parametrize("film", ["हिन्दी", "e\u0301clair", "фильм 1", "a+b"])
def test_a_film_of_any_script_has_its_manifest(stage, doors, film):
    stage.run(stage.submit(clipId="c", pipelineRequestId=film))

    status, body = call(
        doors["browse"], "GET", f"/v1/films/{film}/manifest", parameters={"film": film}
    )

    assert status == 200
    assert [clip["id"] for clip in body["clips"]] == ["c"]


@pytest.mark.parametrize("film", ["a" * 2100, "a::b", "\u0000", ""])
def test_what_cannot_be_a_film_is_a_400(stage, doors, film):
    status, body = call(
        doors["browse"], "GET", f"/v1/films/{film or 'x'}/manifest", parameters={"film": film}
    )

    assert status == 400
    assert body["errors"][0]["field"] == "film"


VIDEO_ROUTES = {
    f"{one['Properties']['Method']} {one['Properties']['Path']}": resource["Properties"]["CodeUri"]
    for resource in Cloud.template()["Resources"].values()
    for one in resource.get("Properties", {}).get("Events", {}).values()
    if re.match(r"/v1/(videos|models|quality-modes|plan)", str(one["Properties"].get("Path")))
}


def test_a_query_parameter_that_nobody_knows_is_a_400_on_every_route_of_videos(stage):
    assert len(VIDEO_ROUTES) > 9
    wrong = {}
    for route, folder in VIDEO_ROUTES.items():
        method, path = route.replace("{renderId}", "0" * 32).split(" ")
        app = load_handler(folder.strip("/").rpartition("/")[2])
        body = '{"prompt": "x"}' if method == "POST" else None
        status, answer = call(app, method, path, body, query={"staus": "failed"})
        if (status, [e["field"] for e in answer.get("errors", [])]) != (400, ["staus"]):
            wrong[route] = answer
    assert wrong == {}
    status, answer = call(load_handler("browse"), "GET", "/v1/videos", query={"staus": "failed"})
    assert "status" in answer["errors"][0]["choices"]


def test_a_caller_who_waits_is_answered_when_the_render_rests_or_the_time_is_up(
    stage, doors, monkeypatch
):
    sample = json.loads((ROOT / "events/poll.json").read_text())
    render = wiring.manifest().create(Render.model_validate(sample))
    path, pauses = f"/v1/videos/{render.render_id}", []

    def pause(seconds):
        pauses.append(seconds)
        stage.elapsed += seconds
        if len(pauses) == 3 + 17:
            wiring.conductor().cancel(render.render_id)

    monkeypatch.setattr(wiring, "pause", pause)
    _, body = call(doors["browse"], "GET", path, query={"wait": "3"})
    assert body["result"] is None
    assert pauses == [1, 1, 1]

    _, body = call(doors["browse"], "GET", path, query={"wait": "20"})
    assert (body["status"], len(pauses)) == ("cancelled", 3 + 17)
    for wrong in ("21", "-1", "1.5", ""):
        status, body = call(doors["browse"], "GET", path, query={"wait": wrong})
        assert (status, body["errors"][0]["field"]) == (400, "wait")


def test_what_there_is_and_costs_is_described_by_the_presets(stage, doors):
    _, models = call(doors["describe"], "GET", "/v1/models")
    _, modes = call(doors["describe"], "GET", "/v1/quality-modes")

    named = {row["name"]: row for row in models["models"]}
    assert list(named) == list(wiring.models().models)
    classic = named["grok-imagine-video"]
    assert classic["prices"]["perSecond"] == {"480p": 0.05, "720p": 0.07}
    assert classic["tasks"]["edit"]["maxSourceSeconds"] == 8.7
    assert all(row["asOf"] and row["source"] for row in models["models"])
    assert {row["name"] for row in models["retired"]} == set(wiring.models().retired)
    prices = {row["name"]: row["usdPerSecond"] for row in modes["modes"]}
    assert list(prices) == list(wiring.quality_modes().modes)
    assert (prices["draft"], prices["production"]) == (0.05, 0.07)
    assert modes["defaults"]["qualityMode"] == "draft"


def test_health_needs_nobody_and_says_nothing(stage, doors):
    assert call(doors["describe"], "GET", "/health", iam=False) == (200, {"status": "ok"})


def test_a_request_for_which_nobody_vouches_is_a_403(stage, doors):
    status, _ = call(doors["submit"], "POST", "/v1/videos", '{"prompt": "a"}', iam=False)

    assert status == 403


def test_what_breaks_inside_a_door_is_a_500_problem_that_says_nothing(stage, doors, monkeypatch):
    from videoconductor import wiring

    def broken(*_):
        raise KeyError("secret detail")

    monkeypatch.setattr(wiring.manifest(), "read", broken)

    status, body = call(doors["browse"], "GET", f"/v1/videos/{'0' * 32}")

    assert status == 500
    assert "secret detail" not in json.dumps(body)
