"""Many callers at the very same time, on the real record."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace

from tests.workflow.conftest import CALLER
from videoconductor import intake, wiring


def test_two_hundred_requests_at_once_with_fifty_keys_are_fifty_renders(stage):
    """Below the door: its router keeps the request in a class, which suits a Lambda alone."""
    started, lock = [], threading.Lock()

    def start(render):
        with lock:
            started.append(f"{render.render_id}-{render.executions}")

    # Fifty executions would tell nothing more than that fifty were started.
    conductor = replace(wiring.conductor(), machine=SimpleNamespace(start=start))
    together = threading.Barrier(200)

    def ask(number):
        request = intake.clip_request(json.dumps({"prompt": f"lamp {number % 50}"}))
        together.wait()
        return number % 50, conductor.accept(request, CALLER, f"key {number % 50}").render_id

    with ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(ask, range(200)))

    renders = set(answers)
    assert len(renders) == 50
    listed = {record.render_id for record in wiring.manifest().renders(stage.now(), 500)}
    assert listed == {render_id for _, render_id in renders}
    # One that comes while the first is being started starts it too; the machine takes it once.
    assert set(started) == {f"{render_id}-1" for render_id in listed}
