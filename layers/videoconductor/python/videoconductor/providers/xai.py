"""xAI's Grok Imagine video API.

What an answer to the paid POST proves, and therefore whether it may be sent again, follows the
official SDK's policy (retry a POST on 429 only) tightened by one rule: whatever is not known to
have been refused counts as possibly accepted.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from videoconductor import addresses
from videoconductor.addresses import Broken, Limit, NotConnected, Patience, Reply, Request, Wire
from videoconductor.clip import RenderPlan
from videoconductor.errors import (
    JobNotFound,
    KeyRefused,
    ModerationRejected,
    NotSent,
    NoUrl,
    OutOfCredits,
    ProviderUnavailable,
    RateLimited,
    RenderExpired,
    RenderFailed,
    RenderRefused,
    SubmitUnknown,
)
from videoconductor.inputs import image_type
from videoconductor.providers import FrameUrl, Job, MadeStill, Pending, Ready

STILLS_PATH = "images/generations"
PATHS = {"generate": "videos/generations", "edit": "videos/edits", "extend": "videos/extensions"}
# Answers after which nothing was accepted: the request was judged and turned down.
REFUSED = frozenset({400, 401, 402, 403, 404, 405, 413, 415, 422})
MAX_REPLY_BYTES = 1024 * 1024
MAX_STILL_REPLY_BYTES = 24 * 1024 * 1024  # a 2k image in base64 is about four
MAX_WORDS = 500
MAX_ID_LENGTH = 256
MAX_URL_LENGTH = 8192
MAX_SECONDS = 86_400
MAX_TICKS = 10**16  # a million dollars: beyond it, the number is not a price
# Start's function must outlive the sum, so that an answer is never cut off by us.
POST_PATIENCE = Patience(connect=5, write=15, read=25)
POST_SECONDS = 45
# The answer to a POST for a still is the still.
STILL_PATIENCE = Patience(connect=5, write=5, read=40)
STILL_SECONDS = 50
POLL_PATIENCE = Patience(connect=5, write=5, read=10)
POLL_SECONDS = 15

# A rate limit and an empty account share a status; only the words tell them apart.
_NO_CREDIT = re.compile(
    r"spending[ -]limit|(used all|out of|run out of|no|not enough|insufficient|any) "
    r"(available |remaining )?(credits?|funds|balance)|credit balance",
    re.IGNORECASE,
)
_MAYBE_CREDIT = re.compile(r"\bcredits?\b|billing", re.IGNORECASE)
_RATE = re.compile(r"too many requests|rate limit|requests per", re.IGNORECASE)
_MODERATED = re.compile(r"moderat|content[ _-]policy|safety", re.IGNORECASE)
_BAD_KEY = re.compile(r"api[ _-]?key", re.IGNORECASE)
_QUERY = re.compile(r"(https?://[^\s?\"'<>]+)\?[^\s\"'<>]*")
# The same where the url is not spelt like one, as in JSON that escapes its slashes.
_SIGNED = re.compile(
    r"((?:Signature|Credential|Security-Token|AccessKeyId)(?:=|%3D))[^\s\"'<>&\\]+", re.IGNORECASE
)
_KEY = re.compile(r"[!-~]+", re.ASCII)
# xAI's own SDK expects this before an image's base64, its API description does not.
_DATA_URL = re.compile(r"data:image/[a-z+.-]+;base64,", re.ASCII)


def body(plan: RenderPlan, frame_url: FrameUrl, upload_url: str | None = None) -> dict[str, Any]:
    """The JSON body of the POST for `plan`, without what the plan leaves open."""
    output = upload_url and {"upload_url": upload_url}
    if plan.operation == "generate":
        fields: dict[str, Any] = {
            "model": plan.model,
            "prompt": plan.prompt,
            "duration": plan.duration,
            "aspect_ratio": plan.aspect_ratio,
            "resolution": plan.resolution,
            "image": plan.image and {"url": frame_url(plan.image)},
            "last_frame": plan.last_frame and {"url": frame_url(plan.last_frame)},
            "reference_images": [{"url": frame_url(frame)} for frame in plan.references] or None,
            "output": output,
        }
    else:
        fields = {
            "model": plan.model,
            "prompt": plan.prompt,
            "video": {"url": plan.source_video_url},
            "duration": plan.duration,
            "output": output,
        }
    return {name: value for name, value in fields.items() if value is not None}


def still_body(plan: RenderPlan, upload_url: str | None = None) -> dict[str, Any]:
    """The JSON body of the POST for a plan's still.

    The image is asked for in the answer itself: a url could expire before it is fetched, and
    where xAI keeps images is not established.
    """
    fields = {
        "model": plan.image_model,
        "prompt": plan.first_frame_prompt,
        "n": 1,
        "aspect_ratio": plan.aspect_ratio,
        "resolution": plan.image_resolution,
        "quality": plan.image_quality,
        "response_format": "b64_json",
        "output": upload_url and {"upload_urls": [upload_url]},
    }
    return {name: value for name, value in fields.items() if value is not None}


@dataclass(frozen=True)
class _Bounds:
    """How long an answer may take and how large it may be."""

    patience: Patience
    seconds: float
    max_bytes: int = MAX_REPLY_BYTES


@dataclass(frozen=True)
class _Answer:
    """What came back. `broken` says why the body ended before its end, if it did."""

    status: int
    headers: Mapping[str, str]
    text: str
    broken: str | None = None


_JOB = _Bounds(POST_PATIENCE, POST_SECONDS)
_STILL = _Bounds(STILL_PATIENCE, STILL_SECONDS, MAX_STILL_REPLY_BYTES)
_POLL = _Bounds(POLL_PATIENCE, POLL_SECONDS)


class Xai:
    """The provider; `api_key(renew)` reads the key, past any cache when `renew` is true.

    `clock` bounds an answer that trickles; `now` is for a Retry-After that names a date.
    """

    def __init__(
        self,
        base_url: str,
        api_key: Callable[[bool], str],
        wire: Wire | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._api_key = api_key
        self._wire = wire or addresses.Direct()
        self._clock = clock
        self._now = now

    def start(
        self, plan: RenderPlan, frame_url: FrameUrl, trace: str, upload_url: str | None = None
    ) -> Job:
        """See Provider.start. A refused key is read anew, for whoever comes next."""
        content = body(plan, frame_url, upload_url)
        answer, mask = self._post(PATHS[plan.operation], content, trace, _JOB)
        return _started(answer, mask, self._now)

    def make_still(self, plan: RenderPlan, trace: str, upload_url: str | None = None) -> MadeStill:
        """See Provider.make_still."""
        answer, mask = self._post(STILLS_PATH, still_body(plan, upload_url), trace, _STILL)
        return _made(answer, mask, self._now)

    def _post(
        self, path: str, content: Mapping[str, Any], trace: str, bounds: _Bounds
    ) -> tuple[_Answer, _Mask]:
        """The answer to a POST that costs money. Raises NotSent, RenderRefused, SubmitUnknown."""
        try:
            key = self._key()
        except KeyRefused as problem:
            raise RenderRefused(str(problem), code="api_key") from problem
        except ProviderUnavailable as problem:
            raise NotSent(str(problem)) from problem
        try:
            answer = self._call("POST", path, key, bounds, content=content, trace=trace)
        except NotConnected as problem:
            raise NotSent(f"xAI could not be reached: {problem}") from problem
        except Broken as problem:
            raise SubmitUnknown(
                f"xAI may have accepted the job: {problem} after sending"
            ) from problem
        if _speaks_of_key(answer) and self._renewed_key() not in {None, key}:
            # It was rotated: nothing was accepted, and the next POST goes with the new one.
            raise NotSent("xAI refused a key that has been replaced meanwhile")
        return answer, _Mask(key)

    def poll(self, job: Job) -> Pending | Ready:
        """See Provider.poll. A refused key is read anew before the next poll."""
        key = self._key()
        path = f"videos/{quote(str(job['requestId']), safe='')}"
        try:
            answer = self._call("GET", path, key, _POLL)
        except Broken as problem:
            raise ProviderUnavailable(f"no answer to a poll: {problem}") from problem
        try:
            return _polled(answer, _Mask(key), self._now)
        except KeyRefused:
            self._renewed_key()
            raise

    def attach(self, request_id: str) -> Job:
        """See Provider.attach."""
        return {"requestId": request_id}

    def _key(self) -> str:
        """The key, if it can go into a header at all. Raises KeyRefused, ProviderUnavailable."""
        for renew in (False, True):
            key = self._api_key(renew)
            if _KEY.fullmatch(key):
                return key
        raise KeyRefused("the xAI API key is not set, or malformed")

    def _renewed_key(self) -> str | None:
        # Whatever comes of it, the answer that made us ask is what counts now.
        with suppress(ProviderUnavailable):
            return self._api_key(True)
        return None

    def _call(
        self,
        method: str,
        path: str,
        key: str,
        bounds: _Bounds,
        content: Mapping[str, Any] | None = None,
        trace: str | None = None,
    ) -> _Answer:
        _, target = addresses.parsed(f"{self._base_url}/{path}")
        headers, sent = {"Authorization": f"Bearer {key}"}, None
        if trace is not None:
            headers["x-client-request-id"] = trace
        if content is not None:
            headers["Content-Type"] = "application/json"
            sent = json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
        end = self._clock() + bounds.seconds
        request = Request(method, target, target.host, bounds.patience, headers, sent)
        with (
            addresses.bounded(bounds.seconds) as limit,
            closing(self._wire(request, limit)) as reply,
        ):
            came, broken = self._read(reply, end, bounds.max_bytes, limit)
        return _Answer(reply.status, reply.headers, came.decode("utf-8-sig", "replace"), broken)

    def _read(
        self, reply: Reply, end: float, max_bytes: int, limit: Limit
    ) -> tuple[bytes, str | None]:
        """The body as far as it came within bounds, and what cut it off.

        The status has arrived by then and may prove enough: a 400 that breaks off is a refusal.
        """
        came = bytearray()
        try:
            for chunk in addresses.unpacked(reply):
                came += chunk
                if len(came) > max_bytes:
                    return bytes(came[:max_bytes]), "the answer is too large"
                if self._clock() > end:
                    return bytes(came), "the answer took too long"
        except Broken as problem:
            if not limit.is_over:
                return bytes(came), f"the answer broke off ({problem})"
        return bytes(came), "the answer took too long" if limit.is_over else None


class _Mask:
    """Makes words fit to be kept and shown: one line, without the key and what opens a url."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, words: str) -> str:
        words = words.replace(self._key, "***").encode("utf-8", "replace").decode()
        words = _QUERY.sub(r"\1?***", words[: 4 * MAX_WORDS])
        words = _SIGNED.sub(r"\1***", words)
        words = "".join(character if character.isprintable() else " " for character in words)
        return words.strip()[:MAX_WORDS]


