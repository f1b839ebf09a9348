"""A few films and single clips, everything that may happen to them, and what must hold after it.

The verbs, the doors' commands, the table, the bucket and the ledger are real, xAI is the
simulator, and the real ASL is walked one state at a time. Each outside call is a place where the
process may die or the other side fail, before the call or after it, or where somebody else may
come in between: so what runs beside each other is one thread, and can be had again.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.workflow.balance import check_books
from tests.workflow.conftest import FilmStage, Killed
from tests.workflow.walking import Fault, Walk, Walker
from videoconductor import errors, intake, wiring
from videoconductor.clip import SETTLED, Attempt, FilmOrder, FilmRun, ManifestEntry, Render
from videoconductor.errors import VideoConductorError
from videoconductor.providers import Job
from videoconductor.revival import USED_UP
from videoconductor.sweeping import SweepOrder
from xai_simulator.clips import ClipMaker

ANN, BOB = (f"arn:aws:iam::1:user/{name}" for name in ("ann", "bob"))
FILMS = ("ferry", "quay")
LATER = 200.0  # seconds: more than a lease, and than the sweep's grace
OUTCOMES_HELD = {"submitting", "unknown", "abandoned"}
# Services whose calls are places where something may happen.
WATCHED = {"dynamodb", "s3", "events", "stepfunctions"}
EXPECTED = {"Lambda.Unknown", *(name for name in vars(errors) if name[0].isupper())}
_films = ClipMaker.film
_boxes: dict[Any, bytes] = {}

Happening = Callable[[], None]
Item = dict[str, Any]


async def film_at_once(maker: ClipMaker, scene: Any, target: Any) -> None:
    """A clip without an encoder: one of its kind is made, each other is that with its own words."""
    kind = (scene.size, scene.seconds, scene.sound)
    if kind not in _boxes:
        await _films(maker, scene, target)
        _boxes[kind] = target.read_bytes()
    words = repr(scene.caption).encode()
    target.write_bytes(_boxes[kind] + (len(words) + 8).to_bytes(4, "big") + b"free" + words)


@dataclass(frozen=True)
class Mishap:
    """What happens at the nth outside call of something: before it or after it."""

    nth: int
    what: str  # "killed", "fails", or "meanwhile"
    when: str = "before"
    crash: str = "Lambda.Unknown"
    meanwhile: Happening | None = None


class WalkedStage(FilmStage):
    """A stage whose executions only go on when they are told to."""

    def prepare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        arn = self.machine_arn.replace("render_clip", "render_film")
        monkeypatch.setenv("FILM_STATE_MACHINE_ARN", arn)
        self.film_machine_arn = arn

    def close(self) -> None:
        """Nothing runs by itself."""


@dataclass
class World:
    """The stage, who asked for what, and what happened so far."""

    stage: Any
    walker: Walker = field(init=False)
    is_acting: bool = False
    mishap: Mishap | None = None
    crash: str = "Lambda.Unknown"
    calls: int = 0
    outages: Counter[str] = field(default_factory=Counter)
    orders: list[tuple[str, str, dict[str, Any], str]] = field(default_factory=list)
    runs: dict[str, FilmRun] = field(default_factory=dict)
    hand_ins: list[tuple[str, FilmOrder, str, str]] = field(default_factory=list)
    jobs: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    leave: Counter[str] = field(default_factory=Counter)  # POSTs allowed beyond the first
    consent: Counter[str] = field(default_factory=Counter)  # to paying twice
    misled: set[str] = field(default_factory=set)  # somebody attached another's job
    used_up: set[tuple[str, int]] = field(default_factory=set)
    touched: set[tuple[str, str]] = field(default_factory=set)
    entries: dict[tuple[str, str], Item] = field(default_factory=dict)
    records: dict[str, Item] = field(default_factory=dict)
    renders: dict[str, Render] = field(default_factory=dict)
    moments: dict[str, set[str]] = field(default_factory=dict)  # at which clips were asked for
    whole: set[str] = field(default_factory=set)
    steps: int = 0
    all_calls: int = 0

    def prepare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put this world between the package and everything outside."""
        self.walker = Walker(self._invoke, self.stage.document, self._seconds, self._wait_until)
        real = BaseClient._make_api_call

        def call(client: Any, operation: str, parameters: Any) -> Any:
            service = client.meta.service_model.service_name
            if service == "stepfunctions":
                return self._through(
                    service, operation, lambda: self._machine(operation, parameters)
                )
            return self._through(service, operation, lambda: real(client, operation, parameters))

        monkeypatch.setattr(BaseClient, "_make_api_call", call)
        numbers = iter(range(1, 1_000_000))
        made = SimpleNamespace(uuid4=lambda: uuid.UUID(int=next(numbers)))
        monkeypatch.setattr(wiring, "uuid", made)
        xai = wiring.provider("xai")
        for name in ("start", "make_still"):
            monkeypatch.setattr(xai, name, self._posting(getattr(xai, name)))
        polling = xai.poll

        def poll(job: Job) -> Any:
            self._let_finish()
            return self._through("xai", "poll", lambda: polling(job))

        monkeypatch.setattr(xai, "poll", poll)
        opening = wiring.downloads().open
        monkeypatch.setattr(
            wiring.downloads(),
            "open",
            lambda url: self._through("xai", "download", lambda: opening(url)),
        )

    # -- outside calls -----------------------------------------------------------------------------

    def _machine(self, operation: str, parameters: Any) -> Any:
        answer = self.walker.call(operation, parameters)
        if answer.get("status") == "MISSING":
            raise failing("ExecutionDoesNotExist", operation)
        return answer

    def _through(self, service: str, operation: str, call: Callable[[], Any]) -> Any:
        """An outside call, and whatever is to happen at it."""
        if not self.is_acting or service not in WATCHED | {"xai"}:
            return call()
        if self.outages[service] > 0:
            self.outages[service] -= 1
            raise failing("InternalServerError", operation)
        self.calls += 1
        self.all_calls += 1
        mishap = self.mishap
        if mishap is None or mishap.nth != self.calls:
            return call()
        self.mishap = None
        if mishap.meanwhile is not None:
            mishap.meanwhile()
            return call()
        if mishap.when == "after":
            call()
        # What xAI answers is up to its scenarios.
        if mishap.what == "fails" and service != "xai":
            raise failing("InternalServerError", operation)
        self.crash = mishap.crash
        raise Killed

    def _posting(self, real: Callable[..., Any]) -> Callable[..., Any]:
        """A POST, and which job of xAI's came of which attempt."""

        signature = inspect.signature(real)

        def post(*given: Any, **named: Any) -> Any:
            trace = signature.bind(*given, **named).arguments["trace"]

            def sent() -> Any:
                known = {job["id"] for job in self.stage.jobs()}
                try:
                    return real(*given, **named)
                finally:
                    for job in self.stage.jobs():
                        if job["id"] not in known:
                            self.jobs[job["id"]] = attempt_of(trace)

            return self._through("xai", "post", sent)

        return post

    def _let_finish(self) -> None:
        """Jobs take no time here: whether a poll finds one pending is up to its scenario."""
        end = time.monotonic() + 20
        while any(
            j["status"] == "pending" and "hang" not in (j["marker"] or "") for j in self._live()
        ):
            assert time.monotonic() < end, "the simulator does not get on"
            time.sleep(0.002)

    def _live(self) -> list[dict[str, Any]]:
        return [job for job in self.stage.jobs() if not job["task"].endswith("image")]

    # -- time and executions -----------------------------------------------------------------------

    def _seconds(self) -> float:
        return float(self.stage.elapsed)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.stage.elapsed += seconds

    def _wait_until(self, seconds: float) -> None:
        self.stage.elapsed = max(self.stage.elapsed, seconds)

    def _invoke(self, folder: str, document: Any) -> Any:
        try:
            answer = self.stage.invoke(folder, document)
        except TimeoutError:
            raise Fault("States.Timeout") from None
        content = json.loads(answer["Payload"].read())
        if "FunctionError" not in answer:
            return content
        error = content["errorType"]
        assert error in EXPECTED, f"{folder}: {error}: {content['errorMessage']}"
        # The name under which AWS reports a process that is gone differs.
        raise Fault(self.crash if error == "Lambda.Unknown" else error, content["errorMessage"])

    @contextmanager
    def acting(self, mishap: Mishap | None = None) -> Iterator[None]:
        """Somebody does something, in the middle of which `mishap` happens.

        That they are refused, that something outside fails them, or that their process dies, may
        be; anything else is an error of the package, or of this model.
        """
        before = (self.is_acting, self.mishap, self.calls)
        self.is_acting, self.mishap, self.calls = True, mishap, 0
        self.stage.elapsed += 0.001  # no two things happen at the same moment
        try:
            with suppress(VideoConductorError, Killed):
                yield
        finally:
            self.is_acting, self.mishap, self.calls = before

    def step(self, walk: Walk, mishap: Mishap | None = None) -> None:
        """Let an execution go on by one state."""
        if not walk.is_running:
            return
        self.steps += 1
        render = walk.document.get("render", walk.document)
        if "clip_id" in render or "clipId" in render:
            self.touched.add(place_of(Render.model_validate(render)))
        with self.acting(mishap):
            self.walker.step(walk)

    def along(self, walk: Walk, most: int = 40) -> None:
        """Let an execution go on until it is over, or waits for others."""
        for _ in range(most):
            if walk not in self.walker.ready():
                return
            self.step(walk)
            self.check()

    # -- what people do ----------------------------------------------------------------------------

    def submit(self, fields: dict[str, Any], caller: str, key: str | None) -> None:
        """Ask for a clip; with a key, perhaps for the second time."""
        known = next((o for o in self.orders if key and o[:2] == (caller, key)), None)
        body = json.dumps(fields)
        render = wiring.conductor().accept(intake.clip_request(body), caller, key)
        if key is None:
            assert render.render_id not in self.renders
        elif known is None:
            self.orders.append((caller, key, fields, render.render_id))
        else:
            assert known[2] == fields, "a key that came with another request was accepted"
            assert render.render_id == known[3]

    def hand_in(self, text: str, order: FilmOrder, caller: str, key: str | None) -> None:
        """Hand a script in."""
        known = next((h for h in self.hand_ins if key and h[2:] == (caller, key)), None)
        wiring.director().accept(text, order, caller, key)
        if known is not None:
            assert known[:2] == (text, order), "a key that came with another script was accepted"
        elif key is not None:
            self.hand_ins.append((text, order, caller, key))

    def retry_film(self, film: str, *, consent: bool) -> None:
        """Have the newest run's script handed in again."""
        wiring.director().retry(film, None, FilmOrder(), ANN, may_charge_twice=consent)

    def remaster(self, render_id: str) -> None:
        """Ask for a finished clip at 720p."""
        wiring.conductor().remaster(render_id, intake.remastering("{}"), BOB)

    def attach(self, render_id: str, request_id: str | None) -> None:
        """Attach a job: the right one, a foreign one, or one that is none."""
        own = {job for job, (owner, _, _) in self.jobs.items() if owner == render_id}
        with self._deciding(render_id) as decided:
            wiring.conductor().attach(render_id, request_id)
        if decided and request_id is not None and request_id not in own:
            self.misled.add(render_id)

    def retry(self, render_id: str, *, consent: bool) -> None:
        """Allow one more POST; without consent only where nothing may be paid for twice."""
        with self._deciding(render_id) as decided:
            wiring.conductor().retry(render_id, may_charge_twice=consent)
        self.consent[render_id] += bool(decided) and consent

    @contextmanager
    def _deciding(self, render_id: str) -> Iterator[list[str]]:
        """A person's decision: it counts if it got on record, whatever they were told."""
        before, decided = self.read(render_id), list[str]()
        try:
            yield decided
        finally:
            if self.read(render_id).executions > before.executions:
                assert before.status in SETTLED
                decided.append(render_id)
                self.leave[render_id] += 1

    def cancel(self, render_id: str) -> None:
        """Stop waiting for a render."""
        wiring.conductor().cancel(render_id)

    def resume(self, render_id: str) -> None:
        """Give a render another execution."""
        wiring.conductor().resume(render_id)

    def abandon(self, render_id: str) -> None:
        """Give a render up: whoever has it retried then, agrees."""
        self.consent[render_id] += 1
        wiring.conductor().abandon(render_id)

    def sweep(self) -> None:
        """The scheduled sweep."""
        wiring.sweeper().sweep(SweepOrder())

    def read(self, render_id: str) -> Render:
        """A record, looked at from outside."""
        was, self.is_acting = self.is_acting, False
        try:
            return wiring.manifest().read(render_id)
        finally:
            self.is_acting = was

    # -- what must hold ----------------------------------------------------------------------------

    def check(self) -> None:
        """Every invariant, on what is in the table, in the bucket and in xAI's journal now."""
        items = self._table()
        self._read_renders(items)
        self._read_runs(items)
        self._check_jobs()
        self._check_attempts()
        self._check_entries(items)
        self._check_clips(items)
        check_books(self.renders.values(), wiring.books())
        self.touched = set()

    def _table(self) -> dict[tuple[str, str], Item]:
        pages = self.stage.dynamodb.get_paginator("scan").paginate(TableName="table")
        found = (item for page in pages for item in page["Items"])
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in found}

    def _read_renders(self, items: dict[tuple[str, str], Item]) -> None:
        records = {pk[7:]: item for (pk, sk), item in items.items() if sk == "RENDER"}
        assert self.records.keys() <= records.keys(), "a record is gone"
        for name, item in records.items():
            if self.records.get(name) != item:
                render = Render.model_validate_json(item["document"]["S"])
                self.renders[name] = render
                asked = {render.created_at, render.wanted_at or render.created_at}
                self.moments.setdefault(name, set()).update(map(iso, asked))
        self.records = records

    def _read_runs(self, items: dict[tuple[str, str], Item]) -> None:
        """A run may pay once for each of its clips, however the door that took it ended."""
        for (_, sk), item in items.items():
            if not sk.startswith("RUN#"):
                continue
            run = FilmRun.model_validate_json(item["document"]["S"])
            if run.run_id in self.runs:
                continue
            self.runs[run.run_id] = run
            for clip in self.stage.document(run.clips_key):
                name = clip.get("render_id") or clip["renderId"]
                self.leave[name] += 1
                self.consent[name] += run.may_charge_twice

    def _check_jobs(self) -> None:
        """One job an attempt at most, and nobody has forgotten one."""
        started = {job["id"]: job for job in self.stage.jobs()}
        assert started.keys() == self.jobs.keys()
        assert len(set(self.jobs.values())) == len(self.jobs), "two jobs of one attempt"
        for name, (owner, purpose, number) in self.jobs.items():
            attempts: tuple[Attempt, ...] = getattr(self.renders[owner], purpose)
            attempt = next((a for a in attempts if a.number == number), None)
            assert attempt is not None, f"job {name} of an attempt that is not on record"
            if purpose == "still_attempts":
                is_booked = attempt.spent_ticks is not None or not started[name]["billed"]
                assert is_booked or attempt.outcome in OUTCOMES_HELD, attempt
            elif attempt.request_id != name and owner not in self.misled:
                assert attempt.request_id is None
                assert attempt.outcome in OUTCOMES_HELD, f"job {name} is lost: {attempt}"
            if attempt.request_id == name and attempt.cost_ticks is not None:
                assert attempt.cost_ticks >= started[name]["cost_usd_ticks"]

    def _check_attempts(self) -> None:
        """No POST that nobody allowed; none after one that may be paid for, but by consent."""
        for name, render in self.renders.items():
            if render.failure is not None and render.failure.error in USED_UP and render.attempts:
                used = (name, render.attempts[-1].number)
                self.consent[name] += used not in self.used_up
                self.used_up.add(used)
            for attempts in (render.attempts, render.still_attempts):
                numbers = [attempt.number for attempt in attempts]
                assert numbers == sorted(set(numbers))
                sent = [a for a in attempts if a.outcome not in {"refused", "not_sent"}]
                assert len(sent) <= 1 + self.leave[name], f"{name} was sent unasked: {sent}"
                if name in self.misled:
                    continue
                open_ones = [a for a in attempts[:-1] if is_open(a)]
                assert len(open_ones) <= self.consent[name], f"{name}: {open_ones}"

    def _check_entries(self, items: dict[tuple[str, str], Item]) -> None:
        """No entry is gone, replaced by something older, or changed by what is not its clip."""
        entries = {at: item for at, item in items.items() if at[1].startswith("ENTRY#")}
        for at, before in self.entries.items():
            assert at in entries, f"the entry {at} is gone"
            assert entries[at]["renderOrder"]["S"] >= before["renderOrder"]["S"], at
        for at, item in entries.items():
            if self.entries.get(at) == item:
                continue
            entry = ManifestEntry.model_validate_json(item["document"]["S"])
            assert (entry.pipeline_request_id, entry.id) in self.touched, f"{at} changed by others"
            render = self.renders[str(entry.render_id)]
            assert place_of(render) == (entry.pipeline_request_id, entry.id)
            runs = {iso(run.requested_at) for run in self.runs.values()}
            moments = self.moments[render.render_id] | runs
            assert item["renderOrder"]["S"][:26] in moments, "an order of no request"
            versions = (sk for pk, sk in items if pk == at[0] and sk.startswith("VERSION#"))
            assert any(entry.id in sk for sk in versions)
        self.entries = entries

    def _check_clips(self, items: dict[tuple[str, str], Item]) -> None:
        """What is finished is there: the object, whole, a version of it, and an entry."""
        videos = [key for key in self.stage.objects() if key.endswith(".mp4")]
        assert len(videos) == len(set(videos)), "a clip was written over"
        for render in self.renders.values():
            if render.clip is None or render.status != "finalized":
                continue
            assert render.clip.key in videos
            if render.clip.key not in self.whole:
                found = self.stage.s3.get_object(Bucket="library", Key=render.clip.key)
                assert hashlib.sha256(found["Body"].read()).hexdigest() == render.clip.sha256
                self.whole.add(render.clip.key)
            film = f"FILM#{render.pipeline_request_id}"
            assert (film, f"ENTRY#{render.entry_id}") in items
            assert (film, f"VERSION#{render.entry_id}#{render.clip_order}") in items

    # -- how it ends -------------------------------------------------------------------------------

    def settle(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing goes wrong any more: everything comes to rest, and nothing that was paid for is
        beyond recovery.
        """
        self.stage.calm(monkeypatch)
        self.outages.clear()
        wiring.manifest().change_caps(lambda caps: caps.resumed(), "ann")
        self._run_out()
        for name, render in sorted(self.renders.items()):
            assert render.status in SETTLED, (name, render.status)
            assert render.announced == render.status, (name, render.status)
        for was in self.runs.values():
            run = wiring.manifest().run(was.film, was.run_id)
            assert run.status != "running", run
            assert run.announced or run.cancelled_at is None, run
        self._recover()

    def _run_out(self) -> None:
        for _ in range(12):
            for _ in range(1000):
                ready = self.walker.ready()
                if not ready:
                    break
                for walk in ready:
                    self.step(walk)
            self.check()
            self.wait(LATER)
            with self.acting():
                self.sweep()
            table = wiring.manifest()
            if not (table.open_renders(99) or table.open_runs(99) or self.walker.ready()):
                return
        raise AssertionError("it does not come to rest")

    def _recover(self) -> None:
        """Each job that xAI finished gives its clip, though its render had come to nothing."""
        finished = {job["id"] for job in self._live() if job["status"] == "done"}
        for name, (owner, purpose, _) in self.jobs.items():
            if purpose == "still_attempts" or name not in finished or owner in self.misled:
                continue
            if self.read(owner).status == "finalized":
                continue
            with self.acting():
                self.attach(owner, name)
            self._run_out()
            self.check()
            assert self.read(owner).status == "finalized", self.read(owner)


def attempt_of(trace: str) -> tuple[str, str, int]:
    """Render, purpose and number of the attempt that a POST is for, by what it tells xAI."""
    rest, _, number = trace.rpartition("-")
    is_still = rest.endswith("-still")
    purpose = "still_attempts" if is_still else "attempts"
    return rest.removesuffix("-still"), purpose, int(number)


def place_of(render: Render) -> tuple[str, str]:
    """Where a render's clip is entered: its film, and its entry there."""
    return render.pipeline_request_id, render.entry_id


def is_open(attempt: Attempt) -> bool:
    """Whether a POST may yet have to be paid for, for all that was proved of it."""
    if attempt.outcome in {"refused", "not_sent"}:
        return False
    return not (attempt.outcome == "accepted" and attempt.has_ended)


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")[:26]


def failing(code: str, operation: str) -> ClientError:
    """What boto3 raises when a service does not do what it was asked."""
    return ClientError({"Error": {"Code": code, "Message": "down"}}, operation)
