"""A film's files in a folder: its clips, stills, thumbnails and posters, and its manifest."""

from __future__ import annotations

import hashlib
import json
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import httpx

from videoconductor import VideoConductor
from videoconductor.client.errors import ClientError, NotKept, Unavailable
from videoconductor.client.results import Document
from videoconductor_cli import downloads, showing

# What an entry's `downloads` may hold, the folder it is put into, and where its key is written.
KINDS = {
    "video": ("clips", "url"),
    "firstFrame": ("stills", "firstFrameUrl"),
    "thumbnail": ("thumbnails", "thumbnailUrl"),
    "poster": ("posters", "posterUrl"),
}
MANIFEST = "manifest.json"
PICTURE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
PLAIN_PUNCTUATION = " ._-~()'!@,=+&"  # of an id; a colon is no part of a name everywhere
LONGEST_ID = 120  # bytes of a name that come from an id
LONGEST_MODE = 40
AT_ONCE = 4
MOST_WORDS = 20  # lines about files that were moved or did not come


@dataclass(frozen=True)
class File:
    """A file of a film: which entry it is of, where it is, and where it is to be put."""

    key: str
    url: str
    target: Path
    sha256: str | None = None


@dataclass
class Fetched:
    """What came of a download: the files that are there, and what is wrong with the others."""

    place: Path
    kept: Counter[str] = field(default_factory=Counter)  # by folder
    moved: list[tuple[Path, Path]] = field(default_factory=list)
    problems: dict[tuple[str, str], str] = field(default_factory=dict)  # by entry and file name
    unverified: int = 0

    @property
    def incomplete(self) -> set[str]:
        """The keys of entries that something is wrong with."""
        return {key for key, _ in self.problems}

    def words(self) -> list[str]:
        """The outcome for the person at the terminal."""
        moved = [f"{here} was another file: that is {there.name} now" for here, there in self.moved]
        wrong = [f"{key}: {words}" for (key, _), words in self.problems.items()]
        lines = [*_few(moved), *_few(wrong)]
        if self.unverified:
            lines.append(f"{self.unverified} clips have no sha256 on record to verify them by")
        return lines


def fetch(
    client: VideoConductor,
    film: str,
    folder: Path,
    keys: Collection[str] | None = None,
    transport: httpx.BaseTransport | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Fetched:
    """The files of a film's entries, or of those that are named, below `folder`.

    Files that are the same already are left alone; another file in a file's place is given
    another name. Raises Unavailable without a manifest, NotKept where that cannot be written.
    """
    manifest = client.manifest(film, presign=True).document
    fetched = Fetched(folder.expanduser() / plain(film, LONGEST_ID))
    todo = files(manifest, keys, fetched)
    again = _download(todo, fetched, transport, sleep)
    if again:  # the urls of a large film may not live as long as its download takes
        manifest = client.manifest(film, presign=True).document
        fresh = {file.target: file for file in files(manifest, keys, fetched)}
        todo = [fresh[target] for target in again if target in fresh]
        for file in todo:
            del fetched.problems[file.key, file.target.name]
        _download(todo, fetched, transport, sleep)
    _write(manifest, film, fetched)
    return fetched


def files(manifest: Document, keys: Collection[str] | None, fetched: Fetched) -> list[File]:
    """The files there are of a manifest's entries, or of those named by `keys`."""
    entries = manifest["clips"]
    found: dict[Path, File] = {}
    for entry, name in zip(entries, stems(entries), strict=True):
        key = _key(entry)
        if keys is not None and key not in keys:
            continue
        urls = entry.get("downloads") or {}
        if not urls.get("video") and (keys is not None or entry.get("status") == "done"):
            fetched.problems[key, ""] = "has no url to be fetched from"
        for kind, (folder, source) in KINDS.items():
            if not urls.get(kind):
                continue
            suffix = ".mp4" if kind == "video" else _suffix(entry.get(source), urls[kind])
            target = fetched.place / folder / f"{name}{suffix}"
            sha256 = entry.get("sha256") if kind == "video" else None
            if target in found:
                words = f"would have the name of another entry's file: {target}"
                fetched.problems[key, f"again {target.name}"] = words
            else:
                found[target] = File(key, str(urls[kind]), target, sha256)
    known = {_key(entry) for entry in entries}
    for key in keys or ():
        if key not in known:
            fetched.problems[key, ""] = "is not in the manifest"
    return list(found.values())


def stems(entries: Sequence[Document]) -> list[str]:
    """A file name for each entry, made of its clip's id and its mode, without a suffix.

    An id that is no name everywhere is made one, and told apart by the start of its hash; so are
    names that some file systems take for the same.
    """
    pairs = [(str(entry.get("id") or ""), str(entry.get("qualityMode") or "")) for entry in entries]
    cleaned = [(_cleaned(clip, LONGEST_ID), _cleaned(mode, LONGEST_MODE)) for clip, mode in pairs]
    times = Counter(".".join(name).casefold() for name in cleaned)
    names = []
    for (clip, mode), pair in zip(cleaned, pairs, strict=True):
        is_itself = (clip, mode) == pair and times[f"{clip}.{mode}".casefold()] == 1
        mark = "" if is_itself else f"~{_mark('::'.join(pair))}"
        names.append(f"{clip}{mark}.{mode}")
    return names


def plain(text: str, longest: int) -> str:
    """An id as the name of one file or folder, wherever that may be."""
    cleaned = _cleaned(text, longest)
    return cleaned if cleaned == text else f"{cleaned}~{_mark(text)}"


def _cleaned(text: str, longest: int) -> str:
    letters = [
        letter if unicodedata.category(letter)[0] in "LNM" or letter in PLAIN_PUNCTUATION else "_"
        for letter in unicodedata.normalize("NFC", text)
    ]
    name = "".join(letters).encode()[:longest].decode(errors="ignore")
    inner = name.rstrip(" .").lstrip(" .-~")
    return inner or "_"


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]


