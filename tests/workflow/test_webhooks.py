"""From the event to the receiver, with the real handlers, queue, table and secret of moto."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from standardwebhooks import Webhook

from tests.workflow.conftest import CALLER, REGION, FilmStage, Killed, load_handler, stage_on
from tests.workflow.test_doors import CONTEXT, call
from tests.workflow.test_film import script
from videoconductor import webhooks, wiring

QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/webhooks"


@pytest.fixture
def posts() -> Iterator[Any]:
    """A receiver on this machine: what came, and the statuses it answers with before 204."""
    came: list[tuple[bytes, dict[str, str]]] = []
    answers: list[int] = []

    class Door(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            came.append((content, dict(self.headers.items())))
            self.send_response(answers.pop(0) if answers else 204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield SimpleNamespace(
        came=came, answers=answers, url=f"http://127.0.0.1:{server.server_port}/take?token=secret"
    )
    server.shutdown()
    server.server_close()


class Post:
    """The two functions and the queue between them."""

    def __init__(self) -> None:
        self.sqs = boto3.client("sqs", REGION)
        # A message that nobody took or put off comes again at once.
        attributes = {"VisibilityTimeout": "0"}
        self.sqs.create_queue(QueueName="webhooks", Attributes=attributes)
        self.vault = boto3.client("secretsmanager", REGION)
        self.vault.create_secret(Name="webhooks", SecretString="first")
        self.functions = {name: load_handler(name) for name in ("notify", "call_back")}

    def notify(self, detail_type: str, detail: dict[str, Any]) -> dict[str, Any]:
        event = {"detail-type": detail_type, "source": "videoconductor", "detail": detail}
        return self.functions["notify"].handler(event, CONTEXT)

    def deliver(self) -> list[dict[str, Any]]:
        """Hand out what waits, as the event source mapping does; what has to come again."""
        failed: list[dict[str, Any]] = []
        while found := self._received():
            record = {
                "messageId": found["MessageId"],
                "receiptHandle": found["ReceiptHandle"],
                "body": found["Body"],
                "attributes": found["Attributes"],
            }
            answer = self.functions["call_back"].handler({"Records": [record]}, CONTEXT)
            failed += answer["batchItemFailures"]
            if not answer["batchItemFailures"]:
                self.sqs.delete_message(QueueUrl=QUEUE, ReceiptHandle=found["ReceiptHandle"])
        return failed

    def _received(self) -> dict[str, Any] | None:
        names = ["ApproximateReceiveCount"]
        found = self.sqs.receive_message(QueueUrl=QUEUE, AttributeNames=names)
        return next(iter(found.get("Messages", [])), None)

    def waiting(self) -> tuple[int, int]:
        """Messages that can be had now, and those that are hidden for a while."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=QUEUE, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])


@pytest.fixture
def films(simulator: Any, handlers: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[FilmStage]:
    settings = {
        "CALLBACK_LOOPBACK": "true",
        "WEBHOOK_QUEUE_URL": QUEUE,
        "WEBHOOK_KEY_SECRET": "webhooks",
    }
    with stage_on(simulator, handlers, monkeypatch, FilmStage, **settings) as made:
        yield made


def test_a_clip_is_told_of_once_though_its_event_comes_twice_and_again_when_asked(
    films, posts, monkeypatch
):
    post, resolve = Post(), load_handler("resolve")
    render = films.submit(callbackUrl=posts.url)
    films.run(render)
    [told] = films.published
    for _ in range(2):
        assert post.notify("ClipReady", told) == {"queued": True}
    assert post.waiting() == (2, 0)

    # The process dies after the POST: what was sent is sent again, under the same id.
    def dying(*_: Any) -> Any:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(wiring.manifest(), "update_callback", dying)
        with pytest.raises(Killed):
            post.deliver()
    posts.answers += [503]
    assert len(post.deliver()) == 1
    assert post.waiting() == (0, 1)  # hidden until its next attempt; the other one was taken
    ids = {headers["webhook-id"] for _, headers in posts.came}
    assert (len(posts.came), len(ids)) == (3, 1)

    # A rotated key: who has the old secret goes on with it for a day.
    post.vault.put_secret_value(SecretId="webhooks", SecretString="second")
    wiring._webhook_keys.cache_clear()
    monkeypatch.setattr(wiring, "now", lambda: datetime.now(UTC))
    path = f"/v1/videos/{render.render_id}/redeliver"
    status, body = call(resolve, "POST", path)
    assert (status, body["callback"]["attempts"]) == (200, 2)
    assert post.deliver() == []
    content, headers = posts.came[-1]
    assert headers["webhook-id"] in ids
    for key in ("first", "second"):
        Webhook(webhooks.secret(key, CALLER)).verify(content, headers)
    other = films.submit()
    films.run(other)
    assert call(resolve, "POST", f"/v1/videos/{other.render_id}/redeliver")[0] == 409


def test_a_run_is_told_of_when_it_is_over(films, posts):
    post, door = Post(), load_handler("film")
    run = films.film(script("one"), callback_url=posts.url)
    [detail] = films.ready
    assert post.notify("FilmReady", detail) == {"queued": True}
    assert post.deliver() == []
    body = json.loads(posts.came[0][0])
    assert (body["type"], body["data"]["runId"], body["data"]["done"]) == (
        "FilmReady",
        run.run_id,
        1,
    )
    # Its clips belong to the run: they are told of with it, not one by one.
    assert [post.notify("ClipReady", told) for told in films.published] == [{"queued": False}]
    shown = wiring.callback(run)
    assert (shown.attempts, shown.last_status) == (1, 204)
    status, _ = call(door, "POST", f"/v1/films/{run.film}/redeliver", parameters={"film": run.film})
    assert status == 200
    assert post.deliver() == []
    assert len({headers["webhook-id"] for _, headers in posts.came}) == 1
