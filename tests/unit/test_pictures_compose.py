"""Posters, thumbnails and other people's image files."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw, ImageStat

from videoconductor.clip import Overlay
from videoconductor.errors import NoFrame
from videoconductor.pictures import drawing, reading
from videoconductor.pictures.colours import accent, luminance, shade
from videoconductor.pictures.compose import picture_of, poster, thumbnail
from videoconductor.pictures.drawing import drawn
from videoconductor.pictures.layout import SIZES, layout
from videoconductor.pictures.templates import Place, Template

TEMPLATES = get_args(Template)
PLACES = get_args(Place)
WORDS = (
    Overlay(text="Spring sale", role="title"),
    Overlay(text="Until Sunday", role="subtitle"),
    Overlay(text="Shop now", role="cta"),
    Overlay(text="Advertisement", role="caption"),
)


def opened(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def encoded(picture: Image.Image, kind: str, **options: object) -> bytes:
    made = io.BytesIO()
    picture.save(made, kind, **options)
    return made.getvalue()


def halves(size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Red on the left, blue on the right."""
    picture = Image.new("RGB", size, (255, 0, 0))
    picture.paste((0, 0, 255), (size[0] // 2, 0, *size))
    return picture


def contrast(one: float, other: float) -> float:
    light, dark = max(one, other), min(one, other)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("ratio", SIZES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_thumbnail_is_a_jpeg_of_its_ratio(ratio, template):
    made = opened(thumbnail(halves(), template, WORDS, ratio))
    assert (made.format, made.mode, made.size) == ("JPEG", "RGB", SIZES[ratio])


def test_nothing_that_came_with_a_picture_is_passed_on():
    exif = Image.Exif()
    exif[0x010E] = "secret place"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    content = encoded(
        halves(), "JPEG", exif=exif, comment=b"secret words", icc_profile=profile, dpi=(300, 300)
    )
    for picture in (picture_of(content), opened(content)):
        for made in (poster(picture), thumbnail(picture, "default", WORDS, None)):
            assert b"secret" not in made
            assert b"Exif" not in made
            assert set(opened(made).info) <= {
                *("jfif", "jfif_version", "jfif_unit", "jfif_density"),
                *("progression", "progressive"),
            }


def test_without_text_a_thumbnail_is_the_middle_of_the_picture():
    wide = Image.new("RGB", (900, 300), (0, 255, 0))
    wide.paste((255, 0, 0), (300, 0, 600, 300))
    for template in TEMPLATES:
        made = opened(thumbnail(wide, template, (Overlay(text=" \n"),), "1:1"))
        inner = made.crop((6, 0, 1074, 1080))
        assert min(ImageStat.Stat(inner).extrema[0]) > 240, template
        assert max(ImageStat.Stat(inner).extrema[1]) < 20, template


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1), (3, 2)])
def test_a_picture_of_any_shape_becomes_a_thumbnail(size):
    picture = Image.new("RGB", size, (90, 20, 30))
    assert opened(thumbnail(picture, "cta_bar", WORDS, "16:9")).size == (1280, 720)
    assert opened(poster(picture)).size[0] >= 1


def test_text_is_drawn_and_changes_with_the_words():
    plain = halves((1280, 720))
    made = {thumbnail(plain, "default", (Overlay(text=text),), None) for text in ("A", "B", "漢")}
    assert len(made) == 3


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("ratio", SIZES)
@pytest.mark.parametrize("ground", ["white", "checked"])
def test_white_letters_stand_on_a_ground_dark_enough(monkeypatch, template, ratio, ground):
    size = SIZES[ratio]
    picture = Image.new("RGB", size, "white")
    if ground == "checked":
        for left in range(0, size[0], 40):
            ImageDraw.Draw(picture).rectangle((left, 0, left + 10, size[1]), fill="red")
    placed = layout(
        [*WORDS, *(Overlay(text="Some more words", role="subtitle", position=at) for at in PLACES)],
        template,
        size,
    )
    # What is left when no letter is drawn, nor the shadow of one.
    monkeypatch.setattr(
        drawing, "_letters", lambda block: Image.new("L", (block.box.width, block.box.height))
    )
    bare = drawn(placed, picture, is_card=template == "title_card")
    for block in placed.blocks:
        if not block.is_pill:
            box = block.box
            part = bare.crop((box.left, box.top, box.right, box.bottom))
            brightest = max(luminance(colour) for _, colour in part.getcolors(1 << 20))
            assert contrast(luminance(drawing.SOFT_WHITE), brightest) >= 4.5, block.place
            assert contrast(1.0, brightest) >= 4.5, block.place


