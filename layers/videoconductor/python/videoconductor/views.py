"""How renders, the manifest and problems look from outside: the JSON of answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import quote as escaped

from videoconductor import budgets, identity, inputs, listing
from videoconductor.clip import (
    SETTLED,
    Attempt,
    Callback,
    Estimate,
    Failure,
    FilmClip,
    FilmRun,
    ManifestEntry,
    Render,
    Shortfall,
)
from videoconductor.errors import (
    CallerUnknown,
    FilmNotFound,
    IdempotencyConflict,
    InvalidRequest,
    NotAllowed,
    NotSetGoing,
    OverBudget,
    Problem,
    QuoteRequired,
    RenderNotFound,
    ScopeMissing,
    Unidentified,
    VideoConductorError,
)
from videoconductor.listing import Page
from videoconductor.models import ModelCatalog
from videoconductor.planning import PlannedClip
from videoconductor.quality import QualityMode, QualityModes
from videoconductor.quotes import Quote, QuotedClip, QuoteLine
from videoconductor.spending import Standings

PresignedUrl = Callable[[str], str]

MAX_SHOWN = 200  # characters of a value that is repeated in a problem
MAX_DETAIL = 2000
MAX_RUNS = 50  # newest runs in a manifest
MAX_PROMPTS = 500  # clips; a prompt has 4 kB, an answer 6 MB
MAX_EXACT_INTEGER = 2**53

# The one place where errors become HTTP. Anything else from the tree is 503: ask again.
HTTP_STATUS: dict[type[VideoConductorError], tuple[int, str]] = {
    CallerUnknown: (403, "Nobody vouches for the caller"),
    Unidentified: (401, "No good service token was given"),
    ScopeMissing: (403, "The service token does not allow this"),
    InvalidRequest: (400, "The request is invalid"),
    QuoteRequired: (402, "It costs more than may be spent without a quote or a limit"),
    OverBudget: (402, "A cap leaves no room for it: a person has to change that"),
    RenderNotFound: (404, "There is no such render"),
    FilmNotFound: (404, "There is no such film"),
    NotAllowed: (409, "Its state does not allow this"),
    IdempotencyConflict: (409, "The Idempotency-Key was used for another request"),
    NotSetGoing: (503, "It was not set going"),
}
# By scope, where it is not a cap that is too low.
WITHOUT_ROOM = {
    "stop": "Spending is stopped: a person has to resume it",
    "unpriced": "No price is known of it, and there is a cap: a person has to change that",
}


def accepted(render: Render) -> dict[str, Any]:
    """The answer to a request that was accepted: the same each time it is asked again."""
    plan = render.plan
    return {
        "renderId": render.render_id,
        "status": "planned",
        "clipId": render.clip_id,
        "pipelineRequestId": render.pipeline_request_id,
        "remasterFromRequestId": render.remaster_from_request_id,
        "qualityMode": plan.quality_mode,
        "model": plan.model,
        "operation": plan.operation,
        "duration": plan.duration,
        "resolution": plan.resolution,
        "aspectRatio": plan.aspect_ratio,
        "estimatedCostUsd": float(plan.estimate.total_usd),
        "estimate": estimate(plan.estimate),
        "warnings": list(plan.warnings),
        "links": links(render),
    }


def estimate(found: Estimate) -> dict[str, Any]:
    """What a render will cost, line by line: at least, and at most."""
    return {
        "lines": [
            {
                "what": line.what,
                "quantity": float(line.quantity),
                "unit": line.unit,
                "unitUsd": float(line.unit_usd),
                "amountUsd": float(line.amount_usd),
                "leastUsd": float(line.at_least_usd),
            }
            for line in found.lines
        ],
        "totalUsd": float(found.total_usd),
        "leastUsd": float(found.least_usd),
        "asOf": found.as_of,
        "isPriced": found.is_priced,
    }


def planned(film: str, clips: Sequence[PlannedClip]) -> dict[str, Any]:
    """What a clip request or a script would become, and what of it would be paid for.

    The prompts of a script that has more than MAX_PROMPTS clips are left out: an answer is
    limited in size.
    """
    due = [clip for clip in clips if clip.is_due]
    is_told = len(clips) <= MAX_PROMPTS
    return {
        "filmId": film,
        "clips": [_planned_clip(clip, is_told=is_told) for clip in clips],
        "due": len(due),
        "reused": sum(clip.is_reused for clip in clips),
        "estimatedCostUsd": float(sum(clip.plan.estimate.total_usd for clip in due)),
    }


def quote(found: Quote) -> dict[str, Any]:
    """A quote: what each clip costs, line by line, and what holds the request to it.

    The lines of a film of more than MAX_PROMPTS clips are left out: an answer is limited in size.
    """
    is_told = len(found.clips) <= MAX_PROMPTS
    return {
        "quoteId": found.quote_id,
        "expiresAt": _time(found.expires_at),
        "filmId": found.film,
        "clips": [_quoted_clip(clip, is_told=is_told) for clip in found.clips],
        **_quoted_counts(found),
        "leastUsd": float(found.least_usd),
        "totalUsd": float(found.total_usd),
        "unpriced": list(found.unpriced),
    }


def quote_in_short(found: Quote) -> dict[str, Any]:
    """A quote without its clips."""
    return {name: part for name, part in quote(found).items() if name != "clips"}


def _quoted_counts(found: Quote) -> dict[str, int]:
    return {
        "due": sum(clip.is_due for clip in found.clips),
        "reused": sum(clip.is_reused for clip in found.clips),
    }


def _quoted_clip(clip: QuotedClip, *, is_told: bool) -> dict[str, Any]:
    return {
        "clipId": clip.clip_id,
        "qualityMode": clip.quality_mode,
        "due": clip.is_due,
        "reused": clip.is_reused,
        "lines": [_quote_line(line) for line in clip.lines] if is_told else [],
        "leastUsd": float(clip.least_usd),
        "totalUsd": float(clip.most_usd),
        "warnings": list(clip.warnings),
    }


def _quote_line(line: QuoteLine) -> dict[str, Any]:
    return {
        "what": line.what,
        "model": line.model,
        "quantity": float(line.quantity),
        "unit": line.unit,
        "unitUsd": float(line.unit_usd),
        "leastUsd": float(line.least_usd),
        "amountUsd": float(line.most_usd),
        "asOf": line.as_of,
        "source": line.source,
    }


def _planned_clip(clip: PlannedClip, *, is_told: bool) -> dict[str, Any]:
    plan = clip.plan
    return {
        "clipId": clip.clip_id,
        "operation": plan.operation,
        "task": plan.task,
        "provider": plan.provider,
        "qualityMode": plan.quality_mode,
        "model": plan.model,
        "duration": plan.duration,
        "resolution": plan.resolution,
        "aspectRatio": plan.aspect_ratio,
        "remaster": plan.remaster,
        "prompt": plan.prompt if is_told else None,
        "firstFramePrompt": plan.first_frame_prompt if is_told else None,
        "imageModel": plan.image_model,
        "imageQuality": plan.image_quality,
        "imageResolution": plan.image_resolution,
        "sourceVideoUrl": plan.source_video_url and inputs.shown(plan.source_video_url),
        "estimatedCostUsd": float(plan.estimate.total_usd),
        "estimate": estimate(plan.estimate),
        "due": clip.is_due,
        "reused": clip.is_reused,
        "warnings": list(clip.warnings),
    }


def models(catalog: ModelCatalog) -> dict[str, Any]:
    """What each model can do, its limits and prices, in the file's order."""
    return {
        "schemaVersion": catalog.schema_version,
        "currency": catalog.currency,
        "models": [
            {"name": name, **_plain(row.model_dump(by_alias=True))}
            for name, row in catalog.models.items()
        ],
        "retired": [
            {"name": name, **row.model_dump(by_alias=True)} for name, row in catalog.retired.items()
        ],
    }


