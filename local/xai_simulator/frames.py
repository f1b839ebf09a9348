"""How large a result is: the named resolution, in the ratio asked for or the input's own."""

from __future__ import annotations

import math

SHORT_SIDE = {"480p": 480, "720p": 720, "1080p": 1080}
STILL_SIDE = {"1k": 1024, "1.5k": 1536, "2k": 2048}
RECORDED_STILLS = {
    ("1k", "16:9"): (1280, 720),
    ("1k", "9:16"): (720, 1280),
    ("1k", "1:1"): (1024, 1024),
    ("2k", "16:9"): (2816, 1584),
}
DEFAULT_RATIO = "16:9"
WIDEST = 3.0
EDIT_SHORT_SIDE = 720


def ratio_of(name: str) -> float:
    """`"16:9"` as a number."""
    width, _, height = name.partition(":")
    return float(width) / float(height)


def video_size(resolution: str, ratio: float) -> tuple[int, int]:
    """Even width and height whose shorter one is what the resolution names."""
    ratio = min(max(ratio, 1 / WIDEST), WIDEST)
    short = SHORT_SIDE[resolution]
    long = _even(short * max(ratio, 1 / ratio))
    return (long, short) if ratio >= 1 else (short, long)


def edited_size(width: int, height: int) -> tuple[int, int]:
    """The source's own size, or smaller in the same aspect when it is above 720p."""
    scale = min(1.0, EDIT_SHORT_SIDE / min(width, height))
    return _even(width * scale), _even(height * scale)


def resolution_of(size: tuple[int, int], known: tuple[str, ...]) -> str:
    """The smallest resolution among `known` that covers a frame of this size: the one billed."""
    short = min(size)
    return next((name for name in known if SHORT_SIDE[name] >= short), known[-1])


def still_size(resolution: str, ratio: str, own: float | None = None) -> tuple[int, int]:
    """Pixels of a still: as recorded where somebody did, else of the resolution's area."""
    if (resolution, ratio) in RECORDED_STILLS:
        return RECORDED_STILLS[resolution, ratio]
    value = (own or 1.0) if ratio == "auto" else ratio_of(ratio)
    value = min(max(value, 1 / WIDEST), WIDEST)
    side = STILL_SIDE[resolution]
    return _sixteenth(side * math.sqrt(value)), _sixteenth(side / math.sqrt(value))


def _even(length: float) -> int:
    return max(2, round(length / 2) * 2)


def _sixteenth(length: float) -> int:
    return max(16, round(length / 16) * 16)
