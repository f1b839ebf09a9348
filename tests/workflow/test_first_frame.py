"""RELIABILITY, Spending, for the still a clip starts from: one POST each, and never one lost.

xAI's journal holds image jobs beside video jobs: how many of each did it start?
"""

import base64
import hashlib
import io
import json

import boto3
import pytest
from PIL import Image

from tests import wires
from tests.workflow.conftest import KEY
from tests.workflow.test_interleavings import Gate
from videoconductor import permits, wiring, workflow
from videoconductor.errors import LibraryUnavailable, ManifestUnavailable, NotAllowed, SubmitUnknown
from videoconductor.workflow import failing


def drawn(kind):
    made = io.BytesIO()
    Image.new("RGB", (64, 36), "teal").save(made, kind)
    return made.getvalue()


STILL_TICKS = 200_000_000  # $0.02
SECOND_TICKS = 800_000_000  # $0.08, a second of draft_i2v
INPUT_TICKS = 100_000_000  # $0.01, an image handed in
PNG = drawn("PNG")
WEBP = drawn("WEBP")
FRAMED = ["NeedsFirstFrame", "FirstFrame", "IsFramed"]


def order(stage, still="a lamp", **fields):
    fields = {"prompt": "it glows", "clipId": "c", "pipelineRequestId": "f", **fields}
    return stage.submit(firstFramePrompt=still, **fields)


def stills(stage):
    return [job for job in stage.jobs() if job["operation"] == "image"]


def videos(stage):
    return [job for job in stage.jobs() if job["operation"] != "image"]


def still_keys(stage):
    return [key for key in stage.objects() if key.startswith("generated/images/")]


def posts_to_xai():
    """Path and body of every POST from now on, as they leave."""
    provider, sent = wiring.provider("xai"), []
    real = provider._wire

    def noted(request, limit):
        if request.method == "POST":
            sent.append((request.target.path.removeprefix("/v1/"), json.loads(request.content)))
        return real(request, limit)

    provider._wire = noted
    return sent


@pytest.fixture
def posts(stage):
    return posts_to_xai()


def answer_stills_with(monkeypatch, answer):
    """Let xAI answer every POST for a still with this; says how many there were."""
    provider, asked = wiring.provider("xai"), []
    real = provider._wire

    def answered(request, limit):
        if not request.target.path.endswith("/images/generations"):
            return real(request, limit)
        asked.append(request)
        return answer(request)

    monkeypatch.setattr(provider, "_wire", answered)
    return asked


# -- made once -------------------------------------------------------------------------------------


def test_a_still_is_made_once_kept_and_carried_inside_the_post_for_the_clip(stage, posts):
    render = order(stage)

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED", execution
    assert execution.path[:6] == [*FRAMED, "Start", "IsStarted", "Wait"]
    assert [path for path, _ in posts] == ["images/generations", "videos/generations"]
    assert posts[0][1] == {
        "model": "grok-imagine-image",
        "prompt": "a lamp",
        "n": 1,
        "aspect_ratio": "16:9",
        "response_format": "b64_json",
    }
    record = stage.record(render)
    assert record.plan.quality_mode == "draft_i2v"
    assert record.still.key == f"generated/images/f/c/{render.render_id}-still-1.jpg"
    assert still_keys(stage) == [record.still.key]
    content = b"".join(wiring.library().read(record.still.key))
    assert hashlib.sha256(content).hexdigest() == record.still.sha256
    assert len(content) == record.still.bytes
    url = "data:image/jpeg;base64," + base64.b64encode(content).decode()
    assert posts[1][1]["image"] == {"url": url}
    assert posts[1][1]["prompt"] == "it glows"


def test_the_costs_of_still_input_image_and_seconds_add_up_to_what_was_estimated(stage):
    render = order(stage, duration=2)

    stage.run(render)

    record = stage.record(render)
    assert [attempt.cost_ticks for attempt in record.still_attempts] == [STILL_TICKS]
    assert record.cost_ticks == STILL_TICKS + INPUT_TICKS + 2 * SECOND_TICKS
    assert record.cost_ticks == sum(job["cost_usd_ticks"] for job in stage.jobs())
    assert record.cost_usd == record.plan.estimate.total_usd
    [entry] = wiring.manifest().entries("f")
    assert entry.cost_usd == entry.estimated_cost_usd == record.cost_usd
    sidecar = json.loads(b"".join(wiring.library().read(record.clip.sidecar_key)))
    assert sidecar["costUsd"] == sidecar["estimatedCostUsd"] == 0.19


