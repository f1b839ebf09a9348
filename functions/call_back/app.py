"""Webhook queue: tell a callbackUrl, and say which notices have to be handed out again."""

from typing import Any

from videoconductor import webhooks, wiring
from videoconductor.clip import Notice
from videoconductor.task import logger


@logger.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Any) -> dict[str, list[dict[str, str]]]:
    again = [record["messageId"] for record in event["Records"] if not _is_done(record)]
    return {"batchItemFailures": [{"itemIdentifier": name} for name in again]}


def _is_done(record: dict[str, Any]) -> bool:
    notice = Notice.model_validate_json(record["body"])
    told = webhooks.call_back(
        notice,
        int(record["attributes"]["ApproximateReceiveCount"]),
        wiring.manifest(),
        wiring.receivers(),
        wiring.webhook_keys,
        wiring.now,
        wiring.jitter(),
    )
    logger.info("called back", extra=webhooks.shown(notice, told))
    seconds = webhooks.pause(told)
    if seconds is not None:
        wiring.webhook_queue().postpone(record["receiptHandle"], seconds)
    return seconds is None
