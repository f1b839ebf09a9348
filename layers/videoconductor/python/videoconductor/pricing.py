"""What a plan will cost, line by line, at the prices of `models.json`."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from videoconductor.clip import CostLine, Estimate
from videoconductor.errors import InvalidRequest
from videoconductor.models import Model, TaskLimits

STILL = "still by"


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
) -> Estimate:
    """The cost of one render in US dollars.

    A source clip whose length nobody told us is taken at the longest the model accepts, and a
    resolution that follows the source at the dearest, so that the estimate is never exceeded.
    Raises InvalidRequest for a resolution without a price.
    """
    at_most = " (at most)" if has_source and source_seconds is None else ""
    if source_seconds is None:
        source_seconds = limits.max_source_seconds or Decimal(0)
    made_seconds = Decimal(seconds) if seconds is not None else source_seconds
    lines = [] if still is None else [still]
    lines.append(
        _line(
            f"{name} {resolution or ''}".strip() + (at_most if seconds is None else ""),
            made_seconds,
            "second",
            _second_price(name, model, resolution),
        )
    )
    if input_images:
        lines.append(
            _line("input images", Decimal(input_images), "image", model.prices.per_input_image)
        )
    if has_source:
        lines.append(
            _line(f"source clip{at_most}", source_seconds, "second", model.prices.per_input_second)
        )
    return Estimate(
        lines=tuple(lines),
        total_usd=sum((line.amount_usd for line in lines), Decimal(0)),
        as_of=model.as_of,
    )


def still_line(name: str, model: Model, quality: str | None) -> CostLine:
    """The cost of one generated still. Raises InvalidRequest for a quality without a price."""
    price = model.prices.per_image.get(quality or "default")
    if price is None:
        raise InvalidRequest.of(
            "imageModel",
            name,
            f"has no price for quality {quality!r}",
            list(model.prices.per_image),
        )
    return _line(f"{STILL} {name}", Decimal(1), "image", price)


def without_still(estimate: Estimate) -> Estimate:
    """The estimate of a render whose still is there already."""
    lines = tuple(line for line in estimate.lines if not line.what.startswith(STILL))
    total = sum((line.amount_usd for line in lines), Decimal(0))
    return estimate.model_copy(update={"lines": lines, "total_usd": total})


def _line(
    what: str, quantity: Decimal, unit: Literal["second", "image"], unit_usd: Decimal
) -> CostLine:
    return CostLine(
        what=what, quantity=quantity, unit=unit, unit_usd=unit_usd, amount_usd=quantity * unit_usd
    )


def _second_price(name: str, model: Model, resolution: str | None) -> Decimal:
    prices = model.prices.per_second
    if resolution is None:
        return max(prices.values())
    if resolution not in prices:
        raise InvalidRequest.of("resolution", resolution, f"has no price on {name}", list(prices))
    return prices[resolution]
