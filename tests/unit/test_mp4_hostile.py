"""Real MP4s bent by somebody who knows their boxes: judged, in bounded work and memory.

`make fuzz` has hypothesis look for longer.
"""

from __future__ import annotations

import asyncio
import struct
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import examples
from tests.unit.test_mp4 import box, boxes, facts
from videoconductor import mp4
from videoconductor.errors import CopyInterrupted, NotAClip
from xai_simulator.cards import Caption
from xai_simulator.clips import ClipMaker, Scene

NESTED = {b"moov", b"trak", b"mdia", b"minf", b"stbl", b"mvex", b"moof", b"traf"}
LIES = [0, 1, 2, 7, 8, 9, 15, 16, 2**31 - 1, 2**31, 2**32 - 1]
LONG_LIES = [0, 1, 15, 16, 2**31, 2**32, 2**63 - 1, 2**63, 2**64 - 1]
SOUND = ["moov_last", "moov_first", "fragmented", "hybrid", "silent", "simulated"]
LARGEST = 64 * 1024  # what hypothesis bends; larger ones are for tests of their own


@pytest.fixture(scope="module")
def clips(mp4s, tmp_path_factory):
    """The MP4s of all muxings, and one that the simulator made."""
    folder = tmp_path_factory.mktemp("simulated")
    scene = Scene((96, 54), 1, Caption("clip", "a lamp", "1 s"))
    asyncio.run(ClipMaker(folder).film(scene, folder / "a.mp4"))
    found = {**mp4s, "simulated": (folder / "a.mp4").read_bytes()}
    assert all(facts(found[name]) for name in SOUND)
    return found


def places(content: bytes, start: int = 0, end: int | None = None) -> Iterator[tuple[int, int]]:
    """Where each box begins and how long it is, those inside others too."""
    at, end = start, len(content) if end is None else end
    while at + 8 <= end:
        size, kind = struct.unpack_from(">I4s", content, at)
        if not 8 <= size <= end - at:
            return
        yield at, size
        if kind in NESTED:
            yield from places(content, at + 8, at + size)
        at += size


def judged(content: bytes, chunk: int = 1 << 20) -> bool:
    """Whether it passes for a clip. Anything but a verdict is an error of the test's."""
    try:
        found = facts(content, chunk)
    except (NotAClip, CopyInterrupted):
        return False
    assert found.seconds > 0
    assert found.width > 0
    assert found.height > 0
    assert found.video_codec
    # A parser that knows nothing but lengths finds what a player cannot do without.
    kinds = [content[at + 4 : at + 8] for at in tops(content)]
    assert kinds[0] == b"ftyp"
    assert {b"moov", b"mdat"} <= set(kinds)
    return True


def tops(content: bytes) -> Iterator[int]:
    """Where the outermost boxes begin; they fill the file to its end."""
    at = 0
    while at < len(content):
        yield at
        (size,) = struct.unpack_from(">I", content, at)
        at += size if size != 1 else struct.unpack_from(">Q", content, at + 8)[0]
    assert at == len(content)


