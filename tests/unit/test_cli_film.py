"""`film` and `manifest` against an API on this machine that plays a film's run."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from typer.testing import CliRunner

from videoconductor.client import calls
from videoconductor_cli import watching
from videoconductor_cli.main import app

CLIP = b"the clip" * 1000
STILL = b"\x89PNG the still"
IDS = ["01", "02", "03"]
FAILURE = {"error": "ModerationRejected", "message": "withheld", "code": "content"}


def script(ids: list[str], film: str = "harbour") -> dict[str, Any]:
    clips = [{"id": name, "duration": 6, "prompt": "a harbour, é"} for name in ids]
    return {"schemaVersion": "1.0", "requestId": film, "clips": clips}


class FilmApi:
    """Accepts a film; each GET of it takes every clip one status on, along `ways`."""

    def __init__(self) -> None:
        self.url = ""
        self.film = "harbour"
        self.ids = list(IDS)
        self.reused: set[str] = set()
        self.under_way: set[str] = set()
        self.ways: dict[str, list[str]] = {}
        self.way = ["planned", "rendering", "finalized"]
        self.looks = -1
        self.posts: list[tuple[str, list[tuple[str, str]], bytes, str]] = []
        self.gets: list[str] = []
        self.post_answers: list[tuple[int, dict[str, Any]]] = []
        self.silent_looks = 0
        self.entries: list[dict[str, Any]] | None = None
        self.runs: list[dict[str, Any]] = []

    def status(self, name: str) -> str:
        if name in self.reused:
            return "finalized"
        way = self.ways.get(name, self.way)
        return way[min(max(self.looks, 0), len(way) - 1)]

    def accepted(self) -> dict[str, Any]:
        clips = [
            {
                "clipId": name,
                "qualityMode": "draft",
                "renderId": f"r-{name}",
                "operation": "generate",
                "model": "grok-imagine-video",
                "duration": 6,
                "resolution": "480p",
                "aspectRatio": "16:9",
                "estimatedCostUsd": 0.3,
                "due": name not in self.reused | self.under_way,
                "reused": name in self.reused,
                "warnings": ["dialogue too long"] if name == "01" else [],
            }
            for name in self.ids
        ]
        due = len(self.ids) - len(self.reused | self.under_way)
        return {
            "filmId": self.film,
            "runId": "run-9",
            "status": "running",
            "clips": clips,
            "due": due,
            "reused": len(self.reused),
            "estimatedCostUsd": round(due * 0.3, 3),
            "links": {"self": f"/v1/films/{self.film}?run=run-9", "manifest": "…"},
        }

    def run(self) -> dict[str, Any]:
        clips = []
        for name in self.ids:
            status = self.status(name)
            clips.append(
                {
                    "clipId": name,
                    "qualityMode": "draft",
                    "renderId": f"r-{name}",
                    "status": status,
                    "progress": 40 if status == "rendering" else None,
                    "model": "grok-imagine-video",
                    "estimatedCostUsd": 0.3,
                    "costUsd": 0.3 if status == "finalized" else None,
                    "reused": name in self.reused,
                    "error": FAILURE if status == "failed" else None,
                    "advice": "find it in your xAI account" if status == "submit_unknown" else None,
                }
            )
        statuses = [clip["status"] for clip in clips]
        rests = {"finalized", "failed", "cancelled", "submit_unknown", "stalled"}
        is_over = set(statuses) <= rests
        finished = set(statuses) == {"finalized"}
        return {
            "filmId": self.film,
            "runId": "run-9",
            "status": ("finished" if finished else "incomplete") if is_over else "running",
            "requestedAt": "2026-11-22T10:00:00Z",
            "endedAt": "2026-11-22T10:02:05Z" if is_over else None,
            "counts": {},
            "estimatedCostUsd": 0.9,
            "costUsd": 0.3 * statuses.count("finalized") or None,
            "clips": clips,
            "requestKey": "generated/films/harbour/run-9/request.json",
            "resultKey": "generated/films/harbour/run-9/result.json" if is_over else None,
            "links": {},
        }

    def entry(self, name: str, **changes: Any) -> dict[str, Any]:
        return {
            "_key": f"{name}::draft",
            "id": name,
            "qualityMode": "draft",
            "status": "done",
            "duration": 6.04,
            "resolution": "480p",
            "model": "grok-imagine-video",
            "modelServed": None,
            "url": f"s3://library/{name}.mp4",
            "firstFrameUrl": f"s3://library/{name}.png",
            "thumbnailUrl": None,
            "posterUrl": None,
            "sha256": hashlib.sha256(CLIP).hexdigest(),
            "renderId": f"r-{name}",
            "estimatedCostUsd": 0.3,
            "costUsd": 0.3,
            "error": None,
            **changes,
        }

    def manifest(self, *, presign: bool) -> dict[str, Any]:
        there = [name for name in self.ids if self.status(name) == "finalized"]
        entries = self.entries if self.entries is not None else [self.entry(n) for n in there]
        if presign:
            urls = {"video": f"{self.url}/clip.mp4?signed", "firstFrame": f"{self.url}/still.png"}
            entries = [{"downloads": {**urls, "thumbnail": None}, **one} for one in entries]
        return {"version": 3, "requestId": self.film, "clips": entries, "runs": self.runs}

    def get(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        self.gets.append(f"{path}?{query}")
        if path in {"/clip.mp4", "/still.png"}:
            return 200, CLIP if path == "/clip.mp4" else STILL
        if path == "/v1/films":
            counts = {"done": 1, "total": 3}
            run = {"status": "incomplete", "costUsd": None, "counts": counts}
            return 200, json.dumps({"films": [{**self.run(), **run}], "nextCursor": None}).encode()
        if path.endswith("/manifest"):
            return 200, json.dumps(self.manifest(presign=query.get("presign") == "true")).encode()
        if path == f"/v1/films/{self.film}" and query.get("run") == "run-9":
            if self.silent_looks:
                self.silent_looks -= 1
                return 503, b"{}"
            self.looks += 1
            return 200, json.dumps(self.run()).encode()
        return 404, b'{"title": "There is no such film", "status": 404}'

    def post(self, path: str, content: bytes, query: str, key: str) -> tuple[int, bytes]:
        self.posts.append((path, parse_qsl(query, strict_parsing=bool(query)), content, key))
        if self.post_answers:
            status, document = self.post_answers.pop(0)
            return status, json.dumps(document).encode()
        if path.endswith("/manifest"):
            taken = {"imported": ["01::draft"], "kept": ["02::draft", "03::draft"]}
            document = {"filmId": "harbour", **taken, "warnings": ["04 has no url"]}
            return 200, json.dumps(document).encode()
        return 202, json.dumps(self.accepted()).encode()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FilmApi]:
    fake = FilmApi()

    class Handler(BaseHTTPRequestHandler):
        def reply(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            parts = urlsplit(self.path)
            key = self.headers["Idempotency-Key"]
            self.reply(*fake.post(unquote(parts.path), content, parts.query, key))

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            self.reply(*fake.get(unquote(parts.path), dict(parse_qsl(parts.query))))

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("VIDEOCONDUCTOR_API_URL", fake.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setattr(watching, "FILM_LOCAL_GAP", 0.01)
    monkeypatch.setattr(watching, "LONGEST_GAP", 0.02)
    monkeypatch.setattr(calls, "PAUSES", (0.01,))
    yield fake
    server.shutdown()
    server.server_close()


@pytest.fixture
def harbour(tmp_path: Path) -> str:
    path = tmp_path / "harbour.json"
    path.write_bytes(json.dumps(script(IDS), ensure_ascii=False, indent=1).encode() + b"\r\n")
    return str(path)


def run(*arguments: str, stdin: bytes | None = None) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(app, list(arguments), input=stdin)
    return outcome.exit_code, outcome.stdout, outcome.stderr


# ── Asking ───────────────────────────────────────────────────────────────────────────────────────


def test_the_script_is_sent_as_it_is_and_the_options_as_a_query(api: FilmApi, harbour: str) -> None:
    chosen = ("--clip", "01", "--clip-id", "03", "--remaster", "--force", "--max-cost-usd", "3.25")
    source = ("--source-url", "https://example.com/a%20b.mp4?x=1&y=+")
    key = ("--idempotency-key", "key-1")
    code, out, err = run("film", harbour, *chosen, *source, *key, "--no-wait")
    assert (code, out) == (0, "run-9\n")
    [(path, query, content, sent_key)] = api.posts
    assert path == "/v1/films"
    assert query == [
        ("clip", "01"),
        ("clip", "03"),
        ("remaster", "true"),
        ("sourceVideoUrl", "https://example.com/a%20b.mp4?x=1&y=+"),
        ("force", "true"),
        ("maxCostUsd", "3.25"),
    ]
    assert content == Path(harbour).read_bytes()
    assert sent_key == "key-1"
    back = shlex.split(err.splitlines()[-1])
    assert back[1:3] == ["film", harbour]
    for part in (*source, *key, "--force"):
        assert part in back


def test_without_options_there_is_no_query_and_each_run_has_a_key_of_its_own(
    api: FilmApi, harbour: str
) -> None:
    run("film", harbour, "--no-wait")
    run("film", harbour, "--no-wait")
    (_, first_query, _, first), (_, _, _, second) = api.posts
    assert first_query == []
    assert len(first) == len(second) == 32
    assert first != second


def test_a_script_comes_from_stdin_too(api: FilmApi, harbour: str) -> None:
    content = Path(harbour).read_bytes()
    assert run("film", "-", "--no-wait", stdin=content)[0] == 0
    assert api.posts[0][2] == content


def test_it_says_what_is_made_and_what_is_there_already(api: FilmApi, harbour: str) -> None:
    api.reused, api.under_way = {"02"}, {"03"}
    _, _, err = run("film", harbour, "--no-wait")
    assert "film harbour: 3 clips, $0.900 if none of it is there already" in err
    assert "run run-9: 1 to pay for, 1 there already, 1 under way or waiting for" in err
    assert "  01: generate draft, grok-imagine-video, 480p, 16:9, 6 s: $0.300" in err
    assert "  02: generate draft, grok-imagine-video, 480p, 16:9, 6 s: is there" in err
    assert "  03: generate draft, grok-imagine-video, 480p, 16:9, 6 s: nothing more to pay" in err
    assert "note: 01: dialogue too long" in err
    assert "estimate: $0.300" in err


def test_the_film_s_own_clips_may_be_the_source(api: FilmApi, harbour: str) -> None:
    code, _, _ = run("film", harbour, "--remaster", "--source-url", "manifest", "--no-wait")
    assert code == 0
    assert api.posts[0][1] == [("remaster", "true"), ("sourceVideoUrl", "manifest")]


def test_no_wait_with_json_prints_the_answer_and_nothing_else(api: FilmApi, harbour: str) -> None:
    _, out, _ = run("film", harbour, "--no-wait", "--json")
    assert json.loads(out) == api.accepted()


QUOTE = {
    "quoteId": "q1-1795464936-9000000000-0d6e3b9f5a1c47e2b8d4f60917ac35e2",
    "expiresAt": "2026-11-23T20:15:36Z",
    "filmId": "harbour",
    "clips": [
        {
            "clipId": "01",
            "qualityMode": "draft",
            "due": True,
            "reused": False,
            "lines": [
                {
                    "what": "grok-imagine-video 480p",
                    "model": "grok-imagine-video",
                    "quantity": 6.0,
                    "unit": "second",
                    "unitUsd": 0.05,
                    "leastUsd": 0.3,
                    "amountUsd": 0.9,
                    "asOf": "2026-11-22",
                    "source": "docs.x.ai",
                }
            ],
            "leastUsd": 0.3,
            "totalUsd": 0.9,
            "warnings": ["dialogue too long"],
        },
        {
            **{"clipId": "02", "qualityMode": "draft", "due": False, "reused": True},
            **{"lines": [], "leastUsd": 0, "totalUsd": 0, "warnings": []},
        },
    ],
    **{"due": 1, "reused": 1, "leastUsd": 0.3, "totalUsd": 0.9, "unpriced": []},
}


def test_a_film_that_needs_consent_shows_its_quote_and_the_two_ways_to_go_on(
    api: FilmApi, harbour: str
) -> None:
    title = "It costs more than may be spent without a quote or a limit"
    api.post_answers = [(402, {"title": title, "detail": "$0.90 is due", "quote": QUOTE})]
    code, out, err = run("film", harbour, "--force", "--clip", "01", "--no-wait")
    assert (code, out) == (102, "")
    assert "6 seconds  $0.05  $0.300  $0.900  2026-11-22" in err
    assert "total: $0.300 to $0.900 (1 to pay for)" in err
    assert f"{title}\n  $0.90 is due" in err
    ways = [shlex.split(line)[1:] for line in err.splitlines() if line.startswith("  ")]
    ways = [way for way in ways if "film" in way[:1]]
    again = ["film", harbour, "--clip", "01", "--force", "--no-wait"]
    assert [way[:-2] for way in ways] == [
        [*again, "--quote-id", QUOTE["quoteId"]],
        [*again, "--max-cost-usd", "0.9"],
    ]
    assert run(*ways[0])[0] == 0
    assert ("quoteId", QUOTE["quoteId"]) in api.posts[-1][1]
    asked = len(api.posts)
    for option, value, words in (
        ("--quote-id", "", "--quote-id is empty"),
        ("--quote-id", " ", "--quote-id is empty"),
        ("--max-cost-usd", "NaN", "'NaN' must be a number of US dollars from 0 to 1,000,000"),
        ("--max-cost-usd", "-0.0", "must be a number of US dollars"),
        ("--max-cost-usd", "1e400", "must be a number of US dollars"),
        ("--max-cost-usd", "", "must be a number of US dollars"),
    ):
        code, _, err = run("film", harbour, option, value)
        assert (code, words in " ".join(err.replace("│", " ").split())) == (102, True), err
    assert len(api.posts) == asked
    tiny = run("film", harbour, "--no-wait", "--max-cost-usd", "0.0000001")[2]
    assert "--max-cost-usd 0.0000001" in tiny


def test_a_quote_is_a_table_with_an_id(api: FilmApi, harbour: str, tmp_path: Path) -> None:
    api.post_answers = [(200, QUOTE)] * 3
    code, out, err = run("quote", harbour, "--clip", "01", "--remaster", "--force")
    assert (code, err) == (0, "")
    head, first, second, total, note, last = out.splitlines()
    assert head.split("  ")[0] == "clip"
    assert all(column in head for column in ("quantity", "unit price", "least", "most", "as of"))
    assert first.split()[-6:] == ["6", "seconds", "$0.05", "$0.300", "$0.900", "2026-11-22"]
    assert "is there already" in second
    assert total == "total: $0.300 to $0.900 (1 to pay for)"
    assert note == "  note: 01: dialogue too long"
    assert last == f"quoteId: {QUOTE['quoteId']} (good until {QUOTE['expiresAt']})"
    [(path, query, content, key)] = api.posts
    assert (path, key, content) == (
        "/v1/quotes",
        None,
        Path(harbour).read_bytes(),
    )
    assert query == [("clip", "01"), ("remaster", "true"), ("force", "true")]

    code, out, _ = run("quote", "--prompt", "a fox", "--duration", "6", "--clip-id", "a", "--json")
    assert (code, json.loads(out)) == (0, QUOTE)
    code, out, _ = run("quote", "--prompt", "a fox", "--duration", "6", "--clip-id", "a")
    assert (code, f"quoteId: {QUOTE['quoteId']}" in out) == (0, True)
    assert json.loads(api.posts[-1][2]) == {"prompt": "a fox", "duration": 6, "clipId": "a"}
    assert "for scripts" in run("quote", "--prompt", "a fox", "--force")[2]
    assert "leave out --prompt" in run("quote", harbour, "--prompt", "a fox")[2]


def test_a_quote_without_a_stack_names_what_to_do_instead(
    monkeypatch: pytest.MonkeyPatch, harbour: str, tmp_path: Path
) -> None:
    monkeypatch.delenv("VIDEOCONDUCTOR_API_URL", raising=False)
    code, _, err = run("quote", harbour, "--data", str(tmp_path / "none"))
    assert code == 3
    assert "videoconductor local up" in err
    assert "videoconductor plan" in err


@pytest.mark.parametrize(
    ("content", "options", "found"),
    [
        ({"prompt": "a fox"}, (), ["is no script", "generate --request"]),
        ("{", (), ["is not JSON"]),
        (
            {**script(["01", "01"]), "castt": [], "clips": [{"id": "01", "duration": 99}] * 2},
            (),
            ["castt", "clips[0].duration: 99", "clips[1].duration: 99", "clips[1].id: '01'"],
        ),
        (script(["01"]), ("--clip", "9", "--clip", "8"), ["clip: '9'", "clip: '8'"]),
        (script(["01"]), ("--idempotency-key", ""), ["--idempotency-key is empty"]),
        (script(["01"]), ("--download", "--no-wait"), ["leave out --no-wait"]),
        (script(["01"]), ("--to", "/dev/null/x"), ["cannot write into"]),
        (script(["01"]), ("--bogus",), ["No such option"]),
    ],
)
def test_all_that_is_wrong_is_said_at_once_and_nothing_is_sent(
    api: FilmApi, tmp_path: Path, content: Any, options: tuple[str, ...], found: list[str]
) -> None:
    path = tmp_path / "film.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    code, out, err = run("film", str(path), *options, "--json")
    assert (code, out) == (102, "")
    assert [words for words in found if words not in err] == []
    assert api.posts == []


def test_what_the_api_refuses_ends_with_102_and_its_words(api: FilmApi, harbour: str) -> None:
    wrong = {"field": "clips[0].video.model", "value": "x", "message": "is gone", "choices": ["y"]}
    api.post_answers = [(400, {"title": "The request is invalid", "errors": [wrong, wrong]})]
    code, out, err = run("film", harbour)
    assert (code, out) == (102, "")
    assert err.count("clips[0].video.model: 'x' is gone; choose one of: y") == 2
    assert api.gets == []


def test_without_a_stack_the_code_is_no_count(
    monkeypatch: pytest.MonkeyPatch, harbour: str, tmp_path: Path
) -> None:
    monkeypatch.delenv("VIDEOCONDUCTOR_API_URL", raising=False)
    code, out, err = run("film", harbour, "--data", str(tmp_path / "none"))
    assert (code, out) == (103, "")
    assert "videoconductor local up" in err


def test_a_lost_answer_is_asked_for_with_the_same_key_and_then_says_the_key(
    api: FilmApi, harbour: str
) -> None:
    api.post_answers = [(503, {"title": "later"})] * 2
    code, out, err = run("film", harbour, "--clip", "01", "--to", "some where")
    assert (code, out) == (103, "")
    keys = {key for *_, key in api.posts}
    assert len(api.posts) == 2
    assert len(keys) == 1
    back = shlex.split(err.splitlines()[-1])
    assert back[back.index("--idempotency-key") + 1] == keys.pop()
    assert back[back.index("--to") + 1] == "some where"
    assert back[back.index("--clip") + 1] == "01"
    assert "pays for nothing twice" in err


# ── Watching and its end ─────────────────────────────────────────────────────────────────────────


def test_a_film_that_is_all_there_ends_with_0_a_table_and_its_cost(
    api: FilmApi, harbour: str
) -> None:
    api.reused = {"02"}
    code, out, err = run("film", harbour)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["clip", "mode", "status", "seconds", "cost", "error"]
    assert lines[1].split() == ["01", "draft", "finalized", "6", "$0.300"]
    assert lines[2].split() == ["02", "draft", "there", "already", "6"]
    assert "film harbour: 3 of 3 clips done  cost $0.900 (est. $0.900)  2:05" in out
    assert "generated/films/harbour/run-9/result.json" in out
    assert "01: 40%  rendering" in err
    assert not re.search(r"^02: \d+%", err, re.MULTILINE)
    assert "manifest harbour" in err


def test_json_is_the_run_at_its_end_and_nothing_else(
    api: FilmApi, harbour: str, tmp_path: Path
) -> None:
    api.ways = {"02": ["rendering", "failed"]}
    code, out, _ = run("film", harbour, "--json", "--to", str(tmp_path))
    assert code == 1
    assert json.loads(out) == api.run()
    assert json.loads(out)["status"] == "incomplete"


def test_the_exit_code_counts_what_is_not_there(api: FilmApi, harbour: str) -> None:
    api.ways = {"01": ["failed"], "02": ["stalled"]}
    assert run("film", harbour)[0] == 2
    api.ways["03"] = ["cancelled"]
    assert run("film", harbour)[0] == 3


def test_the_exit_code_ends_at_99(api: FilmApi, tmp_path: Path) -> None:
    api.ids = [f"{number:03}" for number in range(300)]
    api.way = ["failed"]
    path = tmp_path / "long.json"
    path.write_text(json.dumps(script(api.ids)))
    assert run("film", str(path))[0] == 99


def test_what_is_not_there_comes_with_its_error_and_a_way_on(api: FilmApi, harbour: str) -> None:
    api.ways = {"01": ["failed"], "02": ["submit_unknown"], "03": ["stalled"]}
    code, out, err = run("film", harbour, "--force", "--idempotency-key", "k")
    assert code == 3
    assert re.search(r"^01 +draft +failed +6 +ModerationRejected: withheld$", out, re.MULTILINE)
    assert "01: no clip: render r-01 is failed" in err
    assert "ModerationRejected: withheld (content)" in err
    assert "retry r-01" not in err
    assert "find it in your xAI account" in err
    for way in ("attach r-02 REQUEST_ID", "retry r-02 --may-charge-twice", "abandon r-02"):
        assert f"videoconductor {way}" in err
    assert "videoconductor abandon r-03" in err
    new_run = shlex.split(err.partition("A new run pays for")[2].splitlines()[1])
    assert new_run[1:3] == ["film", harbour]
    assert not {"--force", "--idempotency-key"} & set(new_run)


def test_a_clip_that_was_cancelled_unsent_has_nothing_to_attach(api: FilmApi, harbour: str) -> None:
    api.ways["02"] = ["cancelled"]
    code, _, err = run("film", harbour)
    assert code == 1
    assert "render r-02 is cancelled" in err
    assert "attach r-02" not in err


def test_a_film_is_cancelled_and_what_may_be_billed_is_said(api: FilmApi) -> None:
    billed = {"clipId": "02", "requestId": "job-2", "estimatedCostUsd": 0.3}
    counts = {"total": 3, "done": 1}
    answer = {"filmId": "harbour", "runId": "run-9", "counts": counts, "mayBeBilled": [billed]}
    api.post_answers = [(200, answer), (409, {"title": "no", "detail": "finished already"})]

    code, out, err = run("film-cancel", "harbour", "--run", "run-9")

    assert (code, out) == (0, "run run-9 of harbour is cancelled: 1 of 3 clips are there\n")
    assert "xAI may still bill 02, $0.300: request id job-2" in err
    assert api.posts[0][:2] == ("/v1/films/harbour/cancel", [("run", "run-9")])
    code, _, err = run("film-cancel", "harbour")
    assert (code, "finished already" in err) == (2, True)


def test_runs_of_films_are_listed(api: FilmApi) -> None:
    code, out, _ = run("list", "--films", "--status", "finished", "--status", "cancelled")
    assert (code, out.splitlines()[-1].split()) == (
        0,
        ["harbour", "run-9", "incomplete", "1", "of", "3", "~$0.900", "11-22", "10:00"],
    )
    assert "'status': 'cancelled'" in api.gets[0]
    assert json.loads(run("list", "--films", "--json")[1])["films"][0]["runId"] == "run-9"
    assert run("list", "--films", "--mode", "draft")[0] == 2


def test_no_answer_for_a_while_is_waited_out(api: FilmApi, harbour: str) -> None:
    api.silent_looks = 5
    code, out, err = run("film", harbour)
    assert code == 0
    assert "3 of 3 clips done" in out
    assert err.count("trying on …") == 1


def test_no_answer_for_good_ends_with_103_and_says_how_to_come_back(
    api: FilmApi, harbour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "PATIENCE", 0.05)
    api.silent_looks = 10_000
    code, out, err = run("film", harbour)
    assert (code, out) == (103, "")
    assert f"--idempotency-key {api.posts[0][3]}" in err
    assert "goes on without you" in err


def test_ctrl_c_leaves_the_film_and_says_how_to_come_back(api: FilmApi, harbour: str) -> None:
    api.way = ["rendering"]
    command = [sys.executable, "-m", "videoconductor_cli.main", "film", harbour]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if "rendering" in line:
                break
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=20)
    assert child.returncode == 130
    assert f"--idempotency-key {api.posts[0][3]}" in err
    assert "Traceback" not in err


def test_a_big_film_fills_no_screens(api: FilmApi, tmp_path: Path) -> None:
    api.ids = [f"{number:03}" for number in range(300)]
    api.ways = {
        name: ["planned"] * (index // 10) + ["rendering", "failed" if index % 3 else "finalized"]
        for index, name in enumerate(api.ids)
    }
    path = tmp_path / "long.json"
    path.write_text(json.dumps(script(api.ids)))
    code, out, err = run("film", str(path))
    assert code == 99
    assert "  300 clips: generate draft, grok-imagine-video, 480p: $90.000" in err
    counted = re.findall(r"film harbour: (\d+) of 300 clips done", err)
    assert len(counted) <= 11
    assert "30 of 300 clips done" in err
    assert "100 of 300 clips done, 200 failed" in out
    assert "… and 160 more that are not there" in out
    assert "… and 180 more clips: 180 failed" in err
    assert len(out.splitlines()) < 50
    assert len(err.splitlines()) < 150
    assert run("film", str(path), "--json")[1].count('"clipId"') == 300


# ── Files ────────────────────────────────────────────────────────────────────────────────────────


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_run_s_files_lie_in_the_film_s_folder(
    api: FilmApi, harbour: str, tmp_path: Path
) -> None:
    api.ways = {"02": ["failed"]}
    api.entries = [api.entry("01"), api.entry("03"), api.entry("from an earlier script")]
    place = tmp_path / "down"
    code, out, _ = run("film", harbour, "--to", str(place))
    assert code == 1
    assert out.splitlines()[-1] == str(place / "harbour")
    assert files(place) == [
        "harbour/clips/01.draft.mp4",
        "harbour/clips/03.draft.mp4",
        "harbour/manifest.json",
        "harbour/stills/01.draft.png",
        "harbour/stills/03.draft.png",
    ]
    manifest = json.loads((place / "harbour/manifest.json").read_bytes())
    assert manifest == api.manifest(presign=False)


def test_a_clip_whose_file_did_not_come_is_counted(
    api: FilmApi, harbour: str, tmp_path: Path
) -> None:
    api.entries = [api.entry("01"), api.entry("02", sha256="0" * 64)]
    code, _, err = run("film", harbour, "--to", str(tmp_path / "down"))
    assert code == 2
    assert "02::draft: what came for 02.draft.mp4 is not the clip" in err
    assert "03::draft: is not in the manifest" in err
    assert "harbour/clips/01.draft.mp4" in files(tmp_path / "down")


# ── manifest ─────────────────────────────────────────────────────────────────────────────────────


def test_the_manifest_shows_stills_failed_clips_and_runs(api: FilmApi) -> None:
    failed = {"status": "failed", "duration": None, "costUsd": None, "firstFrameUrl": None}
    api.entries = [
        api.entry("01", posterUrl="s3://library/p.png"),
        api.entry("02", error=FAILURE, **failed),
        api.entry("03", error="old words", **failed),
        {"_key": "04::draft", "id": "04", "qualityMode": "draft", "status": "stalled"},
    ]
    lacking = {"clipId": "02", "qualityMode": "draft", "renderId": "r", "status": "failed"}
    api.runs = [
        {
            "runId": "run-9",
            "requestedAt": "2026-11-22T10:00:00Z",
            "endedAt": None,
            "status": "incomplete",
            "total": 9,
            "done": 2,
            "failed": [{**lacking, "error": "ModerationRejected", "message": "withheld"}] * 7,
            "estimatedCostUsd": 0.9,
            "costUsd": 0.3,
        }
    ]
    code, out, _ = run("manifest", "harbour")
    assert code == 0
    rows = [re.split(r" {2,}", line.strip()) for line in out.splitlines()]
    model = "grok-imagine-video"
    assert rows[1] == ["01", "draft", "done", "6.04", "480p", model, "$0.300", "still, poster"]
    assert rows[2] == ["02", "draft", "failed", "480p", model, "ModerationRejected: withheld"]
    assert rows[3] == ["03", "draft", "failed", "480p", model, "old words"]
    assert rows[4] == ["04", "draft", "stalled"]
    assert rows[8][:5] == ["run-9", "11-22 10:00", "incomplete", "2 of 9", "$0.300"]
    assert rows[8][5].endswith("02 (ModerationRejected), and 2 more")


def test_manifest_json_is_as_the_api_gives_it_wherever_the_option_stands(api: FilmApi) -> None:
    api.way = ["finalized"]
    given = api.manifest(presign=False)
    for arguments in (("harbour", "--json"), ("--json", "harbour"), ("show", "harbour", "--json")):
        code, out, err = run("manifest", *arguments)
        assert (code, err) == (0, "")
        assert json.loads(out) == given


@pytest.mark.parametrize(
    ("arguments", "film"),
    [((), "default"), (("show", "import"), "import"), (("--json", "import"), "import")],
)
def test_a_film_may_have_the_name_of_a_command(
    api: FilmApi, arguments: tuple[str, ...], film: str
) -> None:
    assert run("manifest", *arguments)[0] == 0
    assert [got.partition("?")[0] for got in api.gets] == [f"/v1/films/{film}/manifest"]


def test_manifest_download_fetches_every_entry_s_files(api: FilmApi, tmp_path: Path) -> None:
    api.entries = [api.entry("01"), api.entry("02", status="failed", downloads={})]
    code, out, _ = run("manifest", "harbour", "--to", str(tmp_path), "--json")
    assert code == 0
    assert json.loads(out) == api.manifest(presign=False)
    assert files(tmp_path) == [
        "harbour/clips/01.draft.mp4",
        "harbour/manifest.json",
        "harbour/stills/01.draft.png",
    ]
    api.entries[0]["sha256"] = "0" * 64
    code, _, err = run("manifest", "harbour", "--to", str(tmp_path))
    assert code == 1
    assert "is not the clip" in err


def test_a_long_error_is_cut_in_the_tables_and_whole_below(
    api: FilmApi, harbour: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FAILURE, "message", "words " * 100 + "end")
    api.ways = {"01": ["failed"]}
    code, out, err = run("film", harbour)
    assert code == 1
    assert max(map(len, out.splitlines())) < 140
    assert "words end (content)" in err
    api.entries = [api.entry("01", error="words " * 100)]
    shown = run("manifest", "harbour")[1]
    assert max(map(len, shown.splitlines())) < 200
    assert shown.count("words") == 13


@pytest.mark.parametrize(
    ("content", "options", "film"),
    [
        ({"version": 3, "requestId": "harbour", "clips": []}, (), "harbour"),
        ({"project": "ein Hafen", "items": []}, (), "ein Hafen"),
        ([{"id": "01"}], ("--film", "harbour"), "harbour"),
        ({"requestId": "harbour"}, ("--film", "other"), "other"),
    ],
)
def test_a_manifest_is_imported_as_it_is_into_the_film_it_names(
    api: FilmApi, tmp_path: Path, content: Any, options: tuple[str, ...], film: str
) -> None:
    path = tmp_path / "manifest-all.json"
    path.write_text(json.dumps(content, indent=3))
    code, out, err = run("manifest", "import", str(path), *options)
    assert (code, out) == (0, "film harbour: 1 entries imported, 2 were there already\n")
    assert err == "note: 04 has no url\n"
    [(where, _, sent, _)] = api.posts
    assert where == f"/v1/films/{film}/manifest"
    assert sent == path.read_bytes()


@pytest.mark.parametrize(
    ("content", "words"), [("{}", "give it with --film"), ("{", "is not JSON")]
)
def test_a_manifest_that_names_no_film_is_not_sent(
    api: FilmApi, tmp_path: Path, content: str, words: str
) -> None:
    path = tmp_path / "m.json"
    path.write_text(content)
    code, out, err = run("manifest", "import", str(path))
    assert (code, out) == (2, "")
    assert words in err
    assert api.posts == []
