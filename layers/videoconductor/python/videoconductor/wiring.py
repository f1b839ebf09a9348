"""Puts the parts together: settings from the environment, and clients built at first use."""

from __future__ import annotations

import os
import random
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from videoconductor import inputs
from videoconductor.clip import MAX_USD, SETTLED, Callback, FilmClip, FilmRun, Render
from videoconductor.errors import (
    ProviderUnavailable,
    TokensUnavailable,
    Unidentified,
    WebhookKeyUnavailable,
)

# What a function builds it imports in the constructor below: each loads its own parts alone.
if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

    from videoconductor import tokens
    from videoconductor.asking import Reception
    from videoconductor.books import Books
    from videoconductor.conductor import Conductor
    from videoconductor.director import Director
    from videoconductor.download import Downloads
    from videoconductor.drift import Watch
    from videoconductor.events import Events
    from videoconductor.examining import Doctor
    from videoconductor.library import Library
    from videoconductor.machine import Machine
    from videoconductor.manifest import Manifest
    from videoconductor.models import ModelCatalog
    from videoconductor.planning import PlanDefaults
    from videoconductor.providers import Job, Provider
    from videoconductor.quality import QualityModes
    from videoconductor.receivers import Receivers
    from videoconductor.recovering import Recovery
    from videoconductor.slots import Limit
    from videoconductor.spending import Standings
    from videoconductor.sweeping import Sweeper
    from videoconductor.tools import Catalog
    from videoconductor.treasurer import Treasurer
    from videoconductor.turns import Turns
    from videoconductor.webhook_queue import WebhookQueue
    from videoconductor.workflow import Pace, Painter

# How long a key read from Secrets Manager is good for; a refused one is read anew at once.
KEY_SECONDS = 60
# And the service tokens. API Gateway remembers for 45 s what the authorizer said: a revocation
# takes both together, a minute.
TOKENS_SECONDS = 15
# Before a token is refused, the secret is read once more if that was longer ago than this: the
# token may have been made since. What callers make up costs one read a second, not one each.
NEW_TOKEN_SECONDS = 1
CLIPS_A_SECOND = 1000  # that a function looks up at least
# What a manifest opens beside clips: an entry that was taken in can name any key.
OPENED = ("generated/images/", "generated/thumbnails/")
# A render may take six hours from its POST, and what xAI delivers may come later than its word.
WITNESS_SECONDS = 12 * 3600
QUOTE_ABOVE_USD = 5  # what may be spent on a film without a quote or a limit
MAX_SIGNED_URL = 8192  # characters: a role's session token is part of a presigned url


