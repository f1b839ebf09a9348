"""The documents say what the code does: nothing is left out, nothing named is missing."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml
from typer.core import TyperGroup

from tests.workflow.conftest import Cloud, definition
from videoconductor import (
    accounts,
    answers,
    budgets,
    compatible,
    details,
    doctoring,
    drift,
    entrance,
    errors,
    events,
    intake,
    listing,
    manifest,
    planning,
    quotes,
    reports,
    script,
    views,
    wiring,
)
from videoconductor.books import Tally
from videoconductor.budgets import Caps
from videoconductor.clip import (
    Clip,
    ClipRequest,
    Failure,
    FilmClip,
    FilmRun,
    FilmStatus,
    ManifestEntry,
    Pictures,
    Render,
    Shortfall,
    Status,
    Turn,
)
from videoconductor.ledger import Counter
from videoconductor.listing import Page
from videoconductor.models import ModelCatalog
from videoconductor.providers import xai
from videoconductor.quality import QualityModes
from videoconductor.spending import Standings
from videoconductor.tools import catalog
from videoconductor_cli.main import app

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
TEMPLATE = Cloud.template()
STATES = json.loads(definition())["States"]
FILM = yaml.safe_load((ROOT / "statemachine/render_film.asl.yaml").read_text())["States"]
FILM_STATES = {**FILM, **FILM["Clips"]["ItemProcessor"]["States"]}
MODES = QualityModes.from_json((ROOT / "presets/video-presets.json").read_text())
MODELS = ModelCatalog.from_json((ROOT / "presets/models.json").read_text())
FAILURE = Failure(error="ModerationRejected", message="withheld", code="moderated")
COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INFRASTRUCTURE = {
    "TABLE_NAME",
    "BUCKET_NAME",
    "EVENT_BUS_NAME",
    "STATE_MACHINE_ARN",
    "FILM_STATE_MACHINE_ARN",
}


def read(name: str) -> str:
    return (ROOT / name).read_text()


def prose(text: str) -> str:
    return COMMENT.sub("", FENCE.sub("", text))


def rows(text: str) -> dict[str, list[str]]:
    """The cells of each table row whose first cell begins with a name in backticks."""
    found: dict[str, list[str]] = {}
    for line in prose(text).splitlines():
        if named := re.match(r"\| \[?`([^`]+)`", line):
            cells = re.split(r"(?<!\\)\|", line)[1:-1]
            found.setdefault(named[1], [cell.strip() for cell in cells])
    return found


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next of its rank."""
    found = re.search(
        rf"^(#+) {re.escape(heading)}\n(.*?)(?=^\1 |\Z)", text, re.MULTILINE | re.DOTALL
    )
    assert found, f"there is no heading {heading!r}"
    return found[2]


def json_in(text: str) -> list[Any]:
    return [json.loads(block) for kind, block in FENCE.findall(text) if kind == "json"]


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def bare_keys(document: Any) -> Any:
    """The names in a document, without its values; a list is as its first element."""
    if isinstance(document, dict):
        return {name: bare_keys(value) for name, value in document.items()}
    if isinstance(document, list) and document:
        return [bare_keys(document[0])]
    return None


def sample(state: str) -> Render:
    return Render.model_validate_json(read(f"events/{state}.json"))


def clip() -> Clip:
    return Clip(
        key="generated/videos/nightclub/opener/draft/x.mp4",
        sidecar_key="generated/videos/nightclub/opener/draft/x.json",
        bytes=1,
        sha256="0" * 64,
        seconds=6,
        width=854,
        height=480,
        video_codec="avc1",
        audio_codec="mp4a",
    )


def finalized() -> Render:
    render = sample("finalize")
    pictures = Pictures(poster_key="poster.jpg")
    return render.having(render.created_at, "finalized", clip=clip(), pictures=pictures)


def film_clip() -> FilmClip:
    return FilmClip(
        clip_id="opener",
        quality_mode="draft",
        render_id="r",
        operation="generate",
        model="grok-imagine-video",
        estimated_cost_usd=Decimal("0.3"),
    )


