"""The HTTP doors with the events that API Gateway hands them: hostile bodies, paths and callers."""

import base64
import json
from types import SimpleNamespace

import pytest

from tests.workflow.conftest import load_handler

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
        "rawQueryString": "",
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
    return {name: load_handler(name) for name in ("submit", "browse", "resolve")}


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


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "x"}, {"limit": "101"}, {"cursor": "x"}]
)
def test_a_bad_page_is_a_400(stage, doors, query):
    status, body = call(doors["browse"], "GET", "/v1/videos", query=query)

    assert status == 400
    assert body["errors"][0]["field"] in query


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
