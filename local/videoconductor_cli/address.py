"""Where requests go: a deployed API, or the stack that runs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from videoconductor_cli.errors import BadInput, NoAnswer

if TYPE_CHECKING:
    from local_stack import Endpoints
    from videoconductor import VideoConductor

CHECKOUT = Path(__file__).resolve().parents[2]
DATA_FOLDER = ".videoconductor"


def project() -> Path:
    """The folder of template.yaml: this checkout, or where the command was given."""
    return CHECKOUT if (CHECKOUT / "template.yaml").is_file() else Path.cwd()


def stack_folder(given: Path | None) -> Path:
    """Where the local stack keeps its data."""
    return given or project() / DATA_FOLDER


def client(api: str | None, data_folder: Path | None) -> VideoConductor:
    """A client of the deployed API when one is named, otherwise of the running local stack.

    Raises BadInput for an address that is none, NoAnswer or Unauthorized when there is nothing to
    talk to, or no way to.
    """
    return deployed(api) if api is not None else local(stack_folder(data_folder))


def deployed(url: str) -> VideoConductor:
    """A client of a deployed API, with the credentials and region of the usual AWS chain."""
    from videoconductor import VideoConductor
    from videoconductor.client.asking import is_local

    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  (parsed on access; a bad port raises)
    except ValueError:
        raise BadInput(f"--api: {url!r} is not a url") from None
    if not parts.hostname or parts.scheme != ("http" if is_local(url) else "https"):
        raise BadInput(f"--api: {url!r} must be an https url")
    try:
        return VideoConductor(url)
    except ValueError as problem:
        raise BadInput(str(problem)) from problem


def local(data_folder: Path) -> VideoConductor:
    """A client of the stack that runs on this machine with its data in this folder."""
    return of(running(data_folder, "name a deployed API with --api URL"))


def running(data_folder: Path, otherwise: str | None = None) -> Endpoints:
    """The stack that runs with its data in this folder. Raises NoAnswer.

    `otherwise` says what else to do without one.
    """
    from local_stack import connect

    found = connect(data_folder)
    if found is None:
        words = "no local stack is running: start it with `videoconductor local up`"
        raise NoAnswer(f"{words}, or {otherwise}" if otherwise else words)
    return found


def of(stack: Endpoints) -> VideoConductor:
    """A client of a local stack that runs."""
    from botocore.credentials import Credentials

    from videoconductor import VideoConductor

    credentials = Credentials(stack.access_key_id, stack.secret_access_key)
    return VideoConductor(stack.api_url, region=stack.region, credentials=credentials)
