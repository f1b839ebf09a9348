"""A film through the real template: stills, clips, pictures, its event; and what a crash costs."""

import io
import json
import os
import signal
import time

import httpx
import pytest
from PIL import Image

from tests.e2e.conftest import Cloud
from tests.e2e.test_crashes import wait_for

pytestmark = pytest.mark.e2e

OVER = {"finished", "incomplete"}


def script(film, prompt, *clips):
    """A film whose prompts are this test's own."""
    made = [
        {"id": f"{number:02}", "duration": 1}
        | {**clip, "prompt": f"{prompt} {number} {clip['prompt']}".strip()}
        for number, clip in enumerate(clips, 1)
    ]
    return {"schemaVersion": "1.0", "requestId": film, "clips": made}


PLAIN = {"prompt": ""}
FRAMED = {
    "prompt": "",
    "firstFrame": {"imagePrompt": "a bar at night"},
    "thumbnail": {
        "enabled": True,
        "template": "cta_bar",
        "overlays": [{"text": "Free", "role": "title"}],
    },
}


def hand_in(cloud: Cloud, film, query="", key=None):
    headers = {"Idempotency-Key": key} if key else {}
    answer = cloud.call("POST", f"/v1/films{query}", film, headers=headers)
    assert answer.status_code == 202, answer.text
    return answer.json()


def end(cloud: Cloud, accepted, seconds=60):
    """The run once it is over."""

    def over():
        answer = cloud.call("GET", accepted["links"]["self"])
        assert answer.status_code == 200, answer.text
        return answer.json() if answer.json()["status"] in OVER else None

    return wait_for(over, seconds)


def manifest(cloud: Cloud, film):
    answer = cloud.call("GET", f"/v1/films/{film}/manifest?presign=true")
    assert answer.status_code == 200, answer.text
    return {clip["_key"]: clip for clip in answer.json()["clips"]}


def jobs(cloud: Cloud, film):
    """How many jobs xAI started for each clip of a film."""
    return [len(cloud.jobs(clip["prompt"])) for clip in film["clips"]]


def picture(url):
    return Image.open(io.BytesIO(httpx.get(url).content))


def watched(cloud: Cloud, name):
    """A queue that gets every event of ours."""
    sqs, events, bus = cloud.client("sqs"), cloud.client("events"), cloud.endpoints.event_bus
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    pattern = json.dumps({"source": ["videoconductor"], "detail-type": ["FilmReady"]})
    events.put_rule(Name=name, EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": name, "Arn": arn["QueueArn"]}])

    def received(run_id):
        found = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        bodies = [json.loads(each["Body"]) for each in found.get("Messages", [])]
        return [body for body in bodies if body["detail"]["runId"] == run_id]

    return received


def test_a_film_is_made_with_stills_and_pictures_announced_and_taken_the_next_time(cloud, prompt):
    received = watched(cloud, "films")
    moderated = {"prompt": "[[sim:moderated]]"}
    film = script("film-e", prompt, PLAIN, FRAMED, moderated)

    accepted = hand_in(cloud, film)
    run = end(cloud, accepted)

    assert (accepted["due"], accepted["reused"]) == (3, 0)
    assert (run["status"], run["counts"]["done"], run["counts"]["failed"]) == ("incomplete", 2, 1)
    assert run["clips"][2]["error"]["error"] == "ModerationRejected"
    clips = manifest(cloud, "film-e")
    assert [clips[key]["status"] for key in sorted(clips)] == ["done", "done", "failed"]
    framed = clips["02::draft_i2v"]
    assert httpx.get(framed["downloads"]["video"]).headers["content-type"] == "video/mp4"
    assert picture(framed["downloads"]["thumbnail"]).size == (1280, 720)
    assert picture(framed["downloads"]["poster"]).format == "JPEG"
    assert picture(framed["downloads"]["firstFrame"]).width > 100
    assert clips["01::draft"]["downloads"]["thumbnail"] is None
    [event] = wait_for(lambda: received(accepted["runId"]))
    assert event["detail-type"] == "FilmReady"
    assert event["detail"]["missing"][0]["error"] == "ModerationRejected"
    stored = cloud.client("s3").get_object(
        Bucket=cloud.endpoints.bucket, Key=event["detail"]["resultKey"]
    )["Body"]
    assert [clip["status"] for clip in json.load(stored)["clips"]][:2] == ["finalized"] * 2
    # The execution of a film that is not whole ends red.
    machine = cloud.client("stepfunctions")
    [arn] = [
        each["stateMachineArn"]
        for each in machine.list_state_machines()["stateMachines"]
        if each["name"].endswith("-render-film")
    ]
    execution = machine.describe_execution(
        executionArn=f"{arn.replace(':stateMachine:', ':execution:')}:{accepted['runId']}-1"
    )
    assert (execution["status"], execution["error"]) == ("FAILED", "FilmIncomplete")
    assert jobs(cloud, film) == [1, 1, 1]

    whole = {**film, "clips": film["clips"][:2]}
    again = hand_in(cloud, whole)
    assert (again["due"], again["reused"], again["estimatedCostUsd"]) == (0, 2, 0)
    assert end(cloud, again)["status"] == "finished"
    assert jobs(cloud, film) == [1, 1, 1]


def test_a_remaster_starts_from_the_same_still(cloud, prompt):
    film = script("film-r", prompt, FRAMED)
    end(cloud, hand_in(cloud, film))
    stills = [job for job in cloud.journal()["jobs"] if job["operation"] == "image"]

    run = end(cloud, hand_in(cloud, film, "?remaster=true"))

    assert run["status"] == "finished", run["clips"]
    clips = manifest(cloud, "film-r")
    draft, remaster = clips["01::draft_i2v"], clips["01::production_i2v"]
    assert remaster["remasterFromRequestId"] == draft["requestId"]
    assert draft["remasteredAs"] == ["01::production_i2v"]
    assert remaster["firstFrameUrl"] == draft["firstFrameUrl"]
    assert remaster["resolution"] == "720p"
    assert [j for j in cloud.journal()["jobs"] if j["operation"] == "image"] == stills


def test_the_same_key_at_once_and_the_same_script_at_once_make_each_clip_once(cloud, prompt):
    from concurrent.futures import ThreadPoolExecutor

    film = script("film-k", prompt, PLAIN, PLAIN)
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda n: hand_in(cloud, film, key=prompt if n < 6 else None), range(8))
        )

    assert len({answer["runId"] for answer in answers}) == 3
    assert len({json.dumps(answer) for answer in answers[:6]}) == 1
    assert {end(cloud, answer)["status"] for answer in answers} == {"finished"}
    assert jobs(cloud, film) == [1, 1]
    runs = cloud.call("GET", "/v1/films/film-k/manifest").json()["runs"]
    assert len(runs) == 3


