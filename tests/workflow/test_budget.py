"""Caps, the kill switch and costs by the door, the Python client and the command line, on the
renders that the real machine made: one function answers all three."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from tests.workflow.conftest import CALLER, Stage, load_handler
from tests.workflow.gateway import client_of
from videoconductor import VideoConductor, answers, orchestration, wiring
from videoconductor.client.errors import ApiError, InvalidRequest
from videoconductor_cli import address
from videoconductor_cli.main import app

CONTEXT = SimpleNamespace(
    function_name="budget",
    memory_limit_in_mb=1024,
    invoked_function_arn="arn:budget",
    aws_request_id="request",
)
PRICE = 0.05  # of a second of draft
Ask = Callable[..., tuple[int, Any]]


@pytest.fixture(scope="module")
def door() -> Any:
    return load_handler("budget")


@pytest.fixture
def client(stage: Stage, door: Any, monkeypatch: pytest.MonkeyPatch) -> VideoConductor:
    """The client, whose requests reach the function's handler."""
    made = client_of(door, CONTEXT)
    monkeypatch.setattr(address, "client", lambda api, data_folder: made)
    monkeypatch.setattr(wiring, "pause", lambda seconds: None)
    wiring.treasurer.cache_clear()
    return made


def run(*arguments: str) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})
    return outcome.exit_code, outcome.stdout, outcome.stderr


def made(stage: Stage, **fields: Any) -> Any:
    """A render at rest."""
    render = stage.submit(**fields)
    stage.run(render)
    return stage.record(render)


def raw(client: VideoConductor, path: str, **headers: str) -> httpx.Response:
    http: httpx.Client = client._calls._http
    return http.get(path, headers=headers)


def test_caps_are_set_shown_inherited_and_taken_away_and_hold(
    stage: Stage, client: VideoConductor
) -> None:
    """Through the client: the answer is as described, and the caps are those that permits meet."""
    begun = client.budget()
    answers.Budget.model_validate(begun.document)
    assert begun.caps == {
        "render": None,
        "film": {"*": None},
        "caller": {"*": None},
        "day": 100,
        "month": None,
    }
    assert [one["scope"] for one in begun.standings] == ["day", "month"]
    assert begun.document["changedBy"] is None

    caps = {"render": 2, "month": 500.5, "film": {"*": 20, "кино": 0.05}, "caller": {CALLER: 1}}
    found = client.set_budget(caps)
    answers.Budget.model_validate(found.document)
    assert found.caps == {**begun.caps, **caps, "caller": {"*": None, CALLER: 1}}
    assert found.document["changedBy"] == CALLER
    assert [one["scope"] for one in found.standings] == ["day", "month", "film", "caller"]

    # A cap that is reached exactly, and then has no room.
    assert made(stage, pipelineRequestId="кино", clipId="a").status == "finalized"
    refused = made(stage, pipelineRequestId="кино", clipId="b")
    assert (refused.status, refused.failure.error) == ("failed", "BudgetExceeded")
    assert "кино" in refused.failure.message
    film = client.budget(film="кино").standing("film")
    assert film is not None
    assert (film.cap_usd, film.spent_usd, film.reserved_usd, film.left_usd) == (0.05, PRICE, 0, 0)

    # Without one of its own it has the general one; below what is spent nothing new starts.
    assert client.set_budget({"film": {"кино": "inherit"}}).caps["film"] == {"*": 20}
    assert made(stage, pipelineRequestId="кино", clipId="c").status == "finalized"
    client.set_budget({"film": {"*": None}, "caller": {"*": 0, CALLER: 0.01}})
    refused = made(stage)
    assert refused.failure.code == "cap:caller"
    caller = client.budget(caller=CALLER).standing("caller", CALLER)
    assert caller is not None
    assert (caller.spent_usd, caller.left_usd) == (pytest.approx(2 * PRICE), 0)
    assert len(stage.jobs()) == 2


