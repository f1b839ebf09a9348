"""One request through each door of the running stack, by a client of that door: the same render."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from typer.testing import CliRunner

from videoconductor import VideoConductor
from videoconductor_cli.main import app

pytestmark = pytest.mark.e2e

# What tells one render from another of the same request, and where its files are.
OWN = {
    "renderId",
    "caller",
    "requestId",
    "requestedAt",
    "deadline",
    "timeline",
    "attempts",
    "links",
    "pictures",
    "result",
}


@pytest.fixture(scope="module")
def bearer(cloud):
    given = ["token", "create", "doors", "--scope", "read", "--scope", "submit"]
    made = CliRunner().invoke(app, [*given, "--data", str(cloud.stack.folder.root)])
    assert made.exit_code == 0, made.stderr
    return {"Authorization": f"Bearer {made.stdout.strip()}"}


def by_http(cloud: Any, bearer: dict[str, str], clip: dict[str, Any]) -> None:
    cloud.submit(**clip)


def by_curl(cloud: Any, bearer: dict[str, str], clip: dict[str, Any]) -> None:
    ends = cloud.endpoints
    signed = ["--aws-sigv4", f"aws:amz:{ends.region}:execute-api"]
    user = ["--user", f"{ends.access_key_id}:{ends.secret_access_key}"]
    sent = ["-H", "Content-Type: application/json", "-d", json.dumps(clip)]
    url = f"{ends.api_url.rstrip('/')}/v1/videos"
    answer = subprocess.check_output(["curl", "-sS", *signed, *user, *sent, url])
    assert json.loads(answer)["status"] == "planned", answer


def by_the_existing_route(cloud: Any, bearer: dict[str, str], clip: dict[str, Any]) -> None:
    url = f"{cloud.endpoints.api_url.rstrip('/')}/api/mcp/v1/videos/generate"
    answer = httpx.post(url, json=clip, headers=bearer, timeout=90)
    assert answer.status_code in {200, 202}, answer.text


def by_mcp(cloud: Any, bearer: dict[str, str], clip: dict[str, Any]) -> None:
    async def talk() -> None:
        async with httpx2.AsyncClient(headers=bearer, timeout=60) as http:
            url = f"{cloud.endpoints.api_url.rstrip('/')}/mcp"
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport) as client:
                # A key of its own: the route above has asked for the same with the same token.
                arguments = {**clip, "idempotencyKey": "by mcp"}
                answer = await client.call_tool("ring-video-create", arguments)
                assert not answer.is_error, answer.content

    anyio.run(talk)


def by_inbox(cloud: Any, bearer: dict[str, str], clip: dict[str, Any]) -> None:
    cloud.client("s3").put_object(
        Bucket=cloud.endpoints.bucket, Key="inbox/doors/a clip.json", Body=json.dumps(clip)
    )


def by_event(cloud: Any, bearer: dict[str, str], clip: dict[str, Any]) -> None:
    answer = cloud.client("events").put_events(
        Entries=[
            {
                "EventBusName": cloud.endpoints.event_bus,
                "Source": "studio",
                "DetailType": "ClipRequested",
                "Detail": json.dumps(clip),
            }
        ]
    )
    assert answer["FailedEntryCount"] == 0


def by_python(cloud: Any, bearer: dict[str, str], clip: dict[str, Any]) -> None:
    with VideoConductor.local(str(cloud.stack.folder.root)) as api:
        api.generate(request=clip)


def by_command_line(cloud: Any, bearer: dict[str, str], clip: dict[str, Any]) -> None:
    command = [sys.executable, "-m", "videoconductor_cli.main", "generate", "--request", "-"]
    options = ["--no-wait", "--data", str(cloud.stack.folder.root)]
    subprocess.run(
        [*command, *options], check=True, capture_output=True, input=json.dumps(clip).encode()
    )


DOORS: list[Callable[[Any, dict[str, str], dict[str, Any]], None]] = [
    by_http,
    by_curl,
    by_the_existing_route,
    by_mcp,
    by_inbox,
    by_event,
    by_python,
    by_command_line,
]


def test_the_same_request_is_the_same_render_through_each_door(cloud, bearer, prompt):
    film = "through each door"
    clip = {
        "prompt": prompt,
        "duration": 2,
        "pipelineRequestId": film,
        "clipId": "лодка 01+",
        "refCode": "doors",
    }
    # A client of MCP has no patience with a function that is only just started.
    assert cloud.call("POST", "/mcp", {}, signed=False).status_code == 401
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(door, cloud, bearer, clip) for door in DOORS]:
            done.result()

    renders = [cloud.rest(render_id) for render_id in _asked_for(cloud, film, len(DOORS))]

    assert len({render["renderId"] for render in renders}) == len(DOORS)
    assert {render["status"] for render in renders} == {"finalized"}
    seen = [{k: v for k, v in render.items() if k not in OWN} for render in renders]
    assert all(one == seen[0] for one in seen), seen
    assert len(cloud.jobs(prompt)) == len(DOORS)
    callers = sorted(render["caller"] for render in renders)
    assert callers[-2:] == ["token:doors", "token:doors"]
    assert sum(caller.startswith("event:") for caller in callers) == 1
    assert sum(caller.startswith("s3:") for caller in callers) == 1


def _asked_for(cloud: Any, film: str, count: int) -> list[str]:
    """The renders of a film, once that many were asked for."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        listed = cloud.call("GET", f"/v1/videos?film={film.replace(' ', '%20')}&limit=100").json()
        found = [render["renderId"] for render in listed["videos"]]
        if len(found) == count:
            return found
        time.sleep(0.5)
    raise AssertionError(f"{len(found)} of {count}")
