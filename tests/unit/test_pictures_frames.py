"""A frame of real MP4s: the right one, upright, in its colours; and broken ones, which say so."""

from __future__ import annotations

import io
import random
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import av
import imageio_ffmpeg
import pytest
from PIL import Image, ImageStat

from videoconductor.errors import NoFrame
from videoconductor.pictures import decoding, frames
from videoconductor.pictures.frames import frame_of

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
# Ten frames each of red, green and blue.
COLOURS = (
    "color=red:size=64x36:rate=10:duration=1[a];color=lime:size=64x36:rate=10:duration=1[b];"
    "color=blue:size=64x36:rate=10:duration=1[c];[a][b][c]concat=n=3"
)

Film = Callable[..., Path]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    """An MP4 of what ffmpeg's lavfi draws; the same again for the same arguments."""
    folder = tmp_path_factory.mktemp("films")
    made: dict[tuple[str, ...], Path] = {}

    def make(graph: str, *arguments: str, source: tuple[str, ...] = ("-f", "lavfi", "-i")) -> Path:
        key = (graph, *arguments)
        if key not in made:
            made[key] = folder / f"{len(made)}.mp4"
            exe = imageio_ffmpeg.get_ffmpeg_exe()
            command = [exe, "-v", "error", *source, graph, *(arguments or X264), made[key]]
            subprocess.run(command, check=True, capture_output=True)
        return made[key]

    return make


def near(picture: Image.Image, colour: tuple[int, int, int], at: tuple[int, int] = (5, 5)) -> bool:
    found = picture.getpixel(at)
    assert isinstance(found, tuple)
    return all(abs(a - b) < 16 for a, b in zip(found, colour, strict=True))


@pytest.mark.parametrize(
    "codec",
    [
        X264,
        ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none"),
        ("-c:v", "libaom-av1", "-cpu-used", "8", "-usage", "realtime"),
    ],
    ids=["h264", "h265", "av1"],
)
def test_each_codec_is_decoded(film, codec):
    picture = frame_of(film("color=red:size=128x72:rate=5:duration=1", *codec))
    assert (picture.mode, picture.size) == ("RGB", (128, 72))
    assert near(picture, (255, 0, 0))


@pytest.mark.parametrize(
    "muxing",
    [("-g", "250"), ("-g", "4"), ("-g", "4", "-movflags", "+frag_keyframe+empty_moov")],
    ids=["one_key_frame", "many", "fragmented"],
)
def test_the_frame_at_a_time_is_the_one_shown_then(film, muxing):
    video = film(COLOURS, *X264, *muxing)
    for second, colour in ((0.95, (255, 0, 0)), (1.0, (0, 255, 0)), (2.55, (0, 0, 255))):
        assert near(frame_of(video, second), colour), second


@pytest.mark.parametrize(
    ("second", "colour"),
    [(-3.0, (255, 0, 0)), (99.0, (0, 0, 255)), (1e300, (0, 0, 255)), (float("inf"), (0, 0, 255))],
)
def test_a_time_outside_the_clip_means_its_first_or_last_frame(film, second, colour):
    assert near(frame_of(film(COLOURS, *X264, "-g", "4"), second), colour)


def test_the_poster_is_no_black_frame_when_there_is_another(film):
    graph = (
        "color=black:size=64x36:rate=10:duration=2[a];testsrc=size=64x36:rate=10:duration=2[b];"
        "[a][b]concat=n=2"
    )
    chosen = frame_of(film(graph))
    assert ImageStat.Stat(chosen.convert("L")).mean[0] > 60


def test_the_poster_is_no_flash_of_white_either(film):
    graph = (
        "color=white:size=64x36:rate=10:duration=3[a];testsrc=size=64x36:rate=10:duration=1[b];"
        "[a][b]concat=n=2"
    )
    assert not near(frame_of(film(graph)), (255, 255, 255), (1, 1))


