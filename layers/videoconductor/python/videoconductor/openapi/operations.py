"""The routes of the API, one row each: what they take, what they answer, what can go wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from pydantic import BaseModel

from videoconductor import answers, compatible
from videoconductor.accounts import BY, FORMATS, MAX_DAYS
from videoconductor.clip import FROM_MANIFEST, MAX_USD, FilmStatus, Status
from videoconductor.conductor import MAX_KEY_CHARACTERS
from videoconductor.entrance import METADATA_PATH
from videoconductor.listing import MAX_LIMIT, Wanted
from videoconductor.openapi.examples import SCRIPT
from videoconductor.openapi.schemas import CALLER, HTTPS, ID, ID_WORDS
from videoconductor.waiting import MOST_SECONDS

Schema = dict[str, Any]
Security = Literal["sigv4", "token", "open"]
Tag = Literal["clips", "films", "planning", "money", "upkeep", "compatibility", "about"]

MAX_MANIFEST_PAGE = 1000


@dataclass(frozen=True)
class Parameter:
    """A piece of the path, the query or the headers; one of a path is always required."""

    name: str
    place: Literal["path", "query", "header"]
    schema: Schema
    about: str
    example: str | None = None

    @property
    def document(self) -> Schema:
        """The parameter as OpenAPI has it."""
        return {
            "name": self.name,
            "in": self.place,
            "required": self.place == "path",
            "description": self.about,
            "schema": self.schema,
            **({} if self.example is None else {"example": self.example}),
        }


@dataclass(frozen=True)
class Body:
    """What a route takes: one of these schemas, by name."""

    schemas: tuple[str, ...]
    about: str
    required: bool = True


@dataclass(frozen=True)
class Link:
    """What may follow: an operation, and where in the answer its path's parameter stands."""

    operation: str
    parameter: str
    pointer: str


@dataclass(frozen=True)
class Operation:
    """One route. `problems` are statuses beside those that every route can answer; with one of
    `also` it answers the same as with `status`. With `is_csv` the answer can be had as a table.
    """

    method: Literal["get", "patch", "post"]
    path: str
    name: str
    summary: str
    tag: Tag
    answer: type[BaseModel]
    about: str = ""
    status: int = 200
    parameters: tuple[Parameter, ...] = ()
    body: Body | None = None
    problems: tuple[int, ...] = ()
    links: tuple[Link, ...] = ()
    security: Security = "sigv4"
    also: tuple[int, ...] = ()
    is_csv: bool = False


# ── Parameters ───────────────────────────────────────────────────────────────────────────────────