def quality_modes(modes: QualityModes, catalog: ModelCatalog) -> dict[str, Any]:
    """The quality modes, each with the price of its model at its resolution."""
    return {
        "schemaVersion": modes.schema_version,
        "defaults": modes.defaults.model_dump(by_alias=True),
        "modes": [_quality_mode(name, mode, catalog) for name, mode in modes.modes.items()],
        "remaster": modes.remaster.model_dump(by_alias=True),
    }


def _quality_mode(name: str, mode: QualityMode, catalog: ModelCatalog) -> dict[str, Any]:
    _, model, _ = catalog.find(mode.model)
    return {
        "name": name,
        **_plain(mode.model_dump(by_alias=True)),
        "usdPerSecond": _float(model.prices.per_second.get(mode.resolution)),
        "asOf": model.as_of,
        "source": model.source,
    }


def _plain(value: Any) -> Any:
    """A value as JSON has it: numbers for decimals, lists for tuples."""
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value


def links(render: Render) -> dict[str, str]:
    """Where to go from here, relative to the API's own address."""
    return {
        "self": f"/v1/videos/{render.render_id}",
        "manifest": f"/v1/films/{escaped(render.pipeline_request_id, safe='')}/manifest",
    }


def summary(render: Render) -> dict[str, Any]:
    """One line of a list of renders."""
    return {
        "renderId": render.render_id,
        "status": render.status,
        "clipId": render.clip_id,
        "pipelineRequestId": render.pipeline_request_id,
        "qualityMode": render.plan.quality_mode,
        "model": render.plan.model,
        "progress": render.progress,
        "estimatedCostUsd": float(render.plan.estimate.total_usd),
        "costUsd": _number(render),
        "spentUsd": float(budgets.usd(render.spent_ticks)),
        "reservedUsd": float(budgets.usd(render.held_ticks)),
        "requestedAt": _time(render.created_at),
        "links": links(render),
    }


