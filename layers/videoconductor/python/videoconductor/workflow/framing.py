"""The verb first_frame: the still that a clip starts from, made once and shared."""

from __future__ import annotations

import hashlib
import random
from typing import TYPE_CHECKING

from aws_lambda_powertools import Logger

from videoconductor import identity, inputs, permits, slots
from videoconductor.clip import Attempt, Frame, Render, Still
from videoconductor.errors import (
    CopyFailed,
    LibraryUnavailable,
    NotAClip,
    NothingDelivered,
    NotSent,
    RenderFailed,
    StillInTheMaking,
    SubmitUnknown,
)
from videoconductor.permits import Clock, Witness
from videoconductor.providers import MadeStill, Provider
from videoconductor.workflow.guards import (
    HOLDER_GONE,
    Pace,
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

WAIT_FOR_OTHERS = 5  # seconds, while another render has the same still made
WAIT_FOR_WITNESS = 15  # seconds between two looks, while the lease lasts
# Whether the process died or the answer broke off: with a witness both wait out the lease.
NOT_DELIVERED = "no answer is on record, and nothing was delivered while the permit was held"
MAX_STILL_BYTES = 24 * 1024 * 1024
NO_IMAGE = "no_image"

_log = Logger(service="videoconductor", child=True)


def first_frame(
    render: Render,
    manifest: Manifest,
    library: Library,
    provider: Provider,
    witness: Witness,
    turns: Turns,
    pace: Pace,
    clock: Clock,
    jitter: random.Random,
) -> Render:
    """Have the still made that the clip starts from, or take the one that is there already.

    `witness` gives the url under which the provider is to deliver it, if it is to; `turns` when the
    POST may go. Returns the render with its first frame, or `planned` or `framing` with
    `wait_seconds` until FirstFrame may run again. Raises SubmitUnknown or a RenderFailed, each on
    record already.
    """
    began = clock()
    record = current(manifest, render, pace, clock)
    if record.status not in {"planned", "framing"}:
        return resumed(record)
    if record.plan.first_frame_prompt is None or record.plan.image is not None:
        return record.having(clock(), wait_seconds=1)
    permit = permits.newest(record, "still_attempts")
    if permit is not None and permit.outcome == "submitting":
        return _recovered_still(record, permit, manifest, library, clock)
    there = _there(record, manifest, library, clock)
    if there is not None:
        return there
    queue = slots.queue_of(record)
    slot, is_mine = turns.stand(turns.reserve(_image_model(record), queue, render.slot), queue)
    if slot is not None and not is_mine:
        return waiting(record, slot, clock)
    in_time(began, clock)
    number = permits.next_number(record, "still_attempts")
    upload_url = witness(library.still_witness_key(record.render_id, number))
    try:
        record = permits.take(
            manifest,
            record,
            "still_attempts",
            pace.lease,
            clock,
            has_witness=upload_url is not None,
        )
    except StillInTheMaking:
        return record.having(clock(), wait_seconds=WAIT_FOR_OTHERS)
    try:
        made = _made(record, library, provider, upload_url)
    except (NotSent, RenderFailed) as problem:
        again = answered(manifest, record, "still_attempts", problem, clock, jitter)
        return put_off(again, problem, slot, turns)
    except SubmitUnknown as problem:
        if upload_url is None:
            raise permits.unknown(manifest, record, clock, str(problem)) from problem
        # It may be on its way to the place that the POST named: until the lease has passed.
        _log.warning("no answer to the POST for the still")
        return record.having(clock(), wait_seconds=WAIT_FOR_WITNESS)
    return _framed(manifest, record, made, clock, number)


def _there(record: Render, manifest: Manifest, library: Library, clock: Clock) -> Render | None:
    """The render with a still that somebody has paid for before."""
    shape = identity.still_fingerprint(record.plan)
    still = manifest.still(record.pipeline_request_id, record.clip_id, shape)
    if still is not None:
        return _framed(manifest, record, still, clock)
    late = _late(record, library)
    return None if late is None else _framed(manifest, record, late[0], clock, late[1])


def _made(record: Render, library: Library, provider: Provider, upload_url: str | None) -> Still:
    """The still that is paid for with this POST, kept in the library."""
    attempt = record.still_attempts[-1]
    trace = f"{record.render_id}-still-{attempt.number}"
    try:
        return _kept_still(provider.make_still(record.plan, trace, upload_url), record, library)
    except RenderFailed as problem:
        # Where a place was named to deliver to, the answer may do without the image.
        still = _witnessed(record, attempt, library) if problem.code == NO_IMAGE else None
        if still is None:
            raise
        return still.model_copy(update={"cost_ticks": problem.cost_ticks})


def _image_model(record: Render) -> str:
    return record.plan.image_model or ""


def _number(record: Render) -> int:
    return record.still_attempts[-1].number


def _recovered_still(
    record: Render, permit: Attempt, manifest: Manifest, library: Library, clock: Clock
) -> Render:
    """The render with a still that was kept but is not on record, as soon as it is found."""
    shape = identity.still_fingerprint(record.plan)
    kept = manifest.still(record.pipeline_request_id, record.clip_id, shape)
    if kept is not None and kept.render_id == record.render_id:
        return _framed(manifest, record, kept, clock, permit.number)
    for media_type in inputs.IMAGE_SUFFIXES:
        key = library.still_key(record, media_type, permit.number)
        if library.exists(key):
            content = b"".join(library.read(key))
            still = _still(record, key, media_type, content)
            return _framed(manifest, record, still, clock, permit.number)
    late = _witnessed(record, permit, library)
    if late is not None:
        return _framed(manifest, record, late, clock, permit.number)
    left = permits.lease_left(permit, clock())
    if left > 0:
        wait = left if permit.witness is None else min(left, WAIT_FOR_WITNESS)
        return record.having(clock(), wait_seconds=wait)
    words = HOLDER_GONE if permit.witness is None else NOT_DELIVERED
    raise permits.unknown(manifest, record, clock, words)


def _late(record: Render, library: Library) -> tuple[Still, int] | None:
    """A still that was delivered after it was given up, and the attempt that it is of."""
    for attempt in reversed(record.still_attempts):
        still = _witnessed(record, attempt, library)
        if still is not None:
            return still, attempt.number
    return None


def _witnessed(record: Render, attempt: Attempt, library: Library) -> Still | None:
    """The still that the provider has delivered for an attempt whose answer nobody has."""
    if attempt.witness is None or attempt.outcome not in {"submitting", "unknown", "abandoned"}:
        return None
    key = library.still_witness_key(record.render_id, attempt.number)
    try:
        with library.delivered(key, MAX_STILL_BYTES) as incoming:
            content = b"".join(incoming.chunks)
    except (NothingDelivered, NotAClip):
        return None
    media_type = inputs.image_type(content)
    if media_type is None:
        return None
    kept = library.put_still(record, media_type, content, attempt.number)
    return _still(record, kept, media_type, content)


def _kept_still(made: MadeStill, record: Render, library: Library) -> Still:
    """The still in the library: the first thing done with it, for its answer is its only copy.

    Raises CopyFailed when it is lost.
    """
    _log.info("still made")
    try:
        key = library.put_still(record, made.media_type, made.content, _number(record))
    except LibraryUnavailable as problem:
        lost = CopyFailed(f"the still was made but could not be kept: {problem}", code="still")
        lost.cost_ticks = made.cost_ticks
        raise lost from problem
    return _still(record, key, made.media_type, made.content, made.cost_ticks)


def _framed(
    manifest: Manifest, record: Render, still: Still, clock: Clock, number: int | None = None
) -> Render:
    """Put the still on record: as the film's, and as the render's first frame.

    `number` is the attempt that paid for it, if it was one of this render. One that comes after
    the render has another first frame is booked, and no more.
    """
    if number is not None:
        manifest.keep_still(record.pipeline_request_id, record.clip_id, still)
    frame = Frame(key=still.key, media_type=still.media_type)

    def framed(latest: Render) -> Render:
        now = clock()
        if number is not None:
            latest = latest.having(
                now,
                **permits.with_attempt(
                    latest,
                    "still_attempts",
                    number,
                    outcome="accepted",
                    has_ended=True,
                    message=None,
                    settled_at=now,
                    **_paid(latest, number).costing(still.cost_ticks),
                ),
            )
        if latest.plan.image is not None:
            return latest
        plan = latest.plan.model_copy(update={"image": frame})
        return latest.having(now, still=still, plan=plan, wait_seconds=1)

    return unless_cancelled(manifest.update(record.render_id, framed))


def _paid(record: Render, number: int) -> Attempt:
    return next(attempt for attempt in record.still_attempts if attempt.number == number)


def _still(
    record: Render, key: str, media_type: str, content: bytes, cost_ticks: int | None = None
) -> Still:
    return Still(
        fingerprint=identity.still_fingerprint(record.plan),
        render_id=record.render_id,
        model=_image_model(record),
        key=key,
        media_type=media_type,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        cost_ticks=cost_ticks,
    )
