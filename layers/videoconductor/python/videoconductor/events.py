"""EventBridge: what became of a render, in the past tense."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from videoconductor.clip import Status
from videoconductor.errors import EventsUnavailable
from videoconductor.reports import DETAIL_TYPES, FILM_READY, REQUEST_REFUSED

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient

SOURCE = "videoconductor"


class Events:
    """The application's event bus."""

    def __init__(self, bus: str, client: EventBridgeClient) -> None:
        self._bus = bus
        self._client = client

    def publish(self, status: Status, detail: dict[str, Any]) -> None:
        """Announce that a render came to rest in `status`. Raises EventsUnavailable."""
        self._put(DETAIL_TYPES[status], detail)

    def film_ready(self, detail: dict[str, Any]) -> None:
        """Announce that a run of a film is over. Raises EventsUnavailable."""
        self._put(FILM_READY, detail)

    def refused(self, detail: dict[str, Any]) -> None:
        """Announce that a request which came as an event was refused. Raises EventsUnavailable."""
        self._put(REQUEST_REFUSED, detail)

    def _put(self, detail_type: str, detail: dict[str, Any]) -> None:
        try:
            reply = self._client.put_events(
                Entries=[
                    {
                        "EventBusName": self._bus,
                        "Source": SOURCE,
                        "DetailType": detail_type,
                        "Detail": json.dumps(detail, ensure_ascii=False),
                    }
                ]
            )
        except (BotoCoreError, ClientError) as problem:
            raise EventsUnavailable(f"EventBridge: {type(problem).__name__}") from problem
        if reply["FailedEntryCount"]:
            raise EventsUnavailable(f"EventBridge: {reply['Entries'][0].get('ErrorCode')}")
