"""The simulator's whole state, and how a job runs from start to end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from xai_simulator import endings, replies
from xai_simulator.faults import FAULTS
from xai_simulator.files import FileShelf, StoredFile
from xai_simulator.inputs import UrlRule
from xai_simulator.jobs import Artifact, Job, JobFailed, Made
from xai_simulator.journal import Journal, fingerprint
from xai_simulator.ledger import Ledger, job_of, row_of
from xai_simulator.making import Workshop
from xai_simulator.options import SimulatorOptions
from xai_simulator.orders import ImageOrder, Order, VideoOrder
from xai_simulator.replies import Refusal
from xai_simulator.scenarios import SCENARIOS, Markers, Scenario
from xai_simulator.shapes import shapes
from xai_simulator.uploads import deliver
from xai_simulator.validation import Rulebook

SLOW_FACTOR = 10
RANDOM_STARTS = ("start429", "start503", "lost", "garbled")
RANDOM_POLLS = ("poll429", "poll503", "poll_drop", "truncated_json")


class Simulator:
    """Jobs, files, journal and memory of one running server.

    `clock`, in seconds, is what its rate limit is measured by.
    """

    def __init__(
        self,
        options: SimulatorOptions,
        origin: str,
        folder: Path,
        session: aiohttp.ClientSession,
        journal: Journal,
        ledger: Ledger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.options = options
        self.key = options.key
        self.origin = origin
        self.folder = folder
        self.session = session
        self.journal = journal
        self.ledger = ledger
        self.catalog = options.catalog()
        self.rules = Rulebook(self.catalog, options)
        self.shapes = shapes(self.catalog)
        self.shelf = FileShelf(ledger, folder)
        self.workshop = Workshop(folder, session, UrlRule(options), self.shelf)
        self.jobs: dict[str, Job] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.received: dict[str, Path] = {}
        self._memory: Counter[tuple[str, str]] = Counter()
        self._chance = random.Random(options.fault_seed)  # noqa: S311
        self._starts: deque[float] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._clock = clock

    def reset(self) -> None:
        """Forget every job, file, marker and journal entry, and a key that was changed."""
        self.key = self.options.key
        for task in self._tasks:
            task.cancel()
        for kept in (self.jobs, self.artifacts, self.received, self._memory, self._starts):
            kept.clear()
        self.shelf.clear()
        self.ledger.clear()
        self.journal.clear()
        self._chance = random.Random(self.options.fault_seed)  # noqa: S311

    def take_up(self) -> None:
        """Go on with the jobs that an earlier run on this port and cache folder left."""
        self.received = {
            row["name"]: self.folder / row["path"] for row in self.ledger.rows("received")
        }
        kept = []
        for row in self.ledger.rows("job"):
            # A row that other options refuse, or that another version wrote, is passed over.
            with contextlib.suppress(Refusal, LookupError, TypeError, ValueError):
                job = job_of(row, self.rules.order(**row["asked"]), self.folder)
                kept.append((job, row["urls"]))
        for job, urls in sorted(kept, key=lambda pair: pair[0].began):
            self.jobs[job.id] = job
            if job.status == "done":
                self._offer(job, urls)
            self.journal.enter_again(job.entry())
            self.run_later(job)

    async def close(self) -> None:
        """Stop all work."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def check_rate(self, model: str) -> None:
        """Count one start against the team's rate; raises Refusal 429."""
        limit = self.options.requests_per_second
        if limit is None:
            return
        now = self._clock()
        window = max(1.0, 1.0 / limit)
        while self._starts and self._starts[0] <= now - window:
            self._starts.popleft()
        if len(self._starts) >= max(1, int(limit)):
            raise self.rate_limited(model, f"{limit:g}")
        self._starts.append(now)

    def rate_limited(self, model: str, limit: str = "2") -> Refusal:
        """The 429 that names the rate limit."""
        after = self.options.retry_after
        text = replies.RATE.format(
            team=self.options.team_id, model=model, actual=limit, limit=limit
        )
        return Refusal(text, 429, headers={} if after is None else {"Retry-After": str(after)})

    def start_faults(self, order: Order) -> list[Scenario]:
        """The faults that strike this POST: of those before a job exists, one at a time."""
        marked = (row for row in order.markers.at("start") if row.name in FAULTS)
        first = next((row for row in marked if self._remembers(row, order.prompt)), None)
        struck = [first] if first else []
        return [*struck, *order.markers.at("answer"), *self._by_chance(RANDOM_STARTS)]

    def poll_faults(self, job: Job) -> list[Scenario]:
        """The faults that strike this poll, one marker at a time."""
        marked = (row for row in job.order.markers.at("poll") if row.name in FAULTS)
        first = next((row for row in marked if job.strikes_now(row.name, row.times)), None)
        return [*([first] if first else []), *self._by_chance(RANDOM_POLLS)]

    def _remembers(self, row: Scenario, prompt: str) -> bool:
        key = (row.name, fingerprint(prompt))
        self._memory[key] += 1
        return row.times == 0 or self._memory[key] <= row.times

    def _by_chance(self, names: tuple[str, ...]) -> list[Scenario]:
        if self._chance.random() >= self.options.fault_rate:
            return []
        return [SCENARIOS[self._chance.choice(names)]]

    def start(self, order: Order) -> Job:
        """Start the job: from here on it runs and is billed, whoever asks for it or not."""
        slow = order.markers.number("slow") or SLOW_FACTOR if order.markers.has("slow") else 1
        wait = self.options.scaled(self.options.job_seconds) * slow
        if isinstance(order, ImageOrder) and not order.deferred:
            wait = 0.0
        job = Job(order, due=time.monotonic() + wait)
        job.ticks = _quote(order)
        self.jobs[job.id] = job
        self._note(job)
        return job

    def _note(self, job: Job) -> None:
        if self.jobs.get(job.id) is job:  # no reset has come in between
            self.ledger.write("job", job.id, row_of(job))
            self.journal.enter_job(job.entry())

    def run_later(self, job: Job) -> None:
        """Let the job run beside the server."""
        task = asyncio.get_running_loop().create_task(self.run(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def run(self, job: Job) -> None:
        """Make the work, wait until it is due, deliver it; a job taken up goes on where it was."""
        if not job.results and job.failure is None:
            await self._make(job)
            self._note(job)
        await asyncio.sleep(max(0.0, job.due - time.monotonic()))
        if job.order.markers.has("hang"):
            return
        if job.status == "pending":
            outcome = endings.outcome(job)
            if outcome == "done":
                self._publish(job)
                await deliver(self, job, "before")
            job.status = outcome
            self._note(job)
        if job.status == "done" and not job.uploads:
            await deliver(self, job, "after")
            if job.uploads:
                self._note(job)

    async def _make(self, job: Job) -> None:
        try:
            job.results = await self._made(job.order)
        except JobFailed as failure:
            job.failure = failure
            job.ticks = 0
        except Exception as problem:  # noqa: BLE001 - a job must end, whatever its inputs did
            job.failure = JobFailed("internal_error", f"{type(problem).__name__}: {problem}")
            job.ticks = 0
        if job.results and isinstance(job.order, VideoOrder):
            job.ticks = job.results[0].ticks

    async def _made(self, order: Order) -> list[Made]:
        if isinstance(order, VideoOrder):
            return [await self.workshop.video(order)]
        if isinstance(order, ImageOrder):
            return await self.workshop.stills(order)
        raise TypeError(f"no workshop for {type(order).__name__}")

    def _publish(self, job: Job) -> None:
        self._offer(job)
        if job.order.storage or job.order.markers.has("file_only"):
            job.files = [self.file_output(self._stored(job, made)) for made in job.results]

    def _offer(self, job: Job, urls: Sequence[str] = ()) -> None:
        """Serve the results; `urls` are the names under which polls have told of them before."""
        for number, made in enumerate(job.results):
            video = made.content_type == "video/mp4"
            name = f"xai-video-{job.id}.mp4" if video else f"xai-image-{job.id}-{number}.jpeg"
            artifact = Artifact(name, made.path, made.content_type, job.order.markers)
            job.artifacts.append(artifact)
            self.artifacts[name] = artifact
            if urls and urls[number] != name:
                self._freshen(job, number)

    def _freshen(self, job: Job, number: int) -> None:
        """Serve a result under a new name, where it is no longer gone."""
        old = job.artifacts[number]
        kept = Markers(tuple(row for row in old.markers.rows if row.name != "gone"))
        fresh = Artifact(f"fresh-{old.name}", old.path, old.content_type, kept)
        job.artifacts[number] = fresh
        self.artifacts[fresh.name] = fresh

    def _stored(self, job: Job, made: Made) -> StoredFile:
        asked = job.order.storage or {"filename": f"{job.id}.mp4", "public_url": True}
        stored = self.shelf.keep(
            made.path, asked["filename"], made.content_type, asked.get("expires_after")
        )
        public = asked.get("public_url") or job.order.markers.has("file_only")
        if public or isinstance(public, dict):
            lifetime = public.get("expires_after") if isinstance(public, dict) else None
            self.shelf.publish(stored, lifetime)
        return stored

    def file_output(self, stored: StoredFile) -> dict[str, Any]:
        """A stored file as a poll reports it."""
        output: dict[str, Any] = {"file_id": stored.id, "filename": stored.filename}
        if stored.expires:
            output["expires_at"] = stored.expires
        if stored.token:
            output["public_url"] = f"{self.origin}/public/{stored.token}/{quote(stored.filename)}"
        if stored.public_expires:
            output["public_url_expires_at"] = stored.public_expires
        return output

    def url_of(self, job: Job, number: int = 0) -> str:
        """The result url; a fresh one once the old one has been found gone."""
        if job.artifacts[number].gone:
            self._freshen(job, number)
            self._note(job)
        artifact = job.artifacts[number]
        folder = "xai-vidgen-bucket" if artifact.content_type == "video/mp4" else "xai-imgen-bucket"
        return f"{self.origin}/{folder}/{artifact.name}"


def _quote(order: Order) -> int:
    """The price so far as it is known before the inputs were read."""
    if isinstance(order, ImageOrder):
        return order.ticks()
    if isinstance(order, VideoOrder) and order.operation == "generate":
        return order.ticks(order.seconds or 0, order.resolution)
    return 0
