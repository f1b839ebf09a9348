"""Step Functions: setting a render in motion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from videoconductor.clip import Render
from videoconductor.errors import MachineUnavailable

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient


class Machine:
    """The state machine `render_clip`."""

    def __init__(self, arn: str, client: SFNClient) -> None:
        self._arn = arn
        self._client = client

    def start(self, render: Render) -> None:
        """Start execution `{renderId}-{n}`; one that is or was there already is left alone.

        Raises MachineUnavailable.
        """
        try:
            self._client.start_execution(
                stateMachineArn=self._arn,
                name=f"{render.render_id}-{render.executions}",
                input=render.model_dump_json(),
            )
        except ClientError as problem:
            code = problem.response.get("Error", {}).get("Code", "")
            if code != "ExecutionAlreadyExists":
                raise MachineUnavailable(f"Step Functions: {code}") from problem
        except BotoCoreError as problem:
            raise MachineUnavailable(f"Step Functions: {type(problem).__name__}") from problem
