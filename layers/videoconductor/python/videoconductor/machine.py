"""Step Functions: setting renders and films in motion."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from videoconductor.clip import FilmRun, Render
from videoconductor.errors import MachineUnavailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


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

    def is_running(self, render: Render) -> bool:
        """Whether the render's execution is under way. Raises MachineUnavailable."""
        return self._is_running(self._arn, execution_name(render))

    def is_film_running(self, run: FilmRun) -> bool:
        """Whether the run's execution is under way. Raises MachineUnavailable."""
        return self._is_running(self._film_arn, run.marker)

    def _running(self, machine: str, limit: int) -> frozenset[str]:
        try:
            pages = self._client.get_paginator("list_executions").paginate(
                stateMachineArn=machine,
                statusFilter="RUNNING",
                PaginationConfig={"MaxItems": limit, "PageSize": min(limit, 1000)},
            )
            return frozenset(found["name"] for page in pages for found in page["executions"])
        except (BotoCoreError, ClientError) as problem:
            raise _unavailable(problem) from problem

    def _is_running(self, machine: str, name: str) -> bool:
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        try:
            found = self._client.describe_execution(executionArn=arn)
        except ClientError as problem:
            if problem.response.get("Error", {}).get("Code") == "ExecutionDoesNotExist":
                return False
            raise _unavailable(problem) from problem
        except BotoCoreError as problem:
            raise _unavailable(problem) from problem
        return found["status"] == "RUNNING"

    def _start(self, arn: str, name: str, text: str) -> None:
        try:
            self._client.start_execution(stateMachineArn=arn, name=name, input=text)
        except ClientError as problem:
            if problem.response.get("Error", {}).get("Code") != "ExecutionAlreadyExists":
                raise _unavailable(problem) from problem
        except BotoCoreError as problem:
            raise _unavailable(problem) from problem


def execution_name(render: Render) -> str:
    """The name of the execution that is in charge of a render."""
    return f"{render.render_id}-{render.executions}"


def _unavailable(problem: ClientError | BotoCoreError) -> MachineUnavailable:
    if isinstance(problem, ClientError):
        return MachineUnavailable(
            f"Step Functions: {problem.response.get('Error', {}).get('Code')}"
        )
    return MachineUnavailable(f"Step Functions: {type(problem).__name__}")
