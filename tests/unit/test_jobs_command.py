"""`videoconductor jobs` as a person gives it, against the simulator."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from videoconductor import wiring
from videoconductor.errors import SubmitUnknown
from videoconductor.models import ModelCatalog
from videoconductor.providers.xai import Xai
from videoconductor_cli.address import CHECKOUT
from videoconductor_cli.commands import jobs
from videoconductor_cli.exits import Counted
from videoconductor_cli.jobs import making
from videoconductor_cli.jobs.manifest import held
from videoconductor_cli.main import Commands, app
from xai_simulator.options import SimulatorOptions
from xai_simulator.server import Running, running

RING = Path(__file__).parents[1] / "fixtures" / "xai-video-jobs.json"
DOC = (CHECKOUT / "docs" / "jobs.md").read_text(encoding="utf-8")
FOLDER = Path("generated/p")
PRESETS = CHECKOUT / "presets"
# The command line with this one command: building all of them takes longer than a run.
alone = typer.Typer(cls=Commands, rich_markup_mode=None, pretty_exceptions_enable=False)
alone.command(cls=Counted)(jobs.jobs)
alone.callback()(lambda: None)


@pytest.fixture(scope="module")
def started() -> Iterator[Running]:
    with running(SimulatorOptions(job_seconds=0.05, time_scale=0.1)) as simulator:
        yield simulator


@pytest.fixture
def xai(started: Running, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Running]:
    started.reset()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XAI_API_KEY", started.key)
    monkeypatch.setenv("XAI_API_BASE_URL", started.base_url)
    monkeypatch.setenv("VIDEO_GEN_POLL_INTERVAL_MS", "100")
    monkeypatch.setenv("VIDEO_GEN_POLL_TIMEOUT_MS", "20000")
    for name in ("VIDEO_SOURCE_ORIGINS", "VIDEO_INPUT_ORIGINS", "XAI_API_KEY_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(making, "COPY_PAUSE", 0.05)
    wiring.forget()
    yield started
    wiring.forget()


def clip(clip_id: str = "lamp", **fields: Any) -> dict[str, Any]:
    return {"id": clip_id, "duration": 1, "prompt": f"a lamp called {clip_id}", **fields}


def write(*clips: dict[str, Any], **fields: Any) -> None:
    document = {"project": "p", "clips": list(clips or (clip(),)), **fields}
    Path("jobs.json").write_text(json.dumps(document))


def run(*arguments: str, file: str = "jobs.json", stdin: str | None = None) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(alone, ["jobs", file, *arguments], input=stdin)
    problem = outcome.exception
    assert problem is None or isinstance(problem, SystemExit), problem
    return outcome.exit_code, outcome.stdout, outcome.stderr


def manifest(folder: Path = FOLDER) -> dict[str, Any]:
    return dict(json.loads((folder / "manifest.json").read_text()))


def entry(key: str = "lamp::draft") -> dict[str, Any]:
    return dict(next(row for row in manifest()["clips"] if row["_key"] == key))


def test_ring_s_file_is_made_unchanged_and_not_a_second_time(xai: Running) -> None:
    code, out, words = run("--download", file=str(RING))
    assert (code, len(xai.jobs())) == (0, 5)
    assert "estimate: $2.950" in words
    assert "WARNING" not in words
    folder = FOLDER.with_name("ring-platform-viral-hoa-nightclub")
    assert len(list((folder / "clips").glob("*.mp4"))) == 5
    assert out.splitlines()[0].endswith("clips/01_hoa_video_call_pains.draft.mp4")
    before = (folder / "manifest.json").read_bytes()
    assert before.count(b'"status": "done"') == 10

    code, again, words = run("--download", file=str(RING))
    assert (code, again, len(xai.jobs())) == (0, out, 5)
    assert "to be sent: 0 of 5 clips, estimate: $0.000" in words
    assert (folder / "manifest.json").read_bytes() == before


def test_json_is_the_manifest_and_this_run_and_nothing_else(xai: Running) -> None:
    write(clip("a"), clip("b"))
    code, out, _ = run("--json", "b")
    document = json.loads(out)
    assert code == 0
    assert {name: document[name] for name in document if name != "run"} == manifest()
    assert list(document) == ["version", "requestId", "simulated", "clips", "runs", "run"]
    assert [row["_key"] for row in document["clips"]] == ["b::draft"]
    assert document["run"] == document["runs"][-1]
    expected = {"clips": ["b::draft"], "sent": 1, "finished": 1, "unfinished": [], "exitCode": 0}
    assert expected.items() <= document["run"].items()
    assert document["run"]["costUsd"] == document["run"]["estimatedCostUsd"] == 0.05


def test_the_exit_code_counts_the_clips_that_are_not_there(xai: Running) -> None:
    write(
        clip("fine"),
        clip("refused", prompt="x [[sim:denied]]"),
        clip("moderated", prompt="x [[sim:moderated]]"),
        clip("lost", prompt="x [[sim:lost]]"),
    )
    code, out, words = run("--json")
    assert code == 3
    statuses = {row["id"]: row["status"] for row in json.loads(out)["clips"]}
    assert statuses == {
        "fine": "done",
        "refused": "failed",
        "moderated": "failed",
        "lost": "submit_unknown",
    }
    assert "--attach lost=REQUEST_ID" in words
    assert "--retry-unknown lost" in words
    assert [row["costUsd"] for row in json.loads(out)["clips"] if row["id"] == "moderated"] == [
        0.05
    ]
    assert xai.key not in out + words
    assert "sim:denied" not in out + words


def test_without_download_a_warning_says_that_clips_do_not_last(xai: Running) -> None:
    write()
    code, out, words = run()
    assert code == 0
    assert "WARNING: 1 of 1 clips are not kept here, only at xAI" in words
    assert "jobs jobs.json --download" in words
    assert entry()["url"] is None
    assert out == f"lamp  {entry()['temporaryUrl']}\n"

    assert run("--download")[0] == 0
    assert len(xai.jobs()) == 1
    kept = FOLDER / entry()["file"]
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == entry()["sha256"]
    assert entry()["url"] == "clips/lamp.draft.mp4"


def test_a_file_taken_away_is_fetched_again_and_paid_for_once(xai: Running) -> None:
    write()
    run("--download")
    (FOLDER / entry()["file"]).unlink()
    code, _, words = run()
    assert code == 1
    assert "--download" in words
    assert run("--download")[0] == 0
    assert (FOLDER / entry()["file"]).exists()
    assert len(xai.jobs()) == 1


@pytest.mark.parametrize("marker", ["gone", "short_once", "download503", "octet"])
def test_a_copy_that_fails_at_first_is_tried_again(xai: Running, marker: str) -> None:
    write(clip(prompt=f"x [[sim:{marker}]]"))
    assert run("--download")[0] == 0
    assert len(xai.jobs()) == 1


@pytest.mark.parametrize("marker", ["notmp4", "expired_url", "private_url", "redirect"])
def test_a_copy_that_cannot_be_had_is_counted_and_never_sent_again(
    xai: Running, marker: str
) -> None:
    write(clip(prompt=f"x [[sim:{marker}]]"))
    for _ in range(2):
        code, _, words = run("--download")
        assert code == 1
        assert "but not fetched" in words
    assert (entry()["status"], entry()["file"]) == ("done", None)
    assert entry()["error"]
    assert len(xai.jobs()) == 1


def test_a_failed_clip_is_tried_anew_by_the_next_run(xai: Running) -> None:
    write(clip(prompt="x [[sim:failed]]"))
    assert run()[0] == 1
    code, _, words = run()
    assert (code, len(xai.jobs())) == (1, 2)
    assert "tried anew: RenderFailed before" in words
    assert [a["status"] for a in entry()["attempts"]] == ["failed", "failed"]


def test_a_rate_limit_is_waited_out(xai: Running) -> None:
    write(clip(prompt="x [[sim:start429]]"))
    assert run()[0] == 0
    assert len(xai.jobs()) == 1


def test_a_changed_clip_is_made_anew_and_the_old_one_kept(xai: Running) -> None:
    write()
    run("--download")
    old = entry()
    write(clip(prompt="a chair"))
    code, _, words = run("--download")
    assert (code, len(xai.jobs())) == (0, 2)
    assert "made anew: it was changed" in words
    assert entry()["file"] == "clips/lamp.draft-2.mp4"
    assert (FOLDER / old["file"]).exists()
    assert entry()["attempts"][0]["file"]["sha256"] == old["sha256"]

    write()  # back to what it was: that clip is there
    assert run("--download")[0] == 0
    assert len(xai.jobs()) == 2
    assert entry()["sha256"] == old["sha256"]


def test_a_failing_change_does_not_take_the_finished_clip_away(xai: Running) -> None:
    write()
    run("--download")
    old = entry()
    write(clip(prompt="x [[sim:denied]]"))
    assert run("--download")[0] == 1
    assert {name: entry()[name] for name in ("status", "url", "requestId", "error")} == {
        name: old[name] for name in ("status", "url", "requestId", "error")
    }
    assert entry()["attempts"][1]["error"]["error"] == "RenderRefused"


def test_force_makes_a_clip_anew(xai: Running) -> None:
    write()
    run("--download")
    assert run("--download", "--force")[0] == 0
    assert len(xai.jobs()) == 2
    assert entry()["file"] == "clips/lamp.draft-2.mp4"
    assert len(list((FOLDER / "clips").iterdir())) == 2


def test_a_post_of_unknown_fate_is_held_until_a_person_decides(xai: Running) -> None:
    write(clip(prompt="x [[sim:lost503]]"))
    for _ in range(2):
        code, _, words = run()
        assert (code, len(xai.jobs())) == (1, 1)
        assert "nobody knows whether xAI accepted it" in words
    [job] = xai.jobs()
    assert run("--attach", f"lamp={job['id']}", "--download")[0] == 0
    assert len(xai.jobs()) == 1
    assert (entry()["requestId"], entry()["status"]) == (job["id"], "done")


def test_a_person_may_send_again_what_is_unknown(xai: Running) -> None:
    write(clip(prompt="x [[sim:start503]]"))
    assert (run()[0], len(xai.jobs())) == (1, 0)
    code, _, words = run("--retry-unknown", "lamp")
    assert (code, len(xai.jobs())) == (0, 1)
    assert "sent again, though the first may be billed too" in words
    assert [a["status"] for a in entry()["attempts"]] == ["abandoned", "done"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--attach", "lamp"], "--attach: 'lamp' must be CLIP_ID=REQUEST_ID"),
        (["--attach", "chair=x"], "--attach: 'chair' is none of the chosen clips"),
        (["--attach", "lamp="], "--attach: '' must have 1 to 128 characters"),
        (["--attach", "lamp=x"], "--attach: 'lamp' lacks no job"),
        (["--retry-unknown", "lamp"], "--retry-unknown: 'lamp' has no POST whose fate is unknown"),
        (["--retry-unknown", "chair"], "--retry-unknown: 'chair' is none of the chosen clips"),
    ],
)
def test_decisions_that_fit_nothing_are_refused(
    xai: Running, arguments: list[str], problem: str
) -> None:
    write()
    run()
    before = manifest()
    code, out, words = run(*arguments)
    assert (code, out) == (102, "")
    assert problem in words
    assert manifest() == before


def test_the_job_of_another_clip_is_not_attached(xai: Running) -> None:
    write(clip("a"), clip("b", prompt="x [[sim:lost]]"))
    run()
    first = next(row["requestId"] for row in manifest()["clips"] if row["id"] == "a")
    code, _, words = run("--attach", f"b={first}")
    assert code == 102
    assert "is the job of a::draft" in words


def test_a_job_that_outlasts_the_deadline_is_taken_up_again(
    xai: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(clip(prompt="x [[sim:hang]]"))
    monkeypatch.setenv("VIDEO_GEN_POLL_TIMEOUT_MS", "1000")
    wiring.forget()
    for _ in range(2):
        code, _, words = run()
        assert code == 1
        assert "RenderStalled: not finished by the deadline" in words
        assert entry()["status"] == "stalled"
    assert len(xai.jobs()) == 1


def test_a_remaster_is_an_entry_of_its_own_that_names_its_draft(xai: Running) -> None:
    write()
    run()
    assert run("--remaster")[0] == 0
    remaster, draft = entry("lamp::production"), entry()
    assert (remaster["resolution"], len(xai.jobs())) == ("720p", 2)
    assert remaster["remasterFromRequestId"] == draft["requestId"]


def test_a_first_frame_and_a_source_clip_of_the_simulator_are_taken(xai: Running) -> None:
    image, source = f"{xai.origin}/assets/first.png", f"{xai.origin}/assets/in.mp4"
    write(
        clip("still", image_url=image),
        clip("edit", sourceVideoUrl=source, duration=None),
    )
    code, _, words = run("--download")
    assert (code, words.count(": done")) == (0, 2)
    assert entry("still::draft_i2v")["firstFrameUrl"] == image
    assert entry("edit::draft")["generationKind"] == "edit"


def test_what_costs_too_much_is_refused_and_leaves_no_trace(xai: Running) -> None:
    write(clip("a"), clip("b"))
    code, out, words = run("--max-cost-usd", "0.09")
    assert (code, out) == (102, "")
    assert "--max-cost-usd 0.09 is less than the estimate of $0.100" in words
    assert not FOLDER.exists()
    assert run("--max-cost-usd", "0.1")[0] == 0
    assert run("--max-cost-usd", "0")[0] == 0  # nothing is left to pay for
    assert len(xai.jobs()) == 2


def test_what_has_no_price_is_not_sent_under_a_limit(
    xai: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = json.loads((PRESETS / "models.json").read_text())
    rows["models"]["grok-imagine-video"]["prices"] = {}
    unpriced = ModelCatalog.from_json(json.dumps(rows))
    monkeypatch.setattr(wiring, "models", cache(lambda: unpriced))
    write(clip("a"))
    code, out, words = run("--max-cost-usd", "9")
    assert (code, out, xai.jobs()) == (102, "", [])
    assert "no price is known of grok-imagine-video" in words


def test_without_a_key_nothing_is_begun_and_the_simulator_is_named(
    xai: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XAI_API_KEY")
    wiring.forget()
    write()
    code, out, words = run()
    assert (code, out) == (103, "")
    for said in ("XAI_API_KEY is not set", "simulator --port 8790", "XAI_API_BASE_URL=http://127"):
        assert said in words
    assert not FOLDER.exists()


def test_a_wrong_key_is_refused_without_being_shown(
    xai: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XAI_API_KEY", "a-secret-key")
    wiring.forget()
    write()
    code, out, words = run("--json")
    assert (code, len(xai.jobs())) == (1, 0)
    assert "a-secret-key" not in out + words
    assert "RenderRefused" in words


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--max-cost-usd", "nan"], "--max-cost-usd"),
        (["--concurrency", "0"], "--concurrency"),
        (["--max-cost-usd", "much"], "must be a number of US dollars"),
        (["--dowload"], "No such option: --dowload"),
        (["--draft", "--production"], "are several quality modes"),
        (["chair"], "CLIP_ID: 'chair' is no clip of the file; choose one of: lamp"),
        (["--draft_i2v"], "these clips have no imageUrl: lamp"),
        (["--to", "jobs.json"], "jobs.json"),
    ],
)
def test_bad_input_ends_beyond_every_count(xai: Running, arguments: list[str], words: str) -> None:
    write()
    code, out, said = run(*arguments)
    assert (code, out) == (102, "")
    assert words in " ".join(said.split())
    assert len(xai.jobs()) == 0


def test_a_file_that_is_not_there_or_no_json_is_bad_input(xai: Running) -> None:
    assert run(file="nothing.json")[0] == 102
    Path("jobs.json").write_text("{")
    assert run()[0] == 102


def test_a_malformed_setting_is_named_without_its_value(
    xai: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEO_GEN_POLL_INTERVAL_MS", "often")
    wiring.forget()
    write()
    code, _, words = run()
    assert code == 102
    assert "VIDEO_GEN_POLL_INTERVAL_MS" in words
    assert xai.key not in words


def test_a_folder_at_work_is_left_to_the_other_process(xai: Running) -> None:
    write()
    with held(FOLDER):
        code, _, words = run()
    assert code == 102
    assert f"process {os.getpid()}" in words
    assert len(xai.jobs()) == 0


def test_another_folder_holds_manifest_and_clips(xai: Running, tmp_path: Path) -> None:
    write()
    assert run("--to", str(tmp_path / "elsewhere"), "--download")[0] == 0
    assert (tmp_path / "elsewhere" / "manifest.json").exists()
    assert (tmp_path / "elsewhere" / "clips" / "lamp.draft.mp4").exists()
    assert not FOLDER.exists()


def test_a_jobs_file_may_come_from_stdin(xai: Running) -> None:
    document = {"project": "p", "clips": [clip()]}
    assert run(file="-", stdin=json.dumps(document))[0] == 0
    assert entry()["status"] == "done"


def test_clips_of_the_simulator_never_pass_for_clips_of_xai(
    xai: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    run()
    before = manifest()
    monkeypatch.setenv("XAI_API_BASE_URL", "https://xai.invalid/v1")
    wiring.forget()
    code, out, words = run()
    assert (code, out) == (102, "")
    assert "holds clips of a simulator" in words
    assert manifest() == before


def test_an_unknown_post_beside_a_finished_clip_is_told_and_costs_nothing(
    xai: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    write()
    run()

    def lost(*_: Any) -> Any:
        raise SubmitUnknown("no answer")

    with monkeypatch.context() as patch:
        patch.setattr(Xai, "start", lost)
        assert run("--force")[0] == 1
    for arguments in ([], ["--force"]):
        code, _, words = run(*arguments)
        assert code == 0
        assert "lamp: another POST for it may have been accepted and billed" in words
    assert len(xai.jobs()) == 1
    assert entry()["status"] == "done"


def test_several_clips_are_made_at_once(xai: Running) -> None:
    write(*(clip(f"c{n}", prompt=f"{n} [[sim:slow]]") for n in range(4)))
    peak: list[int] = []
    put = making.Maker._put

    def counted(self: Any, made: Any, attempt: Any) -> None:
        put(self, made, attempt)
        peak.append(sum(row["status"] == "rendering" for row in manifest()["clips"]))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making.Maker, "_put", counted)
        assert run("--concurrency", "2")[0] == 0
    assert max(peak) == 2


def test_manifest_and_words_hold_no_prompt_and_no_key(xai: Running) -> None:
    write(clip(prompt="the secret plot"), clip("b", prompt="the secret plot [[sim:failed]]"))
    _, out, words = run("--download")
    everything = out + words + (FOLDER / "manifest.json").read_text()
    assert "secret plot" not in everything
    assert xai.key not in everything


def test_every_option_is_in_the_document() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    command = group.commands["jobs"]
    assert isinstance(command, Counted)
    options = [option for parameter in command.params for option in parameter.opts]
    wanted = [option for option in options if option.startswith("--") and option != "--help"]
    assert [option for option in wanted if f"`{option}" not in DOC] == []
    # It knows no cap of a stack's: whoever looks for its options reads that first.
    assert "outside a stack's caps, kill switch, ledger" in " ".join((command.help or "").split())
    assert "outside a stack's [caps, kill switch and ledger](money.md)" in DOC


def test_every_exit_code_is_in_the_document() -> None:
    rows = re.findall(r"^\| (\d+)", DOC, re.MULTILINE)
    assert {"0", "1", "102", "103", "130"} <= set(rows)


def test_the_example_in_the_document_is_a_jobs_file(xai: Running) -> None:
    [example] = re.findall(r"^```json\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)[:1]
    Path("jobs.json").write_text(example)
    code, _, words = run("--max-cost-usd", "0")
    assert code == 102
    assert "is less than the estimate" in words
