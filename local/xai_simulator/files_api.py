"""`/v1/files`: take in, list, describe, hand out, publish, remove."""

from __future__ import annotations

import asyncio
import uuid

from aiohttp import web

from xai_simulator.files import StoredFile
from xai_simulator.ledger import put
from xai_simulator.replies import Refusal, json_response
from xai_simulator.simulator import Simulator

MAX_FILE_BYTES = 50 * 2**20


class FilesApi:
    """`/v1/files`: take in, list, describe, hand out, publish, remove."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[web.RouteDef]:
        """The routes of the Files API and of public urls."""
        return [
            web.post("/v1/files", self._take),
            web.get("/v1/files", self._listing),
            web.get("/v1/files/{file_id}", self._describe),
            web.get("/v1/files/{file_id}/content", self._content),
            web.post("/v1/files/{file_id}/public-url", self._publish),
            web.delete("/v1/files/{file_id}", self._remove),
            web.get("/public/{token}/{filename:.*}", self._public),
        ]

    def _found(self, request: web.Request) -> StoredFile:
        stored = self._simulator.shelf.find(request.match_info["file_id"])
        if stored is None:
            raise Refusal("The file was not found.", 404)
        return stored

    async def _take(self, request: web.Request) -> web.Response:
        if not request.content_type.startswith("multipart/"):
            raise Refusal("Invalid `boundary` for `multipart/form-data` request", 400, plain=True)
        try:
            field = (await request.post()).get("file")
        except ValueError:
            raise Refusal("Error parsing `multipart/form-data` request", 400, plain=True) from None
        if not isinstance(field, web.FileField):
            raise Refusal("The form has no file in the field `file`.")
        content = field.file.read()
        if len(content) > MAX_FILE_BYTES:
            raise Refusal("The file is larger than 50 MB.", 413)
        path = self._simulator.folder / f"file-{uuid.uuid4().hex}"
        await asyncio.to_thread(put, path, content)
        stored = self._simulator.shelf.keep(path, field.filename, field.content_type)
        return json_response(stored.entry())

    async def _listing(self, request: web.Request) -> web.Response:
        wanted = request.query.get("filename")
        entries = [stored.entry() for stored in self._simulator.shelf.named(wanted)]
        return json_response({"data": entries, "pagination_token": None})

    async def _describe(self, request: web.Request) -> web.Response:
        return json_response(self._found(request).entry())

    async def _content(self, request: web.Request) -> web.StreamResponse:
        return _file(self._found(request))

    async def _publish(self, request: web.Request) -> web.Response:
        stored = self._found(request)
        self._simulator.shelf.publish(stored)
        return json_response(self._simulator.file_output(stored))

    async def _remove(self, request: web.Request) -> web.Response:
        stored = self._found(request)
        self._simulator.shelf.remove(stored.id)
        return json_response({"id": stored.id, "object": "file", "deleted": True})

    async def _public(self, request: web.Request) -> web.StreamResponse:
        stored = self._simulator.shelf.published(request.match_info["token"])
        if stored is None:
            raise web.HTTPNotFound
        return _file(stored)


def _file(stored: StoredFile) -> web.FileResponse:
    return web.FileResponse(stored.path, headers={"Content-Type": stored.content_type})
