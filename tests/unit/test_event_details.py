"""Events and their schema: what is published fits it, what is shown is understood."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from videoconductor import asking, bus, details, drift, reports
from videoconductor.clip import ClipRequest, Failure, FilmRun, Inbox, Render, Shortfall
from videoconductor.errors import IdempotencyConflict, InvalidRequest, Problem

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/events.md").read_text()
SCHEMA = json.loads((ROOT / "docs/events.schema.json").read_text())
SCRIPT = json.loads((ROOT / "docs/scripted-request.schema.json").read_text())
REGISTRY = Registry().with_resource(details.SCRIPT_SCHEMA, Resource.from_contents(SCRIPT))
VALIDATOR = Draft202012Validator(SCHEMA, registry=REGISTRY)
SECTIONS = re.compile(r"^## `(\w+)`$(.*?)^```json\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = {name: json.loads(block) for name, _, block in SECTIONS.findall(PAGE)}
DRIFTS = {drift.PRICE_DRIFT, drift.MODEL_DRIFT}
OURS = {*reports.DETAIL_TYPES.values(), reports.FILM_READY, reports.REQUEST_REFUSED, *DRIFTS}


def event(name, detail, source=None):
    ours = details.SOURCE if name in OURS else "storefront.orders"
    return {"source": source or ours, "detail-type": name, "detail": detail}


def render(status="failed"):
    made = Render.model_validate_json((ROOT / "events/thumbnail.json").read_text())
    failure = Failure(error="RenderStalled", message="late", code=None)
    return made.model_copy(update={"status": status, "failure": failure})


def run():
    return FilmRun(
        run_id="r",
        film="f",
        caller="c",
        request_sha256="0" * 64,
        requested_at=datetime(2026, 11, 22, tzinfo=UTC),
        total=1,
        due=1,
        items=1,
        estimated_cost_usd=Decimal("0.3"),
        items_key="i",
        clips_key="c",
        request_key="q",
        status="incomplete",
        missing=(Shortfall(clip_id="a", quality_mode="draft", render_id="r", status="failed"),),
    )


def test_the_schema_s_file_is_what_the_command_on_the_page_writes(capsys):
    [(code, name)] = re.findall(r'python -c "(.*)" > (\S+)$', PAGE, re.MULTILINE)
    exec(code, {})  # noqa: S102 - it is what we tell people to run
    assert capsys.readouterr().out == (ROOT / name).read_text()
    Draft202012Validator.check_schema(SCHEMA)


def test_every_event_shown_fits_the_schema_and_those_that_ask_are_understood():
    assert set(SHOWN) == {*OURS, *bus.ASKING}
    for name, shown in SHOWN.items():
        whole = shown if "detail-type" in shown else event(name, shown)
        assert whole["detail-type"] == name
        VALIDATOR.validate(whole)
        # One that is not ours under our name, or the other way round, is none.
        assert not VALIDATOR.is_valid({**whole, "source": "videoconductor"}) or name in OURS
        assert not VALIDATOR.is_valid({**whole, "source": "orders"}) or name in bus.ASKING
        assert not VALIDATOR.is_valid(event(name, {**whole["detail"], "more": 1}))
    clip, key = asking.in_detail("ClipRequested", SHOWN["ClipRequested"])
    assert (clip.clip_id, key) == ("opener", "order-7-opener")
    film, key = asking.in_detail("FilmRequested", SHOWN["FilmRequested"])
    assert (film.order.only, key) == (("01_quay",), "night-ferry-1")


@pytest.mark.parametrize("status", sorted(reports.DETAIL_TYPES))
def test_what_is_published_of_a_render_fits_its_model_and_the_schema(status):
    detail = reports.event(render(status))
    assert details.ClipDetail.model_validate(detail).model_dump(mode="json") == detail
    VALIDATOR.validate(event(reports.DETAIL_TYPES[status], detail))


def test_what_is_published_of_a_run_fits_its_model_and_the_schema():
    detail = reports.film_event(run())
    assert details.FilmDetail.model_validate(detail).model_dump(mode="json") == detail
    VALIDATOR.validate(event(reports.FILM_READY, detail))


def test_what_is_published_of_a_drift_fits_its_model_and_the_schema():
    made = render()
    post = made.attempts[0]
    price = drift.PriceDrift("clip", post, "m", least_ticks=10, most_ticks=10, cost_ticks=14)
    for one, model in (
        (price, details.PriceDriftDetail),
        (drift.ModelDrift("still", post, "m", served="other"), details.ModelDriftDetail),
    ):
        detail = reports.drift_event(made, one)
        assert model.model_validate(detail).model_dump(mode="json") == detail
        assert set(detail) == set(SHOWN[one.name])
        VALIDATOR.validate(event(one.name, detail))


def test_every_field_of_a_clip_request_may_be_asked_for_on_the_bus():
    fields = SCHEMA["$defs"]["ClipRequestedDetail"]["properties"]
    assert set(fields) == {
        *(field.alias for field in ClipRequest.model_fields.values()),
        "idempotencyKey",
    }


def test_a_refusal_tells_as_much_as_fits_and_repeats_no_value():
    secret = "the words of a prompt"
    problems = [
        Problem(f"clips[{n}].prompt", secret, "is too long " * 100, ("x" * 60,) * 99)
        for n in range(200)
    ]
    errors, more = details.field_errors(InvalidRequest(problems))
    assert (len(errors), more) == (details.MAX_ERRORS, 150)
    detail = details.RefusalDetail(
        source="s", detail_type="d", event_id="e", inbox=Inbox(key="inbox/a.json"), errors=errors
    ).model_dump(mode="json")
    text = json.dumps(detail)
    assert secret not in text
    assert len(text) < 200_000
    VALIDATOR.validate(event(reports.REQUEST_REFUSED, detail))
    [conflict], _ = details.field_errors(IdempotencyConflict("came with another request"))
    assert conflict.field == "idempotencyKey"


def test_a_refusal_fits_into_an_event_however_much_is_wrong_with_a_request():
    ids = tuple(f"{number:03}" + "字" * 125 for number in range(60))
    refused = InvalidRequest([Problem("order.clip", None, "is no clip", ids)] * 60)
    errors, more = details.field_errors(refused)
    assert 0 < len(errors) < details.MAX_ERRORS
    assert len(errors) + more == 60
    shown = [error.model_dump(mode="json") for error in errors]
    assert len(json.dumps(shown, ensure_ascii=False).encode()) < 250 * 1024


@pytest.mark.parametrize(
    ("older", "newer"),
    [("617f08299329d189", "617f08299329d18a"), ("0064D3901D", "0064D3901D00"), ("0A", "0b1")],
)
def test_which_version_of_a_file_is_newer_is_told_by_its_sequencer(older, newer):
    """Compared as AWS says: the shorter one filled up with zeros on its right."""
    first, second = (Inbox(key="k", version_id=v, sequencer=v) for v in (older, newer))
    is_longer_alone = newer.startswith(older) and not newer.removeprefix(older).strip("0")
    assert second.is_newer_than(first) != is_longer_alone
    assert not first.is_newer_than(second)
    assert not first.is_newer_than(first)
    assert not second.is_newer_than(first.model_copy(update={"key": "other"}))
    assert not second.is_newer_than(Inbox(key="k"))
