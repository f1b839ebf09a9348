"""The nouns: what somebody asked for, what was decided, what is in flight, what is in the library.

Python spells names in snake_case; on every wire (HTTP, state input, records) they are camelCase.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    StrictBool,
    StrictInt,
    StrictStr,
)
from pydantic.alias_generators import to_camel

Operation = Literal["generate", "edit", "extend"]
Status = Literal[
    "planned",
    "framing",
    "rendering",
    "rendered",
    "finalized",
    "failed",
    "cancelled",
    "submit_unknown",
    "stalled",
]
# No request is under way towards the provider in these; a person's command leaves them, or what
# the provider delivers.
SETTLED: frozenset[Status] = frozenset(
    {"finalized", "failed", "cancelled", "submit_unknown", "stalled"}
)

MAX_PROMPT_BYTES = 4096  # xAI counts bytes, not characters
MAX_URL_CHARACTERS = 2048
MAX_ID_CHARACTERS = 128
MAX_ID_BYTES = 384  # an S3 key has 1,024 bytes for the film's id, the clip's id and all the rest
ID_PUNCTUATION = " ._-~()'!:@,=+&"
MAX_USD = 1_000_000
MAX_OVERLAYS = 12
MAX_OVERLAY_CHARACTERS = 500
FROM_MANIFEST = "manifest"
DEFAULT_FILM = "default"  # of clips that belong to none
FILM_CANCELLED = "FilmCancelled"  # the error of a clip that was cancelled with its film's run
STILL = "still by"  # how the line of an estimate begins that is for a still
TICKS_PER_USD = 10**10  # xAI's `usage.cost_in_usd_ticks`

Usd = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]


class Noun(BaseModel):
    """Frozen, and closed: a field nobody defined is an error."""

    model_config = ConfigDict(
        # A function uses some of these alone: each is built when it is first used.
        defer_build=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        hide_input_in_errors=True,  # inputs are prompts and urls, and errors are logged
    )


def _fits_prompt(text: str) -> str:
    if not text.strip():
        raise ValueError("is empty")
    size = len(text.encode())
    if size > MAX_PROMPT_BYTES:
        raise ValueError(f"is {size} bytes long; at most {MAX_PROMPT_BYTES} are allowed")
    return text


def _is_id(text: str) -> str:
    """An id becomes part of S3 keys, table keys, urls and log lines, so only what is safe in all
    of them may be in it: letters, marks and digits of any script, and ID_PUNCTUATION. Emoji,
    symbols, control and invisible characters are refused.
    """
    if not text or len(text) > MAX_ID_CHARACTERS or len(text.encode()) > MAX_ID_BYTES:
        raise ValueError(f"must have 1 to {MAX_ID_CHARACTERS} characters ({MAX_ID_BYTES} bytes)")
    if text in {".", ".."} or "/" in text or "\\" in text or "::" in text:
        raise ValueError("must not contain '/', '\\' or '::', nor be '.' or '..'")
    if text != text.strip(" :"):
        raise ValueError("must not begin or end with a blank or ':'")
    if not all(_is_id_character(character) for character in text):
        raise ValueError(f"may hold letters, digits and any of {ID_PUNCTUATION.strip()} or a blank")
    return text


def _is_id_character(character: str) -> bool:
    return character in ID_PUNCTUATION or unicodedata.category(character)[0] in "LMN"


def _is_label(text: str) -> str:
    if len(text) > 256 or not text.isprintable():
        raise ValueError("must be at most 256 printable characters")
    return text


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode text") from None
    return text


def _is_number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("must be a number")
    return value


Prompt = Annotated[StrictStr, AfterValidator(_encodable), AfterValidator(_fits_prompt)]
Id = Annotated[StrictStr, AfterValidator(_encodable), AfterValidator(_is_id)]
Label = Annotated[StrictStr, AfterValidator(_encodable), AfterValidator(_is_label)]
MaxCost = Annotated[Usd, BeforeValidator(_is_number), Field(ge=0, le=MAX_USD, allow_inf_nan=False)]


class Overlay(Noun):
    """A line of text on a thumbnail."""

    text: Annotated[StrictStr, AfterValidator(_encodable), Field(max_length=MAX_OVERLAY_CHARACTERS)]
    role: Literal["title", "subtitle", "cta", "caption"] | None = None
    position: (
        Literal["top", "center", "bottom", "top-left", "bottom-left", "bottom-right"] | None
    ) = None


class ThumbnailOrder(Noun):
    """How the picture that stands for a clip is to look; `source_frame` is what it is made of."""

    enabled: StrictBool = True
    source_frame: Literal["firstFrame", "generated"] = "firstFrame"
    template: Literal["default", "title_card", "cta_bar"] = "default"
    aspect_ratio: StrictStr | None = Field(default=None, max_length=16)
    overlays: Annotated[tuple[Overlay, ...], Field(max_length=MAX_OVERLAYS)] = ()


class ClipRequest(Noun):
    """What somebody asked for, through any door. Seconds are whole; money is US dollars.

    Which values fit together is decided in `planning.plan`, where the model is known.
    """

    prompt: Prompt | None = None
    quality_mode: StrictStr | None = None
    operation: Literal["generate", "edit", "extend", "remaster"] | None = None
    duration: StrictInt | None = None
    aspect_ratio: StrictStr | None = None
    resolution: StrictStr | None = None
    model: StrictStr | None = None
    image_url: StrictStr | None = None
    last_frame_url: StrictStr | None = None
    reference_image_urls: tuple[StrictStr, ...] = ()
    first_frame_prompt: Prompt | None = None
    image_model: StrictStr | None = None
    image_resolution: StrictStr | None = None
    image_provider: StrictStr | None = None
    source_video_url: StrictStr | None = None
    remaster: StrictBool = False
    remaster_from_request_id: Id | None = None
    clip_id: Id | None = None
    pipeline_request_id: Id | None = None
    purpose: Label | None = None
    ref_code: Label | None = None
    thumbnail: ThumbnailOrder | None = None
    max_cost_usd: MaxCost | None = None
    quote_id: StrictStr | None = None
    callback_url: StrictStr | None = None
    persist_to_filebase: StrictBool | None = None


class CostLine(Noun):
    """One thing that is paid for: `quantity` units of `what`, each at `unit_usd`.

    `amount_usd` is the most that it can come to; `least_usd` the least, where that is not the same.
    """

    what: str
    quantity: Usd
    unit: Literal["second", "image"]
    unit_usd: Usd
    amount_usd: Usd
    least_usd: Usd | None = None

    @property
    def at_least_usd(self) -> Decimal:
        """The least that it can come to."""
        return self.amount_usd if self.least_usd is None else self.least_usd

    @property
    def is_still(self) -> bool:
        """Whether it is for the still, whose POST is one of its own."""
        return self.what.startswith(STILL)


class Estimate(Noun):
    """What a plan will cost at most, line by line, at the prices of `as_of`.

    Not `is_priced` when a model has no price: its lines come to nothing, and nobody knows more.
    """

    lines: tuple[CostLine, ...]
    total_usd: Usd
    as_of: str
    is_priced: bool = True

    @property
    def least_usd(self) -> Decimal:
        """What it costs at least, if it is made."""
        return sum((line.at_least_usd for line in self.lines), Decimal(0))


class Frame(Noun):
    """An image handed to the provider: somebody's https url, or a key in our library."""

    url: str | None = None
    key: str | None = None
    media_type: str | None = None


