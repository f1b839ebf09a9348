"""The answers of the doors, as models: what each field means, and which may be null or absent.

They describe what `views` builds; nothing is built from them. A field without a default is always
there. A field that may be left out is `| Absent`, and never null when it is there.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from videoconductor.accounts import By as CostsBy
from videoconductor.clip import FilmStatus, Operation, Status
from videoconductor.doctoring import Kind as FindingKind
from videoconductor.doctoring import Repair
from videoconductor.ledger import Scope as LedgerScope
from videoconductor.tokens import Scope

Absent = SkipJsonSchema[None]

Usd = Annotated[float, Field(ge=0)]
Seconds = Annotated[int, Field(ge=1)]
Bytes = Annotated[int, Field(ge=0)]
Percent = Annotated[int, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
GenerationTask = Literal["text-to-video", "image-to-video", "reference-to-video", "edit", "extend"]
Outcome = Literal["submitting", "accepted", "refused", "not_sent", "unknown", "abandoned"]


class Answer(BaseModel):
    """Closed: a field that nobody described is an error."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


# ── What goes wrong ──────────────────────────────────────────────────────────────────────────────


class FieldProblem(Answer):
    """One thing that is wrong with a request."""

    field: str = Field(description="Where: `duration`, `clips[2].scene.dialogue[0].speaker`")
    value: str | float | bool | None = Field(
        description="What it held, cut short if it was long; null when there was nothing"
    )
    message: str = Field(description="What is wrong with it, for people")
    choices: list[str] | Absent = Field(default=None, description="What it may hold instead")


class ProblemDetails(Answer):
    """An error, as RFC 9457 has it."""

    type: Literal["about:blank"] = Field(description="`status` alone tells the kind of problem")
    title: str = Field(description="The kind of problem, in words")
    status: Annotated[int, Field(ge=400, le=599)] = Field(description="The HTTP status")
    detail: str | Absent = Field(default=None, description="What happened here, for people")
    errors: list[FieldProblem] | Absent = Field(
        default=None, description="With 400: every problem that was found, up to 50"
    )
    quote: Quote | Absent = Field(default=None, description="With 402: what it would cost")
    budget: Shortage | Absent = Field(
        default=None, description="With 402: the cap that leaves no room for it"
    )


class Shortage(Answer):
    """A cap that is short of room for what was asked for, or the kill switch."""

    scope: Literal["render", "film", "caller", "day", "month", "stop", "unpriced"] = Field(
        description="What is capped; `stop` when somebody stopped all spending, `unpriced` when "
        "there is a cap and a model without a price"
    )
    name: str | None = Field(
        description="Which film, caller, day or month; with `render` which clip, with `unpriced` "
        "which models; null with `stop`"
    )
    cap_usd: Usd | None = Field(description="The cap; null with `stop` and `unpriced`")
    spent_usd: Usd = Field(description="US dollars settled under it")
    reserved_usd: Usd = Field(description="US dollars held under it")
    left_usd: Usd | None = Field(
        description="The room that is left; null with `stop` and `unpriced`"
    )
    needed_usd: Usd = Field(
        description="US dollars that what is due costs at least; with `render` that clip"
    )
    change: str = Field(
        description="What a person does to make room: a command, but for `unpriced`"
    )


class GatewayMessage(BaseModel):
    """API Gateway's own answer, before or in place of a function's."""

    model_config = ConfigDict(frozen=True, extra="allow")

    message: str | None = Field(description="In API Gateway's words")


# ── Renders ──────────────────────────────────────────────────────────────────────────────────────


class CostLine(Answer):
    """One thing that is paid for."""

    what: str = Field(description="What is paid for")
    quantity: float = Field(description="How many units", ge=0)
    unit: Literal["second", "image"] = Field(description="What `quantity` counts")
    unit_usd: Usd = Field(description="US dollars for one unit")
    amount_usd: Usd = Field(description="US dollars for all of them, at most")
    least_usd: Usd = Field(description="The same, at least: less where the outcome is open")


class Estimate(Answer):
    """What a render will cost at most, line by line."""

    lines: list[CostLine] = Field(description="What is paid for")
    total_usd: Usd = Field(description="US dollars in all, at most")
    least_usd: Usd = Field(description="US dollars in all, at least")
    as_of: str = Field(description="The day the prices are of, as YYYY-MM-DD")
    is_priced: bool = Field(
        description="False when a model has no price: its lines come to 0, and nobody knows more"
    )


class Spending(Answer):
    """What was spent, what is reserved, and the cap on both together, in US dollars."""

    cap_usd: Usd | None = Field(description="What may be spent in all; null where there is no cap")
    spent_usd: Usd = Field(
        description="Settled: what xAI reported, or the estimate of what it did not report on"
    )
    reserved_usd: Usd = Field(
        description="Held for POSTs whose cost is not known yet, each at its most"
    )
    left_usd: Usd | None = Field(description="Room under the cap; null where there is none")


class RenderLinks(Answer):
    """Where to go from a render, relative to the API's own address."""

    render: str = Field(alias="self", description="The render")
    manifest: str = Field(description="The manifest of its film")


class Failure(Answer):
    """Why a render ended badly."""

    error: str = Field(description="The class of the error, from docs/state-machine.md")
    message: str = Field(description="What happened, for people")
    code: str | None = Field(description="xAI's own code; null when it gave none")