def test_a_still_has_the_model_and_resolution_that_were_asked_for(stage, posts):
    stage.run(order(stage, imageModel="grok-imagine-image-2.0", imageResolution="1.5k"))

    assert posts[0][1] | {"prompt": ""} == {
        "model": "grok-imagine-image-2.0",
        "prompt": "",
        "n": 1,
        "aspect_ratio": "16:9",
        "resolution": "1.5k",
        "quality": "medium",
        "response_format": "b64_json",
    }


def test_the_entry_says_where_the_first_frame_is_and_the_timeline_when_it_was_made(stage):
    render = order(stage)

    stage.run(render)

    record = stage.record(render)
    [entry] = wiring.manifest().entries("f")
    assert entry.first_frame_url == wiring.library().uri(record.still.key)
    assert [moment.status for moment in record.timeline] == [
        "framing",
        "rendering",
        "rendered",
        "finalized",
    ]


def test_no_still_is_made_for_a_clip_that_has_its_first_frame(stage, posts):
    url = f"{stage.simulator.origin}/assets/first.png"
    render = order(stage, imageUrl=url)

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert "FirstFrame" not in execution.path
    [(path, body)] = posts
    assert (path, body["image"]) == ("videos/generations", {"url": url})
    assert stills(stage) == []
    [entry] = wiring.manifest().entries("f")
    assert entry.first_frame_url == url


def test_an_inline_image_is_kept_and_travels_inside_the_post(stage, posts):
    url = "data:image/png;base64," + base64.b64encode(PNG).decode()
    render = order(stage, imageUrl=url)

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    [(_, body)] = posts
    assert body["image"] == {"url": url}
    [key] = still_keys(stage)
    assert b"".join(wiring.library().read(key)) == PNG
    assert url[:60] not in stage.record(render).model_dump_json()
    [entry] = wiring.manifest().entries("f")
    assert entry.first_frame_url == wiring.library().uri(key)


# -- made for all ----------------------------------------------------------------------------------


def test_two_renders_of_one_clip_with_the_same_still_pay_for_it_once(stage, posts):
    first = order(stage)
    stage.run(first)
    second = order(stage, prompt="it fades", qualityMode="production_i2v")

    execution = stage.run(second)

    assert execution.status == "SUCCEEDED"
    assert len(stills(stage)) == 1
    assert len(videos(stage)) == 2
    record = stage.record(second)
    assert record.still == stage.record(first).still
    assert (record.still.render_id, record.still_attempts) == (first.render_id, ())
    images = [body["image"] for path, body in posts if path.startswith("videos")]
    assert images[0] == images[1]
    video = next(job for job in videos(stage) if job["id"] == record.request_id)
    assert record.cost_ticks == video["cost_usd_ticks"]


def test_two_renders_of_one_clip_at_the_same_time_pay_for_its_still_once(stage, monkeypatch):
    gate = Gate(monkeypatch, wiring.provider("xai"), "make_still")
    first = order(stage)
    gate.reached()
    second = order(stage, prompt="it fades")
    stage.while_waiting = gate.open
    stage.run(second)
    gate.open()
    stage.run(first)

    assert len(stills(stage)) == 1


def test_what_is_not_the_same_still_of_the_same_clip_is_made_anew(stage):
    others = [
        {"still": "another lamp"},
        {"clipId": "d"},
        {"pipelineRequestId": "g"},
        {"aspectRatio": "1:1"},
        {"imageModel": "grok-imagine-image-2.0"},
        {"imageResolution": "2k"},
    ]
    stage.run(order(stage))

    for number, other in enumerate(others, start=2):
        stage.run(order(stage, **other))

        assert len(stills(stage)) == len(set(still_keys(stage))) == number, other


# -- killed ----------------------------------------------------------------------------------------

KILLS = [
    # edge, call, when: how the render ends, what xAI made of the still by then
    ("manifest", "save", "before", "SUCCEEDED", 1),
    ("manifest", "save", "after", "SubmitUnknown", 0),
    ("xai", "make_still", "before", "SubmitUnknown", 0),
    ("xai", "make_still", "after", "SubmitUnknown", 1),
    ("library", "put_still", "before", "SubmitUnknown", 1),
    ("library", "put_still", "after", "SUCCEEDED", 1),
    ("manifest", "keep_still", "before", "SUCCEEDED", 1),
    ("manifest", "keep_still", "after", "SUCCEEDED", 1),
    ("manifest", "update", "before", "SUCCEEDED", 1),
    ("manifest", "update", "after", "SUCCEEDED", 1),
]


