"""The contract of a video provider: two calls and an opaque job. It never sleeps or retries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from videoconductor.clip import Frame, RenderPlan

Job = dict[str, JsonValue]
FrameUrl = Callable[[Frame], str]


@dataclass(frozen=True)
class Pending:
    """Not finished; `progress` is 0 to 100 where the provider says."""

    progress: int | None = None


@dataclass(frozen=True)
class Ready:
    """Finished: where the clip is, which model made it, what it cost in ticks (10^10 a dollar)."""

    url: str
    model: str | None = None
    seconds: float | None = None
    cost_ticks: int | None = None


@dataclass(frozen=True)
class MadeStill:
    """An image that was made: its bytes, `image/…` type, and cost in ticks where it is told."""

    content: bytes
    media_type: str
    cost_ticks: int | None = None


class Provider(Protocol):
    """A video API."""

    def start(
        self, plan: RenderPlan, frame_url: FrameUrl, trace: str, upload_url: str | None = None
    ) -> Job:
        """Send the one POST that costs money, and return the job's handle.

        `frame_url` gives the url under which a frame is handed over; `trace` names the attempt in
        the provider's logs; `upload_url`, a secret, is where it is to PUT the clip besides. Raises
        NotSent or RateLimited when nothing was accepted and it may be sent again, RenderRefused
        when nothing was accepted and it may not, SubmitUnknown otherwise.
        """
        ...

    def make_still(self, plan: RenderPlan, trace: str, upload_url: str | None = None) -> MadeStill:
        """Send the one POST for the still of `plan.first_frame_prompt`, and return the image.

        Raises what `start` raises; a RenderFailed that is no RenderRefused may have been billed.
        """
        ...

    def poll(self, job: Job) -> Pending | Ready:
        """Ask once how the job stands.

        Raises ProviderUnavailable (or KeyRefused, JobNotFound) when the answer says nothing about
        the job, RenderFailed when it says that no clip will come, NoUrl when one was made and the
        answer does not say where it is.
        """
        ...

    def attach(self, request_id: str) -> Job:
        """The handle of a job whose request id somebody found again."""
        ...
