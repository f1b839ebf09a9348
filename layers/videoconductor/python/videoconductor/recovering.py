"""The witness of a paid job: what a provider has delivered to the place that the POST named.

It says that the POST was accepted, whatever became of the answer, and it is the clip. So a render
that came to rest without one goes on by itself when its witness has come. No POST is ever sent for
it. Whoever brings a render to rest writes that first and looks then: what came a moment before is
seen by that look, and whatever comes later finds the render at rest (`take`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from videoconductor import revival
from videoconductor.clip import SETTLED, Attempt, Noun, Render
from videoconductor.errors import RenderNotFound

if TYPE_CHECKING:
    from videoconductor.library import Library
    from videoconductor.machine import Machine
    from videoconductor.manifest import Manifest

# A person's own decision, and what copying the same file again would not mend.
LEFT = frozenset({"Abandoned", "ClipConflict"})
_EXPIRED = "RenderExpired"
# What fails each time is not taken up for ever: a person looks.
MAX_EXECUTIONS = 20


class Delivered(Noun):
    """What came of an object that appeared under `incoming/`.

    `recovered` when it set a render going, `awaited` when one that is under way will look for it,
    `left` when it is not needed, or a person decides, `ignored` when no POST named its place.
    """

    outcome: Literal["recovered", "awaited", "left", "ignored"]
    render_id: str | None = None
    attempt: int | None = None


class _Part(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore")


class _Bucket(_Part):
    name: str


class _Object(_Part):
    key: str


class _Created(_Part):
    bucket: _Bucket
    object: _Object


def expected(record: Render) -> list[int]:
    """Attempts whose witness may still come, or lie there unused, newest first."""
    return [a.number for a in reversed(record.attempts) if _is_expected(a, record)]


def finishing(record: Render) -> list[int]:
    """Attempts whose witness finishes a render that is at rest without a clip, newest first."""
    is_short = record.status in {"submit_unknown", "stalled", "failed"}
    return expected(record) if is_short and _error(record) not in LEFT else []


def beside(record: Render) -> list[int]:
    """Attempts of a finished render whose witness is a clip of its own beside the render's."""
    is_finished = record.status == "finalized"
    return [n for n in expected(record) if n != record.clip_number] if is_finished else []


def come(record: Render, numbers: Iterable[int], library: Library) -> int | None:
    """The first of these attempts whose witness is there. Raises LibraryUnavailable."""
    keys = ((number, library.witness_key(record.render_id, number)) for number in numbers)
    return next((number for number, key in keys if library.exists(key)), None)


def _error(record: Render) -> str | None:
    return record.failure.error if record.failure else None


def _is_expected(attempt: Attempt, record: Render) -> bool:
    if attempt.witness != "sent" or attempt.outcome in {"refused", "not_sent"}:
        return False
    # A job that the provider ended for another reason has no clip that we may have.
    has_expired = _error(record) == _EXPIRED and attempt.request_id == record.request_id
    return not attempt.has_ended or has_expired


@dataclass(frozen=True)
class Recovery:
    """Taking up what was delivered, with everything it needs handed in."""

    manifest: Manifest
    library: Library
    machine: Machine
    clock: Callable[[], datetime]

    def take(self, event: Mapping[str, Any]) -> Delivered:
        """Take up what S3's `Object Created` tells of, where a render waits for it.

        May be told of the same object again and again. Raises the Unavailable errors.
        """
        created = _Created.model_validate(event["detail"])
        found = self.library.witnessed(created.bucket.name, created.object.key)
        if found is None:
            return Delivered(outcome="ignored")
        render_id, number = found
        try:
            record = self.manifest.read(render_id)
        except RenderNotFound:
            return Delivered(outcome="ignored")
        if not any(a.number == number and a.witness is not None for a in record.attempts):
            return Delivered(outcome="ignored")
        if self.recover(render_id):
            return Delivered(outcome="recovered", render_id=render_id, attempt=number)
        if record.status == "rendered":
            # Whoever set it going may have died before its execution: one that is there is left.
            self.machine.start(record)
        outcome: Literal["left", "awaited"] = "left" if record.status in SETTLED else "awaited"
        return Delivered(outcome=outcome, render_id=render_id, attempt=number)

    def recover(self, render_id: str) -> bool:
        """Set a render going whose witness is there; whether there was anything to do.

        One that has come to rest without a clip goes on to get it into the library; a finished
        one, beside whose clip another attempt has delivered one, to keep that as a version. What
        a person has cancelled or abandoned is left alone, and so is what has had MAX_EXECUTIONS.
        Raises RenderNotFound and the Unavailable errors; what MachineUnavailable leaves without an
        execution, the sweep takes up.
        """
        record = self.manifest.read(render_id)
        if record.executions >= MAX_EXECUTIONS:
            return False
        number = come(record, finishing(record) or beside(record), self.library)
        if number is None:
            return False
        is_ours = False

        def going(latest: Render) -> Render:
            nonlocal is_ours
            is_ours = (latest.executions, latest.status) == (record.executions, record.status)
            if not is_ours:
                return latest
            now = self.clock()
            if latest.status != "finalized":
                latest = revival.delivered(latest, number, now)
            return revival.resumed(latest, now)

        after = self.manifest.update(render_id, going)
        if is_ours:
            self.machine.start(after)
        return is_ours

    def lying(self, record: Render) -> int | None:
        """The attempt whose witness is there and was not taken, though only a person may do so.

        Raises LibraryUnavailable.
        """
        numbers = beside(record) if record.status == "finalized" else expected(record)
        return come(record, numbers, self.library)