@pytest.mark.long
@pytest.mark.parametrize(("edge", "call", "when", "end", "made"), KILLS)
def test_killed_at_any_step_a_still_is_never_paid_for_twice(
    stage, posts, monkeypatch, edge, call, when, end, made
):
    target = wiring.provider("xai") if edge == "xai" else getattr(wiring, edge)()
    fired = stage.kill(monkeypatch, target, call, when)
    render = order(stage)

    execution = stage.run(render)

    record = stage.record(render)
    assert fired == [call]
    assert end in {execution.status, execution.error}
    assert len(stills(stage)) == made
    assert sum(path.startswith("images") for path, _ in posts) == made
    assert len(record.still_attempts) == 1
    assert stage.waits[0] == 150
    if end == "SUCCEEDED":
        assert (record.status, record.still_attempts[0].outcome) == ("finalized", "accepted")
        assert [record.still.key] == still_keys(stage)
        assert len(videos(stage)) == 1
        assert "rendering" in [moment.status for moment in record.timeline]
    else:
        assert (record.status, record.still_attempts[0].outcome) == ("submit_unknown", "unknown")
        assert [event["status"] for event in stage.published] == ["submit_unknown"]
        assert videos(stage) == []


def test_a_still_whose_maker_died_is_found_in_the_library_only_after_its_lease(stage, monkeypatch):
    stage.kill(monkeypatch, wiring.library(), "put_still", "after")
    monkeypatch.setattr(failing, "CRASHES", frozenset())
    monkeypatch.setenv("START_LEASE_SECONDS", "400")
    wiring.settings.cache_clear()
    render = order(stage)

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert execution.path[:9] == [
        "NeedsFirstFrame",
        "FirstFrame",
        "AwaitLease",
        "RecordFailure",
        "IsOver",
        "AwaitTurn",
        *FRAMED,
    ]
    assert stage.waits[:2] == [150, 251]
    record = stage.record(render)
    assert hashlib.sha256(b"".join(wiring.library().read(record.still.key))).hexdigest() == (
        record.still.sha256
    )
    assert len(stills(stage)) == 1


CRASHED = ["AwaitLease", "RecordFailure", "IsOver", "AwaitTurn"]
ENDINGS = {
    "before": ["NeedsFirstFrame", "FirstFrame", *CRASHED, *FRAMED, "Start"],
    "after": ["NeedsFirstFrame", "FirstFrame", *CRASHED, "NeedsFirstFrame", "Start"],
}


@pytest.mark.long
@pytest.mark.parametrize("when", ENDINGS)
def test_whatever_a_dead_first_frame_is_called_it_runs_again_and_posts_once(stage, when):
    for number, error in enumerate(sorted(workflow.CRASHES), start=1):
        stage.break_state("FirstFrame", error, when)
        render = order(stage, clipId=error)

        execution = stage.run(render)

        assert execution.status == "SUCCEEDED", error
        assert execution.path[: len(ENDINGS[when])] == ENDINGS[when], error
        assert (len(stills(stage)), len(videos(stage))) == (number, number), error


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_first_frame_that_fails_by_an_error_of_its_own_is_failed_and_can_be_retried(
    stage, when, made
):
    stage.break_state("FirstFrame", "KeyError", when)
    render = order(stage)

    execution = stage.run(render)

    assert (execution.error, stage.record(render).status) == ("KeyError", "failed")
    assert len(stills(stage)) == made
    assert stage.run(wiring.conductor().retry(render.render_id)).status == "SUCCEEDED"
    assert (len(stills(stage)), len(videos(stage))) == (1, 1)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_start_that_crashes_after_the_still_leaves_it_as_it_is(stage, when):
    stage.break_state("Start", "Lambda.Unknown", when)
    render = order(stage)

    assert stage.run(render).status == "SUCCEEDED"
    assert (len(stills(stage)), len(videos(stage))) == (1, 1)


