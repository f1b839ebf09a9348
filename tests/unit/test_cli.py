"""The commands as a person gives them, without a stack."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from local_stack import settings as local_settings
from videoconductor import wiring
from videoconductor_cli.address import CHECKOUT
from videoconductor_cli.commands import local
from videoconductor_cli.errors import BadInput
from videoconductor_cli.main import app

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 64
DOC = (CHECKOUT / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (local.KEY, "VIDEOCONDUCTOR_API_URL", *local.PAID_PARAMETERS.values()):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIDEOCONDUCTOR_DATA", str(tmp_path / "no-stack"))
    wiring.forget()


def run(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    outcome = CliRunner().invoke(app, list(arguments), input=stdin)
    return outcome.exit_code, outcome.stdout, outcome.stderr


def command_names() -> list[str]:
    names = []
    for name, command in get_command(app).commands.items():
        inner = getattr(command, "commands", {})
        names += [f"{name} {one}" for one in inner] or [name]
    return names


@pytest.mark.parametrize("name", command_names())
def test_every_command_has_its_heading_in_the_doc(name: str) -> None:
    assert re.search(rf"^### `{re.escape(name)}[` ]", DOC, re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in command_names() if name != "simulator"])
def test_every_option_of_a_command_is_in_the_doc(name: str) -> None:
    command = get_command(app)
    for part in name.split():
        command = command.commands[part]
    options = [option for parameter in command.params for option in parameter.opts]
    missing = [o for o in options if o.startswith("--") and o != "--help" and o not in DOC]
    assert missing == []


@pytest.mark.parametrize("name", ["", *command_names()])
def test_every_command_has_help(name: str) -> None:
    code, out, _ = run(*name.split(), "--help")
    assert code == 0
    assert "Usage: " in out


def test_help_needs_none_of_the_slow_packages() -> None:
    slow = {"boto3", "botocore", "httpx", "pydantic", "aiohttp", "local_stack"}
    probe = f"import sys, videoconductor_cli.main; print({slow!r} & set(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, env=environment
    )
    assert found.stdout.strip() == "set()"


def test_to_ask_where_the_stack_is_needs_no_boto3(tmp_path: Path) -> None:
    probe = (
        "import sys; from videoconductor_cli.main import app; "
        f"app(['local', 'status', '--data', {str(tmp_path)!r}], standalone_mode=False); "
        "print({'boto3'} & set(sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False, env=environment
    )
    assert found.stdout.strip().endswith("set()"), found.stderr


def test_the_version_is_the_package_s() -> None:
    from videoconductor import __version__

    assert run("--version")[1].strip() == f"videoconductor {__version__}"


def test_plan_prints_the_clip_and_its_cost_as_json_and_nothing_else(tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text('{"prompt": "a fox", "clipId": "fox", "duration": 10}')
    code, out, err = run("plan", str(request), "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        "clips": [
            {
                "clipId": "fox",
                "prompt": "a fox",
                "firstFramePrompt": None,
                "qualityMode": "draft",
                "model": "grok-imagine-video",
                "resolution": "480p",
                "duration": 10,
                "aspectRatio": "16:9",
                "operation": "generate",
                "estimatedCostUsd": 0.5,
                "warnings": [],
                "request": {
                    "method": "POST",
                    "path": "/v1/videos/generations",
                    "body": {
                        "model": "grok-imagine-video",
                        "prompt": "a fox",
                        "duration": 10,
                        "aspect_ratio": "16:9",
                        "resolution": "480p",
                    },
                },
            }
        ],
        "estimatedCostUsd": 0.5,
    }


def test_plan_says_line_by_line_what_is_paid_for() -> None:
    code, out, _ = run("plan", "--prompt", "a fox", "--image", "https://example.com/fox.png")
    assert code == 0
    assert "grok-imagine-video-1.5 480p: 6 seconds at $0.08 = $0.480" in out
    assert "input images: 1 image at $0.01 = $0.010" in out
    assert "estimate: $0.490" in out
    assert "POST /v1/videos/generations" in out


def test_plan_reads_stdin_and_options_are_put_over_the_file() -> None:
    stdin = '{"prompt": "a fox", "duration": 3, "qualityMode": "draft"}'
    code, out, _ = run("plan", "-", "--mode", "prod", "--json", stdin=stdin)
    clip = json.loads(out)["clips"][0]
    assert code == 0
    assert (clip["qualityMode"], clip["resolution"], clip["duration"]) == ("production", "720p", 3)


def test_an_image_file_travels_inside_the_request(tmp_path: Path) -> None:
    image = tmp_path / "first.png"
    image.write_bytes(PNG)
    _, out, _ = run("plan", "--prompt", "a fox", "--image", str(image), "--json")
    sent = json.loads(out)["clips"][0]["request"]["body"]
    assert sent["image"]["url"].startswith("data:image/png;base64,iVBOR")


def test_an_inline_image_is_shortened_for_people(tmp_path: Path) -> None:
    image = tmp_path / "first.png"
    image.write_bytes(PNG * 1000)
    code, out, _ = run("plan", "--prompt", "a fox", "--image", str(image))
    assert code == 0
    assert "characters)" in out
    assert len(out) < 2000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say what to make"),
        (("--prompt", "x", "--mode", "ultra"), "'ultra' is not a quality mode; choose one of"),
        (("--prompt", "x", "--duration", "99"), "duration: 99 must be 1 to 15"),
        (("--prompt", "x", "--duration", "0"), "duration: 0 must be 1 to 15"),
        (("--prompt", "x", "--max-cost-usd", "0"), "maxCostUsd: 0.0 is less than the estimate"),
        (("--prompt", "x", "--extend"), "sourceVideoUrl"),
        (("--prompt", "x", "--image", "not-there.png"), "not-there.png: No such file"),
        (("not-there.json",), "not-there.json: No such file"),
    ],
)
def test_bad_input_ends_with_2_and_says_what_is_wrong(
    arguments: tuple[str, ...], words: str
) -> None:
    code, out, err = run("plan", *arguments, "--json")
    assert (code, out) == (2, "")
    assert words in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("stdin", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"prompt": "x", "promt": "y"}', "promt"),
        ('{"prompt": "x", "aspect_ratio": "1:1"}', "aspect_ratio: write aspectRatio"),
        ('{"schemaVersion": "1.0", "requestId": "f", "clips": []}', "clips"),
    ],
)
def test_a_request_that_is_no_clip_request_is_refused(stdin: str, words: str) -> None:
    code, out, err = run("plan", "-", stdin=stdin)
    assert (code, out) == (2, "")
    assert words in err


def test_a_script_is_planned_clip_by_clip() -> None:
    script = Path(__file__).parents[1] / "fixtures" / "hoa-nightclub.json"
    code, out, _ = run("plan", str(script), "--json")
    assert code == 0
    document = json.loads(out)
    assert list(document) == ["clips", "estimatedCostUsd"]
    assert [clip["qualityMode"] for clip in document["clips"]] == ["draft"] * 2 + ["draft_i2v"] * 3
    assert document["estimatedCostUsd"] == 4.21
    code, out, _ = run("plan", str(script), "--clip-id", "01_hoa_video_call_pains", "--remaster")
    assert code == 0
    assert "production, grok-imagine-video, 720p" in out
    assert "the film: 1 clips, $0.700" in out


def test_options_of_a_single_clip_do_not_go_with_a_script() -> None:
    script = Path(__file__).parents[1] / "fixtures" / "hoa-nightclub.json"
    code, out, err = run("plan", str(script), "--duration", "3", "--aspect-ratio", "1:1")
    assert (code, out) == (2, "")
    assert "leave out --aspect-ratio, --duration" in err


def test_generate_sends_a_script_to_film() -> None:
    script = Path(__file__).parents[1] / "fixtures" / "hoa-nightclub.json"
    code, _, err = run("generate", "--request", str(script))
    assert code == 2
    assert f"`videoconductor film {script}` makes its clips" in err


def test_plan_takes_the_choices_of_film() -> None:
    script = Path(__file__).parents[1] / "fixtures" / "hoa-nightclub.json"
    names = ["01_hoa_video_call_pains", "02_ringize_audio_upload_prompt"]
    chosen = [part for name in names for part in ("--clip", name)]
    source = ("--source-url", "https://example.com/x.mp4")
    code, out, _ = run("plan", str(script), *chosen, "--remaster", *source, "--json")
    clips = json.loads(out)["clips"]
    assert code == 0
    assert [clip["clipId"] for clip in clips] == names
    assert {clip["operation"] for clip in clips} == {"edit"}
    assert {clip["resolution"] for clip in clips} == {"720p"}
    code, _, err = run("plan", str(script), "--clip", "99", "--clip", "98")
    assert code == 2
    assert "'99' is not a clip of this film" in err
    assert "'98' is not a clip of this film" in err


def test_a_clip_request_has_one_clip_id() -> None:
    code, _, err = run("plan", "--prompt", "x", "--clip-id", "a", "--clip-id", "b")
    assert code == 2
    assert "--clip-id once" in err
    _, out, _ = run("plan", "--prompt", "x", "--clip", "a", "--json")
    assert json.loads(out)["clips"][0]["clipId"] == "a"


def test_a_file_that_is_no_image_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    code, _, err = run("generate", "x", "--image", str(tmp_path / "notes.txt"))
    assert code == 2
    assert "image/png" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "x"),
        ("list",),
        ("status", "r"),
        ("manifest",),
        ("manifest", "harbour", "--json"),
        ("manifest", "show", "import"),
        ("cancel", "r"),
        ("attach", "r"),
        ("retry", "r"),
        ("resume", "r"),
        ("abandon", "r"),
    ],
)
def test_without_a_stack_the_message_says_how_to_get_one(arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (3, "")
    assert "videoconductor local up" in err
    assert "--api" in err


@pytest.mark.parametrize("url", ["ftp://x", "http://example.com", "example.com", "https://x:y/"])
def test_an_api_that_is_no_https_url_is_refused(url: str) -> None:
    code, _, err = run("list", "--api", url)
    assert code == 2
    assert "--api" in err


def test_a_deployed_api_without_credentials_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    code, _, err = run("list", "--api", "https://x.execute-api.eu-west-1.amazonaws.com")
    assert code == 3
    assert "AWS_PROFILE" in err


def test_local_status_without_a_stack_ends_with_3() -> None:
    code, out, err = run("local", "status", "--json")
    assert code == 3
    assert json.loads(out)["running"] is False
    assert "no local stack" in err


def test_settings_reach_the_local_stack_and_the_provider_s_url_only_with_a_key() -> None:
    environment = {
        "VIDEO_GEN_POLL_TIMEOUT_MS": "60000",
        "XAI_API_BASE_URL": "https://proxy.example/v1",
    }
    simulated = local.parameters(environment, paid=False)
    assert simulated["PollTimeoutMs"] == "60000"
    assert "XaiApiBaseUrl" not in simulated
    paid = local.parameters(environment, paid=True)
    assert paid == {"PollTimeoutMs": "60000", "XaiApiBaseUrl": "https://proxy.example/v1"}


def test_a_local_stack_s_simulator_can_be_asked_to_drift() -> None:
    factor, other = "grok-imagine-video=1.4", "grok-imagine-video=grok-imagine-video-1.5"
    drifts = {"--price-factor": [factor], "--serve-as": [other]}
    arguments = local.simulator_arguments(drifts, paid=False)
    assert arguments == ("--price-factor", factor, "--serve-as", other)
    assert local.simulator_arguments({"--price-factor": ()}, paid=True) == ()
    options = local_settings.Options
    same = options(simulator_arguments=arguments).simulator_digest()
    assert same != options().simulator_digest()  # so that a running one is started anew
    for option, given, words in (
        ("--simulator-price-factor", "grok-imagine-video", "NAME=VALUE"),
        ("--simulator-price-factor", "grok-imagine-video=x", "number"),
        ("--simulator-serve-as", "grok=x", "choose one of: grok-imagine"),
    ):
        code, _, err = run("local", "up", "--simulator", option, given)
        assert code == 2
        assert option in err
        assert words in err
    with pytest.raises(BadInput, match="give --simulator as well"):
        local.simulator_arguments(drifts, paid=True)


def test_the_demo_s_script_can_be_planned() -> None:
    code, out, _ = run("plan", str(CHECKOUT / "events" / "demo-film.json"), "--json")
    modes = [clip["qualityMode"] for clip in json.loads(out)["clips"]]
    assert code == 0
    assert modes == ["draft", "draft_i2v", "draft"]