class AcceptedRender(Answer):
    """A request that was accepted: the same answer each time it is asked again."""

    render_id: str = Field(description="The render's id, for all other routes")
    status: Literal["planned"] = Field(description="As it was when the request was accepted")
    clip_id: str = Field(description="The clip's name in its film; the render's id if none given")
    pipeline_request_id: str = Field(description="The film; `default` if none was given")
    quality_mode: str = Field(description="The quality mode it is made in")
    model: str = Field(description="The model it is asked of")
    operation: Operation = Field(description="A remaster is `generate`, or `edit` of its source")
    duration: Seconds | None = Field(
        description="Seconds; null when the source clip's length decides"
    )
    resolution: str | None = Field(description="Null when the source clip decides")
    aspect_ratio: str | None = Field(description="Null when the source clip decides")
    estimated_cost_usd: Usd = Field(description="US dollars it will cost at most")
    estimate: Estimate = Field(description="The same, line by line")
    warnings: list[str] = Field(
        description="Fields without effect, retired models, what cannot be checked before xAI looks"
    )
    links: RenderLinks = Field(description="Where to go from here")
    remaster_from_request_id: str | None = Field(
        description="xAI's request id of what it remasters; null when it is no remaster"
    )


class RenderSummary(Answer):
    """A render in a line."""

    render_id: str = Field(description="The render's id")
    status: Status = Field(
        description="At rest in finalized, failed, cancelled, submit_unknown and stalled"
    )
    clip_id: str = Field(description="The clip's name in its film")
    pipeline_request_id: str = Field(description="The film")
    quality_mode: str = Field(description="The quality mode it is made in")
    model: str = Field(description="The model it was asked of")
    progress: int | None = Field(description="Percent, as xAI has it; null while it says nothing")
    estimated_cost_usd: Usd = Field(description="US dollars it will cost at most")
    cost_usd: Usd | None = Field(
        description="US dollars that xAI reported for all attempts; null when it reported nothing"
    )
    spent_usd: Usd = Field(
        description="US dollars settled: as xAI reported, or by the estimate where it did not"
    )
    reserved_usd: Usd = Field(description="US dollars held for POSTs whose cost is not known yet")
    requested_at: datetime = Field(description="When it was asked for (UTC)")
    links: RenderLinks = Field(description="Where to go from here")


class RenderPage(Answer):
    """A page of renders, those asked for last first."""

    videos: list[RenderSummary] = Field(description="At most `limit` of them")
    next_cursor: str | None = Field(
        description="What `cursor` takes for the next page, which may be empty; null on the last"
    )


class Attempt(Answer):
    """One permit to POST to xAI, and what came of it."""

    number: Annotated[int, Field(ge=1)] = Field(description="Counts from 1")
    permitted_at: datetime = Field(description="When the permit was taken (UTC)")
    lease_until: datetime = Field(description="Until when it belonged to one process (UTC)")
    request_id: str | Absent = Field(default=None, description="xAI's id of the job it started")
    outcome: Outcome = Field(description="`unknown` may have been accepted, and billed")
    settled_at: datetime | Absent = Field(
        default=None, description="When the outcome was known (UTC)"
    )
    message: str | Absent = Field(default=None, description="Why, where there is something to say")
    repeats: Count = Field(description="Earlier tries that were put off the same way")
    has_ended: bool = Field(description="Whether xAI itself gave up the job it started")
    cost_ticks: int | Absent = Field(
        default=None, description="What xAI billed for it, at 10^10 ticks a US dollar"
    )
    model_served: str | Absent = Field(
        default=None, description="The model that xAI says was at work"
    )
    reserved_ticks: Count = Field(
        description="What the POST could cost at most, reserved with its permit"
    )
    spent_ticks: int | Absent = Field(
        default=None, description="What was settled for it; not there while it is reserved"
    )
    run_id: str | Absent = Field(
        default=None, description="The run of a film whose limit it counts towards"
    )


class Moment(Answer):
    """A status, and when the render reached it."""

    status: Status = Field(description="The status")
    at: datetime = Field(description="When (UTC)")


class Still(Answer):
    """An image that was made for the clip to start from."""

    fingerprint: str = Field(description="Of all that shapes the image")
    render_id: str = Field(description="The render that paid for it")
    model: str = Field(description="The model that made it")
    key: str = Field(description="Its key in the library's bucket")
    media_type: str = Field(description="Such as image/jpeg")
    bytes: Bytes = Field(description="Its size")
    sha256: Sha256 = Field(description="Of the file")
    cost_ticks: int | None = Field(
        description="What xAI billed for it, at 10^10 ticks a US dollar; null when it did not say"
    )


class Pictures(Answer):
    """Keys in the library's bucket of the JPEGs that stand for a clip."""

    poster_key: str = Field(description="A frame of it")
    thumbnail_key: str | None = Field(description="Its thumbnail; null when none was asked for")


class UnkeptVideo(Answer):
    """A clip that xAI made and that did not come into the library."""

    temporary_url: str | None = Field(description="xAI's own url, good for about a day")
    request_id: str | None = Field(description="xAI's id of the job")
    model: str = Field(description="The model that made it")
    cost_usd: Usd | None = Field(description="US dollars that xAI reported; null when none")


