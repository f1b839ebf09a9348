"""Is it an MP4, is it whole, what is in it: on real files, mutilated files and noise."""

from __future__ import annotations

import random
import struct
import time
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from videoconductor import mp4
from videoconductor.errors import CopyInterrupted, NotAClip
from videoconductor.mp4 import Mp4Facts, Mp4Inspector

SOUND = ["moov_last", "moov_first", "fragmented", "hybrid"]


def facts(content, chunk=1 << 20):
    inspector = Mp4Inspector()
    for at in range(0, len(content), chunk):
        inspector.feed(content[at : at + chunk])
    return inspector.facts()


def box(kind, body=b"", *, large=False):
    if large:
        return struct.pack(">I4sQ", 1, kind, 16 + len(body)) + body
    return struct.pack(">I4s", 8 + len(body), kind) + body


def boxes(content):
    found, at = [], 0
    while at < len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        found.append((kind, content[at : at + size]))
        at += size
    return found


def of(content, kind):
    return next(whole for name, whole in boxes(content) if name == kind)


@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("chunk", [1, 7, 4099, 1 << 20])
def test_a_real_mp4_is_read_in_chunks_of_any_size(mp4s, name, chunk):
    found = facts(mp4s[name], chunk)
    assert (found.width, found.height) == (64, 36)
    assert (found.video_codec, found.audio_codec) == ("avc1", "mp4a")
    assert found.seconds == pytest.approx(2, abs=0.1)


def test_a_silent_mp4_has_no_audio_codec(mp4s):
    assert facts(mp4s["silent"]) == Mp4Facts(2.0, 64, 36, "avc1", None)


def test_rotation_changes_nothing(mp4s):
    assert facts(mp4s["rotated"]) == facts(mp4s["silent"])


def test_sound_alone_is_no_clip(mp4s):
    with pytest.raises(NotAClip, match="no video track"):
        facts(mp4s["sound_only"])


@pytest.mark.parametrize("name", [*SOUND, "silent"])
def test_a_truncated_mp4_never_passes(mp4s, name):
    whole = mp4s[name]
    picker = random.Random(7)  # noqa: S311
    cuts = {picker.randrange(len(whole)) for _ in range(300)} | {
        len(whole) - n for n in range(1, 20)
    }
    edges = 0
    for _, part in boxes(whole)[:-1]:
        edges += len(part)
        cuts.add(edges)
    for cut in cuts:
        with pytest.raises((NotAClip, CopyInterrupted)):
            facts(whole[:cut])


def test_a_fragmented_mp4_without_an_end_to_be_told_by_is_refused(mp4s):
    with pytest.raises(NotAClip, match="nothing tells where it ends"):
        facts(mp4s["endless"])


def test_a_file_cut_between_two_mdats_is_not_whole(mp4s):
    # The second half of the media lies in a box of its own: the cut is at the edge of a box.
    whole = mp4s["moov_first"]
    media = of(whole, b"mdat")[8:]
    head = whole[: -len(media) - 8]
    half = len(media) // 2
    with pytest.raises(CopyInterrupted, match="not all there"):
        facts(head + box(b"mdat", media[:half]))


@pytest.mark.parametrize("large", [False, True])
def test_a_file_whose_index_points_outside_its_media_is_refused(mp4s, large):
    whole = mp4s["moov_first"]
    media = of(whole, b"mdat")[8:]
    head = whole[: -len(media) - 8]
    far = box(b"free", b"\0" * (len(whole) * 2)) + box(b"mdat", media, large=large)
    with pytest.raises(NotAClip, match="points outside"):
        facts(head + far)


def test_sizes_may_have_64_bits(mp4s):
    whole = mp4s["moov_last"]
    parts = [(kind, part[8:]) for kind, part in boxes(whole)]
    # ffmpeg leaves a free box of eight bytes so that mdat's header can grow.
    assert [kind for kind, _ in parts] == [b"ftyp", b"free", b"mdat", b"moov"]
    grown = (
        box(b"ftyp", parts[0][1])
        + box(b"mdat", parts[2][1], large=True)
        + box(b"moov", parts[3][1], large=True)
    )
    for chunk in (1, 5, 1 << 20):
        assert facts(grown, chunk) == facts(whole)


@pytest.mark.parametrize("kind", [b"mdat", b"moov", b"free", b"uuid"])
@pytest.mark.parametrize("size", [0, 1, 2, 7])
def test_an_impossible_size_is_refused(mp4s, kind, size):
    ftyp = of(mp4s["moov_last"], b"ftyp")
    bad = ftyp + struct.pack(">I4sQ", size, kind, 15) + b"\0" * 100
    with pytest.raises(NotAClip):
        facts(bad)


def test_a_size_beyond_all_files_ends_as_cut_short(mp4s):
    whole = mp4s["moov_first"]
    with pytest.raises(CopyInterrupted, match="middle of a box"):
        facts(whole + struct.pack(">I4sQ", 1, b"mdat", 2**64 - 1) + b"\0" * 1000)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"<!d", "begin"),
        (b"<!doctype html><title>Just a moment</title>", "begin"),
        (b'{"error": "not found"}', "begin"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "begin"),
        (b"RIFF\x24\0\0\0WAVE" + b"\0" * 50, "begin"),
        (b"\0" * 100, "begin"),
        (box(b"ftyp", b"isom"), "no moov"),
        (box(b"ftyp", b"isom") + box(b"mdat", b"x" * 50), "no moov"),
        (box(b"ftyp", b"isom") + box(b"moov"), "empty"),
        (box(b"ftyp", b"isom") + box(b"moof", b"x" * 8), "out of place"),
    ],
)
def test_what_is_no_mp4_is_refused_in_words(content, words):
    for chunk in (1, 1 << 20):
        with pytest.raises(NotAClip, match=words):
            facts(content, chunk)


