"""The existing system's route: its body, its answers, and who is let in by the authorizer."""

import json
import logging
import threading
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest

from tests.workflow.conftest import REGION, ROOT, Cloud, load_handler
from videoconductor import tokens, wiring

EVENTS = ROOT / "events"
CONTEXT = SimpleNamespace(
    function_name="door",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:door",
    aws_request_id="request",
)
FIELDS = {"prompt": "a lamp in the rain", "duration": 1, "clipId": "lamp", "maxCostUsd": 1}
RING = json.loads((Path(__file__).parents[1] / "fixtures/ring_bodies.json").read_text())


class Route:
    """API Gateway with its authorizer, in front of the one function."""

    def __init__(self):
        self.authorizer, self.door = load_handler("authorize"), load_handler("generate")
        self.book = tokens.ServiceTokens()

    def token(self, name, *scopes, expires_at=None):
        """A token of the stack; the secret has it from now on."""
        number = len(self.book.tokens)
        text, token = tokens.mint(
            name, scopes, wiring.now(), expires_at, lambda size: bytes([number] * size)
        )
        self.keep(self.book.with_token(token))
        return text

    def keep(self, book):
        self.book = book
        client = boto3.client("secretsmanager", REGION)
        client.put_secret_value(SecretId="tokens", SecretString=book.text())
        wiring._held_secrets.cache_clear()

    def authorize(self, token):
        event = json.loads((EVENTS / "authorize.json").read_text())
        event["headers"]["authorization"] = f"Bearer {token}"
        return self.authorizer.handler(event, CONTEXT)

    def call(self, token, body=None, *, render_id=None, key=None, query=""):
        vouched = self.authorize(token)
        if not vouched["isAuthorized"]:
            return 403, {"message": "Forbidden"}, {}
        event = json.loads((EVENTS / "generate.json").read_text())
        event["requestContext"]["authorizer"]["lambda"] = vouched["context"]
        event["rawQueryString"] = query
        if key is not None:
            event["headers"]["idempotency-key"] = key
        if render_id is None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        else:
            del event["body"]
            path = f"/api/mcp/v1/videos/{render_id}"
            event["rawPath"] = event["requestContext"]["http"]["path"] = path
            event["requestContext"]["http"]["method"] = "GET"
            event["requestContext"]["routeKey"] = "GET /api/mcp/v1/videos/{renderId}"
        answer = self.door.handler(event, CONTEXT)
        return answer["statusCode"], json.loads(answer["body"]), answer["headers"]


@pytest.fixture
def route(stage, monkeypatch):
    boto3.client("secretsmanager", REGION).create_secret(Name="tokens", SecretString="{}")
    monkeypatch.setenv("SERVICE_TOKENS_SECRET", "tokens")
    wiring.settings.cache_clear()
    return Route()


def hurried(stage, monkeypatch):
    """While a door waits, the machine goes on, and the clock with the machine alone."""

    def pause(seconds):
        stage.elapsed += 0.01
        threading.Event().wait(0.03)

    monkeypatch.setattr(wiring, "pause", pause)


def held_up(stage, monkeypatch):
    """No machine starts, and whoever waits for one has waited long enough at once."""

    def pause(seconds):
        stage.elapsed += 30

    monkeypatch.setattr(wiring, "pause", pause)
    monkeypatch.setattr(type(wiring.machine()), "start", lambda self, render: None)


def test_the_finished_clip_is_answered_in_the_shape_that_its_clients_know(
    stage, route, monkeypatch
):
    hurried(stage, monkeypatch)
    token = route.token("studio", "submit")

    status, body, headers = route.call(token, FIELDS)

    assert status == 200, body
    assert "Location" not in headers
    assert body["success"] is True
    assert "error" not in body
    found = body["data"]
    [job] = stage.jobs()
    assert found["requestId"] == job["id"]
    assert (found["clipId"], found["qualityMode"]) == ("lamp", "draft")
    assert (found["status"], found["pipelineRequestId"]) == ("finalized", "default")
    assert found["url"] == found["video"]["url"]
    assert "X-Amz-Signature" in found["url"]
    assert found["temporaryUrl"].startswith("http")
    assert found["costUsd"] > 0
    assert wiring.manifest().read(found["renderId"]).caller == "token:studio"

    # The same call again, as a client makes it that lost the answer: the first render, no money.
    status, again, _ = route.call(token, FIELDS)
    assert (status, again["data"]["renderId"]) == (200, found["renderId"])
    # Another key asks for another; another caller's same request is another's.
    _, other, _ = route.call(token, FIELDS, key="take two")
    _, theirs, _ = route.call(route.token("ci", "submit"), FIELDS)
    ids = {found["renderId"], other["data"]["renderId"], theirs["data"]["renderId"]}
    assert (len(ids), len(stage.jobs())) == (3, 3)
    # A key that came with another request is refused before anything is spent.
    status, refused, _ = route.call(token, {**FIELDS, "duration": 2}, key="take two")
    assert (status, refused["success"], refused["code"]) == (409, False, "IdempotencyConflict")
    assert len(stage.jobs()) == 3


