"""State `Thumbnail`: a poster of the finished clip, and its thumbnail if one was asked for."""

from videoconductor import wiring
from videoconductor.clip import Render
from videoconductor.task import task
from videoconductor.workflow import thumbnail


@task
def handler(render: Render) -> Render:
    return thumbnail(render, wiring.manifest(), wiring.library(), wiring.painter(), wiring.now)
