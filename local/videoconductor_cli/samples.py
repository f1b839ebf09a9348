"""The sample events of `events/`, and what has to be there before a function can be run on one.

The samples speak of one render and one film. A row of NEEDED puts them on record as they are when
such an event arrives, and gives the event with what only the stack knows in the sample's place:
its bucket, the version of an object. A function without a row needs nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from local_stack.clients import clients_of
from local_stack.loopback import body, serving
from videoconductor import tokens, wiring
from videoconductor.clip import Clip, Delivery, FilmClip, FilmRun, Inbox, Render, Status, Turn
from videoconductor.library import Library
from videoconductor.manifest import Manifest

if TYPE_CHECKING:
    from local_stack import Endpoints

FOLDER = "events"
RENDER = "thumbnail"  # the sample that has the render's whole life in it
TURN = "take_up"
RUN = "conclude"
PREFIX = "generated/videos"
LONGEST_JOB = 30.0
_TOKEN = re.compile(r"(?<=Bearer )vc_[\w-]+")


def path(project: Path, function: str) -> Path:
    """The sample event of a function, by the folder of its code."""
    return project / FOLDER / f"{function}.json"


def event(project: Path, function: str) -> Any:
    """The sample event of a function."""
    return json.loads(path(project, function).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Job:
    """A job that the simulator has made: its id, and its clip."""

    request_id: str
    url: str
    content: bytes


class Stage:
    """A running stack with xAI's simulator, on which things are put into their places."""

    def __init__(self, project: Path, endpoints: Endpoints) -> None:
        self._project = project
        self._endpoints = endpoints
        self.client = clients_of(endpoints)
        self.manifest = Manifest(endpoints.table, self.client("dynamodb"), wiring.now)
        self.library = Library(endpoints.bucket, self.client("s3"), PREFIX)
        self._open = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def prepare(self, function: str) -> Any:
        """Have everything there that the function's sample event speaks of; the event."""
        found = self.sample(function)
        if function in NEEDED:
            found = NEEDED[function](self, found)
        return self._let_in(found)

    def sample(self, function: str) -> Any:
        """The sample event of another function."""
        return event(self._project, function)

    def render(self) -> Render:
        """The render of the samples, finished."""
        return Render.model_validate(self.sample(RENDER))

    def keep(self, render: Render) -> None:
        """Put a render on record, whatever stood there."""
        key = {"pk": {"S": f"RENDER#{render.render_id}"}, "sk": {"S": "RENDER"}}
        # Taken away and made anew: a record is never written back to before it spent something.
        self.client("dynamodb").delete_item(TableName=self._endpoints.table, Key=key)
        self.manifest.create(render)

    @property
    def bucket(self) -> str:
        """The library's bucket."""
        return self._endpoints.bucket

    def put(self, key: str, content: bytes) -> str:
        """Put an object into the library, whatever stood there; its version."""
        found = self.client("s3").put_object(Bucket=self.bucket, Key=key, Body=content)
        return str(found["VersionId"])

    def remove(self, key: str) -> None:
        """Have no object under a key."""
        self.client("s3").delete_object(Bucket=self.bucket, Key=key)

    def receiver(self) -> str:
        """A url that takes what is told to it, until the stage is left."""
        return f"http://{self._open.enter_context(serving(_take))}/told"

    def job(self, render: Render) -> Job:
        """Have the simulator make a render's clip."""
        plan, ends = render.plan, self._endpoints
        asked = {"model": plan.model, "prompt": plan.prompt, "duration": 1, "resolution": "480p"}
        keyed = {"Authorization": f"Bearer {ends.simulator_key}"}
        origin = f"{ends.simulator_origin}/v1"
        with httpx.Client(base_url=origin, headers=keyed, trust_env=False) as xai:
            answer = xai.post("/videos/generations", json=asked).raise_for_status().json()
            found: dict[str, Any] = {}
            end = time.monotonic() + LONGEST_JOB
            while found.get("status") != "done" and time.monotonic() < end:
                time.sleep(0.1)
                found = xai.get(f"/videos/{answer['request_id']}").raise_for_status().json()
            url = str(found["video"]["url"])
            return Job(answer["request_id"], url, httpx.get(url, trust_env=False).content)

    def film_run(self, clip: Render) -> FilmRun:
        """The run of the samples with one clip, on record with its list of clips."""
        document, turn = self.sample(RUN), Turn.model_validate(self.sample(TURN))
        moment = (
            datetime.fromisoformat(turn.run_order.partition("#")[0]) if turn.run_order else None
        )
        run = FilmRun(
            run_id=document["runId"],
            film=document["film"],
            caller=clip.caller,
            request_sha256=clip.request_sha256,
            requested_at=moment or clip.created_at,
            total=1,
            due=1,
            items=1,
            estimated_cost_usd=clip.plan.estimate.total_usd,
            items_key=document["itemsKey"],
            clips_key=document["itemsKey"].replace("items.json", "clips.json"),
            request_key=document["itemsKey"].replace("items.json", "request.json"),
        )
        listed = FilmClip(
            clip_id=clip.clip_id,
            quality_mode=clip.plan.quality_mode,
            render_id=clip.render_id,
            operation=clip.plan.operation,
            model=clip.plan.model,
            duration=clip.plan.duration,
            resolution=clip.plan.resolution,
            aspect_ratio=clip.plan.aspect_ratio,
            estimated_cost_usd=clip.plan.estimate.total_usd,
            is_due=True,
        )
        self.put(run.clips_key, json.dumps([listed.model_dump(mode="json")]).encode())
        self.manifest.create_run(run)
        return run

    def _let_in(self, found: Any) -> Any:
        """The event with a service token of this stack where it asks for one."""
        text = json.dumps(found)
        if not _TOKEN.search(text):
            return found
        secret, vault = self._endpoints.tokens_secret, self.client("secretsmanager")
        known = tokens.read(vault.get_secret_value(SecretId=secret)["SecretString"])
        token, kept = tokens.mint("sample", tokens.SCOPES, datetime.now(UTC), None, os.urandom)
        vault.put_secret_value(SecretId=secret, SecretString=known.with_token(kept).text())
        return json.loads(_TOKEN.sub(token, text))


