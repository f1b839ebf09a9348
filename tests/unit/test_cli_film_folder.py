"""A film's folder: whatever its clips are called, its files lie in it and nothing is lost."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.credentials import Credentials

from videoconductor import VideoConductor
from videoconductor.client.errors import NotKept, Unavailable
from videoconductor_cli.film_folder import Fetched, fetch, stems

BASE = "https://abc123.execute-api.eu-west-1.amazonaws.com"
S3 = "https://library.s3.example"
CLIP = b"an mp4, let us say" * 1000

HOSTILE = [
    "..",
    ".",
    "../../../etc/cron.d/x",
    "/etc/passwd",
    "a\\..\\b",
    "-rf",
    "~root",
    ".hidden",
    "a\0b",
    "a\nb",
    "01: the end",
    "C:",
    "trailing. ",
    "\u202egpj.exe",
    "é" * 128,
    "漢" * 128,
    "🎬",
    "\ud800",
    "",
]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry(name: str, mode: str = "draft", **changes: Any) -> dict[str, Any]:
    urls = {kind: f"{S3}/{kind}?signed" for kind in ("video", "firstFrame", "thumbnail", "poster")}
    pictures = {
        "firstFrameUrl": f"s3://library/{name}.PNG",
        "thumbnailUrl": f"s3://library/{name}.jpg",
        "posterUrl": "s3://library/poster.sh",
    }
    return {
        "_key": f"{name}::{mode}",
        "id": name,
        "qualityMode": mode,
        "status": "done",
        "sha256": digest(CLIP),
        "downloads": urls,
        **pictures,
        **changes,
    }


class Cloud:
    """The API and the bucket behind one transport."""

    def __init__(self, *entries: dict[str, Any], film: str = "harbour") -> None:
        self.film = film
        self.entries = list(entries)
        self.contents = {"video": CLIP, "firstFrame": b"still", "thumbnail": b"t", "poster": b"p"}
        self.fetched: list[str] = []
        self.statuses: list[int] = []
        self.manifests = 0

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.host != "library.s3.example":
            self.manifests += 1
            document = {"version": 3, "requestId": self.film, "clips": self.entries, "runs": []}
            content = json.dumps(document).encode()
            return httpx.Response(200, content=content)
        self.fetched.append(request.url.path.strip("/"))
        status = self.statuses.pop(0) if self.statuses else 200
        return httpx.Response(status, content=self.contents[self.fetched[-1]])

    def fetch(self, folder: Path, keys: list[str] | None = None) -> Fetched:
        transport = httpx.MockTransport(self.answer)
        signer = Credentials("AKID", "secret")
        api = VideoConductor(BASE, credentials=signer, transport=transport, sleep=lambda _: None)
        return fetch(api, self.film, folder, keys, transport, lambda _: None)


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_each_kind_of_file_has_its_folder_and_its_own_ending(tmp_path: Path) -> None:
    fetched = Cloud(entry("Clip 1"), entry("Clip 1", "production_i2v")).fetch(tmp_path)
    assert fetched.words() == []
    assert files(tmp_path / "harbour") == [
        "clips/Clip 1.draft.mp4",
        "clips/Clip 1.production_i2v.mp4",
        "manifest.json",
        "posters/Clip 1.draft",
        "posters/Clip 1.production_i2v",
        "stills/Clip 1.draft.png",
        "stills/Clip 1.production_i2v.png",
        "thumbnails/Clip 1.draft.jpg",
        "thumbnails/Clip 1.production_i2v.jpg",
    ]


def test_the_manifest_is_kept_without_urls_that_let_anybody_in(tmp_path: Path) -> None:
    Cloud(entry("01")).fetch(tmp_path)
    text = (tmp_path / "harbour/manifest.json").read_text()
    assert "signed" not in text
    assert json.loads(text)["clips"][0]["sha256"] == digest(CLIP)


@pytest.mark.parametrize("film", ["harbour", "../out", "a:b", ".."])
def test_hostile_ids_lead_nowhere_else(tmp_path: Path, film: str) -> None:
    names = HOSTILE if film != "../out" else ["01"]
    place = tmp_path / "down"
    cloud = Cloud(*(entry(name) for name in names), entry("01", "../../mode/"), film=film)
    if film in {"../out", ".."}:
        with pytest.raises(Exception, match="cannot be one"):
            cloud.fetch(place)
        assert files(tmp_path) == []
        return
    fetched = cloud.fetch(place)
    assert fetched.problems == {}
    assert [str(found) for found in tmp_path.iterdir()] == [str(place)]
    assert len(list(place.iterdir())) == 1
    kept = [Path(name) for name in files(place)]
    assert len(kept) == 4 * (len(names) + 1) + 1
    for path in kept:
        folder, name = path.parts[-2:]
        assert len(path.parts) == (2 if name == "manifest.json" else 3)
        assert name == "manifest.json" or folder in {"clips", "stills", "thumbnails", "posters"}
        assert not name.startswith((".", "-", "~", " "))
        assert len(name.encode()) < 200
        assert name.isprintable()
        assert not set(name) & set('/\\:*?"<>|')


def test_names_that_some_file_systems_take_for_the_same_are_told_apart() -> None:
    one, two = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    ids = ["Intro", "intro", "a:b", "a_b", one, two, "x" * 128, "x" * 127]
    names = stems([{"id": name, "qualityMode": "draft"} for name in ids])
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(ids)
    assert names[3] != "a_b.draft"
    assert stems([{"id": "a_b", "qualityMode": "draft"}]) == ["a_b.draft"]


def test_a_second_entry_of_one_name_does_not_take_the_first_one_s_place(tmp_path: Path) -> None:
    fetched = Cloud(entry("01"), entry("01", sha256="0" * 64)).fetch(tmp_path)
    assert fetched.incomplete == {"01::draft"}
    assert len(list((tmp_path / "harbour/clips").iterdir())) == 1


def test_a_clip_that_is_there_is_not_fetched_again_and_pictures_stay_as_they_are(
    tmp_path: Path,
) -> None:
    cloud = Cloud(entry("01"))
    cloud.fetch(tmp_path)
    before = {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path)}
    cloud.fetched.clear()
    fetched = cloud.fetch(tmp_path)
    assert "video" not in cloud.fetched
    assert fetched.words() == []
    assert before == {name: (tmp_path / name).stat().st_mtime_ns for name in files(tmp_path)}


def test_what_stands_in_a_file_s_place_is_kept_under_another_name(tmp_path: Path) -> None:
    cloud = Cloud(entry("01"))
    cloud.fetch(tmp_path)
    place = tmp_path / "harbour"
    newer = b"another take"
    cloud.contents |= {"video": newer, "firstFrame": b"another still"}
    cloud.entries = [entry("01", sha256=digest(newer))]
    fetched = cloud.fetch(tmp_path)
    old, still = f"01.draft.{digest(CLIP)[:16]}.mp4", f"01.draft.{digest(b'still')[:16]}.png"
    assert (place / "clips/01.draft.mp4").read_bytes() == newer
    assert (place / "clips" / old).read_bytes() == CLIP
    assert (place / "stills" / still).read_bytes() == b"still"
    assert [line for line in fetched.words() if old in line or still in line] == fetched.words()
    assert len(fetched.words()) == 2
    assert fetched.problems == {}


def test_only_an_earlier_manifest_of_the_film_is_replaced(tmp_path: Path) -> None:
    target = tmp_path / "harbour/manifest.json"
    target.parent.mkdir()
    target.write_text('{"mine": 1}')
    cloud = Cloud(entry("01", downloads={"video": f"{S3}/video"}))
    cloud.fetch(tmp_path)
    [mine] = target.parent.glob("manifest.*.json")
    assert mine.read_text() == '{"mine": 1}'
    cloud.entries.append(entry("02", status="failed", downloads={}))
    cloud.fetch(tmp_path)
    assert len(json.loads(target.read_text())["clips"]) == 2
    assert files(tmp_path / "harbour") == ["clips/01.draft.mp4", mine.name, "manifest.json"]


def test_a_folder_in_a_file_s_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "harbour/clips/01.draft.mp4").mkdir(parents=True)
    fetched = Cloud(entry("01")).fetch(tmp_path)
    assert "something else stands" in fetched.problems["01::draft", "01.draft.mp4"]
    assert (tmp_path / "harbour/stills/01.draft.png").is_file()


def test_a_clip_with_another_sha256_never_appears(tmp_path: Path) -> None:
    cloud = Cloud(entry("01", sha256="0" * 64), entry("02"))
    fetched = cloud.fetch(tmp_path)
    assert fetched.incomplete == {"01::draft"}
    assert files(tmp_path / "harbour/clips") == ["02.draft.mp4"]
    assert cloud.manifests == 1


def test_urls_that_have_expired_are_asked_for_once_more(tmp_path: Path) -> None:
    cloud = Cloud(*(entry(f"{number:02}") for number in range(9)))
    cloud.statuses = [403] * 12
    fetched = cloud.fetch(tmp_path)
    assert fetched.problems == {}
    assert cloud.manifests == 2
    assert len(list((tmp_path / "harbour/clips").iterdir())) == 9
    assert fetched.kept == {"clips": 9, "stills": 9, "thumbnails": 9, "posters": 9}


def test_a_file_that_never_comes_is_a_problem_of_its_clip_alone(tmp_path: Path) -> None:
    cloud = Cloud(entry("01"), entry("02", downloads={"video": "https://["}))
    fetched = cloud.fetch(tmp_path)
    assert fetched.incomplete == {"02::draft"}
    assert cloud.manifests == 2
    assert (tmp_path / "harbour/clips/01.draft.mp4").read_bytes() == CLIP
    assert (tmp_path / "harbour/manifest.json").is_file()


def test_only_the_named_entries_are_fetched_and_missing_ones_are_told(tmp_path: Path) -> None:
    cloud = Cloud(entry("01"), entry("02"), entry("03", downloads=None))
    fetched = cloud.fetch(tmp_path, ["01::draft", "03::draft", "04::draft"])
    assert files(tmp_path / "harbour/clips") == ["01.draft.mp4"]
    assert fetched.problems == {
        ("03::draft", ""): "has no url to be fetched from",
        ("04::draft", ""): "is not in the manifest",
    }


def test_a_clip_without_a_sha256_is_kept_and_told(tmp_path: Path) -> None:
    fetched = Cloud(entry("01", sha256=None)).fetch(tmp_path)
    assert fetched.words() == ["1 clips have no sha256 on record to verify them by"]
    assert (tmp_path / "harbour/clips/01.draft.mp4").read_bytes() == CLIP


def test_many_troubles_are_few_words(tmp_path: Path) -> None:
    cloud = Cloud(*(entry(f"{n:03}", downloads={}) for n in range(300)))
    assert len(cloud.fetch(tmp_path).words()) == 21


def test_a_place_that_cannot_be_written_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "harbour").write_text("a file where a folder should be")
    with pytest.raises(NotKept, match="cannot write"):
        Cloud(entry("01")).fetch(tmp_path)


def test_nothing_half_done_is_left_when_a_transfer_breaks(tmp_path: Path) -> None:
    cloud = Cloud(entry("01", downloads={"video": f"{S3}/video"}))
    good: Callable[[httpx.Request], httpx.Response] = cloud.answer

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "library.s3.example":
            raise httpx.ReadError("reset")
        return good(request)

    cloud.answer = answer  # type: ignore[method-assign]
    fetched = cloud.fetch(tmp_path)
    assert "the download broke" in fetched.problems["01::draft", "01.draft.mp4"]
    assert files(tmp_path) == ["harbour/manifest.json"]


def test_no_manifest_is_no_answer(tmp_path: Path) -> None:
    cloud = Cloud()
    cloud.answer = lambda _: httpx.Response(503)  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        cloud.fetch(tmp_path)
    assert files(tmp_path) == []
