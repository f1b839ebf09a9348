"""On our own events: what came of a file of the inbox is written to the outbox."""

from typing import Any

from videoconductor import outbox, wiring
from videoconductor.outbox import Told
from videoconductor.task import errand


@errand
def handler(event: dict[str, Any]) -> Told:
    return outbox.tell(event["detail"], wiring.manifest(), wiring.library(), wiring.film)
