"""Sample inputs under `/assets/`, made when first asked for."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from xai_simulator.cards import Caption
from xai_simulator.clips import Scene
from xai_simulator.ledger import put
from xai_simulator.making import Workshop
from xai_simulator.stills import still

PICTURES = {
    "first.png": (1280, 720),
    "last.png": (1280, 720),
    "portrait.png": (720, 1280),
    "square.png": (720, 720),
}
CLIP_SIZE = (1280, 720)
CLIP = re.compile(r"in(?:-(\d{1,2}))?\.mp4")
CLIP_SECONDS = 4


async def sample(workshop: Workshop, name: str) -> Path | None:
    """The file behind `/assets/NAME`, or None when there is none of this name."""
    path = workshop.folder / f"sample-{name}"
    if path.exists():
        return path
    if name in PICTURES:
        caption = Caption("sample input", name, "the xAI simulator serves this")
        content = await asyncio.to_thread(still, PICTURES[name], caption, None, "PNG")
        await asyncio.to_thread(put, path, content)
        return path
    match = CLIP.fullmatch(name)
    seconds = int(match[1] or CLIP_SECONDS) if match else 0
    if not seconds:
        return None
    caption = Caption("sample input", name, f"{seconds} s")
    await workshop.clips.film(Scene(CLIP_SIZE, seconds, caption), path)
    return path
