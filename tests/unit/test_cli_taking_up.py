"""`local up` after a crash: what goes on by itself, and what would be billed is said."""

import io
import json
from types import SimpleNamespace
from typing import Any

import pytest

from local_stack import Endpoints, LocalStackError, sweeping
from videoconductor_cli.commands import local


def running(simulator: str | None) -> Endpoints:
    unused = dict.fromkeys(["api_id", "aws_endpoint_url", "bucket", "table", "event_bus"], "")
    keys = {"region": "us-east-1", "access_key_id": "AKID", "secret_access_key": "secret"}
    return Endpoints(
        api_url="", state_machine_arn="", auth=False, simulator_origin=simulator, **keys, **unused
    )


@pytest.fixture
def invoked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    def invoke(*, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
        sent.append(json.loads(Payload))
        assert FunctionName == "physical"
        told = {"resumed": ["r1", "night ferry/q1"], "left": ["r2", "other/q2"]}
        return {"Payload": io.BytesIO(json.dumps(told).encode())}

    resource = {"StackResourceDetail": {"PhysicalResourceId": "physical"}}
    clients = SimpleNamespace(invoke=invoke, describe_stack_resource=lambda **_: resource)
    monkeypatch.setattr(sweeping, "clients_of", lambda _: lambda name: clients)
    return sent


@pytest.mark.parametrize("simulator", ["http://127.0.0.1:1", None])
def test_interrupted_work_goes_on_but_nothing_unsent_goes_to_the_real_xai(
    invoked: list[dict[str, Any]], simulator: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    local.take_up(running(simulator))
    assert invoked == [{"graceSeconds": 0, "mayPost": simulator is not None}]
    said = capsys.readouterr().err
    assert "took up render r1 again" in said
    assert "took up run q1 of film night ferry again" in said
    assert "render r2 was not sent yet; this will be billed" in said
    assert "resume r2" in said
    assert "run q2 of film other goes on, billed, when its script is handed in again" in said


def test_a_sweep_that_fails_is_told_by_its_error(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"Payload": io.BytesIO(b'{"errorType": "ManifestUnavailable"}'), "FunctionError": "x"}
    resource = {"StackResourceDetail": {"PhysicalResourceId": "physical"}}
    clients = SimpleNamespace(invoke=lambda **_: told, describe_stack_resource=lambda **_: resource)
    monkeypatch.setattr(sweeping, "clients_of", lambda _: lambda name: clients)
    with pytest.raises(LocalStackError, match="ManifestUnavailable"):
        sweeping.sweep(running(None), may_post=True)
