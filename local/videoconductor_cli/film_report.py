"""What a film will be and cost, and what became of its clips, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from videoconductor_cli import film_board, showing
from videoconductor_cli.outcome import ON_MONEY, WAYS_OUT
from videoconductor_cli.showing import Document

MOST_LINES = 40  # clips that are listed one by one
MOST_NOTES = 10
MOST_WRONG = 20  # clips whose errors are told in full


def announce(accepted: Document) -> None:
    """Say what was accepted: each clip with its price, or why it has none."""
    clips = accepted["clips"]
    due = [clip for clip in clips if _is_due(clip)]
    there = sum(bool(clip["reused"]) for clip in clips)
    words = [f"{len(due)} to pay for", f"{there} there already"]
    if others := len(clips) - len(due) - there:
        words.append(f"{others} under way or waiting for somebody's word")
    showing.say(f"film {accepted['filmId']}, run {accepted['runId']}: {', '.join(words)}")
    if len(clips) <= MOST_LINES:
        for clip in clips:
            showing.say(f"  {clip['clipId']}: {showing.described(clip)}: {_price(clip)}")
    else:
        for line in _kinds(due):
            showing.say(f"  {line}")
    notes = [f"{clip['clipId']}: {note}" for clip in due for note in clip["warnings"]]
    for note in notes[:MOST_NOTES]:
        showing.say(f"  note: {note}")
    if len(notes) > MOST_NOTES:
        showing.say(f"  … and {len(notes) - MOST_NOTES} more notes: `plan` lists them")
    showing.say(f"  estimate: {showing.usd(accepted['estimatedCostUsd'])}")


def absent(film: Document) -> list[Document]:
    """The clips of a run that did not become one."""
    return [clip for clip in film["clips"] if clip["status"] != "finalized"]


def conclude(film: Document, accepted: Document) -> None:
    """Print what became of a run's clips; of a big film, those that are not there."""
    seconds = {clip["clipId"]: clip["duration"] for clip in accepted["clips"]}
    clips = film["clips"]
    missing = absent(film)
    listed = clips if len(clips) <= MOST_LINES else missing[:MOST_LINES]
    if listed:
        showing.give_table(
            ["clip", "mode", "status", "seconds", "cost", "error"],
            [_row(clip, seconds.get(clip["clipId"])) for clip in listed],
        )
    if len(clips) > MOST_LINES < len(missing):
        showing.give(f"… and {len(missing) - MOST_LINES} more that are not there")
    showing.give(film_board.total(film))
    if spending := showing.spending(film.get("filmSpending")):
        showing.give(f"the film in all: {spending}")
    if film["resultKey"]:
        showing.give(f"key: {film['resultKey']}")


def complain(film: Document, again: str) -> None:
    """Say of each clip that is not there why, and what may help."""
    missing = absent(film)
    if not missing:
        return
    for clip in missing[:MOST_WRONG]:
        for line in why_not(clip):
            showing.say(line)
    if len(missing) > MOST_WRONG:
        statuses = Counter(str(clip["status"]) for clip in missing[MOST_WRONG:])
        words = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
        showing.say(f"… and {len(missing) - MOST_WRONG} more clips: {words}")
    failed = [clip for clip in missing if clip["status"] in film_board.FAILED]
    if failed:
        is_short = all((clip["error"] or {}).get("error") in ON_MONEY for clip in failed)
        first = "Once there is room, a" if is_short else "A"
        showing.say(f"{first} new run pays for what failed and for what has changed:\n  {again}")


def reached_its_limit(film: Document) -> bool:
    """Whether the run's own limit kept a clip from being sent: the same run again would as well."""
    return any((clip["error"] or {}).get("code") == "cap:run" for clip in absent(film))


def why_not(clip: Document) -> list[str]:
    """Why a clip is not there, and the commands that may help."""
    status, error = clip["status"], clip["error"]
    lines = [f"{clip['clipId']}: no clip: render {clip['renderId']} is {status}"]
    if error:
        code = f" ({error['code']})" if error.get("code") else ""
        lines.append(f"  {error['error']}: {error['message']}{code}")
    if clip["advice"]:
        lines.append(f"  {clip['advice']}")
    # A clip that was cancelled before anything of it was sent has nothing to attach.
    is_unsent = clip["renderId"] is None or (status == "cancelled" and clip["advice"] is None)
    ways = () if status == "failed" or is_unsent else WAYS_OUT.get(status, ())
    program = showing.program()
    return [*lines, *(f"  {program} {way.format(id=clip['renderId'])}" for way in ways)]


def _is_due(clip: Document) -> bool:
    """Whether a run pays for a clip: it may be under way already, and is not there yet then."""
    return bool(clip.get("due", not clip["reused"]))


def _price(clip: Document) -> str:
    if clip["reused"]:
        return "is there"
    return showing.usd(clip["estimatedCostUsd"]) if _is_due(clip) else "nothing more to pay"


def _kinds(clips: Sequence[Document]) -> list[str]:
    """Many clips by what they have in common."""
    numbers: Counter[tuple[Any, ...]] = Counter()
    sums: dict[tuple[Any, ...], float] = {}
    for clip in clips:
        kind = tuple(clip[name] for name in ("operation", "qualityMode", "model", "resolution"))
        numbers[kind] += 1
        sums[kind] = sums.get(kind, 0) + clip["estimatedCostUsd"]
    return [
        f"{number} clips: {operation} {mode}, {', '.join(filter(None, rest))}: "
        f"{showing.usd(sums[operation, mode, *rest])}"
        for (operation, mode, *rest), number in numbers.most_common()
    ]


def _row(clip: Document, seconds: Any) -> list[str]:
    error = clip["error"] or {}
    words = showing.cut(f"{error['error']}: {error['message']}") if error else ""
    status = "there already" if clip["reused"] and clip["status"] == "finalized" else clip["status"]
    length = "" if seconds is None else f"{seconds:g}"
    return [clip["clipId"], clip["qualityMode"], status, length, _cost(clip), words]


def _cost(clip: Document) -> str:
    """What is known of a clip's cost; a guess where it was, or may have been, paid for."""
    if clip["reused"] and clip["status"] == "finalized":
        return ""
    may_be_billed = clip["status"] == "finalized" or clip["status"] in film_board.UNRESOLVED
    return showing.cost(clip) if may_be_billed else showing.usd(clip["costUsd"])
