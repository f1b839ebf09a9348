"""Kills or hinders a function at a planned moment of one of its outside calls.

It lies as `sitecustomize.py` beside the packages of a function in a copied project, so that the
function's interpreter imports it by itself: nothing of it is in what gets deployed. Without
DRILL_FOLDER in the environment it does nothing.

    DRILL_FOLDER/plans/drill-0a1b2c3d.json   what is to happen to events with that token in them
    DRILL_FOLDER/names/0a1b…                 the token of a render, where an event has nothing else
    DRILL_FOLDER/fired/drill-0a1b2c3d.jsonl  a line for each time that it did, synced to disk
    DRILL_FOLDER/lost/drill-0a1b2c3d.json    the event that was at hand then
    DRILL_FOLDER/calls/drill-0a1b2c3d.jsonl  every outside call that was made for such events

A plan names a function, one of its calls and a fault:

    kill    SIGKILL to this very process. `moment` says when: "before" the request is sent, "during"
            (the answer lies in the socket and is not read), "after" it was read
    throttle, refuse, lose   the service turns the request away; no connection; the request was
            carried out and its answer is lost
    hang    nothing more happens, until the time limit of the function

`service` "handler" means the handler itself: before its first line, or after its last. With `name`
the state machine is told that name instead of what the emulator makes of a dead process: those
that AWS uses. `times` is how often the fault strikes, 0 is always.
"""

from __future__ import annotations

import io
import json
import os
import re
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

TOKEN = re.compile(r"drill-[0-9a-f]{8}")
ID = re.compile(r"\b[0-9a-f]{32}\b")
ANSWER_SECONDS = 30.0
THROTTLED = {
    "dynamodb": ("ProvisionedThroughputExceededException", 400),
    "s3": ("SlowDown", 503),
}


class Drill:
    """What is planned for the event at hand, and what has happened to it so far."""

    def __init__(self, folder: Path, function: str) -> None:
        self.folder = folder
        self.function = function
        self.token = ""
        self.plan: dict[str, Any] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.at_hand: tuple[str, str, int] | None = None
        self.dies_unread = False
        self.runtime: Any = None
        self.invocation = ""
        self.event = ""

    def begin(self, runtime: Any, invocation: str, event: bytes | str) -> None:
        """A new event."""
        text = event.decode("utf-8", "replace") if isinstance(event, bytes) else event
        found = TOKEN.search(text)
        self.token = found.group() if found else self.known(text)
        self.plan, self.counts, self.at_hand, self.dies_unread = {}, {}, None, False
        self.runtime, self.invocation, self.event = runtime, invocation, text
        if not self.token:
            return
        try:
            planned = json.loads((self.folder / "plans" / f"{self.token}.json").read_text())
        except FileNotFoundError:
            return
        if planned["function"] == self.function:
            self.plan = planned
            if planned["service"] == "secrets-manager":
                forget_secrets()

    def known(self, text: str) -> str:
        """The token of an event that only names a render."""
        for name in map(str, ID.findall(text)):
            with suppress(FileNotFoundError):
                return (self.folder / "names" / name).read_text()
        return ""

    def called(self, service: str, operation: str) -> None:
        """An outside call begins; its tries all belong to it."""
        number = self.counts[service, operation] = self.counts.get((service, operation), 0) + 1
        self.at_hand = (service, operation, number)
        if self.token:
            self.note("calls", function=self.function, event=self.invocation)

    def fault(self, *moments: str) -> str | None:
        """The fault that is planned for the call at hand at one of these moments, noted down."""
        plan = self.plan
        if not plan or not self.is_planned() or plan["moment"] not in moments:
            return None
        if plan["times"] and self.fired() >= plan["times"]:
            return None
        if plan["fault"] in {"kill", "hang"} and plan["moment"] == "during":
            self.dies_unread = True  # noted when it dies
            return None
        self.note("fired", fault=plan["fault"], moment=plan["moment"])
        fault: str = plan["fault"]
        return fault

    def is_planned(self) -> bool:
        """Whether the call at hand is the one of the plan, or of its kind: a service that stays
        away does so however often it is asked.
        """
        if self.at_hand is None:
            return False
        service, operation, number = self.at_hand
        is_its_kind = (service, operation) == (self.plan["service"], self.plan["operation"])
        return is_its_kind and (number == self.plan["number"] or self.plan["times"] == 0)

    def fired(self) -> int:
        """How often this plan's fault has struck, whichever process it was."""
        try:
            return len((self.folder / "fired" / f"{self.token}.jsonl").read_bytes().splitlines())
        except FileNotFoundError:
            return 0

    def note(self, kind: str, **what: Any) -> None:
        """Append a line; what fired is on disk before anything comes of it."""
        service, operation, number = self.at_hand or ("handler", "", 1)
        if kind == "fired":
            (self.folder / "lost" / f"{self.token}.json").write_text(self.event)
        line = {"service": service, "operation": operation, "number": number, **what}
        line["process"] = os.getpid()
        path = self.folder / kind / f"{self.token}.jsonl"
        place = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(place, json.dumps(line).encode() + b"\n")
            if kind == "fired":
                os.fsync(place)
        finally:
            os.close(place)

    def die(self) -> None:
        """The end of this process, under the name that is planned."""
        name = self.plan.get("name")
        if name:
            words = json.dumps({"errorType": name, "errorMessage": "killed by a drill"})
            self.runtime.post_invocation_error(self.invocation, words, "{}")
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    def die_unread(self, connection: Any) -> None:
        """Die as soon as the answer is there, if that is planned."""
        if not self.dies_unread:
            return
        self.dies_unread = False
        if connection is not None:
            select.select([connection], [], [], ANSWER_SECONDS)
        self.note("fired", fault=self.plan["fault"], moment="during")
        self.strike(self.plan["fault"])

    def strike(self, fault: str | None) -> None:
        """What needs no answer of its own."""
        if fault == "kill":
            self.die()
        elif fault == "hang":
            time.sleep(3600)


