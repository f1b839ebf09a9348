"""A receiver on this machine, with the Standard Webhooks library, is told what became of a clip."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook
from typer.testing import CliRunner

from videoconductor_cli.main import app

pytestmark = pytest.mark.e2e


@dataclass
class Receiver:
    """Answers with these statuses, then with 204; keeps what came."""

    answers: list[int]
    came: list[tuple[bytes, dict[str, str]]] = field(default_factory=list)
    port: int = 0

    def wait(self, count: int, seconds: float = 40) -> None:
        end = time.monotonic() + seconds
        while len(self.came) < count and time.monotonic() < end:
            time.sleep(0.2)
        assert len(self.came) >= count, f"{len(self.came)} of {count} came"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver([500])

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            made.came.append((content, dict(self.headers.items())))
            self.send_response(made.answers.pop(0) if made.answers else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    made.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


def said(cloud: Any, *arguments: str) -> str:
    """What the command line says of this stack's webhooks."""
    data = ["--data", str(cloud.stack.folder.root)]
    outcome = CliRunner().invoke(app, ["webhook", *arguments, *data])
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout.strip()


def test_a_receiver_that_fails_once_is_told_again_and_can_verify_who_told_it(
    cloud, prompt, receiver
):
    url = f"http://127.0.0.1:{receiver.port}/take?token=opensesame"
    words = f"{prompt} the-words-nobody-may-tell"
    accepted = cloud.submit(prompt=words, callbackUrl=url)
    done = cloud.rest(accepted["renderId"])
    assert done["status"] == "finalized", done["error"]
    receiver.wait(2)

    secret = said(cloud, "secret")
    bodies = [Webhook(secret).verify(content, headers) for content, headers in receiver.came]
    assert bodies[0] == bodies[1]
    assert bodies[0]["type"] == "ClipReady"
    told = bodies[0]["data"]
    assert (told["renderId"], told["clip"]["sha256"]) == (
        done["renderId"],
        done["result"]["video"]["sha256"],
    )
    assert cloud.call("GET", told["links"]["self"]).status_code == 200
    ids = {headers["webhook-id"] for _, headers in receiver.came}
    assert len(ids) == 1

    shown = delivered(cloud, done["renderId"], 2)
    assert shown["url"] == f"http://127.0.0.1:{receiver.port}/…"
    assert (shown["event"], shown["webhookId"]) == ("ClipReady", ids.pop())
    assert (shown["lastStatus"], shown["attempts"]) == (204, 2)

    said(cloud, "redeliver", done["renderId"])
    receiver.wait(3)
    assert receiver.came[2][1]["webhook-id"] == shown["webhookId"]
    Webhook(secret).verify(*receiver.came[2])
    delivered(cloud, done["renderId"], 3)
    assert said(cloud, "dead", "--json") == '{\n  "webhooks": []\n}'
    text = logged(cloud)
    assert '"event":"ClipReady"' in text
    for hidden in ("opensesame", "/take", "the-words-nobody-may-tell", secret):
        assert hidden not in text
        assert hidden.encode() not in b"".join(content for content, _ in receiver.came)


def test_a_callback_url_that_is_refused_names_the_field_and_shows_nothing_that_opens_it(cloud):
    for url in ("http://hooks.example.com/?token=opensesame", "https://10.0.0.1/?token=opensesame"):
        answer = cloud.call("POST", "/v1/videos", {"prompt": "x", "callbackUrl": url})
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "callbackUrl"
        assert "opensesame" not in answer.text
    redeliver = cloud.call("POST", "/v1/videos/nobody/redeliver")
    assert redeliver.status_code == 404


def delivered(cloud: Any, render_id: str, attempts: int) -> dict[str, Any]:
    """What is on record of the callback, once so many attempts are."""
    for _ in range(50):
        found: dict[str, Any] = cloud.render(render_id)["callback"]
        if found["attempts"] >= attempts:
            assert found["deliveredAt"] is not None
            return found
        time.sleep(0.2)
    raise AssertionError(found)


def logged(cloud: Any) -> str:
    """All that the functions have logged."""
    logs = cloud.client("logs")
    text = ""
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        text += "".join(event["message"] for page in pages for event in page["events"])
    return text
