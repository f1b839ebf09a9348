"""Speaks MCP for the tools, 2026-07-28 and the versions before it; all that knows its SDK."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, MutableMapping
from functools import partial
from typing import Any

import mcp_types as types
from anyio import to_thread
from mangum import Mangum
from mcp.server.caching import CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError

from videoconductor import __version__
from videoconductor.errors import ScopeMissing, VideoConductorError
from videoconductor.reading import shown_name
from videoconductor.tokens import Scope
from videoconductor.tools import wording
from videoconductor.tools.catalog import Answer, Catalog, Offer, Tool
from videoconductor.tools.desk import Desk, Document

Allow = Callable[[Scope], None]
Asgi = Callable[[Any, Any, Any], Any]

# The tools change with a deploy only, and are the same for everybody.
FRESH_MS = 300_000
# They log the coming and going of each request, which the door does.
CHATTY = ("mangum", "mcp")

# The one that the doors give its form and the caller's name; on stdio only errors are heard.
logger = logging.getLogger("videoconductor")


def everything(scope: Scope) -> None:
    """Lets everything through: for whoever has been let in by somebody else."""


def server(offered: Catalog, desk: Desk, allow: Allow = everything) -> Server[Any]:
    """A server of the tools. `allow` raises ScopeMissing for what the caller may not."""
    listed = [_listed(offer) for offer in offered.offers]

    async def list_tools(
        context: ServerRequestContext[Any], params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed)

    async def call_tool(
        context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        offer = offered.by_name.get(params.name)
        if offer is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {shown_name(params.name)}")
        allow(offer.tool.scope)
        # A call waits for AWS, or for a clip; meanwhile others are answered, and pings.
        called = partial(_called, offer.tool, desk, params.arguments or {})
        return await to_thread.run_sync(called, abandon_on_cancel=True)

    hint = CacheHint(FRESH_MS, "public")
    return Server(
        "videoconductor",
        version=__version__,
        title="VideoConductor",
        instructions=offered.instructions,
        cache_hints={"tools/list": hint, "server/discover": hint},
        get_tool_input_schema=lambda name: _input_schema(offered, name),
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def answered(
    event: Mapping[str, Any], offered: Catalog, desk: Desk, allow: Allow
) -> dict[str, Any]:
    """The answer to one POST of API Gateway's, in its shape: stateless, one JSON document.

    Raises ScopeMissing when the caller may not call the tool.
    """
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    refused: list[ScopeMissing] = []

    def allowed(scope: Scope) -> None:
        try:
            allow(scope)
        except ScopeMissing as missing:
            # On the wire this is an HTTP status, which the SDK leaves to its host.
            refused.append(missing)
            raise MCPError(types.INVALID_REQUEST, "The token does not allow this") from missing

    answer = Mangum(_asgi(server(offered, desk, allowed)), lifespan="off")(dict(event), None)  # type: ignore[arg-type]
    if refused:
        raise refused[0]
    return answer


async def serve_stdio(offered: Catalog, desk: Desk) -> None:
    """Speak MCP on stdin and stdout until stdin ends."""
    made = server(offered, desk)
    async with stdio_server() as (read, write):
        await made.run(read, write, made.create_initialization_options())


def _asgi(made: Server[Any]) -> Asgi:
    """One request of a server as an ASGI application.

    What the SDK keeps for sessions lives as long as the request: an invocation has no more.
    """

    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        sessions = StreamableHTTPSessionManager(made, json_response=True, stateless=True)
        async with sessions.run():
            await sessions.handle_request(scope, receive, send)

    return app


def _listed(offer: Offer) -> types.Tool:
    tool = offer.tool
    return types.Tool(
        name=tool.name,
        title=tool.title,
        description=offer.description,
        input_schema=offer.input_schema,
        output_schema=offer.output_schema,
        annotations=types.ToolAnnotations(
            title=tool.title,
            read_only_hint=tool.is_read_only,
            # Nothing is ever overwritten, and the same call again changes nothing more.
            destructive_hint=False,
            idempotent_hint=True,
            open_world_hint=tool.is_open_world,
        ),
    )


def _input_schema(offered: Catalog, name: str) -> Mapping[str, Any] | None:
    offer = offered.by_name.get(name)
    return None if offer is None else offer.input_schema


def _called(tool: Tool, desk: Desk, arguments: Mapping[str, Any]) -> types.CallToolResult:
    try:
        answer = tool.call(desk, arguments)
    except VideoConductorError as error:
        logger.info("refused", extra={"tool": tool.name, "error": type(error).__name__})
        return _refusal(desk.problem(error))
    except Exception:
        logger.exception("broken", extra={"tool": tool.name})
        raise MCPError(types.INTERNAL_ERROR, "Something broke on our side") from None
    logger.info("called", extra={"tool": tool.name})
    return _result(answer)


def _result(answer: Answer) -> types.CallToolResult:
    return types.CallToolResult(
        content=[types.TextContent(text=words) for words in answer.words],
        structured_content=answer.document,
    )


def _refusal(problem: Document) -> types.CallToolResult:
    """A refusal that a model can act on: in words, and as the problem document of the HTTP API."""
    words = wording.refusal(problem)
    if "quote" in problem:  # in short: the clips of a film may be thousands
        short = {name: part for name, part in problem["quote"].items() if name != "clips"}
        problem = {**problem, "quote": short}
    text = json.dumps(problem, ensure_ascii=False)
    content: list[types.ContentBlock] = [
        types.TextContent(text=words),
        types.TextContent(text=text),
    ]
    return types.CallToolResult(content=content, is_error=True)