def test_what_takes_longer_is_a_202_that_says_where_to_ask_again(stage, route, monkeypatch):
    waited = []

    def pause(seconds):
        waited.append(seconds)
        stage.elapsed += seconds

    monkeypatch.setattr(wiring, "pause", pause)
    monkeypatch.setattr(type(wiring.machine()), "start", lambda self, render: None)
    token = route.token("studio", "submit")

    status, body, headers = route.call(token, FIELDS)

    assert status == 202
    assert 24 <= sum(waited) <= 25
    found = body["data"]
    assert headers["Location"] == f"/api/mcp/v1/videos/{found['renderId']}"
    assert found["links"]["self"] == headers["Location"]
    assert headers["Retry-After"] == "2"
    # A client that knows no 202 must not take this for a clip.
    assert (body["success"], body["code"], found["url"]) == (False, "UnderWay", None)
    status, again, _ = route.call(token, render_id=found["renderId"])
    assert (status, again) == (202, body)


def test_a_clip_that_came_to_nothing_is_no_success_and_not_made_again_unasked(
    stage, route, monkeypatch
):
    hurried(stage, monkeypatch)
    token = route.token("studio", "read", "submit")
    fields = {**FIELDS, "prompt": "a lamp [[sim:moderated]]"}

    status, body, _ = route.call(token, fields)
    again = route.call(token, fields)

    assert status == 200
    assert (body["success"], body["code"]) == (False, "ModerationRejected")
    assert body["error"]
    assert body["data"]["status"] == "failed"
    assert again[:2] == (status, body)
    assert route.call(token, render_id=body["data"]["renderId"])[:2] == (status, body)
    assert len(stage.jobs()) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", "body"),
        ("", "body"),
        ({**FIELDS, "promt": "x"}, "promt"),
        ({**FIELDS, "duration": 7.5}, "duration"),
        ({**FIELDS, "maxCostUsd": 0.01}, "maxCostUsd"),
        ({**FIELDS, "qualityMode": "x"}, "qualityMode"),
    ],
)
def test_a_request_at_fault_is_refused_in_the_same_shape(stage, route, body, field):
    status, found, _ = route.call(route.token("studio", "submit"), body)
    assert (status, found["success"], found["code"]) == (400, False, "InvalidRequest")
    assert found["errors"][0]["field"] == field
    assert field in found["error"]
    assert stage.jobs() == []


def test_scopes_say_what_a_token_may_and_its_own_renders_are_always_its_own(
    stage, route, monkeypatch
):
    held_up(stage, monkeypatch)
    studio, ci = route.token("studio", "submit"), route.token("ci", "submit")
    reader = route.token("reader", "read")

    status, refused, _ = route.call(reader, FIELDS)
    assert (status, refused["success"], refused["code"]) == (403, False, "ScopeMissing")
    render_id = route.call(studio, FIELDS)[1]["data"]["renderId"]

    assert route.call(studio, render_id=render_id)[0] == 202
    assert route.call(reader, render_id=render_id)[0] == 202
    status, theirs, _ = route.call(ci, render_id=render_id)
    nobody = route.call(ci, render_id="0" * 32)
    assert (status, nobody[0], theirs["code"]) == (404, 404, "RenderNotFound")
    assert route.call(studio, render_id=render_id, query="wait=3")[0] == 400


