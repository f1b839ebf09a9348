"""Opening an image file that somebody else made."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, ImageOps

from videoconductor.errors import NoFrame

MAX_PIXELS = 25_000_000  # 75 MB as RGB; the largest still we order has 4.5 million
_FORMATS = ("JPEG", "PNG", "WEBP")
# A JPEG is decoded at a half, a quarter or an eighth where that is still larger than this.
_ENOUGH = (1920, 1920)
# All that Pillow is known to raise on files made to break it.
_BROKEN = (
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)


def picture_of(content: bytes) -> Image.Image:
    """The picture in a JPEG, PNG or WebP: upright, RGB, see-through parts on white.

    The first one of an animation; a JPEG much larger than a thumbnail needs comes out smaller.
    Raises NoFrame for anything else, for a truncated file, and above MAX_PIXELS, which is judged
    by the header, before memory is given to it.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                raise NoFrame(
                    f"{opened.width}x{opened.height} pixels; at most {MAX_PIXELS:,} are read"
                )
            opened.draft("RGB", _ENOUGH)
            return _flat(ImageOps.exif_transpose(opened))
    except _BROKEN as problem:
        raise NoFrame("not a whole JPEG, PNG or WebP") from problem


def _flat(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I"):  # 16 bits a pixel, of which conversion would drop the upper
        return picture.convert("I").point(lambda light: light / 256).convert("L").convert("RGB")
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    ground = Image.new("RGB", layer.size, (255, 255, 255))
    ground.paste(layer, mask=layer.getchannel("A"))
    return ground