def forget_secrets() -> None:
    """Have a secret read again: a process remembers it for a minute."""
    wiring = sys.modules.get("videoconductor.wiring")
    if wiring is not None:
        wiring.forget()


def watch_events(drill: Drill) -> None:
    """See each event that the runtime client hands to the handler."""
    from awslambdaric import bootstrap  # type: ignore[import-untyped]

    handle = bootstrap.handle_event_request

    def handled(runtime: Any, handler: Any, invocation: str, event: Any, *rest: Any) -> None:
        watch_boto(drill)
        watch_wire(drill)
        drill.begin(runtime, invocation, event)

        def around(document: Any, context: Any) -> Any:
            drill.at_hand = ("handler", "", 1)
            if drill.token:
                drill.note("calls", function=drill.function, event=drill.invocation)
            fault = drill.fault("before")
            if fault == "throttle":
                raise type("Lambda.TooManyRequestsException", (Exception,), {})("by a drill")
            drill.strike(fault)
            try:
                return handler(document, context)
            finally:  # one that ends in an error has ended too
                drill.at_hand = ("handler", "", 1)
                drill.strike(drill.fault("after"))

        handle(runtime, around, invocation, event, *rest)

    bootstrap.handle_event_request = handled


def once(patch: Any) -> Any:
    """`patch`, the first time only."""
    done: list[bool] = []

    def patched(drill: Drill) -> None:
        if not done:
            done.append(True)
            patch(drill)

    return patched


