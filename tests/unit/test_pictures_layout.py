"""Text on a thumbnail: inside the frame, nothing on top of anything else, whatever the text."""

from __future__ import annotations

from itertools import combinations
from typing import get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from videoconductor.clip import MAX_OVERLAY_CHARACTERS, MAX_OVERLAYS, Overlay
from videoconductor.pictures import typeface
from videoconductor.pictures.boxes import Block, Box, outline
from videoconductor.pictures.layout import SIZES, Layout, layout, size_of
from videoconductor.pictures.templates import STYLES, Place, Role, Template
from videoconductor.pictures.wording import ELLIPSIS, settable

TEMPLATES = get_args(Template)
ROLES = get_args(Role)
PLACES = get_args(Place)
WIDE = SIZES["16:9"]
BORDER = 60


def overlay(text: str, role: Role | None = None, position: Place | None = None) -> Overlay:
    return Overlay(text=text, role=role, position=position)


def overlapping(one: Box, other: Box) -> bool:
    return (
        one.left < other.right
        and other.left < one.right
        and one.top < other.bottom
        and other.top < one.bottom
    )


def ink(block: Block) -> Box | None:
    """Where the letters really are, drawn on paper with a border around the block's box."""
    left, top = block.box.left - BORDER, block.box.top - BORDER
    paper = Image.new("L", (block.box.width + 2 * BORDER, block.box.height + 2 * BORDER))
    draw = ImageDraw.Draw(paper)
    for line in block.lines:
        font = typeface.font(block.weight, block.size)
        draw.text((line.left - left, line.baseline - top), line.text, 255, font, anchor="ls")
    found = paper.getbbox()
    return found and Box(*found).moved(left, top)


def check(placed: Layout) -> None:
    width, height = placed.size
    boxes = [*(block.box for block in placed.blocks), *placed.rules]
    margin = 0.06 * min(placed.size)
    for box in boxes:
        assert margin <= box.left < box.right <= width - margin, box
        assert 0.04 * min(placed.size) <= box.top < box.bottom <= height - 0.04 * min(placed.size)
    for one, other in combinations(boxes, 2):
        assert not overlapping(one, other), (one, other)
    for block in placed.blocks:
        found = ink(block)
        assert found is None or outline([found, block.box]) == block.box, block
        on_bar = placed.bar is not None and overlapping(block.box, placed.bar)
        assert on_bar == (placed.bar is not None and block.place.startswith("bottom"))
        assert not on_bar or block.box.top >= placed.bar.top + 10


natural = st.sampled_from(
    [
        "The Last Harbour",
        "Spring sale: 30 % off all lenses",
        "Последняя гавань: фильм про возвращение домой",
        "Żółć, Ångström, ởờ, ǺḮ: Příliš žluťoučký kůň",
        "Donaudampfschifffahrtsgesellschaftskapitänsmützenknopf",
        "https://www.example.com/a/very/long/path?with=queries&and=more",
        "jJfﬁ Qyg ÅŸ",
        "one\ntwo\nthree\nfour\nfive\nsix",
        "שלום مرحبا 漢字 😀👍🏽",
    ]
)
repeated = st.builds(
    lambda unit, times: (unit * times)[:MAX_OVERLAY_CHARACTERS],
    st.sampled_from(
        ["W", "i", "word ", "Ж", "a\u0301\u0323", "a\u00a0", "-", "Ỗ\n", ".", "mm mmm "]
    ),
    st.integers(1, MAX_OVERLAY_CHARACTERS),
)
texts = st.one_of(natural, repeated, st.text(max_size=80))
overlays = st.lists(
    st.builds(
        overlay,
        texts,
        st.sampled_from([None, *ROLES]),
        st.sampled_from([None, *PLACES]),
    ),
    max_size=MAX_OVERLAYS,
)
everywhere = [overlay("W" * 300, role, place) for place in PLACES for role in ("title", "cta")]
crowd = [overlay("word " * 100, "cta", "center")] * MAX_OVERLAYS


@settings(max_examples=60, deadline=None)
@given(overlays, st.sampled_from(TEMPLATES), st.sampled_from(list(SIZES.values())))
@example(everywhere, "default", SIZES["16:9"])
@example(everywhere, "cta_bar", SIZES["9:16"])
@example(everywhere, "title_card", SIZES["1:1"])
@example(crowd, "title_card", SIZES["16:9"])
def test_everything_is_inside_the_frame_and_nothing_overlaps(overlays, template, size):
    check(layout(overlays, template, size))


