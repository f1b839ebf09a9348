"""SQS: how much lies in the queues of what was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from videoconductor import aws
from videoconductor.errors import QueueUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient


class DeadLetters:
    """The queues of events and of webhooks that were given up, by their urls; "" for none."""

    def __init__(self, events: str, webhooks: str, client: SQSClient) -> None:
        self.events = events
        self.webhooks = webhooks
        self._client = client

    def count(self, url: str) -> int:
        """About how many messages a queue has, those included that somebody looks at just now.

        Raises QueueUnavailable.
        """
        with aws.raising(QueueUnavailable, "SQS GetQueueAttributes"):
            found = self._client.get_queue_attributes(
                QueueUrl=url,
                AttributeNames=[
                    "ApproximateNumberOfMessages",
                    "ApproximateNumberOfMessagesNotVisible",
                ],
            )
        return sum(int(value) for value in found.get("Attributes", {}).values())
