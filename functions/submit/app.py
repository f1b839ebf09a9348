"""Door: `POST /v1/videos` puts a clip request on record and sets it in motion."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import door, intake, views, wiring

app = door.application()


@app.post("/v1/videos")
def submit() -> Response[str]:
    request = intake.clip_request(door.body_text(app))
    headers = app.current_event.headers
    render = wiring.conductor().accept(request, door.caller(app), headers.get("idempotency-key"))
    links = views.links(render)
    return door.answer(views.accepted(render), 202, headers={"Location": links["self"]})


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
