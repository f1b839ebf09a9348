"""The client of the HTTP API: signatures, repetitions, errors in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from videoconductor_cli.address import Address
from videoconductor_cli.client import PAUSES, VideoConductor
from videoconductor_cli.errors import BadInput, NoAnswer

KEYS = Credentials("AKIDEXAMPLE", "secret", "session-token")
BASE = "https://abc123.execute-api.eu-west-1.amazonaws.com"


def client(
    answer: Callable[[httpx.Request], httpx.Response], base_url: str = BASE
) -> VideoConductor:
    return VideoConductor(
        Address(base_url, "eu-west-1", KEYS), httpx.MockTransport(answer), sleep=lambda _: None
    )


def expected_authorization(request: httpx.Request) -> str:
    """What botocore computes for a request as it arrived."""
    sent = request.headers["Authorization"]
    signed = sent.split("SignedHeaders=")[1].split(",")[0].split(";")
    arrived = AWSRequest(
        request.method,
        str(request.url),
        {name: request.headers[name] for name in signed},
        request.content,
    )
    arrived.context["timestamp"] = request.headers["X-Amz-Date"]
    auth = SigV4Auth(KEYS, "execute-api", "eu-west-1")
    text = auth.string_to_sign(arrived, auth.canonical_request(arrived))
    scope = auth.scope(arrived)
    return (
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(signed)}, "
        f"Signature={auth.signature(text, arrived)}"
    )


@pytest.mark.parametrize("base_url", [BASE, "http://127.0.0.1:4566/_aws/execute-api/x/$default"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda api: api.submit({"prompt": "ein Bär, naïve 🐻"}, "key-1"),
        lambda api: api.render("abc"),
        lambda api: api.renders(7),
        lambda api: api.manifest("mein Film ü+&%"),
        lambda api: api.submit_film(b"{}", [("clip", "ü+&% (1)"), ("clip", "b"), ("a", "")], "k"),
        lambda api: api.film("mein Film", "run 1"),
        lambda api: api.manifest("mein Film", presign=True),
        lambda api: api.import_manifest("mein Film", b"[]"),
        lambda api: api.command("abc", "retry", {"mayChargeTwice": True}),
        lambda api: api.command("abc", "cancel"),
    ],
)
def test_what_arrives_carries_the_signature_that_botocore_computes_for_it(
    ask: Callable[[VideoConductor], Any], base_url: str
) -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"videos": [], "clips": []})

    ask(client(answer, base_url))
    (request,) = seen
    assert request.headers["Authorization"] == expected_authorization(request)
    assert "host" in request.headers["Authorization"]
    assert request.headers["X-Amz-Security-Token"] == "session-token"


def test_a_manifest_is_gathered_from_its_pages() -> None:
    pages = [
        {"version": 3, "clips": [{"_key": "a::draft"}], "runs": [], "next": "a::draft"},
        {"version": 3, "clips": [{"_key": "b::draft"}], "runs": [{"runId": "r"}]},
    ]
    asked: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params.get("after"))
        return httpx.Response(200, json=pages[len(asked) - 1])

    clips = [{"_key": "a::draft"}, {"_key": "b::draft"}]
    assert client(answer).manifest("f") == {"version": 3, "clips": clips, "runs": [{"runId": "r"}]}
    assert asked == [None, "a::draft"]


def test_a_request_for_a_clip_is_signed_json_with_its_key() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, json={"renderId": "r"})

    assert client(answer).submit({"prompt": "é"}, "key-1") == {"renderId": "r"}
    assert seen[0].headers["Content-Type"] == "application/json"
    assert seen[0].headers["Idempotency-Key"] == "key-1"
    assert "content-type" in seen[0].headers["Authorization"]
    assert json.loads(seen[0].content) == {"prompt": "é"}


def test_a_query_is_escaped_as_the_signature_counts_it() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(202, json={})

    script = b'{"requestId":\r\n "caf\xc3\xa9"}'
    client(answer).submit_film(script, [("clip", "a b+c&d=é'~"), ("clip", "b:%")], "k")
    client(answer).film("a b", "r/1")
    assert seen[0].url.raw_path == b"/v1/films?clip=a%20b%2Bc%26d%3D%C3%A9%27~&clip=b%3A%25"
    assert seen[0].content == script
    assert seen[0].headers["Content-Type"] == "application/json"
    assert seen[1].url.raw_path == b"/v1/films/a%20b?run=r%2F1"


@pytest.mark.parametrize(
    "trouble", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), 503, 502, 429]
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda api: api.submit({"prompt": "x"}, "same"),
        lambda api: api.submit_film(b"{}", [("clip", "01")], "same"),
        lambda api: api.render("r"),
        lambda api: api.film("f", "run"),
    ],
)
def test_reading_and_keyed_requests_are_repeated_until_there_is_an_answer(
    ask: Callable[[VideoConductor], Any], trouble: Exception | int
) -> None:
    keys: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(request.headers.get("Idempotency-Key"))
        if len(keys) <= len(PAUSES):
            if isinstance(trouble, Exception):
                raise trouble
            return httpx.Response(trouble)
        return httpx.Response(200, json={"status": "planned"})

    assert ask(client(answer)) == {"status": "planned"}
    assert len(keys) == len(PAUSES) + 1
    assert len(set(keys)) == 1


def test_a_command_that_may_have_arrived_is_not_repeated() -> None:
    attempts: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        attempts.append(request.url.path)
        raise httpx.ReadTimeout("slow")

    with pytest.raises(NoAnswer, match="ReadTimeout"):
        client(answer).command("r", "retry", {"mayChargeTwice": True})
    assert attempts == ["/v1/videos/r/retry"]


def test_a_command_that_reached_nobody_is_repeated() -> None:
    attempts: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        attempts.append(request.url.path)
        if len(attempts) == 1:
            raise httpx.ConnectError("refused")
        return httpx.Response(200, json={"status": "rendering"})

    assert client(answer).command("r", "attach")["status"] == "rendering"
    assert len(attempts) == 2


def test_problem_details_name_field_value_and_choices() -> None:
    problem = {
        "title": "The request is invalid",
        "status": 400,
        "errors": [
            {
                "field": "qualityMode",
                "value": "ultra",
                "message": "is not a quality mode",
                "choices": ["draft", "production"],
            },
            {"field": "duration", "value": 99, "message": "must be 1 to 15"},
        ],
    }
    with pytest.raises(BadInput) as refused:
        client(lambda _: httpx.Response(400, json=problem)).submit({}, "k")
    assert str(refused.value).splitlines() == [
        "The request is invalid",
        "  qualityMode: 'ultra' is not a quality mode; choose one of: draft, production",
        "  duration: 99 must be 1 to 15",
    ]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, BadInput),
        (404, BadInput),
        (409, BadInput),
        (413, BadInput),
        (401, NoAnswer),
        (403, NoAnswer),
        (429, NoAnswer),
        (500, NoAnswer),
        (503, NoAnswer),
    ],
)
def test_an_answer_that_is_no_json_is_still_an_error_in_words(
    status: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        client(lambda _: httpx.Response(status, text="<html>")).render("r")


def test_a_success_that_is_no_json_is_no_answer() -> None:
    with pytest.raises(NoAnswer):
        client(lambda _: httpx.Response(200, text="<html>")).render("r")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_a_name_that_would_change_the_path_is_refused_before_anything_is_sent(name: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    with pytest.raises(BadInput):
        client(answer).render(name)
    with pytest.raises(BadInput):
        client(answer).manifest(name)
    with pytest.raises(BadInput):
        client(answer).film(name)
    with pytest.raises(BadInput):
        client(answer).import_manifest(name, b"{}")


def test_the_secret_key_is_not_in_the_address_as_printed() -> None:
    assert "secret" not in repr(Address(BASE, "eu-west-1", KEYS))