def page(found: Page[Render]) -> dict[str, Any]:
    """A page of renders, newest first, and the cursor of the next one if there may be one."""
    following = None if found.position is None else listing.cursor(found.position)
    return {"videos": [summary(render) for render in found.found], "nextCursor": following}


def detail(
    render: Render,
    presigned_url: PresignedUrl,
    told: Callback | None = None,
    standings: Standings | None = None,
) -> dict[str, Any]:
    """Everything a caller may know about a render, with its result once it has one.

    `told` is what became of telling its callbackUrl; `standings` have the caps.
    """
    plan = render.plan
    return {
        **summary(render),
        "spending": (standings or Standings()).render(render),
        "remasterFromRequestId": render.remaster_from_request_id,
        "operation": plan.operation,
        "duration": plan.duration,
        "resolution": plan.resolution,
        "aspectRatio": plan.aspect_ratio,
        "estimate": estimate(plan.estimate),
        "warnings": list(plan.warnings),
        "requestId": render.request_id,
        "attempts": [a.model_dump(mode="json", exclude_none=True) for a in render.attempts],
        "timeline": [{"status": "planned", "at": _time(render.created_at)}]
        + [m.model_dump(mode="json") for m in render.timeline],
        "deadline": _time(render.deadline),
        "caller": render.caller,
        "error": render.failure and render.failure.model_dump(mode="json"),
        "still": render.still and render.still.model_dump(mode="json"),
        "stillAttempts": [
            a.model_dump(mode="json", exclude_none=True) for a in render.still_attempts
        ],
        "pictures": render.pictures and render.pictures.model_dump(mode="json"),
        "callback": callback(render.callback_url, told),
        "advice": advice(render),
        "result": result(render, presigned_url) if render.status in SETTLED else None,
    }


