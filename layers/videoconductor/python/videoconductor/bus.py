"""The EventBridge door: `ClipRequested` and `FilmRequested` on the bus are requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from videoconductor import asking, details
from videoconductor.asking import REFUSALS, Reception, Taken

ASKING = frozenset({details.CLIP_REQUESTED, details.FILM_REQUESTED})


def take(event: Mapping[str, Any], reception: Reception) -> Taken:
    """Have made what an event asks for, once for each key, or for each event without one.

    A request that is at fault is told of as `RequestRefused`. Raises what may be tried again: the
    Unavailable errors and NotSetGoing.
    """
    source, detail_type = event["source"], event["detail-type"]
    if source == details.SOURCE or detail_type not in ASKING:
        return Taken(outcome="ignored")
    try:
        asked, key = asking.in_detail(detail_type, event["detail"])
        caller = f"event:{event['account']}:{source}"
        _, taken = reception.accept(asked, caller, key or event["id"])
    except REFUSALS as refused:
        return reception.refuse(event, refused)
    return taken
