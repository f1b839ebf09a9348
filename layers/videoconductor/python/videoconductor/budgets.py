"""Caps on what may be spent, and the kill switch: one document for the whole stack.

What is held counts as if it were spent. A cap is enforced where a permit to POST is taken, by the
conditions of the very write that takes it: however many start at once, the sum stays within it.
"""

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Literal, NamedTuple, Self

from pydantic import Field

from videoconductor import identity, ledger, pricing
from videoconductor.clip import TICKS_PER_USD, MaxCost, Noun, Render, RenderPlan
from videoconductor.errors import (
    BudgetExceeded,
    InvalidRequest,
    OverBudget,
    SpendingStopped,
    Unpriced,
)
from videoconductor.ledger import Counter

Scope = Literal["render", "film", "caller", "day", "month"]
# What each of them counts: all attempts of one render; one film, for good; one caller in a
# calendar month; everybody on a day, and in a calendar month. Days and months are UTC's.
SCOPES: tuple[Scope, ...] = ("render", "film", "caller", "day", "month")
NAMED: tuple[Scope, ...] = ("film", "caller")
DEFAULT_DAY_USD = 100
MAX_NAMED = 1000
MAX_NAMED_BYTES = 100_000  # of films, and of callers: all caps are one item of 400 KB at most
RESUME = "videoconductor budget resume"
PRICING = (
    "leave those clips out, choose another model, or enter the price in presets/models.json and "
    "deploy"
)

# Room that a write demands of each counter: its total may be so many ticks before it at most.
Room = Mapping[Counter, int]


class Caps(Noun):
    """Every cap there is, in US dollars; None is no cap. `films` and `callers` are those of one.

    `version` rises with every change. While `stopped_at` is set, no POST is let out.
    """

    version: int = 0
    render: MaxCost | None = None
    film: MaxCost | None = None
    caller: MaxCost | None = None
    day: MaxCost | None = Field(default_factory=lambda: Decimal(DEFAULT_DAY_USD))
    month: MaxCost | None = None
    films: dict[str, MaxCost | None] = Field(default_factory=dict)
    callers: dict[str, MaxCost | None] = Field(default_factory=dict)
    stopped_at: datetime | None = None
    stopped_because: str | None = None
    changed_at: datetime | None = None
    changed_by: str | None = None

    def cap(self, scope: Scope, name: str | None = None) -> Decimal | None:
        """The cap on a scope; for a named film or caller its own, if it has one."""
        own = {"film": self.films, "caller": self.callers}.get(scope, {})
        if name is not None and name in own:
            return own[name]
        found: Decimal | None = getattr(self, scope)
        return found

    def with_cap(self, scope: str, name: str | None, amount: Decimal | None) -> Self:
        """These with another cap; None takes it away. Raises InvalidRequest."""
        if scope not in SCOPES:
            raise InvalidRequest.of("scope", scope, "is not known", SCOPES)
        if name is None:
            return self.model_copy(update={scope: amount})
        if scope not in NAMED:
            raise InvalidRequest.of("name", name, f"has no meaning with {scope}", ())
        field = f"{scope}s"
        named = {**getattr(self, field), name: amount}
        if len(named) > MAX_NAMED or sum(len(known.encode()) for known in named) > MAX_NAMED_BYTES:
            words = f"is one {scope} too many: {MAX_NAMED}, of {MAX_NAMED_BYTES} bytes in all"
            raise InvalidRequest.of(f"caps.{scope}", name, words)
        return self.model_copy(update={field: named})

    def without_own(self, scope: Scope, name: str) -> Self:
        """These with no cap of its own for one film or caller: the general one counts again."""
        field = f"{scope}s"
        named = {known: cap for known, cap in getattr(self, field).items() if known != name}
        return self.model_copy(update={field: named})

    def stopped(self, now: datetime, because: str) -> Self:
        """These with the kill switch set; the first reason stays."""
        if self.stopped_at is not None:
            return self
        return self.model_copy(update={"stopped_at": now, "stopped_because": because})

    def resumed(self) -> Self:
        """These with the kill switch off."""
        return self.model_copy(update={"stopped_at": None, "stopped_because": None})


