"""Jobs: one paid piece of work each, from the POST that started it to the answer it ends with."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from xai_simulator.journal import digest, stamp
from xai_simulator.orders import ImageOrder, Order, VideoOrder
from xai_simulator.scenarios import Markers

Status = Literal["pending", "done", "failed", "expired", "moderated"]
BILLED: tuple[Status, ...] = ("done", "moderated")


class JobFailed(Exception):
    """Work that ends in `failed`, with the code and message a poll reports."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass
class Artifact:
    """A file behind a result url."""

    name: str
    path: Path
    content_type: str
    markers: Markers
    downloads: int = 0
    gone: bool = False


@dataclass(frozen=True)
class Made:
    """A finished file, how long it is and what it was made from."""

    path: Path
    content_type: str
    seconds: float = 0.0
    resolution: str = ""
    ticks: int = 0


@dataclass
class Job:
    """One job and everything it has come to."""

    order: Order
    due: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    began: float = field(default_factory=time.time)
    started: float = field(default_factory=time.monotonic)
    status: Status = "pending"
    ticks: int = 0
    failure: JobFailed | None = None
    results: list[Made] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    files: list[dict[str, Any]] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    polls: int = 0
    strikes: dict[str, int] = field(default_factory=dict)

    @property
    def video(self) -> VideoOrder:
        """The order of a job that makes a video."""
        if not isinstance(self.order, VideoOrder):
            raise TypeError("not a video job")
        return self.order

    @property
    def image(self) -> ImageOrder:
        """The order of a job that makes stills."""
        if not isinstance(self.order, ImageOrder):
            raise TypeError("not an image job")
        return self.order

    def progress(self, steps: int) -> int:
        """How far the work is, 0 to 99, in `steps` steps."""
        whole = self.due - self.started
        share = (time.monotonic() - self.started) / whole if whole > 0 else 1.0
        return min(99, int(share * steps) * 100 // steps)

    def strikes_now(self, name: str, times: int) -> bool:
        """Whether a fault that strikes `times` times (0: always) strikes once more."""
        self.strikes[name] = self.strikes.get(name, 0) + 1
        return times == 0 or self.strikes[name] <= times

    def entry(self) -> dict[str, Any]:
        """The job as the journal has it."""
        order = self.order
        seconds = order.seconds if isinstance(order, VideoOrder) else None
        if seconds is None and self.results and isinstance(order, VideoOrder):
            seconds = round(self.results[0].seconds)
        return {
            "time": stamp(self.began),
            "id": self.id,
            "model": order.model,
            "operation": order.operation,
            "task": order.task,
            "seconds": seconds,
            "resolution": (self.results and self.results[0].resolution) or order.resolution,
            "cost_usd_ticks": self.ticks,
            "billed": self.status in BILLED,
            "prompt_sha256": digest(order.prompt),
            "marker": str(order.markers) or None,
            "status": self.status,
            "uploads": list(self.uploads),
        }
