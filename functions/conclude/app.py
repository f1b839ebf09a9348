"""State `Conclude`: sum up a run of a film whose clips have had their turn."""

from typing import Any

from videoconductor import filming, wiring
from videoconductor.clip import FilmRun
from videoconductor.task import film_task


@film_task
def handler(event: dict[str, Any]) -> FilmRun:
    run = filming.conclude(
        wiring.manifest().run(event["film"], event["runId"]),
        event["marker"],
        wiring.manifest(),
        wiring.library(),
        wiring.events(),
        wiring.now,
    )
    # The machine goes by the status; record, result and event have the clips.
    return run.model_copy(update={"missing": ()})
