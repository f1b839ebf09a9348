"""Answers in a few words: what a client shows that does not read the structured content."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from videoconductor.clip import SETTLED

Document = Mapping[str, Any]

ON_MONEY = frozenset({"BudgetExceeded", "SpendingStopped", "Unpriced"})
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
    parts += _money(document["spending"])
    if document["error"] is not None and status != "finalized":
        parts.append(f"{document['error']['error']}: {document['error']['message']}")
        parts += _for_a_person([document["error"]])
    if status not in SETTLED:
        parts.append("video-status with this renderId and wait 20 says how it goes on.")
    parts += [document["advice"]] if document["advice"] else []
    return ["\n".join(parts), *_notes(document["warnings"])]


def page(document: Document) -> list[str]:
    """Renders, one a line."""
    rows = [
        f"{one['renderId']} {one['status']} {one['qualityMode']} {_clip(one)} "
        f"{_price(one)} {one['requestedAt']}"
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
    errors = [clip["error"] for clip in missing if clip["error"] is not None]
    lines = [
        f"{first}{counts or 'no clips'}.",
        *_money(document["spending"]),
        *_money(document["filmSpending"], "The film in all: "),
        *_rest(rows, len(missing)),
        *_for_a_person(errors),
        *_advice_on_money(missing),
    ]
    return ["\n".join(lines)]


def manifest(document: Document) -> list[str]:
    """The clips of a film, one a line."""
    rows = []
    for clip in document["clips"]:
        url = (clip.get("downloads") or {}).get("video") or clip["url"] or clip["error"] or ""
        rows.append(f"{clip['_key']}: {clip['status']} {url}".rstrip())
    if "next" in document:
        rows.append(f"more after {document['next']}")
    return ["\n".join([f"Film {document['requestId']}:", *(rows or ["no clips"])])]


def refusal(problem: Document) -> str:
    """Why a call was refused. What costs much waits for a person's word, not for the model's."""
    words = f"{problem['title']}: {problem.get('detail', '')}".removesuffix(": ")
    quote = problem.get("quote")
    if quote is None or quote["quoteId"] is None:  # without a price there is nothing to agree to
        return words
    least, most = dollars(quote["leastUsd"]), dollars(quote["totalUsd"])
    price = most if least == most else f"{least} to {most}"
    return (
        f"Ask your person first. Tell them that film {quote['filmId']} costs {price} for "
        f"{_clips(quote['due'])}, and wait until they say yes to that price. Do not agree for "
        "them: call again with quoteId, or with a maxCostUsd, only when they have. If they do "
        f"not, leave it.\n{words}"
    )


def _clips(count: int) -> str:
    return "1 clip" if count == 1 else f"{count} clips"


def _price(one: Document) -> str:
    """What a render in a list came to so far; its price while nothing is decided."""
    parts = []
    if one["status"] in SETTLED or one["spentUsd"]:
        parts.append(f"spent {dollars(one['spentUsd'])}")
    if one["reservedUsd"]:
        parts.append(f"reserved {dollars(one['reservedUsd'])}")
    return ", ".join(parts or [f"at most {dollars(one['estimatedCostUsd'])}"])


def dollars(amount: float) -> str:
    """US dollars, with what there is below a cent."""
    whole, _, rest = f"{amount:.10f}".partition(".")
    return f"${whole}.{rest.rstrip('0'):0<2}"


def _money(found: Document | None, whose: str = "") -> list[str]:
    """Cost so far, reserved and cap."""
    if found is None:
        return []
    cap = found["capUsd"]
    none = "no cap of its own" if whose else "no limit of its own"
    of = none if cap is None else f"of {dollars(cap)}, {dollars(found['leftUsd'])} left"
    words = f"spent {dollars(found['spentUsd'])}, reserved {dollars(found['reservedUsd'])}, {of}."
    return [f"{whose}{words}" if whose else words.capitalize()]


def _for_a_person(errors: Iterable[Document]) -> list[str]:
    """What a model is to do about a cap, the kill switch or a missing price: tell its person."""
    if not any(error["error"] in ON_MONEY for error in errors):
        return []
    return [
        "Do not ask for it again, here or in another way: nothing is sent until a person changes "
        "that. Tell your person this and what can be done."
    ]


def _advice_on_money(clips: Iterable[Document]) -> list[str]:
    found = [c["advice"] for c in clips if c["error"] and c["error"]["error"] in ON_MONEY]
    return list(dict.fromkeys(advice for advice in found if advice))


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
