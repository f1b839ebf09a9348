"""Runs cases on one stack, many at a time, and collects the evidence when all is over."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from tests.reliability.judging import HELD, NEVER_STRUCK, Entries, Evidence, Verdict, judge
from tests.reliability.kinds import CLIP, MODE, Kind, kinds
from tests.reliability.plans import Calls, Case, Point
from tests.reliability.stage import NOT_YET, PATIENCE, Stage
from videoconductor.clip import FilmRun, ManifestEntry, Render
from videoconductor.manifest import Manifest

AT_A_TIME = 14
BY_EVENT = frozenset({"on_upload", "on_request", "on_delivery", "notify", "report", "call_back"})
NOTHING = Point("nothing", "nothing")
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Result:
    """A case and what came of it; `held` are its renders whose paid job nobody has the id of, and
    `seen`, where the fault never struck, is what its function did instead.
    """

    case: Case
    verdict: Verdict
    fired: int
    held: tuple[str, ...] = ()
    seen: str = ""


def recorded(stage: Stage, wanted: str | None = None, *, witness: bool = False) -> dict[str, Calls]:
    """The outside calls of an undisturbed run of each kind, by which the places are known.

    Of one kind alone where `wanted`, the name of a case, begins with it.
    """
    known = kinds(witness=witness)
    named = [kind for kind in known if (wanted or "").startswith(f"{kind.name}:")]
    some = [] if (wanted or "").startswith("xai:") else named or known
    calm = [Case(kind, NOTHING, "none", expected=frozenset({kind.end(witness)})) for kind in some]
    for result in tried(stage, calm, lambda _: None):
        wrong = [words for words in result.verdict.wrong if words != NEVER_STRUCK]
        if wrong:
            raise AssertionError(f"undisturbed, {result.case.kind.name}: {'; '.join(wrong)}")
    return {case.kind.name: stage.calls(case.token) for case in calm}


def run(stage: Stage, cases: Iterable[Case], tell: Tell) -> list[Result]:
    """Run the cases, and those whose fault never struck once more."""
    results = tried(stage, cases, tell)
    missed = once_more(results)
    return merged(results, tried(stage, missed, tell)) if missed else results


def once_more(results: Iterable[Result]) -> list[Case]:
    """The cases in which all was well but for their fault, which never struck: an emulator that is
    out of breath turns functions away, and then a state like Thumbnail is passed over.
    """
    missed = [one.case for one in results if one.verdict.wrong == (NEVER_STRUCK,)]
    return [replace(case, take=case.take + 1) for case in missed]


def merged(results: Iterable[Result], later: Iterable[Result]) -> list[Result]:
    """The results, those of a later try in place of the earlier."""
    newest = {one.case.name: one for one in later}
    return [newest.get(one.case.name, one) for one in results]


def tried(stage: Stage, cases: Iterable[Case], tell: Tell) -> list[Result]:
    """Run the cases, sweep as production would, and judge each."""
    cases = list(cases)
    seeds: dict[str, Entries] = {}
    troubles = played(stage, cases, tell, seeds)
    stage.sweep()
    settled(stage)
    stage.sweep()
    settled(stage)
    return judged(stage, cases, seeds, troubles)


def played(
    stage: Stage, cases: list[Case], tell: Tell, seeds: dict[str, Entries]
) -> dict[str, str]:
    """Have every case happen; what kept a caller from it, by token. Fills in `seeds`."""
    troubles: dict[str, str] = {}

    def play(case: Case) -> None:
        try:
            seeds[case.token] = seeded(stage, case)
            stage.plan(case)
            ids = case.kind.begin(stage, case.token, case.marker)
            wait(stage, case, ids)
        except Exception as problem:  # noqa: BLE001 - a case that breaks must not end the others
            troubles[case.token] = f"{type(problem).__name__}: {problem}"
        tell(case.name)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for _ in pool.map(play, cases):
            stage.listen()
    return troubles


def wait(stage: Stage, case: Case, ids: list[str]) -> None:
    """Until nothing goes on in the name of a case; events that failed come again as on AWS."""
    time.sleep(NOT_YET)
    is_event = case.point.function in BY_EVENT
    if is_event and case.fault != "none":
        with suppress(AssertionError):  # what never struck the judge sees, and has tried again
            stage.until(lambda: stage.fired(case.token) > 0, PATIENCE / 3)
        time.sleep(NOT_YET)  # the emulator takes note of a death
        stage.deliver_again(case)
    if not ids:
        stage.until(lambda: bool(stage.renders_of(case.token)))
        ids = stage.renders_of(case.token)
    # Where a service stays away, a state is retried for minutes; so long takes a file, twice, of
    # which nobody says how large it is, until it is too large.
    is_long = case.times == 0 or "oversize" in case.marker
    patience = 4 * PATIENCE if is_long else PATIENCE
    stage.until(lambda: not stage.running().intersection(ids), patience)
    time.sleep(NOT_YET)
    stage.until(lambda: not stage.running(fresh=True).intersection(ids))


def settled(stage: Stage) -> None:
    """Until no execution is under way, and every event has been told of."""
    end = time.monotonic() + PATIENCE
    while stage.running(fresh=True) and time.monotonic() < end:
        time.sleep(0.5)
    time.sleep(NOT_YET)
    stage.listen()


# ── What a film has before ──────────────────────────────────────────────────────────────────────
def seeded(stage: Stage, case: Case) -> Entries:
    """Finished clips that the case's film has already: an older one of its clip, and another."""
    manifest = Manifest(stage.endpoints.table, stage.client("dynamodb"), lambda: datetime.now(UTC))
    names = ["other"] if case.kind.is_film else [CLIP, "other"]
    before = datetime.now(UTC) - timedelta(days=1)
    for name in names:
        entry = ManifestEntry(
            id=f"{name}::{MODE}",
            pipeline_request_id=case.token,
            quality_mode=MODE,
            render_id=f"earlier-{name}",
            status="finalized",
            url=f"s3://{stage.endpoints.bucket}/generated/videos/{case.token}/{name}/earlier.mp4",
            sha256=sha256(name.encode()).hexdigest(),
            requested_at=before,
            updated_at=before,
        )
        manifest.publish(entry, before.isoformat(timespec="microseconds"))
    key = {":film": {"S": f"FILM#{case.token}"}}
    items = stage.client("dynamodb").query(
        TableName=stage.endpoints.table,
        KeyConditionExpression="pk = :film",
        ExpressionAttributeValues=key,
    )["Items"]
    return entries_of(items)


