"""Looks for secrets where they do not belong: strings planted beforehand, and shapes of secrets."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

# What a secret looks like, whoever's it is.
SHAPES = {
    "an Authorization header": re.compile(r"Bearer [A-Za-z0-9_.~+/=-]{12,}|AWS4-HMAC-SHA256 Cred"),
    "a presigned url": re.compile(r"X-Amz-(Signature|Security-Token|Credential)=", re.IGNORECASE),
    "an inline image": re.compile(r"data:image/[a-z]+;base64,"),
    "an AWS key": re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"),
}


@dataclass(frozen=True)
class Canaries:
    """Strings that stand nowhere but where they were planted, by what they are."""

    planted: dict[str, str] = field(default_factory=dict)

    def found(self, text: str) -> set[str]:
        """Which of them are in a text, as they are or as a url, JSON or base64 has them."""
        return {
            name
            for name, secret in self.planted.items()
            if any(form in text for form in _forms(secret))
        }


def _forms(secret: str) -> set[str]:
    return {
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        base64.b64encode(secret.encode()).decode().rstrip("=")[:-1],
    }


@dataclass
class Scan:
    """What was seen of a stack, by where: pairs of a place and a text."""

    canaries: Canaries
    seen: dict[str, list[str]] = field(default_factory=dict)

    def see(self, where: str, what: Any) -> None:
        """Take something down that is to be looked through."""
        text = what if isinstance(what, str) else json.dumps(what, default=str, ensure_ascii=False)
        self.seen.setdefault(where, []).append(text)

    def leaks(self, allowed: dict[str, set[str]]) -> list[str]:
        """What was found where it does not belong. `allowed` says by place what may be there."""
        found = set()
        for where, texts in self.seen.items():
            may = allowed.get(where, set())
            for text in texts:
                names = self.canaries.found(text)
                names |= {name for name, shape in SHAPES.items() if shape.search(text)}
                found |= {f"{where}: {name} in {text[:200]}" for name in names - may}
        return sorted(found)

    def holds(self, where: str, name: str) -> bool:
        """Whether a canary was seen at a place."""
        return any(name in self.canaries.found(text) for text in self.seen.get(where, ()))


@contextmanager
def listening(scan: Scan, formatter: logging.Formatter) -> Iterator[None]:
    """Take down all that is logged meanwhile, by anybody, as it would be written."""

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            scan.see("logs", formatter.format(record))
            scan.see("logs", logging.Formatter().format(record))

    heard, root = Heard(), logging.getLogger()
    level = root.level
    root.addHandler(heard)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(heard)
        root.setLevel(level)


def objects(s3: Any, bucket: str) -> Iterable[tuple[str, bytes]]:
    """Every version of every object of a bucket."""
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        for version in page.get("Versions", ()):
            found = s3.get_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
            yield version["Key"], found["Body"].read()


def items(dynamodb: Any, table: str) -> Iterable[dict[str, Any]]:
    """Every item of a table."""
    for page in dynamodb.get_paginator("scan").paginate(TableName=table):
        yield from page["Items"]


def histories(stepfunctions: Any) -> Iterable[dict[str, Any]]:
    """Every event of every execution of every machine, with inputs and outputs."""
    for machine in stepfunctions.list_state_machines()["stateMachines"]:
        arn = machine["stateMachineArn"]
        for page in stepfunctions.get_paginator("list_executions").paginate(stateMachineArn=arn):
            for execution in page["executions"]:
                yield from stepfunctions.get_execution_history(
                    executionArn=execution["executionArn"], maxResults=1000
                )["events"]
