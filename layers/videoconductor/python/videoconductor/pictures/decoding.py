"""A process of its own: decodes the MP4 on stdin, writes one frame to stdout.

The answer is a line `width height rotation` and then the pixels as RGB, row by row. When there is
none, the reason is the one line on stderr, and the exit status is 1.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

CODECS = ("h264", "hevc", "av1", "libdav1d")
# Parts of the clip's length at which a candidate is looked at.
LOOKS = (0.0, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 0.95)
MAX_PACKETS = 3000
MAX_SECONDS = 1_000_000.0  # a time beyond is no time to look up, and means the end
_SMALL = (64, 36)
# Of 255: an average below DARK is a fade, above BRIGHT a flash.
_DARK, _BRIGHT = 40, 225
# A later frame has to be clearly better, or a grain of noise would move the choice.
_BETTER = 1.15
# What says nothing of its colours is BT.709 from this many lines on, and BT.601 below.
_HD_LINES, _UNSPECIFIED = 720, 2
_STRETCH = 3.0  # pixels further from square than this are a slip, not a wide picture


def main(*, at_seconds: float | None, seconds: float, max_pixels: int, memory_bytes: int) -> None:
    """Decode within these bounds. Ends the process with status 1 when there is no frame."""
    until = time.monotonic() + seconds
    _confine(memory_bytes, math.ceil(2 * seconds))
    try:
        answer = _answer(at_seconds, max_pixels, until)
    except (av.FFmpegError, MemoryError, OSError, ValueError) as problem:
        sys.exit(f"the video cannot be decoded ({type(problem).__name__})")
    if answer is None:
        sys.exit("the video has no frame that can be decoded")
    sys.stdout.buffer.write(answer)


def _confine(memory_bytes: int, processor_seconds: int) -> None:
    if sys.platform == "win32":
        return
    import resource

    for kind, most in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_CPU, processor_seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(OSError, ValueError):  # not every system can, and a lower limit may stand
            resource.setrlimit(kind, (most, most))


def _answer(at_seconds: float | None, max_pixels: int, until: float) -> bytes | None:
    bounds = {"max_pixels": str(max_pixels), "threads": "1"}
    sys.stdin.buffer.seek(0)  # the place in the file is shared with whoever opened it
    # The format is named, or a playlist that calls itself a video could make us open other files.
    with av.open(
        sys.stdin.buffer,
        "r",
        format="mp4",
        options=bounds,
        container_options={"codec_whitelist": ",".join(CODECS)},
    ) as container:
        stream = _moving_picture(container)
        if stream is None:
            return None
        stream.codec_context.options = bounds
        footage = _Footage(container, stream, until)
        frame = _best(footage) if at_seconds is None else footage.frame_at(at_seconds)
        return None if frame is None else _pixels(frame, stream)


def _moving_picture(container: InputContainer) -> VideoStream | None:
    """The first video stream that is not a cover image."""
    for stream in container.streams.video:
        is_cover = bool(stream.disposition & Disposition.attached_pic)
        if not is_cover and stream.codec_context.name in CODECS:
            return stream
    return None


class _Footage:
    """Frames by the time they are shown at. Ask for rising times: it never goes back."""

    def __init__(self, container: InputContainer, stream: VideoStream, until: float) -> None:
        self._container = container
        self._stream = stream
        # Always there in an MP4; FFmpeg's own where a stream has none.
        self._tick = stream.time_base or Fraction(1, av.time_base)
        self._until = until
        self._packets = 0
        self._frames = self._decoded()
        self._shown: VideoFrame | None = None
        self._next: VideoFrame | None = None

    @property
    def seconds(self) -> float:
        """How long the clip says it is; 0 if it does not say."""
        if self._stream.duration is not None:
            return float(self._stream.duration * self._tick)
        return (self._container.duration or 0) / av.time_base

    def frame_at(self, second: float) -> VideoFrame | None:
        """What is shown then: the last frame beyond the end, or as far as the bounds let us go."""
        self._leap(second)
        while (coming := self._coming()) is not None:
            if self._shown is not None and self._time(coming) > second:
                break
            self._shown, self._next = coming, None
        return self._shown

    def _leap(self, second: float) -> None:
        """Skip to the last key frame before `second`, if that lies ahead."""
        here = self._next or self._shown
        if here is None or here.pts is None or not second < MAX_SECONDS:
            return
        stream = self._stream
        target = round(second / self._tick) + (stream.start_time or 0)
        at = stream.index_entries.search_timestamp(target)
        if at >= 0 and stream.index_entries[at].timestamp > here.pts:
            self._container.seek(target, stream=stream)
            self._frames, self._shown, self._next = self._decoded(), None, None

    def _coming(self) -> VideoFrame | None:
        if self._next is None:
            self._next = next(self._frames, None)
        return self._next

    def _time(self, frame: VideoFrame) -> float:
        ticks = (frame.pts or 0) - (self._stream.start_time or 0)
        return float(ticks * self._tick)

    def _decoded(self) -> Iterator[VideoFrame]:
        with suppress(av.FFmpegError):  # it ends where the file can no longer be read
            for packet in self._container.demux(self._stream):
                self._packets += 1
                if self._packets > MAX_PACKETS or time.monotonic() > self._until:
                    return
                with suppress(av.error.InvalidDataError):  # a damaged one; the next may be sound
                    yield from packet.decode()


def _best(footage: _Footage) -> VideoFrame | None:
    """The candidate richest in contrast, the earliest among equals."""
    best, most = None, -math.inf
    for part in LOOKS:
        frame = footage.frame_at(part * footage.seconds)
        if frame is not None and frame is not best:
            worth = _worth(frame)
            if best is None or worth > most * _BETTER + 1:
                best, most = frame, worth
    return best


def _worth(frame: VideoFrame) -> float:
    """The spread of the luma, of 255; much less for a fade or a flash."""
    small = frame.reformat(*_SMALL, format="gray", interpolation="AREA")
    luma = _rows(small, 1)
    spread = statistics.pstdev(luma)
    return spread if _DARK <= statistics.fmean(luma) <= _BRIGHT else spread / 4


def _pixels(frame: VideoFrame, stream: VideoStream) -> bytes:
    stretch = float(stream.sample_aspect_ratio or 1)
    if not 1 / _STRETCH <= stretch <= _STRETCH:
        stretch = 1.0
    untold = frame.colorspace == _UNSPECIFIED and frame.height >= _HD_LINES
    rgb = frame.reformat(
        round(frame.width * stretch),
        frame.height,
        format="rgb24",
        src_colorspace="ITU709" if untold else None,
    )
    return b"%d %d %d\n" % (rgb.width, rgb.height, frame.rotation) + _rows(rgb, 3)


def _rows(frame: VideoFrame, pixel_bytes: int) -> bytes:
    """The pixels without what pads each row in memory."""
    plane, width = frame.planes[0], frame.width * pixel_bytes
    padded = memoryview(plane)
    starts = range(0, frame.height * plane.line_size, plane.line_size)
    return b"".join(padded[start : start + width] for start in starts)
