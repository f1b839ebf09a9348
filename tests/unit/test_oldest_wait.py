"""For how long the render has not moved that has waited longest: what an alarm goes by."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from videoconductor import sweeping
from videoconductor.clip import Render
from videoconductor.errors import MachineUnavailable, RenderNotFound
from videoconductor.sweeping import Sweeper, SweepOrder
from videoconductor.task import errand

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Records(dict):
    """The table, as far as a sweep looks at it."""

    def open_renders(self, limit):
        return list(self)[:limit]

    def open_runs(self, limit):
        return []

    def recent(self, since, limit):
        return []

    def read(self, render_id):
        if self[render_id] is None:
            raise RenderNotFound(render_id)
        return self[render_id]


@pytest.fixture
def record(plan):
    def made(name, minutes, status="rendering"):
        render = Render(
            render_id=name,
            clip_id="opener",
            pipeline_request_id="intro",
            plan=plan(prompt="a lamp"),
            caller="arn:aws:iam::123456789012:user/ann",
            request_sha256="f" * 64,
            created_at=NOW - timedelta(days=9),
        )
        return render.having(NOW - timedelta(minutes=minutes), status)

    return made


def sweeper(records, running=None):
    machine = SimpleNamespace(
        films_running=lambda limit: frozenset(),
        running=lambda limit: frozenset(f"{name}-1" for name in records),
        is_running=lambda render: True,
    )
    if running is not None:
        machine.running = running
    unused = dict.fromkeys(("library", "events", "watch", "recovery"))
    return Sweeper(manifest=records, machine=machine, clock=lambda: NOW, **unused)


def test_the_render_that_moved_least_recently_counts_whenever_it_was_asked_for(record):
    waits = {"a": 3, "b": 47, "c": 12}
    records = Records({name: record(name, minutes) for name, minutes in waits.items()})
    swept = sweeper(records).sweep(SweepOrder())
    assert swept.oldest_wait_seconds == 47 * 60


def test_who_is_at_rest_or_gone_does_not_wait(record):
    records = Records({"a": record("a", 600, "failed"), "b": None, "c": record("c", 2)})
    assert sweeper(records).sweep(SweepOrder()).oldest_wait_seconds == 120


def test_nobody_waits_for_no_time():
    assert sweeper(Records()).sweep(SweepOrder()).oldest_wait_seconds == 0


def test_so_many_of_the_oldest_are_looked_at_and_no_more(record):
    names = [f"r{number:03}" for number in range(sweeping.MAX_AGED + 1)]
    records = Records({name: record(name, 1) for name in names})
    records[names[-1]] = record(names[-1], 99)
    assert sweeper(records).sweep(SweepOrder()).oldest_wait_seconds == 60


def test_a_sweep_gives_the_figure_that_the_alarm_watches(record, capsys):
    records = Records({"a": record("a", 5)})
    handler = errand(lambda event: sweeper(records).sweep(SweepOrder()))
    handler({}, SimpleNamespace(function_name="sweep"))
    [line] = [one for one in capsys.readouterr().out.splitlines() if "OldestWait" in one]
    told = json.loads(line)
    [metric] = told["_aws"]["CloudWatchMetrics"]
    assert told["OldestWaitSeconds"] == [300.0]
    assert (metric["Namespace"], metric["Dimensions"]) == ("VideoConductor", [["service"]])
    assert metric["Metrics"] == [{"Name": "OldestWaitSeconds", "Unit": "Seconds"}]


def test_a_sweep_that_cannot_look_gives_none(record, capsys):
    def away(limit):
        raise MachineUnavailable("Step Functions: InternalServerError")

    handler = errand(lambda event: sweeper(Records(), away).sweep(SweepOrder()))
    with pytest.raises(MachineUnavailable):
        handler({}, SimpleNamespace(function_name="sweep"))
    assert "OldestWait" not in capsys.readouterr().out
