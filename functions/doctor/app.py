"""Door: whether everything is as it should be, and mending what is not."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import door, examining, intake, wiring

app = door.application()


@app.get("/v1/doctor")
def examine() -> Response[str]:
    door.takes(app, "cursor")
    begin = examining.position(door.query(app, "cursor"))
    return door.answer(examining.told(wiring.doctor().examine(begin)))


@app.post("/v1/doctor")
def mend() -> Response[str]:
    door.takes(app)
    treatment = intake.treatment(door.body_text(app, default="{}"))
    begin = examining.position(treatment.cursor)
    return door.answer(examining.told(wiring.doctor().examine(begin, treatment)))


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
