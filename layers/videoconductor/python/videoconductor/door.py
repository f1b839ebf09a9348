"""What the HTTP doors share: who is calling, JSON answers, and errors as problem details."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, unquote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from videoconductor import intake, views, wiring
from videoconductor.clip import FilmOrder
from videoconductor.errors import CallerUnknown, InvalidRequest, VideoConductorError

MAX_FIELDS = 10_100  # a film's clips, each by its id, and some more

logger = Logger(service="videoconductor")


def application() -> APIGatewayHttpResolver:
    """A router whose errors are RFC 9457 problem details."""
    app = APIGatewayHttpResolver()

    @app.exception_handler(VideoConductorError)  # type: ignore[untyped-decorator]
    def refused(error: VideoConductorError) -> Response[str]:
        body = views.problem(error)
        logger.info("refused", extra={"error": type(error).__name__, "status": body["status"]})
        return answer(body, body["status"], "application/problem+json")

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def broken(error: Exception) -> Response[str]:
        logger.error("broken", extra={"error": type(error).__name__}, exc_info=True)
        body = {"type": "about:blank", "title": "Something broke on our side", "status": 500}
        return answer(body, 500, "application/problem+json")

    @app.not_found
    def not_found(error: Exception) -> Response[str]:
        body = {"type": "about:blank", "title": "There is no such route", "status": 404}
        return answer(body, 404, "application/problem+json")

    return app


def answer(
    body: dict[str, Any],
    status: int = 200,
    media_type: str = "application/json",
    headers: dict[str, str] | None = None,
) -> Response[str]:
    """A JSON answer."""
    text = json.dumps(body, ensure_ascii=False)
    return Response(
        status, media_type, text, headers={"Cache-Control": "no-store", **(headers or {})}
    )


def caller(app: APIGatewayHttpResolver) -> str:
    """The ARN of whoever signed the request, as API Gateway vouches for it.

    On a person's own machine nobody vouches: the setting VIDEOCONDUCTOR_LOCAL_CALLER names them.
    Raises CallerUnknown when there is neither, which no deployed route lets happen.
    """
    context = app.current_event.raw_event.get("requestContext", {})
    iam = (context.get("authorizer") or {}).get("iam") or {}
    name = iam.get("userArn") or wiring.settings().local_caller
    if not name:
        raise CallerUnknown("the gateway named no caller")
    return str(name)


def body_text(app: APIGatewayHttpResolver, default: str | None = None) -> str:
    """The request's body as text, or `default` when there is none.

    Raises InvalidRequest when it is not UTF-8, or not there and there is no default.
    """
    try:
        text = app.current_event.decoded_body
    except (ValueError, UnicodeDecodeError):
        raise InvalidRequest.of("body", None, "is not UTF-8 text") from None
    if text:
        return text
    if default is None:
        raise InvalidRequest.of("body", None, "is required: a JSON object")
    return default


def film(app: APIGatewayHttpResolver) -> str:
    """The path parameter `film`, of any script. Raises InvalidRequest when it cannot be an id."""
    parameters = app.current_event.path_parameters or {}
    # Decoded by API Gateway already, as a rule; an id holds no % that this could change.
    return intake.identifier("film", unquote(parameters.get("film") or ""))


def query(app: APIGatewayHttpResolver, name: str) -> str | None:
    """A query parameter that may be given once. Raises InvalidRequest."""
    values = _query(app).get(name, [])
    if len(values) > 1:
        raise InvalidRequest.of(name, values[1], "is given twice")
    return values[0] if values else None


def flag(app: APIGatewayHttpResolver, name: str) -> bool:
    """A query parameter that is `true` or `false`, false if not given. Raises InvalidRequest."""
    value = query(app, name)
    if value not in {None, "true", "false"}:
        raise InvalidRequest.of(name, value, "must be one of the two", ["true", "false"])
    return value == "true"


def film_order(app: APIGatewayHttpResolver) -> FilmOrder:
    """How a script is to be made, from the query. Raises InvalidRequest with all problems."""
    given = _query(app)
    return intake.film_order(given)


def _query(app: APIGatewayHttpResolver) -> dict[str, list[str]]:
    # API Gateway joins repeated parameters with commas, which a clip's id may hold itself.
    text = app.current_event.raw_event.get("rawQueryString") or ""
    try:
        return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except (ValueError, UnicodeDecodeError):
        raise InvalidRequest.of("query", None, "is not well-formed") from None


def cursor(app: APIGatewayHttpResolver) -> str | None:
    """The query parameter `cursor`, as a page of renders gave it. Raises InvalidRequest."""
    text = (app.current_event.query_string_parameters or {}).get("cursor")
    if text is None:
        return None
    try:
        return views.before(text)
    except (ValueError, OverflowError):
        raise InvalidRequest.of("cursor", text, "is not the nextCursor of a page") from None


def whole_number(
    app: APIGatewayHttpResolver, name: str, default: int, lowest: int, highest: int
) -> int:
    """A query parameter between two bounds. Raises InvalidRequest."""
    found = optional_number(app, name, lowest, highest)
    return default if found is None else found


def optional_number(
    app: APIGatewayHttpResolver, name: str, lowest: int, highest: int
) -> int | None:
    """A query parameter between two bounds, if it is given. Raises InvalidRequest."""
    text = (app.current_event.query_string_parameters or {}).get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise InvalidRequest.of(name, text, f"must be {lowest} to {highest}")
    if not lowest <= int(text) <= highest:
        raise InvalidRequest.of(name, text, f"must be {lowest} to {highest}")
    return int(text)