def run() -> FilmRun:
    """A run that ended without one of its clips."""
    render = sample("start")
    missing = Shortfall(clip_id="opener", quality_mode="draft", render_id="r", status="failed")
    return FilmRun(
        run_id="a" * 32,
        film="nightclub",
        caller="arn:aws:iam::111122223333:user/editor",
        request_sha256="0" * 64,
        requested_at=render.created_at,
        total=1,
        due=1,
        items=1,
        estimated_cost_usd=Decimal("0.3"),
        items_key="i",
        clips_key="c",
        request_key="q",
        status="incomplete",
        missing=(missing,),
        spent_usd=Decimal("0.3"),
        reserved_usd=Decimal(0),
    )


LOOKED_UP = Standings(tallies={Counter("film", "nightclub"): Tally()})


def routes() -> set[str]:
    return {
        f"{event['Properties']['Method']} {event['Properties']['Path']}"
        for resource in TEMPLATE["Resources"].values()
        for event in resource.get("Properties", {}).get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }


def commands() -> list[str]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    names = []
    for name, command in group.commands.items():
        inner = getattr(command, "commands", {})
        names += [f"{name} {one}" for one in inner] or [name]
    return names


# ── Quality modes, models, prices ────────────────────────────────────────────────────────────────


def test_the_modes_in_the_tables_are_the_modes_there_are():
    table = rows(section(read("docs/quality-modes.md"), "Modes"))
    assert list(table) == list(MODES.modes)
    assert list(rows(section(read("README.md"), "Quality modes and what they cost"))) == list(table)


@pytest.mark.parametrize("name", MODES.modes)
def test_a_mode_s_row_says_its_aliases_model_resolution_and_need_of_an_image(name):
    mode = MODES.modes[name]
    cells = rows(section(read("docs/quality-modes.md"), "Modes"))[name]
    assert re.findall(r"`([^`]+)`", cells[1]) == list(mode.aliases)
    assert cells[2] == f"`{mode.model}`"
    assert cells[3] == mode.resolution
    expected = "required" if mode.requires_image else f"becomes `{mode.with_image}`"
    assert cells[4] == (
        expected if mode.requires_image or mode.with_image is not None else "optional"
    )


@pytest.mark.parametrize("name", MODES.modes)
def test_a_mode_s_price_in_the_readme_is_what_planning_says(name):
    mode = MODES.modes[name]
    fields = {"prompt": "a lamp", "qualityMode": name, "duration": 6}
    if mode.requires_image:
        fields["imageUrl"] = "https://example.com/first.png"
    plan = planning.plan(intake.clip_request(json.dumps(fields)), MODES, MODELS)
    cells = rows(section(read("README.md"), "Quality modes and what they cost"))[name]
    assert cells[1:4] == [mode.model, mode.resolution, "yes" if mode.requires_image else "no"]
    assert cells[4] == f"${plan.estimate.lines[0].unit_usd}"
    assert cells[5] == f"${plan.estimate.total_usd:.2f}"


@pytest.mark.parametrize("name", MODELS.names("video"))
def test_a_video_model_s_limits_and_prices_are_in_their_tables(name):
    model, text = MODELS.models[name], read("docs/quality-modes.md")
    limits = rows(section(text, "Limits"))[name]
    columns = ("text-to-video", "image-to-video", "reference-to-video", "edit", "extend")
    for task, cell in zip(columns, limits[1:], strict=True):
        row = model.tasks.get(task)  # type: ignore[call-overload]
        if row is None:
            assert cell == "no", task
            continue
        bounds = row.model_dump(exclude_none=True, exclude={"resolutions"})
        numbers = {str(bound) for bound in bounds.values()}
        assert numbers <= set(re.findall(r"\d+(?:\.\d+)?", cell)), task
        assert all(resolution in cell for resolution in row.resolutions or ()), task
    prices = rows(section(text, "Prices"))[name]
    expected = [model.prices.per_second.get(size) for size in ("480p", "720p", "1080p")]
    assert prices[1:4] == ["not offered" if p is None else str(p) for p in expected]
    assert prices[4] == str(model.prices.per_input_image)
    assert prices[5] == (str(model.prices.per_input_second or ""))


