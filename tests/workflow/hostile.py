"""What somebody who means ill, or is careless, hands in at a door: one list for all doors.

A row is the bytes as they come and the fields that the answer has to name. `body` stands for the
whole; a row whose key is missing from `PARSED` cannot come through a door that gets JSON parsed.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

JPEG = b"\xff\xd8\xff\xe0" + bytes(60)
LONG = 4097  # bytes: one more than a prompt may have


@dataclass(frozen=True)
class Row:
    """Bytes, and what is wrong with them; `choices` when the answer has to name some."""

    raw: bytes
    fields: frozenset[str]
    has_choices: bool = False

    @property
    def parsed(self) -> Any:
        """What a bus makes of the bytes that it takes. Raises ValueError for those it does not."""

        def refuse(name: str) -> Any:
            raise ValueError(name)

        return json.loads(self.raw.decode(), parse_constant=refuse)


def deep(levels: int) -> dict[str, Any]:
    """An object inside an object inside an object."""
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


def data_url(content: bytes, kind: str = "image/jpeg") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


IDS = {
    "dots": "..",
    "a dot": ".",
    "a way up": "../../etc/passwd",
    "a slash": "a/b",
    "a backslash": "a\\b",
    "two colons": "a::b",
    "NUL": "a\0b",
    "500 characters": "x" * 500,
    "an emoji": "\U0001f98a",
    "a newline": "fox\n",
    "right to left": "fox\u202e4pm",
    "nothing": "",
    "blanks": "   ",
    "a hash": "a#b",
    "a percent": "a%2e%2e",
    "a tag": "<b>",
}
URLS = {
    "http": "http://example.com/a.jpg",
    "a file": "file:///etc/passwd",
    "ftp": "ftp://example.com/a.jpg",
    "loopback": "https://127.0.0.1/a.jpg",
    "localhost": "https://localhost/a.jpg",
    "metadata": "https://169.254.169.254/latest/meta-data/",
    "a private address": "https://10.0.0.7/a.jpg",
    "a number": "https://2130706433/a.jpg",
    "hexadecimal": "https://0x7f000001/a.jpg",
    "octal": "https://0177.0.0.1/a.jpg",
    "IPv6 loopback": "https://[::1]/a.jpg",
    "IPv4 in IPv6": "https://[::ffff:10.0.0.7]/a.jpg",
    "an internal name": "https://db.internal/a.jpg",
    "a user": "https://me:secret@example.com/a.jpg",
    "no host": "https:///a.jpg",
    "a script": "javascript:alert(1)",
    "nothing": "",
    "a text": "not a url",
    "a surrogate half": "https://example.com/\udcff",
    "very long": "https://example.com/" + "a" * 9000,
}
IMAGES = {
    **URLS,
    "too large": data_url(JPEG + bytes(4 * 2**20)),
    "another type": data_url(b"GIF89a" + bytes(60), "image/gif"),
    "not what it says": data_url(b"<html>", "image/png"),
    "no base64": "data:image/png;base64,####",
    "empty data": "data:,",
    "a page": "data:text/html,<script>",
}
NUMBERS: dict[str, Any] = {
    "none": 0,
    "negative": -1,
    "too many": 16,
    "a half": 7.5,
    "a text": "6",
    "a truth": True,
    "a list": [6],
    "very many": 10**30,
    "an object": {},
}
RAW = {
    "nothing": b"",
    "blanks": b" \n\t ",
    "NUL": b"\0",
    "a word": b"nul",
    "cut": b'{"prompt": "a',
    "two documents": b'{"prompt": "a"}{"prompt": "b"}',
    "a comment": b'{"prompt": "a" /* b */}',
    "a comma": b'{"prompt": "a",}',
    "single quotes": b"{'prompt': 'a'}",
    "null": b"null",
    "a list": b"[]",
    "a number": b"7",
    "a text": b'"a lamp"',
    "not UTF-8": b"\xff\xfe\xfa",
    "Latin-1": '{"prompt": "\xe9t\xe9"}'.encode("latin-1"),
    "UTF-16": json.dumps({"prompt": "a"}).encode("utf-16"),
    "UTF-32": json.dumps({"prompt": "a"}).encode("utf-32"),
    "deep lists": b"[" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep but closed": json.dumps(deep(200)).encode(),
    "a long number": b'{"duration": ' + b"1" * 5000 + b"}",
    "gzip": b"\x1f\x8b\x08\0\0\0\0\0\0\0",
    "a page": b"<!doctype html><title>hi</title>",
    "a form": b"prompt=a+lamp&duration=6",
}
# What the JSON reader itself refuses inside of a document that else is sound.
INSIDE = {
    "NaN": (b'"refCode": NaN', "body"),
    "Infinity": (b'"refCode": Infinity', "body"),
    "minus Infinity": (b'"maxCostUsd": -Infinity', "body"),
    "a lone surrogate": (b'"qualityMode": "\\ud800"', "body"),
    "a lone surrogate for a name": (b'"\\udfff": 1', "body"),
    "a field twice": (b'"refCode": "a", "refCode": "b"', "refCode"),
    "another field twice": (b'"x": {"y": 1, "y": 2}', "y"),
}


def with_inside(document: Mapping[str, Any], piece: bytes) -> bytes:
    return b"{" + piece + b", " + json.dumps(document).encode()[1:]


def _clip_rows(base: dict[str, Any]) -> dict[str, Row]:
    def row(*fields: str, choices: bool = False, **changed: Any) -> Row:
        return Row(json.dumps({**base, **changed}).encode(), frozenset(fields), choices)

    without = {name: value for name, value in base.items() if name != "prompt"}
    rows = {
        "no prompt": Row(json.dumps(without).encode(), frozenset({"prompt"})),
        "an empty object": Row(b"{}", frozenset({"prompt"})),
        "a prompt of one byte too many": row("prompt", prompt="x" * LONG),
        "a prompt of too many bytes, not characters": row("prompt", prompt="\u00e9" * 2049),
        "a prompt of a megabyte": row("prompt", prompt="x" * 2**20),
        "a misspelt field": row("promt", choices=True, promt="a"),
        "another misspelt field": row("aspect_ratio", choices=True, aspect_ratio="16:9"),
        "a field nobody knows": row("__proto__", choices=True, __proto__={"x": 1}),
        "ten thousand fields": row("a0", **{f"a{n}": 1 for n in range(10_000)}),
        "a mode nobody knows": row("qualityMode", choices=True, qualityMode="drafft"),
        "a mode from an image without one": row("imageUrl", qualityMode="production_i2v"),
        "a resolution nobody knows": row("resolution", choices=True, resolution="4k"),
        "a resolution of another type": row("resolution", resolution=720),
        "a ratio nobody knows": row("aspectRatio", choices=True, aspectRatio="7:5"),
        "a ratio of another type": row("aspectRatio", aspectRatio=1.78),
        "a model nobody knows": row("model", choices=True, model="grok-imagine-vidoe"),
        "an operation nobody knows": row("operation", operation="upscale"),
        "several things at once": row("duration", "resolution", duration=99, resolution="4k"),
        "a limit that is negative": row("maxCostUsd", maxCostUsd=-1),
        "a limit of a text": row("maxCostUsd", maxCostUsd="1"),
        "a limit beyond all money": row("maxCostUsd", maxCostUsd=1e300),
        "a quote that is none": row("quoteId", quoteId="q1-0-0-x"),
        "references that are a text": row("referenceImageUrls", referenceImageUrls="https://a.b/"),
        "a thousand references": row(
            "referenceImageUrls", referenceImageUrls=["https://example.com/a.jpg"] * 1000
        ),
        "a deep value": row("body", imageUrl=deep(100)),
        "a huge list": row("prompt", prompt=["x"] * 50_000),
    }
    rows |= {
        f"a prompt that is {word}": row("prompt", prompt=value)
        for word, value in (
            ("empty", ""),
            ("blank", " \n"),
            ("null", None),
            ("a number", 7),
            ("a list", []),
            ("an object", {}),
            ("true", True),
        )
    }
    rows |= {
        f"a duration: {word}": row("duration", duration=value) for word, value in NUMBERS.items()
    }
    for field in ("duration", "maxCostUsd"):
        rest = {name: value for name, value in base.items() if name != field}
        content = with_inside(rest, b'"%s": 1e400' % field.encode())
        rows[f"a number beyond all numbers: {field}"] = Row(content, frozenset({field}))
    for field in ("clipId", "pipelineRequestId"):
        rows |= {f"{field}: {word}": row(field, **{field: text}) for word, text in IDS.items()}
        rows[f"{field}: a number"] = row(field, **{field: 7})
    for field in ("imageUrl", "lastFrameUrl"):
        rows |= {
            f"{field}: {word}": row(
                "body" if "\udcff" in url else field, qualityMode="draft_i2v", **{field: url}
            )
            for word, url in IMAGES.items()
        }
    rows |= {
        f"callbackUrl: {word}": row("body" if "\udcff" in url else "callbackUrl", callbackUrl=url)
        for word, url in URLS.items()
    }
    rows |= {
        f"sourceVideoUrl: {word}": row(
            "body" if "\udcff" in url else "sourceVideoUrl", operation="edit", sourceVideoUrl=url
        )
        for word, url in URLS.items()
    }
    return rows


def _film_rows(base: dict[str, Any]) -> dict[str, Row]:
    def row(*fields: str, choices: bool = False, clip: Any = None, **changed: Any) -> Row:
        film = {**copy.deepcopy(base), **changed}
        if clip is not None:
            film["clips"][0] |= clip
            if "scene" in clip:  # a prompt would stand in its place
                del film["clips"][0]["prompt"]
        return Row(json.dumps(film).encode(), frozenset(fields), choices)

    cast = [{"id": "mate", "label": "The mate", "description": "a mate"}]
    rows = {
        "no clips": row("clips", clips=[]),
        "clips that are none": row("clips", clips={}),
        "a clip that is a text": row("clips[0]", clips=["a lamp"]),
        "a clip without anything": row("clips[0].id", clips=[{}]),
        "two clips of one id": row("clips[1].id", clips=[base["clips"][0]] * 2),
        "a version nobody knows": row("schemaVersion", schemaVersion="9.9"),
        "no version": row("schemaVersion", schemaVersion=None),
        "no id": row("requestId", requestId=None),
        "a field nobody knows": row("titel", titel="x"),
        "a field of a clip nobody knows": row("clips[0].duraton", clip={"duraton": 1}),
        "a cast token nobody knows": row(
            "clips[0].scene.action", clip={"scene": {"action": "{{captain}} waves"}}, cast=cast
        ),
        "a cast member twice": row("cast[1].id", cast=cast * 2),
        "a cast id that is none": row("cast[0].id", cast=[{**cast[0], "id": "The Mate"}]),
        "a prompt that is too long": row("clips[0].prompt", clip={"prompt": "x" * LONG}),
        "a template nobody knows": row(
            "clips[0].thumbnail.template",
            clip={"thumbnail": {"enabled": True, "template": "no_such", "overlays": []}},
        ),
        "a deep value": row("body", setting=deep(100)),
    }
    rows |= {
        f"a duration: {word}": row("clips[0].duration", clip={"duration": value})
        for word, value in NUMBERS.items()
    }
    rows |= {f"a film's id: {word}": row("requestId", requestId=text) for word, text in IDS.items()}
    rows |= {
        f"a clip's id: {word}": row("clips[0].id", clip={"id": text}) for word, text in IDS.items()
    }
    rows |= {
        f"a first frame: {word}": row(
            "body" if "\udcff" in url else "clips[0].firstFrame.imageUrl",
            clip={"firstFrame": {"imageUrl": url}},
        )
        for word, url in URLS.items()
        if url  # an empty one is none, as in the system the format comes from
    }
    return rows


CLIP = {"prompt": "a lamp in the rain", "duration": 1}
FILM = {"schemaVersion": "1.0", "requestId": "ferry", "clips": [{"id": "01", **CLIP}]}


def _all(base: dict[str, Any], rows: dict[str, Row]) -> dict[str, Row]:
    raw = {f"raw: {name}": Row(text, frozenset({"body"})) for name, text in RAW.items()}
    inside = {
        f"inside: {name}": Row(with_inside(base, piece), frozenset({field}))
        for name, (piece, field) in INSIDE.items()
    }
    return {**raw, **inside, **rows}


CLIPS = _all(CLIP, _clip_rows(CLIP))
FILMS = _all(FILM, _film_rows(FILM))
