"""Rows about doors: what comes twice, and what comes at once."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

from tests.reliability import matrix
from tests.reliability.kinds import clip, prompt
from tests.reliability.stage import Stage

Asked = tuple[str, int, str]
TOKEN = "drill-d00{:05x}"


def ask(stage: Stage) -> list[Asked]:
    """Each row: what was done, how often, and what came of it; WRONG first where that must not."""
    return [
        ("one Idempotency-Key, the same body, eight at once", 8, same_key(stage)),
        ("one Idempotency-Key, another body", 1, other_body(stage)),
        ("one event of the bus three times", 3, same_event(stage)),
        ("one object of the inbox, its event three times", 3, same_object(stage)),
        ("two renders of one entry, the newer ends first", 1, rivals(stage, 8, "slow", "")),
        ("two renders of one entry, the older ends first", 1, rivals(stage, 9, "", "slow")),
        ("two renders of one entry together", 1, rivals(stage, 10, "", "")),
    ]


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