def callback(url: str | None, told: Callback | None) -> dict[str, Any] | None:
    """What became of telling a callbackUrl of the newest event; None where nobody is to be told."""
    if url is None:
        return None
    return {
        # Receivers such as chat rooms keep their secret in the path.
        "url": f"{inputs.origin(url)}/…",
        "event": told and told.type,
        "webhookId": told and told.webhook_id,
        "attempts": told.attempts if told else 0,
        "lastAttemptAt": told and _time(told.last_attempt_at),
        "lastStatus": told and told.last_status,
        "lastError": told and told.last_error,
        "nextAttemptAt": told and _time(told.next_attempt_at),
        "deliveredAt": told and _time(told.delivered_at),
        "givenUpAt": told and _time(told.given_up_at),
    }


def advice(render: Render) -> str | None:
    """What a person may do about a render that rests without a clip."""
    if render.status == "submit_unknown" and not render.attempts:
        return _unknown(STILL_UNKNOWN, render.still_attempts, STILL_AWAITED)
    if render.status == "submit_unknown":
        return _unknown(ADVICE["submit_unknown"], render.attempts, CLIP_AWAITED)
    if render.status == "failed" and render.failure is not None:
        return _advice_on_money(render, render.failure)
    return ADVICE.get(render.status)


def _unknown(advice: str, attempts: Sequence[Attempt], awaited: str) -> str:
    """The advice about a lost answer, and what else may come of it where xAI was told a place."""
    return f"{advice}; {awaited}" if attempts[-1:] and attempts[-1].witness == "sent" else advice


def _advice_on_money(render: Render, failure: Failure) -> str | None:
    """What a person may do about a render that a cap or the kill switch kept from being sent."""
    if failure.error != "BudgetExceeded":
        found = ADVICE_ON_MONEY.get(failure.error)
        return found and found.format(id=render.render_id)
    scope = (failure.code or "").removeprefix("cap:")
    if scope == "run":
        return OVER_ITS_RUN
    if scope == "own" and render.max_cost_usd is not None:
        return OVER_ITS_OWN.format(id=render.render_id, own=f"{render.max_cost_usd:f}")
    payer = identity.principal(render.set_going_by or render.caller)
    names = {"film": render.pipeline_request_id, "caller": payer}
    change = budgets.raising(scope, names.get(scope))
    return RAISE_CAP.format(change=change, id=render.render_id)


RAISE_CAP = (
    "raise the cap with `{change}`, then `videoconductor retry {id}`; repeating it before is of no "
    "use"
)
OVER_ITS_OWN = (
    "it reached its own maxCostUsd of ${own}: `videoconductor retry {id} --max-cost-usd N` sends "
    "it once more, and N takes the place of that limit on all of its attempts together"
)
OVER_ITS_RUN = (
    "its run reached its maxCostUsd: a run of the film with a higher one pays for what is missing"
)
ADVICE_ON_MONEY = {
    "SpendingStopped": f"somebody stopped all spending: `{budgets.RESUME}` lets POSTs out again, "
    "then `videoconductor retry {id}`; repeating it before is of no use",
    "Unpriced": "a cap cannot be kept over what has no price: enter the price in models.json, or "
    "take the caps away (`videoconductor budget show` has them), then `videoconductor retry {id}`",
}


STILL_UNKNOWN = (
    "xAI may have made the still, and billed it, and its answer is lost: retry the render, "
    "which may charge for the still twice, or abandon it"
)
CLIP_AWAITED = (
    "xAI was told a place to deliver the clip to: if it comes there, the render is finished by "
    "itself, so look again before you decide"
)
STILL_AWAITED = (
    "xAI was told a place to deliver the still to: if it has come there, a retry takes it instead "
    "of paying for another"
)
ADVICE = {
    "submit_unknown": "xAI may have accepted this render: look in your xAI account, then attach "
    "its request id, retry it (which may charge twice), or abandon it",
    "stalled": "the job may still finish: attach it again to go on waiting",
    "cancelled": "nobody is waiting for this render any more, but a job that xAI accepted goes on "
    "and may be billed: attach it to get its clip",
}


