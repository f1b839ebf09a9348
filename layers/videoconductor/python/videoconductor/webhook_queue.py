"""SQS: webhooks that wait for their turn, or for their next attempt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

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


@contextmanager
def _unavailable(call: str) -> Iterator[None]:
    try:
        yield
    except ClientError as problem:
        code = problem.response.get("Error", {}).get("Code", "")
        raise QueueUnavailable(f"SQS {call}: {code}") from problem
    except BotoCoreError as problem:
        raise QueueUnavailable(f"SQS {call}: {type(problem).__name__}") from problem