class RenderPlan(Noun):
    """A request with every choice made. `duration` is None where the source clip decides it."""

    operation: Operation
    task: Literal["text-to-video", "image-to-video", "reference-to-video", "edit", "extend"]
    provider: str
    quality_mode: str
    model: str
    prompt: str | None
    duration: int | None = None
    aspect_ratio: str | None = None
    resolution: str | None = None
    image: Frame | None = None
    last_frame: Frame | None = None
    references: tuple[Frame, ...] = ()
    source_video_url: str | None = None
    first_frame_prompt: str | None = None
    image_model: str | None = None
    image_quality: str | None = None
    image_resolution: str | None = None
    remaster: bool = False
    estimate: Estimate
    warnings: tuple[str, ...] = ()


class Attempt(Noun):
    """One permit to POST, and what came of it.

    `outcome` is `submitting` from the moment the permit is taken; only an answer that proves
    something moves it on. `has_ended` says that the provider itself gave up the job this POST
    started; `cost_ticks` what it billed, `model_served` which model it says made it; `repeats` how
    many postponed tries this one stands for.
    `reserved_ticks` is what the POST may cost, reserved with the permit; `spent_ticks` what was
    settled in the end; `run_id` the run of a film whose limit it counts towards, `caller` who had
    it sent, if that is not the render's own. `witness` says that the POST named a place of ours
    for the provider to deliver to, and what became of what came there: `taken` when the clip is in
    the library, `refused` when it is no clip.
    """

    number: int
    permitted_at: datetime
    lease_until: datetime
    request_id: str | None = None
    outcome: Literal["submitting", "accepted", "refused", "not_sent", "unknown", "abandoned"]
    settled_at: datetime | None = None
    message: str | None = None
    repeats: int = 0
    has_ended: bool = False
    cost_ticks: int | None = None
    model_served: str | None = None
    reserved_ticks: int = 0
    spent_ticks: int | None = None
    run_id: str | None = None
    caller: str | None = None
    witness: Literal["sent", "taken", "refused"] | None = None

    @property
    def held_ticks(self) -> int:
        """What is reserved for it still: neither released nor settled."""
        is_open = self.spent_ticks is None and self.outcome not in {"refused", "not_sent"}
        return self.reserved_ticks if is_open else 0

    def costing(self, reported: int | None) -> dict[str, Any]:
        """The changes that settle it: to what the provider reports, else to what was reserved."""
        if reported is None:
            # What was reported before, or reserved, stands.
            spent = self.reserved_ticks if self.cost_ticks is None else self.cost_ticks
            return {"spent_ticks": spent}
        return {"cost_ticks": reported, "spent_ticks": reported}


