"""The verbs of `render_film` by the record they find: what a clip needs when its turn comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace

import pytest

from videoconductor import filming
from videoconductor.clip import (
    Attempt,
    Clip,
    Failure,
    FilmClip,
    FilmRun,
    ManifestEntry,
    Pictures,
    Render,
    ThumbnailOrder,
    Turn,
)
from videoconductor.errors import RenderExists

ASKED = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOW = ASKED + timedelta(minutes=5)
BEFORE = ASKED - timedelta(minutes=1)
SINCE = ASKED + timedelta(minutes=1)
OURS, THEIRS = "run2-1", "run1-1"
JOB = {"requestId": "job"}
CLIP = Clip(
    key="generated/videos/a.mp4",
    sidecar_key="generated/videos/a.json",
    bytes=1,
    sha256="a" * 64,
    seconds=6,
    width=848,
    height=480,
    video_codec="avc1",
)
PICTURES = Pictures(poster_key="generated/thumbnails/a.jpg")


class Table:
    """A render's record, an entry, and what was written."""

    def __init__(self, record=None, entry=None, meanwhile=None):
        self.record, self.current, self.meanwhile = record, entry, meanwhile
        self.writes, self.restored = [], []

    def create(self, render):
        if self.record is not None:
            raise RenderExists(render.render_id)
        self.record = render
        self.writes.append(render)
        return render

    def read(self, render_id):
        return self.record

    def update(self, render_id, change):
        if self.meanwhile is not None:
            self.record = self.meanwhile
        changed = change(self.record)
        if changed != self.record:
            self.writes.append(changed)
        self.record = changed
        return changed

    def entry(self, film, entry_id):
        return self.current

    def restore(self, entry, order):
        self.restored.append((entry, order))


@pytest.fixture
def drafted(plan):
    return Render(
        render_id="r1",
        clip_id="01",
        pipeline_request_id="film",
        plan=plan(prompt="a lamp", duration=6),
        caller="arn:x",
        request_sha256="f" * 64,
        created_at=ASKED,
        fingerprint="shape",
    )


def take_up(drafted, table, *, is_running=False, tries=0):
    library = SimpleNamespace(uri=lambda key: f"s3://library/{key}")
    turn = Turn(marker=OURS, render=drafted, tries=tries)
    return filming.take_up(turn, table, library, lambda render: is_running, 900, lambda: NOW)


def on_record(drafted, status, *, at=BEFORE, by=THEIRS, outcome="accepted", **changes):
    attempt = Attempt(number=1, permitted_at=BEFORE, lease_until=BEFORE, outcome=outcome)
    born = drafted.model_copy(update={"created_at": BEFORE, "taken_up_by": by})
    attempts = () if status == "planned" else (attempt,)
    return born.having(at, status, attempts=attempts).model_copy(update=changes)


def failed(drafted, error="RenderFailed", **changes):
    changes = {"failure": Failure(error=error, message="m"), "job": JOB, **changes}
    return on_record(drafted, "failed", **changes)


def test_a_clip_nobody_has_asked_for_is_put_on_record_and_rendered(drafted):
    table = Table()

    turn = take_up(drafted, table)

    assert (turn.step, turn.name, turn.tries) == ("render", "r1-1", 1)
    assert table.record.taken_up_by == OURS
    assert turn.render == table.record


def test_a_clip_that_was_put_on_record_by_a_try_that_died_is_rendered_under_the_same_name(drafted):
    table = Table(on_record(drafted, "planned", by=OURS))

    turn = take_up(drafted, table)

    assert (turn.step, turn.name) == ("render", "r1-1")
    assert table.writes == []


def test_a_clip_that_somebody_renders_is_waited_for_as_it_was_drafted(drafted):
    for by in (OURS, THEIRS):
        table = Table(on_record(drafted, "rendering", by=by, job=JOB))

        turn = take_up(drafted, table, is_running=True)

        assert (turn.step, turn.wait_seconds) == ("wait", filming.WAIT_SECONDS)
        assert turn.render == drafted
        assert table.writes == []


