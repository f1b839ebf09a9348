"""Processes that die: function processes in the middle of their work, and the whole stack."""

import os
import signal
import time

import pytest

from local_stack import sweep

pytestmark = [pytest.mark.e2e, pytest.mark.long]


def wait_for(check, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = check()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def test_start_killed_in_the_middle_of_its_post_never_posts_again(own, prompt):
    prompt = f"{prompt} [[sim:slow_start]]"
    render_id = own.submit(prompt=prompt)["renderId"]
    wait_for(lambda: own.jobs(prompt))

    assert own.kill_functions() >= 1
    done = own.rest(render_id)

    assert done["status"] == "submit_unknown"
    assert done["attempts"][0]["outcome"] == "unknown"
    assert len(own.jobs(prompt)) == 1
    attached = own.call(
        "POST", f"/v1/videos/{render_id}/attach", {"requestId": own.jobs(prompt)[0]["id"]}
    )
    assert attached.status_code == 200
    assert own.rest(render_id)["status"] == "finalized"
    assert len(own.jobs(prompt)) == 1


def test_functions_killed_again_and_again_still_end_in_one_clip_paid_once(own, prompt):
    ids = [
        own.submit(prompt=prompt, clipId=f"c{n}", pipelineRequestId="k")["renderId"]
        for n in range(3)
    ]
    for _ in range(6):
        time.sleep(0.7)
        own.kill_functions()

    done = [own.rest(render_id) for render_id in ids]

    for each in done:
        assert each["status"] in {"finalized", "submit_unknown"}, each["error"]
    posted = sum(len(each["attempts"]) for each in done)
    assert len(own.jobs(prompt)) <= posted == 3


def test_a_stack_that_was_killed_comes_back_with_its_records_and_resumes_without_a_second_post(
    own, prompt
):
    finished = own.submit(prompt=f"{prompt} before")["renderId"]
    own.rest(finished)
    render_id = own.submit(prompt=prompt)["renderId"]
    wait_for(lambda: own.render(render_id)["requestId"])
    for process in own.stack.status().emulators:
        os.kill(process, signal.SIGKILL)

    own.endpoints = own.stack.up()

    assert own.render(finished)["status"] == "finalized"
    assert own.render(render_id)["status"] in {"rendering", "rendered"}
    # What `local up` does then, and a schedule otherwise.
    assert render_id in sweep(own.endpoints, may_post=True).resumed
    assert own.rest(render_id)["status"] == "finalized"
    assert len(own.jobs(prompt)) == 1
