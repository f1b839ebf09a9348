"""State `Finalize`: copy the clip into the library, enter it into the manifest, announce it."""

from videoconductor import wiring, workflow
from videoconductor.clip import Render
from videoconductor.task import task

wiring.prepare(
    Render.model_rebuild,
    wiring.manifest,
    wiring.library,
    wiring.downloads,
    wiring.events,
    wiring.watch,
)


@task
def handler(render: Render) -> Render:
    return workflow.finalize(
        render,
        wiring.manifest(),
        wiring.library(),
        wiring.downloads(),
        wiring.events(),
        wiring.watch(),
        wiring.pace(),
        wiring.now,
    )
