"""MCP on the local stack, by the official client: over HTTP and stdio, in both ways to speak it."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import httpx
import httpx2
import pytest
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from typer.testing import CliRunner

from videoconductor.clip import SETTLED
from videoconductor_cli.main import app

pytestmark = pytest.mark.e2e

MODES = {"auto": "2026-07-28", "legacy": "2025-11-25"}
Talk = Callable[[Client], Awaitable[Any]]


@pytest.fixture(scope="module")
def bearer(cloud):
    given = ["token", "create", "studio", "--scope", "read", "--scope", "submit"]
    made = CliRunner().invoke(app, [*given, "--data", str(cloud.stack.folder.root)])
    assert made.exit_code == 0, made.stderr
    # A client that hears nothing for ten seconds takes the server for one of before.
    httpx.post(f"{cloud.endpoints.api_url}/mcp", json={}, timeout=60)
    return made.stdout.strip()


def over_http(cloud: Any, bearer: str, mode: str, talk: Talk) -> Any:
    """What a client hears that is connected over HTTP."""

    async def talked() -> Any:
        headers = {"Authorization": f"Bearer {bearer}"}
        async with httpx2.AsyncClient(headers=headers, timeout=60) as http:
            transport = streamable_http_client(f"{cloud.endpoints.api_url}/mcp", http_client=http)
            async with Client(transport, mode=mode) as client:
                assert client.protocol_version == MODES[mode]
                return await talk(client)

    return anyio.run(talked)


def over_stdio(cloud: Any, mode: str, talk: Talk) -> Any:
    """What a client hears that has started the command."""

    async def talked() -> Any:
        command = ["-m", "videoconductor_cli.main", "mcp", "--data", str(cloud.stack.folder.root)]
        started = StdioServerParameters(command=sys.executable, args=command)
        async with Client(started, mode=mode) as client:
            assert client.protocol_version == MODES[mode]
            return await talk(client)

    return anyio.run(talked)


def making(prompt: str, seen: list[dict[str, Any]]) -> Talk:
    """Plans a clip, asks for it twice, and waits for it; the client checks each answer's schema."""
    clip = {"prompt": prompt, "duration": 1}

    async def talk(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools["ring-video-create"].annotations.open_world_hint
        planned = await client.call_tool("video-plan", {"clipRequest": clip})
        assert planned.structured_content["estimatedCostUsd"] == 0.05
        asked = [
            await client.call_tool("ring-video-create", {**clip, "maxCostUsd": 1}) for _ in range(2)
        ]
        assert asked[0].content[0].text.startswith("Costs at most $0.05")
        render = asked[0].structured_content
        assert asked[1].structured_content["renderId"] == render["renderId"]
        while render["status"] not in SETTLED:
            status = {"renderId": render["renderId"], "wait": 20}
            render = (await client.call_tool("video-status", status)).structured_content
        listed = await client.call_tool("video-list", {"status": ["finalized"], "limit": 1})
        assert len(listed.structured_content["videos"]) == 1
        refused = await client.call_tool("ring-video-create", {"promt": "x"})
        assert refused.is_error
        assert "promt" in refused.content[0].text
        seen.append(render)

    return talk


def test_a_clip_over_http_is_made_once_for_clients_of_both_versions(cloud, bearer, prompt):
    seen: list[dict[str, Any]] = []
    for mode in MODES:
        over_http(cloud, bearer, mode, making(prompt, seen))

    assert {render["status"] for render in seen} == {"finalized"}
    assert {render["caller"] for render in seen} == {"token:studio"}
    assert len({render["renderId"] for render in seen}) == 1
    assert httpx.get(seen[0]["result"]["video"]["url"]).status_code == 200
    assert len(cloud.jobs(prompt)) == 1


def test_a_clip_over_stdio_is_made_once_for_clients_of_both_versions(cloud, prompt):
    seen: list[dict[str, Any]] = []
    for mode in MODES:
        over_stdio(cloud, mode, making(prompt, seen))

    assert {render["status"] for render in seen} == {"finalized"}
    assert len(cloud.jobs(prompt)) == 1


def test_nobody_gets_in_without_a_token_and_is_told_where_to_read_on(cloud, bearer):
    url = f"{cloud.endpoints.api_url}/mcp"
    hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accept = {"Accept": "application/json, text/event-stream"}
    without = httpx.post(url, json=hello, headers=accept)
    wrong = httpx.post(url, json=hello, headers={**accept, "Authorization": f"Bearer {bearer}x"})
    stream = httpx.get(url, headers={"Authorization": f"Bearer {bearer}"})
    metadata = cloud.call("GET", "/.well-known/oauth-protected-resource", signed=False)

    assert (without.status_code, wrong.status_code, stream.status_code) == (401, 401, 405)
    assert without.headers["WWW-Authenticate"].startswith('Bearer resource_metadata="http')
    assert 'error="invalid_token"' in wrong.headers["WWW-Authenticate"]
    assert metadata.json()["resource"].endswith("/mcp")
    assert metadata.json()["scopes_supported"] == ["read", "submit"]