def test_a_first_frame_that_never_lives_to_its_permit_is_given_up_after_some_rounds(stage):
    for _ in range(20):
        stage.break_state("FirstFrame", "Runtime.ExitError", "before")
    render = order(stage)

    execution = stage.run(render)

    assert (execution.error, stage.record(render).status) == ("Runtime.ExitError", "failed")
    assert stage.calls.count("first_frame") == failing.MAX_CRASHES + 1
    assert stage.jobs() == []


@pytest.mark.parametrize(("call", "failures"), [("still", 3), ("keep_still", 1), ("update", 1)])
def test_a_table_that_fails_for_a_while_costs_no_second_still(stage, monkeypatch, call, failures):
    manifest = wiring.manifest()
    real, failed = getattr(manifest, call), []

    def throttled(*arguments):
        if "first_frame" in stage.calls and len(failed) < failures:
            failed.append(call)
            raise ManifestUnavailable("DynamoDB PutItem: ProvisionedThroughputExceeded")
        return real(*arguments)

    monkeypatch.setattr(manifest, call, throttled)
    render = order(stage)

    execution = stage.run(render)

    assert len(failed) == failures
    assert execution.status == "SUCCEEDED"
    assert (len(stills(stage)), len(videos(stage))) == (1, 1)


def test_two_executions_of_one_render_share_a_single_permit_for_the_still(stage):
    render = order(stage)
    resumed = wiring.conductor().resume(render.render_id)

    executions = [stage.run(render), stage.run(resumed)]

    assert "SUCCEEDED" in {execution.status for execution in executions}
    assert stage.record(render).status == "finalized"
    assert (len(stills(stage)), len(videos(stage))) == (1, 1)


def test_a_still_that_another_execution_is_waiting_for_is_neither_asked_for_nor_given_up(
    stage, monkeypatch
):
    gate = Gate(monkeypatch, wiring.provider("xai"), "make_still", after=False)
    render = order(stage)
    gate.reached()

    def come_in():
        stage.while_waiting = None
        gate.open()
        assert stage.run(render).error == "RenderCancelled"

    stage.while_waiting = come_in
    resumed = wiring.conductor().resume(render.render_id)

    execution = stage.run(resumed)

    assert execution.status == "SUCCEEDED"
    assert execution.path[:6] == [*FRAMED, "AwaitTurn", "NeedsFirstFrame", "FirstFrame"]
    assert stage.waits[0] == 151
    assert (len(stills(stage)), len(videos(stage))) == (1, 1)


# -- what xAI answers ------------------------------------------------------------------------------


def test_a_rate_limit_postpones_the_still(stage):
    render = order(stage, "a lamp [[sim:start429]]")

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert execution.path[:7] == [*FRAMED, "AwaitTurn", *FRAMED]
    record = stage.record(render)
    assert [attempt.outcome for attempt in record.still_attempts] == ["refused", "accepted"]
    assert [attempt.outcome for attempt in record.attempts] == ["accepted"]
    assert (len(stills(stage)), len(videos(stage))) == (1, 1)


def test_a_rate_limit_is_waited_for_though_the_table_does_not_answer(stage, monkeypatch):
    def down(*_):
        raise ManifestUnavailable("DynamoDB DeleteItem: ThrottlingException")

    monkeypatch.setattr(wiring.manifest(), "leave_still", down)
    render = order(stage, "a lamp [[sim:start429]]")

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    assert execution.path[:7] == [*FRAMED, "AwaitTurn", *FRAMED]
    assert stage.pauses == []


def test_a_still_that_is_limited_for_ever_is_given_up_with_nothing_spent(stage, monkeypatch):
    monkeypatch.setattr(permits, "MAX_POSTPONEMENTS", 4)
    render = order(stage, "a lamp [[sim:start429=0]]")

    execution = stage.run(render)

    assert execution.error == "RenderRefused"
    assert "given up after 4 tries" in stage.record(render).failure.message
    assert stage.jobs() == []


def test_an_unreachable_api_postpones_the_still(stage, monkeypatch):
    def move(url):
        monkeypatch.setenv("XAI_API_BASE_URL", url)
        wiring.settings.cache_clear()
        wiring.provider.cache_clear()

    move("http://127.0.0.1:9/v1")
    render = order(stage)
    stage.while_waiting = lambda: move(stage.simulator.base_url)

    execution = stage.run(render)

    assert execution.status == "SUCCEEDED"
    record = stage.record(render)
    assert [attempt.outcome for attempt in record.still_attempts] == ["not_sent", "accepted"]
    assert len(stills(stage)) == 1


