"""What every state's function shares: a JSON document in, a Render through the verb, JSON out."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from videoconductor.clip import TICKS_PER_USD, Noun, Render
from videoconductor.errors import RenderFailed, SubmitUnknown, VideoConductorError
from videoconductor.permits import PURPOSES, attempts

logger = Logger(service="videoconductor")
metrics = Metrics(namespace="VideoConductor", service="videoconductor")

Verb = Callable[[Render], Render]
Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def task(verb: Verb) -> Handler:
    """Make a verb a Lambda handler that logs one line a state, keyed by render.

    An error that may hold the provider's words leaves by its class alone, for Lambda logs what it
    is handed; the words are on record. The document keeps the number of the execution it
    came with, so that one that was overtaken meanwhile finds out at its next state.
    """

    @wraps(verb)
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        render = Render.model_validate(event)
        logger.append_keys(renderId=render.render_id, function=context.function_name)
        try:
            after = verb(render)
        except VideoConductorError as problem:
            logger.warning("%s -> %s", render.status, type(problem).__name__)
            count(type(problem).__name__)
            if isinstance(problem, RenderFailed | SubmitUnknown):
                raise type(problem)(f"see the record of {render.render_id}") from None
            raise
        logger.info("%s -> %s", render.status, after.status)
        if after.status != render.status:
            count(after.status)
        _count_money(render, after)
        kept = {"caught": None, "executions": render.executions}
        return after.model_copy(update=kept).model_dump(mode="json")

    return handler


def film_task(verb: Callable[[dict[str, Any]], Noun]) -> Handler:
    """Make a verb of a film's machine a Lambda handler that logs one line."""

    @wraps(verb)
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        logger.append_keys(function=context.function_name)
        try:
            after = verb(event)
        except VideoConductorError as problem:
            logger.warning("failed", extra={"error": type(problem).__name__})
            count(type(problem).__name__)
            raise
        logger.info("done")
        return after.model_dump(mode="json")

    return handler


def errand(verb: Callable[[dict[str, Any]], Noun]) -> Handler:
    """Make a verb that an event sets off a Lambda handler that logs, in one line, what it did.

    What may be tried again leaves by its class alone, for Lambda logs what it is handed.
    """

    @wraps(verb)
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        logger.append_keys(function=context.function_name, eventId=event.get("id"))
        try:
            done = verb(event).model_dump(mode="json")
        except VideoConductorError as problem:
            logger.warning("failed", extra={"error": type(problem).__name__})
            count(type(problem).__name__)
            raise
        logger.info("done", extra={"errand": done})
        _count_what(done)
        return done

    return handler


def _count_what(done: dict[str, Any]) -> None:
    """A metric for an outcome, for each list of those something was done for, for each time."""
    if isinstance(outcome := done.get("outcome"), str):
        count(outcome)
    for name, those in done.items():
        if isinstance(those, list) and those and isinstance(those[0], str):
            count(name, len(those))
        elif name.endswith("Seconds"):
            _count_in(MetricUnit.Seconds, name[0].upper() + name[1:], those)


def _count_money(before: Render, after: Render) -> None:
    """What was reserved and what was settled since the document came in, in US dollars.

    A state that ended in an error leaves it to the next, RecordFailure, whose document came from
    before. What was released again does not count.
    """
    was, now = (
        {
            (purpose, attempt.number): attempt
            for purpose in PURPOSES
            for attempt in attempts(render, purpose)
        }
        for render in (before, after)
    )
    reserved = sum(
        one.reserved_ticks
        for place, one in now.items()
        if place not in was and (one.held_ticks or one.spent_ticks is not None)
    )
    spent = after.spent_ticks - before.spent_ticks
    for name, ticks in (("ReservedUsd", reserved), ("SpentUsd", spent)):
        if ticks > 0:
            _count_in(MetricUnit.NoUnit, name, ticks / TICKS_PER_USD)


def count(name: str, value: int = 1) -> None:
    """Count something that alarms and the dashboard look at."""
    _count_in(MetricUnit.Count, name, value)


def _count_in(unit: MetricUnit, name: str, value: float) -> None:
    metrics.add_metric(name=name, unit=unit, value=value)
    metrics.flush_metrics()
