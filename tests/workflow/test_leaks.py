"""Secrets and prompts, where they do not belong: in nothing that is logged, told or stored there.

Renders and films of all kinds, those that fail too, with strings planted that stand nowhere else;
then all that was logged, published, carried from state to state, put on record and kept as an
object is looked through for them, and for whatever has the shape of a secret.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.workflow.conftest import REGION, FilmStage, load_handler, stage_on
from tests.workflow.leaks import Canaries, Scan, histories, items, listening, objects
from tests.workflow.test_doors import CONTEXT, event
from tests.workflow.test_film import FRAMED, script
from tests.workflow.test_mcp import Door, opened
from tests.workflow.test_webhooks import QUEUE, Post, posts  # noqa: F401
from videoconductor import door as doors
from videoconductor import wiring
from xai_simulator.options import SimulatorOptions
from xai_simulator.server import running

KEY = "canary-key-5f3a90c1"
CALLBACK = "canarycallback77aa"
SIGNED = "canarysignature0badc0de"
AUTHORIZATION = "canaryauthorization31c4"
SESSION = "canarysessiontoken88e1"
PROMPT = "a canaryprompt41d7 in the rain"
PICTURE = b"\xff\xd8\xff\xe0canarypicture90ab" + bytes(40)
INLINE = f"data:image/jpeg;base64,{base64.b64encode(PICTURE).decode()}"
PRESIGNED = f"/assets/first.png?X-Amz-Signature={SIGNED}&X-Amz-Expires=60"
WEBHOOK_KEY = "canary-webhook-key-77b0"

# What a render is asked for, by how it ends at xAI.
MARKERS = (
    *("", "moderated", "failed", "denied", "nocredits", "lost", "start503", "poll503"),
    *("bad_key_poll", "expired_url", "html", "short", "redirect", "start429", "private_url"),
)


@pytest.fixture(scope="module")
def own_simulator() -> Iterator[Any]:
    with running(SimulatorOptions(key=KEY, job_seconds=0.1)) as server:
        yield server


@pytest.fixture
def films(own_simulator: Any, handlers: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    settings = {
        "CALLBACK_LOOPBACK": "true",
        "WEBHOOK_QUEUE_URL": QUEUE,
        "WEBHOOK_KEY_SECRET": "webhooks",
        "SERVICE_TOKENS_SECRET": "tokens",
        "VIDEO_GEN_POLL_TIMEOUT_MS": "21600000",
    }
    with stage_on(own_simulator, handlers, monkeypatch, FilmStage, **settings) as made:
        vault = boto3.client("secretsmanager", REGION)
        vault.put_secret_value(SecretId="xai", SecretString=KEY)
        yield made


class Watch:
    """Everything of a stage that could hold what it should not."""

    def __init__(self, films: FilmStage, monkeypatch: pytest.MonkeyPatch) -> None:
        self.films = films
        planted = {
            "the key": KEY,
            "a callback's token": CALLBACK,
            "a caller's signature": SIGNED,
            "credentials": AUTHORIZATION,
            "a session token": SESSION,
            "the prompt": "canaryprompt41d7",
            "an image": base64.b64encode(PICTURE).decode()[8:40],
            "the webhook key": WEBHOOK_KEY,
        }
        self.scan = Scan(Canaries(planted))
        self._states(monkeypatch)
        self._bus(monkeypatch)

    def _states(self, monkeypatch: pytest.MonkeyPatch) -> None:
        invoke = self.films.invoke

        def watched(folder: str, given: dict[str, Any]) -> dict[str, Any]:
            self.scan.see("states", given)
            answer = invoke(folder, given)
            content = answer["Payload"].read()
            self.scan.see("states", content.decode())
            answer["Payload"].seek(0)
            return answer

        monkeypatch.setattr(self.films, "invoke", watched)

    def _bus(self, monkeypatch: pytest.MonkeyPatch) -> None:
        client = wiring.events()._client

        def told(params: dict[str, Any], **_: Any) -> None:
            for entry in params["Entries"]:
                self.scan.see("events", entry)

        client.meta.events.register("provide-client-params.events.PutEvents", told)
        self.leave = lambda: client.meta.events.unregister(
            "provide-client-params.events.PutEvents", told
        )

    def look(self) -> Scan:
        """What there is at the end."""
        for entry in histories(boto3.client("stepfunctions", REGION)):
            self.scan.see("states", entry)
        for item in items(self.films.dynamodb, "table"):
            self.scan.see(f"table {item['pk']['S'].partition('#')[0]}", item)
        for key, content in objects(self.films.s3, "library"):
            kind = key.rpartition(".")[2] if key.startswith("generated/videos") else "text"
            kind = "pictures" if key.startswith("generated/images") else kind
            is_order = key.startswith("generated/films/") and "/result-" not in key
            where = "orders of films" if is_order else f"objects {key.split('/')[0]} {kind}"
            self.scan.see(where, content.decode("latin-1"))
        self.leave()
        return self.scan


@pytest.fixture
def watch(films: FilmStage, monkeypatch: pytest.MonkeyPatch) -> Watch:
    monkeypatch.setattr(wiring, "pause", lambda seconds: None)
    return Watch(films, monkeypatch)


# What belongs where. The prompt and the urls that a request brought are in its record, which is
# what the machine carries and what Start reads; nowhere else.
RECORD = {"the prompt", "a caller's signature", "a presigned url", "a callback's token"}
ALLOWED = {
    "states": RECORD,
    "table RENDER": RECORD,
    "table FILM": {"the prompt", "a callback's token"},
    "orders of films": {*RECORD, "an image", "an inline image"},
    "objects generated json": {"the prompt"},
    "objects inbox text": {*RECORD, "an image", "an inline image"},
    "objects generated pictures": set(),
    "what a caller gets": {"the prompt", "a presigned url"},
}


def headers() -> dict[str, str]:
    """What a signed request brings, and a proxy may add."""
    return {
        "authorization": f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/x, Signature={AUTHORIZATION}",
        "x-amz-security-token": SESSION,
        "cookie": f"session={SESSION}",
    }


def ask(films: FilmStage, folder: str, path: str, body: Any, method: str = "POST") -> Any:
    """Through a door, as API Gateway hands it over."""
    made = event(method, path, None if body is None else json.dumps(body))
    made["headers"] |= headers()
    return load_handler(folder).handler(made, CONTEXT)


def renders_of_all_kinds(films: FilmStage, url: str) -> None:
    """Each ends in its own way; then what people may do about it is done."""
    presigned = films.simulator.origin + PRESIGNED
    for marker in MARKERS:
        prompt = f"{PROMPT} [[sim:{marker}]]" if marker else PROMPT
        ask(films, "submit", "/v1/videos", {"prompt": prompt, "duration": 1, "callbackUrl": url})
    for fields in (
        {"imageUrl": INLINE, "qualityMode": "draft_i2v"},
        {"imageUrl": presigned, "qualityMode": "draft_i2v"},
        {"firstFramePrompt": PROMPT, "qualityMode": "draft_i2v"},
        {"firstFramePrompt": f"{PROMPT} [[sim:moderated]]", "qualityMode": "draft_i2v"},
        {"imageUrl": "data:image/png;base64,canary" + SIGNED, "qualityMode": "draft_i2v"},
        {"imageUrl": f"http://10.0.0.7{PRESIGNED}", "qualityMode": "draft_i2v"},
        {"promt": PROMPT, "callbackUrl": url},
    ):
        ask(films, "submit", "/v1/videos", {"prompt": PROMPT, "duration": 1, **fields})
    films.settle()
    made = wiring.manifest().renders(films.now(), 100)
    assert {render.status for render in made} >= {"finalized", "failed", "submit_unknown"}
    # One of each status is enough.
    for render in {render.status: render for render in made}.values():
        for command in ("cancel", "retry", "remaster", "redeliver"):
            folder = "submit" if command == "remaster" else "resolve"
            path = f"/v1/videos/{render.render_id}"
            ask(
                films, folder, f"{path}/{command}", {} if command in {"retry", "remaster"} else None
            )
        ask(films, "browse", f"/v1/videos/{render.render_id}", None, "GET")
    films.settle()


def films_of_all_kinds(films: FilmStage, url: str) -> None:
    """A film of stills, images and failures, and a second run of it."""
    framed = {**FRAMED, "prompt": PROMPT, "duration": 1}
    framed["firstFrame"] = {"imagePrompt": PROMPT}
    shown = {
        "prompt": PROMPT,
        "duration": 1,
        "firstFrame": {"imageUrl": films.simulator.origin + PRESIGNED},
    }
    told = script(PROMPT, f"{PROMPT} [[sim:moderated]]", f"{PROMPT} [[sim:lost]]", framed, shown)
    made = event("POST", "/v1/films", json.dumps(told))
    made["rawQueryString"] = f"callbackUrl={url}"
    made["headers"] |= headers()
    for _ in range(2):
        load_handler("film").handler(made, CONTEXT)
        films.end(wiring.manifest().run("film"))


@pytest.mark.long
def test_no_secret_and_no_prompt_is_where_it_does_not_belong(
    films: FilmStage,
    watch: Watch,
    posts: Any,  # noqa: F811
) -> None:
    url = posts.url.replace("token=secret", f"token={CALLBACK}")
    scan = watch.scan
    post = Post()
    post.vault.put_secret_value(SecretId="webhooks", SecretString=WEBHOOK_KEY)
    wiring._webhook_keys.cache_clear()
    door: Door = opened(films, load_handler("mcp").handler)
    scan.canaries.planted.update({f"token {name}": it for name, it in door.tokens.items()})
    with listening(scan, doors.logger.registered_formatter):
        renders_of_all_kinds(films, url)
        films_of_all_kinds(films, url)
        door.call("ring-video-create", prompt=PROMPT, duration=1, maxCostUsd=1)
        door.post({"jsonrpc": "2.0"}, authorization="Bearer vc_" + AUTHORIZATION)
        films.settle()
        for detail in (*films.published, *films.ready):
            kind = "FilmReady" if "runId" in detail and "renderId" not in detail else "ClipReady"
            post.notify(kind, detail)
        post.deliver()
    assert posts.came
    for content, _ in posts.came:
        scan.see("webhooks", content.decode())
    found = watch.look()

    assert found.leaks(ALLOWED) == []
    # Each was where it belongs: a scan of nothing would have found nothing.
    for where, name in (
        ("states", "the prompt"),
        ("states", "a caller's signature"),
        ("table RENDER", "a callback's token"),
        ("orders of films", "the prompt"),
        ("objects generated json", "the prompt"),
    ):
        assert found.holds(where, name), (where, name)
    assert {"logs", "events", "webhooks", "table FILM"} <= set(found.seen)
    assert len(found.seen["logs"]) > 100
    assert any(
        '"Authorization": "***"' not in text and KEY not in text for text in found.seen["logs"]
    )


@pytest.mark.parametrize(
    ("where", "text", "name"),
    [
        ("logs", f"POST with {KEY}", "the key"),
        ("logs", f"q={PROMPT}", "the prompt"),
        ("logs", json.dumps({"headers": {"a": f"Bearer {AUTHORIZATION}"}}), "credentials"),
        ("events", f"https://x.example/a?X-Amz-Signature={'0' * 64}", "a presigned url"),
        ("table RENDER", INLINE, "an inline image"),
        ("objects generated json", PRESIGNED, "a caller's signature"),
        ("states", base64.b64encode(f"x{KEY}".encode()[1:]).decode(), "the key"),
    ],
)
def test_the_scan_finds_what_is_planted_where_it_does_not_belong(where, text, name):
    scan = Scan(
        Canaries(
            {
                "the key": KEY,
                "the prompt": "canaryprompt41d7",
                "credentials": AUTHORIZATION,
                "a caller's signature": SIGNED,
            }
        )
    )
    scan.see(where, text)
    assert any(name in leak for leak in scan.leaks(ALLOWED)), scan.leaks(ALLOWED)
    scan.seen = {where: ["nothing of note"]}
    assert scan.leaks(ALLOWED) == []


def test_the_scan_hears_what_any_library_logs(caplog):
    import logging

    scan = Scan(Canaries({"the key": KEY}))
    with listening(scan, doors.logger.registered_formatter):
        logging.getLogger("httpx").warning("sent %s", KEY)
        doors.logger.info("x", extra={"headers": {"k": KEY}})
    assert len(scan.leaks({})) >= 2
