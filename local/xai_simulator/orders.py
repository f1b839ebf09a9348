"""Requests that passed: what is to be made, with every default filled in."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from videoconductor.models import Model, Task
from xai_simulator.scenarios import Markers

Operation = Literal["generate", "edit", "extend", "image", "image_edit"]
TICKS_PER_DOLLAR = 10**10
UNLISTED = Decimal("0.05")  # dollars for a second or an image of a model without a price


@dataclass(frozen=True)
class Origin:
    """Where an input is to be had: a url or the id of an uploaded file."""

    url: str | None = None
    file_id: str | None = None


@dataclass(frozen=True)
class Order:
    """What both kinds of work have in common; `asked` is the request that this came from."""

    operation: Operation
    task: Task
    model: str
    row: Model
    reported_model: str
    price_factor: float
    prompt: str
    markers: Markers
    storage: dict[str, Any] | None
    asked: dict[str, Any]
    aspect_ratio: str | None
    resolution: str


@dataclass(frozen=True)
class VideoOrder(Order):
    """One video: `seconds` is the new material; None for an edit, as long as its input."""

    seconds: int | None
    image: Origin | None = None
    further_images: tuple[Origin, ...] = ()
    video: Origin | None = None
    sound: bool = True
    upload_url: str | None = None

    def ticks(self, seconds: float, resolution: str, input_seconds: float = 0) -> int:
        """What this costs: new seconds, input images and input seconds, in 10^-10 dollars."""
        prices = self.row.prices
        images = len(self.further_images) + (self.image is not None)
        dollars = (
            Decimal(str(seconds)) * prices.per_second.get(resolution, UNLISTED)
            + images * prices.per_input_image
            + Decimal(str(input_seconds)) * prices.per_input_second
        )
        return round(dollars * Decimal(str(self.price_factor)) * TICKS_PER_DOLLAR)


@dataclass(frozen=True)
class ImageOrder(Order):
    """`count` stills of one prompt."""

    count: int
    quality: str
    base64: bool
    deferred: bool
    images: tuple[Origin, ...] = ()
    upload_urls: tuple[str, ...] = ()

    def ticks(self) -> int:
        """What this costs, in 10^-10 dollars; a quality that has no price costs the dearest."""
        prices = self.row.prices.per_image
        dearest = max(prices.values(), default=UNLISTED)
        each = prices.get(self.quality) or prices.get("default") or dearest
        dollars = self.count * each + len(self.images) * self.row.prices.per_input_image
        return round(dollars * Decimal(str(self.price_factor)) * TICKS_PER_DOLLAR)
