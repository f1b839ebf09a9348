"""The Python client: signatures, repetitions, waiting, results, and errors in words."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from videoconductor import VideoConductor
from videoconductor.client import Film, VideoRender
from videoconductor.client.asking import ClipFields, wire_name
from videoconductor.client.calls import PAUSES
from videoconductor.client.errors import (
    ApiError,
    Conflict,
    FilmIncomplete,
    InvalidRequest,
    NotFound,
    OverBudget,
    RenderFailed,
    StillRunning,
    Unauthorized,
    Unavailable,
    refusal,
)
from videoconductor.client.results import Manifest, Quote
from videoconductor.clip import ClipRequest
from videoconductor.errors import Problem

KEYS = Credentials("AKIDEXAMPLE", "secret", "session-token")
BASE = "https://abc123.execute-api.eu-west-1.amazonaws.com"
CLIP = b"an mp4, let us say" * 1000


class Clock:
    """Time that passes only in sleep."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def client(
    answer: Callable[[httpx.Request], httpx.Response],
    base_url: str = BASE,
    clock: Clock | None = None,
) -> VideoConductor:
    clock = clock or Clock()
    return VideoConductor(
        base_url,
        region="eu-west-1",
        credentials=KEYS,
        transport=httpx.MockTransport(answer),
        sleep=clock.sleep,
        clock=lambda: clock.now,
    )


def playing(*answers: Any) -> tuple[Callable[[httpx.Request], httpx.Response], list[httpx.Request]]:
    """An API that gives its answers in order, the last one for ever; and what it was sent."""
    left, seen = list(answers), []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        given = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(given, Exception):
            raise given
        if isinstance(given, int):
            return httpx.Response(given, json={"title": "no"})
        return httpx.Response(200, json=given)

    return answer, seen


def render(status: str, **changes: Any) -> dict[str, Any]:
    video = {
        "url": "https://bucket.example/x.mp4?signed",
        "key": "generated/videos/f/c/draft/r1.mp4",
        "bytes": len(CLIP),
        "sha256": hashlib.sha256(CLIP).hexdigest(),
        "duration": 6.04,
        "width": 854,
        "height": 480,
    }
    return {
        "renderId": "r1",
        "status": status,
        "clipId": "c",
        "pipelineRequestId": "f",
        "qualityMode": "draft",
        "model": "grok-imagine-video",
        "estimatedCostUsd": 0.3,
        "costUsd": 0.3 if status == "finalized" else None,
        "requestedAt": "2026-11-22T20:15:00Z",
        "result": {"success": True, "video": video} if status == "finalized" else None,
        **changes,
    }


def expected_authorization(request: httpx.Request) -> str:
    """What botocore computes for a request as it arrived."""
    sent = request.headers["Authorization"]
    signed = sent.split("SignedHeaders=")[1].split(",")[0].split(";")
    arrived = AWSRequest(
        request.method,
        str(request.url),
        {name: request.headers[name] for name in signed},
        request.content,
    )
    arrived.context["timestamp"] = request.headers["X-Amz-Date"]
    auth = SigV4Auth(KEYS, "execute-api", "eu-west-1")
    text = auth.string_to_sign(arrived, auth.canonical_request(arrived))
    scope = auth.scope(arrived)
    return (
        f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={';'.join(signed)}, "
        f"Signature={auth.signature(text, arrived)}"
    )


# ── What is sent ─────────────────────────────────────────────────────────────────────────────────