def test_a_dark_frame_with_a_spark_in_it_is_no_better_than_a_plain_one(film):
    graph = (
        "color=black:size=64x36:rate=10:duration=2,drawbox=w=7:h=36:color=white:t=fill[a];"
        "color=gray:size=64x36:rate=10:duration=2,drawbox=w=32:h=36:color=silver:t=fill[b];"
        "[a][b]concat=n=2"
    )
    assert near(frame_of(film(graph)), (192, 192, 192))


def test_among_equals_the_first_frame_is_the_poster(film):
    graph = "smptebars=size=64x36:rate=10:duration=1,split[a][b];[b]hflip[c];[a][c]concat=n=2"
    video = film(graph)
    assert frame_of(video).tobytes() == frame_of(video, 0).tobytes()
    assert frame_of(video).tobytes() != frame_of(video, 1.5).tobytes()


def test_a_clip_that_is_black_all_through_still_has_a_frame(film):
    assert near(frame_of(film("color=black:size=64x36:rate=10:duration=1")), (0, 0, 0))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_clip_is_shown_upright(film, degrees, tmp_path):
    straight = film("smptebars=size=64x36:rate=10:duration=1")
    turning = ("-display_rotation", str(degrees), "-i")
    turned = film(str(straight), "-c", "copy", "-y", *("-metadata", f"x={degrees}"), source=turning)
    shown = tmp_path / "shown.png"
    exe = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run([exe, "-v", "error", "-i", turned, "-frames:v", "1", shown], check=True)
    ours, theirs = frame_of(turned, 0), Image.open(shown).convert("RGB")
    assert ours.size == theirs.size
    corners = [(3, 3), (ours.width - 4, 3), (3, ours.height - 4)]
    assert all(near(ours, theirs.getpixel(at), at) for at in corners)


def test_pixels_that_are_not_square_are_made_so(film):
    assert frame_of(film("testsrc=size=64x36:rate=5:duration=1,setsar=2")).size == (128, 36)


@pytest.mark.parametrize(
    ("size", "matrix", "tag"),
    [
        ("1280x720", "bt709", "bt709"),
        ("1280x720", "bt709", "unknown"),
        ("640x360", "bt601", "smpte170m"),
        ("640x360", "bt601", "unknown"),
    ],
)
def test_colours_are_read_in_the_system_they_were_written_in(film, size, matrix, tag):
    graph = f"color=0x20C040:size={size}:rate=5:duration=0.4,format=rgb24"
    scale = (
        f"scale=out_color_matrix={matrix}:out_range=tv,format=yuv420p,setparams=colorspace={tag}"
    )
    found = frame_of(film(graph, "-vf", scale, *X264)).getpixel((300, 200))
    assert all(abs(a - b) <= 6 for a, b in zip(found, (0x20, 0xC0, 0x40), strict=True)), found


def test_a_path_a_text_a_file_and_bytes_are_all_read(film, tmp_path):
    video = film(COLOURS)
    content = video.read_bytes()
    with (tmp_path / "copy").open("w+b") as copy:
        copy.write(content)
        copy.seek(0)
        copy.read(100)
        copy.seek(0)  # which does not move the file itself, only the reader in its buffer
        for source in (video, str(video), copy, io.BytesIO(content)):
            assert near(frame_of(source, 1.5), (0, 255, 0))


def test_a_stream_is_read_from_where_it_stands(film, tmp_path):
    path = tmp_path / "later"
    path.write_bytes(b"#" * 1000 + film(COLOURS).read_bytes())
    with path.open("rb") as later:
        later.seek(1000)
        assert near(frame_of(later, 1.5), (0, 255, 0))


def test_a_stream_without_end_is_refused(monkeypatch):
    monkeypatch.setattr(frames, "MAX_STREAM_BYTES", 3_000_000)
    with Path("/dev/zero").open("rb", buffering=0) as endless:
        monkeypatch.setattr(frames, "_is_file", lambda _: False)
        with pytest.raises(NoFrame, match="more than 3,000,000 bytes"):
            frame_of(endless)