def _speaks_of_key(answer: _Answer) -> bool:
    return answer.status == 401 or (answer.status in {400, 403} and _is_bad_key(answer.text))


def _is_bad_key(words: str) -> bool:
    return _BAD_KEY.search(words) is not None


def _started(answer: _Answer, mask: _Mask, now: Callable[[], datetime]) -> Job:
    fields = _json(answer.text)
    if 200 <= answer.status < 300:
        request_id = _text(fields.get("request_id"), MAX_ID_LENGTH)
        if request_id is not None and answer.broken is None:
            return {"requestId": request_id}
        why = answer.broken or "no usable request id"
        raise SubmitUnknown(f"xAI answered {answer.status}, but {why}: {mask(answer.text)}")
    raise _turned_down(answer, fields, mask, now)


def _made(answer: _Answer, mask: _Mask, now: Callable[[], datetime]) -> MadeStill:
    fields = _json(answer.text)
    if 200 <= answer.status < 300:
        if answer.broken is not None or not fields:
            why = answer.broken or "it is not a JSON object"
            raise SubmitUnknown(f"xAI answered {answer.status}, but the still did not come: {why}")
        return _still(fields)
    problem = _turned_down(answer, fields, mask, now)
    if isinstance(problem, RenderRefused) and _MODERATED.search(f"{problem.code} {problem}"):
        raise ModerationRejected(str(problem), code=problem.code, cost_ticks=problem.cost_ticks)
    raise problem


