"""The three templates as tables: how text of each role is set, and where it goes.

Lengths are 720ths of the frame's shorter side, so a thumbnail looks the same at any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from videoconductor.pictures.wording import Style

Template = Literal["default", "title_card", "cta_bar"]
Role = Literal["title", "subtitle", "cta", "caption"]
Place = Literal["top", "center", "bottom", "top-left", "bottom-left", "bottom-right"]

STYLES: dict[str, dict[Role, Style]] = {
    "default": {
        "title": Style("ExtraBold", 76, 34, 3, 1.12),
        "subtitle": Style("SemiBold", 34, 22, 3, 1.3),
        "cta": Style("Bold", 32, 22, 2, 1.2),
        "caption": Style("SemiBold", 27, 20, 2, 1.3),
    },
    "title_card": {
        "title": Style("ExtraBold", 92, 36, 4, 1.1),
        "subtitle": Style("Regular", 38, 24, 3, 1.32),
        "cta": Style("Bold", 34, 22, 2, 1.2),
        "caption": Style("SemiBold", 27, 20, 2, 1.3),
    },
    "bar": {
        "title": Style("ExtraBold", 50, 30, 2, 1.14),
        "subtitle": Style("Regular", 28, 20, 2, 1.3),
        "cta": Style("Bold", 38, 24, 2, 1.2),
        "caption": Style("SemiBold", 24, 20, 1, 1.3),
    },
}
BAR_PLACES: frozenset[Place] = frozenset({"bottom", "bottom-left", "bottom-right"})
# A short stroke by the title: its width and height, and whether it stands before or after it.
RULES: dict[Template, tuple[int, int, Literal["before", "after"]]] = {
    "default": (72, 7, "before"),
    "title_card": (92, 6, "after"),
}
_ROLES: tuple[Role, ...] = ("title", "subtitle", "caption")
# Where a role goes that does not say: in a wide frame, and in one that is upright or square.
_PLACES: dict[Template, dict[Role, tuple[Place, Place]]] = {
    "default": {
        "title": ("bottom-left", "bottom-left"),
        "subtitle": ("bottom-left", "bottom-left"),
        "cta": ("bottom-left", "bottom-left"),
        "caption": ("top-left", "top-left"),
    },
    "title_card": {
        "title": ("center", "center"),
        "subtitle": ("center", "center"),
        "cta": ("center", "center"),
        "caption": ("bottom", "bottom"),
    },
    "cta_bar": {
        "title": ("bottom-left", "bottom"),
        "subtitle": ("bottom-left", "bottom"),
        "cta": ("bottom-right", "bottom"),
        "caption": ("top-left", "top-left"),
    },
}


def style(template: Template, role: Role, place: Place) -> Style:
    """How text is set. Above its bar a cta_bar is like the default."""
    if template != "cta_bar":
        return STYLES[template][role]
    return STYLES["bar" if place in BAR_PLACES else "default"][role]


def roles(given: Sequence[Role | None], template: Template) -> list[Role]:
    """Of those without a role the first is the title; on a bar the last is what calls to act."""
    filled: list[Role | None] = list(given)
    if template == "cta_bar" and "cta" not in filled and None in filled:
        filled[len(filled) - 1 - filled[::-1].index(None)] = "cta"
    spare = (name for name in _ROLES if name not in given)
    return [next(spare, "caption") if role is None else role for role in filled]


def place(role: Role, cast: Sequence[Role], template: Template, *, is_wide: bool) -> Place:
    """Where text of this role goes that does not say; `cast` is the roles of all texts."""
    wide, narrow = _PLACES[template][role]
    # A button with nothing beside it stands in the middle of its bar.
    has_words = "title" in cast or "subtitle" in cast
    return wide if is_wide and has_words else narrow
