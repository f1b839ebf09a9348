"""The local stack: up, down, status."""

import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from local_stack import children, endpoints
from local_stack.children import BOOTSTRAP, EMULATOR, FUNCTION, SIMULATOR
from local_stack.clients import client_factory
from local_stack.deployment import deploy
from local_stack.durable import SAVE_PATH
from local_stack.endpoints import Endpoints, connect
from local_stack.errors import DeployFailed
from local_stack.folder import Folder, locked, opened
from local_stack.launch import REGION, check_installed, simulates, start_emulator, start_simulator
from local_stack.packaging import Package, package
from local_stack.settings import Options, Remembered, remember, remembered

T = TypeVar("T")

LOCK_PATIENCE = 120.0
STOP_PATIENCE = 10.0
FILM_CONCURRENCY = "8"  # each clip under way may need a function process of its own


@dataclass(frozen=True)
class Status:
    """What `videoconductor local status` shows."""

    endpoints: Endpoints | None
    emulators: tuple[int, ...]
    simulators: tuple[int, ...]
    functions: tuple[int, ...]


class LocalStack:
    """AWS, and xAI unless a real key is given, on this machine with its data in one folder."""

    def __init__(
        self,
        data_folder: Path,
        project: Path,
        options: Options | None = None,
        on_restart: Callable[[Endpoints], None] | None = None,
    ) -> None:
        """`on_restart` is called when ministack has been started on the data of an earlier run:
        the executions that were running then are gone, see `sweep`."""
        self.folder = Folder(data_folder.expanduser().resolve())
        self.project = project.resolve()
        self.options = options or Options()
        self.on_restart = on_restart
        self.timings: dict[str, float] = {}

    def up(self) -> Endpoints:
        """Start what is not running, deploy what has changed."""
        check_installed()
        opened(self.folder.root)
        with locked(self.folder, LOCK_PATIENCE), ExitStack() as undo:
            packaged = self.timed("package", lambda: package(self.project, REGION))
            settings = remembered(self.folder)
            has_past = self.folder.has_past
            before = connect(self.folder.root)
            if before is None:
                undo.callback(self.stop_children)
            settings, simulator = self.simulator(before, settings)
            settings, secret, is_new = self.emulator(before, settings)
            remember(self.folder, settings)
            running = self.deployed(packaged, settings, secret, simulator)
            endpoints.write(self.folder, running)
            undo.pop_all()
        if is_new and has_past and self.on_restart is not None:
            self.on_restart(running)
        return running

    def down(self) -> bool:
        """End every process of this folder; its data stays. False when there was none."""
        if not self.folder.root.exists():
            return False
        with locked(self.folder, LOCK_PATIENCE):
            ended = self.stop_children()
            self.folder.stack_file.unlink(missing_ok=True)
        return ended > 0

    def status(self) -> Status:
        """What runs, by process; endpoints only when they answer."""

        def found(*kinds: str) -> tuple[int, ...]:
            return tuple(children.pids(self.folder, *kinds))

        return Status(connect(self.folder.root), found(EMULATOR), found(SIMULATOR), found(FUNCTION))

    def simulator(
        self, before: Endpoints | None, settings: Remembered
    ) -> tuple[Remembered, str | None]:
        """The simulator's origin: the running one, a new one, or none with a real key."""
        last = before or endpoints.read(self.folder)
        if (
            last is not None
            and last.simulator_digest == self.options.simulator_digest()
            and settings.simulator_port is not None
            and children.pids(self.folder, SIMULATOR)
            and simulates(settings.simulator_port, settings.simulator_key)
        ):
            return settings, last.simulator_origin
        children.stop(self.folder, [SIMULATOR], STOP_PATIENCE)
        if self.options.xai_api_key is not None:
            return settings, None
        port = self.timed("simulator", lambda: start_simulator(self.folder, self.options, settings))
        return replace(settings, simulator_port=port), f"http://127.0.0.1:{port}"

    def emulator(
        self, before: Endpoints | None, settings: Remembered
    ) -> tuple[Remembered, str, bool]:
        """ministack's secret key, and whether it was started just now."""
        if before is not None:
            secret = before.secret_access_key
            if before.emulator_digest == self.options.emulator_digest(secret):
                return settings, secret, False
        self.stop_emulator()
        self.folder.stack_file.unlink(missing_ok=True)
        secret = secrets.token_urlsafe(30)
        port = self.timed(
            "ministack", lambda: start_emulator(self.folder, self.options, settings, secret)
        )
        return replace(settings, port=port), secret, True

    def stop_children(self) -> int:
        return self.stop_emulator() + children.stop(self.folder, [SIMULATOR], STOP_PATIENCE)

    def stop_emulator(self) -> int:
        """ministack first, so that it starts no more functions; then what it has left behind."""
        ended = children.stop(self.folder, [EMULATOR], STOP_PATIENCE)
        return ended + children.stop(self.folder, [FUNCTION, BOOTSTRAP], patience=1.0)

    def deployed(
        self, packaged: Package, settings: Remembered, secret: str, simulator: str | None
    ) -> Endpoints:
        """Deploy, give the secret its value, have ministack keep it all."""
        origin = f"http://127.0.0.1:{settings.port}"
        clients = client_factory(origin, REGION, settings.account, secret)
        changed, found = self.timed(
            "deploy", lambda: deploy(clients, packaged, self.parameters(simulator, origin))
        )
        if simulator is not None:
            keep_key(clients("secretsmanager"), found.secret, settings.simulator_key)
        if changed:
            self.timed("save", lambda: save(origin))
        # Older curls sign the $ of a $default stage in another way than they send it.
        stage = "" if found.stage == "$default" else f"/{found.stage}"
        return Endpoints(
            api_url=f"{origin}/_aws/execute-api/{found.api_id}{stage}",
            api_id=found.api_id,
            aws_endpoint_url=origin,
            region=REGION,
            access_key_id=settings.account,
            secret_access_key=secret,
            bucket=found.bucket,
            table=found.table,
            state_machine_arn=found.state_machine_arn,
            event_bus=found.event_bus,
            tokens_secret=found.tokens_secret,
            auth=self.options.is_authenticated,
            simulator_origin=simulator,
            simulator_key=settings.simulator_key if simulator else None,
            emulator_digest=self.options.emulator_digest(secret),
            simulator_digest=self.options.simulator_digest(),
        )

    def parameters(self, simulator: str | None, origin: str) -> dict[str, str]:
        """The template's parameters: where xAI is, and what the caller gives.

        A simulated job takes seconds, so it is polled within one; and only the simulator can
        fetch source clips from this machine's bucket at `origin`.
        """
        simulated = (
            {
                "XaiApiBaseUrl": f"{simulator}/v1",
                "VideoSourceOrigins": simulator,
                "VideoInputOrigins": f"{simulator},{origin}",
                "PollIntervalMs": "300",
            }
            if simulator
            else {}
        )
        caller = {} if self.options.auth or self.options.xai_api_key else {"LocalCaller": "local"}
        fixed = {
            "Environment": "local",
            "FilmConcurrency": FILM_CONCURRENCY,
            # State transitions cost nothing here, and few functions run at a time.
            "PollLingerSeconds": "20",
        }
        # What was meant for the simulator is not sent to the real xAI unasked.
        sweeping = {} if simulator else {"SweepState": "DISABLED"}
        return {**fixed, **simulated, **sweeping, **caller, **self.options.parameters}

    def timed(self, name: str, run: Callable[[], T]) -> T:
        began = time.monotonic()
        outcome = run()
        self.timings[name] = round(time.monotonic() - began, 2)
        return outcome


def keep_key(secrets_manager: Any, secret: str, key: str) -> None:
    """The simulator's key; a real one is never put here: ministack writes secrets to disk."""
    secrets_manager.put_secret_value(SecretId=secret, SecretString=key)


def save(origin: str) -> None:
    """Have ministack write all its state to disk."""
    if endpoints.fetched(f"{origin}{SAVE_PATH}", "POST") is None:
        raise DeployFailed("ministack could not save its state")