class Moment(Noun):
    """A status, and when the render reached it."""

    status: Status
    at: datetime


class Still(Noun):
    """An image that was made for a clip to start from; `render_id` is the render that paid."""

    fingerprint: str
    render_id: str
    model: str
    key: str
    media_type: str
    bytes: int
    sha256: str
    cost_ticks: int | None = None


class Pictures(Noun):
    """Keys of the JPEGs that stand for a clip: a frame of it, and the thumbnail if one was asked
    for.
    """

    poster_key: str
    thumbnail_key: str | None = None


class Delivery(Noun):
    """Where the finished clip is to be had, and what the provider says about it.

    `url` is the provider's, None where the witness of an attempt is all there is to go by;
    `attempt` the number of the attempt that it is of, told where any has named a place.
    """

    url: str | None = None
    model: str | None = None
    seconds: float | None = None
    attempt: int | None = None


class Incoming(NamedTuple):
    """A file as it arrives: untrusted, wherever it is from. Its length in bytes, if announced."""

    chunks: Iterator[bytes]
    length: int | None = None


class Clip(Noun):
    """A finished MP4 in the library. Sizes are bytes and pixels; `seconds` is its real length."""

    key: str
    sidecar_key: str
    bytes: int
    sha256: str
    seconds: float
    width: int
    height: int
    video_codec: str
    audio_codec: str | None = None


class Inbox(Noun):
    """The object in the bucket's inbox that a render or a run was asked for with.

    `sequencer` is S3's own, in hexadecimal: it tells which of two versions of a key is newer.
    """

    key: str
    version_id: str | None = None
    sequencer: str | None = None

    def is_newer_than(self, other: Self) -> bool:
        """Whether this is a later version of the same key, as far as anybody can tell."""
        if self.key != other.key or self.sequencer is None or other.sequencer is None:
            return False
        size = max(len(self.sequencer), len(other.sequencer))
        mine, theirs = (one.upper().ljust(size, "0") for one in (self.sequencer, other.sequencer))
        return mine > theirs