def test_every_model_its_aliases_and_the_retired_ones_are_named():
    text = read("docs/quality-modes.md")
    named = [*MODELS.models, *MODELS.retired]
    named += [alias for row in MODELS.models.values() for alias in row.aliases]
    assert [name for name in named if f"`{name}`" not in text] == []


def test_the_day_of_the_prices_is_said():
    days = {row.as_of for row in MODELS.models.values()}
    assert all(f"as of {day}" in read("docs/quality-modes.md") for day in days)


# ── The machine ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("heading", "states"), [("States", STATES), ("`render_film`", FILM_STATES)]
)
def test_the_table_of_states_holds_the_states_there_are_with_their_functions(heading, states):
    table = rows(section(read("docs/state-machine.md"), heading))
    assert {name for name in table if name in states or name[0].isupper()} == set(states)
    for name, state in states.items():
        is_function = state["Type"] == "Task" and "FunctionArn}" in str(state["Resource"])
        is_function |= state["Type"] == "Task" and ":lambda:" in str(state["Resource"])
        folder = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        assert table[name][1] == (f"`functions/{folder}`" if is_function else ""), name


def test_the_table_s_items_are_those_that_the_manifest_knows():
    known = re.findall(r"^\| `(.+?)` +\| `(.+?)` ", manifest.__doc__ or "", re.MULTILINE)
    text = section(read("docs/architecture.md"), "What is stored")
    shown = re.findall(r"^\| `([A-Z]+(?:#[^`]+)?)` \| `([^`]+)` ", text, re.MULTILINE)
    kinds = [[part.partition("#")[0] for part in row] for row in known]
    assert len(known) > 3
    assert [[part.partition("#")[0] for part in row] for row in shown] == kinds


def test_a_run_s_statuses_and_a_clip_s_steps_are_explained():
    text = section(read("docs/state-machine.md"), "`render_film`")
    assert set(FilmStatus.__args__) <= set(rows(text))
    for step in Turn.model_fields["step"].annotation.__args__:
        assert f"`{step}`" in text
    assert f"`FilmConcurrency` ({TEMPLATE['Parameters']['FilmConcurrency']['Default']})" in text
    assert f"{FILM_STATES['Clips']['ToleratedFailurePercentage']}: one clip never stops" in text


def test_the_table_of_statuses_holds_every_status():
    table = rows(section(read("docs/state-machine.md"), "Statuses"))
    assert list(table) == list(Status.__args__)


def test_the_table_of_errors_holds_every_error_class():
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.VideoConductorError)
    }
    assert set(rows(section(read("docs/state-machine.md"), "Error names"))) == classes


def test_what_a_state_fails_with_is_an_error_class():
    for name, cells in rows(section(read("docs/state-machine.md"), "States")).items():
        for error in re.findall(r"`(\w+)`", cells[-1]):
            assert hasattr(errors, error), f"{name}: {error}"


def test_every_module_of_the_package_is_in_the_architecture():
    package = ROOT / "layers/videoconductor/python/videoconductor"
    text = read("docs/architecture.md")
    for path in package.rglob("*.py"):
        parts = path.relative_to(package).with_suffix("").parts
        name = ".".join(parts).removesuffix(".__init__")
        own = {name, parts[0]} if parts[0] == "script" else {name}
        assert name == "__init__" or any(f"`{one}`" in text for one in own), name


# ── Doors and events ─────────────────────────────────────────────────────────────────────────────


def test_the_routes_in_the_table_and_the_headings_are_the_template_s():
    text = read("docs/http-api.md")
    headings = set(re.findall(r"^#+ `((?:ANY|GET|PATCH|POST) [^`]+)`$", text, re.MULTILINE))
    assert set(rows(text)) & {*routes(), *headings} == routes()
    assert headings == routes()


