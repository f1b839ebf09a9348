"""Lets nothing in that is not signed with this run's credentials.

With AUTH=true ministack checks the signatures of IAM users and of its functions' roles, but not
those of its root keys: the access key `test`, any twelve digits, even a bare `Authorization:
garbage` on an IAM route have every right. So here every request is verified before it gets there.
Only routes of an API that are open, or ask a function of ours who calls, have a door of their own.
"""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from ministack.core import sigv4  # type: ignore[import-untyped]

from local_stack.durable import SAVE_PATH
from local_stack.endpoints import ALIVE_PATH
from local_stack.guard import HEALTH, App, Message, Receive, Send, answer

# Say nothing and change nothing.
OPEN_PATHS = frozenset({ALIVE_PATH, SAVE_PATH, HEALTH})
ALGORITHM = "AWS4-HMAC-SHA256"
IN_QUERY = frozenset(
    {"x-amz-algorithm", "x-amz-credential", "x-amz-signature", "awsaccesskeyid", "signature"}
)
DIGEST = re.compile(r"[0-9a-f]{64}")

# The secret of an access key with its session token, or None.
SecretOf = Callable[[str, str], str | None]
# Whether a method and a path reach a route with a door of its own.
HasOwnDoor = Callable[[str, str], bool]


class NotSigned(Exception):
    """The request carries no valid signature."""


def signed(
    app: App, secret_of: SecretOf, has_own_door: HasOwnDoor = lambda method, path: False
) -> App:
    """The app, for requests with a valid signature, or to routes with a door of their own."""

    async def verifying(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN_PATHS:
            await app(scope, receive, send)
            return
        if has_own_door(scope["method"], scope["path"]):
            await app(scope, receive, send)
            return
        body = await whole(receive)
        try:
            verify(scope, body, secret_of)
        except NotSigned as refused:
            text = f'{{"__type": "SignatureDoesNotMatch", "message": "{refused}"}}'
            await answer(send, 403, text.encode())
            return
        await app(scope, again(body, receive), send)

    return verifying


async def whole(receive: Receive) -> bytes:
    """The request's whole body."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def again(body: bytes, receive: Receive) -> Receive:
    """A receive that gives the body once more, then what follows."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return left.pop() if left else await receive()

    return received


def verify(scope: Message, body: bytes, secret_of: SecretOf) -> None:
    """Raise NotSigned unless this request is signed, in time, with a key that we know."""
    query = parse_qs(scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True)
    headers: dict[str, str] = {}
    for name, content in scope["headers"]:
        key, text = name.decode("latin-1").lower(), sigv4.decode_header_value(content)
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    in_header = "authorization" in headers
    if in_header and IN_QUERY & {name.lower() for name in query}:
        raise NotSigned("signed twice")
    signature = header_signature(headers) if in_header else query_signature(query)
    token = headers.get("x-amz-security-token") or one(query, "X-Amz-Security-Token")
    secret = secret_of(signature.access_key_id, token)
    if secret is None:
        raise NotSigned("unknown access key")
    failure = sigv4.header_signature_failure(
        signature,
        secret,
        scope["method"],
        scope["raw_path"].decode("latin-1"),
        query,
        headers,
        body,
        presigned=not in_header,
    )
    if failure is not None:
        raise NotSigned("wrong signature")
    claimed = headers.get("x-amz-content-sha256", "")
    if DIGEST.fullmatch(claimed) and not hmac.compare_digest(
        claimed, hashlib.sha256(body).hexdigest()
    ):
        raise NotSigned("another body was signed")


def header_signature(headers: Mapping[str, str]) -> sigv4.HeaderSignature:
    """The signature in the Authorization header, of now."""
    if not headers["authorization"].startswith(f"{ALGORITHM} "):
        raise NotSigned("not a SigV4 signature")
    signature = parsed(sigv4.parse_header_signature(headers))
    if sigv4.request_time_failure(signature) is not None:
        raise NotSigned("signed too long ago")
    return signature


def query_signature(query: Mapping[str, list[str]]) -> sigv4.HeaderSignature:
    """The signature of a presigned url that has not expired."""
    if one(query, "X-Amz-Algorithm") != ALGORITHM:
        raise NotSigned("not signed")
    signature = parsed(sigv4.parse_query_signature(query))
    try:
        expired = sigv4.presigned_request_is_expired(
            signature.amz_date, one(query, "X-Amz-Expires")
        )
    except ValueError:
        expired = True
    if expired:
        raise NotSigned("expired")
    return signature


def parsed(outcome: Any) -> sigv4.HeaderSignature:
    if not isinstance(outcome, sigv4.HeaderSignature) or outcome.region_set is not None:
        raise NotSigned("not a whole SigV4 signature")
    return outcome


def one(query: Mapping[str, list[str]], name: str) -> str:
    found = query.get(name, [])
    if len(found) > 1:
        raise NotSigned("signed twice")
    return found[0] if found else ""