class Settings(BaseModel):
    """Every environment variable there is, under its own name."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    table_name: str = Field(default="", alias="TABLE_NAME")
    bucket_name: str = Field(default="", alias="BUCKET_NAME")
    event_bus_name: str = Field(default="", alias="EVENT_BUS_NAME")
    state_machine_arn: str = Field(default="", alias="STATE_MACHINE_ARN")
    film_machine_arn: str = Field(default="", alias="FILM_STATE_MACHINE_ARN")
    presets_dir: Path | None = Field(default=None, alias="PRESETS_DIR")
    api_key: str = Field(default="", alias="XAI_API_KEY", repr=False)
    api_key_secret: str = Field(default="", alias="XAI_API_KEY_SECRET")
    service_tokens_secret: str = Field(default="", alias="SERVICE_TOKENS_SECRET")
    api_base_url: str = Field(default="https://api.x.ai/v1", alias="XAI_API_BASE_URL")
    source_origins: tuple[str, ...] = Field(
        default=("https://vidgen.x.ai", "https://files-cdn.x.ai"), alias="VIDEO_SOURCE_ORIGINS"
    )
    input_origins: tuple[str, ...] = Field(default=(), alias="VIDEO_INPUT_ORIGINS")
    cors_origins: tuple[str, ...] = Field(default=(), alias="CORS_ORIGINS")
    witness: bool = Field(default=False, alias="WITNESS")
    poll_timeout_ms: int = Field(
        default=900_000, ge=1000, le=21_600_000, alias="VIDEO_GEN_POLL_TIMEOUT_MS"
    )
    poll_interval_ms: int = Field(
        default=5000, ge=100, le=600_000, alias="VIDEO_GEN_POLL_INTERVAL_MS"
    )
    poll_linger_seconds: int = Field(default=90, ge=0, le=90, alias="POLL_LINGER_SECONDS")
    storage_prefix: str = Field(
        default="generated/videos",
        pattern=r"^generated/[A-Za-z0-9._/-]*[A-Za-z0-9._-]\z",
        alias="VIDEO_GEN_STORAGE_PREFIX",
    )
    requests_per_second: float | None = Field(
        default=None, ge=0, le=10_000, alias="REQUESTS_PER_SECOND"
    )
    default_duration: int = Field(default=6, ge=1, le=15, alias="XAI_VIDEO_DEFAULT_DURATION")
    aspect_ratio: str = Field(default="16:9", alias="XAI_VIDEO_ASPECT_RATIO")
    lease_seconds: int = Field(default=150, ge=1, alias="START_LEASE_SECONDS")
    copy_seconds: float = Field(default=120, gt=0, alias="COPY_SECONDS")
    max_clip_bytes: int = Field(default=2 * 1024**3, gt=0, alias="MAX_CLIP_BYTES")
    url_seconds: int = Field(default=3600, ge=60, le=43_200, alias="CLIP_URL_SECONDS")
    quote_above_usd: Decimal = Field(
        default=QUOTE_ABOVE_USD,
        validate_default=True,
        ge=0,
        le=MAX_USD,
        alias="QUOTE_ABOVE_USD",
    )
    webhook_queue_url: str = Field(default="", alias="WEBHOOK_QUEUE_URL")
    dead_letters_url: str = Field(default="", alias="DEAD_LETTERS_URL")
    webhook_dead_letters_url: str = Field(default="", alias="WEBHOOK_DEAD_LETTERS_URL")
    webhook_key_secret: str = Field(default="", alias="WEBHOOK_KEY_SECRET")
    callback_loopback: bool = Field(default=False, alias="CALLBACK_LOOPBACK")
    local_caller: str = Field(default="", alias="VIDEOCONDUCTOR_LOCAL_CALLER")
    price_drift_percent: Decimal = Field(
        default=Decimal(10), ge=0, le=1000, alias="PRICE_DRIFT_PERCENT"
    )
    stop_on_drift: bool = Field(default=False, alias="STOP_ON_DRIFT")

    @field_validator("source_origins", "input_origins", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(inputs.origin(part.strip()) for part in value.split(",") if part.strip())

    @field_validator("api_base_url")
    @classmethod
    def _is_http(cls, value: str) -> str:
        inputs.origin(value)
        return value


@cache
def settings() -> Settings:
    """The settings of this process. Raises pydantic's ValidationError for a malformed one."""
    return Settings.model_validate({name: value for name, value in os.environ.items() if value})


@cache
def quality_modes() -> QualityModes:
    """The quality modes of `video-presets.json`."""
    from videoconductor.quality import QualityModes

    return QualityModes.from_json(_preset("video-presets.json"))


@cache
def models() -> ModelCatalog:
    """The models of `models.json`."""
    from videoconductor.models import ModelCatalog

    return ModelCatalog.from_json(_preset("models.json"))


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document of the HTTP API. It reads the script package, as no other door does."""
    from videoconductor import openapi

    return openapi.document(quality_modes(), models())


def plan_defaults() -> PlanDefaults:
    """What a request gets when it does not say."""
    from videoconductor.planning import PlanDefaults

    return PlanDefaults(
        duration=settings().default_duration,
        aspect_ratio=settings().aspect_ratio,
        trusted_origins=settings().input_origins,
        calls_back_here=settings().callback_loopback,
        today=now().date(),
    )


@cache
def provider(name: str) -> Provider:
    """The provider of that name."""
    return PROVIDERS[name]()


def _xai() -> Provider:
    from videoconductor.providers.xai import Xai

    return Xai(settings().api_base_url, api_key)


# A new provider is one file in providers/, what builds it, and one row here.
PROVIDERS = {"xai": _xai}


def providers() -> list[Provider]:
    """All of them."""
    return [provider(name) for name in PROVIDERS]


def attach_job(name: str, request_id: str) -> Job:
    """The handle of a provider's job, from its request id."""
    return provider(name).attach(request_id)


