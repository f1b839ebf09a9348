"""Whose turn it is with a model that takes only so many requests a second.

Pure arithmetic on the line before a model, as `turns` keeps it in the table. The rate is held by
GCRA: `next_at` is the theoretical arrival time, each slot moves it on by one gap. Who comes next is
decided by fair queueing: in each round every film that waits has one clip sent.
All times are microseconds since 1970, all rounds millionths.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from videoconductor.clip import DEFAULT_FILM

if TYPE_CHECKING:
    from videoconductor.clip import Render, Slot

ONE = 1_000_000  # microseconds in a second, and the parts of a round
# Of what a model allows: a POST reaches it some hundredths of a second after its slot, or more.
SHARE = 0.9
# A slot that is no further away may be waited for in process.
LINGER = 2 * ONE
# One that passed longer ago belongs to the past: those after it are used already.
MISSED = ONE // 6
# By how many thousandths the gaps grow when the provider refuses us all the same, and at most;
# each slot after that takes its part of it back.
STRAIN, MOST_STRAIN, RELIEF = 250, 15_000, 64


class Limit(NamedTuple):
    """What a model takes: requests a second, and how many of them at the same moment."""

    per_second: float
    burst: int = 1


@dataclass(frozen=True)
class Line:
    """The line before a model.

    `served` counts the rounds that are over; `films` has for each film that waits the round in
    which the last of its clips has its turn. Before `closed_until` nothing may be sent; `strain`
    is by how many thousandths the gaps are longer than the limit asks for. `gone` are films that
    have had all their turns.
    """

    next_at: int = 0
    closed_until: int = 0
    served: int = 0
    strain: int = 0
    films: Mapping[str, int] = field(default_factory=dict)
    gone: tuple[str, ...] = ()

    def gap(self, limit: Limit) -> int:
        """Microseconds from one slot to the next."""
        return int(ONE / (limit.per_second * SHARE)) * (1000 + self.strain) // 1000

    def tolerance(self, limit: Limit) -> int:
        """By how many microseconds a slot may come before its theoretical time."""
        return (limit.burst - 1) * self.gap(limit)

    def floor(self, limit: Limit, now: int) -> int:
        """The earliest theoretical time that a slot given now may have."""
        return max(now, self.closed_until + self.tolerance(limit))

    def at(self, now: int, limit: Limit) -> Line:
        """The line as it stands now: idle time has served whoever did not come."""
        idle = max(0, now - self.next_at) if self.next_at else 0
        served = self.served + idle * ONE // (self.gap(limit) * max(1, len(self._waiting())))
        waiting = {film: last for film, last in self.films.items() if last > served}
        gone = tuple(film for film in self.films if film not in waiting)
        return replace(self, served=served, films=waiting, gone=gone)

    def _waiting(self) -> list[str]:
        return [film for film, last in self.films.items() if last > self.served]

    def share(self, film: str) -> int:
        """How far one clip of this film that is sent brings the round."""
        return ONE // len({*self._waiting(), film})

    def next_round(self, film: str) -> int:
        """The round of a clip of this film that joins the line."""
        return max(self.served, self.films.get(film, 0)) + ONE

    def ahead(self, film: str, turn: int) -> int:
        """How many clips come before the one of `film` whose turn is in the round `turn`."""
        count = 0
        for other, last in self.films.items():
            # Within a round films go by name.
            bound = turn if other < film else turn - 1
            newest = last if last <= bound else bound - (bound - last) % ONE
            count += max(0, -((self.served - newest) // ONE))
        return count

    def turn_at(self, film: str, turn: int, now: int, limit: Limit) -> int:
        """When a clip should come, if nobody else joins the line."""
        first = max(self.floor(limit, now), self.next_at)
        return first + self.ahead(film, turn) * self.gap(limit)

    def is_free(self, now: int, limit: Limit) -> bool:
        """Whether a slot could be had now that is near enough to wait for it in process."""
        return max(self.next_at, self.closed_until) <= now + LINGER + self.tolerance(limit)

    def is_called(self, film: str, turn: int, limit: Limit) -> bool:
        """Whether so few are ahead that the slots of the next seconds are theirs and this one's."""
        return self.ahead(film, turn) * self.gap(limit) <= LINGER


def strained(strain: int) -> int:
    """The strain after one more refusal."""
    return min(strain + strain // 4 + STRAIN, MOST_STRAIN)


def queue_of(render: Render) -> str:
    """The line's name for those who wait as one: a film, or a caller's clips that are of none."""
    name = render.pipeline_request_id
    if name == DEFAULT_FILM:
        name = f"{DEFAULT_FILM}::{render.caller}"
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def loose(slot: Slot) -> Slot:
    """A slot that was not used, as the place in the line that it was given for."""
    return slot.model_copy(update={"is_firm": False})


def is_far(slot: Slot, now: datetime) -> bool:
    """Whether a slot is none to wait for in process."""
    return not slot.is_firm or (slot.at - now).total_seconds() > LINGER / ONE


def micros(moment: datetime) -> int:
    """A time in microseconds since 1970."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * ONE + since.microseconds


def moment(at: int) -> datetime:
    """The time of so many microseconds since 1970."""
    return datetime.fromtimestamp(at // ONE, UTC).replace(microsecond=at % ONE)
