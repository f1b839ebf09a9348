"""Door: scripts to be made into films, decisions about their runs, and manifests to take in."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import door, intake, views, wiring
from videoconductor.clip import FilmClip, FilmRun

app = door.application()


@app.post("/v1/films")
def film() -> Response[str]:
    order, text = door.film_order(app), door.body_text(app)
    return _accepted(*wiring.director().accept(text, order, door.caller(app), door.key(app)))


@app.post("/v1/films/.+/manifest")
def take_in() -> Response[str]:
    door.takes(app)
    film_id = door.film(app)
    found = wiring.director().take_in(film_id, door.body_text(app))
    return door.answer({"filmId": film_id, **found})


@app.post("/v1/films/.+/resume")
def resume() -> Response[str]:
    return _shown(wiring.director().resume(*_run()))


@app.post("/v1/films/.+/cancel")
def cancel() -> Response[str]:
    return door.answer(views.film_cancelled(*wiring.director().cancel(*_run())))


@app.post("/v1/films/.+/redeliver")
def redeliver() -> Response[str]:
    return _shown(wiring.redelivered(*_run()))


@app.post("/v1/films/.+/retry")
def retry() -> Response[str]:
    asked = door.film(app), *door.film_retry(app), door.caller(app), door.key(app)
    wanted = intake.retrial(door.body_text(app, default="{}"))
    return _accepted(*wiring.director().retry(*asked, may_charge_twice=wanted.may_charge_twice))


@app.post("/v1/films/.+/remaster")
def remaster() -> Response[str]:
    asked = door.film(app), *door.film_remaster(app), door.caller(app), door.key(app)
    return _accepted(*wiring.director().remaster(*asked))


def _run() -> tuple[str, str | None]:
    door.takes(app, "run")
    return door.film(app), door.query(app, "run")


def _shown(run: FilmRun) -> Response[str]:
    return door.answer(views.film_run(run, wiring.standings([run])))


def _accepted(run: FilmRun, clips: tuple[FilmClip, ...]) -> Response[str]:
    body = views.film_accepted(run, clips)
    return door.answer(body, 202, headers={"Location": body["links"]["self"]})


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
