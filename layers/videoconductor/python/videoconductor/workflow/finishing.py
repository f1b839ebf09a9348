"""The verbs finalize and thumbnail, and the event: what becomes of a finished clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from videoconductor import copying, identity, permits, recovering, reports
from videoconductor.clip import SETTLED, Attempt, Clip, Delivery, Failure, Pictures, Render, Status
from videoconductor.drift import Drift, Watch
from videoconductor.errors import (
    ClipConflict,
    CopyFailed,
    CopyInterrupted,
    NotAClip,
    NothingDelivered,
    RecordChanged,
    RenderFailed,
    RenderStalled,
    SubmitUnknown,
    UrlExpired,
    VideoConductorError,
)
from videoconductor.permits import Clock, while_same
from videoconductor.workflow.guards import Pace, current, in_charge, resumed, unless_cancelled
from videoconductor.workflow.polling import fail

if TYPE_CHECKING:
    from videoconductor.download import Downloads
    from videoconductor.events import Events
    from videoconductor.library import Library
    from videoconductor.manifest import Manifest

# Makes the poster of a clip's file, and its thumbnail from it or from a still: JPEGs.
Painter = Callable[[Render, Iterable[bytes], bytes | None], tuple[bytes, bytes | None]]

MAX_EXPIRED_URLS = 4
# What lies there does not get better: a file that ends too early was delivered so.
BROKEN = (NotAClip, CopyInterrupted)

_log = Logger(service="videoconductor", child=True)


def finalize(
    render: Render,
    manifest: Manifest,
    library: Library,
    downloads: Downloads,
    events: Events,
    watch: Watch,
    pace: Pace,
    clock: Clock,
) -> Render:
    """Copy the finished clip into the library, enter it into the manifest and announce it.

    Raises UrlExpired (poll for a fresh url), CopyInterrupted and the edges' Unavailable errors
    (run again), or a RenderFailed, SubmitUnknown or RenderStalled that is on record already.
    """
    record = current(manifest, render, pace, clock)
    if record.status == "finalized":
        return _concluded(record, manifest, library, events, watch, clock)
    if record.status == "rendering":  # an earlier run of this state put it there, and died then
        raise UrlExpired("a fresh url was to be asked for")
    if record.status != "rendered" or record.delivery is None:
        raise RecordChanged(f"nothing to copy: the render is {resumed(record).status}")
    record, clip = _copied(record, manifest, library, downloads, clock)
    own = _without_others_job(record)
    _enter(own, clip, manifest, library, clock)
    number = _attempt(record).number

    def finished(latest: Render) -> Render:
        latest = permits.others_settled(_accounted(latest, number, clock), number)
        changes = {"job": own.job, "clip": clip, "failure": None, "wait_seconds": 0}
        return latest.having(clock(), "finalized", **changes)

    record = unless_cancelled(manifest.update(record.render_id, while_same(record, finished)))
    return _concluded(record, manifest, library, events, watch, clock)


def _concluded(
    record: Render,
    manifest: Manifest,
    library: Library,
    events: Events,
    watch: Watch,
    clock: Clock,
) -> Render:
    """The render announced, and what its other attempts have delivered kept beside its clip."""
    record = announce(record, manifest, events, watch, clock)
    for number in recovering.beside(record):
        record = _with_another(record, number, manifest, library, clock)
    return record


def _copied(
    record: Render, manifest: Manifest, library: Library, downloads: Downloads, clock: Clock
) -> tuple[Render, Clip]:
    """The clip in the library: from its witness if that has come, else from where xAI has it."""
    attempt = _attempt(record)
    url = record.delivery.url if record.delivery else None
    try:
        if attempt.witness == "sent":
            key = library.witness_key(record.render_id, attempt.number)
            try:
                return record, copying.copy(record, library, lambda: library.delivered(key))
            except BROKEN as problem:
                _log.warning("what was delivered is no clip", extra={"problem": str(problem)})
                # To read it took its time: a person may have decided otherwise meanwhile.
                latest = _refused(record, attempt.number, manifest, clock)
                record = in_charge(latest, record.executions)
            except ClipConflict:
                if url is None:
                    raise
                # An earlier run of this may have had the clip from its url.
                _log.warning("what was delivered is another file than the one that stands there")
            except NothingDelivered:
                _log.info("nothing was delivered yet")
        if url is None:
            raise _at_rest(record, attempt, manifest, clock)
        return record, copying.copy(record, library, lambda: downloads.open(url))
    except UrlExpired as problem:
        raise _url_expired(manifest, record, problem, clock) from problem
    except RenderFailed as problem:
        fail(manifest, record, problem, clock)
        raise


def _attempt(record: Render) -> Attempt:
    """The attempt that the clip to be copied is of."""
    number = record.delivery and record.delivery.attempt
    named = (attempt for attempt in record.attempts if attempt.number == number)
    return next(named, None) or permits.of_job(record) or record.attempts[-1]


def _without_others_job(record: Render) -> Render:
    """The render as its clip is told of: without a job that the clip is not of."""
    delivery, ours = record.delivery, permits.of_job(record)
    if delivery is None or delivery.url is not None or (ours and ours.number == delivery.attempt):
        return record
    return record.model_copy(update={"job": None})


def _enter(record: Render, clip: Clip, manifest: Manifest, library: Library, clock: Clock) -> None:
    library.put_sidecar(clip.sidecar_key, reports.sidecar(record, clip, library.uri(clip.key)))
    manifest.publish(reports.entry(record, clip, library.uri, clock()), record.clip_order)


def _accounted(latest: Render, number: int, clock: Clock) -> Render:
    """With its clip in the library, an attempt was accepted, and is paid for at its estimate."""
    attempt = next(a for a in latest.attempts if a.number == number)
    changes: dict[str, Any] = {} if attempt.witness != "sent" else {"witness": "taken"}
    if attempt.outcome != "accepted":
        changes |= {"outcome": "accepted", "message": None, "settled_at": clock()}
    if attempt.spent_ticks is None:
        changes |= attempt.costing(None)
    return latest.model_copy(update=permits.with_attempt(latest, "attempts", number, **changes))


def _refused(record: Render, number: int, manifest: Manifest, clock: Clock) -> Render:
    """Put on record that what an attempt's witness has is of no use."""

    def refused(latest: Render) -> Render:
        changed = permits.with_attempt(latest, "attempts", number, witness="refused")
        return latest.having(clock(), **changed)

    return manifest.update(record.render_id, refused)


