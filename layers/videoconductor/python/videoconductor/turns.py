"""The line before each model, in DynamoDB: a slot for every POST that is sent to it.

One item for a model, `TURNS#<model>`, `LINE`: it is read, and changed by one update whose condition
keeps two from having the same slot. A slot is no permission to spend: the permit comes after it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any

from videoconductor import aws, slots
from videoconductor.clip import Slot
from videoconductor.errors import ManifestUnavailable
from videoconductor.slots import LINGER, MISSED, ONE, Limit, Line, loose, micros, moment

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Who meets another at the item looks again, so many times and about so many seconds apart.
_MEETINGS = 12
_PAUSE = 0.05
_LOOKS = 3
# Names that one update takes out of the line, of films that have had all their turns.
_MOST_GONE = 20
_FILM = "film#"

Item = dict[str, Any]


class Turns:
    """Slots for POSTs. Each method raises ManifestUnavailable: nothing may be sent then."""

    def __init__(
        self,
        table: str,
        dynamodb: DynamoDBClient,
        limit: Callable[[str], Limit | None],
        clock: Callable[[], datetime],
        pause: Callable[[float], None],
        jitter: random.Random,
    ) -> None:
        """`limit` tells what a model takes, None where we hold to no limit."""
        self._table = table
        self._dynamodb = dynamodb
        self._limit = limit
        self._clock = clock
        self._pause = pause
        self._jitter = jitter

    def reserve(self, model: str, queue: str, held: Slot | None) -> Slot | None:
        """A slot for a POST to a model, or a place in the line of those that wait for one.

        `queue` names the film, `held` is what the clip was given before. None where there is no
        limit.
        """
        limit = self._limit(model)
        if limit is None:
            return None
        mine = held if held is not None and held.model == model else None
        for _ in range(_MEETINGS):
            now = micros(self._clock())
            line = self._line(model)
            if mine is not None and _is_good(mine, line, now):
                return mine
            given = self._given(model, queue, mine, line.at(now, limit), now, limit)
            if given is not None:
                return given
            self._pause(self._jitter.uniform(0, _PAUSE))
        raise ManifestUnavailable(f"the line of {model} changed {_MEETINGS} times while joining it")

    def stand(self, slot: Slot | None, queue: str) -> tuple[Slot | None, bool]:
        """Wait for a slot that is near: the slot, and whether the POST may go in it now.

        Where it is closed over, or was missed, it is another one. The last of them is taken though
        it was missed: where the table is slow each would be, and late costs a 429 at most.
        """
        for look in range(1, _LOOKS + 1):
            if slot is None:
                return None, True
            now = self._clock()
            if slots.is_far(slot, now):
                return slot, False
            if slot.at > now:
                self._pause((slot.at - now).total_seconds())
            at = micros(slot.at)
            stood = at if look == _LOOKS else max(at, micros(self._clock()))  # before the table's
            if _is_good(slot, self._line(slot.model), stood):
                return slot, True
            slot = self.reserve(slot.model, queue, loose(slot))
        return slot, False

    def close(self, model: str, seconds: float) -> None:
        """The provider has refused a POST for its rate: send nothing more for so long."""
        limit = self._limit(model)
        if limit is None:
            return
        now, line = micros(self._clock()), self._line(model)
        until = now + int(seconds * ONE)
        # Those that were under way together are refused together: that counts once.
        is_first = line.closed_until < now
        strain = slots.strained(line.strain) if is_first else line.strain
        self._changed(
            model,
            "SET closedUntil = :until, strain = :strain",
            "attribute_not_exists(closedUntil) OR closedUntil < :until",
            {":until": until, ":strain": strain},
        )

    def _given(
        self, model: str, queue: str, mine: Slot | None, line: Line, now: int, limit: Limit
    ) -> Slot | None:
        """A slot, or a place in the line; None when somebody else was quicker."""
        if mine is None:
            if line.is_free(now, limit) and queue not in line.films:
                return self._slot(model, queue, line.next_round(queue), line, now, limit)
            return self._place(model, queue, line, now, limit)
        if line.is_free(now, limit) or line.is_called(queue, mine.round, limit):
            return self._slot(model, queue, mine.round, line, now, limit)
        at = line.turn_at(queue, mine.round, now, limit)
        return mine.model_copy(update={"at": moment(at), "is_firm": False})

    def _place(self, model: str, queue: str, line: Line, now: int, limit: Limit) -> Slot | None:
        """A place in the line: the round after the last one that the film has a clip in."""
        names = {"#film": _FILM + queue}
        if queue in line.films:
            change, condition = "SET #film = #film + :one", "#film > :served"
            values = {":one": ONE, ":served": line.served}
        else:
            change = "SET #film = :round"
            condition = "attribute_not_exists(#film) OR #film <= :served"
            values = {":round": line.served + ONE, ":served": line.served}
        item = self._changed(model, change + _without(line, queue, names), condition, values, names)
        if item is None:
            return None
        now_in = _line(item).at(now, limit)
        turn = now_in.films.get(queue, line.next_round(queue))
        at = now_in.turn_at(queue, turn, now, limit)
        return Slot(model=model, round=turn, at=moment(at), is_firm=False)

    def _slot(
        self, model: str, queue: str, turn: int, line: Line, now: int, limit: Limit
    ) -> Slot | None:
        """The next slot there is, for good."""
        gap, floor = line.gap(limit), line.floor(limit, now)
        names: dict[str, str] = {}
        values = {":floor": floor}
        if line.next_at < floor:
            change = "SET nextAt = :next, served = :served"
            condition = "attribute_not_exists(nextAt) OR nextAt < :floor"
            values |= {":next": floor + gap, ":served": line.served + line.share(queue)}
        else:
            change = "SET nextAt = nextAt + :gap, served = served + :share"
            condition = "nextAt >= :floor AND nextAt <= :most"
            # Others may have been served since, but not so many that the slot is a far one now.
            most = max(line.next_at, now + line.tolerance(limit)) + LINGER
            values |= {":gap": gap, ":share": line.share(queue), ":most": most}
        if line.strain:
            change += ", strain = :strain"
            values[":strain"] = line.strain - math.ceil(line.strain / slots.RELIEF)
        if queue not in line.films and turn > line.served:
            change += ", #film = :turn"
            names["#film"], values[":turn"] = _FILM + queue, turn
        item = self._changed(model, change + _without(line, queue, names), condition, values, names)
        if item is None:
            return None
        at = int(item["nextAt"]["N"]) - gap - line.tolerance(limit)
        at = max(now, at, line.closed_until)
        return Slot(model=model, round=turn, at=moment(at), is_firm=True)

    def _line(self, model: str) -> Line:
        with _unavailable("GetItem"):
            found = self._dynamodb.get_item(
                TableName=self._table, Key=_key(model), ConsistentRead=True
            ).get("Item")
        return Line() if found is None else _line(found)

    def _changed(
        self,
        model: str,
        change: str,
        condition: str,
        values: dict[str, int],
        names: dict[str, str] | None = None,
    ) -> Item | None:
        """The item after a change; None when the condition does not hold."""
        request: Item = {
            "TableName": self._table,
            "Key": _key(model),
            "UpdateExpression": change,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": {name: {"N": str(n)} for name, n in values.items()},
            "ReturnValues": "ALL_NEW",
        }
        if names:
            request["ExpressionAttributeNames"] = dict(names)
        with _unavailable("UpdateItem"):
            try:
                return dict(self._dynamodb.update_item(**request)["Attributes"])
            except self._dynamodb.exceptions.ConditionalCheckFailedException:
                return None


def _without(line: Line, queue: str, names: dict[str, str]) -> str:
    """The part of an update that takes films out of the line that have had all their turns."""
    gone = [film for film in line.gone if film != queue][:_MOST_GONE]
    names |= {f"#gone{number}": _FILM + film for number, film in enumerate(gone)}
    return f" REMOVE {', '.join(f'#gone{number}' for number in range(len(gone)))}" if gone else ""


def _is_good(slot: Slot, line: Line, now: int) -> bool:
    """Whether a slot is one still: neither closed over nor missed."""
    at = micros(slot.at)
    return slot.is_firm and at >= line.closed_until and now - at <= MISSED


def _line(item: Item) -> Line:
    def number(name: str) -> int:
        return int(item.get(name, {}).get("N", 0))

    films = {name.removeprefix(_FILM): number(name) for name in item if name.startswith(_FILM)}
    return Line(
        next_at=number("nextAt"),
        closed_until=number("closedUntil"),
        served=number("served"),
        strain=number("strain"),
        films=films,
    )


def _key(model: str) -> Item:
    return {"pk": {"S": f"TURNS#{model}"}, "sk": {"S": "LINE"}}


def _unavailable(call: str) -> AbstractContextManager[None]:
    return aws.raising(ManifestUnavailable, f"DynamoDB {call}")