@settings(max_examples=60, deadline=None)
@given(st.tuples(*[st.integers(0, 255)] * 3))
def test_the_words_on_a_button_can_be_read_whatever_the_pictures_colours(colour):
    picture = Image.new("RGB", (64, 64), colour)
    assert contrast(luminance(accent(picture)), luminance(shade(picture))) >= 6
    assert contrast(1.0, luminance(shade(picture))) >= 15


def test_the_accent_is_the_pictures_own_hue_or_amber():
    red, green, blue = accent(Image.new("RGB", (50, 50), (10, 60, 200)))
    assert blue > green > red
    assert accent(Image.new("RGB", (50, 50), (120, 120, 120))) == (255, 190, 60)


@pytest.mark.parametrize(
    ("size", "made"),
    [((640, 360), (640, 360)), ((3840, 2160), (1920, 1080)), ((1080, 2160), (960, 1920))],
)
def test_a_poster_is_the_picture_at_its_size_or_smaller(size, made):
    picture = halves(size)
    found = opened(poster(picture))
    assert found.size == made
    assert picture.size == size
    assert all(abs(a - b) < 8 for a, b in zip(found.getpixel((4, 4)), (255, 0, 0), strict=True))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_jpeg_png_and_webp_are_opened(kind):
    picture = picture_of(encoded(halves(), kind))
    assert (picture.mode, picture.size) == ("RGB", (60, 40))
    assert picture.getpixel((5, 5))[0] > 230


@pytest.mark.parametrize(
    "picture",
    [
        halves().convert("P"),
        halves().convert("L"),
        halves().convert("1"),
        Image.new("I;16", (60, 40), 40000),
        Image.new("LA", (60, 40), (10, 0)),
        Image.new("RGBA", (60, 40), (10, 20, 30, 0)),
    ],
    ids=lambda picture: picture.mode,
)
def test_every_kind_of_png_becomes_rgb(picture):
    assert picture_of(encoded(picture, "PNG")).mode == "RGB"


def test_what_is_see_through_is_white():
    picture = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    picture.putpixel((0, 0), (0, 0, 255, 255))
    opaque = picture_of(encoded(picture, "PNG"))
    assert opaque.getpixel((0, 0)) == (0, 0, 255)
    assert opaque.getpixel((5, 5)) == (255, 255, 255)


def test_sixteen_bits_a_pixel_keep_their_brightness():
    grey = picture_of(encoded(Image.new("I;16", (8, 8), 0x8000), "PNG")).getpixel((2, 2))
    assert 120 <= grey[0] <= 136


def test_a_picture_is_turned_upright():
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    picture = picture_of(encoded(halves(), "JPEG", exif=exif, quality=95))
    assert picture.size == (40, 60)
    assert picture.getpixel((5, 5))[0] > 200
    assert picture.getpixel((5, 55))[2] > 200


def test_a_large_jpeg_is_opened_smaller_but_large_enough():
    picture = picture_of(encoded(Image.new("RGB", (5600, 4000)), "JPEG"))
    assert picture.size == (2800, 2000)


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 900 million pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF89a",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        encoded(halves(), "GIF"),
        encoded(halves(), "TIFF"),
        encoded(halves(), "BMP"),
        encoded(halves((400, 300)), "JPEG")[:-700],
        encoded(halves((400, 300)), "PNG")[:-40],
        encoded(halves((400, 300)), "WEBP")[:-40],
        bomb(),
    ],
    ids=lambda content: repr(content[:4]),
)
def test_what_is_no_picture_says_so(content):
    with pytest.raises(NoFrame):
        picture_of(content)


def test_a_picture_above_the_bound_is_refused_before_it_is_read(monkeypatch):
    content = encoded(halves((100, 100)), "PNG")
    monkeypatch.setattr(reading, "MAX_PIXELS", 9_999)
    with pytest.raises(NoFrame, match="100x100 pixels; at most 9,999"):
        picture_of(content)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_a_damaged_picture_is_read_or_refused_but_never_another_error(kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = encoded(halves(), kind, exif=exif)
    chance = random.Random(kind)  # noqa: S311
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        try:
            assert picture_of(bytes(damaged[: chance.choice([None, -9])])).mode == "RGB"
        except NoFrame:
            refused += 1
    assert refused > 50
