"""What a layout is made of. All lengths are pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from videoconductor.pictures.templates import Place, Role
from videoconductor.pictures.typeface import Weight


@dataclass(frozen=True)
class Box:
    """`right` and `bottom` are the first pixels outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """From side to side."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """From top to bottom."""
        return self.bottom - self.top

    def moved(self, across: int, down: int) -> Box:
        """The same box elsewhere."""
        return Box(self.left + across, self.top + down, self.right + across, self.bottom + down)


def outline(boxes: Iterable[Box]) -> Box:
    """The smallest box around some boxes, of which there must be one."""
    sides = [(box.left, box.top, box.right, box.bottom) for box in boxes]
    lefts, tops, rights, bottoms = zip(*sides, strict=True)
    return Box(min(lefts), min(tops), max(rights), max(bottoms))


@dataclass(frozen=True)
class Line:
    """One line of text, and where its pen starts on the baseline."""

    text: str
    left: int
    baseline: int


@dataclass(frozen=True)
class Block:
    """One overlay's text. All that is drawn of it, its pill included, is inside `box`."""

    role: Role
    place: Place
    box: Box
    lines: tuple[Line, ...]
    weight: Weight
    size: int
    is_pill: bool

    def moved(self, across: int, down: int) -> Block:
        """The same block elsewhere."""
        lines = tuple(Line(at.text, at.left + across, at.baseline + down) for at in self.lines)
        return replace(self, box=self.box.moved(across, down), lines=lines)


@dataclass(frozen=True)
class Group:
    """Blocks and rules that stay together, and the height they take from 0 downwards."""

    height: int = 0
    blocks: tuple[Block, ...] = ()
    rules: tuple[Box, ...] = ()

    @property
    def box(self) -> Box:
        """Around all that is in it, which must be something."""
        return outline([*(block.box for block in self.blocks), *self.rules])

    def moved(self, across: int, down: int) -> Group:
        """The same group elsewhere; its height is that of its content."""
        return Group(
            self.height,
            tuple(block.moved(across, down) for block in self.blocks),
            tuple(rule.moved(across, down) for rule in self.rules),
        )

    def joined(self, other: Group, height: int) -> Group:
        """Both, where they are, as one of this height."""
        return Group(height, self.blocks + other.blocks, self.rules + other.rules)

    def above(self, other: Group, gap: int) -> Group:
        """This one with the other below it; without a gap if either is empty."""
        if not self.blocks or not other.blocks:
            return self if self.blocks else other
        lowered = other.moved(0, self.height + gap)
        return self.joined(lowered, self.height + gap + other.height)
