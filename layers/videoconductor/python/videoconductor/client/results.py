"""What the client returns: small frozen objects, each with the whole JSON as `document`.

What the API does not say is None. Money is US dollars, `seconds` are seconds, sizes are bytes and
pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True, repr=False)
class Answer:
    """An answer of the API: `document` is its JSON as it came."""

    document: Document

    def __repr__(self) -> str:
        # No prompt, and no url that opens something: what is printed ends in logs.
        return f"<{type(self).__name__} {self._described()}>"

    def _described(self) -> str:
        return ""


@dataclass(frozen=True, repr=False)
class Failure(Answer):
    """Why there is no clip: the error's class, its words, and xAI's own code."""

    @property
    def error(self) -> str:
        """The class of the error, one of those in docs/state-machine.md."""
        return str(self.document["error"])

    @property
    def message(self) -> str:
        """The error in words."""
        return str(self.document["message"])

    @property
    def code(self) -> str | None:
        """xAI's own code."""
        return self.document.get("code")

    def __str__(self) -> str:
        code = f" ({self.code})" if self.code else ""
        return f"{self.error}: {self.message}{code}"

    def _described(self) -> str:
        return self.error


@dataclass(frozen=True, repr=False)
class Video(Answer):
    """A clip's file in the library."""

    @property
    def url(self) -> str | None:
        """Opens the file for whoever has it, for a while."""
        return self.document.get("url")

    @property
    def key(self) -> str | None:
        """The file's key in the bucket."""
        return self.document.get("key")

    @property
    def bytes(self) -> int | None:
        """The file's size."""
        return self.document.get("bytes")

    @property
    def sha256(self) -> str | None:
        """The file's hash, in hex."""
        return self.document.get("sha256")

    @property
    def seconds(self) -> float | None:
        """The clip's real length."""
        return self.document.get("duration")

    @property
    def width(self) -> int | None:
        """Pixels."""
        return self.document.get("width")

    @property
    def height(self) -> int | None:
        """Pixels."""
        return self.document.get("height")

    def _described(self) -> str:
        return repr(self.key)


@dataclass(frozen=True, repr=False)
class VideoRender(Answer):
    """A render: one clip that was asked for, and what became of it."""

    @property
    def id(self) -> str:
        """The render's id."""
        return str(self.document["renderId"])

    @property
    def status(self) -> str:
        """planned, framing, rendering, rendered; at rest: finalized, failed, cancelled,
        submit_unknown, stalled.
        """
        return str(self.document["status"])

    @property
    def is_settled(self) -> bool:
        """Whether it is at rest: only a command leads on from there."""
        from videoconductor.clip import SETTLED

        return self.status in SETTLED

    @property
    def is_ready(self) -> bool:
        """Whether its clip is there."""
        return self.status == "finalized"

    @property
    def clip_id(self) -> str:
        """The clip's id within its film."""
        return str(self.document["clipId"])

    @property
    def film_id(self) -> str:
        """The film it belongs to."""
        return str(self.document["pipelineRequestId"])

    @property
    def quality_mode(self) -> str:
        """The quality mode it is made in."""
        return str(self.document["qualityMode"])

    @property
    def model(self) -> str:
        """xAI's model that makes it."""
        return str(self.document["model"])

    @property
    def progress(self) -> int | None:
        """Percent, as xAI reports it."""
        return self.document.get("progress")

    @property
    def estimated_cost_usd(self) -> float:
        """What it would cost at list prices."""
        return float(self.document["estimatedCostUsd"])

    @property
    def cost_usd(self) -> float | None:
        """What xAI billed, as far as it said so."""
        return self.document.get("costUsd")

    @property
    def request_id(self) -> str | None:
        """xAI's id of its job."""
        return self.document.get("requestId")

    @property
    def requested_at(self) -> datetime | None:
        """When it was asked for."""
        return _time(self.document.get("requestedAt"))

    @property
    def video(self) -> Video | None:
        """The clip's file, once it is there."""
        found = (self.document.get("result") or {}).get("video") if self.is_ready else None
        return Video(found) if found else None

    @property
    def url(self) -> str | None:
        """A url of the clip that works for a while; ask for the render again for a fresh one."""
        return self.video.url if self.video else None

    @property
    def error(self) -> Failure | None:
        """Why there is no clip."""
        return _failure(self.document)

    @property
    def advice(self) -> str | None:
        """What a person may do about it."""
        return self.document.get("advice")

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of the request is without effect, or cannot be checked before xAI looks."""
        return tuple(self.document.get("warnings") or ())

    def _described(self) -> str:
        return f"{self.id} {self.status}"


@dataclass(frozen=True, repr=False)
class FilmClip(Answer):
    """A clip of a film's run."""

    @property
    def clip_id(self) -> str:
        """Its id in the script."""
        return str(self.document["clipId"])

    @property
    def quality_mode(self) -> str:
        """The quality mode it is made in."""
        return str(self.document["qualityMode"])

    @property
    def render_id(self) -> str | None:
        """The render that makes it, or has made it."""
        return self.document.get("renderId")

    @property
    def status(self) -> str | None:
        """Its render's status; None in the answer to a script that was just accepted."""
        return self.document.get("status")

    @property
    def reused(self) -> bool:
        """Whether it was there before this run."""
        return bool(self.document["reused"])

    @property
    def error(self) -> Failure | None:
        """Why it is not there."""
        return _failure(self.document)

    def _described(self) -> str:
        return f"{self.clip_id} {self.status}"


