"""Was anything lost, paid twice or made worse? The same questions for every case."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from videoconductor.clip import SETTLED, Attempt, FilmRun, Render
from videoconductor.reports import DETAIL_TYPES, FILM_READY

# Of a POST with such an outcome nobody has proved that nothing was accepted.
MAY_BE_PAID = frozenset({"submitting", "accepted", "unknown", "abandoned"})
HELD = frozenset({"unknown", "submitting", "abandoned"})
NEVER_STRUCK = "the fault never struck"
Entries = Mapping[str, tuple[str, str]]
"""By sort key, what a film has in the table: its order and its document."""


@dataclass(frozen=True)
class Evidence:
    """Everything that is to be seen of one case, after all is over.

    `jobs` by the prompt's digest, `sizes` and `digests` of the objects under the film's prefix,
    `told` the events of its renders and runs, `seeds` what the film had before.
    """

    renders: tuple[Render, ...]
    jobs: Mapping[str, list[dict[str, Any]]]
    entries: Entries
    seeds: Entries
    digests: Mapping[str, str]
    told: Counter[tuple[str, str]]
    running: frozenset[str] = frozenset()
    runs: tuple[FilmRun, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """`outcome` in a word or two; `wrong` is whatever must not be.

    `extra` are jobs beyond one for each attempt. Of paid jobs without an id on record, `recovered`
    have their clip in the library by a witness, `held` are those of which the record says that
    there may be one, and `lost` those that nobody knows of.
    """

    outcome: str
    wrong: tuple[str, ...] = ()
    jobs: int = 0
    extra: int = 0
    lost: int = 0
    held: int = 0
    recovered: int = 0
    worse: int = 0


@dataclass
class Findings:
    """What has been found so far; `counts` by the names that they have in a Verdict."""

    wrong: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


def judge(
    evidence: Evidence, *, renders: int, posts: int, expected: frozenset[str], fired: int
) -> Verdict:
    """The verdict on a case that may pay `posts` times for `renders` renders."""
    found = Findings()
    outcome = _outcome(evidence)
    if len(evidence.renders) != renders:
        found.wrong.append(f"{len(evidence.renders)} renders, not {renders}")
    for render in evidence.renders:
        _money(render, evidence, found)
        _rest(render, evidence, found)
        if render.status == "finalized":
            _finished(render, evidence, found)
    known = {digest(render.plan.prompt or "") for render in evidence.renders}
    strays = sum(len(jobs) for prompt, jobs in evidence.jobs.items() if prompt not in known)
    if strays and not _are_stills(evidence, known):
        found.counts["lost"] += strays
        found.wrong.append(f"{strays} jobs of no render on record")
    allowed = sum(_may_be_paid(render.attempts) for render in evidence.renders)
    if allowed > posts:
        found.counts["extra"] += allowed - posts
        found.wrong.append(f"{allowed} POSTs that may be paid, where {posts} were asked for")
    _kept(evidence, found)
    for run in evidence.runs:
        if run.status == "running" or not evidence.told[FILM_READY, run.run_id]:
            found.wrong.append(f"the run is {run.status}, and was announced or not")
    if outcome not in expected:
        found.wrong.append(f"ended in {outcome}, not in {' or '.join(sorted(expected))}")
    if not fired:
        found.wrong.append(NEVER_STRUCK)
    return Verdict(outcome, tuple(found.wrong), **found.counts)


def digest(text: str) -> str:
    """As the simulator's journal names a prompt."""
    return hashlib.sha256(text.encode()).hexdigest()


def _outcome(evidence: Evidence) -> str:
    if evidence.runs:
        return evidence.runs[-1].status
    return evidence.renders[0].status if evidence.renders else "nothing"


def _may_be_paid(attempts: Iterable[Attempt]) -> int:
    """How many of them may have started something; a still that was made and lost is booked."""
    return sum(a.outcome in MAY_BE_PAID or a.spent_ticks is not None for a in attempts)


