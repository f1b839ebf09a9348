"""Executions that a restart of the local stack has ended: ministack does not resume them."""

from collections.abc import Iterable
from typing import Any

from local_stack.clients import client_factory
from local_stack.endpoints import Endpoints


def orphans(endpoints: Endpoints, execution_names: Iterable[str]) -> list[str]:
    """Those of these executions that are not running (any more), in the order given.

    The caller knows from its records which should be. After a SIGKILL an execution may be
    unknown altogether; after a clean stop it is FAILED with `States.ServiceRestart`.
    """
    machines = client_factory(
        endpoints.aws_endpoint_url,
        endpoints.region,
        endpoints.access_key_id,
        endpoints.secret_access_key,
    )("stepfunctions")
    return [name for name in execution_names if not is_running(machines, endpoints, name)]


def is_running(machines: Any, endpoints: Endpoints, name: str) -> bool:
    prefix = endpoints.state_machine_arn.replace(":stateMachine:", ":execution:")
    try:
        execution = machines.describe_execution(executionArn=f"{prefix}:{name}")
    except machines.exceptions.ExecutionDoesNotExist:
        return False
    return bool(execution["status"] == "RUNNING")
