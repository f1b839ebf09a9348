"""On an object under `incoming/`: a render that waits for it goes on."""

from typing import Any

from videoconductor import wiring
from videoconductor.recovering import Delivered
from videoconductor.task import errand


@errand
def handler(event: dict[str, Any]) -> Delivered:
    return wiring.recovery().take(event)