@pytest.mark.parametrize("status", ["planned", "framing", "rendering", "rendered"])
@pytest.mark.parametrize(("by", "tries"), [(THEIRS, 0), (OURS, 1), (OURS, 4)])
def test_a_clip_whose_execution_is_gone_gets_another_one_and_stays_as_it_is(
    drafted, status, by, tries
):
    before = on_record(drafted, status, by=by)
    table = Table(before)

    turn = take_up(drafted, table, tries=tries)

    assert (turn.step, turn.name, turn.tries) == ("render", "r1-2", tries + 1)
    assert table.record == before.model_copy(update={"executions": 2, "taken_up_by": OURS})


def test_a_clip_whose_executions_are_always_gone_is_left_alone(drafted):
    table = Table(on_record(drafted, "rendering", job=JOB))

    assert take_up(drafted, table, tries=filming.MAX_TRIES).step == "rest"
    assert table.writes == []


def test_a_clip_that_came_to_rest_while_it_was_taken_over_rests(drafted):
    over = on_record(drafted, "failed", at=SINCE, job=JOB)
    table = Table(on_record(drafted, "rendering", job=JOB), meanwhile=over)

    assert take_up(drafted, table).step == "rest"
    assert table.writes == []


def test_a_finished_clip_is_taken(drafted):
    table = Table(on_record(drafted, "finalized", clip=CLIP, pictures=PICTURES))

    assert take_up(drafted, table).step == "rest"
    assert table.writes == table.restored == []


def test_a_finished_clip_that_another_superseded_is_the_films_again(drafted):
    record = on_record(drafted, "finalized", clip=CLIP, pictures=PICTURES)
    other = ManifestEntry(
        id="01::draft",
        pipeline_request_id="film",
        quality_mode="draft",
        render_id="r9",
        status="finalized",
        requested_at=BEFORE,
        updated_at=BEFORE,
    )
    table = Table(record, other)

    assert take_up(drafted, table).step == "rest"

    [(entry, order)] = table.restored
    assert (entry.render_id, entry.sha256) == ("r1", CLIP.sha256)
    # As of when this run was asked for: what was asked for since, and is done already, stays.
    assert order == f"{ASKED.isoformat(timespec='microseconds')}#r1"


def test_a_finished_clip_is_painted_anew_once_where_its_thumbnail_is_to_look_otherwise(drafted):
    order = ThumbnailOrder(template="cta_bar")
    record = on_record(drafted, "finalized", clip=CLIP, pictures=PICTURES)
    table = Table(record)

    turn = take_up(drafted.model_copy(update={"thumbnail": order}), table)

    assert (turn.step, turn.name) == ("render", "r1-2")
    assert (table.record.thumbnail, table.record.pictures) == (order, None)
    assert (table.record.status, table.record.clip) == ("finalized", CLIP)
    again = take_up(drafted.model_copy(update={"thumbnail": order}), table, tries=1)
    assert again.step == "rest"


COMES_TO_NOTHING = {
    "moderated": {"error": "ModerationRejected"},
    "failed": {"error": "RenderFailed"},
    "refused": {"error": "RenderRefused", "outcome": "refused", "job": None},
    "not a clip": {"error": "NotAClip"},
    "abandoned": {"error": "Abandoned", "outcome": "unknown", "job": None},
}


@pytest.mark.parametrize("case", COMES_TO_NOTHING)
def test_what_came_to_nothing_before_this_run_is_allowed_one_more_post(drafted, case):
    record = failed(drafted, **COMES_TO_NOTHING[case])
    if case in {"moderated", "failed"}:
        ended = record.attempts[0].model_copy(update={"has_ended": True})
        record = record.model_copy(update={"attempts": (ended,)})
    table = Table(record)

    turn = take_up(drafted, table)

    assert (turn.step, turn.name) == ("render", "r1-2")
    assert (table.record.status, table.record.job) == ("planned", None)
    assert table.record.taken_up_by == OURS
    assert len(table.writes) == 1


def test_a_job_that_may_still_give_its_clip_is_waited_for_without_a_post(drafted):
    records = [
        on_record(drafted, "stalled", job=JOB),
        on_record(drafted, "cancelled", job=JOB),
        failed(drafted, "CopyFailed"),
    ]
    for record in records:
        table = Table(record)

        turn = take_up(drafted, table)

        assert (turn.step, turn.name) == ("render", "r1-2")
        assert (table.record.status, table.record.job) == ("rendering", JOB)
        assert table.record.attempts == record.attempts
        assert table.record.deadline == NOW + timedelta(seconds=900)