# Every method, what it sends, and whether that has an Idempotency-Key.
CALLS: list[tuple[Callable[[VideoConductor], Any], str, str, bool]] = [
    (lambda api: api.plan("é"), "POST", "/v1/plan", False),
    (lambda api: api.plan_film({}, remaster=True), "POST", "/v1/plan?remaster=true", False),
    (lambda api: api.generate("ein Bär, naïve 🐻"), "POST", "/v1/videos", True),
    (lambda api: api.remaster("r"), "POST", "/v1/videos/r/remaster", True),
    (lambda api: api.render("r", wait=20), "GET", "/v1/videos/r?wait=20", False),
    (
        lambda api: list(api.renders(status=["failed", "stalled"], film="a b", limit=3)),
        "GET",
        "/v1/videos?status=failed&status=stalled&film=a%20b&limit=3",
        False,
    ),
    (lambda api: api.cancel("r"), "POST", "/v1/videos/r/cancel", False),
    (lambda api: api.attach("r", "x"), "POST", "/v1/videos/r/attach", False),
    (lambda api: api.retry("r", may_charge_twice=True), "POST", "/v1/videos/r/retry", False),
    (lambda api: api.resume("r"), "POST", "/v1/videos/r/resume", False),
    (lambda api: api.abandon("r"), "POST", "/v1/videos/r/abandon", False),
    (lambda api: api.redeliver("r"), "POST", "/v1/videos/r/redeliver", False),
    (
        lambda api: api.film(b"{}", clips=["a b+c&d=é'~", "b:%"], max_cost_usd=0.1, force=True),
        "POST",
        "/v1/films?clip=a%20b%2Bc%26d%3D%C3%A9%27~&clip=b%3A%25&force=true&maxCostUsd=0.1",
        True,
    ),
    (lambda api: api.film_status("a b", "r/1"), "GET", "/v1/films/a%20b?run=r%2F1", False),
    (
        lambda api: list(api.films(since="2026-11-01T00:00:00+01:00")),
        "GET",
        "/v1/films?requestedAfter=2026-11-01T00%3A00%3A00%2B01%3A00&limit=100",
        False,
    ),
    (lambda api: api.resume_film("f", "1"), "POST", "/v1/films/f/resume?run=1", False),
    (lambda api: api.cancel_film("f"), "POST", "/v1/films/f/cancel", False),
    (lambda api: api.retry_film("f"), "POST", "/v1/films/f/retry", True),
    (
        lambda api: api.remaster_film("f", clips=["1"], edit=True),
        "POST",
        "/v1/films/f/remaster?clip=1&edit=true",
        True,
    ),
    (
        lambda api: api.manifest("f", presign=True),
        "GET",
        "/v1/films/f/manifest?limit=500&presign=true",
        False,
    ),
    (lambda api: api.import_manifest("f", b"[]"), "POST", "/v1/films/f/manifest", False),
    (lambda api: api.models(), "GET", "/v1/models", False),
    (lambda api: api.quality_modes(), "GET", "/v1/quality-modes", False),
]


@pytest.mark.parametrize("base_url", [BASE, "http://127.0.0.1:4566/_aws/execute-api/x/$default"])
@pytest.mark.parametrize(("ask", "method", "target", "has_key"), CALLS)
def test_what_arrives_is_signed_as_botocore_signs_it_and_keyed_where_it_is_paid_for(
    ask: Callable[[VideoConductor], Any], method: str, target: str, has_key: bool, base_url: str
) -> None:
    answer, seen = playing({"videos": [], "films": [], "clips": [], "nextCursor": None})
    ask(client(answer, base_url))
    (request,) = seen
    assert request.method == method
    assert request.url.raw_path.decode().endswith(target)
    assert request.headers["Authorization"] == expected_authorization(request)
    assert "host" in request.headers["Authorization"]
    assert request.headers["X-Amz-Security-Token"] == "session-token"
    assert ("Idempotency-Key" in request.headers) == has_key


def test_fields_in_snake_case_are_put_over_a_request_and_sent_as_json() -> None:
    answer, seen = playing(render("planned"))
    whole = ClipRequest(prompt="x", clip_id="fox", duration=3)
    client(answer).generate("é", request=whole, quality_mode="draft", image_url=None, key="key-1")
    assert seen[0].headers["Content-Type"] == "application/json"
    assert seen[0].headers["Idempotency-Key"] == "key-1"
    assert "content-type" in seen[0].headers["Authorization"]
    sent = {"prompt": "é", "clipId": "fox", "duration": 3, "qualityMode": "draft"}
    assert json.loads(seen[0].content) == sent


def test_the_fields_of_a_clip_request_are_those_of_the_model() -> None:
    fields = {"prompt", *get_type_hints(ClipFields)}
    assert fields == set(ClipRequest.model_fields)
    aliases = {name: field.alias for name, field in ClipRequest.model_fields.items()}
    assert {name: wire_name(name) for name in fields} == aliases


def test_a_script_may_be_a_mapping_text_a_file_or_bytes(tmp_path: Path) -> None:
    path = tmp_path / "film.json"
    path.write_text('{"requestId":\r\n "é"}', newline="")
    answer, seen = playing({"filmId": "é", "runId": "1", "status": "running"})
    api = client(answer)
    for script in (path, str(path), path.read_text(), {"requestId": "é"}):
        assert api.film(script).id == "é"
    assert [json.loads(one.content) for one in seen] == [{"requestId": "é"}] * 4
    assert seen[0].content == path.read_bytes()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_a_name_that_would_change_the_path_is_refused_before_anything_is_sent(name: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    api = client(answer)
    for ask in (api.render, api.manifest, api.film_status, api.cancel):
        with pytest.raises(InvalidRequest):
            ask(name)


# ── Repetition ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "trouble", [httpx.ConnectError("refused"), httpx.ReadTimeout("slow"), 503, 502, 429]
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda api: api.generate("x"),
        lambda api: api.film(b"{}", clips=["01"], key="same"),
        lambda api: api.remaster("r"),
        lambda api: api.render("r"),
        lambda api: api.film_status("f", "run"),
    ],
)
def test_reading_and_keyed_requests_are_repeated_until_there_is_an_answer(
    ask: Callable[[VideoConductor], Any], trouble: Exception | int
) -> None:
    answer, seen = playing(*[trouble] * len(PAUSES), {"status": "planned"})
    assert ask(client(answer)).document == {"status": "planned"}
    assert len(seen) == len(PAUSES) + 1
    assert len({request.headers.get("Idempotency-Key") for request in seen}) == 1


