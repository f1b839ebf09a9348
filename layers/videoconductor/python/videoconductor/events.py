"""EventBridge: what became of a render, in the past tense."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from videoconductor.clip import Status
from videoconductor.errors import EventsUnavailable
from videoconductor.reports import DETAIL_TYPES, FILM_READY, REQUEST_REFUSED

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "videoconductor"
MAX_ENTRIES = 10  # that one PutEvents takes


class Events:
    """The application's event bus."""

    def __init__(self, bus: str, client: EventBridgeClient) -> None:
        self._bus = bus
        self._client = client

    def publish(
        self,
        status: Status,
        detail: dict[str, Any],
        beside: Mapping[str, tuple[str, dict[str, Any]]] | None = None,
    ) -> frozenset[str]:
        """Announce that a render came to rest in `status`. Raises EventsUnavailable.

        `beside` are events, type and detail by name, that go in the same request, as many as fit:
        the names of those that the bus took are returned, and none of them is a reason to raise.
        """
        named = dict(list((beside or {}).items())[: MAX_ENTRIES - 1])
        refused = self._put((DETAIL_TYPES[status], detail), *named.values())
        return frozenset(name for name, code in zip(named, refused[1:], strict=True) if not code)

    def film_ready(self, detail: dict[str, Any]) -> None:
        """Announce that a run of a film is over. Raises EventsUnavailable."""
        self._put((FILM_READY, detail))

    def refused(self, detail: dict[str, Any]) -> None:
        """Announce that a request which came as an event was refused. Raises EventsUnavailable."""
        self._put((REQUEST_REFUSED, detail))

    def _put(self, *events: tuple[str, dict[str, Any]]) -> list[str | None]:
        """Why the bus refused each of these events, None where it did not.

        Raises EventsUnavailable when it did not take the first.
        """
        try:
            reply = self._client.put_events(
                Entries=[
                    {
                        "EventBusName": self._bus,
                        "Source": SOURCE,
                        "DetailType": detail_type,
                        "Detail": json.dumps(detail, ensure_ascii=False),
                    }
                    for detail_type, detail in events
                ]
            )
        except (BotoCoreError, ClientError) as problem:
            raise EventsUnavailable(f"EventBridge: {type(problem).__name__}") from problem
        refused = [entry.get("ErrorCode") for entry in reply["Entries"]]
        if refused[0]:
            raise EventsUnavailable(f"EventBridge: {refused[0]}")
        return refused
