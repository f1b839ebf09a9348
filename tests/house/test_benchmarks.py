"""The benchmarks run: figures in the docs come from commands that still work."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import door

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="reads VmHWM, which Linux alone has")
def test_copies_can_be_measured_and_each_is_one_request():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.copying", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert not done.stderr  # a goal that is missed, on whatever machine this is, is no failure
    names, requests = ("CPU a GB, 2 MB", "peak memory, 4 MB"), done.stdout.splitlines()[-1]
    assert all(name in done.stdout for name in names)
    assert "S3 requests a clip" in requests
    assert requests.endswith("| yes |")


def test_the_door_can_be_measured_and_takes_two_calls_a_request():
    module, paths = door.WAYS["ours"]
    before = door.Stub.asked.total()
    with door.stub() as endpoint, door.Door(module, paths, endpoint) as ours:
        assert ours.seconds() > 0
    assert door.Stub.asked.total() - before == door.MOST_CALLS * door.BATCH
