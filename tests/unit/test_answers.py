"""The models of answers against what the views really build, and both against the document."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import get_args

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from videoconductor import answers, compatible, errors, openapi, views
from videoconductor.books import Tally
from videoconductor.budgets import Caps
from videoconductor.clip import (
    Attempt,
    Callback,
    Clip,
    Delivery,
    Failure,
    FilmClip,
    FilmRun,
    ManifestEntry,
    Moment,
    Pictures,
    Render,
    Shortfall,
    Status,
    Still,
)
from videoconductor.errors import InvalidRequest, Problem
from videoconductor.ledger import Counter
from videoconductor.listing import Page
from videoconductor.planning import PlannedClip
from videoconductor.spending import Standings

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OUTCOMES = get_args(Attempt.model_fields["outcome"].annotation)


@pytest.fixture(scope="module")
def is_true(modes, models):
    """Checks an answer against its model and against the document's schema of that name."""
    document = openapi.document(modes, models)

    @cache
    def validator(name):
        schemas = {"components": document["components"]}
        return Draft202012Validator({"$ref": f"#/components/schemas/{name}", **schemas})

    def check(model, answer):
        text = json.dumps(answer, allow_nan=False)
        model.model_validate_json(text, strict=True, by_alias=True, by_name=False)
        assert [e.message for e in validator(model.__name__).iter_errors(json.loads(text))] == []

    return check


@pytest.fixture
def render(plan):
    return Render(
        render_id="0" * 32,
        clip_id="clip 1",
        pipeline_request_id="кино & co",
        plan=plan(prompt="a lamp", duration=10),
        caller="arn:aws:iam::123456789012:user/ann",
        request_sha256="f" * 64,
        created_at=NOW,
    )


def attempt(number, outcome, **fields):
    return Attempt(
        number=number, permitted_at=NOW, lease_until=NOW + timedelta(seconds=150), outcome=outcome
    ).model_copy(update=fields)


CLIP = Clip(
    key="generated/videos/a.mp4",
    sidecar_key="generated/videos/a.json",
    bytes=1000,
    sha256="a" * 64,
    seconds=10.04,
    width=848,
    height=480,
    video_codec="avc1",
)
DELIVERY = Delivery(url="https://vidgen.x.ai/a.mp4", model="grok-imagine-video-1.5", seconds=10)
FAILURE = Failure(error="ModerationRejected", message="withheld", code="moderated")
STILL = Still(
    fingerprint="f" * 64,
    render_id="0" * 32,
    model="grok-imagine-image",
    key="generated/images/a.jpg",
    media_type="image/jpeg",
    bytes=1,
    sha256="b" * 64,
)


def stages(render):
    """Renders with everything a render can have, and each with as little of it as it can."""
    yield render
    for status in get_args(Status):
        yield render.having(NOW, status)
    tried = [attempt(n, outcome, repeats=n) for n, outcome in enumerate(OUTCOMES, start=1)]
    booked = {"cost_ticks": 5 * 10**9, "spent_ticks": 5 * 10**9, "run_id": "9c"}
    paid = attempt(9, "accepted", request_id="r", settled_at=NOW, message="m", **booked)
    busy = render.having(
        NOW,
        "rendering",
        attempts=(*tried, paid),
        still_attempts=(*tried, paid),
        still=STILL,
        job={"requestId": "r"},
        deadline=NOW,
        progress=40,
        callback_url="https://example.com/hook?secret=1",
        remaster_from_request_id="r0",
    )
    yield busy
    yield busy.having(NOW, "failed", failure=FAILURE, delivery=DELIVERY)
    for pictures in (Pictures(poster_key="p"), Pictures(poster_key="p", thumbnail_key="t")):
        for clip in (CLIP, CLIP.model_copy(update={"audio_codec": "mp4a"})):
            done = {"clip": clip, "delivery": DELIVERY, "pictures": pictures}
            yield busy.having(NOW, "finalized", **done)
    yield busy.having(NOW, "finalized", clip=CLIP, still=STILL.model_copy(update={"cost_ticks": 1}))


def others(plan):
    """Renders of plans of other shapes."""
    for fields in (
        {"prompt": "a", "sourceVideoUrl": "https://example.com/a.mp4"},
        {"firstFramePrompt": "a", "qualityMode": "draft_i2v"},
        {"prompt": "a", "remaster": True, "persistToFilebase": True},
    ):
        yield plan(**fields)


