"""What makes a clip or a still this one and no other, and who a caller is."""

from __future__ import annotations

import hashlib
import json
import re

from videoconductor.clip import RenderPlan, ThumbnailOrder

# What reaches the models. Prices, warnings and the mode's name do not: a mode is its model and
# resolution.
SHAPING = frozenset(
    {
        "operation",
        "task",
        "provider",
        "model",
        "prompt",
        "duration",
        "aspect_ratio",
        "resolution",
        "image",
        "last_frame",
        "references",
        "source_video_url",
        "first_frame_prompt",
        "image_model",
        "image_quality",
        "image_resolution",
    }
)

_ASSUMED_ROLE = re.compile(r"(arn:[^:]+:sts::[^:]*:assumed-role/(.+))/[^/]+")


def fingerprint(plan: RenderPlan) -> str:
    """SHA-256 over all that shapes the clip: equal for plans that ask the models the same thing.

    Taken of a plan as it was made, before its images were put anywhere. What is absent does not
    count, so a parameter invented later leaves the clips alone that do not use it.
    """
    shape = plan.model_dump(mode="json", include=set(SHAPING), exclude_none=True)
    shape = {name: value for name, value in shape.items() if value != []}
    text = json.dumps(shape, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def thumbnail_fingerprint(order: ThumbnailOrder | None) -> str | None:
    """SHA-256 over what a thumbnail is to look like; None where none is wanted."""
    if order is None or not order.enabled:
        return None
    return hashlib.sha256(order.model_dump_json().encode()).hexdigest()


def still_fingerprint(plan: RenderPlan) -> str:
    """SHA-256 over all that shapes a clip's still: two renders with the same one share it."""
    shape = {
        "provider": plan.provider,
        "prompt": plan.first_frame_prompt,
        "model": plan.image_model,
        "quality": plan.image_quality,
        "resolution": plan.image_resolution,
        "aspectRatio": plan.aspect_ratio,
    }
    text = json.dumps(shape, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def principal(caller: str) -> str:
    """Who a caller is from one session to the next.

    A role's session name changes with every process that assumes it, so it does not count; but
    behind a role of IAM Identity Center it is the person's own name, and does.
    """
    match = _ASSUMED_ROLE.fullmatch(caller)
    return match[1] if match and not match[2].startswith("AWSReservedSSO_") else caller
