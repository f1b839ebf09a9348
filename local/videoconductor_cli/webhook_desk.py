"""What a stack's admin has to do with its webhooks: its key, and the dead letters of its queue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from videoconductor.clip import Notice
from videoconductor_cli import address
from videoconductor_cli.errors import BadInput, NoAnswer

Clients = Callable[[str], Any]

HIDDEN_SECONDS = 60  # from other readers, while one looks
BATCH = 10
MOST_LISTED = 1000


@dataclass(frozen=True)
class DeadLetter:
    """A notice that was given up, and how to take it out of its queue."""

    notice: Notice
    sent_at: datetime
    body: str
    receipt: str


class WebhookDesk:
    """One stack's webhooks, found by its outputs."""

    def __init__(self, clients: Clients, stack: str, patience: int = 1) -> None:
        """`patience` is for how many seconds a queue is asked before it counts as empty."""
        self._clients = clients
        self._stack = stack
        self._patience = patience

    def key(self) -> str:
        """The key that every caller's secret is made of. Raises BadInput, NoAnswer."""
        secret = self._output("WebhookKeySecret")
        with answers():
            client = self._clients("secretsmanager")
            return str(client.get_secret_value(SecretId=secret)["SecretString"])

    def caller(self) -> str:
        """Who these credentials are to the API. Raises NoAnswer."""
        with answers():
            return str(self._clients("sts").get_caller_identity()["Arn"])

    def dead(self) -> list[DeadLetter]:
        """The notices that were given up. They stay where they are. Raises BadInput, NoAnswer."""
        queue = self._output("WebhookDeadLettersUrl")
        with answers():
            found = list(self._received(queue))
            for letter in found:
                self._clients("sqs").change_message_visibility(
                    QueueUrl=queue, ReceiptHandle=letter.receipt, VisibilityTimeout=0
                )
        return found

    def revive(self) -> list[DeadLetter]:
        """Have every notice that was given up tried again, with all its attempts.

        Raises BadInput, NoAnswer.
        """
        queue, dead = self._output("WebhookQueueUrl"), self._output("WebhookDeadLettersUrl")
        revived: list[DeadLetter] = []
        with answers():
            for letter in self._received(dead):
                # Sent first: one that is there twice does no harm.
                self._clients("sqs").send_message(QueueUrl=queue, MessageBody=letter.body)
                self._clients("sqs").delete_message(QueueUrl=dead, ReceiptHandle=letter.receipt)
                revived.append(letter)
        return revived

    def _received(self, queue: str) -> Iterator[DeadLetter]:
        count = 0
        while count < MOST_LISTED:
            came = self._clients("sqs").receive_message(
                QueueUrl=queue,
                MaxNumberOfMessages=BATCH,
                VisibilityTimeout=HIDDEN_SECONDS,
                WaitTimeSeconds=self._patience,
                AttributeNames=["SentTimestamp"],
            )
            messages = came.get("Messages", [])
            if not messages:
                return
            count += len(messages)
            yield from map(_letter, messages)

    def _output(self, name: str) -> str:
        with answers():
            described = self._clients("cloudformation").describe_stacks(StackName=self._stack)
        for output in described["Stacks"][0].get("Outputs", []):
            if output["OutputKey"] == name:
                return str(output["OutputValue"])
        raise BadInput(f"--stack: {self._stack} has no output {name}: is it another stack?")


def _letter(message: dict[str, Any]) -> DeadLetter:
    try:
        notice = Notice.model_validate_json(message["Body"])
    except ValidationError:
        raise BadInput("the queue holds something that is no webhook") from None
    sent_at = datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC)
    return DeadLetter(notice, sent_at, message["Body"], message["ReceiptHandle"])


def find(stack: str | None, data_folder: Path | None) -> WebhookDesk:
    """The desk of a deployed stack, by its name; of the running local stack otherwise.

    Raises NoAnswer.
    """
    if stack is None:
        return _local(address.stack_folder(data_folder))
    import boto3

    with answers():
        session = boto3.Session()
    return WebhookDesk(lambda name: session.client(name), stack)  # type: ignore[call-overload]


def _local(data_folder: Path) -> WebhookDesk:
    from local_stack.clients import clients_of
    from local_stack.deployment import STACK

    running = address.running(data_folder, "name a deployed stack with --stack NAME")
    return WebhookDesk(clients_of(running), STACK)


@contextmanager
def answers() -> Iterator[None]:
    """What AWS refuses, and that it cannot be asked, as a command's error."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as problem:
        words = problem.response["Error"]
        named = problem.operation_name
        raise NoAnswer(f"{named}: {words['Code']}: {words.get('Message', '')}") from problem
    except BotoCoreError as problem:
        raise NoAnswer(f"AWS could not be asked: {problem}") from problem
