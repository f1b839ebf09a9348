"""Witnesses: where they go, who asks for them, and whose may finish a render."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from videoconductor import intake, permits, planning, recovering, revival
from videoconductor.clip import SETTLED, Attempt, Delivery, Failure, Render
from videoconductor.errors import SubmitUnknown
from videoconductor.library import Library
from videoconductor.models import ModelCatalog
from videoconductor.providers import xai
from videoconductor.quality import QualityModes

PRESETS = Path(__file__).parents[2] / "presets"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
UPLOAD = "https://bucket.example.com/incoming/r/1.mp4?X-Amz-Signature=5ec4e7"
PLAN = planning.plan(
    intake.clip_request(json.dumps({"prompt": "a lamp"})),
    QualityModes.from_json((PRESETS / "video-presets.json").read_text()),
    ModelCatalog.from_json((PRESETS / "models.json").read_text()),
)


def attempt(number, outcome="unknown", witness="sent", **fields):
    return Attempt(
        number=number,
        permitted_at=NOW,
        lease_until=NOW,
        outcome=outcome,
        witness=witness,
        reserved_ticks=100,
        **fields,
    )


def render(*attempts, status="submit_unknown", error="SubmitUnknown", **fields):
    fields = {
        "render_id": "r",
        "clip_id": "c",
        "pipeline_request_id": "f",
        "plan": PLAN,
        "caller": "ann",
        "request_sha256": "0",
        "created_at": NOW,
        "status": status,
        "attempts": attempts,
        "failure": error and Failure(error=error, message="x"),
        **fields,
    }
    return Render(**fields)


@pytest.fixture(scope="module")
def library():
    s3 = boto3.client(
        "s3",
        region_name="eu-central-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(signature_version="s3v4", s3={"addressing_style": "virtual"}),
    )
    return Library("library", s3, "generated/videos")


# -- places ----------------------------------------------------------------------------------------


def test_a_place_is_read_as_it_is_written(library):
    for number in (1, 2, 17):
        key = library.witness_key("6f1c0a52", number)
        assert library.witnessed("library", key) == ("6f1c0a52", number)
    assert library.witnessed("library", "incoming/Ä b:c/1.mp4") == ("Ä b:c", 1)


@pytest.mark.parametrize(
    "key",
    [
        "incoming/r/0.mp4",
        "incoming/r/01.mp4",
        "incoming/r/-1.mp4",
        "incoming/r/1.MP4",
        "incoming/r/1.mp4\n",
        "incoming/r/1.mp4/",
        "incoming/r/s/1.mp4",
        "incoming//1.mp4",
        "incoming/r/\u0661.mp4",
        "incoming/r/9999999.mp4",
        "incoming/r/still-1",
        "xincoming/r/1.mp4",
        "generated/videos/r/1.mp4",
        "",
    ],
)
def test_whatever_else_lies_there_is_nobodys_witness(library, key):
    assert library.witnessed("library", key) is None
    assert library.witnessed("another", "incoming/r/1.mp4") is None


def test_a_still_has_a_place_that_no_clip_has(library):
    key = library.still_witness_key("r", 1)
    assert key != library.witness_key("r", 1)
    assert library.witnessed("library", key) is None


def test_the_url_signs_the_host_and_nothing_that_the_uploader_may_choose(library):
    url = library.upload_url(library.witness_key("r", 1), 43_200)
    assert url.startswith("https://library.s3.eu-central-1.amazonaws.com/incoming/r/1.mp4?")
    assert "X-Amz-SignedHeaders=host&" in url
    assert "X-Amz-Expires=43200" in url
    assert "checksum" not in url.lower()


# -- the POST --------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["generate", "edit", "extend"])
def test_every_operation_names_the_place(operation):
    asked = PLAN.model_copy(update={"operation": operation, "source_video_url": "https://a/b.mp4"})
    body = xai.body(asked, lambda frame: frame.url, UPLOAD)
    assert body["output"] == {"upload_url": UPLOAD}
    without = xai.body(asked, lambda frame: frame.url)
    assert without == {name: held for name, held in body.items() if name != "output"}


def test_a_stills_post_names_one_place_for_its_one_image():
    asked = PLAN.model_copy(update={"first_frame_prompt": "a lamp", "image_model": "m"})
    body = xai.still_body(asked, UPLOAD)
    assert (body["n"], body["output"]) == (1, {"upload_urls": [UPLOAD]})
    assert "output" not in xai.still_body(asked)


@pytest.mark.parametrize("status", [500, 400, 200])
def test_what_xai_says_about_the_url_is_kept_without_what_opens_it(serve, status):
    words = json.dumps({"error": f"cannot deliver to {UPLOAD}"}).encode()
    head = b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(words))
    server = serve(head + words)
    provider = xai.Xai(f"{server.origin}/v1", lambda renew: "key")
    with pytest.raises(Exception, match=r"bucket\.example\.com") as raised:
        provider.start(PLAN, lambda frame: frame.url, "t", UPLOAD)
    assert isinstance(raised.value, SubmitUnknown) is (status != 400)
    assert "5ec4e7" not in str(raised.value)


# -- whose witness counts --------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(SETTLED | {"planned", "rendering", "rendered"}))
def test_only_a_render_at_rest_without_a_clip_is_finished_by_its_witness(status):
    record = render(attempt(1), status=status)
    is_short = status in {"submit_unknown", "stalled", "failed"}
    assert recovering.finishing(record) == ([1] if is_short else [])
    assert recovering.expected(record) == [1]


@pytest.mark.parametrize(
    ("made", "is_expected"),
    [
        (attempt(1, "unknown"), True),
        (attempt(1, "abandoned"), True),
        (attempt(1, "submitting"), True),
        (attempt(1, "accepted"), True),
        (attempt(1, "refused"), False),
        (attempt(1, "not_sent"), False),
        (attempt(1, "accepted", has_ended=True), False),
        (attempt(1, witness=None), False),
        (attempt(1, witness="taken"), False),
        (attempt(1, witness="refused"), False),
    ],
)
def test_an_attempts_witness_is_expected_while_its_job_may_have_made_a_clip(made, is_expected):
    assert recovering.expected(render(made)) == ([1] if is_expected else [])


@pytest.mark.parametrize("error", ["Abandoned", "ClipConflict"])
def test_what_a_person_decided_or_a_copy_does_not_mend_is_left(error):
    record = render(attempt(1), status="failed", error=error)
    assert recovering.finishing(record) == []
    assert recovering.expected(record) == [1]


def test_a_job_that_xai_dropped_may_have_been_delivered_all_the_same():
    dropped = render(attempt(1, "accepted", has_ended=True), status="failed", error="RenderExpired")
    assert recovering.finishing(dropped) == [1]


def test_the_newest_comes_first():
    record = render(attempt(1, "abandoned"), attempt(2, witness=None), attempt(3))
    assert recovering.finishing(record) == [3, 1]


def test_beside_a_finished_clip_lie_those_of_other_attempts():
    record = render(attempt(1, "abandoned"), attempt(2, "accepted"), status="finalized", error=None)
    assert recovering.beside(record) == [1]
    of_the_first = record.model_copy(update={"delivery": Delivery(attempt=1)})
    assert recovering.beside(of_the_first) == [2]


def test_what_is_delivered_leaves_the_attempt_as_it_is_until_the_clip_is_there():
    record = render(attempt(1), copies=3, crashes=2, announced="submit_unknown", executions=4)

    going = revival.delivered(record, 1, NOW)

    assert (going.status, going.delivery) == ("rendered", Delivery(attempt=1))
    assert (going.executions, going.attempts) == (4, record.attempts)
    assert (going.copies, going.crashes, going.failure, going.announced) == (0, 0, None, None)
    assert revival.may_still_cost(going)
    assert going.held_ticks == 100


def test_a_job_stays_on_record_until_another_ones_clip_is_there():
    job = {"requestId": "x"}
    known = render(attempt(1, "abandoned"), attempt(2, "accepted", request_id="x"), job=job)
    assert revival.delivered(known, 2, NOW).job == job
    assert revival.delivered(known, 1, NOW).job == job


def test_only_the_job_that_has_expired_may_still_be_finished_by_its_witness():
    ended = attempt(1, "accepted", request_id="withheld", has_ended=True)
    expired = attempt(2, "accepted", request_id="expired", has_ended=True)
    job = {"requestId": "expired"}
    record = render(ended, expired, status="failed", error="RenderExpired", job=job)
    assert recovering.finishing(record) == [2]


def test_each_attempts_clip_has_its_own_place_and_an_earlier_one_is_older(library):
    asked_again = NOW + timedelta(hours=1)
    record = render(attempt(1, "abandoned"), attempt(2), wanted_at=asked_again)
    first = record.model_copy(update={"delivery": Delivery(attempt=1)})
    second = record.model_copy(update={"delivery": Delivery(attempt=2)})

    assert library.clip_key(record) == library.clip_key(second) != library.clip_key(first)
    assert library.clip_key(first).endswith("/r.mp4")
    assert library.clip_key(second).endswith("/r-2.mp4")
    assert first.clip_order < second.clip_order == record.clip_order
    assert second.clip_order.startswith(asked_again.isoformat(timespec="microseconds"))
    # Nobody has asked for the first one again: it gives way to whatever was asked for since.
    assert first.clip_order.startswith(NOW.isoformat(timespec="microseconds"))


def test_others_that_were_accepted_are_settled_and_unknown_ones_stay_held():
    record = render(attempt(1, "accepted"), attempt(2, "unknown"), attempt(3, "accepted"))
    after = permits.others_settled(record, 3)
    assert [a.spent_ticks for a in after.attempts] == [100, None, None]
    assert after.held_ticks == 200


def test_a_record_of_before_there_were_witnesses_is_read_as_it_was():
    old = json.loads(render(attempt(1)).model_dump_json(exclude_defaults=True))
    del old["attempts"][0]["witness"]
    read = Render.model_validate(old)
    assert read.attempts[0].witness is None
    assert recovering.finishing(read) == []
    assert Delivery.model_validate({"url": "u"}) == Delivery(url="u")