class Notice(Noun):
    """That there is something to tell to a callbackUrl: of a render, or of a run of a film.

    `webhook_id` is the event's own. `is_asked_again` when somebody wants it told once more. It
    holds neither the url nor what is told: both are on record.
    """

    type: str
    webhook_id: str
    happened_at: datetime
    render_id: Id | None = None
    film: Id | None = None
    run_id: Id | None = None
    is_asked_again: bool = False


class Callback(Noun):
    """What became of telling a callbackUrl of one event.

    `last_status` is HTTP's, None with `last_error` in its place where there was no answer.
    """

    webhook_id: str
    type: str
    attempts: int
    last_attempt_at: datetime
    last_status: int | None = None
    last_error: str | None = None
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None
    given_up_at: datetime | None = None
    version: int = 0

    @property
    def is_settled(self) -> bool:
        """Whether the receiver has taken it, or wants to hear nothing of it (410)."""
        return self.delivered_at is not None or self.last_status == 410


class Failure(Noun):
    """Why a render ended badly: the error's class, its words, and the provider's own code."""

    error: str
    message: str
    code: str | None = None


class Caught(BaseModel):
    """What Step Functions' Catch adds to the state's input."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="ignore")

    Error: str
    Cause: str = ""


class Slot(Noun):
    """When a POST to a model may go, or a place in the line of those that wait for that.

    `is_firm` when it is this clip's alone; else `at` is when to come and ask again. `round` is the
    turn of its film that it has, in millionths.
    """

    model: str
    round: int
    at: datetime
    is_firm: bool = False


class Render(Noun):
    """One provider job in flight: the document that travels the state machine, and its record.

    `version` rises with every write of the record; a write from an older one is refused.
    `fingerprint` is of all that shapes the clip; `taken_up_by` the run of a film, with the number
    of its execution, that last set the render going; `wanted_at` when it was last asked for, if
    that was again after it had come to nothing. `max_cost_usd` is what all its attempts may cost
    together, `run_limit_usd` what all clips of the run that took it up may; `set_going_by` who had
    it go on last, if that was not its `caller`, and so spends what it spends. `slot` travels with
    the document alone and is never on record: what comes back from the dead has missed it.
    """

    render_id: Id
    clip_id: Id
    pipeline_request_id: Id
    plan: RenderPlan
    caller: str
    request_sha256: str
    created_at: datetime
    purpose: str | None = None
    ref_code: str | None = None
    remaster_from_request_id: str | None = None
    thumbnail: ThumbnailOrder | None = None
    fingerprint: str | None = None
    taken_up_by: str | None = None
    callback_url: str | None = None
    inbox: Inbox | None = None
    wanted_at: datetime | None = None
    max_cost_usd: Usd | None = None
    run_limit_usd: Usd | None = None
    set_going_by: str | None = None

    status: Status = "planned"
    version: int = 0
    executions: int = 1
    wait_seconds: int = 0
    timeline: tuple[Moment, ...] = ()

    still_attempts: tuple[Attempt, ...] = ()
    still: Still | None = None
    attempts: tuple[Attempt, ...] = ()
    postponements: int = 0
    job: dict[str, JsonValue] | None = None
    submitted_at: datetime | None = None
    deadline: datetime | None = None
    progress: int | None = None
    missing_since: datetime | None = None
    polls: int = 0

    delivery: Delivery | None = None
    copies: int = 0
    crashes: int = 0
    clip: Clip | None = None
    pictures: Pictures | None = None
    failure: Failure | None = None
    announced: Status | None = None
    drifts_told: tuple[str, ...] = ()

    slot: Slot | None = None
    caught: Caught | None = None

    @property
    def attempt(self) -> Attempt | None:
        """The newest permit, if one was ever taken."""
        return self.attempts[-1] if self.attempts else None

    @property
    def is_open(self) -> bool:
        """Whether something is still to come: the render's rest, or the news of it."""
        return self.status not in SETTLED or self.announced != self.status

    @property
    def entry_id(self) -> str:
        """The manifest key within the film: `clipId::qualityMode`."""
        return f"{self.clip_id}::{self.plan.quality_mode}"

    @property
    def order(self) -> str:
        """Sorts renders of one entry by when they were asked for."""
        return f"{self.created_at.isoformat(timespec='microseconds')}#{self.render_id}"

    @property
    def clip_order(self) -> str:
        """Sorts the clips of one entry: by when they were last asked for, then by attempt."""
        number, newest = self.clip_number, self.attempts[-1].number if self.attempts else 1
        # What an earlier attempt delivers late is no answer to the asking again.
        moment = self.created_at if number < newest else self.wanted_at or self.created_at
        place = number if self.attempts else 0
        return f"{moment.isoformat(timespec='microseconds')}#{self.render_id}#{place:04d}"

    @property
    def clip_number(self) -> int:
        """The attempt that its clip is filed under: each has a place of its own."""
        if self.delivery is not None and self.delivery.attempt is not None:
            return self.delivery.attempt
        return self.attempts[-1].number if self.attempts else 1

    @property
    def cost_ticks(self) -> int | None:
        """What the provider says it billed for all attempts, the still's too, in ticks."""
        attempts = (*self.still_attempts, *self.attempts)
        known = [a.cost_ticks for a in attempts if a.cost_ticks is not None]
        return sum(known) if known else None

    @property
    def held_ticks(self) -> int:
        """What is reserved for its POSTs and not settled yet."""
        return sum(attempt.held_ticks for attempt in (*self.still_attempts, *self.attempts))

    @property
    def spent_ticks(self) -> int:
        """What was settled for its POSTs; before there was a ledger, what was reported."""
        return sum(
            (attempt.cost_ticks or 0) if attempt.spent_ticks is None else attempt.spent_ticks
            for attempt in (*self.still_attempts, *self.attempts)
        )

    @property
    def run_id(self) -> str | None:
        """The run of a film that last set it going."""
        return self.taken_up_by.rpartition("-")[0] if self.taken_up_by else None

    @property
    def request_id(self) -> str | None:
        """The provider's id of the job in flight."""
        return request_id(self.job)

    @property
    def cost_usd(self) -> Decimal | None:
        """What the provider says it billed, in dollars."""
        return None if self.cost_ticks is None else Decimal(self.cost_ticks) / TICKS_PER_USD

    def having(self, now: datetime, status: Status | None = None, **changes: Any) -> Self:
        """A copy with `changes`; a new status is added to the timeline."""
        if status is not None and status != self.status:
            changes["timeline"] = (*self.timeline, Moment(status=status, at=now))
        return self.model_copy(update={"status": status or self.status, **changes})


