"""On a schedule: what lost its execution gets another, what nobody was told of is announced."""

from typing import Any

from videoconductor import wiring
from videoconductor.sweeping import SweepOrder, Swept
from videoconductor.task import errand


@errand
def handler(event: dict[str, Any]) -> Swept:
    # A schedule's event has no such fields; whoever invokes the function may give them.
    asked = {name: event[name] for name in ("graceSeconds", "mayPost") if name in event}
    return wiring.sweeper().sweep(SweepOrder.model_validate(asked))
