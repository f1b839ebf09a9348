"""The pictures of one clip: the poster from its file, and the thumbnail that was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from tempfile import TemporaryFile

from videoconductor.clip import Render
from videoconductor.errors import NoFrame
from videoconductor.pictures.compose import picture_of, poster, thumbnail
from videoconductor.pictures.frames import frame_of


def paint(
    render: Render, video: Iterable[bytes], still: bytes | None
) -> tuple[bytes, bytes | None]:
    """Poster and thumbnail as JPEGs; no thumbnail where the render has no order for one.

    `video` is the clip's MP4 in chunks, `still` the image a thumbnail is to be made of instead of
    a frame. Raises NoFrame.
    """
    with TemporaryFile() as file:
        for chunk in video:
            file.write(chunk)
        file.seek(0)
        frame = frame_of(file)
    order = render.thumbnail
    if order is None or not order.enabled:
        return poster(frame), None
    picture = frame
    if still is not None:
        with suppress(NoFrame):  # the frame stands in for an image that cannot be read
            picture = picture_of(still)
    ratio = order.aspect_ratio or render.plan.aspect_ratio
    return poster(frame), thumbnail(picture, order.template, order.overlays, ratio)
