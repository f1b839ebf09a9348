"""One clip, from what is on record of it to its end in this run: send, wait, fetch."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from videoconductor import pacing
from videoconductor.clip import Failure, Frame, request_id
from videoconductor.download import Downloads
from videoconductor.errors import (
    CopyFailed,
    CopyInterrupted,
    JobNotFound,
    KeyRefused,
    NotSent,
    ProviderUnavailable,
    RateLimited,
    RenderFailed,
    RenderRefused,
    SubmitUnknown,
    UrlExpired,
    VideoConductorError,
)
from videoconductor.providers import Provider, Ready
from videoconductor_cli.jobs import deciding, fetching
from videoconductor_cli.jobs.deciding import Fetch, Rest, Send, SoFar, Wait, Want
from videoconductor_cli.jobs.manifest import Manifest, NotOnRecord
from videoconductor_cli.jobs.plans import PlannedClip
from videoconductor_cli.jobs.record import UNKNOWN, Attempt, Entry, KeptFile, permit

# A POST that reaches nobody, or that is refused for its rate, is given up after so many tries.
MAX_POSTPONEMENTS = 8
MAX_COPIES = 4
COPY_PAUSE = 2.0


class Stopped(Exception):
    """Somebody asked the run to stop; what is on record is enough to go on later."""


@dataclass(frozen=True)
class Times:
    """Seconds: between polls, for one wait, and for a job that its provider seems not to know."""

    interval: float = 5
    timeout: float = 900
    grace: float = 120


@dataclass(frozen=True)
class Sight:
    """How a clip stands, for whoever watches."""

    clip: PlannedClip
    state: str
    progress: int = 0
    attempt: Attempt | None = None


@dataclass(frozen=True)
class Tools:
    """What the making of clips needs of the world.

    `pause` waits so many seconds, and `check` not at all; both raise Stopped when the run is to
    end. `show` and `say` are for the person who watches.
    """

    manifest: Manifest
    provider: Callable[[str], Provider]
    downloads: Downloads
    folder: Path
    times: Times
    new_id: Callable[[], str]
    now: Callable[[], datetime]
    clock: Callable[[], float]
    pause: Callable[[float], None]
    check: Callable[[], None]
    jitter: random.Random
    show: Callable[[Sight], None]
    say: Callable[[str], None]


@dataclass(frozen=True)
class Outcome:
    """How a clip stands at the end of a run, and what was sent for it."""

    is_finished: bool
    attempt: Attempt | None = None
    sent: int | None = None


class Maker:
    """Makes one clip at a time; several may be at work, each in a thread of its own."""

    def __init__(self, tools: Tools, want: Want) -> None:
        self._tools = tools
        self._want = want

    def make(self, clip: PlannedClip, *, may_send: bool) -> Outcome:
        """Bring a clip as far as it will go. Raises Stopped, NotOnRecord."""
        manifest, so_far = self._tools.manifest, SoFar(may_send)
        while True:
            entry = manifest.entry(clip.key)
            step = deciding.next_step(
                entry, clip.fingerprint, self._want, so_far, self._on_disk(entry)
            )
            match step:
                case Rest(is_finished, attempt):
                    self._show(clip, state_of(is_finished, attempt), attempt)
                    return Outcome(is_finished, attempt, so_far.sent)
                case Send():
                    number = self._send(clip, entry)
                    so_far = replace(so_far, sent=number)
                case Wait(attempt):
                    is_ours = attempt.number == so_far.sent
                    self._wait(clip, attempt, is_new=is_ours)
                    so_far = replace(so_far, waited=so_far.waited | {attempt.number})
                case Fetch(attempt):
                    is_fresh = attempt.number in so_far.waited
                    self._fetch(clip, attempt, is_fresh=is_fresh)
                    so_far = replace(so_far, fetched=so_far.fetched | {attempt.number})

    def _on_disk(self, entry: Entry) -> set[int]:
        folder = self._tools.folder
        return {a.number for a in entry.attempts if fetching.is_whole(folder, a.file)}

    # -- sending ----------------------------------------------------------------------------------

    def _send(self, clip: PlannedClip, entry: Entry) -> int:
        """The one POST of a permit, which stands on the disk before it; the permit's number."""
        tools = self._tools
        attempt = permit(entry, clip, tools.new_id(), tools.now())
        tools.check()
        self._put(clip, attempt)
        self._show(clip, "sending", attempt)
        trace = f"{attempt.render_id}-{attempt.number}-{attempt.postponements}"
        try:
            job = tools.provider(clip.plan.provider).start(clip.plan, _url, trace)
        except NotSent as problem:
            self._postpone(clip, attempt, problem)
        except RenderRefused as problem:
            self._put(
                clip,
                attempt.having(
                    tools.now(), "failed", error=failure(problem), cost_ticks=problem.cost_ticks
                ),
            )
        except SubmitUnknown as problem:
            self._put(clip, attempt.having(tools.now(), "submit_unknown", error=failure(problem)))
        else:
            self._accept(clip, attempt, request_id(job))
        return attempt.number

    def _accept(self, clip: PlannedClip, attempt: Attempt, job: str | None) -> None:
        now = self._tools.now()
        try:
            self._put(clip, attempt.having(now, "rendering", request_id=job, submitted_at=now))
        except NotOnRecord:
            self._tools.say(
                f"{clip.id}: xAI has accepted this as job {job}, which could not be written down. "
                f"Keep it: once the disk is mended, run again with --attach {clip.id}={job}"
            )
            raise

    def _postpone(self, clip: PlannedClip, attempt: Attempt, problem: NotSent) -> None:
        tools, tries = self._tools, attempt.postponements + 1
        is_last = tries >= MAX_POSTPONEMENTS
        postponed = attempt.having(
            tools.now(),
            "failed" if is_last else "not_sent",
            postponements=0 if is_last else tries,
            error=failure(problem),
        )
        self._put(clip, postponed)
        if not is_last:
            self._show(clip, "waits to be sent", postponed)
            after = problem.retry_after if isinstance(problem, RateLimited) else None
            tools.pause(pacing.pause(attempt.postponements, after, tools.jitter))

    # -- waiting ----------------------------------------------------------------------------------

    def _wait(self, clip: PlannedClip, attempt: Attempt, *, is_new: bool) -> None:
        """Ask how a job stands until it has ended, or patience has: then it is `stalled`."""
        tools = self._tools
        provider = tools.provider(clip.plan.provider)
        job = provider.attach(attempt.request_id or "")
        if attempt.status == "stalled":
            attempt = attempt.having(tools.now(), "rendering", error=None)
            self._put(clip, attempt)
        self._show(clip, "rendering", attempt)
        patience, progress = _Patience(tools.times, tools.clock), 0
        if is_new:
            tools.pause(tools.times.interval)
        while True:
            tools.check()
            unheard = None
            try:
                answer = provider.poll(job)
            except ProviderUnavailable as problem:
                unheard = problem
            except RenderFailed as problem:
                ticks, error = problem.cost_ticks, failure(problem)
                self._put(
                    clip, attempt.having(tools.now(), "failed", error=error, cost_ticks=ticks)
                )
                return
            else:
                if isinstance(answer, Ready):
                    self._put(clip, done(attempt, answer, tools.now()))
                    return
                progress = max(progress, answer.progress or 0)
                self._show(clip, "rendering", attempt, progress)
            left = patience.left(unheard)
            if left <= 0:
                error = Failure(error="RenderStalled", message=patience.why)
                self._put(clip, attempt.having(tools.now(), "stalled", error=error))
                return
            tools.pause(min(tools.times.interval, left))

    # -- fetching ---------------------------------------------------------------------------------

    def _fetch(self, clip: PlannedClip, attempt: Attempt, *, is_fresh: bool) -> None:
        """Put the clip's file in its place; what stands in the way of that is put on record."""
        tools = self._tools
        self._show(clip, "fetching", attempt, 99)
        if not is_fresh:
            attempt = self._with_fresh_url(clip, attempt)
        problem: VideoConductorError | OSError = CopyFailed("the clip's url is not known")
        for number in range(MAX_COPIES if attempt.temporary_url else 0):
            if number:
                tools.pause(COPY_PAUSE)
            try:
                kept = self._copied(clip, attempt)
            except UrlExpired as expired:
                problem, attempt = expired, self._with_fresh_url(clip, attempt)
            except CopyInterrupted as broken:
                problem = broken
            except (RenderFailed, OSError) as final:
                problem = final
                break
            else:
                self._put(clip, attempt.having(tools.now(), file=kept, error=None))
                return
        self._put(clip, attempt.having(tools.now(), error=failure(problem)))

    def _copied(self, clip: PlannedClip, attempt: Attempt) -> KeptFile:
        tools = self._tools
        entry = tools.manifest.entry(clip.key)
        name = fetching.name_of(entry, attempt)
        url = attempt.temporary_url or ""
        return fetching.fetch(url, tools.folder, name, tools.downloads, tools.check)

    def _with_fresh_url(self, clip: PlannedClip, attempt: Attempt) -> Attempt:
        """The attempt with the url that its job gives now; with the old one, if it gives none."""
        if attempt.request_id is None:
            return attempt
        provider = self._tools.provider(clip.plan.provider)
        try:
            answer = provider.poll(provider.attach(attempt.request_id))
        except (ProviderUnavailable, RenderFailed):
            return attempt
        if not isinstance(answer, Ready) or answer.url == attempt.temporary_url:
            return attempt
        fresh = done(attempt, answer, self._tools.now())
        self._put(clip, fresh)
        return fresh

    # -- writing and showing ----------------------------------------------------------------------

    def _put(self, clip: PlannedClip, attempt: Attempt) -> None:
        manifest = self._tools.manifest
        entry = replace(manifest.entry(clip.key), wanted=clip.fingerprint)
        manifest.put(entry.having(attempt))

    def _show(
        self, clip: PlannedClip, state: str, attempt: Attempt | None, progress: int = 0
    ) -> None:
        self._tools.show(Sight(clip, state, progress, attempt))


