"""Pictures as JPEGs: the poster, and the thumbnail with its text."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING

from PIL import Image, ImageOps

from videoconductor.pictures.drawing import drawn
from videoconductor.pictures.layout import layout, size_of
from videoconductor.pictures.reading import picture_of
from videoconductor.pictures.templates import Template

if TYPE_CHECKING:
    from videoconductor.clip import Overlay

__all__ = ["picture_of", "poster", "thumbnail"]

POSTER_SIDE = 1920
QUALITY = 88


def poster(picture: Image.Image) -> bytes:
    """The picture as it is, as a JPEG without any metadata; its longer side at most 1,920 px."""
    small = picture.convert("RGB")
    small.thumbnail((POSTER_SIDE, POSTER_SIDE), Image.Resampling.LANCZOS)
    return _jpeg(small)


def thumbnail(
    picture: Image.Image,
    template: Template | None,
    overlays: Iterable[Overlay],
    aspect_ratio: str | None,
) -> bytes:
    """The picture cropped to the ratio, with the overlays set on it: a JPEG without metadata.

    1280x720, 720x1280 or 1080x1080 pixels, whichever is nearest to `aspect_ratio`, or to the
    picture's own where that is no ratio.
    """
    size = size_of(aspect_ratio, picture.size)
    canvas = ImageOps.fit(picture.convert("RGB"), size, Image.Resampling.LANCZOS)
    placed = layout(overlays, template, size)
    if placed.blocks:
        canvas = drawn(placed, canvas, is_card=template == "title_card")
    return _jpeg(canvas, subsampling=0)  # coloured letters would fray with less


def _jpeg(picture: Image.Image, subsampling: int = 2) -> bytes:
    plain = picture.copy()
    plain.info = {}  # what came with the picture (comments, profiles) is not to be passed on
    made = io.BytesIO()
    plain.save(
        made, "JPEG", quality=QUALITY, subsampling=subsampling, optimize=True, progressive=True
    )
    return made.getvalue()