PLAIN = ("day", "month", "render")
WRONG: list[tuple[str, set[str]]] = [
    ("", {"body"}),
    ('{"caps": {}}', {"caps"}),
    ('{"cap": 1, "caps": {"day": 1}}', {"cap"}),
    ('{"caps": {"week": 1}}', {"caps.week"}),
    ('{"caps": {"day": "1"}}', {"caps.day"}),
    ('{"caps": {"day": true, "month": -1, "render": 1e7}}', {"caps.day", "caps.month"}),
    ('{"caps": {"film": 20}}', {"caps.film"}),
    ('{"caps": {"film": {"a/b": 20, "c": "all"}}}', {"caps.film.a/b", "caps.film.c"}),
    ('{"caps": {"film": {"*": "inherit"}}}', {"caps.film.*"}),
    ('{"caps": {"caller": {"": 1, "a\\u0000": 1}}}', {"caps.caller.", "caps.caller.a\\x00"}),
    ('{"caps": {"day": 1, "day": 2}}', {"day"}),
    ('{"caps": {"day": NaN}}', {"body"}),
    ('{"caps": {"day": 1e400, "month": -0.0, "render": 1e-11}}', {f"caps.{s}" for s in PLAIN}),
    ('{"caps": {"day": 0.123456789012345678901234567890}}', {"caps.day"}),
    ('{"caps": {"film": {"a": 1e-99999999999999999999}}}', {"caps.film.a"}),
    ('{"caps": {"caller": {" ": 1, "имя": 1}}}', {"caps.caller. ", "caps.caller.имя"}),
    (f'{{"caps": {{"caller": {{"{257 * "a"}": 1}}}}}}', {f"caps.caller.{64 * 'a'}"}),
    (json.dumps({"caps": {"film": dict.fromkeys(map(str, range(1001)), 1)}}), {"caps.film"}),
]


