"""Where everything on a thumbnail goes: boxes and lines of text, before any of it is drawn.

Nothing leaves the frame and no two boxes meet. There are three bands: one hangs from the top, one
stands on the bottom, one floats between them. Texts of one place are stacked in their order. When
the bands do not fit into the frame all texts are set smaller, then in fewer lines, and at last the
last ones are left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from videoconductor.pictures.boxes import Block, Box, Group
from videoconductor.pictures.stacking import Setter, Text
from videoconductor.pictures.templates import Place, Template, place, roles
from videoconductor.pictures.wording import settable

if TYPE_CHECKING:
    from videoconductor.clip import Overlay

Band = Literal["top", "center", "bottom"]

SIZES: dict[str, tuple[int, int]] = {
    "16:9": (1280, 720),
    "9:16": (720, 1280),
    "1:1": (1080, 1080),
}
_RATIO = re.compile(r"\s*(\d{1,5}(?:\.\d{1,5})?)\s*[:/x]\s*(\d{1,5}(?:\.\d{1,5})?)\s*")
_WIDE = 1.2  # width to height

# 720ths of the frame's shorter side.
_MARGIN = 48
_UPRIGHT_MARGIN = 76  # apps lay signs of their own over both ends of an upright picture
_BAR_MARGIN = 34
_BETWEEN_BANDS = 28

# How large text is against its largest (0: the smallest there is), and at most how many lines.
_STEPS = ((1.0, 9), (0.88, 9), (0.76, 9), (0.64, 9), (0.54, 9), (0.0, 9), (0.0, 2), (0.0, 1))


@dataclass(frozen=True)
class Layout:
    """A thumbnail of `size` pixels: width, height.

    `rules` are short strokes by a title, `bar` is the ground of a cta_bar, and `bands` says what
    room each band takes.
    """

    size: tuple[int, int]
    blocks: tuple[Block, ...] = ()
    rules: tuple[Box, ...] = ()
    bar: Box | None = None
    bands: tuple[tuple[Band, Box], ...] = ()


def size_of(aspect_ratio: str | None, own: tuple[int, int]) -> tuple[int, int]:
    """Width and height in pixels: the nearest of SIZES to the ratio, `"16:9"` or the like.

    Where it names no ratio, what counts is `own`, the picture's size.
    """
    found = _RATIO.fullmatch(aspect_ratio or "")
    width, height = (float(found[1]), float(found[2])) if found else own
    if not width or not height:
        width, height = own
    # 4:3 lies midway between 16:9 and 1:1: rounded, it is a tie, and the first one wins.
    return min(
        SIZES.values(),
        key=lambda size: round(abs(math.log(width / height * size[1] / size[0])), 6),
    )


def layout(overlays: Iterable[Overlay], template: Template | None, size: tuple[int, int]) -> Layout:
    """Where the overlays go on a thumbnail of `size` pixels. Empty texts are left out.

    What has no role gets one by its order, what has no position the template's for its role.
    """
    named = template or "default"
    texts = _texts(overlays, named, is_wide=_is_wide(size))
    for scale, lines in _STEPS:
        arranged = _arranged(texts, named, size, scale, lines)
        if arranged is not None:
            return arranged
    for count in range(len(texts) - 1, 0, -1):
        arranged = _arranged(texts[:count], named, size, *_STEPS[-1])
        if arranged is not None:
            return arranged
    return Layout(size)


def _is_wide(size: tuple[int, int]) -> bool:
    return size[0] > _WIDE * size[1]


def _texts(overlays: Iterable[Overlay], template: Template, *, is_wide: bool) -> list[Text]:
    found = [
        (text, overlay.role, overlay.position)
        for overlay in overlays
        if (text := settable(overlay.text))
    ]
    cast = roles([role for _, role, _ in found], template)
    return [
        Text(text, role, position or place(role, cast, template, is_wide=is_wide))
        for (text, _, position), role in zip(found, cast, strict=True)
    ]


def _arranged(
    texts: Sequence[Text], template: Template, size: tuple[int, int], scale: float, lines: int
) -> Layout | None:
    """The layout with every text at most so large and so long; None if that does not fit."""
    width, height = size
    unit = min(size) / 720
    side = round(_MARGIN * unit)
    end = round((_UPRIGHT_MARGIN if height > _WIDE * width else _MARGIN) * unit)
    setter = Setter(template, _is_wide(size), width - 2 * side, unit, scale, lines)
    top, center, bottom = _bands(texts, setter)
    has_bar = template == "cta_bar" and bool(bottom.blocks)
    bar_margin = setter.px(_BAR_MARGIN) if has_bar else 0
    floor = height - (bar_margin or end) - bottom.height
    ceiling = end + top.height
    # Between these the middle band floats; a band that is not there takes no room.
    gap = setter.px(_BETWEEN_BANDS)
    high = ceiling + gap if top.blocks else end
    low = floor - bar_margin - gap if bottom.blocks else height - end
    if low - high < center.height - (0 if center.blocks else gap):
        return None
    middle = min(max((height - center.height) // 2, high), low - center.height)
    placed: list[tuple[Band, Group]] = [
        ("top", top.moved(side, end)),
        ("center", center.moved(side, middle)),
        ("bottom", bottom.moved(side, floor)),
    ]
    return Layout(
        size,
        tuple(block for _, group in placed for block in group.blocks),
        tuple(rule for _, group in placed for rule in group.rules),
        Box(0, floor - bar_margin, width, height) if has_bar else None,
        tuple((name, group.box) for name, group in placed if group.blocks),
    )


def _bands(texts: Sequence[Text], setter: Setter) -> tuple[Group, Group, Group]:
    """Top, middle and bottom, each from (0, 0). What is in a corner is nearest to the edge."""
    at: dict[Place, list[Text]] = {}
    for text in texts:
        at.setdefault(text.place, []).append(text)

    def stack(name: Place) -> Group:
        return setter.stack(at.get(name, []))

    gap = setter.px(_BETWEEN_BANDS)
    corners = setter.row(
        at.get("bottom-left", []),
        at.get("bottom-right", []),
        is_level=setter.template == "cta_bar",
    )
    return (
        stack("top-left").above(stack("top"), gap),
        stack("center"),
        stack("bottom").above(corners, gap),
    )
