"""Urls and inline images that a request brings along: what we hand to a provider, and what not."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Collection
from urllib.parse import SplitResult, urlsplit

from videoconductor.clip import MAX_URL_CHARACTERS

# API Gateway and Lambda carry at most 6 MB a request; base64 takes four bytes for three.
MAX_INLINE_IMAGE_BYTES = 4 * 1024 * 1024
IMAGE_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}

_DATA_URL = re.compile(r"data:([a-z]+/[a-z0-9.+-]+);base64,([A-Za-z0-9+/]*={0,2})", re.ASCII)
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST_NAME = re.compile(rf"(?:{_LABEL}\.)+{_LABEL}", re.ASCII)
# `2130706433` and `0x7f.1` are 127.0.0.1 to a resolver: a name's last label is never a number.
_NUMERIC_END = re.compile(r"(?:.*\.)?(?:0x[0-9a-f]*|[0-9]+)", re.ASCII)
_PRIVATE_SUFFIXES = (
    ".localhost",
    ".localdomain",
    ".local",
    ".internal",
    ".intranet",
    ".corp",
    ".home",
    ".home.arpa",
    ".lan",
)
LOOPBACK_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
# Addresses that carry an IPv4 address inside, which may be a private one.
_SIX_TO_FOUR = ipaddress.ip_network("2002::/16")
# Nobody's, though Python calls them global: relays of 6to4 (RFC 7526), documentation (RFC 9637).
_NOBODYS = (ipaddress.ip_network("192.88.99.0/24"), ipaddress.ip_network("3fff::/20"))


def origin(url: str) -> str:
    """`scheme://host[:port]` of a url, lower case, the scheme's own port left out.

    Raises ValueError, in words for a person, for what is not an absolute http(s) url.
    """
    return _origin(_split(url))


def public_url(
    url: str,
    trusted_origins: Collection[str] = (),
    *,
    max_characters: int = MAX_URL_CHARACTERS,
) -> str:
    """`url` itself, when it is https on a public host, or on an origin trusted by name.

    Raises ValueError, in words for a person, otherwise. Only the name is looked at: who fetches
    the url has to look at the address as well.
    """
    if len(url) > max_characters:
        raise ValueError(f"is longer than {max_characters} characters")
    parts = _split(url)
    if _origin(parts) in trusted_origins:
        return url
    if parts.scheme != "https":
        raise ValueError("must be an https url")
    if not is_public_host(parts.hostname or ""):
        raise ValueError("must be on a public host")
    return url


def callback_url(url: str, *, loopback: bool = False) -> str:
    """`url` itself, when it may be called back: https on a public host.

    With `loopback`, for a person's own machine, http to that very machine will do too. Raises
    ValueError, in words for a person, otherwise. Who calls has to look at the address as well.
    """
    if loopback and len(url) <= MAX_URL_CHARACTERS and _split(url).hostname in LOOPBACK_HOSTS:
        return url
    return public_url(url)


def shown(url: str) -> str:
    """A url as it may be repeated in an answer: without what opens it, or the image inside it."""
    if url[:5].lower() == "data:":
        return f"{url[:40]}…" if len(url) > 40 else url
    bare = re.split(r"[?#]", url, maxsplit=1)[0]
    bare = re.sub(r"(?<=//)[^/]*@", "***@", bare)
    return f"{bare}?…" if len(bare) < len(url) and "?" in url else bare


def is_public_host(host: str) -> bool:
    """Whether a host name or address literal can be a public one, as far as its text tells."""
    name = host.removesuffix(".").lower()
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return (
            len(name) <= 253
            and _HOST_NAME.fullmatch(name) is not None
            and _NUMERIC_END.fullmatch(name) is None
            and not name.endswith(_PRIVATE_SUFFIXES)
        )
    return is_public_address(name)


def is_public_address(text: str) -> bool:
    """Whether an IP address is one of the open internet.

    Not so: private, loopback, link-local, shared (CGNAT), multicast and reserved ones, nor IPv6
    addresses with an IPv4 address inside (mapped, NAT64, 6to4), whatever that one is.
    """
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if any(address in network for network in _NOBODYS):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    return address.scope_id is None and address in _GLOBAL_UNICAST and address not in _SIX_TO_FOUR


def inline_image(url: str) -> tuple[str, bytes]:
    """Media type and bytes of a `data:image/...;base64,` url.

    Raises ValueError, in words for a person, for another type, bad base64, bytes that are not
    the image they claim to be, or more than MAX_INLINE_IMAGE_BYTES.
    """
    if len(url) > MAX_INLINE_IMAGE_BYTES * 4 // 3 + 64:
        raise ValueError(f"is larger than {MAX_INLINE_IMAGE_BYTES} bytes")
    match = _DATA_URL.fullmatch(url)
    if match is None:
        raise ValueError("is not a well-formed data:image/...;base64, url")
    media_type, text = match.groups()
    if media_type not in IMAGE_SUFFIXES:
        raise ValueError(f"must be one of {', '.join(IMAGE_SUFFIXES)}")
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("is not valid base64") from None
    if len(content) > MAX_INLINE_IMAGE_BYTES:
        raise ValueError(f"is larger than {MAX_INLINE_IMAGE_BYTES} bytes")
    if image_type(content) != media_type:
        raise ValueError(f"does not hold {media_type}")
    return media_type, content


def image_type(content: bytes) -> str | None:
    """The media type that the first bytes of an image file show, of those xAI takes."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        return "image/webp"
    return None


def _split(url: str) -> SplitResult:
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ValueError("is not a well-formed url")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("is not a well-formed url") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an https url")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not carry a user name or password")
    if port == 0 or "%" in parts.netloc:
        raise ValueError("is not a well-formed url")
    return parts


def _origin(parts: SplitResult) -> str:
    host = parts.hostname or ""
    shown_host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    port = f":{parts.port}" if parts.port not in {None, default} else ""
    return f"{parts.scheme}://{shown_host}{port}"
