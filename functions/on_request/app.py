"""Door: `ClipRequested` and `FilmRequested` on the application's bus start renders and films."""

from typing import Any

from videoconductor import bus, wiring
from videoconductor.asking import Taken
from videoconductor.task import errand


@errand
def handler(event: dict[str, Any]) -> Taken:
    return bus.take(event, wiring.reception())
