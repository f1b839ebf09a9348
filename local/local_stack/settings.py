"""What a user chooses, and what a data folder remembers."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from local_stack.folder import Folder, write_private

KEY_VARIABLE = "XAI_API_KEY"


@dataclass(frozen=True)
class Options:
    """Everything about a local stack that its user can choose."""

    port: int | None = None
    auth: bool = False
    # With a key the real xAI is used and paid. It is never written anywhere.
    xai_api_key: str | None = field(default=None, repr=False)
    parameters: Mapping[str, str] = field(default_factory=dict)
    function_environment: Mapping[str, str] = field(default_factory=dict)
    simulator_arguments: tuple[str, ...] = ()
    job_seconds: float = 1.5
    wait_scale: float = 1.0  # of the Wait states; 0 skips them

    def __post_init__(self) -> None:
        if KEY_VARIABLE in self.function_environment:
            raise ValueError(f"{KEY_VARIABLE} is given as xai_api_key, nowhere else")

    @property
    def is_authenticated(self) -> bool:
        """A real key is never without authentication."""
        return self.auth or self.xai_api_key is not None

    def emulator_digest(self, salt: str) -> str:
        """Equal digests need no restart of ministack."""
        chosen = [
            self.port,
            self.is_authenticated,
            self.xai_api_key,
            dict(self.function_environment),
            self.wait_scale,
        ]
        return hashlib.sha256(f"{salt}{json.dumps(chosen, sort_keys=True)}".encode()).hexdigest()

    def simulator_digest(self) -> str:
        """Equal digests need no restart of the simulator."""
        chosen = [self.xai_api_key is None, *self.simulator_arguments, self.job_seconds]
        return hashlib.sha256(json.dumps(chosen).encode()).hexdigest()


@dataclass(frozen=True)
class Remembered:
    """What a data folder keeps for the next start. Nothing in it opens the real xAI.

    The account is drawn by lot, so that nobody can guess the names that function credentials
    are made from. The ports stay because records hold urls.
    """

    account: str
    simulator_key: str
    port: int | None = None
    simulator_port: int | None = None


def remembered(folder: Folder) -> Remembered:
    """What is remembered, or a beginning."""
    try:
        return Remembered(**json.loads(folder.settings_file.read_text()))
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        account = str(secrets.randbelow(9 * 10**11) + 10**11)
        return Remembered(account, f"simulated-{secrets.token_hex(12)}")


def remember(folder: Folder, settings: Remembered) -> None:
    write_private(folder.settings_file, json.dumps(asdict(settings), indent=2) + "\n")
