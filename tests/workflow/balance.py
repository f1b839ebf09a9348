"""What the counters and the ledger must come to, reckoned from the records alone."""

from __future__ import annotations

from collections.abc import Iterable

from videoconductor import identity, ledger
from videoconductor.books import Books, Tally
from videoconductor.clip import Attempt, Render
from videoconductor.ledger import Counter


def counted(attempt: Attempt) -> int:
    """What a cap has to count for an attempt, by the words of the rule."""
    if attempt.spent_ticks is not None:
        return attempt.spent_ticks
    is_free = attempt.outcome in {"refused", "not_sent"}
    return 0 if is_free else attempt.reserved_ticks


def standing(renders: Iterable[Render]) -> dict[Counter, int]:
    """What each counter should stand at."""
    sums: dict[Counter, int] = {}
    for render in renders:
        for attempt in (*render.still_attempts, *render.attempts):
            day = ledger.day_of(attempt.permitted_at)
            caller = identity.principal(attempt.caller or render.caller)
            film = render.pipeline_request_id
            for counter in ledger.counters(day, film, caller, attempt.run_id):
                sums[counter] = sums.get(counter, 0) + counted(attempt)
    return sums


def check_books(renders: Iterable[Render], books: Books) -> dict[Counter, Tally]:
    """Counters, ledger and records say the same, and no less than nothing; the counters."""
    renders = list(renders)
    days = [day for day, _ in books.tallies("day")]
    by_ledger = ledger.changes(entry for day in days for entry in books.entries(day))
    kept = {
        Counter(scope, name): tally
        for scope in ledger.SCOPES
        for name, tally in books.tallies(scope)
    }
    assert {c: (t.held, t.settled, t.entries) for c, t in kept.items()} == dict(by_ledger)
    assert {c: t.total for c, t in kept.items() if t.total} == {
        counter: total for counter, total in standing(renders).items() if total
    }
    for counter, tally in kept.items():
        assert tally.held >= 0, counter
        assert tally.held + tally.settled == tally.total, counter
    for render in renders:
        for attempt in (*render.still_attempts, *render.attempts):
            assert attempt.outcome not in {"refused", "not_sent"} or attempt.held_ticks == 0
    return kept