def test_the_least_privilege_roles_are_enough_for_a_whole_film(cloud, prompt):
    refused = {"prompt": "[[sim:nocredits]]"}
    film = script("film-g", prompt, PLAIN, FRAMED, refused)

    received = watched(cloud, "films")
    accepted = hand_in(cloud, film)
    run = end(cloud, accepted)

    states = {clip["clipId"]: (clip["status"], clip["error"]) for clip in run["clips"]}
    assert states["01"] == ("finalized", None)
    assert states["02"] == ("finalized", None)
    assert states["03"][1]["error"] == "OutOfCredits"
    assert run["status"] == "incomplete"
    clips = manifest(cloud, "film-g")
    for name in ("video", "firstFrame", "thumbnail", "poster"):
        assert httpx.get(clips["02::draft_i2v"]["downloads"][name]).status_code == 200, name
    assert wait_for(lambda: received(accepted["runId"]))
    assert jobs(cloud, film) == [1, 1, 0]
    # What the doors may do beside: repair, take in, remaster, resume, decide, change back.
    whole = {**film, "clips": film["clips"][:2]}
    assert end(cloud, hand_in(cloud, whole))["status"] == "finished"
    changed = json.loads(json.dumps(whole))
    changed["clips"][0]["prompt"] += " changed"
    assert end(cloud, hand_in(cloud, changed, "?clip=01"))["status"] == "finished"
    assert end(cloud, hand_in(cloud, whole))["status"] == "finished"
    assert manifest(cloud, "film-g")["01::draft"]["renderId"] == clips["01::draft"]["renderId"]
    existing = {"clips": [{"id": "09", "status": "done", "url": "https://example.com/a.mp4"}]}
    taken = cloud.call("POST", "/v1/films/film-g/manifest", existing)
    assert taken.json()["imported"] == ["09::draft"], taken.text
    resumed = cloud.call("POST", "/v1/films/film-g/resume")
    assert resumed.status_code == 409, resumed.text
    remaster = hand_in(cloud, whole, "?remaster=true&clip=02&maxCostUsd=1")
    assert end(cloud, remaster)["status"] == "finished"
    assert jobs(cloud, film) == [1, 2, 0]


def stills(cloud: Cloud):
    return sum(job["operation"] == "image" for job in cloud.journal()["jobs"])


def kill_everything(cloud: Cloud):
    found = cloud.stack.status()
    for process in (*found.emulators, *found.functions, *found.simulators):
        os.kill(process, signal.SIGKILL)


def settled(cloud: Cloud, film, run):
    """Decide, as a person does, about the clips nobody can account for; a run without any."""
    if not run["counts"]["unresolved"]:
        return run
    for clip, row in zip(film["clips"], run["clips"], strict=True):
        if row["status"] == "submit_unknown":
            found = cloud.jobs(clip["prompt"])
            path = f"/v1/videos/{row['renderId']}/{'attach' if found else 'abandon'}"
            body = {"requestId": found[0]["id"]} if found else None
            assert cloud.call("POST", path, body).status_code == 200
    return end(cloud, hand_in(cloud, film))


@pytest.mark.long
def test_a_stack_killed_in_the_middle_of_a_film_ends_it_without_paying_twice(own, prompt):
    film = script("film-c", prompt, PLAIN, FRAMED, PLAIN)
    accepted = hand_in(own, film)
    wait_for(lambda: sum(jobs(own, film)) >= 2)
    kill_everything(own)

    own.endpoints = own.stack.up()
    again = hand_in(own, film)
    run = end(own, again)
    made = stills(own)
    # Until a person decides: what nobody can account for is not paid for again.
    assert max(jobs(own, film)) <= 1
    assert made <= 1
    framed = own.render(run["clips"][1]["renderId"])
    is_lost = framed["stillAttempts"][-1]["outcome"] == "unknown"
    run = settled(own, film, run)

    assert run["status"] == "finished", run["clips"]
    assert jobs(own, film) == [1, 1, 1]
    # Whoever abandons a still that may have been made has another one made.
    assert stills(own) == (made + 1 if is_lost else 1)
    clips = manifest(own, "film-c")
    assert all(clip["status"] == "done" for clip in clips.values())
    for clip in clips.values():
        assert httpx.get(clip["downloads"]["video"]).status_code == 200
    assert again["runId"] != accepted["runId"]
    # Nothing is left that somebody would have to end.
    time.sleep(0.5)
    runs = own.call("GET", "/v1/films/film-c/manifest").json()["runs"]
    assert all(each["status"] in OVER for each in runs), runs
