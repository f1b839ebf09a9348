"""What may follow a render that came to rest, and when another POST needs consent."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoconductor import intake, permits, planning, revival
from videoconductor.clip import SETTLED, Attempt, Delivery, Failure, Frame, Render, Still
from videoconductor.models import ModelCatalog
from videoconductor.quality import QualityModes

PRESETS = Path(__file__).parents[2] / "presets"
THEN = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW = THEN + timedelta(hours=1)
JOB = {"requestId": "b13f69f3"}
TIMEOUT = 900.0


def attempt(outcome, minute=0, **fields):
    at = THEN + timedelta(minutes=minute)
    return Attempt(number=1, permitted_at=at, lease_until=at, outcome=outcome, **fields)


ENDED = attempt("accepted", has_ended=True)
PLAN = planning.plan(
    intake.clip_request(json.dumps({"prompt": "a lamp", "firstFramePrompt": "a still"})),
    QualityModes.from_json((PRESETS / "video-presets.json").read_text()),
    ModelCatalog.from_json((PRESETS / "models.json").read_text()),
)
RENDER = Render(
    render_id="r",
    clip_id="c",
    pipeline_request_id="f",
    plan=PLAN,
    caller="ann",
    request_sha256="0",
    created_at=THEN,
)


def render(status="failed", stills=(), attempts=(), job=None, error="X", **fields):
    fields = {"still_attempts": stills, "attempts": attempts, "job": job, **fields}
    failure = None if error is None else Failure(error=error, message="x")
    return RENDER.model_copy(update={"status": status, "failure": failure, **fields})


# -- may_still_cost --------------------------------------------------------------------------------

# still attempts, attempts, job: whether the newest POST may be paid for without having ended
COSTS = {
    "nothing was sent": ((), (), None, False),
    "a still that is on its way": ((attempt("submitting"),), (), None, True),
    "a still nobody saw": ((attempt("unknown"),), (), None, True),
    "a still somebody gave up": ((attempt("abandoned"),), (), None, True),
    "a still that was refused": ((attempt("refused"),), (), None, False),
    "a still that was not sent": ((attempt("not_sent"),), (), None, False),
    "a still that is there": ((ENDED,), (), None, False),
    "a job that is on its way": ((), (attempt("submitting"),), None, True),
    "a job nobody saw": ((), (attempt("unknown"),), None, True),
    "a job somebody gave up": ((), (attempt("abandoned"),), None, True),
    "a job that was refused": ((), (attempt("refused"),), None, False),
    "a job that was not sent": ((), (attempt("not_sent"),), None, False),
    "a job that runs on": ((), (attempt("accepted"),), JOB, True),
    "a job xAI ended": ((), (ENDED,), JOB, False),
    "an attached job after a refusal": ((), (attempt("refused"),), JOB, True),
    "an attached job nobody knows of": ((), (attempt("unknown"),), JOB, True),
    "a still, and a job nobody saw": ((ENDED,), (attempt("unknown", 1),), None, True),
    "a still, and a job that was refused": ((ENDED,), (attempt("refused", 1),), None, False),
    "a still given up, and a job refused": (
        (attempt("abandoned"),), (attempt("refused", 1),), None, False,
    ),
    "a still nobody saw after a job xAI ended": ((attempt("unknown", 1),), (ENDED,), None, True),
    "only the newest counts": ((), (attempt("abandoned"), attempt("refused", 1)), None, False),
}  # fmt: skip


@pytest.mark.parametrize(("stills", "attempts", "job", "may"), COSTS.values(), ids=COSTS)
def test_a_post_that_may_be_paid_for_is_told_from_one_that_is_settled(stills, attempts, job, may):
    assert revival.may_still_cost(render("failed", stills, attempts, job)) is may


# -- made_good -------------------------------------------------------------------------------------

WAITS, POSTS, LEFT = "rendering", "planned", None
UNKNOWN, RUNS = (attempt("unknown"),), (attempt("accepted"),)
GOOD = {
    # status, error, still attempts, attempts, job: what a new run of the film does with it
    "submit_unknown": ("submit_unknown", "SubmitUnknown", (), UNKNOWN, None, LEFT),
    "submit_unknown still": ("submit_unknown", "SubmitUnknown", UNKNOWN, (), None, LEFT),
    "submit_unknown, answered late": ("submit_unknown", "SubmitUnknown", (), RUNS, JOB, LEFT),
    "stalled": ("stalled", "RenderStalled", (), RUNS, JOB, WAITS),
    "stalled and abandoned": ("failed", "Abandoned", (), RUNS, JOB, POSTS),
    "unknown and abandoned": ("failed", "Abandoned", (), UNKNOWN, None, POSTS),
    "unknown still, abandoned": ("failed", "Abandoned", UNKNOWN, (), None, POSTS),
    "cancelled while it ran": ("cancelled", "RenderCancelled", (), RUNS, JOB, WAITS),
    "cancelled before its POST": ("cancelled", "RenderCancelled", (), (), None, POSTS),
    "cancelled after its still": ("cancelled", "RenderCancelled", (ENDED,), (), None, POSTS),
    "cancelled, POST unseen": (
        "cancelled", "RenderCancelled", (), (attempt("submitting"),), None, LEFT,
    ),
    "cancelled, still unseen": (
        "cancelled", "RenderCancelled", (attempt("submitting"),), (), None, LEFT,
    ),
    "refused": ("failed", "RenderRefused", (), (attempt("refused"),), None, POSTS),
    "moderated still": ("failed", "ModerationRejected", (attempt("refused"),), (), None, POSTS),
    "moderated": ("failed", "ModerationRejected", (), (ENDED,), JOB, POSTS),
    "ended by xAI": ("failed", "RenderFailed", (), (ENDED,), JOB, POSTS),
    "not kept": ("failed", "CopyFailed", (), RUNS, JOB, WAITS),
    "clip in the way": ("failed", "ClipConflict", (), RUNS, JOB, WAITS),
    "no MP4": ("failed", "NotAClip", (), RUNS, JOB, POSTS),
    "source not allowed": ("failed", "SourceNotAllowed", (), (), None, POSTS),
    "crashed before its POST": ("failed", "KeyError", (), (), None, POSTS),
    "crashed after its POST": ("failed", "KeyError", (), UNKNOWN, None, LEFT),
    "retried, then cancelled": (
        "cancelled", "RenderCancelled", (), (attempt("abandoned"),), None, LEFT,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "error", "stills", "attempts", "job", "then"), GOOD.values(), ids=GOOD
)
def test_a_new_run_waits_where_it_can_and_posts_only_where_nothing_can_come(
    status, error, stills, attempts, job, then
):
    found = revival.made_good(render(status, stills, attempts, job, error), NOW, TIMEOUT)

    assert (found and found.status) == then
    if then == WAITS:
        assert (found.job, found.attempts) == (JOB, attempts)
    if then == POSTS:
        assert found.job is None


@pytest.mark.parametrize(
    ("status", "error", "stills", "attempts", "job", "then"), GOOD.values(), ids=GOOD
)
def test_with_consent_nothing_is_left_and_a_job_on_record_is_still_waited_for(
    status, error, stills, attempts, job, then
):
    latest = render(status, stills, attempts, job, error)

    found = revival.made_good(latest, NOW, TIMEOUT, may_charge_twice=True)

    assert found is not None
    assert found.status == (then if then != LEFT else WAITS if job else POSTS)


attempts_of_any_kind = st.lists(
    st.builds(
        lambda outcome, minute, ended, number: replace_number(
            attempt(outcome, minute, has_ended=ended and outcome == "accepted"), number
        ),
        st.sampled_from(["submitting", "accepted", "refused", "not_sent", "unknown", "abandoned"]),
        st.integers(0, 5),
        st.booleans(),
        st.integers(1, 9),
    ),
    max_size=3,
).map(tuple)


def replace_number(made, number):
    return made.model_copy(update={"number": number})


renders_at_rest = st.builds(
    render,
    st.sampled_from(sorted(SETTLED - {"finalized"})),
    attempts_of_any_kind,
    attempts_of_any_kind,
    st.sampled_from([None, JOB]),
    st.sampled_from(["X", "NotAClip", "Abandoned", "RenderCancelled", None]),
)


def is_proved(made):
    """Whether the answer to a POST shows that there is nothing, or no longer anything, to pay."""
    return made.outcome in {"refused", "not_sent"} or (
        made.outcome == "accepted" and made.has_ended
    )


@given(renders_at_rest)
def test_nobody_posts_again_without_proof_or_a_decision(latest):
    newest = sorted(
        (*latest.still_attempts[-1:], *latest.attempts[-1:]),
        key=lambda made: (made.permitted_at, made in latest.attempts),
    )

    found = revival.made_good(latest, NOW, TIMEOUT)

    error = latest.failure and latest.failure.error
    if found is not None and found.status == "planned" and newest:
        assert is_proved(newest[-1]) or error in {"NotAClip", "Abandoned"}
        assert latest.status != "submit_unknown"
    if found is not None and found.status == "rendering":
        assert found.job == latest.job
        assert [a.number for a in found.attempts] == [a.number for a in latest.attempts] or (
            latest.attempts == ()
        )


@given(renders_at_rest)
def test_whatever_is_revived_is_ready_for_an_execution_of_its_own(latest):
    found = revival.made_good(latest, NOW, TIMEOUT)

    if found is not None:
        assert found.executions == latest.executions + 1
        assert found.status not in SETTLED
        assert found.failure is found.announced is found.delivery is None
        assert (found.crashes, found.copies, found.missing_since) == (0, 0, None)
        assert found.timeline[-1].status == found.status
        assert found.cost_ticks == latest.cost_ticks


# -- what becomes of it ----------------------------------------------------------------------------


def test_a_retried_render_keeps_its_still_and_all_that_was_billed():
    still = Still(
        fingerprint="0",
        render_id="r",
        model="m",
        key="generated/images/a.jpg",
        media_type="image/jpeg",
        bytes=1,
        sha256="0",
    )
    framed = PLAN.model_copy(update={"image": Frame(key=still.key, media_type="image/jpeg")})
    stills = (replace_number(attempt("accepted", has_ended=True, cost_ticks=2), 1),)
    attempts = tuple(
        replace_number(attempt(outcome, cost_ticks=cost), number)
        for number, (outcome, cost) in enumerate(
            [("refused", None), ("accepted", 5), ("unknown", None), ("submitting", None)], start=1
        )
    )
    latest = render(
        "failed",
        stills,
        attempts,
        JOB,
        plan=framed,
        still=still,
        postponements=9,
        progress=50,
        submitted_at=THEN,
        deadline=THEN,
        delivery=Delivery(url="https://vidgen.x.ai/a.mp4"),
        crashes=3,
        copies=2,
        announced="failed",
    )

    found = revival.retried(latest, NOW)

    assert (found.plan, found.still, found.still_attempts) == (framed, still, stills)
    assert [a.outcome for a in found.attempts] == ["refused", "accepted", "abandoned", "abandoned"]
    assert [a.settled_at for a in found.attempts] == [None, None, NOW, NOW]
    assert found.cost_ticks == 7
    assert (found.status, found.executions, found.postponements) == ("planned", 2, 0)
    assert found.job is found.submitted_at is found.deadline is found.progress is None
    assert found.delivery is found.failure is found.announced is None


def test_an_attached_job_is_waited_for_from_now_on():
    latest = render("stalled", (), RUNS, JOB, submitted_at=THEN, deadline=THEN, announced="stalled")

    found = revival.attached(latest, JOB, NOW, TIMEOUT)

    assert (found.status, found.job, found.attempts) == ("rendering", JOB, RUNS)
    assert found.deadline == NOW + timedelta(seconds=TIMEOUT)
    assert (found.submitted_at, found.announced, found.executions) == (THEN, None, 2)


def test_an_attached_job_is_booked_to_the_post_that_may_have_started_it_and_else_by_itself():
    other = {"requestId": "other"}
    mine = attempt("accepted").model_copy(update={"request_id": "j1", "number": 1})
    unseen = attempt("abandoned").model_copy(update={"number": 2})
    refused = attempt("refused").model_copy(update={"number": 3})
    for attempts, job, owner in (
        ((mine, unseen, refused), {"requestId": "j1"}, 1),
        ((mine, unseen, refused), other, 2),
        ((mine, refused), other, 4),  # one more, for what no POST on record explains
        ((refused,), other, 4),
    ):
        found = revival.attached(render("failed", (), attempts, JOB), job, NOW, TIMEOUT)
        assert permits.of_job(found).number == owner
        assert found.attempts[: len(attempts)] == attempts


def test_an_older_job_that_is_waited_for_is_not_paid_for_again_without_consent():
    mine = attempt("accepted").model_copy(update={"request_id": "j1", "number": 1})
    ended = attempt("accepted", 2, has_ended=True).model_copy(
        update={"request_id": "j2", "number": 2}
    )
    latest = render("stalled", (), (mine, ended), {"requestId": "j1"})

    assert revival.may_still_cost(latest)
    assert revival.made_good(latest, NOW, TIMEOUT).job == {"requestId": "j1"}
    # One that was settled is nobody else's.
    paid = attempt("unknown").model_copy(update={"number": 1, "spent_ticks": 5})
    assert permits.of_job(render("stalled", (), (paid,), JOB)) is None


def test_a_job_attached_to_a_render_that_never_posted_is_one_nobody_saw_sent():
    found = revival.attached(render("failed"), JOB, NOW, TIMEOUT)

    assert [(a.outcome, a.request_id) for a in found.attempts] == [("unknown", None)]
    assert found.submitted_at == NOW
    assert revival.may_still_cost(found)


def test_a_resumed_render_is_as_it_was_but_for_its_execution():
    latest = render("rendering", (), RUNS, JOB, error=None, crashes=2)

    assert revival.resumed(latest, NOW) == latest.model_copy(update={"executions": 2})
