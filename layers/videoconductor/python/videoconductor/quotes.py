"""Quotes: what a clip or a film will cost, line by line, and an id to hold the price to.

A quoteId is consent, not authority. It holds when it expires, how much was quoted, and a hash of
both and of what was asked for; nothing about it is secret, and whoever can ask for a film can make
one up. It says that somebody saw this price of this request lately, and it limits the run to it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Literal

from videoconductor import pricing
from videoconductor.clip import TICKS_PER_USD, ClipRequest, CostLine, FilmOrder
from videoconductor.errors import InvalidRequest, QuoteRequired
from videoconductor.models import ModelCatalog
from videoconductor.planning import PlannedClip

if TYPE_CHECKING:
    from videoconductor.script import FilmRequest

VALID_FOR = timedelta(days=1)

_QUOTE_ID = re.compile(r"q1-([0-9]{1,11})-([0-9]{1,18})-([0-9a-f]{32})", re.ASCII)
# What is asked for stays the same whatever it may cost and whoever is told of it.
_ASIDE = {"max_cost_usd", "quote_id", "callback_url"}


@dataclass(frozen=True)
class QuoteLine:
    """Something that is paid for, with the price's day and source; `most_usd` if all goes badly."""

    what: str
    model: str
    quantity: Decimal
    unit: Literal["second", "image"]
    unit_usd: Decimal
    least_usd: Decimal
    most_usd: Decimal
    as_of: str
    source: str


@dataclass(frozen=True)
class QuotedClip:
    """A clip and what is paid for it: nothing, unless it is due."""

    clip_id: str | None
    quality_mode: str
    is_due: bool
    is_reused: bool
    lines: tuple[QuoteLine, ...]
    warnings: tuple[str, ...]

    @property
    def least_usd(self) -> Decimal:
        """What it costs at least."""
        return sum((line.least_usd for line in self.lines), Decimal(0))

    @property
    def most_usd(self) -> Decimal:
        """What it costs at most."""
        return sum((line.most_usd for line in self.lines), Decimal(0))


@dataclass(frozen=True)
class Quote:
    """What a request costs at `made_at`, if it is handed in as it is.

    `content` is the hash of the request; `unpriced` are the models that have no price.
    """

    film: str
    clips: tuple[QuotedClip, ...]
    content: str
    made_at: datetime
    unpriced: tuple[str, ...] = ()

    @property
    def least_usd(self) -> Decimal:
        """What all that is due costs at least."""
        return sum((clip.least_usd for clip in self.clips), Decimal(0))

    @property
    def total_usd(self) -> Decimal:
        """What all that is due costs at most."""
        return sum((clip.most_usd for clip in self.clips), Decimal(0))

    @property
    def expires_at(self) -> datetime:
        """When it is good no longer."""
        return self.made_at.replace(microsecond=0) + VALID_FOR

    @property
    def quote_id(self) -> str | None:
        """What stands for it; None where something has no price, so that there is no total."""
        if self.unpriced:
            return None
        return _quote_id(self.content, int(self.expires_at.timestamp()), _ticks(self.total_usd))


def quote(
    film: str, clips: Iterable[PlannedClip], content: str, catalog: ModelCatalog, now: datetime
) -> Quote:
    """The quote of what was planned; `content` is of what was asked for."""
    planned = tuple(clips)
    unpriced = (pricing.unpriced(clip.plan.estimate) for clip in planned if clip.is_due)
    return Quote(
        film=film,
        clips=tuple(_quoted(clip, catalog) for clip in planned),
        content=content,
        made_at=now,
        unpriced=tuple(dict.fromkeys(name for names in unpriced for name in names)),
    )


def of_clip(request: ClipRequest) -> str:
    """The hash of a clip request as it was read, the same however it was spelt."""
    return _hashed(request.model_dump(mode="json", exclude_defaults=True, exclude=_ASIDE))


def of_script(film: FilmRequest, order: FilmOrder) -> str:
    """The hash of a script and how it is to be made, the same however both were spelt.

    It is of the script as it was read: the order of its keys, `6.0` for `6`, and naming a value
    that the schema gives anyway make no difference.
    """
    wanted = order.model_dump(mode="json", exclude_defaults=True, exclude=_ASIDE)
    if order.only:
        wanted["only"] = sorted(set(order.only))
    return _hashed([film.model_dump(mode="json", exclude_defaults=True), wanted])


def agreed(quote_id: str, content: str, now: datetime) -> Decimal:
    """The total in US dollars that a quoteId holds a request to. Raises InvalidRequest."""
    found = _QUOTE_ID.fullmatch(quote_id)
    if found is None:
        words = "is not a quoteId: it begins with q1-, as POST /v1/quotes gives it"
        raise InvalidRequest.of("quoteId", quote_id, words)
    expires, ticks = int(found[1]), int(found[2])
    if _quote_id(content, expires, ticks) != quote_id:
        words = "is of another request: what is asked for has changed, ask for another quote"
        raise InvalidRequest.of("quoteId", quote_id, words)
    if now.timestamp() >= expires:
        moment = datetime.fromtimestamp(expires, UTC).isoformat().replace("+00:00", "Z")
        raise InvalidRequest.of("quoteId", quote_id, f"expired on {moment}: ask for another quote")
    return Decimal(ticks) / TICKS_PER_USD


def required(found: Quote, above: Decimal) -> QuoteRequired:
    """The refusal of a request that costs more than may be spent without a word."""
    least, most = usd(found.least_usd), usd(found.total_usd)
    price = most if least == most else f"{least} to {most}"
    words = f"{price} is due, and more than {usd(above)} needs consent: "
    if found.unpriced:
        words += (
            f"no price is known of {', '.join(found.unpriced)}, so none can be given to all of it; "
            "leave those clips out"
        )
    else:
        words += (
            f"hand it in again with quoteId {found.quote_id} (good until "
            f"{found.expires_at:%Y-%m-%dT%H:%M:%SZ}), or with maxCostUsd"
        )
    return QuoteRequired(words, found)


def usd(amount: Decimal) -> str:
    """US dollars, with what there is below a cent."""
    whole, _, rest = f"{amount:.10f}".partition(".")
    return f"${whole}.{rest.rstrip('0'):0<2}"


def _quoted(clip: PlannedClip, catalog: ModelCatalog) -> QuotedClip:
    lines = clip.plan.estimate.lines if clip.is_due else ()
    return QuotedClip(
        clip_id=clip.clip_id,
        quality_mode=clip.plan.quality_mode,
        is_due=clip.is_due,
        is_reused=clip.is_reused,
        lines=tuple(_line(line, clip, catalog) for line in lines),
        warnings=clip.warnings if clip.is_due else (),
    )


def _line(line: CostLine, clip: PlannedClip, catalog: ModelCatalog) -> QuoteLine:
    name = clip.plan.image_model if line.is_still else clip.plan.model
    row = catalog.models[name or clip.plan.model]
    return QuoteLine(
        what=line.what,
        model=name or clip.plan.model,
        quantity=line.quantity,
        unit=line.unit,
        unit_usd=line.unit_usd,
        least_usd=line.at_least_usd,
        most_usd=line.amount_usd,
        as_of=row.as_of,
        source=row.source,
    )


def _hashed(content: object) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _quote_id(content: str, expires: int, ticks: int) -> str:
    return f"q1-{expires}-{ticks}-{_hashed([content, expires, ticks])[:32]}"


def _ticks(amount: Decimal) -> int:
    return int((amount * TICKS_PER_USD).to_integral_value(ROUND_CEILING))