def entries_of(items: Iterable[dict[str, Any]]) -> Entries:
    return {
        item["sk"]["S"]: (item.get("renderOrder", {}).get("S", ""), item["document"]["S"])
        for item in items
        if item["sk"]["S"].startswith(("ENTRY#", "VERSION#"))
    }


# ── Evidence ────────────────────────────────────────────────────────────────────────────────────
def judged(
    stage: Stage, cases: list[Case], seeds: dict[str, Entries], troubles: dict[str, str]
) -> list[Result]:
    """The verdict on each case, from one look at everything."""
    renders, films, runs = sorted_table(stage.table())
    jobs: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    owners = prompts(renders)
    journal = stage.journal()
    for job in journal["jobs"]:
        jobs[owners.get(job["prompt_sha256"], "")][job["prompt_sha256"]].append(job)
    struck = Counter(name for row in journal["requests"] for name in marks(row))
    digests = dict.fromkeys(stage.objects("generated/videos/"), "")
    told = Counter(
        (event["detail-type"], event["detail"].get("renderId") or event["detail"].get("runId"))
        for event in stage.told
    )
    running = stage.running(fresh=True)
    results = []
    for case in cases:
        evidence = Evidence(
            renders=tuple(renders[case.token]),
            jobs=jobs[case.token],
            entries=films[case.token],
            seeds=seeds.get(case.token, {}),
            digests=hashed(stage, case, digests),
            told=told,
            running=running,
            runs=tuple(runs[case.token]),
        )
        fired = struck[case.marker] if case.fault == "xai" else stage.fired(case.token)
        results.append(result(stage, case, evidence, fired, troubles.get(case.token)))
    return results


