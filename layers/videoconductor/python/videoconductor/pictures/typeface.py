"""Open Sans: Latin, Greek and Cyrillic letters, how large they are, and which there are none of."""

from __future__ import annotations

import importlib.util
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal

from PIL import ImageFont

Weight = Literal["Regular", "SemiBold", "Bold", "ExtraBold"]

_PROBE_SIZE = 24
_UNASSIGNED = "\U0010fffd"  # no font has it: what is drawn for it is drawn for whatever is missing


@lru_cache(maxsize=256)
def font(weight: Weight, size: int) -> ImageFont.FreeTypeFont:
    """The font at `size` pixels an em. Its lengths add up: there is no kerning between words.

    The basic layout is named because the other one depends on a library of the system, and text
    measured on one machine would be another length on the next.
    """
    path = _folder() / f"OpenSans-{weight}.ttf"
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def has_glyph(character: str) -> bool:
    """Whether the font can draw `character`; the box that stands for a missing one is not it."""
    return bytes(font("Regular", _PROBE_SIZE).getmask(character)) != _missing()


@cache
def _missing() -> bytes:
    return bytes(font("Regular", _PROBE_SIZE).getmask(_UNASSIGNED))


@cache
def _folder() -> Path:
    package = importlib.util.find_spec("ttf_opensans")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("the font is not installed: ttf-opensans", name="ttf_opensans")
    return Path(package.origin).parent / "ttf"
