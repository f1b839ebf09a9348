"""Bad input at every door: refused in words that name the field, nothing written, nothing spent.

The list is in tests/workflow/hostile.py; `make fuzz` has hypothesis look for longer.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import httpx
import pytest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.fuzz import examples
from tests.workflow import hostile
from tests.workflow.conftest import FilmStage, load_handler
from tests.workflow.hostile import CLIP, CLIPS, FILM, FILMS, Row
from tests.workflow.test_doors import CONTEXT, event
from tests.workflow.test_inbox import box  # noqa: F401
from tests.workflow.test_mcp import film_door, handler  # noqa: F401
from tests.workflow.test_requested import deliver  # noqa: F401
from videoconductor import VideoConductor, wiring
from videoconductor_cli import address
from videoconductor_cli.commands import quote as quote_command
from videoconductor_cli.main import app

pytestmark = pytest.mark.long

REFUSED = frozenset({400, 413, 415, 422})
NO_QUOTE = "a quote that is none"  # nothing is held to one where prices are said


def strictly(text: str) -> Any:
    """An answer as any reader of JSON has it: what is none in RFC 8259 is none here."""

    def refuse(name: str) -> Any:
        raise AssertionError(f"{name} is in an answer")

    text.encode()  # an answer goes out as UTF-8
    return json.loads(text, parse_constant=refuse)


@dataclass(frozen=True)
class Said:
    """What a door said: whether it refused, which fields it named, and all of its words."""

    is_refused: bool
    fields: frozenset[str]
    words: str


Door = Callable[[bytes], Said]


def problems(status: int, body: dict[str, Any]) -> Said:
    """What a problem document says."""
    errors = body.get("errors") or ()
    fields = frozenset(each["field"] for each in errors)
    return Said(status in REFUSED, fields, f"{status} {json.dumps(body)}")


def over_http(folder: str, path: str, method: str = "POST", **named: Any) -> Door:
    """A route, which gets its body as API Gateway hands it over: text, or base64."""
    door = load_handler(folder)

    def say(raw: bytes) -> Said:
        text, is_base64 = base64.b64encode(raw).decode(), True
        with contextlib.suppress(UnicodeDecodeError):
            text, is_base64 = raw.decode(), False
        made = event(method, path, text, is_base64=is_base64, **named)
        answer = door.handler(made, CONTEXT)
        return problems(answer["statusCode"], strictly(answer["body"]))

    return say


@dataclass
class World:
    """What must not change."""

    films: FilmStage

    def state(self) -> tuple[Any, ...]:
        """The table, the objects beside what tells of a refusal, what was asked of xAI, and what
        is under way.
        """
        items = self.films.dynamodb.scan(TableName="table")["Items"]
        told = ("inbox/", "outbox/")
        kept = sorted(key for key in self.films.objects() if not key.startswith(told))
        asked = len(self.films.simulator.requests())
        return json.dumps(items, sort_keys=True, default=str), kept, asked, self.films.published[:]


def expect(rows: dict[str, Row], door: Door, world: World, prefix: str = "") -> None:
    """Each row is refused by the door for its own fields, and leaves no trace."""
    before, wrong = world.state(), {}
    for name, row in rows.items():
        said = door(row.raw)
        named = {field.removeprefix(prefix) for field in said.fields}
        if not said.is_refused or not row.fields <= named | ({"body"} & row.fields):
            wrong[name] = (sorted(row.fields), said.words[:300])
        elif row.has_choices and "choose one of" not in said.words and "choices" not in said.words:
            wrong[name] = ("no choices", said.words[:300])
        elif len(said.words) > 100_000:
            wrong[name] = ("an answer that grows with the request", len(said.words))
    assert wrong == {}
    assert world.state() == before


EVERY = 14  # where a row takes its time, one in so many is tried


def some(rows: dict[str, Row], every: int = EVERY) -> dict[str, Row]:
    """Some of the rows, for doors that take their time; all of them for `make fuzz`."""
    if examples(1) > 1:
        return rows
    return {
        name: row
        for number, (name, row) in enumerate(rows.items())
        if name.startswith("inside") or number % every == 0
    }


@pytest.fixture
def world(films, monkeypatch):
    monkeypatch.setattr(wiring, "pause", lambda seconds: None)
    return World(films)


# -- HTTP ----------------------------------------------------------------------------------------

ROUTES_OF_CLIPS = {
    "POST /v1/videos": ("submit", "/v1/videos"),
    "POST /v1/plan": ("plan", "/v1/plan"),
    "POST /v1/quotes": ("plan", "/v1/quotes"),
}
ROUTES_OF_FILMS = {
    "POST /v1/films": ("film", "/v1/films"),
    "POST /v1/plan": ("plan", "/v1/plan"),
    "POST /v1/quotes": ("plan", "/v1/quotes"),
}


def taken(said: Said) -> bool:
    """Whether a door took what is sound: what it refuses else says nothing of it."""
    return said.words[:3] in {"200", "202"}


@pytest.mark.parametrize("route", list(ROUTES_OF_CLIPS))
def test_a_clip_request_at_fault_is_refused_by_each_route(world, route):
    door = over_http(*ROUTES_OF_CLIPS[route])
    rows = dict(CLIPS)
    if "plan" in ROUTES_OF_CLIPS[route]:
        del rows[NO_QUOTE]
        rows = some(rows)
    expect(rows, door, world)
    assert taken(door(json.dumps(CLIP).encode()))
    world.films.settle()


@pytest.mark.parametrize("route", list(ROUTES_OF_FILMS))
def test_a_script_at_fault_is_refused_by_each_route(world, route):
    door = over_http(*ROUTES_OF_FILMS[route])
    expect(FILMS if route == "POST /v1/films" else some(FILMS), door, world)
    assert taken(door(json.dumps(FILM).encode()))
    world.films.settle()


def test_a_speaker_nobody_knows_may_speak_and_is_warned_of(world):
    """As in the system that the format comes from: docs/scripts.md, "Who speaks"."""
    scene = {"action": "rain", "dialogue": [{"speaker": "captain", "line": "Aye."}]}
    film = {**FILM, "clips": [{"id": "01", "duration": 2, "scene": scene}]}
    film["cast"] = [{"id": "mate", "label": "The mate", "description": "a mate"}]
    said = over_http("plan", "/v1/plan")(json.dumps(film).encode())
    assert taken(said)
    [warning] = json.loads(said.words[4:])["clips"][0]["warnings"]
    assert "captain" in warning
    assert "mate" in warning


def test_a_clip_request_at_fault_is_refused_by_the_existing_systems_route(world, monkeypatch):
    door = load_handler("generate")

    def say(raw: bytes) -> Said:
        path = "/api/mcp/v1/videos/generate"
        made = event("POST", path, base64.b64encode(raw).decode(), is_base64=True)
        made["requestContext"]["authorizer"] = {
            "lambda": {"caller": "token:studio", "scopes": "submit"}
        }
        answer = door.handler(made, CONTEXT)
        body = strictly(answer["body"])
        # It names them in its own words.
        named = {field for row in CLIPS.values() for field in row.fields if field in str(body)}
        return Said(
            answer["statusCode"] in REFUSED, frozenset(named), f"{answer['statusCode']} {body}"
        )

    expect(some(CLIPS), say, world)
    assert taken(say(json.dumps(CLIP).encode()))
    world.films.settle()


BODIES = {
    **hostile.RAW,
    "a field nobody knows": b'{"x": 1}',
    "a lone surrogate": b'{"\\ud800": 1}',
    "NaN": b'{"x": NaN}',
    "twice": b'{"x": 1, "x": 1}',
}
# What may be missing there, and may be blank therefore.
MAY_BE_NOTHING = {"nothing"}
ORDERS = {
    "requestId": [7, "", "a\n", "\ud800", "x" * 5000, {}, "..", "a/b"],
    "mayChargeTwice": ["true", 1, None, []],
    "maxCostUsd": [-1, "1", 1e300, {}, True],
    "edit": ["yes", 1, None],
    "prompt": ["", 7, "x" * 4097, []],
    "duration": [0, 7.5, "6", True, 10**30],
    "qualityMode": [7, "drafft", []],
    "callbackUrl": list(hostile.URLS.values()),
    "reason": [7, [], "\ud800"],
    "caps": [
        7,
        [],
        "",
        {"day": -1},
        {"day": "20"},
        {"day": 1e300},
        {"days": 1},
        {"film": {"": 1}},
        {"film": {"a::b": 1}},
        {"caller": 7},
        {"day": {}},
        {"month": True},
    ],
}
COMMANDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "POST /v1/videos/{id}/attach": ("resolve", "POST", ("requestId",)),
    "POST /v1/videos/{id}/retry": ("resolve", "POST", ("mayChargeTwice", "maxCostUsd")),
    "POST /v1/videos/{id}/remaster": (
        "submit",
        "POST",
        ("edit", "prompt", "duration", "qualityMode", "maxCostUsd", "callbackUrl"),
    ),
    "PATCH /v1/budget": ("budget", "PATCH", ("caps",)),
    "POST /v1/budget/stop": ("budget", "POST", ("reason",)),
    "POST /v1/films/ferry/retry": ("film", "POST", ("mayChargeTwice",)),
    "POST /v1/films/ferry/manifest": ("film", "POST", ()),
}


def rows_of(command: str) -> dict[str, Row]:
    """What a command is handed: bodies that are none, and wrong values in each of its fields."""
    _, _, fields = COMMANDS[command]
    optional = command not in {"PATCH /v1/budget", "POST /v1/films/ferry/manifest"}
    rows = {
        name: Row(raw, frozenset())
        for name, raw in BODIES.items()
        if examples(1) > 1 or name not in hostile.RAW or len(name) % 3 == 0
        if not (optional and name in MAY_BE_NOTHING)
    }
    for field in fields:
        for number, value in enumerate(ORDERS[field]):
            rows[f"{field} {number}"] = Row(json.dumps({field: value}).encode(), frozenset())
    return rows


def test_a_body_at_fault_is_refused_by_each_command(world):
    films = world.films
    render = films.submit()
    films.run(render)
    films.film(FILM)
    before, wrong = world.state(), {}
    for command, (folder, method, _) in COMMANDS.items():
        path = command.partition(" ")[2].replace("{id}", render.render_id)
        parameters = {"film": "ferry"} if "films" in path else None
        door = over_http(folder, path, method, parameters=parameters)
        for name, row in rows_of(command).items():
            said = door(row.raw)
            if not said.is_refused or not said.fields:
                wrong[f"{command}: {name}"] = said.words[:300]
    assert wrong == {}
    assert world.state() == before


QUERIES = [
    "x=1",
    "x",
    "clip=..",
    "clip=a::b",
    "%ff=1",
    "maxCostUsd=NaN",
    "maxCostUsd=1e400",
    "maxCostUsd=-1",
    "force=yes",
    "force=true&force=true",
    "remaster=1",
    "callbackUrl=http://x.example",
    "quoteId=q1",
    "clip=nobody",
    "sourceVideoUrl=file:///x",
    "&".join(f"a{n}=1" for n in range(20_000)),
]


def test_a_query_at_fault_is_refused_though_the_script_is_sound(world):
    before, wrong = world.state(), {}
    door = load_handler("film")
    for query in QUERIES:
        made = event("POST", "/v1/films", json.dumps(FILM))
        made["rawQueryString"] = query
        answer = door.handler(made, CONTEXT)
        said = problems(answer["statusCode"], strictly(answer["body"]))
        if not said.is_refused or not said.fields:
            wrong[query[:80]] = said.words[:300]
    assert wrong == {}
    assert world.state() == before


KEYS = ["", "\n", "a\r\nb", "x" * 5000, "\0", "\ud800", "\u202e"]


@pytest.mark.parametrize("folder", ["submit", "film"])
def test_an_idempotency_key_at_fault_is_refused(world, folder):
    path, body = {"submit": ("/v1/videos", CLIP), "film": ("/v1/films", FILM)}[folder]
    before, wrong = world.state(), {}
    for key in KEYS:
        made = event("POST", path, json.dumps(body))
        made["headers"]["idempotency-key"] = key
        answer = load_handler(folder).handler(made, CONTEXT)
        said = problems(answer["statusCode"], strictly(answer["body"]))
        if not said.is_refused or "Idempotency-Key" not in said.words:
            wrong[key[:20]] = said.words[:300]
    assert wrong == {}
    assert world.state() == before


READING = ["/v1/videos/{}", "/v1/films/{}", "/v1/films/{}/manifest"]


def test_a_path_at_fault_is_a_4xx(world):
    before, wrong = world.state(), {}
    names = [name for name in hostile.IDS.values() if "%" not in name]
    names += ["%00", "%ff", "\ud800", "a" * 100_000, "..%2f..", "*"]
    commands = ["cancel", "resume", "abandon", "attach", "retry", "redeliver", "remaster"]
    paths = [("browse", "GET", path) for path in READING]
    paths += [("resolve", "POST", f"/v1/videos/{{}}/{word}") for word in commands[:-1]]
    paths += [("film", "POST", f"/v1/films/{{}}/{word}") for word in ("cancel", "resume", "retry")]
    paths += [("submit", "POST", "/v1/videos/{}/remaster")]
    for folder, method, path in paths:
        door = load_handler(folder)
        for name in names:
            parameters = {"film": name} if "films" in path else None
            made = event(method, path.replace("{}", name), parameters=parameters)
            answer = door.handler(made, CONTEXT)
            strictly(answer["body"])
            # A path that ends otherwise may be another route's: a list is no fault.
            is_other = method == "GET" and answer["statusCode"] == 200 and name in {"", "   "}
            if not 400 <= answer["statusCode"] < 500 and not is_other:
                wrong[f"{path} {name[:20]!r}"] = answer["body"][:200]
    assert wrong == {}
    assert world.state() == before


# -- S3 and EventBridge --------------------------------------------------------------------------

# The inbox takes a byte order mark, as Windows writes it; elsewhere it is no JSON.
MARK = b"\xef\xbb\xbf"


def in_inbox(box: Any) -> Door:  # noqa: F811
    def say(raw: bytes) -> Said:
        done = box.deliver(box.put("inbox/x.json", raw))
        told = box.refused[-1] if done["outcome"] == "refused" else {}
        words = json.dumps([done, told])
        if done["outcome"] == "refused":
            error = box.films.document("outbox/x.error.json")
            assert (error["success"], error["status"]) == (False, 400)
            words = json.dumps(error)
        fields = frozenset(each["field"] for each in told.get("errors", ()))
        return Said(done["outcome"] == "refused", fields, words)

    return say


@pytest.mark.parametrize(("rows", "sound"), [(CLIPS, CLIP), (FILMS, FILM)], ids=["clip", "film"])
def test_a_file_at_fault_is_refused_in_the_outbox(box, world, rows, sound):  # noqa: F811
    door = in_inbox(box)
    expect(some(rows), door, world)
    assert '"accepted"' in door(MARK + json.dumps(sound).encode()).words
    world.films.settle()


def on_the_bus(deliver: Any, kind: str, wrap: Callable[[Any], Any]) -> Door:  # noqa: F811
    count = iter(range(10**6))

    def say(raw: bytes) -> Said:
        known = len(deliver.refused)
        done = deliver(wrap(Row(raw, frozenset()).parsed), kind, name=f"event-{next(count)}")
        told = deliver.refused[known:]
        fields = frozenset(each["field"] for one in told for each in one["errors"])
        is_refused = done["outcome"] == "refused" and len(told) == 1
        return Said(is_refused, fields, json.dumps([done, told]))

    return say


def that_parse(rows: dict[str, Row]) -> dict[str, Row]:
    """Those that can be in an event: JSON, in which no field comes twice any more."""
    found = {}
    for name, row in passed_on(rows).items():
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(row.parsed, dict) and "twice" not in name:
                found[name] = row
    return found


def passed_on(rows: dict[str, Row]) -> dict[str, Row]:
    """The same where somebody else reads the JSON: of 1e400 they make what is no JSON."""
    return {
        name: Row(row.raw, frozenset({"body"})) if "beyond all numbers" in name else row
        for name, row in rows.items()
    }


def test_an_event_at_fault_is_told_of_and_not_tried_again(deliver, world):  # noqa: F811
    clips = some(that_parse(CLIPS))
    assert len(clips) > 10
    door = on_the_bus(deliver, "ClipRequested", lambda detail: detail)
    expect(clips, door, world)
    films = some(that_parse(FILMS))
    expect(
        films,
        on_the_bus(deliver, "FilmRequested", lambda detail: {"script": detail}),
        world,
        prefix="script.",
    )
    assert '"accepted"' in door(json.dumps(CLIP).encode()).words
    world.films.settle()


# -- MCP -----------------------------------------------------------------------------------------

TOOLS = {
    "ring-video-create": (CLIPS, CLIP, "{}"),
    "video-plan": (CLIPS, CLIP, '{{"clipRequest": {}}}'),
    "film-create": (FILMS, FILM, '{{"script": {}}}'),
}


@pytest.mark.parametrize("tool", list(TOOLS))
def test_arguments_at_fault_are_told_to_the_model(film_door, tool, monkeypatch):  # noqa: F811
    rows, sound, around = TOOLS[tool]
    world = World(film_door.stage)
    dear = {"maxCostUsd": 1} if tool == "ring-video-create" else {}

    def say(raw: bytes) -> Said:
        arguments = around.format(raw.decode())
        call = (
            '{"jsonrpc": "2.0", "id": 1, "method": "tools/call", '
            '"params": {"name": "%s", "arguments": %s}}'
        )
        status, _, body = film_door.post(
            call % (tool, arguments), mcp_protocol_version="2025-11-25"
        )
        result = (body or {}).get("result") or {}
        is_refused = status in REFUSED or "error" in (body or {}) or result.get("isError") is True
        words = json.dumps(body)
        named = {f for row in rows.values() for f in row.fields if f in words}
        return Said(is_refused and status < 500, frozenset(named), f"{status} {words}")

    texts = {}
    for name, row in some(passed_on(rows)).items():
        with contextlib.suppress(UnicodeDecodeError):
            row.raw.decode()
            # As arguments of a call these are another call, or none at all.
            if name not in {"raw: nothing", "raw: blanks", "raw: two documents"}:
                texts[name] = row
    before, wrong = world.state(), {}
    for name, row in texts.items():
        said = say(row.raw)
        is_read = said.words.startswith("200") and "-327" not in said.words
        if not said.is_refused or (is_read and not row.fields <= said.fields | {"body"}):
            wrong[name] = (sorted(row.fields), said.words[:300])
    assert wrong == {}
    assert world.state() == before
    good = say(json.dumps({**sound, **dear}).encode())
    assert not good.is_refused, good.words
    film_door.stage.settle()


MESSAGES = [
    b"",
    b"[]",
    b"{}",
    b"null",
    b"[" * 50_000,
    b'{"jsonrpc": "1.0", "id": 1, "method": "x"}',
    b'{"jsonrpc": "2.0", "id": {}, "method": "tools/call"}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": []}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": 7}}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "\\ud800"}}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "x", "arguments": 7}}',
    b'{"jsonrpc": "2.0", "id": 1, "method": "../../x"}',
    b'{"jsonrpc": "2.0", "id": 1e400, "method": "ping"}',
    b'{"jsonrpc": "2.0", "id": NaN, "method": "ping"}',
]


VERSIONS = ["2025-11-25", "2026-07-28", "1999-01-01", "x" * 5000]


def test_a_message_at_fault_is_no_5xx(film_door):  # noqa: F811
    world = World(film_door.stage)
    before, wrong = world.state(), {}
    for version, raw in product(VERSIONS, MESSAGES):
        status, _, body = film_door.post(raw.decode(), mcp_protocol_version=version)
        is_error = "error" in (body or {}) or ((body or {}).get("result") or {}).get("isError")
        is_nothing = status == 202 and body is None  # a notification, which nobody answers
        is_answered = status < 400 and not is_error and not is_nothing and b"ping" not in raw
        if status >= 500 or is_answered:
            wrong[version[:20], raw[:60]] = (status, body)
    assert wrong == {}
    assert world.state() == before


# -- the command line ----------------------------------------------------------------------------


@pytest.fixture
def command(world, monkeypatch) -> Callable[..., tuple[int, str]]:
    """Give a command; its client reaches the doors of this stack."""
    doors = {name: load_handler(name) for name in ("submit", "film", "plan")}

    def answered(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        folder = {"/v1/videos": "submit", "/v1/films": "film"}.get(path, "plan")
        made = event(request.method, path, request.content.decode())
        made["rawQueryString"] = request.url.query.decode()
        answer = doors[folder].handler(made, CONTEXT)
        media_type = answer["headers"]["Content-Type"]
        kind = media_type[0] if isinstance(media_type, list) else media_type
        return httpx.Response(
            answer["statusCode"], text=answer["body"], headers={"Content-Type": kind}
        )

    client = VideoConductor(
        "https://api.example",
        region="eu-west-1",
        credentials=Credentials("AKIDEXAMPLE", "secret"),
        transport=httpx.MockTransport(answered),
        sleep=lambda seconds: None,
    )
    monkeypatch.setattr(address, "client", lambda api, data_folder: client)
    monkeypatch.setattr(quote_command, "_client", lambda api, data_folder: client)

    def give(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
        problem = done.exception
        assert problem is None or isinstance(problem, SystemExit), (arguments, problem)
        return done.exit_code, done.output + done.stderr

    return give


UNHELD = {name: row for name, row in CLIPS.items() if name != NO_QUOTE}
COMMAND_LINES = {
    "plan a clip": (UNHELD, CLIP, ("plan",)),
    "plan a film": (FILMS, FILM, ("plan",)),
    "quote a clip": (UNHELD, CLIP, ("quote",)),
    "quote a film": (FILMS, FILM, ("quote",)),
    "generate": (CLIPS, CLIP, ("generate", "--no-wait", "--request")),
    "film": (FILMS, FILM, ("film", "--no-wait")),
}


# A film's exit code counts clips; what is at fault is beyond all counts.
FAULTS = {"film": 102}


@pytest.mark.parametrize("line", list(COMMAND_LINES))
def test_a_file_at_fault_ends_a_command_in_words(world, command, tmp_path, line):
    rows, sound, words = COMMAND_LINES[line]
    rows = some(rows, 40)
    fault = FAULTS.get(line, 2)
    file = tmp_path / "request.json"
    before, wrong = world.state(), {}
    for name, row in rows.items():
        file.write_bytes(row.raw)
        code, said = command(*words, str(file))
        if code != fault or "Traceback" in said or not said.strip() or len(said) > 100_000:
            wrong[name] = (code, said[:300])
    assert wrong == {}
    assert world.state() == before
    file.write_text(json.dumps(sound))
    code, said = command(*words, str(file))
    assert code == 0, said
    world.films.settle()


# -- whatever hypothesis thinks of ---------------------------------------------------------------

TEXTS = st.text(max_size=60) | st.sampled_from([*hostile.IDS.values(), *hostile.URLS.values()])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | TEXTS
    | st.sampled_from([0, 1e308, -0.0, 2**63, 10**40, "16:9", "draft", "480p", 6])
)
KNOWN = st.sampled_from(
    [
        *("prompt", "duration", "imageUrl", "qualityMode", "resolution", "aspectRatio", "model"),
        *("clipId", "pipelineRequestId", "maxCostUsd", "quoteId", "callbackUrl", "operation"),
        *("referenceImageUrls", "lastFrameUrl", "sourceVideoUrl", "firstFramePrompt", "thumbnail"),
        *("clips", "cast", "schemaVersion", "requestId", "setting", "scene", "firstFrame", "id"),
        *("dialogue", "speaker", "line", "action", "camera", "remaster", "purpose", "refCode"),
    ]
)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(KNOWN, inner, max_size=5)
        | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=15,
)
FUZZ = settings(
    max_examples=examples(25),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def bent(sound: dict[str, Any]) -> st.SearchStrategy[Any]:
    """A sound document with some of it replaced, or anything at all."""
    changes = st.dictionaries(KNOWN, JSON, min_size=1, max_size=3)
    return changes.map(lambda changed: {**sound, **changed}) | JSON


@pytest.fixture
def plan_doors():
    return {path: over_http("plan", path) for path in ("/v1/plan", "/v1/quotes")}


@FUZZ
@given(document=bent(CLIP) | bent(FILM), path=st.sampled_from(["/v1/plan", "/v1/quotes"]))
def test_any_document_is_planned_or_refused(world, plan_doors, document, path):
    said = plan_doors[path](json.dumps(document).encode("utf-8", "surrogatepass"))
    assert said.words[:3] in {"200", "400"}, said.words[:500]
    assert said.is_refused == bool(said.fields)


@FUZZ
@given(
    raw=st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace"))
)
def test_any_bytes_are_refused(world, plan_doors, raw):
    for path in plan_doors:
        said = plan_doors[path](raw)
        assert said.is_refused, said.words[:500]
        assert said.fields


WRITERS = {
    "clip": ("submit", "/v1/videos", CLIP),
    "film": ("film", "/v1/films", FILM),
}


@pytest.mark.parametrize("what", list(WRITERS))
def test_any_document_with_a_fault_in_it_leaves_no_trace(world, what):
    folder, path, sound = WRITERS[what]
    door, before = over_http(folder, path), world.state()

    @FUZZ
    @given(document=bent(sound), name=st.text(min_size=1, max_size=20))
    def look(document: Any, name: str) -> None:
        whole = document if isinstance(document, dict) else {"prompt": document}
        raw = json.dumps({**whole, f"x{name}": 1}).encode("utf-8", "surrogatepass")
        said = door(raw)
        assert said.is_refused, said.words[:500]
        assert said.fields

    look()
    assert world.state() == before


@FUZZ
@given(
    query=st.lists(st.tuples(st.text(max_size=12), st.text(max_size=20)), max_size=5),
    name=TEXTS,
    route=st.sampled_from(["/v1/videos", "/v1/films/{}", "/v1/costs", "/v1/films/{}/manifest"]),
)
def test_any_query_and_path_is_read_or_refused(world, query, name, route):
    folder = "budget" if route == "/v1/costs" else "browse"
    path = route.replace("{}", name.replace("/", "-"))
    made = event("GET", path, parameters={"film": name} if "films" in route else None)
    made["rawQueryString"] = "&".join(f"{a}={b}" for a, b in query)
    answer = READERS[folder]().handler(made, CONTEXT)
    assert answer["statusCode"] < 500
    if "json" in str(answer.get("headers", answer.get("multiValueHeaders"))):
        strictly(answer["body"])


_LOADED: dict[str, Any] = {}


def _loaded(folder: str) -> Any:
    if folder not in _LOADED:
        _LOADED[folder] = load_handler(folder)
    return _LOADED[folder]


READERS = {"browse": lambda: _loaded("browse"), "budget": lambda: _loaded("budget")}
