"""What xAI delivers to the bucket itself, through the real template with every role enforced.

The simulator leaves `video.url` empty where it delivers: every clip here comes from its witness.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from local_stack import LocalStack, Options
from tests.e2e.conftest import PARAMETERS, ROOT, Cloud

pytestmark = [pytest.mark.e2e, pytest.mark.long]

LOST = "[[sim:lost]]"


@pytest.fixture(scope="module")
def witnessed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A stack with the setting, and AUTH=true: the presigned urls are checked as well."""
    stack = LocalStack(
        tmp_path_factory.mktemp("witnessed"),
        ROOT,
        Options(
            parameters={**PARAMETERS, "Witness": "True", "PollTimeoutMs": "60000"},
            job_seconds=2,
            simulator_arguments=("--no-url-with-upload", "--witness-delay", "4"),
            auth=True,
        ),
    )
    try:
        yield Cloud(stack, stack.up())
    finally:
        stack.down()


def finished(cloud: Cloud, render_id: str, seconds: float = 60) -> dict:
    """The render once it is finalized, whatever it has come to before."""
    end = time.monotonic() + seconds
    while (found := cloud.render(render_id))["status"] != "finalized":
        assert time.monotonic() < end, f"{found['status']}: {found['timeline']}"
        time.sleep(0.3)
    return found


def test_a_job_whose_answer_was_lost_is_recovered_by_what_xai_delivers(
    witnessed: Cloud, prompt: str
) -> None:
    asked = f"{prompt} {LOST}"
    accepted = witnessed.submit(prompt=asked)
    lost = witnessed.rest(accepted["renderId"])
    assert lost["status"] == "submit_unknown"

    found = finished(witnessed, accepted["renderId"])

    [attempt] = found["attempts"]
    assert (attempt["outcome"], attempt["witness"]) == ("accepted", "taken")
    assert "requestId" not in attempt
    assert found["reservedUsd"] == 0
    s3, place = witnessed.client("s3"), {"Bucket": witnessed.endpoints.bucket}
    head = s3.head_object(**place, Key=found["result"]["video"]["key"])
    assert head["ContentLength"] == found["result"]["video"]["bytes"]
    assert s3.head_object(**place, Key=f"incoming/{accepted['renderId']}/1.mp4")
    [job] = witnessed.jobs(asked)
    assert job["uploads"] == ["HTTP 200"]


def test_done_without_a_url_is_finished_by_the_witness_however_late(
    witnessed: Cloud, prompt: str
) -> None:
    asked = [prompt, f"{prompt} [[sim:witness_late]]"]
    accepted = [witnessed.submit(prompt=each) for each in asked]

    for one, text in zip(accepted, asked, strict=True):
        found = witnessed.rest(one["renderId"])
        assert found["status"] == "finalized", found.get("failure")
        assert found["attempts"][0]["witness"] == "taken"
        assert len(witnessed.jobs(text)) == 1


def test_what_was_abandoned_waits_for_a_person_who_attaches_it(
    witnessed: Cloud, prompt: str
) -> None:
    asked = f"{prompt} {LOST} [[sim:witness_late]]"
    accepted = witnessed.submit(prompt=asked)
    name = accepted["renderId"]
    assert witnessed.rest(name)["status"] == "submit_unknown"
    assert witnessed.call("POST", f"/v1/videos/{name}/abandon").status_code == 200
    s3 = witnessed.client("s3")
    s3.get_waiter("object_exists").wait(
        Bucket=witnessed.endpoints.bucket,
        Key=f"incoming/{name}/1.mp4",
        WaiterConfig={"Delay": 1, "MaxAttempts": 30},
    )
    time.sleep(2)  # the event has been told of by then
    assert witnessed.render(name)["status"] == "failed"

    answer = witnessed.call("POST", f"/v1/videos/{name}/attach", {})

    assert answer.status_code == 200, answer.text
    assert finished(witnessed, name)["attempts"][0]["outcome"] == "accepted"
    assert len(witnessed.jobs(asked)) == 1


def test_a_still_whose_answer_was_lost_is_taken_from_where_xai_put_it(
    witnessed: Cloud, prompt: str
) -> None:
    still = f"{prompt} still {LOST}"
    accepted = witnessed.submit(prompt=prompt, firstFramePrompt=still, clipId="still")

    found = witnessed.rest(accepted["renderId"])

    assert found["status"] == "finalized", found.get("failure")
    assert found["stillAttempts"][0]["outcome"] == "accepted"
    assert len(witnessed.jobs(still)) == 1


def test_nothing_that_opens_the_bucket_is_in_a_log_or_on_record(witnessed: Cloud) -> None:
    logs = sorted(witnessed.stack.folder.logs.rglob("*.log"))
    assert logs
    for log in logs:
        assert b"X-Amz-Signature=" not in log.read_bytes(), log.name
    rows = witnessed.client("dynamodb").scan(TableName=witnessed.endpoints.table)["Items"]
    assert rows
    assert "X-Amz-Signature" not in str(rows)