def _at_rest(
    record: Render, attempt: Attempt, manifest: Manifest, clock: Clock
) -> SubmitUnknown | RenderStalled:
    """Back to rest: the witness was all there was to go by, and it proves nothing about the job."""
    is_known = (permits.of_job(record) or attempt).outcome == "accepted"
    words = "what was delivered is no clip, or no longer there"
    raised = RenderStalled(words) if is_known else SubmitUnknown(words)
    failure = Failure(error=type(raised).__name__, message=words)
    status: Status = "stalled" if is_known else "submit_unknown"
    rest = while_same(
        record, lambda same: same.having(clock(), status, failure=failure, wait_seconds=0)
    )
    manifest.update(record.render_id, rest)
    return raised


def _with_another(
    record: Render, number: int, manifest: Manifest, library: Library, clock: Clock
) -> Render:
    """A finished render with the clip of another of its attempts as a version, if that has come."""
    key = library.witness_key(record.render_id, number)
    other = record.model_copy(
        update={"delivery": Delivery(attempt=number), "job": None, "pictures": None}
    )
    try:
        clip = copying.copy(other, library, lambda: library.delivered(key))
    except NothingDelivered:
        return record
    except (*BROKEN, ClipConflict):
        return _refused(record, number, manifest, clock)
    _enter(other, clip, manifest, library, clock)
    _log.info("the clip of another attempt is kept", extra={"attempt": number})
    return manifest.update(record.render_id, lambda latest: _accounted(latest, number, clock))


