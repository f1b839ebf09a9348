"""Drawing a layout on a picture, so that it can be read whatever the picture is."""

from __future__ import annotations

from itertools import accumulate

from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageOps

from videoconductor.pictures import typeface
from videoconductor.pictures.boxes import Block, Box
from videoconductor.pictures.colours import SOFT_WHITE, WHITE, accent, shade
from videoconductor.pictures.layout import Band, Layout

# Of 255: no brighter than this is the ground white text stands on. Their contrast is 5 to 1.
_GROUND = 106
_BRIGHTEST_PART = 0.97  # of the pixels under a text; the few above are sparks
_CARD_GROUND = 94
_DARKENING = (0.28, 0.82)
# 720ths of the frame's shorter side.
_FADE: dict[Band, int] = {"top": 150, "bottom": 220}
_HALO = 70
_SHADOW = 8
_BAR_LINE = 6
_PILL_CORNER = 34  # where there are two lines; else its ends are half circles
_CARD_BLUR = 7
_ABOVE = 14
_SMOOTHER = 4  # times larger are round corners drawn than they will be
_DEEPER = 56  # of 255: how much darker a slope is at its end


def drawn(placed: Layout, picture: Image.Image, *, is_card: bool) -> Image.Image:
    """The picture, which has the layout's size, with its text; a card's picture is darkened."""
    return _Painter(picture, placed).painted(is_card=is_card)


class _Painter:
    """Draws a layout on a picture of its size."""

    def __init__(self, picture: Image.Image, placed: Layout) -> None:
        self._picture = picture
        self._placed = placed
        self._unit = min(placed.size) / 720
        self._accent = accent(picture)
        self._ink = shade(picture)

    def painted(self, *, is_card: bool) -> Image.Image:
        """The finished picture."""
        if is_card:
            self._darken_all()
        else:
            for band, box in self._placed.bands:
                if band != "bottom" or self._placed.bar is None:
                    self._darken(band, box)
        if self._placed.bar is not None:
            self._draw_bar(self._placed.bar)
        self._draw_shadow()
        for rule in self._placed.rules:
            self._draw_rounded(rule, rule.height // 2)
        for block in self._placed.blocks:
            self._draw(block)
        return self._picture

    def _px(self, length: float) -> int:
        return round(length * self._unit)

    def _darken_all(self) -> None:
        width, height = self._placed.size
        soft = self._picture.filter(ImageFilter.GaussianBlur(self._px(_CARD_BLUR)))
        alpha = self._darkening(soft, Box(0, 0, width, height), _CARD_GROUND)
        # A little darker towards the corners: the eye is led to the middle.
        edge = ImageChops.invert(Image.radial_gradient("L").resize(self._placed.size))
        mask = edge.point(lambda light: round(255 * alpha + (1 - light / 255) ** 2 * 30))
        self._picture = Image.composite(self._ground(), soft, mask)

    def _darken(self, band: Band, box: Box) -> None:
        depth = round(255 * self._darkening(self._picture, box, _GROUND))
        height = self._placed.size[1]
        if band == "center":
            mask = self._halo(box, depth)
        elif band == "bottom":
            mask = self._slope(box.top, depth, _FADE[band])
        else:
            mask = ImageOps.flip(self._slope(height - box.bottom, depth, _FADE[band]))
        self._picture = Image.composite(self._ground(), self._picture, mask)

    def _slope(self, top: int, depth: int, length: int) -> Image.Image:
        """Nothing above, `depth` from `top` on, and somewhat more towards the bottom."""
        width, height = self._placed.size
        column = Image.new("L", (1, height))
        fade = self._px(length)
        start = top - self._px(_ABOVE)
        for y in range(height):
            rise = min(max((y - start + fade) / fade, 0.0), 1.0)
            extra = max(0.0, (y - start) / (height - start)) * _DEEPER
            column.putpixel((0, y), min(255, round(depth * rise * rise * (3 - 2 * rise) + extra)))
        return column.resize((width, height))

    def _halo(self, box: Box, depth: int) -> Image.Image:
        """`depth` over the box, and around it softly less."""
        by = self._px(_HALO)
        mask = Image.new("L", self._placed.size)
        around = (box.left - by, box.top - by, box.right + by, box.bottom + by)
        ImageDraw.Draw(mask).rounded_rectangle(around, by // 2, fill=depth)
        return mask.filter(ImageFilter.GaussianBlur(by / 3))

    def _ground(self) -> Image.Image:
        return Image.new("RGB", self._placed.size, self._ink)

    def _darkening(self, picture: Image.Image, box: Box, most: int) -> float:
        """How much of the ink must lie over this part for it to be no brighter than `most`."""
        part = picture.crop((box.left, box.top, box.right, box.bottom)).convert("L")
        counts = part.histogram()
        enough = _BRIGHTEST_PART * sum(counts)
        light = next(at for at, reached in enumerate(accumulate(counts)) if reached >= enough)
        ink = max(self._ink)
        share = (light - most) / max(light - ink, 1)
        return min(max(share, _DARKENING[0]), _DARKENING[1])

    def _draw_bar(self, bar: Box) -> None:
        line = self._px(_BAR_LINE)
        self._picture.paste(self._ink, (bar.left, bar.top, bar.right, bar.bottom))
        self._picture.paste(self._accent, (bar.left, bar.top - line, bar.right, bar.top))

    def _draw_shadow(self) -> None:
        mask = Image.new("L", self._placed.size)
        for block in self._placed.blocks:
            if not block.is_pill and not self._is_on_bar(block):
                mask.paste(_letters(block), (block.box.left, block.box.top + self._px(2)))
        blurred = mask.filter(ImageFilter.GaussianBlur(self._px(_SHADOW)))
        dense = blurred.point(lambda light: min(110, light * 1.4))
        self._picture.paste((0, 0, 0), mask=dense)

    def _is_on_bar(self, block: Block) -> bool:
        bar = self._placed.bar
        return bar is not None and block.box.top >= bar.top

    def _draw(self, block: Block) -> None:
        colour = WHITE if block.role == "title" else SOFT_WHITE
        if block.is_pill:
            corner = self._px(_PILL_CORNER) if len(block.lines) > 1 else block.box.height // 2
            self._draw_rounded(block.box, corner)
            colour = self._ink
        self._picture.paste(colour, (block.box.left, block.box.top), _letters(block))

    def _draw_rounded(self, box: Box, radius: int) -> None:
        large = Image.new("L", (box.width * _SMOOTHER, box.height * _SMOOTHER))
        ImageDraw.Draw(large).rounded_rectangle(
            (0, 0, large.width - 1, large.height - 1), radius * _SMOOTHER, fill=255
        )
        mask = large.resize((box.width, box.height), Image.Resampling.LANCZOS)
        self._picture.paste(self._accent, (box.left, box.top), mask)


def _letters(block: Block) -> Image.Image:
    """The block's text as a mask of its box; nothing can be drawn outside of it."""
    mask = Image.new("L", (block.box.width, block.box.height))
    draw = ImageDraw.Draw(mask)
    font = typeface.font(block.weight, block.size)
    for line in block.lines:
        at = (line.left - block.box.left, line.baseline - block.box.top)
        draw.text(at, line.text, fill=255, font=font, anchor="ls")
    return mask
