"""Rows Bad input and Access: real requests at the doors of a running stack with AUTH=true."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx

from tests.reliability.doors import Asked, verdict
from tests.reliability.stage import Stage
from tests.workflow import hostile
from tests.workflow.hostile import CLIPS, FILMS
from videoconductor.reports import REQUEST_REFUSED

AT_A_TIME = 4
REFUSED = frozenset({400, 413, 415, 422})
UNKNOWN = frozenset({400, 403, 404})  # of a path: an id that nothing can have
CLOSED = frozenset({401, 403})
OPEN = frozenset({"/health", "/.well-known/oauth-protected-resource"})  # silent about anybody
CREDENTIALS: dict[str, dict[str, str]] = {
    "nothing": {},
    "a forged signature": {
        "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261122/us-east-1/execute-api/"
        "aws4_request, SignedHeaders=host, Signature=" + "0" * 64,
        "X-Amz-Date": "20261122T000000Z",
    },
    "a guessed token": {"Authorization": f"Bearer vc_{'0' * 16}_{'A' * 43}"},
    "a token of nobody's": {"Authorization": "Bearer eyJhbGciOiJub25lIn0.e30."},
}
# Right on this stack: its emulator reads any bytes as UTF-8, where API Gateway hands them over in
# base64, and it lets a webhook go to this very machine. Dots are gone before a request is sent.
NOT_HERE = frozenset(
    {
        "raw: Latin-1",
        *(f"callbackUrl: {host}" for host in ("loopback", "localhost", "IPv6 loopback")),
    }
)
DOTS = frozenset({".", ".."})
# Doors without an answer: a file, and an event of the bus, of which the refusal is told.
UNANSWERED = ("no prompt", "a misspelt field", "a duration: too many", "clipId: a way up")
AS_FILES = ("raw: cut", "raw: not UTF-8", "raw: a list", *UNANSWERED)


@dataclass(frozen=True)
class Strangers:
    """What came of them. `bad` is the number of bad inputs, `faults` of 5xx that they got;
    `written` are rows of the table and `started` jobs that there were after all of it; `refused`
    is the number of requests without good credentials, `let_in` of those not answered 401 or 403.
    """

    rows: tuple[Asked, ...]
    bad: int
    faults: int
    written: int
    started: int
    refused: int
    let_in: int


@dataclass(frozen=True)
class Answer:
    status: int
    fields: frozenset[str] = frozenset()


def receive(folder: Path) -> Strangers:
    """Let them all come to a stack that has nothing in it."""
    stage = Stage(folder, auth=True)
    try:
        stage.up()
        return received(stage)
    finally:
        stage.down()


def received(stage: Stage) -> Strangers:
    before = len(stage.table())
    way_in = sent(stage, "GET", "/v1/videos")
    asked = dict(bad_inputs())
    answers = dict(zip(asked, at_once(stage, asked.values()), strict=True))
    rows = [
        ("a good signature at `GET /v1/videos`", 1, verdict(way_in.status == 200, "200")),
        *by_group(asked, answers),
        unanswered(stage),
    ]
    barred = list(access(stage))
    rows += [one.asked for one in barred]
    return Strangers(
        rows=tuple(rows),
        bad=len(asked) + len(AS_FILES) + len(UNANSWERED),
        faults=sum(answer.status >= 500 for answer in answers.values()),
        written=len(stage.table()) - before,
        started=len(stage.journal()["jobs"]),
        refused=sum(one.times for one in barred if one.is_closed),
        let_in=sum(one.let_in for one in barred),
    )


# ── Bad input ───────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Request:
    """A signed request with something wrong in it; `fields` one of which the answer must name."""

    method: str
    path: str
    content: bytes = b""
    fields: frozenset[str] = frozenset()


def bad_inputs() -> Iterator[tuple[tuple[str, str], Request]]:
    """By the row of the table that they belong to, and what is wrong."""
    for noun, path, rows in (
        ("a clip", "/v1/videos", CLIPS),
        ("a film", "/v1/films", FILMS),
    ):
        for words, row in rows.items():
            if words in NOT_HERE:
                continue
            part, _, wrong = words.rpartition(": ")
            group = f"{noun}, {part or 'other fields'}"
            yield (group, wrong), Request("POST", path, row.raw, row.fields)
    for group, path in (("a render's id", "/v1/videos/{}"), ("a film's id", "/v1/films/{}")):
        for words, text in hostile.IDS.items():
            if text.strip() and text not in DOTS:  # an empty one is another route
                named = f"{group} in a path", words
                yield named, Request("GET", path.format(quote(text, safe="")))


def at_once(stage: Stage, requests: Iterable[Request]) -> list[Answer]:
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        return list(pool.map(lambda it: sent(stage, it.method, it.path, it.content), requests))


def sent(stage: Stage, method: str, path: str, content: bytes = b"") -> Answer:
    """The answer to a request that is signed as it should be."""
    answer = stage.send(method, path, content, {"Content-Type": "application/json"})
    told = answer.json() if "json" in answer.headers.get("content-type", "") else {}
    errors = told.get("errors") if isinstance(told, dict) else None
    return Answer(answer.status_code, frozenset(str(each["field"]) for each in errors or ()))


def by_group(
    asked: Mapping[tuple[str, str], Request], answers: Mapping[tuple[str, str], Answer]
) -> Iterator[Asked]:
    """A row for each group: what its requests were answered, wrong ones by name."""
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for key in asked:
        groups[key[0]].append(key)
    for group, keys in groups.items():
        wrong = [
            words for _, words in keys if not is_right(asked[group, words], answers[group, words])
        ]
        told = counted(answers[key].status for key in keys)
        yield group, len(keys), verdict(not wrong, f"{told} {', '.join(wrong)}".strip())


def is_right(request: Request, answer: Answer) -> bool:
    """Refused, naming what is at fault; an id in a path may also be of nothing there is."""
    if request.method == "GET":
        return answer.status in UNKNOWN
    return answer.status in REFUSED and bool(request.fields & answer.fields)


def unanswered(stage: Stage) -> Asked:
    """Files and events, each of which must be refused by an event of ours."""
    for number, name in enumerate(AS_FILES):
        stage.put_bytes(f"inbox/strangers/{number}.json", CLIPS[name].raw)
    for name in UNANSWERED:
        stage.publish("ClipRequested", CLIPS[name].parsed)
    wanted = len(AS_FILES) + len(UNANSWERED)

    def refusals() -> int:
        stage.listen()
        return sum(event["detail-type"] == REQUEST_REFUSED for event in stage.told)

    stage.until(lambda: refusals() >= wanted)
    told = refusals()
    return "files and events, refused by an event", wanted, verdict(told == wanted, f"{told} told")


# ── Access ──────────────────────────────────────────────────────────────────────────────────────
@dataclass(frozen=True)
class Barred:
    """All routes of a kind with one kind of credentials."""

    asked: Asked
    times: int
    is_closed: bool
    let_in: int


def access(stage: Stage) -> Iterator[Barred]:
    """Every route of the running API, without credentials and with those that are none."""
    routes = sorted(stage.routes())
    for is_closed in (True, False):
        those = [route for route in routes if (route[1] not in OPEN) == is_closed]
        for words, headers in CREDENTIALS.items():
            statuses = [knocked(stage, method, path, headers) for method, path in those]
            let_in = sum(status not in CLOSED for status in statuses) if is_closed else 0
            is_right = not let_in if is_closed else set(statuses) == {200}
            kind = "a route" if is_closed else "a route that is open to all"
            row = f"{kind}, with {words}", len(those), verdict(is_right, counted(statuses))
            yield Barred(row, len(those), is_closed, let_in)


def knocked(stage: Stage, method: str, path: str, headers: Mapping[str, str]) -> int:
    url = stage.endpoints.api_url.rstrip("/") + re.sub(r"\{\w+\+?\}", "x", path)
    method = "POST" if method == "ANY" else method
    body = json.dumps(hostile.CLIP) if method == "POST" else None
    return httpx.request(method, url, content=body, headers=dict(headers), timeout=60).status_code


def counted(statuses: Iterable[int]) -> str:
    """Each status and, if there were several, how often it came."""
    found = Counter(statuses)
    if len(found) == 1:
        return str(next(iter(found)))
    return ", ".join(f"{status} {count}" for status, count in sorted(found.items()))
