"""Door: scripts to be made into films, and manifests to be taken in."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import door, views, wiring

app = door.application()


@app.post("/v1/films")
def film() -> Response[str]:
    order = door.film_order(app)
    key = app.current_event.headers.get("idempotency-key")
    text = door.body_text(app)
    run, clips = wiring.director().accept(text, order, door.caller(app), key)
    body = views.film_accepted(run, clips)
    return door.answer(body, 202, headers={"Location": body["links"]["self"]})


@app.post("/v1/films/.+/manifest")
def take_in() -> Response[str]:
    film_id = door.film(app)
    found = wiring.director().take_in(film_id, door.body_text(app))
    return door.answer({"filmId": film_id, **found})


@app.post("/v1/films/.+/resume")
def resume() -> Response[str]:
    run = wiring.director().resume(door.film(app), door.query(app, "run"))
    return door.answer(views.film_run(run))


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
