"""A running simulator, a caller that speaks its API, and a probe that reads what it made."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg
import jsonschema
import pytest

from xai_simulator.options import SimulatorOptions
from xai_simulator.server import Running, running

SUBSET = Path(__file__).parents[1] / "xai_openapi_media_subset.json"
QUICK = {"job_seconds": 0.2, "time_scale": 0.02, "key": "sim-key-for-tests"}


@dataclass(frozen=True)
class Caller:
    """An xAI client as thin as can be."""

    simulator: Running
    http: httpx.Client

    def post(self, path: str, body: Any, **further: Any) -> httpx.Response:
        return self.http.post(f"/v1/{path}", json=body, **further)

    def generate(self, prompt: str | None = "a fox", **fields: Any) -> httpx.Response:
        given = {} if prompt is None else {"prompt": prompt}
        return self.post("videos/generations", {"duration": 1, **given, **fields})

    def start(self, prompt: str | None = "a fox", **fields: Any) -> str:
        reply = self.generate(prompt, **fields)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["request_id"])

    def poll(self, request_id: str) -> httpx.Response:
        return self.http.get(f"/v1/videos/{request_id}")

    def ended(self, request_id: str, path: str = "videos") -> httpx.Response:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            reply = self.http.get(f"/v1/{path}/{request_id}")
            if reply.status_code != 202:
                return reply
            time.sleep(0.03)
        raise AssertionError("the job did not end")

    def finish(self, prompt: str | None = "a fox", **fields: Any) -> dict[str, Any]:
        reply = self.ended(self.start(prompt, **fields))
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def from_video(self, path: str, **fields: Any) -> dict[str, Any]:
        body = {"prompt": "bluer", "video": {"url": self.asset("in.mp4")}, **fields}
        reply = self.post(f"videos/{path}", body)
        assert reply.status_code == 200, reply.text
        return dict(self.ended(reply.json()["request_id"]).json())

    def asset(self, name: str) -> str:
        return f"{self.simulator.origin}/assets/{name}"


@dataclass(frozen=True)
class Probed:
    """What ffmpeg says about a file."""

    seconds: float
    frames: int
    size: tuple[int, int]
    codecs: tuple[str, ...]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def shared_simulator(cache: Path) -> Iterator[Running]:
    with running(SimulatorOptions(**QUICK, cache=cache)) as started:
        yield started


def calling(simulator: Running) -> Caller:
    http = httpx.Client(
        base_url=simulator.origin,
        headers={"Authorization": f"Bearer {simulator.key}"},
        timeout=60,
    )
    return Caller(simulator, http)


@pytest.fixture
def xai(shared_simulator: Running) -> Iterator[Caller]:
    """The shared simulator with an empty journal."""
    shared_simulator.reset()
    caller = calling(shared_simulator)
    with caller.http:
        yield caller


@pytest.fixture
def xai_with(cache: Path) -> Iterator[Callable[..., Caller]]:
    """A simulator of its own with the options given."""
    opened: list[Any] = []

    def start(**options: Any) -> Caller:
        block = running(SimulatorOptions(**{**QUICK, "cache": cache, **options}))
        caller = calling(block.__enter__())
        opened.append((block, caller))
        return caller

    yield start
    for block, caller in opened:
        caller.http.close()
        block.__exit__(None, None, None)


@pytest.fixture
def probe(tmp_path: Path) -> Callable[[bytes], Probed]:
    """Decodes every frame, so a file that only looks like an MP4 does not pass."""

    def read(content: bytes) -> Probed:
        path = tmp_path / "probed.mp4"
        path.write_bytes(content)
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-i", str(path)]
        done = subprocess.run(
            [*command, "-map", "0", "-f", "null", "-"], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        source = done.stderr.partition("\nOutput #0")[0]
        hours, minutes, seconds = re.search(r"Duration: (\d+):(\d+):([\d.]+)", done.stderr).groups()
        size = re.search(r"Video: .*?, (\d+)x(\d+)", done.stderr)
        return Probed(
            int(hours) * 3600 + int(minutes) * 60 + float(seconds),
            int(re.findall(r"frame=\s*(\d+)", done.stderr)[-1]),
            (int(size[1]), int(size[2])),
            tuple(re.findall(r"Stream #0:\d.*?: (?:Video|Audio): (\w+)", source)),
        )

    return read


@pytest.fixture(scope="session")
def conforms() -> Callable[[str, Any], None]:
    """Checks a body against a schema of the OpenAPI subset."""
    subset = json.loads(SUBSET.read_text("utf-8"))

    def check(name: str, body: Any) -> None:
        schema = {**subset, "$ref": f"#/components/schemas/{name}"}
        jsonschema.Draft202012Validator(schema).validate(body)

    return check
