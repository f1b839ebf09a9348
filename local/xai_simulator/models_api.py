"""The lists of models, from the catalog."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from videoconductor.models import Model
from xai_simulator import replies
from xai_simulator.journal import digest
from xai_simulator.replies import Refusal, json_response
from xai_simulator.simulator import Simulator


class ModelsApi:
    """`/v1/models` and the two lists by kind."""

    def __init__(self, simulator: Simulator) -> None:
        self._catalog = simulator.catalog
        self._team = simulator.options.team_id

    def routes(self) -> list[web.RouteDef]:
        """A list and a single one, for each kind."""
        kinds = {
            "/v1/video-generation-models": ("models", ("video",)),
            "/v1/image-generation-models": ("models", ("image",)),
            "/v1/models": ("data", ("video", "image")),
        }
        return [
            route
            for path, (key, produces) in kinds.items()
            for route in (
                web.get(path, self._listing(key, produces)),
                web.get(f"{path}/{{name}}", self._single(produces)),
            )
        ]

    def _listing(self, key: str, produces: tuple[str, ...]) -> Any:
        async def listing(request: web.Request) -> web.Response:
            rows = self._catalog.models.items()
            entries = [_model(name, row) for name, row in rows if row.produces in produces]
            body: dict[str, Any] = {key: entries}
            if key == "data":
                body["object"] = "list"
            return json_response(body)

        return listing

    def _single(self, produces: tuple[str, ...]) -> Any:
        async def single(request: web.Request) -> web.Response:
            asked = request.match_info["name"]
            for name, row in self._catalog.models.items():
                if row.produces in produces and asked in (name, *row.aliases):
                    return json_response(_model(name, row))
            text = replies.NO_MODEL.format(model=asked, team=self._team)
            raise Refusal(text, 404)

        return single


def _model(name: str, row: Model) -> dict[str, Any]:
    return {
        "id": name,
        "fingerprint": f"fp_{digest(name)[:10]}",
        "object": "model",
        "owned_by": "xai",
        "created": 1_743_724_800,
        "version": "1.0.0",
        "aliases": list(row.aliases),
        "input_modalities": ["text", "image", *(["video"] if "edit" in row.tasks else [])],
        "output_modalities": [row.produces],
    }