class FinishedVideo(UnkeptVideo):
    """A clip in the library."""

    url: str = Field(description="Presigned, for CLIP_URL_SECONDS at most; ask again for another")
    key: str = Field(description="Its key in the library's bucket")
    sidecar_key: str = Field(description="The key of a JSON with all that is known about it")
    bytes: Bytes = Field(description="Its size")
    sha256: Sha256 = Field(description="Of the file")
    duration: float = Field(description="Its real length in seconds", ge=0)
    width: Annotated[int, Field(ge=1)] = Field(description="Pixels")
    height: Annotated[int, Field(ge=1)] = Field(description="Pixels")
    video_codec: str = Field(description="As the file names it: avc1")
    audio_codec: str | None = Field(description="As the file names it; null without sound")


class RenderResult(Answer):
    """What came of a render, in the existing system's shape."""

    success: bool = Field(description="Whether the clip is in the library")
    video: FinishedVideo | UnkeptVideo | None = Field(
        description="The clip; null when xAI delivered none"
    )


class Callback(Answer):
    """What became of telling a callbackUrl."""

    url: str = Field(description="Who is told, without what opens the url")
    event: str | None = Field(description="The newest event told of; null before the first")
    webhook_id: str | None = Field(description="Its id, the same each time it is sent")
    attempts: Count = Field(description="How often it was sent")
    last_attempt_at: datetime | None = Field(description="When it was last sent (UTC)")
    last_status: int | None = Field(description="The HTTP status of the answer; null without one")
    last_error: str | None = Field(description="Why there was no answer; null when there was")
    next_attempt_at: datetime | None = Field(description="When it will be sent again (UTC)")
    delivered_at: datetime | None = Field(description="When it was taken (UTC); null before")
    given_up_at: datetime | None = Field(description="When that was given up (UTC); null before")


class RenderDetail(RenderSummary):
    """Everything a caller may know about a render."""

    spending: Spending = Field(
        description="Of all its POSTs, against its own maxCostUsd or the cap on renders, whichever "
        "is less"
    )
    operation: Operation = Field(description="A remaster is `generate`, or `edit` of its source")
    duration: Seconds | None = Field(
        description="Seconds asked for; null when the source clip's length decides"
    )
    resolution: str | None = Field(description="Null when the source clip decides")
    aspect_ratio: str | None = Field(description="Null when the source clip decides")
    estimate: Estimate = Field(description="What it will cost at most, line by line")
    warnings: list[str] = Field(description="As they were told when it was accepted")
    request_id: str | None = Field(description="xAI's id of the job; null before there is one")
    attempts: list[Attempt] = Field(description="Every permit to POST, oldest first")
    timeline: list[Moment] = Field(description="Every status it had, oldest first")
    deadline: datetime | None = Field(
        description="When waiting ends and the render is stalled (UTC); null before the POST"
    )
    caller: str = Field(description="Who asked for it: an ARN, or token:NAME")
    error: Failure | None = Field(description="Why it ended badly; null otherwise")
    still: Still | None = Field(description="The image made for it to start from; null without one")
    still_attempts: list[Attempt] = Field(description="Every permit to have a still made")
    pictures: Pictures | None = Field(description="Null until they are made, soon after the clip")
    callback: Callback | None = Field(description="Null without a callbackUrl")
    advice: str | None = Field(description="What a person can do; null when nothing has to be done")
    remaster_from_request_id: str | None = Field(
        description="xAI's request id of what it remasters; null when it is no remaster"
    )
    result: RenderResult | None = Field(description="Null until the render is at rest")


# ── Films ────────────────────────────────────────────────────────────────────────────────────────


class FilmLinks(Answer):
    """Where to go from a run, relative to the API's own address."""

    run: str = Field(alias="self", description="The run")
    manifest: str = Field(description="The manifest of its film")


class AcceptedClip(Answer):
    """A clip of a script, and whether the run pays for it."""

    clip_id: str = Field(description="The clip's name in its film")
    quality_mode: str = Field(description="The quality mode it is made in")
    render_id: str = Field(description="The render that makes it, or has made it")
    operation: Operation = Field(description="A remaster is `generate`, or `edit` of its source")
    model: str = Field(description="The model it is asked of")
    duration: Seconds | None = Field(description="Seconds; null when the source clip decides")
    resolution: str | None = Field(description="Null when the source clip decides")
    aspect_ratio: str | None = Field(description="Null when the source clip decides")
    estimated_cost_usd: Usd = Field(description="US dollars it costs at most, if it is due")
    due: bool = Field(description="Whether this run pays for it")
    reused: bool = Field(description="Whether it is there already")
    warnings: list[str] = Field(description="What is odd about it, or cannot be checked")


class AcceptedFilm(Answer):
    """A script that was accepted: the same answer each time it is asked again."""

    film_id: str = Field(description="The film: the script's requestId")
    run_id: str = Field(description="The run, for `run` of other routes")
    status: Literal["running"] = Field(description="As it was when the script was accepted")
    clips: list[AcceptedClip] = Field(description="Every clip of the run")
    due: Count = Field(description="How many are paid for in this run")
    reused: Count = Field(description="How many are there already")
    estimated_cost_usd: Usd = Field(description="US dollars that what is due costs at most")
    links: FilmLinks = Field(description="Where to go from here")


class Counts(Answer):
    """How the clips of a run stand."""

    total: Count = Field(description="All of them")
    done: Count = Field(description="In the library")
    failed: Count = Field(description="Failed or cancelled")
    running: Count = Field(description="Under way")
    unresolved: Count = Field(description="submit_unknown or stalled: a person has to look")


