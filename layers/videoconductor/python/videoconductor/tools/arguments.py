"""What each tool takes: closed models, camelCase on the wire as everywhere."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, StrictBool, StrictInt, StrictStr, model_validator

from videoconductor.clip import ClipRequest, FilmOrder, Id, Noun, Status
from videoconductor.intake import OrderDocument, Remastering
from videoconductor.waiting import MOST_SECONDS

MAX_KEY_CHARACTERS = 255


def _is_key(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable")
    return text


Key = Annotated[
    StrictStr, AfterValidator(_is_key), Field(min_length=1, max_length=MAX_KEY_CHARACTERS)
]
Wait = Annotated[StrictInt, Field(ge=0, le=MOST_SECONDS)]
Limit = Annotated[StrictInt, Field(ge=1, le=100)]
Script = dict[str, Any]
N = TypeVar("N", bound=Noun)

KEY_MEANS = (
    "Names this call: the same key finds the same work again, a new key pays for it once more. "
    "Without one, a call with the same arguments finds what the first one started."
)
WAIT_MEANS = "Seconds to wait for the end of it at most; the answer says how far it is by then."


class VideoCreate(ClipRequest):
    """A clip request, and how this call is to be answered."""

    idempotency_key: Key | None = Field(default=None, description=KEY_MEANS)
    wait: Wait = Field(default=0, description=WAIT_MEANS)

    @property
    def request(self) -> ClipRequest:
        """What is to be made, without what is about the call."""
        return _part(ClipRequest, self)


class VideoPlan(OrderDocument):
    """Something to be priced: a clip, or a script with how it is to be made."""

    clip_request: ClipRequest | None = Field(
        default=None, description="A clip, with the fields of ring-video-create"
    )
    script: Script | None = Field(default=None, description="A whole script, as film-create has it")

    @model_validator(mode="after")
    def _is_one(self) -> VideoPlan:
        if (self.clip_request is None) == (self.script is None):
            raise ValueError("give either clipRequest or script")
        if self.clip_request is not None and self.model_fields_set - {"clip_request", "script"}:
            raise ValueError("beside a script only: what a clip is to be like is in clipRequest")
        return self

    @property
    def order(self) -> FilmOrder:
        """How the script is to be made."""
        return _order(self)


class VideoStatus(Noun):
    """Which render, and how long to wait for its end."""

    render_id: Id = Field(description="The render's id, as ring-video-create said it")
    wait: Wait = Field(default=0, description=WAIT_MEANS)


class VideoList(Noun):
    """Which renders, newest first, in the words of `GET /v1/videos`."""

    status: tuple[Status, ...] = Field(default=(), description="Those that stand so")
    film: Id | None = Field(default=None, description="Those of this film (pipelineRequestId)")
    mode: StrictStr | None = Field(default=None, description="Those of this quality mode")
    requested_after: StrictStr | None = Field(
        default=None, description="Those asked for then or later: 2026-11-22T20:15:00Z"
    )
    requested_before: StrictStr | None = Field(
        default=None, description="Those asked for earlier than that"
    )
    limit: Limit = Field(default=20, description="How many at most")
    cursor: StrictStr | None = Field(default=None, description="The nextCursor of the last page")

    @property
    def query(self) -> dict[str, list[str]]:
        """The same as a query."""
        fields = self.model_dump(mode="json", exclude_none=True)
        statuses = fields.pop("status")
        return {"status": statuses, **{name: [str(value)] for name, value in fields.items()}}


class VideoRemaster(Remastering):
    """Which finished render is to be made again at 720p, and how."""

    render_id: Id = Field(description="The finished render to make again")
    idempotency_key: Key | None = Field(default=None, description=KEY_MEANS)
    wait: Wait = Field(default=0, description=WAIT_MEANS)

    @property
    def wanted(self) -> Remastering:
        """How it is to be made, without what is about the call."""
        return _part(Remastering, self)


class FilmCreate(OrderDocument):
    """A script, and how it is to be made."""

    script: Script = Field(description="A film's cast, setting and clips; requestId names the film")
    idempotency_key: Key | None = Field(default=None, description=KEY_MEANS)

    @property
    def order(self) -> FilmOrder:
        """How the script is to be made."""
        return _order(self)


class FilmAsked(Noun):
    """Which film, which of its runs, and how long to wait for its end."""

    film: Id = Field(description="The film's id: its script's requestId")
    run: Id | None = Field(default=None, description="The run's id; the newest if not given")
    wait: Wait = Field(default=0, description=WAIT_MEANS)


class FilmManifest(Noun):
    """Which film's manifest, and which page of it."""

    film: Id = Field(description="The film's id: its script's requestId, or pipelineRequestId")
    presign: StrictBool = Field(
        default=False, description="Adds urls that open each file for whoever has them, for a while"
    )
    after: StrictStr | None = Field(default=None, description="The `next` of the last page")
    limit: Limit = Field(default=50, description="How many clips at most")


def _part(noun: type[N], whole: Noun) -> N:
    """The fields of a noun that another has among its own."""
    given = whole.model_fields_set & set(noun.model_fields)
    return noun.model_validate({name: getattr(whole, name) for name in given})


def _order(asked: OrderDocument) -> FilmOrder:
    document = _part(OrderDocument, asked)
    return FilmOrder(only=document.clip, **document.model_dump(exclude={"clip"}))
