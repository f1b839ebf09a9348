"""Where requests go: a deployed API, or the stack that runs on this machine."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from videoconductor_cli.errors import BadInput, NoAnswer

if TYPE_CHECKING:
    from botocore.credentials import Credentials

    from local_stack import Endpoints

CHECKOUT = Path(__file__).resolve().parents[2]
DATA_FOLDER = ".videoconductor"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_REGION = re.compile(r"\.execute-api\.([a-z0-9-]+)\.amazonaws\.com")


@dataclass(frozen=True)
class Address:
    """An API, and who signs the requests to it."""

    base_url: str
    region: str
    credentials: Credentials = field(repr=False)
    is_local: bool = False


def project() -> Path:
    """The folder of template.yaml: this checkout, or where the command was given."""
    return CHECKOUT if (CHECKOUT / "template.yaml").is_file() else Path.cwd()


def stack_folder(given: Path | None) -> Path:
    """Where the local stack keeps its data."""
    return given or project() / DATA_FOLDER


def find(api: str | None, data_folder: Path | None) -> Address:
    """The deployed API when one is named, otherwise the running local stack.

    Raises BadInput for an address that is none, NoAnswer when there is nothing to talk to.
    """
    return deployed(api) if api is not None else local(stack_folder(data_folder))


def deployed(url: str) -> Address:
    """A deployed API, with the credentials and region of the usual AWS chain."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (parsed on access; a bad port raises)
    except ValueError:
        raise BadInput(f"--api: {url!r} is not a url") from None
    is_local = parts.hostname in LOOPBACK
    if not parts.hostname or parts.scheme != ("http" if is_local else "https"):
        raise BadInput(f"--api: {url!r} must be an https url")
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.Session()
        credentials = session.get_credentials()
    except BotoCoreError as problem:
        raise NoAnswer(f"no AWS credentials: {problem}") from problem
    if credentials is None:
        raise NoAnswer("no AWS credentials: set AWS_PROFILE, or run `aws configure`")
    named = _REGION.search(parts.hostname or "")
    # boto3 heeds AWS_DEFAULT_REGION only.
    region = named.group(1) if named else os.environ.get("AWS_REGION") or session.region_name
    if region is None:
        raise BadInput("no AWS region: set AWS_REGION")
    return Address(url.rstrip("/"), region, credentials, is_local)


def local(data_folder: Path) -> Address:
    """The stack that runs on this machine with its data in this folder."""
    from local_stack import connect

    running = connect(data_folder)
    if running is None:
        raise NoAnswer(
            "no local stack is running: start it with `videoconductor local up`, "
            "or name a deployed API with --api URL"
        )
    return of(running)


def of(running: Endpoints) -> Address:
    """A local stack that runs."""
    from botocore.credentials import Credentials

    credentials = Credentials(running.access_key_id, running.secret_access_key)
    return Address(running.api_url, running.region, credentials, is_local=True)
