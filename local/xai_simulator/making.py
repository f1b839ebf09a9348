"""From an order to files: fetches the inputs, checks them, has the clip or the stills made."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
from PIL import Image

from xai_simulator import frames, replies
from xai_simulator.cards import Caption
from xai_simulator.clips import ClipMaker, ClipNotMade, Scene
from xai_simulator.files import FileShelf
from xai_simulator.inputs import InputUnusable, UrlRule, fetched
from xai_simulator.jobs import JobFailed, Made
from xai_simulator.ledger import put
from xai_simulator.mp4_boxes import Footage, NotAnMp4, footage
from xai_simulator.orders import ImageOrder, Origin, VideoOrder
from xai_simulator.stills import NotAPicture, picture, still


class Workshop:
    """Makes what orders ask for; the same order again is taken from the cache."""

    def __init__(
        self, folder: Path, session: aiohttp.ClientSession, check: UrlRule, shelf: FileShelf
    ) -> None:
        self.folder = folder
        self.clips = ClipMaker(folder)
        self._session = session
        self._check = check
        self._shelf = shelf
        self._making: dict[str, asyncio.Lock] = {}

    async def video(self, order: VideoOrder) -> Made:
        """The MP4 that `order` asks for; raises JobFailed."""
        makers: dict[str, Callable[[VideoOrder], Awaitable[Made]]] = {
            "generate": self._generated,
            "edit": self._edited,
            "extend": self._extended,
        }
        try:
            return await makers[order.operation](order)
        except (InputUnusable, NotAPicture, NotAnMp4) as problem:
            raise JobFailed("invalid_argument", f"Input cannot be used: {problem}") from problem
        except ClipNotMade as problem:
            raise JobFailed("internal_error", f"The clip could not be made: {problem}") from problem

    async def stills(self, order: ImageOrder) -> list[Made]:
        """The stills that `order` asks for; raises JobFailed."""
        try:
            sources = [await self._picture(origin) for origin in order.images]
        except (InputUnusable, NotAPicture) as problem:
            raise JobFailed("invalid_argument", f"Input cannot be used: {problem}") from problem
        first = sources[0] if sources else None
        own = first.width / first.height if first else None
        size = frames.still_size(order.resolution, order.aspect_ratio or "auto", own)
        made = []
        for number in range(1, order.count + 1):
            footer = f"{size[0]}x{size[1]} · {order.quality} · {number} of {order.count}"
            caption = Caption(f"{order.model} · {order.task}", order.prompt, footer)
            content = await asyncio.to_thread(still, size, caption, first)
            path = self.folder / f"{hashlib.sha256(content).hexdigest()[:24]}.jpg"
            await asyncio.to_thread(put, path, content)
            made.append(Made(path, "image/jpeg"))
        return made

    async def _generated(self, order: VideoOrder) -> Made:
        images = [order.image, *order.further_images] if order.image else order.further_images
        if not order.prompt.strip() and not images:
            raise JobFailed("invalid_argument", replies.NO_PROMPT)
        pictures = [await self._picture(origin) for origin in images]
        ratio = frames.ratio_of(order.aspect_ratio or frames.DEFAULT_RATIO)
        if pictures and order.task == "image-to-video":
            ratio = pictures[0].width / pictures[0].height
        seconds = order.seconds or 0
        scene = Scene(
            size=frames.video_size(order.resolution, ratio),
            seconds=seconds,
            caption=_caption(order, seconds, frames.video_size(order.resolution, ratio)),
            sound=order.sound,
            first_frame=pictures[0] if order.image else None,
        )
        path = await self._made_once(
            order, scene.size, pictures, lambda target: self.clips.film(scene, target)
        )
        ticks = order.ticks(seconds, order.resolution)
        return Made(path, "video/mp4", seconds, order.resolution, ticks)

    async def _edited(self, order: VideoOrder) -> Made:
        source, shot = await self._source(order)
        limits = order.row.tasks["edit"]
        longest = limits.max_source_seconds
        if longest is not None and shot.seconds > float(longest) + 0.05:
            raise JobFailed(
                "invalid_argument",
                f"Video duration {shot.seconds:.1f}s exceeds the maximum allowed for video "
                f"editing, which is {longest}s.",
            )
        _require_prompt(order)
        size = frames.edited_size(shot.width, shot.height)
        caption = _caption(order, shot.seconds, size)
        path = await self._made_once(
            order,
            size,
            [],
            lambda target: self.clips.edit(source, shot, size, caption, target),
            source,
        )
        resolution = frames.resolution_of(size, order.row.resolutions)
        ticks = order.ticks(round(shot.seconds, 2), resolution, round(shot.seconds, 2))
        return Made(path, "video/mp4", shot.seconds, resolution, ticks)

    async def _extended(self, order: VideoOrder) -> Made:
        limits = order.row.tasks["extend"]
        tail = order.seconds or 0
        if not (limits.min_seconds or 0) <= tail <= (limits.max_seconds or tail):
            raise JobFailed(
                "invalid_argument",
                f"Duration must be between {limits.min_seconds} and {limits.max_seconds} seconds",
            )
        source, shot = await self._source(order)
        low, high = limits.min_source_seconds or 0, limits.max_source_seconds or shot.seconds
        if not float(low) - 0.05 <= shot.seconds <= float(high) + 0.05:
            raise JobFailed(
                "invalid_argument",
                f"Input video must be between {low} and {high} seconds long, "
                f"it is {shot.seconds:.1f}s.",
            )
        _require_prompt(order)
        size = frames.edited_size(shot.width, shot.height)
        scene = Scene(size, tail, _caption(order, tail, size))
        path = await self._made_once(
            order,
            size,
            [],
            lambda target: self.clips.extend(source, shot, scene, target),
            source,
        )
        resolution = frames.resolution_of(size, order.row.resolutions)
        ticks = order.ticks(tail, resolution, round(shot.seconds, 2))
        return Made(path, "video/mp4", shot.seconds + tail, resolution, ticks)

    async def _made_once(
        self,
        order: VideoOrder,
        size: tuple[int, int],
        pictures: list[Image.Image],
        make: Callable[[Path], Awaitable[None]],
        source: Path | None = None,
    ) -> Path:
        """The cached file of this very work, made now if it is not there."""
        hashes = [hashlib.sha256(image.tobytes()).hexdigest() for image in pictures]
        named = [order.task, order.model, order.prompt, size, order.seconds, order.sound, hashes]
        named.append(source.name if source else None)
        key = hashlib.sha256(json.dumps(named).encode()).hexdigest()[:32]
        path = self.folder / f"{key}.mp4"
        async with self._making.setdefault(key, asyncio.Lock()):
            if not path.exists():
                await make(path)
        return path

    async def _content(self, origin: Origin) -> bytes:
        if origin.file_id:
            stored = self._shelf.find(origin.file_id)
            if stored is None:
                raise InputUnusable(f"file {origin.file_id} was not found.")
            return await asyncio.to_thread(stored.path.read_bytes)
        return await fetched(self._session, origin.url or "", self._check)

    async def _picture(self, origin: Origin) -> Image.Image:
        return await asyncio.to_thread(picture, await self._content(origin))

    async def _source(self, order: VideoOrder) -> tuple[Path, Footage]:
        if order.video is None or not (order.video.url or order.video.file_id):
            raise InputUnusable("video has neither `url` nor `file_id`.")
        content = await self._content(order.video)
        path = self.folder / f"source-{hashlib.sha256(content).hexdigest()[:32]}.mp4"
        if not path.exists():
            await asyncio.to_thread(put, path, content)
        return path, await asyncio.to_thread(footage, path)


def _require_prompt(order: VideoOrder) -> None:
    if not order.prompt.strip():
        raise JobFailed("invalid_argument", replies.NO_PROMPT)


def _caption(order: VideoOrder, seconds: float, size: tuple[int, int]) -> Caption:
    footer = f"{seconds:g} s · {size[0]}x{size[1]} · made by the xAI simulator"
    return Caption(f"{order.model} · {order.task}", order.prompt or "(no prompt)", footer)
