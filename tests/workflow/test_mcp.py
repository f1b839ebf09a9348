"""The tools as clients of MCP call them: through the door, in both ways of speaking it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any

import boto3
import jsonschema
import pytest

from tests.workflow.conftest import REGION, ROOT, FilmStage, Stage, load_handler, stage_on
from videoconductor import door as doors
from videoconductor import tokens, wiring
from videoconductor.tokens import ServiceTokens

HOST = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
CONTEXT = SimpleNamespace(
    function_name="mcp",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:mcp",
    aws_request_id="request",
)
INVALID_PARAMS = -32602
VERSIONS = ("2026-07-28", "2025-11-25")
ids = count(1)


@dataclass
class Door:
    """The function, with a token for each scope."""

    stage: Stage
    handler: Any
    tokens: dict[str, str] = field(default_factory=dict)

    def post(self, body: Any, **headers: str | None) -> tuple[int, dict[str, str], Any]:
        given = {
            "host": HOST,
            "x-forwarded-proto": "https",
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            "authorization": f"Bearer {self.tokens['submit']}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        event = {
            "version": "2.0",
            "routeKey": "ANY /mcp",
            "rawPath": "/mcp",
            "rawQueryString": "",
            "headers": {name: value for name, value in given.items() if value is not None},
            "requestContext": {
                "stage": "$default",
                "domainName": HOST,
                "http": {
                    "method": given.pop("method", "POST"),
                    "path": "/mcp",
                    "sourceIp": "203.0.113.7",
                },
            },
            "body": body if isinstance(body, str) else json.dumps(body),
            "isBase64Encoded": False,
        }
        answer = self.handler(event, CONTEXT)
        named = {name.lower(): value for name, value in answer["headers"].items()}
        is_json = "json" in named["content-type"] and answer["body"]
        return answer["statusCode"], named, json.loads(answer["body"]) if is_json else None

    def ask(self, method: str, version: str, fields: Any = None, **headers: str | None) -> Any:
        """One request under an id of its own, as a client of this version sends it."""
        params = dict(fields or {})
        headers = {"mcp_protocol_version": version, **headers}
        if version == VERSIONS[0]:
            prefix = "io.modelcontextprotocol"
            params["_meta"] = {
                f"{prefix}/protocolVersion": version,
                f"{prefix}/clientCapabilities": {},
            }
            headers |= {"mcp_method": method, "mcp_name": params.get("name")}
        request = {"jsonrpc": "2.0", "id": next(ids), "method": method, "params": params}
        return self.post(request, **headers)

    def call(
        self, name: str, version: str = VERSIONS[0], /, by: str = "submit", **arguments: Any
    ) -> dict[str, Any]:
        """What a tool answers; a good answer holds to the schema it announced."""
        status, _, body = self.ask(
            "tools/call",
            version,
            {"name": name, "arguments": arguments},
            authorization=f"Bearer {self.tokens[by]}",
        )
        assert status == 200, body
        result: dict[str, Any] = body["result"]
        if not result["isError"]:
            schema = wiring.catalog().by_name[name].output_schema
            jsonschema.validate(result["structuredContent"], schema)
        return result


@contextmanager
def logged() -> Iterator[list[dict[str, Any]]]:
    """What is logged meanwhile, by anybody, as it would be written."""
    lines: list[dict[str, Any]] = []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(doors.logger.registered_formatter.format(record)))

    heard = Heard()
    logging.getLogger().addHandler(heard)
    try:
        yield lines
    finally:
        logging.getLogger().removeHandler(heard)


@pytest.fixture(scope="module")
def handler():
    return load_handler("mcp").handler


def opened(stage: Stage, handler: Any) -> Door:
    """The door of a stage, with tokens in its secret."""
    door, held = Door(stage, handler), ServiceTokens()
    for name, scopes in (("read", ["read"]), ("submit", ["read", "submit"]), ("other", ["submit"])):
        door.tokens[name], kept = tokens.mint(name, scopes, wiring.now(), None, os.urandom)
        held = held.with_token(kept)
    client = boto3.client("secretsmanager", REGION)
    client.create_secret(Name="tokens", SecretString=held.text())
    return door


@pytest.fixture
def door(simulator, handlers, handler, monkeypatch):
    with stage_on(simulator, handlers, monkeypatch, SERVICE_TOKENS_SECRET="tokens") as stage:
        monkeypatch.setattr(wiring, "limit", lambda model: None)  # no Start waits for its turn
        # Who waits for a clip looks again when it is there.
        monkeypatch.setattr(wiring, "pause", lambda seconds: stage.settle())
        yield opened(stage, handler)


@pytest.fixture
def film_door(simulator, handlers, handler, monkeypatch):
    settings = {"SERVICE_TOKENS_SECRET": "tokens", "VIDEO_GEN_POLL_TIMEOUT_MS": "21600000"}
    with stage_on(simulator, handlers, monkeypatch, FilmStage, **settings) as stage:
        yield opened(stage, handler)


CLIP = {"prompt": "a lamp in the rain", "duration": 1, "clipId": "lamp", "maxCostUsd": 0.2}


def test_a_paid_call_made_again_under_a_new_id_in_either_version_finds_the_first_render(door):
    made = [door.call("ring-video-create", version, **CLIP) for version in (*VERSIONS, *VERSIONS)]
    anew = door.call("ring-video-create", idempotencyKey="again", **CLIP)
    others = door.call("ring-video-create", by="other", **CLIP)

    first = made[0]["structuredContent"]
    assert {result["structuredContent"]["renderId"] for result in made} == {first["renderId"]}
    assert made[0]["content"][0]["text"].startswith("Costs at most $0.05: grok-imagine-video 480p")
    assert first["caller"] == "token:submit"
    renders = [anew["structuredContent"], others["structuredContent"]]
    assert len({first["renderId"], *(one["renderId"] for one in renders)}) == 3
    door.stage.settle()

    done = door.call("video-status", VERSIONS[1], by="read", renderId=first["renderId"])
    assert done["structuredContent"]["status"] == "finalized"
    assert done["structuredContent"]["result"]["video"]["url"] in done["content"][0]["text"]
    # Even now, and waiting for it, nothing more is paid for.
    door.call("ring-video-create", wait=20, **{**CLIP, "maxCostUsd": 0.01})
    assert len(door.stage.jobs()) == 3
    listed = door.call("video-list", by="read", status=["finalized"], limit=2)
    assert len(listed["structuredContent"]["videos"]) == 2

    remastered = [
        door.call("video-remaster", renderId=first["renderId"], maxCostUsd=limit)
        for limit in (1, 2)
    ]
    door.stage.settle()
    assert len({one["structuredContent"]["renderId"] for one in remastered}) == 1
    [job] = [job for job in door.stage.jobs() if job["resolution"] == "720p"]
    assert job["status"] == "done"


def test_a_call_that_waits_answers_with_the_clip_and_logs_who_called_what_and_no_more(door):
    with logged() as lines:
        waited = door.call("ring-video-create", wait=20, **CLIP)

    [called] = [line for line in lines if line["message"] == "called"]
    assert (called["tool"], called["caller"]) == ("ring-video-create", "token:submit")
    assert door.tokens["submit"] not in json.dumps(lines)
    assert CLIP["prompt"] not in json.dumps(lines)
    assert waited["structuredContent"]["status"] == "finalized"
    assert [part["type"] for part in waited["content"]] == ["text", "text"]


def test_what_cannot_be_is_told_to_the_model_and_nothing_is_spent(door):
    dear = door.call("ring-video-create", **{**CLIP, "maxCostUsd": 0.01})
    misspelt = door.call("ring-video-create", promt="x")
    impatient = door.call("video-status", renderId="a" * 32, wait=21)
    nobody = door.call("video-status", VERSIONS[1], renderId="a" * 32)
    both = door.call("video-plan", clipRequest={"prompt": "x"}, script={})

    answers = [dear, misspelt, impatient, nobody, both]
    assert all(answer["isError"] for answer in answers)
    assert not any("structuredContent" in answer for answer in answers)
    problems = [json.loads(answer["content"][1]["text"]) for answer in answers]
    assert [problem["status"] for problem in problems] == [400, 400, 400, 404, 400]
    assert problems[0]["errors"][0]["field"] == "maxCostUsd"
    assert problems[1]["errors"] == [
        {"field": "promt", "value": "x", "message": "is not a known field", "choices": ["prompt"]}
    ]
    assert problems[2]["errors"][0]["field"] == "wait"
    planned = door.call("video-plan", by="read", clipRequest={"prompt": "x", "duration": 2})
    assert planned["structuredContent"]["estimatedCostUsd"] == 0.1
    assert wiring.manifest().renders(wiring.now(), 10) == []

    for version in VERSIONS:
        _, _, body = door.ask("tools/call", version, {"name": "shell", "arguments": {}})
        assert body["error"]["code"] == INVALID_PARAMS, body
        assert "shell" in body["error"]["message"]


def test_only_who_may_gets_in(door):
    call = {"name": "ring-video-create", "arguments": CLIP}
    metadata = f'resource_metadata="https://{HOST}/.well-known/oauth-protected-resource"'
    for version in VERSIONS:
        without = door.ask("tools/list", version, authorization=None)
        wrong = door.ask("tools/list", version, authorization="Bearer vc_nobody")
        reader = f"Bearer {door.tokens['read']}"
        short = door.ask("tools/call", version, call, authorization=reader)
        foreign = door.ask("tools/list", version, origin="https://evil.example")
        own = door.ask("tools/list", version, origin=f"https://{HOST}")

        assert (without[0], wrong[0], short[0], foreign[0]) == (401, 401, 403, 403)
        assert without[1]["www-authenticate"] == f"Bearer {metadata}"
        assert wrong[1]["www-authenticate"] == f'Bearer {metadata}, error="invalid_token"'
        assert f'{metadata}, error="insufficient_scope", scope="' in short[1]["www-authenticate"]
        assert short[2]["error"]["data"]["status"] == 403
        assert "has no scope 'submit'" in short[2]["error"]["message"]
        names = {tool["name"] for tool in own[2]["result"]["tools"]}
        assert names == set(wiring.catalog().by_name)
    for method in ("GET", "DELETE", "PUT"):
        status, headers, _ = door.post("", method=method)
        assert (status, headers["allow"]) == (405, "POST")
    assert door.post("x" * (4 * 1024 * 1024 + 1))[0] == 413
    assert door.post("{")[0] == 400
    assert wiring.manifest().renders(wiring.now(), 10) == []


def test_tokens_that_cannot_be_read_let_nobody_in_and_a_client_shows_why(door):
    boto3.client("secretsmanager", REGION).put_secret_value(SecretId="tokens", SecretString="?")
    for version in VERSIONS:
        status, headers, body = door.ask("tools/list", version)
        assert (status, body["error"]["data"]["status"]) == (503, 503)
        assert "ask again" in body["error"]["message"]
        assert "www-authenticate" not in headers


def test_a_client_of_before_shakes_hands_without_a_session(door):
    hello = {
        "protocolVersion": VERSIONS[1],
        "capabilities": {},
        "clientInfo": {"name": "studio", "version": "1"},
    }
    status, headers, body = door.ask("initialize", VERSIONS[1], hello, mcp_protocol_version=None)
    notified = door.post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    assert (status, body["result"]["protocolVersion"]) == (200, VERSIONS[1])
    assert "mcp-session-id" not in headers
    assert notified[0] == 202


def test_a_script_handed_in_again_is_the_same_run(film_door):
    script = json.loads((ROOT / "events/demo-film.json").read_text())
    turned = dict(reversed(script.items()))
    planned = film_door.call("video-plan", script=script)
    dear = film_door.call("film-create", script=script, maxCostUsd=0.01)
    first = film_door.call("film-create", script=script, maxCostUsd=1, force=True)
    again = film_door.call("film-create", VERSIONS[1], script=turned, maxCostUsd=2, force=True)

    assert planned["structuredContent"]["estimatedCostUsd"] < 1
    assert planned["structuredContent"]["due"] == 3
    run = first["structuredContent"]
    assert again["structuredContent"]["runId"] == run["runId"]
    assert first["content"][0]["text"].startswith("Costs at most $0.")
    assert dear["isError"]
    film_door.stage.watch_film(wiring.manifest().run(run["filmId"], run["runId"]))
    over = film_door.call("film-status", by="read", film=run["filmId"])
    shown = film_door.call("film-manifest", by="read", film=run["filmId"], limit=2, presign=True)
    assert over["structuredContent"]["status"] == "finished"
    assert len(film_door.stage.videos()) == 3
    assert len(shown["structuredContent"]["clips"]) == 2
    assert shown["structuredContent"]["clips"][0]["downloads"]["video"].startswith("https://")