def request_id(job: Mapping[str, Any] | None) -> str | None:
    """The provider's id of a job, as a person would need it to find the job again."""
    found = job and job.get("requestId")
    return found if isinstance(found, str) else None


class ManifestEntry(Noun):
    """One finished clip of a film, under `id::qualityMode`.

    What was made by us has all of it but what it has no use for. An entry that was taken in from
    an existing manifest has what stood there: no render, no hash, and its file where the provider
    had it.
    """

    id: str
    pipeline_request_id: str
    quality_mode: str
    render_id: str | None = None
    status: Status
    generation_kind: str | None = None
    request_id: str | None = None
    url: str | None = None
    temporary_url: str | None = None
    first_frame_url: str | None = None
    thumbnail_url: str | None = None
    poster_url: str | None = None
    duration: float | None = None
    resolution: str | None = None
    model: str | None = None
    model_served: str | None = None
    sha256: str | None = None
    fingerprint: str | None = None
    thumbnail_fingerprint: str | None = None
    estimated_cost_usd: Usd | None = None
    cost_usd: Usd | None = None
    purpose: str | None = None
    ref_code: str | None = None
    remaster_from_request_id: str | None = None
    error: str | None = None
    imported_at: datetime | None = None
    requested_at: datetime
    updated_at: datetime

    @property
    def clip_id(self) -> str:
        """The clip's id within its film."""
        return self.id.removesuffix(f"::{self.quality_mode}")