def test_every_field_of_a_request_is_in_its_table_and_no_other():
    table = section(read("docs/http-api.md"), "`POST /v1/videos`")
    named = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`(\w+)`", line.split("|")[1])
    }
    assert named == {field.alias for field in ClipRequest.model_fields.values()}


def test_the_answers_shown_have_the_fields_of_the_answers_given():
    text = read("docs/http-api.md")
    [accepted] = json_in(section(text, "`POST /v1/videos`"))
    assert bare_keys(accepted) == bare_keys(views.accepted(sample("start")))
    [detail] = json_in(section(text, "`GET /v1/videos/{renderId}`"))
    assert bare_keys(detail) == bare_keys(views.detail(finalized(), lambda key: key))


def test_the_existing_system_s_answer_is_shown_as_it_is_given():
    heading = "`POST /api/mcp/v1/videos/generate`"
    [shown] = json_in(section(read("docs/http-api.md"), heading))
    assert bare_keys(shown) == bare_keys(compatible.answer(finalized(), lambda key: key))


def test_the_plan_and_the_presets_shown_have_the_fields_of_the_answers_given():
    text = read("docs/http-api.md")
    [plan] = json_in(section(text, "`POST /v1/plan`"))
    made = planning.plan(ClipRequest(prompt="x", first_frame_prompt="y"), MODES, MODELS)
    given = views.planned("nightclub", [planning.PlannedClip("opener", made, ())])
    assert bare_keys(plan) == bare_keys(given)
    [quoted] = json_in(section(text, "`POST /v1/quotes`"))
    clip = planning.PlannedClip("opener", made, ())
    quote = quotes.quote("nightclub", [clip], "0" * 64, MODELS, run().requested_at)
    assert bare_keys(quoted) == bare_keys(views.quote(quote))
    [models] = json_in(section(text, "`GET /v1/models`"))
    assert bare_keys(models) == bare_keys(views.models(MODELS))
    [modes] = json_in(section(text, "`GET /v1/quality-modes`"))
    assert bare_keys(modes) == bare_keys(views.quality_modes(MODES, MODELS))


def test_what_a_list_and_a_remaster_may_be_asked_for_is_in_their_tables():
    text = read("docs/http-api.md")
    assert set(rows(section(text, "`GET /v1/videos`"))) == set(listing.FIELDS)
    table = section(text, "`POST /v1/videos/{renderId}/remaster`")
    fields = intake.Remastering.model_fields.values()
    assert set(rows(table)) == {field.alias for field in fields}
    [asked] = json_in(table)
    assert intake.remastering(json.dumps(asked)).prompt


def test_the_film_s_answers_shown_have_the_fields_of_the_answers_given():
    text = read("docs/http-api.md")
    [accepted] = json_in(section(text, "`POST /v1/films`"))
    assert bare_keys(accepted) == bare_keys(views.film_accepted(run(), [film_clip()]))
    [detail] = json_in(section(text, "`GET /v1/films/{film}`"))
    render = sample("record_failure").having(run().requested_at, "failed", failure=FAILURE)
    renders = {film_clip().render_id: render}
    given = views.film_detail(run(), [film_clip()], renders, None, LOOKED_UP)
    assert bare_keys(detail) == bare_keys(given)
    [page] = json_in(section(text, "`GET /v1/films`"))
    assert bare_keys(page) == bare_keys(views.film_page(Page((run(),), None)))
    [cancelled] = json_in(section(text, "`POST /v1/films/{film}/cancel`"))
    assert bare_keys(cancelled) == bare_keys(views.film_cancelled(run(), [render]))


