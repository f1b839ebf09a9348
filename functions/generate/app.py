"""Door: the existing system's `POST /api/mcp/v1/videos/generate`, for the clients it has."""

from contextlib import suppress
from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import compatible, conductor, door, intake, wiring
from videoconductor.clip import Render
from videoconductor.errors import ManifestUnavailable

app = door.application(takes_no_query=True, shape=compatible.refusal)


@app.post("/api/mcp/v1/videos/generate")
def generate() -> Response[str]:
    began = wiring.now()
    door.require(app, "submit")
    request = intake.clip_request(door.body_text(app))
    given = door.key(app)
    key = conductor.same_request_key(request) if given is None else given
    render = wiring.conductor().accept(request, door.caller(app), key)
    left = compatible.WAIT_SECONDS - (wiring.now() - began).total_seconds()
    with suppress(ManifestUnavailable):  # it is on record, and the caller may ask again
        render = wiring.awaited(render.render_id, left)
    return _answer(render)


@app.get("/api/mcp/v1/videos/<render_id>")
def generated(render_id: str) -> Response[str]:
    render = wiring.manifest().read(render_id)
    door.require_sight(app, render)
    return _answer(render)


def _answer(render: Render) -> Response[str]:
    body = compatible.answer(render, wiring.presigned_url)
    return door.answer(body, compatible.status(render), headers=compatible.headers(render))


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