def api_key(renew: bool = False) -> str:
    """The provider's key: from Secrets Manager, or from the environment on a person's machine.

    `renew` reads past the cache. Raises ProviderUnavailable when the key cannot be read.
    """
    if settings().api_key:
        return settings().api_key
    from botocore.exceptions import BotoCoreError, ClientError

    if renew:
        _held_secrets.cache_clear()
    try:
        return _secret(settings().api_key_secret, KEY_SECONDS).strip()
    except (BotoCoreError, ClientError):
        # Its words may quote the secret's name and the caller's role: neither helps a user.
        raise ProviderUnavailable("the provider's key could not be read") from None


def identify(authorization: str | None) -> tokens.Identity:
    """Who the value of an Authorization header says is calling; read TOKENS_SECONDS ago at most.

    Raises Unidentified, and TokensUnavailable when the secret cannot be read.
    """
    from videoconductor import tokens

    try:
        return tokens.identify(authorization, _tokens(TOKENS_SECONDS), now())
    except Unidentified:
        return tokens.identify(authorization, _tokens(NEW_TOKEN_SECONDS), now())


def _tokens(seconds: int) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return _secret(settings().service_tokens_secret, seconds)
    except (BotoCoreError, ClientError):
        raise TokensUnavailable("the secret of service tokens could not be read") from None


def _secret(name: str, seconds: int) -> str:
    """The current text of a secret, read `seconds` ago at most."""
    held, asked_at = _held_secrets(), time.monotonic()
    if name not in held or asked_at - held[name][0] >= seconds:
        found = secrets().get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        is_text = "SecretString" in found
        text = found["SecretString"] if is_text else found["SecretBinary"].decode()
        held[name] = (asked_at, text)
    return held[name][1]


@cache
def _held_secrets() -> dict[str, tuple[float, str]]:
    """By name: when it was asked for, and its text."""
    return {}


@cache
def secrets() -> SecretsManagerClient:
    """Where keys and tokens are kept."""
    client: SecretsManagerClient = _client("secretsmanager")
    return client


@cache
def manifest() -> Manifest:
    """The table of renders and entries."""
    from videoconductor.manifest import Manifest

    return Manifest(settings().table_name, _client("dynamodb"), now)


@cache
def books() -> Books:
    """The counters and the ledger."""
    from videoconductor.books import Books

    return Books(settings().table_name, _client("dynamodb"))


@cache
def turns() -> Turns:
    """The lines before the models. Only what POSTs has need of it."""
    from videoconductor.turns import Turns

    return Turns(settings().table_name, _client("dynamodb"), limit, now, pause, jitter())


def limit(model: str) -> Limit | None:
    """What a model takes, by REQUESTS_PER_SECOND if that is set, else by `models.json`.

    None where nobody knows, or where it is not to be held to.
    """
    from videoconductor.slots import Limit

    row = models().models.get(model)
    known = row.rate_limit if row else None
    per_second = settings().requests_per_second
    if per_second is None:
        per_second = known.per_second if known else 0
    return Limit(per_second, known.burst if known else 1) if per_second else None


@cache
def treasurer() -> Treasurer:
    """What may be asked about money. Only the function Budget reads its modules."""
    from videoconductor.orchestration import PriceList
    from videoconductor.treasurer import Treasurer

    return Treasurer(
        manifest=manifest(),
        books=books(),
        prices=PriceList.from_json(_preset("aws-prices.json")),
        poll_interval=settings().poll_interval_ms / 1000,
        poll_linger=settings().poll_linger_seconds,
        clock=now,
        pause=pause,
    )


@cache
def library() -> Library:
    """The bucket of clips."""
    from videoconductor.library import Library

    chosen = settings()
    return Library(chosen.bucket_name, _s3(), chosen.storage_prefix, chosen.max_clip_bytes, s3_once)


@cache
def s3_once() -> S3Client:
    """The library's second client: see `_once`."""
    client: S3Client = _once(_s3())
    return client


@cache
def events() -> Events:
    """The event bus."""
    from videoconductor.events import Events

    return Events(settings().event_bus_name, _client("events"))