def _still(fields: dict[str, Any]) -> MadeStill:
    images = fields.get("data")
    image = images[0] if isinstance(images, list) and images else None
    image = image if isinstance(image, dict) else {}
    text, ticks = image.get("b64_json"), _ticks(fields)
    if image.get("respect_moderation") is False:
        raise ModerationRejected(
            "the still was made and withheld by moderation", code="moderated", cost_ticks=ticks
        )
    if not isinstance(text, str) or not text:
        raise RenderFailed(
            "xAI made a still and did not send it", code="no_image", cost_ticks=ticks
        )
    try:
        content = base64.b64decode(_DATA_URL.sub("", text, count=1), validate=True)
    except (binascii.Error, ValueError):
        content = b""
    media_type = image_type(content)
    if media_type is None:
        raise RenderFailed(
            "what xAI sent is no JPEG, PNG or WebP image", code="no_image", cost_ticks=ticks
        )
    return MadeStill(content, media_type, ticks)


def _turned_down(
    answer: _Answer, fields: dict[str, Any], mask: _Mask, now: Callable[[], datetime]
) -> RenderRefused | RateLimited | SubmitUnknown:
    """What an answer other than success says about a POST."""
    code, words, ticks = _error(fields, answer.text, mask)
    if answer.status == 402 or (answer.status in {403, 429} and _is_broke(f"{code} {words}")):
        return OutOfCredits(words, code=code, cost_ticks=ticks)
    if answer.status == 429:
        return RateLimited(words, _retry_after(answer.headers, now))
    if answer.status in REFUSED:
        return RenderRefused(words, code=code or str(answer.status), cost_ticks=ticks)
    return SubmitUnknown(f"xAI answered {answer.status}: {words}")


