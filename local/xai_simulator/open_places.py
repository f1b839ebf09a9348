"""What needs no key: results, sample inputs, a place to PUT to, and `/_sim/`."""

from __future__ import annotations

import uuid

from aiohttp import web

from xai_simulator import downloads, samples
from xai_simulator.journal import digest
from xai_simulator.replies import MARKER, json_response
from xai_simulator.simulator import Simulator


class OpenPlaces:
    """What needs no key: results, sample inputs, a place to PUT to, and `/_sim/`."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[web.RouteDef]:
        """The routes outside `/v1`."""
        return [
            web.get("/", self._welcome),
            web.get("/xai-vidgen-bucket/{name}", self._result),
            web.get("/xai-imgen-bucket/{name}", self._result),
            web.get("/direct/{name}", self._direct),
            web.put("/assets/put", self._receive),
            web.put("/assets/put/{name:.+}", self._receive),
            web.get("/assets/put", self._received),
            web.get("/assets/put/{name:.+}", self._received),
            web.get("/assets/{name}", self._sample),
            web.get("/_sim/journal", self._journal),
            web.post("/_sim/reset", self._reset),
            web.post("/_sim/key", self._key),
        ]

    async def _welcome(self, request: web.Request) -> web.Response:
        base = f"{self._simulator.origin}/v1"
        page = f"<!doctype html><title>xAI simulator</title><p>The API is at <b>{base}</b>."
        return web.Response(text=page, content_type="text/html")

    async def _result(self, request: web.Request) -> web.StreamResponse:
        artifact = self._simulator.artifacts.get(request.match_info["name"])
        if artifact is None:
            raise web.HTTPNotFound
        request[MARKER] = str(artifact.markers)
        return await downloads.serve(self._simulator, request, artifact)

    async def _direct(self, request: web.Request) -> web.StreamResponse:
        artifact = self._simulator.artifacts.get(request.match_info["name"])
        if artifact is None:
            raise web.HTTPNotFound
        return downloads.plain(artifact)

    async def _sample(self, request: web.Request) -> web.StreamResponse:
        path = await samples.sample(self._simulator.workshop, request.match_info["name"])
        if path is None:
            raise web.HTTPNotFound
        return web.FileResponse(path)

    async def _receive(self, request: web.Request) -> web.Response:
        name = request.match_info.get("name", "")
        path = self._simulator.folder / f"received-{uuid.uuid4().hex}"
        with path.open("wb") as file:
            async for chunk in request.content.iter_chunked(2**18):
                file.write(chunk)
        self._simulator.received[name] = path
        row = {"name": name, "path": path.name}
        self._simulator.ledger.write("received", digest(name), row)
        return web.Response(status=200)

    async def _received(self, request: web.Request) -> web.StreamResponse:
        path = self._simulator.received.get(request.match_info.get("name", ""))
        if path is None:
            raise web.HTTPNotFound
        return web.FileResponse(path, headers={"Content-Type": "video/mp4"})

    async def _journal(self, request: web.Request) -> web.Response:
        journal = self._simulator.journal
        return json_response({"requests": journal.requests(), "jobs": journal.jobs()})

    async def _reset(self, request: web.Request) -> web.Response:
        self._simulator.reset()
        return json_response({"reset": True})

    async def _key(self, request: web.Request) -> web.Response:
        """Another key from now on, as when somebody rotates it: the old one is refused."""
        try:
            wanted = await request.json()
        except ValueError:
            raise web.HTTPBadRequest from None
        key = wanted.get("key") if isinstance(wanted, dict) else None
        if not isinstance(key, str) or not key:
            raise web.HTTPBadRequest
        self._simulator.key = key
        return json_response({"changed": True})
