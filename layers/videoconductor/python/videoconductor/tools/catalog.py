"""The tools themselves: names, words, schemas, hints, and what each asks of a desk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from videoconductor import answers, intake
from videoconductor.clip import Noun
from videoconductor.conductor import same_request_key
from videoconductor.models import Model, ModelCatalog
from videoconductor.quality import QualityModes
from videoconductor.tokens import Scope
from videoconductor.tools import wording
from videoconductor.tools.arguments import (
    FilmAsked,
    FilmCreate,
    FilmManifest,
    VideoCreate,
    VideoList,
    VideoPlan,
    VideoRemaster,
    VideoStatus,
)
from videoconductor.tools.desk import Desk, Document

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/"
WORDS = {
    "clip": "Ids of the script's clips to make; all if not given",
    "remaster": "Makes them again at 720p",
    "edit": "Edits the clip's own video instead of making it anew from its prompt",
    "prompt": "What the clip shows, if it is to be other words",
    "duration": "Seconds, if it is to be another length",
    "qualityMode": "The quality mode, if it is to be another one than remasters are made in",
    "sourceVideoUrl": "The video every clip is edited from; `manifest` for each its own",
    "force": "Makes, and pays for, clips again that are there already",
    "maxCostUsd": "Refuses the call if its estimate is more US dollars than this",
    "quoteId": "A quote's id: agrees to what was quoted for this very script, and to no more. Only "
    "for what a person saw the price of and said yes to",
    "callbackUrl": "An https url on a public host that is told, signed, how it ends",
}


@dataclass(frozen=True)
class Answer:
    """What a call came to: words for people, the price first, and the same as a document."""

    words: Sequence[str]
    document: Document


@dataclass(frozen=True)
class Tool:
    """One tool. `scope` is what it needs of a service token; the hints are MCP's.

    `prices` says that it spends: its description then has what everything costs.
    """

    name: str
    title: str
    about: str
    scope: Scope
    takes: type[Noun]
    gives: type[BaseModel]
    asks: Callable[[Desk, Any], Answer]
    is_open_world: bool = False
    prices: bool = False

    @property
    def is_read_only(self) -> bool:
        """Whether it changes nothing."""
        return self.scope == "read"

    def call(self, desk: Desk, arguments: Mapping[str, Any]) -> Answer:
        """The answer to a call. Raises InvalidRequest with every problem, and what a desk does."""
        return self.asks(desk, intake.given(self.takes, arguments))


@dataclass(frozen=True)
class Offer:
    """A tool as it is shown to clients."""

    tool: Tool
    description: str
    input_schema: Schema
    output_schema: Schema


@dataclass(frozen=True)
class Catalog:
    """All tools, in the order they are shown."""

    offers: tuple[Offer, ...]
    instructions: str
    by_name: Mapping[str, Offer] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {offer.tool.name: offer for offer in self.offers})


def catalog(modes: QualityModes, models: ModelCatalog) -> Catalog:
    """The tools with the modes and prices of this stack."""
    from videoconductor.openapi.schemas import schemas  # brings the whole of scripts with it

    found = schemas([model for tool in TOOLS for model in (tool.takes, tool.gives)], modes, models)
    costs = prices(modes, models)
    return Catalog(
        tuple(
            Offer(
                tool,
                f"{tool.about}\n\n{costs}" if tool.prices else tool.about,
                _input(tool, found),
                _self_contained(found[tool.gives.__name__], found),
            )
            for tool in TOOLS
        ),
        INSTRUCTIONS,
    )


def prices(modes: QualityModes, models: ModelCatalog) -> str:
    """What a second of each quality mode costs, in words."""
    rows = []
    for name, mode in modes.modes.items():
        model = models.models[mode.model]
        price = model.prices.per_second.get(mode.resolution)
        second = "no price known" if price is None else wording.dollars(float(price))
        default = ", the default" if name == modes.defaults.quality_mode else ""
        image = ", needs a first frame" if mode.requires_image else ""
        rows.append(f"- {name}{default}: {second} at {mode.resolution}{image}; {mode.about}")
    still = _still_price(models.models[modes.defaults.image_model])
    days = ", ".join(sorted({row.as_of for row in models.models.values()}))
    return "\n".join(
        [
            f"Prices per second of video, by qualityMode (as of {days}):",
            *rows,
            f"A first frame made from firstFramePrompt costs {still} more, an image or a clip that "
            "is handed in a little. video-plan says the exact price and spends nothing; maxCostUsd "
            "refuses what would cost more, before anything is spent.",
        ]
    )


def _still_price(model: Model) -> str:
    found = model.prices.per_image
    if not found:
        return "nobody knows how much"
    return wording.dollars(float(found.get("default") or max(found.values())))


# ── What the tools do ────────────────────────────────────────────────────────────────────────────


def _create(desk: Desk, asked: VideoCreate) -> Answer:
    request = asked.request
    key = asked.idempotency_key or same_request_key(request)
    document = desk.create(request, key, asked.wait)
    return Answer(wording.render(document), document)


def _remaster(desk: Desk, asked: VideoRemaster) -> Answer:
    unlimited = asked.wanted.model_copy(update={"max_cost_usd": None})
    key = asked.idempotency_key or _same(asked.render_id, unlimited)
    document = desk.remaster(asked.render_id, asked.wanted, key, asked.wait)
    return Answer(wording.render(document), document)


def _plan(desk: Desk, asked: VideoPlan) -> Answer:
    if asked.clip_request is not None:
        document = desk.plan(asked.clip_request)
    else:
        document = desk.plan_film(_text(asked.script or {}), asked.order)
    return Answer(wording.plan(document), document)


def _status(desk: Desk, asked: VideoStatus) -> Answer:
    document = desk.render(asked.render_id, asked.wait)
    return Answer(wording.standing(document), document)


def _list(desk: Desk, asked: VideoList) -> Answer:
    document = desk.renders(asked)
    return Answer(wording.page(document), document)


def _film_create(desk: Desk, asked: FilmCreate) -> Answer:
    text, order = _text(asked.script), asked.order
    unlimited = order.model_copy(update={"max_cost_usd": None, "quote_id": None})
    document = desk.create_film(text, order, asked.idempotency_key or _same(text, unlimited))
    return Answer(wording.film_accepted(document), document)


def _film_status(desk: Desk, asked: FilmAsked) -> Answer:
    document = desk.film(asked)
    return Answer(wording.film(document), document)


def _manifest(desk: Desk, asked: FilmManifest) -> Answer:
    document = desk.manifest(asked)
    return Answer(wording.manifest(document), document)


def _text(script: Mapping[str, Any]) -> str:
    """A script as text: the same for the same script, however a client orders its keys."""
    return json.dumps(script, ensure_ascii=False, sort_keys=True)


def _same(name: str, asked: Noun) -> str:
    """The Idempotency-Key of a call that came without one: the same for the same call."""
    given = json.dumps([asked.model_dump(mode="json"), name], sort_keys=True)
    return f"same-{hashlib.sha256(given.encode()).hexdigest()}"


# ── Schemas ──────────────────────────────────────────────────────────────────────────────────────


def _input(tool: Tool, found: Mapping[str, Schema]) -> Schema:
    """The schema of a tool's arguments, with all there is to say about what it has from others."""
    names = [tool.takes.__name__, *(base.__name__ for base in tool.takes.__mro__[1:])]
    parts = [found[name]["properties"] for name in names if name in found]
    made = {**found[tool.takes.__name__], "properties": {}}
    for name, own in parts[0].items():
        told = [part[name] for part in parts[1:] if name in part]
        words = {"description": WORDS[name]} if name in WORDS else {}
        made["properties"][name] = {**own, **words, **(told[0] if told else {})}
    if tool.takes is FilmCreate:
        script = made["properties"]["script"]
        made["properties"]["script"] = {"$ref": f"{REFERENCE}FilmRequest", **_only_words(script)}
    return _self_contained(_without_null(made), {n: _without_null(s) for n, s in found.items()})


