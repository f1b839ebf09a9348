"""What xAI may do, from the simulator's table, and in what the catalogue says that it must end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.reliability.kinds import KINDS
from tests.reliability.plans import Case, Point
from xai_simulator.scenarios import SCENARIOS

TEXT = KINDS[0]
AT_XAI = Point("xai", "xai", "answers")
FINE = frozenset({"finalized"})
FAILS = frozenset({"failed"})
UNKNOWN = frozenset({"submit_unknown"})
# Without a witness; those that are not here end in a finished clip.
ENDS: dict[str, frozenset[str]] = {
    **dict.fromkeys(
        (
            *("start503", "start500", "start502", "start529", "start_drop", "start_redirect"),
            *("lost", "lost503", "lost504", "garbled", "slow_start", "start_no_id"),
            *("start_null_id", "start_html", "start_empty", "start_redirected"),
        ),
        UNKNOWN,
    ),
    **dict.fromkeys(
        (
            *("denied", "nocredits", "zdr"),
            *("failed", "failed_invalid", "failed_permission", "failed_precondition"),
            *("failed_unavailable", "failed_no_error", "expired", "moderated", "moderated_null"),
            *("moderated_failed", "moderated_400", "moderated_400_new"),
            *("upload_only", "no_url", "no_video", "private_url", "file_url"),
            *("short", "long", "truncated", "reset", "stall", "drip", "empty", "html", "json"),
            *("notmp4", "nomoov", "oversize", "oversize_chunked"),
            *("redirect", "redirect_private", "redirect_loop", "expired_url"),
        ),
        FAILS,
    ),
    **dict.fromkeys(("hang", "job_lost"), frozenset({"stalled"})),
}
# With nothing to deliver to, they are what they are anyway.
OF_WITNESSES = frozenset({"witness_late", "witness_never", "witness_broken"})
# Of clips in 1080p alone.
NOT_HERE = frozenset({"no1080p"})
# They take minutes, and are left to the full run.
SLOW = frozenset({"hang", "job_lost", "slow_start", "stall", "drip", "poll_slow"})
NO_JOB = frozenset({"start503", "start500", "start502", "start529", "start_drop", "start_redirect"})
# xAI has made the clip, and says so in a way that leads nowhere: a witness may have it.
MADE = frozenset({"upload_only", "no_url", "no_video", "private_url", "file_url", "job_lost"})
# Where something that happens at one stage is drilled besides: a point that each such run comes by.
BESIDE: dict[str, tuple[tuple[Point, str], ...]] = {
    "poll": (
        (Point("poll", "dynamodb", "GetItem"), "after"),
        (Point("poll", "xai", "GET videos"), "during"),
        (Point("poll", "dynamodb", "TransactWriteItems"), "during"),
    ),
    "answer": (
        (Point("record_failure", "dynamodb", "GetItem"), "after"),
        (Point("record_failure", "eventbridge", "PutEvents"), "during"),
    ),
    "result": (
        (Point("finalize", "dynamodb", "GetItem"), "after"),
        (Point("finalize", "download", "GET"), "during"),
    ),
    "ending": (
        (Point("poll", "xai", "GET videos"), "after"),
        (Point("poll", "dynamodb", "TransactWriteItems"), "after"),
    ),
}


def cases(*, witness: bool) -> list[Case]:
    """Each scenario by itself and with kills beside it."""
    found = []
    for name, row in SCENARIOS.items():
        if name in NOT_HERE or (name in OF_WITNESSES and not witness):
            continue
        expected = ends(name, witness=witness)
        case = Case(TEXT, AT_XAI, "xai", times=0, marker=name, expected=expected)
        found.append(case)
        if name not in SLOW:
            found += [replace(each, expected=expected) for each in beside(case, row.stage)]
    return found


def beside(case: Case, stage: str) -> Iterator[Case]:
    for point, moment in BESIDE.get(stage, ()):
        yield replace(case, point=point, fault="kill", moment=moment, times=1)


def ends(name: str, *, witness: bool) -> frozenset[str]:
    """What one scenario must end in."""
    plain = ENDS.get(name, FINE)
    if not witness or plain == FINE or name in NO_JOB:
        return plain
    if name == "zdr" or SCENARIOS[name].stage == "answer":
        return FINE
    is_made = SCENARIOS[name].stage == "result" or name in MADE
    return plain | FINE if is_made else plain