class Work:
    """Counts what the checker looks at: boxes opened, and numbers read from tables."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        inner, numbers, integers = mp4._boxes, mp4._numbers, mp4._integers

        def counted(content):
            for found in inner(content):
                self.steps += 1
                yield found

        def one(layout, content, at):
            self.steps += 1
            return numbers(layout, content, at)

        def many(content, at, count, size):
            found = integers(content, at, count, size)
            self.steps += len(found)
            return found

        monkeypatch.setattr(mp4, "_boxes", counted)
        monkeypatch.setattr(mp4, "_numbers", one)
        monkeypatch.setattr(mp4, "_integers", many)


@pytest.fixture
def work(monkeypatch):
    return Work(monkeypatch)


@st.composite
def bending(draw: st.DrawFn, content: bytes) -> bytes:
    """A file with one to six things wrong with it."""
    bent = content
    for _ in range(draw(st.integers(1, 6))):
        bent = draw(st.sampled_from(BENDS))(draw, bent)
    return bent


def _place(draw: st.DrawFn, content: bytes) -> tuple[int, int]:
    found = list(places(content))
    return draw(st.sampled_from(found)) if found else (0, min(len(content), 8))


def _flip(draw: st.DrawFn, content: bytes) -> bytes:
    at, size = _place(draw, content)
    bit = draw(st.integers(0, max(min(size, 400) * 8 - 1, 0)))
    bent = bytearray(content)
    if at + bit // 8 < len(bent):
        bent[at + bit // 8] ^= 1 << bit % 8
    return bytes(bent)


def _lie(draw: st.DrawFn, content: bytes) -> bytes:
    at, _ = _place(draw, content)
    return content[:at] + struct.pack(">I", draw(st.sampled_from(LIES))) + content[at + 4 :]


def _long_lie(draw: st.DrawFn, content: bytes) -> bytes:
    at, _ = _place(draw, content)
    size = struct.pack(">Q", draw(st.sampled_from(LONG_LIES)))
    return content[:at] + b"\0\0\0\1" + content[at + 4 : at + 8] + size + content[at + 8 :]


def _number(draw: st.DrawFn, content: bytes) -> bytes:
    """Any field of a box: a count, a time, an offset."""
    at, size = _place(draw, content)
    field = at + 8 + 4 * draw(st.integers(0, max(min(size, 120) // 4 - 3, 0)))
    lie = struct.pack(">I", draw(st.sampled_from([*LIES, 3, 255, 65535, 65536])))
    return content[:field] + lie + content[field + 4 :]


def _cut(draw: st.DrawFn, content: bytes) -> bytes:
    return content[: draw(st.integers(0, len(content)))]


def _drop(draw: st.DrawFn, content: bytes) -> bytes:
    at, size = _place(draw, content)
    return content[:at] + content[at + size :]


def _double(draw: st.DrawFn, content: bytes) -> bytes:
    at, size = _place(draw, content)
    return content[:at] + content[at : at + size] + content[at:] if size < LARGEST else content


def _swap(draw: st.DrawFn, content: bytes) -> bytes:
    whole = [part for _, part in boxes(content)] if _fits(content) else [content]
    return b"".join(draw(st.permutations(whole)))


def _rename(draw: st.DrawFn, content: bytes) -> bytes:
    at, _ = _place(draw, content)
    kinds = [*sorted(NESTED), b"free", b"mdat", b"stco", b"co64", b"stsz", b"stz2", b"trun"]
    return content[: at + 4] + draw(st.sampled_from(kinds)) + content[at + 8 :]


def _wrap(draw: st.DrawFn, content: bytes) -> bytes:
    """A box inside boxes of any kind, and they inside others."""
    at, size = _place(draw, content)
    inner = content[at : at + size]
    for kind in draw(st.lists(st.sampled_from(sorted(NESTED)), max_size=30)):
        inner = box(kind, inner)
    return content[:at] + inner + content[at + size :]


def _fits(content: bytes) -> bool:
    at = 0
    while at + 8 <= len(content):
        (size,) = struct.unpack_from(">I", content, at)
        if size < 8:
            return False
        at += size
    return at == len(content)


BENDS = [_flip, _lie, _long_lie, _number, _cut, _drop, _double, _swap, _rename, _wrap]
SLOW = [
    HealthCheck.function_scoped_fixture,
    HealthCheck.data_too_large,
    HealthCheck.too_slow,
    HealthCheck.large_base_example,
]


@given(data=st.data(), name=st.sampled_from(SOUND), chunk=st.sampled_from([7, 4099, 1 << 20]))
@settings(max_examples=examples(150), deadline=None, suppress_health_check=SLOW)
def test_a_bent_mp4_is_judged_in_work_and_memory_that_its_size_allows(
    clips, work, name, data, chunk
):
    bent = data.draw(bending(clips[name]))
    work.steps = 0
    judged(bent, chunk)
    assert work.steps <= 64 + len(bent)


@given(data=st.data(), name=st.sampled_from(SOUND))
@settings(max_examples=examples(100), deadline=None, suppress_health_check=SLOW)
def test_a_clip_that_is_cut_anywhere_never_passes(clips, data, name):
    whole = clips[name]
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert not judged(whole[:cut])


@given(data=st.data(), name=st.sampled_from(["moov_first", "moov_last", "simulated", "silent"]))
@settings(max_examples=examples(100), deadline=None, suppress_health_check=SLOW)
def test_media_that_was_cut_and_its_box_made_to_fit_never_passes(clips, data, name):
    parts = boxes(clips[name])
    media = next(part[8:] for kind, part in parts if kind == b"mdat")
    kept = data.draw(st.integers(0, len(media) - 1))
    bent = b"".join(box(b"mdat", media[:kept]) if kind == b"mdat" else part for kind, part in parts)
    assert not judged(bent)


@pytest.mark.parametrize("name", SOUND)
def test_a_clip_without_one_of_its_outer_boxes_or_in_another_order_is_judged(clips, name):
    parts = boxes(clips[name])
    for number, (kind, _) in enumerate(parts):
        rest = b"".join(part for at, (_, part) in enumerate(parts) if at != number)
        if kind in {b"ftyp", b"moov"}:
            assert not judged(rest)
        judged(rest)
    assert not judged(b"".join(part for _, part in reversed(parts)))


def movie(*tracks: bytes) -> bytes:
    """A file of nothing but an index, and media of sixteen bytes."""
    head = box(b"ftyp", b"isom\0\0\2\0isom")
    clock = struct.pack(">IIIII", 0, 0, 0, 1000, 1000)
    return head + box(b"mdat", b"m" * 16) + box(b"moov", box(b"mvhd", clock) + b"".join(tracks))


def track(table: bytes) -> bytes:
    """A video track around a sample table."""
    header = struct.pack(">IIII", 0, 0, 0, 1) + b"\0" * 56 + struct.pack(">II", 64 << 16, 36 << 16)
    media = box(b"hdlr", b"\0" * 8 + b"vide") + box(b"minf", box(b"stbl", table))
    return box(b"trak", box(b"tkhd", header) + box(b"mdia", media))


def table(samples: int, chunks: int, *, wide: bool = False) -> bytes:
    """A sample table whose samples lie in so many chunks."""
    each = ">Q" if wide else ">I"
    offsets = struct.pack(each, 28 + 8) * chunks
    return (
        box(b"stsd", struct.pack(">II", 0, 1) + struct.pack(">I4s", 16, b"avc1") + b"\0" * 8)
        + box(b"stsz", struct.pack(">III", 0, 0, samples) + bytes(4) * samples)
        + box(b"co64" if wide else b"stco", struct.pack(">II", 0, chunks) + offsets)
    )


def heavy_files() -> dict[str, bytes]:
    """Files that ask for as much work as their size allows, each a hundred kilobytes or more."""
    deep = b""
    for _ in range(20_000):
        deep = box(b"trak", deep)
    return {
        "thousands of tiny chunks": movie(track(table(100_000, 100_000))),
        "chunks with long offsets": movie(track(table(1, 150_000, wide=True))),
        "many tracks": movie(*[track(table(2000, 2000))] * 64),
        "too many tracks": movie(*[track(table(10, 10))] * 2000),
        "many empty boxes in the index": movie(box(b"free") * 40_000),
        "many small boxes around it": movie(track(table(1, 1))) + box(b"free") * 25_000,
        "many pieces of media": movie(*[track(table(1, 1))] * 60) + box(b"mdat", b"m") * 25_000,
        "deeply nested": movie(deep),
        "many sample tables": movie(*[box(b"trak", box(b"mdia", box(b"minf") * 30_000))]),
        "many fragments": movie(box(b"mvex"), track(table(1, 1)))
        + b"".join(box(b"moof", box(b"traf", box(b"trun", bytes(8)))) for _ in range(8_000)),
    }


@pytest.mark.parametrize("name", list(heavy_files()))
def test_a_file_made_to_be_slow_takes_work_and_memory_in_proportion(work, monkeypatch, name):
    content, asked = heavy_files()[name], 0
    find = mp4.bisect_right

    def bisect(*arguments, **named):
        nonlocal asked
        asked += 1
        return find(*arguments, **named)

    monkeypatch.setattr(mp4, "bisect_right", bisect)
    assert len(content) > 100_000
    tracemalloc.start()
    try:
        judged(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert work.steps <= len(content)
    assert asked <= 2 * 64
    assert peak < 12 * len(content) + 2**20


def test_what_the_checker_does_is_seen_by_the_count(clips, work):
    """If its names move, the bounds above would hold of nothing."""
    assert judged(clips["moov_first"])
    assert work.steps > 50
