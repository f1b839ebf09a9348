"""Reading what an MP4 says about itself: length, size and whether it has sound."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAX_MOOV = 64 * 2**20


class NotAnMp4(Exception):
    """The bytes are no MP4, or one without a video track of known length."""


@dataclass(frozen=True)
class Footage:
    """The video track of an MP4 as it is shown."""

    seconds: float
    width: int
    height: int
    has_sound: bool


def footage(path: Path) -> Footage:
    """What the `moov` box of the file says; raises NotAnMp4."""
    with path.open("rb") as file:
        moov = _moov(file)
    try:
        return _read(moov)
    except (struct.error, IndexError) as problem:
        raise NotAnMp4("its moov box is malformed") from problem


def without_moov(content: bytes) -> bytes:
    """The same file less its `moov` box."""
    kept = (content[start:end] for kind, start, _, end in _boxes(content) if kind != b"moov")
    return b"".join(kept)


def _moov(file: BinaryIO) -> bytes:
    first = True
    while header := file.read(8):
        if len(header) < 8:
            break
        size, kind = struct.unpack(">I4s", header)
        if first and kind != b"ftyp":
            raise NotAnMp4("it does not begin with an ftyp box")
        first = False
        used = 8
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
            used = 16
        if kind == b"moov" and used <= size <= MAX_MOOV:
            return file.read(size - used)
        if size < used:
            break
        file.seek(size - used, 1)
    raise NotAnMp4("it has no moov box")


def _boxes(content: bytes) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start, start of the payload and end of each box in `content`."""
    at = 0
    while at + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        payload = at + 8
        if size == 1:
            size = int.from_bytes(content[at + 8 : at + 16], "big")
            payload = at + 16
        end = at + size if size else len(content)
        if end < payload:
            return
        yield kind, at, payload, min(end, len(content))
        at = end


def _inner(content: bytes, *path: bytes) -> bytes:
    for step in path:
        found = next((box for box in _boxes(content) if box[0] == step), None)
        if found is None:
            raise NotAnMp4(f"it has no {step.decode()} box")
        content = content[found[2] : found[3]]
    return content


def _read(moov: bytes) -> Footage:
    tracks = [moov[payload:end] for kind, _, payload, end in _boxes(moov) if kind == b"trak"]
    kinds = [_inner(track, b"mdia", b"hdlr")[8:12] for track in tracks]
    if b"vide" not in kinds:
        raise NotAnMp4("it has no video track")
    video = tracks[kinds.index(b"vide")]
    width, height = _shown_size(_inner(video, b"tkhd"))
    seconds = _track_seconds(_inner(video, b"mdia", b"mdhd"))
    if not seconds or not width or not height:
        raise NotAnMp4("its length or size is unknown")
    return Footage(seconds, width, height, b"soun" in kinds)


def _track_seconds(mdhd: bytes) -> float:
    layout, at = (">IQ", 20) if mdhd[0] == 1 else (">II", 12)
    scale, length = struct.unpack_from(layout, mdhd, at)
    return float(length) / scale if scale else 0.0


def _shown_size(tkhd: bytes) -> tuple[int, int]:
    """Width and height, turned when the display matrix turns the picture by a quarter."""
    matrix_at = 52 if tkhd[0] == 1 else 40
    width, height = (value >> 16 for value in struct.unpack_from(">II", tkhd, matrix_at + 36))
    turned = struct.unpack_from(">i", tkhd, matrix_at)[0] == 0
    return (height, width) if turned else (width, height)
