"""A finished clip of the film as the source of an edit, an extension or a remaster."""

import json
from decimal import Decimal

import pytest

from tests.workflow.test_first_frame import posts_to_xai
from videoconductor import intake, planning, wiring
from videoconductor.clip import FilmOrder
from videoconductor.errors import InvalidRequest, NotAllowed

TASKS = {
    "edit": ({"operation": "edit"}, "videos/edits"),
    "remaster": ({"operation": "remaster"}, "videos/edits"),
    "extend": ({"operation": "extend", "duration": 2}, "videos/extensions"),
}


@pytest.fixture
def source(stage):
    """The entry of a finished clip of two seconds."""
    stage.run(stage.submit(clipId="c", pipelineRequestId="f", duration=2))
    [entry] = wiring.manifest().entries("f")
    return entry


@pytest.fixture
def posts(source):
    return posts_to_xai()


def change(stage, source, **fields):
    fields = {"clipId": "d", "pipelineRequestId": "f", "duration": None, **fields}
    return stage.submit(sourceVideoUrl=source.url, prompt="in the snow", **fields)


def problem(stage, source, **fields):
    with pytest.raises(InvalidRequest) as refused:
        change(stage, source, **fields)
    [found] = refused.value.problems
    assert found.field == "sourceVideoUrl"
    return found


@pytest.mark.parametrize(("fields", "path"), TASKS.values(), ids=TASKS)
def test_a_clip_of_the_film_is_handed_over_by_a_url_that_is_kept_nowhere(
    stage, source, posts, fields, path
):
    render = change(stage, source, **fields)

    execution = stage.run(render)

    [(posted, body)] = posts
    key = wiring.library().key_of(source.url)
    assert posted == path
    assert body["video"]["url"].startswith(f"https://library.s3.amazonaws.com/{key}?")
    assert "Signature" in body["video"]["url"]
    record = stage.record(render)
    assert record.plan.source_video_url == source.url
    assert "Signature" not in record.model_dump_json() + str(execution) + str(stage.published)


@pytest.mark.parametrize(("fields", "path"), TASKS.values(), ids=TASKS)
def test_a_clip_of_the_film_becomes_another_clip_at_the_cost_that_was_estimated(
    stage, source, monkeypatch, fields, path
):
    # xAI cannot fetch from moto: the same bytes from a host of its own.
    monkeypatch.setattr(wiring.library(), "presigned_url", lambda *_: source.temporary_url)
    render = change(stage, source, **fields)

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED", execution
    record = stage.record(render)
    assert record.clip.seconds == pytest.approx(4 if "extensions" in path else 2, abs=0.1)
    assert record.clip.sha256 != source.sha256
    assert float(record.cost_usd) <= float(record.plan.estimate.total_usd)
    [job] = [job for job in stage.jobs() if job["id"] == record.request_id]
    assert job["operation"] == record.plan.operation


def test_a_clip_that_xai_cannot_fetch_is_refused_before_any_post(stage, source, posts, monkeypatch):
    url = "http://127.0.0.1:4566/library/c.mp4?X-Amz-Signature=0"
    monkeypatch.setattr(wiring.library(), "presigned_url", lambda *_: url)
    render = change(stage, source)

    execution = stage.run(render)

    record = stage.record(render)
    assert execution.path == ["NeedsFirstFrame", "Start", "RecordFailure", "IsOver", "Failed"]
    assert (execution.error, record.status) == ("SourceNotAllowed", "failed")
    assert "deploy the stack" in record.failure.message
    assert record.failure.code == "source"
    assert "Signature" not in record.model_dump_json() + str(execution)
    assert (posts, record.attempts) == ([], ())
    assert [event["status"] for event in stage.published][-1] == "failed"
    wiring.conductor().retry(render.render_id)  # nothing was spent


def test_a_clip_longer_than_xai_edits_is_refused_with_what_can_be_done(stage, source):
    longer = source.model_copy(
        update={"id": "l::draft", "url": f"{source.url}-10", "duration": 10.0}
    )
    wiring.manifest().publish(longer, "2026#l")

    found = problem(stage, longer)

    assert found.value == 10.0
    assert "at most 8.7 s" in found.message
    assert "remaster without sourceVideoUrl" in found.message
    assert len(stage.jobs()) == 1


def test_a_clip_of_one_second_is_too_short_to_be_extended(stage):
    stage.run(stage.submit(clipId="c", pipelineRequestId="f"))
    [entry] = wiring.manifest().entries("f")

    assert "2 to 15 s" in problem(stage, entry, operation="extend", duration=2).message


