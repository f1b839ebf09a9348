"""The MCP inspector's command line lists the tools and has a clip made, once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local_stack import LocalStack, Options
from videoconductor_cli.main import app

ROOT = Path(__file__).parents[2]
INSPECTOR = "@modelcontextprotocol/inspector@2.12"
ERAS = ("legacy", "modern")

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]

Inspect = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    made = LocalStack(tmp_path_factory.mktemp("stack"), ROOT, Options(job_seconds=0.3))
    try:
        made.up()
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("npm")
    install = ["npm", "install", "--no-audit", "--no-fund", "--silent", INSPECTOR]
    subprocess.run(install, cwd=folder, check=True)
    return folder / "node_modules/.bin/mcp-inspector"


def inspected(inspector: Path, *given: str, expected: int = 0) -> dict[str, Any]:
    command = [str(inspector), "--cli", *given, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == expected, f"{done.stdout}{done.stderr}"
    return dict(json.loads(done.stdout))


def over_http(stack: LocalStack, era: str) -> list[str]:
    given = ["token", "create", f"inspector-{era}", "--scope", "read", "--scope", "submit"]
    made = CliRunner().invoke(app, [*given, "--data", str(stack.folder.root)])
    url = f"{stack.up().api_url}/mcp"
    header = f"Authorization: Bearer {made.stdout.strip()}"
    return [url, "--transport", "http", "--header", header, "--protocol-era", era]


def over_stdio(stack: LocalStack, era: str) -> list[str]:
    command = ["-m", "videoconductor_cli.main", "mcp", "--data", str(stack.folder.root)]
    return [sys.executable, *command, "--protocol-era", era]


@pytest.mark.parametrize("way", [over_http, over_stdio])
@pytest.mark.parametrize("era", ERAS)
def test_the_inspector_lists_the_tools_and_has_a_clip_made_once(stack, inspector, way, era):
    given = way(stack, era)
    tools = inspected(inspector, *given, "--method", "tools/list", "--strict")["tools"]
    call = [*given, "--method", "tools/call", "--tool-name"]
    clip = json.dumps({"prompt": f"a lamp, {way.__name__} {era}", "duration": 1, "wait": 20})
    made = [
        inspected(inspector, *call, "ring-video-create", "--tool-args-json", clip) for _ in range(2)
    ]
    misspelt = inspected(
        inspector, *call, "ring-video-create", "--tool-args-json", '{"promt": "x"}', expected=5
    )

    assert len(tools) == 8
    assert [one["structuredContent"]["status"] for one in made] == ["finalized"] * 2
    assert len({one["structuredContent"]["renderId"] for one in made}) == 1
    assert made[0]["content"][0]["text"].startswith("Costs at most $0.05")
    assert misspelt["isError"]
