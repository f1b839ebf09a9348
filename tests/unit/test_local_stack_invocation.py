"""One function on its own: as a process of this machine, and what SAM is given with Docker."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local_stack import Endpoints, containers, invocation
from local_stack.errors import InvocationFailed
from local_stack.packaging import read_template
from videoconductor_cli.main import app

ROOT = Path(__file__).parents[2]
ENDPOINTS = Endpoints(
    api_url="http://127.0.0.1:9/api",
    api_id="api",
    aws_endpoint_url="http://127.0.0.1:9",
    region="us-east-1",
    access_key_id="123456789012",
    secret_access_key="s",
    bucket="library",
    table="records",
    state_machine_arn="arn",
    event_bus="bus",
    tokens_secret="tokens",
    auth=False,
    simulator_origin="http://127.0.0.1:8",
)
DEPLOYED = {
    "FunctionName": "stack-EchoFunction-1",
    "Handler": "app.handler",
    "Timeout": 5,
    "Environment": {"Variables": {"TABLE_NAME": "records"}},
}
TEMPLATE: dict[str, Any] = {
    "Globals": {"Function": {"Environment": {"Variables": {"TABLE_NAME": "x"}}}},
    "Resources": {
        "EchoFunction": {
            "Type": "AWS::Serverless::Function",
            "Properties": {"CodeUri": "functions/echo/"},
        }
    },
}


def invoked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> invocation.Invocation:
    folder = tmp_path / "functions" / "echo"
    folder.mkdir(parents=True)
    (folder / "app.py").write_text(code)
    monkeypatch.setattr(invocation, "configuration", lambda *_: DEPLOYED)
    monkeypatch.setenv("XAI_API_KEY", "a real key")
    return invocation.invoke(TEMPLATE, tmp_path, ENDPOINTS, "EchoFunction", {"é": 1})


def test_a_function_gets_the_event_the_stack_and_nothing_of_the_caller_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = invoked(
        tmp_path,
        monkeypatch,
        "import os\n"
        "def handler(event, context):\n"
        "    print('at work')\n"
        "    left = context.get_remaining_time_in_millis()\n"
        "    return {**event, 'env': dict(os.environ), 'left': left}\n",
    )
    assert (done.error, done.answer["é"]) == (None, 1)
    assert "at work" in done.log
    assert 0 < done.answer["left"] <= 5000
    variables = done.answer["env"]
    assert variables["TABLE_NAME"] == "records"
    assert variables["AWS_ENDPOINT_URL"] == ENDPOINTS.aws_endpoint_url
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == DEPLOYED["FunctionName"]
    assert "a real key" not in variables.values()


def test_an_error_has_the_name_of_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = "class Odd(Exception): ...\ndef handler(event, context):\n    raise Odd('so it is')\n"
    done = invoked(tmp_path, monkeypatch, code)
    assert done.answer is None
    assert done.error is not None
    assert (done.error["errorType"], done.error["errorMessage"]) == ("Odd", "so it is")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (
            "import os\ndef handler(event, context):\n    print('mid-air')\n    os._exit(3)\n",
            "mid-air",
        )
    ],
)
def test_a_process_that_ends_without_a_word_is_a_failure_with_its_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, words: str
) -> None:
    with pytest.raises(InvocationFailed, match=words):
        invoked(tmp_path, monkeypatch, code)


def test_sam_is_given_what_the_stack_has_and_a_template_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "configuration", lambda *_: DEPLOYED)
    seen = tmp_path / "seen.json"
    sam = tmp_path / "sam"
    sam.write_text(
        f"#!{sys.executable}\n"
        "import json, os, pathlib, sys\n"
        f"seen = pathlib.Path({str(seen)!r})\n"
        "calls = json.loads(seen.read_text()) if seen.exists() else []\n"
        "given = {a: json.loads(pathlib.Path(b).read_text())\n"
        "         for a, b in zip(sys.argv, sys.argv[1:]) if b.endswith('.json')}\n"
        "calls.append([sys.argv[1:], given, dict(os.environ)])\n"
        "seen.write_text(json.dumps(calls))\n"
        "print('Building…') if sys.argv[1] == 'build' else print('{\"status\": \"rendered\"}')\n"
    )
    sam.chmod(0o700)
    monkeypatch.setenv("AWS_PROFILE", "production")
    template = read_template(ROOT / "template.yaml")

    done = containers.invoke(template, ROOT, ENDPOINTS, "PollFunction", {"a": 1}, sam)

    assert (done.answer, done.error) == ({"status": "rendered"}, None)
    (built, given, _), (run, inputs, environment) = json.loads(seen.read_text())
    assert built[:2] == ["build", "PollFunction"]
    assert built[built.index("--base-dir") + 1] == str(ROOT)
    copy = given["--template-file"]
    shared = copy["Globals"]["Function"]
    assert set(ENDPOINTS.environment()) <= set(shared["Environment"]["Variables"])
    assert set(shared["Architectures"]) <= {"x86_64", "arm64"}
    assert run[:3] == ["local", "invoke", "PollFunction"]
    assert run[run.index("--docker-network") + 1] == "host"
    assert inputs["--event"] == {"a": 1}
    variables = inputs["--env-vars"]["PollFunction"]
    assert variables["TABLE_NAME"] == "records"
    assert variables["AWS_ENDPOINT_URL"] == ENDPOINTS.aws_endpoint_url
    assert "AWS_PROFILE" not in environment
    assert environment["AWS_ACCESS_KEY_ID"] == ENDPOINTS.access_key_id


def test_what_sam_prints_instead_of_an_answer_is_shown() -> None:
    with pytest.raises(InvocationFailed, match="no such image"):
        containers.answered("Error: no such image\n")


def test_a_function_or_an_event_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(app, ["local", "invoke", *arguments])
        return done.exit_code, done.stderr

    code, err = run("polll")
    assert code == 2
    assert "choose one of" in err
    assert " poll" in err
    code, err = run("poll", "--event", str(tmp_path / "none.json"))
    assert (code, "No such file" in err) == (2, True)
    mine = tmp_path / "mine.json"
    mine.write_text("{}")
    code, err = run("poll", "--event", str(mine), "--data", str(tmp_path / "no-stack"))
    assert (code, "local up" in err) == (3, True)
