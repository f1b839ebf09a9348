"""What a callbackUrl is told, when it is told again, and how a receiver knows who told it."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from videoconductor import webhooks
from videoconductor.clip import Callback, Failure, FilmRun, Notice, Render, Shortfall
from videoconductor.errors import FilmNotFound, NotAllowed, ReceiverUnavailable, RenderNotFound
from videoconductor.receivers import Answer

SAMPLE = Path(__file__).parents[2] / "events/finalize.json"
URL = "https://hooks.example.com/take?token=topsecret"
ROLE = "arn:aws:sts::111122223333:assumed-role/editors/"


class Standing(random.Random):
    """No chance in it."""

    def random(self) -> float:
        return 0.0


class Records:
    """The table, as far as webhooks read and write it."""

    def __init__(self, *records: Render | FilmRun) -> None:
        self.records = records
        self.told: Callback | None = None

    def read(self, render_id: str) -> Render:
        for record in self.records:
            if isinstance(record, Render) and record.render_id == render_id:
                return record
        raise RenderNotFound(render_id)

    def run(self, film: str, run_id: str | None) -> FilmRun:
        for record in self.records:
            if isinstance(record, FilmRun) and (record.film, record.run_id) == (film, run_id):
                return record
        raise FilmNotFound(film)

    def callback(self, owner: Any) -> Callback | None:
        return self.told

    def update_callback(self, owner: Any, change: Any) -> Callback:
        self.told = change(self.told)
        return self.told


class Receiver:
    """Answers as it was told to, one after the other; `came` is what was sent."""

    def __init__(self, *answers: int | Answer | Exception) -> None:
        self.answers = list(answers)
        self.came: list[SimpleNamespace] = []

    def post(self, url: str, headers: dict[str, str], content: bytes) -> Answer:
        self.came.append(SimpleNamespace(url=url, headers=headers, content=content))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Answer) else Answer(answer)


class Queue:
    def __init__(self) -> None:
        self.texts: list[str] = []

    def put(self, text: str) -> None:
        self.texts.append(text)


def rested(status: Any = "finalized", minutes: int = 0, **changes: Any) -> Render:
    render = Render.model_validate_json(SAMPLE.read_text())
    moment = datetime(2026, 11, 22, 20, 16, tzinfo=UTC) + timedelta(minutes=minutes)
    fields = {"callback_url": URL, "caller": ROLE + "one", **changes}
    return render.having(moment, status, **fields)


def ended_run(missing: int = 1) -> FilmRun:
    lost = Shortfall(
        clip_id="c", quality_mode="draft", render_id="r", status="failed", message="withheld"
    )
    return FilmRun(
        run_id="a" * 32,
        film="night-ferry",
        caller=ROLE + "one",
        request_sha256="0" * 64,
        requested_at=datetime(2026, 11, 22, 20, tzinfo=UTC),
        total=missing,
        due=0,
        items=0,
        estimated_cost_usd=Decimal(1),
        items_key="i",
        clips_key="c",
        request_key="r",
        callback_url=URL,
        status="incomplete",
        ended_at=datetime(2026, 11, 22, 21, tzinfo=UTC),
        missing=(lost,) * missing,
    )


def event_of(record: Render | FilmRun) -> dict[str, Any]:
    found = webhooks.news(record)
    assert found is not None
    return {"detail-type": found.notice.type, "detail": json.loads(json.dumps(found.told))}


def notice_of(record: Render | FilmRun) -> Notice:
    found = webhooks.news(record)
    assert found is not None
    return found.notice


def called(record, receiver, attempt=1, *, records=None, notice=None, keys=("key",), now=None):
    return webhooks.call_back(
        notice or notice_of(record),
        attempt,
        records or Records(record),
        receiver,
        lambda: keys,
        lambda: now or datetime.now(UTC),
        Standing(),
    )


# -- what is told --------------------------------------------------------------------------------


def test_a_receiver_with_the_callers_secret_can_verify_what_came_and_another_cannot():
    render, receiver = rested(), Receiver(204)

    told = called(render, receiver)

    assert told.delivered_at is not None
    [came] = receiver.came
    # Another session of the same role has the same secret.
    body = Webhook(webhooks.secret("key", ROLE + "two")).verify(came.content, came.headers)
    assert body["type"] == "ClipReady"
    assert body["timestamp"] == "2026-11-22T20:16:00Z"
    assert body["data"]["renderId"] == render.render_id
    assert body["data"]["links"]["self"] == f"/v1/videos/{render.render_id}"
    for other in (webhooks.secret("key", "token:ci"), webhooks.secret("key2", ROLE + "one")):
        with pytest.raises(WebhookVerificationError):
            Webhook(other).verify(came.content, came.headers)
    forged = came.content.replace(b"ClipReady", b"ClipFaked")
    with pytest.raises(WebhookVerificationError):
        Webhook(webhooks.secret("key", ROLE + "one")).verify(forged, came.headers)


def test_after_a_rotation_the_secret_of_before_still_verifies():
    receiver = Receiver(200)
    called(rested(), receiver, keys=("new", "old"))

    [came] = receiver.came
    for key in ("new", "old"):
        Webhook(webhooks.secret(key, ROLE + "x")).verify(came.content, came.headers)
    assert len(came.headers["webhook-signature"].split(" ")) == 2


def test_no_prompt_no_url_and_no_foreign_word_is_told():
    render = rested("failed", failure=Failure(error="ModerationRejected", message="withheld"))
    receiver = Receiver(200)
    called(render, receiver)

    text = receiver.came[0].content.decode()
    assert render.plan.prompt not in text
    assert "https://" not in text
    assert "token" not in text


def test_a_run_is_told_shortly_with_its_links():
    run, receiver = ended_run(60), Receiver(200)
    called(run, receiver)

    body = json.loads(receiver.came[0].content)
    assert (body["type"], body["data"]["runId"]) == ("FilmReady", run.run_id)
    assert len(body["data"]["missing"]) == webhooks.MAX_MISSING
    assert body["data"]["links"]["self"].startswith("/v1/films/")
    assert len(receiver.came[0].content) < 20_000


@pytest.mark.parametrize("status", ["finalized", "failed", "cancelled", "stalled"])
def test_an_event_has_one_id_whenever_it_is_told_and_another_when_it_happens_again(status):
    ids = {notice_of(rested(status, minutes)).webhook_id for minutes in (0, 0, 1)}
    assert len(ids) == 2
    assert all(name.startswith("wh_") and "." not in name for name in ids)


# -- from the bus --------------------------------------------------------------------------------


def test_an_event_that_comes_twice_makes_the_same_notice_which_holds_no_url_and_no_secret():
    render, queue = rested(), Queue()
    for _ in range(2):
        webhooks.notify(event_of(render), Records(render), queue)

    first, second = queue.texts
    assert first == second
    assert Notice.model_validate_json(first) == notice_of(render)
    assert "http" not in first
    assert "secret" not in first


def test_nobody_is_told_of_what_nobody_asked_for_or_what_was_overtaken():
    queue = Queue()
    without = rested(callback_url=None)
    event = {"detail-type": "ClipReady", "detail": {"renderId": without.render_id}}
    assert webhooks.notify(event, Records(without), queue) is None
    stalled, ready = rested("stalled"), rested("finalized", 5)
    assert webhooks.notify(event_of(stalled), Records(ready), queue) is None
    assert webhooks.notify(event_of(stalled), Records(), queue) is None
    under_way = stalled.having(datetime.now(UTC), "rendering")
    assert webhooks.notify(event_of(stalled), Records(under_way), queue) is None
    assert queue.texts == []


def test_a_run_is_told_of_once_it_is_over():
    run, queue = ended_run(), Queue()
    event = event_of(run)
    assert webhooks.notify(event, Records(run), queue).run_id == run.run_id
    running = run.model_copy(update={"status": "running", "ended_at": None})
    assert webhooks.notify(event, Records(running), queue) is None


def test_what_is_asked_for_again_keeps_its_id():
    render, queue = rested(), Queue()
    webhooks.redeliver(render, queue)
    [text] = queue.texts
    notice = Notice.model_validate_json(text)
    assert notice.webhook_id == notice_of(render).webhook_id
    assert notice.is_asked_again
    for record, words in (
        (rested(callback_url=None), "no callbackUrl"),
        (render.having(datetime.now(UTC), "rendering"), "nothing to tell yet"),
    ):
        with pytest.raises(NotAllowed, match=words):
            webhooks.redeliver(record, queue)


# -- again and again -----------------------------------------------------------------------------


def test_a_receiver_that_never_takes_it_is_asked_eight_times_in_a_day_and_then_given_up():
    render, records = rested(), Records()
    records.records = (render,)
    receiver = Receiver(500, 404, ReceiverUnavailable("no answer within 10 s"), *[503] * 5)
    now, pauses = datetime(2026, 11, 22, 21, tzinfo=UTC), []
    for attempt in range(1, webhooks.MAX_ATTEMPTS + 1):
        told = called(render, receiver, attempt, records=records, now=now)
        assert told.attempts == attempt
        pauses.append(webhooks.pause(told))
        now += timedelta(seconds=pauses[-1])

    assert pauses == [*webhooks.BACKOFF, 0]
    assert 24 <= sum(pauses) / 3600 <= 26
    assert (told.given_up_at is not None, told.last_status) == (True, 503)
    # What came first and what came last is the same event, signed anew each time.
    assert len({came.headers["webhook-id"] for came in receiver.came}) == 1
    assert len({came.headers["webhook-timestamp"] for came in receiver.came}) == len(receiver.came)


def test_the_schedule_fits_the_queue_s_bounds():
    retention, longest = 345_600, webhooks.MAX_WAIT * len(webhooks.BACKOFF)
    assert longest < retention
    assert max(webhooks.BACKOFF) * (1 + webhooks.JITTER) <= webhooks.MAX_WAIT < 43_200


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [
        (None, 5),
        ("60", 60),
        ("1", 5),
        ("-5", 5),
        ("soon", 5),
        ("9" * 400, webhooks.MAX_WAIT),
        ("Sun, 22 Nov 2026 21:02:00 GMT", 120),
        ("Sun, 22 Nov 2026 20:00:00 GMT", 5),
        ("Sun, 22 Nov 2126 20:00:00 GMT", webhooks.MAX_WAIT),
        ("Sun, 22 Nov 2026 21:02:00", 5),  # a date of no time zone says nothing
        ("Sun, 22 Nov 2026 21:02:00 +" + "9" * 20, 5),
    ],
)
def test_retry_after_is_honoured_within_bounds(asked, seconds):
    now = datetime(2026, 11, 22, 21, tzinfo=UTC)
    assert webhooks.gap(1, asked, now, Standing()) == seconds
    receiver = Receiver(Answer(429, asked))
    assert webhooks.pause(called(rested(), receiver, now=now)) == seconds


def test_chance_spreads_the_attempts():
    now = datetime.now(UTC)
    gaps = {webhooks.gap(2, None, now, random.Random(n)) for n in range(50)}  # noqa: S311
    assert len(gaps) > 10
    assert 300 <= min(gaps) <= max(gaps) <= 330


def test_a_receiver_that_is_gone_is_not_asked_again_unless_somebody_wants_it():
    render, records = rested(), Records(rested())
    told = called(render, Receiver(410), records=records)
    assert (webhooks.pause(told), told.last_status) == (None, 410)
    assert told.given_up_at is not None
    assert called(render, Receiver(), records=records) is None
    again = notice_of(render).model_copy(update={"is_asked_again": True})
    assert called(render, Receiver(200), records=records, notice=again).delivered_at is not None


def test_a_duplicate_of_what_was_delivered_is_not_sent():
    render, records, receiver = rested(), Records(rested()), Receiver(200)
    called(render, receiver, records=records)
    assert called(render, receiver, records=records) is None
    assert len(receiver.came) == 1


def test_an_attempt_that_fails_beside_one_that_was_taken_takes_nothing_back():
    render, records = rested(), Records(rested())
    called(render, Receiver(200), records=records)
    again = notice_of(render).model_copy(update={"is_asked_again": True})
    told = called(render, Receiver(500), records=records, notice=again)
    assert (told.delivered_at is not None, told.last_status, told.attempts) == (True, 500, 2)
    assert webhooks.pause(told) == webhooks.BACKOFF[0]  # what was asked for is tried again
    last = called(render, Receiver(500), webhooks.MAX_ATTEMPTS, records=records, notice=again)
    assert webhooks.pause(last) == 0


def test_a_duplicate_that_fails_while_the_other_is_taken_is_not_tried_again():
    render, records = rested(), Records(rested())

    class Slow(Receiver):
        """Meanwhile the other one is taken."""

        def post(self, *given: Any) -> Answer:
            called(render, Receiver(200), records=records)
            return super().post(*given)

    told = called(render, Slow(500), records=records)
    assert told.delivered_at is not None
    assert webhooks.pause(told) is None


def test_an_event_that_was_overtaken_while_it_waited_is_left_out():
    stalled, ready = rested("stalled"), rested("finalized", 5)
    receiver = Receiver()
    told = called(stalled, receiver, 3, records=Records(ready))
    assert told is None
    assert webhooks.pause(told) is None
    assert called(stalled, receiver, records=Records()) is None  # its record was deleted


def test_a_log_line_says_who_and_what_and_never_where_to():
    render = rested()
    told = called(render, Receiver(500))
    line = json.dumps(webhooks.shown(notice_of(render), told))
    assert render.render_id in line
    assert "hooks.example.com" not in line
