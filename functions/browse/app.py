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
    film, found = door.film(app), wiring.manifest()
    url = wiring.opened if door.flag(app, "presign") else None
    after, limit = door.query(app, "after"), door.optional_number(app, "limit", 1, 1000)
    entries, runs = found.entries(film), found.runs(film)
    return door.answer(views.manifest(film, entries, runs, url, after, limit))


@app.get("/v1/films/.+")
def film() -> Response[str]:
    run, clips, renders = wiring.film(door.film(app), door.query(app, "run"))
    return door.answer(views.film_detail(run, clips, renders))


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