class FilmRun(Answer):
    """A run of a film, without its clips."""

    film_id: str = Field(description="The film: the script's requestId")
    run_id: str = Field(description="The run")
    status: FilmStatus = Field(
        description="`finished` when every clip was there at the end; else `cancelled` if somebody "
        "cancelled it, or `incomplete`"
    )
    requested_at: datetime = Field(description="When the script was handed in (UTC)")
    cancelled_at: datetime | None = Field(
        description="When somebody cancelled it (UTC), which may be before its end; null otherwise"
    )
    ended_at: datetime | None = Field(description="When the run was over (UTC); null before")
    counts: Counts = Field(description="How its clips stand")
    estimated_cost_usd: Usd = Field(description="US dollars that what was due costs at most")
    cost_usd: Usd | None = Field(
        description="US dollars xAI billed so far for what was not reused; null when not known"
    )
    spending: Spending | None = Field(
        description="Of the run's POSTs, against its own limit; null where a run without a limit "
        "was not summed up: in lists while it goes on"
    )
    request_key: str = Field(description="The key of the script in the library's bucket")
    result_key: str | None = Field(
        description="The key of the run's result in the bucket; null until it is over"
    )
    links: FilmLinks = Field(description="Where to go from here")


class FilmRow(Answer):
    """How a clip of a run stands."""

    clip_id: str = Field(description="The clip's name in its film")
    quality_mode: str = Field(description="The quality mode it is made in")
    render_id: str = Field(description="The render that makes it, or has made it")
    status: Status = Field(description="The render's status; `finalized` when it was reused")
    progress: int | None = Field(description="Percent, as xAI has it; null while it says nothing")
    model: str = Field(description="The model it was asked of")
    duration: Seconds | None = Field(description="Seconds; null when the source clip decides")
    estimated_cost_usd: Usd = Field(description="US dollars; of a reused clip, what it would cost")
    cost_usd: Usd | None = Field(description="US dollars that xAI reported; null when none")
    reused: bool = Field(description="Whether it was there before the run")
    error: Failure | None = Field(description="Why it ended badly; null otherwise")
    advice: str | None = Field(description="What a person can do; null when nothing has to be done")


class FilmDetail(FilmRun):
    """A run with how each of its clips stands."""

    film_spending: Spending | None = Field(
        description="Of the film with all its runs and single clips, against its cap; null in files"
    )
    callback: Callback | None = Field(description="Null without a callbackUrl")
    clips: list[FilmRow] = Field(description="Every clip of the run")


class FilmPage(Answer):
    """A page of runs, those asked for last first."""

    films: list[FilmRun] = Field(description="At most `limit` of them")
    next_cursor: str | None = Field(
        description="What `cursor` takes for the next page, which may be empty; null on the last"
    )


class MayBeBilled(Answer):
    """A clip that a cancelled run no longer waits for, and that xAI may still make and bill."""

    clip_id: str = Field(description="The clip's name in its film")
    quality_mode: str = Field(description="The quality mode it is made in")
    render_id: str = Field(description="The render: attach it to have its clip all the same")
    request_id: str | None = Field(description="xAI's id of the job; null while that is unknown")
    estimated_cost_usd: Usd = Field(description="US dollars it may cost")


class CancelledFilm(FilmRun):
    """A run that was cancelled, and what of it may be billed all the same."""

    may_be_billed: list[MayBeBilled] = Field(description="What xAI had accepted, or may have")


# ── Plans, models and modes ──────────────────────────────────────────────────────────────────────


class PlannedClip(Answer):
    """A clip as it would be made, and what it would cost."""

    clip_id: str | None = Field(description="The clip's name; null where none is given")
    operation: Operation = Field(description="A remaster is `generate`, or `edit` of its source")
    task: GenerationTask = Field(description="What the model is asked for")
    provider: str = Field(description="Whose model it is")
    quality_mode: str = Field(description="The quality mode it is made in")
    model: str = Field(description="The model it is asked of")
    duration: Seconds | None = Field(description="Seconds; null when the source clip decides")
    resolution: str | None = Field(description="Null when the source clip decides")
    aspect_ratio: str | None = Field(description="Null when the source clip decides")
    remaster: bool = Field(description="Whether it is a remaster")
    prompt: str | None = Field(
        description="What the clip shows, as it goes to xAI; null where there is none, and in "
        "plans of more than 500 clips"
    )
    first_frame_prompt: str | None = Field(
        description="What the still shows that is made first; null where none is, and in plans "
        "of more than 500 clips"
    )
    image_model: str | None = Field(description="What makes the still; null without one")
    image_quality: str | None = Field(description="The still's; null where its model knows none")
    image_resolution: str | None = Field(description="The still's; null for its model's own")
    source_video_url: str | None = Field(description="What is edited or extended; null otherwise")
    estimated_cost_usd: Usd = Field(description="US dollars it costs at most, if it is due")
    estimate: Estimate = Field(description="The same, line by line")
    due: bool = Field(description="Whether it would be paid for")
    reused: bool = Field(description="Whether it is there already")
    warnings: list[str] = Field(description="What is odd about it, or cannot be checked")


class Plan(Answer):
    """What would be made and what it would cost at most. Nothing was written, nothing spent."""

    film_id: str = Field(description="The film")
    clips: list[PlannedClip] = Field(description="A clip request's only one, or a script's")
    due: Count = Field(description="How many would be paid for")
    reused: Count = Field(description="How many are there already")
    estimated_cost_usd: Usd = Field(description="US dollars that what is due would cost at most")