def test_a_moderated_still_is_failed_with_its_cost_and_no_clip_is_paid_for(stage):
    render = order(stage, "a lamp [[sim:moderated]]")

    execution = stage.run(render)

    record = stage.record(render)
    assert execution.path == [
        "NeedsFirstFrame",
        "FirstFrame",
        "RecordFailure",
        "IsOver",
        "Failed",
    ]
    assert (execution.error, record.status) == ("ModerationRejected", "failed")
    assert record.failure.code == "imagine:content-moderated"
    assert "moderation" in record.failure.message
    assert record.cost_ticks == STILL_TICKS
    assert [event["costUsd"] for event in stage.published] == [0.02]
    assert videos(stage) == []


REFUSED = {
    "nocredits": ("OutOfCredits", "credits"),
    "denied": ("RenderRefused", "permission"),
}


@pytest.mark.parametrize("marker", REFUSED)
def test_a_still_that_is_refused_fails_at_once_in_xais_words(stage, posts, marker):
    error, words = REFUSED[marker]
    render = order(stage, f"a lamp [[sim:{marker}]]")

    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == (error, "failed")
    assert words in record.failure.message
    assert [attempt.outcome for attempt in record.still_attempts] == ["refused"]
    assert len(posts) == 1


def test_a_wrong_key_fails_the_still_at_once_and_is_never_shown(stage):
    secret = "xai-" + "s3cret" * 8
    secrets = boto3.client("secretsmanager", "us-east-1")
    secrets.put_secret_value(SecretId="xai", SecretString=secret)
    wiring.api_key(renew=True)
    render = order(stage)

    execution = stage.run(render)

    record = stage.record(render)
    assert execution.error == "RenderRefused"
    assert "Incorrect API key" in record.failure.message
    assert secret not in record.model_dump_json() + (execution.cause or "")
    secrets.put_secret_value(SecretId="xai", SecretString=KEY)
    wiring.api_key(renew=True)
    retried = wiring.conductor().retry(render.render_id)
    assert stage.run(retried).status == "SUCCEEDED"
    assert len(stills(stage)) == 1


AMBIGUOUS = {
    # how many stills xAI made, though nobody knows
    "start503": 0,
    "start_drop": 0,
    "lost": 1,
    "garbled": 1,
    "start_html": 1,
}


@pytest.mark.parametrize("marker", AMBIGUOUS)
def test_an_answer_that_proves_nothing_about_the_still_is_submit_unknown(stage, posts, marker):
    render = order(stage, f"a lamp [[sim:{marker}]]")

    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == ("SubmitUnknown", "submit_unknown")
    assert [attempt.outcome for attempt in record.still_attempts] == ["unknown"]
    assert record.failure.message
    assert len(posts) == 1
    assert (len(stills(stage)), len(videos(stage))) == (AMBIGUOUS[marker], 0)
    with pytest.raises(NotAllowed, match="mayChargeTwice"):
        wiring.conductor().retry(render.render_id)


USAGE = {"usage": {"cost_in_usd_ticks": STILL_TICKS}}


def test_a_200_without_an_image_is_failed_with_what_it_cost(stage, monkeypatch):
    body = {"data": []}
    asked = answer_stills_with(monkeypatch, lambda _: wires.reply(200, body | USAGE))
    render = order(stage)

    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == ("RenderFailed", "failed")
    assert (record.failure.code, record.cost_ticks) == ("no_image", STILL_TICKS)
    assert len(asked) == 1
    assert stage.jobs() == []


@pytest.mark.parametrize("call", ["put_still", None])
def test_a_still_of_any_kind_is_kept_and_found_again_as_it_is(stage, monkeypatch, call):
    text = "data:image/webp;base64," + base64.b64encode(WEBP).decode()
    asked = answer_stills_with(
        monkeypatch, lambda _: wires.reply(200, {"data": [{"b64_json": text}], **USAGE})
    )
    if call is not None:
        stage.kill(monkeypatch, wiring.library(), call, "after")
    render = order(stage)

    stage.run(render)

    record = stage.record(render)
    assert (record.still.media_type, record.still.bytes) == ("image/webp", len(WEBP))
    assert b"".join(wiring.library().read(record.still.key)) == WEBP
    assert record.still.sha256 == hashlib.sha256(WEBP).hexdigest()
    assert len(asked) == 1