@once
def watch_boto(drill: Drill) -> None:
    """See each call of an AWS service, and each of its tries."""
    import http.client

    from botocore import endpoint

    Endpoint: Any = endpoint.Endpoint  # noqa: N806
    make, respond = Endpoint.make_request, Endpoint._get_response
    read = http.client.HTTPConnection.getresponse

    def made(self: Any, model: Any, request: Any) -> Any:
        drill.called(*asked(model, request))
        try:
            return make(self, model, request)
        finally:
            drill.at_hand, drill.dies_unread = None, False

    def responded(self: Any, request: Any, model: Any, context: Any) -> Any:
        fault = drill.fault("before", "during")
        drill.strike(fault)
        if fault == "throttle":
            return turned_away(drill.at_hand[0] if drill.at_hand else ""), None
        if fault == "refuse":
            return None, unreachable(self.host)
        answer = respond(self, request, model, context)
        if fault == "lose":
            return None, lost(self.host)
        drill.strike(drill.fault("after"))
        return answer

    def answered(self: Any) -> Any:
        drill.die_unread(self.sock)
        return read(self)

    Endpoint.make_request = made
    Endpoint._get_response = responded
    http.client.HTTPConnection.getresponse = answered  # type: ignore[method-assign]


def asked(model: Any, request: Any) -> tuple[str, str]:
    """What a call of an AWS service is for.

    The looks at the line before a model have names of their own: how many there are hangs on who
    else stands there, and the other calls are told apart by their number.
    """
    service, operation = model.service_model.service_id.hyphenize().lower(), model.name
    body = request.get("body") or b""
    body = body.encode() if isinstance(body, str) else body
    if service != "dynamodb" or b'"TURNS#' not in body:
        return service, operation
    is_closing = b"closedUntil = :until" in body
    return service, f"{operation} {'closing' if is_closing else 'line'}"


def turned_away(service: str) -> Any:
    """What botocore makes of a service that has too much to do."""
    from botocore.awsrequest import AWSResponse
    from botocore.compat import HTTPHeaders

    code, status = THROTTLED.get(service, ("ThrottlingException", 400))
    parsed = {
        "Error": {"Code": code, "Message": "by a drill"},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}},
    }
    return AWSResponse("", status, HTTPHeaders(), None), parsed


def unreachable(host: str) -> Exception:
    from botocore.exceptions import EndpointConnectionError

    return EndpointConnectionError(endpoint_url=host, error="by a drill")


def lost(host: str) -> Exception:
    from botocore.exceptions import ConnectionClosedError

    return ConnectionClosedError(endpoint_url=host, error="by a drill")


@once
def watch_wire(drill: Drill) -> None:
    """See each request to xAI, and each download. The reading of answers is seen above."""
    from videoconductor import addresses  # which functions load when they first need it

    exchange = addresses.Direct.__call__

    def sent(self: Any, request: Any, limit: Any) -> Any:
        drill.called(*purpose(request.method, request.target.path))
        try:
            return exchanged(self, request, limit)
        finally:
            drill.at_hand, drill.dies_unread = None, False

    def exchanged(self: Any, request: Any, limit: Any) -> Any:
        fault = drill.fault("before", "during")
        drill.strike(fault)
        if fault == "throttle":
            words = io.BytesIO(b'{"error": "Too many requests: by a drill"}')
            return addresses.Reply(429, {"content-type": "application/json"}, words)
        if fault == "refuse":
            raise addresses.NotConnected("by a drill")
        answer = exchange(self, request, limit)
        if fault == "lose":
            answer.close()
            raise addresses.Broken("by a drill")
        if drill.plan.get("moment") == "after" and drill.fault("after"):
            for _ in answer.pieces():  # read to its end
                pass
            drill.die()
        return answer

    addresses.Direct.__call__ = sent  # type: ignore[method-assign]


def purpose(method: str, path: str) -> tuple[str, str]:
    """What a request is for, by its path."""
    if path.startswith("/v1/"):
        part = path.split("/")[2]
        return "xai", f"{method} {part}"
    return ("download", "GET") if method == "GET" else ("receiver", method)


def main() -> None:
    folder, name = os.environ.get("DRILL_FOLDER"), os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
    if folder and name and "-m" in sys.orig_argv:
        watch_events(Drill(Path(folder), function_of(name)))


def function_of(name: str) -> str:
    """`first_frame` of `videoconductor-FirstFrameFunction-1A2B3C`."""
    found = re.search(r"(?:^|-)([A-Za-z]+)Function(?:-|$)", name)
    return re.sub(r"(?<!^)(?=[A-Z])", "_", found.group(1)).lower() if found else name


main()