def thumbnail(
    render: Render, manifest: Manifest, library: Library, paint: Painter, clock: Clock
) -> Render:
    """Make the clip's poster, and its thumbnail if one was asked for, and enter both.

    The clip is finished whatever comes of this. Raises NoFrame when no picture can be had of it,
    and the edges' Unavailable errors (run again).
    """
    record = manifest.read(render.render_id)
    if record.clip is None or record.status != "finalized":
        raise RecordChanged(f"no clip to make pictures of: the render is {record.status}")
    pictures = record.pictures
    if pictures is None:
        video = library.read(record.clip.key)
        poster, composed = paint(record, video, _still_content(record, library))
        pictures = Pictures(
            poster_key=library.put_picture(record, "poster", poster),
            thumbnail_key=None
            if composed is None
            else library.put_picture(record, "thumbnail", composed),
        )
        record = manifest.update(
            record.render_id,
            lambda latest: (
                latest.having(clock(), pictures=pictures) if latest.clip == record.clip else latest
            ),
        )
    manifest.illustrate(
        record,
        poster_url=library.uri(pictures.poster_key),
        thumbnail_url=pictures.thumbnail_key and library.uri(pictures.thumbnail_key),
        fingerprint=identity.thumbnail_fingerprint(record.thumbnail),
    )
    return record


def announce(
    record: Render, manifest: Manifest, events: Events, watch: Watch, clock: Clock
) -> Render:
    """Publish what became of a render, once for each time it comes to rest, and what drifted.

    Both go to the bus in one request, so that none is told without the other when the bus fails.
    What drifted holds up nothing; but while the bus did not take it, or the kill switch it calls
    for could not be set, the render counts as not announced: the sweep tells it once more, whole.
    After that it is left at the log.
    """
    if record.announced == record.status or record.status not in SETTLED:
        return record
    status: Status = record.status
    drifts = watch.untold(record)
    has_stopped = _has_stopped(watch.reason_to_stop(record, drifts), manifest, clock)
    beside = {drift.key: (drift.name, reports.drift_event(record, drift)) for drift in drifts}
    told = events.publish(status, reports.event(record), beside)
    _count(drifts, told, watch)
    # What is to be stopped for is told again with the stop.
    is_all = has_stopped and len(told) == len(drifts)
    told = told if has_stopped else frozenset()
    again = f"again#{status}"

    def announced(latest: Render) -> Render:
        # Tried twice at most: whoever hears the news again and again is not served by it.
        is_last = is_all or again in latest.drifts_told
        known = (*latest.drifts_told, *sorted(told), *(() if is_last else (again,)))
        if known != latest.drifts_told:
            latest = latest.having(clock(), drifts_told=tuple(dict.fromkeys(known)))
        is_over = is_last and latest.status == status
        return latest.having(clock(), announced=status) if is_over else latest

    return manifest.update(record.render_id, announced)


def _has_stopped(reason: str | None, manifest: Manifest, clock: Clock) -> bool:
    """Set the kill switch, if there is a reason to. The news of the render does not wait for it."""
    if reason is None:
        return True
    try:
        manifest.change_caps(lambda caps: caps.stopped(clock(), reason), by="drift")
    except VideoConductorError as problem:
        _log.error("the kill switch could not be set", extra={"error": type(problem).__name__})
        return False
    return True


def _count(drifts: Iterable[Drift], told: frozenset[str], watch: Watch) -> None:
    for drift in drifts:
        if drift.key in told:
            watch.count(drift.name)
        else:
            _log.error("a drift could not be published", extra={"drift": drift.key})


def _url_expired(
    manifest: Manifest, record: Render, problem: UrlExpired, clock: Clock
) -> UrlExpired | CopyFailed:
    """Back to polling for a fresh url, a few times."""
    if record.copies + 1 >= MAX_EXPIRED_URLS:
        failed = CopyFailed(f"every url xAI gave had expired: {problem}", code="url_expired")
        fail(manifest, record, failed, clock)
        return failed
    manifest.update(
        record.render_id,
        while_same(
            record,
            lambda same: same.having(clock(), "rendering", copies=same.copies + 1, wait_seconds=1),
        ),
    )
    return problem


def _still_content(record: Render, library: Library) -> bytes | None:
    """The image the clip starts from, when it is in the library and a thumbnail is made of it."""
    order, frame = record.thumbnail, record.plan.image
    wanted = order is not None and order.enabled and order.source_frame == "firstFrame"
    if not wanted or frame is None or frame.key is None:
        return None
    return b"".join(library.read(frame.key))