def _money(render: Render, evidence: Evidence, found: Findings) -> None:
    """Each job belongs to an attempt, and none is unknown that the record does not hold."""
    jobs = _of(evidence, render.plan.prompt)
    stills = _of(evidence, render.plan.first_frame_prompt)
    found.counts["jobs"] += len(jobs) + len(stills)
    for name, started, attempts in (
        ("jobs", jobs, render.attempts),
        ("stills", stills, render.still_attempts),
    ):
        beyond = len(started) - _may_be_paid(attempts)
        if beyond > 0:
            found.counts["extra"] += beyond
            found.wrong.append(f"{len(started)} {name} for {_may_be_paid(attempts)} attempts")
    known = {attempt.request_id for attempt in render.attempts}
    unknown = [job for job in jobs if job["id"] not in known]
    _lost_or_held(len(unknown), render.attempts, found)
    has_still = render.still is not None
    if stills and not has_still and not any(a.spent_ticks for a in render.still_attempts):
        _lost_or_held(len(stills), render.still_attempts, found)


def _lost_or_held(unknown: int, attempts: tuple[Attempt, ...], found: Findings) -> None:
    """Jobs whose id nobody has: recovered or held where an attempt says so, else lost."""
    nameless = [attempt for attempt in attempts if attempt.request_id is None]
    recovered = min(unknown, sum(attempt.witness == "taken" for attempt in nameless))
    held = min(unknown - recovered, sum(attempt.outcome in HELD for attempt in nameless))
    lost = unknown - recovered - held
    found.counts["recovered"] += recovered
    found.counts["held"] += held
    found.counts["lost"] += lost
    if lost:
        found.wrong.append(f"{lost} paid jobs lost: not on record, and not held")


def _of(evidence: Evidence, prompt: str | None) -> list[dict[str, Any]]:
    return evidence.jobs.get(digest(prompt), []) if prompt else []


def _are_stills(evidence: Evidence, known: set[str]) -> bool:
    prompts = {digest(render.plan.first_frame_prompt or "") for render in evidence.renders}
    return all(prompt in prompts | known for prompt in evidence.jobs)


def _rest(render: Render, evidence: Evidence, found: Findings) -> None:
    """At rest, told of, and nothing goes on in its name."""
    if render.status not in SETTLED:
        found.wrong.append(f"still {render.status} after the sweep")
        return
    if render.render_id in evidence.running:
        found.wrong.append("an execution goes on")
    if not evidence.told[DETAIL_TYPES[render.status], render.render_id]:
        found.wrong.append(f"nobody was told that it is {render.status}")
    if render.status == "finalized" and render.held_ticks:
        found.wrong.append("money is held for a clip that is paid for")


def _finished(render: Render, evidence: Evidence, found: Findings) -> None:
    """Its object is whole, its entry names it, and there is one of each."""
    clip = render.clip
    if clip is None or evidence.digests.get(clip.key) != clip.sha256:
        found.wrong.append("the clip's object is not what the record says")
        return
    if clip.sidecar_key not in evidence.digests:
        found.wrong.append("no sidecar")
    versions = [
        document
        for name, (_, document) in evidence.entries.items()
        if name.startswith("VERSION#") and _names(document, render)
    ]
    if len(versions) != 1:
        found.wrong.append(f"{len(versions)} versions of one clip")
    _, entry = evidence.entries.get(f"ENTRY#{render.entry_id}", ("", "{}"))
    if not _names(entry, render) or json.loads(entry).get("sha256") != clip.sha256:
        found.wrong.append("the manifest's entry is another")
    folder = clip.key.rpartition("/")[0]
    others = [key for key in evidence.digests if key.startswith(folder) and key.endswith("mp4")]
    if len(others) != 1:
        found.wrong.append(f"{len(others)} files of one clip")


def _names(document: str, render: Render) -> bool:
    return bool(json.loads(document).get("renderId") == render.render_id)


def _kept(evidence: Evidence, found: Findings) -> None:
    """What the film had before is as it was, unless its own clip took the place."""
    finished = {f"ENTRY#{r.entry_id}" for r in evidence.renders if r.status == "finalized"}
    for name, before in evidence.seeds.items():
        if name not in finished and evidence.entries.get(name) != before:
            found.counts["worse"] += 1
            found.wrong.append(f"{name} is not as it was")