def _suffix(*places: Any) -> str:
    for place in places:
        suffix = PurePosixPath(str(place or "").partition("?")[0]).suffix.lower()
        if suffix in PICTURE_SUFFIXES:
            return suffix
    return ""


def _key(entry: Document) -> str:
    return str(entry.get("_key") or f"{entry.get('id')}::{entry.get('qualityMode')}")


def _download(
    todo: Sequence[File],
    fetched: Fetched,
    transport: httpx.BaseTransport | None,
    sleep: Callable[[float], None],
) -> list[Path]:
    """Fetch files side by side; the answer are those that may come with another url."""
    if not todo:
        return []
    again = []
    words = f"fetching {len(todo)} files to {fetched.place} …"
    pool = ThreadPoolExecutor(AT_ONCE)
    with (
        downloads.connection(todo[0].url, transport) as http,
        showing.steps(words, len(todo)) as step,
    ):

        def one(file: File) -> Path | ClientError | None:
            try:
                return downloads.renew(http, file.url, file.target, file.sha256, sleep)
            except (NotKept, Unavailable) as problem:
                return problem

        try:
            for file, came in zip(todo, pool.map(one, todo), strict=True):
                step()
                if isinstance(came, ClientError):
                    fetched.problems[file.key, file.target.name] = str(came)
                    again += [file.target] if isinstance(came, Unavailable) else []
                    continue
                fetched.kept[file.target.parent.name] += 1
                fetched.moved += [(file.target, came)] if came is not None else []
                is_clip = file.target.parent.name == KINDS["video"][0]
                fetched.unverified += is_clip and file.sha256 is None
        finally:
            pool.shutdown(cancel_futures=True)
    return again


def _write(manifest: Document, film: str, fetched: Fetched) -> None:
    """The manifest beside the files, without urls that let anybody in."""
    clips = [
        {name: held for name, held in entry.items() if name != "downloads"}
        for entry in manifest["clips"]
    ]
    text = json.dumps({**manifest, "clips": clips}, indent=2, ensure_ascii=False) + "\n"
    target = fetched.place / MANIFEST
    content = text.encode(errors="backslashreplace")
    moved = downloads.write(content, target, replace=_is_manifest_of(film, target))
    if moved is not None:
        fetched.moved.append((target, moved))


def _is_manifest_of(film: str, path: Path) -> bool:
    """Whether a file is an earlier manifest of this film."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("requestId") == film


def _few(lines: Iterable[str]) -> list[str]:
    every = list(lines)
    more = len(every) - MOST_WORDS
    return [*every[:MOST_WORDS], f"… and {more} more"] if more > 0 else every
