"""The real ASL and the real handlers under moto; xAI is the simulator, and waits take no time."""

from __future__ import annotations

import copy
import importlib.util
import io
import json
import os
import random
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import pytest
import yaml
from botocore.session import Session
from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber
from moto.dynamodb import models as dynamodb_models
from moto.dynamodb.models.table import Table
from moto.stepfunctions.exceptions import ExecutionDoesNotExist
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.asl.antlr.runtime.ASLParser import ASLParser
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_callback,
    state_task_service_sfn,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from videoconductor import intake, wiring
from videoconductor.clip import FilmClip, FilmOrder, FilmRun, ManifestEntry, Render
from xai_simulator.options import SimulatorOptions
from xai_simulator.scenarios import Markers
from xai_simulator.server import running

ROOT = Path(__file__).parents[2]
STATES = {
    "FirstFrame": "first_frame",
    "Start": "start",
    "Poll": "poll",
    "Finalize": "finalize",
    "Thumbnail": "thumbnail",
    "RecordFailure": "record_failure",
}
FILM_STATES = {"TakeUp": "take_up", "Conclude": "conclude"}
FOLDERS = {**STATES, **FILM_STATES}
ACCOUNT = "123456789012"
REGION = "us-east-1"
KEY = "sim-key"
CALLER = "arn:aws:iam::1:user/tester"
JPEG = b"\xff\xd8\xff\xe0 a picture"


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
    @cache
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


@cache
def definition(machine: str = "render_clip", **substitutions: Any) -> str:
    """The real ASL as JSON, with the template's substitutions filled in."""
    text = (ROOT / f"statemachine/{machine}.asl.yaml").read_text()
    values = {
        "StartTaskSeconds": 135,
        "LeaseSeconds": 150,
        "Partition": "aws",
        "BucketName": "library",
        "FilmConcurrency": 6,
        "RenderClipArn": f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:render_clip",
        **{
            f"{state}FunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{folder}"
            for state, folder in FOLDERS.items()
        },
        **substitutions,
    }
    return json.dumps(
        yaml.safe_load(re.sub(r"\$\{(\w+)\}", lambda match: str(values[match[1]]), text))
    )


@dataclass
class Execution:
    arn: str
    status: str
    output: dict[str, Any] | None
    error: str | None
    cause: str | None

    @cached_property
    def path(self) -> list[str]:
        """The states it went through; moto takes its time to tell."""
        client = boto3.client("stepfunctions", REGION)
        history = client.get_execution_history(executionArn=self.arn, maxResults=1000)["events"]
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in history
            if "stateEnteredEventDetails" in event
        ]


def status(arn: str) -> str:
    """An execution's status, without the way through boto3 that tests go many times a second."""
    try:
        found = stepfunctions_parser_backends[ACCOUNT][REGION].describe_execution(arn)
    except ExecutionDoesNotExist:
        return "RUNNING"  # or about to be: whoever asks knows of it
    return str(found.status)


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
    drifts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    ready: list[dict[str, Any]] = field(default_factory=list)
    waits: list[int] = field(default_factory=list)
    lingers: list[float] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    while_waiting: Callable[[], None] | None = None

    def prepare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Build what this kind of stage has more."""

    def close(self) -> None:
        """Take leave of the test."""
        self.settle()

    def paint(self, render: Render, video: Any, still: bytes | None) -> tuple[bytes, bytes | None]:
        """Pictures that cost no time; for real ones, set `pictures.painting.paint` in its place."""
        assert b"".join(video)
        return JPEG, None if render.thumbnail is None else JPEG + (still or b"")[:8]

    def slept(self, seconds: float) -> None:
        """A state has waited."""
        self.elapsed += seconds
        if self.while_waiting is not None:
            self.while_waiting()
        threading.Event().wait(0.05)

    def lingered(self, seconds: float) -> None:
        """A function has waited."""
        self.lingers.append(seconds)
        self.elapsed += seconds
        if self.while_waiting is not None:
            self.while_waiting()
        threading.Event().wait(0.02)

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 12, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def submit(self, key: str | None = None, **fields: Any) -> Render:
        fields = {"prompt": "a lamp in the rain", "duration": 1, **fields}
        request = intake.clip_request(json.dumps(fields))
        return wiring.conductor().accept(request, CALLER, key)

    def run(self, render: Render) -> Execution:
        """Wait for the render's newest execution to end."""
        return self.watch(self.machine_arn, f"{render.render_id}-{render.executions}")

    def watch(self, machine_arn: str, name: str) -> Execution:
        """Wait for an execution to end."""
        client = boto3.client("stepfunctions", REGION)
        arn = machine_arn.replace("stateMachine", "execution") + f":{name}"
        for _ in range(6000):
            if status(arn) != "RUNNING":
                break
            threading.Event().wait(0.01)
        found = client.describe_execution(executionArn=arn)
        return Execution(
            arn=arn,
            status=found["status"],
            output=json.loads(found["output"]) if found.get("output") else None,
            error=found.get("error"),
            cause=found.get("cause"),
        )

    def settle(self) -> None:
        """Let no execution outlive its test: it would run on in the next one's cloud."""
        client = boto3.client("stepfunctions", REGION)
        for _ in range(2000):
            running = [
                execution
                for machine in client.list_state_machines()["stateMachines"]
                for execution in client.list_executions(
                    stateMachineArn=machine["stateMachineArn"], statusFilter="RUNNING"
                )["executions"]
            ]
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
        fault = next((f for f in self.faults if FOLDERS[f[0]] == folder), None)
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


