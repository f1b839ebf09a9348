"""What the doctor takes for wrong, and which command it says helps; where its pages begin."""

from __future__ import annotations

import base64
import inspect
import json
import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from typer.main import get_command

from videoconductor import answers, doctoring, examining
from videoconductor.clip import Attempt, Clip, Failure, FilmRun, ManifestEntry, Render
from videoconductor.doctoring import Places
from videoconductor.errors import InvalidRequest
from videoconductor.examining import Position
from videoconductor.ledger import Counter
from videoconductor.treasurer import Difference
from videoconductor_cli.commands.doctor import KINDS
from videoconductor_cli.main import app

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ID = "0123456789abcdef0123456789abcdef"
FOLDER = "generated/videos/intro/opener/draft"
PLACES = Places("table", "library", "generated/videos")
DOLLAR = 10**10
ABANDONED = Failure(error="Abandoned", message="given up while stalled")


@pytest.fixture
def render(plan):
    return Render(
        render_id=ID,
        clip_id="opener",
        pipeline_request_id="intro",
        plan=plan(prompt="a lamp", duration=10),
        caller="arn:aws:iam::123456789012:user/ann",
        request_sha256="f" * 64,
        created_at=NOW,
    )


def attempt(outcome, **fields):
    made = Attempt(
        number=1, permitted_at=NOW, lease_until=NOW, outcome=outcome, reserved_ticks=DOLLAR
    )
    return made.model_copy(update=fields)


def at_rest(render, status, *attempts, **fields):
    later = NOW + timedelta(minutes=5)
    return render.having(later, status, attempts=attempts, announced=status, **fields)


def clip(**fields):
    made = Clip(
        key=f"{FOLDER}/{ID}.mp4",
        sidecar_key=f"{FOLDER}/{ID}.json",
        bytes=7,
        sha256="0" * 64,
        seconds=1,
        width=854,
        height=480,
        video_codec="avc1",
    )
    return made.model_copy(update=fields)


# ── Renders at rest ──────────────────────────────────────────────────────────────────────────────


def test_a_lost_post_is_attached_by_the_id_that_somebody_found(render):
    found = doctoring.unresolved(at_rest(render, "submit_unknown", attempt("unknown")))
    assert found is not None
    assert (found.kind, found.held_usd, found.since) == (
        "submit_unknown",
        Decimal(1),
        NOW + timedelta(minutes=5),
    )
    assert found.commands == (
        f"videoconductor attach {ID} REQUEST_ID",
        f"videoconductor retry {ID} --may-charge-twice",
        f"videoconductor abandon {ID}",
    )


def test_one_whose_id_is_on_record_is_attached_without_it(render):
    known = at_rest(render, "submit_unknown", attempt("unknown"), job={"requestId": "r"})
    found = doctoring.unresolved(known)
    assert found is not None
    assert found.commands[0] == f"videoconductor attach {ID}"


def test_a_lost_still_has_no_id_to_attach(render):
    lost = at_rest(render, "submit_unknown", still_attempts=(attempt("unknown"),))
    found = doctoring.unresolved(lost)
    assert found is not None
    assert [command.split()[1] for command in found.commands] == ["retry", "abandon"]
    assert found.held_usd == 1


def test_a_stalled_one_is_attached_first(render):
    found = doctoring.unresolved(at_rest(render, "stalled", attempt("accepted")))
    assert found is not None
    assert [command.split()[1] for command in found.commands] == ["attach", "retry", "abandon"]


@pytest.mark.parametrize("status", ["finalized", "failed", "cancelled", "planned", "rendering"])
def test_no_other_status_waits_for_a_person(render, status):
    assert doctoring.unresolved(at_rest(render, status, attempt("unknown"))) is None


