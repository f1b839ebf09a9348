"""`POST /v1/plan`: what POST would do and what it would cost, and nothing done."""

import json

import pytest

from tests.workflow.conftest import load_handler
from tests.workflow.test_doors import call
from tests.workflow.test_film import script
from videoconductor import views, wiring
from videoconductor.errors import InvalidRequest


@pytest.fixture
def plan(films):
    door = load_handler("plan")

    def ask(body, **query):
        before = len(films.objects()), films.dynamodb.scan(TableName="table")["Count"]
        content = body if isinstance(body, str) else json.dumps(body)
        status, answer = call(door, "POST", "/v1/plan", content, query=query)
        after = len(films.objects()), films.dynamodb.scan(TableName="table")["Count"]
        assert after == before
        return status, answer

    return ask


def test_a_clip_s_plan_has_what_the_render_would_have_and_its_errors(films, plan):
    asked = {
        "prompt": "a lamp",
        "firstFramePrompt": "a lamp in the rain",
        "duration": 2,
        "clipId": "c",
        "pipelineRequestId": "f",
        "aspectRatio": "9:16",
        "persistToFilebase": True,
    }

    status, body = plan(asked)

    assert status == 200
    [clip] = body["clips"]
    render = films.submit(**asked)
    wanted = render.plan.model_dump(mode="json")
    wanted["estimate"] = views.estimate(render.plan.estimate)
    assert {name: clip[name] for name in clip.keys() & wanted.keys()} == {
        name: wanted[name] for name in clip.keys() & wanted.keys()
    }
    assert (clip["qualityMode"], clip["imageModel"]) == ("draft_i2v", "grok-imagine-image")
    assert clip["warnings"] == list(render.plan.warnings) != []
    assert clip["estimate"]["lines"][0]["what"].startswith("still by")
    assert (body["filmId"], body["due"], body["reused"]) == ("f", 1, 0)
    assert body["estimatedCostUsd"] == clip["estimatedCostUsd"]

    # Once the still is there, neither the plan nor the next render counts it.
    films.run(render)
    _, again = plan(asked)
    assert again["clips"][0]["estimate"]["totalUsd"] == pytest.approx(
        body["estimatedCostUsd"] - 0.02
    )
    assert plan({**asked, "maxCostUsd": body["estimatedCostUsd"] - 0.01})[0] == 200

    for wrong, query in (({**asked, "duration": 99}, {}), ({"promt": "x"}, {}), (asked, {"x": 1})):
        status, answer = plan(wrong, **query)
        assert status == 400
        if not query:
            with pytest.raises(InvalidRequest) as refused:
                films.submit(**{"prompt": None, "duration": None} | wrong)
            fields = [problem.field for problem in refused.value.problems]
            assert [error["field"] for error in answer["errors"]] == fields
    assert plan("nul")[0] == plan("[]")[0] == plan("")[0] == 400


def test_a_source_clip_of_the_film_s_own_is_known_by_its_length(films, plan):
    films.run(films.submit(clipId="c", pipelineRequestId="f", duration=2))
    [entry] = wiring.manifest().entries("f")
    edit = {"prompt": "in the snow", "sourceVideoUrl": entry.url, "pipelineRequestId": "f"}

    _, body = plan(edit)

    [clip] = body["clips"]
    assert (clip["operation"], clip["sourceVideoUrl"]) == ("edit", entry.url)
    assert [line["quantity"] for line in clip["estimate"]["lines"]] == [entry.duration] * 2
    status, answer = plan({**edit, "pipelineRequestId": "other"})
    assert (status, answer["errors"][0]["field"]) == (400, "sourceVideoUrl")


def test_a_script_s_plan_says_what_a_run_would_pay_for(films, plan):
    film = script("one", "two")
    status, fresh = plan(film)
    run, _ = films.accept(film, only=("01",))
    films.end(run)

    _, later = plan(film)
    _, forced = plan(film, force="true", clip="01")
    _, sharper = plan(film, remaster="true")

    assert status == 200
    assert (fresh["filmId"], fresh["due"], fresh["reused"]) == ("film", 2, 0)
    assert [(c["clipId"], c["due"], c["reused"]) for c in later["clips"]] == [
        ("01", False, True),
        ("02", True, False),
    ]
    assert [(c["clipId"], c["due"]) for c in forced["clips"]] == [("01", True)]
    assert {clip["qualityMode"] for clip in sharper["clips"]} == {"production"}
    assert all(clip["prompt"] and clip["estimate"]["lines"] for clip in fresh["clips"])

    status, answer = plan(film, maxCostUsd="0.01")
    assert (status, answer["errors"][0]["field"]) == (400, "maxCostUsd")
    status, answer = plan({**film, "clips": []})
    assert (status, answer["errors"][0]["field"]) == (400, "clips")
    assert plan(film, frce="true")[1]["errors"][0]["choices"]

    run, clips = films.accept(film)
    due = sum(float(clip.estimated_cost_usd) for clip in clips if clip.is_due)
    assert later["estimatedCostUsd"] == pytest.approx(due)
    films.end(run)
