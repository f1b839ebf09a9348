"""Door: what can be asked for, and at what price; and that somebody is at home."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import door, entrance, views, wiring

app = door.application()


@app.get("/v1/models")
def models() -> Response[str]:
    door.takes(app)
    return door.answer(views.models(wiring.models()))


@app.get("/v1/quality-modes")
def quality_modes() -> Response[str]:
    door.takes(app)
    return door.answer(views.quality_modes(wiring.quality_modes(), wiring.models()))


@app.get(entrance.METADATA_PATH)
def protected_resource() -> Response[str]:
    called = entrance.Entrance.of(app.current_event.raw_event, entrance.METADATA_PATH)
    return door.answer(called.metadata())


@app.get("/v1/openapi.json")
def document() -> Response[str]:
    door.takes(app)
    return door.answer(wiring.document())


@app.get("/health")
def health() -> Response[str]:
    return door.answer({"status": "ok"})


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
