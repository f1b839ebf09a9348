"""Door: what a person decides about a render: cancel, attach, retry, resume, abandon, redeliver."""

from typing import Any

from aws_lambda_powertools.event_handler import Response

from videoconductor import door, intake, views, webhooks, wiring
from videoconductor.clip import Render

app = door.application(takes_no_query=True)


@app.post("/v1/videos/<render_id>/cancel")
def cancel(render_id: str) -> Response[str]:
    return _answer(wiring.conductor().cancel(render_id))


@app.post("/v1/videos/<render_id>/attach")
def attach(render_id: str) -> Response[str]:
    wanted = intake.attachment(door.body_text(app, default="{}"))
    return _answer(wiring.conductor().attach(render_id, wanted.request_id))


@app.post("/v1/videos/<render_id>/retry")
def retry(render_id: str) -> Response[str]:
    wanted = intake.render_retrial(door.body_text(app, default="{}"))
    return _answer(
        wiring.conductor().retry(
            render_id,
            caller=door.caller(app),
            may_charge_twice=wanted.may_charge_twice,
            max_cost_usd=wanted.max_cost_usd,
        )
    )


@app.post("/v1/videos/<render_id>/resume")
def resume(render_id: str) -> Response[str]:
    return _answer(wiring.conductor().resume(render_id))


@app.post("/v1/videos/<render_id>/abandon")
def abandon(render_id: str) -> Response[str]:
    return _answer(wiring.conductor().abandon(render_id))


@app.post("/v1/videos/<render_id>/redeliver")
def redeliver(render_id: str) -> Response[str]:
    render = wiring.manifest().read(render_id)
    webhooks.redeliver(render, wiring.webhook_queue())
    return _answer(render)


def _answer(render: Render) -> Response[str]:
    told, standings = wiring.callback(render), wiring.standings()
    return door.answer(views.detail(render, wiring.presigned_url, told, standings))


@door.logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return app.resolve(event, context)
