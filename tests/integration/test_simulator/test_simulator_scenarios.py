"""Each marker does what its row says, and leaves as many jobs as it should."""

from __future__ import annotations

import time

import httpx
import pytest

from xai_simulator import downloads, endings, faults, uploads
from xai_simulator.scenarios import SCENARIOS

TICKS = 500_000_000


BRIEF = httpx.Timeout(30, read=0.2)


def jobs(xai):
    return len(xai.simulator.jobs())


def until(holds):
    deadline = time.monotonic() + 30
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert holds()


def test_every_marker_has_something_behind_it():
    acted_on = {
        *faults.FAULTS,
        *endings.CHANGES,
        *endings.PENDING_CHANGES,
        *downloads.SERVES,
        *uploads.MODES,
        *("hang", "slow", "zdr", "no1080p"),
    }
    assert acted_on == set(SCENARIOS)


STARTS = {
    "start429": (429, "Too many requests for team"),
    "start500": (500, "internal error"),
    "start502": (502, "502 Bad Gateway"),
    "start503": (503, "unavailable"),
    "start529": (529, "overloaded"),
}


@pytest.mark.parametrize("name", STARTS)
def test_a_first_start_fails_before_a_job_exists_and_the_next_works(xai, name):
    status, text = STARTS[name]
    prompt = f"a fox [[sim:{name}]]"
    reply = xai.generate(prompt)
    assert reply.status_code == status
    assert text in reply.text
    assert jobs(xai) == 0
    assert xai.generate(prompt).status_code == 200
    assert xai.generate(f"another {prompt}").status_code == status
    assert jobs(xai) == 1


def test_a_number_says_how_often_a_marker_strikes(xai):
    statuses = [xai.generate("[[sim:start503=2]] x").status_code for _ in range(3)]
    assert statuses == [503, 503, 200]


def test_markers_before_a_job_strike_one_after_the_other(xai):
    prompt = "[[sim:start429]] x [[sim:start503]]"
    assert [xai.generate(prompt).status_code for _ in range(3)] == [429, 503, 200]


def test_a_reset_forgets_which_prompts_were_struck(xai):
    prompt = "x [[sim:start503]]"
    assert xai.generate(prompt).status_code == 503
    xai.simulator.reset()
    assert xai.generate(prompt).status_code == 503


def test_a_start_can_be_dropped_before_a_job_exists(xai):
    with pytest.raises(httpx.RemoteProtocolError):
        xai.generate("x [[sim:start_drop]]")
    assert jobs(xai) == 0


@pytest.mark.parametrize(("name", "status"), [("denied", 403), ("start_redirect", 307)])
def test_a_start_can_be_refused_for_ever(xai, name, status):
    assert [xai.generate(f"x [[sim:{name}]]").status_code for _ in range(2)] == [status] * 2
    assert jobs(xai) == 0


@pytest.mark.parametrize("status", [429, 403])
def test_out_of_credits_differs_from_a_rate_limit_only_in_its_text(xai_with, status):
    xai = xai_with(nocredits_status=status)
    for _ in range(2):
        reply = xai.generate("x [[sim:nocredits]]")
        assert reply.status_code == status
        assert "has either used all available credits or reached its monthly" in reply.text
    assert jobs(xai) == 0


def test_a_lost_answer_leaves_a_job_that_is_billed(xai):
    with pytest.raises(httpx.RemoteProtocolError):
        xai.generate("x [[sim:lost]]")
    assert jobs(xai) == 1
    assert xai.simulator.requests()[-1]["status"] is None
    body = xai.ended(xai.simulator.jobs()[0]["id"]).json()
    assert body["status"] == "done"


@pytest.mark.parametrize(("name", "status"), [("lost503", 503), ("lost504", 504)])
def test_an_error_can_hide_a_job(xai, name, status):
    assert xai.generate(f"x [[sim:{name}]]").status_code == status
    assert jobs(xai) == 1


def test_a_garbled_answer_leaves_a_job(xai):
    with pytest.raises(httpx.RemoteProtocolError):
        xai.generate("x [[sim:garbled]]")
    assert jobs(xai) == 1


def test_a_slow_start_answers_after_a_minute_of_its_clock(xai):
    began = time.monotonic()
    assert xai.generate("x [[sim:slow_start]]").status_code == 200
    assert 60 * 0.02 <= time.monotonic() - began < 30
    assert jobs(xai) == 1


