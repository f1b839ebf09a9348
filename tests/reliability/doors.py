"""Rows about doors: what comes twice, what comes at once, and what is at fault."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.reliability import matrix
from tests.reliability.kinds import clip, prompt
from tests.reliability.stage import Stage

Asked = tuple[str, int, str]
TOKEN = "drill-d00{:05x}"
HOSTILE: tuple[tuple[str, Any], ...] = (
    ("prompt is missing", {"prompt": None}),
    ("prompt is empty", {"prompt": "  "}),
    ("prompt has 4,097 bytes", {"prompt": "a" * 4097}),
    ("prompt is a number", {"prompt": 7}),
    ("duration 0", {"duration": 0}),
    ("duration 16", {"duration": 16}),
    ("duration 7.5", {"duration": 7.5}),
    ('duration "6"', {"duration": "6"}),
    ("resolution unknown", {"resolution": "481p"}),
    ("ratio unknown", {"aspectRatio": "7:5"}),
    ("quality mode unknown", {"qualityMode": "drafty"}),
    ("misspelt field", {"promt": "a fox"}),
    ("image by http://", {"imageUrl": "http://example.com/a.png"}),
    ("image by file:", {"imageUrl": "file:///etc/passwd"}),
    ("image on a private host", {"imageUrl": "https://169.254.169.254/latest"}),
    ("id with ..", {"clipId": ".."}),
    ("id with /", {"clipId": "a/b"}),
    ("id with ::", {"clipId": "a::b"}),
    ("id with NUL", {"clipId": "a\x00b"}),
    ("id of 500 characters", {"clipId": "a" * 500}),
    ("id of emoji", {"clipId": "\U0001f98a"}),
)
FILMS: tuple[tuple[str, Any], ...] = (
    ("a film without clips", {"clips": []}),
    ("two clips of one id", {"clips": [{"id": "1", "prompt": "a"}, {"id": "1", "prompt": "b"}]}),
    ("a film that is no object", {"clips": "none"}),
)


def ask(stage: Stage) -> list[Asked]:
    """Each row: what was done, how often, and what came of it; WRONG first where that must not."""
    rows = [
        ("one Idempotency-Key, the same body, eight at once", 8, same_key(stage)),
        ("one Idempotency-Key, another body", 1, other_body(stage)),
        ("one event of the bus three times", 3, same_event(stage)),
        ("one object of the inbox, its event three times", 3, same_object(stage)),
        ("two renders of one entry, the newer ends first", 1, rivals(stage, 8, "slow", "")),
        ("two renders of one entry, the older ends first", 1, rivals(stage, 9, "", "slow")),
        ("two renders of one entry together", 1, rivals(stage, 10, "", "")),
    ]
    before = len(stage.table()), len(stage.journal()["jobs"])
    bad = [(words, "/v1/videos", fields) for words, fields in HOSTILE]
    bad += [(words, "/v1/films", fields) for words, fields in FILMS]
    answers = [refused(stage, number, path, fields) for number, (_, path, fields) in enumerate(bad)]
    rows += [(words, 1, answer) for (words, _, _), answer in zip(bad, answers, strict=True)]
    after = len(stage.table()), len(stage.journal()["jobs"])
    changes = [now - was for now, was in zip(after, before, strict=True)]
    told = f"{changes[0]} rows written, {changes[1]} jobs started"
    rows.append(("all of that bad input", len(bad), told if not any(changes) else f"WRONG: {told}"))
    return rows


def verdict(is_right: bool, words: str) -> str:
    return words if is_right else f"WRONG: {words}"


def rests(stage: Stage, token: str) -> list[str]:
    """Ids of a token's renders, once they are all at rest."""
    stage.until(lambda: bool(stage.renders_of(token)))
    ids = stage.renders_of(token)
    for render_id in ids:
        stage.until_rest(render_id)
    return ids


def same_key(stage: Stage) -> str:
    token = TOKEN.format(1)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda _: stage.ask(token, "POST", "/v1/videos", clip(token, ""))["renderId"],
                range(8),
            )
        )
    return one_render(stage, token, len(set(answers)) == 1)


def one_render(stage: Stage, token: str, is_same: bool = True) -> str:
    ids, jobs = rests(stage, token), len(stage.jobs(prompt(token)))
    words = f"{len(ids)} render, {jobs} job"
    return verdict(is_same and len(ids) == 1 and jobs == 1, words)


def other_body(stage: Stage) -> str:
    token = TOKEN.format(1)
    answer = stage.call(token, "POST", "/v1/videos", clip(token, "") | {"duration": 2})
    return verdict(
        answer.status_code == 409 and len(stage.renders_of(token)) == 1, str(answer.status_code)
    )


def same_event(stage: Stage) -> str:
    token = TOKEN.format(2)
    for _ in range(3):
        stage.publish("ClipRequested", clip(token, "") | {"idempotencyKey": token})
    return one_render(stage, token)


def same_object(stage: Stage) -> str:
    token = TOKEN.format(3)
    key, body = f"inbox/{token}.json", json.dumps(clip(token, "")).encode()
    put = stage.client("s3").put_object(Bucket=stage.endpoints.bucket, Key=key, Body=body)
    created = {
        "bucket": {"name": stage.endpoints.bucket},
        "object": {"key": key, "size": len(body), "etag": put["ETag"].strip('"')},
    }
    if "VersionId" in put:
        created["object"]["version-id"] = put["VersionId"]
    event = {"source": "aws.s3", "detail-type": "Object Created", "id": token, "detail": created}
    for _ in range(2):
        stage.client("lambda").invoke(
            FunctionName=stage.function("on_upload"), Payload=json.dumps(event).encode()
        )["Payload"].read()
    return one_render(stage, token)


def rivals(stage: Stage, number: int, first: str, second: str) -> str:
    """Two renders of one clip: whichever ends first, the newer request has the entry."""
    token = TOKEN.format(number)
    ids = []
    for take, marker in enumerate((first, second), 1):
        body = clip(token, "") | {"prompt": prompt(token, marker, take)}
        ids.append(stage.ask(f"{token}{take}", "POST", "/v1/videos", body)["renderId"])
        time.sleep(0.05)
    for render_id in ids:
        stage.until_rest(render_id)
    renders, films, _ = matrix.sorted_table(stage.table())
    made = {render.render_id: render for render in renders[token]}
    entries = films[token]
    newest = json.loads(entries[f"ENTRY#{made[ids[1]].entry_id}"][1])["renderId"]
    versions = sum(name.startswith("VERSION#") for name in entries)
    files = [key for key in stage.objects(f"generated/videos/{token}/") if key.endswith(".mp4")]
    words = f"the entry is the {'newer' if newest == ids[1] else 'older'}, "
    words += f"{versions} versions, {len(files)} files"
    return verdict(newest == ids[1] and versions == len(files) == 2, words)


def refused(stage: Stage, number: int, path: str, fields: dict[str, Any]) -> str:
    """A 4xx that names what is at fault."""
    token = TOKEN.format(256 + number)
    body = clip(token, "") if path == "/v1/videos" else {"schemaVersion": "1.0", "requestId": token}
    body = {name: value for name, value in (body | fields).items() if value is not None}
    answer = stage.call(token, "POST", path, body)
    told = answer.json() if answer.headers.get("content-type", "").endswith("json") else {}
    names = [str(one.get("field")) for one in told.get("errors", [])]
    is_named = any(field.split(".")[0].split("[")[0] in names_of(fields) for field in names)
    return verdict(answer.status_code == 400 and is_named, str(answer.status_code))


def names_of(fields: dict[str, Any]) -> set[str]:
    return {*fields, "clips"}
