"""The verbs of `render_film`: take_up for each clip of a run, conclude for the run.

A clip's render has an id that is made of what shapes it, so that whoever asks for the same clip
again finds it: finished, under way, or at rest without a clip.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger

from videoconductor import budgets, identity, reports, revival, spending
from videoconductor.clip import (
    FILM_CANCELLED,
    SETTLED,
    Failure,
    FilmClip,
    FilmRun,
    FilmStatus,
    ManifestEntry,
    Render,
    Shortfall,
    Status,
    Turn,
)
from videoconductor.errors import RenderExists

if TYPE_CHECKING:
    from videoconductor.events import Events
    from videoconductor.library import Library
    from videoconductor.manifest import Manifest

Clock = Callable[[], datetime]

MAX_TRIES = 5
WAIT_SECONDS = 10
# As many of them fit into an event, whatever a provider says.
MAX_WORDS = 300
MAX_CODE = 100
# A clip that xAI has made already is still fetched when its run is cancelled.
CANCELLED_WITH_THEIR_RUN: frozenset[Status] = frozenset({"planned", "framing", "rendering"})

_log = Logger(service="videoconductor", child=True)


def take_up(
    turn: Turn,
    manifest: Manifest,
    library: Library,
    is_running: Callable[[Render], bool],
    poll_timeout: float,
    clock: Clock,
) -> Turn:
    """Decide what a clip needs: an execution (`render`), patience (`wait`), nothing (`rest`).

    May run any number of times: it goes by the record, and takes a render up once for each run.
    """
    run = _run_of(turn, manifest)
    if run is not None and run.cancelled_at is not None:
        return turn.model_copy(update={"step": "rest"})
    decided = _decided(turn, run, manifest, library, is_running, poll_timeout, clock)
    if decided.step != "render" or run is None:
        return decided
    # Whoever cancels writes that down before looking for renders, and we the render before looking
    # at that: one of us sees the other.
    run = manifest.run_at(run.film, run.order)
    if run.cancelled_at is None:
        return decided
    record = manifest.update(decided.render.render_id, cancelled_with(run, clock))
    return _rest(decided, record) if record.status == "cancelled" else decided


def _run_of(turn: Turn, manifest: Manifest) -> FilmRun | None:
    """The run of a turn as it is on record."""
    if turn.run_order is None:
        return None
    return manifest.run_at(turn.render.pipeline_request_id, turn.run_order)


def _decided(
    turn: Turn,
    run: FilmRun | None,
    manifest: Manifest,
    library: Library,
    is_running: Callable[[Render], bool],
    poll_timeout: float,
    clock: Clock,
) -> Turn:
    """What the clip needs by its render's record, as if nobody cancelled anything."""
    try:
        drafted = turn.render.model_copy(update={"taken_up_by": turn.marker})
        return _render(turn, manifest.create(drafted))
    except RenderExists:
        record = manifest.read(turn.render.render_id)
    is_ours = record.taken_up_by == turn.marker
    if record.status == "finalized":
        _restore(turn, record, manifest, library, clock)
        return _rest(turn, record) if is_ours else _repainted(turn, record, manifest, clock)
    if record.status in SETTLED:
        if is_ours:
            return _rest(turn, record)
        may_charge_twice = run is not None and run.may_charge_twice
        return _made_good(turn, manifest, poll_timeout, clock, may_charge_twice=may_charge_twice)
    if is_running(record):
        return _wait(turn)
    if is_ours and turn.tries == 0:
        return _render(turn, record)
    return _taken_over(turn, record, manifest, clock)


