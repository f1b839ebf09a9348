"""Secrets that are replaced while renders are under way, and what the stack's processes log."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from tests.e2e.conftest import Cloud
from tests.e2e.test_webhooks import receiver, said  # noqa: F401
from tests.workflow.leaks import Canaries, Scan, histories, items, objects
from tests.workflow.test_leaks import ALLOWED
from videoconductor import tokens
from videoconductor_cli import token_book

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def secret_of(cloud: Cloud, name: str) -> str:
    """The full name of a secret of the stack, by a part of it."""
    vault = cloud.client("secretsmanager")
    names = [found["Name"] for found in vault.list_secrets(MaxResults=100)["SecretList"]]
    [found] = [each for each in names if name.lower() in each.lower().replace("-", "")]
    return str(found)


def at_xai(cloud: Cloud, key: str) -> None:
    body = json.dumps({"key": key}).encode()
    url = f"{cloud.endpoints.simulator_origin}/_sim/key"
    with urllib.request.urlopen(urllib.request.Request(url, body, method="POST")) as answer:
        assert json.load(answer) == {"changed": True}


@pytest.fixture
def rotate(cloud: Cloud) -> Iterator[Any]:
    """Replace xAI's key on both sides; the old one stands again afterwards."""
    vault, name = cloud.client("secretsmanager"), secret_of(cloud, "xaiapikey")
    before = vault.get_secret_value(SecretId=name)["SecretString"]

    def replace(key: str) -> None:
        at_xai(cloud, key)
        vault.put_secret_value(SecretId=name, SecretString=key)

    yield replace
    replace(before)


def test_a_key_replaced_while_renders_wait_costs_no_second_job(cloud, prompt, rotate):
    waiting = cloud.submit(prompt=f"{prompt} [[sim:slow]]")["renderId"]
    end = time.monotonic() + 30
    while cloud.render(waiting)["status"] != "rendering" and time.monotonic() < end:
        time.sleep(0.1)
    new = f"key-{secrets.token_hex(16)}"
    rotate(new)
    # Start's process is warm as well, and holds the old key for a minute.
    fresh = cloud.submit(prompt=f"{prompt} fresh")["renderId"]

    assert cloud.rest(waiting)["status"] == "finalized"
    assert cloud.rest(fresh)["status"] == "finalized"
    assert len(cloud.jobs(f"{prompt} [[sim:slow]]")) == 1
    assert len(cloud.jobs(f"{prompt} fresh")) == 1
    digest = hashlib.sha256(new.encode()).hexdigest()
    asked = [r for r in cloud.journal()["requests"] if r["path"].startswith("/v1/")]
    assert digest.startswith(asked[-1]["key"])
    # The old one was refused, and that was all that became of it.
    assert any(not digest.startswith(r["key"]) and r["status"] == 400 for r in asked)


def test_a_token_revoked_and_a_webhook_key_replaced_while_a_render_waits(
    cloud,
    prompt,
    receiver,  # noqa: F811
):
    book = token_book.find(None, cloud.stack.folder.root)
    now = datetime.now(UTC)
    text, token = tokens.mint("short", ["submit"], now, None, secrets.token_bytes)
    book.change(lambda found: found.with_token(token))
    made = httpx.post(
        f"{cloud.endpoints.api_url.rstrip('/')}/mcp",
        json={
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {
                "name": "ring-video-create",
                "arguments": {
                    "prompt": f"{prompt} [[sim:slow]]",
                    "duration": 1,
                    "maxCostUsd": 1,
                    "callbackUrl": f"http://127.0.0.1:{receiver.port}/take?token=x",
                },
            },
        },
        headers={
            "Authorization": f"Bearer {text}",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2025-11-25",
        },
        timeout=60,
    ).json()
    render_id = made["result"]["structuredContent"]["renderId"]
    old = said(cloud, "secret", "--caller", "token:short")
    book.change(lambda found: found.with_revoked("short", datetime.now(UTC)))
    vault, name = cloud.client("secretsmanager"), secret_of(cloud, "webhookkey")
    vault.put_secret_value(SecretId=name, SecretString=secrets.token_urlsafe(32))
    new = said(cloud, "secret", "--caller", "token:short")

    # Who asked may not ask any more; what was asked for is paid, and comes to its end.
    assert cloud.rest(render_id)["status"] == "finalized"
    receiver.wait(1)
    assert old != new


def logged(cloud: Cloud) -> Iterator[str]:
    """Every line that the functions logged, and the emulator's own. What the simulator says is
    xAI's side: it tells its user which key it takes.
    """
    logs = cloud.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            for stream in logs.describe_log_streams(logGroupName=name)["logStreams"]:
                found = logs.get_log_events(
                    logGroupName=name, logStreamName=stream["logStreamName"], startFromHead=True
                )
                yield from (line["message"] for line in found["events"])
    emulator = cloud.stack.folder.logs / "ministack.log"
    yield from emulator.read_text(errors="replace").splitlines()


def test_nothing_that_the_stack_logs_or_keeps_holds_a_secret(cloud, prompt):
    words, signature = f"canary{secrets.token_hex(8)}", f"sig{secrets.token_hex(16)}"
    vault = cloud.client("secretsmanager")
    key = vault.get_secret_value(SecretId=secret_of(cloud, "xaiapikey"))["SecretString"]
    planted = {
        "the prompt": words,
        "a caller's signature": signature,
        "the secret access key": cloud.endpoints.secret_access_key,
    }
    if len(key) > 12:  # the simulator's own is a word that stands in many places
        planted["the key"] = key
    scan = Scan(Canaries(planted))
    image = f"{cloud.endpoints.simulator_origin}/assets/first.png?X-Amz-Signature={signature}"
    for marker in ("", "moderated", "denied", "lost", "html", "poll503"):
        asked = f"{prompt} {words} [[sim:{marker}]]"
        cloud.submit(prompt=asked, imageUrl=image, qualityMode="draft_i2v")
    made = [one["renderId"] for one in cloud.call("GET", "/v1/videos?limit=6").json()["videos"]]
    ends = {cloud.rest(render_id)["status"] for render_id in made}
    assert {"finalized", "failed", "submit_unknown"} <= ends
    cloud.call("POST", "/v1/videos", {"prompt": words, "promt": words, "imageUrl": f"{image}x"})

    lines = list(logged(cloud))
    assert any(made[0] in line for line in lines), "the logs of the functions were not found"
    for line in lines:
        scan.see("logs", line)
    ours = {"RENDER", "FILM"}
    for item in items(cloud.client("dynamodb"), cloud.endpoints.table):
        kind = item["pk"]["S"].partition("#")[0]
        scan.see(f"table {kind}" if kind in ours else "table", item)
    for name, content in objects(cloud.client("s3"), cloud.endpoints.bucket):
        if name.startswith("generated/videos/") and name.endswith(".json"):
            scan.see("objects generated json", content.decode())
    for entry in histories(cloud.client("stepfunctions")):
        scan.see("states", entry)
    assert scan.leaks({**ALLOWED, "table FILM": {*ALLOWED["states"]}}) == []
    assert scan.holds("states", "the prompt")
    assert scan.holds("table RENDER", "a caller's signature")
