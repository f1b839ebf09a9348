"""`generate` and `status` against an API on this machine that plays its answers in order."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from videoconductor_cli import watching
from videoconductor_cli.main import app

CLIP = b"the clip" * 1000
ESTIMATE = {
    "lines": [
        {
            "what": "grok-imagine-video 480p",
            "quantity": 6.0,
            "unit": "second",
            "unitUsd": 0.05,
            "amountUsd": 0.3,
        }
    ],
    "totalUsd": 0.3,
    "asOf": "2026-11-22",
}


class FakeApi:
    """Accepts a request, then answers each GET of the render with the next of `statuses`."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = list(statuses)
        self.paths: list[str] = []
        self.lists: list[str] = []
        self.keys: list[str] = []
        self.requests: list[dict[str, Any] | None] = []
        self.changes: dict[str, Any] = {}
        self.failures = 0
        self.url = ""

    def render(self, status: str) -> dict[str, Any]:
        there = status == "finalized"
        video = {
            "url": f"{self.url}/clip.mp4",
            "key": "generated/videos/default/r1/draft/r1.mp4",
            "sha256": hashlib.sha256(CLIP).hexdigest(),
            "bytes": len(CLIP),
            "duration": 6.04,
            "width": 854,
            "height": 480,
        }
        settled = status not in {"planned", "rendering", "rendered"}
        return {
            "renderId": "r1",
            "status": status,
            "clipId": "r1",
            "pipelineRequestId": "default",
            "qualityMode": "draft",
            "operation": "generate",
            "model": "grok-imagine-video",
            "resolution": "480p",
            "aspectRatio": "16:9",
            "duration": 6,
            "progress": 40 if status == "rendering" else None,
            "estimatedCostUsd": 0.3,
            "estimate": ESTIMATE,
            "warnings": [],
            "costUsd": 0.3 if there else None,
            "requestedAt": "2026-11-22T10:00:00Z",
            "requestId": "x-1",
            "attempts": [{}],
            "timeline": [{"status": status, "at": "2026-11-22T10:00:09Z"}],
            "error": None,
            "advice": None,
            "result": {"success": there, "video": video if there else None} if settled else None,
            **self.changes,
        }


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    fake = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        def reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            fake.paths.append(self.path)
            fake.keys.append(self.headers["Idempotency-Key"])
            fake.requests.append(json.loads(content) if content else None)
            if fake.failures:
                fake.failures -= 1
                self.reply(503, b"{}")
            else:
                self.reply(202, json.dumps(fake.render("planned")).encode())

        def do_GET(self) -> None:
            if self.path == "/clip.mp4":
                self.reply(200, CLIP)
                return
            if self.path.startswith("/v1/videos?"):
                fake.lists.append(self.path)
                found = [{**fake.render(one), "renderId": one} for one in fake.statuses]
                self.reply(200, json.dumps({"videos": found, "nextCursor": None}).encode())
                return
            status = fake.statuses.pop(0) if len(fake.statuses) > 1 else fake.statuses[0]
            self.reply(200, json.dumps(fake.render(status)).encode())

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("VIDEOCONDUCTOR_API_URL", fake.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setattr(watching, "LOCAL_GAP", 0.01)
    yield fake
    server.shutdown()
    server.server_close()


def run(*arguments: str) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(app, list(arguments))
    return outcome.exit_code, outcome.stdout, outcome.stderr


def test_generate_ends_with_0_when_the_clip_is_on_disk(api: FakeApi, tmp_path: Path) -> None:
    api.statuses = ["planned", "rendering", "rendered", "finalized"]
    code, out, err = run("generate", "a fox", "--mode", "draft", "--to", str(tmp_path))
    path = tmp_path / "generated/videos/default/r1/draft/r1.mp4"
    assert code == 0
    assert out.strip() == str(path)
    assert path.read_bytes() == CLIP
    assert "grok-imagine-video 480p: 6 seconds at $0.05 = $0.300" in err
    assert re.search(r"r1: 40%  rendering  \d+:[\d:]+  ~\d+:[\d:]+ left  est\. \$0\.300", err)
    assert api.requests == [{"prompt": "a fox", "qualityMode": "draft"}]


def test_json_is_the_render_and_nothing_else(api: FakeApi) -> None:
    api.statuses = ["rendering", "finalized"]
    code, out, _ = run("generate", "a fox", "--json")
    assert code == 0
    assert json.loads(out) == api.render("finalized")


def test_no_wait_prints_the_id(api: FakeApi) -> None:
    code, out, err = run("generate", "a fox", "--no-wait")
    assert (code, out) == (0, "r1\n")
    assert "status r1 --watch" in err


def test_a_request_that_got_no_answer_is_sent_again_with_the_same_key(api: FakeApi) -> None:
    api.statuses = ["finalized"]
    api.failures = 1
    code, _, _ = run("generate", "a fox")
    assert code == 0
    assert len(api.keys) == 2
    assert api.keys[0] == api.keys[1]


@pytest.mark.parametrize(
    ("status", "way_out"),
    [
        ("failed", "retry r1"),
        ("cancelled", "attach r1"),
        ("stalled", "attach r1"),
        ("submit_unknown", "retry r1 --may-charge-twice"),
    ],
)
def test_a_render_without_a_clip_ends_with_1_and_a_way_out(
    api: FakeApi, status: str, way_out: str
) -> None:
    api.statuses = ["rendering", status]
    api.changes = {
        "error": {"error": "ModerationRejected", "message": "withheld", "code": "content"}
    }
    code, out, err = run("generate", "a fox", "--download")
    assert (code, out) == (1, "")
    assert f"render r1 is {status}" in err
    assert "ModerationRejected: withheld (content)" in err
    assert f"videoconductor {way_out}" in err


def test_a_failure_after_a_post_that_may_be_paid_for_offers_what_the_api_allows(
    api: FakeApi,
) -> None:
    api.statuses = ["failed"]
    api.changes = {
        "error": {"error": "RenderFailed", "message": "Malformed request ID", "code": None},
        "attempts": [{"outcome": "unknown"}],
    }
    _, _, err = run("generate", "a fox")
    assert "attach r1 REQUEST_ID" in err
    assert "retry r1 --may-charge-twice" in err


def test_an_empty_idempotency_key_is_refused(api: FakeApi) -> None:
    code, _, err = run("generate", "a fox", "--idempotency-key", "")
    assert code == 2
    assert "--idempotency-key is empty" in err


def test_status_and_the_end_say_what_was_spent_what_is_reserved_and_of_how_much(
    api: FakeApi,
) -> None:
    money = {"capUsd": 1.0, "spentUsd": 0.3, "reservedUsd": 0.0, "leftUsd": 0.7}
    api.statuses, api.changes = ["rendering", "finalized"], {"spending": money, "reservedUsd": 0.3}
    code, out, _ = run("status", "r1")
    assert (code, "money      spent $0.300, reserved $0.000 of $1.000" in out) == (0, True)
    _, _, err = run("status", "r1", "--watch")
    assert "est. $0.300, $0.300 reserved" in err or "cost $0.300, $0.300 reserved" in err
    assert "cost $0.300, spent $0.300, reserved $0.000 of $1.000" in err


def test_status_shows_any_render_with_0_and_watches_like_generate(api: FakeApi) -> None:
    api.statuses = ["failed"]
    assert run("status", "r1")[0] == 0
    assert run("status", "r1", "--watch")[0] == 1
    api.statuses = ["rendering", "finalized"]
    code, out, _ = run("status", "r1", "--watch")
    assert (code, out.strip()) == (0, f"{api.url}/clip.mp4")


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (("cancel", "r1"), None),
        (("attach", "r1"), None),
        (("attach", "r1", "x-9"), {"requestId": "x-9"}),
        (("retry", "r1"), {"mayChargeTwice": False}),
        (("retry", "r1", "--may-charge-twice"), {"mayChargeTwice": True}),
        (("resume", "r1"), None),
        (("abandon", "r1"), None),
    ],
)
def test_a_command_sends_what_it_says_and_shows_the_render(
    api: FakeApi, arguments: tuple[str, ...], sent: dict[str, Any] | None
) -> None:
    assert run(*arguments)[:2] == (0, "r1 is planned\n")
    assert api.paths == [f"/v1/videos/r1/{arguments[0]}"]
    assert api.requests == [sent]


def test_ctrl_c_leaves_the_render_and_says_how_to_come_back(api: FakeApi) -> None:
    api.statuses = ["rendering"]
    command = [sys.executable, "-m", "videoconductor_cli.main", "generate", "a fox"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if "rendering" in line:
                break
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert "The render goes on without you" in err
    assert "status r1 --watch" in err
    assert "Traceback" not in err


def test_list_asks_for_what_it_is_told_to(api: FakeApi) -> None:
    api.statuses = ["failed", "stalled"]
    chosen = ("--status", "failed", "--status", "stalled", "--film", "a b", "--mode", "draft")
    code, out, _ = run("list", *chosen, "--limit", "200")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["failed", "stalled"]
    query = "status=failed&status=stalled&film=a%20b&mode=draft&limit=100"
    assert api.lists == [f"/v1/videos?{query}"]
