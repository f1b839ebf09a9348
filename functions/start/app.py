"""State `Start`: send the POST that costs money, once."""

from videoconductor import wiring
from videoconductor.clip import Render
from videoconductor.task import task
from videoconductor.workflow import start

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
    return start(
        render,
        wiring.manifest(),
        wiring.library(),
        wiring.provider(render.plan.provider),
        wiring.is_readable,
        wiring.witness,
        wiring.turns(),
        wiring.pace(),
        wiring.now,
        wiring.jitter(),
    )
