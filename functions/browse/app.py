"""Door: what became of renders, and the manifest of finished clips."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import door, views, wiring

app = door.application()


@app.get("/v1/videos/<render_id>")
def render(render_id: str) -> Response[str]:
    found = wiring.manifest().read(render_id)
    return door.answer(views.detail(found, wiring.presigned_url))


@app.get("/v1/videos")
def renders() -> Response[str]:
    limit = door.whole_number(app, "limit", default=50, lowest=1, highest=100)
    found = wiring.manifest().renders(wiring.now(), limit, door.cursor(app))
    return door.answer(views.page(found, limit))


@app.get("/v1/films/.+/manifest")  # the router's own <film> lacks letters of many scripts
def manifest() -> Response[str]:
    film = door.film(app)
    return door.answer(views.manifest(film, wiring.manifest().entries(film)))


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