def conclude(
    run: FilmRun,
    marker: str,
    manifest: Manifest,
    library: Library,
    events: Events,
    clock: Clock,
) -> FilmRun:
    """Sum up a run whose clips have had their turn: on record, beside its request, as an event.

    An execution that was overtaken, as its `marker` shows, leaves that to the other.
    """
    if run.announced or run.marker != marker:
        return run
    for _ in range(2):  # somebody may cancel it while it is summed up
        if run.status == "running" and run.marker == marker:
            run = _concluded(run, manifest, library, clock)
    if run.status == "running":
        return run  # resumed just now: its other execution sums it up
    # On record first: whoever watches the run does not depend on the event.
    events.film_ready(reports.film_event(run))
    return manifest.update_run(
        run,
        lambda latest: (
            latest.model_copy(update={"announced": True}) if latest.marker == marker else latest
        ),
    )


def _concluded(run: FilmRun, manifest: Manifest, library: Library, clock: Clock) -> FilmRun:
    """The run as it ended, on record and beside its request."""
    clips = clips_of(run, library)
    renders = manifest.read_many([clip.render_id for clip in clips])
    if run.cancelled_at is not None:
        # Once more: a try of TakeUp may have died between a record and its look at the run.
        renders |= cancel_clips(run, renders.values(), manifest, clock)
    result_key = library.film_key(run.film, run.run_id, f"result-{run.executions}")
    ended = summed_up(run, clips, renders)
    changes = {
        "status": _outcome(ended),
        "ended_at": clock(),
        "result_key": result_key,
    }
    ended = ended.model_copy(update=changes)
    library.replace_document(result_key, _result(ended, clips, renders))
    _close_before(run, manifest, library, clock)
    kept = ended.model_copy(update={"missing": ended.missing[: reports.MAX_MISSING]})
    return manifest.update_run(run, _ended(kept))


def _close_before(run: FilmRun, manifest: Manifest, library: Library, clock: Clock) -> None:
    """End earlier runs whose execution is gone, once nothing of theirs is under way any more.

    They were interrupted, and this run has made good what they lacked: nobody else ends them.
    """
    for earlier in manifest.runs(run.film):
        if earlier.status != "running" or earlier.order >= run.order:
            continue
        clips = clips_of(earlier, library)
        renders = manifest.read_many([clip.render_id for clip in clips])
        closed = summed_up(earlier, clips, renders)
        if closed.done + closed.failed + closed.unresolved < closed.total:
            continue
        changes = {
            "status": _outcome(closed),
            "ended_at": clock(),
            "missing": closed.missing[: reports.MAX_MISSING],
        }
        manifest.update_run(earlier, _ended(closed.model_copy(update=changes)))


def _ended(closed: FilmRun) -> Callable[[FilmRun], FilmRun]:
    def ended(latest: FilmRun) -> FilmRun:
        is_same = (latest.executions, latest.cancelled_at) == (
            closed.executions,
            closed.cancelled_at,
        )
        if latest.status != "running" or not is_same:
            return latest
        return closed.model_copy(update={"version": latest.version})

    return ended


def _outcome(run: FilmRun) -> FilmStatus:
    """What a run ends as, by its counts."""
    if run.done == run.total:
        return "finished"
    return "incomplete" if run.cancelled_at is None else "cancelled"


def cancel_clips(
    run: FilmRun, renders: Iterable[Render], manifest: Manifest, clock: Clock
) -> dict[str, Render]:
    """Cancel what a run that is cancelled has under way; the renders that this was tried on, by id.

    A render that another run or a person has set going since is left alone.
    """
    return {
        render.render_id: manifest.update(render.render_id, cancelled_with(run, clock))
        for render in renders
        if render.status in CANCELLED_WITH_THEIR_RUN and run.took_up(render)
    }


def cancelled_with(run: FilmRun, clock: Clock) -> Callable[[Render], Render]:
    """Cancels a render if this run has it under way. A job that xAI accepted goes on."""
    failure = Failure(error=FILM_CANCELLED, message=f"cancelled with run {run.run_id} of its film")

    def cancelled(latest: Render) -> Render:
        if latest.status not in CANCELLED_WITH_THEIR_RUN or not run.took_up(latest):
            return latest
        return latest.having(clock(), "cancelled", failure=failure, wait_seconds=0)

    return cancelled