def done(attempt: Attempt, answer: Ready, now: datetime) -> Attempt:
    """The attempt with its clip, as the provider tells of it."""
    ticks = answer.cost_ticks if answer.cost_ticks is not None else attempt.cost_ticks
    return attempt.having(
        now,
        "done",
        temporary_url=answer.url,
        model_served=answer.model,
        seconds=answer.seconds,
        cost_ticks=ticks,
        error=None,
    )


def failure(problem: VideoConductorError | OSError) -> Failure:
    """An error as it is put on record."""
    if isinstance(problem, OSError):
        words = f"cannot write the clip's file: {problem.strerror or type(problem).__name__}"
        return Failure(error="CopyFailed", message=words)
    return Failure(
        error=type(problem).__name__, message=str(problem), code=getattr(problem, "code", None)
    )


class _Patience:
    """How long a job is waited for, and how long one that its provider turns away from us."""

    def __init__(self, times: Times, clock: Callable[[], float]) -> None:
        self._clock, self._grace = clock, times.grace
        self._deadline = clock() + times.timeout
        self._odd_since: float | None = None
        self.why = "not finished by the deadline"

    def left(self, unheard: ProviderUnavailable | None) -> float:
        """Seconds left after a poll, and what made it one without an answer."""
        now = self._clock()
        if not isinstance(unheard, JobNotFound | KeyRefused):
            self._odd_since = None
            return self._deadline - now
        if self._odd_since is None:
            self._odd_since = now
        if now - self._odd_since >= self._grace:
            self.why = str(unheard)
            return 0.0
        return min(self._deadline - now, self._odd_since + self._grace - now)


def _url(frame: Frame) -> str:
    return frame.url or ""


def state_of(is_finished: bool, attempt: Attempt | None) -> str:
    """How a clip at rest is shown."""
    if is_finished:
        return "done"
    if attempt is None:
        return "not sent"
    if attempt.status == "done":
        return "not fetched"
    return "unknown" if attempt.status in UNKNOWN else attempt.status
