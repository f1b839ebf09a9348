"""What is shown runs: functions on their sample events, the Python client's examples."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_stack import invocation
from local_stack.packaging import read_template
from tests.e2e.conftest import ROOT, Cloud, probe
from videoconductor_cli.samples import Stage

pytestmark = pytest.mark.e2e

# What a function answers to its sample event when all is well. None is: no answer is expected.
ANSWERS: dict[str, dict[str, Any] | None] = {
    "authorize": {"isAuthorized": True},
    "browse": {"statusCode": 200},
    "budget": {"statusCode": 200},
    "call_back": {"batchItemFailures": []},
    "conclude": {"status": "finished", "done": 1},
    "describe": {"statusCode": 200},
    "doctor": {"statusCode": 200},
    "film": {"statusCode": 202},
    "finalize": {"status": "finalized"},
    "first_frame": {"status": "framing"},
    "generate": {"statusCode": 200},
    "mcp": {"statusCode": 200},
    "notify": {"queued": True},
    # The stack's own function may have been told of the object as well, and first.
    "on_delivery": {"attempt": 1},
    "on_request": {"outcome": "accepted"},
    "on_upload": {"outcome": "accepted"},
    "plan": {"statusCode": 200},
    "poll": {"status": "rendered"},
    "record_failure": {"status": "stalled"},
    "report": {"outcome": "result"},
    "resolve": {"statusCode": 200},
    "start": {"status": "rendering"},
    "submit": {"statusCode": 202},
    "sweep": {"missed": []},
    "take_up": {"step": "render"},
    "thumbnail": {"status": "finalized"},
}
# Walked, not listed: a function that somebody adds is run as well.
FOLDERS = sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))


@pytest.fixture(scope="module")
def template() -> dict[str, Any]:
    return read_template(ROOT / "template.yaml")


@pytest.fixture(scope="module", autouse=True)
def _at_rest(cloud: Cloud) -> Iterator[None]:
    """The stack is others' too: nothing of the samples is left under way."""
    yield
    stage = Stage(ROOT, cloud.endpoints)
    stage.keep(stage.render())


@pytest.mark.parametrize("name", FOLDERS)
def test_a_function_does_what_it_is_for_with_its_sample_event(
    cloud: Cloud, template: dict[str, Any], name: str
) -> None:
    with Stage(ROOT, cloud.endpoints) as stage:
        event, logical = stage.prepare(name), invocation.functions(template)[name]
        done = invocation.invoke(template, ROOT, cloud.endpoints, logical, event)

    assert done.error is None, f"{done.error}\n{done.log}"
    expected = ANSWERS[name]
    if expected is None:
        assert done.answer is None
        return
    assert {key: done.answer.get(key) for key in expected} == expected, f"{done.answer}\n{done.log}"
    assert name != "sweep" or stage.render().render_id in done.answer["resumed"]
    assert name != "mcp" or '"isError":true' not in done.answer["body"].replace(" ", "")


def test_an_error_of_a_function_is_the_invocation_s(cloud: Cloud, template: dict[str, Any]) -> None:
    event = {**Stage(ROOT, cloud.endpoints).sample("poll"), "renderId": "nobody"}
    done = invocation.invoke(template, ROOT, cloud.endpoints, "PollFunction", event)
    assert done.answer is None
    assert done.error is not None
    assert done.error["errorType"] == "RenderNotFound"


def test_the_examples_of_the_python_client_run_as_they_are_written(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "python.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    (tmp_path / ".videoconductor").symlink_to(cloud.stack.folder.root)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)  # noqa: S102
    assert sorted(path.name for path in tmp_path.glob("*.mp4")) == [
        "01_fox.mp4",
        "02_tracks.mp4",
        "fox.mp4",
    ]
    assert "Video: h264" in probe(tmp_path / "fox.mp4")
