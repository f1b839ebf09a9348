"""A drilled local stack, seen from outside: what callers do to it, and what is to be seen after."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from local_stack import Endpoints, LocalStack, Options, sweep
from local_stack.deployment import STACK
from local_stack.errors import LocalStackError
from local_stack.stack import save
from tests.reliability import project
from tests.reliability.plans import Calls, Case, read_calls
from videoconductor.clip import SETTLED, Render
from videoconductor.conductor import derived_id

PARAMETERS = {
    "PollIntervalMs": "500",
    "PollLingerSeconds": "5",  # its function has less time, too
    # So that no clip waits for another's: each run of Start makes the same calls then.
    "RequestsPerSecond": "1000",
    "LeaseSeconds": "4",
    "StartTaskSeconds": "60",
    "StartFunctionSeconds": "25",
    "PollTimeoutMs": "180000",
    "CopySeconds": "10",
    "SweepState": "DISABLED",
}
WAIT_SCALE = 0.5
JOB_SECONDS = 0.3
PATIENCE = 150.0  # seconds for one case; on a machine that does other things as well
TRIES = 6  # of a caller, and one more than AWS makes of an asynchronous event
NOT_YET = 0.8


@dataclass
class Stage:
    """The stack, and what belongs to a drill of it in one folder."""

    folder: Path
    start: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    auth: bool = False
    wait_scale: float = WAIT_SCALE

    def __post_init__(self) -> None:
        for part in ("plans", "names", "fired", "calls", "lost"):
            (self.drills / part).mkdir(parents=True, exist_ok=True)
        source = project.copied(self.folder / "project", self.start)
        options = Options(
            auth=self.auth,
            parameters=PARAMETERS | self.parameters,
            job_seconds=JOB_SECONDS,
            wait_scale=self.wait_scale,
            function_environment={"DRILL_FOLDER": str(self.drills), **self.environment},
        )
        self.stack = LocalStack(self.folder / "data", source, options)
        self.told: list[dict[str, Any]] = []
        self.called_back: list[str] = []
        self._running: tuple[float, frozenset[str]] = (0.0, frozenset())
        self._lock = threading.Lock()

    @property
    def drills(self) -> Path:
        return self.folder / "drill"

    def up(self) -> None:
        """Start it, and listen to its events and webhooks."""
        self.receiver = receiver(self.called_back)
        self.connect(self.stack.up())
        sqs, events = self.client("sqs"), self.client("events")
        self.queue = sqs.create_queue(QueueName="drills")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        target = {"Id": "drills", "Arn": arn["Attributes"]["QueueArn"]}
        pattern = json.dumps({"source": ["videoconductor"]})
        bus = self.endpoints.event_bus
        events.put_rule(Name="drills", EventBusName=bus, EventPattern=pattern)
        events.put_targets(Rule="drills", EventBusName=bus, Targets=[target])
        save(self.endpoints.aws_endpoint_url)

    def connect(self, endpoints: Endpoints) -> None:
        self.endpoints = endpoints
        self._clients: dict[str, Any] = {}

    def down(self) -> None:
        self.stack.down()

    def kill(self) -> None:
        """kill -9 of every process of the stack, the simulator's too."""
        found = self.stack.status()
        for process in (*found.emulators, *found.functions, *found.simulators):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def client(self, name: str) -> Any:
        """A client of one of the stack's services."""
        with self._lock:
            if name not in self._clients:
                ends = self.endpoints
                self._clients[name] = boto3.client(  # type: ignore[call-overload]
                    name,
                    endpoint_url=ends.aws_endpoint_url,
                    region_name=ends.region,
                    aws_access_key_id=ends.access_key_id,
                    aws_secret_access_key=ends.secret_access_key,
                    config=Config(max_pool_connections=40, read_timeout=120),
                )
        return self._clients[name]

    # ── What callers do ─────────────────────────────────────────────────────────────────────────
    def ask(
        self,
        token: str,
        method: str,
        path: str,
        body: Any,
        is_done: Callable[[], bool] = lambda: False,
    ) -> dict[str, Any]:
        """What a patient caller gets in the end: it repeats its request, under one key.

        `is_done` where a command has no key: its caller looks whether it has come to be.
        """
        last, end, tries = "", time.monotonic() + PATIENCE, 0
        while tries < TRIES and time.monotonic() < end:
            tries += 1
            try:
                answer = self.call(token, method, path, body)
                if answer.status_code < 400:
                    found: dict[str, Any] = answer.json()
                    return found
                last = f"{answer.status_code} {answer.text[:300]}"
                if answer.status_code < 500 and answer.status_code != 429:
                    break
            except httpx.HTTPError as problem:
                last = type(problem).__name__
                tries -= isinstance(problem, httpx.ConnectError)  # it comes up again
            time.sleep(0.3)
            if is_done():
                return {}
        raise AssertionError(f"{method} {path} of {token}: {last}")

    def call(self, token: str, method: str, path: str, body: Any) -> httpx.Response:
        headers = {"Content-Type": "application/json", "X-Drill": token}
        if path in {"/v1/videos", "/v1/films"}:
            headers["Idempotency-Key"] = token
        return self.send(method, path, json.dumps(body).encode(), headers)

    def send(
        self, method: str, path: str, content: bytes, headers: dict[str, str]
    ) -> httpx.Response:
        """A request as it is, signed."""
        ends = self.endpoints
        url = ends.api_url.rstrip("/") + path
        request = AWSRequest(method, url, data=content, headers=headers)
        credentials = Credentials(ends.access_key_id, ends.secret_access_key)
        SigV4Auth(credentials, "execute-api", ends.region).add_auth(request)
        return httpx.request(
            method, url, content=content, headers=dict(request.headers), timeout=90
        )

    def put(self, key: str, document: Any) -> None:
        self.put_bytes(key, json.dumps(document).encode())

    def put_bytes(self, key: str, content: bytes) -> None:
        self.client("s3").put_object(Bucket=self.endpoints.bucket, Key=key, Body=content)

    def routes(self) -> list[tuple[str, str]]:
        """Method and path of every route of the API."""
        found = self.client("apigatewayv2").get_routes(ApiId=self.endpoints.api_id)["Items"]
        return [tuple(route["RouteKey"].split(" ", 1)) for route in found]

    def publish(self, kind: str, detail: Any) -> None:
        entry = {
            "EventBusName": self.endpoints.event_bus,
            "Source": "drills",
            "DetailType": kind,
            "Detail": json.dumps(detail),
        }
        self.client("events").put_events(Entries=[entry])

    def deliver_again(self, case: Case) -> None:
        """What AWS does with an event whose function failed: it comes again, twice at most."""
        event = self.drills / "lost" / f"{case.token}.json"
        for _ in range(2):
            answer = self.client("lambda").invoke(
                FunctionName=self.function(case.point.function), Payload=event.read_bytes()
            )
            answer["Payload"].read()
            if "FunctionError" not in answer:
                return

    def function(self, name: str) -> str:
        """The deployed function of a folder in functions/."""
        wanted = "".join(part.capitalize() for part in name.split("_")) + "Function"
        found = self.client("cloudformation").describe_stack_resource(
            StackName=STACK, LogicalResourceId=wanted
        )
        physical: str = found["StackResourceDetail"]["PhysicalResourceId"]
        return physical

    def sweep(self) -> None:
        """The scheduled sweep, as often as it may be needed for what it did not get to."""
        for _ in range(3):
            with suppress(LocalStackError):
                sweep(self.endpoints, may_post=True)
                return

    # ── What is to be seen ──────────────────────────────────────────────────────────────────────
    def plan(self, case: Case) -> None:
        """Tell the drill what is to happen to the events of a case."""
        path = self.drills / "plans" / f"{case.token}.json"
        path.write_text(json.dumps(case.plan))
        caller = f"arn:aws:iam::{self.endpoints.access_key_id}:root"
        (self.drills / "names" / derived_id(caller, case.token)).write_text(case.token)

    def fired(self, token: str) -> int:
        """How often the fault that was planned for a token has struck."""
        with suppress(FileNotFoundError):
            return len((self.drills / "fired" / f"{token}.jsonl").read_bytes().splitlines())
        return 0

    def first_shot(self, token: str) -> dict[str, Any] | None:
        """What the drill wrote down when its fault struck first."""
        with suppress(FileNotFoundError):
            lines = (self.drills / "fired" / f"{token}.jsonl").read_text().splitlines()
            found: dict[str, Any] = json.loads(lines[0])
            return found
        return None

    def calls(self, token: str) -> Calls:
        with suppress(FileNotFoundError):
            return read_calls((self.drills / "calls" / f"{token}.jsonl").read_text())
        return {}

    def running(self, fresh: bool = False) -> frozenset[str]:
        """Ids of renders and runs that have an execution under way, half a second ago at most."""
        with self._lock:
            at, names = self._running
            if not fresh and time.monotonic() - at < 0.5:
                return names
        machines = self.client("stepfunctions").list_state_machines()["stateMachines"]
        names = frozenset(
            execution["name"].rpartition("-")[0]
            for machine in machines
            for page in self.client("stepfunctions")
            .get_paginator("list_executions")
            .paginate(stateMachineArn=machine["stateMachineArn"], statusFilter="RUNNING")
            for execution in page["executions"]
        )
        with self._lock:
            self._running = (time.monotonic(), names)
        return names

    def record(self, render_id: str) -> Render:
        key = {"pk": {"S": f"RENDER#{render_id}"}, "sk": {"S": "RENDER"}}
        found = self.client("dynamodb").get_item(
            TableName=self.endpoints.table, Key=key, ConsistentRead=True
        )
        return Render.model_validate_json(found["Item"]["document"]["S"])

    def renders_of(self, token: str) -> list[str]:
        """Ids of a film's renders, among the newest."""
        found = self.client("dynamodb").query(
            TableName=self.endpoints.table,
            IndexName="renders",
            KeyConditionExpression="listed = :month",
            ExpressionAttributeValues={":month": {"S": f"RENDERS#{datetime.now(UTC):%Y-%m}"}},
            ScanIndexForward=False,
            Limit=100,
        )["Items"]
        return [
            item["pk"]["S"].removeprefix("RENDER#")
            for item in found
            if f'"{token}"' in item["document"]["S"]
        ]

    def is_at_rest(self, render_id: str) -> Callable[[], bool]:
        return lambda: self.record(render_id).status in SETTLED

    def goes_again(self, render_id: str) -> Callable[[], bool]:
        return lambda: self.record(render_id).executions > 1

    def until_rest(self, render_id: str) -> None:
        self.until(self.is_at_rest(render_id))

    def until(self, check: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Look again and again; a stack that does not answer comes up again."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with suppress(BotoCoreError, ClientError, OSError):
                if check():
                    return
            time.sleep(0.3)
        raise AssertionError("it did not happen in time")

    def journal(self) -> dict[str, list[dict[str, Any]]]:
        """Every request that the simulator got, and every job that it has started."""
        with urllib.request.urlopen(f"{self.endpoints.simulator_origin}/_sim/journal") as answer:
            found: dict[str, list[dict[str, Any]]] = json.load(answer)
        return found

    def jobs(self, text: str) -> list[dict[str, Any]]:
        """The jobs that were started for a prompt."""
        digest = hashlib.sha256(text.encode()).hexdigest()
        return [job for job in self.journal()["jobs"] if digest == job["prompt_sha256"]]

    def listen(self) -> None:
        """Take what lies in the queue of events."""
        sqs = self.client("sqs")
        while True:
            found = sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
            messages = found.get("Messages", [])
            if not messages:
                return
            self.told += [json.loads(message["Body"]) for message in messages]
            for message in messages:
                sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    def table(self) -> list[dict[str, Any]]:
        """Everything in the table."""
        pages = self.client("dynamodb").get_paginator("scan")
        found = pages.paginate(TableName=self.endpoints.table, ConsistentRead=True)
        return [item for page in found for item in page["Items"]]

    def objects(self, prefix: str) -> list[str]:
        """The keys under a prefix."""
        pages = self.client("s3").get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self.endpoints.bucket, Prefix=prefix)
        return [row["Key"] for page in found for row in page.get("Contents", [])]

    def content(self, key: str) -> bytes:
        found = self.client("s3").get_object(Bucket=self.endpoints.bucket, Key=key)
        content: bytes = found["Body"].read()
        return content


def receiver(told: list[str]) -> str:
    """The origin of a server that takes every webhook, and the paths that it was called by."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            told.append(self.path)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"