@cache
def downloads() -> Downloads:
    """The way to finished clips."""
    from videoconductor.download import Bounds, Downloads

    bounds = Bounds(max_bytes=settings().max_clip_bytes, seconds=settings().copy_seconds)
    return Downloads(settings().source_origins, bounds)


@cache
def webhook_queue() -> WebhookQueue:
    """The queue of webhooks."""
    from videoconductor.webhook_queue import WebhookQueue

    return WebhookQueue(settings().webhook_queue_url, _client("sqs"))


@cache
def receivers() -> Receivers:
    """The way to those who want to be called back."""
    from videoconductor.receivers import Receivers

    return Receivers(loopback=settings().callback_loopback)


def webhook_keys() -> tuple[str, ...]:
    """The key that webhooks are signed with and, for a day after it was changed, the one before.

    Read KEY_SECONDS ago at most. Raises WebhookKeyUnavailable.
    """
    return _webhook_keys(int(time.monotonic() / KEY_SECONDS))


@lru_cache(maxsize=1)
def _webhook_keys(_period: int) -> tuple[str, ...]:
    from botocore.exceptions import BotoCoreError, ClientError

    from videoconductor import webhooks

    client, name = secrets(), settings().webhook_key_secret
    try:
        newest = client.get_secret_value(SecretId=name)
        keys = [newest["SecretString"]]
        if now() - newest["CreatedDate"] < webhooks.ROTATION:
            with suppress(client.exceptions.ResourceNotFoundException):  # it is the first one
                before = client.get_secret_value(SecretId=name, VersionStage="AWSPREVIOUS")
                keys.append(before["SecretString"])
    except (BotoCoreError, ClientError):
        raise WebhookKeyUnavailable("the key of webhooks could not be read") from None
    return tuple(keys)


def redelivered(name: str, run_id: str | None) -> FilmRun:
    """A run of a film, whose callbackUrl is told of its end once more.

    Raises FilmNotFound, NotAllowed, QueueUnavailable.
    """
    from videoconductor import webhooks

    run = manifest().run(name, run_id)
    webhooks.redeliver(run, webhook_queue())
    return run


def callback(record: Render | FilmRun) -> Callback | None:
    """What became of telling the callbackUrl of a render or a run, if it has one."""
    return None if record.callback_url is None else manifest().callback(record)


def is_readable(url: str) -> bool:
    """Whether the provider can fetch from a url: a public one, or on an origin trusted by name."""
    try:
        inputs.public_url(url, settings().input_origins, max_characters=MAX_SIGNED_URL)
    except ValueError:
        return False
    return True


def witness(key: str) -> str | None:
    """The url under which the provider is to deliver to a key; None where it is not to, or cannot.

    It dies with the credentials of the function's role, if that comes before WITNESS_SECONDS.
    """
    if not settings().witness:
        return None
    url = library().upload_url(key, WITNESS_SECONDS)
    if is_readable(url):
        return url
    _say_that_nothing_can_be_delivered()
    return None


@cache
def _say_that_nothing_can_be_delivered() -> None:
    """Once a process: it is so for every POST of this stack."""
    from videoconductor.task import logger

    logger.warning("WITNESS has no effect: the provider cannot reach this stack's bucket")


def painter() -> Painter:
    """What makes posters and thumbnails; only the function Thumbnail has what it takes."""
    from videoconductor.pictures.painting import paint

    return paint


def pace() -> Pace:
    """The times of a render."""
    from videoconductor.workflow import Pace

    return Pace(
        poll_interval=settings().poll_interval_ms / 1000,
        poll_timeout=settings().poll_timeout_ms / 1000,
        poll_linger=settings().poll_linger_seconds,
        lease=settings().lease_seconds,
    )


def watch() -> Watch:
    """What drift is measured by, and what follows from it."""
    from videoconductor.drift import Watch

    # What counts metrics is of the functions that work on renders, not of every door.
    from videoconductor.task import count

    return Watch(
        models=models(),
        percent=settings().price_drift_percent,
        stops=settings().stop_on_drift,
        count=count,
    )


