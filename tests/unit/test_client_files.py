"""Files of clips: under their key or a name, whole and verified, never over something else."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest

from videoconductor.client import files as client_files
from videoconductor.client.errors import NotKept, Unavailable
from videoconductor.client.results import Video
from videoconductor_cli.downloads import check_writable
from videoconductor_cli.errors import BadInput

CONTENT = b"an mp4, let us say" * 100_000
KEY = "generated/videos/film/clip/draft/r1.mp4"


def video(**changes: Any) -> dict[str, Any]:
    digest = hashlib.sha256(CONTENT).hexdigest()
    return {"key": KEY, "url": "https://bucket.example/x?signed", "sha256": digest, **changes}


def fetch(document: dict[str, Any], to: Path, transport: httpx.BaseTransport) -> Path:
    return client_files.fetch(Video(document), to, lambda _: None, transport)


def serving(content: bytes = CONTENT, status: int = 200) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, content=content))


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_clip_lies_below_the_folder_under_its_key(tmp_path: Path) -> None:
    path = fetch(video(), tmp_path, serving())
    assert path == tmp_path / KEY
    assert path.read_bytes() == CONTENT
    assert files(tmp_path) == [KEY]


def test_a_name_that_ends_in_mp4_is_the_file_s_own(tmp_path: Path) -> None:
    path = fetch(video(bytes=len(CONTENT)), tmp_path / "new" / "fox.mp4", serving())
    assert files(tmp_path) == ["new/fox.mp4"]
    assert path.read_bytes() == CONTENT


def test_a_file_of_another_size_never_appears(tmp_path: Path) -> None:
    with pytest.raises(NotKept, match="size"):
        fetch(video(bytes=len(CONTENT) + 1), tmp_path, serving())
    assert files(tmp_path) == []


def test_a_file_with_another_sha256_never_appears(tmp_path: Path) -> None:
    with pytest.raises(NotKept, match="sha256"):
        fetch(video(), tmp_path, serving(CONTENT[:-1]))
    assert files(tmp_path) == []


def test_the_same_clip_again_is_not_fetched_again(tmp_path: Path) -> None:
    fetch(video(), tmp_path, serving())
    assert fetch(video(), tmp_path, serving(status=500)) == tmp_path / KEY


def test_another_file_in_its_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / KEY).parent.mkdir(parents=True)
    (tmp_path / KEY).write_bytes(b"mine")
    with pytest.raises(NotKept, match="something else"):
        fetch(video(), tmp_path, serving())
    assert (tmp_path / KEY).read_bytes() == b"mine"


def test_a_broken_transfer_begins_again(tmp_path: Path) -> None:
    attempts: list[int] = []

    def answer(request: httpx.Request) -> httpx.Response:
        attempts.append(1)
        if len(attempts) == 1:
            raise httpx.ReadError("reset")
        return httpx.Response(200, content=CONTENT)

    path = fetch(video(), tmp_path, httpx.MockTransport(answer))
    assert path.read_bytes() == CONTENT
    assert len(attempts) == 2


def test_a_url_that_has_expired_is_no_answer(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="403"):
        fetch(video(), tmp_path, serving(b"", 403))
    assert files(tmp_path) == []


@pytest.mark.parametrize("key", ["/etc/passwd", "generated/../../x.mp4", "a\\..\\b.mp4"])
def test_a_key_that_leads_out_of_the_folder_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(NotKept, match="leads out"):
        fetch(video(key=key), tmp_path, serving())


def test_a_folder_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "generated").write_text("a file where a folder should be")
    with pytest.raises(NotKept, match="cannot write"):
        fetch(video(), tmp_path, serving())


def test_a_folder_in_the_clips_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / KEY).mkdir(parents=True)
    with pytest.raises(NotKept, match="something else stands"):
        fetch(video(), tmp_path, serving())


def test_a_place_that_takes_no_clip_is_found_out_before_anything_is_paid_for(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(BadInput, match="cannot write into"):
        check_writable(tmp_path / "file" / "below")
    check_writable(tmp_path / "new" / "folder")