def test_two_requests_without_a_key_are_two_requests() -> None:
    answer, seen = playing(render("planned"))
    for _ in range(2):
        client(answer).generate("x")
    keys = {request.headers["Idempotency-Key"] for request in seen}
    assert len(keys) == 2


@pytest.mark.parametrize("trouble", [httpx.ReadTimeout("slow"), 503])
def test_when_nobody_answers_the_error_has_the_key_to_go_on_with(trouble: Exception | int) -> None:
    answer, seen = playing(trouble)
    with pytest.raises(Unavailable) as lost:
        client(answer).generate("x")
    assert {request.headers["Idempotency-Key"] for request in seen} == {lost.value.key}


def test_a_command_that_may_have_arrived_is_not_repeated() -> None:
    answer, seen = playing(httpx.ReadTimeout("slow"))
    with pytest.raises(Unavailable, match="ReadTimeout"):
        client(answer).retry("r", may_charge_twice=True)
    assert [request.url.path for request in seen] == ["/v1/videos/r/retry"]


def test_a_command_that_reached_nobody_is_repeated() -> None:
    answer, seen = playing(httpx.ConnectError("refused"), {"status": "rendering"})
    assert client(answer).attach("r").status == "rendering"
    assert len(seen) == 2


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────


def test_a_render_is_read_by_attributes_and_printed_without_what_opens_something() -> None:
    answer, _ = playing(render("finalized"))
    found = client(answer).render("r1")
    assert (found.id, found.status, found.is_ready, found.film_id) == ("r1", "finalized", True, "f")
    assert found.cost_usd == found.estimated_cost_usd == 0.3
    assert found.url == "https://bucket.example/x.mp4?signed"
    assert found.video is not None
    assert (found.video.seconds, found.video.height) == (6.04, 480)
    assert found.requested_at is not None
    assert found.requested_at.tzinfo is not None
    assert found.document["pipelineRequestId"] == "f"
    assert repr(found) == "<VideoRender r1 finalized>"
    assert "signed" not in repr(found.video)


def test_a_list_comes_page_by_page_and_no_further_than_it_is_wanted() -> None:
    rows = [render("finalized", renderId=f"r{number}") for number in range(150)]
    pages = [
        {"videos": rows[:100], "nextCursor": "c1"},
        {"videos": [], "nextCursor": "c2"},
        {"videos": rows[100:], "nextCursor": None},
    ]
    answer, seen = playing(*pages)
    assert [one.id for one in client(answer).renders()] == [f"r{n}" for n in range(150)]
    assert [one.url.params.get("cursor") for one in seen] == [None, "c1", "c2"]
    answer, seen = playing(*pages)
    assert len(list(client(answer).renders(limit=2))) == 2
    assert len(seen) == 1
    answer, seen = playing(*pages)
    assert next(client(answer).renders()).id == "r0"
    assert len(seen) == 1


def test_a_manifest_is_gathered_from_its_pages() -> None:
    answer, seen = playing(
        {"version": 3, "clips": [{"_key": "a::draft"}], "runs": [], "next": "a::draft"},
        {"version": 3, "clips": [{"_key": "b::draft"}], "runs": [{"runId": "r"}]},
    )
    clips = [{"_key": "a::draft"}, {"_key": "b::draft"}]
    found = client(answer).manifest("f").document
    assert found == {"version": 3, "clips": clips, "runs": [{"runId": "r"}]}
    assert [one.url.params.get("after") for one in seen] == [None, "a::draft"]


