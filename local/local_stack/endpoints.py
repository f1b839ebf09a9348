"""Where a running stack answers, as an object and as stack.json in the data folder."""

import json
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from local_stack.folder import Folder, write_private

ALIVE_PATH = "/_local_stack/alive"


@dataclass(frozen=True)
class Endpoints:
    """All that a client of the stack needs. Never a real xAI key."""

    api_url: str
    api_id: str
    aws_endpoint_url: str
    region: str
    access_key_id: str
    secret_access_key: str
    bucket: str
    table: str
    state_machine_arn: str
    event_bus: str
    auth: bool
    simulator_origin: str | None = None
    simulator_key: str | None = None
    emulator_digest: str = ""
    simulator_digest: str = ""
    tokens_secret: str = ""

    def environment(self) -> dict[str, str]:
        """What boto3 and the AWS CLI read to talk to this stack."""
        return {
            "AWS_ENDPOINT_URL": self.aws_endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }


def write(folder: Folder, endpoints: Endpoints) -> None:
    write_private(folder.stack_file, json.dumps(asdict(endpoints), indent=2) + "\n")


def read(folder: Folder) -> Endpoints | None:
    try:
        return Endpoints(**json.loads(folder.stack_file.read_text()))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return None


def connect(data_folder: Path) -> Endpoints | None:
    """The running stack of this data folder, or None."""
    folder = Folder(data_folder.expanduser().resolve())
    endpoints = read(folder)
    if endpoints is None or not is_alive(endpoints.aws_endpoint_url, folder):
        return None
    return endpoints


def is_alive(endpoint_url: str, folder: Folder) -> bool:
    """Does the emulator of this folder, and no other, answer there?"""
    return fetched(f"{endpoint_url}{ALIVE_PATH}") == {"folder": f"{folder.root}/"}


def fetched(url: str, method: str = "GET", key: str | None = None) -> object:
    """JSON from a loopback address, past any proxy; None when there is no answer."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310
    try:
        with direct.open(request, timeout=10) as response:
            answer: object = json.load(response)
            return answer
    except (OSError, urllib.error.HTTPError, json.JSONDecodeError):
        return None
