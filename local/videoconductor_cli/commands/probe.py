"""`probe`: whether xAI delivers to a place of ours, for the price of its cheapest clip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from videoconductor_cli import options
from videoconductor_cli.errors import BadInput, NoClip

if TYPE_CHECKING:
    from videoconductor.clip import Incoming
    from videoconductor.wiring import Settings
    from videoconductor_cli.probing import Arrived, Finding

URL_SECONDS = 3600
MAX_BYTES = 256 * 1024 * 1024
MAX_URL = 8192
NO_KEY = "XAI_API_KEY is not set: the probe is a job of your own account, and billed to it"


def probe(
    upload_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A presigned PUT; xAI is to deliver there."),
    ] = None,
    read_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where to look for what came to --upload-url."),
    ] = None,
    bucket: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A stack's bucket; the place is signed with your keys."),
    ] = None,
    base_url: Annotated[
        str | None, typer.Option(metavar="URL", help="xAI's API, or the simulator's.")
    ] = None,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait for the job.")] = 600.0,
    yes: Annotated[bool, typer.Option("--yes", help="Pay for it.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Find out whether xAI delivers what it makes to a place of ours.

    Says what it costs, and with --yes makes one clip of a second with your XAI_API_KEY. Then says
    whether the clip was delivered, whether xAI gives a url beside it, and what was billed.
    """
    import time
    import uuid

    from videoconductor import wiring
    from videoconductor.errors import InvalidRequest
    from videoconductor.providers.xai import Xai
    from videoconductor_cli import probing, showing
    from videoconductor_cli.jobs import surroundings

    given = surroundings.settings()
    if base_url is not None:
        given = _with_base_url(given, base_url)
    if (upload_url is None) == (bucket is None):
        raise BadInput("give either --upload-url or --bucket: where xAI is to deliver")
    if not given.api_key:
        raise BadInput(NO_KEY)
    trace = f"probe-{uuid.uuid4().hex}"
    url, arrived = _place(upload_url, read_url, bucket, trace)
    _check_reach(url, given)
    rules = surroundings.rules(given)
    try:
        plan = probing.cheapest(rules.modes, rules.models, rules.defaults)
    except InvalidRequest as unpriced:
        raise BadInput(str(unpriced)) from unpriced
    amount = f"${plan.estimate.total_usd:.4f}"
    showing.say(
        f"One clip of {probing.SECONDS} s by {plan.model} at {plan.resolution}: {amount} at xAI's "
        f"list prices of {plan.estimate.as_of}, billed whatever comes of it."
    )
    if not yes:
        raise BadInput("nothing was sent: say --yes to pay for it")
    found = probing.probe(
        plan,
        Xai(given.api_base_url, lambda renew: given.api_key),
        url,
        arrived,
        trace,
        probing.Pace(given.poll_interval_ms / 1000, wait, time.monotonic, wiring.pause),
        showing.say,
    )
    if as_json:
        showing.give_json(found.document())
    else:
        for line in _lines(found):
            showing.give(line)
    if found.is_delivered is False:
        raise NoClip("leave the setting WITNESS off: what xAI made was not delivered")


def _with_base_url(given: Settings, base_url: str) -> Settings:
    from videoconductor import inputs

    try:
        inputs.origin(base_url)
    except ValueError as problem:
        raise BadInput(f"--base-url {problem}") from problem
    return given.model_copy(update={"api_base_url": base_url})


def _place(
    upload_url: str | None, read_url: str | None, bucket: str | None, trace: str
) -> tuple[str, Arrived | None]:
    """Where xAI is to deliver, and how to look at what came: None where nobody can."""
    if upload_url is not None:
        return upload_url, None if read_url is None else lambda: _fetched(read_url)
    if read_url is not None:
        raise BadInput("--read-url goes with --upload-url: with --bucket your keys can look")
    import boto3
    from botocore.config import Config

    from videoconductor.library import Library

    # A url that names the bucket's own region: from the general host a new bucket redirects.
    addressed = Config(signature_version="s3v4", s3={"addressing_style": "virtual"})
    s3 = boto3.client("s3", config=addressed)
    library = Library(str(bucket), s3, "generated/videos", MAX_BYTES)
    key = library.witness_key(trace, 1)
    return library.upload_url(key, URL_SECONDS), lambda: library.delivered(key)


@contextmanager
def _fetched(url: str) -> Iterator[Incoming]:
    import httpx

    from videoconductor.client.asking import is_local
    from videoconductor.clip import Incoming
    from videoconductor.errors import NothingDelivered

    try:
        with (
            httpx.Client(trust_env=not is_local(url)) as http,
            http.stream("GET", url, timeout=30) as answer,
        ):
            if answer.status_code != 200:
                raise NothingDelivered(str(answer.status_code))
            yield Incoming(answer.iter_bytes())
    except httpx.HTTPError as problem:
        raise NothingDelivered(type(problem).__name__) from problem


def _check_reach(url: str, given: Settings) -> None:
    """Refuse a place that xAI cannot reach; a simulator reaches this machine."""
    from videoconductor import inputs
    from videoconductor_cli.jobs.surroundings import is_simulated

    try:
        if is_simulated(given):
            inputs.origin(url)
        else:
            inputs.public_url(url, given.input_origins, max_characters=MAX_URL)
    except ValueError as problem:
        raise BadInput(f"xAI cannot deliver there: the url {problem}") from problem


def _lines(found: Finding) -> list[str]:
    arrival = found.arrival
    if arrival is None:
        came = "look for yourself: nobody here can read what came to --upload-url"
    elif arrival.bytes == 0:
        came = "no, nothing came"
    else:
        came = f"{'yes' if arrival.is_clip else 'no clip'}, {arrival.bytes} bytes"
    billed = "not reported" if found.billed_usd is None else f"${found.billed_usd:.4f}"
    return [
        f"job        {found.request_id} by {found.model}",
        f"delivered  {came}",
        f"video.url  {'filled' if found.has_url else 'empty'}",
        f"billed     {billed}, estimated ${found.estimated_usd:.4f}",
    ]
