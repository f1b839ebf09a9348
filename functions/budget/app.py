"""Door: the caps, the kill switch, what was spent, and whether the books agree."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import accounts, door, statements, wiring
from videoconductor.treasurer import Budget

app = door.application()


@app.get("/v1/budget")
def show() -> Response[str]:
    door.takes(app, "film", "caller")
    return _told(wiring.treasurer().show(door.query(app, "film"), door.query(app, "caller")))


@app.patch("/v1/budget")
def change() -> Response[str]:
    door.takes(app)
    wanted = accounts.caps_change(door.body_text(app))
    return _told(wiring.treasurer().change(wanted, door.caller(app)))


@app.post("/v1/budget/stop")
def stop() -> Response[str]:
    door.takes(app)
    order = accounts.stop_order(door.body_text(app, default="{}"))
    return _told(wiring.treasurer().stop(order.reason, door.caller(app)))


@app.post("/v1/budget/resume")
def resume() -> Response[str]:
    door.takes(app)
    return _told(wiring.treasurer().resume(door.caller(app)))


@app.get("/v1/costs")
def costs() -> Response[str]:
    found = statements.costs(wiring.treasurer().costs(door.question(app)))
    return door.csv(statements.csv_of(found)) if door.wants_csv(app) else door.answer(found)


@app.get("/v1/costs/check")
def check() -> Response[str]:
    return door.answer(statements.checked(wiring.treasurer().check(door.span(app))))


def _told(found: Budget) -> Response[str]:
    return door.answer(statements.budget(found))


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
