"""Options, the journal, the command, and starting and stopping."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from PIL import Image, ImageChops
from pydantic import ValidationError
from typer.testing import CliRunner

from xai_simulator import cards
from xai_simulator.cards import Caption, card
from xai_simulator.options import SimulatorOptions
from xai_simulator.scenarios import SCENARIOS

ROOT = Path(__file__).parents[3]


def test_the_journal_lists_requests_and_jobs(xai):
    request_id = xai.start("a fox [[sim:poll503]]", duration=2)
    assert xai.poll(request_id).status_code == 503
    xai.ended(request_id)
    journal = httpx.get(f"{xai.simulator.origin}/_sim/journal").json()
    start, poll, *_ = journal["requests"]
    assert start["path"] == "/v1/videos/generations"
    assert (start["method"], start["status"], start["marker"]) == ("POST", 200, "poll503")
    assert start["key"] == sha256(xai.simulator.key.encode()).hexdigest()[:16]
    assert (poll["path"], poll["status"]) == (f"/v1/videos/{request_id}", 503)
    (job,) = journal["jobs"]
    assert job["id"] == request_id
    assert (job["model"], job["operation"]) == ("grok-imagine-video", "generate")
    assert (job["seconds"], job["cost_usd_ticks"]) == (2, 1_000_000_000)
    assert job["prompt_sha256"] == sha256(b"a fox [[sim:poll503]]").hexdigest()
    assert job["status"] == "done"
    assert "a fox" not in json.dumps(journal)


def test_a_reset_empties_the_journal_and_forgets_the_jobs(xai):
    request_id = xai.start()
    assert httpx.post(f"{xai.simulator.origin}/_sim/reset").status_code == 200
    assert httpx.get(f"{xai.simulator.origin}/_sim/journal").json() == {
        "requests": [],
        "jobs": [],
    }
    assert xai.poll(request_id).status_code == 404


def test_refused_requests_are_in_the_journal_but_start_no_job(xai):
    xai.generate(duration=0)
    httpx.get(f"{xai.simulator.base_url}/models")
    assert [row["status"] for row in xai.simulator.requests()] == [400, 401]
    assert xai.simulator.jobs() == []


def test_the_journal_file_is_written_as_things_happen(xai_with, tmp_path):
    xai = xai_with(journal=tmp_path / "journal.jsonl")
    xai.ended(xai.start())
    lines = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert next(row["job"]["status"] for row in lines if "job" in row) == "pending"
    assert [row["job"]["status"] for row in lines if "job" in row][-1] == "done"
    assert any("request" in row for row in lines)


def test_prices_can_be_raised_for_a_model(xai_with):
    xai = xai_with(price_factor="grok-imagine-video=1.4")
    assert xai.finish()["usage"]["cost_in_usd_ticks"] == 700_000_000


def test_another_model_can_be_reported(xai_with):
    xai = xai_with(serve_as={"grok-imagine-video": "grok-imagine-video-1.5-lite"})
    assert xai.finish()["model"] == "grok-imagine-video-1.5-lite"
    assert xai.simulator.jobs()[0]["model"] == "grok-imagine-video"


def test_usage_and_progress_and_pending_bodies_can_be_left_out(xai_with):
    xai = xai_with(report_usage=False, report_progress=False)
    assert xai.poll(xai.start("x [[sim:hang]]")).json() == {"status": "pending"}
    assert "usage" not in xai.finish()
    empty = xai_with(empty_pending=True)
    assert empty.poll(empty.start("x [[sim:hang]]")).content == b""


@pytest.mark.parametrize(("witness", "status"), [("prompt", 200), ("never", 404), ("late", 404)])
def test_the_witness_can_be_chosen_for_all_jobs(xai_with, witness, status):
    xai = xai_with(witness=witness, witness_delay=10_000)
    xai.finish(output={"upload_url": xai.asset("put/all")})
    assert httpx.get(xai.asset("put/all")).status_code == status


def test_the_url_can_be_empty_when_the_clip_was_uploaded(xai_with):
    xai = xai_with(url_with_upload=False)
    assert xai.finish(output={"upload_url": xai.asset("put/x")})["video"]["url"] is None
    assert xai.finish()["video"]["url"]


def outcomes(xai):
    seen = []
    for number in range(30):
        try:
            seen.append(xai.generate(f"fox {number}").status_code)
        except httpx.RemoteProtocolError:
            seen.append(0)
    return seen


def test_random_faults_come_at_the_rate_given_and_repeat_with_the_seed(xai_with):
    first = outcomes(xai_with(fault_rate=0.5, fault_seed=7))
    assert first == outcomes(xai_with(fault_rate=0.5, fault_seed=7))
    assert 5 <= sum(status != 200 for status in first) <= 25
    assert {0, 200, 429, 503} >= set(first)


def test_options_out_of_range_are_refused():
    for wrong in ({"fault_rate": 2}, {"nocredits_status": 500}, {"unheard_of": 1}):
        with pytest.raises(ValidationError):
            SimulatorOptions(**wrong)


def test_fifteen_seconds_of_1080p_are_ready_about_when_the_job_is_due(xai_with):
    xai = xai_with(job_seconds=1, time_scale=1, cache=None)
    began = time.monotonic()
    xai.finish("in time", model="grok-imagine-video-1.5", resolution="1080p", duration=15)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("prompt", ["x" * 4096, "слон и лиса " * 180, "a\nb\n" * 300, "fox"])
@pytest.mark.parametrize("size", [(854, 480), (480, 854), (1200, 480)])
def test_text_never_leaves_the_frame(prompt, size):
    caption = Caption("grok-imagine-video-1.5 · reference-to-video", prompt, "15 s")
    drawn = card(size, caption)
    ground = Image.new("RGB", size, cards.colour(prompt))
    left, top, right, bottom = ImageChops.difference(drawn, ground).getbbox()
    assert left >= 2
    assert top >= 2
    assert right <= size[0] - 2
    assert bottom <= size[1] - 2


def test_cyrillic_is_drawn_letter_by_letter():
    font = cards.font(40)
    missing = bytes(font.getmask("\uffff"))
    assert all(bytes(font.getmask(letter)) != missing for letter in "ЖяЁщ")


def started(*arguments: str) -> subprocess.Popen[str]:
    paths = [str(ROOT / "layers/videoconductor/python"), str(ROOT / "local")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "xai_simulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_stopped(stop):
    process = started("--port", "0", "--key", "K", "--job-seconds", "0.1")
    try:
        base_url = re.match(
            r"XAI_API_BASE_URL=(http://127\.0\.0\.1:\d+/v1)$", process.stdout.readline()
        )[1]
        assert process.stdout.readline() == "XAI_API_KEY=K\n"
        headers = {"Authorization": "Bearer K"}
        assert httpx.get(f"{base_url}/models", headers=headers).status_code == 200
        asked = {"prompt": "[[sim:slow_start]]"}
        brief = httpx.Timeout(30, read=0.3)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{base_url}/videos/generations", json=asked, headers=headers, timeout=brief)
        process.send_signal(stop)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")
    finally:
        process.kill()


def test_the_help_lists_every_marker():
    from xai_simulator.command import application

    shown = CliRunner().invoke(application(), ["--help"], env={"COLUMNS": "120"}).output
    for row in SCENARIOS.values():
        assert re.search(rf"^\s*{row.name}\s+{re.escape(row.does)}", shown, re.MULTILINE), row.name


def test_the_documentation_has_the_marker_table_and_every_option():
    page = (ROOT / "docs/simulator.md").read_text("utf-8")
    documented = re.findall(r"^\| `(\w+)` \| (.+) \|$", page, re.MULTILINE)
    assert dict(documented).items() >= {row.name: row.does for row in SCENARIOS.values()}.items()
    names = {name for name, _ in documented}
    from xai_simulator.command import application

    shown = CliRunner().invoke(application(), ["--help"], env={"COLUMNS": "200"}).output
    flags = set(re.findall(r"--[a-z0-9-]+", shown)) - {"--help"}
    assert {flag for flag in flags if f"`{flag}`" not in page} == set()
    assert len(names) >= len(SCENARIOS)
