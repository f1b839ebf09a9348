"""schemathesis against a running local stack: every route, by what docs/openapi.json says of it."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import boto3

from local_stack import Endpoints
from videoconductor import tokens

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
TOKEN = "VIDEOCONDUCTOR_TOKEN"
TALLY = "FUZZ_TALLY"  # a file that is to have a line for each answer: operation and status
TIMES = "FUZZ_TIMES"  # how many times as many examples hypothesis tries as it does in `make test`


def examples(few: int) -> int:
    """How many examples a test of hostile input tries, which is few unless it is asked for more."""
    return few * int(os.environ.get(TIMES, "1"))


def token(endpoints: Endpoints) -> str:
    """A new service token of the stack that may read and submit."""
    client = boto3.client(
        "secretsmanager",
        endpoint_url=endpoints.aws_endpoint_url,
        region_name=endpoints.region,
        aws_access_key_id=endpoints.access_key_id,
        aws_secret_access_key=endpoints.secret_access_key,
    )
    secret = endpoints.tokens_secret
    text, made = tokens.mint("fuzz", tokens.SCOPES, datetime.now(UTC), None, os.urandom)
    known = tokens.read(client.get_secret_value(SecretId=secret)["SecretString"])
    client.put_secret_value(SecretId=secret, SecretString=known.with_token(made).text())
    return text


def command(endpoints: Endpoints, *arguments: str) -> list[str]:
    """The command line that looks at a stack."""
    return [
        *(sys.executable, "-m", "schemathesis.cli"),
        *("--config-file", str(HERE / "schemathesis.toml")),
        *("run", str(ROOT / "docs/openapi.json"), "--url", endpoints.api_url.rstrip("/")),
        *arguments,
    ]


def environment(endpoints: Endpoints, token: str) -> dict[str, str]:
    """What it runs in: nothing of a real AWS account gets near it."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
        TOKEN: token,
        **endpoints.environment(),
    }


def run(endpoints: Endpoints, tally: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis against a stack; it answers 0 when nothing was found."""
    return subprocess.run(
        command(endpoints, *arguments),
        cwd=tally.parent,  # it leaves files where it is
        env={**environment(endpoints, token(endpoints)), TALLY: str(tally)},
        text=True,
        capture_output=True,
        check=False,
    )
