"""One paid job that shows whether xAI delivers to `output.upload_url`, and what it says then."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from videoconductor import planning
from videoconductor.clip import TICKS_PER_USD, ClipRequest, Incoming, RenderPlan
from videoconductor.errors import (
    CopyInterrupted,
    InvalidRequest,
    NotAClip,
    NothingDelivered,
    NotSent,
    NoUrl,
    ProviderUnavailable,
    RenderFailed,
    RenderRefused,
    SubmitUnknown,
)
from videoconductor.models import ModelCatalog
from videoconductor.mp4 import Mp4Inspector
from videoconductor.planning import PlanDefaults
from videoconductor.providers import Job, Provider, Ready
from videoconductor.quality import QualityModes
from videoconductor_cli.errors import NoAnswer, NoClip

PROMPT = "A grey card on a white table, still, no camera movement"
SECONDS = 1
GRACE = 30.0  # seconds after the job is done in which the file may still come

# Opens what has arrived, in chunks; None where nobody here can look.
Arrived = Callable[[], AbstractContextManager[Incoming]]


@dataclass(frozen=True)
class Pace:
    """How often to look and for how long, in seconds, and what lets time pass."""

    gap: float
    most: float
    clock: Callable[[], float]
    pause: Callable[[float], None]


@dataclass(frozen=True)
class Arrival:
    """What has come to the place that the POST named; `bytes` 0 for nothing."""

    bytes: int = 0
    is_clip: bool = False


@dataclass(frozen=True)
class Finding:
    """What the job showed. `arrival` is None where nobody here could look."""

    request_id: str
    model: str
    has_url: bool
    arrival: Arrival | None
    estimated_usd: Decimal
    billed_usd: Decimal | None

    @property
    def is_delivered(self) -> bool | None:
        """Whether the whole clip came; None where nobody here could look."""
        return None if self.arrival is None else self.arrival.is_clip

    def document(self) -> dict[str, Any]:
        """The finding as JSON."""
        return {
            "requestId": self.request_id,
            "model": self.model,
            "delivered": self.is_delivered,
            "deliveredBytes": None if self.arrival is None else self.arrival.bytes,
            "urlIsFilled": self.has_url,
            "estimatedCostUsd": float(self.estimated_usd),
            "costUsd": None if self.billed_usd is None else float(self.billed_usd),
        }


def cheapest(modes: QualityModes, models: ModelCatalog, defaults: PlanDefaults) -> RenderPlan:
    """The plan of the cheapest clip there is: one second, of text alone, at list prices.

    Raises InvalidRequest when no model can make one that has a price.
    """
    plans = []
    for name in models.names():
        for resolution in models.models[name].resolutions:
            asked = ClipRequest(prompt=PROMPT, duration=SECONDS, model=name, resolution=resolution)
            try:
                plan = planning.plan(asked, modes, models, defaults)
            except InvalidRequest:
                continue
            plans += [plan] if plan.estimate.is_priced else []
    if not plans:
        raise InvalidRequest.of("model", None, "there is none with a price that makes such a clip")
    return min(plans, key=lambda plan: plan.estimate.total_usd)


def probe(
    plan: RenderPlan,
    provider: Provider,
    upload_url: str,
    arrived: Arrived | None,
    trace: str,
    pace: Pace,
    say: Callable[[str], None],
) -> Finding:
    """Pay for one job that is to be delivered to `upload_url`, and see what comes.

    Raises NoAnswer when xAI did not take it or cannot be asked, NoClip when no clip came of it.
    """
    job = _started(plan, provider, upload_url, trace)
    request_id = str(job["requestId"])
    say(f"job {request_id} is under way")
    end = _ended(provider, job, pace)
    arrival = None if arrived is None else _arrival(arrived, pace)
    billed = None if end.cost_ticks is None else Decimal(end.cost_ticks) / TICKS_PER_USD
    has_url = isinstance(end, Ready)
    return Finding(request_id, plan.model, has_url, arrival, plan.estimate.total_usd, billed)


def _started(plan: RenderPlan, provider: Provider, upload_url: str, trace: str) -> Job:
    try:
        return provider.start(plan, lambda frame: "", trace, upload_url)
    except RenderRefused as refused:
        raise NoClip(f"xAI refused the POST, nothing was spent: {refused}") from refused
    except NotSent as unsent:
        raise NoAnswer(f"nothing was sent, or accepted: {unsent}") from unsent
    except SubmitUnknown as unknown:
        words = f"xAI may have accepted the job and bill it; it is not sent again: {unknown}"
        raise NoClip(words) from unknown


def _ended(provider: Provider, job: Job, pace: Pace) -> Ready | NoUrl:
    """How the job ended, with a url or without one."""
    end, told = pace.clock() + pace.most, ""
    while pace.clock() < end:
        try:
            found = provider.poll(job)
        except NoUrl as without:
            return without
        except RenderFailed as failed:
            raise NoClip(f"job {job['requestId']} ended without a clip: {failed}") from failed
        except ProviderUnavailable as unavailable:
            told = f": {unavailable}"
        else:
            if isinstance(found, Ready):
                return found
        pace.pause(pace.gap)
    raise NoAnswer(f"job {job['requestId']} is not done after {pace.most:g} s{told}")


def _arrival(arrived: Arrived, pace: Pace) -> Arrival:
    end = pace.clock() + GRACE
    while (found := _look(arrived)).bytes == 0 and pace.clock() < end:
        pace.pause(pace.gap)
    return found


def _look(arrived: Arrived) -> Arrival:
    inspector, size = Mp4Inspector(), 0
    try:
        with arrived() as incoming:
            for chunk in incoming.chunks:
                size += len(chunk)
                inspector.feed(chunk)
            inspector.facts()
    except NothingDelivered:
        return Arrival()
    except (NotAClip, CopyInterrupted):
        return Arrival(size)
    return Arrival(size, is_clip=True)
