"""Door: what became of renders, and the manifest of finished clips."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import door, views, wiring

app = door.application()


@app.get("/v1/videos/<render_id>")
def render(render_id: str) -> Response[str]:
    door.takes(app, "wait")
    found = wiring.awaited(render_id, door.patience(app))
    told, standings = wiring.callback(found), wiring.standings()
    return door.answer(views.detail(found, wiring.presigned_url, told, standings))


@app.get("/v1/videos")
def renders() -> Response[str]:
    found = wiring.manifest().page(door.listing(app), wiring.now())
    return door.answer(views.page(found))


@app.get("/v1/films")
def films() -> Response[str]:
    found = wiring.manifest().run_page(door.run_listing(app), wiring.now())
    return door.answer(views.film_page(found, wiring.standings(found.found)))


@app.get("/v1/films/.+/manifest")  # the router's own <film> lacks letters of many scripts
def manifest() -> Response[str]:
    door.takes(app, "presign", "after", "limit")
    film, found = door.film(app), wiring.manifest()
    url = wiring.opened if door.flag(app, "presign") else None
    after, limit = door.query(app, "after"), door.optional_number(app, "limit", 1, 1000)
    entries, runs = found.entries(film), found.runs(film)
    standings = wiring.standings(runs[-views.MAX_RUNS :], film)
    return door.answer(views.manifest(film, entries, runs, url, after, limit, standings))


@app.get("/v1/films/.+")
def film() -> Response[str]:
    door.takes(app, "run", "wait")
    run, clips, renders = wiring.film(door.film(app), door.query(app, "run"), door.patience(app))
    told, standings = wiring.callback(run), wiring.standings([run], run.film)
    return door.answer(views.film_detail(run, clips, renders, told, standings))


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
