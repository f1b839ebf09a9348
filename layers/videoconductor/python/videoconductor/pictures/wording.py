"""Words on lines: what of a text can be set, where it breaks, and how large it may be."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

from videoconductor.pictures import typeface
from videoconductor.pictures.typeface import Weight

MAX_CHARACTERS = 600  # no template has room for more, and measuring takes its time
ELLIPSIS = "…"
_ALL_BLANKS = " \u00a0"
_BLANKS = re.compile(r"[ \u00a0]+")
# `30 %`, `Quoi ?`, `« Oui »`: what belongs to a word is never alone on the next line.
_UNBROKEN = re.compile(r" (?=[%‰€°!?:;»])|(?<=[«№§]) ")
_LINE_ENDS = frozenset("\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")
_NO_BREAK = frozenset("\u00a0\u202f\u2007")
_MARKS_PER_LETTER = 1  # more would be drawn on top of each other
# A price without its currency would be another price.
_INSTEAD = {
    "₽": "\u00a0RUB ",
    "₴": "\u00a0UAH ",
    "₸": "\u00a0KZT ",
    "₹": " INR\u00a0",
    "₺": "\u00a0TRY ",
    "₩": " KRW\u00a0",
    "₪": "\u00a0ILS ",
    "₿": "\u00a0BTC ",
    "ẞ": "SS",
    "\u2010": "-",
    "\u2011": "-",
    "\u2012": "\u2013",
    "→": "\u203a",
    "←": "\u2039",
}
_BREAK_AFTER = frozenset("\u00a0-\u2013\u2014/_.,;:?&=+@")
_NOT_BEFORE_ELLIPSIS = " .,;:\u2013\u2014-…"
_SHRINK = 0.93
_PER_LINE = 0.87  # what a line more takes from the worth of large letters

Measure = Callable[[str], float]


def settable(text: str) -> str:
    """`text` as it can be drawn: lines set apart by a newline, words by one blank.

    Control and invisible characters go. What the font has no glyph for is replaced by its plain
    form if it has one (full width, mathematical bold, a rare accent), else it goes too: emoji,
    Arabic, Chinese.
    """
    composed = unicodedata.normalize("NFC", text[: 4 * MAX_CHARACTERS])
    drawn = "".join(_drawn(composed))[:MAX_CHARACTERS]
    lines = (_BLANKS.sub(_one_blank, line).strip(_ALL_BLANKS) for line in drawn.split("\n"))
    return "\n".join(_UNBROKEN.sub("\u00a0", line) for line in lines if line)


def _one_blank(run: re.Match[str]) -> str:
    return "\u00a0" if "\u00a0" in run[0] else " "


def _drawn(text: str) -> Iterator[str]:
    marks = _MARKS_PER_LETTER  # a mark with no letter before it has nothing to sit on
    for character in text:
        if unicodedata.category(character)[0] == "M":
            marks += 1
            if marks <= _MARKS_PER_LETTER and typeface.has_glyph(character):
                yield character
            continue
        shown = _shown(character)
        # It is the letter that is missing, so its marks go with it.
        marks = 0 if shown.strip() else _MARKS_PER_LETTER
        yield shown


def _shown(character: str) -> str:
    category = unicodedata.category(character)
    if character in _LINE_ENDS:
        return "\n"
    if character in _NO_BREAK:
        return "\u00a0"
    if category in {"Cc", "Zs"}:
        return " "
    if category[0] == "C":
        return ""
    if typeface.has_glyph(character):
        return character
    plain = _INSTEAD.get(character) or unicodedata.normalize("NFKD", character)
    return "".join(letter for letter in plain if _is_drawable(letter))


def _is_drawable(letter: str) -> bool:
    return unicodedata.category(letter)[0] not in "CM" and typeface.has_glyph(letter)


@dataclass(frozen=True)
class Style:
    """How text of one role is set. Sizes are pixels an em, `pitch` is ems from line to line."""

    weight: Weight
    largest: int
    smallest: int
    lines: int
    pitch: float


@dataclass(frozen=True)
class Setting:
    """Lines of text at a size in pixels, none of them wider than asked."""

    lines: tuple[str, ...]
    size: int


@lru_cache(maxsize=256)
def fitted(text: str, style: Style, width: int, scale: float = 1.0) -> Setting:
    """The best setting of settable, non-empty `text` in `width` pixels and `style.lines` lines.

    Large letters are good, few lines too. Words stay whole if they can at any size, else they
    break; and what does not fit at the smallest size ends in an ellipsis. `scale` lowers the
    largest size.
    """
    sizes = list(_sizes(style, scale))
    # Where the writer broke the lines they stay broken, if there is room for that.
    flowing = text.replace("\n", " ")
    for breaks_words in (False, True):
        for version in dict.fromkeys((text, flowing)):
            found = _best(version, style, width, sizes, breaks_words=breaks_words)
            if found is not None:
                return found
    measure = measured(style.weight, sizes[-1])
    lines = wrapped(flowing, width, measure, breaks_words=True) or []
    return Setting(shortened(lines, style.lines, width, measure), sizes[-1])


def _best(
    text: str, style: Style, width: int, sizes: Iterable[int], *, breaks_words: bool
) -> Setting | None:
    """The largest size that fits, or a smaller one if it saves lines enough."""
    best: tuple[float, int, list[str]] = (0.0, 0, [])
    for size in sizes:
        if size <= best[0]:
            break
        measure = measured(style.weight, size)
        lines = wrapped(text, width, measure, breaks_words=breaks_words)
        if lines is not None and len(lines) <= style.lines:
            best = max(best, (size * _PER_LINE ** (len(lines) - 1), size, lines))
    _, size, lines = best
    if not lines:
        return None
    return Setting(_balanced(text, lines, width, measured(style.weight, size)), size)


def _sizes(style: Style, scale: float) -> Iterator[int]:
    size = style.largest * scale
    while size > style.smallest:
        yield round(size)
        size *= _SHRINK
    yield style.smallest


def measured(weight: Weight, size: int) -> Measure:
    """Lengths of words in pixels; each is measured once."""
    return cache(typeface.font(weight, size).getlength)


def wrapped(text: str, width: float, measure: Measure, *, breaks_words: bool) -> list[str] | None:
    """Lines of at most `width`; None if a word is wider and must not be broken."""
    blank = measure(" ")
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line, length = "", 0.0
        for word in paragraph.split(" "):
            if line and length + blank + measure(word) <= width:
                line, length = f"{line} {word}", length + blank + measure(word)
                continue
            if line:
                lines.append(line)
            if measure(word) > width:
                if not breaks_words:
                    return None
                *full, word = _pieces(word, width, measure)
                lines.extend(full)
            line, length = word, measure(word)
        lines.append(line)
    return lines


def _pieces(word: str, width: float, measure: Measure) -> list[str]:
    """A word cut where it must be, better after a hyphen or a slash than elsewhere."""
    pieces = [""]
    for cluster in _clusters(word):
        piece = pieces[-1]
        if piece and measure(piece + cluster) > width:
            cut = max((at + 1 for at, sign in enumerate(piece) if sign in _BREAK_AFTER), default=0)
            kept = cut if cut > len(piece) // 2 else len(piece)
            pieces[-1:] = [piece[:kept], piece[kept:]]
        pieces[-1] += cluster
    return pieces


def _clusters(word: str) -> Iterator[str]:
    """Letters, each with its marks."""
    return (found[0] for found in re.finditer(r".[\u0300-\u036f\u0483-\u0489]*", word, re.DOTALL))


def shortened(lines: Iterable[str], most: int, width: float, measure: Measure) -> tuple[str, ...]:
    """The first `most` lines; the last of them ends in an ellipsis if there were more."""
    kept = list(lines)
    if len(kept) <= most:
        return tuple(kept)
    parts = list(_clusters(kept[most - 1]))
    while parts and measure(_trailing_off(parts)) > width:
        parts.pop()
        if " " in parts[len(parts) // 2 :]:  # a whole word goes, unless it is most of the line
            while parts[-1] != " ":
                parts.pop()
    return (*kept[: most - 1], _trailing_off(parts))


def _trailing_off(parts: list[str]) -> str:
    return "".join(parts).rstrip(_NOT_BEFORE_ELLIPSIS) + ELLIPSIS


def _balanced(text: str, lines: list[str], width: int, measure: Measure) -> tuple[str, ...]:
    """As many lines, but of about the same length: no single word is left on the last."""
    narrow, wide, best = width // 3, width, lines
    while len(lines) > 1 and wide - narrow > 4:
        middle = (narrow + wide) // 2
        tried = wrapped(text, middle, measure, breaks_words=False)
        if tried is not None and len(tried) <= len(lines):
            wide, best = middle, tried
        else:
            narrow = middle
    return tuple(best)
