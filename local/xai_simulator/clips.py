"""Making real MP4s: a second or two of moving frames are encoded and repeated, so it is fast."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg  # type: ignore[import-untyped]
from PIL import Image

from xai_simulator.cards import Caption, band, card
from xai_simulator.mp4_boxes import Footage

FRAME_RATE = 24
LOOP_FRAMES = 48
SOUND_RATE = 48000
VIDEO_CODEC = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "28", "-pix_fmt", "yuv420p")
SOUND_CODEC = ("-c:a", "aac", "-b:a", "64k")
TIDY = ("-movflags", "+faststart", "-map_metadata", "-1", "-f", "mp4")


class ClipNotMade(Exception):
    """ffmpeg could not make the clip; its last words."""


@dataclass(frozen=True)
class Scene:
    """A clip to make from nothing or from a first frame."""

    size: tuple[int, int]
    seconds: int
    caption: Caption
    sound: bool = True
    first_frame: Image.Image | None = None


class ClipMaker:
    """Runs ffmpeg beside the event loop, a few at a time."""

    def __init__(self, folder: Path, at_once: int | None = None) -> None:
        self.folder = folder
        self._slots = asyncio.Semaphore(at_once or max(2, os.cpu_count() or 2))

    async def film(self, scene: Scene, target: Path) -> None:
        """A clip of exactly `scene.seconds`: the caption, a moving mark, a quiet tone."""
        picture = await asyncio.to_thread(card, scene.size, scene.caption, scene.first_frame)
        async with self._slots, self._scratch() as scratch:
            loop = scratch / "loop.mp4"
            await self._ffmpeg(_loop_arguments(scene, loop), picture.tobytes())
            await self._ffmpeg(_repeat_arguments(loop, scene, scratch / "clip.mp4"))
            (scratch / "clip.mp4").replace(target)

    async def edit(
        self, source: Path, shot: Footage, size: tuple[int, int], caption: Caption, target: Path
    ) -> None:
        """The source at `size`, as long as it is, with the caption over it."""
        strip = await asyncio.to_thread(band, size, caption)
        async with self._slots, self._scratch() as scratch:
            strip.save(scratch / "band.png")
            arguments = _edit_arguments(source, shot, size, scratch)
            await self._ffmpeg(arguments)
            (scratch / "clip.mp4").replace(target)

    async def extend(self, source: Path, shot: Footage, tail: Scene, target: Path) -> None:
        """The source at the tail's size, followed by the tail."""
        picture = await asyncio.to_thread(card, tail.size, tail.caption, None)
        async with self._slots, self._scratch() as scratch:
            loop, end = scratch / "loop.mp4", scratch / "tail.mp4"
            await self._ffmpeg(_loop_arguments(tail, loop), picture.tobytes())
            await self._ffmpeg(_repeat_arguments(loop, tail, end))
            await self._ffmpeg(_extend_arguments(source, shot, tail, scratch))
            (scratch / "clip.mp4").replace(target)

    @contextlib.asynccontextmanager
    async def _scratch(self) -> AsyncIterator[Path]:
        with tempfile.TemporaryDirectory(dir=self.folder, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    async def _ffmpeg(self, arguments: Sequence[str], stdin: bytes | None = None) -> None:
        process = await asyncio.create_subprocess_exec(
            imageio_ffmpeg.get_ffmpeg_exe(),
            *("-hide_banner", "-nostdin", "-v", "error", "-y"),
            *arguments,
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, complaint = await process.communicate(stdin)
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        if process.returncode:
            raise ClipNotMade(complaint.decode("utf-8", "replace").strip()[-400:])


def _loop_arguments(scene: Scene, target: Path) -> list[str]:
    """One picture from stdin, and over it a mark that swings from side to side and back."""
    width, height = scene.size
    frames = min(LOOP_FRAMES, scene.seconds * FRAME_RATE)
    side = max(4, min(scene.size) // 48 * 2)
    swing = f"(W-w)*(0.5-0.5*cos(2*PI*n/{frames}))"
    # It ends by itself: should we be killed before the picture is sent, nothing else would.
    ends = frames / FRAME_RATE + 1
    mark = f"color=c=orange:s={side * 4}x{side // 2}:r={FRAME_RATE}:d={ends}"
    graph = (
        f"[0:v]format=yuv420p,loop=loop={frames - 1}:size=1:start=0[card];"
        f"[1:v]format=yuv420p[mark];[card][mark]overlay=x='{swing}':y=H-h[out]"
    )
    return [
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"),
        *("-r", str(FRAME_RATE), "-i", "pipe:0"),
        *("-f", "lavfi", "-i", mark),
        *("-filter_complex", graph, "-map", "[out]", "-frames:v", str(frames)),
        *VIDEO_CODEC,
        *("-g", str(FRAME_RATE), str(target)),
    ]


def _tone(seconds: float) -> str:
    return f"sine=frequency=330:sample_rate={SOUND_RATE}:duration={seconds:.6f},volume=0.25"


def _repeat_arguments(loop: Path, scene: Scene, target: Path) -> list[str]:
    """The loop copied, not encoded again, until the clip is as long as was asked."""
    frames = scene.seconds * FRAME_RATE
    sound: list[str] = ["-an"]
    tone: list[str] = []
    if scene.sound:
        tone = ["-f", "lavfi", "-i", _tone(scene.seconds)]
        sound = ["-map", "1:a", *SOUND_CODEC]
    return [
        *("-stream_loop", "-1", "-i", str(loop), *tone),
        *("-map", "0:v", "-c:v", "copy", "-frames:v", str(frames), *sound),
        *("-t", str(scene.seconds), *TIDY, str(target)),
    ]


def _edit_arguments(source: Path, shot: Footage, size: tuple[int, int], scratch: Path) -> list[str]:
    width, height = size
    sound = ("0:a:0",) if shot.has_sound else ("2:a",)
    tone = () if shot.has_sound else ("-f", "lavfi", "-i", _tone(shot.seconds))
    graph = (
        f"[0:v:0]scale={width}:{height},setsar=1,hue=h=25:s=1.3[shot];[shot][1:v]overlay=0:H-h[out]"
    )
    return [
        *("-i", str(source), "-i", str(scratch / "band.png"), *tone),
        *("-filter_complex", graph, "-map", "[out]", "-map", *sound),
        *VIDEO_CODEC,
        *SOUND_CODEC,
        *("-t", f"{shot.seconds:.6f}", *TIDY, str(scratch / "clip.mp4")),
    ]


def _extend_arguments(source: Path, shot: Footage, tail: Scene, scratch: Path) -> list[str]:
    width, height = tail.size
    shape = f"scale={width}:{height},setsar=1,fps={FRAME_RATE},format=yuv420p"
    sound = f"aformat=sample_rates={SOUND_RATE}:channel_layouts=mono"
    first = "[0:a:0]" if shot.has_sound else "[2:a]"
    quiet = () if shot.has_sound else ("-f", "lavfi", "-i", _tone(shot.seconds))
    graph = (
        f"[0:v:0]{shape}[v0];[1:v]{shape}[v1];{first}{sound},atrim=0:{shot.seconds:.6f}[a0];"
        f"[1:a]{sound}[a1];[v0][a0][v1][a1]concat=n=2:v=1:a=1[v][a]"
    )
    return [
        *("-i", str(source), "-i", str(scratch / "tail.mp4"), *quiet),
        *("-filter_complex", graph, "-map", "[v]", "-map", "[a]"),
        *VIDEO_CODEC,
        *SOUND_CODEC,
        *(*TIDY, str(scratch / "clip.mp4")),
    ]
