"""A frame of a finished MP4.

A decoder is large, fast and trusting, and a hostile file can make it loop, crash or ask for
gigabytes within a single call. So it runs in a process of its own, which may use only so much
memory and time; whatever happens to it, here it is a NoFrame.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import IO, BinaryIO

from PIL import Image

from videoconductor.errors import NoFrame

DECODING_SECONDS = 10.0
MAX_PIXELS = 4096 * 2304
MAX_STREAM_BYTES = 256 * 1024 * 1024
_MEMORY_BYTES = 384 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024
# The package may have been found through a path that only this process knows (a layer's).
_CHILD = (
    "import json, sys; order = json.loads(sys.argv[1]); sys.path[:] = order.pop('path'); "
    "from videoconductor.pictures import decoding; decoding.main(**order)"
)


def frame_of(
    video: str | Path | BinaryIO,
    at_seconds: float | None = None,
    *,
    seconds: float = DECODING_SECONDS,
) -> Image.Image:
    """The frame shown at `at_seconds`, or without it one that stands well for the clip.

    Upright, RGB, in square pixels. `at_seconds` counts from the clip's beginning; past its end the
    last frame is meant. The frame that stands for the clip is the richest in contrast among a
    handful spread over it, neither dark nor blank if there is another, and among equals the first.

    H.264, H.265 and AV1 are decoded, at most `seconds` long: then the best frame so far is taken.
    A stream that is not at hand as a path is read from where it stands, to MAX_STREAM_BYTES.
    Raises NoFrame when no frame can be had, after at most twice `seconds`.
    """
    with _opened(video) as file:
        order = {
            "path": sys.path,
            "at_seconds": at_seconds,
            "seconds": seconds,
            "max_pixels": MAX_PIXELS,
            "memory_bytes": _MEMORY_BYTES,
        }
        return _picture(_decoded(file, json.dumps(order), 2 * seconds))


def _opened(video: str | Path | BinaryIO) -> AbstractContextManager[IO[bytes]]:
    if not isinstance(video, str | Path):
        return nullcontext(video) if _is_file(video) else _spooled(video)
    try:
        return Path(video).open("rb")
    except OSError as problem:
        raise NoFrame("the video cannot be opened") from problem


def _is_file(video: BinaryIO) -> bool:
    """Whether the child can be handed `video` itself: a real file that was not read from yet."""
    try:
        video.fileno()
        return video.seekable() and video.tell() == 0
    except (AttributeError, OSError):
        return False


def _spooled(video: BinaryIO) -> IO[bytes]:
    """A copy the child can seek in."""
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    while chunk := video.read(_CHUNK_BYTES):
        if copy.tell() + len(chunk) > MAX_STREAM_BYTES:
            copy.close()
            raise NoFrame(f"the video has more than {MAX_STREAM_BYTES:,} bytes")
        copy.write(chunk)
    copy.flush()
    return copy


def _decoded(file: IO[bytes], order: str, seconds: float) -> bytes:
    try:
        child = subprocess.run(  # noqa: S603 - our own program, in our own interpreter
            [sys.executable, "-c", _CHILD, order],
            stdin=file,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as problem:
        raise NoFrame(f"no frame was decoded within {seconds:g} s") from problem
    except OSError as problem:
        raise NoFrame("the decoder could not be started") from problem
    if child.returncode == 0:
        return child.stdout
    # Only what the child says of its own accord is a sentence; a crash leaves a traceback or less.
    words = child.stderr.decode("utf-8", "replace").strip()
    if child.returncode == 1 and "\n" not in words and len(words) < 200:
        raise NoFrame(words)
    raise NoFrame("the decoder crashed or asked for too much memory")


def _picture(answer: bytes) -> Image.Image:
    head, _, pixels = answer.partition(b"\n")
    try:
        width, height, turned = map(int, head.split())
        picture = Image.frombytes("RGB", (width, height), pixels)
    except ValueError as problem:
        raise NoFrame("the decoder's answer is no frame") from problem
    # Both count anticlockwise.
    return picture.rotate(turned, expand=True) if turned % 90 == 0 and turned else picture
