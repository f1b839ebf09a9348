"""Result urls: the file itself, with ranges and HEAD, or what a scenario serves instead."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from xai_simulator.jobs import Artifact
from xai_simulator.mp4_boxes import without_moov

if TYPE_CHECKING:
    from xai_simulator.simulator import Simulator

CHUNK = 2**18
DRIP_SECONDS = 0.5
STALL_SECONDS = 600
LINK_LOCAL = "http://169.254.169.254/latest/meta-data/"
DENIED = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
)


@dataclass(frozen=True)
class Download:
    """One GET or HEAD of a result url."""

    simulator: Simulator
    request: web.Request
    artifact: Artifact
    content: bytes

    @property
    def headers_only(self) -> bool:
        """Whether only the headers were asked for."""
        return self.request.method == "HEAD"


Serve = Callable[[Download], Awaitable[web.StreamResponse]]


async def serve(
    simulator: Simulator, request: web.Request, artifact: Artifact
) -> web.StreamResponse:
    """Answer a request for a result url."""
    rows = artifact.markers.at("result")
    if request.method == "GET":
        artifact.downloads += 1
    struck = [row for row in rows if row.times == 0 or artifact.downloads <= row.times]
    if not struck:
        return plain(artifact)
    content = await asyncio.to_thread(artifact.path.read_bytes)
    return await SERVES[struck[0].name](Download(simulator, request, artifact, content))


def plain(artifact: Artifact) -> web.StreamResponse:
    """The file as it is; FileResponse knows ranges and HEAD."""
    return web.FileResponse(artifact.path, headers={"Content-Type": artifact.content_type})


async def _opened(download: Download, length: int | None) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": download.artifact.content_type})
    if length is None:
        response.enable_chunked_encoding()
    else:
        response.content_length = length
    await response.prepare(download.request)
    return response


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


async def _short(download: Download) -> web.StreamResponse:
    response = await _opened(download, len(download.content))
    if not download.headers_only:
        await response.write(download.content[: len(download.content) // 2])
        _hang_up(download.request)
    return response


async def _long(download: Download) -> web.StreamResponse:
    half = len(download.content) // 2
    response = await _opened(download, half)
    if not download.headers_only:
        await response.write(download.content[:half])
        if download.request.transport is not None:
            download.request.transport.write(download.content[half:])
        _hang_up(download.request)
    return response


async def _truncated(download: Download) -> web.StreamResponse:
    return _bytes(download, download.content[: len(download.content) // 2])


async def _reset(download: Download) -> web.StreamResponse:
    response = await _opened(download, len(download.content))
    if download.headers_only:
        return response
    await response.write(download.content[: len(download.content) // 2])
    transport = download.request.transport
    if transport is not None:
        opened = transport.get_extra_info("socket")
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return response


async def _stall(download: Download) -> web.StreamResponse:
    response = await _opened(download, len(download.content))
    if not download.headers_only:
        await response.write(download.content[: len(download.content) // 2])
        await asyncio.sleep(download.simulator.options.scaled(STALL_SECONDS))
        _hang_up(download.request)
    return response


async def _drip(download: Download) -> web.StreamResponse:
    response = await _opened(download, len(download.content))
    if download.headers_only:
        return response
    for at in range(len(download.content)):
        await response.write(download.content[at : at + 1])
        await asyncio.sleep(download.simulator.options.scaled(DRIP_SECONDS))
    return response


def _bytes(download: Download, body: bytes, content_type: str | None = None) -> web.Response:
    return web.Response(
        body=body, headers={"Content-Type": content_type or download.artifact.content_type}
    )


async def _empty(download: Download) -> web.StreamResponse:
    return _bytes(download, b"")


async def _html(download: Download) -> web.StreamResponse:
    return _bytes(download, b"<!doctype html><title>Just a moment...</title>", "text/html")


async def _json(download: Download) -> web.StreamResponse:
    return _bytes(download, b'{"error":"not ready"}', "application/json")


async def _not_mp4(download: Download) -> web.StreamResponse:
    return _bytes(download, b"This only claims to be a video. " * 512)


async def _no_moov(download: Download) -> web.StreamResponse:
    return _bytes(download, without_moov(download.content))


async def _octet(download: Download) -> web.StreamResponse:
    return _bytes(download, download.content, "application/octet-stream")


async def _oversize(download: Download) -> web.StreamResponse:
    return await _endless(download, download.simulator.options.oversize_bytes)


async def _oversize_chunked(download: Download) -> web.StreamResponse:
    return await _endless(download, None)


async def _endless(download: Download, announced: int | None) -> web.StreamResponse:
    """The real file, then zeros in a box that never ends, none of it held in memory."""
    response = await _opened(download, announced)
    if download.headers_only:
        return response
    left = download.simulator.options.oversize_bytes
    filler = struct.pack(">I4sQ", 1, b"free", 2**62).ljust(CHUNK, b"\0")
    for chunk in (download.content, filler):
        await response.write(chunk[:left])
        left -= min(left, len(chunk))
    zeros = bytes(CHUNK)
    while left:
        await response.write(zeros[:left])
        left -= min(left, CHUNK)
    await response.write_eof()
    return response


def _to(place: str) -> web.Response:
    return web.Response(status=302, headers={"Location": place})


async def _redirect(download: Download) -> web.StreamResponse:
    return _to(f"/direct/{download.artifact.name}")


async def _redirect_private(download: Download) -> web.StreamResponse:
    return _to(LINK_LOCAL)


async def _redirect_loop(download: Download) -> web.StreamResponse:
    return _to(download.request.path)


async def _gone(download: Download) -> web.StreamResponse:
    download.artifact.gone = True
    return web.Response(status=404, text="Not Found")


async def _expired(download: Download) -> web.StreamResponse:
    return web.Response(status=403, text=DENIED, content_type="application/xml")


async def _unavailable(download: Download) -> web.StreamResponse:
    return web.Response(status=503, text="Service Unavailable")


SERVES: dict[str, Serve] = {
    "short": _short,
    "short_once": _short,
    "long": _long,
    "truncated": _truncated,
    "reset": _reset,
    "stall": _stall,
    "drip": _drip,
    "empty": _empty,
    "html": _html,
    "json": _json,
    "notmp4": _not_mp4,
    "nomoov": _no_moov,
    "oversize": _oversize,
    "oversize_chunked": _oversize_chunked,
    "redirect": _redirect,
    "redirect_private": _redirect_private,
    "redirect_loop": _redirect_loop,
    "gone": _gone,
    "expired_url": _expired,
    "download503": _unavailable,
    "octet": _octet,
}