class FilmOrder(Noun):
    """How a script is to be made: which of its clips, remastered or not, at what cost at most.

    `source_video_url` is the video every clip is edited from, or FROM_MANIFEST for the one that
    the film's manifest has of each. `force` makes clips again that are there already.
    `callback_url` is told when the run is over. With `quote_id` it is held to what was quoted.
    """

    only: tuple[Id, ...] = ()
    remaster: bool = False
    source_video_url: str | None = None
    force: bool = False
    max_cost_usd: Usd | None = None
    quote_id: str | None = None
    callback_url: str | None = None


FilmStatus = Literal["running", "finished", "incomplete", "cancelled"]


class FilmClip(Noun):
    """One clip of a run and the render that makes it.

    `is_due` when that has to be paid for, `is_reused` when it has made it before; neither when it
    is under way, or its job can still be waited for.
    """

    clip_id: str
    quality_mode: str
    render_id: str
    operation: Operation
    model: str
    duration: int | None = None
    resolution: str | None = None
    aspect_ratio: str | None = None
    estimated_cost_usd: Usd
    is_due: bool = True
    is_reused: bool = False
    warnings: tuple[str, ...] = ()


class Turn(Noun):
    """A clip's turn in a run: the document of a child of `render_film`.

    `render` is as drafted until it is on record. `step` says what the machine does next, `name`
    under which execution; `tries` counts executions that ended with the render not at rest.
    `run_order` is the run's `order`; None in an execution of before runs could be cancelled.
    """

    marker: str
    render: Render
    run_order: str | None = None
    step: Literal["render", "wait", "rest"] = "wait"
    name: str = ""
    wait_seconds: int = 1
    tries: int = 0


class Shortfall(Noun):
    """A clip that a run came to its end without, and why."""

    clip_id: str
    quality_mode: str
    render_id: str
    status: Status
    error: str | None = None
    message: str | None = None
    code: str | None = None


class FilmRun(Noun):
    """One time a scripted request was handed in: the document that travels `render_film`.

    `version` rises with every write of the record. `missing` holds the first of the clips that did
    not come to be; the run's result in the library holds all. Of `total` clips, `items` get their
    turn and `due` have to be paid for. `forced_as` is the run whose forced clips these are, itself
    or the one that it retries; `cancelled_at` is when somebody called it off, before its end.
    `cost_usd` is what the provider reported, `spent_usd` what was settled, `reserved_usd` what is
    held still: None until it is summed up.
    """

    run_id: Id
    film: Id
    caller: str
    request_sha256: str
    requested_at: datetime
    total: int
    due: int
    items: int
    estimated_cost_usd: Usd
    items_key: str
    clips_key: str
    request_key: str
    order_key: str | None = None
    max_cost_usd: Usd | None = None
    forced_as: str | None = None
    may_charge_twice: bool = False
    callback_url: str | None = None
    inbox: Inbox | None = None

    status: FilmStatus = "running"
    version: int = 0
    executions: int = 1
    cancelled_at: datetime | None = None
    ended_at: datetime | None = None
    done: int = 0
    failed: int = 0
    unresolved: int = 0
    cost_usd: Usd | None = None
    spent_usd: Usd | None = None
    reserved_usd: Usd | None = None
    missing: tuple[Shortfall, ...] = ()
    result_key: str | None = None
    announced: bool = False

    @property
    def order(self) -> str:
        """Sorts the runs of a film by when they were asked for."""
        return f"{self.requested_at.isoformat(timespec='microseconds')}#{self.run_id}"

    @property
    def marker(self) -> str:
        """This run under its present execution, as renders name what took them up."""
        return f"{self.run_id}-{self.executions}"

    @property
    def is_open(self) -> bool:
        """Whether something is still to come: the run's end, or the news of it."""
        return self.status == "running" or not self.announced

    def took_up(self, render: Render) -> bool:
        """Whether it was this run, under any of its executions, that last set a render going."""
        return (render.taken_up_by or "").rpartition("-")[0] == self.run_id

    def standing(self, render: Render | None) -> tuple[Status, Failure | None]:
        """How a clip of this run stands, and why, by its render if that is on record."""
        if render is not None:
            return render.status, render.failure
        if self.cancelled_at is None:
            return "planned", None
        words = "cancelled with its run before anything was sent"
        return "cancelled", Failure(error=FILM_CANCELLED, message=words)