def _is_broke(words: str) -> bool:
    if _NO_CREDIT.search(words):
        return True
    return _MAYBE_CREDIT.search(words) is not None and _RATE.search(words) is None


def _polled(answer: _Answer, mask: _Mask, now: Callable[[], datetime]) -> Pending | Ready:
    fields = _json(answer.text)
    code, words, ticks = _error(fields, answer.text, mask)
    match answer.status:
        case 202:
            return Pending(_progress(fields))
        case 200 if answer.broken is None and fields:
            return _state(fields, mask)
        case 200:
            why = answer.broken or "it is not a JSON object"
            raise ProviderUnavailable(f"xAI's answer to a poll is of no use: {why}")
        case 401 | 403:
            raise KeyRefused(words)
        case 404 | 410:
            raise JobNotFound(words)
        case 400 if _is_bad_key(words):
            raise KeyRefused(words)
        case 400 if answer.broken is None and fields:
            raise _ending(code, words, ticks, _served(fields))
        case status:
            after = _retry_after(answer.headers, now)
            raise ProviderUnavailable(f"xAI answered a poll with {status}: {words}", after)


def _ending(
    code: str | None, words: str, ticks: int | None, served: str | None = None
) -> RenderFailed:
    is_moderated = _MODERATED.search(f"{code} {words}")
    return (ModerationRejected if is_moderated else RenderFailed)(
        words, code=code, cost_ticks=ticks, model_served=served
    )


