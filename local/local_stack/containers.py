"""Runs one function on one event with `sam local invoke`, in Lambda's own image.

SAM knows nothing of the local stack: a copy of the template is built that has the stack's address
among its variables, for this machine's processor, and the deployed function's variables are given
in SAM's file. The container shares the host's network, or it could not reach loopback.
"""

import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from local_stack.endpoints import Endpoints
from local_stack.errors import InvocationFailed
from local_stack.invocation import Invocation, configuration
from local_stack.packaging import FUNCTION, LAYER, Template

ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
DOCKER_PATIENCE = 10


def is_possible() -> bool:
    """Whether there is a Docker whose containers reach this machine's loopback."""
    docker = shutil.which("docker")
    if docker is None or not sys.platform.startswith("linux"):
        return False
    try:
        done = subprocess.run(  # noqa: S603
            [docker, "info"], capture_output=True, timeout=DOCKER_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def invoke(
    template: Template, project: Path, endpoints: Endpoints, name: str, event: Any, sam: Path
) -> Invocation:
    """Build the function with this logical id and run it on an event, against a running stack.

    The template is the project's as it was read; it is changed. Raises InvocationFailed when SAM
    does not get as far as an answer.
    """
    deployed = configuration(endpoints, name)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="invoke-") as made:
        folder = Path(made)
        source = folder / "source.json"
        source.write_text(json.dumps(copied(template, endpoints)))
        (folder / "event.json").write_text(json.dumps(event))
        variables = deployed.get("Environment", {}).get("Variables", {})
        (folder / "variables.json").write_text(
            json.dumps({name: {**variables, "PRESETS_DIR": "/opt", **endpoints.environment()}})
        )
        run(building(sam, name, source, project, folder / "built"), project, endpoints)
        output = run(invoking(sam, name, folder), project, endpoints)
    answer = answered(output.stdout)
    is_error = isinstance(answer, dict) and "errorType" in answer
    seconds = time.monotonic() - began
    return Invocation(
        None if is_error else answer, answer if is_error else None, output.stderr, seconds
    )


def copied(template: Template, endpoints: Endpoints) -> Template:
    """The template as SAM can run it here. Changes it."""
    architecture = ARCHITECTURES[platform.machine().lower()]
    shared = template["Globals"]["Function"]
    shared["Architectures"] = [architecture]
    # SAM hands over only variables that the template names.
    shared["Environment"]["Variables"].update(dict.fromkeys(endpoints.environment(), ""))
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == LAYER:
            properties["CompatibleArchitectures"] = [architecture]
            if "BuildArchitecture" in resource.get("Metadata", {}):
                resource["Metadata"]["BuildArchitecture"] = architecture
        elif resource["Type"] == FUNCTION:
            properties.pop("Architectures", None)
    return template


def building(sam: Path, name: str, source: Path, project: Path, built: Path) -> list[str]:
    """The command that builds one function and its layers."""
    return [
        *(str(sam), "build", name),
        *("--template-file", str(source), "--base-dir", str(project)),
        *("--build-dir", str(built)),
        *("--cached", "--cache-dir", str(project / ".aws-sam" / "cache")),
    ]


def invoking(sam: Path, name: str, folder: Path) -> list[str]:
    """The command that runs it on the event in a folder."""
    return [
        *(str(sam), "local", "invoke", name),
        *("--template-file", str(folder / "built" / "template.yaml")),
        *("--event", str(folder / "event.json"), "--env-vars", str(folder / "variables.json")),
        *("--docker-network", "host"),
    ]


def run(
    command: list[str], project: Path, endpoints: Endpoints
) -> subprocess.CompletedProcess[str]:
    """SAM at work, with the stack's credentials and none of the caller's."""
    kept = {name: held for name, held in os.environ.items() if not name.startswith("AWS_")}
    given = {**kept, **endpoints.environment(), "SAM_CLI_TELEMETRY": "0"}
    # Of the function only, which has it among its variables: SAM itself has nothing to ask there.
    del given["AWS_ENDPOINT_URL"]
    done = subprocess.run(  # noqa: S603
        command, env=given, cwd=project, capture_output=True, text=True, check=False
    )
    if done.returncode != 0 and not done.stdout.strip():
        raise InvocationFailed(f"{' '.join(command[:3])} failed:\n{done.stderr[-4000:]}")
    return done


def answered(output: str) -> Any:
    """The function's answer: the last thing that SAM prints. Raises InvocationFailed."""
    for line in reversed(output.strip().splitlines()):
        try:
            return json.loads(line)
        except ValueError:
            continue
    raise InvocationFailed(f"sam printed no answer:\n{output[-2000:]}")
