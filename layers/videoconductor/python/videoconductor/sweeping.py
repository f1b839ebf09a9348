"""The sweep: what lost its execution gets another, and what nobody was told of is announced.

It goes by the table: in its index `open` is whatever is not at rest, or is and was not announced.
Of the newest renders at rest it also looks whether the manifest has their clips, and whether xAI
has delivered one that nobody could account for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from aws_lambda_powertools import Logger
from pydantic import ValidationError

from videoconductor import doctoring, filming, reconciling, recovering, revival, workflow
from videoconductor.clip import SETTLED, FilmRun, Noun, Render
from videoconductor.errors import FilmNotFound, RenderNotFound, VideoConductorError

if TYPE_CHECKING:
    from videoconductor.drift import Watch
    from videoconductor.events import Events
    from videoconductor.library import Library
    from videoconductor.machine import Machine
    from videoconductor.manifest import Manifest
    from videoconductor.recovering import Recovery

Help = Literal["resumed", "announced", "left"]

# What one sweep does at most; the next one goes on.
MAX_LOOKED_AT = 10_000
MAX_MENDED = 200
# Renders, oldest first, among which the one is looked for that has waited longest.
MAX_AGED = 25
MAX_SECONDS = 180.0
# Renders that are looked at for what they lack, newest first, and for how long they are new.
MAX_RECENT = 500
RECENT = timedelta(days=1)
# Something that dies each time is not brought back for ever: a person looks.
MAX_EXECUTIONS = 100
# Since it last changed its status: a clip of a film that is paid for and has no execution is left
# to its run for so long.
GIVEN_UP = timedelta(minutes=30)

_log = Logger(service="videoconductor", child=True)


class SweepOrder(Noun):
    """How to sweep. Younger than `grace_seconds`, something may be just about to be started.

    Without `may_post`, nothing is set going that was not sent to the provider yet.
    """

    grace_seconds: int = 90
    may_post: bool = True


class Swept(Noun):
    """Whom a sweep helped, by render id or `film/runId`.

    `entered` are those whose clips the manifest did not have, `recovered` those whose clips had
    been delivered; `left` those that it may not or no longer help, `missed` those it could not.
    `oldest_wait_seconds` is for how long the render has not moved that has waited longest.
    """

    resumed: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    entered: tuple[str, ...] = ()
    recovered: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()
    oldest_wait_seconds: float = 0


@dataclass
class _Tally:
    resumed: list[str] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    entered: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    @property
    def mended(self) -> int:
        helped = (self.resumed, self.announced, self.entered, self.recovered, self.missed)
        return sum(map(len, helped))

    def add(self, name: str, helped: Help | None) -> None:
        """Take down what was done for somebody, if anything was."""
        if helped is not None:
            getattr(self, helped).append(name)

    @contextmanager
    def helping(self, name: str) -> Iterator[None]:
        """One that cannot be helped is not to keep the others from it."""
        try:
            yield
        except (VideoConductorError, ValidationError) as problem:  # or whose record is unreadable
            _log.warning("not swept", extra={"open": name, "error": type(problem).__name__})
            self.missed.append(name)


@dataclass(frozen=True)
class Sweeper:
    """The sweep, with everything it needs handed in."""

    manifest: Manifest
    machine: Machine
    library: Library
    events: Events
    watch: Watch
    recovery: Recovery
    clock: Callable[[], datetime]

    def sweep(self, order: SweepOrder) -> Swept:
        """Help what is open and has no execution, oldest first, as much as is bounded for.

        May run at any time and several at once: it resumes as a person does, which sends no POST
        that might have been sent, and announces at least once. Raises ManifestUnavailable and
        MachineUnavailable when it cannot even look.
        """
        tally, began = _Tally(), self.clock()
        films = without_numbers(self.machine.films_running(MAX_LOOKED_AT))
        clips = without_numbers(self.machine.running(MAX_LOOKED_AT))
        is_over = self._bound(tally, began)
        under_way = self.manifest.open_renders(MAX_LOOKED_AT)
        oldest = self._oldest_wait(under_way[:MAX_AGED])
        for render_id in under_way:
            if render_id not in clips and not is_over():
                with tally.helping(render_id):
                    self._help_render(render_id, films, order, tally)
        for film, run_order in self.manifest.open_runs(MAX_LOOKED_AT):
            name = run_order.rpartition("#")[2]
            if name not in films and not is_over():
                with tally.helping(f"{film}/{name}"):
                    self._help_run(film, run_order, order, tally)
        self._reconcile(is_over, tally)
        return Swept(
            resumed=tuple(tally.resumed),
            announced=tuple(tally.announced),
            entered=tuple(tally.entered),
            recovered=tuple(tally.recovered),
            left=tuple(tally.left),
            missed=tuple(tally.missed),
            oldest_wait_seconds=oldest,
        )

    def _oldest_wait(self, render_ids: Iterable[str]) -> float:
        """Seconds since the last move of that one of these renders that moved least recently."""
        found = [0.0]
        for render_id in render_ids:
            with suppress(RenderNotFound, ValidationError):  # the sweep itself tells of the latter
                record = self.manifest.read(render_id)
                if record.status not in SETTLED:
                    since = self.clock() - doctoring.last_moved(record)
                    found.append(since.total_seconds())
        return max(found)

    def _bound(self, tally: _Tally, began: datetime) -> Callable[[], bool]:
        end = began + timedelta(seconds=MAX_SECONDS)
        return lambda: tally.mended >= MAX_MENDED or self.clock() > end

    def _reconcile(self, is_over: Callable[[], bool], tally: _Tally) -> None:
        """Enter what was finished and is not in the manifest, take up what was delivered."""
        found = self.manifest.recent(self.clock() - RECENT, MAX_RECENT)
        for record in reconciling.unentered(found, self.manifest):
            if not is_over():
                with tally.helping(record.render_id):
                    reconciling.enter(record, self.manifest, self.library, self.clock)
                    tally.entered.append(record.render_id)
        for record in found:
            if recovering.finishing(record) and not is_over():
                with tally.helping(record.render_id):
                    if self.recovery.recover(record.render_id):
                        tally.recovered.append(record.render_id)

    def _help_render(
        self, render_id: str, films: frozenset[str], order: SweepOrder, tally: _Tally
    ) -> None:
        try:
            record = self.manifest.read(render_id)
        except RenderNotFound:
            return
        # The index lags a little behind.
        if self.is_adrift(record, films, order):
            tally.add(render_id, self.help_render(record, order))

    def is_adrift(self, record: Render, films: frozenset[str], order: SweepOrder) -> bool:
        """Whether a render is open and nobody works on it, or is going to.

        `films` are the runs whose executions are under way: those mend their own clips, but for
        what they have given up.
        """
        last = doctoring.last_moved(record)
        if not record.is_open or self._is_young(last, order) or self.machine.is_running(record):
            return False
        if record.status in SETTLED:
            return True
        if _run_of(record) in films and not self._is_forgotten(record):
            return False
        # Its run is cancelled, and cancels it when it is summed up.
        return doctoring.was_sent(record) or not self._is_called_off(record)

    def help_render(self, record: Render, order: SweepOrder) -> Help | None:
        """Announce a render that is adrift, or give it another execution, as far as that may be."""
        if record.status in SETTLED:
            workflow.announce(record, self.manifest, self.events, self.watch, self.clock)
            return "announced"
        may_resume = order.may_post or doctoring.was_sent(record)
        if record.executions >= MAX_EXECUTIONS or not may_resume:
            return "left"
        return "resumed" if self._resumed(record) else None

    def _is_forgotten(self, record: Render) -> bool:
        """Whether a run may have given a clip up that is paid for: it does not come back to it."""
        return doctoring.was_sent(record) and self.clock() - doctoring.last_moved(record) > GIVEN_UP

    def _is_called_off(self, record: Render) -> bool:
        """Whether somebody cancelled the run that took a render up, which goes on to its end."""
        run_id = _run_of(record)
        if not run_id:
            return False
        try:
            run = self.manifest.run(record.pipeline_request_id, run_id)
        except FilmNotFound:
            return False
        return run.status == "running" and run.cancelled_at is not None

    def _resumed(self, record: Render) -> bool:
        """Give a render another execution; False when somebody else did something about it."""

        def resumed(latest: Render) -> Render:
            if latest.status in SETTLED or latest.executions != record.executions:
                return latest
            return revival.resumed(latest, self.clock())

        latest = self.manifest.update(record.render_id, resumed)
        if latest.status in SETTLED or latest.executions != record.executions + 1:
            return False
        self.machine.start(latest)
        return True

    def _help_run(self, film: str, run_order: str, order: SweepOrder, tally: _Tally) -> None:
        try:
            run = self.manifest.run_at(film, run_order)
        except FilmNotFound:
            return
        if self.is_run_adrift(run, order):
            tally.add(f"{film}/{run.run_id}", self.help_run(run, order))

    def is_run_adrift(self, run: FilmRun, order: SweepOrder) -> bool:
        """Whether a run is open and nobody works on it."""
        last = run.ended_at or run.requested_at
        is_still = run.is_open and not self._is_young(last, order)
        return is_still and not self.machine.is_film_running(run)

    def help_run(self, run: FilmRun, order: SweepOrder) -> Help | None:
        """Announce a run that is adrift, or give it another execution, as far as that may be."""
        if run.status != "running":
            filming.conclude(run, run.marker, self.manifest, self.library, self.events, self.clock)
            return "announced"
        if run.executions >= MAX_EXECUTIONS or not order.may_post:
            return "left"
        return "resumed" if self._run_resumed(run) else None

    def _run_resumed(self, run: FilmRun) -> bool:
        def resumed(latest: FilmRun) -> FilmRun:
            if latest.status != "running" or latest.executions != run.executions:
                return latest
            return latest.model_copy(update={"executions": latest.executions + 1})

        latest = self.manifest.update_run(run, resumed)
        if latest.status != "running" or latest.executions != run.executions + 1:
            return False
        self.machine.start_film(latest)
        return True

    def _is_young(self, last: datetime, order: SweepOrder) -> bool:
        return self.clock() - last < timedelta(seconds=order.grace_seconds)


def without_numbers(names: Iterable[str]) -> frozenset[str]:
    """The ids of renders or runs, from the names of their executions."""
    return frozenset(name.rpartition("-")[0] for name in names)


def _run_of(render: Render) -> str:
    """The id of the run that took a render up last, if any did."""
    return (render.taken_up_by or "").rpartition("-")[0]
