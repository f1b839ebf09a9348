"""The S3 door: an object under `inbox/` is a request, and `outbox/` has the answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from videoconductor import asking, outbox
from videoconductor.asking import REFUSALS, Reception, Taken
from videoconductor.clip import Inbox
from videoconductor.errors import InvalidRequest, VideoConductorError

if TYPE_CHECKING:
    from videoconductor.library import Library

MAX_BYTES = 16 * 1024 * 1024


class _Part(BaseModel):
    """As much of an event as is read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class _Bucket(_Part):
    name: str


class _Object(_Part):
    key: str  # as it is: EventBridge does not encode it, as S3's own notifications do
    size: int = 0
    etag: str | None = None
    version_id: str | None = Field(default=None, alias="version-id")
    sequencer: str | None = None


class _Upload(_Part):
    bucket: _Bucket
    object: _Object
    requester: str

    def inbox(self, version_id: str | None = None) -> Inbox:
        """The version of the file that this is about; `version_id` where the event has none."""
        found = self.object
        known = found.version_id or version_id
        return Inbox(key=found.key, version_id=known, sequencer=found.sequencer)

    def key(self, inbox: Inbox) -> str:
        """The Idempotency-Key of this version of the file."""
        parts = [self.bucket.name, inbox.key, inbox.version_id or self.object.etag]
        return f"inbox-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()}"


def take(event: Mapping[str, Any], library: Library, reception: Reception) -> Taken:
    """Have made what the file asks for that S3's `Object Created` tells of, once for each version.

    A file that is at fault is refused whole: the outbox has all that is wrong with it, and an
    event tells of it. Raises what may be tried again: the Unavailable errors and NotSetGoing.
    """
    upload = _Upload.model_validate(event["detail"])
    inbox = upload.inbox()
    if not library.is_inbox(upload.bucket.name, inbox.key):
        return Taken(outcome="ignored", inbox=inbox)
    try:
        library.outbox_key(inbox.key, "accepted")
    except ValueError as problem:  # nothing can be written about it
        refused = InvalidRequest.of("key", None, str(problem))
        return reception.refuse(event, refused, inbox)
    try:
        content, inbox = _content(upload, library)
        if outbox.is_refused(library, inbox):
            # It was told so already, and stays so though presets may have changed since.
            return Taken(outcome="refused", inbox=inbox)
        asked = asking.in_file(content)
        caller = f"s3:{upload.requester}"
        answer, taken = reception.accept(asked, caller, upload.key(inbox), inbox)
    except REFUSALS as refused:
        return _refused(event, refused, inbox, library, reception)
    outbox.write(library, inbox, lambda: ("accepted", answer))
    return taken


def _content(upload: _Upload, library: Library) -> tuple[bytes, Inbox]:
    """The bytes of the very version that an event tells of. Raises InvalidRequest."""
    found = upload.object
    if found.size > MAX_BYTES:
        raise _too_large()
    read = library.upload(found.key, found.version_id, found.etag, MAX_BYTES + 1)
    if read is None:
        words = "is gone: it was deleted or replaced before it was read"
        raise InvalidRequest.of("body", None, words)
    content, version_id = read
    if len(content) > MAX_BYTES:
        raise _too_large()
    return content, upload.inbox(version_id)


def _too_large() -> InvalidRequest:
    return InvalidRequest.of("body", None, f"is larger than {MAX_BYTES} bytes")


def _refused(
    event: Mapping[str, Any],
    refused: VideoConductorError,
    inbox: Inbox,
    library: Library,
    reception: Reception,
) -> Taken:
    """Tell of a refusal: on the bus first, for what is in the outbox is not told again."""
    if outbox.is_refused(library, inbox):
        return Taken(outcome="refused", inbox=inbox)
    taken = reception.refuse(event, refused, inbox)
    outbox.write(library, inbox, lambda: outbox.refusal(refused))
    return taken