def summed_up(run: FilmRun, clips: Iterable[FilmClip], renders: dict[str, Render]) -> FilmRun:
    """The run with its counts, its cost so far, and every clip that came to rest without being."""
    done = failed = unresolved = 0
    missing: list[Shortfall] = []
    costs: list[Decimal] = []
    held = spent = 0
    for clip in clips:
        render = renders.get(clip.render_id)
        status, _ = run.standing(render)
        is_there = clip.is_reused or status == "finalized"
        done += is_there
        failed += status in {"failed", "cancelled"} and not is_there
        unresolved += status in {"submit_unknown", "stalled"} and not is_there
        if render is not None and not clip.is_reused and render.cost_usd is not None:
            costs.append(render.cost_usd)
        if render is not None and not clip.is_reused:
            more_held, more_spent = spending.booked(run, render)
            held, spent = held + more_held, spent + more_spent
        if not is_there:
            missing.append(_shortfall(run, clip, render))
    return run.model_copy(
        update={
            "done": done,
            "failed": failed,
            "unresolved": unresolved,
            "missing": tuple(missing),
            "cost_usd": sum(costs, Decimal(0)) if costs else None,
            "spent_usd": budgets.usd(spent),
            "reserved_usd": budgets.usd(held),
        }
    )


def clips_of(run: FilmRun, library: Library) -> tuple[FilmClip, ...]:
    """The clips of a run, as they were written down when it was accepted."""
    listed = json.loads(b"".join(library.read(run.clips_key)))
    return tuple(FilmClip.model_validate(clip) for clip in listed)


def _render(turn: Turn, record: Render) -> Turn:
    name = f"{record.render_id}-{record.executions}"
    return turn.model_copy(
        update={"render": record, "step": "render", "name": name, "tries": turn.tries + 1}
    )


def _wait(turn: Turn) -> Turn:
    """Look again later, with the render still as this run drafted it."""
    return turn.model_copy(update={"step": "wait", "wait_seconds": WAIT_SECONDS})


def _rest(turn: Turn, record: Render) -> Turn:
    return turn.model_copy(update={"render": record, "step": "rest"})


def _made_good(
    turn: Turn,
    manifest: Manifest,
    poll_timeout: float,
    clock: Clock,
    *,
    may_charge_twice: bool,
) -> Turn:
    """Set a render going again that had come to nothing before this run was asked for.

    What fails while the run waits for it is no part of what the run said it would cost. Two runs
    at a time would else pay in turns, without an end, for a clip that fails each time.
    """
    asked_at = turn.render.created_at

    def revived(latest: Render) -> Render:
        is_over = latest.status in SETTLED and latest.status != "finalized"
        if not is_over or _has_failed_since(latest, asked_at):
            return latest
        again = revival.made_good(latest, clock(), poll_timeout, may_charge_twice=may_charge_twice)
        if again is None or latest.taken_up_by == turn.marker:
            return latest
        return again.model_copy(
            update={
                **_of_run(turn, again),
                "thumbnail": turn.render.thumbnail,
                "wanted_at": asked_at,
            }
        )

    record = manifest.update(turn.render.render_id, revived)
    if record.status in SETTLED:
        return _rest(turn, record)
    # Another run was quicker.
    return _render(turn, record) if record.taken_up_by == turn.marker else _wait(turn)


def _of_run(turn: Turn, render: Render) -> dict[str, Any]:
    """What changes of a render that a run sets going: who spends, how much, at which prices."""
    drafted = turn.render
    is_other = drafted.caller != render.caller
    return {
        "taken_up_by": turn.marker,
        "run_limit_usd": drafted.run_limit_usd,
        "set_going_by": drafted.caller if is_other else None,
        "plan": render.plan.model_copy(update={"estimate": drafted.plan.estimate}),
    }