@pytest.mark.parametrize(
    ("status", "outcome", "failure", "is_finding", "is_decided"),
    [
        ("failed", "unknown", None, True, False),
        ("failed", "accepted", None, True, False),
        ("failed", "submitting", None, True, False),
        ("failed", "submitting", ABANDONED, True, False),
        ("failed", "unknown", ABANDONED, False, True),
        ("failed", "accepted", ABANDONED, False, True),
        ("failed", "abandoned", None, False, True),
        ("failed", "refused", None, False, False),
        ("failed", "not_sent", None, False, False),
        ("cancelled", "accepted", None, False, True),
        ("cancelled", "submitting", None, True, False),
        ("cancelled", "unknown", None, False, True),
        ("finalized", "abandoned", None, False, True),
        ("finalized", "unknown", None, False, True),
        ("rendering", "accepted", None, False, False),
        ("planned", "submitting", None, False, False),
        ("submit_unknown", "unknown", None, False, False),
        ("stalled", "accepted", None, False, False),
    ],
)
def test_what_is_held_is_a_finding_unless_somebody_decided_it_or_it_goes_on(
    render, status, outcome, failure, is_finding, is_decided
):
    record = at_rest(render, status, attempt(outcome), failure=failure)
    later = NOW + timedelta(hours=1)
    assert (doctoring.held(record, later) is not None) is is_finding
    assert doctoring.is_held_by_decision(record, later) is is_decided


def test_a_permit_is_in_somebody_s_hands_until_its_lease_is_over(render):
    held = attempt("submitting", lease_until=NOW + timedelta(seconds=150))
    record = at_rest(render, "cancelled", held)
    assert doctoring.held(record, NOW + timedelta(seconds=149)) is None
    assert doctoring.held(record, NOW + timedelta(seconds=151)) is not None


def test_what_was_settled_or_cost_nothing_is_not_held(render):
    for spent in (attempt("accepted", spent_ticks=DOLLAR), attempt("unknown", reserved_ticks=0)):
        record = at_rest(render, "failed", spent)
        assert doctoring.held(record, NOW) is None
        assert not doctoring.is_held_by_decision(record, NOW)


# ── Records that nothing works on ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("status", ["planned", "framing", "rendering", "rendered"])
def test_what_was_sent_is_resumed_by_itself_and_the_rest_only_if_that_is_wanted(render, status):
    found = doctoring.lost(render.having(NOW, status))
    is_sent = status in {"rendering", "rendered"}
    assert ("--may-post" in found.commands[0]) is not is_sent
    assert found.commands[1] == f"videoconductor resume {ID}"


def test_a_finding_that_was_repaired_needs_no_command(render):
    found = doctoring.untold(at_rest(render, "finalized")).mended("announced")
    assert (found.repaired, found.commands) == ("announced", ())


def film_run(**fields):
    made = FilmRun(
        run_id="a" * 32,
        film="night club's",
        caller="arn:aws:iam::111122223333:user/editor",
        request_sha256="0" * 64,
        requested_at=NOW,
        total=1,
        due=1,
        items=1,
        estimated_cost_usd=Decimal("0.3"),
        items_key="i",
        clips_key="c",
        request_key="q",
    )
    return made.model_copy(update=fields)


def test_a_run_is_named_by_its_film_and_its_id():
    found = doctoring.lost_run(film_run())
    assert (found.kind, found.name) == ("run_without_execution", f"night club's/{'a' * 32}")
    ended = film_run(status="finished", ended_at=NOW + timedelta(hours=1))
    found = doctoring.untold_run(ended)
    assert (found.kind, found.since) == ("unannounced", ended.ended_at)


# ── Clips, entries, objects ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("size", "words"), [(None, "is gone"), (8, "has 8 bytes, not 7")])
def test_an_object_that_is_gone_or_of_another_size_is_a_finding(render, size, words):
    record = at_rest(render, "finalized", clip=clip())
    found = doctoring.without_object(record, size, PLACES)
    assert found is not None
    assert words in found.words
    assert doctoring.without_object(record, 7, PLACES) is None