def test_problem_details_name_field_value_and_choices() -> None:
    problem = {
        "title": "The request is invalid",
        "status": 400,
        "errors": [
            {
                "field": "qualityMode",
                "value": "ultra",
                "message": "is not a quality mode",
                "choices": ["draft", "production"],
            },
            {"field": "duration", "value": 99, "message": "must be 1 to 15"},
        ],
    }
    with pytest.raises(InvalidRequest) as refused:
        client(lambda _: httpx.Response(400, json=problem)).generate("x")
    assert str(refused.value).splitlines() == [
        "The request is invalid",
        "  qualityMode: 'ultra' is not a quality mode; choose one of: draft, production",
        "  duration: 99 must be 1 to 15",
    ]
    assert refused.value.problems[1] == Problem("duration", 99, "must be 1 to 15")
    assert (refused.value.status, refused.value.title) == (400, "The request is invalid")
    assert refused.value.document == problem


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, InvalidRequest),
        (401, Unauthorized),
        (403, Unauthorized),
        (404, NotFound),
        (409, Conflict),
        (413, InvalidRequest),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
def test_an_answer_that_is_no_json_is_still_an_error_in_words(
    status: int, error: type[ApiError]
) -> None:
    with pytest.raises(error) as refused:
        client(lambda _: httpx.Response(status, text="<html>")).render("r")
    assert refused.value.status == status
    assert str(refused.value)


def test_a_success_that_is_no_json_is_no_answer() -> None:
    with pytest.raises(Unavailable):
        client(lambda _: httpx.Response(200, text="<html>")).render("r")


# ── Waiting ──────────────────────────────────────────────────────────────────────────────────────


def test_generate_waits_by_long_polls_and_says_how_it_goes() -> None:
    answer, seen = playing(render("planned"), render("rendering"), 503, render("finalized"))
    found = client(answer).generate("x", wait=True)
    assert found.url
    assert [one.url.params.get("wait") for one in seen] == [None, "20", "20", "20"]
    answer, seen = playing(render("rendering"), render("finalized"))
    told: list[str] = []
    client(answer).wait("r1", on_progress=lambda one: told.append(one.status))
    assert told == ["rendering", "finalized"]


@pytest.mark.parametrize("status", ["failed", "cancelled", "stalled", "submit_unknown"])
def test_a_render_without_a_clip_ends_the_wait_with_what_there_is_to_say(status: str) -> None:
    error = {"error": "ModerationRejected", "message": "withheld", "code": "content"}
    answer, _ = playing(render(status, error=error, advice="attach it"))
    with pytest.raises(RenderFailed) as failed:
        client(answer).wait("r1")
    words = f"render r1 is {status}; ModerationRejected: withheld (content); attach it"
    assert str(failed.value) == words
    assert failed.value.render.error is not None
    assert failed.value.render.error.code == "content"


def test_a_wait_ends_in_time_and_never_looks_without_a_pause() -> None:
    clock = Clock()
    answer, seen = playing(render("rendering"))
    with pytest.raises(StillRunning) as running:
        client(answer, clock=clock).wait("r1", timeout=10)
    assert isinstance(running.value.found, VideoRender)
    assert running.value.found.status == "rendering"
    assert 10 <= clock.now < 12
    assert len(seen) <= 12


def test_no_answer_is_waited_out_but_not_for_ever() -> None:
    silence = [503] * 2 * (len(PAUSES) + 1)
    answer, _ = playing(render("rendering"), *silence, render("finalized"))
    assert client(answer).wait("r1").is_ready
    clock = Clock()
    answer, _ = playing(render("rendering"), 503)
    with pytest.raises(Unavailable):
        client(answer, clock=clock).wait("r1", timeout=None)
    assert 180 <= clock.now < 200


def test_a_film_is_waited_for_by_the_run_that_was_accepted() -> None:
    accepted = {"filmId": "f", "runId": "9", "status": "running", "clips": []}
    lost = {"clipId": "02", "status": "failed", "reused": False}
    clips = [{"clipId": "01", "status": "finalized", "reused": False}, lost]
    answer, seen = playing(accepted, {**accepted, "status": "incomplete", "clips": clips})
    with pytest.raises(FilmIncomplete, match=r"f, run 9, is incomplete: 02 \(failed\)") as over:
        client(answer).film({}, wait=True)
    assert isinstance(over.value.film, Film)
    assert seen[1].url.raw_path == b"/v1/films/f?run=9&wait=20"
    answer, _ = playing({**accepted, "status": "finished"})
    assert client(answer).wait_film("f").is_settled


# ── Files ────────────────────────────────────────────────────────────────────────────────────────


def test_a_download_whose_url_has_come_of_age_gets_a_fresh_one(tmp_path: Path) -> None:
    statuses = [403, 200]
    looks: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "bucket.example":
            assert "Authorization" not in request.headers
            return httpx.Response(statuses.pop(0), content=CLIP)
        looks.append(request.url.path)
        return httpx.Response(200, json=render("finalized"))

    path = client(answer).download("r1", tmp_path / "fox.mp4")
    assert path.read_bytes() == CLIP
    assert [one.name for one in tmp_path.iterdir()] == ["fox.mp4"]
    assert len(looks) == 2