def marks(row: dict[str, Any]) -> list[str]:
    """The scenarios that a request met."""
    return (row["marker"] or "").split("+")


def result(stage: Stage, case: Case, evidence: Evidence, fired: int, trouble: str | None) -> Result:
    kind: Kind = case.kind
    verdict = judge(
        evidence,
        renders=2 if kind.is_film else 1,
        posts=kind.posts,
        expected=case.expected,
        fired=fired,
    )
    wrong = list(verdict.wrong) + ([f"its caller: {trouble}"] if trouble else [])
    if kind.name == "callback" and f"/{case.token}" not in stage.called_back:
        wrong.append("the callbackUrl was not told")
    held = tuple(render.render_id for render in evidence.renders if is_held(render))
    verdict = replace(verdict, wrong=tuple(wrong))
    seen = "" if fired else calls_of(stage, case)
    return Result(case, verdict, fired, held if verdict.held else (), seen)


def calls_of(stage: Stage, case: Case) -> str:
    """What the function of a case was seen to call, each time that it ran for it."""
    runs = stage.calls(case.token).get(case.point.function, [])
    told = "; ".join(", ".join(point.call for point in run) for run in runs)
    return f"{case.point.function} ran {len(runs)} times: {told or 'nothing'}"


def is_held(render: Render) -> bool:
    """Whether a POST of it may have been paid, and what came of it is not known."""
    attempts = (*render.attempts, *render.still_attempts)
    return any(a.outcome in HELD and a.request_id is None for a in attempts)


def sorted_table(
    items: list[dict[str, Any]],
) -> tuple[
    dict[str, list[Render]], dict[str, dict[str, tuple[str, str]]], dict[str, list[FilmRun]]
]:
    """Renders, entries and runs by film."""
    renders: dict[str, list[Render]] = defaultdict(list)
    films: dict[str, dict[str, tuple[str, str]]] = defaultdict(dict)
    runs: dict[str, list[FilmRun]] = defaultdict(list)
    for item in items:
        owner, name = item["pk"]["S"], item["sk"]["S"]
        if name == "RENDER":
            render = Render.model_validate_json(item["document"]["S"])
            renders[render.pipeline_request_id].append(render)
        elif owner.startswith("FILM#") and name.startswith("RUN#"):
            runs[owner.removeprefix("FILM#")].append(
                FilmRun.model_validate_json(item["document"]["S"])
            )
        elif owner.startswith("FILM#"):
            films[owner.removeprefix("FILM#")].update(entries_of([item]))
    return renders, films, runs


def prompts(renders: dict[str, list[Render]]) -> dict[str, str]:
    """The token of every prompt's digest, as the journal has it."""
    return {
        sha256(text.encode()).hexdigest(): token
        for token, those in renders.items()
        for render in those
        for text in (render.plan.prompt, render.plan.first_frame_prompt)
        if text
    }


def hashed(stage: Stage, case: Case, keys: dict[str, str]) -> dict[str, str]:
    """The digests of a film's objects."""
    mine = (key for key in keys if f"/{case.token}/" in key)
    return {key: sha256(stage.content(key)).hexdigest() for key in mine}


def described(results: Iterable[Result]) -> str:
    """Results that should not be, each with the command that runs it alone."""
    lines = []
    for one in results:
        if one.verdict.wrong:
            lines.append(f"{one.case.name}  make reliability CASE={one.case.name}")
            lines += [f"    {words}" for words in (*one.verdict.wrong, one.seen) if words]
            lines.append(f"    {json.dumps(one.case.plan)}")
    return "\n".join(lines)
