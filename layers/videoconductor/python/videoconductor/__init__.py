"""VideoConductor: one clip request in, one MP4 in your own S3 out, paid for once."""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import takes longer than a command needs for --version
if TYPE_CHECKING:
    from typing import Any

    from videoconductor.client import VideoConductor as VideoConductor

__version__ = "0.1.0"
__all__ = ["VideoConductor", "__version__"]


def __getattr__(name: str) -> Any:
    """The client, imported when it is asked for: functions in Lambda never ask."""
    if name == "VideoConductor":
        from importlib import import_module

        return import_module("videoconductor.client").VideoConductor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
