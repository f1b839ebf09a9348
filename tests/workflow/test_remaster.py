"""A finished render made again at 720p, on request: linked to it, and nothing paid for twice."""

import base64
import json

import pytest

from tests.workflow.conftest import CALLER, load_handler
from tests.workflow.test_doors import CONTEXT, event
from tests.workflow.test_first_frame import PNG, posts_to_xai, stills, videos
from videoconductor import intake, wiring
from videoconductor.clip import Frame
from videoconductor.errors import IdempotencyConflict, InvalidRequest, NotAllowed, RenderNotFound

INLINE = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


def finished(stage, **fields):
    render = stage.submit(clipId="c", pipelineRequestId="f", **fields)
    stage.run(render)
    return stage.record(render)


def remaster(parent, key=None, **fields):
    wanted = intake.remastering(json.dumps(fields))
    return wiring.conductor().remaster(parent.render_id, wanted, CALLER, key)


def test_a_clip_is_made_anew_at_720p_and_linked_to_the_one_before(stage):
    parent = finished(stage, purpose="demo", refCode="r1", thumbnail={"template": "cta_bar"})
    posts = posts_to_xai()
    door = load_handler("submit")
    path = f"/v1/videos/{parent.render_id}/remaster"

    answer = door.handler(event("POST", path, None), CONTEXT)

    body = json.loads(answer["body"])
    assert answer["statusCode"] == 202, body
    assert (body["qualityMode"], body["resolution"]) == ("production", "720p")
    assert body["remasterFromRequestId"] == parent.request_id
    assert body["warnings"] == []
    render = wiring.manifest().read(body["renderId"])
    stage.run(render)
    [(_, posted)] = posts
    assert posted == {
        "model": "grok-imagine-video",
        "prompt": parent.plan.prompt,
        "duration": parent.plan.duration,
        "aspect_ratio": parent.plan.aspect_ratio,
        "resolution": "720p",
    }
    entries = {entry.id: entry for entry in wiring.manifest().entries("f")}
    assert set(entries) == {"c::draft", "c::production"}
    made = entries["c::production"]
    assert made.remaster_from_request_id == entries["c::draft"].request_id
    assert (made.purpose, made.ref_code) == ("demo", "r1")
    assert stage.record(render).thumbnail == parent.thumbnail


def test_a_still_that_was_paid_for_is_not_paid_for_again(stage):
    parent = finished(stage, firstFramePrompt="a lamp")
    assert len(stills(stage)) == 1
    limit = float(parent.plan.estimate.total_usd) + 0.05  # without the still's own price

    render = remaster(parent, maxCostUsd=limit)

    stage.run(render)
    assert render.plan.quality_mode == "production_i2v"
    assert [line.what for line in render.plan.estimate.lines if "still" in line.what] == []
    assert len(stills(stage)) == 1
    assert len(videos(stage)) == 2
    assert stage.record(render).plan.image == parent.plan.image


def test_an_image_that_came_inline_is_used_again_from_where_it_lies(stage):
    references = [INLINE, INLINE]
    parent = finished(stage, imageUrl=INLINE)
    other = finished(stage, referenceImageUrls=references, qualityMode="draft")
    images = [key for key in stage.objects() if key.startswith("generated/images/")]
    posts = posts_to_xai()

    render, second = remaster(parent), remaster(other)

    stage.run(render)
    stage.run(second)
    assert [key for key in stage.objects() if key.startswith("generated/images/")] == images
    assert render.plan.image == parent.plan.image
    assert second.plan.references == other.plan.references
    bodies = {body["resolution"]: body for _, body in posts if "image" in body}
    assert base64.b64decode(bodies["720p"]["image"]["url"].partition(",")[2]) == PNG
    assert render.plan.warnings == second.plan.warnings == ()


def test_with_edit_the_finished_clip_itself_is_the_source(stage):
    parent = finished(stage, duration=2)
    newer = finished(stage, duration=1, prompt="another")  # the entry is not the parent's any more
    assert newer.clip is not None
    posts = posts_to_xai()

    render = remaster(parent, edit=True, prompt="in the snow")

    stage.run(render)
    [(path, posted)] = posts
    assert path == "videos/edits"
    assert parent.clip.key in posted["video"]["url"]
    assert render.plan.source_video_url == wiring.library().uri(parent.clip.key)
    # Its length is known: nothing is taken at its longest.
    assert float(render.plan.estimate.lines[-1].quantity) == parent.clip.seconds
    with pytest.raises(InvalidRequest) as refused:
        remaster(parent, edit=True)
    assert refused.value.problems[0].field == "prompt"


def test_the_same_key_is_the_same_remaster_and_another_wish_a_conflict(stage):
    parent = finished(stage)
    submitted = stage.submit(key="k")  # the key of another command is another's

    first = remaster(parent, key="k", prompt="closer")

    assert remaster(parent, key="k", prompt="closer").render_id == first.render_id
    assert first.render_id != submitted.render_id
    for other in ({"prompt": "wider"}, {}):
        with pytest.raises(IdempotencyConflict):
            remaster(parent, key="k", **other)
    with pytest.raises(IdempotencyConflict):
        remaster(first, key="k", prompt="closer")
    stage.run(first)
    assert sum(job["resolution"] == "720p" for job in stage.jobs()) == 1
    stage.settle()


def test_what_cannot_be_remastered_says_why_and_starts_nothing(stage):
    parent = finished(stage)

    def like(name, plan=(), **changes):
        """A render as the finished one, but for some of it."""
        changes |= {"render_id": name, "plan": parent.plan.model_copy(update=dict(plan))}
        return wiring.manifest().create(parent.model_copy(update=changes))

    edit = {"edit": True, "prompt": "x"}
    for other, fields, words in (
        (like("a", status="failed"), {}, "failed"),
        (like("b", status="rendered", clip=None), edit, "rendered"),
        (like("c", plan={"resolution": "720p"}), {}, "made at 720p"),
        (like("d", plan={"resolution": "1080p"}), {}, "made at 1080p"),
        (like("e", plan={"operation": "extend"}), {}, "with edit"),
        (like("f", plan={"last_frame": Frame(url="https://a.example/b.png")}), {}, "lastFrameUrl"),
        (like("g", clip=parent.clip.model_copy(update={"seconds": 9.5})), edit, "9.5 seconds long"),
    ):
        with pytest.raises(NotAllowed, match=words):
            remaster(other, **fields)
    for fields, name in (
        ({"duration": 99}, "duration"),
        ({"qualityMode": "best"}, "qualityMode"),
        ({"maxCostUsd": 0.01}, "maxCostUsd"),
        ({"callbackUrl": "http://10.0.0.1/"}, "callbackUrl"),
        ({"remaster": True}, "remaster"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            remaster(parent, **fields)
        assert [problem.field for problem in refused.value.problems] == [name]
    with pytest.raises(RenderNotFound):
        remaster(parent.model_copy(update={"render_id": "nobody"}))
    assert len(stage.jobs()) == 1