@cache
def machine() -> Machine:
    """The state machines."""
    from videoconductor.machine import Machine

    arns = settings().state_machine_arn, settings().film_machine_arn
    return Machine(arns[0], _client("stepfunctions"), arns[1])


@cache
def director() -> Director:
    """The commands of films. Only the door that takes scripts reads the script package."""
    from videoconductor.director import Director

    return Director(
        conductor=conductor(),
        library=library(),
        manifest=manifest(),
        books=books(),
        start=machine().start_film,
        is_running=machine().is_film_running,
        new_id=lambda: uuid.uuid4().hex,
        clock=now,
        quote_above=settings().quote_above_usd,
    )


@cache
def conductor() -> Conductor:
    """The commands of the doors."""
    from videoconductor.conductor import Conductor

    return Conductor(
        modes=quality_modes(),
        models=models(),
        defaults=plan_defaults(),
        manifest=manifest(),
        library=library,
        machine=machine(),
        announce=_announce,
        attach_job=attach_job,
        poll_timeout=settings().poll_timeout_ms / 1000,
        new_id=lambda: uuid.uuid4().hex,
        clock=now,
    )


def _announce(render: Render) -> Render:
    from videoconductor.workflow import announce

    return announce(render, manifest(), events(), watch(), now)


@cache
def catalog() -> Catalog:
    """The tools for models. Only the function mcp and the command of that name have need of it."""
    from videoconductor.tools import catalog

    return catalog(quality_modes(), models())


def reception() -> Reception:
    """What doors without an answer need."""
    from videoconductor.asking import Reception

    return Reception(conductor=conductor(), director=director, events=events())


def sweeper() -> Sweeper:
    """What helps renders and runs that lost their executions."""
    from videoconductor.sweeping import Sweeper

    return Sweeper(
        manifest=manifest(),
        machine=machine(),
        library=library(),
        events=events(),
        watch=watch(),
        recovery=recovery(),
        clock=now,
    )


def doctor() -> Doctor:
    """What goes through the stack, and mends it."""
    from videoconductor.doctoring import Places
    from videoconductor.examining import Doctor
    from videoconductor.letters import DeadLetters

    here = settings()
    queues = here.dead_letters_url, here.webhook_dead_letters_url
    return Doctor(
        manifest=manifest(),
        machine=machine(),
        library=library(),
        books=books(),
        treasurer=treasurer(),
        sweeper=sweeper(),
        recovery=recovery(),
        letters=DeadLetters(*queues, _client("sqs")),
        places=Places(here.table_name, here.bucket_name, here.storage_prefix.strip("/")),
        clock=now,
        pause=pause,
    )


def recovery() -> Recovery:
    """What takes up that which a provider has delivered."""
    from videoconductor.recovering import Recovery

    return Recovery(manifest=manifest(), library=library(), machine=machine(), clock=now)


def presigned_url(key: str) -> str:
    """A url for reading a clip, good for CLIP_URL_SECONDS."""
    return library().presigned_url(key, settings().url_seconds)


def opened(uri: str | None) -> str | None:
    """A url for reading what an uri of the library names; None for anything else."""
    key = library().key_of(uri)
    places = (f"{settings().storage_prefix}/", *OPENED)
    return presigned_url(key) if key is not None and key.startswith(places) else None


def film(
    name: str, run_id: str | None, seconds: float = 0
) -> tuple[FilmRun, Sequence[FilmClip], dict[str, Render]]:
    """A run of a film as it stands, its clips and their renders by id.

    As soon as it is over, else after so many seconds. Raises FilmNotFound.
    """
    from videoconductor import filming, waiting

    run = manifest().run(name, run_id)
    # Thousands of clips take their time to be looked up: the answer is not to come too late.
    seconds = min(seconds, waiting.MOST_SECONDS - run.total / CLIPS_A_SECOND)
    if seconds > 0 and run.status == "running":
        order = run.order
        run = waiting.watched(
            lambda: manifest().run_at(name, order),
            lambda seen: seen.status != "running",
            seconds,
            now,
            pause,
        )
    clips = filming.clips_of(run, library())
    renders = manifest().read_many([clip.render_id for clip in clips])
    return filming.summed_up(run, clips, renders), clips, renders


