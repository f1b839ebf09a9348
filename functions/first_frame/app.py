"""State `FirstFrame`: have the still made that the clip starts from, once."""

from videoconductor import wiring, workflow
from videoconductor.clip import Render
from videoconductor.task import task

wiring.prepare(
    Render.model_rebuild,
    wiring.manifest,
    wiring.turns,
    wiring.library,
    wiring.secrets,
    wiring.providers,
)


@task
def handler(render: Render) -> Render:
    return workflow.first_frame(
        render,
        wiring.manifest(),
        wiring.library(),
        wiring.provider(render.plan.provider),
        wiring.witness,
        wiring.turns(),
        wiring.pace(),
        wiring.now,
        wiring.jitter(),
    )
