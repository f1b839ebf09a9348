"""The data folder: where things lie in it, and that it is ours alone."""

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from local_stack.errors import FolderBusy, FolderRefused

TABLES = "tables.sqlite"  # in `state`, beside what ministack itself keeps there


@dataclass(frozen=True)
class Folder:
    """Paths in one data folder."""

    root: Path

    @property
    def stack_file(self) -> Path:
        return self.root / "stack.json"

    @property
    def settings_file(self) -> Path:
        return self.root / "settings.json"

    @property
    def objects(self) -> Path:
        return self.root / "s3"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def has_past(self) -> bool:
        """Whether a stack has kept tables here; before ours had a file there was ministack's."""
        return any((self.state / name).exists() for name in (TABLES, "dynamodb.json"))

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def scratch(self) -> Path:
        return self.root / "tmp"

    @property
    def simulator(self) -> Path:
        return self.root / "simulator"


def opened(path: Path) -> Folder:
    """The folder at this path, made if need be, readable by nobody else."""
    folder = Folder(path.expanduser().resolve())
    try:
        for place in (
            folder.root,
            folder.objects,
            folder.state,
            folder.logs,
            folder.scratch,
            folder.simulator,
        ):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.root.stat().st_uid != os.getuid():
            raise FolderRefused(f"{folder.root} belongs to another user")
        folder.root.chmod(0o700)
        write_private(folder.root / ".gitignore", "*\n")
    except OSError as refused:
        raise FolderRefused(f"cannot write the data folder {folder.root}: {refused}") from refused
    return folder


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole; only its owner can read it at any time."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, stat.S_IRUSR | stat.S_IWUSR)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


@contextlib.contextmanager
def locked(folder: Folder, patience: float) -> Iterator[None]:
    """One `up` or `down` at a time; the kernel drops the lock with its process."""
    deadline = time.monotonic() + patience
    with (folder.root / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise FolderBusy(
                        f"another command is starting or stopping the stack in {folder.root}"
                    ) from None
                time.sleep(0.1)
        yield
