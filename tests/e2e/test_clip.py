"""One clip through the real template, as its users see it."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.conftest import probe

pytestmark = pytest.mark.e2e


def test_text_to_video_becomes_a_playable_mp4_with_its_manifest_entry(cloud, prompt, tmp_path):
    accepted = cloud.submit(prompt=prompt, duration=3, clipId="opener", pipelineRequestId="film-t")
    assert accepted["status"] == "planned"
    assert accepted["estimatedCostUsd"] == 0.15

    done = cloud.rest(accepted["renderId"])

    assert done["status"] == "finalized", done["error"]
    video = done["result"]["video"]
    content = httpx.get(video["url"]).content
    assert hashlib.sha256(content).hexdigest() == video["sha256"]
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    facts = probe(path)
    assert "Video: h264" in facts
    assert "Audio: aac" in facts
    assert "Duration: 00:00:03.0" in facts
    assert f"{video['width']}x{video['height']}" in facts
    assert video["height"] == 480
    [clip] = cloud.call("GET", "/v1/films/film-t/manifest").json()["clips"]
    assert clip["_key"] == "opener::draft"
    assert clip["requestId"] == video["requestId"] == cloud.jobs(prompt)[0]["id"]
    assert clip["costUsd"] == clip["estimatedCostUsd"] == 0.15
    assert len(cloud.jobs(prompt)) == 1
    sidecar = cloud.client("s3").get_object(Bucket=cloud.endpoints.bucket, Key=video["sidecarKey"])[
        "Body"
    ]
    assert json.load(sidecar)["prompt"] == prompt


def test_image_to_video_takes_an_inline_image_that_never_enters_the_state(cloud, prompt):
    origin = cloud.endpoints.simulator_origin
    image = httpx.get(f"{origin}/assets/first.png").content
    import base64

    url = "data:image/png;base64," + base64.b64encode(image).decode()
    accepted = cloud.submit(prompt=prompt, imageUrl=url)
    assert accepted["qualityMode"] == "draft_i2v"

    done = cloud.rest(accepted["renderId"])

    assert done["status"] == "finalized", done["error"]
    assert len(cloud.jobs(prompt)) == 1
    machine = cloud.client("stepfunctions")
    arn = cloud.endpoints.state_machine_arn.replace("stateMachine", "execution")
    execution = machine.describe_execution(executionArn=f"{arn}:{accepted['renderId']}-1")
    assert len(execution["input"]) < 64 * 1024
    assert "base64" not in execution["input"]


def test_image_to_video_edit_and_extend_take_urls(cloud, prompt):
    origin = cloud.endpoints.simulator_origin
    requests = [
        {"imageUrl": f"{origin}/assets/first.png"},
        {"sourceVideoUrl": f"{origin}/assets/in.mp4"},
        {"sourceVideoUrl": f"{origin}/assets/in.mp4", "operation": "extend", "duration": 2},
        {"sourceVideoUrl": f"{origin}/assets/in.mp4", "remaster": True},
        {"referenceImageUrls": [f"{origin}/assets/first.png"]},
        {
            "qualityMode": "draft_15",
            "imageUrl": f"{origin}/assets/first.png",
            "lastFrameUrl": f"{origin}/assets/first.png",
        },
    ]
    ids = []
    for fields in requests:
        if "sourceVideoUrl" in fields and "duration" not in fields:
            fields = {**fields, "duration": 1}  # reported as without effect
        ids.append(cloud.submit(prompt=prompt, **fields)["renderId"])

    done = [cloud.rest(render_id) for render_id in ids]

    assert [d["status"] for d in done] == ["finalized"] * len(requests), [d["error"] for d in done]
    assert [d["operation"] for d in done] == [
        "generate",
        "edit",
        "extend",
        "edit",
        "generate",
        "generate",
    ]
    assert len(cloud.jobs(prompt)) == len(requests)


def test_the_same_idempotency_key_from_eight_clients_at_once_is_one_render(cloud, prompt):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: cloud.submit(prompt, prompt=prompt), range(8)))

    assert len({json.dumps(answer, sort_keys=True) for answer in answers}) == 1
    assert cloud.rest(answers[0]["renderId"])["status"] == "finalized"
    assert len(cloud.jobs(prompt)) == 1
    other = cloud.call(
        "POST",
        "/v1/videos",
        {"prompt": f"{prompt} changed"},
        headers={"Idempotency-Key": prompt},
    )
    assert other.status_code == 409
    assert other.headers["content-type"] == "application/problem+json"


def test_a_finished_clip_is_announced_on_the_event_bus(cloud, prompt):
    queue = cloud.client("sqs").create_queue(QueueName="watcher")["QueueUrl"]
    arn = cloud.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    bus = cloud.endpoints.event_bus
    events = cloud.client("events")
    events.put_rule(
        Name="watch", EventBusName=bus, EventPattern=json.dumps({"source": ["videoconductor"]})
    )
    events.put_targets(
        Rule="watch",
        EventBusName=bus,
        Targets=[{"Id": "queue", "Arn": arn["Attributes"]["QueueArn"]}],
    )
    render_id = cloud.submit(prompt=prompt)["renderId"]
    failed_id = cloud.submit(prompt=f"{prompt} [[sim:moderated]]")["renderId"]
    cloud.rest(render_id)
    cloud.rest(failed_id)

    seen = {}
    for _ in range(20):
        found = cloud.client("sqs").receive_message(
            QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10
        )
        for each in found.get("Messages", []):
            event = json.loads(each["Body"])
            seen[event["detail"]["renderId"]] = event
        if {render_id, failed_id} <= set(seen):
            break

    assert seen[render_id]["detail-type"] == "ClipReady"
    assert seen[failed_id]["detail-type"] == "ClipFailed"
    assert seen[failed_id]["detail"]["failure"]["error"] == "ModerationRejected"
    assert "prompt" not in json.dumps(seen[render_id]["detail"])


def test_bad_input_names_field_value_and_choices_and_nothing_is_written_or_sent(cloud, prompt):
    before = len(cloud.journal()["requests"])
    listed = {v["renderId"] for v in cloud.call("GET", "/v1/videos?limit=100").json()["videos"]}
    cases = [
        (b"{", "body"),
        (b"", "body"),
        (b"[]", "body"),
        (b"[" * 50_000, "body"),
        ({"prompt": prompt, "duration": 16}, "duration"),
        ({"prompt": prompt, "duration": "6"}, "duration"),
        ({"prompt": prompt, "duration": 7.5}, "duration"),
        ({"prompt": prompt, "qualityMode": "best"}, "qualityMode"),
        ({"prompt": prompt, "qualityMod": "draft"}, "qualityMod"),
        ({"prompt": "x" * 4097}, "prompt"),
        ({}, "prompt"),
        ({"prompt": prompt, "qualityMode": "production_i2v"}, "imageUrl"),
        ({"prompt": prompt, "imageUrl": "http://example.com/a.png"}, "imageUrl"),
        ({"prompt": prompt, "imageUrl": "https://169.254.169.254/a.png"}, "imageUrl"),
        ({"prompt": prompt, "imageUrl": "file:///etc/passwd"}, "imageUrl"),
        ({"prompt": prompt, "clipId": "../up"}, "clipId"),
        ({"prompt": prompt, "clipId": "a::b"}, "clipId"),
        ({"prompt": prompt, "clipId": "a\u0000b"}, "clipId"),
        ({"prompt": prompt, "resolution": "4k"}, "resolution"),
        ({"prompt": prompt, "aspectRatio": "17:9"}, "aspectRatio"),
        ({"prompt": prompt, "imageProvider": "google"}, "imageProvider"),
        ({"prompt": prompt, "maxCostUsd": 0.01}, "maxCostUsd"),
    ]

    for body, field in cases:
        answer = cloud.call("POST", "/v1/videos", body)
        shown = body if isinstance(body, dict) else body[:10]
        assert answer.status_code == 400, (shown, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        assert field in [error["field"] for error in answer.json()["errors"]], (shown, answer.text)

    choices = cloud.call("POST", "/v1/videos", {"prompt": prompt, "qualityMode": "best"}).json()
    assert "draft_i2v" in choices["errors"][0]["choices"]
    after = {v["renderId"] for v in cloud.call("GET", "/v1/videos?limit=100").json()["videos"]}
    assert after == listed
    assert len(cloud.journal()["requests"]) == before


def test_an_unknown_render_and_an_unknown_route_are_404_problems(cloud):
    for path in ("/v1/videos/nobody", "/v1/videos/nobody/cancel"):
        method = "POST" if path.endswith("cancel") else "GET"
        answer = cloud.call(method, path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


def test_no_log_holds_a_prompt_a_key_or_a_signed_url(cloud, prompt):
    secret_prompt = f"{prompt} the-words-nobody-may-log"
    done = cloud.rest(cloud.submit(prompt=secret_prompt)["renderId"])
    assert done["status"] == "finalized"
    logs = cloud.client("logs")
    text = ""
    for group in logs.describe_log_groups()["logGroups"]:
        for page in logs.get_paginator("filter_log_events").paginate(
            logGroupName=group["logGroupName"]
        ):
            text += "".join(event["message"] for event in page["events"])

    assert done["renderId"] in text
    # What Start logs first of all, should the table fail it then.
    assert f'"job":"{done["requestId"]}"' in text
    assert "the-words-nobody-may-log" not in text
    assert cloud.endpoints.simulator_key not in text
    assert "X-Amz-Signature" not in text
