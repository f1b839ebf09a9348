"""Text on a picture: what was asked for, set so that it never leaves the frame."""

from __future__ import annotations

import colorsys
import hashlib
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
SMALLEST = 9
SYSTEM_FONTS = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/usr/share/fonts/truetype/liberation/LiberationSans-Regular.ttf",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
    "C:/Windows/Fonts/arial.ttf",
)


@dataclass(frozen=True)
class Caption:
    """The words on a card: two fixed lines around the prompt."""

    heading: str
    prompt: str
    footer: str


def colour(seed: str, lightness: float = 0.28) -> tuple[int, int, int]:
    """A colour of its own for each text, dark enough for white letters."""
    hue = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()[0] / 255
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.45)
    return round(red * 255), round(green * 255), round(blue * 255)


def card(
    size: tuple[int, int], caption: Caption, background: Image.Image | None = None
) -> Image.Image:
    """The caption over a plain ground, or over `background` on a dark band at the bottom."""
    if background is None:
        picture = Image.new("RGB", size, colour(caption.prompt))
        _write(picture, caption, (0, size[1]))
        return picture
    picture = background.convert("RGB").resize(size)
    top = size[1] - band_height(size)
    band = Image.new("RGB", (size[0], size[1] - top), (0, 0, 0))
    lower = picture.crop((0, top, *size))
    picture.paste(Image.blend(lower, band, 0.65), (0, top))
    _write(picture, caption, (top, size[1]), dense=True)
    return picture


def band(size: tuple[int, int], caption: Caption) -> Image.Image:
    """The caption on a half-transparent band as wide as the frame, to lay over moving pictures."""
    strip = Image.new("RGB", (size[0], band_height(size)), (0, 0, 0))
    _write(strip, caption, (0, strip.height), dense=True)
    strip.putalpha(170)
    return strip


def band_height(size: tuple[int, int]) -> int:
    """How much of the frame a band takes: a third, in even pixels."""
    return max(2, size[1] // 6 * 2)


def _write(
    picture: Image.Image, caption: Caption, rows: tuple[int, int], *, dense: bool = False
) -> None:
    draw = ImageDraw.Draw(picture)
    top, bottom = rows
    margin = max(4, min(picture.width, bottom - top) // 16)
    width = picture.width - 2 * margin
    small = _fitting(caption, width, max(SMALLEST, (bottom - top) // (9 if dense else 18)))
    line = _line_height(small)
    draw.text((margin, top + margin), _cut(caption.heading, small, width), (255, 214, 102), small)
    foot = bottom - margin - line
    draw.text((margin, foot), _cut(caption.footer, small, width), (190, 200, 210), small)
    space = foot - (top + margin + line) - line // 2
    font, lines = _set(
        caption.prompt, width, space, max(SMALLEST, (bottom - top) // (5 if dense else 9))
    )
    at = top + margin + line + line // 4
    for text in lines:
        draw.text((margin, at), text, (255, 255, 255), font)
        at += _line_height(font)


def _fitting(caption: Caption, width: int, size: int) -> Font:
    longest = max(caption.heading, caption.footer, key=len)
    while size > SMALLEST and font(size).getlength(longest) > width:
        size -= 1
    return font(size)


def _set(prompt: str, width: int, height: int, size: int) -> tuple[Font, list[str]]:
    """The largest type in which the prompt fits the box; at the smallest the rest is cut off."""
    # A letter is about half as wide as it is high: larger type than this cannot fit.
    size = max(SMALLEST, min(size, int(1.5 * (width * height / max(1, len(prompt))) ** 0.5)))
    while True:
        chosen = font(size)
        lines = _wrapped(prompt, chosen, width)
        room = max(1, height // _line_height(chosen))
        if len(lines) <= room:
            return chosen, lines
        if size <= SMALLEST:
            last = _cut(f"{lines[room - 1]} …", chosen, width)
            return chosen, [*lines[: room - 1], last]
        size = max(SMALLEST, int(size * 0.85))


def _wrapped(text: str, font: Font, width: int) -> list[str]:
    lines: list[str] = []
    for paragraph in _printable(text).split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if font.getlength(longer) <= width:
                line = longer
                continue
            if line:
                lines.append(line)
            *full, line = _broken(word, font, width)
            lines.extend(full)
        lines.append(line)
    return lines


def _broken(word: str, font: Font, width: int) -> list[str]:
    """A word in pieces none of which is wider than `width`."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and font.getlength(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def _cut(text: str, font: Font, width: int) -> str:
    text = _printable(text)
    while len(text) > 1 and font.getlength(text) > width:
        text = f"{text[:-2]}…"
    return text


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)


def _line_height(font: Font) -> int:
    if isinstance(font, ImageFont.FreeTypeFont):
        ascent, descent = font.getmetrics()
        return ascent + descent
    return int(font.getbbox("Ag")[3]) + 2


@cache
def font(size: int) -> Font:
    """Open Sans (Latin, Greek, Cyrillic), else a system font, else the one inside Pillow."""
    found = next((path for path in _candidates() if path.is_file()), None)
    return ImageFont.truetype(str(found), size) if found else ImageFont.load_default(size)


@cache
def _candidates() -> tuple[Path, ...]:
    package = importlib.util.find_spec("ttf_opensans")
    folders = (package.submodule_search_locations or ()) if package else ()
    bundled = [Path(folder) / "ttf" / "OpenSans-SemiBold.ttf" for folder in folders]
    return (*bundled, *map(Path, SYSTEM_FONTS))