def test_what_a_key_says():
    name = f"{FOLDER}/{ID}"
    whose = PLACES.rendering(f"{name}.mp4")
    assert whose == ("intro", "opener::draft", ID, False)
    assert PLACES.rendering(f"{name}-2.mp4") == whose
    assert PLACES.rendering(f"{name}-2.{'a' * 16}.mp4") == ("intro", "opener::draft", ID, True)
    assert PLACES.rendering(f"{FOLDER}/mine.mp4") == ("intro", "opener::draft", None, False)
    for foreign in (f"generated/videos/{ID}.mp4", f"elsewhere/a/b/c/{ID}.mp4", f"{name}/x/y.mp4"):
        assert PLACES.rendering(foreign) is None
    assert PLACES.film(f"{FOLDER}/mine.mp4") == "intro"
    assert PLACES.film("generated/videos/mine.mp4") is None
    assert PLACES.film("generated/images/intro/x.jpg") is None


def test_which_objects_have_to_be_looked_for_in_the_manifest(render):
    own = f"{FOLDER}/{ID}.mp4"

    def may_be_nameless(key, record):
        return doctoring.may_be_nameless(key, record, PLACES)

    ready = at_rest(render, "finalized", clip=clip())
    assert may_be_nameless(own, None)
    assert not may_be_nameless(own, ready)
    assert may_be_nameless(f"{FOLDER}/{ID}-2.mp4", ready)
    assert not may_be_nameless(f"{FOLDER}/{ID}.{'a' * 16}.mp4", ready)
    for status in ("planned", "rendering", "rendered"):
        assert not may_be_nameless(own, render.having(NOW, status))
    conflict = Failure(error="ClipConflict", message=f"{own} holds another", code="conflict")
    assert not may_be_nameless(own, at_rest(render, "failed", failure=conflict))
    other = replace(PLACES, prefix="generated/elsewhere")
    assert doctoring.may_be_nameless(own, at_rest(render, "failed"), other)


def test_what_is_delivered_is_told_from_what_lies_there_by_chance():
    assert doctoring.delivered_for(f"incoming/{ID}/2.mp4") == ID
    assert doctoring.delivered_for(f"incoming/{ID}/still-1") == ID
    for foreign in ("incoming/x.mp4", f"incoming/{ID}/x.mp4", f"incoming/{ID}/1.mp4/y"):
        assert doctoring.delivered_for(foreign) is None


@pytest.mark.parametrize(
    ("status", "failure", "commands"),
    [
        ("stalled", None, ["doctor", "attach"]),
        ("submit_unknown", None, ["doctor", "attach"]),
        ("cancelled", None, ["attach"]),
        ("failed", ABANDONED, ["attach"]),
        ("finalized", None, ["doctor"]),
    ],
)
def test_a_delivery_is_taken_up_by_itself_unless_a_person_decided_otherwise(
    render, status, failure, commands
):
    key = f"incoming/{ID}/1.mp4"
    attempts = (attempt("unknown", witness="sent"), attempt("accepted", number=2))
    record = at_rest(render, status, *attempts, failure=failure)
    found = doctoring.delivered(record, ID, key, NOW, PLACES)
    assert [command.split()[1] for command in found.commands] == commands
    assert found.since == NOW


# ── Commands ─────────────────────────────────────────────────────────────────────────────────────


def awkward():
    """A finding of each kind that has somebody else's words in its commands."""
    film, key = "it's $(here) & now", "generated/videos/it's/`x`/draft/$HOME 1.mp4"
    entry = ManifestEntry(
        id="x::draft",
        pipeline_request_id=film,
        quality_mode="draft",
        status="finalized",
        requested_at=NOW,
        updated_at=NOW,
    )
    counter = Difference(
        counter=Counter("film", film),
        held=1,
        settled=2,
        total=4,
        entries=3,
        ledger_held=1,
        ledger_settled=2,
        ledger_entries=3,
    )
    lost = counter.model_copy(update={"held": 0, "settled": 0, "total": 0, "entries": 0})
    return [
        doctoring.nameless(key, None, NOW, PLACES),
        doctoring.entry_without_object(entry, key, PLACES),
        doctoring.delivered(None, key, key, NOW, PLACES),
        doctoring.unreadable(f"FILM#{film}", "ENTRY#x::draft", PLACES),
        doctoring.execution_without_record("x-1", "arn:aws:states:::execution:m:x $1", NOW),
        doctoring.counter(counter, PLACES),
        doctoring.counter(lost, PLACES),
        doctoring.dead_letters("https://sqs/1/dead$letters", 3, of_webhooks=False),
    ]