def result(render: Render, presigned_url: PresignedUrl) -> dict[str, Any]:
    """The existing system's result: whether it worked, and all there is to find and verify it."""
    clip, delivery = render.clip, render.delivery
    video: dict[str, Any] = {
        "temporaryUrl": delivery.url if delivery else None,
        "requestId": render.request_id,
        "model": (delivery.model if delivery else None) or render.plan.model,
        "costUsd": _number(render),
    }
    if clip is not None:
        video |= {
            "url": presigned_url(clip.key),
            "key": clip.key,
            "sidecarKey": clip.sidecar_key,
            "bytes": clip.bytes,
            "sha256": clip.sha256,
            "duration": clip.seconds,
            "width": clip.width,
            "height": clip.height,
            "videoCodec": clip.video_codec,
            "audioCodec": clip.audio_codec,
        }
    success = render.status == "finalized"
    return {"success": success, "video": video if success or delivery else None}


def film_links(run: FilmRun) -> dict[str, str]:
    """Where to go from a run, relative to the API's own address."""
    film = f"/v1/films/{escaped(run.film, safe='')}"
    return {"self": f"{film}?run={escaped(run.run_id, safe='')}", "manifest": f"{film}/manifest"}


def film_accepted(run: FilmRun, clips: Sequence[FilmClip]) -> dict[str, Any]:
    """The answer to a script that was accepted: the same each time it is asked again."""
    return {
        "filmId": run.film,
        "runId": run.run_id,
        "status": "running",
        "clips": [_film_clip(clip) for clip in clips],
        "due": run.due,
        "reused": sum(clip.is_reused for clip in clips),
        "estimatedCostUsd": float(run.estimated_cost_usd),
        "links": film_links(run),
    }


def _film_clip(clip: FilmClip) -> dict[str, Any]:
    return {
        "clipId": clip.clip_id,
        "qualityMode": clip.quality_mode,
        "renderId": clip.render_id,
        "operation": clip.operation,
        "model": clip.model,
        "duration": clip.duration,
        "resolution": clip.resolution,
        "aspectRatio": clip.aspect_ratio,
        "estimatedCostUsd": float(clip.estimated_cost_usd),
        "due": clip.is_due,
        "reused": clip.is_reused,
        "warnings": list(clip.warnings),
    }


def film_run(run: FilmRun, standings: Standings | None = None) -> dict[str, Any]:
    """A run without its clips."""
    return {
        "filmId": run.film,
        "runId": run.run_id,
        "status": run.status,
        "requestedAt": _time(run.requested_at),
        "cancelledAt": _time(run.cancelled_at),
        "endedAt": _time(run.ended_at),
        "counts": {
            "total": run.total,
            "done": run.done,
            "failed": run.failed,
            "running": run.total - run.done - run.failed - run.unresolved,
            "unresolved": run.unresolved,
        },
        "estimatedCostUsd": float(run.estimated_cost_usd),
        "costUsd": _float(run.cost_usd),
        "spending": (standings or Standings()).run(run),
        "requestKey": run.request_key,
        "resultKey": run.result_key,
        "links": film_links(run),
    }


def film_detail(
    run: FilmRun,
    clips: Iterable[FilmClip],
    renders: Mapping[str, Render],
    told: Callback | None = None,
    standings: Standings | None = None,
) -> dict[str, Any]:
    """A run with how each of its clips stands; `run` counts them as they stand.

    `told` is what became of telling its callbackUrl; `standings` have its counter and its film's.
    """
    return {
        **film_run(run, standings),
        "filmSpending": None if standings is None else standings.film(run.film),
        "callback": callback(run.callback_url, told),
        "clips": [_film_row(run, clip, renders.get(clip.render_id)) for clip in clips],
    }


def film_page(page: Page[FilmRun], standings: Standings | None = None) -> dict[str, Any]:
    """A page of runs, newest first, and the cursor of the next one if there may be one."""
    following = None if page.position is None else listing.cursor(page.position)
    return {"films": [film_run(run, standings) for run in page.found], "nextCursor": following}