def test_a_still_that_cannot_be_kept_is_failed_with_words_and_cost(stage, monkeypatch):
    library = wiring.library()
    with monkeypatch.context() as patch:

        def down(*_):
            raise LibraryUnavailable("S3 PutObject: SlowDown")

        patch.setattr(library, "put_still", down)
        render = order(stage)
        execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == ("CopyFailed", "failed")
    assert record.failure.code == "still"
    assert "SlowDown" in record.failure.message
    assert record.cost_ticks == STILL_TICKS
    assert (len(stills(stage)), len(videos(stage))) == (1, 0)


# -- people ----------------------------------------------------------------------------------------


def test_cancel_while_the_still_waits_for_its_turn_lets_nothing_out(stage):
    render = order(stage, "a lamp [[sim:start429]]")
    stage.while_waiting = lambda: wiring.conductor().cancel(render.render_id)

    execution = stage.run(render)

    assert execution.error == "RenderCancelled"
    assert [event["status"] for event in stage.published] == ["cancelled"]
    assert stage.jobs() == []


def test_cancel_while_the_still_is_made_keeps_it_and_pays_for_no_clip(stage, monkeypatch):
    gate = Gate(monkeypatch, wiring.provider("xai"), "make_still")
    render = order(stage)
    gate.reached()
    wiring.conductor().cancel(render.render_id)
    gate.open()

    execution = stage.run(render)

    record = stage.record(render)
    assert (execution.error, record.status) == ("RenderCancelled", "cancelled")
    assert record.cost_ticks == STILL_TICKS
    assert (len(stills(stage)), len(videos(stage))) == (1, 0)
    retried = wiring.conductor().retry(render.render_id)
    assert stage.run(retried).status == "SUCCEEDED"
    assert (len(stills(stage)), len(videos(stage))) == (1, 1)


def test_a_cancelled_render_whose_still_nobody_saw_is_not_retried_without_consent(
    stage, monkeypatch
):
    stage.kill(monkeypatch, wiring.provider("xai"), "make_still", "after")
    render = order(stage)

    def cancel():
        stage.while_waiting = None
        wiring.conductor().cancel(render.render_id)

    stage.while_waiting = cancel
    assert stage.run(render).error == "RenderCancelled"

    with pytest.raises(NotAllowed, match="mayChargeTwice"):
        wiring.conductor().retry(render.render_id)
    stage.run(wiring.conductor().retry(render.render_id, may_charge_twice=True))

    record = stage.record(render)
    assert record.status == "finalized"
    assert [attempt.outcome for attempt in record.still_attempts] == ["abandoned", "accepted"]
    assert len(stills(stage)) == 2


def test_a_submit_unknown_still_is_made_anew_with_consent(stage):
    render = order(stage, "a lamp [[sim:start503]]")
    stage.run(render)

    retried = wiring.conductor().retry(render.render_id, may_charge_twice=True)

    assert stage.run(retried).status == "SUCCEEDED"
    record = stage.record(render)
    assert record.still.key.endswith("-still-2.jpg")
    assert [attempt.outcome for attempt in record.still_attempts] == ["abandoned", "accepted"]
    assert len(stills(stage)) == 1


def test_a_submit_unknown_still_can_be_abandoned(stage):
    render = order(stage, "a lamp [[sim:lost]]")
    stage.run(render)

    assert wiring.conductor().abandon(render.render_id).status == "failed"
    with pytest.raises(NotAllowed, match="mayChargeTwice"):
        wiring.conductor().retry(render.render_id)
    assert len(stills(stage)) == 1


@pytest.mark.parametrize("marker", ["moderated", "denied"])
def test_a_still_that_came_to_nothing_is_retried_without_further_ado(stage, marker):
    render = order(stage, f"a lamp [[sim:{marker}]]")
    stage.run(render)
    before = len(stills(stage))

    stage.run(wiring.conductor().retry(render.render_id))

    record = stage.record(render)
    assert [attempt.number for attempt in record.still_attempts] == [1, 2]
    assert len(stills(stage)) == 2 * before
    assert (record.cost_ticks or 0) == 2 * before * STILL_TICKS


def test_a_still_that_could_not_be_kept_is_made_anew_on_retry_and_both_are_booked(
    stage, monkeypatch
):
    with monkeypatch.context() as patch:

        def down(*_):
            raise LibraryUnavailable("S3 PutObject: SlowDown")

        patch.setattr(wiring.library(), "put_still", down)
        render = order(stage)
        stage.run(render)

    assert stage.run(wiring.conductor().retry(render.render_id)).status == "SUCCEEDED"
    assert stage.record(render).cost_ticks == sum(job["cost_usd_ticks"] for job in stage.jobs())
    assert len(stills(stage)) == 2


