"""A restart on the same port and cache folder, kill -9 included: started jobs are not lost."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from test_simulator_running import started

pytestmark = pytest.mark.long

KEY = {"Authorization": "Bearer K"}


class Restarted:
    """The simulator as the local stack starts it, which can be stopped and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = "0"
        self.origin = ""
        self.process: subprocess.Popen[str] | None = None

    def start(self, *options: str, journal: str = "journal.jsonl") -> None:
        self.process = started(
            *("--port", self.port, "--key", "K", "--journal", str(self.folder / journal)),
            *("--cache", str(self.folder / "cache"), *options),
        )
        line = self.process.stdout.readline()
        self.origin = line.removeprefix("XAI_API_BASE_URL=").removesuffix("/v1\n")
        self.port = self.origin.rpartition(":")[2]

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(how)
        self.process.communicate(timeout=60)

    def post(self, prompt: str, path: str = "videos/generations", **fields: object) -> str:
        body = {"prompt": prompt, **({"duration": 1} if "generations" in path else {}), **fields}
        reply = httpx.post(f"{self.origin}/v1/{path}", json=body, headers=KEY, timeout=60)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["request_id"])

    def poll(self, request_id: str, path: str = "videos") -> httpx.Response:
        return httpx.get(f"{self.origin}/v1/{path}/{request_id}", headers=KEY, timeout=60)

    def ended(self, request_id: str, path: str = "videos") -> httpx.Response:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            reply = self.poll(request_id, path)
            if reply.status_code != 202:
                return reply
            time.sleep(0.05)
        raise AssertionError("the job did not end")

    def jobs(self) -> list[dict[str, object]]:
        return httpx.get(f"{self.origin}/_sim/journal").json()["jobs"]

    def lines(self, journal: str = "journal.jsonl") -> list[dict[str, object]]:
        rows = map(json.loads, (self.folder / journal).read_text("utf-8").splitlines())
        return [row["job"] for row in rows if "job" in row]


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Restarted]:
    held = Restarted(tmp_path)
    yield held
    held.process.kill()
    held.process.communicate()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_started_job_is_pending_until_its_time_and_then_done(simulator, how):
    simulator.start("--job-seconds", "6")
    began = time.monotonic()
    request_id = simulator.post("a fox", output={"upload_url": f"{simulator.origin}/assets/put/a"})
    simulator.stop(how)
    simulator.start("--job-seconds", "6")
    if (reply := simulator.poll(request_id)).status_code != 202:
        assert time.monotonic() - began >= 5.9
    else:
        assert reply.json()["status"] == "pending"
    body = simulator.ended(request_id).json()
    assert time.monotonic() - began >= 5.9
    assert body["usage"] == {"cost_in_usd_ticks": 500_000_000}
    content = httpx.get(body["video"]["url"]).content
    assert content[4:8] == b"ftyp"
    assert httpx.get(f"{simulator.origin}/assets/put/a").content == content
    assert [(job["id"], job["status"]) for job in simulator.jobs()] == [(request_id, "done")]


def test_a_job_whose_time_came_in_between_is_done(simulator):
    simulator.start("--job-seconds", "0.3")
    request_id = simulator.post("a fox")
    simulator.stop()
    time.sleep(0.3)
    simulator.start("--job-seconds", "60")
    assert simulator.ended(request_id).json()["status"] == "done"


def test_the_results_of_finished_jobs_stay_where_they_are(simulator):
    simulator.start("--job-seconds", "0")
    options = {"filename": "mine.mp4", "public_url": True}
    target = f"{simulator.origin}/assets/put/mine"
    clip = simulator.post("a fox", storage_options=options, output={"upload_url": target})
    still = simulator.post("a fox", "images/generations", duration=None, deferred=True, n=2)
    before = [simulator.ended(clip), simulator.ended(still, "images")]
    video = before[0].json()["video"]
    urls = [video["url"], video["file_output"]["public_url"], target]
    urls += [row["url"] for row in before[1].json()["data"]]
    contents = [httpx.get(url).content for url in urls]
    for _ in range(2):
        simulator.stop()
        simulator.start()
        assert simulator.poll(clip).json() == before[0].json()
        assert simulator.poll(still, "images").json() == before[1].json()
        assert [httpx.get(url).content for url in urls] == contents
        listed = httpx.get(f"{simulator.origin}/v1/files", headers=KEY).json()["data"]
        assert [row["filename"] for row in listed] == ["mine.mp4"]
    assert len(simulator.jobs()) == 2