@pytest.mark.parametrize(
    ("route", "read_query"),
    [
        ("`POST /v1/films`", intake.film_order),
        ("`POST /v1/films/{film}/retry`", intake.film_retry),
        ("`POST /v1/films/{film}/remaster`", intake.film_remaster),
    ],
)
def test_every_query_parameter_of_a_film_is_in_its_table(route, read_query):
    text = section(read("docs/http-api.md"), route)
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    named = {name for cell in cells for name in re.findall(r"`(\w+)", cell)}
    # A parameter that nobody knows is answered with those there are.
    with pytest.raises(errors.InvalidRequest) as refused:
        read_query({"x": ["1"]})
    assert named == set(refused.value.problems[0].choices)


def test_a_manifest_taken_in_is_answered_as_shown():
    [shown] = json_in(section(read("docs/http-api.md"), "`POST /v1/films/{film}/manifest`"))
    assert set(shown) == {"filmId", "imported", "kept", "warnings"}


def test_the_answers_about_money_shown_are_such_answers():
    text = read("docs/http-api.md")
    [budget] = json_in(section(text, "`GET /v1/budget`"))
    answers.Budget.model_validate(budget)
    [change] = json_in(section(text, "`PATCH /v1/budget`"))
    assert accounts.caps_change(json.dumps(change)).put_over(Caps()).films["nightclub"] == 5
    fields = set(accounts.NewCaps.model_fields)
    assert set(rows(section(text, "`PATCH /v1/budget`"))) == fields
    costs = section(text, "`GET /v1/costs`")
    told, checked = json_in(costs)
    answers.Costs.model_validate(told)
    answers.CostCheck.model_validate(checked)
    table = rows(costs)
    assert set(table) == {*accounts.FIELDS, "format"}
    assert re.findall(r"`(\w+)`", table["by"][1]) == list(accounts.BY)
    assert set(budgets.SCOPES) == set(rows(section(read("docs/money.md"), "Caps")))


def test_what_the_doctor_answers_and_finds_is_told():
    [shown] = json_in(section(read("docs/http-api.md"), "`GET /v1/doctor`"))
    answers.Examination.model_validate(shown)
    table = section(read("docs/http-api.md"), "`POST /v1/doctor`")
    assert set(rows(table)) == {field.alias for field in intake.Treatment.model_fields.values()}
    [asked] = json_in(table)
    intake.treatment(json.dumps(asked))
    table = section(read("docs/operating.md"), "The doctor")
    named = re.findall(r"^\| (`.*?)(?::| in )", table, re.MULTILINE)
    found = {kind for cell in named for kind in re.findall(r"`(\w+)`", cell)}
    assert found == set(doctoring.Kind.__args__)


def test_the_manifest_shown_has_the_fields_of_a_manifest():
    [shown] = json_in(section(read("docs/http-api.md"), "`GET /v1/films/{film}/manifest`"))
    render = finalized()
    entry = ManifestEntry(
        id=render.entry_id,
        pipeline_request_id="nightclub",
        quality_mode="draft",
        render_id=render.render_id,
        status="finalized",
        generation_kind="text-to-video",
        request_id="r",
        url="s3://library/x.mp4",
        temporary_url=None,
        duration=6,
        resolution="480p",
        model="grok-imagine-video",
        sha256="0" * 64,
        estimated_cost_usd=Decimal("0.3"),
        requested_at=render.created_at,
        updated_at=render.created_at,
    )
    remaster = entry.model_copy(update={"id": "a::b", "remaster_from_request_id": "r"})
    found = [entry, remaster]
    given = views.manifest("nightclub", found, [run()], lambda uri: uri, standings=LOOKED_UP)
    assert bare_keys(shown) == bare_keys(given)


def test_the_requests_shown_are_requests():
    [written] = json_in(section(read("README.md"), "Make a film"))
    script.plan_json(json.dumps(written), MODES, MODELS)
    asked = re.findall(r"^  -d '(.*)'$", read("README.md"), re.MULTILINE)
    assert len(asked) == 1
    planning.plan(intake.clip_request(asked[0]), MODES, MODELS)
    text = read("docs/http-api.md")
    [attachment] = json_in(section(text, "`POST /v1/videos/{renderId}/attach`"))
    assert intake.attachment(json.dumps(attachment)).request_id
    [retrial] = json_in(section(text, "`POST /v1/videos/{renderId}/retry`"))
    assert intake.render_retrial(json.dumps(retrial)).max_cost_usd


