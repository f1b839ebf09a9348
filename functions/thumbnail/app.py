"""State `Thumbnail`: a poster of the finished clip, and its thumbnail if one was asked for."""

from videoconductor import wiring, workflow
from videoconductor.clip import Render
from videoconductor.task import task


@task
def handler(render: Render) -> Render:
    return workflow.thumbnail(
        render, wiring.manifest(), wiring.library(), wiring.painter(), wiring.now
    )