def _without_null(schema: Any) -> Any:
    """A schema that speaks of values and not of null, which is as good as leaving a field out.

    Not every client that maps schemas into a dialect of its own knows a type beside null.
    """
    if isinstance(schema, list):
        return [_without_null(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _without_null(part) for name, part in schema.items()}
    if isinstance(made.get("type"), list):
        [made["type"]] = [name for name in made["type"] if name != "null"]
    if isinstance(made.get("enum"), list):
        made["enum"] = [value for value in made["enum"] if value is not None]
    if isinstance(made.get("anyOf"), list):
        others = [part for part in made.pop("anyOf") if part != {"type": "null"}]
        made |= others[0] if len(others) == 1 else {"anyOf": others}
    return made


def _only_words(schema: Schema) -> Schema:
    return {"description": schema["description"]}


def _self_contained(schema: Schema, found: Mapping[str, Schema]) -> Schema:
    """A schema that needs no other document: what it refers to is in its `$defs`."""
    parts: dict[str, Schema] = {}
    todo = _referred(schema)
    while todo:
        part = todo.pop()
        if part not in parts:
            parts[part] = found[part]
            todo |= _referred(found[part])
    whole = {**schema, "$defs": dict(sorted(parts.items()))} if parts else schema
    made: Schema = json.loads(json.dumps(whole).replace(REFERENCE, "#/$defs/"))
    return made


def _referred(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        own = schema.get("$ref")
        below = set().union(*map(_referred, schema.values()))
        return below | {own.removeprefix(REFERENCE)} if isinstance(own, str) else below
    return set().union(*map(_referred, schema)) if isinstance(schema, list) else set()


# ── The tools ────────────────────────────────────────────────────────────────────────────────────

REPEATS = (
    "The same call again, under whatever JSON-RPC id, finds the first render and pays nothing; "
    "a new idempotencyKey asks for another."
)
INSTRUCTIONS = (
    "Makes videos with xAI Grok Imagine and keeps every clip. What spends says its price first: "
    "ask video-plan before anything large, and give maxCostUsd. A clip takes about a minute: "
    "ring-video-create answers at once with a renderId, then ask video-status with wait 20 until "
    "it is finalized. Whenever an answer is lost, send the same call again: it finds what the "
    "first one started. A render that is submit_unknown or stalled may have been paid for: say so "
    "to a person instead of asking for another. What a cap or a stop of all spending refuses "
    "(BudgetExceeded, SpendingStopped, Unpriced, a problem of status 402 with `budget`) no retry "
    "mends: tell your person what the answer says, and wait for their word. A film that is refused "
    "with status 402 and a `quote` is dear: tell your person the price, ask whether they agree, "
    "and hand the quoteId in, or a maxCostUsd, only after their yes. Never agree by yourself."
)
TOOLS: tuple[Tool, ...] = (
    Tool(
        "ring-video-create",
        "Create a video",
        "Asks for one video clip from a prompt, a first frame, references or a source clip, and "
        "pays for it. Answers at once, or after `wait` seconds, with the price first and a "
        f"renderId for video-status. {REPEATS}",
        "submit",
        VideoCreate,
        answers.RenderDetail,
        _create,
        is_open_world=True,
        prices=True,
    ),
    Tool(
        "video-plan",
        "Price a video or a film",
        "Says what a clip request or a whole script would become and what it would cost at most, "
        "clip by clip. Writes nothing, spends nothing.",
        "read",
        VideoPlan,
        answers.Plan,
        _plan,
        prices=True,
    ),
    Tool(
        "video-status",
        "How a video stands",
        "How far a render is, what it cost so far, what is reserved for it and its cap; its clip's "
        "url once it is finalized, and what can be done when it came to nothing. With `wait`, "
        "answers when it comes to rest or the seconds are over.",
        "read",
        VideoStatus,
        answers.RenderDetail,
        _status,
    ),
    Tool(
        "video-list",
        "List videos",
        "Renders in pages, newest first, by status, film, quality mode and time.",
        "read",
        VideoList,
        answers.RenderPage,
        _list,
    ),
    Tool(
        "film-create",
        "Make a film of a script",
        "Has the clips of a script made and pays for those that are not there yet. Answers at "
        "once with the price first; film-status says how it goes on. The same call again, under "
        "whatever JSON-RPC id, finds the first run and pays nothing; `force` with a new "
        "idempotencyKey makes clips again.",
        "submit",
        FilmCreate,
        answers.AcceptedFilm,
        _film_create,
        is_open_world=True,
        prices=True,
    ),
    Tool(
        "film-status",
        "How a film stands",
        "How a run of a film stands, clip by clip, what it cost so far, what is reserved and its "
        "cap. With `wait`, answers when the run is over or the seconds are.",
        "read",
        FilmAsked,
        answers.FilmDetail,
        _film_status,
    ),
    Tool(
        "video-remaster",
        "Remaster a video at 720p",
        "Makes a finished clip again at 720p, and pays for it; with `edit`, from its video instead "
        f"of its prompt. Answers as ring-video-create does. {REPEATS}",
        "submit",
        VideoRemaster,
        answers.RenderDetail,
        _remaster,
        is_open_world=True,
        prices=True,
    ),
    Tool(
        "film-manifest",
        "A film's clips",
        "The finished clips of a film, in pages, and on the last one its runs and what is missing. "
        "With `presign`, each with urls that open its files for a while.",
        "read",
        FilmManifest,
        answers.Manifest,
        _manifest,
    ),
)