@settings(max_examples=60, deadline=None)
@given(
    texts,
    st.sampled_from(ROLES),
    st.sampled_from(PLACES),
    st.sampled_from(TEMPLATES),
    st.sampled_from(list(SIZES.values())),
)
def test_a_single_text_is_there_in_full_or_ends_in_an_ellipsis(text, role, place, template, size):
    wanted = settable(text)
    placed = layout([overlay(text, role, place)], template, size)
    if not wanted:
        assert placed == Layout(size)
        return
    (block,) = placed.blocks
    shown = "".join(line.text for line in block.lines)
    squeezed = "".join(wanted.split()).replace("\u00a0", "")
    kept = "".join(shown.split()).replace("\u00a0", "")
    assert kept == squeezed or (
        kept.endswith(ELLIPSIS) and squeezed.startswith(kept.removesuffix(ELLIPSIS))
    )
    style = STYLES["bar" if placed.bar else template.replace("cta_bar", "default")][role]
    unit = min(size) / 720
    assert round(style.smallest * unit) <= block.size <= round(style.largest * unit)
    assert len(block.lines) <= style.lines


def lines(text: str, role: Role = "title", size: tuple[int, int] = WIDE) -> list[str]:
    (block,) = layout([overlay(text, role)], "default", size).blocks
    return [line.text for line in block.lines]


def test_a_text_breaks_at_words_into_lines_of_about_one_length():
    assert lines("Five mornings in a northern harbour", size=SIZES["9:16"]) == [
        "Five mornings",
        "in a northern",
        "harbour",
    ]
    assert lines("Three fishermen and the last harbour in the north of it all") == [
        "Three fishermen",
        "and the last harbour",
        "in the north of it all",
    ]


def test_a_long_word_is_set_smaller_before_it_is_broken():
    word = "Donaudampfschifffahrtsgesellschaftskapitän"
    assert lines(word) == [word]
    broken = lines(word * 2, size=SIZES["9:16"])
    assert len(broken) > 1
    assert "".join(broken) == word * 2


def test_an_address_breaks_after_a_slash():
    first, *_ = lines("https://www.example.com/films/" + "harbour" * 9, "caption", SIZES["9:16"])
    assert first == "https://www.example.com/films/"


def test_what_is_cut_is_cut_after_a_word():
    *_, last = lines("lighthouse " * 40)
    assert last.endswith("lighthouse…")
    *_, last = lines("W" * 400)
    assert last.endswith("WW…")


def test_line_breaks_stay_while_there_is_room_for_them():
    assert lines("Midnight\n\n Harbour\r\n") == ["Midnight", "Harbour"]
    assert lines("a\nb\nc\nd\ne\nf") == ["a b c d e f"]


def test_texts_of_one_place_are_stacked_in_their_order():
    words = ["first", "second", "third", "fourth"]
    placed = layout([overlay(word, "caption", "top-left") for word in words], "default", WIDE)
    assert [block.lines[0].text for block in placed.blocks] == words
    tops = [block.box.top for block in placed.blocks]
    assert tops == sorted(tops)


def test_each_position_is_where_it_says():
    placed = layout([overlay(place, "caption", place) for place in PLACES], "default", WIDE)
    at = {block.place: block.box for block in placed.blocks}
    middle = {
        place: ((box.left + box.right) / 2, (box.top + box.bottom) / 2) for place, box in at.items()
    }
    for place in ("top", "center", "bottom"):
        assert abs(middle[place][0] - 640) <= 1
    assert at["top-left"].left == at["bottom-left"].left == 48
    assert at["bottom-right"].right == 1280 - 48
    assert middle["top-left"][1] < 120
    assert abs(middle["center"][1] - 360) <= 1
    assert at["bottom-left"].bottom == at["bottom-right"].bottom == 720 - 48


@pytest.mark.parametrize(
    ("template", "roles", "places"),
    [
        ("default", ["title", "subtitle", "caption"], ["bottom-left", "bottom-left", "top-left"]),
        ("title_card", ["title", "subtitle", "caption"], ["center", "center", "bottom"]),
        ("cta_bar", ["title", "subtitle", "cta"], ["bottom-left", "bottom-left", "bottom-right"]),
    ],
)
def test_what_says_neither_role_nor_position_gets_the_templates(template, roles, places):
    placed = layout([overlay("one"), overlay("two"), overlay("three")], template, WIDE)
    found = {block.lines[0].text: block for block in placed.blocks}
    assert [found[word].role for word in ("one", "two", "three")] == roles
    assert [found[word].place for word in ("one", "two", "three")] == places


