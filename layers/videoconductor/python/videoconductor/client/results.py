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
class Spending(Answer):
    """Cost so far, what is reserved for POSTs whose cost is not known yet, and the cap on both."""

    @property
    def spent_usd(self) -> float:
        """What was settled: as xAI reported it, or the estimate where it did not."""
        return float(self.document["spentUsd"])

    @property
    def reserved_usd(self) -> float:
        """What is held."""
        return float(self.document["reservedUsd"])

    @property
    def cap_usd(self) -> float | None:
        """What may be spent in all; None where there is no cap."""
        return self.document.get("capUsd")

    @property
    def left_usd(self) -> float | None:
        """The room under the cap; None where there is none."""
        return self.document.get("leftUsd")

    def _described(self) -> str:
        return f"${self.spent_usd:g} and ${self.reserved_usd:g}"


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
    def spent_usd(self) -> float | None:
        """What was settled for it: as xAI reported it, or the estimate where it did not."""
        return self.document.get("spentUsd")

    @property
    def reserved_usd(self) -> float | None:
        """What is held for POSTs whose cost is not known yet."""
        return self.document.get("reservedUsd")

    @property
    def spending(self) -> Spending | None:
        """The same beside its cap; None in a list and before the first look."""
        return _spending(self.document.get("spending"))

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

    @property
    def spending(self) -> Spending | None:
        """What the run spent and reserved, beside its limit; None where that was not summed up."""
        return _spending(self.document.get("spending"))

    @property
    def film_spending(self) -> Spending | None:
        """The same of the film with all its runs, beside its cap; None in a list."""
        return _spending(self.document.get("filmSpending"))

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

    @property
    def spending(self) -> Spending | None:
        """What the film spent and reserved in all, beside its cap."""
        return _spending(self.document.get("spending"))

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


@dataclass(frozen=True, repr=False)
class Quote(Answer):
    """What something costs, line by line: nothing is sent to xAI, nothing is spent."""

    @property
    def id(self) -> str | None:
        """What holds a film to this price; None for a clip, and when something has no price."""
        return self.document.get("quoteId")

    @property
    def expires_at(self) -> datetime | None:
        """Until when the id is good."""
        return _time(self.document.get("expiresAt"))

    @property
    def clips(self) -> tuple[Document, ...]:
        """Each clip with its lines, as docs/http-api.md shows it."""
        return tuple(self.document.get("clips") or ())

    @property
    def least_usd(self) -> float:
        """What is due costs at least, if it is made."""
        return float(self.document["leastUsd"])

    @property
    def total_usd(self) -> float:
        """What is due costs at most."""
        return float(self.document["totalUsd"])

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Models that have no price: then there is no id."""
        return tuple(self.document.get("unpriced") or ())

    def _described(self) -> str:
        return f"${self.total_usd:g}"


@dataclass(frozen=True, repr=False)
class Budget(Answer):
    """The caps in force, and how what they count stands."""

    @property
    def caps(self) -> Document:
        """Caps by scope, as `set_budget` takes them; None is no cap."""
        return dict(self.document["caps"])

    @property
    def is_stopped(self) -> bool:
        """Whether the kill switch is set."""
        return bool(self.document["stopped"])

    @property
    def stopped_because(self) -> str | None:
        """Why it is."""
        return self.document.get("stoppedBecause")

    @property
    def standings(self) -> tuple[Document, ...]:
        """What was spent and is reserved, beside the cap, of each that was asked for."""
        return tuple(self.document["standings"])

    def standing(self, scope: str, name: str | None = None) -> Spending | None:
        """How one of them stands: `standing("day")`."""
        for one in self.standings:
            if one["scope"] == scope and name in {None, one["name"]}:
                return Spending(one)
        return None

    def _described(self) -> str:
        return "stopped" if self.is_stopped else ""


@dataclass(frozen=True, repr=False)
class Costs(Answer):
    """What was spent, in rows."""

    @property
    def rows(self) -> tuple[Document, ...]:
        """A row for each name, as docs/http-api.md shows it."""
        return tuple(self.document["rows"])

    @property
    def totals(self) -> Document:
        """The same of all rows."""
        return dict(self.document["totals"])

    @property
    def settled_usd(self) -> float:
        """What was settled in all."""
        return float(self.totals["settledUsd"])

    @property
    def csv(self) -> str:
        """The rows and the totals as CSV."""
        from videoconductor.statements import csv_of

        return csv_of(self.document)

    def _described(self) -> str:
        return f"${self.settled_usd:g}"


@dataclass(frozen=True, repr=False)
class CostCheck(Answer):
    """Whether the books agree."""

    @property
    def agrees(self) -> bool:
        """Whether no difference was found."""
        return bool(self.document["agrees"])

    @property
    def differences(self) -> tuple[Document, ...]:
        """Counters that are not the sums of their entries."""
        return tuple(self.document["differences"])

    def _described(self) -> str:
        return "agrees" if self.agrees else f"{len(self.differences)} differences"


@dataclass(frozen=True, repr=False)
class Diagnosis(Answer):
    """What is not as it should be, of all pages that were read; `document` has them as one."""

    @classmethod
    def begun(cls) -> Diagnosis:
        """Before anything was looked at."""
        none = {"renders": 0, "heldUsd": 0.0}
        return cls({"healthy": True, "looked": {}, "findings": [], "decided": none})

    def plus(self, page: Document) -> Diagnosis:
        """This and a page more."""
        looked, decided = self.looked, self.document["decided"]
        findings = [*self.document["findings"], *page["findings"]]
        return Diagnosis(
            {
                "healthy": all(one["repaired"] for one in findings),
                "looked": {n: looked.get(n, 0) + count for n, count in page["looked"].items()},
                "findings": findings,
                "decided": {
                    "renders": decided["renders"] + page["decided"]["renders"],
                    "heldUsd": round(decided["heldUsd"] + page["decided"]["heldUsd"], 10),
                },
            }
        )

    @property
    def is_healthy(self) -> bool:
        """Whether nothing is wrong that was not repaired just now."""
        return bool(self.document["healthy"])

    @property
    def findings(self) -> tuple[Document, ...]:
        """What is wrong, repaired or not: `kind`, `name`, `words`, `since`, `heldUsd`,
        `commands`, `repaired`.
        """
        return tuple(self.document["findings"])

    @property
    def looked(self) -> Mapping[str, int]:
        """How many of each were looked at."""
        return dict(self.document["looked"])

    def _described(self) -> str:
        return "healthy" if self.is_healthy else f"{len(self.findings)} findings"


def _spending(found: Any) -> Spending | None:
    return Spending(found) if isinstance(found, dict) else None


def _failure(document: Mapping[str, Any]) -> Failure | None:
    found = document.get("error")
    return Failure(found) if isinstance(found, dict) else None


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
