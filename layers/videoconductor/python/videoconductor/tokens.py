"""Service tokens: who a Bearer token is, without anything on record that would open a door.

A token reads `vc_<id>_<secret>`. On record are its id, its SHA-256, and what it may do. A slow
hash as for passwords is for secrets that can be guessed; 256 random bits cannot, so the only work
it would make is ours, on each request.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, StringConstraints, ValidationError

from videoconductor.clip import Noun
from videoconductor.errors import InvalidRequest, ScopeMissing, TokensUnavailable, Unidentified

Scope = Literal["read", "submit"]
SCOPES: tuple[Scope, ...] = ("read", "submit")

MAX_DOCUMENT_BYTES = 65_536  # what Secrets Manager takes
ID_BYTES = 8
SECRET_BYTES = 32
_NAME = r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}"
_ID = r"[0-9a-f]{16}"
_SHA256 = r"[0-9a-f]{64}"
_BEARER = re.compile(rf"(?i:bearer) +(vc_({_ID})_[A-Za-z0-9_-]{{43}})", re.ASCII)
_REFUSED = "the service token is not known, has expired or was revoked"

TokenName = Annotated[str, StringConstraints(pattern=rf"^{_NAME}\z")]
TokenId = Annotated[str, StringConstraints(pattern=rf"^{_ID}\z")]


class Identity(Noun):
    """Who a token says is calling, and what it lets them do."""

    name: TokenName
    token_id: TokenId
    scopes: tuple[Scope, ...]

    @property
    def caller(self) -> str:
        """The name in records and logs: `token:<name>`."""
        return f"token:{self.name}"


class ServiceToken(Noun):
    """A token as it is on record: never the token itself."""

    id: TokenId
    name: TokenName
    sha256: Annotated[str, StringConstraints(pattern=rf"^{_SHA256}\z")]
    scopes: tuple[Scope, ...]
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None

    def is_usable(self, now: datetime) -> bool:
        """Whether it opens anything at `now`."""
        has_expired = self.expires_at is not None and self.expires_at <= now
        return self.revoked_at is None and not has_expired

    def state(self, now: datetime) -> Literal["usable", "expired", "revoked"]:
        """What a list of tokens says about it."""
        if self.revoked_at is not None:
            return "revoked"
        return "usable" if self.is_usable(now) else "expired"


class ServiceTokens(Noun):
    """All tokens of a stack: what its secret `ServiceTokens` holds, as JSON."""

    tokens: tuple[ServiceToken, ...] = ()

    def found(self, token_id: str) -> ServiceToken | None:
        """The token of that id."""
        return next((token for token in self.tokens if token.id == token_id), None)

    def with_token(self, token: ServiceToken) -> ServiceTokens:
        """These and one more."""
        return ServiceTokens(tokens=(*self.tokens, token))

    def with_revoked(self, wanted: str, now: datetime) -> ServiceTokens:
        """These with the token of the id `wanted`, or all of the name `wanted`, revoked.

        Raises InvalidRequest when there is none.
        """
        if not any(wanted in {token.id, token.name} for token in self.tokens):
            raise InvalidRequest.of("token", wanted, "is neither the name nor the id of one")

        def after(token: ServiceToken) -> ServiceToken:
            if wanted not in {token.id, token.name} or token.revoked_at is not None:
                return token
            return token.model_copy(update={"revoked_at": now})

        return ServiceTokens(tokens=tuple(map(after, self.tokens)))

    def usable(self, now: datetime) -> ServiceTokens:
        """These without the expired and the revoked ones."""
        return ServiceTokens(tokens=tuple(token for token in self.tokens if token.is_usable(now)))

    def text(self) -> str:
        """The document to keep. Raises InvalidRequest when it is more than a secret may hold."""
        text = self.model_dump_json(exclude_none=True)
        if len(text.encode()) > MAX_DOCUMENT_BYTES:
            raise InvalidRequest.of(
                "token",
                None,
                f"does not fit: a secret holds {MAX_DOCUMENT_BYTES} bytes, which is full with "
                f"{len(self.tokens) - 1} tokens; prune those that expired or were revoked",
            )
        return text


def read(document: str) -> ServiceTokens:
    """The tokens of a document. Raises TokensUnavailable when it is not one."""
    try:
        return ServiceTokens.model_validate_json(document)
    except ValidationError:
        raise TokensUnavailable("the secret of service tokens does not hold any document") from None


def mint(
    name: str,
    scopes: Sequence[str],
    now: datetime,
    expires_at: datetime | None,
    random_bytes: Callable[[int], bytes],
) -> tuple[str, ServiceToken]:
    """A new token: what its holder is given, once, and what goes on record.

    Raises InvalidRequest.
    """
    if re.fullmatch(_NAME, name, re.ASCII) is None:
        words = "must be 1 to 64 letters, digits and any of . _ @ -, the first no sign"
        raise InvalidRequest.of("name", name, words)
    if re.fullmatch(_ID, name):
        raise InvalidRequest.of("name", name, "looks like the id of a token")
    if not scopes:
        raise InvalidRequest.of("scope", None, "is required", SCOPES)
    for scope in scopes:
        if scope not in SCOPES:
            raise InvalidRequest.of("scope", scope, "is not known", SCOPES)
    token_id = random_bytes(ID_BYTES).hex()
    secret = base64.urlsafe_b64encode(random_bytes(SECRET_BYTES)).decode().rstrip("=")
    text = f"vc_{token_id}_{secret}"
    return text, ServiceToken(
        id=token_id,
        name=name,
        sha256=_digest(text),
        scopes=tuple(scope for scope in SCOPES if scope in scopes),
        created_at=now,
        expires_at=expires_at,
    )


def identify(authorization: str | None, document: str, now: datetime) -> Identity:
    """Who the value of an Authorization header says is calling.

    Raises Unidentified, in the same words whatever is wrong with the token, and TokensUnavailable
    when the document is none.
    """
    known = read(document)
    given = _BEARER.fullmatch((authorization or "").strip())
    if given is None:
        raise Unidentified(_REFUSED)
    token = known.found(given[2])
    # The same work for an id that is not known: how long it takes tells nothing.
    expected = token.sha256 if token is not None else "0" * 64
    is_right = hmac.compare_digest(_digest(given[1]), expected)
    if token is None or not is_right or not token.is_usable(now):
        raise Unidentified(_REFUSED)
    return Identity(name=token.name, token_id=token.id, scopes=token.scopes)


def require(identity: Identity, scope: Scope) -> None:
    """Raises ScopeMissing unless the token has the scope."""
    if scope not in identity.scopes:
        raise ScopeMissing(f"the service token {identity.name!r} has no scope {scope!r}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