def test_a_change_with_anything_wrong_is_refused_as_a_whole(
    stage: Stage, client: VideoConductor
) -> None:
    for body, fields in WRONG:
        with pytest.raises(InvalidRequest) as refused:
            client.call("PATCH", "/v1/budget", body.encode() or None)
        assert {problem.field for problem in refused.value.problems} >= fields, body
    for body, words in (
        ('{"caps": {"film": 5}}', 'must be an object of caps by name; "*" is that of all others'),
        ('{"caps": {"day": 1e-11}}', "from 0 to 1,000,000 with at most 10 decimals"),
        ('{"caps": {"caller": {"a b": 1}}}', "an ARN, or token:NAME"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            client.call("PATCH", "/v1/budget", body.encode())
        assert words in refused.value.problems[0].message
    assert wiring.manifest().caps().version == 0


def test_the_kill_switch_lets_what_runs_finish_and_nothing_out(
    stage: Stage, client: VideoConductor
) -> None:
    def stop() -> None:
        stage.while_waiting = None
        code, out, _ = run("budget", "stop", "--reason", "over the weekend")
        assert (code, "over the weekend" in out) == (0, True)

    stage.while_waiting = stop  # the first one is at xAI by now
    running = made(stage, clipId="runs")
    assert running.status == "finalized"
    refused = made(stage, clipId="waits")
    assert (refused.status, refused.failure.error) == ("failed", "SpendingStopped")
    assert "over the weekend" in refused.failure.message
    assert len(stage.jobs()) == 1

    assert client.stop_spending("another reason").stopped_because == "over the weekend"
    code, out, _ = run("budget", "resume", "--json")
    assert (code, json.loads(out)["stopped"]) == (0, False)
    wiring.conductor().retry(refused.render_id)
    stage.run(stage.record(refused))
    assert stage.record(refused).status == "finalized"
    assert client.budget().is_stopped is False
    with pytest.raises(InvalidRequest, match="reason"):
        client.call("POST", "/v1/budget/stop", {"reason": "x" * 300})


def test_costs_are_grouped_filtered_and_told_as_a_table_and_as_csv(
    stage: Stage, client: VideoConductor, simulator: Any
) -> None:
    one = made(stage, pipelineRequestId="intro", clipId="a", purpose="=cmd()|A1", duration=2)
    made(stage, pipelineRequestId="intro", clipId="b", prompt="x [[sim:denied]]")
    lost = made(stage, pipelineRequestId="outro", clipId="c", prompt="x [[sim:start_drop]]")
    made(stage, prompt="x", qualityMode="production_i2v", firstFramePrompt="a bar")
    assert lost.status == "submit_unknown"

    found = client.costs()
    answers.Costs.model_validate(found.document)
    rows = {row["name"]: row for row in found.rows}
    assert set(rows) == {"intro", "outro", "default"}
    assert rows["intro"]["posts"] == 2
    assert rows["intro"]["settledUsd"] == rows["intro"]["reportedUsd"] == 2 * PRICE
    assert rows["intro"]["releasedUsd"] == PRICE
    assert (rows["outro"]["heldUsd"], rows["outro"]["settledUsd"]) == (PRICE, 0)
    assert rows["default"]["posts"] == 2  # the still's and the clip's
    for name in ("posts", "settledUsd", "heldUsd", "orchestrationUsd"):
        # Each is told to the millionth of a dollar.
        summed = pytest.approx(sum(row[name] for row in found.rows), abs=2e-6)
        assert found.totals[name] == summed
    assert 0 < found.totals["orchestrationUsd"] < 0.01

    # What the estimate counts is what the machine went through.
    work, path = orchestration.WORK, stage.run(one).path
    polls = path.count("Poll")
    pieces = [work["post"], *[work["poll"]] * polls, work["end"]]
    assert len(path) + 1 == sum(piece.transitions for piece in pieces)

    for by in ("render", "caller", "tag", "day", "month", "model", "run"):
        grouped = client.costs(by)
        assert grouped.totals == pytest.approx(found.totals), by
    assert {row["name"] for row in client.costs("tag").rows} == {"=cmd()|A1", None}
    assert client.costs(tag="").totals["posts"] == 4
    assert client.costs("day", film="intro", caller=CALLER, tag="=cmd()|A1").settled_usd == 0.1
    assert client.costs(render=one.render_id, since="2026-11-22", until="2026-11-22").settled_usd
    assert client.costs(since="2026-10-01", until="2026-10-31").rows == ()

    for path_, accept in (("/v1/costs?by=tag&format=csv", ""), ("/v1/costs?by=tag", "text/csv")):
        answer = raw(client, path_, accept=accept)
        assert answer.headers["content-type"].startswith("text/csv")
        table = list(csv.reader(io.StringIO(answer.text)))
        assert [line[0] for line in table] == ["tag", "", "'=cmd()|A1", "total"]
        assert [line[-1] for line in table] == ["line", "row", "row", "total"]
        assert Decimal(table[3][2]) == Decimal(str(found.totals["settledUsd"]))
    code, out, _ = run("costs", "--by", "tag", "--csv")
    assert (code, out) == (0, answer.text.replace("\r\n", "\n"))  # as the runner reads it
    code, out, err = run("costs", "--by", "film")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == [
        "film",
        *sorted(rows, key=lambda name: -rows[name]["settledUsd"]),
        "total",
    ]
    assert "list prices" in err

    for wrong, field in (
        ("by=week", "by"),
        ("from=2026-13-01", "from"),
        ("from=2026-11-02&to=2026-11-01", "from"),
        ("from=2026-01-01", "from"),
        ("film=a::b", "film"),
        ("film=a&film=b", "film"),
        ("format=xml", "format"),
        ("since=2026-11-01", "since"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            client.call("GET", f"/v1/costs?{wrong}")
        assert [problem.field for problem in refused.value.problems] == [field]


def test_a_check_agrees_and_finds_a_counter_and_an_entry_that_somebody_changed(
    stage: Stage, client: VideoConductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(stage, pipelineRequestId="intro")
    made(stage, prompt="x [[sim:start_drop]]")
    found = client.check_costs()
    answers.CostCheck.model_validate(found.document)
    assert found.agrees
    # day, month, two films, the caller; two are reserved and one is settled.
    assert (found.document["counters"], found.document["entries"]) == (5, 3)
    spans = {"since": "2026-11-22", "until": "2026-11-22"}
    assert client.check_costs(**spans).document["counters"] == 1
    spans = {"since": "2026-11-01", "until": "2026-11-30"}
    assert client.check_costs(**spans).document["counters"] == 3
    days: list[str] = []
    entries = wiring.books().entries
    with monkeypatch.context() as patch:
        patch.setattr(wiring.books(), "entries", lambda day: days.append(day) or entries(day))
        found = client.check_costs(since="2000-01-01", until="2999-12-31")
    assert (found.agrees, found.document["entries"]) == (True, 3)
    assert len(days) < 31  # those of the one month in which anything was spent

    # While it looks, somebody goes on writing: what moved is looked at again.
    tallies, writes = wiring.books().tallies, iter(range(2))

    def moving(*arguments: Any, **named: Any) -> Any:
        yield from tallies(*arguments, **named)
        if arguments[0] == "run" and next(writes, None) is not None:
            made(stage, pipelineRequestId="intro")

    with monkeypatch.context() as patch:
        patch.setattr(wiring.books(), "tallies", moving)
        found = client.check_costs()
    assert (found.agrees, found.document["moving"], found.document["entries"]) == (True, [], 7)

    def tampered(key: dict[str, str], change: str) -> None:
        stage.dynamodb.update_item(
            TableName="table",
            Key={name: {"S": value} for name, value in key.items()},
            UpdateExpression=f"ADD {change} :n",
            ExpressionAttributeValues={":n": {"N": "7"}},
        )

    tampered({"pk": "SPEND#film", "sk": "intro"}, "totalTicks")
    wrong = client.check_costs().differences
    assert [(one["scope"], one["name"]) for one in wrong] == [("film", "intro")]
    assert wrong[0]["counter"]["totalUsd"] > wrong[0]["ledger"]["totalUsd"]

    items = stage.dynamodb.query(
        TableName="table",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "LEDGER#2026-11-22"}},
    )["Items"]
    key = {name: items[0][name] for name in ("pk", "sk")}
    stage.dynamodb.delete_item(TableName="table", Key=key)
    code, out, _ = run("costs", "--check")
    assert code == 1
    assert "do not agree" in out
    scopes = {one["scope"] for one in client.check_costs().differences}
    assert scopes == {"day", "month", "film", "caller"}
    for query, field in (("from=2026-11-01", "to"), ("by=film", "by")):
        with pytest.raises(InvalidRequest) as refused:
            client.call("GET", f"/v1/costs/check?{query}")
        assert refused.value.problems[0].field == field


def test_the_command_line_sets_one_cap_at_a_time(stage: Stage, client: VideoConductor) -> None:
    for arguments in (
        ("day", "50"),
        ("month", "none"),
        ("render", "$1.5"),
        ("film", "20"),
        ("film", "5", "--name", "intro"),
        ("caller", "none", "--name", CALLER),
    ):
        code, _, err = run("budget", "set", *arguments)
        assert code == 0, err
    code, out, err = run("budget", "show")
    shown = {tuple(line.split()[:3]) for line in out.splitlines()}
    assert code == 0
    assert {
        ("render", "each", "$1.50"),
        ("film", "each", "$20.00"),
        ("caller", "each", "none"),
        ("day", "2026-11-22", "$50.00"),
        ("month", "2026-11", "none"),
        ("film", "intro", "$5.00"),
    } < shown
    assert f"by {CALLER}" in err
    code, out, _ = run("budget", "set", "film", "--name", "intro", "--inherit", "--json")
    assert json.loads(out)["caps"]["film"] == {"*": 20}
    code, out, _ = run("budget", "show", "--film", "outro", "--json")
    assert json.loads(out)["standings"][-1]["capUsd"] == 20
    for arguments in (
        ("day",),
        ("day", "much"),
        ("day", "5", "--name", "x"),
        ("week", "5"),
        *((scope, *cap, "--name", "") for scope in ("film", "caller") for cap in (["7"], ["none"])),
        ("film", "--name", " ", "--inherit"),
        ("film", "5", "--inherit", "--name", "x"),
        ("film", "--inherit"),
    ):
        code, _, err = run("budget", "set", *arguments)
        assert (code, bool(err)) == (2, True), arguments
    bounds = "from 0 to 1,000,000 with at most ten decimals"
    for scope, amount, words in (
        ("day", "1e9", bounds),
        ("day", "1000000.01", bounds),
        ("day", "0.00000000001", bounds),
        ("day", "-5", f"'-5' must be a number of US dollars {bounds}"),
        ("Film", "5", "SCOPE: 'Film' is not known; choose one of: render, film, caller, day"),
    ):
        code, _, err = run("budget", "set", scope, amount)
        assert (code, words in err) == (2, True), err
    assert client.budget().caps["film"] == {"*": 20}  # nothing of all that was written
    code, out, _ = run("budget", "set", "month", "0.0000000001")
    assert (code, "$0.0000000001" in out) == (0, True)
    refused = (("--csv", "--json"), ("--check", "--film", "x"), ("--check", "--by", "film"))
    for arguments in (*refused, ("--by", "week")):
        assert run("costs", *arguments)[0] == 2


def test_too_much_at_once_is_refused_with_a_word_on_what_to_do(
    stage: Stage, client: VideoConductor, monkeypatch: pytest.MonkeyPatch
) -> None:
    from videoconductor import accounts, treasurer

    made(stage)
    monkeypatch.setattr(accounts, "MAX_ENTRIES", 1)
    with pytest.raises(ApiError, match="narrow the range"):
        client.costs()
    monkeypatch.setattr(accounts, "MAX_ENTRIES", 10)
    monkeypatch.setattr(accounts, "MAX_ROWS", 0)
    with pytest.raises(ApiError, match="narrow the range"):
        client.costs()
    monkeypatch.setattr(treasurer, "MAX_CHECKED", 1)
    with pytest.raises(ApiError, match="span of days"):
        client.check_costs()
