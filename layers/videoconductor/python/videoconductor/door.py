"""What the HTTP doors share: who is calling, JSON answers, and errors as problem details."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from videoconductor import intake, reading, views, wiring
from videoconductor.clip import FilmOrder, Render
from videoconductor.errors import (
    CallerUnknown,
    InvalidRequest,
    RenderNotFound,
    ScopeMissing,
    Unidentified,
    VideoConductorError,
)
from videoconductor.listing import RUN_FIELDS, Wanted, unknown, wanted
from videoconductor.waiting import MOST_SECONDS

if TYPE_CHECKING:
    from videoconductor.accounts import Question
    from videoconductor.tokens import Scope

MAX_FIELDS = 10_100  # a film's clips, each by its id, and some more

logger = Logger(service="videoconductor")


def application(
    *,
    takes_no_query: bool = False,
    shape: Callable[[dict[str, Any], str], dict[str, Any]] | None = None,
) -> APIGatewayHttpResolver:
    """A router whose errors are RFC 9457 problem details.

    With `takes_no_query` each of its routes refuses every query parameter; `shape` makes another
    document of problem details and the error's name.
    """
    app = APIGatewayHttpResolver()
    app.use(middlewares=[_named, _without_query] if takes_no_query else [_named])

    @app.exception_handler(VideoConductorError)  # type: ignore[untyped-decorator]
    def refused(error: VideoConductorError) -> Response[str]:
        body = views.problem(error)
        logger.info("refused", extra={"error": type(error).__name__, "status": body["status"]})
        headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unidentified) else None
        return told(body, type(error).__name__, headers)

    @app.exception_handler(Exception)  # type: ignore[untyped-decorator]
    def broken(error: Exception) -> Response[str]:
        logger.error("broken", extra={"error": type(error).__name__}, exc_info=True)
        body = {"type": "about:blank", "title": "Something broke on our side", "status": 500}
        return told(body, "InternalError")

    @app.not_found
    def not_found(error: Exception) -> Response[str]:
        body = {"type": "about:blank", "title": "There is no such route", "status": 404}
        return told(body, "NoSuchRoute")

    def told(
        problem: dict[str, Any], name: str, headers: dict[str, str] | None = None
    ) -> Response[str]:
        if shape is not None:
            return answer(shape(problem, name), problem["status"], headers=headers)
        return answer(problem, problem["status"], "application/problem+json", headers)

    return app


def _named(
    app: APIGatewayHttpResolver, go_on: Callable[[APIGatewayHttpResolver], Response[str]]
) -> Response[str]:
    """Has every line of a request's log name its caller and its route."""
    context = app.current_event.raw_event.get("requestContext", {})
    logger.append_keys(caller=_caller(app) or None, route=context.get("routeKey"))
    response = go_on(app)
    logger.info("answered", extra={"status": response.status_code})
    return response


def _without_query(
    app: APIGatewayHttpResolver, go_on: Callable[[APIGatewayHttpResolver], Response[str]]
) -> Response[str]:
    takes(app)
    return go_on(app)


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
    """The ARN of whoever signed the request, or `token:<name>`, as API Gateway vouches for it.

    On a person's own machine nobody vouches: the setting VIDEOCONDUCTOR_LOCAL_CALLER names them.
    Raises CallerUnknown when there is neither, which no deployed route lets happen.
    """
    name = _caller(app)
    if not name:
        raise CallerUnknown("the gateway named no caller")
    return name


def require(app: APIGatewayHttpResolver, scope: Scope) -> None:
    """Let only service tokens with this scope go on, as the authorizer read it.

    Raises ScopeMissing, and CallerUnknown when no authorizer looked at a token.
    """
    if scope not in _scopes(app):
        raise ScopeMissing(f"the service token has no scope {scope!r}")


