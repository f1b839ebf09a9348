"""The texts of one place, set and stacked; and two such stacks side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from videoconductor.pictures import typeface
from videoconductor.pictures.boxes import Block, Box, Group, Line, outline
from videoconductor.pictures.templates import RULES, Place, Role, Template, style
from videoconductor.pictures.wording import fitted

# 720ths of the frame's shorter side.
_BETWEEN_COLUMNS = 44
_BETWEEN_TEXTS = 16
_AROUND_PILL = 28
_AROUND_RULE = 28

# Ems. Capitals are .71 high; what rises above them and hangs below the line is included.
_ASCENT, _DESCENT, _CAPITAL = 0.76, 0.24, 0.714
_PILL_PADDING = (0.95, 0.62)
_OVERHANG = 0.98  # letters may be drawn a little beyond the width they are counted with

# How much of the width a stack may take in a wide frame, where long lines are hard to read.
_SHARES: dict[Place, float] = {"center": 0.86, "top": 0.9, "bottom": 0.9}
_CORNER_SHARE = 0.78
_COLUMN_SHARE = 0.62  # of two corners side by side: what one may take from the other
_CENTRED: frozenset[Place] = frozenset({"top", "center", "bottom"})


@dataclass(frozen=True)
class Text:
    """An overlay with every choice made; `text` is settable and not empty."""

    text: str
    role: Role
    place: Place


@dataclass(frozen=True)
class Setter:
    """Sets texts for one frame: every one at most so large and so long.

    `width` is what there is between the margins and `unit` a 720th of the shorter side, in pixels.
    """

    template: Template
    is_wide: bool
    width: int
    unit: float
    scale: float
    lines: int

    def px(self, length: float) -> int:
        """720ths of the shorter side as pixels."""
        return round(length * self.unit)

    def stack(self, texts: Sequence[Text], width: int | None = None) -> Group:
        """Texts of one place one below the other, from (0, 0)."""
        if not texts:
            return Group()
        if width is None:
            share = _SHARES.get(texts[0].place, _CORNER_SHARE) if self.is_wide else 1.0
            width = round(share * self.width)
        group = Group()
        above: Role | None = None
        for text in texts:
            group = self._joined(group, self._block(text, width), above)
            above = text.role
        return self._aligned(group, texts[0].place)

    def row(self, left: Sequence[Text], right: Sequence[Text], *, is_level: bool) -> Group:
        """Two stacks side by side: level with each other, or both standing on the bottom."""
        if not left or not right:
            return self.stack(left or right)
        gutter = self.px(_BETWEEN_COLUMNS)
        most = round(_COLUMN_SHARE * self.width)
        columns = self.stack(left, most), self.stack(right, most)
        one, other = columns[0].box.width, columns[1].box.width
        if one + other + gutter > self.width:
            room = self.width - gutter
            width = min(max(round(room * one / (one + other)), self.width - most), most - gutter)
            columns = self.stack(left, width), self.stack(right, room - width)
        height = max(group.height for group in columns)
        part = 2 if is_level else 1
        first, second = (group.moved(0, (height - group.height) // part) for group in columns)
        return first.joined(second, height)

    def _joined(self, group: Group, block: Block, above: Role | None) -> Group:
        rule = self._rule(block.role, above)
        gap = 0 if above is None else self.px(_BETWEEN_TEXTS)
        if above is not None and "cta" in {above, block.role}:
            gap = self.px(_AROUND_PILL)
        if rule is not None:
            top = group.height + (self.px(_AROUND_RULE) if group.blocks else 0)
            rule = rule.moved(0, top)
            gap = rule.bottom + self.px(_AROUND_RULE) - group.height
        lowered = block.moved(0, group.height + gap)
        rules = group.rules if rule is None else (*group.rules, rule)
        return Group(lowered.box.bottom, (*group.blocks, lowered), rules)

    def _rule(self, role: Role, above: Role | None) -> Box | None:
        width, height, where = RULES.get(self.template, (0, 0, ""))
        is_due = (
            role == "title" and above is None
            if where == "before"
            else above == "title" and role != "title"
        )
        return Box(0, 0, self.px(width), self.px(height)) if where and is_due else None

    def _aligned(self, group: Group, place: Place) -> Group:
        def start(box: Box) -> int:
            if place in _CENTRED:
                return (self.width - box.width) // 2
            return self.width - box.width if place == "bottom-right" else 0

        return replace(
            group,
            blocks=tuple(block.moved(start(block.box), 0) for block in group.blocks),
            rules=tuple(rule.moved(start(rule), 0) for rule in group.rules),
        )

    def _block(self, text: Text, width: int) -> Block:
        """The text from (0, 0), its ink flush with the side it is aligned to."""
        chosen = style(self.template, text.role, text.place)
        is_pill = text.role == "cta"
        largest, smallest = self.px(chosen.largest), self.px(chosen.smallest)
        chosen = replace(
            chosen,
            largest=max(smallest, round(largest * self.scale)),
            smallest=smallest,
            lines=min(chosen.lines, self.lines),
        )
        padding = 2 * round(_PILL_PADDING[0] * chosen.largest) if is_pill else 0
        setting = fitted(text.text, chosen, int((width - padding) * _OVERHANG))
        block = _unpadded(text, setting.lines, setting.size, chosen.weight, chosen.pitch)
        return _with_pill(block) if is_pill else block


def _unpadded(
    text: Text, lines: Sequence[str], size: int, weight: typeface.Weight, pitch: float
) -> Block:
    font = typeface.font(weight, size)
    inks = [Box(*map(round, font.getbbox(line, anchor="ls"))) for line in lines]
    down = [round(at * pitch * size) for at in range(len(lines))]
    width = max(ink.width for ink in inks)
    nominal = Box(0, -round(_ASCENT * size), width, down[-1] + round(_DESCENT * size))
    placed = []
    for line, ink, baseline in zip(lines, inks, down, strict=True):
        slack = width - ink.width
        indent = 0 if text.place in {"top-left", "bottom-left"} else slack
        if text.place in _CENTRED or text.role == "cta":
            indent = slack // 2
        placed.append(Line(line, indent - ink.left, baseline))
    ink_boxes = [
        ink.moved(line.left, line.baseline) for ink, line in zip(inks, placed, strict=True)
    ]
    box = outline([nominal, *ink_boxes])
    block = Block(text.role, text.place, box, tuple(placed), weight, size, is_pill=False)
    return block.moved(-box.left, -box.top)


def _with_pill(block: Block) -> Block:
    """With room around it; the capitals stand in the middle of it."""
    across, down = (round(part * block.size) for part in _PILL_PADDING)
    capital = round(_CAPITAL * block.size)
    top = min(block.lines[0].baseline - capital - down, block.box.top)
    bottom = max(block.lines[-1].baseline + down, block.box.bottom)
    box = Box(block.box.left - across, top, block.box.right + across, bottom)
    return replace(block, box=box, is_pill=True).moved(-box.left, -box.top)
