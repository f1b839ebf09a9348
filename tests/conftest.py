"""How tests are handed out when several processes run them, and what each process starts with."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# What a test on a stack of another kind has in its name. All others share one, or a second one of
# the same kind, so that no process is busy with stacks long after the others are done.
STACKS = {
    "own": ("test_crashes.py", "stack_killed"),
    "second": ("test_clip.py", "test_samples.py", "test_money.py"),
}


class ByStack(LoadScopeScheduling):
    """One by one, but tests that share a local stack in one process: each would start its own.

    `--dist loadgroup` would do, but marks nothing with pytest 9.2 (xdist 3.8).
    """

    def _split_scope(self, nodeid: str) -> str:
        if not nodeid.startswith("tests/e2e/"):
            return str(nodeid)
        found = (kind for kind, words in STACKS.items() if any(word in nodeid for word in words))
        return next(found, "shared")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByStack:
    return ByStack(config, log)


def pytest_configure() -> None:
    # A shell has what it runs in the background ignore Ctrl-C, and so would every child of ours.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
