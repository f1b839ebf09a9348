"""What xAI says when it refuses: flat error bodies, and the plain text of its framework."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

MARKER: web.RequestKey[str] = web.RequestKey("marker", str)
DROPPED: web.RequestKey[bool] = web.RequestKey("dropped", bool)
CODES = {
    400: "invalid-argument",
    401: "unauthenticated:no-credentials",
    403: "permission-denied",
    404: "not-found",
    405: "method-not-allowed",
    408: "deadline-exceeded",
    413: "payload-too-large",
    429: "resource-exhausted",
    500: "internal-error",
    503: "service-unavailable",
    529: "overloaded",
}

NO_KEY = "No API key was provided. Send it as `Authorization: Bearer <key>`."
WRONG_KEY = (
    "Incorrect API key provided: {masked}. You can obtain an API key from https://console.x.ai."
)
NO_PERMISSION = "The caller does not have permission to execute the specified operation."
NO_MODEL = (
    "The model {model} does not exist or your team {team} does not have access to it. "
    "Please ensure you're using the correct API key."
)
RATE = (
    "Too many requests for team {team} and model {model}. Your team's rate limit is — "
    "Requests per Second (actual/limit): {actual}/{limit}. Please try again later."
)
NO_CREDITS = (
    "Your team {team} has either used all available credits or reached its monthly spending "
    "limit. To continue making API requests, please purchase more credits or raise your "
    "spending limit."
)
OVERLOADED = "The service is currently unavailable. Please try again later."
NO_VIDEO = "No deferred video could be found with the given request_id"
NO_IMAGE = "Unknown request id or the result has expired"
MALFORMED_ID = "Malformed request ID"
NO_PROMPT = "Prompt cannot be empty. Please provide a prompt."
UNREADABLE = "Failed to buffer the request body: {reason}"
NOT_JSON_TYPE = "Expected request with `Content-Type: application/json`"
VIDEO_MODERATED = "Generated video rejected by content moderation."
IMAGE_MODERATED = "Generated image rejected by content moderation."


def json_response(
    body: object, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """JSON as xAI writes it: without blanks, and not escaped."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return web.Response(text=text, status=status, headers=headers, content_type="application/json")


class Refusal(Exception):
    """An answer that is not 200: a flat JSON body, or plain text when there is no code."""

    def __init__(
        self,
        text: str,
        status: int = 400,
        *,
        code: str | None = None,
        plain: bool = False,
        usage: dict[str, int] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        # A lone surrogate in a value that is quoted here cannot be sent.
        self.text = text.encode("utf-8", "replace").decode("utf-8")
        super().__init__(self.text)
        self.status = status
        self.code = code or CODES.get(status, "unknown")
        self.plain = plain
        self.usage = usage
        self.headers = headers or {}

    def response(self) -> web.Response:
        """This refusal on the wire."""
        if self.plain:
            return web.Response(text=self.text, status=self.status, headers=self.headers)
        body: dict[str, Any] = {"code": self.code, "error": self.text}
        if self.usage is not None:
            body["usage"] = self.usage
        return json_response(body, self.status, self.headers)


def wrong_key(key: str) -> Refusal:
    """The 400 that xAI answers to a key it does not know, with the key masked."""
    masked = f"{key[:2]}***{key[-2:]}" if len(key) > 4 else "***"
    return Refusal(WRONG_KEY.format(masked=masked))