def test_what_is_no_video_says_so(film, tmp_path):
    whole = film("testsrc=size=64x36:rate=10:duration=2").read_bytes()
    sound = film("sine=duration=1", "-c:a", "aac").read_bytes()
    # A playlist that names a real clip: only a reader that guesses formats would follow it.
    listed = f"ffconcat version 1.0\nfile '{film(COLOURS)}'\n".encode()
    for content in (b"", b"\0" * 4096, whole[: len(whole) // 2], whole[:40], sound, listed):
        with pytest.raises(NoFrame):
            frame_of(io.BytesIO(content))
    with pytest.raises(NoFrame, match="cannot be opened"):
        frame_of(tmp_path / "nothing")


def test_a_damaged_clip_has_a_frame_or_none_but_never_another_error(film):
    whole = film("testsrc=size=64x36:rate=10:duration=1").read_bytes()
    chance = random.Random(7)  # noqa: S311
    for _ in range(6):
        damaged = bytearray(whole)
        for _ in range(40):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with suppress(NoFrame):
            assert frame_of(io.BytesIO(bytes(damaged)), seconds=4).mode == "RGB"


@pytest.fixture(scope="module")
def vast(film) -> Path:
    """A few kilobytes that become a picture of 4608x2592 pixels."""
    arguments = ("-frames:v", "2", *X264)
    return film("color=red:size=4608x2592:rate=4:duration=1", *arguments)


def test_a_picture_larger_than_the_bound_is_refused(vast):
    assert vast.stat().st_size < 60_000
    with pytest.raises(NoFrame, match="no frame that can be decoded"):
        frame_of(vast)


def test_the_decoder_cannot_take_more_memory_than_it_is_given(vast, monkeypatch):
    monkeypatch.setattr(frames, "MAX_PIXELS", 10**9)
    assert frame_of(vast).size == (4608, 2592)
    monkeypatch.setattr(frames, "_MEMORY_BYTES", 48 * 1024**2)
    with pytest.raises(NoFrame):
        frame_of(vast)


def test_the_decoder_cannot_take_more_time_than_it_is_given(film):
    began = time.monotonic()
    with pytest.raises(NoFrame, match=r"within 0\.02 s"):
        frame_of(film(COLOURS), seconds=0.01)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import os; os.abort()", "crashed"),
        ("raise RuntimeError", "crashed"),
        ("print('nonsense')", "is no frame"),
        ("print('-1 5 0')", "is no frame"),
        ("print('2 2 0')", "is no frame"),
    ],
)
def test_whatever_the_decoder_does_it_is_no_frame(film, monkeypatch, program, message):
    monkeypatch.setattr(frames, "_CHILD", program)
    with pytest.raises(NoFrame, match=message):
        frame_of(film(COLOURS))


def test_a_decoder_that_cannot_be_started_is_no_frame(film, monkeypatch):
    monkeypatch.setattr(frames.sys, "executable", "/nothing/here")
    with pytest.raises(NoFrame, match="could not be started"):
        frame_of(film(COLOURS))


def test_when_time_or_packets_run_out_the_frame_so_far_is_taken(film, monkeypatch):
    monkeypatch.setattr(decoding, "MAX_PACKETS", 15)
    with av.open(str(film(COLOURS, *X264, "-g", "250"))) as container:
        footage = decoding._Footage(container, container.streams.video[0], time.monotonic() + 60)
        frame = footage.frame_at(2.5)
        assert frame is not None
        assert 0.9 < frame.time < 1.6
        late = decoding._Footage(container, container.streams.video[0], time.monotonic() - 1)
        assert late.frame_at(0) is None


def test_frames_between_the_looks_are_not_decoded_where_there_are_key_frames(film):
    def packets(video: Path) -> int:
        with av.open(str(video)) as container:
            footage = decoding._Footage(
                container, container.streams.video[0], time.monotonic() + 60
            )
            assert decoding._best(footage) is not None
            return footage._packets

    assert packets(film("testsrc=size=64x36:rate=25:duration=8", *X264, "-g", "5")) < 90
    assert packets(film("testsrc=size=64x36:rate=25:duration=8", *X264, "-g", "900")) > 180
