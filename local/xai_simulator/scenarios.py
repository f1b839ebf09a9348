"""Every way to misbehave, in one table: `[[sim:NAME]]` in a prompt picks a row."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from xai_simulator.replies import Refusal

Stage = Literal["start", "answer", "poll", "ending", "result", "upload", "work"]
MARKER = re.compile(r"\[\[sim:([^\]=]*)(?:=([^\]]*))?\]\]")

STAGES: dict[Stage, str] = {
    "start": "The POST fails and no job exists",
    "answer": "The job is started, its answer goes wrong",
    "work": "The job takes longer, or for ever",
    "poll": "Polls go wrong while the job runs on",
    "ending": "How the job ends",
    "upload": "What arrives at `output.upload_url`",
    "result": "What the result url serves",
}


@dataclass(frozen=True)
class Scenario:
    """One row: `times` is how often it strikes (0: always), `status` the HTTP status it answers."""

    name: str
    stage: Stage
    does: str
    times: int = 0
    status: int = 0


_ROWS = (
    Scenario("start429", "start", "first POST of this prompt: 429, the rate-limit text", 1, 429),
    Scenario("start503", "start", "first POST of this prompt: 503", 1, 503),
    Scenario("start500", "start", "first POST of this prompt: 500", 1, 500),
    Scenario("start502", "start", "first POST of this prompt: 502 with a proxy's HTML", 1, 502),
    Scenario("start529", "start", "first POST of this prompt: 529, overloaded", 1, 529),
    Scenario("start_drop", "start", "first POST of this prompt: connection closed, no job", 1),
    Scenario("start_redirect", "start", "307 to the same path, no job; followed, it loops", 0, 307),
    Scenario("denied", "start", "403 permission-denied, never a job", 0, 403),
    Scenario("nocredits", "start", "429 (or 403, by option) with the spending-limit text", 0, 429),
    Scenario("no1080p", "start", "1080p is refused as not available for your team", 0, 400),
    Scenario("zdr", "start", "refused without output.upload_url (zero data retention)", 0, 400),
    Scenario("lost", "answer", "connection closed instead of an answer"),
    Scenario("lost503", "answer", "503 although the job was started", 0, 503),
    Scenario("lost504", "answer", "504 with a proxy's HTML although the job was started", 0, 504),
    Scenario("garbled", "answer", "200 whose body is cut short of its Content-Length"),
    Scenario("slow_start", "answer", "the answer comes after a minute"),
    Scenario("start_no_id", "answer", "200 `{}`, without a request_id"),
    Scenario("start_null_id", "answer", '200 `{"request_id":null}`'),
    Scenario("start_html", "answer", "200 with HTML instead of JSON"),
    Scenario("start_empty", "answer", "200 with an empty body"),
    Scenario("start_redirected", "answer", "303 to an HTML page, the job was started", 0, 303),
    Scenario("hang", "work", "pending for ever"),
    Scenario("slow", "work", "the job takes ten times as long, or as many as it says"),
    Scenario("empty202", "poll", "pending answers have no body"),
    Scenario("no_progress", "poll", "pending answers without progress"),
    Scenario("backwards", "poll", "progress goes backwards"),
    Scenario("unknown_status", "poll", "an unheard-of status for the first three polls", 3, 200),
    Scenario("poll408", "poll", "first poll of each job: 408", 1, 408),
    Scenario("poll429", "poll", "first poll of each job: 429, the rate-limit text", 1, 429),
    Scenario("poll500", "poll", "first poll of each job: 500", 1, 500),
    Scenario("poll502", "poll", "first poll of each job: 502 with a proxy's HTML", 1, 502),
    Scenario("poll503", "poll", "first poll of each job: 503", 1, 503),
    Scenario("poll529", "poll", "first poll of each job: 529", 1, 529),
    Scenario("poll404", "poll", "first two polls of each job: 404", 2, 404),
    Scenario("job_lost", "poll", "404 for ever for a job that was started", 0, 404),
    Scenario("bad_key_poll", "poll", "first three polls: 400, the wrong-key text", 3, 400),
    Scenario("poll401", "poll", "first two polls: 401", 2, 401),
    Scenario("poll403", "poll", "first two polls: 403 permission-denied", 2, 403),
    Scenario("poll_drop", "poll", "first poll of each job: connection closed", 1),
    Scenario("poll_slow", "poll", "first poll of each job: the answer comes after a minute", 1),
    Scenario("poll_html", "poll", "first poll of each job: 200 with HTML", 1, 200),
    Scenario("poll_empty200", "poll", "first poll of each job: 200 with an empty body", 1, 200),
    Scenario("truncated_json", "poll", "first poll of each job: JSON cut in the middle", 1, 200),
    Scenario("failed", "ending", "200 `failed`, internal_error", 0, 200),
    Scenario("failed_invalid", "ending", "200 `failed`, invalid_argument", 0, 200),
    Scenario("failed_permission", "ending", "200 `failed`, permission_denied", 0, 200),
    Scenario("failed_precondition", "ending", "200 `failed`, failed_precondition", 0, 200),
    Scenario("failed_unavailable", "ending", "200 `failed`, service_unavailable", 0, 200),
    Scenario("failed_no_error", "ending", "200 `failed` without an error object", 0, 200),
    Scenario("expired", "ending", '200 `{"status":"expired"}`, the older shape', 0, 200),
    Scenario(
        "moderated", "ending", 'done, respect_moderation false, url ""; images: HTTP 400', 0, 200
    ),
    Scenario("moderated_null", "ending", "done, respect_moderation false, url null", 0, 200),
    Scenario("moderated_failed", "ending", "200 `failed`, its message names moderation", 0, 200),
    Scenario("moderated_400", "ending", "the poll answers HTTP 400 with usage", 0, 400),
    Scenario("moderated_400_new", "ending", "the same with code imagine:content-moderated", 0, 400),
    Scenario("no_status", "ending", "the done body of early 2026, without `status`", 0, 200),
    Scenario("file_only", "ending", "url null, file_output.public_url set", 0, 200),
    Scenario(
        "upload_only", "ending", "url null, no file_output: only upload_url got the MP4", 0, 200
    ),
    Scenario("no_url", "ending", "done with url null and nothing else", 0, 200),
    Scenario("no_video", "ending", "done without a video object", 0, 200),
    Scenario("no_usage", "ending", "done without usage", 0, 200),
    Scenario("surprise_cost", "ending", "done, usage ten times the list price", 0, 200),
    Scenario("storage_error", "ending", "storage_error in place of file_output", 0, 200),
    Scenario(
        "public_url_error", "ending", "file_output with public_url_error, no public_url", 0, 200
    ),
    Scenario("private_url", "ending", "url on a link-local address", 0, 200),
    Scenario("file_url", "ending", "url with the file: scheme", 0, 200),
    Scenario("witness_late", "upload", "upload_url is served some seconds after done"),
    Scenario("witness_never", "upload", "upload_url is never served"),
    Scenario("witness_broken", "upload", "upload_url gets a file cut in half"),
    Scenario("short", "result", "body ends before its Content-Length"),
    Scenario("short_once", "result", "the same, first download only", 1),
    Scenario("long", "result", "Content-Length is half of what is sent"),
    Scenario("truncated", "result", "half of the MP4, with the Content-Length of that half"),
    Scenario("reset", "result", "connection reset in the middle"),
    Scenario("stall", "result", "half of the body, then silence for ten minutes"),
    Scenario("drip", "result", "one byte every half second"),
    Scenario("empty", "result", "200 with no bytes", 0, 200),
    Scenario("html", "result", "200 with an HTML page", 0, 200),
    Scenario("json", "result", "200 with JSON", 0, 200),
    Scenario("notmp4", "result", "200 video/mp4 whose bytes are not an MP4", 0, 200),
    Scenario("nomoov", "result", "an MP4 without its moov box", 0, 200),
    Scenario("oversize", "result", "gigabytes announced and sent (see oversize_bytes)", 0, 200),
    Scenario("oversize_chunked", "result", "the same without a Content-Length", 0, 200),
    Scenario("redirect", "result", "302 to the working file on this server", 0, 302),
    Scenario("redirect_private", "result", "302 to a link-local address", 0, 302),
    Scenario("redirect_loop", "result", "302 to itself", 0, 302),
    Scenario("gone", "result", "404; the next poll gives a fresh url that works", 0, 404),
    Scenario("expired_url", "result", "every result url answers 403", 0, 403),
    Scenario("download503", "result", "first download: 503", 1, 503),
    Scenario("octet", "result", "the right bytes as application/octet-stream", 0, 200),
)
SCENARIOS: dict[str, Scenario] = {row.name: row for row in _ROWS}


@dataclass(frozen=True)
class Markers:
    """The scenarios that one prompt asks for, in their order."""

    rows: tuple[Scenario, ...] = ()

    def at(self, stage: Stage) -> tuple[Scenario, ...]:
        """Those that strike at `stage`."""
        return tuple(row for row in self.rows if row.stage == stage)

    def has(self, name: str) -> bool:
        """Whether the prompt asks for `name`."""
        return any(row.name == name for row in self.rows)

    def number(self, name: str) -> int:
        """The number after `name=`; 0 without one."""
        return next((row.times for row in self.rows if row.name == name), 0)

    def __str__(self) -> str:
        return "+".join(row.name for row in self.rows)


def markers(prompt: str) -> Markers:
    """The scenarios marked in `prompt`; a number after `=` says how often they strike."""
    return Markers(tuple(_scenario(name, count) for name, count in MARKER.findall(prompt)))


def _scenario(name: str, count: str) -> Scenario:
    row = SCENARIOS.get(name)
    if row is None:
        known = ", ".join(SCENARIOS)
        raise Refusal(f"the simulator has no marker {name!r}; choose one of: {known}")
    if not count:
        return row
    if not count.isdecimal():
        raise Refusal(f"the number after [[sim:{name}= must be digits, not {count!r}")
    return Scenario(row.name, row.stage, row.does, int(count), row.status)
