"""Starts ministack and the simulator as child processes."""

import importlib.util
import shutil
import sys
from pathlib import Path

from local_stack import children
from local_stack.endpoints import fetched, is_alive
from local_stack.errors import ChildDied, MissingPiece, PortTaken
from local_stack.folder import Folder
from local_stack.settings import KEY_VARIABLE, Options, Remembered

REGION = "us-east-1"
INSTALL = "pip install -e '.[local]'"
PATH = "/usr/local/bin:/usr/bin:/bin"
PATIENCE = 60.0
ATTEMPTS = 5
SOURCES = Path(__file__).resolve().parents[1]
NEEDED = {
    "ministack": "ministack",
    "awslambdaric": "awslambdaric",
    "samtranslator": "aws-sam-translator",
    "yaml": "pyyaml",
    "boto3": "boto3",
}


def check_installed() -> None:
    """Say what is missing before anything is started."""
    for module, distribution in NEEDED.items():
        if importlib.util.find_spec(module) is None:
            raise MissingPiece(distribution, INSTALL)


def start_emulator(folder: Folder, options: Options, settings: Remembered, secret: str) -> int:
    """ministack behind its guard; the port it answers on."""
    shutil.rmtree(folder.scratch, ignore_errors=True)  # unpacked code of earlier runs
    folder.scratch.mkdir(mode=0o700)
    wanted = [options.port] if options.port else [settings.port, None]
    with children.listening_socket(wanted) as bound:
        port = children.port_of(bound)
        log = folder.logs / "ministack.log"
        child = children.start(
            [
                sys.executable,
                "-m",
                children.EMULATOR,
                "--folder",
                f"{folder.root}/",
                "--fd",
                str(bound.fileno()),
                "--port",
                str(port),
            ],
            emulator_environment(folder, options, settings, secret, port),
            log,
            folder,
            inherited=[bound.fileno()],
        )
    url = f"http://127.0.0.1:{port}"
    children.wait_until(lambda: is_alive(url, folder), child, log, PATIENCE)
    return port


def emulator_environment(
    folder: Folder, options: Options, settings: Remembered, secret: str, port: int
) -> dict[str, str]:
    """Nothing of the caller's: ministack hands its own environment on to the functions."""
    environment = {
        "PATH": PATH,
        "HOME": str(folder.root),
        "TMPDIR": str(folder.scratch),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(SOURCES),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{folder.root}/no-docker",
        "LOG_LEVEL": "WARNING",
        "AUTH": "true" if options.is_authenticated else "false",
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(folder.objects),
        "PERSIST_STATE": "1",
        "STATE_DIR": str(folder.state),
        "MINISTACK_ACCOUNT_ID": settings.account,
        "MINISTACK_REGION": REGION,
        "SFN_WAIT_SCALE": f"{options.wait_scale:g}",
        "LAMBDA_WARM_TTL_SECONDS": "60",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ACCESS_KEY_ID": settings.account,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
        **options.function_environment,
    }
    if options.xai_api_key is not None:
        environment[KEY_VARIABLE] = options.xai_api_key
    return environment


def start_simulator(folder: Folder, options: Options, settings: Remembered) -> int:
    """xAI on localhost, on the port it had before if that is free; its port.

    It binds by itself, so a free port can be lost to somebody else in between: try again.
    """
    if importlib.util.find_spec(children.SIMULATOR) is None:
        raise MissingPiece(children.SIMULATOR, INSTALL)
    wanted: list[int | None] = [settings.simulator_port, None]
    for attempt in range(ATTEMPTS):
        with children.listening_socket(wanted) as probe:
            port = children.port_of(probe)
        try:
            return started_simulator(folder, options, settings.simulator_key, port)
        except ChildDied:
            if attempt == ATTEMPTS - 1 or not in_use(port):
                raise
            wanted = [None]
    raise AssertionError


def in_use(port: int) -> bool:
    try:
        children.listening_socket([port]).close()
    except PortTaken:
        return True
    return False


def started_simulator(folder: Folder, options: Options, key: str, port: int) -> int:
    log = folder.logs / "simulator.log"
    child = children.start(
        [
            sys.executable,
            "-m",
            children.SIMULATOR,
            "--port",
            str(port),
            "--key",
            key,
            "--journal",
            str(folder.simulator / "journal.jsonl"),
            "--cache",
            str(folder.simulator / "cache"),
            "--job-seconds",
            f"{options.job_seconds:g}",
            *options.simulator_arguments,
        ],
        {
            "PATH": PATH,
            "HOME": str(folder.root),
            "TMPDIR": str(folder.scratch),
            "LANG": "C.UTF-8",
            "PYTHONPATH": f"{SOURCES}:{SOURCES.parent}/layers/videoconductor/python",
        },
        log,
        folder,
    )
    children.wait_until(lambda: simulates(port, key), child, log, PATIENCE)
    return port


def simulates(port: int, key: str) -> bool:
    """Does our simulator, and nobody else, answer there? Its key tells."""
    return fetched(f"http://127.0.0.1:{port}/v1/models", key=key) is not None