def _take(asked: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    body(asked)
    start("204 No Content", [])
    return []


def _unfinished(stage: Stage, status: Status, **changes: Any) -> Render:
    """The render of the samples at an earlier moment of its life."""
    early = {"clip": None, "pictures": None, "delivery": None, "announced": None, "job": None}
    return stage.render().model_copy(update={**early, "status": status, **changes})


def _of(job: Job, render: Render) -> dict[str, Any]:
    """What a render knows of its job, begun just now."""
    now = datetime.now(UTC)
    [attempt] = render.attempts
    return {
        "job": {"requestId": job.request_id},
        "attempts": (attempt.model_copy(update={"request_id": job.request_id}),),
        "submitted_at": now,
        "deadline": now + timedelta(minutes=15),
    }


def _rendering(stage: Stage, found: Any) -> Any:
    render = stage.render()
    stage.keep(_unfinished(stage, "rendering", **_of(stage.job(render), render)))
    return found


def _rendered(stage: Stage, found: Any) -> Any:
    render = stage.render()
    job = stage.job(render)
    assert render.clip is not None
    stage.remove(render.clip.key)
    delivery = Delivery(url=job.url, seconds=1)
    stage.keep(_unfinished(stage, "rendered", **_of(job, render), delivery=delivery))
    return found


def _finalized(stage: Stage, found: Any) -> Any:
    render = stage.render()
    content = stage.job(render).content
    assert render.clip is not None
    clip: Clip = render.clip.model_copy(
        update={"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    )
    stage.put(clip.key, content)
    stage.keep(render.model_copy(update={"clip": clip, "pictures": None}))
    return found


def _unknown(stage: Stage, found: Any) -> Any:
    stage.keep(_unfinished(stage, "submit_unknown"))
    return found


def _delivered(stage: Stage, found: Any) -> Any:
    render = stage.render()
    [attempt] = render.attempts
    assert render.clip is not None
    stage.remove(render.clip.key)
    lost = {"outcome": "unknown", "request_id": None, "witness": "sent"}
    stage.keep(_unfinished(stage, "submit_unknown", attempts=(attempt.model_copy(update=lost),)))
    created = found["detail"]["object"]
    stage.put(created["key"], stage.job(render).content)
    return {**found, "detail": {**found["detail"], "bucket": {"name": stage.bucket}}}


def _as_it_arrives(stage: Stage, found: Any) -> Any:
    stage.keep(Render.model_validate({**found, "caught": None}))
    return found


def _in_a_run(stage: Stage, found: Any) -> Any:
    stage.film_run(stage.render())
    return _finalized(stage, found)


def _uploaded(stage: Stage, found: Any) -> Any:
    uploaded = found["detail"]["object"]
    asked = {**stage.sample("on_request")["detail"]}
    del asked["idempotencyKey"]
    there = {**uploaded, "version-id": stage.put(uploaded["key"], json.dumps(asked).encode())}
    detail = {**found["detail"], "bucket": {"name": stage.bucket}, "object": there}
    return {**found, "detail": detail}


def _asked_by_file(stage: Stage, found: Any) -> Any:
    key = stage.sample("on_upload")["detail"]["object"]["key"]
    stage.keep(stage.render().model_copy(update={"inbox": Inbox(key=key)}))
    return found


def _with_a_receiver(stage: Stage, found: Any) -> Any:
    stage.keep(stage.render().model_copy(update={"callback_url": stage.receiver()}))
    return found


NEEDED: dict[str, Callable[[Stage, Any], Any]] = {
    "browse": _finalized,
    "call_back": _with_a_receiver,
    "conclude": _in_a_run,
    "finalize": _rendered,
    "first_frame": _as_it_arrives,
    "notify": _with_a_receiver,
    "on_delivery": _delivered,
    "on_upload": _uploaded,
    "poll": _rendering,
    "record_failure": _as_it_arrives,
    "report": _asked_by_file,
    "resolve": _unknown,
    "start": _as_it_arrives,
    "sweep": _rendering,
    "take_up": _in_a_run,
    "thumbnail": _finalized,
}