SCENARIOS: dict[str, Callable[[httpx.Response], bool]] = {
    "hang": lambda reply: reply.status_code == 202,
    "failed": lambda reply: reply.json()["error"]["code"] == "internal_error",
    "expired": lambda reply: reply.json() == {"status": "expired"},
    "moderated": lambda reply: reply.json()["video"]["respect_moderation"] is False,
    "moderated_400": lambda reply: reply.status_code == 400 and reply.json()["usage"],
    "job_lost": lambda reply: reply.status_code == 404,
    "expired_url": lambda reply: httpx.get(reply.json()["video"]["url"]).status_code == 403,
    "file_only": lambda reply: httpx.get(reply.json()["video"]["file_output"]["public_url"]),
}


@pytest.mark.parametrize("ended_before", [True, False])
def test_scenarios_still_apply(simulator, ended_before):
    simulator.start("--job-seconds", "0" if ended_before else "1")
    ids = {name: simulator.post(f"x [[sim:{name}]]") for name in SCENARIOS}
    lost = httpx.Client(headers=KEY)
    with pytest.raises(httpx.RemoteProtocolError):
        lost.post(f"{simulator.origin}/v1/videos/generations", json={"prompt": "[[sim:lost]]"})
    if ended_before:
        replies = {name: simulator.ended(ids[name]) for name in SCENARIOS if name != "hang"}
    simulator.stop()
    simulator.start()
    for name, holds in SCENARIOS.items():
        reply = simulator.poll(ids[name]) if name == "hang" else simulator.ended(ids[name])
        assert holds(reply), name
        if ended_before and name != "hang":
            assert reply.json() == replies[name].json()
    jobs = simulator.jobs()
    assert [job["marker"] for job in jobs] == [*SCENARIOS, "lost"]
    assert simulator.ended(jobs[-1]["id"]).json()["status"] == "done"


def test_a_fresh_url_works_after_a_restart(simulator):
    simulator.start("--job-seconds", "0")
    request_id = simulator.post("x [[sim:gone]]")
    gone = simulator.ended(request_id).json()["video"]["url"]
    assert httpx.get(gone).status_code == 404
    fresh = simulator.poll(request_id).json()["video"]["url"]
    simulator.stop()
    simulator.start()
    assert httpx.get(fresh).content[4:8] == b"ftyp"
    assert simulator.poll(request_id).json()["video"]["url"] == fresh
    assert httpx.get(gone).status_code == 404


def test_the_journal_file_is_not_told_of_a_job_twice(simulator):
    simulator.start("--job-seconds", "0")
    request_id = simulator.post("a fox")
    simulator.ended(request_id)
    (first,) = simulator.jobs()
    before = simulator.lines()
    simulator.stop()
    with (simulator.folder / "journal.jsonl").open("a") as torn:
        torn.write('{"request": {"ti')
    simulator.start()
    assert simulator.jobs() == [first]
    simulator.stop()
    text = (simulator.folder / "journal.jsonl").read_text("utf-8")
    assert text.count('{"job": ') == len(before)
    simulator.start(journal="fresh.jsonl")
    assert simulator.jobs() == simulator.lines("fresh.jsonl") == [first]


def test_an_input_may_have_vanished_once_the_clip_is_made(simulator):
    simulator.start("--job-seconds", "0")
    source = simulator.ended(simulator.post("a fox")).json()["video"]["url"]
    simulator.stop()
    simulator.start("--job-seconds", "4")
    edit = simulator.post("bluer", "videos/edits", video={"url": source})
    deadline = time.monotonic() + 60
    while not simulator.jobs()[-1]["cost_usd_ticks"] and time.monotonic() < deadline:
        time.sleep(0.02)
    simulator.stop()
    for kept in simulator.folder.glob("cache/jobs-*/job-*.json"):
        if edit not in kept.name:
            kept.unlink()
    simulator.start()
    assert simulator.ended(edit).json()["status"] == "done"


def test_a_reset_forgets_for_good(simulator):
    simulator.start("--job-seconds", "0")
    request_id = simulator.post("a fox", storage_options={"filename": "a.mp4"})
    simulator.ended(request_id)
    assert httpx.post(f"{simulator.origin}/_sim/reset").status_code == 200
    simulator.stop()
    simulator.start()
    assert simulator.poll(request_id).status_code == 404
    assert simulator.jobs() == []
    assert httpx.get(f"{simulator.origin}/v1/files", headers=KEY).json()["data"] == []


def test_another_port_and_a_broken_row_do_no_harm(simulator):
    simulator.start("--job-seconds", "0")
    request_id = simulator.post("a fox")
    simulator.stop()
    (rows,) = simulator.folder.glob("cache/jobs-*")
    (rows / "job-broken.json").write_text('{"id": "x"')
    (rows / "job-other.json").write_text('{"asked": {}}')
    first, simulator.port = simulator.port, "0"
    simulator.start()
    assert simulator.jobs() == []
    simulator.stop()
    simulator.port = first
    simulator.start()
    assert [job["id"] for job in simulator.jobs()] == [request_id]
