"""State `TakeUp`: what does a clip need whose turn has come in a film?"""

from typing import Any

from videoconductor import filming, wiring
from videoconductor.clip import Turn
from videoconductor.task import film_task


@film_task
def handler(event: dict[str, Any]) -> Turn:
    return filming.take_up(
        Turn.model_validate(event),
        wiring.manifest(),
        wiring.library(),
        wiring.machine().is_running,
        wiring.pace().poll_timeout,
        wiring.now,
    )
