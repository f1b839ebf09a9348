"""Reads an MP4 as it streams by: is it one, is it whole, how long and how large is the picture?

Boxes follow ISO/IEC 14496-12. Only `moov` and `moof` are kept, one at a time and together no more
than MAX_INDEX_BYTES; all else is counted and let go, so memory does not grow with the file.

Whole means: no box is cut, every track's samples fit into the media that came, and a fragmented
file (`moof`) has the index or the announced length by which its end can be told. A last box of
size 0 ("to the end of the file") is refused: nothing tells it from one that was cut short.
"""

from __future__ import annotations

import struct
import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from videoconductor.errors import CopyInterrupted, NotAClip

MAX_INDEX_BYTES = 16 * 1024 * 1024
NOT_AN_MP4 = "the file does not begin like an MP4"
_MAX_BOXES = 100_000
_MAX_TRACKS = 64
# Rounding of a fragmented file's announced length against the sum of its samples.
_SLACK_SECONDS = 0.5


@dataclass(frozen=True)
class Mp4Facts:
    """What the boxes say. `seconds` is the movie's length; sizes are in pixels."""

    seconds: float
    width: int
    height: int
    video_codec: str
    audio_codec: str | None


@dataclass(frozen=True)
class _Track:
    number: int
    handler: bytes
    width: int
    height: int
    codec: str
    timescale: int
    units: int
    samples: int
    sample_bytes: int
    offsets: tuple[int, int] | None  # of its first and last chunk in the file


@dataclass(frozen=True)
class _Movie:
    seconds: float
    tracks: tuple[_Track, ...]
    is_fragmented: bool
    fragment_seconds: float  # 0 when the file does not announce its length
    sample_units: dict[int, int]  # by track: how long a fragment's sample is unless it says

    def first(self, handler: bytes) -> _Track | None:
        return next((track for track in self.tracks if track.handler == handler), None)


