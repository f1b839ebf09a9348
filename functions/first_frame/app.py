"""State `FirstFrame`: have the still made that the clip starts from, once."""

from videoconductor import wiring
from videoconductor.clip import Render
from videoconductor.task import task
from videoconductor.workflow import first_frame

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
    return first_frame(
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
