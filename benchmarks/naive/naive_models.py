"""The ten models that a project of this kind has at least."""

from datetime import datetime
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, Field


class Overlay(BaseModel):
    text: str = Field(max_length=500)
    role: Literal["title", "subtitle", "cta", "caption"] | None = None


class Thumbnail(BaseModel):
    enabled: bool = True
    template: str = "default"
    overlays: list[Overlay] = []


class ClipRequest(BaseModel):
    prompt: str = Field(max_length=4096)
    qualityMode: str = "draft"  # noqa: N815
    duration: int = Field(default=6, ge=1, le=15)
    aspectRatio: str = "16:9"  # noqa: N815
    clipId: str | None = None  # noqa: N815
    pipelineRequestId: str | None = None  # noqa: N815
    maxCostUsd: Decimal | None = None  # noqa: N815
    thumbnail: Thumbnail | None = None


class CostLine(BaseModel):
    label: str
    amount: Decimal


class Estimate(BaseModel):
    usd: Decimal
    lines: list[CostLine]


class Plan(BaseModel):
    model: str
    resolution: str
    duration: int
    estimate: Estimate


class Attempt(BaseModel):
    number: int
    at: datetime
    outcome: Literal["accepted", "refused", "unknown"]


class Failure(BaseModel):
    error: str
    message: str


class Clip(BaseModel):
    request: ClipRequest
    plan: Plan | None = None
    requestId: str | None = None  # noqa: N815
    url: str | None = None


class Render(BaseModel):
    renderId: str  # noqa: N815
    status: Literal["planned", "rendering", "rendered", "finalized", "failed"]
    clip: Clip
    attempts: list[Attempt] = []
    failure: Failure | None = None