def film_cancelled(run: FilmRun, open_ones: Iterable[Render]) -> dict[str, Any]:
    """A run that was cancelled, and those of its clips that xAI may bill all the same."""
    return {
        **film_run(run),
        "mayBeBilled": [
            {
                "clipId": render.clip_id,
                "qualityMode": render.plan.quality_mode,
                "renderId": render.render_id,
                "requestId": render.request_id,
                "estimatedCostUsd": float(render.plan.estimate.total_usd),
            }
            for render in open_ones
        ],
    }


def _film_row(run: FilmRun, clip: FilmClip, render: Render | None) -> dict[str, Any]:
    status, why = run.standing(render)
    failure = None if clip.is_reused else why
    return {
        "clipId": clip.clip_id,
        "qualityMode": clip.quality_mode,
        "renderId": clip.render_id,
        "status": "finalized" if clip.is_reused else status,
        "progress": 100 if clip.is_reused else render and render.progress,
        "model": clip.model,
        "duration": clip.duration,
        "estimatedCostUsd": float(clip.estimated_cost_usd),
        "costUsd": None if render is None else _number(render),
        "reused": clip.is_reused,
        "error": failure and failure.model_dump(mode="json"),
        "advice": None if clip.is_reused or render is None else advice(render),
    }


def manifest(
    pipeline_request_id: str,
    entries: Iterable[ManifestEntry],
    runs: Sequence[FilmRun] = (),
    presigned_url: Callable[[str | None], str | None] | None = None,
    after: str | None = None,
    limit: int | None = None,
    standings: Standings | None = None,
) -> dict[str, Any]:
    """A film's manifest in the existing system's third version; a page of it with `limit`.

    A page begins `after` a clip's key, and `next` is the key to go on after. What belongs to the
    whole film, its runs, its spending and what is missing, is on the last one.

    A clip that the newest run came to its end without stands in it as failed, unless there is one
    of before. With `presigned_url`, which makes a url of an uri of the library, each clip says
    where its files can be fetched for a while.
    """
    entries = sorted(entries, key=lambda entry: entry.id)
    there = {entry.id for entry in entries}
    remastered = _remasters(entries)
    entries = [entry for entry in entries if after is None or entry.id > after]
    is_last = limit is None or len(entries) <= limit
    entries = entries[:limit]
    clips = [_manifest_clip(entry, remastered) for entry in entries]
    if presigned_url is not None:
        for entry, clip in zip(entries, clips, strict=True):
            clip["downloads"] = {
                "video": presigned_url(entry.url),
                "firstFrame": presigned_url(entry.first_frame_url),
                "thumbnail": presigned_url(entry.thumbnail_url),
                "poster": presigned_url(entry.poster_url),
            }
    missing = runs[-1].missing if runs and is_last else ()
    clips += [
        _missing_clip(pipeline_request_id, clip, runs[-1])
        for clip in missing
        if f"{clip.clip_id}::{clip.quality_mode}" not in there
    ]
    return {
        "version": 3,
        "requestId": pipeline_request_id,
        "clips": clips,
        "spending": standings.film(pipeline_request_id) if standings and is_last else None,
        "runs": [_manifest_run(run, standings) for run in runs[-MAX_RUNS:]] if is_last else [],
        **({} if is_last else {"next": entries[-1].id}),
    }