class Mp4Inspector:
    """Feed it the file in order, then ask for `facts()`.

    Both raise NotAClip as soon as something is wrong. `facts` raises CopyInterrupted for a file
    whose beginning is sound and whose end is missing: the next copy may have it.
    """

    def __init__(self) -> None:
        self._header = bytearray()
        self._remaining = 0  # bytes of the present box still to come
        self._kind = b""
        self._kept: bytearray | None = None
        self._movie: _Movie | None = None
        self._fragment_units: dict[int, int] = {}
        self._at = 0
        self._media: list[range] = []
        self._boxes = 0
        self._index_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the file."""
        view = memoryview(chunk)
        while view:
            rest = self._take_body(view) if self._remaining else self._take_header(view)
            self._at += len(view) - len(rest)
            view = rest

    def facts(self) -> Mp4Facts:
        """What the file was, once it has ended."""
        if self._boxes == 0:
            raise NotAClip("the file is empty" if not self._header else NOT_AN_MP4)
        if self._header or self._remaining:
            raise CopyInterrupted("the file ends in the middle of a box")
        if self._movie is None:
            raise NotAClip("the file has no moov box")
        media_bytes = sum(map(len, self._media))
        if not media_bytes:
            raise CopyInterrupted("the file has no media in it")
        if sum(track.sample_bytes for track in self._movie.tracks) > media_bytes:
            raise CopyInterrupted("the file's media is not all there")
        if not all(self._has_media_of(track) for track in self._movie.tracks):
            raise NotAClip("the file's index points outside its media")
        return self._described(self._movie)

    def _described(self, movie: _Movie) -> Mp4Facts:
        video, audio = movie.first(b"vide"), movie.first(b"soun")
        if video is None or not (video.width and video.height and video.codec):
            raise NotAClip("the file has no video track")
        if not video.samples and not self._fragment_units.get(video.number):
            raise NotAClip("the file's video track is empty")
        exact = self._fragmented_seconds(movie, video) if movie.is_fragmented else movie.seconds
        seconds = round(exact, 3)
        if seconds <= 0:
            raise NotAClip("the file has no length")
        audio_codec = None if audio is None else audio.codec
        return Mp4Facts(seconds, video.width, video.height, video.codec, audio_codec)

    def _fragmented_seconds(self, movie: _Movie, video: _Track) -> float:
        if not video.timescale:
            return 0.0
        units = self._fragment_units.get(video.number, 0) + (video.units if video.samples else 0)
        seconds = units / video.timescale
        if movie.fragment_seconds - _SLACK_SECONDS > seconds:
            raise CopyInterrupted("the file's last fragments are missing")
        if not movie.fragment_seconds and self._kind != b"mfra":
            raise NotAClip("the file is fragmented and nothing tells where it ends")
        return seconds

    def _has_media_of(self, track: _Track) -> bool:
        if not track.samples:
            return True
        return track.offsets is not None and all(map(self._is_in_media, track.offsets))

    def _is_in_media(self, offset: int) -> bool:
        # In the order of the file, and none within another: of very many, one is looked at.
        before = bisect_right(self._media, offset, key=lambda media: media.start)
        return before > 0 and offset in self._media[before - 1]

    def _take_header(self, view: memoryview) -> memoryview:
        wanted = 16 if self._header[:4] == b"\x00\x00\x00\x01" else 8
        taken = view[: wanted - len(self._header)]
        self._header += taken
        view = view[len(taken) :]
        if len(self._header) == 8 and self._header[:4] == b"\x00\x00\x00\x01":
            return view  # the real size is in the eight bytes that follow
        if len(self._header) == wanted:
            self._open_box(bytes(self._header), self._at + len(taken))
            self._header.clear()
        return view

    def _open_box(self, header: bytes, body_at: int) -> None:
        kind = self._kind = header[4:8]
        size = int.from_bytes(header[8:] or header[:4], "big")
        if self._boxes == 0 and kind != b"ftyp":
            raise NotAClip(NOT_AN_MP4)
        self._boxes += 1
        if self._boxes > _MAX_BOXES:
            raise NotAClip("the file has too many boxes")
        if size < len(header):
            raise NotAClip(f"box {_shown(kind)} has an impossible size")
        self._remaining = size - len(header)
        if kind == b"mdat":
            self._media.append(range(body_at, body_at + self._remaining))
        if kind in {b"moov", b"moof"}:
            self._open_index(kind)

    def _open_index(self, kind: bytes) -> None:
        name = _shown(kind)
        if (kind == b"moov") != (self._movie is None):
            raise NotAClip(f"the file's {name} box is repeated or out of place")
        self._index_bytes += self._remaining
        if not self._remaining or self._index_bytes > MAX_INDEX_BYTES:
            raise NotAClip(f"the file's {name} box is empty or too large")
        self._kept = bytearray()

    def _take_body(self, view: memoryview) -> memoryview:
        taken = view[: self._remaining]
        self._remaining -= len(taken)
        if self._kept is not None:
            self._kept += taken
            if not self._remaining:
                index, self._kept = bytes(self._kept), None
                self._read_index(index)
        return view[len(taken) :]

    def _read_index(self, index: bytes) -> None:
        if self._movie is None:
            self._movie = _movie(index)
            return
        for number, units in _fragments(index, self._movie.sample_units):
            self._fragment_units[number] = self._fragment_units.get(number, 0) + units


def _movie(moov: bytes) -> _Movie:
    timescale, units = 0, 0
    tracks: list[_Track] = []
    mvex: bytes | None = None
    for kind, body in _boxes(moov):
        if kind == b"mvhd":
            timescale, units = _clock(body)
        elif kind == b"trak":
            tracks.append(_track(body))
        elif kind == b"mvex":
            mvex = body
    if len(tracks) > _MAX_TRACKS:
        raise NotAClip("the file has too many tracks")
    announced, sample_units = 0, {}
    for kind, body in _boxes(mvex or b""):
        if kind == b"mehd":
            (announced,) = _numbers(">Q" if body[:1] == b"\x01" else ">I", body, 4)
        elif kind == b"trex":
            number, _, duration = _numbers(">III", body, 4)
            sample_units[number] = duration
    return _Movie(
        seconds=units / timescale if timescale else 0.0,
        tracks=tuple(tracks),
        is_fragmented=mvex is not None,
        fragment_seconds=announced / timescale if timescale else 0.0,
        sample_units=sample_units,
    )


def _clock(header: bytes) -> tuple[int, int]:
    """Units a second, and length in units, of an mvhd or mdhd; all ones mean an unknown length."""
    is_long = header[:1] == b"\x01"
    timescale, units = _numbers(">IQ" if is_long else ">II", header, 20 if is_long else 12)
    return timescale, 0 if units == (2**64 - 1 if is_long else 2**32 - 1) else units


def _track(trak: bytes) -> _Track:
    number = width = height = 0
    media = b""
    for kind, body in _boxes(trak):
        if kind == b"tkhd":
            (number,) = _numbers(">I", body, 20 if body[:1] == b"\x01" else 12)
            # 16.16 fixed point, the last eight bytes in either version of the box.
            width, height = (side >> 16 for side in _numbers(">II", body, max(len(body) - 8, 0)))
        elif kind == b"mdia":
            media = body
    handler, timescale, units, table = b"", 0, 0, b""
    for kind, body in _boxes(media):
        if kind == b"hdlr":
            handler = body[8:12]
        elif kind == b"mdhd":
            timescale, units = _clock(body)
        elif kind == b"minf":
            table = next((inner for name, inner in _boxes(body) if name == b"stbl"), b"")
    codec, samples, sample_bytes, offsets = _samples(table)
    return _Track(
        number, handler, width, height, codec, timescale, units, samples, sample_bytes, offsets
    )


def _samples(stbl: bytes) -> tuple[str, int, int, tuple[int, int] | None]:
    """Codec, number and bytes of a track's samples, and where its first and last chunk lie."""
    codec, samples, sample_bytes = "", 0, 0
    offsets: tuple[int, int] | None = None
    for kind, body in _boxes(stbl):
        if kind == b"stsd":
            codec = _shown(body[12:16])
        elif kind == b"stsz":
            each, samples = _numbers(">II", body, 4)
            sample_bytes = each * samples if each else sum(_integers(body, 12, samples, 4))
        elif kind == b"stz2":
            (samples,) = _numbers(">I", body, 8)
        elif kind in {b"stco", b"co64"}:
            (count,) = _numbers(">I", body, 4)
            chunks = _integers(body, 8, count, 4 if kind == b"stco" else 8)
            offsets = (min(chunks), max(chunks)) if chunks else None
    return codec, samples, sample_bytes, offsets


