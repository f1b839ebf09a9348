"""Webhooks: a render's or a run's newest event, told to its callbackUrl as Standard Webhooks says.

An event of the bus becomes a notice on a queue (`notify`); a notice becomes a signed POST
(`call_back`), tried again with growing gaps for a day. What is told is read from the record when
it is told, so an event that was overtaken meanwhile is left out: the later one has its own notice.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from videoconductor import __version__, reports, views
from videoconductor.clip import Callback, FilmRun, Notice, Render
from videoconductor.errors import FilmNotFound, NotAllowed, ReceiverUnavailable, RenderNotFound
from videoconductor.identity import principal

if TYPE_CHECKING:
    from videoconductor.manifest import Manifest
    from videoconductor.receivers import Receivers
    from videoconductor.webhook_queue import WebhookQueue

Clock = Callable[[], datetime]
Keys = Callable[[], tuple[str, ...]]

# Seconds from one attempt to the next: a day and a bit altogether. The queue hands a notice out
# once for each attempt, as `maxReceiveCount` in the template says.
BACKOFF = (5, 300, 1800, 7200, 18_000, 36_000, 25_200)
MAX_ATTEMPTS = len(BACKOFF) + 1
JITTER = 0.1
MAX_WAIT = 39_600  # seconds; SQS hides a message for 12 hours at most
GONE = 410
MAX_MISSING = 20  # clips in the webhook of a run: receivers are spared long documents
ROTATION = timedelta(hours=24)  # how long what is sent is signed with the key before, too
SECRET_PREFIX = "whsec_"  # noqa: S105  (what every secret begins with)


@dataclass(frozen=True)
class News:
    """The newest event of a render or a run, for the callbackUrl that wants to hear of it."""

    notice: Notice
    url: str = field(repr=False)
    caller: str
    told: dict[str, Any]


def news(record: Render | FilmRun) -> News | None:
    """What there is to tell of a record; None when it is not at rest, or nobody is to be told."""
    if record.callback_url is None:
        return None
    if isinstance(record, FilmRun):
        return _of_run(record, record.callback_url)
    return _of_render(record, record.callback_url)


def _of_render(render: Render, url: str) -> News | None:
    kind = reports.DETAIL_TYPES.get(render.status)
    if kind is None or not render.timeline:
        return None
    moment = render.timeline[-1].at
    notice = Notice(
        type=kind,
        webhook_id=_id(render.render_id, kind, moment),
        happened_at=moment,
        render_id=render.render_id,
    )
    return News(notice, url, render.caller, {**reports.event(render), "links": views.links(render)})


def _of_run(run: FilmRun, url: str) -> News | None:
    if run.status == "running" or run.ended_at is None:
        return None
    notice = Notice(
        type=reports.FILM_READY,
        webhook_id=_id(run.run_id, reports.FILM_READY, run.ended_at),
        happened_at=run.ended_at,
        film=run.film,
        run_id=run.run_id,
    )
    told = reports.film_event(run)
    told = {**told, "missing": told["missing"][:MAX_MISSING], "links": views.film_links(run)}
    return News(notice, url, run.caller, told)


def _id(name: str, kind: str, moment: datetime) -> str:
    """The id of an event: the same for whoever asks, another when it happens once more."""
    parts = json.dumps([name, kind, moment.isoformat()])
    return f"wh_{hashlib.sha256(parts.encode()).hexdigest()[:32]}"


# -- from the bus to the queue -------------------------------------------------------------------


def notify(event: Mapping[str, Any], manifest: Manifest, queue: WebhookQueue) -> Notice | None:
    """Put a notice of an event of the bus on the queue, if its request named a callbackUrl.

    None for an event that was overtaken. The same event again makes the same notice again. Raises
    ManifestUnavailable, QueueUnavailable.
    """
    detail = event["detail"]
    found = _current(manifest, *map(detail.get, ("renderId", "filmId", "runId")))
    if found is None or found.notice.type != event["detail-type"]:
        return None
    queue.put(found.notice.model_dump_json(exclude_defaults=True))
    return found.notice


def redeliver(record: Render | FilmRun, queue: WebhookQueue) -> Notice:
    """Have the newest event of a record told once more, with all its attempts.

    It is the same event, so it keeps its webhook id. Raises NotAllowed when there is no
    callbackUrl or nothing to tell yet, QueueUnavailable.
    """
    found = news(record)
    if record.callback_url is None:
        raise NotAllowed("the request named no callbackUrl")
    if found is None:
        raise NotAllowed(f"it is {record.status}: there is nothing to tell yet")
    notice = found.notice.model_copy(update={"is_asked_again": True})
    queue.put(notice.model_dump_json(exclude_defaults=True))
    return notice


def _current(
    manifest: Manifest, render_id: str | None, film: str | None, run_id: str | None
) -> News | None:
    """What there is to tell now of a render or a run; None when it is gone."""
    try:
        if render_id is not None:
            return news(manifest.read(render_id))
        return None if film is None else news(manifest.run(film, run_id))
    except (RenderNotFound, FilmNotFound):
        return None


# -- from the queue to the receiver --------------------------------------------------------------


def call_back(
    notice: Notice,
    attempt: int,
    manifest: Manifest,
    receivers: Receivers,
    keys: Keys,
    clock: Clock,
    chance: random.Random,
) -> Callback | None:
    """Tell a callbackUrl of an event: the `attempt`-th time, counted from 1.

    Returns what is on record of it then; with `next_attempt_at` it has to be tried again. None
    when there is nothing to tell any more: the event was overtaken, or has been told already.
    Raises ManifestUnavailable, WebhookKeyUnavailable.
    """
    found = _current(manifest, notice.render_id, notice.film, notice.run_id)
    if found is None or found.notice.webhook_id != notice.webhook_id:
        return None
    known = manifest.callback(notice)
    is_told = known is not None and known.webhook_id == notice.webhook_id and known.is_settled
    if is_told and not notice.is_asked_again:
        return None
    at = clock()
    tried = _tried(found, attempt, receivers, keys, at, chance)
    return manifest.update_callback(notice, lambda latest: _added(latest, tried, notice))


def _tried(
    found: News, attempt: int, receivers: Receivers, keys: Keys, at: datetime, chance: random.Random
) -> Callback:
    text = body(found.notice, found.told)
    secrets = [secret(key, found.caller) for key in keys()]
    sent = headers(found.notice.webhook_id, at, text, secrets)
    tried = Callback(
        webhook_id=found.notice.webhook_id,
        type=found.notice.type,
        attempts=1,
        last_attempt_at=at,
    )
    try:
        answer = receivers.post(found.url, sent, text.encode())
    except ReceiverUnavailable as problem:
        return _failed(tried.model_copy(update={"last_error": str(problem)}), attempt, None, chance)
    tried = tried.model_copy(update={"last_status": answer.status})
    if 200 <= answer.status < 300:
        return tried.model_copy(update={"delivered_at": at})
    if answer.status == GONE:
        return tried.model_copy(update={"given_up_at": at})
    return _failed(tried, attempt, answer.retry_after, chance)


def _failed(
    tried: Callback, attempt: int, retry_after: str | None, chance: random.Random
) -> Callback:
    if attempt >= MAX_ATTEMPTS:
        return tried.model_copy(update={"given_up_at": tried.last_attempt_at})
    seconds = gap(attempt, retry_after, tried.last_attempt_at, chance)
    later = tried.last_attempt_at + timedelta(seconds=seconds)
    return tried.model_copy(update={"next_attempt_at": later})


def _added(latest: Callback | None, tried: Callback, notice: Notice) -> Callback:
    """An attempt added to what is on record; one that failed takes back no delivery."""
    if latest is None or latest.webhook_id != tried.webhook_id:
        return tried
    changes: dict[str, Any] = {"attempts": latest.attempts + 1}
    if tried.delivered_at is None and latest.delivered_at is not None:
        changes["delivered_at"] = latest.delivered_at
        if not notice.is_asked_again:  # a duplicate was quicker, and was taken
            changes |= {"next_attempt_at": None, "given_up_at": None}
    return tried.model_copy(update=changes)


def pause(told: Callback | None) -> int | None:
    """Seconds until a notice has to be handed out again; None when it is done with.

    After the last attempt it is handed out at once, which is once too often: SQS puts it with the
    dead letters.
    """
    if told is not None and told.next_attempt_at is not None:
        return int((told.next_attempt_at - told.last_attempt_at).total_seconds())
    is_dead = told is not None and told.given_up_at is not None and told.last_status != GONE
    return 0 if is_dead else None


def shown(notice: Notice, told: Callback | None = None) -> dict[str, Any]:
    """A notice, and how telling it went, for the log: who and what, never where to."""
    fields = {"renderId": notice.render_id, "runId": notice.run_id, "event": notice.type}
    if told is None:
        return fields
    return {
        **fields,
        "attempts": told.attempts,
        "answer": told.last_status or told.last_error,
        "delivered": told.delivered_at is not None,
    }


def gap(attempt: int, retry_after: str | None, now: datetime, chance: random.Random) -> int:
    """Seconds to wait after the `attempt`-th attempt, counted from 1.

    A receiver can ask for more with Retry-After, up to MAX_WAIT, not for less.
    """
    own = BACKOFF[attempt - 1] * (1 + JITTER * chance.random())
    return int(min(max(own, _asked(retry_after, now)), MAX_WAIT))


def _asked(retry_after: str | None, now: datetime) -> float:
    """Seconds in a Retry-After header: a number, or a date; 0 for anything else."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return (parsedate_to_datetime(text) - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return 0


# -- the webhook itself --------------------------------------------------------------------------


def body(notice: Notice, told: Mapping[str, Any]) -> str:
    """The text that is signed and sent: type, time of the event and what became of it."""
    happened_at = notice.happened_at.isoformat().replace("+00:00", "Z")
    document = {"type": notice.type, "timestamp": happened_at, "data": told}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def secret(key: str, caller: str) -> str:
    """The secret of a caller's webhooks, `whsec_…`, made of the stack's master key."""
    digest = hmac.new(key.encode(), principal(caller).encode(), hashlib.sha256).digest()
    return SECRET_PREFIX + base64.b64encode(digest).decode()


def headers(webhook_id: str, at: datetime, text: str, secrets: list[str]) -> dict[str, str]:
    """The headers of a webhook, signed with each of the secrets; `at` is when it is sent."""
    # Here, not at the top: nobody else needs it, and it is in one layer only.
    from standardwebhooks import Webhook

    signatures = [Webhook(each).sign(webhook_id, at, text) for each in secrets]
    return {
        "Content-Type": "application/json",
        "User-Agent": f"VideoConductor/{__version__}",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