Change = Callable[[Caps], Caps]


class Making(NamedTuple):
    """A still that a render is about to have made, and how long others wait for it."""

    film: str
    clip_id: str
    fingerprint: str
    until: datetime


class Terms(NamedTuple):
    """What must hold at the moment a permit is taken, or it is not."""

    caps: Caps
    room: Room
    making: Making | None = None


def ticks(usd: Decimal) -> int:
    """US dollars in ticks, rounded up."""
    return math.ceil(usd * TICKS_PER_USD)


def usd(amount: int) -> Decimal:
    """Ticks in US dollars."""
    return Decimal(amount) / TICKS_PER_USD


def price(plan: RenderPlan, what: ledger.What) -> int | None:
    """What the POST for a render's still, or for its clip, costs at most, in ticks.

    None where no price is known of something that it pays for.
    """
    lines = [line for line in plan.estimate.lines if line.is_still == (what == "still")]
    if not plan.estimate.is_priced and any(line.what.endswith(pricing.NO_PRICE) for line in lines):
        return None
    return ticks(sum((line.amount_usd for line in lines), Decimal(0)))


def room(caps: Caps, render: Render, amount: int | None, now: datetime) -> Room:
    """What each counter may stand at for one more POST of `amount` ticks by this render.

    `amount` is None where there is no price. The caps on the render itself are settled here: its
    record holds all that it spent. Raises SpendingStopped, Unpriced, BudgetExceeded.
    """
    if caps.stopped_at is not None:
        raise SpendingStopped(f"spending is stopped: {caps.stopped_because or 'no reason given'}")
    own = render_cap(caps, render)
    caller = identity.principal(render.set_going_by or render.caller)
    run_id = render.run_id if render.run_limit_usd is not None else None
    bounds = capped(caps, render.pipeline_request_id, caller, now)
    if run_id is not None and render.run_limit_usd is not None:
        bounds[Counter("run", run_id)] = render.run_limit_usd
    found = {counter: (cap, ticks_down(cap)) for counter, cap in bounds.items()}
    if amount is None:
        if own is None and not found:
            return {}
        names = ", ".join(pricing.unpriced(render.plan.estimate))
        raise Unpriced(f"no price is known of {names}, and there is a cap; nothing was sent")
    if own is not None and render.spent_ticks + render.held_ticks + amount > ticks_down(own):
        is_its_own = own == render.max_cost_usd and own != caps.render
        scope = "own" if is_its_own else "render"
        raise exceeded(scope, None, own, render.held_ticks, render.spent_ticks, amount)
    for counter, (cap, bound) in found.items():
        if amount > bound:
            raise exceeded(counter.scope, counter.name, cap, 0, 0, amount)
    return {counter: bound - amount for counter, (_, bound) in found.items()}


def render_cap(caps: Caps, render: Render) -> Decimal | None:
    """What a render may cost in all: the tighter of its own limit and the cap on renders."""
    return min((c for c in (render.max_cost_usd, caps.render) if c is not None), default=None)


def ticks_down(amount: Decimal) -> int:
    """A cap in ticks, rounded down."""
    return math.floor(amount * TICKS_PER_USD)


def exceeded(
    scope: str, name: str | None, cap: Decimal, held: int, settled: int, amount: int
) -> BudgetExceeded:
    """The refusal of a POST that a cap is short of room for; `own` is a render's own limit."""
    of = "" if name is None else f" {name.rpartition('#')[2]!r}"
    what = "the render's own limit" if scope == "own" else f"the cap on the {scope}{of}"
    words = (
        f"{what} is {shown(ticks_down(cap))}: {shown(settled)} spent and "
        f"{shown(held)} reserved leave no room for {shown(amount)}; nothing was sent"
    )
    return BudgetExceeded(words, code=f"cap:{scope}")


