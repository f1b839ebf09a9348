"""Cost so far, what is reserved and the cap: how renders, runs and films stand with money."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from videoconductor import budgets
from videoconductor.budgets import Caps
from videoconductor.clip import FilmRun, Render
from videoconductor.ledger import Counter

if TYPE_CHECKING:
    from videoconductor.books import Tally


@dataclass(frozen=True)
class Standings:
    """The caps in force, and the counters that were looked up."""

    caps: Caps = field(default_factory=Caps)
    tallies: Mapping[Counter, Tally] = field(default_factory=dict)

    def render(self, render: Render) -> dict[str, Any]:
        """A render, against the tighter of its own limit and the cap on renders."""
        cap = budgets.render_cap(self.caps, render)
        return budgets.standing(cap, render.held_ticks, render.spent_ticks)

    def run(self, run: FilmRun) -> dict[str, Any] | None:
        """A run, against its own limit; None where nobody has summed it up yet."""
        tally = self.tallies.get(Counter("run", run.run_id))
        if run.max_cost_usd is not None and tally is not None:
            return budgets.standing(run.max_cost_usd, tally.held, tally.settled)
        if run.spent_usd is None or run.reserved_usd is None:
            return None
        held, spent = budgets.ticks(run.reserved_usd), budgets.ticks(run.spent_usd)
        return budgets.standing(run.max_cost_usd, held, spent)

    def film(self, film: str) -> dict[str, Any] | None:
        """A film with all its runs and single clips, against its cap; None if not looked up."""
        tally = self.tallies.get(Counter("film", film))
        if tally is None:
            return None
        return budgets.standing(self.caps.cap("film", film), tally.held, tally.settled)


def wanted(runs: Iterable[FilmRun], film: str | None) -> set[Counter]:
    """The counters that it takes to tell how these runs, and a film, stand."""
    found = {Counter("run", run.run_id) for run in runs if run.max_cost_usd is not None}
    return found if film is None else {*found, Counter("film", film)}


def booked(run: FilmRun, render: Render) -> tuple[int, int]:
    """Ticks held and settled for those POSTs of a render that belong to a run.

    A run without a limit is not named in them: there, those permitted since it was asked for.
    """
    mine = [
        attempt
        for attempt in (*render.still_attempts, *render.attempts)
        if (
            attempt.permitted_at >= run.requested_at
            if run.max_cost_usd is None
            else attempt.run_id == run.run_id
        )
    ]
    return sum(a.held_ticks for a in mine), sum(a.spent_ticks or 0 for a in mine)
