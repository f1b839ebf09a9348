"""xAI's key is replaced while renders are under way: the old one is refused from that moment on.

The same with real processes, and the other two secrets: tests/e2e/test_secrets.py.
"""

from __future__ import annotations

import hashlib
import json
import urllib.request
from typing import Any

import boto3
import pytest

from tests.workflow.conftest import KEY, REGION, Stage
from videoconductor import wiring

NEW = "the-next-key"


def at_xai(stage: Stage, key: str = NEW) -> None:
    """xAI takes this key and no other from now on."""
    request = urllib.request.Request(
        f"{stage.simulator.origin}/_sim/key", json.dumps({"key": key}).encode(), method="POST"
    )
    with urllib.request.urlopen(request) as answer:
        assert json.load(answer) == {"changed": True}


def in_the_secret(key: str = NEW) -> None:
    boto3.client("secretsmanager", REGION).put_secret_value(SecretId="xai", SecretString=key)


def by_key(stage: Stage, method: str) -> list[tuple[bool, int]]:
    """Of each request to xAI: whether it came with the new key, and its status."""
    digest = hashlib.sha256(NEW.encode()).hexdigest()
    return [
        (digest.startswith(request["key"]), request["status"])
        for request in stage.simulator.requests()
        if request["method"] == method and request["path"].startswith("/v1/")
    ]


def held(stage: Stage) -> dict[str, Any]:
    [job] = stage.jobs()
    return job


def test_a_render_that_waits_goes_on_with_the_new_key_and_its_one_job(stage):
    wiring.api_key()  # a warm process: it would hold on to the old one for a minute

    def rotate() -> None:
        stage.while_waiting = None
        at_xai(stage)
        in_the_secret()

    stage.while_waiting = rotate
    render = stage.submit(prompt="a lamp [[sim:slow]]")
    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert stage.record(render).status == "finalized"
    assert held(stage)["status"] == "done"
    polls = by_key(stage, "GET")
    assert (False, 400) in polls
    assert polls[-1] == (True, 200)


def test_a_key_that_is_replaced_at_xai_first_is_waited_for(stage):
    waits = iter(range(1000))

    def rotate() -> None:
        number = next(waits)
        if number == 0:
            at_xai(stage)
        elif number == 4:
            in_the_secret()

    stage.while_waiting = rotate
    render = stage.submit(prompt="a lamp [[sim:slow]]")

    assert stage.run(render).status == "SUCCEEDED"
    assert by_key(stage, "GET").count((False, 400)) >= 3
    assert held(stage)["status"] == "done"


@pytest.mark.parametrize(
    "fields",
    [{}, {"firstFramePrompt": "a lamp", "qualityMode": "draft_i2v"}],
    ids=["a clip", "a still and its clip"],
)
def test_a_post_that_was_refused_for_a_replaced_key_is_sent_with_the_new_one(stage, fields):
    wiring.api_key()
    at_xai(stage)
    in_the_secret()
    render = stage.submit(**fields)

    assert stage.run(render).status == "SUCCEEDED"
    record = stage.record(render)
    posts = by_key(stage, "POST")
    assert posts[0] == (False, 400)
    assert set(posts[1:]) == {(True, 200)}
    assert len(posts) == len(stage.jobs()) + 1
    assert record.status == "finalized"
    # It is one attempt, of which the first POST reached nobody.
    assert record.spent_ticks == sum(job["cost_usd_ticks"] for job in stage.jobs())


def test_a_key_that_is_wrong_and_stays_so_fails_at_once(stage):
    at_xai(stage)
    render = stage.submit()
    stage.run(render)

    record = stage.record(render)
    assert record.status == "failed"
    assert by_key(stage, "POST") == [(False, 400)]
    assert stage.jobs() == []
    assert KEY not in record.model_dump_json()
    assert wiring.api_key() == KEY


@pytest.mark.long
def test_a_key_that_changes_with_every_look_does_not_post_for_ever(stage):
    """A secret that somebody keeps writing to: as bounded as any other POST that is put off."""
    wiring.api_key()
    at_xai(stage)
    number = iter(range(10_000))

    def rotate() -> None:
        in_the_secret(f"wrong-{next(number)}")

    stage.while_waiting = rotate
    rotate()
    render = stage.submit()
    stage.run(render)

    assert stage.record(render).status == "failed"
    assert stage.jobs() == []
    assert 1 < len(by_key(stage, "POST")) < 100