def test_a_second_moov_is_refused(mp4s):
    whole = mp4s["moov_last"]
    with pytest.raises(NotAClip, match="repeated"):
        facts(whole + of(whole, b"moov"))


def test_an_empty_mdat_is_no_media(mp4s):
    whole = mp4s["moov_last"]
    with pytest.raises(CopyInterrupted, match="no media"):
        facts(of(whole, b"ftyp") + box(b"mdat") + of(whole, b"moov"))


def test_a_file_without_a_length_is_refused(mp4s):
    whole = mp4s["moov_last"]
    at = whole.index(b"mvhd") + 4
    for units in (0, 2**32 - 1):
        changed = whole[: at + 16] + struct.pack(">I", units) + whole[at + 20 :]
        with pytest.raises(NotAClip, match="no length"):
            facts(changed)


@pytest.mark.parametrize("timescale", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_a_timescale_of_nought_or_beyond_all_measure_is_no_length(mp4s, timescale):
    whole = mp4s["moov_last"]
    at = whole.index(b"mvhd") + 4
    with pytest.raises(NotAClip, match="no length"):
        facts(whole[: at + 12] + timescale + whole[at + 16 :])


def test_a_video_track_without_samples_is_refused(mp4s):
    whole = mp4s["silent"]
    at = whole.index(b"stsz") + 4
    with pytest.raises(NotAClip, match="empty"):
        facts(whole[: at + 4] + b"\0" * 8 + whole[at + 12 :])


@pytest.mark.parametrize("kind", [b"moov", b"moof"])
def test_an_index_is_kept_only_up_to_a_limit(mp4s, kind):
    head = b"" if kind == b"moov" else of(mp4s["fragmented"], b"moov")
    inspector = Mp4Inspector()
    inspector.feed(of(mp4s["fragmented"], b"ftyp") + head)
    with pytest.raises(NotAClip, match="too large"):
        inspector.feed(struct.pack(">I4s", 8 + mp4.MAX_INDEX_BYTES + 1, kind))


def test_many_tiny_boxes_are_refused(mp4s):
    whole = mp4s["moov_last"]
    with pytest.raises(NotAClip, match="too many boxes"):
        facts(whole + box(b"free") * 200_000)


def test_many_tracks_are_refused(mp4s):
    ftyp = of(mp4s["moov_last"], b"ftyp")
    with pytest.raises(NotAClip, match="too many tracks"):
        facts(ftyp + box(b"moov", box(b"trak") * 100_000))


def test_boxes_nested_without_end_are_no_trouble(mp4s):
    inner = b""
    for _ in range(3000):
        inner = box(b"trak", box(b"mdia", box(b"minf", box(b"stbl", inner))))
    ftyp = of(mp4s["moov_last"], b"ftyp")
    with pytest.raises(NotAClip):
        facts(ftyp + box(b"mdat", b"x") + box(b"moov", inner))


def test_a_large_file_in_single_bytes_takes_time_and_memory_in_proportion(mp4s):
    whole = mp4s["moov_first"]
    big = whole + box(b"free", b"\0" * 300_000)
    tracemalloc.start()
    began = time.process_time()
    assert facts(big, 1) == facts(whole)
    elapsed, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert elapsed < 10
    assert peak < 1_000_000


def test_a_hundred_megabytes_of_media_are_not_kept(mp4s):
    tracemalloc.start()
    inspector = Mp4Inspector()
    inspector.feed(of(mp4s["moov_last"], b"ftyp"))
    inspector.feed(struct.pack(">I4s", 8 + 100 * 2**20, b"mdat"))
    chunk = b"\0" * 2**20
    for _ in range(100):
        inspector.feed(chunk)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 2**20


MILLION = 1_000_000
WILD = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)


def judged(content):
    try:
        found = facts(content)
    except (NotAClip, CopyInterrupted):
        return
    assert found.seconds > 0
    assert found.width > 0
    assert found.height > 0


@WILD
@given(name=st.sampled_from([*SOUND, "silent"]), seed=st.integers(0, MILLION))
def test_a_mutilated_mp4_is_judged_and_nothing_else(mp4s, name, seed):
    picker = random.Random(seed)  # noqa: S311
    content = bytearray(mp4s[name])
    # Where the structure is: most of a file is media, which nobody reads.
    starts = [content.find(kind) for kind in (b"moov", b"moof", b"trak", b"stbl", b"ftyp", b"mvex")]
    for _ in range(picker.randint(1, 12)):
        near = max(picker.choice(starts), 4) - 4
        at = min(near + int(picker.expovariate(1 / 300)), len(content) - 1)
        match picker.randrange(4):
            case 0:
                content[at] = picker.randrange(256)
            case 1:
                content[at : at + 4] = struct.pack(">I", picker.choice([0, 1, 7, 2**31, 2**32 - 1]))
            case 2:
                del content[at : at + picker.randrange(1, 40)]
            case 3:
                content[at:at] = picker.randbytes(picker.randrange(1, 40))
    began = time.perf_counter()
    judged(bytes(content))
    assert time.perf_counter() - began < 5


@WILD
@given(noise=st.binary(max_size=400), begins=st.booleans())
def test_noise_is_judged_and_nothing_else(noise, begins):
    judged((box(b"ftyp", b"isom") if begins else b"") + noise)


@WILD
@given(noise=st.binary(max_size=400))
def test_noise_inside_a_moov_is_judged_and_nothing_else(noise):
    judged(box(b"ftyp", b"isom") + box(b"mdat", b"x") + box(b"moov", noise))
