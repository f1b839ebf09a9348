"""The doctor on the running stack, with no more rights than its role has."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.e2e.conftest import Cloud
from videoconductor.doctoring import LOOKED_AT

pytestmark = [pytest.mark.e2e, pytest.mark.long]

GRACE = 95  # seconds for which what moved last is left alone


def examined(cloud: Cloud, method: str = "GET") -> tuple[dict[str, Any], dict[str, int]]:
    """The findings of all pages by name, and how much was looked at."""
    findings: dict[str, Any] = {}
    looked = dict.fromkeys(LOOKED_AT, 0)
    cursor = None
    while True:
        if method == "GET":
            query = "" if cursor is None else f"?cursor={cursor.replace('=', '%3D')}"
            answer = cloud.call("GET", f"/v1/doctor{query}")
        else:
            body = {} if cursor is None else {"cursor": cursor}
            answer = cloud.call("POST", "/v1/doctor", body)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        for one in page["findings"]:
            findings.setdefault(one["name"], {})[one["kind"]] = one
        for name, count in page["looked"].items():
            looked[name] += count
        cursor = page["nextCursor"]
        if cursor is None:
            return findings, looked


def test_what_was_lost_is_found_repaired_or_named(cloud: Cloud, prompt: str) -> None:
    made = {
        name: cloud.submit(prompt=f"{prompt} {name}{marker}", clipId=name, pipelineRequestId="dr")
        for name, marker in (("fine", ""), ("gone", ""), ("lost", ""), ("left", " [[sim:hang]]"))
    }
    ids = {name: render["renderId"] for name, render in made.items()}
    ends = {name: cloud.rest(ids[name]) for name in ("fine", "gone", "lost")}
    assert {end["status"] for end in ends.values()} == {"finalized"}
    while cloud.render(ids["left"])["status"] != "rendering":
        time.sleep(0.2)
    findings, looked = examined(cloud)
    assert not set(ids.values()) & set(findings)
    assert min(looked[name] for name in ("renders", "entries", "objects", "counters")) > 0
    assert (looked["executions"] > 0, looked["queues"]) == (True, 2)

    s3, table = cloud.client("s3"), cloud.client("dynamodb")
    machine = cloud.client("stepfunctions")
    s3.delete_object(Bucket=cloud.endpoints.bucket, Key=ends["gone"]["result"]["video"]["key"])
    entry = {"pk": {"S": "FILM#dr"}, "sk": {"S": "ENTRY#lost::draft"}}
    before = table.get_item(TableName=cloud.endpoints.table, Key=entry)["Item"]
    table.delete_item(TableName=cloud.endpoints.table, Key=entry)
    [running] = [
        one["executionArn"]
        for found in machine.list_state_machines()["stateMachines"]
        for one in machine.list_executions(
            stateMachineArn=found["stateMachineArn"], statusFilter="RUNNING"
        )["executions"]
        if one["name"].startswith(ids["left"])
    ]
    machine.stop_execution(executionArn=running)
    time.sleep(GRACE)

    wanted = {"gone": "entry_without_object", "lost": "clip_without_entry"}
    wanted["left"] = "render_without_execution"
    findings, _ = examined(cloud)
    assert {name: list(findings.get(ids[name], {})) for name in ids} == {
        "fine": [],
        **{name: [kind] for name, kind in wanted.items()},
    }
    findings, _ = examined(cloud, "POST")
    done = {name: findings[ids[name]][kind]["repaired"] for name, kind in wanted.items()}
    assert done == {"gone": None, "lost": "entered", "left": "resumed"}
    findings, _ = examined(cloud)
    assert {name for name in ids if ids[name] in findings} == {"gone"}
    after = table.get_item(TableName=cloud.endpoints.table, Key=entry)["Item"]
    assert after["renderOrder"] == before["renderOrder"]
    assert len(cloud.jobs(f"{prompt} left [[sim:hang]]")) == 1
    cloud.call("POST", f"/v1/videos/{ids['left']}/cancel")
