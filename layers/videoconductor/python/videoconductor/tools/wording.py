"""Answers in a few words: what a client shows that does not read the structured content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from videoconductor.clip import SETTLED

Document = Mapping[str, Any]

MOST_NAMED = 20  # clips of a film; the structured content has all


def render(document: Document) -> list[str]:
    """The price of a render, and how it stands."""
    return [estimate(document["estimate"]), *standing(document)]


def estimate(document: Document) -> str:
    """A price, line by line."""
    lines = [
        f"{line['what']}, {line['quantity']:g} {line['unit']}{'' if line['quantity'] == 1 else 's'}"
        f" at {dollars(line['unitUsd'])}"
        for line in document["lines"]
    ]
    return f"Costs at most {dollars(document['totalUsd'])}: {'; '.join(lines)}."


def standing(document: Document) -> list[str]:
    """How a render stands, where its clip is, and what can be done."""
    status = document["status"]
    name = f"Render {document['renderId']} ({_clip(document)}, {document['qualityMode']})"
    parts = [f"{name} is {status}{_progress(document)}."]
    video = (document["result"] or {}).get("video") or {}
    if "url" in video:
        size = f"{video['width']}x{video['height']}, {video['duration']:.2f} s"
        billed = "" if video["costUsd"] is None else f", billed {dollars(video['costUsd'])}"
        parts.append(f"The clip ({size}{billed}): {video['url']}")
    if document["error"] is not None and status != "finalized":
        parts.append(f"{document['error']['error']}: {document['error']['message']}")
    if status not in SETTLED:
        parts.append("video-status with this renderId and wait 20 says how it goes on.")
    parts += [document["advice"]] if document["advice"] else []
    return ["\n".join(parts), *_notes(document["warnings"])]


def page(document: Document) -> list[str]:
    """Renders, one a line."""
    rows = [
        f"{one['renderId']} {one['status']} {one['qualityMode']} {_clip(one)} "
        f"{dollars(one['estimatedCostUsd'])} {one['requestedAt']}"
        for one in document["videos"]
    ]
    if document["nextCursor"] is not None:
        rows.append(f"more with cursor {document['nextCursor']}")
    return ["\n".join(rows) or "No renders."]


def plan(document: Document) -> list[str]:
    """What something would become and cost."""
    clips = document["clips"]
    total = dollars(document["estimatedCostUsd"])
    if len(clips) == 1:
        first = estimate(clips[0]["estimate"])
    else:
        first = f"Costs at most {total}: {document['due']} of {len(clips)} clips have to be made."
    rows = [
        f"{clip['clipId'] or 'the clip'}: {clip['qualityMode']}, {clip['model']} "
        f"{clip['resolution'] or ''}, {_seconds(clip)}, {_due(clip)}"
        for clip in clips[:MOST_NAMED]
    ]
    return [first, _lines(rows, len(clips)), *_notes(_warnings(clips))]


def film_accepted(document: Document) -> list[str]:
    """The price of a run, and where to look."""
    clips = document["clips"]
    return [
        f"Costs at most {dollars(document['estimatedCostUsd'])}: {document['due']} of "
        f"{len(clips)} clips have to be made, {document['reused']} are there.",
        f"Run {document['runId']} of film {document['filmId']} is on record. film-status with "
        "this film and wait 20 says how it goes on.",
        *_notes(_warnings(clips)),
    ]


def film(document: Document) -> list[str]:
    """How a run stands, and which of its clips are not there."""
    counts = ", ".join(f"{count} {name}" for name, count in document["counts"].items() if count)
    first = f"Run {document['runId']} of film {document['filmId']} is {document['status']}: "
    missing = [clip for clip in document["clips"] if clip["status"] != "finalized"]
    rows = [
        f"{clip['clipId']} ({clip['qualityMode']}, render {clip['renderId']}): {clip['status']}"
        f"{_progress(clip)}{_why(clip)}"
        for clip in missing[:MOST_NAMED]
    ]
    return ["\n".join([f"{first}{counts or 'no clips'}.", *_rest(rows, len(missing))])]


def manifest(document: Document) -> list[str]:
    """The clips of a film, one a line."""
    rows = []
    for clip in document["clips"]:
        url = (clip.get("downloads") or {}).get("video") or clip["url"] or clip["error"] or ""
        rows.append(f"{clip['_key']}: {clip['status']} {url}".rstrip())
    if "next" in document:
        rows.append(f"more after {document['next']}")
    return ["\n".join([f"Film {document['requestId']}:", *(rows or ["no clips"])])]


def dollars(amount: float) -> str:
    """US dollars, with what there is below a cent."""
    whole, _, rest = f"{amount:.6f}".partition(".")
    return f"${whole}.{rest.rstrip('0'):0<2}"


def _clip(document: Document) -> str:
    film = f"film {document['pipelineRequestId']}"
    is_named = document["clipId"] != document["renderId"]
    return f"clip {document['clipId']} of {film}" if is_named else film


def _progress(document: Document) -> str:
    is_open = document["status"] not in SETTLED and document["progress"] is not None
    return f", {document['progress']} %" if is_open else ""


def _seconds(clip: Document) -> str:
    return "as long as its source" if clip["duration"] is None else f"{clip['duration']} s"


def _due(clip: Document) -> str:
    if clip["reused"]:
        return "there already"
    return dollars(clip["estimatedCostUsd"]) if clip["due"] else "under way"


def _why(clip: Document) -> str:
    return "" if clip["error"] is None else f" ({clip['error']['error']})"


def _warnings(clips: Iterable[Document]) -> list[str]:
    return list(dict.fromkeys(warning for clip in clips for warning in clip["warnings"]))


def _notes(warnings: Sequence[str]) -> list[str]:
    return ["\n".join(f"Note: {warning}" for warning in warnings)] if warnings else []


def _lines(rows: list[str], count: int) -> str:
    return "\n".join(_rest(rows, count))


def _rest(rows: list[str], count: int) -> list[str]:
    return rows if count <= len(rows) else [*rows, f"and {count - len(rows)} more"]
