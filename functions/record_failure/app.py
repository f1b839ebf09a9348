"""State `RecordFailure`: bring a render whose state raised an error to rest, or send it on."""

from videoconductor import wiring
from videoconductor.clip import Render
from videoconductor.task import task
from videoconductor.workflow import record_failure


@task
def handler(render: Render) -> Render:
    return record_failure(
        render,
        wiring.manifest(),
        wiring.library(),
        wiring.events(),
        wiring.watch(),
        wiring.pace(),
        wiring.now,
    )
