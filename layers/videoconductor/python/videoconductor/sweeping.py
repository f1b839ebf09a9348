"""The sweep: what lost its execution gets another, and what nobody was told of is announced.

It goes by the table: in its index `open` is whatever is not at rest, or is and was not announced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from pydantic import ValidationError

from videoconductor import filming, revival, workflow
from videoconductor.clip import SETTLED, FilmRun, Noun, Render
from videoconductor.errors import FilmNotFound, RenderNotFound, VideoConductorError

if TYPE_CHECKING:
    from videoconductor.drift import Watch
    from videoconductor.events import Events
    from videoconductor.library import Library
    from videoconductor.machine import Machine
    from videoconductor.manifest import Manifest

# What one sweep does at most; the next one goes on.
MAX_LOOKED_AT = 10_000
MAX_MENDED = 200
MAX_SECONDS = 180.0
# Something that dies each time is not brought back for ever: a person looks.
MAX_EXECUTIONS = 100

_log = Logger(service="videoconductor", child=True)


class SweepOrder(Noun):
    """How to sweep. Younger than `grace_seconds`, something may be just about to be started.

    Without `may_post`, nothing is set going that was not sent to the provider yet.
    """

    grace_seconds: int = 90
    may_post: bool = True


class Swept(Noun):
    """Whom a sweep helped, by render id or `film/runId`.

    `left` are those that it may not or no longer help, `missed` those it could not.
    """

    resumed: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


@dataclass
class _Tally:
    resumed: list[str] = field(default_factory=list)
    announced: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    @property
    def mended(self) -> int:
        return len(self.resumed) + len(self.announced) + len(self.missed)

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
    clock: Callable[[], datetime]

    def sweep(self, order: SweepOrder) -> Swept:
        """Help what is open and has no execution, oldest first, as much as is bounded for.

        May run at any time and several at once: it resumes as a person does, which sends no POST
        that might have been sent, and announces at least once. Raises ManifestUnavailable and
        MachineUnavailable when it cannot even look.
        """
        tally, began = _Tally(), self.clock()
        films = _without_numbers(self.machine.films_running(MAX_LOOKED_AT))
        clips = _without_numbers(self.machine.running(MAX_LOOKED_AT))
        is_over = self._bound(tally, began)
        for render_id in self.manifest.open_renders(MAX_LOOKED_AT):
            if render_id not in clips and not is_over():
                with tally.helping(render_id):
                    self._help_render(render_id, films, order, tally)
        for film, run_order in self.manifest.open_runs(MAX_LOOKED_AT):
            name = run_order.rpartition("#")[2]
            if name not in films and not is_over():
                with tally.helping(f"{film}/{name}"):
                    self._help_run(film, run_order, order, tally)
        return Swept(
            resumed=tuple(tally.resumed),
            announced=tuple(tally.announced),
            left=tuple(tally.left),
            missed=tuple(tally.missed),
        )

    def _bound(self, tally: _Tally, began: datetime) -> Callable[[], bool]:
        end = began + timedelta(seconds=MAX_SECONDS)
        return lambda: tally.mended >= MAX_MENDED or self.clock() > end

    def _help_render(
        self, render_id: str, films: frozenset[str], order: SweepOrder, tally: _Tally
    ) -> None:
        try:
            record = self.manifest.read(render_id)
        except RenderNotFound:
            return
        last = record.timeline[-1].at if record.timeline else record.created_at
        # The index lags a little behind.
        if not record.is_open or self._is_young(last, order) or self.machine.is_running(record):
            return
        if record.status in SETTLED:
            workflow.announce(record, self.manifest, self.events, self.watch, self.clock)
            tally.announced.append(render_id)
        elif _run_of(record) in films:
            return  # its film is under way, and mends it
        elif record.executions >= MAX_EXECUTIONS or not (order.may_post or _was_sent(record)):
            tally.left.append(render_id)
        elif not _was_sent(record) and self._is_called_off(record):
            return  # its run is cancelled, and cancels it when it is summed up
        elif self._resumed(record):
            tally.resumed.append(render_id)

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
        name = f"{film}/{run.run_id}"
        last = run.ended_at or run.requested_at
        if not run.is_open or self._is_young(last, order) or self.machine.is_film_running(run):
            return
        if run.status != "running":
            filming.conclude(run, run.marker, self.manifest, self.library, self.events, self.clock)
            tally.announced.append(name)
        elif run.executions >= MAX_EXECUTIONS or not order.may_post:
            tally.left.append(name)
        elif self._run_resumed(run):
            tally.resumed.append(name)

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


def _without_numbers(names: Iterable[str]) -> frozenset[str]:
    """The ids of renders or runs, from the names of their executions."""
    return frozenset(name.rpartition("-")[0] for name in names)


def _run_of(render: Render) -> str:
    """The id of the run that took a render up last, if any did."""
    return (render.taken_up_by or "").rpartition("-")[0]


def _was_sent(render: Render) -> bool:
    """Whether a render waits for a job, or copies it: there is nothing left to be paid for."""
    return render.status in {"rendering", "rendered"}
