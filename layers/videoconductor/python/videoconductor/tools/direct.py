"""The desk of this stack itself, for a caller whom somebody has identified."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from videoconductor import listing, views, wiring
from videoconductor.clip import ClipRequest, FilmOrder
from videoconductor.errors import VideoConductorError
from videoconductor.intake import Remastering
from videoconductor.tools.arguments import FilmAsked, FilmManifest, VideoList
from videoconductor.tools.desk import Document


@dataclass(frozen=True)
class DirectDesk:
    """Does what the HTTP doors do, and answers as they do."""

    caller: str

    def problem(self, error: VideoConductorError) -> Document:
        """A refusal as problem details."""
        return views.problem(error)

    def create(self, request: ClipRequest, key: str, wait: int) -> Document:
        """Ask for a clip."""
        end = wiring.now() + timedelta(seconds=wait)
        render = wiring.conductor().accept(request, self.caller, key)
        return self._until(end, render.render_id)

    def remaster(self, render_id: str, wanted: Remastering, key: str, wait: int) -> Document:
        """Ask for a remaster."""
        end = wiring.now() + timedelta(seconds=wait)
        render = wiring.conductor().remaster(render_id, wanted, self.caller, key)
        return self._until(end, render.render_id)

    def render(self, render_id: str, wait: float) -> Document:
        """Look at a render."""
        found = wiring.awaited(render_id, wait)
        told, standings = wiring.callback(found), wiring.standings()
        return views.detail(found, wiring.presigned_url, told, standings)

    def _until(self, end: datetime, render_id: str) -> Document:
        """A render that was asked for within a call, which took its part of the wait."""
        return self.render(render_id, (end - wiring.now()).total_seconds())

    def renders(self, asked: VideoList) -> Document:
        """List renders."""
        wanted = listing.wanted(asked.query, wiring.quality_modes())
        return views.page(wiring.manifest().page(wanted, wiring.now()))

    def plan(self, request: ClipRequest) -> Document:
        """Price a clip."""
        film, clip = wiring.conductor().plan(request)
        return views.planned(film, [clip])

    def plan_film(self, text: str, order: FilmOrder) -> Document:
        """Price a script."""
        return views.planned(*wiring.director().plan(text, order))

    def create_film(self, text: str, order: FilmOrder, key: str) -> Document:
        """Have a script made."""
        return views.film_accepted(*wiring.director().accept(text, order, self.caller, key))

    def film(self, asked: FilmAsked) -> Document:
        """Look at a run of a film."""
        run, clips, renders = wiring.film(asked.film, asked.run, asked.wait)
        told, standings = wiring.callback(run), wiring.standings([run], run.film)
        return views.film_detail(run, clips, renders, told, standings)

    def manifest(self, asked: FilmManifest) -> Document:
        """Look at what a film has."""
        found = wiring.manifest()
        url = wiring.opened if asked.presign else None
        entries, runs = found.entries(asked.film), found.runs(asked.film)
        standings = wiring.standings(runs[-views.MAX_RUNS :], asked.film)
        return views.manifest(asked.film, entries, runs, url, asked.after, asked.limit, standings)