def test_every_error_that_becomes_http_has_its_status_in_the_table():
    table = section(read("docs/http-api.md"), "Errors")
    for status, _ in views.HTTP_STATUS.values():
        assert f"| {status} |" in table


def test_every_event_type_has_its_heading_its_row_and_an_example_as_published():
    text = read("docs/events.md")
    types = {*events.DETAIL_TYPES.values(), events.FILM_READY}
    assert set(rows(text)) >= types
    for status, name in events.DETAIL_TYPES.items():
        assert f"`{status}`" in rows(text)[name][1]
        [shown] = json_in(section(text, f"`{name}`"))
        detail = shown.get("detail", shown)
        given = reports.event(finalized())
        assert set(detail) == set(given), name
        assert events.DETAIL_TYPES[detail["status"]] == name
    headings = re.findall(r"^## `(\w+)`$", text, re.MULTILINE)
    published = [*dict.fromkeys(events.DETAIL_TYPES.values()), events.FILM_READY]
    assert headings == [
        *(*published, reports.REQUEST_REFUSED, drift.PRICE_DRIFT, drift.MODEL_DRIFT),
        *(details.CLIP_REQUESTED, details.FILM_REQUESTED),
    ]
    assert set(rows(text)) >= set(headings)


def test_the_event_that_ends_a_run_is_shown_as_published():
    [shown] = json_in(section(read("docs/events.md"), f"`{events.FILM_READY}`"))
    assert bare_keys(shown) == bare_keys(reports.film_event(run()))
    assert f"the first {reports.MAX_MISSING}" in read("docs/events.md")


# ── Settings, parameters, alarms, commands ───────────────────────────────────────────────────────


def test_every_setting_has_its_row_with_default_and_bounds():
    table = rows(read("docs/settings.md").partition("\n## ")[0])
    fields = {field.alias: field for field in wiring.Settings.model_fields.values()}
    assert set(table) == set(fields)
    for name, field in fields.items():
        _, _, default, bounds, _ = table[name]
        known = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        assert default == (str(known) if known not in {"", None} else "none"), name
        for limit in field.metadata:
            for bound in ("ge", "le", "gt"):
                if hasattr(limit, bound):
                    assert str(getattr(limit, bound)) in bounds, name


def test_every_template_parameter_is_in_the_settings_with_its_default():
    text = read("docs/settings.md")
    variables, _, others = text.partition("## Parameters without a variable")
    defaults = {cells[1].strip("`"): cells[2] for cells in rows(variables).values()}
    defaults |= {name: cells[1] for name, cells in rows(others).items()}
    for name, parameter in TEMPLATE["Parameters"].items():
        assert defaults.get(name) == (str(parameter["Default"]) or "none"), name
    known = {*TEMPLATE["Parameters"]}
    assert {name for name in defaults if not name.startswith("none")} == known


def test_a_variable_is_set_from_the_parameter_its_row_names():
    template = read("template.yaml")
    for name, cells in rows(read("docs/settings.md").partition("\n## ")[0]).items():
        parameter = cells[1].strip("`")
        if not parameter.startswith("none"):
            assert re.search(rf"^ +{name}: !Ref {parameter}$", template, re.MULTILINE), name
        elif name in INFRASTRUCTURE:
            resource = re.search(r"`(\w+)`", cells[1])
            assert resource
            assert re.search(rf"^ +{name}: !Ref {resource[1]}$", template, re.MULTILINE), name


def test_how_long_a_post_may_take_is_said():
    posts = f"A POST for a job is given {xai.POST_SECONDS} seconds, one for a still "
    assert f"{posts}{xai.STILL_SECONDS}." in read("docs/settings.md")


