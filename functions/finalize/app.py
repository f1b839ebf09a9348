"""State `Finalize`: copy the clip into the library, enter it into the manifest, announce it."""

from videoconductor import wiring
from videoconductor.clip import Render
from videoconductor.task import task
from videoconductor.workflow import finalize

wiring.prepare(
    Render.model_rebuild,
    wiring.manifest,
    wiring.library,
    wiring.s3_once,
    wiring.downloads,
    wiring.events,
    wiring.watch,
)


@task
def handler(render: Render) -> Render:
    return finalize(
        render,
        wiring.manifest(),
        wiring.library(),
        wiring.downloads(),
        wiring.events(),
        wiring.watch(),
        wiring.pace(),
        wiring.now,
    )
