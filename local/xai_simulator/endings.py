"""What a poll says: the pending answers, the done body, and every other way a job can end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xai_simulator import replies
from xai_simulator.jobs import Job, Status

if TYPE_CHECKING:
    from xai_simulator.simulator import Simulator

Body = dict[str, Any]
Reply = tuple[int, Body | None]
Change = Callable[[Body, Job], Reply]
SURPRISE = 10

FAILURES = {
    "failed": ("internal_error", "An internal error occurred while generating the video."),
    "failed_invalid": ("invalid_argument", "The request could not be processed as given."),
    "failed_permission": ("permission_denied", "The team may not use this feature."),
    "failed_precondition": ("failed_precondition", "The input is not ready to be used."),
    "failed_unavailable": ("service_unavailable", "The service is currently unavailable."),
    "moderated_failed": ("invalid_argument", "The content was blocked by moderation."),
}


def outcome(job: Job) -> Status:
    """How the job ends, before anybody polls."""
    if job.failure is not None:
        return "failed"
    names = [row.name for row in job.order.markers.at("ending")]
    return next((OUTCOMES[name] for name in names if name in OUTCOMES), "done")


def pending(simulator: Simulator, job: Job) -> Reply:
    """202, with or without a body."""
    options = simulator.options
    body: Body | None = {"status": "pending", "progress": job.progress(options.progress_steps)}
    if not options.report_progress:
        body = {"status": "pending"}
    if options.empty_pending:
        body = None
    status = 202
    for row in job.order.markers.at("poll"):
        if row.name in PENDING_CHANGES:
            status, body = PENDING_CHANGES[row.name](body or {"status": "pending"}, job)
    return status, body


def final(simulator: Simulator, job: Job) -> Reply:
    """200 (or a moderated 400) with the job's end."""
    if job.failure is not None:
        return 200, _failed(job.failure.code, job.failure.message)
    body = _done(simulator, job)
    status = 200
    changed: Body | None = body
    for row in job.order.markers.at("ending"):
        status, changed = CHANGES[row.name](changed or body, job)
    return status, changed


def _failed(code: str, message: str) -> Body:
    return {"status": "failed", "error": {"code": code, "message": message}}


def _done(simulator: Simulator, job: Job) -> Body:
    video: Body = {
        "url": simulator.url_of(job) if job.artifacts else "",
        "duration": round(job.results[0].seconds) if job.results else 0,
        "respect_moderation": True,
    }
    if job.files:
        video["file_output"] = job.files[0]
    if job.video.upload_url and not simulator.options.url_with_upload:
        video["url"] = None
    body: Body = {"status": "done", "video": video, "model": job.order.reported_model}
    if simulator.options.report_usage:
        body["usage"] = {"cost_in_usd_ticks": job.ticks}
    body["progress"] = 100
    return body


def _usage(job: Job) -> dict[str, int]:
    return {"cost_in_usd_ticks": job.ticks}


def _withheld(url: str | None) -> Change:
    def change(body: Body, job: Job) -> Reply:
        body["video"].update(url=url, respect_moderation=False)
        body["video"].pop("file_output", None)
        return 200, body

    return change


def _moderated(code: str) -> Change:
    def change(body: Body, job: Job) -> Reply:
        return 400, {"code": code, "error": replies.VIDEO_MODERATED, "usage": _usage(job)}

    return change


def _fails(code: str, message: str) -> Change:
    return lambda body, job: (200, _failed(code, message))


def _with_video(**fields: Any) -> Change:
    def change(body: Body, job: Job) -> Reply:
        body["video"].update(fields)
        return 200, body

    return change


def _without(*names: str) -> Change:
    return lambda body, job: (200, {key: body[key] for key in body if key not in names})


def _no_file(**fields: Any) -> Change:
    def change(body: Body, job: Job) -> Reply:
        body["video"].pop("file_output", None)
        body["video"].update(fields)
        return 200, body

    return change


def _no_public_url(body: Body, job: Job) -> Reply:
    file_output = dict(body["video"].get("file_output") or {})
    file_output.pop("public_url", None)
    file_output["public_url_error"] = "The public url could not be created."
    body["video"]["file_output"] = file_output
    return 200, body


def _dearer(body: Body, job: Job) -> Reply:
    body["usage"] = {"cost_in_usd_ticks": job.ticks * SURPRISE}
    return 200, body


CHANGES: dict[str, Change] = {
    **{name: _fails(*row) for name, row in FAILURES.items()},
    "failed_no_error": lambda body, job: (200, {"status": "failed"}),
    "expired": lambda body, job: (200, {"status": "expired"}),
    "moderated": _withheld(""),
    "moderated_null": _withheld(None),
    "moderated_400": _moderated("Client specified an invalid argument"),
    "moderated_400_new": _moderated("imagine:content-moderated"),
    "no_status": _without("status"),
    "file_only": _with_video(url=None),
    "upload_only": _no_file(url=None),
    "no_url": _no_file(url=None),
    "no_video": _without("video"),
    "no_usage": _without("usage"),
    "surprise_cost": _dearer,
    "storage_error": _no_file(storage_error="The file could not be stored."),
    "public_url_error": _no_public_url,
    "private_url": _with_video(url="http://169.254.169.254/latest/meta-data/clip.mp4"),
    "file_url": _with_video(url="file:///etc/passwd"),
}

OUTCOMES: dict[str, Status] = {
    **dict.fromkeys(FAILURES, "failed"),
    "failed_no_error": "failed",
    "expired": "expired",
    "moderated": "moderated",
    "moderated_null": "moderated",
    "moderated_failed": "moderated",
    "moderated_400": "moderated",
    "moderated_400_new": "moderated",
}

PENDING_CHANGES: dict[str, Change] = {
    "empty202": lambda body, job: (202, None),
    "no_progress": lambda body, job: (202, {"status": "pending"}),
    "backwards": lambda body, job: (202, {**body, "progress": max(0, 90 - 10 * job.polls)}),
}
