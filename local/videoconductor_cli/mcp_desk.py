"""The desk of MCP's tools on a person's machine: it asks the API, signed as the person."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from videoconductor import intake, views
from videoconductor.client.asking import query, segment
from videoconductor.client.errors import ApiError

if TYPE_CHECKING:
    from videoconductor import VideoConductor
    from videoconductor.clip import ClipRequest, FilmOrder
    from videoconductor.errors import VideoConductorError
    from videoconductor.intake import Remastering
    from videoconductor.tools.arguments import FilmAsked, FilmManifest, VideoList

Document = dict[str, Any]


@dataclass(frozen=True)
class ClientDesk:
    """Each request is a route of docs/http-api.md, and each answer what it answers."""

    api: VideoConductor

    def problem(self, error: VideoConductorError) -> Document:
        """A refusal as problem details: the API's own, or of the way to it."""
        if not isinstance(error, ApiError):
            return views.problem(error)
        if "title" in error.document:
            return error.document
        return {"type": "about:blank", "title": str(error), "status": error.status or 503}

    def create(self, request: ClipRequest, key: str, wait: int) -> Document:
        """Ask for a clip."""
        fields = request.model_dump(mode="json", exclude_unset=True)
        accepted = self.api.call("POST", "/v1/videos", fields, key=key)
        return self.render(accepted["renderId"], wait)

    def remaster(self, render_id: str, wanted: Remastering, key: str, wait: int) -> Document:
        """Ask for a remaster."""
        fields = wanted.model_dump(mode="json", exclude_unset=True)
        path = f"/v1/videos/{segment(render_id, 'renderId')}/remaster"
        accepted = self.api.call("POST", path, fields, key=key)
        return self.render(accepted["renderId"], wait)

    def render(self, render_id: str, wait: int) -> Document:
        """Look at a render."""
        chosen = query([("wait", wait or None)])
        return self.api.call("GET", f"/v1/videos/{segment(render_id, 'renderId')}{chosen}")

    def renders(self, asked: VideoList) -> Document:
        """List renders."""
        return self.api.call("GET", f"/v1/videos{query(_pairs(asked.query))}")

    def plan(self, request: ClipRequest) -> Document:
        """Price a clip."""
        return self.api.call(
            "POST", "/v1/plan", request.model_dump(mode="json", exclude_unset=True)
        )

    def plan_film(self, text: str, order: FilmOrder) -> Document:
        """Price a script."""
        return self.api.call("POST", f"/v1/plan{_order(order)}", text.encode())

    def create_film(self, text: str, order: FilmOrder, key: str) -> Document:
        """Have a script made."""
        return self.api.call("POST", f"/v1/films{_order(order)}", text.encode(), key=key)

    def film(self, asked: FilmAsked) -> Document:
        """Look at a run of a film."""
        chosen = query([("run", asked.run), ("wait", asked.wait or None)])
        return self.api.call("GET", f"/v1/films/{segment(asked.film, 'film')}{chosen}")

    def manifest(self, asked: FilmManifest) -> Document:
        """Look at what a film has."""
        page = [("presign", asked.presign), ("after", asked.after), ("limit", asked.limit)]
        path = f"/v1/films/{segment(asked.film, 'film')}/manifest"
        return self.api.call("GET", path + query(page))


def _order(order: FilmOrder) -> str:
    given = intake.order_document(order)
    clips = [("clip", clip) for clip in given.pop("clip", ())]
    return query([*clips, *given.items()])


def _pairs(given: Mapping[str, Iterable[str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, values in given.items() for value in values]
