"""The desk on a person's machine: which route each tool asks, and how refusals come back."""

from __future__ import annotations

import json

import httpx
import pytest
from botocore.credentials import Credentials

from videoconductor import VideoConductor, intake
from videoconductor.errors import VideoConductorError
from videoconductor.tools.catalog import TOOLS
from videoconductor_cli.mcp_desk import ClientDesk

TOOL = {tool.name: tool for tool in TOOLS}
ORDER = {"clip": ["a", "b"], "remaster": True, "maxCostUsd": 0.5}
QUERY = "?clip=a&clip=b&remaster=true&maxCostUsd=0.5"
ASKED = {
    "ring-video-create": (
        {"prompt": "x", "wait": 3},
        ["POST /v1/videos +key", "GET /v1/videos/r?wait=3"],
    ),
    "video-remaster": (
        {"renderId": "p", "edit": True},
        ["POST /v1/videos/p/remaster +key", "GET /v1/videos/r"],
    ),
    "video-plan": ({"script": {}, **ORDER}, [f"POST /v1/plan{QUERY}"]),
    "video-status": ({"renderId": "r", "wait": 20}, ["GET /v1/videos/r?wait=20"]),
    "video-list": (
        {"status": ["failed", "stalled"], "film": "f", "limit": 2},
        ["GET /v1/videos?status=failed&status=stalled&film=f&limit=2"],
    ),
    "film-create": ({"script": {"clips": []}, **ORDER}, [f"POST /v1/films{QUERY} +key"]),
    "film-status": ({"film": "f", "run": "n", "wait": 1}, ["GET /v1/films/f?run=n&wait=1"]),
    "film-manifest": (
        {"film": "f", "presign": True},
        ["GET /v1/films/f/manifest?presign=true&limit=50"],
    ),
}


def desk(answer: httpx.Response | Exception, seen: list[httpx.Request]) -> ClientDesk:
    def heard(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ClientDesk(
        VideoConductor(
            "https://api.example",
            region="eu-central-1",
            credentials=Credentials("a", "b"),
            transport=httpx.MockTransport(heard),
            sleep=lambda seconds: None,
        )
    )


@pytest.mark.parametrize("name", TOOL)
def test_a_tool_asks_its_route_and_what_is_paid_for_always_with_a_key(name):
    seen: list[httpx.Request] = []
    arguments, expected = ASKED[name]
    asked = intake.given(TOOL[name].takes, arguments)
    # The answer is nobody's: what is of interest was asked before it was read.
    with pytest.raises((KeyError, TypeError)):
        TOOL[name].asks(desk(httpx.Response(200, json={"renderId": "r"}), seen), asked)

    shown = [
        f"{request.method} {request.url.raw_path.decode()}"
        f"{' +key' if 'Idempotency-Key' in request.headers else ''}"
        for request in seen
    ]
    assert shown == expected
    assert all("Authorization" in request.headers for request in seen)


def test_a_clip_request_goes_on_as_it_was_asked_for():
    seen: list[httpx.Request] = []
    fields = {"prompt": "x", "maxCostUsd": 0.5, "thumbnail": {"template": "title_card"}}
    asked = intake.given(TOOL["ring-video-create"].takes, {**fields, "wait": 1})
    with pytest.raises(KeyError):
        TOOL["ring-video-create"].asks(
            desk(httpx.Response(200, json={"renderId": "r"}), seen), asked
        )

    assert json.loads(seen[0].content) == fields


PROBLEM = {"type": "about:blank", "title": "The request is invalid", "status": 400, "detail": "no"}


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (httpx.Response(400, json=PROBLEM), PROBLEM),
        (httpx.Response(403, json={"message": "Forbidden"}), {"status": 403}),
        (httpx.ConnectError("refused"), {"status": 503}),
    ],
)
def test_a_refusal_comes_back_as_the_api_s_own_or_says_why_there_is_none(answer, problem):
    asked = desk(answer, [])
    with pytest.raises(VideoConductorError) as refused:
        asked.render("r", 0)

    shown = asked.problem(refused.value)
    assert problem.items() <= shown.items()
    assert shown["title"]
