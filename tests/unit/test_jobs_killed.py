"""A jobs run that is killed at every point, and interrupted: one POST for a clip, or none."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xai_simulator.options import SimulatorOptions
from xai_simulator.server import Running, running

# Runs the command in processes of its own, each killed (SIGKILL) at one point further on, and each
# followed by one that is left alone, until a run comes to its end. Points lie before and after
# whatever reaches xAI, and where a file is written but not there, or there but not sure to stay.
# Forked, because starting Python takes longer than a clip.
DRIVER = """
import itertools, json, os, signal, sys, typer.main, urllib.request
from pathlib import Path
import videoconductor_cli.commands.jobs, videoconductor_cli.jobs.surroundings
import videoconductor_cli.jobs.survey, videoconductor_cli.jobs.report
from videoconductor.providers.xai import Xai
from videoconductor_cli.jobs import deciding, record
from videoconductor_cli.main import app

command = typer.main.get_command(app)
home, breakage = Path(sys.argv[1]), sys.argv[2]
if breakage == "sends again":  # what a program would do that takes a missing answer for a failure
    deciding.UNKNOWN = deciding.LOST = frozenset()
if breakage == "writes late":  # and one that does not write down what it is about to do
    from videoconductor_cli.jobs.manifest import Manifest
    write_all = Manifest.put
    def put(self, entry):
        if entry.newest.status != "submitting":
            write_all(self, entry)
    Manifest.put = put

passed = itertools.count()

def point(kind, at):
    if next(passed) == at:
        (home / "point").write_text(kind)
        os.kill(os.getpid(), signal.SIGKILL)

def watched(owner, attribute, at, *, after):
    original = getattr(owner, attribute)
    def call(*args, **kwargs):
        point(f"before {attribute}", at)
        answer = original(*args, **kwargs)
        if after:
            point(f"after {attribute}", at)
        return answer
    setattr(owner, attribute, call)

def jobs():
    origin = os.environ["XAI_API_BASE_URL"].removesuffix("/v1")
    with urllib.request.urlopen(f"{origin}/_sim/journal") as answer:
        return len(json.load(answer)["jobs"])

