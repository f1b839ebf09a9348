"""The kinds of runs that are drilled: what a caller does, and what comes of it undisturbed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.reliability.stage import Stage

CLIP = "shot"
MODE = "draft"


@dataclass(frozen=True)
class Kind:
    """`begin` does what the caller does and returns ids of the renders and runs it has set going.

    `ends_in` is the status of the render or the run; `functions`, if given, are the only ones that
    are drilled in it; `posts` how often it may pay; `repeats` whether places that another kind has
    come by already are drilled again in the full run; `witnessed` what it ends in with a witness,
    None where it makes no sense with one; `is_accepted` whether xAI starts a job for its POST.
    """

    name: str
    what: str
    begin: Callable[[Stage, str, str], list[str]]
    ends_in: str = "finalized"
    functions: frozenset[str] = frozenset()
    posts: int = 1
    repeats: bool = True
    is_film: bool = False
    witnessed: str | None = ""
    is_accepted: bool = True

    def end(self, witness: bool) -> str:
        """The status that it comes to undisturbed."""
        return (self.witnessed or self.ends_in) if witness else self.ends_in


def kinds(*, witness: bool) -> tuple[Kind, ...]:
    """Those that there are with a witness, or without one."""
    return tuple(kind for kind in KINDS if not witness or kind.witnessed is not None)


def prompt(token: str, marker: str = "", number: int = 1) -> str:
    """A prompt that its run can be told by."""
    marked = "".join(f" [[sim:{name}]]" for name in marker.split(",") if name)
    return f"{token} a lamp in the rain, take {number}{marked}"


def clip(token: str, marker: str, **fields: Any) -> dict[str, Any]:
    asked = {"prompt": prompt(token, marker), "duration": 1, "qualityMode": MODE}
    return asked | {"clipId": CLIP, "pipelineRequestId": token} | fields


def submitted(*markers: str, **fields: Any) -> Callable[[Stage, str, str], list[str]]:
    """A clip that is asked for over HTTP."""

    def begin(stage: Stage, token: str, marker: str) -> list[str]:
        named = ",".join([*markers, *([marker] if marker else [])])
        own = {name: value.format(token=token) for name, value in fields.items()}
        answer = stage.ask(token, "POST", "/v1/videos", clip(token, named, **own))
        return [answer["renderId"]]

    return begin


def film(stage: Stage, token: str, marker: str) -> list[str]:
    clips = [
        {"id": f"0{number}", "duration": 1, "prompt": prompt(token, marker, number)}
        for number in (1, 2)
    ]
    script = {"schemaVersion": "1.0", "requestId": token, "clips": clips}
    answer = stage.ask(token, "POST", "/v1/films", script)
    return [answer["runId"], *(each["renderId"] for each in answer["clips"])]


def failing_film(stage: Stage, token: str, marker: str) -> list[str]:
    """A film whose jobs xAI gives up."""
    return film(stage, token, "failed")


def attached(stage: Stage, token: str, marker: str) -> list[str]:
    """A clip whose POST was lost, and which a person attaches to its job."""
    ids = submitted("lost")(stage, token, marker)
    stage.until_rest(ids[0])
    job = {"requestId": stage.jobs(prompt(token, "lost"))[0]["id"]}
    stage.ask(token, "POST", f"/v1/videos/{ids[0]}/attach", job, stage.goes_again(ids[0]))
    return ids


def retried(stage: Stage, token: str, marker: str) -> list[str]:
    """A clip whose job failed, and which a person has made again."""
    ids = submitted("failed")(stage, token, marker)
    stage.until_rest(ids[0])
    stage.ask(token, "POST", f"/v1/videos/{ids[0]}/retry", {}, stage.goes_again(ids[0]))
    return ids


def cancelled(stage: Stage, token: str, marker: str) -> list[str]:
    """A clip that a person does not wait for any more."""
    ids = submitted("hang")(stage, token, marker)
    stage.until(lambda: stage.record(ids[0]).request_id is not None)
    stage.ask(token, "POST", f"/v1/videos/{ids[0]}/cancel", {}, stage.is_at_rest(ids[0]))
    return ids


def uploaded(stage: Stage, token: str, marker: str) -> list[str]:
    stage.put(f"inbox/{token}.json", clip(token, marker))
    return []


def announced(stage: Stage, token: str, marker: str) -> list[str]:
    stage.publish("ClipRequested", clip(token, marker) | {"idempotencyKey": token})
    return []


def called_back(stage: Stage, token: str, marker: str) -> list[str]:
    return submitted(callbackUrl=f"{stage.receiver}/{token}")(stage, token, marker)


KINDS: tuple[Kind, ...] = (
    Kind("text", "a clip from a prompt", submitted()),
    Kind("still", "a clip that starts from a still", submitted(firstFramePrompt="{token} a bar")),
    Kind("failed", "xAI gives the job up", submitted("failed"), "failed"),
    Kind(
        "lost",
        "xAI's answer to the POST is lost",
        # Delivered when the render is at rest: before that, whoever brings it there finds it.
        submitted("lost", "witness_late"),
        "submit_unknown",
        witnessed="finalized",
    ),
    Kind("refused", "xAI refuses the POST", submitted("denied"), "failed", is_accepted=False),
    Kind("limited", "xAI's rate limit meets the POST", submitted("start429")),
    Kind("gone", "the clip's url is gone", submitted("gone")),
    Kind("film", "a film of two clips", film, "finished", posts=2, is_film=True),
    Kind(
        "incomplete",
        "a film whose jobs xAI gives up",
        failing_film,
        "incomplete",
        functions=frozenset({"conclude"}),
        posts=2,
        repeats=False,
        is_film=True,
    ),
    Kind(
        "attach",
        "a person attaches a job",
        attached,
        functions=frozenset({"resolve"}),
        repeats=False,
        witnessed=None,
    ),
    Kind(
        "retry",
        "a person pays again",
        retried,
        "failed",
        functions=frozenset({"resolve"}),
        posts=2,
        repeats=False,
    ),
    Kind(
        "cancel",
        "a person stops waiting",
        cancelled,
        "cancelled",
        functions=frozenset({"resolve"}),
        repeats=False,
    ),
    Kind(
        "inbox",
        "a file in the inbox",
        uploaded,
        functions=frozenset({"on_upload", "report"}),
        repeats=False,
    ),
    Kind(
        "bus",
        "an event asks for a clip",
        announced,
        functions=frozenset({"on_request"}),
        repeats=False,
    ),
    Kind(
        "callback",
        "a callbackUrl is told",
        called_back,
        functions=frozenset({"notify", "call_back"}),
        repeats=False,
    ),
)
