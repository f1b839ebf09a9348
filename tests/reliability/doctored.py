"""After the matrix: does `doctor` list what is held, and nothing that should have been mended?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tests.reliability.matrix import Result
from tests.reliability.stage import Stage

# For a person to decide; the rest is for the sweep, and the sweep has been there.
A_PERSONS = frozenset({"submit_unknown", "stalled", "held"})
SEED = "earlier"  # entries that the drill itself has put there, without an object
ASKER = "drill-d0c70000"


@dataclass(frozen=True)
class Examined:
    """Held paid jobs by render that `doctor` lists and does not, and what else it has found."""

    listed: int
    unlisted: tuple[str, ...]
    others: tuple[str, ...]


def examine(stage: Stage, results: Iterable[Result]) -> Examined:
    """Ask the doctor about everything that the cases have left."""
    findings = list(pages(stage))
    named = {finding["name"] for finding in findings if finding["kind"] in A_PERSONS}
    held = [render_id for one in results for render_id in one.held]
    strange = Counter(
        finding["kind"]
        for finding in findings
        if finding["kind"] not in A_PERSONS and SEED not in str(finding)
    )
    return Examined(
        listed=sum(render_id in named for render_id in held),
        unlisted=tuple(render_id for render_id in held if render_id not in named),
        others=tuple(f"{kind}: {count}" for kind, count in sorted(strange.items())),
    )


def pages(stage: Stage) -> Iterator[dict[str, Any]]:
    """Every finding, page by page."""
    path = "/v1/doctor"
    while True:
        page = stage.ask(ASKER, "GET", path, None)
        yield from page["findings"]
        if page["nextCursor"] is None:
            return
        path = f"/v1/doctor?cursor={quote(page['nextCursor'])}"