def require_sight(app: APIGatewayHttpResolver, render: Render) -> None:
    """Let a service token look at any render with the scope read, at its own with submit.

    Raises RenderNotFound, as for a render that is not there, and CallerUnknown.
    """
    if "read" not in _scopes(app) and render.caller != caller(app):
        raise RenderNotFound(render.render_id)


def _scopes(app: APIGatewayHttpResolver) -> list[str]:
    found = _authorizer(app, "lambda")
    if not found.get("caller"):
        raise CallerUnknown("the gateway named no caller")
    return str(found.get("scopes", "")).split()


def _caller(app: APIGatewayHttpResolver) -> str:
    named = _authorizer(app, "iam").get("userArn") or _authorizer(app, "lambda").get("caller")
    return str(named or wiring.settings().local_caller)


def _authorizer(app: APIGatewayHttpResolver, kind: str) -> dict[str, Any]:
    context = app.current_event.raw_event.get("requestContext", {})
    return (context.get("authorizer") or {}).get(kind) or {}


def key(app: APIGatewayHttpResolver) -> str | None:
    """The header Idempotency-Key, if it is there."""
    return app.current_event.headers.get("idempotency-key")


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
    return intake.film_order(_query(app))


def film_retry(app: APIGatewayHttpResolver) -> tuple[str | None, FilmOrder]:
    """Which run the query wants retried, and what otherwise than before. Raises InvalidRequest."""
    return intake.film_retry(_query(app))


def film_remaster(app: APIGatewayHttpResolver) -> tuple[str | None, FilmOrder]:
    """Which run's script the query wants remastered, and how. Raises InvalidRequest."""
    return intake.film_remaster(_query(app))


def _query(app: APIGatewayHttpResolver) -> dict[str, list[str]]:
    # API Gateway joins repeated parameters with commas, which a clip's id may hold itself.
    text = app.current_event.raw_event.get("rawQueryString") or ""
    try:
        return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except (ValueError, UnicodeDecodeError):
        raise InvalidRequest.of("query", None, "is not well-formed") from None


def listing(app: APIGatewayHttpResolver) -> Wanted:
    """Which renders the query asks for. Raises InvalidRequest with all problems."""
    return wanted(_query(app), wiring.quality_modes())


def run_listing(app: APIGatewayHttpResolver) -> Wanted:
    """Which runs the query asks for. Raises InvalidRequest with all problems."""
    return wanted(_query(app), wiring.quality_modes(), RUN_FIELDS)


def question(app: APIGatewayHttpResolver) -> Question:
    """What the query asks about costs. Raises InvalidRequest with all problems."""
    from videoconductor import accounts

    return accounts.question(_query(app), wiring.now())


def span(app: APIGatewayHttpResolver) -> tuple[date, date] | None:
    """The days that the query names, None for all there are. Raises InvalidRequest."""
    from videoconductor import accounts

    return accounts.span(_query(app))


def wants_csv(app: APIGatewayHttpResolver) -> bool:
    """Whether the answer is to be CSV, by the query or else by the header Accept."""
    accepted = app.current_event.headers.get("accept", "")
    return query(app, "format") == "csv" or (
        query(app, "format") is None and accepted.partition(";")[0].strip() == "text/csv"
    )


def csv(text: str) -> Response[str]:
    """A table as CSV."""
    return Response(200, "text/csv; charset=utf-8", text, headers={"Cache-Control": "no-store"})


def patience(app: APIGatewayHttpResolver) -> int:
    """How many seconds a caller will wait for the end, from the query. Raises InvalidRequest."""
    return whole_number(app, "wait", default=0, lowest=0, highest=MOST_SECONDS)


def takes(app: APIGatewayHttpResolver, *names: str) -> None:
    """Refuse a query with other parameters than these. Raises InvalidRequest, naming them."""
    if problems := [unknown(name, names) for name in _query(app) if name not in names]:
        raise InvalidRequest(problems[: reading.MAX_PROBLEMS])


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
    text = query(app, name)
    return None if text is None else intake.whole_number(name, text, lowest, highest)
