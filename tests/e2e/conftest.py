"""The real template on the local stack: real processes, real HTTP; xAI alone is simulated."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx
import imageio_ffmpeg
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_stack import Endpoints, LocalStack, Options

ROOT = Path(__file__).parents[2]
# Tests leave renders without an execution; each sweeps when it wants to.
PARAMETERS = {"PollIntervalMs": "300", "LeaseSeconds": "4", "SweepState": "DISABLED"}
REST = {"finalized", "failed", "cancelled", "submit_unknown", "stalled"}


@dataclass
class Cloud:
    """A running stack, seen from outside."""

    stack: LocalStack
    endpoints: Endpoints

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        signed: bool = True,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body)
        url = self.endpoints.api_url.rstrip("/") + path
        request = AWSRequest(
            method,
            url,
            data=content,
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        if signed:
            ends = self.endpoints
            credentials = Credentials(ends.access_key_id, ends.secret_access_key)
            SigV4Auth(credentials, "execute-api", ends.region).add_auth(request)
        return httpx.request(
            method, url, content=content, headers=dict(request.headers), timeout=60
        )

    def submit(self, key: str | None = None, **fields: Any) -> dict[str, Any]:
        fields = {"prompt": "a lamp in the rain", "duration": 1, **fields}
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.call("POST", "/v1/videos", fields, headers=headers)
        assert answer.status_code == 202, answer.text
        return answer.json()

    def render(self, render_id: str) -> dict[str, Any]:
        answer = self.call("GET", f"/v1/videos/{render_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def rest(self, render_id: str, seconds: float = 60) -> dict[str, Any]:
        """The render once it has come to rest."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            found = self.render(render_id)
            if found["status"] in REST:
                return found
            time.sleep(0.2)
        raise AssertionError(f"still {found['status']} after {seconds} s: {found['timeline']}")

    def client(self, name: str) -> Any:
        ends = self.endpoints
        return boto3.client(
            name,
            endpoint_url=ends.aws_endpoint_url,
            region_name=ends.region,
            aws_access_key_id=ends.access_key_id,
            aws_secret_access_key=ends.secret_access_key,
        )

    def journal(self) -> dict[str, list[dict[str, Any]]]:
        with urllib.request.urlopen(f"{self.endpoints.simulator_origin}/_sim/journal") as answer:
            return json.load(answer)

    def jobs(self, prompt: str) -> list[dict[str, Any]]:
        """The jobs xAI started for a prompt: the stack is shared by the tests of a worker."""
        import hashlib

        digest = hashlib.sha256(prompt.encode()).hexdigest()
        return [job for job in self.journal()["jobs"] if digest.startswith(job["prompt_sha256"])]

    def kill_functions(self) -> int:
        """kill -9 every function process of this stack."""
        found = self.stack.status().functions
        for process in found:
            os.kill(process, signal.SIGKILL)
        return len(found)


_count = itertools.count()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """With AUTH=true: signatures are checked, and each function has its role's rights alone."""
    stack = LocalStack(
        tmp_path_factory.mktemp("stack"),
        ROOT,
        Options(parameters=PARAMETERS, job_seconds=0.5, auth=True),
    )
    try:
        yield Cloud(stack, stack.up())
    finally:
        stack.down()


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A stack that may be killed; its jobs take longer, so that there is a middle to kill it in."""
    stack = LocalStack(
        tmp_path_factory.mktemp("own"),
        ROOT,
        Options(parameters=PARAMETERS, job_seconds=3, auth=True),
    )
    cloud = Cloud(stack, stack.up())
    try:
        yield cloud
    finally:
        stack.down()


@pytest.fixture
def prompt(request: pytest.FixtureRequest) -> str:
    """A prompt of this test's own, by which its jobs are told from others'."""
    return f"{request.node.name} {os.getpid()} {next(_count)}"


def probe(path: Path) -> str:
    """What ffmpeg says about a file."""
    done = subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stderr