RENDER_ID = Parameter(
    "renderId",
    "path",
    {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "The render's id, as the answer to its request gave it",
)
FILM = Parameter(
    "film",
    "path",
    {"type": "string", **ID},
    f"The film. {ID_WORDS}",
    example=SCRIPT["requestId"],
)
KEY = Parameter(
    "Idempotency-Key",
    "header",
    {"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARACTERS},
    "Printable. The same key with the same request is the same work and the same answer, with "
    "another it is 409. Send one always: it makes asking again harmless",
)
RUN = Parameter("run", "query", {"type": "string"}, "This run of the film; the newest if not given")
WAIT = Parameter(
    "wait",
    "query",
    {"type": "integer", "minimum": 0, "maximum": MOST_SECONDS, "default": 0},
    "Seconds to wait for it to come to rest before answering",
)
LIMIT = Parameter(
    "limit",
    "query",
    {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": Wanted().limit},
    "How many a page has at most",
)
CURSOR = Parameter(
    "cursor",
    "query",
    {"type": "string"},
    "The nextCursor of the page before; the first if not given",
)
REQUESTED_AFTER = Parameter(
    "requestedAfter",
    "query",
    {"type": "string", "format": "date-time"},
    "Only those asked for then or later, with a time zone",
)
REQUESTED_BEFORE = Parameter(
    "requestedBefore",
    "query",
    {"type": "string", "format": "date-time"},
    "Only those asked for before then, with a time zone",
)
OF_FILM = Parameter("film", "query", {"type": "string", **ID}, "Only those of this film")
STATUSES = Parameter(
    "status",
    "query",
    {"type": "array", "items": {"type": "string", "enum": list(get_args(Status))}},
    "Only these; may be given several times",
)
MODE = Parameter(
    "mode", "query", {"type": "string"}, "Only of this quality mode, or its other name"
)
RUN_STATUSES = Parameter(
    "status",
    "query",
    {"type": "array", "items": {"type": "string", "enum": list(get_args(FilmStatus))}},
    "Only these; may be given several times",
)
CLIPS = Parameter(
    "clip",
    "query",
    {"type": "array", "items": {"type": "string", **ID}},
    "Only this clip; may be given several times",
)
REMASTER = Parameter("remaster", "query", {"type": "boolean"}, "Makes them again at 720p")
SOURCE = Parameter(
    "sourceVideoUrl",
    "query",
    {"type": "string", "pattern": f"{HTTPS}|^s3://|^{FROM_MANIFEST}$"},
    "Makes them by editing that video: an https url, the s3:// url of a clip of the film, or "
    f"`{FROM_MANIFEST}` for the newest clip that the film has of each",
)
FORCE = Parameter(
    "force", "query", {"type": "boolean"}, "Makes and pays for clips that are there, too"
)
MAX_COST = Parameter(
    "maxCostUsd",
    "query",
    {"type": "number", "minimum": 0, "maximum": MAX_USD},
    "Refuses it all if what is due is estimated at more US dollars; at most nine digits on "
    "either side of the point",
)
QUOTE = Parameter(
    "quoteId",
    "query",
    {"type": "string", "pattern": "^q1-[0-9]+-[0-9]+-[0-9a-f]{32}$"},
    "Agrees to what `POST /v1/quotes` quoted for the same script and parameters within a day, and "
    "to no more",
)
CALLBACK = Parameter(
    "callbackUrl",
    "query",
    {"type": "string", "pattern": HTTPS},
    "An https url on a public host that is told, signed as Standard Webhooks prescribes, how the "
    "run ends",
)
EDIT = Parameter(
    "edit", "query", {"type": "boolean"}, "Makes them by editing the clips that are there"
)
PRESIGN = Parameter(
    "presign", "query", {"type": "boolean"}, "Adds urls that the files can be fetched from"
)
AFTER = Parameter("after", "query", {"type": "string"}, "The `next` of the page before")
MANIFEST_LIMIT = Parameter(
    "limit",
    "query",
    {"type": "integer", "minimum": 1, "maximum": MAX_MANIFEST_PAGE},
    "How many clips a page has at most; all of them if not given",
)
DAY: Schema = {"type": "string", "format": "date"}
FROM = Parameter(
    "from",
    "query",
    DAY,
    f"The first day (UTC); that of the month if not given. At most {MAX_DAYS} days in all",
)
TO = Parameter("to", "query", DAY, "The last day (UTC); today if not given")
COSTS_BY = Parameter(
    "by", "query", {"type": "string", "enum": list(BY), "default": "film"}, "What a row is of"
)
OF_CALLER = Parameter("caller", "query", CALLER, "Only of this caller: an ARN, or `token:NAME`")
STANDS = Parameter(
    "caller",
    "query",
    CALLER,
    "How this caller stands this month: an ARN, or `token:NAME`",
)
OF_TAG = Parameter(
    "tag", "query", {"type": "string"}, "Only of this `purpose`; empty for those without one"
)
OF_ONE_RENDER = Parameter("render", "query", {"type": "string"}, "Only of this render")
OF_ONE_RUN = Parameter(
    "run", "query", {"type": "string"}, "Only of this run; runs without a limit are not kept apart"
)
FORMAT = Parameter(
    "format",
    "query",
    {"type": "string", "enum": list(FORMATS)},
    "Instead of what the header Accept says",
)
ORDER = (CLIPS, REMASTER, SOURCE, FORCE, MAX_COST, QUOTE, CALLBACK)

# ── Links ────────────────────────────────────────────────────────────────────────────────────────

OF_RENDER = (
    "getVideo",
    "cancelVideo",
    "attachVideo",
    "retryVideo",
    "resumeVideo",
    "abandonVideo",
    "redeliverVideo",
    "remasterVideo",
)
OF_RUN = (
    "getFilm",
    "cancelFilm",
    "retryFilm",
    "remasterFilm",
    "resumeFilm",
    "redeliverFilm",
    "getManifest",
)


def _links(operations: tuple[str, ...], parameter: str, pointer: str) -> tuple[Link, ...]:
    return tuple(Link(operation, parameter, pointer) for operation in operations)


# ── Routes ───────────────────────────────────────────────────────────────────────────────────────


def operations(modes: Iterable[str]) -> tuple[Operation, ...]:
    """Every route of the API but `/mcp`, in the order of the document.

    `modes` are the names that quality modes go by.
    """
    return (
        *_clips(modes),
        *_films(),
        *_planning(),
        *_money(),
        *_upkeep(),
        *_compatibility(),
        *_about(),
    )


def _clips(modes: Iterable[str]) -> tuple[Operation, ...]:
    rendered = _links(OF_RENDER, "renderId", "/renderId")
    mode = Parameter(
        "mode",
        "query",
        {"type": "string", "enum": list(modes)},
        "Only of this quality mode, by its name or another one it goes by",
    )
    return (
        Operation(
            "post",
            "/v1/videos",
            "createVideo",
            "Ask for a clip",
            "clips",
            answers.AcceptedRender,
            about="Plans the request, puts it on record and sets it going. It is paid for.",
            status=202,
            parameters=(KEY,),
            body=Body(("ClipRequest",), "What the clip is to be"),
            problems=(400, 409),
            links=rendered,
        ),
        Operation(
            "get",
            "/v1/videos",
            "listVideos",
            "The newest renders, in pages",
            "clips",
            answers.RenderPage,
            about="Those asked for last come first. A page looks back over the month it begins in "
            "(UTC) and the eleven before, and may lag by a moment.",
            parameters=(STATUSES, OF_FILM, mode, REQUESTED_AFTER, REQUESTED_BEFORE, LIMIT, CURSOR),
            problems=(400,),
        ),
        Operation(
            "get",
            "/v1/videos/{renderId}",
            "getVideo",
            "What became of a render",
            "clips",
            answers.RenderDetail,
            parameters=(RENDER_ID, WAIT),
            problems=(400, 404),
        ),
        _command(
            "cancel",
            "Stop waiting for a render",
            "A job that xAI accepted goes on and may be billed; its request id is kept.",
        ),
        _command(
            "attach",
            "Wait for a job again",
            "For renders that are failed, cancelled, submit_unknown or stalled. Spends nothing.",
            Body(("Attachment",), "Which job", required=False),
        ),
        _command(
            "retry",
            "Allow one more POST",
            "For renders that are failed, cancelled, submit_unknown or stalled. It is paid for.",
            Body(("RenderRetrial",), "Whether it may be paid for twice", required=False),
        ),
        _command(
            "resume",
            "Give a new execution to a render that lost its own",
            "Harmless at any time; pays for nothing twice.",
        ),
        _command(
            "abandon",
            "Give up a render that nobody can account for",
            "For renders that are submit_unknown or stalled.",
        ),
        _command(
            "redeliver",
            "Tell its callbackUrl again",
            "For renders at rest that have one.",
        ),
        Operation(
            "post",
            "/v1/videos/{renderId}/remaster",
            "remasterVideo",
            "Make a finished clip again at 720p",
            "clips",
            answers.AcceptedRender,
            about="A render of its own, which is paid for.",
            status=202,
            parameters=(RENDER_ID, KEY),
            body=Body(("Remastering",), "What is to be other than it was", required=False),
            problems=(400, 404, 409),
            links=rendered,
        ),
    )


def _command(name: str, summary: str, about: str, body: Body | None = None) -> Operation:
    return Operation(
        "post",
        f"/v1/videos/{{renderId}}/{name}",
        f"{name}Video",
        summary,
        "clips",
        answers.RenderDetail,
        about=about,
        parameters=(RENDER_ID,),
        body=body,
        problems=(400, 404, 409),
    )


def _films() -> tuple[Operation, ...]:
    run = _links(OF_RUN, "film", "/filmId")
    return (
        Operation(
            "post",
            "/v1/films",
            "createFilm",
            "Make the clips of a script",
            "films",
            answers.AcceptedFilm,
            about="Pays for clips that are missing, have come to nothing or have changed. A script "
            "with anything wrong is refused as a whole.",
            status=202,
            parameters=(*ORDER, KEY),
            body=Body(("FilmRequest",), "The script"),
            problems=(400, 402, 409),
            links=run,
        ),
        Operation(
            "get",
            "/v1/films",
            "listFilms",
            "The newest runs, in pages",
            "films",
            answers.FilmPage,
            parameters=(RUN_STATUSES, OF_FILM, REQUESTED_AFTER, REQUESTED_BEFORE, LIMIT, CURSOR),
            problems=(400,),
        ),
        Operation(
            "get",
            "/v1/films/{film}",
            "getFilm",
            "How a run of a film stands",
            "films",
            answers.FilmDetail,
            about="A film whose clips were only asked for one by one has no run: 404.",
            parameters=(FILM, RUN, WAIT),
            problems=(400, 404),
        ),
        Operation(
            "post",
            "/v1/films/{film}/cancel",
            "cancelFilm",
            "Stop waiting for a run's clips",
            "films",
            answers.CancelledFilm,
            about="Jobs that xAI accepted go on and may be billed: the answer lists them.",
            parameters=(FILM, RUN),
            problems=(400, 404, 409),
        ),
        Operation(
            "post",
            "/v1/films/{film}/retry",
            "retryFilm",
            "Make what a run ended without",
            "films",
            answers.AcceptedFilm,
            about="A new run of the same script and order. It is paid for.",
            status=202,
            parameters=(FILM, RUN, MAX_COST, QUOTE, CALLBACK, KEY),
            body=Body(("Retrial",), "Whether it may be paid for twice", required=False),
            problems=(400, 402, 404, 409),
            links=run,
        ),
        Operation(
            "post",
            "/v1/films/{film}/remaster",
            "remasterFilm",
            "Make a film's clips again at 720p",
            "films",
            answers.AcceptedFilm,
            about="A new run of the same script. It is paid for.",
            status=202,
            parameters=(FILM, RUN, CLIPS, EDIT, MAX_COST, QUOTE, CALLBACK, KEY),
            problems=(400, 402, 404, 409),
            links=run,
        ),
        Operation(
            "post",
            "/v1/films/{film}/resume",
            "resumeFilm",
            "Give a new execution to a run that lost its own",
            "films",
            answers.FilmRun,
            about="Harmless at any time; pays for nothing twice.",
            parameters=(FILM, RUN),
            problems=(400, 404, 409),
        ),
        Operation(
            "post",
            "/v1/films/{film}/redeliver",
            "redeliverFilm",
            "Tell a run's callbackUrl again",
            "films",
            answers.FilmRun,
            about="For runs that are over and have one.",
            parameters=(FILM, RUN),
            problems=(400, 404, 409),
        ),
        Operation(
            "get",
            "/v1/films/{film}/manifest",
            "getManifest",
            "A film's clips, their files, and its runs",
            "films",
            answers.Manifest,
            about="The newest finished clip for each clip id and quality mode. A film nobody knows "
            "has no clips. An answer holds about 6 MB: ask for pages of a long film.",
            parameters=(FILM, PRESIGN, AFTER, MANIFEST_LIMIT),
            problems=(400,),
        ),
        Operation(
            "post",
            "/v1/films/{film}/manifest",
            "importManifest",
            "Take an existing manifest in",
            "films",
            answers.TakenIn,
            about="Files stay where they are; nothing is fetched and nothing is paid for.",
            parameters=(FILM,),
            body=Body(("ExistingManifest",), "The manifest"),
            problems=(400,),
        ),
    )


def _planning() -> tuple[Operation, ...]:
    return (
        Operation(
            "post",
            "/v1/plan",
            "plan",
            "What a clip or a script would become and cost",
            "planning",
            answers.Plan,
            about="Writes nothing and spends nothing. The parameters are for scripts.",
            parameters=ORDER,
            body=Body(("ClipRequest", "FilmRequest"), "A request for a clip, or a script"),
            problems=(400,),
        ),
        Operation(
            "post",
            "/v1/quotes",
            "createQuote",
            "What a clip or a script costs, to be agreed to",
            "planning",
            answers.Quote,
            about="Of what is due as things are now, line by line: what is there already costs "
            "nothing. Writes nothing and spends nothing. The parameters are for scripts; quote "
            "with those that the film is then asked for with.",
            parameters=ORDER,
            body=Body(("ClipRequest", "FilmRequest"), "A request for a clip, or a script"),
            problems=(400,),
        ),
        Operation(
            "get",
            "/v1/models",
            "listModels",
            "What each model can do and costs",
            "planning",
            answers.Models,
            problems=(400,),
        ),
        Operation(
            "get",
            "/v1/quality-modes",
            "listQualityModes",
            "The quality modes",
            "planning",
            answers.QualityModes,
            problems=(400,),
        ),
    )


def _money() -> tuple[Operation, ...]:
    return (
        Operation(
            "get",
            "/v1/budget",
            "getBudget",
            "The caps, and how they stand",
            "money",
            answers.Budget,
            about="Today, this month, and each film and caller with a cap of its own; with `film` "
            "or `caller`, that one instead.",
            parameters=(replace(OF_FILM, about="How this film stands"), STANDS),
            problems=(400,),
        ),
        Operation(
            "patch",
            "/v1/budget",
            "setBudget",
            "Set caps, or take them away",
            "money",
            answers.Budget,
            about="All of them or, where one is refused, none. A cap below what is spent is "
            "allowed: nothing new is sent then.",
            body=Body(("CapsChange",), "Caps that are to be others"),
            problems=(400,),
        ),
        Operation(
            "post",
            "/v1/budget/stop",
            "stopSpending",
            "Let no new POST out",
            "money",
            answers.Budget,
            about="What runs is finished and kept. Harmless at any time.",
            body=Body(("StopOrder",), "Why", required=False),
            problems=(400,),
        ),
        Operation(
            "post",
            "/v1/budget/resume",
            "resumeSpending",
            "Let POSTs out again",
            "money",
            answers.Budget,
            about="Renders that failed meanwhile stay failed: retry them.",
            problems=(400,),
        ),
        Operation(
            "get",
            "/v1/costs",
            "getCosts",
            "What was spent, in rows",
            "money",
            answers.Costs,
            about="From the ledger: of POSTs that were permitted on these days, whenever they were "
            "settled.",
            parameters=(
                COSTS_BY,
                FROM,
                TO,
                OF_FILM,
                OF_CALLER,
                OF_TAG,
                OF_ONE_RENDER,
                OF_ONE_RUN,
                FORMAT,
            ),
            problems=(400,),
            is_csv=True,
        ),
        Operation(
            "get",
            "/v1/costs/check",
            "checkCosts",
            "Whether the counters are the sums of the ledger",
            "money",
            answers.CostCheck,
            about="Of all days there are, or of those given: then what counts a month is compared "
            "for whole months only, and what counts for good not at all.",
            parameters=(
                replace(FROM, about="The first day (UTC), with `to`"),
                replace(TO, about="The last day (UTC), with `from`"),
            ),
            problems=(400,),
        ),
    )


def _upkeep() -> tuple[Operation, ...]:
    return (
        Operation(
            "get",
            "/v1/doctor",
            "examine",
            "What is not as it should be",
            "upkeep",
            answers.Examination,
            about="Goes through the whole stack, page by page, and changes nothing. Work under way "
            "is no finding.",
            parameters=(CURSOR,),
            problems=(400,),
        ),
        Operation(
            "post",
            "/v1/doctor",
            "mend",
            "Mend what a page of that finds",
            "upkeep",
            answers.Examination,
            about="As the sweep does, so that nothing can be paid for twice. Without `mayPost` "
            "nothing is set going that was not sent to xAI yet.",
            body=Body(("Treatment",), "Which page, and how", required=False),
            problems=(400,),
        ),
    )


def _compatibility() -> tuple[Operation, ...]:
    return (
        Operation(
            "post",
            f"{compatible.PATH}/generate",
            "generateVideo",
            "Make a clip, as clients of the existing system ask for it",
            "compatibility",
            answers.CompatibleAnswer,
            about="Needs a token with the scope `submit`. Waits for the clip, for at most "
            f"{compatible.WAIT_SECONDS} seconds; "
            "then answers 202: ask at `Location` how it goes on. Without an Idempotency-Key an "
            "identical request finds the first render, even a failed one.",
            also=(202,),
            parameters=(KEY,),
            body=Body(("ClipRequest",), "What the clip is to be"),
            problems=(400, 409),
            links=(Link("getGeneratedVideo", "renderId", "/data/renderId"),),
            security="token",
        ),
        Operation(
            "get",
            f"{compatible.PATH}/{{renderId}}",
            "getGeneratedVideo",
            "What became of it",
            "compatibility",
            answers.CompatibleAnswer,
            about="Needs a token with the scope `read`, or `submit` for renders of its own.",
            also=(202,),
            parameters=(RENDER_ID,),
            problems=(400, 404),
            security="token",
        ),
    )


def _about() -> tuple[Operation, ...]:
    return (
        Operation(
            "get",
            "/v1/openapi.json",
            "getDocument",
            "This document",
            "about",
            answers.ApiDocument,
            problems=(400,),
        ),
        Operation(
            "get",
            METADATA_PATH,
            "getProtectedResource",
            "Where and how tokens are taken by /mcp",
            "about",
            answers.ProtectedResource,
            about="Needs no credentials.",
            security="open",
        ),
        Operation(
            "get",
            "/health",
            "getHealth",
            "Whether the API answers",
            "about",
            answers.Health,
            about="Needs no credentials, and says nothing about what is behind it.",
            security="open",
        ),
    )
