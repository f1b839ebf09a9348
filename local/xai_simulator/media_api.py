"""The media endpoints: three that start videos, two that make stills, two that are polled."""

from __future__ import annotations

import asyncio
import base64
import re
import uuid
from typing import Any

from aiohttp import web

from xai_simulator import endings, replies
from xai_simulator.endings import FAILURES
from xai_simulator.faults import Case, struck
from xai_simulator.jobs import Job
from xai_simulator.orders import ImageOrder, Order, VideoOrder
from xai_simulator.replies import MARKER, Refusal, json_response
from xai_simulator.scenarios import Scenario, Stage, markers
from xai_simulator.shapes import Shape
from xai_simulator.simulator import Simulator
from xai_simulator.wire import parsed

JSON_TYPE = re.compile(r"application/(?:.+\+)?json")
FAILURE_STATUS = {
    "invalid_argument": 400,
    "failed_precondition": 400,
    "permission_denied": 403,
    "internal_error": 500,
    "service_unavailable": 503,
}


class MediaApi:
    """The handlers of `/v1/videos` and `/v1/images`."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def routes(self) -> list[web.RouteDef]:
        """The seven routes."""
        starts: dict[str, Shape] = {
            "/v1/videos/generations": "generate",
            "/v1/videos/edits": "edit",
            "/v1/videos/extensions": "extend",
            "/v1/images/generations": "image",
            "/v1/images/edits": "image_edit",
        }
        posts = [web.post(path, self._starting(shape)) for path, shape in starts.items()]
        return [
            *posts,
            web.get("/v1/videos/{request_id}", self._poll_video, allow_head=False),
            web.get("/v1/images/{request_id}", self._poll_image, allow_head=False),
        ]

    def _starting(self, shape: Shape) -> Any:
        async def start(request: web.Request) -> web.StreamResponse:
            order = await self._order(request, shape)
            simulator = self._simulator
            simulator.check_rate(order.model)
            faults = simulator.start_faults(order)
            case = _cases(simulator, request, order)
            if answer := await _first(case, faults, "start"):
                return answer
            job = simulator.start(order)
            if isinstance(order, VideoOrder) or job.image.deferred:
                simulator.run_later(job)
                body: dict[str, Any] = {"request_id": job.id}
            else:
                await simulator.run(job)
                body = await _stills(simulator, job)
            return await _first(case, faults, "answer", body) or json_response(body)

        return start

    async def _order(self, request: web.Request, shape: Shape) -> Order:
        if not JSON_TYPE.fullmatch(request.content_type):
            raise Refusal(replies.NOT_JSON_TYPE, 415, plain=True)
        fields = parsed(await request.read(), self._simulator.shapes[shape])
        request[MARKER] = str(markers(fields.get("prompt") or ""))
        return self._simulator.rules.order(shape, fields)

    async def _poll_video(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request, replies.NO_VIDEO)
        if not isinstance(job.order, VideoOrder):
            raise Refusal(replies.NO_VIDEO, 404)
        job.polls += 1
        simulator = self._simulator
        for row in simulator.poll_faults(job):
            answer = await struck(Case(simulator, request, row, job.order.model))
            if answer is not None:
                return answer
        waiting = job.status == "pending"
        ending = endings.pending if waiting else endings.final
        status, body = ending(simulator, job)
        return _answer(status, body)

    async def _poll_image(self, request: web.Request) -> web.StreamResponse:
        job = self._job(request, replies.NO_IMAGE)
        if not isinstance(job.order, ImageOrder) or not job.order.deferred:
            raise Refusal(replies.NO_IMAGE, 404)
        job.polls += 1
        simulator = self._simulator
        for row in simulator.poll_faults(job):
            answer = await struck(Case(simulator, request, row, job.order.model))
            if answer is not None:
                return answer
        if job.status == "pending":
            status, body = endings.pending(simulator, job)
            return _answer(status, body)
        return json_response(await _stills(simulator, job))

    def _job(self, request: web.Request, unknown: str) -> Job:
        request_id = request.match_info["request_id"]
        try:
            uuid.UUID(request_id)
        except ValueError:
            raise Refusal(replies.MALFORMED_ID) from None
        job = self._simulator.jobs.get(request_id.lower())
        if job is None:
            raise Refusal(unknown, 404)
        request[MARKER] = str(job.order.markers)
        return job


def _answer(status: int, body: dict[str, Any] | None) -> web.Response:
    return web.Response(status=status) if body is None else json_response(body, status)


def _cases(simulator: Simulator, request: web.Request, order: Order) -> Any:
    return lambda row, body: Case(simulator, request, row, order.model, body)


async def _first(
    case: Any, faults: list[Scenario], stage: Stage, body: dict[str, Any] | None = None
) -> web.StreamResponse | None:
    for row in faults:
        if row.stage == stage:
            answer = await struck(case(row, body))
            if answer is not None:
                return answer
    return None


async def _stills(simulator: Simulator, job: Job) -> dict[str, Any]:
    """The body of a finished image job; raises Refusal when it did not end well."""
    usage = {"cost_in_usd_ticks": job.ticks}
    if job.status == "moderated":
        code = "imagine:content-moderated"
        raise Refusal(replies.IMAGE_MODERATED, 400, code=code, usage=usage)
    if job.failure is not None:
        raise Refusal(job.failure.message, FAILURE_STATUS[job.failure.code])
    if job.status != "done":
        names = [row.name for row in job.order.markers.at("ending")]
        code, text = FAILURES.get(names[0] if names else "failed", FAILURES["failed"])
        raise Refusal(text, FAILURE_STATUS[code])
    entries = [await _entry(simulator, job, number) for number in range(len(job.results))]
    body: dict[str, Any] = {"data": entries}
    if simulator.options.report_usage and not job.order.markers.has("no_usage"):
        body["usage"] = usage
    return body


async def _entry(simulator: Simulator, job: Job, number: int) -> dict[str, Any]:
    made = job.results[number]
    entry: dict[str, Any] = {"mime_type": made.content_type}
    if job.image.base64:
        content = await asyncio.to_thread(made.path.read_bytes)
        entry["b64_json"] = base64.b64encode(content).decode("ascii")
    else:
        entry["url"] = simulator.url_of(job, number)
    if job.files:
        entry["file_output"] = job.files[number]
    return entry