def test_a_client_that_gives_up_on_a_slow_start_leaves_a_job(xai):
    with pytest.raises(httpx.ReadTimeout):
        xai.post("videos/generations", {"prompt": "[[sim:slow_start]]"}, timeout=BRIEF)
    until(lambda: jobs(xai) == 1)
    assert jobs(xai) == 1


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [
        ("start_no_id", 200, "{}"),
        ("start_null_id", 200, '{"request_id":null}'),
        ("start_empty", 200, ""),
        ("start_html", 200, "<html>"),
        ("start_redirected", 303, ""),
    ],
)
def test_an_answer_can_lack_the_request_id(xai, name, status, text):
    reply = xai.generate(f"x [[sim:{name}]]")
    assert reply.status_code == status
    assert reply.text.startswith(text)
    assert jobs(xai) == 1


FIRST_POLLS = {
    "poll408": [408],
    "poll429": [429],
    "poll500": [500],
    "poll502": [502],
    "poll503": [503],
    "poll529": [529],
    "poll404": [404, 404],
    "bad_key_poll": [400, 400, 400],
    "poll401": [401, 401],
    "poll403": [403, 403],
}


@pytest.mark.parametrize("name", FIRST_POLLS)
def test_the_first_polls_of_each_job_fail_and_the_job_goes_on(xai, name):
    for _ in range(2):
        request_id = xai.start(f"x [[sim:{name}]]")
        wanted = FIRST_POLLS[name]
        assert [xai.poll(request_id).status_code for _ in wanted] == wanted
        assert xai.ended(request_id).json()["status"] == "done"


def test_a_poll_can_say_that_the_key_is_wrong(xai):
    reply = xai.poll(xai.start("x [[sim:bad_key_poll]]"))
    assert reply.json()["code"] == "invalid-argument"
    assert reply.json()["error"].startswith("Incorrect API key provided: ")


def test_a_job_can_be_lost_for_ever(xai):
    request_id = xai.start("x [[sim:job_lost]]")
    for _ in range(3):
        reply = xai.poll(request_id)
        assert reply.status_code == 404
        assert "No deferred video could be found" in reply.json()["error"]


def test_a_poll_can_be_dropped(xai):
    request_id = xai.start("x [[sim:poll_drop]]")
    with pytest.raises(httpx.RemoteProtocolError):
        xai.poll(request_id)
    assert xai.ended(request_id).json()["status"] == "done"


def test_a_poll_can_be_slow(xai):
    request_id = xai.start("x [[sim:poll_slow]]")
    with pytest.raises(httpx.ReadTimeout):
        xai.http.get(f"/v1/videos/{request_id}", timeout=BRIEF)
    assert xai.ended(request_id).json()["status"] == "done"


@pytest.mark.parametrize("name", ["truncated_json", "poll_html", "poll_empty200"])
def test_a_poll_can_be_unreadable(xai, name):
    request_id = xai.start(f"x [[sim:{name}]]")
    first = xai.poll(request_id)
    assert first.status_code == 200
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        first.json()
    assert xai.ended(request_id).json()["status"] == "done"


def test_pending_answers_can_be_empty(xai):
    reply = xai.poll(xai.start("x [[sim:empty202]] [[sim:hang]]"))
    assert (reply.status_code, reply.content) == (202, b"")
    assert xai.finish("x [[sim:empty202]]")["status"] == "done"


def test_pending_answers_can_lack_progress(xai):
    assert xai.poll(xai.start("x [[sim:no_progress]] [[sim:hang]]")).json() == {"status": "pending"}


def test_progress_can_go_backwards(xai):
    request_id = xai.start("x [[sim:backwards]] [[sim:hang]]")
    seen = [xai.poll(request_id).json()["progress"] for _ in range(3)]
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > seen[2]


def test_an_unheard_of_status_passes(xai):
    request_id = xai.start("x [[sim:unknown_status]]")
    seen = [xai.poll(request_id).json()["status"] for _ in range(3)]
    assert seen == ["defragmenting"] * 3
    assert xai.ended(request_id).json()["status"] == "done"


def test_a_job_can_hang(xai):
    request_id = xai.start("x [[sim:hang]]")
    time.sleep(0.6)
    assert xai.poll(request_id).json()["progress"] == 99
    assert xai.simulator.jobs()[0]["status"] == "pending"