class QuoteLine(Answer):
    """One thing that is paid for, and where its price is from."""

    what: str = Field(description="What is paid for")
    model: str = Field(description="The model whose price it is")
    quantity: float = Field(description="How many units, at most", ge=0)
    unit: Literal["second", "image"] = Field(description="What `quantity` counts")
    unit_usd: Usd = Field(description="US dollars for one unit")
    least_usd: Usd = Field(description="US dollars for all of them, at least")
    amount_usd: Usd = Field(description="US dollars for all of them, at most")
    as_of: str = Field(description="The day the price is of, as YYYY-MM-DD")
    source: str = Field(description="Where the price is from")


class QuotedClip(Answer):
    """A clip, and what is paid for it."""

    clip_id: str | None = Field(description="The clip's name; null where none is given")
    quality_mode: str = Field(description="The quality mode it is made in")
    due: bool = Field(description="Whether it would be paid for")
    reused: bool = Field(description="Whether it is there already")
    lines: list[QuoteLine] = Field(
        description="What is paid for: nothing unless it is due; left out in quotes of more than "
        "500 clips"
    )
    least_usd: Usd = Field(description="US dollars at least, if it is made")
    total_usd: Usd = Field(description="US dollars at most")
    warnings: list[str] = Field(description="What is odd about it, or cannot be checked")


class Quote(Answer):
    """What a clip or a script costs, line by line. Nothing was written, nothing spent."""

    quote_id: str | None = Field(
        description="What the same request takes as `quoteId`; null when something has no price"
    )
    expires_at: datetime = Field(description="Until when a quoteId of now is good (UTC)")
    film_id: str = Field(description="The film")
    clips: list[QuotedClip] = Field(description="A clip request's only one, or a script's")
    due: Count = Field(description="How many clips would be paid for")
    reused: Count = Field(description="How many are there already")
    least_usd: Usd = Field(description="US dollars that what is due costs at least, if it is made")
    total_usd: Usd = Field(description="US dollars that what is due costs at most")
    unpriced: list[str] = Field(
        description="Models without a price: what they make is not in the total, and is refused "
        "under any limit"
    )


class TaskLimits(Answer):
    """The bounds of one task on one model; null where there is none."""

    min_seconds: int | None = Field(description="The shortest clip")
    max_seconds: int | None = Field(description="The longest clip")
    min_source_seconds: float | None = Field(description="The shortest source clip")
    max_source_seconds: float | None = Field(description="The longest source clip")
    max_references: int | None = Field(description="How many images to go by")
    resolutions: list[str] | None = Field(description="Null for all of the model's")


class Prices(Answer):
    """US dollars, each for the unit in its name."""

    per_second: dict[str, Usd] = Field(description="For a second of video, by resolution")
    per_image: dict[str, Usd] = Field(description="For an image, by quality")
    per_input_image: Usd = Field(description="For an image that is handed in")
    per_input_second: Usd = Field(description="For a second of video that is handed in")


class RateLimit(Answer):
    """How many requests a second a model takes, as published somewhere."""

    requests_per_second: float = Field(description="How many a second")
    burst: int = Field(description="How many of them at the same moment")
    as_of: str = Field(description="The day this was looked up, as YYYY-MM-DD")
    source: str = Field(description="Where")


class ModelRow(Answer):
    """What a model can do, and what it costs."""

    name: str = Field(description="Its name")
    provider: str = Field(description="Whose it is")
    produces: Literal["video", "image"] = Field(description="What it makes")
    aliases: list[str] = Field(description="Its other names")
    tasks: dict[str, TaskLimits] = Field(description="What it can be asked for, and its bounds")
    resolutions: list[str] = Field(description="What it offers")
    aspect_ratios: list[str] = Field(description="What it offers")
    qualities: list[str] = Field(description="What it offers, where it makes images")
    last_frame: bool = Field(description="Whether it takes a last frame")
    first_frame_with_references: bool = Field(
        description="Whether it takes a first frame beside images to go by"
    )
    prices: Prices = Field(description="What it costs")
    rate_limit: RateLimit | None = Field(
        description="How many requests a second it takes; null where nobody says"
    )
    notes: str | None = Field(description="What else there is to know; null when nothing")
    retires: date | None = Field(description="The day it goes; null where none is known")
    as_of: str = Field(description="The day all this was looked up, as YYYY-MM-DD")
    source: str = Field(description="Where")


class RetiredModel(Answer):
    """A model that is gone."""

    name: str = Field(description="Its name, which still works")
    replaced_by: str = Field(description="The model that answers in its place")
    quality: str | None = Field(description="The quality its name stands for; null for none")
    on: str = Field(description="The day it went, as YYYY-MM-DD")
    source: str = Field(description="Where that is said")


class Models(Answer):
    """Every model that can be asked for."""

    schema_version: str = Field(description="Of the file they come from")
    currency: Literal["USD"] = Field(description="Of all prices")
    models: list[ModelRow] = Field(description="Those in force")
    retired: list[RetiredModel] = Field(description="Those whose names still work")


class ModeDefaults(Answer):
    """What a request gets that does not say."""

    quality_mode: str = Field(description="The quality mode")
    image_model: str = Field(description="The model that makes stills")


