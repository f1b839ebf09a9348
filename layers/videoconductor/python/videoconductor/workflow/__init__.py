"""The verbs of `render_clip`: first_frame, start, poll, finalize, thumbnail, record_failure.

Each reads the record before anything else and goes on from what it finds, so that any of them may
be run again at any time. What a verb learns goes on record before it is acted upon, and only while
the record is still about the same job and execution: a person may have decided otherwise meanwhile.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videoconductor.workflow.failing import CRASHES, record_failure
    from videoconductor.workflow.finishing import Painter, announce, finalize, thumbnail
    from videoconductor.workflow.framing import first_frame
    from videoconductor.workflow.guards import MAX_SECONDS_BEFORE_POST, Pace
    from videoconductor.workflow.polling import MISSING_GRACE, poll
    from videoconductor.workflow.starting import start

__all__ = [
    "CRASHES",
    "MAX_SECONDS_BEFORE_POST",
    "MISSING_GRACE",
    "Pace",
    "Painter",
    "announce",
    "finalize",
    "first_frame",
    "poll",
    "record_failure",
    "start",
    "thumbnail",
]
_MODULES = {
    "failing": {"CRASHES", "record_failure"},
    "finishing": {"Painter", "announce", "finalize", "thumbnail"},
    "framing": {"first_frame"},
    "guards": {"MAX_SECONDS_BEFORE_POST", "Pace"},
    "polling": {"MISSING_GRACE", "poll"},
    "starting": {"start"},
}


def __getattr__(name: str) -> Any:
    """A verb, whose module is imported when it is asked for: each function has its own alone."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
