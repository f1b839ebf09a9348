"""What a plan will cost, line by line, at the prices of `models.json`."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

from videoconductor.clip import STILL, CostLine, Estimate, RenderPlan
from videoconductor.errors import InvalidRequest
from videoconductor.models import Model, ModelCatalog, TaskLimits

INPUT_IMAGES, SOURCE_CLIP = "input images", "source clip"
NO_PRICE = " (no price)"  # how the line of an estimate ends whose model has none


def estimate(
    name: str,
    model: Model,
    limits: TaskLimits,
    *,
    seconds: int | None,
    resolution: str | None,
    input_images: int,
    still: CostLine | None = None,
    has_source: bool = False,
    source_seconds: Decimal | None = None,
    source_resolution: str | None = None,
) -> Estimate:
    """The cost of one render in US dollars: what it is at most, and on each line the least.

    A source clip whose length nobody told us is taken at the longest the model accepts, and a
    resolution that follows the source at the dearest, so that the estimate is never exceeded; at
    least it is the shortest, at the cheapest. Raises InvalidRequest for a resolution without a
    price.
    """
    at_most = " (at most)" if has_source and source_seconds is None else ""
    shortest = source_seconds
    if source_seconds is None:
        source_seconds = limits.max_source_seconds or Decimal(0)
        shortest = limits.min_source_seconds or Decimal(0)
    assert shortest is not None
    made = Decimal(seconds) if seconds is not None else source_seconds
    made_at_least = Decimal(seconds) if seconds is not None else shortest
    lines = [] if still is None else [still]
    what = f"{name} {resolution or ''}".strip() + (at_most if seconds is None else "")
    if model.is_priced:
        least, most = _second_prices(name, model, resolution, source_resolution, has_source)
        lines.append(_line(what, made, "second", most, made_at_least * least))
    else:
        lines.append(_line(what + NO_PRICE, made, "second", Decimal(0)))
    if input_images:
        lines.append(
            _line(INPUT_IMAGES, Decimal(input_images), "image", model.prices.per_input_image)
        )
    if has_source:
        each = model.prices.per_input_second
        lines.append(
            _line(f"{SOURCE_CLIP}{at_most}", source_seconds, "second", each, shortest * each)
        )
    return _of(lines, model.as_of)


def still_line(
    name: str, model: Model, quality: str | None, *, may_be_there: bool = False
) -> CostLine:
    """The cost of one generated still; at least nothing, if it `may_be_there` already.

    Raises InvalidRequest for a quality without a price.
    """
    if not model.is_priced:
        return _line(f"{STILL} {name}{NO_PRICE}", Decimal(1), "image", Decimal(0))
    price = model.prices.per_image.get(quality or "default")
    if price is None:
        raise InvalidRequest.of(
            "imageModel",
            name,
            f"has no price for quality {quality!r}",
            list(model.prices.per_image),
        )
    least = Decimal(0) if may_be_there else price
    return _line(f"{STILL} {name}", Decimal(1), "image", price, least)


def without_still(estimate: Estimate) -> Estimate:
    """The estimate of a render whose still is there already."""
    if not any(line.is_still for line in estimate.lines):
        return estimate
    return _of([line for line in estimate.lines if not line.is_still], estimate.as_of)


def with_still(estimate: Estimate) -> Estimate:
    """The estimate of a render whose still is known not to be there: it is paid for."""
    if not any(line.is_still for line in estimate.lines):
        return estimate
    lines = (
        line.model_copy(update={"least_usd": None}) if line.is_still else line
        for line in estimate.lines
    )
    return _of(lines, estimate.as_of)


def repriced(plan: RenderPlan, catalog: ModelCatalog) -> RenderPlan:
    """A plan with its estimate at the prices of now. What has no row any more keeps its price."""
    lines = [_repriced(line, plan, catalog) for line in plan.estimate.lines]
    row = catalog.models.get(plan.model)
    as_of = plan.estimate.as_of if row is None else row.as_of
    return plan.model_copy(update={"estimate": _of(lines, as_of)})


def _repriced(line: CostLine, plan: RenderPlan, catalog: ModelCatalog) -> CostLine:
    row = catalog.models.get((plan.image_model or "") if line.is_still else plan.model)
    if row is None:
        return line
    prices = row.prices
    if line.is_still:
        price = prices.per_image.get(plan.image_quality or "default")
    elif line.what == INPUT_IMAGES:
        price = prices.per_input_image
    elif line.what.startswith(SOURCE_CLIP):
        price = prices.per_input_second
    elif plan.operation != "generate" and line.unit_usd in prices.per_second.values():
        price = line.unit_usd  # by the resolution of its source, which the plan does not say
    elif plan.resolution is None:
        price = max(prices.per_second.values(), default=None)
    else:
        price = prices.per_second.get(plan.resolution)
    what = line.what.removesuffix(NO_PRICE)
    if price is None:
        return _line(what + NO_PRICE, line.quantity, line.unit, Decimal(0))
    if price == line.unit_usd:
        return line
    least = line.least_usd
    if least is not None and line.unit_usd:
        least *= price / line.unit_usd
    return _line(what, line.quantity, line.unit, price, least)


def unpriced(estimate: Estimate) -> tuple[str, ...]:
    """What of an estimate nobody knows a price of."""
    names = [line.what for line in estimate.lines if line.what.endswith(NO_PRICE)]
    return tuple(name.removesuffix(NO_PRICE).removeprefix(STILL).strip() for name in names)


def _of(lines: Iterable[CostLine], as_of: str) -> Estimate:
    kept = tuple(lines)
    return Estimate(
        lines=kept,
        total_usd=sum((line.amount_usd for line in kept), Decimal(0)),
        as_of=as_of,
        is_priced=not any(line.what.endswith(NO_PRICE) for line in kept),
    )


def _line(
    what: str,
    quantity: Decimal,
    unit: Literal["second", "image"],
    unit_usd: Decimal,
    least_usd: Decimal | None = None,
) -> CostLine:
    amount = quantity * unit_usd
    return CostLine(
        what=what,
        quantity=quantity,
        unit=unit,
        unit_usd=unit_usd,
        amount_usd=amount,
        least_usd=None if least_usd == amount else least_usd,
    )


def _second_prices(
    name: str,
    model: Model,
    resolution: str | None,
    source_resolution: str | None,
    has_source: bool,
) -> tuple[Decimal, Decimal]:
    """The least and the most that a second costs.

    What is made of a source clip keeps its resolution, whatever was asked for.
    """
    prices = model.prices.per_second
    if resolution is not None and resolution not in prices:
        raise InvalidRequest.of("resolution", resolution, f"has no price on {name}", list(prices))
    if has_source and source_resolution in prices:
        return prices[source_resolution], prices[source_resolution]
    most = max(prices.values()) if resolution is None else prices[resolution]
    return (min(prices.values()) if has_source else most), most
