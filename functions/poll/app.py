"""State `Poll`: has the provider finished?"""

from videoconductor import wiring, workflow
from videoconductor.clip import Render
from videoconductor.task import task

wiring.prepare(
    Render.model_rebuild,
    wiring.manifest,
    wiring.library,
    wiring.secrets,
    wiring.providers,
)


@task
def handler(render: Render) -> Render:
    return workflow.poll(
        render,
        wiring.manifest(),
        wiring.library(),
        wiring.provider(render.plan.provider),
        wiring.pace(),
        wiring.now,
        wiring.pause,
    )
