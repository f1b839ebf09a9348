"""The data folder, what is remembered in it, and whose processes are whose."""

import json
import socket
import stat
import subprocess
import sys
import time

import pytest

from local_stack import children, endpoints, launch
from local_stack.endpoints import Endpoints, connect
from local_stack.errors import FolderBusy, FolderRefused, MissingPiece, PortTaken
from local_stack.folder import locked, opened
from local_stack.launch import emulator_environment
from local_stack.settings import Options, Remembered, remember, remembered

KEY = "xai-a-real-key-0123456789"


@pytest.fixture
def folder(tmp_path):
    return opened(tmp_path / ".videoconductor")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def an_endpoint(**more):
    known = {
        "api_url": "http://127.0.0.1:1/x",
        "api_id": "x",
        "aws_endpoint_url": "http://127.0.0.1:1",
        "region": "us-east-1",
        "access_key_id": "123456789012",
        "secret_access_key": "s",
        "bucket": "b",
        "table": "t",
        "state_machine_arn": "arn",
        "event_bus": "e",
        "auth": True,
    }
    return Endpoints(**(known | more))


def test_the_data_folder_is_for_its_owner_only(folder):
    assert mode(folder.root) == 0o700
    endpoints.write(folder, an_endpoint())
    remember(folder, remembered(folder))
    assert mode(folder.stack_file) == mode(folder.settings_file) == 0o600


def test_a_folder_that_cannot_be_made_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderRefused, match="file"):
        opened(tmp_path / "file" / "folder")


def test_two_commands_on_one_folder_do_not_run_at_once(folder):
    with (
        locked(folder, patience=0),
        pytest.raises(FolderBusy, match=r"\.videoconductor"),
        locked(folder, patience=0),
    ):
        pass


def test_a_stack_file_without_a_stack_is_not_a_stack(folder):
    endpoints.write(folder, an_endpoint())
    assert connect(folder.root) is None
    assert connect(folder.root / "nowhere") is None


def test_ports_and_keys_are_remembered(folder):
    first = remembered(folder)
    remember(folder, first)
    assert remembered(folder) == first
    assert len(first.account) == 12


def test_a_real_key_is_in_no_representation_and_turns_authentication_on():
    options = Options(xai_api_key=KEY)
    assert options.is_authenticated
    assert KEY not in repr(options)
    assert KEY not in options.emulator_digest("salt")
    assert options.emulator_digest("salt") != Options(xai_api_key="other").emulator_digest("salt")


def test_a_real_key_cannot_slip_in_as_a_functions_environment():
    with pytest.raises(ValueError, match="xai_api_key"):
        Options(function_environment={"XAI_API_KEY": KEY})


def test_the_emulator_gets_nothing_of_the_callers_environment(folder, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("XAI_API_KEY", KEY)
    given = emulator_environment(folder, Options(), Remembered("1" * 12, "k"), "secret", 4567)
    assert "AWS_PROFILE" not in given
    assert "XAI_API_KEY" not in given
    assert given["AUTH"] == "false"


def test_with_a_key_the_emulator_has_it_in_its_environment_and_checks_callers(folder):
    options = Options(xai_api_key=KEY)
    given = emulator_environment(folder, options, Remembered("1" * 12, "k"), "secret", 4567)
    assert given["XAI_API_KEY"] == KEY
    assert given["AUTH"] == "true"
    assert given["BIND_HOST"] == "127.0.0.1"


def test_a_port_in_use_is_refused_unless_another_will_do():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            children.listening_socket([port])
        with children.listening_socket([port, None]) as bound:
            assert children.port_of(bound) != port


def test_processes_are_found_by_their_folder_and_an_editor_is_not_one(folder):
    inside = f"{folder.root}/code/1"
    runtime = ["python", "-m", "awslambdaric", "app.handler", inside]
    assert children.belongs(runtime, folder, [children.FUNCTION])
    assert children.belongs(["/bin/sh", f"{inside}/bootstrap"], folder, [children.BOOTSTRAP])
    assert not children.belongs(["vi", f"{inside}/app.py"], folder, [children.FUNCTION])
    assert not children.belongs([*runtime[:-1], "/elsewhere/x"], folder, [children.FUNCTION])
    assert not children.belongs([*runtime[:-1], f"{folder.root}2/x"], folder, [children.FUNCTION])


def test_a_process_that_ignores_the_request_to_end_is_ended(folder):
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    child = subprocess.Popen(
        [sys.executable, "-c", stubborn, children.SIMULATOR, f"{folder.root}/journal"]
    )
    time.sleep(0.3)
    assert children.pids(folder, children.SIMULATOR) == [child.pid]
    assert children.stop(folder, [children.SIMULATOR], patience=0.2) == 1
    assert children.pids(folder, children.SIMULATOR) == []


def test_stack_json_holds_what_other_commands_need(folder):
    endpoints.write(folder, an_endpoint(simulator_origin="http://127.0.0.1:2"))
    written = json.loads(folder.stack_file.read_text())
    assert written["simulator_origin"] == "http://127.0.0.1:2"
    assert endpoints.read(folder) == an_endpoint(simulator_origin="http://127.0.0.1:2")


def test_what_is_not_installed_is_named_with_the_command_that_installs_it(monkeypatch):
    found = launch.importlib.util.find_spec
    monkeypatch.setattr(
        launch.importlib.util,
        "find_spec",
        lambda name: None if name == "ministack" else found(name),
    )
    with pytest.raises(MissingPiece, match=r"ministack is missing.*pip install -e '\.\[local\]'"):
        launch.check_installed()
