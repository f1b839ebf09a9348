"""SQS: webhooks that wait for their turn, or for their next attempt."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from videoconductor import aws
from videoconductor.errors import QueueUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class WebhookQueue:
    """The queue of notices, by its url."""

    def __init__(self, url: str, client: SQSClient) -> None:
        self._url = url
        self._client = client

    def put(self, text: str) -> None:
        """Add a notice. Raises QueueUnavailable."""
        with _unavailable("SendMessage"):
            self._client.send_message(QueueUrl=self._url, MessageBody=text)

    def postpone(self, receipt_handle: str, seconds: int) -> None:
        """Have a notice handed out again after so many seconds. Raises QueueUnavailable."""
        with _unavailable("ChangeMessageVisibility"):
            self._client.change_message_visibility(
                QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
            )


def _unavailable(call: str) -> AbstractContextManager[None]:
    return aws.raising(QueueUnavailable, f"SQS {call}")
