"""The verbs finalize and thumbnail, and the event: what becomes of a finished clip."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from videoconductor import copying, identity, reports
from videoconductor.clip import SETTLED, Pictures, Render, Status
from videoconductor.errors import CopyFailed, RecordChanged, RenderFailed, UrlExpired
from videoconductor.permits import Clock, while_same
from videoconductor.workflow.guards import Pace, current, resumed, unless_cancelled
from videoconductor.workflow.polling import fail

if TYPE_CHECKING:
    from videoconductor.download import Downloads
    from videoconductor.events import Events
    from videoconductor.library import Library
    from videoconductor.manifest import Manifest

# Makes the poster of a clip's file, and its thumbnail from it or from a still: JPEGs.
Painter = Callable[[Render, Iterable[bytes], bytes | None], tuple[bytes, bytes | None]]

MAX_EXPIRED_URLS = 4


def finalize(
    render: Render,
    manifest: Manifest,
    library: Library,
    downloads: Downloads,
    events: Events,
    pace: Pace,
    clock: Clock,
) -> Render:
    """Copy the finished clip into the library, enter it into the manifest and announce it.

    Raises UrlExpired (poll for a fresh url), CopyInterrupted and the edges' Unavailable errors
    (run again), or a RenderFailed that is on record already.
    """
    record = current(manifest, render, pace, clock)
    if record.status == "finalized":
        return announce(record, manifest, events, clock)
    if record.status != "rendered" or record.delivery is None:
        raise RecordChanged(f"nothing to copy: the render is {resumed(record).status}")
    try:
        clip = copying.copy(record, library, downloads)
    except UrlExpired as problem:
        raise _url_expired(manifest, record, problem, clock) from problem
    except RenderFailed as problem:
        fail(manifest, record, problem, clock)
        raise
    library.put_sidecar(clip.sidecar_key, reports.sidecar(record, clip, library.uri(clip.key)))
    manifest.publish(reports.entry(record, clip, library.uri, clock()), record.clip_order)
    record = unless_cancelled(
        manifest.update(
            record.render_id,
            while_same(
                record,
                lambda latest: latest.having(
                    clock(), "finalized", clip=clip, failure=None, wait_seconds=0
                ),
            ),
        )
    )
    return announce(record, manifest, events, clock)


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


def announce(record: Render, manifest: Manifest, events: Events, clock: Clock) -> Render:
    """Publish what became of a render, once for each time it comes to rest."""
    if record.announced == record.status or record.status not in SETTLED:
        return record
    status: Status = record.status
    events.publish(status, reports.event(record))
    return manifest.update(
        record.render_id,
        lambda latest: (
            latest.having(clock(), announced=status) if latest.status == status else latest
        ),
    )


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