@pytest.mark.parametrize("name", endings.FAILURES)
def test_a_job_can_fail_with_each_code(xai, conforms, name):
    body = xai.finish(f"x [[sim:{name}]]")
    conforms("VideoResponse", body)
    code, message = endings.FAILURES[name]
    assert body == {"status": "failed", "error": {"code": code, "message": message}}


def test_a_job_can_fail_without_a_reason(xai):
    assert xai.finish("x [[sim:failed_no_error]]") == {"status": "failed"}


def test_a_job_can_expire(xai):
    assert xai.finish("x [[sim:expired]]") == {"status": "expired"}
    assert xai.simulator.jobs()[0]["billed"] is False


@pytest.mark.parametrize(("name", "url"), [("moderated", ""), ("moderated_null", None)])
def test_a_moderated_job_is_done_without_a_url_and_billed(xai, conforms, name, url):
    body = xai.finish(f"x [[sim:{name}]]")
    conforms("VideoResponse", body)
    assert body["status"] == "done"
    assert body["video"] == {"url": url, "duration": 1, "respect_moderation": False}
    assert body["usage"]["cost_in_usd_ticks"] == TICKS
    assert xai.simulator.jobs()[0]["billed"] is True


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("moderated_400", "Client specified an invalid argument"),
        ("moderated_400_new", "imagine:content-moderated"),
    ],
)
def test_a_moderated_job_can_answer_400_with_its_cost(xai, name, code):
    reply = xai.ended(xai.start(f"x [[sim:{name}]]"))
    assert reply.status_code == 400
    assert reply.json() == {
        "code": code,
        "error": "Generated video rejected by content moderation.",
        "usage": {"cost_in_usd_ticks": TICKS},
    }


def test_the_done_body_of_early_2026_has_no_status(xai):
    body = xai.finish("x [[sim:no_status]]")
    assert "status" not in body
    assert httpx.get(body["video"]["url"]).status_code == 200


def test_only_the_stored_file_can_hold_the_clip(xai, conforms):
    body = xai.finish("x [[sim:file_only]]")
    conforms("VideoResponse", body)
    assert body["video"]["url"] is None
    assert httpx.get(body["video"]["file_output"]["public_url"]).content[4:8] == b"ftyp"


def test_only_the_upload_can_hold_the_clip(xai):
    body = xai.finish("x [[sim:upload_only]]", output={"upload_url": xai.asset("put/c")})
    assert body["video"]["url"] is None
    assert httpx.get(xai.asset("put/c")).content[4:8] == b"ftyp"


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("no_url", lambda body: body["video"]["url"] is None),
        ("no_video", lambda body: "video" not in body),
        ("no_usage", lambda body: "usage" not in body),
        ("surprise_cost", lambda body: body["usage"]["cost_in_usd_ticks"] == 10 * TICKS),
        ("private_url", lambda body: body["video"]["url"].startswith("http://169.254.169.254")),
        ("file_url", lambda body: body["video"]["url"].startswith("file:")),
        ("storage_error", lambda body: body["video"]["storage_error"]),
        ("public_url_error", lambda body: body["video"]["file_output"]["public_url_error"]),
    ],
)
def test_a_done_body_can_be_odd(xai, name, check):
    options = {"filename": "a.mp4", "public_url": True}
    body = xai.finish(f"x [[sim:{name}]]", storage_options=options)
    assert body["status"] == "done"
    assert check(body)


@pytest.mark.parametrize("name", ["witness_late", "witness_never", "witness_broken"])
def test_a_witness_can_be_late_missing_or_broken(xai_with, name):
    xai = xai_with(witness_delay=150)
    target = xai.asset(f"put/{name}")
    body = xai.finish(f"x [[sim:{name}]]", output={"upload_url": target})
    whole = httpx.get(body["video"]["url"]).content
    at_once = httpx.get(target)
    if name == "witness_late":
        until(lambda: httpx.get(target).status_code == 200)
    time.sleep(0.5)
    later = httpx.get(target)
    seen = (at_once.status_code, later.status_code, later.content == whole)
    wanted = {
        "witness_late": (404, 200, True),
        "witness_never": (404, 404, False),
        "witness_broken": (200, 200, False),
    }
    assert seen == wanted[name]
