"""`make soak`: the model of test_model.py for as long as one likes, round after round.

Not collected unless it is named. Each round has a seed of its own, which makes it happen again:
`make soak SEED=<that of the round> MINUTES=0`.
"""

from __future__ import annotations

import os
import time

import pytest

from tests.workflow import test_model
from tests.workflow.film_world import World
from tests.workflow.test_model import _clips_take_no_time, walk

ROUND = {"max_examples": 6, "stateful_step_count": 40}
__all__ = ["_clips_take_no_time"]


@pytest.mark.timeout(0)
def test_soak(simulator, handlers, request, monkeypatch):
    first = int(os.environ.get("SOAK_SEED") or time.time_ns() % 10**6)
    end = time.monotonic() + 60 * float(os.environ.get("SOAK_MINUTES") or 5)
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")
    worlds, told = [], []

    class Seen(World):
        def settle(self, patch):
            worlds.append(self)
            super().settle(patch)

        def check(self):
            try:
                super().check()
            except AssertionError as found:
                if not told:
                    tell(f"found, and now made small: {str(found)[:500]}")
                told.append(found)
                raise

    def tell(line):
        with capture.global_and_fixture_disabled():
            reporter.write_line(line)
            reporter.flush()

    monkeypatch.setattr(test_model, "World", Seen)
    totals = dict.fromkeys(("examples", "states", "renders", "jobs", "calls"), 0)
    number = first
    while number == first or time.monotonic() < end:
        tell(f"round {number - first + 1}: seed {number}")
        walk(simulator, handlers, number, **ROUND)
        totals["examples"] += len(worlds)
        totals["states"] += sum(world.steps for world in worlds)
        totals["renders"] += sum(len(world.renders) for world in worlds)
        totals["jobs"] += sum(len(world.jobs) for world in worlds)
        totals["calls"] += sum(world.all_calls for world in worlds)
        worlds.clear()
        tell(", ".join(f"{count} {what}" for what, count in totals.items()))
        number += 1