def test_the_readme_s_settings_are_those_of_the_settings_page():
    page = rows(read("docs/settings.md"))
    for name, cells in rows(section(read("README.md"), "Settings")).items():
        assert name in page
        if not cells[1].startswith("none"):
            assert cells[1:3] == page[name][1:3], name


def test_every_alarm_and_output_is_in_operating():
    text = read("docs/operating.md")
    alarms = {
        name
        for name, resource in TEMPLATE["Resources"].items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }
    assert alarms <= set(rows(section(text, "Alarms")))
    assert [name for name in TEMPLATE["Outputs"] if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", commands())
def test_every_command_has_its_heading(name):
    assert re.search(rf"^### `{re.escape(name)}[` ]", read("docs/cli.md"), re.MULTILINE)


def test_every_command_that_a_page_shows_is_a_command():
    known = {name.split()[0] for name in commands()}
    for page in PAGES:
        for name in re.findall(r"(?:^\$ |`|`\.venv/bin/)videoconductor ([a-z]+)", page.read_text()):
            assert name in known, f"{page.name}: videoconductor {name}"


# ── All pages ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_json_block_parses(page):
    json_in(page.read_text())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_command_names_a_target(page):
    targets = set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE))
    asked = re.findall(r"(?:^|`|\$ )make ([a-z][a-z-]*)", page.read_text(), re.MULTILINE)
    assert set(asked) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_test_that_a_page_names_is_there(page):
    tests = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    text = prose(page.read_text())
    assert set(re.findall(r"`(test_\w+)`", text)) <= tests
    for path in re.findall(r"`(tests/[\w/.]+)`", text):
        assert (ROOT / path).exists(), path


def test_every_file_of_tests_about_failures_is_named_in_reliability():
    text = read("docs/reliability.md")
    paths = [*ROOT.glob("tests/workflow/test_*.py"), *ROOT.glob("tests/e2e/test_*.py")]
    named = {str(path.relative_to(ROOT)) for path in paths} - {"tests/workflow/test_happy_path.py"}
    assert [path for path in sorted(named) if path not in text] == []


def test_every_document_can_be_reached_from_the_readme():
    linked = {
        (ROOT / link.partition("#")[0]).resolve()
        for link in re.findall(r"\]\(([^)\s]+)\)", read("README.md"))
    }
    linked |= {
        (DOCS / link.partition("#")[0]).resolve()
        for page in ("docs/architecture.md", "docs/operating.md")  # and its runbook
        for link in re.findall(r"\]\(([^)\s]+)\)", read(page))
    }
    assert [page.name for page in PAGES if page not in {*linked, ROOT / "README.md"}] == []


def test_the_version_has_its_entry_in_the_changelog():
    from videoconductor import __version__

    assert re.search(rf"^## \[?{re.escape(__version__)}\]?", read("CHANGELOG.md"), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_cries_out(page):
    text = re.sub(r"`[^`]*`", "", prose(page.read_text()))
    assert "!" not in text.replace("![", "")


# ── MCP ──────────────────────────────────────────────────────────────────────────────────────────


def test_the_table_of_tools_says_what_each_takes_needs_and_costs():
    offered = catalog(MODES, MODELS)
    table = rows(section(read("docs/mcp.md"), "The tools"))
    assert list(table) == list(offered.by_name)
    for name, (_, scope, spends, takes, _) in table.items():
        tool = offered.by_name[name].tool
        assert (scope, spends) == (f"`{tool.scope}`", "no" if tool.is_read_only else "yes")
        named = set(re.findall(r"`(\w+)`", takes))
        fields = set(offered.by_name[name].input_schema["properties"])
        if issubclass(tool.takes, ClipRequest):
            fields -= {field.alias for field in ClipRequest.model_fields.values()}
        assert named == fields, name


def test_the_protected_resource_document_is_shown_as_it_is():
    [shown] = [found for found in json_in(read("docs/mcp.md")) if "resource" in found]
    event = json.loads(read("events/mcp.json"))
    assert entrance.Entrance.of(event, entrance.PATH).metadata() == shown