def _remasters(entries: Iterable[ManifestEntry]) -> dict[str, list[str]]:
    """Keys of the entries that are remasters, by the request id they were made from."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        if entry.remaster_from_request_id is not None:
            found.setdefault(entry.remaster_from_request_id, []).append(entry.id)
    return found


def _missing_clip(film: str, missing: Shortfall, run: FilmRun) -> dict[str, Any]:
    words = ": ".join(part for part in (missing.error, missing.message) if part)
    return {
        "id": missing.clip_id,
        "pipelineRequestId": film,
        "qualityMode": missing.quality_mode,
        "status": "failed" if missing.status in {"failed", "cancelled"} else missing.status,
        "url": None,
        "error": words or None,
        "renderId": missing.render_id,
        "_key": f"{missing.clip_id}::{missing.quality_mode}",
        "updatedAt": _time(run.ended_at),
    }


def _manifest_run(run: FilmRun, standings: Standings | None) -> dict[str, Any]:
    return {
        "runId": run.run_id,
        "status": run.status,
        "requestedAt": _time(run.requested_at),
        "endedAt": _time(run.ended_at),
        "total": run.total,
        "done": run.done,
        "due": run.due,
        "failed": [missing.model_dump(mode="json") for missing in run.missing],
        "estimatedCostUsd": float(run.estimated_cost_usd),
        "costUsd": _float(run.cost_usd),
        "spending": (standings or Standings()).run(run),
    }


def _manifest_clip(entry: ManifestEntry, remastered: Mapping[str, list[str]]) -> dict[str, Any]:
    return {
        "id": entry.clip_id,
        "pipelineRequestId": entry.pipeline_request_id,
        "qualityMode": entry.quality_mode,
        "duration": entry.duration,
        "status": "done" if entry.status == "finalized" else entry.status,
        "generationKind": entry.generation_kind,
        "requestId": entry.request_id,
        "url": entry.url,
        "temporaryUrl": entry.temporary_url,
        "firstFrameUrl": entry.first_frame_url,
        "thumbnailUrl": entry.thumbnail_url,
        "posterUrl": entry.poster_url,
        "estimatedCostUsd": _float(entry.estimated_cost_usd),
        "costUsd": _float(entry.cost_usd),
        "model": entry.model,
        "modelServed": entry.model_served,
        "resolution": entry.resolution,
        "remasterFromRequestId": entry.remaster_from_request_id,
        "remasteredAs": remastered.get(entry.request_id or "", []),
        "error": entry.error,
        "purpose": entry.purpose,
        "refCode": entry.ref_code,
        "sha256": entry.sha256,
        "renderId": entry.render_id,
        "importedAt": _time(entry.imported_at),
        "_key": entry.id,
        "updatedAt": _time(entry.updated_at),
    }


def problem(error: VideoConductorError) -> dict[str, Any]:
    """An error as RFC 9457 problem details; its `status` is the HTTP status."""
    status, title = HTTP_STATUS.get(type(error), (503, "Something we rely on did not answer"))
    if isinstance(error, OverBudget):
        title = WITHOUT_ROOM.get(error.scope, title)
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    is_known = type(error) in HTTP_STATUS
    body["detail"] = str(error)[:MAX_DETAIL] if is_known else "nothing was spent; ask again"
    if isinstance(error, InvalidRequest):
        body["errors"] = [_problem(found) for found in error.problems]
    if isinstance(error, QuoteRequired):
        body["quote"] = quote(error.quote)
    if isinstance(error, OverBudget):
        body["budget"] = {
            "scope": error.scope,
            "name": error.name,
            **budgets.standing(error.cap, error.held, error.settled),
            "neededUsd": float(budgets.usd(error.needed)),
            "change": error.change,
        }
    return body


def _problem(found: Problem) -> dict[str, Any]:
    shown = found.value
    is_odd = isinstance(shown, float) and not math.isfinite(shown)
    if is_odd or (isinstance(shown, int) and abs(shown) > MAX_EXACT_INTEGER):
        shown = str(shown)
    elif not isinstance(shown, str | int | float | bool | None):
        shown = repr(shown)
    if isinstance(shown, str):
        # Whatever it holds, the answer is valid UTF-8 and stays short.
        shown = shown[:MAX_SHOWN].encode("utf-8", "backslashreplace").decode() + (
            "…" if len(shown) > MAX_SHOWN else ""
        )
    answer = {"field": found.field, "value": shown, "message": found.message}
    return {**answer, "choices": list(found.choices)} if found.choices else answer


def _number(render: Render) -> float | None:
    return None if render.cost_usd is None else float(render.cost_usd)


def _float(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)


def _time(moment: Any) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
