"""Door: what a clip request or a script would become, and what it costs: plans and quotes."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import door, intake, views, wiring

app = door.application()


@app.post("/v1/plan")
def plan() -> Response[str]:
    text = door.body_text(app)
    if intake.is_script(text):
        film, clips = wiring.director().plan(text, door.film_order(app))
        return door.answer(views.planned(film, clips))
    door.takes(app)
    film, clip = wiring.conductor().plan(intake.clip_request(text))
    return door.answer(views.planned(film, [clip]))


@app.post("/v1/quotes")
def quote() -> Response[str]:
    text = door.body_text(app)
    if intake.is_script(text):
        return door.answer(views.quote(wiring.director().quote(text, door.film_order(app))))
    door.takes(app)
    return door.answer(views.quote(wiring.conductor().quote(intake.clip_request(text))))


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
