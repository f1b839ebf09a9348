"""Door: an object under `inbox/` starts a render or a film."""

from typing import Any

from videoconductor import inbox, wiring
from videoconductor.asking import Taken
from videoconductor.task import errand


@errand
def handler(event: dict[str, Any]) -> Taken:
    return inbox.take(event, wiring.library(), wiring.reception())
