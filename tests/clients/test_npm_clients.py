"""Independent clients work against the simulator unchanged, and each call starts one job."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xai_simulator.options import SimulatorOptions
from xai_simulator.server import running

HERE = Path(__file__).parent
PACKAGES = {
    "AI SDK 7": ("ai_sdk.mjs", "ai@7", "@ai-sdk/xai@5"),
    "AI SDK 6": ("ai_sdk.mjs", "ai@6", "@ai-sdk/xai@3"),
    "TanStack AI": ("tanstack.mjs", "@tanstack/ai@0.52", "@tanstack/ai-grok@0.18"),
}

pytestmark = [pytest.mark.clients, pytest.mark.timeout(300)]


@pytest.fixture
def run_client(tmp_path: Path) -> Callable[[str, dict[str, str]], dict[str, Any]]:
    """Installs a client's packages and runs its script; answers what the script saw."""

    def run(client: str, environment: dict[str, str]) -> dict[str, Any]:
        script, *packages = PACKAGES[client]
        (tmp_path / "package.json").write_text('{"private": true, "type": "module"}')
        shutil.copy(HERE / script, tmp_path)
        for command in (
            ["npm", "install", "--no-audit", "--no-fund", *packages],
            ["node", script],
        ):
            done = subprocess.run(
                command,
                cwd=tmp_path,
                env={**os.environ, **environment},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{command}: {done.stderr[-2000:]}"
        return dict(json.loads(done.stdout))

    return run


@pytest.mark.parametrize("client", PACKAGES)
def test_a_client_makes_videos_and_starts_exactly_one_job_for_each(run_client, client):
    with running(SimulatorOptions(job_seconds=0.3, key="xai-key")) as xai:
        environment = {
            "XAI_API_BASE_URL": xai.base_url,
            "XAI_API_KEY": xai.key,
            "ASSETS": f"{xai.origin}/assets",
        }
        seen = run_client(client, environment)
        jobs = xai.jobs()
    assert len(jobs) == len(seen)
    assert {job["status"] for job in jobs} == {"done"}
    tasks = [job["task"] for job in jobs]
    assert tasks[:3] == ["text-to-video", "image-to-video", "edit"]
    assert jobs[0]["seconds"] == 2
    assert jobs[0]["resolution"] == "720p"
    for name in ("textToVideo", "imageToVideo", "edit"):
        assert seen[name]["brand"] == "ftyp"
        assert seen[name]["bytes"] > 10_000
