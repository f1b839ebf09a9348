"""`videoconductor probe` as a person gives it, against the simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import typer
from moto import mock_aws
from typer.testing import CliRunner

from videoconductor import wiring
from videoconductor.errors import InvalidRequest
from videoconductor.models import ModelCatalog
from videoconductor_cli import probing
from videoconductor_cli.commands import probe
from videoconductor_cli.main import Commands
from xai_simulator.options import PRESETS, SimulatorOptions
from xai_simulator.server import Running, running

alone = typer.Typer(cls=Commands, rich_markup_mode=None, pretty_exceptions_enable=False)
alone.command()(probe.probe)
alone.callback()(lambda: None)
CHEAPEST = "grok-imagine-video-1.5-lite"


@pytest.fixture(scope="module")
def started() -> Iterator[Running]:
    with running(SimulatorOptions(job_seconds=0.05, witness_delay=0.3)) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def silent() -> Iterator[Running]:
    options = SimulatorOptions(job_seconds=0.05, url_with_upload=False, report_usage=False)
    with running(options) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch, started: Running) -> Iterator[None]:
    started.reset()
    monkeypatch.setenv("XAI_API_KEY", started.key)
    monkeypatch.setenv("VIDEO_GEN_POLL_INTERVAL_MS", "100")
    for name in ("VIDEO_SOURCE_ORIGINS", "VIDEO_INPUT_ORIGINS", "XAI_API_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(probing, "GRACE", 2.0)
    wiring.forget()
    yield
    wiring.forget()


def run(*arguments: str) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(alone, ["probe", *arguments])
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit)
    return outcome.exit_code, outcome.stdout, outcome.stderr


def at(simulator: Running, name: str) -> list[str]:
    place = f"{simulator.origin}/assets/put/{name}"
    return ["--base-url", simulator.base_url, "--upload-url", place, "--read-url", place]


def found(*arguments: str) -> tuple[int, dict[str, Any]]:
    code, out, err = run(*arguments, "--json")
    return code, json.loads(out) if out else {"error": err}


def test_it_says_first_what_it_would_cost_and_sends_nothing_without_consent(
    started: Running,
) -> None:
    code, out, err = run(*at(started, "a.mp4"))

    prices = ModelCatalog.from_json((PRESETS / "models.json").read_text())
    row = prices.models[CHEAPEST]
    assert code == 2
    assert out == ""
    assert f"{CHEAPEST} at 480p: ${row.prices.per_second['480p']:.4f}" in err
    assert row.as_of in err
    assert "--yes" in err
    assert started.requests() == []


def test_one_job_shows_that_xai_delivers_and_what_it_bills(started: Running) -> None:
    code, finding = found(*at(started, "b.mp4"), "--yes")

    [job] = started.jobs()
    assert code == 0
    assert (job["model"], job["seconds"], job["resolution"]) == (CHEAPEST, 1, "480p")
    assert job["uploads"] == ["HTTP 200"]
    assert finding["deliveredBytes"] > 1000
    assert finding == {
        "requestId": job["id"],
        "model": CHEAPEST,
        "delivered": True,
        "deliveredBytes": finding["deliveredBytes"],
        "urlIsFilled": True,
        "estimatedCostUsd": 0.02,
        "costUsd": job["cost_usd_ticks"] / 10**10,
    }


def test_the_words_tell_the_same_and_the_url_is_not_shown(started: Running) -> None:
    code, out, err = run(*at(started, "words.mp4?secret=s3cret"), "--yes")

    assert code == 0
    assert "delivered  yes, " in out
    assert "video.url  filled" in out
    assert "billed     $0.0200, estimated $0.0200" in out
    assert "s3cret" not in out + err
    assert "words.mp4" not in out + err
    assert started.key not in out + err


def test_a_url_that_stays_empty_and_a_cost_that_is_not_reported_are_told(silent: Running) -> None:
    code, finding = found(*at(silent, "c.mp4"), "--yes")

    assert code == 0
    assert (finding["delivered"], finding["urlIsFilled"]) == (True, False)
    assert finding["costUsd"] is None


@pytest.mark.parametrize("mode", ["never", "broken", "late"])
def test_what_does_not_come_comes_broken_or_late_is_told(mode: str) -> None:
    options = SimulatorOptions(job_seconds=0.05, witness_delay=0.5, witness=mode)
    with running(options) as simulator:
        code, finding = found(*at(simulator, f"{mode}.mp4"), "--yes")

    assert code == (0 if mode == "late" else 1)
    assert finding["delivered"] is (mode == "late")
    assert (finding["deliveredBytes"] == 0) is (mode == "never")


def test_a_place_that_nobody_here_can_read_is_left_to_the_person(started: Running) -> None:
    place = at(started, "d.mp4")[:4]

    code, out, _ = run(*place, "--yes")

    assert code == 0
    assert "look for yourself" in out


@pytest.mark.parametrize(
    ("marker", "code", "words"),
    [
        ("nocredits", 1, "refused the POST, nothing was spent"),
        ("start429", 3, "nothing was sent, or accepted"),
        ("lost", 1, "may have accepted the job"),
        ("failed", 1, "ended without a clip"),
        ("hang", 3, "is not done after 1 s"),
    ],
)
def test_whatever_becomes_of_the_post_it_is_sent_once(
    started: Running, monkeypatch: pytest.MonkeyPatch, marker: str, code: int, words: str
) -> None:
    monkeypatch.setattr(probing, "PROMPT", f"a card [[sim:{marker}]]")

    ended, out, err = run(*at(started, "e.mp4"), "--yes", "--wait", "1")

    assert ended == code
    assert words in err
    assert out == ""
    assert sum(r["method"] == "POST" for r in started.requests()) == 1


def test_with_a_bucket_the_place_is_signed_with_the_persons_keys(
    started: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    seen: list[tuple[str, str]] = []

    def note(plan: Any, provider: Any, url: str, arrived: Any, trace: str, *_: Any) -> Any:
        seen.append((url, trace))
        s3.put_object(Bucket="library", Key=f"incoming/{trace}/1.mp4", Body=b"no clip")
        looked = probing._look(arrived)
        return probing.Finding("id", plan.model, True, looked, plan.estimate.total_usd, None)

    with mock_aws():
        s3 = boto3.client("s3", "eu-central-1")
        where = {"LocationConstraint": "eu-central-1"}
        s3.create_bucket(Bucket="library", CreateBucketConfiguration=where)
        monkeypatch.setattr(probing, "probe", note)
        code, finding = found("--base-url", started.base_url, "--bucket", "library", "--yes")

    [(url, trace)] = seen
    assert url.startswith(f"https://library.s3.eu-central-1.amazonaws.com/incoming/{trace}/1.mp4?")
    assert "X-Amz-SignedHeaders=host&" in url
    assert (code, finding["delivered"], finding["deliveredBytes"]) == (1, False, 7)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "either --upload-url or --bucket"),
        (["--upload-url", "https://a.example/x", "--bucket", "b"], "either --upload-url"),
        (["--bucket", "b", "--read-url", "https://a.example/x"], "--read-url goes with"),
        (["--upload-url", "http://127.0.0.1:1/x"], "xAI cannot deliver there"),
        (["--upload-url", "https://a.example/x", "--base-url", "nowhere"], "--base-url"),
    ],
)
def test_what_cannot_be_done_as_it_stands_is_said_before_anything_is_sent(
    arguments: list[str], words: str
) -> None:
    code, out, err = run(*arguments, "--yes")
    assert (code, out) == (2, "")
    assert words in err


def test_without_a_key_there_is_nothing_to_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XAI_API_KEY")
    wiring.forget()
    code, _, err = run("--upload-url", "https://a.example/x", "--yes")
    assert code == 2
    assert "XAI_API_KEY is not set" in err


def test_without_a_priced_model_nothing_is_sent(tmp_path: Path) -> None:
    document = json.loads((PRESETS / "models.json").read_text())
    for row in document["models"].values():
        row["prices"].pop("perSecond", None)
    models = ModelCatalog.from_json(json.dumps(document))
    with pytest.raises(InvalidRequest, match="with a price"):
        probing.cheapest(wiring.quality_modes(), models, wiring.plan_defaults())
