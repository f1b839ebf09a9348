"""Step Functions: setting renders and films in motion."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import ClientError

from videoconductor import aws
from videoconductor.clip import FilmRun, Render
from videoconductor.errors import InvalidRequest, MachineUnavailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


_WRONG_TOKEN = frozenset({"InvalidToken", "ValidationException"})


class Running(NamedTuple):
    """An execution that is under way."""

    name: str
    arn: str
    started: datetime


class Machine:
    """The state machines `render_clip` and `render_film`, by their ARNs."""

    def __init__(self, arn: str, client: SFNClient, film_arn: str = "") -> None:
        self._arn = arn
        self._film_arn = film_arn
        self._client = client

    def start(self, render: Render) -> None:
        """Start execution `{renderId}-{n}`; one that is or was there already is left alone.

        Raises MachineUnavailable.
        """
        self._start(self._arn, execution_name(render), render.model_dump_json())

    def start_film(self, run: FilmRun) -> None:
        """Start execution `{runId}-{n}` of a film. Raises MachineUnavailable."""
        wanted = {
            "film": run.film,
            "runId": run.run_id,
            "marker": run.marker,
            "runOrder": run.order,
            "items": run.items,
            "itemsKey": run.items_key,
        }
        self._start(self._film_arn, run.marker, json.dumps(wanted))

    def running(self, limit: int) -> frozenset[str]:
        """Names of up to `limit` executions of render_clip that are under way.

        One that began or ended just now may be missing, or still be there. Raises
        MachineUnavailable.
        """
        return self._running(self._arn, limit)

    def films_running(self, limit: int) -> frozenset[str]:
        """The same of render_film."""
        return self._running(self._film_arn, limit)

    def page(self, limit: int, token: str | None = None) -> tuple[list[Running], str | None]:
        """Executions of render_clip that are under way, a page of them, and the next one's token.

        Raises MachineUnavailable, InvalidRequest for a token that is none or has expired.
        """
        return self._page(self._arn, limit, token)

    def film_page(self, limit: int, token: str | None = None) -> tuple[list[Running], str | None]:
        """The same of render_film."""
        return self._page(self._film_arn, limit, token)

    def input(self, arn: str) -> dict[str, Any]:
        """What an execution was started with; nothing if it is gone. Raises MachineUnavailable."""
        with _unavailable("DescribeExecution"):
            try:
                found = self._client.describe_execution(executionArn=arn)
            except ClientError as problem:
                if aws.code(problem) == "ExecutionDoesNotExist":
                    return {}
                raise
        read = json.loads(found.get("input") or "{}")
        return read if isinstance(read, dict) else {}

    def is_running(self, render: Render) -> bool:
        """Whether the render's execution is under way. Raises MachineUnavailable."""
        return self._is_running(self._arn, execution_name(render))

    def is_film_running(self, run: FilmRun) -> bool:
        """Whether the run's execution is under way. Raises MachineUnavailable."""
        return self._is_running(self._film_arn, run.marker)

    def _running(self, machine: str, limit: int) -> frozenset[str]:
        with _unavailable("ListExecutions"):
            pages = self._client.get_paginator("list_executions").paginate(
                stateMachineArn=machine,
                statusFilter="RUNNING",
                PaginationConfig={"MaxItems": limit, "PageSize": min(limit, 1000)},
            )
            return frozenset(found["name"] for page in pages for found in page["executions"])

    def _page(
        self, machine: str, limit: int, token: str | None
    ) -> tuple[list[Running], str | None]:
        more: Any = {} if token is None else {"nextToken": token}
        with _unavailable("ListExecutions"):
            try:
                found = self._client.list_executions(
                    stateMachineArn=machine, statusFilter="RUNNING", maxResults=limit, **more
                )
            except ClientError as problem:
                if token is None or aws.code(problem) not in _WRONG_TOKEN:
                    raise
                words = "is not the nextCursor of a page, or has expired: begin anew"
                raise InvalidRequest.of("cursor", None, words) from problem
        listed = [
            Running(one["name"], one["executionArn"], one["startDate"])
            for one in found["executions"]
        ]
        return listed, found.get("nextToken")

    def _is_running(self, machine: str, name: str) -> bool:
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        with _unavailable("DescribeExecution"):
            try:
                found = self._client.describe_execution(executionArn=arn)
            except ClientError as problem:
                if aws.code(problem) == "ExecutionDoesNotExist":
                    return False
                raise
        return found["status"] == "RUNNING"

    def _start(self, arn: str, name: str, text: str) -> None:
        with _unavailable("StartExecution"):
            try:
                self._client.start_execution(stateMachineArn=arn, name=name, input=text)
            except ClientError as problem:
                if aws.code(problem) != "ExecutionAlreadyExists":
                    raise


def execution_name(render: Render) -> str:
    """The name of the execution that is in charge of a render."""
    return f"{render.render_id}-{render.executions}"


def _unavailable(call: str) -> AbstractContextManager[None]:
    return aws.raising(MachineUnavailable, f"Step Functions {call}")
