"""Who does what the tools ask for: this stack itself, or its API from somewhere else."""

from __future__ import annotations

from typing import Any, Protocol

from videoconductor.clip import ClipRequest, FilmOrder
from videoconductor.errors import VideoConductorError
from videoconductor.intake import Remastering
from videoconductor.tools.arguments import FilmAsked, FilmManifest, VideoList

Document = dict[str, Any]


class Desk(Protocol):
    """Answers as the HTTP API has them (`answers`); raises VideoConductorError as it refuses.

    `text` is a script. A `key` names the work: the same key again finds what it started.
    """

    def problem(self, error: VideoConductorError) -> Document:
        """A refusal as problem details (RFC 9457)."""

    def create(self, request: ClipRequest, key: str, wait: int) -> Document:
        """The render of a clip request, as far as it is after `wait` seconds: RenderDetail."""

    def remaster(self, render_id: str, wanted: Remastering, key: str, wait: int) -> Document:
        """The render that remasters another, as far as it is after `wait` seconds: RenderDetail."""

    def render(self, render_id: str, wait: int) -> Document:
        """A render, as far as it is after `wait` seconds at most: RenderDetail."""

    def renders(self, asked: VideoList) -> Document:
        """A page of renders: RenderPage."""

    def plan(self, request: ClipRequest) -> Document:
        """What a clip request would become: Planned."""

    def plan_film(self, text: str, order: FilmOrder) -> Document:
        """What a script would become: Planned."""

    def create_film(self, text: str, order: FilmOrder, key: str) -> Document:
        """A run of a script: AcceptedFilm."""

    def film(self, asked: FilmAsked) -> Document:
        """A run of a film, as far as it is after a while: FilmDetail."""

    def manifest(self, asked: FilmManifest) -> Document:
        """A page of a film's manifest: Manifest."""