def _state(fields: dict[str, Any], mask: _Mask) -> Pending | Ready:
    video = fields.get("video")
    video = video if isinstance(video, dict) else {}
    # Early in 2026 a finished job came without a status.
    match fields.get("status") or ("done" if video else None):
        case "done":
            return _done(fields, video, mask)
        case "failed":
            said = _error(fields, "xAI says only that the job failed", mask)
            raise _ending(*said, _served(fields))
        case "expired":
            raise RenderExpired(
                "xAI dropped the job",
                code="expired",
                cost_ticks=_ticks(fields),
                model_served=_served(fields),
            )
        case _:
            return Pending(_progress(fields))


def _done(fields: dict[str, Any], video: dict[str, Any], mask: _Mask) -> Ready:
    ticks, served = _ticks(fields), _served(fields)
    if video.get("respect_moderation") is False:
        raise ModerationRejected(
            "the video was made and withheld by moderation",
            code="moderated",
            cost_ticks=ticks,
            model_served=served,
        )
    stored = video.get("file_output")
    stored = stored if isinstance(stored, dict) else {}
    url = _text(video.get("url"), MAX_URL_LENGTH) or _text(stored.get("public_url"), MAX_URL_LENGTH)
    if url is None:
        reasons = (_text(video.get("storage_error")), _text(stored.get("public_url_error")))
        why = "".join(f": {mask(reason)}" for reason in reasons if reason)
        raise NoUrl(
            f"xAI finished the job without a url{why}",
            code="no_url",
            cost_ticks=ticks,
            model_served=served,
        )
    seconds = _number(video.get("duration"), MAX_SECONDS)
    return Ready(
        url=url,
        model=served,
        seconds=None if seconds is None else float(seconds),
        cost_ticks=ticks,
    )


def _json(text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _text(value: Any, longest: int = MAX_WORDS) -> str | None:
    """A text that can be kept as it is: not blank, not overlong, nothing invisible in it."""
    if isinstance(value, str) and 0 < len(value) <= longest and value.strip():
        return value if value.isprintable() else None
    return None


def _error(fields: dict[str, Any], text: str, mask: _Mask) -> tuple[str | None, str, int | None]:
    """Code, words and cost of an error body: flat, nested under `error`, or plain text."""
    error = fields.get("error")
    nested = error if isinstance(error, dict) else {}
    code = nested.get("code") or fields.get("code")
    words = nested.get("message") or (error if isinstance(error, str) else None) or text
    return (
        mask(code) if isinstance(code, str) else None,
        mask(str(words)) or "no reason given",
        _ticks(fields),
    )


def _served(fields: dict[str, Any]) -> str | None:
    return _text(fields.get("model"), MAX_ID_LENGTH)


def _ticks(fields: dict[str, Any]) -> int | None:
    usage = fields.get("usage")
    ticks = _number(usage.get("cost_in_usd_ticks"), MAX_TICKS) if isinstance(usage, dict) else None
    return None if ticks is None else int(ticks)


def _progress(fields: dict[str, Any]) -> int | None:
    progress = fields.get("progress")
    if isinstance(progress, bool) or not isinstance(progress, int | float):
        return None
    # NaN is not equal to itself.
    return int(min(max(progress, 0), 100)) if progress == progress else None


def _number(value: Any, highest: int) -> int | float | None:
    """A number from 0 to `highest`; neither a truth value nor NaN is one."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if 0 <= value <= highest else None


def _retry_after(headers: Mapping[str, str], now: Callable[[], datetime]) -> int | None:
    """Seconds from now: RFC 9110 allows a number or a date. None for anything else."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value, re.ASCII):
        return math.ceil(float(value))
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0, math.ceil((moment - now()).total_seconds()))
