"""What the edges share that call AWS: what it answers in error becomes an error of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from videoconductor.errors import VideoConductorError


def code(problem: ClientError) -> str:
    """The code that AWS gave an error, empty when it gave none."""
    return str(problem.response.get("Error", {}).get("Code", ""))


@contextmanager
def raising(error: type[VideoConductorError], call: str) -> Iterator[None]:
    """What a call ends in, if it does not end well, leaves as `error`.

    Its words are the call and AWS's code, or the name of what kept it from being made: AWS's own
    words may quote keys, roles and what was sent.
    """
    try:
        yield
    except ClientError as problem:
        raise error(f"{call}: {code(problem)}") from problem
    except BotoCoreError as problem:
        raise error(f"{call}: {type(problem).__name__}") from problem