def run(folder, at):
    child = os.fork()
    if child == 0:
        os.chdir(folder)
        for number, stream in ((1, "out"), (2, "err")):
            os.dup2(os.open(f"{stream}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        if at is not None:
            if not breakage:
                watched(os, "fsync", at, after=False)
                watched(os, "link", at, after=True)
                watched(Xai, "poll", at, after=True)
            watched(Xai, "start", at, after=True)
        try:
            command(["jobs", "jobs.json", "--download", "--json"])
        except SystemExit as end:
            os._exit(end.code or 0)
        os._exit(111)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

rows = []
for at in itertools.count():
    folder, before = home / str(at), jobs()
    folder.mkdir()
    clip = {"id": "lamp", "duration": 1, "prompt": "a lamp"}
    (folder / "jobs.json").write_text(json.dumps({"project": "p", "clips": [clip]}))
    killed = run(folder, at)
    if killed == 0:
        break
    kind, again = (home / "point").read_text(), run(folder, None)
    found = json.loads((folder / "out").read_text())
    rows.append(
        {
            "at": kind,
            "killed": killed,
            "again": again,
            "jobs": jobs() - before,
            "folder": str(folder / "generated" / "p"),
            "clip": found["clips"][0],
        }
    )
print(json.dumps(rows))
"""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Running]:
    with running(SimulatorOptions(job_seconds=0, key="killed-key")) as started:
        yield started


def environment(simulator: Running, **further: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(sys.path),
        "XAI_API_KEY": simulator.key,
        "XAI_API_BASE_URL": simulator.base_url,
        "VIDEO_GEN_POLL_INTERVAL_MS": "100",
        **further,
    }


def killed_everywhere(simulator: Running, home: Path, breakage: str = "") -> list[dict[str, Any]]:
    outcome = subprocess.run(
        [sys.executable, "-c", DRIVER, str(home), breakage],
        env=environment(simulator),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    rows: list[dict[str, Any]] = json.loads(outcome.stdout)
    return rows


@pytest.mark.long
def test_a_kill_at_any_point_never_leads_to_a_second_post(
    simulator: Running, tmp_path: Path
) -> None:
    rows = killed_everywhere(simulator, tmp_path)
    assert {row["killed"] for row in rows} == {-signal.SIGKILL}
    assert {row["at"] for row in rows} == {
        *("before fsync", "before start", "after start"),
        *("before poll", "after poll", "before link", "after link"),
    }
    for row in rows:
        if row["again"] == 0:
            path = Path(row["folder"]) / row["clip"]["file"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == row["clip"]["sha256"]
            assert row["jobs"] == 1, row
        else:
            assert (row["again"], row["clip"]["status"]) == (1, "submit_unknown"), row
            assert row["jobs"] <= 1, row
    held = [row["at"] for row in rows if row["again"]]
    assert {"before start", "after start"} <= set(held)
    assert len(held) < len(rows) / 2


@pytest.mark.parametrize("breakage", ["sends again", "writes late"])
def test_the_matrix_catches_a_program_that_pays_twice(
    simulator: Running, tmp_path: Path, breakage: str
) -> None:
    assert any(row["jobs"] > 1 for row in killed_everywhere(simulator, tmp_path, breakage))


def started(simulator: Running, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "videoconductor_cli.main", "jobs", "jobs.json", *arguments],
        cwd=folder,
        env=environment(simulator),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def on_disk(folder: Path) -> dict[str, Any]:
    try:
        text = (folder / "generated" / "p" / "manifest.json").read_text()
    except FileNotFoundError:
        return {"clips": [], "runs": []}
    return dict(json.loads(text))


def until(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_ctrl_c_leaves_jobs_to_be_taken_up_and_says_how(simulator: Running, tmp_path: Path) -> None:
    slow = "a slow lamp of test_ctrl_c"
    clips = [{"id": f"lamp{n}", "duration": 1, "prompt": f"{slow} {n}"} for n in range(3)]
    (tmp_path / "jobs.json").write_text(json.dumps({"project": "p", "clips": clips}))
    with running(SimulatorOptions(job_seconds=2)) as slower:
        first = started(slower, tmp_path, "--concurrency", "2")
        until(lambda: [c["status"] for c in on_disk(tmp_path)["clips"]] == ["rendering"] * 2)
        first.send_signal(signal.SIGINT)
        _, words = first.communicate(timeout=30)
        assert first.returncode == 130
        assert "Nothing is lost; go on with:\n  " in words
        assert "jobs jobs.json" in words.splitlines()[-2]
        assert "goes on at xAI" in words
        assert len(slower.jobs()) == 2
        [run] = on_disk(tmp_path)["runs"]
        assert (run["exitCode"], run["finished"], run["sent"]) == (130, 0, 2)

        second = started(slower, tmp_path)
        assert second.wait(60) == 0
        assert len(slower.jobs()) == 3
        assert [clip["status"] for clip in on_disk(tmp_path)["clips"]] == ["done"] * 3


def test_two_processes_cannot_be_at_work_in_one_folder(tmp_path: Path) -> None:
    clip = {"id": "lamp", "duration": 1, "prompt": "a lamp"}
    (tmp_path / "jobs.json").write_text(json.dumps({"project": "p", "clips": [clip]}))
    with running(SimulatorOptions(job_seconds=30)) as endless:
        first = started(endless, tmp_path)
        try:
            until(lambda: on_disk(tmp_path)["clips"])
            second = started(endless, tmp_path)
            out, words = second.communicate(timeout=30)
            assert (second.returncode, out) == (102, "")
            assert f"process {first.pid}" in words
        finally:
            first.kill()
            first.communicate()
        assert len(endless.jobs()) == 1