def built_once(build: Callable[..., Any]) -> Callable[..., Any]:
    """What builds clients builds each but once: that takes longer than most tests, and a client has
    no state that a stage leaves.
    """
    built: dict[Any, Any] = {}

    def client(*name_and_region: str, config: Any = None, **given: Any) -> Any:
        if given:
            return build(*name_and_region, config=config, **given)
        options = config and repr(sorted(config._user_provided_options.items(), key=str))
        surroundings = tuple(sorted(pair for pair in os.environ.items() if pair[0][:4] == "AWS_"))
        key = (*name_and_region, options, surroundings)
        if key not in built:
            built[key] = build(*name_and_region, config=config)
        return built[key]

    return client


@pytest.fixture(scope="session", autouse=True)
def _clients_are_built_once() -> Iterator[None]:
    kept = Session()
    kept.create_client = built_once(kept.create_client)  # type: ignore[method-assign]

    def session() -> Session:
        return kept

    session.cache_clear = lambda: None  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3, "client", built_once(boto3.client))
        patch.setattr(wiring, "_session", session)
        yield


@pytest.fixture(scope="session", autouse=True)
def _machines_are_parsed_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ASLParser, "state_machine", parsed_once)
        yield


@pytest.fixture(scope="session")
def simulator() -> Iterator[Any]:
    with running(SimulatorOptions(key=KEY, job_seconds=0.2)) as server:
        yield server


@pytest.fixture(scope="session")
def handlers() -> dict[str, Any]:
    return {folder: load_handler(folder) for folder in FOLDERS.values()}


@contextmanager
def stage_on(
    simulator: Any,
    handlers: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    kind: type[Stage] = Stage,
    **environment: str,
) -> Iterator[Any]:
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
        # Most tests look at states; what a poll does that lingers has tests of its own.
        "POLL_LINGER_SECONDS": "0",
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
        stage = kind(simulator, handlers, s3, dynamodb, arn)
        stage.prepare(monkeypatch)
        wiring.forget()
        _replace_edges_of_moto(stage, monkeypatch)
        monkeypatch.setattr(wiring, "now", stage.now)
        monkeypatch.setattr(wiring, "pause", stage.lingered)
        monkeypatch.setattr(wiring, "painter", lambda: stage.paint)
        monkeypatch.setattr(wiring, "jitter", lambda: random.Random(7))  # noqa: S311
        # Built before anything is under way: two threads that ask first get one each, of which
        # tests would hold the one that is not used.
        for part in (wiring.manifest, wiring.library, lambda: wiring.provider("xai")):
            part()
        publish = wiring.events().publish

        def published(status: Any, detail: dict[str, Any], beside: Any = None) -> Any:
            told = publish(status, detail, beside)
            stage.published.append({"status": status, **detail})
            stage.drifts += [beside[name] for name in sorted(told)]
            return told

        monkeypatch.setattr(wiring.events(), "publish", published)
        film_ready = wiring.events().film_ready

        def ready(detail: dict[str, Any]) -> None:
            film_ready(detail)
            stage.ready.append(detail)

        monkeypatch.setattr(wiring.events(), "film_ready", ready)
        try:
            yield stage
            stage.close()
        finally:
            wiring.forget()


def kept(thing: Any) -> Any:
    """A copy to go back to. Moto takes one of the whole table for each write of a transaction; all
    that such a write changes in place is a counter.
    """
    if not isinstance(thing, Table):
        return copy.deepcopy(thing)
    before = copy.copy(thing)
    before.items = copy.copy(thing.items)
    for name, items in thing.items.items():
        is_counted = str(getattr(name, "value", name)).startswith("SPEND#")
        before.items[name] = copy.deepcopy(items) if is_counted else dict(items)
    return before


