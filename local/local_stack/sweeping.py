"""The stack's own sweep, at once: for what a restart of ministack has ended and not resumed."""

import json
from dataclasses import dataclass

from local_stack.clients import clients_of
from local_stack.deployment import STACK
from local_stack.endpoints import Endpoints
from local_stack.errors import LocalStackError

FUNCTION = "SweepFunction"


@dataclass(frozen=True)
class Swept:
    """Renders by id and runs as `film/runId`: what goes on, and what was left as it is."""

    resumed: tuple[str, ...]
    left: tuple[str, ...]


def sweep(endpoints: Endpoints, *, may_post: bool) -> Swept:
    """Give renders and films without an execution another one.

    Without `may_post` only those that were sent to xAI already: the others would be paid for.
    Raises LocalStackError.
    """
    clients = clients_of(endpoints)
    found = clients("cloudformation").describe_stack_resource(
        StackName=STACK, LogicalResourceId=FUNCTION
    )
    answer = clients("lambda").invoke(
        FunctionName=found["StackResourceDetail"]["PhysicalResourceId"],
        Payload=json.dumps({"graceSeconds": 0, "mayPost": may_post}).encode(),
    )
    told = json.load(answer["Payload"])
    if "FunctionError" in answer:
        raise LocalStackError(f"the sweep failed: {told.get('errorType')}")
    return Swept(tuple(told["resumed"]), tuple(told["left"]))