def standings(runs: Iterable[FilmRun] = (), film: str | None = None) -> Standings:
    """The caps in force, and the counters of runs that have a limit, and of a film."""
    from videoconductor import spending

    wanted = spending.wanted(runs, film)
    tallies = books().standing(wanted) if wanted else {}
    return spending.Standings(manifest().caps(), tallies)


def awaited(render_id: str, seconds: float) -> Render:
    """A render as soon as it is at rest, else as it is after so many seconds.

    Raises RenderNotFound.
    """
    from videoconductor import waiting

    def look() -> Render:
        return manifest().read(render_id)

    return waiting.watched(look, lambda seen: seen.status in SETTLED, seconds, now, pause)


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


def pause(seconds: float) -> None:
    """Let time pass."""
    time.sleep(seconds)


def jitter() -> random.Random:
    """Randomness for spreading retries; nothing secret hangs on it."""
    return random.Random()  # noqa: S311


def prepare(*parts: Callable[[], object]) -> None:
    """On Lambda, build these now: while the function is loaded, not within its first request.

    Anywhere else they are built at first use, and nothing of the environment is read at import.
    """
    if "AWS_LAMBDA_INITIALIZATION_TYPE" in os.environ:
        for part in parts:
            part()


def forget() -> None:
    """Build everything anew at the next use: for tests that change the environment."""
    for cached in (
        settings,
        _say_that_nothing_can_be_delivered,
        _session,
        _s3,
        s3_once,
        _held_secrets,
        secrets,
        quality_modes,
        models,
        document,
        provider,
        manifest,
        books,
        turns,
        treasurer,
        library,
        events,
        downloads,
        webhook_queue,
        receivers,
        _webhook_keys,
        machine,
        conductor,
        director,
        catalog,
    ):
        cached.cache_clear()


@cache
def _session() -> Session:
    """One for all clients, with one loader. boto3 adds nothing but its import."""
    from botocore.session import get_session

    return get_session()


def _once(s3: S3Client) -> Any:
    """The same client, but one that tries nothing twice, for bodies that cannot be read again.

    Over TLS it ends a body with a checksum, which S3 compares. Without TLS, as on a person's
    machine, it would have to read the body first to sign it.
    """
    from botocore.config import Config

    retries: Any = {"mode": "standard", "total_max_attempts": 1}
    options: dict[str, Any] = {"retries": retries}
    if s3.meta.endpoint_url.startswith("http:"):
        options["request_checksum_calculation"] = "when_required"
        options["s3"] = {"addressing_style": "virtual", "payload_signing_enabled": False}
    return _session().create_client("s3", config=s3.meta.config.merge(Config(**options)))


@cache
def _s3() -> S3Client:
    client: S3Client = _client("s3")
    return client


def _client(name: str) -> Any:
    from botocore.config import Config

    retries: Any = {"mode": "standard", "total_max_attempts": 3}
    config = Config(
        connect_timeout=2,
        # Between the permit and the record of the job time is short, and DynamoDB is quick.
        read_timeout=20 if name == "s3" else 4,
        retries=retries,
        tcp_keepalive=True,
        # What we send is typed, and AWS refuses what is not well-formed: a look at it before that
        # is a twentieth of a call. But with S3 a key is a part of the path, and an empty one
        # would name the bucket.
        parameter_validation=name == "s3",
        # Given as a whole, or botocore puts it together twice for each call.
        user_agent=_session().user_agent(),
        signature_version="s3v4" if name == "s3" else None,
        # Presigned urls name the bucket's own region: a new bucket redirects from the global host.
        s3={"addressing_style": "virtual"} if name == "s3" else None,
    )
    client: BaseClient = _session().create_client(name, config=config)
    return client


def _preset(name: str) -> str:
    """The text of a preset: from PRESETS_DIR, the layer, or the source tree around this file."""
    folders = (
        [settings().presets_dir]
        if settings().presets_dir
        else [Path("/opt"), *(parent / "presets" for parent in Path(__file__).parents[4:5])]
    )
    for folder in folders:
        if folder is not None and (folder / name).is_file():
            return (folder / name).read_text(encoding="utf-8")
    raise FileNotFoundError(f"{name} is in none of: {', '.join(map(str, folders))}")