class ModeRow(Answer):
    """A named choice of model and resolution."""

    name: str = Field(description="Its name")
    model: str = Field(description="The model it asks")
    resolution: str = Field(description="The resolution it asks for")
    requires_image: bool = Field(description="Whether it needs a first frame")
    with_image: str | None = Field(
        description="The mode it becomes with a first frame; null when it stays itself"
    )
    aliases: list[str] = Field(description="Its other names")
    about: str = Field(description="What it is good for")
    usd_per_second: Usd | None = Field(
        description="US dollars for a second of video; null when its model has no price"
    )
    as_of: str = Field(description="The day of the price, as YYYY-MM-DD")
    source: str = Field(description="Where the price is from")


class RemasterRule(Answer):
    """Which mode a remaster is made in, by what it starts from."""

    resolution: str = Field(description="The resolution of every remaster")
    from_text: str = Field(description="The mode when there is a prompt alone")
    from_image: str = Field(description="The mode when there is a first frame")
    from_source: str = Field(description="The mode when there is a source clip")


class QualityModes(Answer):
    """Every quality mode that can be asked for."""

    schema_version: str = Field(description="Of the file they come from")
    defaults: ModeDefaults = Field(description="What a request gets that does not say")
    modes: list[ModeRow] = Field(description="Every one")
    remaster: RemasterRule = Field(description="Which one a remaster is made in")


class Health(Answer):
    """That the API answers; it says nothing about what is behind it."""

    status: Literal["ok"] = Field(description="Always")


# ── Manifests ────────────────────────────────────────────────────────────────────────────────────


class Downloads(Answer):
    """Presigned urls: they open the files for whoever has them, for a while."""

    video: str | None = Field(description="Null when the file is not in the library")
    first_frame: str | None = Field(description="Null when there is none in the library")
    thumbnail: str | None = Field(description="Null when there is none")
    poster: str | None = Field(description="Null when there is none")


class ManifestClip(Answer):
    """A finished clip, as the existing system's manifest has it, and more."""

    id: str = Field(description="The clip's name in its film")
    pipeline_request_id: str = Field(description="The film")
    quality_mode: str = Field(description="The quality mode it was made in")
    duration: float | None = Field(description="Its length in seconds; null when not known")
    status: Literal["done"] = Field(description="A finished clip")
    generation_kind: str | None = Field(description="How it was made: text-to-video and others")
    request_id: str | None = Field(description="xAI's id of the job")
    url: str | None = Field(description="Where the file is, usually an s3:// url")
    temporary_url: str | None = Field(description="xAI's own url, good for about a day")
    first_frame_url: str | None = Field(description="The image it starts from")
    thumbnail_url: str | None = Field(description="Its thumbnail, if one was asked for")
    poster_url: str | None = Field(description="A frame of it; appears soon after the clip")
    estimated_cost_usd: Usd | None = Field(description="US dollars it was to cost at most")
    cost_usd: Usd | None = Field(description="US dollars that xAI reported")
    model: str | None = Field(description="The model it was asked of")
    model_served: str | None = Field(description="The model xAI says made it")
    resolution: str | None = Field(description="Such as 720p")
    remaster_from_request_id: str | None = Field(description="xAI's id of what it remasters")
    remastered_as: list[str] = Field(description="Keys of the entries made from this one")
    error: str | None = Field(description="What is wrong with it; null otherwise")
    purpose: str | None = Field(description="As it was asked for with")
    ref_code: str | None = Field(description="As it was asked for with")
    sha256: str | None = Field(description="Of the file; null when it was not copied by us")
    render_id: str | None = Field(description="The render; null when it was taken in")
    imported_at: datetime | None = Field(
        description="When it was taken in from another manifest (UTC); null when it was made here"
    )
    key: str = Field(alias="_key", description="`id::qualityMode`, unique in the film")
    updated_at: datetime = Field(description="When the entry was written (UTC)")
    downloads: Downloads | Absent = Field(default=None, description="With `presign=true`")


class MissingClip(Answer):
    """A clip that the newest run came to its end without."""

    id: str = Field(description="The clip's name in its film")
    pipeline_request_id: str = Field(description="The film")
    quality_mode: str = Field(description="The quality mode it was to be made in")
    status: Literal[
        "planned",
        "framing",
        "rendering",
        "rendered",
        "finalized",
        "failed",
        "submit_unknown",
        "stalled",
    ] = Field(description="`failed`, or whatever its render stood at")
    url: None = Field(description="There is none")
    error: str | None = Field(description="Why, if that is known")
    render_id: str = Field(description="The render")
    key: str = Field(alias="_key", description="`id::qualityMode`, unique in the film")
    updated_at: datetime | None = Field(description="When the run was over (UTC)")


class MissedClip(Answer):
    """A clip that a run ended without."""

    clip_id: str = Field(description="The clip's name in its film")
    quality_mode: str = Field(description="The quality mode it was to be made in")
    render_id: str = Field(description="The render")
    status: Status = Field(description="What its render stood at")
    error: str | None = Field(description="The class of the error; null without one")
    message: str | None = Field(description="What happened; null without an error")
    code: str | None = Field(description="xAI's own code; null without one")


class ManifestRun(Answer):
    """A run of the film."""

    run_id: str = Field(description="The run")
    status: FilmStatus = Field(description="How it stands or ended")
    requested_at: datetime = Field(description="When the script was handed in (UTC)")
    ended_at: datetime | None = Field(description="When it was over (UTC); null before")
    total: Count = Field(description="How many clips it has")
    done: Count = Field(description="How many are in the library")
    due: Count = Field(description="How many it paid for")
    failed: list[MissedClip] = Field(description="What it ended without; the first 100")
    estimated_cost_usd: Usd = Field(description="US dollars that what was due costs at most")
    cost_usd: Usd | None = Field(description="US dollars xAI billed; null when not known")
    spending: Spending | None = Field(
        description="Of its POSTs, against its own limit; null while it goes on without one"
    )


