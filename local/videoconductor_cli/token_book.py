"""The secret that holds a stack's service tokens, written so that no two admins undo each other."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from videoconductor import tokens
from videoconductor.errors import InvalidRequest, TokensUnavailable
from videoconductor.tokens import ServiceTokens
from videoconductor_cli import address
from videoconductor_cli.errors import BadInput, NoAnswer

PENDING = "VIDEOCONDUCTOR_PENDING"  # staging label of a version that is not the current one yet
TRIES = 8
PAUSE_SECONDS = 0.2
_ARN = re.compile(r"arn:[\w-]+:secretsmanager:([\w-]+):\d{12}:secret:\S+", re.ASCII)

Change = Callable[[ServiceTokens], ServiceTokens]


class TokenBook:
    """The tokens on record in one secret."""

    def __init__(
        self, client: Any, secret_id: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._client = client
        self._secret_id = secret_id
        self._sleep = sleep

    def read(self) -> ServiceTokens:
        """The tokens as they are. Raises NoAnswer."""
        return self._current()[0]

    def change(self, change: Change) -> ServiceTokens:
        """Write what `change` makes of the tokens as they are; it may be called several times.

        Secrets Manager has no conditional write, but it moves the label AWSCURRENT only away from
        the version that it is told: so what somebody else wrote meanwhile is read, not lost.
        Raises BadInput for what `change` refuses, and NoAnswer.
        """
        for number in range(TRIES):
            found, version = self._current()
            with refusals():
                wanted = change(found)
                text = wanted.text()
            if wanted == found or self._replaced(version, text):
                return wanted
            self._sleep(PAUSE_SECONDS * number)
        raise NoAnswer("others keep writing the service tokens: try again")

    def _current(self) -> tuple[ServiceTokens, str]:
        with answers():
            found = self._client.get_secret_value(
                SecretId=self._secret_id, VersionStage="AWSCURRENT"
            )
        try:
            return tokens.read(found["SecretString"]), found["VersionId"]
        except (KeyError, TokensUnavailable):
            raise BadInput("the secret does not hold service tokens: is it another one?") from None

    def _replaced(self, version: str, text: str) -> bool:
        """Whether the text is the current version now; not if `version` was not any more."""
        token = str(uuid.uuid4())
        with answers():
            self._client.put_secret_value(
                SecretId=self._secret_id,
                ClientRequestToken=token,
                SecretString=text,
                VersionStages=[PENDING],
            )
            try:
                self._client.update_secret_version_stage(
                    SecretId=self._secret_id,
                    VersionStage="AWSCURRENT",
                    MoveToVersionId=token,
                    RemoveFromVersionId=version,
                )
            except self._client.exceptions.InvalidParameterException:
                return False
        return True


def find(secret: str | None, data_folder: Path | None) -> TokenBook:
    """The book of a deployed stack, by its secret's ARN; of the running local stack otherwise.

    Raises BadInput, NoAnswer.
    """
    if secret is None:
        return _local(address.stack_folder(data_folder))
    named = _ARN.fullmatch(secret)
    if named is None:
        raise BadInput(f"--secret: {secret!r} is not the ARN of a secret")
    import boto3

    with answers():
        return TokenBook(boto3.client("secretsmanager", region_name=named[1]), secret)


def _local(data_folder: Path) -> TokenBook:
    from local_stack.clients import clients_of

    running = address.running(data_folder, "name a deployed stack's secret with --secret ARN")
    return TokenBook(clients_of(running)("secretsmanager"), running.tokens_secret)


@contextmanager
def refusals() -> Iterator[None]:
    """What is wrong with a token that somebody asked for, as a command's error."""
    try:
        yield
    except InvalidRequest as problem:
        raise BadInput(str(problem)) from problem


@contextmanager
def answers() -> Iterator[None]:
    """What Secrets Manager refuses, and that it cannot be asked, as a command's error."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as problem:
        words = problem.response["Error"]
        raise NoAnswer(f"Secrets Manager: {words['Code']}: {words.get('Message', '')}") from problem
    except BotoCoreError as problem:
        raise NoAnswer(f"Secrets Manager could not be asked: {problem}") from problem