def test_what_nobody_can_account_for_is_left_to_a_person(drafted):
    for record in (
        on_record(drafted, "submit_unknown", outcome="unknown"),
        on_record(drafted, "cancelled", outcome="unknown"),
        failed(drafted, outcome="unknown", job=None),
    ):
        table = Table(record)

        assert take_up(drafted, table).step == "rest", record.status
        assert table.writes == []


@pytest.mark.parametrize("by", [OURS, THEIRS])
def test_what_failed_since_this_run_was_asked_for_is_not_part_of_it(drafted, by):
    for record in (
        failed(drafted, "NotAClip", at=SINCE, by=by),
        failed(drafted, "CopyFailed", at=SINCE, by=by),
        on_record(drafted, "stalled", at=SINCE, by=by, job=JOB),
    ):
        table = Table(record)

        assert take_up(drafted, table).step == "rest"
        assert table.writes == []


def test_what_this_run_set_going_and_failed_again_rests(drafted):
    table = Table(failed(drafted, "NotAClip", by=OURS))

    assert take_up(drafted, table, tries=1).step == "rest"
    assert table.writes == []


def test_of_two_runs_that_find_the_same_failure_one_revives_it_and_the_other_waits(drafted):
    before = failed(drafted, "NotAClip", by="run0-1")
    theirs = before.model_copy(
        update={"status": "planned", "executions": 2, "taken_up_by": THEIRS, "job": None}
    )
    table = Table(before, meanwhile=theirs)

    turn = take_up(drafted, table)

    assert turn.step == "wait"
    assert table.writes == []


# -- conclude --------------------------------------------------------------------------------------


def film_clip(number, **changes):
    fields = {
        "clip_id": f"{number:02}",
        "quality_mode": "draft",
        "render_id": f"r{number}",
        "operation": "generate",
        "model": "grok-imagine-video",
        "estimated_cost_usd": Decimal("0.3"),
    }
    return FilmClip(**{**fields, **changes})


@pytest.fixture
def run():
    return FilmRun(
        run_id="run",
        film="film",
        caller="arn:x",
        request_sha256="f" * 64,
        requested_at=ASKED,
        total=6,
        due=6,
        items=6,
        estimated_cost_usd=Decimal("1.8"),
        items_key="i",
        clips_key="c",
        request_key="r",
    )


def test_a_run_is_summed_up_from_the_records_whatever_became_of_the_executions(run, drafted):
    clips = [film_clip(n) for n in range(5)] + [film_clip(5, is_reused=True, is_due=False)]
    paid = Attempt(
        number=1, permitted_at=BEFORE, lease_until=BEFORE, outcome="accepted", cost_ticks=3 * 10**9
    )
    renders = {
        "r0": on_record(drafted, "finalized", attempts=(paid,)),
        "r1": failed(drafted, attempts=(paid,)),
        "r2": on_record(drafted, "submit_unknown"),
        "r3": on_record(drafted, "rendering"),
        # Somebody made the reused one again and failed, on another run's account.
        "r5": failed(drafted, attempts=(paid,)),
    }

    summed = filming.summed_up(run, clips, renders)

    assert (summed.done, summed.failed, summed.unresolved) == (2, 1, 1)
    assert summed.cost_usd == Decimal("0.6")
    assert [(m.clip_id, m.status) for m in summed.missing] == [
        ("01", "failed"),
        ("02", "submit_unknown"),
        ("03", "rendering"),
        ("04", "planned"),
    ]
    assert filming.summed_up(run, clips[4:5], {}).cost_usd is None


def test_an_announced_or_overtaken_run_is_left_as_it_is(run):
    broken = SimpleNamespace()
    for given, marker in (
        (run.model_copy(update={"announced": True}), "run-1"),
        (run.model_copy(update={"executions": 2}), "run-1"),
    ):
        ended = filming.conclude(given, marker, broken, broken, broken, lambda: NOW)
        assert ended == given