CALLBACKS = (
    None,
    Callback(webhook_id="w", type="ClipReady", attempts=1, last_attempt_at=NOW, last_status=503),
    Callback(
        webhook_id="w",
        type="ClipReady",
        attempts=9,
        last_attempt_at=NOW,
        last_error="timed out",
        next_attempt_at=NOW,
        delivered_at=NOW,
        given_up_at=NOW,
    ),
)


LOOKED_UP = Standings(
    Caps(render=Decimal(1), film=Decimal("0.4")),
    {Counter("run", "9c"): Tally(10**9, 10**9), Counter("film", "кино"): Tally(10**9, 10**10)},
)


def test_renders_are_answered_as_described(is_true, render, plan):
    found = [*stages(render), *(render.model_copy(update={"plan": p}) for p in others(plan))]
    assert len(found) > 15
    for one in found:
        is_true(answers.AcceptedRender, views.accepted(one))
        for told in CALLBACKS:
            is_true(answers.RenderDetail, views.detail(one, str, told))
        is_true(answers.CompatibleAnswer, compatible.answer(one, str))
        limited = one.model_copy(update={"max_cost_usd": Decimal("1.5")})
        for standings in (None, LOOKED_UP):
            is_true(answers.RenderDetail, views.detail(limited, str, None, standings))
    for position in (None, found[0].order):
        is_true(answers.RenderPage, views.page(Page(tuple(found), position)))


def test_plans_are_answered_as_described(is_true, plan, render):
    found = [render.plan, *others(plan)]
    clips = [PlannedClip("01", one, ("odd",), is_due=False, is_reused=True) for one in found]
    is_true(answers.Plan, views.planned("film", clips))
    many = [PlannedClip(None, render.plan, ())] * (views.MAX_PROMPTS + 1)
    is_true(answers.Plan, views.planned("film", many))


@pytest.fixture
def run():
    return FilmRun(
        run_id="9c",
        film="кино",
        caller="arn:aws:iam::1:user/ann",
        request_sha256="f" * 64,
        requested_at=NOW,
        total=3,
        due=2,
        items=2,
        estimated_cost_usd=Decimal("0.6"),
        items_key="i",
        clips_key="c",
        request_key="r",
    )


def film_clip(**changes):
    fields = {
        "clip_id": "01",
        "quality_mode": "draft",
        "render_id": "r1",
        "operation": "generate",
        "model": "grok-imagine-video",
        "estimated_cost_usd": Decimal("0.3"),
    }
    return FilmClip(**{**fields, **changes})


def shortfalls():
    for number, status in enumerate(get_args(Status)):
        yield Shortfall(clip_id=f"{number}", quality_mode="draft", render_id="r", status=status)
    yield Shortfall(
        clip_id="x", quality_mode="draft", render_id="r", status="failed", **FAILURE.model_dump()
    )


def runs(run):
    yield run
    over = {"ended_at": NOW, "cost_usd": Decimal("0.25"), "result_key": "r", "done": 1, "failed": 2}
    over |= {"spent_usd": Decimal("0.3"), "reserved_usd": Decimal("0.1")}
    for status in get_args(answers.FilmStatus):
        yield run.model_copy(update={"status": status, **over})
    yield run.model_copy(update={"status": "incomplete", "missing": tuple(shortfalls()), **over})


def test_films_are_answered_as_described(is_true, run, render):
    clips = [
        film_clip(),
        film_clip(duration=6, resolution="480p", aspect_ratio="16:9", warnings=("odd",)),
        film_clip(is_due=False, is_reused=True),
    ]
    for one in runs(run):
        is_true(answers.AcceptedFilm, views.film_accepted(one, clips))
        limited = one.model_copy(update={"max_cost_usd": Decimal("0.5")})
        is_true(answers.FilmRun, views.film_run(one))
        is_true(answers.FilmRun, views.film_run(limited, LOOKED_UP))
        is_true(answers.CancelledFilm, views.film_cancelled(one, stages(render)))
        is_true(answers.FilmDetail, views.film_detail(one, clips, {}))
        is_true(answers.FilmDetail, views.film_detail(limited, clips, {}, None, LOOKED_UP))
        for standing in stages(render):
            is_true(answers.FilmDetail, views.film_detail(one, clips, {"r1": standing}))
    for told in CALLBACKS:
        one = run.model_copy(update={"callback_url": "https://example.com/hook"})
        is_true(answers.FilmDetail, views.film_detail(one, clips, {}, told))
    is_true(answers.FilmPage, views.film_page(Page(tuple(runs(run)), None)))
    is_true(answers.FilmPage, views.film_page(Page((), run.order)))


