"""What a request to the door `submit` takes on a function that is warm, the naive way beside ours.

Each runs in a process of its own, with the clients it has; this one answers as DynamoDB and Step
Functions do, keeps nothing, and counts. Turn about each is given a batch of the same requests, each
with an Idempotency-Key that is new: what counts is the processor's time of its process in the
median batch. Plain HTTP to this machine: on AWS there is TLS as well. The naive way's Tracer traces
nothing outside Lambda; the SDK it wants comes from a registry. Usage: python -m benchmarks.door
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

from benchmarks.imports import NAIVE, ROOT, SETTINGS, TRACER
from benchmarks.rows import Row, verdict

BATCH = 50
BATCHES = 12
MOST_CALLS = 2
MOST_MS = 2.5
SHARE = 2.5 / 6.5  # of the naive way's, on a machine of another speed
# Where each is, by its module and what it imports from.
WAYS = {
    "naive": ("submit", [NAIVE]),
    "ours": ("app", [ROOT / "functions/submit", ROOT / "layers/videoconductor/python"]),
}
EXECUTION = "arn:aws:states:eu-central-1:111122223333:execution:RenderClip:one"
ANSWERS = {
    "DynamoDB_20120810.GetItem": {},
    "DynamoDB_20120810.PutItem": {},
    "AWSStepFunctions.StartExecution": {"executionArn": EXECUTION, "startDate": 1795378500.0},
}


class Stub(BaseHTTPRequestHandler):
    """Answers what the door may ask, and nothing else."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    asked: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        target = self.headers["X-Amz-Target"]
        self.asked[target] += 1
        text = json.dumps(ANSWERS[target]).encode()
        self.send_response(200)
        self.send_header("Content-Type", self.headers["Content-Type"])
        self.send_header("Content-Length", str(len(text)))
        self.send_header("x-amzn-RequestId", "4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG")
        self.send_header("x-amz-crc32", str(zlib.crc32(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Nothing: it would be timed."""


def events(number: int) -> Iterator[dict[str, Any]]:
    """The event of the door's request, as often as wanted, each with a key of its own."""
    text = (ROOT / "events/submit.json").read_text()
    for one in range(BATCH):
        event = json.loads(text)
        event["headers"]["idempotency-key"] = f"opener-{number}-{one}"
        yield event


def serve(module: str) -> None:
    """Answer a batch for each line that comes in; say how many seconds of the processor it took.

    Raises RuntimeError when a request is not accepted.
    """
    told = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # where log lines go
    handler = import_module(module).handler
    context = SimpleNamespace(
        function_name="submit",
        memory_limit_in_mb=512,
        invoked_function_arn="arn:aws:lambda:eu-central-1:111122223333:function:submit",
        aws_request_id="5f1c1a1c-0b0f-4c5e-9d8b-0f3f1d0c2a11",
        get_remaining_time_in_millis=lambda: 30_000,
    )
    for number, _ in enumerate(sys.stdin):
        batch = [*events(number)]
        began = time.process_time()
        answers = [handler(event, context) for event in batch]
        took = time.process_time() - began
        if refused := [answer for answer in answers if answer["statusCode"] != 202]:
            raise RuntimeError(refused[0])
        print(took, file=told, flush=True)


class Door:
    """One way's process."""

    def __init__(self, module: str, paths: list[Path], endpoint: str) -> None:
        environment = {
            **SETTINGS,
            "AWS_ENDPOINT_URL": endpoint,
            "POWERTOOLS_LOG_LEVEL": "INFO",
            "POWERTOOLS_METRICS_NAMESPACE": "Door",
            "PYTHONPATH": ":".join(map(str, [*paths, ROOT, ROOT / "local"])),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.door", module],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Door:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def seconds(self) -> float:
        """What a batch took. Raises RuntimeError when the process ended."""
        assert self._process.stdin
        assert self._process.stdout
        print(file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the door's process ended")
        return float(line)


@contextmanager
def stub() -> Iterator[str]:
    """The address of what answers in place of AWS."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Stub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def measured() -> dict[str, tuple[float, float]]:
    """Of each way: AWS calls a request, and milliseconds of the processor."""
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    calls: dict[str, int] = dict.fromkeys(WAYS, 0)
    with ExitStack() as stack:
        packages = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        pip += ["--root-user-action", "ignore", "--no-deps", "--target", str(packages)]
        subprocess.run([*pip, TRACER, "wrapt"], check=True)
        endpoint = stack.enter_context(stub())
        doors = {
            name: stack.enter_context(Door(module, [*paths, packages], endpoint))
            for name, (module, paths) in WAYS.items()
        }
        for number in range(-2, BATCHES):
            for name, door in doors.items():
                before = Stub.asked.total()
                seconds = door.seconds()
                if number >= 0:  # the first two warm it
                    calls[name] += Stub.asked.total() - before
                    taken[name].append(seconds)
    return {
        name: (calls[name] / BATCHES / BATCH, statistics.median(taken[name]) / BATCH * 1000)
        for name in WAYS
    }


def rows() -> list[Row]:
    """A row for the calls, and one for the processor's time."""
    found = measured()
    (naive_calls, naive), (calls, ours) = found["naive"], found["ours"]
    return [
        Row(
            "calls to AWS of a warm submit",
            "",
            naive_calls,
            calls,
            f"at most {MOST_CALLS}",
            calls <= MOST_CALLS,
        ),
        Row(
            "CPU of a warm submit",
            "ms",
            naive,
            ours,
            f"at most {MOST_MS} ms, or {SHARE:.2f} of it",
            ours <= MOST_MS or ours <= SHARE * naive,
        ),
    ]


if __name__ == "__main__":
    if sys.argv[1:]:
        serve(sys.argv[1])
    else:
        sys.exit(verdict(rows()))