def test_the_authorizer_says_no_to_every_token_that_is_not_good(stage, route):
    good = route.token("studio", "read")
    expired = route.token("old", "read", expires_at=wiring.now() + timedelta(hours=1))
    assert route.authorize(expired)["isAuthorized"] is True
    stage.elapsed = 3600
    revoked = route.token("gone", "read")
    route.keep(route.book.with_revoked("gone", wiring.now()))

    assert route.authorize(good) == {
        "isAuthorized": True,
        "context": {"caller": "token:studio", "tokenId": "00" * 8, "scopes": "read"},
    }
    for bad in (expired, revoked, "", good[:-1], good.replace("vc_0", "vc_1")):
        assert route.authorize(bad) == {"isAuthorized": False}
    # A sample event as it stands names no token of any stack.
    event = json.loads((EVENTS / "authorize.json").read_text())
    assert route.authorizer.handler(event, CONTEXT) == {"isAuthorized": False}


def test_a_secret_that_cannot_be_read_lets_nobody_in(stage, route):
    token = route.token("studio", "read")
    boto3.client("secretsmanager", REGION).delete_secret(
        SecretId="tokens", ForceDeleteWithoutRecovery=True
    )
    wiring._held_secrets.cache_clear()
    with pytest.raises(Exception, match="could not be read") as problem:
        route.authorize(token)
    assert type(problem.value).__name__ == "TokensUnavailable"


def test_a_revocation_takes_a_minute_at_most(stage, route, monkeypatch):
    """What the gateway remembers and what a process remembers, one after the other."""
    api = Cloud.template()["Resources"]["HttpApi"]["Properties"]
    remembered = api["Auth"]["Authorizers"]["ServiceToken"]["Identity"]["ReauthorizeEvery"]
    assert remembered + wiring.TOKENS_SECONDS <= 60

    token = route.token("studio", "read")
    reads, moment = [], [0.0]
    real = wiring.secrets().get_secret_value
    monkeypatch.setattr(
        wiring.secrets(), "get_secret_value", lambda **asked: reads.append(asked) or real(**asked)
    )
    monkeypatch.setattr(wiring.time, "monotonic", lambda: moment[0])
    for seconds in (0, wiring.TOKENS_SECONDS - 1, 1):
        moment[0] += seconds
        wiring.identify(f"Bearer {token}")
    assert [read["SecretId"] for read in reads] == ["tokens", "tokens"]


def test_a_new_token_opens_at_once_and_made_up_ones_cost_a_read_a_second(stage, route, monkeypatch):
    reads, moment = [], [30.0]
    real = wiring.secrets().get_secret_value
    monkeypatch.setattr(
        wiring.secrets(), "get_secret_value", lambda **asked: reads.append(asked) or real(**asked)
    )
    monkeypatch.setattr(wiring.time, "monotonic", lambda: moment[0])
    monkeypatch.setattr(wiring._held_secrets, "cache_clear", lambda: None)  # one process, warm
    for number in range(50):
        assert route.authorize(f"vc_{number:016x}_{'a' * 43}") == {"isAuthorized": False}
    assert len(reads) == 1
    new = route.token("studio", "read")
    moment[0] += wiring.NEW_TOKEN_SECONDS
    assert route.authorize(new)["isAuthorized"] is True
    assert len(reads) == 2


def test_every_line_of_a_request_s_log_names_its_caller_and_none_its_token(
    stage, route, monkeypatch, capsys
):
    from videoconductor import door

    lines = []

    class Kept(logging.Handler):
        def emit(self, record):
            lines.append(json.loads(door.logger.registered_formatter.format(record)))

    kept = Kept()
    door.logger.addHandler(kept)
    try:
        token = route.token("studio", "read")
        route.call(token, render_id="0" * 32)
        route.call(token, FIELDS)
        route.call(token[:-1], FIELDS)
    finally:
        door.logger._logger.removeHandler(kept)

    secret = token.rpartition("_")[2]
    assert secret[:-1] not in json.dumps(lines)
    assert "a lamp" not in json.dumps(lines)
    told = [(line["message"], line.get("caller"), line.get("route")) for line in lines]
    generate = "POST /api/mcp/v1/videos/generate"
    assert told == [
        ("identified", "token:studio", generate),
        ("refused", "token:studio", "GET /api/mcp/v1/videos/{renderId}"),
        ("identified", "token:studio", generate),
        ("refused", "token:studio", generate),
        ("refused", None, generate),
    ]


def test_the_bodies_of_the_existing_system_are_taken_as_they_are(stage, route, monkeypatch):
    held_up(stage, monkeypatch)
    token = route.token("studio", "submit")
    for body in RING["bodies"][:2]:
        status, answer, _ = route.call(token, body)
        assert status == 202, answer
        assert answer["data"]["clipId"] == body["clipId"]
        assert answer["data"]["warnings"]
