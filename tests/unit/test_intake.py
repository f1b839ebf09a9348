"""What a body must be to become a request, and what is said about one that cannot."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoconductor import intake, reading, views
from videoconductor.clip import ClipRequest
from videoconductor.errors import InvalidRequest


def problems(text):
    with pytest.raises(InvalidRequest) as refused:
        intake.clip_request(text)
    # Whatever is refused can be said in an answer: valid JSON, valid UTF-8, not endless.
    answer = json.dumps(views.problem(refused.value), allow_nan=False, ensure_ascii=False)
    assert len(answer.encode()) < 100_000
    return refused.value.problems


def only(text):
    (problem,) = problems(text)
    return problem


def test_an_order_may_be_a_query_or_a_document_and_is_kept_as_the_document():
    document = {
        "clip": ["01", "a, b"],
        "remaster": True,
        "sourceVideoUrl": "manifest",
        "force": True,
        "maxCostUsd": 0.1,
        "callbackUrl": "https://hooks.example.com/film",
    }
    query = {
        name: value if name == "clip" else [str(value).lower()] for name, value in document.items()
    }
    order = intake.film_order_document(document)
    assert order == intake.film_order(query)
    assert intake.order_document(order) == document
    assert intake.order_document(intake.film_order_document({})) == {}


@pytest.mark.parametrize(
    ("document", "fields"),
    [
        ({"clips": ["01"], "max_cost_usd": 1}, {"clips", "max_cost_usd"}),
        ({"clip": "01"}, {"clip"}),
        ({"clip": ["01", "a::b"], "remaster": "true"}, {"clip[1]", "remaster"}),
        ({"maxCostUsd": float("nan"), "sourceVideoUrl": " "}, {"maxCostUsd", "sourceVideoUrl"}),
        ({"maxCostUsd": "1", "callbackUrl": 5}, {"maxCostUsd", "callbackUrl"}),
    ],
)
def test_an_order_s_document_is_read_as_strictly_as_its_query(document, fields):
    with pytest.raises(InvalidRequest) as refused:
        intake.film_order_document(document)
    assert {problem.field for problem in refused.value.problems} == fields


def asked(**fields):
    return json.dumps(fields)


BROKEN = {
    "empty": "",
    "blank": "  \n",
    "not JSON": "prompt=x",
    "cut": '{"prompt": "x"',
    "trailing": '{"prompt": "x"} {}',
    "NaN": '{"maxCostUsd": NaN}',
    "Infinity": '{"maxCostUsd": -Infinity}',
    "NaN in a free field": '{"prompt": "x", "thumbnail": {"a": NaN}}',
    "single quotes": "{'prompt': 'x'}",
    "comment": '{"prompt": "x"} // no',
    "control character": '{"prompt": "a\nb"}',
    "huge number": f'{{"duration": {"9" * 5000}}}',
    "deep": '{"thumbnail": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "deep objects": '{"thumbnail":' * 50_000 + "1" + "}" * 50_000,
    "deep and cut": "[" * 100_000,
    "a little too deep": '{"thumbnail": {"a": ' + "[" * 40 + "]" * 40 + "}}",
    "array": '[{"prompt": "x"}]',
    "string": '"x"',
    "null": "null",
    "number": "5",
    "byte order mark": '\ufeff{"prompt": "x"}',
    "surrogate in a value": '{"prompt": "\\ud800"}',
    "surrogate in a free field": '{"prompt": "x", "thumbnail": {"a": "\\ud800"}}',
    "surrogate in a name": '{"\\ud800": 1}',
    "same key twice": '{"prompt": "a", "prompt": "b"}',
    "same key twice inside": '{"prompt": "a", "thumbnail": {"a": 1, "a": 2}}',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("kind", [str, str.encode], ids=["text", "bytes"])
def test_a_body_that_is_not_one_json_object_is_refused(text, kind):
    assert only(kind(text)).message


@pytest.mark.parametrize("body", [b"\xff\xfe{\x00}\x00", b'{"prompt": "\xff"}', b"\x00", b"\x80"])
def test_bytes_that_are_not_utf_8_are_refused(body):
    assert only(body).field == "body"


def test_a_name_that_comes_twice_is_named():
    assert only('{"duration": 5, "duration": 15}').field == "duration"


@pytest.mark.parametrize(
    "name", ["qualtyMode", "quality_mode", "image_url", "seed", "", "\0", "x" * 5000]
)
def test_an_unknown_field_is_refused_with_those_there_are(name):
    problem = only(json.dumps({name: 1}))
    assert problem.message == "is not a known field"
    assert problem.choices
    assert len(problem.field) <= 256


def test_a_misspelt_field_is_answered_with_the_one_meant():
    assert only(asked(durration=5)).choices[0] == "duration"


def test_fifty_thousand_unknown_fields_make_a_short_answer():
    found = problems(json.dumps({f"x{n}": n for n in range(50_000)}))
    assert len(found) == reading.MAX_PROBLEMS + 1
    assert "49950 more" in found[-1].message


WRONG = [
    ("duration", 7.5),
    ("duration", "6"),
    ("duration", True),
    ("duration", [6]),
    ("prompt", 5),
    ("prompt", ""),
    ("prompt", " \n "),
    ("prompt", ["x"]),
    ("qualityMode", 1),
    ("operation", "generation"),
    ("operation", 1),
    ("operation", ["edit"]),
    ("aspectRatio", 1.77),
    ("imageUrl", {"url": "https://x.com"}),
    ("referenceImageUrls", "https://x.com"),
    ("referenceImageUrls", {"0": "x"}),
    ("remaster", "true"),
    ("remaster", 1),
    ("maxCostUsd", "5"),
    ("maxCostUsd", True),
    ("maxCostUsd", -0.01),
    ("maxCostUsd", 1e300),
    ("maxCostUsd", {}),
    ("thumbnail", []),
    ("persistToFilebase", "no"),
    ("purpose", "x" * 257),
    ("purpose", "a\0b"),
    ("refCode", "a\r\nSet-Cookie: x"),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_a_value_of_the_wrong_kind_is_refused_by_its_field(field, value):
    problem = only(json.dumps({field: value}))
    assert (problem.field, problem.value) == (field, value)


def test_a_bad_element_is_refused_by_its_place():
    assert only(asked(referenceImageUrls=["https://x.com/a", 5])).field == "referenceImageUrls[1]"


def test_null_is_as_good_as_nothing():
    fields = ["prompt", "duration", "imageUrl", "clipId", "maxCostUsd", "operation"]
    assert intake.clip_request(json.dumps(dict.fromkeys(fields))) == ClipRequest()


def test_every_field_at_fault_is_reported():
    found = problems(asked(duration="6", prompt="", clipId="a/b", qualtyMode="x", remaster=2))
    assert {p.field for p in found} == {"duration", "prompt", "clipId", "qualtyMode", "remaster"}


def test_an_operation_is_answered_with_the_choices():
    assert only(asked(operation="upscale")).choices == ("generate", "edit", "extend", "remaster")


@pytest.mark.parametrize(
    ("prompt", "fits"),
    [
        ("a" * 4096, True),
        ("a" * 4097, False),
        ("é" * 2048, True),
        ("é" * 2048 + "a", False),
        ("🎬" * 1024, True),
        ("🎬" * 1024 + "!", False),
        ("日" * 1365 + "a", True),
        ("日" * 1366, False),
    ],
)
@pytest.mark.parametrize("field", ["prompt", "firstFramePrompt"])
def test_a_prompt_has_at_most_4096_bytes(field, prompt, fits):
    if fits:
        intake.clip_request(json.dumps({field: prompt}))
    else:
        assert f"{len(prompt.encode())} bytes" in only(json.dumps({field: prompt})).message


GOOD_IDS = [
    "a",
    "01_hoa_video_call_pains",
    "hoa-nightclub-viral-2026-06",
    "scene:1",
    "v1.0 (final)",
    "кадр-7",
    "場面1",
    "नमस्ते",
    "é" * 128,
    "a" * 128,
    "...",
    "user@example.com",
]
BAD_IDS = [
    "",
    ".",
    "..",
    "a/b",
    "../a",
    "a\\b",
    "a::b",
    ":a",
    "a:",
    " a",
    "a ",
    "a\0b",
    "a\nb",
    "a\n",
    "a\x1b[31m",
    "a\u202eb",
    "a\u200bb",
    "a\u00a0b",
    "🎬",
    "clip🎬",
    "a\ufe0f\u20e3🎬",
    "a" * 129,
    "a" * 500,
    "𒀀" * 100,
    "a#b",
    "a?b",
    "a%2fb",
    "a<b>",
    'a"b',
    "a|b",
    "a*b",
    "${a}",
    "\ue000",
    5,
    True,
    [],
]


@pytest.mark.parametrize("field", ["clipId", "pipelineRequestId", "remasterFromRequestId"])
@pytest.mark.parametrize("value", GOOD_IDS)
def test_an_id_may_hold_letters_of_any_script_digits_and_plain_punctuation(field, value):
    intake.clip_request(json.dumps({field: value}))


@pytest.mark.parametrize("field", ["clipId", "pipelineRequestId", "remasterFromRequestId"])
@pytest.mark.parametrize("value", BAD_IDS)
def test_an_id_that_could_break_a_key_a_url_or_a_terminal_is_refused(field, value):
    assert only(json.dumps({field: value})).field == field


def test_the_longest_ids_fit_into_one_s3_key():
    clip = film = "日" * 128
    intake.clip_request(asked(clipId=clip, pipelineRequestId=film))
    key = f"generated/videos/{film}/{clip}/{'m' * 32}/{'0' * 32}.{'0' * 16}.mp4"
    assert len(key.encode()) <= 1024


def test_a_problem_is_one_line_with_field_value_and_choices():
    problem = only(asked(operation="upscale"))
    assert str(problem) == (
        "operation: 'upscale' is not allowed; choose one of: generate, edit, extend, remaster"
    )


@pytest.mark.parametrize("read", [intake.attachment, intake.retrial])
def test_a_command_that_says_nothing_is_the_careful_one(read):
    assert read("{}").model_dump(exclude_defaults=True) == {}


def test_commands_read_their_fields():
    assert intake.attachment('{"requestId": "b13f69f3-69f9"}').request_id == "b13f69f3-69f9"
    assert intake.retrial('{"mayChargeTwice": true}').may_charge_twice


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (intake.attachment, '{"requestId": "../models"}'),
        (intake.attachment, '{"requestId": 5}'),
        (intake.attachment, '{"request_id": "a"}'),
        (intake.attachment, "null"),
        (intake.retrial, '{"mayChargeTwice": "yes"}'),
        (intake.retrial, '{"mayChargeTwice": 1}'),
        (intake.retrial, '{"mayCharge": true}'),
        (intake.remastering, '{"duration": 0}'),
    ],
)
def test_a_malformed_command_is_refused(read, text):
    with pytest.raises(InvalidRequest):
        read(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
NAMES = st.sampled_from([field.alias for field in ClipRequest.model_fields.values()])


@given(document=st.dictionaries(NAMES | st.text(), JSON, max_size=6))
def test_any_json_is_a_request_or_refused(document):
    try:
        request = intake.clip_request(json.dumps(document))
    except InvalidRequest as refused:
        json.dumps(views.problem(refused), allow_nan=False).encode()
    else:
        assert request.model_dump_json()


@given(body=st.binary(max_size=200))
def test_any_bytes_are_a_request_or_refused(body):
    try:
        intake.clip_request(body)
    except InvalidRequest as refused:
        json.dumps(views.problem(refused)).encode()


def test_a_document_of_very_many_fields_is_refused_before_each_is_looked_at():
    document = {f"field{number}": number for number in range(200_000)}

    with pytest.raises(InvalidRequest) as refused:
        intake.clip_request(json.dumps(document))

    [problem] = refused.value.problems
    assert (problem.field, problem.message) == ("body", "has 200000 fields")
    assert "prompt" in problem.choices
