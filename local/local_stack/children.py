"""Child processes: started in groups of their own, found again by the folder they belong to.

No pid files: a pid file can be stale, and a number in it may belong to somebody else by now.
Every process of a stack has a path inside the data folder among its arguments.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from local_stack.errors import ChildDied, PortTaken
from local_stack.folder import Folder

EMULATOR = "local_stack.emulator"
SIMULATOR = "xai_simulator"
FUNCTION = "awslambdaric"
BOOTSTRAP = "/bootstrap"


def listening_socket(wanted: Sequence[int | None]) -> socket.socket:
    """A socket bound on loopback to the first of these ports that is free; None is any."""
    for port in wanted:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(("127.0.0.1", port or 0))
            bound.listen(512)
        except OSError:
            bound.close()
            continue
        return bound
    raise PortTaken(f"port {wanted[0]} is in use; choose another, or none to have a free one")


def port_of(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


def start(
    command: Sequence[str],
    environment: Mapping[str, str],
    log: Path,
    folder: Folder,
    inherited: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """A child in its own session, writing to a log of its own."""
    with log.open("ab") as output:
        return subprocess.Popen(  # noqa: S603
            list(command),
            env=dict(environment),
            cwd=folder.root,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=tuple(inherited),
            start_new_session=True,
        )


def wait_until(
    answers: Callable[[], bool], child: subprocess.Popen[bytes], log: Path, patience: float
) -> None:
    """Until the child answers; its death or silence is an error that shows its last words."""
    deadline = time.monotonic() + patience
    while not answers():
        if child.poll() is not None:
            raise ChildDied(f"{name_of(child)} ended with {child.returncode}:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise ChildDied(f"{name_of(child)} does not answer:\n{tail(log)}")
        time.sleep(0.05)


def name_of(child: subprocess.Popen[bytes]) -> str:
    arguments = list(map(str, child.args)) if isinstance(child.args, list) else [str(child.args)]
    return arguments[2] if len(arguments) > 2 else arguments[0]


def tail(log: Path, lines: int = 15) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def pids(folder: Folder, *kinds: str) -> list[int]:
    """Live processes of these kinds that belong to this folder."""
    return [pid for pid, arguments in processes() if belongs(arguments, folder, kinds)]


def belongs(arguments: Sequence[str], folder: Folder, kinds: Sequence[str]) -> bool:
    """Is this one of ours? An editor that has one of our files open is not."""
    inside = any(argument.startswith(f"{folder.root}/") for argument in arguments)
    return inside and any(
        kind in arguments or (kind == BOOTSTRAP and any(a.endswith(kind) for a in arguments))
        for kind in kinds
    )


def processes() -> list[tuple[int, list[str]]]:
    """Every process of this user with its arguments."""
    proc = Path("/proc")
    if (proc / "self" / "cmdline").exists():
        found = []
        for entry in proc.iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    line = (entry / "cmdline").read_bytes().decode(errors="replace")
                    if line:
                        found.append((int(entry.name), line.rstrip("\0").split("\0")))
        return found
    listing = subprocess.run(
        ["/bin/ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split() for line in listing.splitlines()]
    return [(int(row[0]), row[1:]) for row in rows if row]


def stop(folder: Folder, kinds: Sequence[str], patience: float) -> int:
    """End these processes: asked first, then made to. How many there were."""
    first = pids(folder, *kinds)
    for pid in first:
        signal_one(pid, signal.SIGTERM)
    deadline = time.monotonic() + patience
    while (left := living(folder, kinds)) and time.monotonic() < deadline:
        time.sleep(0.05)
    while left:
        for pid in left:
            signal_one(pid, signal.SIGKILL)
        time.sleep(0.05)
        left = living(folder, kinds)
    return len(first)


def living(folder: Folder, kinds: Sequence[str]) -> list[int]:
    """Those still there, after burying the dead among our own children."""
    for pid in (found := pids(folder, *kinds)):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    return pids(folder, *kinds) if found else []


def signal_one(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
