"""Requests to hosts that strangers name. What the two edges share that send them.

A name is looked up once, its addresses are judged, and one of these very addresses is connected to,
so that a name cannot lead elsewhere between the look and the leap.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from videoconductor import inputs

MAX_ADDRESSES = 4
PORTS = {"http": 80, "https": 443}

Resolver = Callable[[str, int], list[str]]


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system's resolver tells them."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def parsed(url: str) -> tuple[str, httpx.URL]:
    """A url's origin, and the url as a client takes it.

    Raises ValueError, in words for a person, when two parsers do not agree on where it leads.
    """
    origin = inputs.origin(url)
    try:
        target = httpx.URL(url)
        is_same = inputs.origin(f"{target.scheme}://{target.netloc.decode()}") == origin
    except httpx.InvalidURL:
        is_same = False
    if not is_same:
        raise ValueError("is not a well-formed url")
    return origin, target


def public(host: str, port: int, resolver: Resolver = resolve) -> list[str]:
    """The addresses of a host, each once, every one of them public.

    Raises LookupError when the name cannot be looked up, ValueError, in words for a person, when
    it leads to nothing or to an address that is not public.
    """
    try:
        addresses = resolver(host, port)
    except (OSError, UnicodeError) as problem:
        raise LookupError(f"{host} cannot be looked up") from problem
    if not addresses or not all(map(inputs.is_public_address, addresses)):
        raise ValueError(f"{host} leads to an address that is not public")
    return list(dict.fromkeys(addresses))


def is_literal(host: str) -> bool:
    """Whether a host is an address itself, or the name that every machine has for its own."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return True


def client() -> httpx.Client:
    """An HTTP client that does nothing by itself: no retry, redirect, proxy or kept connection.

    A kept connection belongs to an address, and two hosts may share one: the second would be
    served over what was verified for the first.
    """
    # It would log the whole url of every request, and urls open what they lead to.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    return httpx.Client(
        transport=httpx.HTTPTransport(retries=0, limits=httpx.Limits(max_keepalive_connections=0)),
        follow_redirects=False,
        trust_env=False,
    )


def sent(
    http: httpx.Client,
    method: str,
    target: httpx.URL,
    addresses: Sequence[str],
    *,
    timeout: httpx.Timeout,
    content: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    extensions: Mapping[str, Any] | None = None,
) -> httpx.Response:
    """The head of the answer to a request, from the first address that takes the connection.

    The name of `target` is what its certificate is checked against. Raises httpx.HTTPError.
    """
    broken: httpx.HTTPError = httpx.ConnectError("no address")
    for address in addresses[:MAX_ADDRESSES]:
        request = http.build_request(
            method,
            target.copy_with(host=address),
            content=content,
            headers={
                "Host": target.netloc.decode("ascii"),
                "Accept-Encoding": "identity",
                **(headers or {}),
            },
            extensions={"sni_hostname": target.host, **(extensions or {})},
            timeout=timeout,
        )
        try:
            return http.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout) as problem:
            broken = problem
    raise broken