@pytest.mark.parametrize("marker", ["nocredits", "failed"])
def test_a_kept_still_is_not_paid_for_again_when_the_clip_is_retried(stage, posts, marker):
    render = order(stage, prompt=f"it glows [[sim:{marker}]]")
    assert stage.run(render).status == "FAILED"

    execution = stage.run(wiring.conductor().retry(render.render_id))

    assert execution.path[:2] == ["NeedsFirstFrame", "Start"]
    clips = [body for path, body in posts if path.startswith("videos")]
    assert len(clips) == 2
    assert clips[0]["image"] == clips[1]["image"]
    assert len(stills(stage)) == 1


def test_a_kept_still_does_not_excuse_a_post_for_the_clip_that_nobody_saw_the_answer_of(stage):
    render = order(stage, prompt="it glows [[sim:lost]]")
    stage.run(render)
    assert stage.record(render).status == "submit_unknown"

    with pytest.raises(NotAllowed, match="mayChargeTwice"):
        wiring.conductor().retry(render.render_id)
    stage.run(wiring.conductor().retry(render.render_id, may_charge_twice=True))

    assert (len(stills(stage)), len(videos(stage))) == (1, 2)


def test_a_still_that_comes_after_another_was_paid_for_is_booked_and_changes_nothing_else(
    stage, posts, monkeypatch
):
    conductor = wiring.conductor()
    gate = Gate(monkeypatch, wiring.provider("xai"), "make_still")
    render = order(stage)
    gate.reached()
    conductor.cancel(render.render_id)
    retried = conductor.retry(render.render_id, may_charge_twice=True)
    assert stage.run(retried).status == "SUCCEEDED"
    used = stage.record(render).still
    gate.open()

    assert stage.run(render).error == "RenderCancelled"

    record = stage.record(render)
    assert [attempt.outcome for attempt in record.still_attempts] == ["accepted", "accepted"]
    assert record.cost_ticks == sum(job["cost_usd_ticks"] for job in stage.jobs())
    assert (record.still, record.plan.image.key) == (used, used.key)
    assert len(still_keys(stage)) == len(stills(stage)) == 2
    assert len(videos(stage)) == 1


@pytest.mark.parametrize("call", ["make_still", "start"])
def test_an_execution_that_was_overtaken_does_not_make_anothers_post_unknown(
    stage, monkeypatch, call
):
    conductor, provider = wiring.conductor(), wiring.provider("xai")
    real, late = getattr(provider, call), []

    def lost(*arguments):
        if late:
            return real(*arguments)
        late.append(call)
        gate(*arguments)
        raise SubmitUnknown("xAI may have accepted the job")

    held = Gate(monkeypatch, provider, call, after=False)
    gate = getattr(provider, call)
    monkeypatch.setattr(provider, call, lost)
    render = order(stage)
    held.reached()
    conductor.cancel(render.render_id)
    monkeypatch.setattr(provider, call, real)
    second = Gate(monkeypatch, provider, call, after=False)
    retried = conductor.retry(render.render_id, may_charge_twice=True)
    second.reached()
    held.open()
    assert stage.run(render).error == "RenderCancelled"
    second.open()

    execution = stage.run(retried)

    record = stage.record(render)
    assert (execution.status, record.status) == ("SUCCEEDED", "finalized")
    outcomes = record.still_attempts if call == "make_still" else record.attempts
    assert [attempt.outcome for attempt in outcomes] == ["abandoned", "accepted"]


def test_a_job_attached_to_a_render_that_never_got_its_still_is_waited_for(stage):
    other = stage.submit(prompt="somewhere else")
    stage.run(other)
    [job] = stage.jobs()
    render = stage.submit(prompt="she waves", firstFramePrompt="a bar [[sim:nocredits]]")
    stage.run(render)
    assert (stage.record(render).status, stage.record(render).still) == ("failed", None)

    execution = stage.run(wiring.conductor().attach(render.render_id, job["id"]))

    assert (execution.status, stage.record(render).status) == ("SUCCEEDED", "finalized")
    assert "FirstFrame" not in execution.path
    assert len(stage.jobs()) == 1
