"""VideoConductor: one clip request in, one MP4 in your own S3 out, paid for once."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from videoconductor.client import VideoConductor as VideoConductor

__version__ = "0.1.0"
__all__ = ["VideoConductor", "__version__"]


def __getattr__(name: str) -> Any:
    """The client, imported when it is asked for: functions in Lambda never ask."""
    if name == "VideoConductor":
        return import_module("videoconductor.client").VideoConductor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