@pytest.fixture(scope="session", autouse=True)
def _transactions_are_cheap() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamodb_models, "copy", SimpleNamespace(deepcopy=kept))
        yield


_parse, _parsed = ASLParser.state_machine, {}


def parsed_once(parser: Any) -> Any:
    """The parse tree of a definition: moto makes it for each execution, and takes its time."""
    text = parser.getTokenStream().tokenSource.inputStream.strdata
    if text not in _parsed:
        tree = _parse(parser)
        if parser.getNumberOfSyntaxErrors():
            return tree
        _parsed[text] = tree
    return _parsed[text]


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
        stage.slept(wait_seconds)

    monkeypatch.setattr(WaitFunction, "_wait_interval", wait)

    def pause(seconds: float) -> None:
        stage.pauses.append(seconds)
        stage.elapsed += seconds

    monkeypatch.setattr(retrier_decl, "time", SimpleNamespace(sleep=pause))

    # Under threads, moto lets two conditional writes win: one request at a time.
    real, lock = BotocoreStubber.process_request, threading.RLock()

    def one_at_a_time(self: Any, request: Any) -> Any:
        with lock:
            return real(self, request)

    monkeypatch.setattr(BotocoreStubber, "process_request", one_at_a_time)


@pytest.fixture
def stage(
    simulator: Any, handlers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    with stage_on(simulator, handlers, monkeypatch) as made:
        yield made


OF_FILMS = frozenset({"take_up", "conclude"})


@dataclass
class FilmStage(Stage):
    """A stage with `render_film`: hand scripts in, run them to their end, stop them in the middle.

    moto 5.2.5 runs the real machine but for three things, which are mended here and watched by
    test_film_substrate.py: its parser takes ToleratedFailurePercentage with a decimal point only
    (and gives it no effect: a map goes on anyway when an item fails), its `startExecution` hands
    the parameters to boto3 under the names of the state language, and `.sync` looks every half
    second. An item's states have no history in it: `self.turns` has what TakeUp decided.
    """

    film_machine_arn: str = ""
    turns: list[dict[str, Any]] = field(default_factory=list)
    dead: set[str] = field(default_factory=set)
    largest: dict[str, int] = field(default_factory=dict)
    is_over: bool = False
    at_work: list[str] = field(default_factory=list)

    def prepare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text = definition("render_film", RenderClipArn=self.machine_arn)
        self.film_machine_arn = boto3.client("stepfunctions", REGION).create_state_machine(
            name="render_film",
            definition=re.sub(r'("ToleratedFailurePercentage": \d+)(?=[,}])', r"\1.0", text),
            roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine",
        )["stateMachineArn"]
        monkeypatch.setenv("FILM_STATE_MACHINE_ARN", self.film_machine_arn)
        client = boto3.client("stepfunctions", REGION)

        def start_execution(**named: Any) -> dict[str, Any]:
            self._weigh("render_clip", named["Input"])
            lower = {name[0].lower() + name[1:]: value for name, value in named.items()}
            return {"ExecutionArn": client.start_execution(**lower)["executionArn"]}

        def describe_execution(**named: Any) -> Any:
            is_running = status(named["executionArn"]) == "RUNNING"
            return {"status": "RUNNING"} if is_running else client.describe_execution(**named)

        shim = SimpleNamespace(
            start_execution=start_execution, describe_execution=describe_execution
        )
        monkeypatch.setattr(state_task_service_sfn, "boto_client_for", lambda **_: shim)
        monkeypatch.setattr(
            state_task_service_callback, "_DELAY_SECONDS_SYNC_CONDITION_CHECK", 0.02
        )

    def slept(self, seconds: float) -> None:
        """As many states wait at a time, time goes on by the longest wait, not by their sum."""
        begun = self.elapsed
        threading.Event().wait(0.1)
        self.elapsed = max(self.elapsed, begun + seconds)
        if self.while_waiting is not None:
            self.while_waiting()

    def invoke(self, folder: str, event: dict[str, Any]) -> dict[str, Any]:
        if self.is_over or event.get("marker") in self.dead:
            threading.Event().wait()  # a daemon thread of an execution that was stopped
        self._weigh(folder, json.dumps(event))
        self.at_work.append(folder)
        try:
            answer = super().invoke(folder, event)
        finally:
            self.at_work.remove(folder)
        content = answer["Payload"].read()
        self._weigh(folder, content)
        if folder == "take_up":
            self.turns.append(json.loads(content))
        return {**answer, "Payload": io.BytesIO(content)}

    def _weigh(self, what: str, document: str | bytes) -> None:
        size = len(document if isinstance(document, bytes) else document.encode())
        self.largest[what] = max(self.largest.get(what, 0), size)

    def accept(
        self, script: Any, key: str | None = None, **order: Any
    ) -> tuple[FilmRun, tuple[FilmClip, ...]]:
        """Hand a script in; its run is under way."""
        text = script if isinstance(script, str) else json.dumps(script)
        return wiring.director().accept(text, FilmOrder(**order), CALLER, key)

    def film(self, script: Any, key: str | None = None, **order: Any) -> FilmRun:
        """Hand a script in, wait for its end; the run as it is on record then."""
        run, _ = self.accept(script, key, **order)
        return self.end(run)

    def end(self, run: FilmRun) -> FilmRun:
        """A run's record once its execution has ended."""
        self.watch_film(run)
        return wiring.manifest().run(run.film, run.run_id)

    def watch_film(self, run: FilmRun) -> Execution:
        """Wait for the run's newest execution to end."""
        return self.watch(self.film_machine_arn, run.marker)

    def stop_film(self, run: FilmRun, *, with_clips: bool = False) -> None:
        """End the run's execution in the middle, as an operator or an outage does."""
        self.dead.add(run.marker)
        arn = self.film_machine_arn.replace("stateMachine", "execution")
        self._stop(f"{arn}:{run.marker}")
        if with_clips:
            self.stop_clips()

    def stop_clips(self) -> list[str]:
        """End all executions of clips in the middle; says which."""
        stopped = [self._stop(arn) for arn in self._running(self.machine_arn)]
        for _ in range(200):  # a function that is at work writes what it has to, and in its time
            if not set(self.at_work).intersection(self.handlers) - OF_FILMS:
                break
            threading.Event().wait(0.01)
        return stopped

    def _running(self, machine_arn: str) -> list[str]:
        client = boto3.client("stepfunctions", REGION)
        found = client.list_executions(stateMachineArn=machine_arn, statusFilter="RUNNING")
        return [execution["executionArn"] for execution in found["executions"]]

    def _stop(self, arn: str) -> str:
        client = boto3.client("stepfunctions", REGION)
        for _ in range(200):
            # moto cannot stop one that it has not begun with.
            with suppress(AttributeError):
                client.stop_execution(executionArn=arn)
                break
            threading.Event().wait(0.01)
        # moto says so only when the last state has come to its end.
        backend = stepfunctions_parser_backends[ACCOUNT][REGION]
        backend.describe_execution(arn).exec_status = ExecutionStatus.ABORTED
        return arn.rpartition(":")[2]

    def close(self) -> None:
        """End what a failed test left, so that it does not run on in the next one's cloud."""
        machines = (self.film_machine_arn, self.machine_arn)
        for _ in range(300):
            if not any(self._running(machine) for machine in machines):
                return
            threading.Event().wait(0.02)
        self.is_over = True
        for machine in machines:
            for arn in self._running(machine):
                self._stop(arn)
        raise AssertionError("executions were still running")

    @staticmethod
    def calm(monkeypatch: pytest.MonkeyPatch) -> None:
        """From now on, nothing goes wrong at xAI, whatever prompts ask for."""
        monkeypatch.setattr(Markers, "at", lambda self, stage: ())
        monkeypatch.setattr(Markers, "has", lambda self, name: False)

    def entries(self, film: str) -> dict[str, ManifestEntry]:
        return {entry.id: entry for entry in wiring.manifest().entries(film)}

    def renders(self, film: str) -> dict[str, list[Render]]:
        """Every render of a film that is on record, by clip, oldest first."""
        found: dict[str, list[Render]] = {}
        for render in reversed(wiring.manifest().renders(self.now(), 1000)):
            if render.pipeline_request_id == film:
                found.setdefault(render.clip_id, []).append(render)
        return found

    def videos(self) -> list[dict[str, Any]]:
        """The jobs for clips that xAI started."""
        return [job for job in self.jobs() if not job["task"].endswith("image")]

    def stills(self) -> list[dict[str, Any]]:
        """The stills that xAI made."""
        return [job for job in self.jobs() if job["task"].endswith("image")]

    def document(self, key: str | None) -> Any:
        """A JSON document in the library."""
        assert key is not None
        return json.loads(b"".join(wiring.library().read(key)))


@pytest.fixture
def films(
    simulator: Any, handlers: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[FilmStage]:
    # Polls of one clip pass time for all of them.
    with stage_on(
        simulator, handlers, monkeypatch, FilmStage, VIDEO_GEN_POLL_TIMEOUT_MS="21600000"
    ) as made:
        yield made