def test_a_render_without_a_clip_cannot_be_downloaded(tmp_path: Path) -> None:
    answer, _ = playing(render("rendering"))
    with pytest.raises(RenderFailed):
        client(answer).download(VideoRender(render("planned")), tmp_path)
    assert list(tmp_path.iterdir()) == []


# ── Where it goes ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("url", ["http://api.example", "api.example", "ftp://127.0.0.1/"])
def test_a_url_that_would_send_a_signature_in_the_clear_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        VideoConductor(url, region="eu-west-1", credentials=KEYS)


def test_the_region_is_the_url_s_unless_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "us-west-2")
    for base_url, region, expected in (
        (BASE, None, "eu-west-1"),
        (BASE, "ap-south-1", "ap-south-1"),
        ("https://video.example", None, "us-west-2"),
    ):
        answer, seen = playing({})
        transport = httpx.MockTransport(answer)
        with VideoConductor(base_url, region=region, credentials=KEYS, transport=transport) as api:
            api.models()
        assert f"/{expected}/execute-api/" in seen[0].headers["Authorization"]


def test_without_credentials_or_region_it_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Unauthorized, match="AWS_PROFILE"):
        VideoConductor(BASE)
    with pytest.raises(ValueError, match="AWS_REGION"):
        VideoConductor("https://video.example", credentials=KEYS)
    with pytest.raises(Unauthorized, match="nobody"):
        VideoConductor(BASE, profile="nobody")


def test_the_local_stack_is_found_by_its_file(tmp_path: Path) -> None:
    from dataclasses import asdict

    from local_stack import Endpoints

    with pytest.raises(Unavailable, match="local up"):
        VideoConductor.local(tmp_path)
    unused = dict.fromkeys(["api_id", "aws_endpoint_url", "bucket", "table"], "")
    names = dict.fromkeys(["state_machine_arn", "event_bus"], "")
    stack = Endpoints(
        api_url="http://127.0.0.1:9/x",
        region="us-east-1",
        access_key_id="AKID",
        secret_access_key="s",
        auth=False,
        **unused,
        **names,
    )
    (tmp_path / "stack.json").write_text(json.dumps(asdict(stack)))
    answer, seen = playing({})
    VideoConductor.local(tmp_path, transport=httpx.MockTransport(answer)).models()
    assert str(seen[0].url) == "http://127.0.0.1:9/x/v1/models"
    assert "Credential=AKID/" in seen[0].headers["Authorization"]


def test_a_credential_is_in_no_text_of_the_client() -> None:
    answer, _ = playing(403)
    api = client(answer)
    with pytest.raises(Unauthorized) as refused:
        api.render("r")
    assert "secret" not in repr(api) + str(vars(api)) + str(refused.value)


def test_the_package_imports_nothing_of_the_client_until_it_is_asked_for() -> None:
    program = (
        "import sys, videoconductor\n"
        "assert not [name for name in sys.modules if 'videoconductor.client' in name]\n"
        "videoconductor.VideoConductor\n"
        "print(sorted({'httpx', 'botocore', 'pydantic'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_money_is_read_beside_its_cap_and_a_cap_without_room_is_an_error_of_its_own() -> None:
    money = {"capUsd": 1.0, "spentUsd": 0.3, "reservedUsd": 0.2, "leftUsd": 0.5}
    found = VideoRender(render("rendering", spentUsd=0.3, reservedUsd=0.2, spending=money))
    assert (found.spent_usd, found.reserved_usd) == (0.3, 0.2)
    assert found.spending is not None
    assert (found.spending.spent_usd, found.spending.reserved_usd) == (0.3, 0.2)
    assert (found.spending.cap_usd, found.spending.left_usd) == (1.0, 0.5)
    quote = Quote({"quoteId": None, "leastUsd": 0, "totalUsd": 0, "unpriced": ["new-model"]})
    assert (quote.id, quote.unpriced) == (None, ("new-model",))
    film = Film({"filmId": "f", "runId": "r", "spending": None, "filmSpending": money})
    assert film.spending is None
    assert film.film_spending == Manifest({"spending": money}).spending == found.spending
    problem = {"title": "A cap leaves no room", "status": 402, "detail": "the cap on the day is $1"}
    refused = refusal(402, "", {**problem, "budget": {"scope": "day", "change": "raise it"}})
    assert isinstance(refused, OverBudget)
    assert refused.budget["scope"] == "day"
    assert "the cap on the day is $1" in str(refused)
