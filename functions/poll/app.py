"""State `Poll`: has the provider finished?"""

from videoconductor import wiring
from videoconductor.clip import Render
from videoconductor.task import task
from videoconductor.workflow import poll

wiring.prepare(
    Render.model_rebuild,
    wiring.manifest,
    wiring.library,
    wiring.secrets,
    wiring.providers,
)


@task
def handler(render: Render) -> Render:
    return poll(
        render,
        wiring.manifest(),
        wiring.library(),
        wiring.provider(render.plan.provider),
        wiring.pace(),
        wiring.now,
        wiring.pause,
    )
