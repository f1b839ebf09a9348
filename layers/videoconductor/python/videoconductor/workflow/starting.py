"""The verb start: the POST that costs money, sent under a permit that is good for one."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger
from pydantic import ValidationError

from videoconductor import permits, slots
from videoconductor.clip import Frame, Render, RenderPlan, request_id
from videoconductor.errors import (
    ManifestUnavailable,
    NotSent,
    RenderFailed,
    SourceNotAllowed,
    SubmitUnknown,
)
from videoconductor.permits import Clock, Witness
from videoconductor.providers import Provider
from videoconductor.workflow.guards import (
    HOLDER_GONE,
    Pace,
    accepted,
    answered,
    current,
    in_time,
    put_off,
    resumed,
    unless_cancelled,
    waiting,
)

if TYPE_CHECKING:
    from videoconductor.library import Library
    from videoconductor.manifest import Manifest
    from videoconductor.turns import Turns

SOURCE_URL_SECONDS = 3600  # xAI fetches a source clip when it begins on the job

_log = Logger(service="videoconductor", child=True)


def start(
    render: Render,
    manifest: Manifest,
    library: Library,
    provider: Provider,
    is_readable: Callable[[str], bool],
    witness: Witness,
    turns: Turns,
    pace: Pace,
    clock: Clock,
    jitter: random.Random,
) -> Render:
    """Send the POST that costs money, under a permit that is good for one.

    `is_readable` tells whether the provider can fetch from a url; `witness` gives the url under
    which it is to deliver the clip, if it is to; `turns` when the POST may go. Returns the render
    `rendering`, or `planned` with `wait_seconds` until Start may run again. Raises SubmitUnknown,
    RenderRefused or RenderCancelled, each on record already.
    """
    began = clock()
    record = current(manifest, render, pace, clock)
    if record.status not in {"planned", "framing"}:
        return resumed(record)
    attempt = record.attempt
    if attempt is not None and attempt.outcome == "submitting":
        left = permits.lease_left(attempt, clock())
        if left > 0:
            return record.having(clock(), wait_seconds=left)
        raise permits.unknown(manifest, record, clock, HOLDER_GONE)

    queue = slots.queue_of(record)
    slot = turns.reserve(record.plan.model, queue, render.slot)
    if slot is not None and slots.is_far(slot, clock()):
        return waiting(record, slot, clock)
    frame_urls = _frame_urls(record, library)
    try:
        plan = _opened(record.plan, library, is_readable)
    except SourceNotAllowed as problem:
        refused = permits.given_up(record, problem, clock)
        manifest.update(record.render_id, refused)
        raise
    number = permits.next_number(record, "attempts")
    upload_url = witness(library.witness_key(record.render_id, number))
    slot, is_mine = turns.stand(slot, queue)
    if slot is not None and not is_mine:
        return waiting(record, slot, clock)
    in_time(began, clock)
    record = permits.take(
        manifest, record, "attempts", pace.lease, clock, has_witness=upload_url is not None
    )
    attempt = record.attempts[-1]
    trace = f"{record.render_id}-{attempt.number}"
    try:
        job = provider.start(plan, frame_urls.__getitem__, trace, upload_url)
    except (NotSent, RenderFailed) as problem:
        again = answered(manifest, record, "attempts", problem, clock, jitter)
        return put_off(again, problem, slot, turns)
    except SubmitUnknown as problem:
        raise permits.unknown(manifest, record, clock, str(problem)) from problem
    # First of all a line in the log: from here on the job is paid for.
    _log.info("job accepted", extra={"job": request_id(job)})
    put_on_record = accepted(attempt.number, job, pace, clock)
    try:
        return unless_cancelled(manifest.update(record.render_id, put_on_record))
    except (ManifestUnavailable, ValidationError):  # the latter of a record of another release
        # The document carries the job to the next state, which puts it on record.
        _log.warning("job accepted but not on record yet")
        return put_on_record(record)


def _frame_urls(record: Render, library: Library) -> dict[Frame, str]:
    """What the provider is handed for each frame: its url, or the image itself.

    An image of ours travels inside the POST, because a url into a local stack is none to xAI.
    """
    plan = record.plan
    frames = [frame for frame in (plan.image, plan.last_frame, *plan.references) if frame]
    urls = {}
    for frame in frames:
        if frame.key is None:
            urls[frame] = frame.url or ""
        else:
            content = base64.b64encode(b"".join(library.read(frame.key))).decode("ascii")
            urls[frame] = f"data:{frame.media_type};base64,{content}"
    return urls


def _opened(plan: RenderPlan, library: Library, is_readable: Callable[[str], bool]) -> RenderPlan:
    """The plan with a url for a source clip of our own. It opens the clip: it is never kept."""
    key = library.key_of(plan.source_video_url)
    if key is None:
        if plan.source_video_url is not None and plan.source_video_url.startswith("s3://"):
            raise SourceNotAllowed("xAI cannot fetch from another bucket than ours", code="source")
        return plan
    url = library.presigned_url(key, SOURCE_URL_SECONDS)
    if not is_readable(url):
        raise SourceNotAllowed(
            "xAI cannot fetch a source clip from this machine: deploy the stack, or give a public "
            "url",
            code="source",
        )
    return plan.model_copy(update={"source_video_url": url})