def test_what_is_no_finished_clip_of_the_film_is_refused(stage, source):
    for url in (
        "s3://library/generated/videos/f/c/draft/0.mp4",
        "s3://library/inbox/secret.mp4",
        "s3://elsewhere/c.mp4",
        "s3://",
    ):
        found = problem(stage, source.model_copy(update={"url": url}))

        assert (found.value, found.message) == (url, "is not a finished clip of this film")
    assert problem(stage, source, pipelineRequestId="g").value == source.url
    assert len(stage.jobs()) == 1


@pytest.fixture
def foreign(source):
    """An entry that was taken in with its file in somebody else's bucket."""
    entry = source.model_copy(update={"id": "e::draft", "url": "s3://elsewhere/c.mp4"})
    assert wiring.manifest().take_in(entry)
    return entry


def test_a_clip_in_somebody_elses_bucket_is_refused(stage, foreign, posts):
    assert problem(stage, foreign).message == "is not a finished clip of this film"
    assert posts == []


def test_a_clip_in_somebody_elses_bucket_never_leaves_for_xai(stage, source, foreign, posts):
    """Whatever door let it pass: xAI cannot fetch from there, and we cannot sign for it."""
    conductor = wiring.conductor()
    request = intake.clip_request(json.dumps({"prompt": "x", "sourceVideoUrl": source.url}))
    plan = planning.plan(request, conductor.modes, conductor.models, None, Decimal(2))
    plan = plan.model_copy(update={"source_video_url": foreign.url})
    render = wiring.manifest().create(conductor.drafted(request, plan, "r", "caller"))
    wiring.machine().start(render)

    execution = stage.run(render)

    assert execution.error == "SourceNotAllowed"
    assert "another bucket" in stage.record(render).failure.message
    assert posts == []


def test_an_edit_of_a_clip_of_ours_needs_consent_to_be_paid_for_again(stage, source, monkeypatch):
    monkeypatch.setattr(wiring.library(), "presigned_url", lambda *_: source.temporary_url)
    render = stage.submit(
        sourceVideoUrl=source.url,
        prompt="x [[sim:lost]]",
        pipelineRequestId="f",
        duration=None,
    )
    stage.run(render)

    with pytest.raises(NotAllowed, match="mayChargeTwice"):
        wiring.conductor().retry(render.render_id)
    assert len(stage.jobs()) == 2


def test_a_retry_of_an_edit_is_priced_as_the_edit_was(stage, source):
    """By the resolution of its source, which the plan does not say."""
    fields = {"operation": "edit", "maxCostUsd": 0.12}
    render = stage.submit(
        prompt="snow [[sim:nocredits]]",
        sourceVideoUrl=source.url,
        clipId="d",
        pipelineRequestId="f",
        duration=None,
        **fields,
    )
    stage.run(render)

    stage.run(wiring.conductor().retry(render.render_id))

    record = stage.record(render)
    assert {a.reserved_ticks for a in record.attempts} == {12 * 10**8}


def test_a_length_that_another_s_manifest_states_is_not_what_is_reserved(stage, source):
    """The entry of a clip of ours, taken in elsewhere with a length of its own making."""
    clip = {"id": "x", "pipelineRequestId": "g", "qualityMode": "draft", "duration": 1}
    clip |= {"status": "finalized", "url": source.url, "resolution": "480p"}
    stated = json.dumps({"version": 3, "requestId": "g", "clips": [clip], "runs": []})
    wiring.director().take_in("g", stated)
    conductor = wiring.conductor()
    order = {"prompt": "in the snow", "operation": "edit", "sourceVideoUrl": source.url}

    def most(film):
        request = intake.clip_request(json.dumps({**order, "pipelineRequestId": film}))
        return conductor.plan(request)[1].plan.estimate.total_usd

    longest, each = Decimal("8.7"), Decimal("0.07") + Decimal("0.01")
    assert (most("f"), most("g")) == (2 * Decimal("0.06"), longest * each)
    text = {
        "schemaVersion": "1.0",
        "requestId": "g",
        "clips": [{"id": "x", "duration": 1, "prompt": "snow"}],
    }
    film_order = FilmOrder(source_video_url="manifest")
    assert wiring.director().plan(json.dumps(text), film_order)[1][0].plan.estimate.total_usd == (
        longest * each
    )