@dataclass(frozen=True, repr=False)
class Film(Answer):
    """A run of a film: a script that was handed in, and how far its clips are."""

    @property
    def id(self) -> str:
        """The film's id, the script's `requestId`."""
        return str(self.document["filmId"])

    @property
    def run_id(self) -> str:
        """The run's id."""
        return str(self.document["runId"])

    @property
    def status(self) -> str:
        """running, finished, incomplete or cancelled."""
        return str(self.document["status"])

    @property
    def is_settled(self) -> bool:
        """Whether the run is over."""
        return self.status != "running"

    @property
    def clips(self) -> tuple[FilmClip, ...]:
        """Its clips; none in a list of films."""
        return tuple(FilmClip(clip) for clip in self.document.get("clips") or ())

    @property
    def missing(self) -> tuple[FilmClip, ...]:
        """The clips that are not there, as of this answer."""
        return tuple(clip for clip in self.clips if clip.status != "finalized" and not clip.reused)

    @property
    def may_be_billed(self) -> tuple[Document, ...]:
        """In the answer to a cancel: clips whose jobs xAI had accepted, or may have."""
        return tuple(self.document.get("mayBeBilled") or ())

    @property
    def estimated_cost_usd(self) -> float:
        """What is to be paid for in this run, at list prices."""
        return float(self.document["estimatedCostUsd"])

    @property
    def cost_usd(self) -> float | None:
        """What xAI billed for it so far, as far as it said so."""
        return self.document.get("costUsd")

    def _described(self) -> str:
        return f"{self.id} {self.run_id} {self.status}"


@dataclass(frozen=True, repr=False)
class Manifest(Answer):
    """A film's finished clips and its runs."""

    @property
    def film_id(self) -> str:
        """The film's id."""
        return str(self.document["requestId"])

    @property
    def clips(self) -> tuple[Document, ...]:
        """An entry for each clip id and quality mode, as docs/http-api.md shows it."""
        return tuple(self.document["clips"])

    @property
    def runs(self) -> tuple[Document, ...]:
        """The film's runs, oldest first."""
        return tuple(self.document.get("runs") or ())

    def _described(self) -> str:
        return f"{self.film_id} {len(self.clips)} clips"


@dataclass(frozen=True, repr=False)
class Plan(Answer):
    """What would be made and what it would cost: nothing is sent to xAI, nothing is spent."""

    @property
    def clips(self) -> tuple[Document, ...]:
        """Each clip with every choice made, as docs/http-api.md shows it."""
        return tuple(self.document["clips"])

    @property
    def estimated_cost_usd(self) -> float:
        """What is to be paid for, at list prices."""
        return float(self.document["estimatedCostUsd"])

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is without effect, or cannot be checked before xAI looks."""
        return tuple(warning for clip in self.clips for warning in clip["warnings"])

    def _described(self) -> str:
        return f"${self.estimated_cost_usd:g}"


def _failure(document: Mapping[str, Any]) -> Failure | None:
    found = document.get("error")
    return Failure(found) if isinstance(found, dict) else None


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
