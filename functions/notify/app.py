"""Bus: what became of a render or a film, on its way to a callbackUrl."""

from typing import Any

from videoconductor import webhooks, wiring
from videoconductor.task import logger


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, bool]:
    notice = webhooks.notify(event, wiring.manifest(), wiring.webhook_queue())
    if notice is not None:
        logger.info("queued", extra=webhooks.shown(notice))
    return {"queued": notice is not None}
