"""How a Python call becomes a request: field names, queries, parts of a path."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import quote, urlsplit

from videoconductor.client.errors import InvalidRequest
from videoconductor.errors import Problem

if TYPE_CHECKING:
    from videoconductor.clip import ClipRequest


LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class ClipFields(TypedDict, total=False):
    """The fields of a clip request, as arguments; what each means stands in docs/http-api.md."""

    quality_mode: str | None
    operation: str | None
    duration: int | None
    aspect_ratio: str | None
    resolution: str | None
    model: str | None
    image_url: str | None
    last_frame_url: str | None
    reference_image_urls: Iterable[str]
    first_frame_prompt: str | None
    image_model: str | None
    image_resolution: str | None
    image_provider: str | None
    source_video_url: str | None
    remaster: bool
    remaster_from_request_id: str | None
    clip_id: str | None
    pipeline_request_id: str | None
    purpose: str | None
    ref_code: str | None
    thumbnail: Mapping[str, Any] | None
    max_cost_usd: float | None
    quote_id: str | None
    callback_url: str | None
    persist_to_filebase: bool | None


def clip_document(
    prompt: str | None,
    request: ClipRequest | Mapping[str, Any] | None,
    fields: Mapping[str, Any],
) -> dict[str, Any]:
    """A clip request as JSON: of `request`, with the prompt and the fields put over it.

    A field that is None is left out. A mapping's names are those of the wire, or ours.
    """
    given: Mapping[str, Any]
    if request is None or isinstance(request, Mapping):
        given = request or {}
    else:
        given = request.model_dump(mode="json", exclude_unset=True)
    over = fields if prompt is None else {"prompt": prompt, **fields}
    asked = {wire_name(name): value for name, value in given.items()}
    asked |= {wire_name(name): value for name, value in over.items() if value is not None}
    return {name: _plain(value) for name, value in asked.items()}


def wire_name(name: str) -> str:
    """`quality_mode` as it is on the wire: `qualityMode`."""
    return re.sub(r"(?<=[a-z0-9])_([a-z])", lambda found: found[1].upper(), name)


def query(choices: Iterable[tuple[str, Any]]) -> str:
    """Choices as a query, without those that are None or False.

    Escaped as SigV4 counts it, where a blank is no plus sign.
    """
    pairs = [
        f"{quote(name, safe='')}={quote(_text(value), safe='')}"
        for name, value in choices
        if value is not None and value is not False
    ]
    return f"?{'&'.join(pairs)}" if pairs else ""


def segment(text: str, name: str) -> str:
    """An id as one part of a path. Raises InvalidRequest for what would change the path."""
    if text in {"", ".", ".."} or "/" in text:
        problem = Problem(name, text, "cannot be one")
        raise InvalidRequest(str(problem), [problem])
    return quote(text, safe="")


def is_local(url: str) -> bool:
    """Whether a url leads to this machine itself."""
    try:
        return urlsplit(url).hostname in LOOPBACK
    except ValueError:
        return False


def _text(value: Any) -> str:
    if value is True:
        return "true"
    if isinstance(value, float):
        return f"{value:.9f}".rstrip("0").rstrip(".")
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | set | frozenset) else value