class Manifest(Answer):
    """A film's clips and runs, in the existing system's third version."""

    version: Literal[3] = Field(description="Of the format")
    request_id: str = Field(description="The film")
    clips: list[ManifestClip | MissingClip] = Field(description="Sorted by key")
    spending: Spending | None = Field(
        description="Of the whole film, against its cap; null but on the last page"
    )
    runs: list[ManifestRun] = Field(description="The newest 50, oldest first; on the last page")
    next: str | Absent = Field(
        default=None, description="What `after` takes for the next page; not there on the last"
    )


class TakenIn(Answer):
    """What became of a manifest that was taken in."""

    film_id: str = Field(description="The film")
    imported: list[str] = Field(description="Keys of the entries that are new")
    kept: list[str] = Field(description="Keys under which a finished clip stood already")
    warnings: list[str] = Field(description="What was left out, and why")


class ProtectedResource(BaseModel):
    """What RFC 9728 has a client of `/mcp` know before it has a token."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    resource: str = Field(description="The url of `/mcp`")
    bearer_methods_supported: list[Literal["header"]] = Field(description="Where the token goes")
    scopes_supported: list[Scope] = Field(description="What a token may be good for")
    resource_name: str = Field(description="For people")


# ── Compatibility ────────────────────────────────────────────────────────────────────────────────


class SelfLink(Answer):
    """Where to go from here, relative to the API's own address."""

    render: str = Field(alias="self", description="The render, on this route")


class CompatibleRender(Answer):
    """A render, as clients of the existing system know it."""

    render_id: str = Field(description="The render's id")
    status: Status = Field(
        description="At rest in finalized, failed, cancelled, submit_unknown and stalled"
    )
    clip_id: str = Field(description="The clip's name in its film")
    pipeline_request_id: str = Field(description="The film")
    quality_mode: str = Field(description="The quality mode it is made in")
    model: str = Field(description="The model it was asked of")
    resolution: str | None = Field(description="Null when the source clip decides")
    aspect_ratio: str | None = Field(description="Null when the source clip decides")
    duration: float | None = Field(description="Seconds; null when they are not known yet")
    request_id: str | None = Field(description="xAI's id of the job; null before there is one")
    url: str | None = Field(description="Presigned, for CLIP_URL_SECONDS at most; null before")
    temporary_url: str | None = Field(description="xAI's own url, good for about a day")
    first_frame_url: str | None = Field(description="The image it starts from; null without one")
    thumbnail_url: str | None = Field(description="Its thumbnail; null without one")
    poster_url: str | None = Field(description="A frame of it; null until it is made")
    estimated_cost_usd: Usd = Field(description="US dollars it will cost at most")
    cost_usd: Usd | None = Field(description="US dollars that xAI reported; null when none")
    warnings: list[str] = Field(description="Fields without effect and the like")
    advice: str | None = Field(description="What a person can do; null when nothing has to be done")
    links: SelfLink = Field(description="Where to go from here")
    video: FinishedVideo | UnkeptVideo | None = Field(
        description="The clip; null while there is none"
    )


class CompatibleAnswer(Answer):
    """A render in the existing system's shape."""

    success: bool = Field(description="False when the render came to rest without its clip")
    data: CompatibleRender = Field(description="The render")
    error: str | Absent = Field(default=None, description="What happened; only without success")
    code: str | Absent = Field(default=None, description="The kind of error; only without success")


class CompatibleRefusal(Answer):
    """An error in the existing system's shape."""

    success: Literal[False] = Field(description="Always")
    error: str = Field(description="What is wrong, for people")
    code: str = Field(description="The kind of error")
    errors: list[FieldProblem] | Absent = Field(
        default=None, description="With 400: every problem that was found, up to 50"
    )


# ── Money ────────────────────────────────────────────────────────────────────────────────────────


class CapsInForce(Answer):
    """Every cap there is, in US dollars; null is no cap."""

    render: Usd | None = Field(description="On all POSTs of one render")
    film: dict[str, Usd | None] = Field(
        description="On all of one film, for good: by its id, `*` for those not named"
    )
    caller: dict[str, Usd | None] = Field(
        description="On one caller in a calendar month (UTC): by ARN or `token:NAME`, `*` for "
        "those not named"
    )
    day: Usd | None = Field(description="On everybody on a day (UTC)")
    month: Usd | None = Field(description="On everybody in a calendar month (UTC)")


class CapStanding(Spending):
    """What counts towards a cap: for caller in the month that is said, for day and month now."""

    scope: LedgerScope = Field(description="What is counted")
    name: str = Field(description="The day, the month, the film or the caller")
    month: str | None = Field(description="The month, for a caller; else null")


class Budget(Answer):
    """The caps in force, and how what they count stands."""

    caps: CapsInForce = Field(description="The caps, as PATCH takes them")
    stopped: bool = Field(description="Whether the kill switch is set: no new POST is let out")
    stopped_at: datetime | None = Field(description="Since when; null when it is not set")
    stopped_because: str | None = Field(description="Why; null when it is not set")
    changed_at: datetime | None = Field(description="When any of it last changed; null if never")
    changed_by: str | None = Field(description="Who changed it; null if nobody ever did")
    standings: list[CapStanding] = Field(
        description="Today, this month, and films and callers with a cap of their own, or asked for"
    )


