"""What came of a render: its clip, on disk if asked for, or why there is none and what to do."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from videoconductor.client.results import VideoRender
from videoconductor_cli import showing
from videoconductor_cli.errors import NoClip

# What may help a render out of the state it rests in.
WAYS_OUT = {
    "failed": ("retry {id}  # is paid for",),
    "failed, paid": (
        "attach {id} REQUEST_ID",
        "retry {id} --may-charge-twice",
    ),
    "cancelled": ("attach {id}",),
    "stalled": ("attach {id}", "abandon {id}"),
    "submit_unknown": (
        "attach {id} REQUEST_ID",
        "retry {id} --may-charge-twice",
        "abandon {id}",
    ),
}
ON_MONEY = frozenset({"BudgetExceeded", "SpendingStopped", "Unpriced"})


def folder(download: bool, to: Path | None) -> Path | None:
    """Where the clip is to be put, if it is to be fetched at all."""
    return to if to is not None else Path() if download else None


def conclude(render: VideoRender, to: Path | None, *, as_json: bool) -> None:
    """Print the result of a render at rest and fetch its clip. Raises NoClip without one."""
    if as_json:
        showing.give_json(render.document)
    place = clip(render, to)
    if not as_json:
        showing.give(place)


def clip(render: VideoRender, to: Path | None) -> str:
    """Where the clip is: its file below `to`, or its url. Raises NoClip when there is none."""
    video = render.video
    if video is None:
        raise NoClip(why_not(render.document))
    showing.say(
        f"clip {render.clip_id}: {video.seconds:g} s, {video.width}x{video.height}, "
        f"{video.bytes} bytes, {_cost(render.document)}"
    )
    if to is None:
        return str(video.url)
    from videoconductor.client import files

    return str(files.fetch(video, to, time.sleep))


def why_not(render: Mapping[str, Any]) -> str:
    """Why a render has no clip, and what may help."""
    name, status = render["renderId"], render["status"]
    error = render["error"] or {}
    words = [f"no clip: render {name} is {status}"]
    if error:
        code = f" ({error['code']})" if error.get("code") else ""
        words.append(f"  {error['error']}: {error['message']}{code}")
    if render["advice"]:
        words.append(f"  {render['advice']}")
    words += [f"  {showing.program()} {way.format(id=name)}" for way in _ways_out(render)]
    return "\n".join(words)


def _ways_out(render: Mapping[str, Any]) -> tuple[str, ...]:
    status = render["status"]
    # What a cap refused is refused again until somebody does what the advice says.
    if status == "failed" and (render["error"] or {}).get("error") in ON_MONEY:
        return ()
    if status == "failed" and render["result"]["video"] is not None:
        return ("attach {id}",)
    if status == "failed" and _may_have_been_paid(render):
        status = "failed, paid"
    return WAYS_OUT.get(status, ())


def _may_have_been_paid(render: Mapping[str, Any]) -> bool:
    """Whether the API wants consent to a retry: the newest POST may still cost something."""
    newest = render["attempts"][-1] if render["attempts"] else {}
    is_open = newest.get("outcome") in {"submitting", "accepted", "unknown", "abandoned"}
    return is_open and not newest.get("hasEnded")


def _cost(render: Mapping[str, Any]) -> str:
    cost = f"cost {showing.usd(render['costUsd'])}"
    if render["costUsd"] is None:
        cost = f"cost not reported (estimate {showing.usd(render['estimatedCostUsd'])})"
    spending = showing.spending(render.get("spending"))
    return f"{cost}, {spending}" if spending else cost