def test_a_role_that_is_taken_is_not_given_again():
    placed = layout([overlay("one"), overlay("two", "title")], "default", WIDE)
    assert [block.role for block in placed.blocks] == ["subtitle", "title"]


def test_a_button_alone_stands_in_the_middle_of_its_bar():
    (button,) = layout([overlay("Start now")], "cta_bar", WIDE).blocks
    assert button.is_pill
    assert abs(button.box.left + button.box.right - 1280) <= 1


def test_titles_are_larger_than_subtitles_and_those_larger_than_captions():
    sizes = [
        layout([overlay("word", role)], template, WIDE).blocks[0].size
        for template in TEMPLATES
        for role in ("title", "subtitle", "caption")
    ]
    for template in range(3):
        title, subtitle, caption = sizes[3 * template : 3 * template + 3]
        assert title > subtitle > caption


def test_as_much_as_can_be_is_kept_when_there_is_too_much():
    placed = layout(crowd, "title_card", SIZES["16:9"])
    assert 6 <= len(placed.blocks) < MAX_OVERLAYS
    small = [overlay(f"line {at}", "caption", "center") for at in range(MAX_OVERLAYS)]
    assert len(layout(small, "default", WIDE).blocks) == MAX_OVERLAYS


@pytest.mark.parametrize("text", ["", "  ", "\n\t\r", "\x00\x07", "\u200b\u202e", "😀", "\u0301"])
def test_a_text_of_which_nothing_can_be_set_takes_no_room(text):
    assert layout([overlay(text, "title")], "cta_bar", WIDE) == Layout(WIDE)


@pytest.mark.parametrize(
    ("ratio", "own", "chosen"),
    [
        ("16:9", (1, 1), "16:9"),
        ("9:16", (1, 1), "9:16"),
        ("1:1", (16, 9), "1:1"),
        ("4:3", (1, 1), "16:9"),
        ("3:4", (1, 1), "9:16"),
        ("5:4", (1, 1), "1:1"),
        ("21:9", (1, 1), "16:9"),
        (" 1920 x 1080 ", (1, 1), "16:9"),
        (None, (720, 1280), "9:16"),
        (None, (1000, 990), "1:1"),
        ("", (1280, 720), "16:9"),
        ("wide", (1280, 720), "16:9"),
        ("0:1", (720, 1280), "9:16"),
        ("1:0", (720, 1280), "9:16"),
        ("9" * 400 + ":1", (1000, 1000), "1:1"),
        ("auto", (1, 5000), "9:16"),
    ],
)
def test_any_ratio_goes_to_the_nearest_size(ratio, own, chosen):
    assert size_of(ratio, own) == SIZES[chosen]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("  a\t b\x00c\u200bd  ", "a b cd"),
        ("one\r\n\n\ttwo\u2028three", "one\ntwo\nthree"),
        ("e\u0301 и\u0306", "é й"),
        ("x" + "\u0301" * 50, "x\u0301"),
        ("\u0301\u0301abc", "abc"),
        ("漢\u0301字 ok 😀👩\u200d🚀", "ok"),
        ("\U0001d5d5old \uff21 ﬁ ② ẞ", "Bold A ﬁ 2 SS"),
        ("1 990 ₽ за штуку", "1 990\u00a0RUB за штуку"),
        ("₹499", "INR\u00a0499"),
        ("30 % mehr", "30\u00a0% mehr"),
        ("Quoi ? « Oui »", "Quoi\u00a0? «\u00a0Oui\u00a0»"),
        ("\ud800 lone", "lone"),
    ],
)
def test_a_text_is_made_settable(text, shown):
    assert settable(text) == shown


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters()))
def test_what_is_settable_has_a_glyph(text):
    made = settable(text)
    assert all(letter in "\n\u00a0" or typeface.has_glyph(letter) for letter in made)


def test_a_missing_letter_is_known_from_a_drawn_one():
    assert all(map(typeface.has_glyph, "AzЖяßéğ€…«»№ \u0301"))
    assert not any(map(typeface.has_glyph, "漢אعक😀→₽\ufe0f"))
