"""Images and videos that a request brings along: which urls are taken, and fetching them."""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import aiohttp

from xai_simulator.options import SimulatorOptions
from xai_simulator.orders import Origin
from xai_simulator.replies import Refusal

FETCH_SECONDS = 20
MAX_INPUT_BYTES = 256 * 2**20
OWN_FETCH = "x-simulator-fetch"


class InputUnusable(Exception):
    """An input that cannot be had or read: the job fails, as it does at xAI."""


class UrlRule:
    """https and data: urls, as at xAI; plain http on this machine, for tests that serve files."""

    def __init__(self, options: SimulatorOptions) -> None:
        own = (options.origin,) if options.origin else ()
        self._origins = (*own, *options.input_origins)

    def __call__(self, url: str, field: str) -> None:
        """Raise Refusal when `url` is of no kind that is taken in `field`."""
        if url.startswith("data:") and not field.startswith("output"):
            if field == "image" and not url.startswith("data:image/"):
                raise Refusal("Invalid data URL: expected data:image/<type>;base64,<content>.")
            if field == "image" and not url.partition(",")[0].endswith(";base64"):
                raise Refusal("Invalid data URL: the content must be base64.")
            _decoded(url)
            return
        try:
            parts = urlsplit(url)
            host = parts.hostname or ""
        except ValueError:
            raise Refusal(f"Invalid URL in {field}: it cannot be parsed.") from None
        if parts.scheme == "https" and host:
            return
        if parts.scheme == "http" and (_is_local(host) or url.startswith(self._origins)):
            return
        taken = "https URLs are" if field.startswith("output") else "https URLs and data URLs are"
        raise Refusal(f"Invalid URL in {field}: only public {taken} supported.")


def origin_of(image: Mapping[str, Any], check: UrlRule) -> Origin:
    """Where an image is to be had, from its `{url}` or `{file_id}`; raises Refusal."""
    url, file_id = image.get("url"), image.get("file_id")
    if bool(url) == bool(file_id):
        raise Refusal("Image must have exactly one of `url` or `file_id`.")
    if url:
        check(url, "image")
    return Origin(url, file_id)


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _decoded(url: str) -> bytes:
    header, comma, body = url.partition(",")
    if not comma:
        raise Refusal("Invalid data URL: it has no comma.")
    content = unquote_to_bytes(body)
    if not header.endswith(";base64"):
        return content
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error:
        raise Refusal("Invalid data URL: the content is not valid base64.") from None


async def fetched(session: aiohttp.ClientSession, url: str, check: UrlRule) -> bytes:
    """The bytes behind `url`; raises InputUnusable."""
    try:
        check(url, "input")
        if url.startswith("data:"):
            return _decoded(url)
    except Refusal as refusal:
        raise InputUnusable(refusal.text) from None
    timeout = aiohttp.ClientTimeout(total=FETCH_SECONDS)
    headers = {OWN_FETCH: "1"}
    try:
        async with session.get(url, timeout=timeout, headers=headers) as answer:
            if answer.status != 200:
                raise InputUnusable(f"Failed to fetch the input: HTTP status {answer.status}.")
            return await _body(answer)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
        raise InputUnusable(f"Failed to fetch the input: {type(problem).__name__}.") from problem


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    content = bytearray()
    async for chunk in answer.content.iter_chunked(2**18):
        content += chunk
        if len(content) > MAX_INPUT_BYTES:
            raise InputUnusable("Failed to fetch the input: it is too large.")
    return bytes(content)