@pytest.mark.parametrize("found", awkward(), ids=lambda found: found.kind)
def test_a_command_is_good_for_a_shell_whatever_names_are_in_it(found):
    for command in found.commands:
        words = shlex.split(command)
        assert words[0] in {"aws", "videoconductor"}
        # Whatever a shell would take for its own is inside of quotes.
        bare = re.sub(r"'[^']*'|\"'\"", "", command)
        assert not re.search(r"[$`&()]", bare), command


def test_a_counter_is_set_to_its_entries_only_if_it_is_as_it_was_seen():
    found = awkward()[5]
    words = shlex.split(found.commands[1])
    asked = dict(zip(words[3::2], words[4::2], strict=True))
    values = json.loads(asked["--expression-attribute-values"])
    assert json.loads(asked["--key"]) == {
        "pk": {"S": "SPEND#film"},
        "sk": {"S": "it's $(here) & now"},
    }
    assert asked["--update-expression"].count("=") == asked["--condition-expression"].count("=")
    assert (values[":t"], values[":t0"]) == ({"N": "3"}, {"N": "4"})


def test_every_command_that_is_advised_is_one():
    known = set(get_command(app).commands)
    text = re.sub(r"^from .*$", "", inspect.getsource(doctoring), flags=re.MULTILINE)
    advised = set(re.findall(r"videoconductor ([a-z]+)", text))
    assert {"attach", "retry", "abandon", "resume", "costs", "doctor", "webhook"} == advised
    assert advised <= known


def test_every_kind_has_its_words_and_its_place_in_the_answer():
    kinds = set(doctoring.Kind.__args__)
    assert set(KINDS) == kinds
    assert set(answers.Finding.model_json_schema()["properties"]["kind"]["enum"]) == kinds
    assert set(answers.LookedAt.model_fields) == set(doctoring.LOOKED_AT)


# ── Pages ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "position",
    [
        Position("deliveries"),
        Position("records", ("FILM#кино", "ENTRY#x::draft")),
        Position("books", ("2026-11-01",)),
        Position("clips", ("generated/videos/a b.mp4",)),
    ],
)
def test_a_cursor_leads_to_its_position(position):
    assert examining.position(examining.cursor(position)) == position


def test_without_a_cursor_it_begins_at_the_beginning():
    assert examining.position(None) == Position(examining.PARTS[0])


@pytest.mark.parametrize(
    "position",
    [
        ["nowhere"],
        [],
        {},
        "records",
        ["records", "one"],
        ["records", "", "x"],
        ["records", 1, 2],
        ["books", "yesterday"],
        ["books", "2026-13-01"],
        ["letters", "a", "b"],
        ["clips", "\ud800"],
        ["clips", ""],
        [["records"]],
        ["clips", "x" * 1025],
        ["executions", "x" * 3097],
        ["clips", "x" * 9000],
        None,
        7,
    ],
)
def test_a_position_of_somebody_s_own_making_is_refused(position):
    made = base64.urlsafe_b64encode(json.dumps(position).encode()).decode()
    with pytest.raises(InvalidRequest) as refused:
        examining.position(made)
    assert [one.field for one in refused.value.problems] == ["cursor"]


@pytest.mark.parametrize("cursor", ["x", "é", "", "W10", "%00", "W1siXQ==", "[" * 5000, "\ud800"])
def test_what_is_no_cursor_at_all_is_refused(cursor):
    with pytest.raises(InvalidRequest) as refused:
        examining.position(cursor)
    assert [one.field for one in refused.value.problems] == ["cursor"]