def entries():
    least = ManifestEntry(
        id="01::draft",
        pipeline_request_id="film",
        quality_mode="draft",
        status="finalized",
        requested_at=NOW,
        updated_at=NOW,
    )
    yield least
    everything = {
        name: value
        for name, field in ManifestEntry.model_fields.items()
        if field.default is None
        for value in [Decimal("0.5") if name.endswith("usd") else "words"]
    }
    whole = {**everything, "duration": 6.0, "imported_at": NOW}
    yield least.model_copy(update={"id": "02::draft", **whole})


def test_manifests_are_answered_as_described(is_true, run):
    for url in (None, lambda uri: uri and f"{uri}?signed"):
        is_true(answers.Manifest, views.manifest("film", entries(), list(runs(run)), url))
    whole = views.manifest("кино", entries(), list(runs(run)), standings=LOOKED_UP)
    assert whole["spending"]["leftUsd"] == 0
    is_true(answers.Manifest, whole)
    page = views.manifest("film", entries(), list(runs(run)), limit=1)
    assert page["next"] == "01::draft"
    is_true(answers.Manifest, page)


PROBLEMS = (
    InvalidRequest.of("promt", "x", "is not a known field", ["prompt"]),
    InvalidRequest([Problem("a", value, "is odd") for value in (None, 1, 1.5, True, [1], 10**30)]),
    errors.OverBudget(
        "x", scope="film", name="a", cap=Decimal(3), held=1, settled=2, needed=3, change="y"
    ),
    errors.OverBudget(
        "x", scope="stop", name=None, cap=None, held=0, settled=0, needed=3, change="y"
    ),
    errors.OverBudget(
        "x", scope="unpriced", name="m", cap=None, held=0, settled=0, needed=3, change="y"
    ),
    errors.RenderNotFound("x"),
    errors.Unidentified("x"),
    errors.ManifestUnavailable("x"),
)


@pytest.mark.parametrize("error", PROBLEMS, ids=lambda error: type(error).__name__)
def test_problems_are_answered_as_described(is_true, error):
    problem = views.problem(error)
    is_true(answers.ProblemDetails, problem)
    is_true(answers.CompatibleRefusal, compatible.refusal(problem, type(error).__name__))


def test_models_and_modes_are_answered_as_described(is_true, modes, models):
    is_true(answers.Models, views.models(models))
    is_true(answers.QualityModes, views.quality_modes(modes, models))


def test_examples_are_what_the_document_says(modes, models):
    document = openapi.document(modes, models)
    shown = 0

    def walk(node):
        nonlocal shown
        if isinstance(node, dict):
            for example in node.get("examples", {}).values() if "schema" in node else ():
                schema = {**node["schema"], "components": document["components"]}
                Draft202012Validator(schema).validate(example["value"])
                shown += 1
            for value in node.values():
                walk(value)

    walk(document["paths"])
    assert shown > 10


def test_a_description_that_is_not_true_is_found(is_true, render):
    answer = views.detail(render.having(NOW, "rendering", attempts=(attempt(1, "unknown"),)), str)
    is_true(answers.RenderDetail, answer)
    for changed in (
        {**answer, "more": 1},
        {**answer, "costUsd": "1"},
        {**answer, "requestedAt": None},
        {name: value for name, value in answer.items() if name != "advice"},
    ):
        with pytest.raises((ValidationError, AssertionError)):
            is_true(answers.RenderDetail, changed)
    # A model that was too generous would be caught by the schema, and the other way round.
    null_for_absent = {**answer["attempts"][0], "message": None}
    answers.Attempt.model_validate(null_for_absent)
    with pytest.raises(AssertionError):
        is_true(answers.Attempt, null_for_absent)


def test_every_field_of_every_answer_is_explained():
    found = [
        value
        for value in vars(answers).values()
        if isinstance(value, type) and issubclass(value, answers.BaseModel)
    ]
    bare = [
        f"{model.__name__}.{name}"
        for model in found
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert bare == []
    assert Moment.model_fields.keys() == answers.Moment.model_fields.keys()