def raising(scope: str, name: str | None = None) -> str:
    """The command that gives a scope, or one of its names, another cap; USD is to be filled in."""
    named = "" if name is None else f" --name {shlex.quote(name)}"
    return f"videoconductor budget set {scope} USD{named}"


def capped(caps: Caps, film: str, caller: str, now: datetime) -> dict[Counter, Decimal]:
    """The counters of a film that a caller has made now, and the cap on each that has one."""
    caps_of: dict[ledger.Scope, Decimal | None] = {
        "day": caps.day,
        "month": caps.month,
        "film": caps.cap("film", film),
        "caller": caps.cap("caller", caller),
    }
    return {
        counter: cap
        for counter in ledger.counters(ledger.day_of(now), film, caller, None)
        if (cap := caps_of[counter.scope]) is not None
    }


def check_room(counter: Counter, cap: Decimal, held: int, settled: int, needed: int) -> None:
    """Refuse what a cap is too small for, however well it goes; `needed` is the least it costs.

    A courtesy, before anything is written: whoever is let through here may find no room all the
    same when something is sent. Raises OverBudget.
    """
    scope, name = counter.scope, counter.name.rpartition("#")[2]
    change = raising(scope, name if scope in NAMED else None)
    _check(scope, name, cap, held, settled, needed, change)


def check_render(caps: Caps, clip_id: str, held: int, settled: int, needed: int) -> None:
    """Refuse a clip that the cap on renders has no room for. Raises OverBudget."""
    if caps.render is not None:
        _check("render", clip_id, caps.render, held, settled, needed, raising("render"))


def check_priced(unpriced: Sequence[str], needed: int) -> None:
    """Refuse what has no price while there is a cap: nothing could be reserved for it.

    Raises OverBudget.
    """
    if not unpriced:
        return
    names = ", ".join(dict.fromkeys(unpriced))
    raise OverBudget(
        f"no price is known of {names}, and while there is a cap nothing without a price is sent; "
        f"nothing was written, nothing was spent. Asking again is of no use until somebody does "
        f"one of these: {PRICING}",
        scope="unpriced",
        name=names,
        cap=None,
        held=0,
        settled=0,
        needed=needed,
        change=PRICING,
    )


def _check(
    scope: str, name: str, cap: Decimal, held: int, settled: int, needed: int, change: str
) -> None:
    if held + settled + needed <= ticks_down(cap):
        return
    raise OverBudget(
        f"the cap on the {scope} {name!r} is {shown(ticks_down(cap))}: {shown(settled)} spent and "
        f"{shown(held)} reserved leave no room for the {shown(needed)} that this costs at least; "
        f"nothing was written, nothing was spent. Asking again is of no use until somebody makes "
        f"room: {change}",
        scope=scope,
        name=name,
        cap=cap,
        held=held,
        settled=settled,
        needed=needed,
        change=change,
    )


def check_stop(caps: Caps, needed: int) -> None:
    """Refuse what costs something while the kill switch is set. Raises OverBudget."""
    if caps.stopped_at is None:
        return
    raise OverBudget(
        f"spending is stopped: {caps.stopped_because or 'no reason given'}; nothing was written, "
        f"nothing was spent. Asking again is of no use until somebody resumes it: {RESUME}",
        scope="stop",
        name=None,
        cap=None,
        held=0,
        settled=0,
        needed=needed,
        change=RESUME,
    )


def shown(amount: int) -> str:
    """Ticks as people read dollars: two places at least, no more than there are."""
    text = f"{usd(amount):.10f}".rstrip("0")
    whole, _, cents = text.partition(".")
    return f"${whole}.{cents.ljust(2, '0')}"


def standing(cap: Decimal | None, held: int, settled: int) -> dict[str, float | None]:
    """A cap beside what counts towards it, in US dollars, as doors tell it."""
    left = None if cap is None else max(usd(ticks_down(cap) - held - settled), Decimal(0))
    return {
        "capUsd": None if cap is None else float(cap),
        "spentUsd": float(usd(settled)),
        "reservedUsd": float(usd(held)),
        "leftUsd": None if left is None else float(left),
    }
