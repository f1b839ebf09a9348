"""How HTTP requests get as far as the tools, or do not: RFC 6750 and RFC 9728, and who may ask
from a web page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from videoconductor.errors import ScopeMissing, VideoConductorError
from videoconductor.tokens import SCOPES

PATH = "/mcp"
METADATA_PATH = "/.well-known/oauth-protected-resource"
METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
INVALID_REQUEST = -32600  # JSON-RPC's
_OF_MCP = ("accept", "content-type", "mcp-")
MAX_BODY_CHARACTERS = 4 * 1024 * 1024  # what the SDK takes; base64 makes it less

Document = dict[str, Any]


@dataclass(frozen=True)
class Entrance:
    """A request as it came to the gateway: whose address was called, from where, by whom."""

    method: str
    base_url: str
    origin: str | None
    authorization: str | None
    body_characters: int

    @classmethod
    def of(cls, event: Mapping[str, Any], path: str) -> Entrance:
        """The entrance in an event of API Gateway's (payload 2.0) for our `path`."""
        context, headers = event["requestContext"], event.get("headers") or {}
        given = {name.lower(): value for name, value in headers.items()}
        host = given.get("host") or context["domainName"]
        scheme = given.get("x-forwarded-proto", "https")
        # A custom domain may have the API below a path of its own.
        below = str(event["rawPath"]).removesuffix(path)
        return cls(
            context["http"]["method"],
            f"{scheme}://{host}{below}",
            given.get("origin"),
            given.get("authorization"),
            len(event.get("body") or ""),
        )

    def foreign(self, origins: Iterable[str]) -> Document | None:
        """What a page is told that is neither of the API's own host nor of `origins`.

        Otherwise any page that a person opens could ask in the name of who is at home there.
        """
        own = "/".join(self.base_url.split("/")[:3])
        if self.origin is None or self.origin in {own, *origins}:
            return None
        return _problem(403, "Pages of this origin may not ask")

    def unfit(self) -> Document | None:
        """What is told to whom may ask, but does not ask as MCP is spoken here."""
        if self.method != "POST":
            # A GET would open a stream, a DELETE end a session: there is neither.
            return _problem(405, "MCP is spoken with POST here")
        if self.body_characters > MAX_BODY_CHARACTERS:
            return _problem(413, "The request is too large")
        return None

    def metadata(self) -> Document:
        """The protected-resource document (RFC 9728).

        It names no authorization server: there is none, tokens are handed out by a person.
        """
        return {
            "resource": f"{self.base_url}{PATH}",
            "bearer_methods_supported": ["header"],
            "scopes_supported": list(SCOPES),
            "resource_name": "VideoConductor",
        }

    def challenge(self, refused: VideoConductorError) -> str:
        """The value of WWW-Authenticate for a refusal (RFC 6750, section 3)."""
        parts = [f'resource_metadata="{self.base_url}{METADATA_PATH}"']
        if isinstance(refused, ScopeMissing):
            parts += ['error="insufficient_scope"', f'scope="{" ".join(SCOPES)}"']
        elif self.authorization is not None:
            parts += ['error="invalid_token"']
        return f"Bearer {', '.join(parts)}"


def without_token(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event as it goes on, with the headers that MCP reads and no others.

    The token has told who is calling, and goes no further; nobody stumbles over the rest.
    """
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    kept = {name: value for name, value in headers.items() if name.startswith(_OF_MCP)}
    return {**event, "headers": kept}


def told(problem: Document, name: str = "") -> Document:
    """A refusal as clients of MCP read it: a JSON-RPC error, of a request that nobody has read."""
    words = ": ".join(str(problem[part]) for part in ("title", "detail") if part in problem)
    error = {"code": INVALID_REQUEST, "message": words, "data": problem}
    return {"jsonrpc": "2.0", "id": None, "error": error}


def _problem(status: int, title: str) -> Document:
    return {"type": "about:blank", "title": title, "status": status}
