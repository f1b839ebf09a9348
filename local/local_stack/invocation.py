"""Runs one function on one event as Lambda would, on this machine and without Docker.

AWS's own runtime client asks a Runtime API for work; here that is a small server on loopback, and
the function is one process, packaged like any other of the local stack, with what the stack has
given the deployed one. It runs from the project's files as they are now.
"""

import contextlib
import io
import json
import os
import subprocess
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local_stack.clients import clients_of
from local_stack.deployment import physical_ids
from local_stack.endpoints import Endpoints
from local_stack.errors import InvocationFailed
from local_stack.launch import PATH
from local_stack.loopback import App, body, serving
from local_stack.packaging import FUNCTION as SAM_FUNCTION
from local_stack.packaging import Template, function_zip

ARN = "arn:aws:lambda:{region}:{account}:function:{name}"
PATIENCE = 15.0  # seconds on top of the function's own time limit, for its start


@dataclass(frozen=True)
class Invocation:
    """What came of an event: the function's answer, or its error as Lambda would report it."""

    answer: Any
    error: Mapping[str, Any] | None
    log: str
    seconds: float


@dataclass
class _Work:
    """The one event, and what the function said to it."""

    event: bytes
    headers: Mapping[str, str]
    is_taken: bool = False
    answer: Any = None
    error: Mapping[str, Any] | None = None
    is_over: threading.Event = field(default_factory=threading.Event)
    is_gone: threading.Event = field(default_factory=threading.Event)


def functions(template: Template) -> dict[str, str]:
    """The functions of a template by the folder of their code; each with its logical id."""
    return {
        Path(resource["Properties"]["CodeUri"]).name: name
        for name, resource in template["Resources"].items()
        if resource["Type"] == SAM_FUNCTION
    }


def invoke(
    template: Template, project: Path, endpoints: Endpoints, name: str, event: Any
) -> Invocation:
    """Run the function with this logical id on an event, against a running stack.

    The template is the project's as it was read. Raises InvocationFailed when the function is not
    deployed there, and when it ends without a word.
    """
    deployed = configuration(endpoints, name)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="invoke-")))
        unpack(function_zip(template, name, project), folder)
        work = _Work(json.dumps(event).encode(), headers(endpoints, deployed))
        where = stack.enter_context(serving(runtime_api(work)))
        stack.callback(work.is_gone.set)
        return run(folder, work, environment(endpoints, deployed, folder, where), deployed)


def configuration(endpoints: Endpoints, name: str) -> Mapping[str, Any]:
    """What Lambda knows about a deployed function: its handler, its variables, its time limit."""
    clients = clients_of(endpoints)
    physical = physical_ids(clients("cloudformation")).get(name)
    if physical is None:
        raise InvocationFailed(f"the local stack has no function {name}")
    found: Mapping[str, Any] = clients("lambda").get_function_configuration(FunctionName=physical)
    return found


def headers(endpoints: Endpoints, deployed: Mapping[str, Any]) -> dict[str, str]:
    """What comes with an event."""
    name = deployed["FunctionName"]
    arn = ARN.format(region=endpoints.region, account=endpoints.access_key_id, name=name)
    deadline = (time.time() + deployed["Timeout"]) * 1000
    return {
        "Lambda-Runtime-Aws-Request-Id": str(uuid.uuid4()),
        "Lambda-Runtime-Deadline-Ms": f"{deadline:.0f}",
        "Lambda-Runtime-Invoked-Function-Arn": arn,
        "Lambda-Runtime-Trace-Id": "",
    }


def environment(
    endpoints: Endpoints, deployed: Mapping[str, Any], folder: Path, runtime: str
) -> dict[str, str]:
    """Nothing of the caller's, as in Lambda: a real key or profile of theirs stays here."""
    given = deployed.get("Environment", {}).get("Variables", {})
    return {
        "PATH": PATH,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        **given,
        **endpoints.environment(),
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_LAMBDA_FUNCTION_NAME": deployed["FunctionName"],
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(deployed.get("MemorySize", 128)),
        "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{deployed['FunctionName']}",
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_LAMBDA_RUNTIME_API": runtime,
        "LAMBDA_TASK_ROOT": str(folder),
        "_HANDLER": deployed["Handler"],
    }


def unpack(zipped: bytes, folder: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(zipped)) as archive:
        archive.extractall(folder)
    (folder / "bootstrap").chmod(0o700)


def run(
    folder: Path, work: _Work, variables: Mapping[str, str], deployed: Mapping[str, Any]
) -> Invocation:
    """Start the function's process and end it once it has answered."""
    began = time.monotonic()
    log_path = folder / "invocation.log"
    with log_path.open("wb") as log:
        child = subprocess.Popen(  # noqa: S603
            [str(folder / "bootstrap")],
            env=dict(variables),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            is_over = wait(work, child, began + deployed["Timeout"] + PATIENCE)
        finally:
            child.kill()
            child.wait()
    text = log_path.read_text(errors="replace")
    seconds = time.monotonic() - began
    if not is_over:
        words = f"{deployed['FunctionName']} gave no answer within {seconds:.0f} s"
        raise InvocationFailed(f"{words}:\n{text[-4000:]}")
    return Invocation(work.answer, work.error, text, seconds)


def wait(work: _Work, child: subprocess.Popen[bytes], until: float) -> bool:
    while not work.is_over.wait(0.05):
        if child.poll() is not None or time.monotonic() > until:
            return work.is_over.is_set()
    return True


def runtime_api(work: _Work) -> App:
    """Lambda's Runtime API with a single event.

    docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
    """

    def answer(asked: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        if asked["REQUEST_METHOD"] == "GET":
            if work.is_taken:
                work.is_gone.wait()  # there is no second event: its process is ended
                start("410 Gone", [])
                return []
            work.is_taken = True
            start("200 OK", [("Content-Type", "application/json"), *work.headers.items()])
            return [work.event]
        content = body(asked)
        if asked["PATH_INFO"].endswith("/response"):
            work.answer = json.loads(content) if content else None
        elif asked["PATH_INFO"].endswith("/error"):
            work.error = json.loads(content)
        start("202 Accepted", [("Content-Type", "application/json")])
        work.is_over.set()
        return [b'{"status": "OK"}']

    return answer
