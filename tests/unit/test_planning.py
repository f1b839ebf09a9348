"""From a request to a plan, or to every reason why not."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from videoconductor import intake, planning
from videoconductor.clip import ClipRequest
from videoconductor.errors import InvalidRequest
from videoconductor.planning import PlanDefaults
from videoconductor.providers import xai

IMAGE = "https://images.example.com/first.png"
LAST = "https://images.example.com/last.png"
CLIP = "https://clips.example.com/source.mp4"
OWN = "s3://library/generated/videos/f/c/draft/r.mp4"
CLASSIC, NEW, LITE = (
    "grok-imagine-video",
    "grok-imagine-video-1.5",
    "grok-imagine-video-1.5-lite",
)
SCHEMAS = json.loads(
    (Path(__file__).parents[1] / "integration" / "xai_openapi_media_subset.json").read_text()
)
WIRE = {
    "generate": "GenerateVideoRequest",
    "edit": "EditVideoRequest",
    "extend": "ExtendVideoRequest",
}


def problems(plan, **fields):
    with pytest.raises(InvalidRequest) as refused:
        plan(**fields)
    return {problem.field: problem for problem in refused.value.problems}


def wire(planned):
    return xai.body(planned, lambda frame: frame.url)


def violations(planned):
    bodies = {WIRE[planned.operation]: wire(planned)}
    if planned.first_frame_prompt is not None:
        bodies["GenerateImageRequest"] = xai.still_body(planned)
    found = []
    for name, body in bodies.items():
        schema = {"$ref": f"#/components/schemas/{name}", **SCHEMAS}
        # The docs list two ratios that the OpenAPI file lacks (CONTRACT, 2.1).
        if body.get("aspect_ratio") not in {"21:9", "5:2"}:
            found += [e.message for e in Draft202012Validator(schema).iter_errors(body)]
    return found


# -- the mode table --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "image", "mode", "model", "resolution"),
    [
        (None, False, "draft", CLASSIC, "480p"),
        ("draft", False, "draft", CLASSIC, "480p"),
        ("draft", True, "draft_i2v", NEW, "480p"),
        (None, True, "draft_i2v", NEW, "480p"),
        ("draft_i2v", True, "draft_i2v", NEW, "480p"),
        ("i2v_draft", True, "draft_i2v", NEW, "480p"),
        ("i2v-480", True, "draft_i2v", NEW, "480p"),
        ("production", False, "production", CLASSIC, "720p"),
        ("prod", False, "production", CLASSIC, "720p"),
        ("720p", False, "production", CLASSIC, "720p"),
        ("production", True, "production", CLASSIC, "720p"),
        ("production_i2v", True, "production_i2v", NEW, "720p"),
        ("i2v_prod", True, "production_i2v", NEW, "720p"),
        ("i2v-720", True, "production_i2v", NEW, "720p"),
    ],
)
def test_a_quality_mode_decides_model_and_resolution(plan, asked, image, mode, model, resolution):
    fields = {"prompt": "a lamp"} | ({"imageUrl": IMAGE} if image else {})
    planned = plan(**fields, **({"qualityMode": asked} if asked else {}))
    assert (planned.quality_mode, planned.model, planned.resolution) == (mode, model, resolution)
    assert planned.operation == "generate"


def test_a_first_frame_prompt_turns_draft_into_draft_i2v(plan):
    planned = plan(prompt="it glows", firstFramePrompt="a lamp", imageResolution="2k")
    assert (planned.quality_mode, planned.model) == ("draft_i2v", NEW)
    assert (planned.first_frame_prompt, planned.image_resolution) == ("a lamp", "2k")
    assert planned.image_model == "grok-imagine-image"


@pytest.mark.parametrize("mode", ["draft_i2v", "production_i2v", "i2v-720"])
def test_an_image_mode_without_an_image_is_refused(plan, mode):
    assert (
        "is required by quality mode"
        in problems(plan, prompt="x", qualityMode=mode)["imageUrl"].message
    )


def test_an_unknown_mode_is_refused_with_the_modes_there_are(plan, modes):
    problem = problems(plan, prompt="x", qualityMode="cinema")["qualityMode"]
    assert (problem.value, problem.choices) == ("cinema", tuple(modes.modes))


@pytest.mark.parametrize("mode", ["", "Draft", " draft", "draft\n"])
def test_a_mode_is_spelt_exactly(plan, mode):
    assert "qualityMode" in problems(plan, prompt="x", qualityMode=mode)


# -- remaster --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", [{"remaster": True}, {"operation": "remaster"}])
def test_a_remaster_alone_generates_anew_at_720p(plan, spelling):
    planned = plan(prompt="x", **spelling)
    assert (planned.operation, planned.quality_mode, planned.model, planned.resolution) == (
        "generate",
        "production",
        CLASSIC,
        "720p",
    )
    assert planned.remaster


@pytest.mark.parametrize("frame", [{"imageUrl": IMAGE}, {"firstFramePrompt": "a lamp"}])
def test_a_remaster_with_an_image_is_production_i2v(plan, frame):
    planned = plan(prompt="x", remaster=True, **frame)
    assert (planned.quality_mode, planned.model, planned.resolution) == (
        "production_i2v",
        NEW,
        "720p",
    )


def test_a_remaster_with_a_source_is_an_edit_on_the_classic_model(plan):
    planned = plan(prompt="brighter", remaster=True, sourceVideoUrl=CLIP)
    assert (planned.operation, planned.model, planned.duration) == ("edit", CLASSIC, None)
    assert wire(planned) == {"model": CLASSIC, "prompt": "brighter", "video": {"url": CLIP}}
    assert xai.PATHS[planned.operation] == "videos/edits"


def test_a_remaster_beats_resolution_and_mode(plan):
    planned = plan(prompt="x", remaster=True, resolution="480p", qualityMode="draft")
    assert planned.resolution == "720p"
    assert any(w.startswith("resolution has no effect") for w in planned.warnings)
    assert any(w.startswith("qualityMode has no effect") for w in planned.warnings)


def test_a_remaster_beats_even_a_resolution_that_its_model_lacks(plan):
    assert plan(prompt="x", remaster=True, resolution="1080p").resolution == "720p"
    assert "resolution" in problems(plan, prompt="x", remaster=True, resolution="900p")


def test_an_explicit_resolution_beats_the_mode(plan):
    assert plan(prompt="x", qualityMode="draft", resolution="720p").resolution == "720p"
    assert plan(prompt="x", qualityMode="production", resolution="480p").resolution == "480p"


@pytest.mark.parametrize("model", [NEW, LITE])
def test_a_remaster_from_a_source_on_another_model_names_the_one_that_can(plan, model):
    problem = problems(plan, prompt="x", remaster=True, sourceVideoUrl=CLIP, model=model)["model"]
    assert problem.choices == (CLASSIC,)


# -- edit and extend -------------------------------------------------------------------------------


def test_a_source_alone_means_an_edit(plan):
    planned = plan(prompt="x", sourceVideoUrl=CLIP)
    assert (planned.operation, planned.task, planned.model) == ("edit", "edit", CLASSIC)
    assert not planned.remaster


def test_an_image_mode_does_not_ask_an_edit_for_an_image(plan):
    planned = plan(prompt="x", sourceVideoUrl=CLIP, qualityMode="production_i2v", model=CLASSIC)
    assert planned.operation == "edit"


@pytest.mark.parametrize("operation", ["edit", "extend"])
def test_edit_and_extend_need_a_source(plan, operation):
    assert (
        "is required" in problems(plan, prompt="x", operation=operation)["sourceVideoUrl"].message
    )


@pytest.mark.parametrize("operation", ["edit", "extend"])
def test_edit_and_extend_take_no_frames(plan, operation):
    found = problems(
        plan,
        prompt="x",
        operation=operation,
        sourceVideoUrl=CLIP,
        imageUrl=IMAGE,
        lastFrameUrl=LAST,
        referenceImageUrls=[IMAGE],
        firstFramePrompt="y",
    )
    assert found.keys() >= {"imageUrl", "lastFrameUrl", "referenceImageUrls", "firstFramePrompt"}


def test_generate_takes_no_source(plan):
    problem = problems(plan, prompt="x", operation="generate", sourceVideoUrl=CLIP)["operation"]
    assert problem.choices == ("edit", "extend", "remaster")


def test_extend_and_remaster_exclude_each_other(plan):
    fields = {"operation": "extend", "sourceVideoUrl": CLIP, "remaster": True}
    assert "remaster" in problems(plan, prompt="x", **fields)


@pytest.mark.parametrize(("asked", "fits"), [(1, False), (2, True), (10, True), (11, False)])
def test_an_extension_adds_two_to_ten_seconds(plan, asked, fits):
    fields = {"prompt": "x", "operation": "extend", "sourceVideoUrl": CLIP, "duration": asked}
    if fits:
        assert wire(plan(**fields)) == {
            "model": CLASSIC,
            "prompt": "x",
            "video": {"url": CLIP},
            "duration": asked,
        }
    else:
        assert "2 to 10" in problems(plan, **fields)["duration"].message


@pytest.mark.parametrize("operation", ["edit", "extend"])
@pytest.mark.parametrize("mode", ["draft_15", "preview", "production_1080p", "draft_i2v"])
def test_a_mode_whose_model_cannot_is_refused_with_those_that_can(plan, operation, mode):
    problem = problems(
        plan, prompt="x", operation=operation, sourceVideoUrl=CLIP, qualityMode=mode
    )["qualityMode"]
    assert (problem.value, problem.choices) == (mode, ("draft", "production"))


def test_what_an_edit_ignores_is_reported(plan):
    planned = plan(
        prompt="x", sourceVideoUrl=CLIP, duration=5, aspectRatio="1:1", resolution="480p"
    )
    assert (planned.duration, planned.aspect_ratio, planned.resolution) == (None, None, None)
    assert [w.split()[0] for w in planned.warnings if "no effect" in w] == [
        "duration",
        "aspectRatio",
        "resolution",
    ]


def test_a_source_of_unknown_length_is_warned_of(plan):
    assert any(
        "8.7 s" in w and "sourceVideoUrl" in w
        for w in plan(prompt="x", sourceVideoUrl=CLIP).warnings
    )


@pytest.mark.parametrize(
    ("operation", "seconds", "fits"),
    [
        ("edit", "8.7", True),
        ("edit", "8.8", False),
        ("extend", "1.9", False),
        ("extend", "2", True),
        ("extend", "15", True),
        ("extend", "15.1", False),
    ],
)
def test_a_source_of_known_length_is_judged(modes, models, operation, seconds, fits):
    request = ClipRequest(prompt="x", operation=operation, source_video_url=CLIP)

    def planned():
        return planning.plan(request, modes, models, source_seconds=Decimal(seconds))

    if fits:
        assert not any("length" in w for w in planned().warnings)
        assert Decimal(seconds) in {line.quantity for line in planned().estimate.lines}
    else:
        with pytest.raises(InvalidRequest, match="sourceVideoUrl"):
            planned()


@pytest.mark.parametrize("operation", ["edit", "extend", "remaster"])
def test_a_clip_of_ours_is_a_source_once_its_length_is_known(modes, models, operation):
    request = ClipRequest(prompt="x", operation=operation, source_video_url=OWN)
    planned = planning.plan(request, modes, models, source_seconds=Decimal(4))
    assert (planned.source_video_url, planned.duration) == (
        OWN,
        6 if operation == "extend" else None,
    )
    assert not any("length" in warning for warning in planned.warnings)


def test_a_uri_nobody_has_looked_up_is_no_clip_of_ours(plan, modes, models):
    found = problems(plan, prompt="x", sourceVideoUrl=OWN)
    assert found["sourceVideoUrl"].message == "is not a finished clip of this film"
    request = ClipRequest(prompt="x", source_video_url=OWN)
    planned = planning.plan(request, modes, models, PlanDefaults(takes_own_clips=True))
    assert planned.source_video_url == OWN


@pytest.mark.parametrize("field", ["imageUrl", "lastFrameUrl", "callbackUrl"])
def test_a_uri_of_ours_is_for_source_clips_alone(modes, models, field):
    name = field.removesuffix("Url").replace("F", "_f") + "_url"
    request = ClipRequest(prompt="x", model=NEW, **{name: OWN})
    defaults = PlanDefaults(takes_own_clips=True)
    with pytest.raises(InvalidRequest, match=field):
        planning.plan(request, modes, models, defaults, Decimal(4))


# -- frames and references -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "seconds", "fits"),
    [(CLASSIC, 10, True), (CLASSIC, 11, False), (NEW, 15, True), (NEW, 16, False)],
)
def test_references_shorten_what_the_classic_model_makes(plan, model, seconds, fits):
    fields = {"prompt": "x", "model": model, "referenceImageUrls": [IMAGE], "duration": seconds}
    if fits:
        assert plan(**fields).task == "reference-to-video"
        assert wire(plan(**fields))["reference_images"] == [{"url": IMAGE}]
    else:
        assert "duration" in problems(plan, **fields)


def test_references_are_not_for_lite(plan):
    problem = problems(plan, prompt="x", model=LITE, referenceImageUrls=[IMAGE])["model"]
    assert problem.choices == (CLASSIC, NEW)


def test_references_on_1_5_are_at_most_720p(plan):
    fields = {"prompt": "x", "model": NEW, "referenceImageUrls": [IMAGE]}
    assert plan(**fields, resolution="720p").resolution == "720p"
    problem = problems(plan, **fields, resolution="1080p")["resolution"]
    assert problem.choices == ("480p", "720p")


@pytest.mark.parametrize("model", [CLASSIC, NEW])
def test_there_are_at_most_14_references(plan, model):
    fields = {"prompt": "x", "model": model}
    assert len(plan(**fields, referenceImageUrls=[IMAGE] * 14).references) == 14
    problem = problems(plan, **fields, referenceImageUrls=[IMAGE] * 15)["referenceImageUrls"]
    assert problem.value == 15


def test_a_bad_reference_is_named_by_its_place(plan):
    urls = [IMAGE, "http://images.example.com/a.png"]
    assert "referenceImageUrls[1]" in problems(plan, prompt="x", referenceImageUrls=urls)


def test_thousands_of_bad_references_make_a_short_answer(plan):
    found = problems(plan, prompt="x", referenceImageUrls=["nope"] * 5000)
    assert len(found) <= 21


def test_a_first_frame_goes_with_references_on_1_5_only(plan):
    fields = {"prompt": "x", "imageUrl": IMAGE, "referenceImageUrls": [LAST]}
    planned = plan(**fields)
    assert (planned.model, planned.task) == (NEW, "reference-to-video")
    assert wire(planned)["image"] == {"url": IMAGE}
    assert "first frame" in problems(plan, **fields, model=CLASSIC)["referenceImageUrls"].message


def test_a_last_frame_is_for_1_5_only(plan):
    planned = plan(prompt="x", model=NEW, lastFrameUrl=LAST)
    assert wire(planned)["last_frame"] == {"url": LAST}
    for model in (CLASSIC, LITE):
        assert (
            NEW
            in problems(plan, prompt="x", model=model, lastFrameUrl=LAST)["lastFrameUrl"].message
        )


def test_image_url_wins_over_first_frame_prompt_and_says_so(plan):
    planned = plan(prompt="x", imageUrl=IMAGE, firstFramePrompt="a lamp")
    assert (planned.image.url, planned.first_frame_prompt, planned.image_model) == (
        IMAGE,
        None,
        None,
    )
    assert any(w.startswith("firstFramePrompt has no effect") for w in planned.warnings)


def test_an_image_makes_the_prompt_optional_with_a_warning(plan):
    planned = plan(imageUrl=IMAGE)
    assert planned.prompt is None
    assert "prompt" not in wire(planned)
    assert any("no prompt" in w for w in planned.warnings)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"referenceImageUrls": [IMAGE]},
        {"sourceVideoUrl": CLIP},
        {"sourceVideoUrl": CLIP, "operation": "extend"},
        {"remaster": True},
    ],
)
def test_without_an_image_the_prompt_is_required(plan, fields):
    assert "is required" in problems(plan, **fields)["prompt"].message


PIXEL = b"\x89PNG\r\n\x1a\n" + b"\0" * 30


def test_an_inline_image_is_taken_as_a_frame(plan):
    url = f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"
    assert plan(prompt="x", imageUrl=url).image.url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://images.example.com/a.png",
        "file:///etc/passwd",
        "ftp://images.example.com/a",
        "https://localhost/a.png",
        "https://10.0.0.1/a.png",
        "https://169.254.169.254/latest",
        "https://[::1]/a",
        "https://2130706433/",
        "https://user:secret@images.example.com/a",
        "data:text/plain;base64,aGk=",
        "data:image/png;base64,aGk=",
        "data:image/png,hi",
        "s3://bucket/a.png",
        "images.example.com/a.png",
        f"https://images.example.com/{'a' * 2048}",
    ],
)
@pytest.mark.parametrize("field", ["imageUrl", "lastFrameUrl", "sourceVideoUrl", "callbackUrl"])
def test_a_url_that_is_not_public_https_is_refused(plan, field, url):
    found = problems(plan, prompt="x", model=NEW, **{field: url})
    assert field in found
    assert "secret" not in str(found[field])


def test_a_refused_url_is_shown_without_what_opens_it(plan):
    url = "http://bucket.example.com/a.png?X-Amz-Signature=topsecret"
    problem = problems(plan, prompt="x", imageUrl=url)["imageUrl"]
    assert problem.value == "http://bucket.example.com/a.png?…"


def test_a_trusted_origin_is_as_good_as_public(modes, models):
    request = ClipRequest(prompt="x", image_url="http://127.0.0.1:9999/a.png")
    trusting = PlanDefaults(trusted_origins=("http://127.0.0.1:9999",))
    assert planning.plan(request, modes, models, trusting).image is not None
    with pytest.raises(InvalidRequest):
        planning.plan(request, modes, models)


def test_who_is_called_back_is_on_a_public_host_or_where_allowed_on_this_machine(modes, models):
    def planned(url, **defaults):
        request = ClipRequest(prompt="x", callback_url=url)
        return planning.plan(request, modes, models, PlanDefaults(**defaults))

    assert planned("https://hooks.example.com/take?token=secret")
    for url in ("http://127.0.0.1:9999/take", "http://localhost/", "http://[::1]:1/"):
        assert planned(url, calls_back_here=True)
        # A place that images may come from is none to call.
        with pytest.raises(InvalidRequest, match=r"callbackUrl: .* must be an https url"):
            planned(url, trusted_origins=("http://127.0.0.1:9999",))
    for url in ("http://192.168.0.7/", "http://hooks.example.com/", f"http://[::1]/{'a' * 2048}"):
        with pytest.raises(InvalidRequest, match="callbackUrl"):
            planned(url, calls_back_here=True)


# -- durations, ratios, resolutions, models --------------------------------------------------------


@pytest.mark.parametrize("seconds", [1, 15])
def test_a_clip_lasts_one_to_fifteen_seconds(plan, seconds):
    assert wire(plan(prompt="x", duration=seconds))["duration"] == seconds


@pytest.mark.parametrize("seconds", [0, -1, 16, 10**30])
def test_other_durations_are_refused(plan, seconds):
    problem = problems(plan, prompt="x", duration=seconds)["duration"]
    assert (problem.value, "1 to 15" in problem.message) == (seconds, True)


def test_what_a_request_leaves_open_comes_from_settings(modes, models):
    request = ClipRequest(prompt="x")
    planned = planning.plan(request, modes, models, PlanDefaults(9, "9:16"))
    assert (planned.duration, planned.aspect_ratio) == (9, "9:16")
    extended = ClipRequest(prompt="x", operation="extend", source_video_url=CLIP)
    assert planning.plan(extended, modes, models, PlanDefaults(15)).duration == 10


def test_a_ratio_from_settings_is_checked_too(modes, models):
    with pytest.raises(InvalidRequest, match="aspectRatio: 'auto'"):
        planning.plan(ClipRequest(prompt="x"), modes, models, PlanDefaults(aspect_ratio="auto"))


@pytest.mark.parametrize(
    "ratio", ["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "5:2"]
)
def test_every_documented_ratio_is_accepted(plan, ratio):
    assert wire(plan(prompt="x", aspectRatio=ratio))["aspect_ratio"] == ratio


@pytest.mark.parametrize("ratio", ["auto", "16x9", "", "1:2", "16:9 "])
def test_other_ratios_are_refused_with_the_choices(plan, ratio):
    problem = problems(plan, prompt="x", aspectRatio=ratio)["aspectRatio"]
    assert (problem.value, "16:9" in problem.choices) == (ratio, True)


@pytest.mark.parametrize(("model", "offered"), [(CLASSIC, False), (NEW, True), (LITE, True)])
def test_1080p_is_for_models_that_offer_it(plan, model, offered):
    fields = {"prompt": "x", "model": model, "resolution": "1080p"}
    if offered:
        assert plan(**fields).resolution == "1080p"
    else:
        assert problems(plan, **fields)["resolution"].choices == ("480p", "720p")


@pytest.mark.parametrize("resolution", ["360p", "4k", "", "720P"])
def test_other_resolutions_are_refused_with_the_choices(plan, resolution):
    problem = problems(plan, prompt="x", resolution=resolution)["resolution"]
    assert (problem.value, problem.choices) == (resolution, ("480p", "720p"))


@pytest.mark.parametrize("model", ["grok-imagine-video-2.0", "sora", "", "grok-imagine-image"])
def test_an_unknown_model_is_refused_with_those_there_are(plan, model):
    problem = problems(plan, prompt="x", model=model)["model"]
    assert (problem.value, problem.choices) == (model, (CLASSIC, NEW, LITE))


@pytest.mark.parametrize("alias", [f"{NEW}-preview", f"{NEW}-2026-05-30"])
def test_a_model_has_aliases(plan, alias):
    assert plan(prompt="x", model=alias).model == NEW


@pytest.mark.parametrize(
    ("retired", "quality"),
    [("grok-imagine-image-quality", "low"), ("grok-imagine-image-pro", "medium")],
)
def test_a_retired_model_is_replaced_with_a_warning(plan, retired, quality):
    planned = plan(prompt="x", firstFramePrompt="y", imageModel=retired)
    assert (planned.image_model, planned.image_quality) == ("grok-imagine-image-2.0", quality)
    assert any("was retired" in w and retired in w for w in planned.warnings)


@pytest.mark.parametrize("model", ["nope", "", CLASSIC])
def test_an_unknown_image_model_is_refused_even_when_unused(plan, model):
    problem = problems(plan, prompt="x", imageModel=model)["imageModel"]
    assert "grok-imagine-image" in problem.choices


def test_google_is_refused_by_name(plan):
    problem = problems(plan, prompt="x", imageProvider="google")["imageProvider"]
    assert (problem.value, problem.choices) == ("google", ("xai",))


def test_what_the_old_system_asked_for_is_reported_as_without_effect(plan):
    planned = plan(prompt="x", persistToFilebase=True, imageProvider="xai", imageResolution="2k")
    assert {w.split()[0] for w in planned.warnings} == {
        "persistToFilebase",
        "imageProvider",
        "imageResolution",
    }


def test_the_cost_may_be_capped(plan):
    assert plan(prompt="x", duration=6, maxCostUsd=0.3)
    problem = problems(plan, prompt="x", duration=6, maxCostUsd=0.29)["maxCostUsd"]
    assert "$0.30" in problem.message


def test_every_problem_is_reported_at_once(plan):
    found = problems(
        plan,
        qualityMode="cinema",
        model="sora",
        duration=99,
        resolution="8k",
        aspectRatio="auto",
        imageUrl="http://x",
        referenceImageUrls=["ftp://x"],
        imageModel="nope",
        imageProvider="google",
    )
    assert found.keys() >= {
        "qualityMode",
        "model",
        "duration",
        "resolution",
        "aspectRatio",
        "imageUrl",
        "referenceImageUrls[0]",
        "imageModel",
        "imageProvider",
        "prompt",
    }


# -- what existed before ---------------------------------------------------------------------------

COMPILED = json.loads((Path(__file__).parents[1] / "fixtures" / "ring_bodies.json").read_text())


@pytest.mark.parametrize("body", [*COMPILED["bodies"], *COMPILED["remasterBodies"]])
def test_the_existing_systems_requests_are_accepted(plan, body):
    planned = plan(**body)
    has_image = "firstFramePrompt" in body
    expected = {
        (False, False): ("draft", "480p"),
        (False, True): ("draft_i2v", "480p"),
        (True, False): ("production", "720p"),
        (True, True): ("production_i2v", "720p"),
    }[bool(body.get("remaster")), has_image]
    assert (planned.quality_mode, planned.resolution) == expected
    assert planned.duration == body["duration"]
    assert not violations(planned)


# -- whatever comes --------------------------------------------------------------------------------

URLS = st.sampled_from([IMAGE, LAST, CLIP, "", "http://a.b/c", "data:image/png;base64,AA==", "\0"])
FIELDS = {
    "prompt": st.sampled_from(["a lamp", "", "é" * 2048, "é" * 2049]) | st.text(max_size=20),
    "qualityMode": st.sampled_from(
        ["draft", "prod", "draft_i2v", "preview", "draft_15", "production_1080p", "nope"]
    ),
    "operation": st.sampled_from(["generate", "edit", "extend", "remaster", "x"]),
    "duration": st.integers(-1, 17) | st.sampled_from([7.5, "6", True, None]),
    "aspectRatio": st.sampled_from(["1:1", "16:9", "21:9", "auto"]),
    "resolution": st.sampled_from(["480p", "720p", "1080p", "4k"]),
    "model": st.sampled_from([CLASSIC, NEW, LITE, f"{NEW}-preview", "nope"]),
    "imageUrl": URLS,
    "lastFrameUrl": URLS,
    "referenceImageUrls": st.lists(URLS, max_size=16),
    "firstFramePrompt": st.sampled_from(["a lamp", ""]),
    "imageModel": st.sampled_from(["grok-imagine-image", "grok-imagine-image-pro", "nope"]),
    "imageResolution": st.sampled_from(["1k", "2k", "9k"]),
    "imageProvider": st.sampled_from(["xai", "google"]),
    "sourceVideoUrl": URLS,
    "remaster": st.booleans() | st.just("yes"),
    "clipId": st.sampled_from(["a", "..", "a/b"]),
    "maxCostUsd": st.sampled_from([0, 0.5, 100, -1]),
}
GOOD = {
    "qualityMode": st.sampled_from(["draft", "prod", "i2v-720", "preview", "draft_15", "1080p"]),
    "operation": st.sampled_from(["generate", "edit", "extend", "remaster"]),
    "duration": st.integers(1, 15),
    "aspectRatio": st.sampled_from(["1:1", "16:9", "2:3"]),
    "resolution": st.sampled_from(["480p", "720p", "1080p"]),
    "model": st.sampled_from([CLASSIC, NEW, LITE]),
    "imageUrl": st.just(IMAGE),
    "lastFrameUrl": st.just(LAST),
    "referenceImageUrls": st.lists(st.just(IMAGE), min_size=1, max_size=14),
    "firstFramePrompt": st.just("a lamp"),
    "sourceVideoUrl": st.just(CLIP),
    "remaster": st.booleans(),
}
SLOW = settings(
    max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@SLOW
@given(fields=st.fixed_dictionaries({}, optional=FIELDS))
def test_any_request_is_a_plan_or_an_invalid_request_and_nothing_else(plan, fields):
    try:
        planned = plan(**fields)
    except InvalidRequest as refused:
        found = refused.problems
    else:
        assert not violations(planned)
        return
    assert found
    assert all(problem.field and problem.message for problem in found)


@SLOW
@given(fields=st.fixed_dictionaries({"prompt": st.just("x")}, optional=GOOD))
def test_any_plan_fits_the_wire_its_sum_and_a_round_trip(plan, fields):
    try:
        planned = plan(**fields)
    except InvalidRequest:
        return
    assert violations(planned) == []
    assert planned.estimate.total_usd == sum(line.amount_usd for line in planned.estimate.lines)
    assert planned.estimate.total_usd > 0
    assert all(line.amount_usd == line.quantity * line.unit_usd for line in planned.estimate.lines)
    assert type(planned).model_validate_json(planned.model_dump_json()) == planned


def test_the_schemas_bite(plan):
    planned = plan(prompt="x", sourceVideoUrl=CLIP)
    assert violations(planned) == []
    assert violations(planned.model_copy(update={"prompt": None})) != []
    still = plan(prompt="x", firstFramePrompt="y", imageResolution="2k")
    assert violations(still) == []
    assert violations(still.model_copy(update={"image_resolution": "9k"})) != []


def test_planning_reads_a_request_without_any_door(modes, models):
    request = intake.clip_request(b'{"prompt": "a lamp"}')
    assert planning.plan(request, modes, models).quality_mode == "draft"
