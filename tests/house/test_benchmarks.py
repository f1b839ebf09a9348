"""The benchmarks run: figures in the docs come from commands that still work."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="reads VmHWM, which Linux alone has")
def test_the_memory_of_finalize_can_be_measured():
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks/finalize_memory.py"), "2"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "2 MB" in done.stdout
    assert "MiB" in done.stdout