def _has_failed_since(render: Render, moment: datetime) -> bool:
    """Whether a render came to rest after a run was asked for, whose price did not count it in.

    That it was cancelled with another run, while this one waited for it, does not count.
    """
    ends = [reached for reached in render.timeline if reached.status in SETTLED]
    if render.failure is not None and render.failure.error == FILM_CANCELLED:
        ends = ends[:-1]
    return bool(ends) and ends[-1].at > moment


def _taken_over(turn: Turn, record: Render, manifest: Manifest, clock: Clock) -> Turn:
    """Give a render whose execution is gone another one, a few times."""
    if turn.tries >= MAX_TRIES:
        _log.warning("left alone", extra={"renderId": record.render_id, "tries": turn.tries})
        return _rest(turn, record)

    def resumed(latest: Render) -> Render:
        if latest.status in SETTLED or latest.executions != record.executions:
            return latest
        again = revival.resumed(latest, clock())
        return again.model_copy(update=_of_run(turn, again))

    latest = manifest.update(record.render_id, resumed)
    return _rest(turn, latest) if latest.status in SETTLED else _render(turn, latest)


def _restore(
    turn: Turn, record: Render, manifest: Manifest, library: Library, clock: Clock
) -> None:
    """Make a clip the film's again that was superseded by another before this run was asked for."""
    current = manifest.entry(record.pipeline_request_id, record.entry_id)
    if current is None or current.render_id == record.render_id or record.clip is None:
        return
    entry: ManifestEntry = reports.entry(record, record.clip, library.uri, clock())
    # A run may get on long after it was asked for, and others were asked for and done meanwhile.
    asked_at = turn.render.created_at.isoformat(timespec="microseconds")
    manifest.restore(entry, f"{asked_at}#{record.render_id}")


def _repainted(turn: Turn, record: Render, manifest: Manifest, clock: Clock) -> Turn:
    """Have the pictures of a finished clip made: there are none, or they are to look otherwise."""
    order = turn.render.thumbnail or record.thumbnail
    is_same = identity.thumbnail_fingerprint(order) == identity.thumbnail_fingerprint(
        record.thumbnail
    )
    if is_same and record.pictures is not None:
        return _rest(turn, record)

    def repainted(latest: Render) -> Render:
        if latest.status != "finalized":
            return latest
        again = revival.resumed(latest, clock())
        changes = {"taken_up_by": turn.marker, "thumbnail": order, "pictures": None}
        return again.model_copy(update=changes)

    return _render(turn, manifest.update(record.render_id, repainted))


def _shortfall(run: FilmRun, clip: FilmClip, render: Render | None) -> Shortfall:
    status, failure = run.standing(render)
    return Shortfall(
        clip_id=clip.clip_id,
        quality_mode=clip.quality_mode,
        render_id=clip.render_id,
        status=status,
        error=failure and failure.error,
        message=failure and failure.message[:MAX_WORDS],
        code=failure and failure.code and failure.code[:MAX_CODE],
    )


def _result(run: FilmRun, clips: Iterable[FilmClip], renders: dict[str, Render]) -> bytes:
    """What a run came to, for whoever finds it beside the request."""
    rows = [
        {
            "clipId": clip.clip_id,
            "qualityMode": clip.quality_mode,
            "renderId": clip.render_id,
            "status": run.standing(renders.get(clip.render_id))[0],
            "reused": clip.is_reused,
            "clip": _made(renders.get(clip.render_id)),
        }
        for clip in clips
    ]
    document = {
        **reports.film_event(run),
        "missing": [reports.shortfall(missing) for missing in run.missing],
        "requestedAt": run.requested_at.isoformat(),
        "endedAt": run.ended_at and run.ended_at.isoformat(),
        "clips": rows,
    }
    return json.dumps(document, indent=2, ensure_ascii=False).encode()


def _made(render: Render | None) -> dict[str, object] | None:
    if render is None or render.clip is None:
        return None
    return render.clip.model_dump(mode="json")
