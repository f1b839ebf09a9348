"""The real ASL and the real handlers under moto; xAI is the simulator, and waits take no time."""

from __future__ import annotations

import importlib.util
import io
import json
import random
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)

from videoconductor import intake, wiring
from videoconductor.clip import Render
from xai_simulator.options import SimulatorOptions
from xai_simulator.server import running

ROOT = Path(__file__).parents[2]
STATES = {
    "Start": "start",
    "Poll": "poll",
    "Finalize": "finalize",
    "RecordFailure": "record_failure",
}
ACCOUNT = "123456789012"
REGION = "us-east-1"
KEY = "sim-key"


class Killed(BaseException):
    """The process is gone: nothing after this line ran."""


def load_handler(folder: str) -> ModuleType:
    """A function's app.py as a module of its own."""
    name = f"functions_{folder}_app"
    spec = importlib.util.spec_from_file_location(name, ROOT / "functions" / folder / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


class Cloud:
    """Filters the YAML tags of CloudFormation, of which only plain values are read here."""

    @staticmethod
    def template() -> dict[str, Any]:
        class Loader(yaml.SafeLoader):
            pass

        def ignore(loader: Any, suffix: str, node: Any) -> Any:
            if isinstance(node, yaml.ScalarNode):
                return loader.construct_scalar(node)
            if isinstance(node, yaml.SequenceNode):
                return loader.construct_sequence(node, deep=True)
            return loader.construct_mapping(node, deep=True)

        Loader.add_multi_constructor("!", ignore)
        return yaml.load((ROOT / "template.yaml").read_text(), Loader)  # noqa: S506


def definition(**substitutions: Any) -> str:
    """The real ASL as JSON, with the template's substitutions filled in."""
    text = (ROOT / "statemachine/render_clip.asl.yaml").read_text()
    values = {
        "StartTaskSeconds": 135,
        "LeaseSeconds": 150,
        **{
            f"{state}FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{folder}"
            for state, folder in STATES.items()
        },
        **substitutions,
    }
    return json.dumps(
        yaml.safe_load(re.sub(r"\$\{(\w+)\}", lambda match: str(values[match[1]]), text))
    )


@dataclass
class Execution:
    status: str
    path: list[str]
    output: dict[str, Any] | None
    error: str | None
    cause: str | None


@dataclass
class Stage:
    """A stack in this process: submit renders, run them to their end, look at what is left."""

    simulator: Any
    handlers: dict[str, Any]
    s3: Any
    dynamodb: Any
    machine_arn: str
    elapsed: float = 0.0
    calls: list[str] = field(default_factory=list)
    faults: list[tuple[str, str, str]] = field(default_factory=list)
    published: list[dict[str, Any]] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    while_waiting: Callable[[], None] | None = None

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def submit(self, key: str | None = None, **fields: Any) -> Render:
        fields = {"prompt": "a lamp in the rain", "duration": 1, **fields}
        request = intake.clip_request(json.dumps(fields))
        return wiring.conductor().accept(request, "arn:aws:iam::1:user/tester", key)

    def run(self, render: Render) -> Execution:
        """Wait for the render's newest execution to end."""
        client = boto3.client("stepfunctions", REGION)
        arn = (
            self.machine_arn.replace("stateMachine", "execution")
            + f":{render.render_id}-{render.executions}"
        )
        for _ in range(6000):
            found = client.describe_execution(executionArn=arn)
            if found["status"] != "RUNNING":
                break
            threading.Event().wait(0.01)
        history = client.get_execution_history(executionArn=arn, maxResults=1000)["events"]
        path = [
            event["stateEnteredEventDetails"]["name"]
            for event in history
            if "stateEnteredEventDetails" in event
        ]
        return Execution(
            status=found["status"],
            path=path,
            output=json.loads(found["output"]) if found.get("output") else None,
            error=found.get("error"),
            cause=found.get("cause"),
        )

    def settle(self) -> None:
        """Let no execution outlive its test: it would run on in the next one's cloud."""
        client = boto3.client("stepfunctions", REGION)
        for _ in range(2000):
            running = client.list_executions(
                stateMachineArn=self.machine_arn, statusFilter="RUNNING"
            )["executions"]
            if not running:
                return
            threading.Event().wait(0.01)
        raise AssertionError(f"still running: {running}")

    def record(self, render: Render) -> Render:
        return wiring.manifest().read(render.render_id)

    def jobs(self) -> list[dict[str, Any]]:
        """What xAI started: the question most tests end with."""
        return list(self.simulator.jobs())

    def objects(self) -> list[str]:
        found = self.s3.list_object_versions(Bucket=wiring.settings().bucket_name)
        return [version["Key"] for version in found.get("Versions", [])]

    def kill(
        self, monkeypatch: pytest.MonkeyPatch, edge: Any, call: str, when: str, nth: int = 1
    ) -> list[str]:
        """Kill the process before or after the nth call of an edge's method; says when it did."""
        real, fired, count = getattr(edge, call), [], [0]

        def dying(*arguments: Any, **named: Any) -> Any:
            count[0] += 1
            if count[0] != nth:
                return real(*arguments, **named)
            fired.append(call)
            if when == "after":
                real(*arguments, **named)
            raise Killed

        monkeypatch.setattr(edge, call, dying)
        return fired

    def break_state(self, state: str, error: str, when: str = "before") -> None:
        """Let the next run of a state's function end in `error` before or after its work."""
        self.faults.append((state, error, when))

    def invoke(self, folder: str, event: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(folder)
        fault = next((f for f in self.faults if STATES[f[0]] == folder), None)
        if fault is not None:
            self.faults.remove(fault)
            if fault[2] == "before":
                return self._died(fault[1])
        context = SimpleNamespace(
            function_name=folder,
            memory_limit_in_mb=512,
            invoked_function_arn=f"arn:{folder}",
            aws_request_id="request",
        )
        try:
            result = self.handlers[folder].handler(event, context)
        except Killed:
            return self._died("Lambda.Unknown")
        except Exception as problem:  # noqa: BLE001  (what the Lambda runtime does)
            return self._died(type(problem).__name__, str(problem))
        return (
            self._died(fault[1]) if fault else {"Payload": io.BytesIO(json.dumps(result).encode())}
        )

    @staticmethod
    def _died(error: str, words: str = "the process is gone") -> dict[str, Any]:
        if error == "States.Timeout":
            raise TimeoutError  # how moto tells that a task outlived its TimeoutSeconds
        payload = json.dumps({"errorType": error, "errorMessage": words})
        return {"FunctionError": "Unhandled", "Payload": io.BytesIO(payload.encode())}


@pytest.fixture(scope="session")
def simulator() -> Iterator[Any]:
    with running(SimulatorOptions(key=KEY, job_seconds=0.2)) as server:
        yield server


@pytest.fixture(scope="session")
def handlers() -> dict[str, Any]:
    return {folder: load_handler(folder) for folder in STATES.values()}


@contextmanager
def stage_on(
    simulator: Any, handlers: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **environment: str
) -> Iterator[Stage]:
    """A stage with settings of its own."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "POWERTOOLS_METRICS_NAMESPACE": "VideoConductor",
        "TABLE_NAME": "table",
        "BUCKET_NAME": "library",
        "EVENT_BUS_NAME": "bus",
        "XAI_API_KEY_SECRET": "xai",
        "XAI_API_BASE_URL": simulator.base_url,
        "VIDEO_SOURCE_ORIGINS": simulator.origin,
        "VIDEO_INPUT_ORIGINS": simulator.origin,
        **environment,
    }.items():
        monkeypatch.setenv(name, value)
    simulator.reset()
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        table = Cloud.template()["Resources"]["Table"]["Properties"]
        dynamodb = boto3.client("dynamodb", REGION)
        dynamodb.create_table(
            TableName="table",
            **{
                name: table[name]
                for name in (
                    "BillingMode",
                    "AttributeDefinitions",
                    "KeySchema",
                    "GlobalSecondaryIndexes",
                )
            },
        )
        s3 = boto3.client("s3", REGION)
        s3.create_bucket(Bucket="library")
        s3.put_bucket_versioning(Bucket="library", VersioningConfiguration={"Status": "Enabled"})
        boto3.client("events", REGION).create_event_bus(Name="bus")
        boto3.client("secretsmanager", REGION).create_secret(Name="xai", SecretString=KEY)
        arn = boto3.client("stepfunctions", REGION).create_state_machine(
            name="render_clip",
            definition=definition(),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine",
        )["stateMachineArn"]
        monkeypatch.setenv("STATE_MACHINE_ARN", arn)
        wiring.forget()
        stage = Stage(simulator, handlers, s3, dynamodb, arn)
        _replace_edges_of_moto(stage, monkeypatch)
        monkeypatch.setattr(wiring, "now", stage.now)
        monkeypatch.setattr(wiring, "jitter", lambda: random.Random(7))  # noqa: S311
        publish = wiring.events().publish

        def published(status: Any, detail: dict[str, Any]) -> None:
            publish(status, detail)
            stage.published.append({"status": status, **detail})

        monkeypatch.setattr(wiring.events(), "publish", published)
        yield stage
        stage.settle()
        wiring.forget()


def _replace_edges_of_moto(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The private names relied on; tests/workflow/test_moto_canary.py watches them."""

    def invoke(**parameters: Any) -> dict[str, Any]:
        folder = parameters["FunctionName"].rpartition(":")[2]
        payload = parameters["Payload"]
        event = payload if isinstance(payload, dict) else json.loads(payload)
        return stage.invoke(folder, event)

    monkeypatch.setattr(
        lambda_eval_utils, "boto_client_for", lambda **_: SimpleNamespace(invoke=invoke)
    )

    def wait(self: Any, env: Any, wait_seconds: int) -> None:
        assert isinstance(wait_seconds, int)
        assert wait_seconds > 0
        stage.waits.append(wait_seconds)
        stage.elapsed += wait_seconds
        if stage.while_waiting is not None:
            stage.while_waiting()
        threading.Event().wait(0.05)

    monkeypatch.setattr(WaitFunction, "_wait_interval", wait)

    def pause(seconds: float) -> None:
        stage.pauses.append(seconds)
        stage.elapsed += seconds

    monkeypatch.setattr(retrier_decl, "time", SimpleNamespace(sleep=pause))


@pytest.fixture
def stage(
    simulator: Any, handlers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    with stage_on(simulator, handlers, monkeypatch) as made:
        yield made
