"""Faults on the wire: what each start, answer and poll scenario does to the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiohttp import web

from xai_simulator import replies
from xai_simulator.replies import DROPPED, Refusal, json_response
from xai_simulator.scenarios import Scenario

if TYPE_CHECKING:
    from xai_simulator.simulator import Simulator

SLOW_SECONDS = 60
PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center></body></html>"
TEXTS = {
    400: replies.WRONG_KEY.format(masked="xa***gA"),
    401: replies.NO_KEY,
    403: replies.NO_PERMISSION,
    404: replies.NO_VIDEO,
    408: "The request timed out.",
    500: "An internal error occurred.",
    503: replies.OVERLOADED,
    529: "The service is overloaded. Please try again later.",
}


@dataclass(frozen=True)
class Case:
    """One request that a fault strikes, and the answer it would have had."""

    simulator: Simulator
    request: web.Request
    row: Scenario
    model: str
    answer: dict[str, Any] | None = None


Fault = Callable[[Case], Awaitable[web.StreamResponse | None]]


async def _status(case: Case) -> web.StreamResponse:
    raise Refusal(TEXTS[case.row.status], case.row.status)


async def _rate(case: Case) -> web.StreamResponse:
    raise case.simulator.rate_limited(case.model)


async def _credits(case: Case) -> web.StreamResponse:
    options = case.simulator.options
    text = replies.NO_CREDITS.format(team=options.team_id)
    raise Refusal(text, options.nocredits_status, code="resource-exhausted")


async def _page(case: Case) -> web.StreamResponse:
    status = case.row.status or 200
    title = {200: "Welcome", 502: "502 Bad Gateway", 504: "504 Gateway Time-out"}[status]
    return web.Response(text=PAGE.format(title), status=status, content_type="text/html")


async def _dropped(case: Case) -> web.StreamResponse:
    return drop(case.request)


async def _cut(case: Case) -> web.StreamResponse:
    return await cut_short(case.request, json_response(case.answer or {"status": "pending"}))


async def _broken_json(case: Case) -> web.StreamResponse:
    return web.Response(body=b'{"status":"pending","prog', content_type="application/json")


async def _later(case: Case) -> None:
    await asyncio.sleep(case.simulator.options.scaled(SLOW_SECONDS))


async def _nothing(case: Case) -> web.StreamResponse:
    return web.Response(status=200, content_type="application/json")


async def _no_id(case: Case) -> web.StreamResponse:
    return json_response({})


async def _null_id(case: Case) -> web.StreamResponse:
    return json_response({"request_id": None})


async def _unknown_status(case: Case) -> web.StreamResponse:
    return json_response({"status": "defragmenting", "progress": 42})


async def _same_place(case: Case) -> web.StreamResponse:
    return web.Response(status=307, headers={"Location": case.request.path_qs})


async def _elsewhere(case: Case) -> web.StreamResponse:
    return web.Response(status=303, headers={"Location": "/"})


FAULTS: dict[str, Fault] = {
    "start429": _rate,
    "start503": _status,
    "start500": _status,
    "start502": _page,
    "start529": _status,
    "start_drop": _dropped,
    "start_redirect": _same_place,
    "denied": _status,
    "nocredits": _credits,
    "lost": _dropped,
    "lost503": _status,
    "lost504": _page,
    "garbled": _cut,
    "slow_start": _later,
    "start_no_id": _no_id,
    "start_null_id": _null_id,
    "start_html": _page,
    "start_empty": _nothing,
    "start_redirected": _elsewhere,
    "unknown_status": _unknown_status,
    "poll408": _status,
    "poll429": _rate,
    "poll500": _status,
    "poll502": _page,
    "poll503": _status,
    "poll529": _status,
    "poll404": _status,
    "job_lost": _status,
    "bad_key_poll": _status,
    "poll401": _status,
    "poll403": _status,
    "poll_drop": _dropped,
    "poll_slow": _later,
    "poll_html": _page,
    "poll_empty200": _nothing,
    "truncated_json": _broken_json,
}


async def struck(case: Case) -> web.StreamResponse | None:
    """The answer the fault gives, or None when it only took time; raises Refusal."""
    fault = FAULTS.get(case.row.name)
    return None if fault is None else await fault(case)


def drop(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    request[DROPPED] = True
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=500)


async def cut_short(request: web.Request, whole: web.Response) -> web.StreamResponse:
    """Announce the whole body, send half of it, close."""
    body = whole.body if isinstance(whole.body, bytes) else b""
    partial = web.StreamResponse(headers={"Content-Type": whole.headers["Content-Type"]})
    partial.content_length = len(body)
    await partial.prepare(request)
    await partial.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return partial
