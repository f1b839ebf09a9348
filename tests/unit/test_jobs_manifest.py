"""The manifest and the clips on disk: written whole, held by one, never over something else."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from videoconductor.download import Downloads
from videoconductor.errors import CopyInterrupted, NotAClip
from videoconductor_cli.errors import BadInput
from videoconductor_cli.jobs.fetching import fetch, is_whole, name_of
from videoconductor_cli.jobs.manifest import Manifest, NotOnRecord, held
from videoconductor_cli.jobs.record import Attempt, Entry

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def entry(clip_id: str = "lamp", status: Any = "rendering", mode: str = "draft") -> Entry:
    job = Attempt(number=1, status=status, render_id="r", updated_at=NOW, request_id=f"j-{clip_id}")
    return Entry(clip_id, mode, "f", (job,))


def written(folder: Path, document: Any) -> Path:
    path = folder / "manifest.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def test_what_was_written_is_there_for_the_next_process(tmp_path: Path) -> None:
    Manifest(tmp_path, "film").put(entry())
    again = Manifest(tmp_path, "film")
    assert again.entry("lamp::draft") == entry()
    assert again.entry("other::draft") == Entry("other", "draft")
    document = json.loads((tmp_path / "manifest.json").read_text())
    assert list(document) == ["version", "requestId", "clips", "runs"]
    assert (document["version"], document["requestId"]) == (3, "film")


def test_entries_stand_in_the_file_s_order_whoever_is_first(tmp_path: Path) -> None:
    Manifest(tmp_path, "film").put(entry("z"))
    manifest = Manifest(tmp_path, "film", ["a::draft", "b::draft", "z::draft"])
    manifest.put(entry("b"))
    manifest.put(entry("a"))
    assert [row["id"] for row in manifest.rows()] == ["z", "a", "b"]


def test_other_entries_stay_as_they_are_to_the_byte(tmp_path: Path) -> None:
    foreign = {"id": "x", "qualityMode": "draft", "status": "done", "odd": [1, {"a": None}]}
    written(tmp_path, {"version": 3, "requestId": "film", "clips": [foreign], "also": "mine"})
    Manifest(tmp_path, "film").put(entry())
    document = json.loads((tmp_path / "manifest.json").read_text())
    assert document["clips"][0] == foreign
    assert document["also"] == "mine"


def test_a_write_that_fails_leaves_the_manifest_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = Manifest(tmp_path, "film")
    manifest.put(entry())
    before = (tmp_path / "manifest.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotOnRecord, match="No space left"):
        manifest.put(entry("other"))
    assert (tmp_path / "manifest.json").read_bytes() == before
    assert manifest.entry("other::draft").attempts == ()


def test_the_manifest_is_replaced_and_never_written_in_place(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, "film")
    manifest.put(entry())
    with (tmp_path / "manifest.json").open() as reader:
        manifest.put(entry("other"))
        assert [row["id"] for row in json.load(reader)["clips"]] == ["lamp"]
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_closed_manifest_is_not_written_any_more(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path, "film")
    manifest.close()
    with pytest.raises(NotOnRecord):
        manifest.put(entry())


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ('{"version": 3, "clips": [', "it is not JSON"),
        ([], "not a manifest of version 3"),
        ({"version": 2, "requestId": "film", "clips": []}, "not a manifest of version 3"),
        ({"version": 3, "requestId": "film", "clips": {}}, "not a list"),
        ({"version": 3, "requestId": "film", "clips": ["x"]}, "not objects"),
        ({"version": 3, "requestId": "other", "clips": []}, "is the manifest of 'other'"),
        ({"version": 3, "requestId": "film", "clips": [{"id": "x"}]}, "is not understood"),
        (
            {
                "version": 3,
                "requestId": "film",
                "clips": [{"id": "x", "qualityMode": "draft", "attempts": [{"number": "one"}]}],
            },
            "is not understood",
        ),
        (
            {
                "version": 3,
                "requestId": "film",
                "clips": [{"id": "x", "qualityMode": "draft", "_key": "y::draft"}],
            },
            "other names than its _key",
        ),
        (
            {
                "version": 3,
                "requestId": "film",
                "clips": [{"id": "x", "qualityMode": "draft"}] * 2,
            },
            "two of its clips are the same",
        ),
    ],
)
def test_a_manifest_that_cannot_be_read_stops_everything(
    tmp_path: Path, document: Any, words: str
) -> None:
    path = written(tmp_path, document)
    before = path.read_bytes()
    with pytest.raises(BadInput, match=words):
        Manifest(tmp_path, "film")
    assert path.read_bytes() == before


def test_a_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with (
        held(tmp_path / "deep" / "er"),
        pytest.raises(BadInput, match=f"process {os.getpid()}"),
        held(tmp_path / "deep" / "er"),
    ):
        pass
    with held(tmp_path / "deep" / "er"):
        pass


# -- clips -----------------------------------------------------------------------------------------

Serve = Callable[..., Any]
Fetch = Callable[..., Any]


def answer(content: bytes, length: int | None = None) -> bytes:
    length = len(content) if length is None else length
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % length + content


@pytest.fixture
def fetched(serve: Serve, tmp_path: Path) -> Fetch:
    def one(content: bytes, name: str = "lamp.draft.mp4", length: int | None = None) -> Any:
        server = serve(answer(content, length))
        downloads = Downloads([server.origin])
        return fetch(f"{server.origin}/x.mp4", tmp_path, name, downloads, lambda: None)

    return one


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_a_clip_is_kept_with_its_facts(
    fetched: Fetch, mp4s: dict[str, bytes], tmp_path: Path
) -> None:
    kept = fetched(mp4s["moov_last"])
    assert files(tmp_path) == ["clips/lamp.draft.mp4"]
    assert (kept.path, kept.width, kept.seconds) == ("clips/lamp.draft.mp4", 64, 2.0)
    assert kept.sha256 == hashlib.sha256(mp4s["moov_last"]).hexdigest()
    assert is_whole(tmp_path, kept)
    (tmp_path / kept.path).write_bytes(b"x")
    assert not is_whole(tmp_path, kept)
    assert not is_whole(tmp_path, None)


def test_another_file_is_never_overwritten(
    fetched: Fetch, mp4s: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "lamp.draft.mp4").write_bytes(b"mine")
    kept = fetched(mp4s["moov_last"])
    assert (tmp_path / "clips" / "lamp.draft.mp4").read_bytes() == b"mine"
    assert kept.path == f"clips/lamp.draft.{kept.sha256[:12]}.mp4"
    assert is_whole(tmp_path, kept)
    assert fetched(mp4s["moov_last"]).path == kept.path
    assert len(files(tmp_path)) == 2


def test_a_file_system_without_hard_links_will_do(
    fetched: Fetch, mp4s: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "lamp.draft.mp4").write_bytes(b"mine")
    kept = fetched(mp4s["moov_last"])
    assert (tmp_path / "clips" / "lamp.draft.mp4").read_bytes() == b"mine"
    assert files(tmp_path) == sorted(["clips/lamp.draft.mp4", kept.path])


def test_nothing_is_left_of_what_is_no_clip(
    fetched: Fetch, mp4s: dict[str, bytes], tmp_path: Path
) -> None:
    with pytest.raises(NotAClip):
        fetched(b"<html>no clip</html>")
    whole = mp4s["moov_first"]
    with pytest.raises(CopyInterrupted):
        fetched(whole[: len(whole) // 2])
    with pytest.raises(CopyInterrupted):
        fetched(whole, length=len(whole) + 1)
    assert files(tmp_path) == []


def test_names_are_those_of_the_clip_and_fit_the_disk() -> None:
    job = entry().attempts[0]
    assert name_of(entry("01 ä"), job) == "01 ä.draft.mp4"
    assert name_of(entry(), job.model_copy(update={"number": 2})) == "lamp.draft-2.mp4"
    long = [name_of(entry(letter * 127 + "x"), job) for letter in ("猫", "狗")]
    assert all(len(name.encode()) < 220 for name in long)
    assert len(set(long)) == 2