def _fragments(moof: bytes, defaults: dict[int, int]) -> Iterator[tuple[int, int]]:
    """Of each track fragment: the track's number and how many units it adds."""
    for traf in (body for kind, body in _boxes(moof) if kind == b"traf"):
        number = each = 0
        for kind, body in _boxes(traf):
            if kind == b"tfhd":
                flags, number = _numbers(">II", body, 0)
                each = defaults.get(number, 0)
                if flags & 0x8:
                    at = 8 + (8 if flags & 0x1 else 0) + (4 if flags & 0x2 else 0)
                    (each,) = _numbers(">I", body, at)
            elif kind == b"trun":
                yield number, _run_units(body, each)


def _run_units(trun: bytes, each: int) -> int:
    flags, count = _numbers(">II", trun, 0)
    if not flags & 0x100:
        return count * each
    at = 8 + (4 if flags & 0x1 else 0) + (4 if flags & 0x4 else 0)
    columns = ((flags >> 8) & 0xF).bit_count()
    return sum(_integers(trun, at, count * columns, 4)[::columns])


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(content):
        (size,) = _numbers(">I", content, at)
        kind = content[at + 4 : at + 8]
        header = 8
        if size == 1:
            (size,) = _numbers(">Q", content, at + 8)
            header = 16
        if len(kind) < 4 or size < header or at + size > len(content):
            raise NotAClip(f"box {_shown(kind)} does not fit into the box around it")
        yield kind, content[at + header : at + size]
        at += size


def _numbers(layout: str, content: bytes, at: int) -> tuple[int, ...]:
    try:
        return struct.unpack_from(layout, content, at)
    except struct.error:
        raise NotAClip("a box is cut short") from None


def _integers(content: bytes, at: int, count: int, size: int) -> array[int]:
    """`count` big-endian integers of 4 or 8 bytes each."""
    found = array("I" if size == 4 else "Q")
    if at + count * size > len(content):
        raise NotAClip("a table is cut short")
    found.frombytes(content[at : at + count * size])
    if sys.byteorder == "little":
        found.byteswap()
    return found


def _shown(kind: bytes) -> str:
    text = kind.decode("latin-1")
    return text if text.isascii() and text.isprintable() else repr(kind)
