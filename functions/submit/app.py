"""Door: a clip request is put on record and set in motion, or a remaster of a finished clip."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import door, intake, views, wiring
from videoconductor.clip import ClipRequest, Render

wiring.prepare(ClipRequest.model_rebuild, Render.model_rebuild, wiring.conductor)

app = door.application(takes_no_query=True)


@app.post("/v1/videos")
def submit() -> Response[str]:
    request = intake.clip_request(door.body_text(app))
    return _accepted(wiring.conductor().accept(request, door.caller(app), door.key(app)))


@app.post("/v1/videos/<render_id>/remaster")
def remaster(render_id: str) -> Response[str]:
    wanted = intake.remastering(door.body_text(app, default="{}"))
    conductor = wiring.conductor()
    return _accepted(conductor.remaster(render_id, wanted, door.caller(app), door.key(app)))


def _accepted(render: Render) -> Response[str]:
    links = views.links(render)
    return door.answer(views.accepted(render), 202, headers={"Location": links["self"]})


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