class CostAmounts(Answer):
    """What POSTs cost, in US dollars."""

    posts: Count = Field(description="POSTs that were permitted; xAI may have refused some")
    settled_usd: Usd = Field(description="What they cost: the next two together")
    reported_usd: Usd = Field(description="As xAI reported it")
    estimated_usd: Usd = Field(description="As it was estimated, where xAI reported nothing")
    held_usd: Usd = Field(description="Reserved for those of which the cost is not known yet")
    released_usd: Usd = Field(description="Was reserved, and came free: nothing was accepted")
    orchestration_usd: Usd = Field(description="What AWS charges beside it: an estimate")


class CostRow(CostAmounts):
    """What the POSTs of one name cost."""

    name: str | None = Field(description="What they have in common; null for those without it")


class OrchestrationPrices(Answer):
    """What orchestrationUsd is made of."""

    about: str = Field(description="How it is reckoned, for people")
    region: str = Field(description="The region whose prices they are")
    as_of: str = Field(description="The day the prices are of, as YYYY-MM-DD")
    source: str = Field(description="Where the prices are from")


class Costs(Answer):
    """What was spent on POSTs that were permitted on some days."""

    by: CostsBy = Field(description="What `name` is in the rows")
    first: date = Field(alias="from", description="The first day (UTC)")
    last: date = Field(alias="to", description="The last day (UTC)")
    film: str | None = Field(description="Only of this film; null for all")
    caller: str | None = Field(description="Only of this caller; null for all")
    tag: str | None = Field(description="Only of this tag, empty for none; null for all")
    render: str | None = Field(description="Only of this render; null for all")
    run: str | None = Field(description="Only of this run; null for all")
    rows: list[CostRow] = Field(description="The dearest first; days and months in their order")
    totals: CostAmounts = Field(description="Of all rows")
    orchestration: OrchestrationPrices = Field(description="What orchestrationUsd is made of")


class NamedCounter(Answer):
    """One sum that is kept."""

    scope: LedgerScope = Field(description="What is counted")
    name: str = Field(description="The day, the month, the film, the caller or the run")
    month: str | None = Field(description="The month, for a caller; else null")


class Booked(Answer):
    """What a counter says, or the ledger's entries come to."""

    spent_usd: float = Field(description="Settled, US dollars")
    reserved_usd: float = Field(description="Held, US dollars")
    total_usd: float = Field(description="Both, US dollars: what caps are held against")
    entries: int = Field(description="How many entries of the ledger")


class CounterDifference(NamedCounter):
    """A counter that is not the sum of its entries."""

    counter: Booked = Field(description="What the counter says")
    ledger: Booked = Field(description="What its entries come to")


class CostCheck(Answer):
    """Whether the counters are the sums of the ledger's entries."""

    agrees: bool = Field(description="Whether no difference was found")
    days: Count = Field(description="Days whose entries were read")
    entries: Count = Field(description="Entries that were read")
    counters: Count = Field(description="Counters that were compared")
    moving: list[NamedCounter] = Field(
        description="Counters that somebody wrote at every look: nothing is said of them"
    )
    differences: list[CounterDifference] = Field(description="Counters that do not agree")


# ── Upkeep ───────────────────────────────────────────────────────────────────────────────────────


class Finding(Answer):
    """One thing that is not as it should be."""

    kind: FindingKind = Field(description="What kind of disorder it is")
    name: str = Field(
        description="Which render, `film/run`, execution, key, counter, queue or item"
    )
    words: str = Field(description="What is wrong, for people")
    since: datetime | None = Field(description="Since when; null where nobody knows")
    held_usd: Usd = Field(description="US dollars that stay reserved for it")
    commands: list[str] = Field(
        description="What resolves it, as it is typed: one of them, or one after the other. Empty "
        "once it is repaired"
    )
    repaired: Repair | None = Field(description="What was done about it; null if nothing was")


class LookedAt(Answer):
    """How many of each were looked at."""

    deliveries: Count = Field(description="Objects that xAI delivered")
    renders: Count = Field(description="Renders")
    runs: Count = Field(description="Runs of films")
    entries: Count = Field(description="Entries of manifests")
    executions: Count = Field(description="Executions under way")
    objects: Count = Field(description="Clips and their sidecars")
    counters: Count = Field(description="Counters, each against its entries in the ledger")
    queues: Count = Field(description="Queues of dead letters")


class Decided(Answer):
    """Renders at rest that hold money by somebody's decision: no disorder."""

    renders: Count = Field(
        description="Cancelled, given up, or sent again with the consent to be charged twice"
    )
    held_usd: Usd = Field(description="US dollars that stay reserved for them")


class Examination(Answer):
    """A page of an examination of the whole stack."""

    looked: LookedAt = Field(description="How many of each were looked at for this page")
    findings: list[Finding] = Field(description="What is not as it should be")
    decided: Decided = Field(description="What is held, and is no finding")
    next_cursor: str | None = Field(
        description="Where the next page begins; null once all was looked at"
    )


# ── The document ─────────────────────────────────────────────────────────────────────────────────


class ApiDocument(BaseModel):
    """An OpenAPI 3.1 document."""

    model_config = ConfigDict(frozen=True, extra="allow")

    openapi: Annotated[str, Field(pattern=r"^3\.1\.")] = Field(description="The version of OpenAPI")
    paths: dict[str, Any] = Field(description="The routes")
