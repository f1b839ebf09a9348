"""Colours taken from a picture, and how bright they are."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable

from PIL import Image

Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
SOFT_WHITE: Colour = (242, 243, 246)
AMBER: Colour = (255, 190, 60)

_HUES = 24
_SIDE = 32
_VIVID = 12.0  # of 1,024 pixels
_LIGHT = 0.36  # relative luminance: dark letters on it have a contrast of 6 to 1


def accent(picture: Image.Image) -> Colour:
    """The picture's most vivid hue, light enough for dark letters; amber if it has none."""
    weights = [0.0] * _HUES
    for red, green, blue in _pixels(picture.resize((_SIDE, _SIDE), Image.Resampling.BOX)):
        hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
        weights[int(hue * _HUES) % _HUES] += (saturation * value) ** 2
    if max(weights) < _VIVID:
        return AMBER
    hue = (weights.index(max(weights)) + 0.5) / _HUES
    lightness = 0.6
    while luminance(colour := _colour(hue, lightness, 0.9)) < _LIGHT:
        lightness += 0.02
    return colour


def shade(picture: Image.Image) -> Colour:
    """Nearly black, with a breath of the picture's own colour."""
    ((red, green, blue),) = _pixels(picture.resize((1, 1), Image.Resampling.BOX))
    hue, _, saturation = colorsys.rgb_to_hls(red / 255, green / 255, blue / 255)
    return _colour(hue, 0.055, min(saturation, 0.45))


def _colour(hue: float, lightness: float, saturation: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, saturation)
    return round(255 * red), round(255 * green), round(255 * blue)


def luminance(colour: Colour) -> float:
    """Relative luminance as in WCAG 2, from 0 for black to 1 for white."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _pixels(picture: Image.Image) -> Iterable[Colour]:
    content = picture.tobytes()
    return zip(content[::3], content[1::3], content[2::3], strict=True)
