"""Files in the inbox and requests on the bus, through the real template and by its users' means."""

import json
import time
from contextlib import suppress

import pytest

from local_stack import sweep
from tests.e2e.conftest import Cloud

pytestmark = pytest.mark.e2e

ODD = "inbox/a + b%20c/ü 日本/é&=#%.json"


def put(cloud: Cloud, key: str, body: bytes | dict) -> str:
    """Put a file as `aws s3 cp` does; its version."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    done = cloud.client("s3").put_object(Bucket=cloud.endpoints.bucket, Key=key, Body=content)
    return done["VersionId"]


def outbox(cloud: Cloud, name: str, kind: str, seconds: float = 60) -> dict:
    """What the outbox tells of a file, once it does."""
    s3, end = cloud.client("s3"), time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(s3.exceptions.NoSuchKey):
            key = f"outbox/{name}.{kind}.json"
            return json.load(s3.get_object(Bucket=cloud.endpoints.bucket, Key=key)["Body"])
        time.sleep(0.2)
    raise AssertionError(f"nothing was told of {name} after {seconds} s")


@pytest.fixture(scope="module")
def watcher(cloud: Cloud) -> str:
    """A queue that gets every event of ours on the application's bus."""
    sqs, events, bus = cloud.client("sqs"), cloud.client("events"), cloud.endpoints.event_bus
    queue = sqs.create_queue(QueueName="inbox-watcher")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    pattern = json.dumps({"source": ["videoconductor"]})
    events.put_rule(Name="inbox-watch", EventBusName=bus, EventPattern=pattern)
    events.put_targets(
        Rule="inbox-watch",
        EventBusName=bus,
        Targets=[{"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}],
    )
    return queue


def heard(cloud: Cloud, queue: str, matches) -> dict:
    """The first of our events that matches."""
    for _ in range(80):
        # One at a time: what came with it would be out of sight for half a minute.
        found = cloud.client("sqs").receive_message(
            QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=1
        )
        for each in found.get("Messages", []):
            event = json.loads(each["Body"])
            if matches(event):
                cloud.client("sqs").delete_message(
                    QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"]
                )
                return event
    raise AssertionError("no such event came")


def test_a_file_with_an_odd_name_becomes_a_clip_and_the_outbox_says_so(cloud, prompt, watcher):
    version = put(cloud, ODD, {"prompt": prompt, "duration": 1, "clipId": "odd"})
    name = ODD.removeprefix("inbox/").removesuffix(".json")
    accepted = outbox(cloud, name, "accepted")
    result = outbox(cloud, name, "result")

    assert accepted["inbox"]["key"] == ODD
    assert accepted["inbox"]["versionId"] == result["inbox"]["versionId"] == version
    assert (result["success"], result["status"]) == (True, "finalized")
    bucket, _, key = result["result"]["video"]["url"].removeprefix("s3://").partition("/")
    assert bucket == cloud.endpoints.bucket
    cloud.client("s3").head_object(Bucket=bucket, Key=key)
    assert cloud.render(accepted["renderId"])["caller"].startswith("s3:")
    ready = heard(cloud, watcher, lambda e: e["detail"].get("renderId") == accepted["renderId"])
    assert ready["detail-type"] == "ClipReady"
    assert len(cloud.jobs(prompt)) == 1


def test_a_script_with_an_order_becomes_a_film_and_a_bad_file_nothing(cloud, prompt, watcher):
    clips = [{"id": name, "prompt": f"{prompt} {name}", "duration": 1} for name in "ab"]
    film = {"schemaVersion": "1.0", "requestId": "from-inbox", "clips": clips}
    put(cloud, "inbox/film.json", {"script": film, "order": {"clip": ["b"], "maxCostUsd": 1}})
    put(cloud, "inbox/bad.json", {"script": film, "order": {"clip": ["z"]}})

    error = outbox(cloud, "bad", "error")
    assert [each["field"] for each in error["errors"]] == ["order.clip"]
    told = heard(cloud, watcher, lambda e: e["detail-type"] == "RequestRefused")
    assert told["detail"]["inbox"]["key"] == "inbox/bad.json"
    result = outbox(cloud, "film", "result")
    assert (result["filmId"], result["status"]) == ("from-inbox", "finished")
    assert [(row["clipId"], row["status"]) for row in result["clips"]] == [("b", "finalized")]
    assert [len(cloud.jobs(f"{prompt} {name}")) for name in "ab"] == [0, 1]


def test_events_that_ask_for_a_clip_make_one_and_what_is_at_fault_is_told_of(
    cloud, prompt, watcher
):
    detail = {"prompt": prompt, "duration": 1, "refCode": prompt[-40:], "idempotencyKey": prompt}
    entries = [
        {
            "EventBusName": cloud.endpoints.event_bus,
            "Source": "storefront.orders",
            "DetailType": "ClipRequested",
            "Detail": json.dumps(each),
        }
        for each in (detail, {**detail, "duration": 99, "idempotencyKey": "x"}, detail)
    ]
    assert cloud.client("events").put_events(Entries=entries)["FailedEntryCount"] == 0

    by_type = {}
    for _ in range(4):  # a bus may hear of each more than once
        event = heard(
            cloud,
            watcher,
            lambda e: (
                e["detail"].get("refCode") == prompt[-40:]
                or e["detail"].get("source") == "storefront.orders"
            ),
        )
        by_type[event["detail-type"]] = event["detail"]
        if len(by_type) == 2:
            break
    assert set(by_type) == {"ClipReady", "RequestRefused"}
    assert by_type["RequestRefused"]["errors"][0]["field"] == "duration"
    assert len(cloud.jobs(prompt)) == 1


def test_a_render_whose_execution_was_stopped_is_swept_up_and_paid_for_once(cloud, prompt):
    render_id = cloud.submit(prompt=f"{prompt} [[sim:slow]]")["renderId"]
    end = time.monotonic() + 30
    while not cloud.render(render_id)["requestId"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    arn = cloud.endpoints.state_machine_arn.replace("stateMachine", "execution")
    cloud.client("stepfunctions").stop_execution(executionArn=f"{arn}:{render_id}-1")

    swept = sweep(cloud.endpoints, may_post=True)

    assert render_id in swept.resumed
    assert cloud.rest(render_id)["status"] == "finalized"
    assert len(cloud.jobs(f"{prompt} [[sim:slow]]")) == 1
    assert render_id not in sweep(cloud.endpoints, may_post=True).resumed
