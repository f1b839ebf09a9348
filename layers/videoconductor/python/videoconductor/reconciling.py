"""Finished clips that the manifest does not have: found, and entered from their records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import ValidationError

from videoconductor import reports
from videoconductor.clip import Render

if TYPE_CHECKING:
    from videoconductor.library import Library
    from videoconductor.manifest import Manifest


def unentered(renders: Sequence[Render], manifest: Manifest) -> list[Render]:
    """Those of some renders whose clip is finished, and is no version or has no entry before it.

    An entry of an older request is the same as none: that of a newer one takes its place at once.
    """
    finished = [one for one in renders if one.status == "finalized" and one.clip is not None]
    if not finished:
        return []
    found = manifest.entered(finished)
    doubtful = []
    for render in finished:
        is_version, entry_order = found[render.render_id]
        if not is_version or entry_order is None or entry_order < render.clip_order:
            doubtful.append(render)
    return [render for render in doubtful if not _can_be_seen(render, manifest)]


def _can_be_seen(render: Render, manifest: Manifest) -> bool:
    """Whether the manifest has a clip, as far as it can be read: to enter it again does no harm."""
    try:
        return _is_entered(render, manifest)
    except ValidationError:
        return False


def _is_entered(render: Render, manifest: Manifest) -> bool:
    """Whether the manifest has a clip under whatever order: earlier releases had others."""
    film, clip = render.pipeline_request_id, render.clip
    versions = manifest.versions(film, render.entry_id)
    mine = [one for one in versions if one.render_id == render.render_id]
    if clip is None or not any(one.sha256 == clip.sha256 for one in mine):
        return False
    entry = manifest.entry(film, render.entry_id)
    if entry is None:
        return False
    # Whose entry it is counts, not the order it is kept under: another clip has been asked for
    # later, or was made the entry again.
    order = manifest.entered([render])[render.render_id].entry_order
    is_own = entry.render_id == render.render_id
    return is_own or (order is not None and order >= render.clip_order)


def enter(
    render: Render, manifest: Manifest, library: Library, clock: Callable[[], datetime]
) -> None:
    """Enter the clip of a finished render. What is there already, or is newer, stays."""
    if render.clip is not None:
        entry = reports.entry(render, render.clip, library.uri, clock())
        manifest.publish(entry, render.clip_order)
