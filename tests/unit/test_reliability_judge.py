"""The judge of `make reliability` sees each thing that must not be, and nothing else."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.reliability import plans, scenarios
from tests.reliability.judging import Evidence, digest, judge
from videoconductor.clip import SETTLED, Attempt, Clip, Estimate, Render, RenderPlan
from xai_simulator.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PROMPT = "a lamp"
FINE = frozenset({"finalized"})
KEY = "generated/videos/film/shot/draft/r1.mp4"
SIDECAR = KEY.replace("mp4", "json")


def attempt(**changes):
    fields = {"number": 1, "permitted_at": NOW, "lease_until": NOW, "outcome": "accepted"}
    return Attempt(**fields | {"request_id": "job-1"} | changes)


def render(**changes):
    plan = RenderPlan(
        operation="generate",
        task="text-to-video",
        provider="xai",
        quality_mode="draft",
        model="grok-imagine-video",
        prompt=PROMPT,
        estimate=Estimate(lines=(), total_usd=0, as_of="2026-11-22"),
    )
    clip = Clip(
        key=KEY,
        sidecar_key=SIDECAR,
        bytes=4,
        sha256="aa",
        seconds=1,
        width=8,
        height=8,
        video_codec="h264",
    )
    fields = {
        "render_id": "r1",
        "clip_id": "shot",
        "pipeline_request_id": "film",
        "plan": plan,
        "caller": "local",
        "request_sha256": "0",
        "created_at": NOW,
        "status": "finalized",
        "attempts": (attempt(),),
        "clip": clip,
    }
    return Render(**fields | changes)


def document(render_id="r1", sha256="aa"):
    return ("1", json.dumps({"renderId": render_id, "sha256": sha256}))


SEEDS = {
    "ENTRY#shot::draft": document("earlier"),
    "VERSION#shot::draft#0": document("earlier"),
    "ENTRY#other::draft": document("another"),
}
GOOD = Evidence(
    renders=(render(),),
    jobs={digest(PROMPT): [{"id": "job-1"}]},
    entries=SEEDS | {"ENTRY#shot::draft": document(), "VERSION#shot::draft#1": document()},
    seeds=SEEDS,
    digests={KEY: "aa", SIDECAR: "bb"},
    told=Counter({("ClipReady", "r1"): 1}),
)


def verdict(evidence, *, posts=1, fired=1, expected=FINE):
    return judge(evidence, renders=1, posts=posts, expected=expected, fired=fired)


def test_nothing_is_wrong_with_a_clip_that_is_there():
    found = verdict(GOOD)
    assert (found.wrong, found.outcome, found.jobs) == ((), "finalized", 1)
    assert (found.extra, found.lost, found.held, found.worse) == (0, 0, 0, 0)


UNKNOWN = render(
    status="submit_unknown",
    attempts=(attempt(outcome="unknown", request_id=None),),
    clip=None,
)
HELD = replace(GOOD, renders=(UNKNOWN,), entries=SEEDS, told=Counter({("SubmitUnknown", "r1"): 1}))


def test_a_job_whose_id_nobody_has_is_held_where_the_record_says_so_and_lost_where_it_does_not():
    held = verdict(HELD, expected=frozenset({"submit_unknown"}))
    assert (held.wrong, held.held, held.lost) == ((), 1, 0)
    refused = render(status="failed", attempts=(attempt(outcome="refused", request_id=None),))
    told = Counter({("ClipFailed", "r1"): 1})
    lost = verdict(replace(HELD, renders=(refused,), told=told), expected=frozenset({"failed"}))
    assert lost.lost == 1


def test_a_job_without_an_id_whose_clip_came_by_its_witness_is_recovered():
    taken = render(attempts=(attempt(request_id=None, witness="taken"),))
    found = verdict(replace(GOOD, renders=(taken,)))
    assert (found.wrong, found.recovered, found.lost) == ((), 1, 0)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"jobs": {digest(PROMPT): [{"id": "job-1"}, {"id": "job-2"}]}}, "2 jobs for 1 attempts"),
        ({"jobs": {digest("else"): [{"id": "job-9"}]}}, "1 jobs of no render on record"),
        ({"renders": ()}, "0 renders, not 1"),
        ({"renders": (render(), render(render_id="r2"))}, "2 renders, not 1"),
        ({"renders": (render(status="rendering"),)}, "still rendering after the sweep"),
        ({"told": Counter()}, "nobody was told that it is finalized"),
        ({"running": frozenset({"r1"})}, "an execution goes on"),
        ({"digests": {KEY: "cc", SIDECAR: "bb"}}, "the clip's object is not what the record says"),
        ({"digests": {}}, "the clip's object is not what the record says"),
        ({"digests": {KEY: "aa"}}, "no sidecar"),
        (
            {"digests": {**GOOD.digests, KEY.replace("r1", "r1-copy"): "aa"}},
            "2 files of one clip",
        ),
        ({"entries": SEEDS}, "the manifest's entry is another"),
        (
            {"entries": {**GOOD.entries, "VERSION#shot::draft#2": document()}},
            "2 versions of one clip",
        ),
        (
            {"entries": {**GOOD.entries, "ENTRY#other::draft": document("r1")}},
            "ENTRY#other::draft is not as it was",
        ),
        (
            {"entries": {k: v for k, v in GOOD.entries.items() if not k.endswith("#0")}},
            "VERSION#shot::draft#0 is not as it was",
        ),
        (
            {"renders": (render(attempts=(attempt(), attempt(number=2, outcome="unknown"))),)},
            "2 POSTs that may be paid, where 1 were asked for",
        ),
        (
            {"renders": (render(attempts=(attempt(reserved_ticks=5),)),)},
            "money is held for a clip that is paid for",
        ),
    ],
)
def test_whatever_must_not_be_is_told(changes, words):
    assert words in verdict(replace(GOOD, **changes)).wrong


def test_a_failing_render_leaves_the_finished_entry():
    entries = {**SEEDS, "ENTRY#shot::draft": document("r1")}
    found = verdict(replace(HELD, entries=entries), expected=frozenset({"submit_unknown"}))
    assert found.worse == 1


def test_another_end_than_the_catalogue_allows_and_a_fault_that_never_struck_are_told():
    assert verdict(GOOD, expected=frozenset({"failed"})).wrong == (
        "ended in finalized, not in failed",
    )
    assert verdict(GOOD, fired=0).wrong == ("the fault never struck",)


def test_every_task_of_the_state_machines_is_drilled():
    found = set()
    for path in (ROOT / "statemachine").glob("*.yaml"):
        for line in path.read_text().splitlines():
            if named := re.search(r"Resource: \$\{(\w+)FunctionArn\}", line):
                found.add(re.sub(r"(?<!^)(?=[A-Z])", "_", named.group(1)).lower())
    assert found == plans.STATES


def test_every_scenario_of_the_simulator_has_an_end_and_no_other_is_named():
    named = {*scenarios.ENDS, *scenarios.OF_WITNESSES, *scenarios.SLOW, *scenarios.NO_JOB}
    assert named <= SCENARIOS.keys()
    ends = set().union(*(scenarios.ends(name, witness=True) for name in SCENARIOS))
    assert ends <= SETTLED
