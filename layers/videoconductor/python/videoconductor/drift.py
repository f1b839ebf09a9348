"""Drift: where what xAI did with a POST differs from what models.json says of it.

A price has drifted when xAI billed more or less than was reserved, by more than a set percentage
of it: the price, or the date of its row, is out of date. A model has drifted when another one than
the one asked for made the clip. Each drift of each POST is told once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from videoconductor import budgets, permits
from videoconductor.clip import Attempt, CostLine, Render
from videoconductor.ledger import What
from videoconductor.models import ModelCatalog
from videoconductor.pricing import NO_PRICE

PRICE_DRIFT = "PriceDrift"
MODEL_DRIFT = "ModelDrift"


@dataclass(frozen=True)
class Drift:
    """One drift of one POST, for a render's still or its clip. `model` is the one asked for."""

    name: ClassVar[str]

    what: What
    attempt: Attempt
    model: str

    @property
    def key(self) -> str:
        """Tells it from every other drift of its render."""
        return f"{self.name}#{self.what}#{self.attempt.number}"


@dataclass(frozen=True)
class PriceDrift(Drift):
    """xAI billed `cost_ticks` where `least_ticks` to `most_ticks` were expected."""

    name: ClassVar[str] = PRICE_DRIFT

    least_ticks: int
    most_ticks: int
    cost_ticks: int

    @property
    def is_upward(self) -> bool:
        """Whether it cost more than expected."""
        return self.cost_ticks > self.most_ticks

    @property
    def percent(self) -> Decimal:
        """How far beside the expected it is, in percent of the bound it is beyond; negative below.

        To one decimal place.
        """
        bound = self.most_ticks if self.is_upward else self.least_ticks
        return round(Decimal(100 * (self.cost_ticks - bound)) / bound, 1)

    def words(self, render_id: str) -> str:
        """Why spending is stopped by it."""
        return (
            f"{PRICE_DRIFT}: a {self.what} by {self.model} cost {budgets.shown(self.cost_ticks)} "
            f"where {budgets.shown(self.most_ticks)} was reserved (render {render_id})"
        )


@dataclass(frozen=True)
class ModelDrift(Drift):
    """xAI says that `served` made it."""

    name: ClassVar[str] = MODEL_DRIFT

    served: str


@dataclass(frozen=True)
class Watch:
    """What drift is measured by, and what is done about it.

    Beyond `percent` a price has drifted; with `stops`, one that did upwards sets the kill switch.
    `count` counts a drift by its name, for the alarm.
    """

    models: ModelCatalog
    percent: Decimal
    stops: bool
    count: Callable[[str], None]

    def untold(self, record: Render) -> tuple[Drift, ...]:
        """The drifts of a render that nobody was told of."""
        drifts = found(record, self.models, self.percent)
        return tuple(drift for drift in drifts if drift.key not in record.drifts_told)

    def reason_to_stop(self, record: Render, drifts: tuple[Drift, ...]) -> str | None:
        """Why no more may be spent after these; None if it may."""
        if not self.stops:
            return None
        upward = (one for one in drifts if isinstance(one, PriceDrift) and one.is_upward)
        return next((one.words(record.render_id) for one in upward), None)


def found(record: Render, models: ModelCatalog, percent: Decimal) -> tuple[Drift, ...]:
    """Every drift there is on a render's record, the still's first, oldest first."""
    return tuple(_found(record, models, percent))


def canonical(models: ModelCatalog, name: str) -> str:
    """The name under which models.json has a model, or what replaced it; else the name itself."""
    retired = models.retired.get(name)
    wanted = name if retired is None else retired.replaced_by
    rows = models.models.items()
    return next((known for known, row in rows if wanted in {known, *row.aliases}), wanted)


def _found(record: Render, models: ModelCatalog, percent: Decimal) -> Iterator[Drift]:
    for attempt in record.still_attempts:
        common: dict[str, Any] = {"what": "still", "attempt": attempt}
        common["model"] = record.plan.image_model or ""
        yield from _of_price(record, common, attempt.outcome == "accepted", percent)
        yield from _of_model(models, common, attempt.model_served)
    for attempt in record.attempts:
        common = {"what": "clip", "attempt": attempt, "model": record.plan.model}
        is_its_clip = attempt is (permits.of_job(record) or record.attempts[-1])
        delivery = record.delivery if is_its_clip else None
        yield from _of_price(record, common, delivery is not None, percent)
        # Of an attempt of before it was kept there, the delivery still says it.
        served = attempt.model_served or (delivery.model if delivery else None)
        yield from _of_model(models, common, served)


def _of_price(
    record: Render, common: dict[str, Any], is_made: bool, percent: Decimal
) -> Iterator[PriceDrift]:
    """A POST whose cost was not reported, or had no price, says nothing about prices.

    Nor does one that brought nothing and cost less: what fails may be billed in part, or not.
    """
    attempt: Attempt = common["attempt"]
    lines = _lines(record, common["what"])
    cost, most = attempt.cost_ticks, attempt.reserved_ticks
    if cost is None or most <= 0 or any(line.what.endswith(NO_PRICE) for line in lines):
        return
    # A still that may be there already costs nothing, or all of it once there is a POST.
    spreads = (line.amount_usd - _least(line) for line in lines if not line.is_still)
    least = most - budgets.ticks(sum(spreads, Decimal(0)))
    is_above = 100 * cost > most * (100 + percent)
    is_below = is_made and 100 * cost < least * (100 - percent)
    if is_above or is_below:
        yield PriceDrift(**common, least_ticks=least, most_ticks=most, cost_ticks=cost)


def _of_model(
    models: ModelCatalog, common: dict[str, Any], served: str | None
) -> Iterator[ModelDrift]:
    if served is not None and canonical(models, served) != canonical(models, common["model"]):
        yield ModelDrift(**common, served=served)


def _lines(record: Render, what: What) -> tuple[CostLine, ...]:
    lines = record.plan.estimate.lines
    return tuple(line for line in lines if line.is_still == (what == "still"))


def _least(line: CostLine) -> Decimal:
    return line.amount_usd if line.least_usd is None else line.least_usd
