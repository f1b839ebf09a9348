"""Real stills: the caption over a plain ground, or over the picture that was to be edited."""

from __future__ import annotations

import io
from typing import Literal

from PIL import Image, UnidentifiedImageError

from xai_simulator.cards import Caption, card

MAX_PIXELS = 100_000_000


class NotAPicture(Exception):
    """The bytes are no JPEG, PNG or WebP."""


def picture(content: bytes) -> Image.Image:
    """The picture in `content`, upright, in RGB; raises NotAPicture."""
    try:
        with Image.open(io.BytesIO(content), formats=("JPEG", "PNG", "WEBP")) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise NotAPicture("it has too many pixels")
            return opened.convert("RGB")
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as problem:
        raise NotAPicture("it is not a JPEG, PNG or WebP image") from problem


def still(
    size: tuple[int, int],
    caption: Caption,
    background: Image.Image | None = None,
    kind: Literal["JPEG", "PNG"] = "JPEG",
) -> bytes:
    """A still with the caption on it, encoded."""
    made = io.BytesIO()
    card(size, caption, background).save(made, kind, quality=85)
    return made.getvalue()
