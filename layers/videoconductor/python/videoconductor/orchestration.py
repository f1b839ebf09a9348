"""What AWS charges for the way of a POST, beside xAI's bill: an estimate at AWS's list prices.

Counted are the state transitions of `render_clip`, the functions of its states, the table's reads
and writes and what is put into S3. Not counted are the free tier, the doors, `render_film`, logs,
alarms, storage and what leaves AWS: together they come to less. How often a job was polled is not
on record; it is worked out from how long the POST was open.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

from videoconductor import pacing
from videoconductor.clip import Noun

Piece = Literal["still", "post", "poll", "end"]
_LONGEST_OPEN = 6 * 3600.0  # seconds; no deadline is later
POLL_MEGABYTES = 128  # of its function


class Work(NamedTuple):
    """What a piece of the way takes, as AWS counts it; `gigabyte_seconds` are usual ones."""

    transitions: int
    functions: int
    gigabyte_seconds: Decimal
    write_units: int
    read_units: int
    puts: int = 0


# A record has about four kilobytes, and is in an index as a whole: nine units for a write, and
# twice the record's where counters and the ledger are written with it.
WORK: Mapping[Piece, Work] = {
    # FirstFrame, IsFramed
    "still": Work(2, 1, Decimal(6), 52, 4, 1),
    # The start, NeedsFirstFrame, Start, IsStarted
    "post": Work(4, 1, Decimal(1), 46, 4),
    # Wait, Poll, IsRendered; the time for which Poll stays comes beside
    "poll": Work(3, 1, Decimal("0.05"), 5, 2),
    # Finalize, Thumbnail
    "end": Work(2, 2, Decimal(5), 56, 8, 4),
}


class Prices(Noun):
    """US dollars for one of each."""

    state_transition: Decimal
    lambda_request: Decimal
    lambda_gigabyte_second: Decimal
    table_write_unit: Decimal
    table_read_unit: Decimal
    object_put: Decimal


class PriceList(Noun):
    """What `aws-prices.json` holds."""

    schema_version: Literal["1"]
    currency: Literal["USD"]
    region: str
    prices: Prices
    as_of: str
    source: str

    @classmethod
    def from_json(cls, text: str) -> PriceList:
        """The prices of a JSON text. Raises pydantic's ValidationError."""
        return cls.model_validate_json(text)

    def usd(self, work: Work, times: int = 1) -> Decimal:
        """What a piece of work comes to, so many times."""
        each = (
            work.transitions * self.prices.state_transition
            + work.functions * self.prices.lambda_request
            + work.gigabyte_seconds * self.prices.lambda_gigabyte_second
            + work.write_units * self.prices.table_write_unit
            + work.read_units * self.prices.table_read_unit
            + work.puts * self.prices.object_put
        )
        return times * each


class Watched(NamedTuple):
    """How a job was watched: rounds of the machine, and seconds for which Poll stayed in all."""

    rounds: int
    stayed: float


def watched(open_seconds: float, interval: float, linger: float) -> Watched:
    """How a job is watched that is open for so long, where xAI reports no progress."""
    end = min(open_seconds, _LONGEST_OPEN)
    elapsed, rounds, stayed = 0.0, 0, 0.0
    gap = pacing.first_gap(interval, _LONGEST_OPEN, linger)
    while elapsed < end:
        elapsed, rounds = elapsed + gap, rounds + 1
        if pacing.lingers(elapsed, None, linger):
            stay = max(0.0, min(linger, end - elapsed))
            elapsed, stayed = elapsed + stay, stayed + stay
            usual = pacing.linger_gap(interval, elapsed, None)
            gap = pacing.round_gap(interval, usual, stay, _LONGEST_OPEN)
        else:
            gap = pacing.poll_gap(interval, elapsed, None, _LONGEST_OPEN)
    return Watched(rounds, stayed)


def cost(
    prices: PriceList,
    what: Literal["still", "clip"],
    open_seconds: float | None,
    interval: float,
    linger: float,
) -> Decimal:
    """What the way of one POST comes to; `open_seconds` until it was settled, if it was."""
    if what == "still":
        return prices.usd(WORK["still"])
    begun = prices.usd(WORK["post"])
    if open_seconds is None:
        return begun
    rounds, stayed = watched(open_seconds, interval, linger)
    polled = prices.usd(WORK["poll"], rounds)
    gigabyte_seconds = POLL_MEGABYTES * Decimal(round(stayed)) / 1024
    stay = gigabyte_seconds * prices.prices.lambda_gigabyte_second
    return begun + polled + stay + prices.usd(WORK["end"])
