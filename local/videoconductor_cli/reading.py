"""A clip request as the command line gives it: from a file, from options, or from both."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videoconductor_cli.errors import BadInput

OF_A_FILM = ("schemaVersion", "clips")
URL_STARTS = ("https://", "http://", "data:")
WIRE_NAMES = {
    "prompt": "prompt",
    "mode": "qualityMode",
    "duration": "duration",
    "aspect_ratio": "aspectRatio",
    "resolution": "resolution",
    "model": "model",
    "image": "imageUrl",
    "last_frame": "lastFrameUrl",
    "reference": "referenceImageUrls",
    "source_video": "sourceVideoUrl",
    "remaster": "remaster",
    "clip_id": "clipId",
    "film": "pipelineRequestId",
    "max_cost_usd": "maxCostUsd",
    "quote_id": "quoteId",
}
IMAGES = frozenset({"image", "last_frame", "reference"})


def request(
    source: str | None, given: Mapping[str, Any], content: str | None = None
) -> dict[str, Any]:
    """The request in a JSON file (`-` is stdin), with what the options say put over it.

    Of `given` only the rows of WIRE_NAMES count; what was not given says nothing. `content` is the
    file's text where it has been read already. Raises BadInput.
    """
    fields = {} if source is None else _object(source, content or text(source))
    for option, name in WIRE_NAMES.items():
        value = given.get(option)
        if value is None or value is False or value == []:
            continue
        if option in IMAGES:
            value = [image(one) for one in value] if isinstance(value, list) else image(value)
        fields[name] = value
    if given.get("extend"):
        fields["operation"] = "extend"
    if not fields:
        raise BadInput("say what to make: a prompt, or a request file (- for stdin)")
    return fields


def image(path_or_url: str) -> str:
    """The url itself, or the file as a `data:` url. Raises BadInput."""
    if path_or_url.startswith(URL_STARTS):
        return path_or_url
    from videoconductor.inputs import IMAGE_SUFFIXES, MAX_INLINE_IMAGE_BYTES, image_type

    try:
        content = Path(path_or_url).expanduser().read_bytes()
    except OSError as problem:
        raise BadInput(f"{path_or_url}: {problem.strerror}") from problem
    media_type = image_type(content)
    if media_type is None:
        raise BadInput(f"{path_or_url} is none of: {', '.join(IMAGE_SUFFIXES)}")
    if len(content) > MAX_INLINE_IMAGE_BYTES:
        raise BadInput(f"{path_or_url} is larger than {MAX_INLINE_IMAGE_BYTES} bytes: give a url")
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def text(source: str) -> str:
    """The text of a file, or of stdin for `-`. Raises BadInput."""
    try:
        return octets(source).decode()
    except UnicodeDecodeError as problem:
        raise BadInput(f"{source} is not UTF-8 text") from problem


def octets(source: str) -> bytes:
    """A file, or stdin for `-`, as it is. Raises BadInput."""
    try:
        if source == "-":
            return sys.stdin.buffer.read()
        return Path(source).expanduser().read_bytes()
    except OSError as problem:
        raise BadInput(f"{source}: {problem.strerror}") from problem


def script(source: str) -> bytes:
    """A script's file, or stdin for `-`, as it is. Raises BadInput for a clip request."""
    content = octets(source)
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return content  # whoever compiles it says what is wrong
    if isinstance(fields, dict) and not is_script(content):
        raise BadInput(
            f"{source} is no script (it has neither schemaVersion nor clips): "
            "`videoconductor generate --request` makes a single clip"
        )
    return content


def is_script(content: str | bytes) -> bool:
    """Whether a JSON text is a scripted request: a film, not a single clip."""
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and any(name in fields for name in OF_A_FILM)


def _object(source: str, content: str) -> dict[str, Any]:
    from videoconductor import reading
    from videoconductor.client.asking import wire_name
    from videoconductor.errors import InvalidRequest

    try:
        # As the doors read it: once it is taken apart, they cannot see any more what came twice.
        fields = reading.document(content)
    except InvalidRequest as invalid:
        found = "; ".join(str(problem).removeprefix("body: ") for problem in invalid.problems)
        raise BadInput(f"{source} is no clip request: {found}") from invalid
    for name in fields:
        if name != wire_name(name):  # Python's names are good in Python alone
            raise BadInput(f"{source} is no clip request: {name}: write {wire_name(name)}")
    if any(name in fields for name in OF_A_FILM):
        raise BadInput(
            f"{source} is a scripted request (it has schemaVersion or clips): "
            f"`videoconductor film {source}` makes its clips, `plan` shows them and their price"
        )
    return fields
